"""Intervals over independent units (MRPs, or replications; never both in one pool), and paired comparisons.

Errors, widths and ratios are summarised by geometric means, because their logarithms are far nearer to normal than they
are, and every interval but that of a `proportion` is Student's t interval of the mean of these logarithms (of the
values themselves in `mean`). Its coverage at the numbers of units that the studies have is simulated in
`tests/experiments/test_coverage_of_intervals.py`: 93% to 97% at the nominal 95%. With fewer than `FEWEST` units no
interval is given, because nothing in the units themselves would tell how far it can be trusted; figures show the units.

An interval holds by itself: where many are shown at once, `each_level` gives the level at which all hold together
(Bonferroni). Far out in the tails the t law is less exact: 24 intervals of 8 skewed errors each, nominally 95%
together, hold together in 87% of the same simulation or more.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

#: Units below which there are points, and no interval.
FEWEST = 8
_SMALLEST = 1e-300  # what counts as this is 0 to a logarithm


class Interval(NamedTuple):
    """An estimate and the ends of its interval, NaN where there are too few units for one."""

    estimate: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """As tables print it."""
        if np.isnan(self.low):
            return f"{self.estimate:.{digits}g}"
        return f"{self.estimate:.{digits}g} [{self.low:.{digits}g}, {self.high:.{digits}g}]"

    def excludes(self, value: float) -> bool:
        """Whether there is an interval and `value` lies outside."""
        return value < self.low or value > self.high


def each_level(level: float, comparisons: int) -> float:
    """The level of each of several intervals at which all hold together with `level` (Bonferroni)."""
    return 1.0 - (1.0 - level) / max(comparisons, 1)


def mean(values: Any, level: float = 0.95) -> Interval:
    """Mean of independent units (n,), with Student's t interval."""
    units = np.asarray(values, dtype=np.float64)
    estimate = float(units.mean())
    if len(units) < FEWEST:
        return Interval(estimate, np.nan, np.nan)
    half = float(stats.t.ppf(0.5 + level / 2.0, len(units) - 1) * units.std(ddof=1) / np.sqrt(len(units)))
    return Interval(estimate, estimate - half, estimate + half)


def geometric(values: Any, level: float = 0.95) -> Interval:
    """Geometric mean of independent units (n,) of at least 0; it is 0, without an interval, where a unit is 0."""
    units = np.asarray(values, dtype=np.float64)
    if (units < _SMALLEST).any():
        return Interval(0.0, np.nan, np.nan)
    return Interval(*np.exp(mean(np.log(units), level)))


def proportion(holds: Any, level: float = 0.95) -> Interval:
    """Share of independent events that happened, with the exact binomial interval (Clopper and Pearson)."""
    found = stats.binomtest(int(np.sum(holds)), len(holds))
    ends = found.proportion_ci(level, method="exact")
    return Interval(float(found.statistic), float(ends.low), float(ends.high))


def ratio(first: Any, second: Any, level: float = 0.95) -> Interval:
    """Geometric mean of first / second over paired units, the same MRPs and seeds in both.

    Units where both are equal count as 1, 0 / 0 among them; values below 1e-300 count as that.
    """
    logs = np.log(np.maximum(np.asarray(first, float), _SMALLEST))
    return Interval(*np.exp(mean(logs - np.log(np.maximum(np.asarray(second, float), _SMALLEST)), level)))


def slope(x: Sequence[float], errors: Any, level: float = 0.95) -> Interval:
    """Slope of log error against log x: the mean over units of each unit's least-squares slope; `errors` (units,
    len(x)), above 0. It is the slope of the geometric mean error."""
    logs = np.log(np.asarray(x, dtype=np.float64))
    centred = (logs - logs.mean()) / np.square(logs - logs.mean()).sum()
    return mean(np.log(np.maximum(np.asarray(errors, dtype=np.float64), _SMALLEST)) @ centred, level)
