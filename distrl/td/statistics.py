"""Distances of what was learnt to the truth, and confidence intervals of their means over replications."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, RandomSource, float_array, generator, real_number
from distrl.dp.solution import Solution
from distrl.models.laws import as_law, is_law
from distrl.returns.base import Returns

#: What an error is to: laws, or means.
Truth = Solution[Returns] | Returns | Sequence[object] | ArrayLike

#: A distance of two return laws for each state, such as `distrl.wasserstein`.
Metric = Callable[..., FloatArray]


def distances(values: FloatArray, learnt: Iterable[object], truth: Truth, metric: Metric) -> FloatArray:
    """(T, R, S) the distance of each estimate to the truth.

    Parameters
    ----------
    values : (T, R, S)
        Means of the estimates.
    learnt : T R times returns of batch shape (S,)
        Asked for where laws are compared, not means.
    truth, metric
        As `LearningRun.errors` says.

    Raises
    ------
    ValueError, TypeError
        If truth does not fit the states or the metric.
    """
    laws = truth.returns if isinstance(truth, Solution) else truth
    if not _holds_laws(laws):
        return mean_errors(values, laws)
    return np.reshape([metric(returns, laws) for returns in learnt], values.shape)


def mean_errors(values: FloatArray, truth: Truth) -> FloatArray:
    """(T, R, S) |mean - truth|.

    Raises
    ------
    ValueError, TypeError
        If truth does not hold one number, or one law, a state.
    """
    goal = _means(truth.returns if isinstance(truth, Solution) else truth)
    states = values.shape[-1:]
    if goal.shape != states:
        raise ValueError(f"truth holds means of shape {goal.shape}; it must be {states}, one a state")
    return np.abs(values - goal)


def over_states(errors: FloatArray, over: str | None) -> FloatArray:
    """The largest ("max") or mean ("mean") of errors (..., S) over states, or all of them (None)."""
    if over is None:
        return errors
    return np.asarray(errors.max(axis=-1) if over == "max" else errors.mean(axis=-1))


def mean_interval(errors: FloatArray, level: float, method: str, rng: RandomSource) -> FloatArray:
    """Confidence intervals of the mean over axis 1, the replications: their ends along a new last axis.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than 2 replications, or an argument is not what `LearningRun.interval` asks for.
    """
    from scipy import stats  # slow to import

    if method not in ("bootstrap", "t"):
        raise ValueError(f'method must be "bootstrap" or "t", got {method!r}')
    confidence = real_number(level, "level", low=0.0, high=1.0)
    if confidence in (0.0, 1.0):
        raise ValueError(f"level must lie in (0, 1), got {confidence:g}")
    replications = errors.shape[1]
    if replications < 2:
        raise ValueError("an interval needs at least 2 replications; learn with replications=2 or more")
    if method == "t":
        centre = errors.mean(axis=1)
        half = stats.sem(errors, axis=1) * stats.t.ppf(0.5 + confidence / 2, replications - 1)
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


def _holds_laws(truth: Any) -> bool:
    """Whether it is return laws, or a sequence with a law in it; what is neither is left to the metric to refuse."""
    if isinstance(truth, Returns):
        return not truth.moments_alone
    if isinstance(truth, str) or not hasattr(truth, "__len__"):
        return True
    return any(is_law(entry) for entry in truth)


def _means(truth: Any) -> FloatArray:
    """Means of laws, or the numbers themselves."""
    if isinstance(truth, Returns):
        return np.asarray(truth.mean(), dtype=np.float64)
    if hasattr(truth, "__len__") and not isinstance(truth, str) and _holds_laws(truth):
        return np.array([as_law(law, f"truth[{state}]").mean for state, law in enumerate(truth)])
    return float_array(truth, "truth")
