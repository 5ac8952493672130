"""Intervals over independent units (MRPs, or replications; never both in one pool), and paired comparisons.

Every interval but that of a `proportion` is a percentile bootstrap interval of `scipy.stats.bootstrap`, at the level
stated, by itself: where many are shown at once, `each_level` gives the level at which all hold together (Bonferroni).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 1999


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """As tables print it."""
        return f"{self.estimate:.{digits}g} [{self.low:.{digits}g}, {self.high:.{digits}g}]"

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside."""
        return value < self.low or value > self.high


def each_level(level: float, comparisons: int) -> float:
    """The level of each of several intervals at which all hold together with `level` (Bonferroni)."""
    return 1.0 - (1.0 - level) / max(comparisons, 1)


def interval(values: Any, statistic: Callable[..., Any] = np.mean, level: float = 0.95) -> Interval:
    """`statistic` of independent units (n, ...), resampled over the first axis; with one unit the ends are NaN."""
    units = np.asarray(values, dtype=np.float64)
    estimate = float(statistic(units, axis=0))
    if len(units) < 2:
        return Interval(estimate, np.nan, np.nan)
    if np.ptp(units, axis=0).max() == 0.0:  # resampling changes nothing
        return Interval(estimate, estimate, estimate)
    rng = np.random.default_rng(0)
    found = stats.bootstrap(
        (units,), statistic, axis=0, n_resamples=RESAMPLES, confidence_level=level, method="percentile", rng=rng
    ).confidence_interval
    return Interval(estimate, float(found.low), float(found.high))


def proportion(holds: Any, level: float = 0.95) -> Interval:
    """Share of independent events that happened, with the exact binomial interval (Clopper and Pearson)."""
    found = stats.binomtest(int(np.sum(holds)), len(holds))
    ends = found.proportion_ci(level, method="exact")
    return Interval(float(found.statistic), float(ends.low), float(ends.high))


def ratio(first: Any, second: Any, level: float = 0.95) -> Interval:
    """Geometric mean of first / second over paired units, the same MRPs and seeds in both.

    Units where both are equal count as 1, 0 / 0 among them; values below 1e-300 count as that.
    """
    logs = np.log(np.maximum(np.asarray(first, float), 1e-300)) - np.log(np.maximum(np.asarray(second, float), 1e-300))
    return Interval(*np.exp(interval(logs, np.mean, level)))


def slope(x: Sequence[float], errors: Any, level: float = 0.95) -> Interval:
    """Slope of log mean error against log x; `errors` (units, len(x)), resampled over units."""
    logs = np.log(np.asarray(x, dtype=np.float64))
    centred = (logs - logs.mean()) / np.square(logs - logs.mean()).sum()
    table = np.asarray(errors, dtype=np.float64)

    def fitted(units: np.ndarray) -> float:
        return float(np.log(np.maximum(units.mean(axis=0), 1e-300)) @ centred)

    estimate = fitted(table)
    if len(table) < 2:
        return Interval(estimate, np.nan, np.nan)
    rng = np.random.default_rng(0)
    found = stats.bootstrap(
        (np.arange(len(table)),),
        lambda index: fitted(table[index]),
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="percentile",
        rng=rng,
    ).confidence_interval
    return Interval(estimate, float(found.low), float(found.high))
