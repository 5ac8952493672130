"""What `learn` gives back."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from distrl._files import path_of
from distrl._steady import steady
from distrl._validation import FloatArray, IntArray, float_array, generator, real_number, whole_number
from distrl.dp.solution import Solution
from distrl.models.laws import Law, as_law
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.returns.metrics import wasserstein
from distrl.td.methods import CategoricalTD, TDMethod
from distrl.td.replication import Kept
from distrl.td.step_sizes import StepSize


class LearningStatus(Enum):
    """How a run ended; the value is the sentence a person reads."""

    DONE = "Done: all updates were made."
    INTERRUPTED = "Interrupted: what was recorded until then is here; go on with learn(..., resume=run)."


@dataclass(frozen=True, eq=False)
class LearningRun:
    """R independent replications of a method, recorded at T update counts; it can be saved and resumed.

    Attributes
    ----------
    updates : (T,) int
        The update counts recorded, those of the runs it resumed included.
    done : int
        Updates made altogether.
    status : LearningStatus
    elapsed : float
        Seconds, those of the runs it resumed included.
    model : MRP
    method : TDMethod
        With the grid that was used.
    step_size : StepSize
    sampling : str
    """

    updates: IntArray
    done: int
    status: LearningStatus
    elapsed: float
    model: MRP
    method: TDMethod
    step_size: StepSize
    sampling: str
    _records: tuple[FloatArray, ...] = field(repr=False)
    _root: np.random.SeedSequence = field(repr=False)
    _kept: tuple[Kept, ...] = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"LearningRun({self.status.name}, {self.method!r}, replications={self.replications}, "
            f"states={self.model.n_states}, updates={self.done}, records={len(self.updates)})"
        )

    @property
    def replications(self) -> int:
        """R."""
        return len(self._kept)

    @cached_property
    @steady
    def values(self) -> FloatArray:
        """(T, R, S) means of the estimates, in units of reward."""
        shape = (0, self.replications, self.model.n_states)
        return np.stack([self.method._means(record) for record in self._records]) if self._records else np.empty(shape)

    def at(self, updates: int) -> Any:
        """The estimates recorded after `updates` updates, batch axes (R, S).

        Returns
        -------
        CategoricalReturns (.probs (R, S, m)), QuantileReturns (.values (R, S, m), by label), ExpectileReturns
        (.expectiles (R, S, n)) or ValueEstimates (.values (R, S))

        Raises
        ------
        ValueError
            If that count was not recorded, naming those that were.
        """
        place = np.flatnonzero(self.updates == whole_number(updates, "updates"))
        if not place.size:
            raise ValueError(f"nothing was recorded at update {updates}, but at {self.updates.tolist()}; see records=")
        return self.method._returns(self._records[place[0]])

    @cached_property
    @steady
    def final(self) -> Any:
        """The estimates after all updates that were made, as `at` gives them."""
        return self.method._returns(np.stack([self.method._estimates(kept.memory) for kept in self._kept]))

    @property
    def visits(self) -> IntArray:
        """(R, S) how often each state was renewed."""
        return np.stack([kept.visits for kept in self._kept])

    @cached_property
    def negative_mass(self) -> FloatArray:
        """(T, R) largest mass below zero of any state: how far the variants of `CategoricalTD` left the simplex."""
        shape = (len(self.updates), self.replications)
        if not isinstance(self.method, CategoricalTD):
            return np.zeros(shape)
        negative = [np.minimum(record, 0.0).sum(axis=-1).min(axis=-1) for record in self._records]
        return np.abs(np.reshape(negative, shape))

    @steady
    def errors(
        self, truth: Any, metric: Callable[..., FloatArray] = wasserstein, over: str | None = "max"
    ) -> FloatArray:
        """Error curves: the distance of every replication to the truth, at every record.

        Parameters
        ----------
        truth : Solution, Returns, list of laws (one a state), or (S,) array
            Numbers, and moments alone, are means: the error is then |mean - truth|, for any method. For `TD` it is
            so always.
        metric : callable
            `distrl.wasserstein`, `cramer`, `kolmogorov`, `energy`, or any function of two return laws that gives (S,).
        over : {"max", "mean"} or None
            What to make of the states; None keeps them.

        Returns
        -------
        array, (T, R), or (T, R, S) for `over=None`
            Time: T R calls of the metric.

        Raises
        ------
        ValueError, TypeError
            If truth does not fit the states or the metric.
        """
        if over not in ("max", "mean", None):
            raise ValueError(f'over must be "max", "mean" or None, got {over!r}')
        laws = truth.returns if isinstance(truth, Solution) else truth
        n = self.model.n_states
        if self.final.moments_alone or not _holds_laws(laws):
            goal = _means(laws)
            if goal.shape != (n,):
                raise ValueError(f"truth holds means of shape {goal.shape}; it must be ({n},), one a state")
            per_state = np.abs(self.values - goal)
        else:
            shape = (len(self.updates), self.replications, n)
            rows = [metric(self.method._returns(row), laws) for record in self._records for row in record]
            per_state = np.reshape(rows, shape)
        if over is None:
            return per_state
        return np.asarray(per_state.max(axis=-1) if over == "max" else per_state.mean(axis=-1))

    @steady
    def interval(
        self,
        truth: Any,
        metric: Callable[..., FloatArray] = wasserstein,
        over: str | None = "max",
        level: float = 0.95,
        method: str = "t",
        rng: Any = 0,
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
            With fewer than 2 replications.
        """
        from scipy import stats  # slow to import

        if method not in ("bootstrap", "t"):
            raise ValueError(f'method must be "bootstrap" or "t", got {method!r}')
        confidence = real_number(level, "level", low=0.0, high=1.0)
        if confidence in (0.0, 1.0):
            raise ValueError(f"level must lie in (0, 1), got {confidence:g}")
        if self.replications < 2:
            raise ValueError("an interval needs at least 2 replications; learn with replications=2 or more")
        errors = self.errors(truth, metric, over)
        if method == "t":
            centre = errors.mean(axis=1)
            half = stats.sem(errors, axis=1) * stats.t.ppf(0.5 + confidence / 2, self.replications - 1)
            return np.stack([centre - half, centre + half], axis=-1)
        found = stats.bootstrap(
            (errors,),
            np.mean,
            axis=1,
            vectorized=True,
            batch=100,
            method="percentile",
            confidence_level=confidence,
            random_state=generator(rng),
        ).confidence_interval
        return np.stack([found.low, found.high], axis=-1)

    @steady
    def summary(self, states: Any = None) -> str:
        """What a person wants to read: how it ended, how steps were taken, and the means of some states.

        `states` are the first eight unless given. The column +- is the standard deviation over replications.
        """
        lines = [f"{self.method!r} on {self.model!r}", self.status.value]
        count = f"{self.replications} replication{'s' if self.replications != 1 else ''}"
        lines.append(f"{count} of {self.done} {self.sampling} updates, {self.elapsed:.3g} s, steps {self.step_size!r}")
        seen = self.visits.min(axis=0)
        if (seen == 0).any():
            lines.append(
                f"{int((seen == 0).sum())} state(s) were never renewed in some replication: their estimate is the start"
            )
        left = float(self.negative_mass[-1].max()) if len(self.updates) else 0.0
        if left > 0.0:
            lines.append(f"estimates have up to {left:.3g} of negative mass; the laws given are the nearest ones")
        final = np.stack([self.method._means(self.method._estimates(kept.memory)) for kept in self._kept])
        shown = np.arange(self.model.n_states)[:8] if states is None else np.atleast_1d(states)
        lines += ["", f"{'state':>8}{'mean':>14}{'+-':>12}{'renewals':>12}"]
        for s in shown:
            spread = final[:, s].std(ddof=1) if self.replications > 1 else np.nan
            lines.append(f"{s:>8}{final[:, s].mean():>14.6g}{spread:>12.3g}{self.visits[:, s].mean():>12.6g}")
        if len(shown) < self.model.n_states and states is None:
            lines.append(
                f"... and {self.model.n_states - len(shown)} more state(s); summary(states=...) shows any of them"
            )
        return "\n".join(lines)

    def plot(self, truth: Any, metric: Callable[..., FloatArray] = wasserstein, **options: Any) -> Any:
        """Draw the mean error over replications against updates, with its interval; needs the extra `plot`.

        See `distrl.plotting.plot_errors` for the options and what is returned.
        """
        from distrl.plotting import plot_errors

        return plot_errors(self, truth, metric, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was recorded to `.npz`, atomically: updates, values, estimates (T, R, S, ...), visits, settings.

        `distrl.load` gives the run back, to be looked at or resumed in another session.

        Raises
        ------
        ValueError
            If the name does not end in .npz, or the file cannot be written, naming it.
        """
        from distrl._records import write_result  # it knows all classes of results

        target = path_of(path)
        if target.suffix != ".npz":
            raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz")
        settings = {
            "method": repr(self.method),
            "step_size": repr(self.step_size),
            "sampling": self.sampling,
            "status": self.status.name,
            "done": self.done,
            "seed": {"entropy": str(self._root.entropy), "spawn_key": list(map(int, self._root.spawn_key))},
        }
        arrays: dict[str, Any] = {
            "updates": self.updates,
            "values": self.values,
            "visits": self.visits,
            "settings": np.array(json.dumps(settings)),
        }
        if self._records:
            arrays["estimates"] = np.stack(self._records)
            arrays.update(self.method._axis())
        write_result(target, self, arrays, {"estimates": self._records})


def _holds_laws(truth: Any) -> bool:
    """Whether it is return laws, or a sequence with a law in it; what is neither is left to the metric to refuse."""
    if isinstance(truth, Returns):
        return not truth.moments_alone
    if isinstance(truth, str) or not hasattr(truth, "__len__"):
        return True
    return any(isinstance(entry, Law) or hasattr(entry, "cdf") for entry in truth)


def _means(truth: Any) -> FloatArray:
    """Means of laws, or the numbers themselves."""
    if isinstance(truth, Returns):
        return np.asarray(truth.mean(), dtype=np.float64)
    if hasattr(truth, "__len__") and not isinstance(truth, str) and _holds_laws(truth):
        return np.array([as_law(law, f"truth[{state}]").mean for state, law in enumerate(truth)])
    return float_array(truth, "truth")
