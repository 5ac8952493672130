"""What is known of a law of location 0 and scale 1, after its parts have been compared with each other."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray
from distrl.models.laws.closed_form_check import closed_form_error
from distrl.models.laws.closed_forms import CLOSED_FORMS
from distrl.models.laws.describe import describe, functions, is_frozen, parameters_of, stated_moments
from distrl.models.laws.sides import Sides
from distrl.models.laws.table_building import table_from_cdf
from distrl.models.laws.tables import CdfTable

_LARGEST_ERROR = 1e-6  # of a law's mean absolute deviation: beyond it a law is refused
_CLOSED_ERROR = 1e-9  # of the same: beyond it a closed form is not believed


class Standard(NamedTuple):
    """A law of location 0 and scale 1: a closed form of E[(z - Z)+], or else a table; mean, variance and errors."""

    closed: Callable[[FloatArray], FloatArray] | None
    table: CdfTable | None
    mean: float
    variance: float
    support: tuple[float, float]
    error: float
    cdf_error: float


@lru_cache(maxsize=1024)
def standard_form_of(name: str, shapes: tuple[float, ...]) -> Standard:
    """What is known of a family at these shapes, checked once.

    Raises
    ------
    ValueError
        The parts of the law contradict each other, it has no mean, or its CDF is too slow.
    """
    from scipy import stats

    frozen = getattr(stats, name)(*shapes)
    formula = CLOSED_FORMS.get(name)
    closed = None if formula is None else (lambda z: np.asarray(formula(z, *shapes), dtype=np.float64))
    return checked_standard(describe(frozen), frozen, closed)


@lru_cache(maxsize=128)
def plain_table(name: str, shapes: tuple[float, ...]) -> CdfTable:
    """The table of a law that has a closed form."""
    from scipy import stats

    return _table_of(name, getattr(stats, name)(*shapes))


def checked_standard(text: str, frozen: object, closed: Callable[[FloatArray], FloatArray] | None) -> Standard:
    """What is known of a law, by a closed form where that stands up to its CDF, else by a table."""
    support = support_of(text, frozen)
    mean: float | None
    variance: float | None
    with np.errstate(all="ignore"):
        if closed is not None and is_frozen(frozen):
            mean, variance = float(frozen.mean()), float(frozen.var())
        else:
            mean, variance = stated_moments(frozen)
    if mean is not None and math.isinf(mean):
        raise ValueError(f"{text} has no finite mean, so its return has none either")
    if mean is not None and not support[0] < mean < support[1]:
        mean = None  # SciPy's formula has cancelled: the CDF decides
    variance = None if variance is None or not variance > 0.0 else variance
    if closed is not None and mean is not None and is_frozen(frozen):
        with np.errstate(all="ignore"):
            spread, error = closed_form_error(frozen, closed, mean, support)
        if error <= _CLOSED_ERROR * spread:
            return Standard(closed, None, mean, math.inf if variance is None else variance, support, error, 0.0)
        mean = None  # of these families the CDF is known to be right, where formulas cancel
    table = _table_of(text, frozen)
    spread = 2.0 * float(table.put(np.array([table.mean]))[0])
    error = table.error
    if not error <= _LARGEST_ERROR * spread:
        raise ValueError(
            f"{text}: its CDF says what its mean is to within {error:.2g} only, for a mean deviation of {spread:.2g}; "
            "use a distrl.FiniteLaw of some hundred quantiles, or of a sample"
        )
    if mean is not None:
        gap = abs(mean - table.mean)
        if gap > error + _LARGEST_ERROR * spread:
            raise _contradiction(text, "mean", mean, table.mean)
        error += gap
    found = table.central_moment(2, table.mean)
    heavy = math.isinf(found) or table.tail_index < 2.5
    if variance is not None and not heavy and not abs(variance - found) <= 0.01 * found:
        if closed is None:
            raise _contradiction(text, "variance", variance, found)
        variance = None
    variance = found if variance is None else variance
    return Standard(None, table, table.mean, variance, support, error, table.cdf_error)


def _contradiction(text: str, what: str, stated: float, found: float) -> ValueError:
    return ValueError(
        f"{text} contradicts itself: by its formula its {what} is {stated:.12g}, by its CDF {found:.12g}; one of them "
        "is wrong, so use a distrl.FiniteLaw of a sample"
    )


def support_of(text: str, frozen: object) -> tuple[float, float]:
    """The ends of a law's support, which may be infinite; a law that does not say is taken to have none."""
    ends: Callable[[], tuple[float, float]] | None = getattr(frozen, "support", None)
    if ends is None:
        return -math.inf, math.inf
    try:
        low, high = (float(bound) for bound in ends())
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text} has no single mean: its parameters must be single numbers ({error})") from error
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{text} has invalid parameters")
    return low, high


def _table_of(text: str, frozen: object) -> CdfTable:
    cdf, survival, quantile = functions(frozen)
    support = support_of(text, frozen)
    hints = np.full(3, np.nan)
    if quantile is not None:
        Sides(cdf, None, support, text).median()  # a CDF that is too slow says so, and a quantile function never would
        try:
            with np.errstate(all="ignore"):
                hints = quantile(np.array([0.25, 0.5, 0.75]))
        except Exception:  # SciPy's root finder gave up: the CDF is searched instead
            pass
    bins = getattr(getattr(frozen, "dist", None), "_hbins", None)  # of a histogram
    if bins is not None and is_frozen(frozen):
        _, loc, scale = parameters_of(frozen)
        bins = float(loc) + float(scale) * np.asarray(bins, dtype=np.float64)
    return table_from_cdf(cdf, survival, support, text, hints, bins)
