"""Mean, variance and range of the true return, with certain bounds on their errors."""

import numpy as np

from distrl._tolerances import EPS, TINY
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.moment_systems import central_moments, enclosed_mean
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import diameter
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.returns.grid import return_ranges


def certified_moments(model: MRP, ranged: bool = True) -> CertifiedMoments:
    """Mean and variance of every state's return by two linear systems, with bounds on their errors, and their range.

    The bounds are those of `Moments`, and what the laws' own means and variances may be off by: an error e of a
    reward's mean moves a return's mean by (I - g P)^{-1} e, and the variance by (I - g^2 P)^{-1} of what it moves the
    squared one-step errors by; rows that do not sum to 1 count likewise. The variance's upper end is inf where a
    reachable reward law's variance is, or where the system is beyond float64. Time: a few solves over states.
    Without `ranged` the range is not looked for, and said to be infinite.
    """
    table, n = model.outcomes, model.n_states
    probs, sources = table.probs, table.sources
    linear = Resolvent.of(model)
    square = linear if model.uniform_discount == 1.0 else Resolvent.of(model, power=2)
    mean, error = enclosed_mean(model, linear)
    blur, blurred = law_blur(model)
    own = np.array([0.0, *(law.variance for law in table.reward_laws)])[table.laws + 1]
    heavy = _sums(np.where(np.isfinite(own), 0.0, 1.0), sources, n) > 0.0
    if heavy.any():
        variance, wrong = _variance(model, mean, error, np.where(np.isfinite(own), own, 0.0), square)
    else:
        try:
            moments, errors = central_moments(model, 2, linear)
            variance, wrong = moments[2], errors[2]
        except ValueError:  # beyond float64
            variance, wrong = np.zeros(n), np.full(n, np.inf)
    shift = np.abs(table.rewards + model.next_values(mean) - mean[sources])
    if blur.any():
        moved = linear.upper(_sums(probs * blur, sources, n))
        each_step = moved[sources] + model.next_values(moved) + blur
        wrong = wrong + square.upper(_sums(probs * (2.0 * shift * each_step + each_step**2 + blurred), sources, n))
        error = error + moved
    if table.defects.any():  # a mass that may lead anywhere moves a squared one-step error
        wrong = wrong + 2.0 * square.upper(table.defects * diameter(model) ** 2)
    unknown = ~np.isfinite(variance) | ~np.isfinite(wrong) | _reaching(model, heavy)
    low, high = return_ranges(model) if ranged else (np.full(n, -np.inf), np.full(n, np.inf))
    return CertifiedMoments(
        mean=mean,
        mean_error=np.where(np.isfinite(error), error, np.inf),
        variance_low=np.where(unknown, 0.0, np.maximum(variance - wrong, 0.0)),
        variance_high=np.where(unknown, np.inf, np.maximum(variance, 0.0) + wrong),
        low=low,
        high=high,
    )


def _variance(
    model: MRP, mean: FloatArray, error: FloatArray, own: FloatArray, square: Resolvent
) -> tuple[FloatArray, FloatArray]:
    """(S,) the variance's system, `own` the rewards' variances, and a bound on the error of its solution."""
    table, n = model.outcomes, model.n_states
    onward = model.next_values(mean)
    shift = table.rewards + onward - mean[table.sources]
    moved = error[table.sources] + model.next_values(error)
    moved += 4.0 * EPS * (np.abs(table.rewards) + np.abs(onward) + np.abs(mean[table.sources]))
    source = _sums(table.probs * (shift**2 + own), table.sources, n)
    lost = np.where(shift != 0.0, 4.0 * TINY, 0.0)  # of squares that are no normal numbers any more
    room = _sums(table.probs * (2.0 * np.abs(shift) * moved + moved**2 + lost), table.sources, n)
    return square.enclose(source, room + (np.diff(table.indptr) + 8.0) * EPS * source)


def _sums(values: FloatArray, sources: IntArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(sources, weights=values, minlength=n), dtype=np.float64)


def law_blur(model: MRP) -> tuple[FloatArray, FloatArray]:
    """(rows,) how far a reward law's stated mean, and its variance, may be off."""
    table = model.outcomes
    means, variances = [0.0], [0.0]
    for law in table.reward_laws:
        finite = isinstance(law, FiniteLaw)
        spread = float(np.sqrt(law.variance)) if np.isfinite(law.variance) else law.absolute_mean()
        means.append(law.put_error(abs(law.mean) + spread))
        count = len(law.values) if isinstance(law, FiniteLaw) else 0
        known = law.variance if np.isfinite(law.variance) else 0.0
        variances.append(known * ((count + 8.0) * EPS if finite else 1e-10) + 4.0 * EPS * means[-1] * spread)
    return np.array(means)[table.laws + 1], np.array(variances)[table.laws + 1]


def _reaching(model: MRP, marked: BoolArray) -> BoolArray:
    """(S,) the states from which a marked one can be reached."""
    while model.largest_discount > 0.0:
        wider = marked | (model.continuation @ marked.astype(np.float64) > 0.0)
        if np.array_equal(wider, marked):
            break
        marked = wider
    return marked
