"""Whether few samples decide how wrong an estimate is: what no interval that is read off the samples shows.

An interval by delta or bootstrap takes the spread of what was seen for that of what there is. That fails where an
outcome that moves the functional was seen a few times or never: it may be several times as frequent. It shows in four
ways, whose thresholds were chosen on the designs of the study `coverage`; a rule without a guarantee:

- nothing was seen that differs, and the error seems to be 0;
- one sample more of one kind of outcome, a successor or an end, would move the estimate by a good part of its error;
- the error is as skewed as that of an outcome that was seen once;
- its variance has few degrees of freedom: few samples of the sources that matter, perhaps under a large weight.

CVaR has a kink besides where its level is a value of the CDF over a gap of the law: near it, its influence is that of
one side or the other, by chance.
"""

import numpy as np

from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.generative.influence import FirstOrder
from distrl.generative.intervals import Delta
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.functionals import CVaR, Functional, Mean, Quantile, Std

_SINGLE = 8.0**-0.5  # of the error: of an outcome that alone makes it, and was seen 8 times
_SKEWNESS = 0.75  # of an outcome that was seen once has 1, seen twice .71
_FREEDOM = 9.0
_KINK = 5.0  # ratio of the errors on both sides; smooth laws and 50 samples have 2 to 4

_SHOWN = (Mean(), Std(), Quantile(0.05), CVaR(0.05))  # the columns of a summary


def few_decide(estimate: SampledSolution[Returns], functional: Functional, states: IntArray) -> BoolArray:
    """(K,) whether few samples decide the error of a functional's estimate at each of `states`.

    Not where nothing is known of a source: there the interval is all there is. A quantile is judged by the CDF at it.
    """
    first = estimate.linearised()
    if isinstance(functional, Quantile):
        gradients = _of_cdf(first, np.asarray(first.returns.quantile(functional.single()))[states])
    else:
        gradients = functional.gradient(first.returns, states, one_sided=True)
    spread = first.spreads(gradients, states)
    few = (spread.single > _SINGLE) | (np.abs(spread.skewness) > _SKEWNESS) | (spread.freedom < _FREEDOM)
    few |= spread.error == 0.0
    if isinstance(functional, CVaR):
        few |= _at_a_kink(first, functional, states)
    return np.asarray(few & np.isfinite(spread.error))


def doubts(estimate: SampledSolution[Returns], states: list[int]) -> list[str]:
    """A line on the numbers of a summary whose intervals can be too short; none where there is no such number."""
    shown, found = np.array(states, dtype=np.int64), []
    for functional in _SHOWN:
        if not Delta().affordable(estimate, functional, shown):
            continue
        few = shown[few_decide(estimate, functional, shown)]
        where = ", ".join(str(estimate.model.states[s]) for s in few)
        if len(few):
            found.append(functional.label if len(few) == len(shown) else f"{functional.label} at {where}")
    return [f"few samples decide, so that intervals can be too short: {'; '.join(found)}"] if found else []


def _of_cdf(first: FirstOrder, points: FloatArray) -> FloatArray:
    """(K, m) gradients of the CDF at each of the points."""
    grid = first.returns.grid
    gradients = np.zeros((len(points), grid.atoms))
    atoms = np.clip(np.round((points - grid.low) / grid.spacing).astype(np.int64), 0, grid.atoms - 2)
    gradients[np.arange(len(points)), atoms] = 1.0
    return gradients


def _at_a_kink(first: FirstOrder, functional: CVaR, states: IntArray) -> BoolArray:
    """(K,) whether CVaR has very different errors a standard error of the CDF below its level and above it."""
    returns, level = first.returns, functional.single()
    place = level if functional.tail == "lower" else 1.0 - level
    reach = first.spreads(_of_cdf(first, np.asarray(returns.quantile(place))[states]), states).error
    low, high = (
        np.array([_error(first, functional, state, level + sign * reach[k]) for k, state in enumerate(states)])
        for sign in (-1.0, 1.0)
    )
    return np.asarray(high > _KINK * low)


def _error(first: FirstOrder, functional: CVaR, state: int, level: float) -> float:
    """The standard error of CVaR times its level, at another level, not farther than half of the way to 0 or 1."""
    asked = functional.single()
    near = min(max(level, 0.5 * asked), 0.5 * (1.0 + asked))
    at = np.array([state])
    gradient = CVaR(near, functional.tail).gradient(first.returns, at, one_sided=True)
    return float(first.spreads(gradient, at).error[0]) * near
