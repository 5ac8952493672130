"""The error of a learner against the number of its updates."""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
from matplotlib.axes import Axes

from distrl._validation import FloatArray, IntArray
from distrl.plotting.style import look_of, styled

_FEWEST = 8  # replications below which an interval says too little, and points say more


class Run(Protocol):
    """What is drawn of a learner's run, such as a `LearningRun`."""

    @property
    def updates(self) -> IntArray:
        """(T,) the numbers of updates at which there are records."""

    @property
    def replications(self) -> int:
        """The number of independent runs R."""

    @property
    def method(self) -> object:
        """What learnt: its class's name is in the legend."""

    @property
    def errors(self) -> Callable[..., FloatArray]:
        """errors(truth, metric, over): (T, R), the error of every record."""

    @property
    def interval(self) -> Callable[..., FloatArray]:
        """interval(truth, metric, over, level): (T, 2), around the mean over replications."""


def plot_errors(
    run: Run,
    truth: object,
    metric: Callable[..., FloatArray] | None = None,
    *,
    over: Literal["max", "mean"] = "max",
    level: float = 0.95,
    ax: Axes | None = None,
    label: str | None = None,
) -> Axes:
    """Draw a learner's mean error over replications against the number of updates, both in logarithms.

    Parameters
    ----------
    run : LearningRun
        Or what has its `updates`, `replications`, `method`, `errors` and `interval`.
    truth, metric, over
        As for `LearningRun.errors`; W1 when `metric` is left out.
    level : float in (0, 1)
        Of the t intervals of the mean error that are shaded; with fewer than 8 replications there are none, and points
        show the replications.
    ax : matplotlib Axes, optional
        Drawn on, to compare runs; a new figure when left out.
    label : str, optional
        The method's name when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If truth does not fit the run.
    ModuleNotFoundError
        On import, without matplotlib.
    """
    chosen: dict[str, object] = {"over": over} if metric is None else {"over": over, "metric": metric}
    errors = run.errors(truth, **chosen)
    with styled(ax, (6.4, 4.0)) as axes:
        look = look_of(len(axes.lines))
        name = type(run.method).__name__ if label is None else label
        axes.plot(run.updates, errors.mean(axis=1), label=name, **look)
        if run.replications >= _FEWEST:
            low, high = run.interval(truth, level=level, **chosen).T
            axes.fill_between(run.updates, low, high, color=look["color"], alpha=0.2, linewidth=0)
        elif run.replications > 1:
            axes.scatter(
                np.repeat(run.updates, run.replications), errors, s=8, color=look["color"], alpha=0.5, linewidth=0
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("updates")
        axes.set_ylabel(f"error, {over} over states (units of reward)")
        axes.legend()
    return axes
