"""What `learn` gives back."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._files import path_of
from distrl._records import write_result
from distrl._steady import steady
from distrl._validation import FloatArray, IntArray, RandomSource
from distrl.returns.metrics import wasserstein
from distrl.td.recorded import Recorded
from distrl.td.rule import R
from distrl.td.statistics import Metric, Truth, distances, mean_errors, mean_interval, over_states

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class LearningRun(Recorded[R]):
    """R independent replications of a method, recorded at T update counts; it can be saved and resumed.

    Attributes
    ----------
    updates, values : the update counts recorded, (T,), and the means there, (T, R, S)
    done, status, elapsed : the updates made altogether, and how the work ended
    estimates, final, visits : what was learnt, in the method's numbers and as return laws, and from how many renewals
    model, method, step_size, sampling, seed : what was learnt from and how
    checkpoints : what each replication needs to go on
        `Recorded` says each in full, with shapes and units.
    """

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.status.name}, {self.method!r}, replications={self.replications}, "
            f"states={self.model.n_states}, updates={self.done}, records={len(self.updates)})"
        )

    @steady
    def errors(self, truth: Truth, metric: Metric = wasserstein, over: str | None = "max") -> FloatArray:
        """Error curves: the distance of every replication to the truth, at every record.

        Parameters
        ----------
        truth : Solution, Returns, list of laws (one a state), or (S,) array
            Numbers, and moments alone, are means: the error is then |mean - truth|, for any method. Where means are
            all that is learnt, as by `TD`, it is always that.
        metric : callable
            `distrl.wasserstein`, `cramer`, `kolmogorov`, `energy`, or any function of two return laws that gives (S,).
        over : {"max", "mean"} or None
            What to make of the states; None keeps them.

        Returns
        -------
        array, (T, R), or (T, R, S) for `over=None`
            It takes T R calls of the metric.

        Raises
        ------
        ValueError, TypeError
            If truth does not fit the states or the metric.
        """
        if over not in ("max", "mean", None):
            raise ValueError(f'over must be "max", "mean" or None, got {over!r}')
        if self.final.moments_alone:
            return over_states(mean_errors(self.values, truth), over)
        return over_states(distances(self.values, self._learnt(), truth, metric), over)

    def _learnt(self) -> Iterator[R]:
        """The laws of the states, record by record and replication by replication."""
        return (self.method.returns(row) for record in self.estimates for row in record)

    @steady
    def interval(
        self,
        truth: Truth,
        metric: Metric = wasserstein,
        over: str | None = "max",
        level: float = 0.95,
        method: str = "t",
        rng: RandomSource = 0,
    ) -> FloatArray:
        """Confidence intervals of the expected error, from the replications.

        Parameters
        ----------
        truth, metric, over
            As for `errors`.
        level : float in (0, 1)
            Of each interval by itself.
        method : {"t", "bootstrap"}
            Student's t, or percentile bootstrap over replications (9,999 resamples). With few replications only t
            covers: simulated with 3 normal errors, 95% against 77%. Skewed errors cost either of them some percent.
        rng : anything `numpy.random.default_rng` takes
            Of the bootstrap.

        Returns
        -------
        array, (T, 2), or (T, S, 2) for `over=None`
            Lower and upper ends around `errors(...).mean(axis=1)`.

        Raises
        ------
        ValueError
            If there are fewer than 2 replications, or an argument is not what it must be.
        """
        return mean_interval(self.errors(truth, metric, over), level, method, rng)

    @steady
    def summary(self, states: ArrayLike | None = None) -> str:
        """What a person wants to read: how it ended, how steps were taken, and the means of some states.

        Parameters
        ----------
        states : positions, optional
            Which states are shown; the first eight unless given. The column +- is the standard deviation over
            replications.

        Raises
        ------
        IndexError
            If there is no such state.
        """
        lines = self._head()
        seen = self.visits.min(axis=0)
        if (seen == 0).any():
            lines.append(
                f"{int((seen == 0).sum())} state(s) were never renewed in some replication: their estimate is the start"
            )
        left = float(self.negative_mass[-1].max()) if len(self.updates) else 0.0
        if left > 0.0:
            lines.append(f"estimates have up to {left:.3g} of negative mass; the laws given are the nearest ones")
        final = np.stack([self.method.means(self.method.estimates(kept.memory)) for kept in self.checkpoints])
        shown = np.arange(self.model.n_states)[:8] if states is None else np.atleast_1d(states)
        lines += ["", f"{'state':>8}{'mean':>14}{'+-':>12}{'renewals':>12}"]
        for s in shown:
            spread = final[:, s].std(ddof=1) if self.replications > 1 else np.nan
            name = str(self.model.states[s])
            lines.append(f"{name:>8}{final[:, s].mean():>14.6g}{spread:>12.3g}{self.visits[:, s].mean():>12.6g}")
        if len(shown) < self.model.n_states and states is None:
            lines.append(
                f"... and {self.model.n_states - len(shown)} more state(s); summary(states=...) shows any of them"
            )
        return "\n".join(lines)

    def _head(self) -> list[str]:
        """The first lines of a summary."""
        count = f"{self.replications} replication{'s' if self.replications != 1 else ''}"
        done = f"{count} of {self.done} {self.sampling} updates, {self.elapsed:.3g} s, steps {self.step_size!r}"
        return [f"{self.method!r} on {self.model!r}", self.status.value, done]

    def plot(self, truth: Truth, metric: Metric = wasserstein, **options: object) -> "Axes":
        """Draw the mean error over replications against updates, with its interval; needs the extra `plot`.

        Parameters
        ----------
        truth, metric
            As for `errors`.
        **options
            As `distrl.plotting.plot_errors` says: `over`, `level`, `ax`, `label`.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError, TypeError
            If truth does not fit the run, or an option is not one.
        ModuleNotFoundError
            If there is no matplotlib.
        """
        from distrl.plotting import plot_errors  # it needs matplotlib, which few calls do

        arguments: dict[str, Any] = {"metric": metric, **options}
        axes: Axes = plot_errors(self, truth, **arguments)
        return axes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was recorded to `.npz`, atomically: updates, values, estimates (T, R, S, ...), visits, settings.

        `distrl.load` gives the run back, to be looked at or resumed in another session.

        Parameters
        ----------
        path : path
            Its name must end in .npz.

        Raises
        ------
        ValueError
            If the name does not end in .npz, or the file cannot be written, naming it.
        """
        target = path_of(path)
        if target.suffix != ".npz":
            raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz")
        settings = {
            "method": repr(self.method),
            "step_size": repr(self.step_size),
            "sampling": self.sampling,
            "status": self.status.name,
            "done": self.done,
            "seed": {"entropy": str(self.seed.entropy), "spawn_key": list(map(int, self.seed.spawn_key))},
        }
        arrays: dict[str, Any] = {
            "updates": self.updates,
            "values": self.values,
            "visits": self.visits,
            "settings": np.array(json.dumps(settings)),
            **self._shown_arrays(),
        }
        if self.estimates:
            arrays["estimates"] = np.stack(self.estimates)
            arrays.update(self.method.axis())
        write_result(target, self, arrays, {"estimates": self.estimates})

    def _shown_arrays(self) -> dict[str, FloatArray | IntArray]:
        """What a file shows to people beyond that."""
        return {}
