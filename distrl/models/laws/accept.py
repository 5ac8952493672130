"""The door: what may be given as a reward's law."""

import warnings

from distrl._steady import steady
from distrl._tolerances import LARGEST_NUMBER
from distrl.models.laws.base import Law, is_law
from distrl.models.laws.describe import describe, is_discrete, legacy
from distrl.models.laws.lattice import discrete_law
from distrl.models.laws.scipy_laws import ScipyLaw


@steady
def as_law(value: object, name: str) -> Law:
    """`value` as a `Law`: a `Law` as it is, a frozen scipy.stats law or one of a user's own class wrapped.

    A law of one's own needs `cdf`; `support`, `mean`, `sf`, `ppf` and, for a discrete one, `pmf` are used where they
    are there. Cost: microseconds to milliseconds for a family that SciPy knows in closed form, up to some seconds of
    CPU where a value of the CDF takes a millisecond. Nothing is believed unseen: see `distrl.models.laws`.

    Parameters
    ----------
    value : Law, frozen law of `scipy.stats`, or object with a `cdf`
    name : str
        How errors name it.

    Raises
    ------
    TypeError
        If `value` is no law.
    ValueError
        If its mean is not finite, its parameters are not valid or not single numbers, it contradicts itself (mean,
        CDF, masses), or is too costly; the sentence says what to give instead.
    """
    if isinstance(value, Law):
        return value
    if not is_law(value):
        raise TypeError(f"{name} is {value!r}; expected a number, a distrl.FiniteLaw or a frozen scipy.stats law")
    if isinstance(value, type) or hasattr(value, "freeze"):
        raise TypeError(f"{name} is not frozen: give its parameters, e.g. scipy.stats.norm(0, 1)")
    if getattr(getattr(value, "dist", None), "name", None) == "vonmises":
        raise ValueError(
            f"{name}: {describe(value)} is a law on the circle, whose CDF goes on beyond a turn; use "
            "scipy.stats.vonmises_line, the same law on the line"
        )
    try:
        with warnings.catch_warnings():  # the law is checked here: what SciPy warns of on the way tells a user nothing
            warnings.simplefilter("ignore")
            law = discrete_law(value) if is_discrete(value) else ScipyLaw(legacy(value))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not abs(law.mean) <= LARGEST_NUMBER:
        raise ValueError(
            f"{name}: {describe(value)} has the mean {law.mean:g}, beyond {LARGEST_NUMBER:g} in size; scale it down"
        )
    return law
