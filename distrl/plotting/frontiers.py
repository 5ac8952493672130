"""Best values against a parameter of the objective."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from distrl._validation import FloatArray
from distrl.plotting.style import look_of, styled


def plot_frontier(
    levels: FloatArray, bands: Sequence[tuple[str, FloatArray, FloatArray]], *, label: str, ax: Axes | None = None
) -> Axes:
    """Draw bands against a parameter, one for each of `bands`.

    Parameters
    ----------
    levels : (K,)
    bands : sequence of (name, lower (K,), upper (K,))
    label : str
        Of the vertical axis.
    ax : matplotlib Axes, optional
        A new figure when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModuleNotFoundError
        On import, without matplotlib.
    """
    with styled(ax, (6.4, 4.0)) as axes:
        for name, lower, upper in bands:
            look = look_of(len(axes.lines))
            axes.plot(levels, lower, label=name, **look)
            axes.fill_between(levels, lower, upper, color=look["color"], alpha=0.3, linewidth=0)
        axes.set_xlabel("parameter of the objective")
        axes.set_ylabel(label)
        axes.legend()
    return axes
