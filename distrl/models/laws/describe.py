"""SciPy's objects, read: their names, parameters and functions, whichever of its two generations they belong to."""

from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import numpy as np

from distrl._validation import FloatArray

Function = Callable[[FloatArray], FloatArray]


class FrozenLaw(Protocol):
    """A law that `scipy.stats` has frozen, as far as it is used here."""

    dist: Any  # the family; some of what is asked of it SciPy keeps to itself
    args: tuple[Any, ...]
    kwds: dict[str, Any]
    cdf: Function
    sf: Function
    ppf: Function
    isf: Function

    def mean(self) -> float:
        """The mean, by a formula or by integration."""

    def var(self) -> float:
        """The variance, likewise."""


def parameters_of(frozen: FrozenLaw) -> tuple[tuple[float, ...], float, float]:
    """(shapes, location, scale), as SciPy reads them."""
    shapes, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    return shapes, loc, scale


def is_frozen(law: object) -> TypeGuard[FrozenLaw]:
    """Whether SciPy has frozen it: its family and its parameters can be asked for."""
    return getattr(law, "dist", None) is not None


def describe(frozen: object) -> str:
    """A law as a user wrote it."""
    if not is_frozen(frozen):
        try:
            return " ".join(repr(frozen).split())
        except Exception:  # a user's class, or a transformed law that cannot be printed
            return type(frozen).__name__
    parameters = [f"{value}" for value in frozen.args] + [f"{key}={value}" for key, value in frozen.kwds.items()]
    return f"{frozen.dist.name}({', '.join(parameters)})"


def own_parameters(frozen: object) -> tuple[str, tuple[float, ...], float, float] | None:
    """(name, shapes, loc, scale) of a frozen law of which these four say all; None for any other object.

    They do not for a user's own class, nor for one of SciPy's with another support, or another parameterisation.
    """
    from scipy import stats  # loaded already, by whoever froze the law

    if not is_frozen(frozen):
        return None
    dist, name = frozen.dist, str(getattr(frozen.dist, "name", None))
    template: object = getattr(stats, name, None)
    if type(template) is not type(dist):
        return None
    if _constructed(dist) != _constructed(template) or getattr(dist, "parameterization", "S1") != "S1":
        return None
    try:
        shapes, loc, scale = parameters_of(frozen)
        return name, tuple(map(float, shapes)), float(loc), float(scale)
    except (TypeError, ValueError):
        return None


def _constructed(dist: object) -> tuple[object, ...]:
    return tuple(getattr(dist, name, None) for name in ("a", "b", "badvalue", "inc", "momtype", "shapes"))


def functions(given: object) -> tuple[Function, Function | None, Function | None]:
    """CDF, survival function and quantiles, the last two where there are any, for arrays whatever the object takes."""
    law: Any = given
    survival = getattr(law, "sf", None) or getattr(law, "ccdf", None)
    quantile = getattr(law, "ppf", None) or getattr(law, "icdf", None)
    return _for_arrays(law.cdf), survival and _for_arrays(survival), quantile and _for_arrays(quantile)


def _for_arrays(function: Any) -> Function:
    def call(x: FloatArray) -> FloatArray:
        try:
            values = np.asarray(function(x), dtype=np.float64)
        except (TypeError, ValueError):  # a user's function of one number
            values = np.empty(0)
        if values.shape != x.shape:
            values = np.array([float(function(point)) for point in x.ravel().tolist()]).reshape(x.shape)
        return values

    return call


def stated_moments(given: object) -> tuple[float | None, float | None]:
    """Mean and variance by formulas; None where SciPy would integrate, which can take minutes, and be wrong."""
    law: Any = given
    mean: float | None
    variance: float | None
    try:
        with np.errstate(all="ignore"):
            if is_frozen(law):
                dist, (shapes, loc, scale) = law.dist, parameters_of(law)
                mean, variance = dist._stats(*shapes, **({"moments": "mv"} if dist._stats_has_moments else {}))[:2]
                if mean is None and is_discrete(law) and says_itself(dist, "_munp"):
                    mean = dist._munp(1, *shapes)
                mean = None if mean is None else float(mean) * float(scale) + float(loc)
                variance = None if variance is None else float(variance) * float(scale) ** 2
            elif hasattr(law, "icdf"):
                mean = float(law.moment(1, "raw", method="formula"))
                variance = float(law.moment(2, "central", method="formula"))
            else:
                mean = float(law.mean()) if hasattr(law, "mean") else None
                variance = float(law.var()) if hasattr(law, "var") else None
    except Exception:  # a formula that fails is none: the CDF decides
        return None, None
    return _number(mean), _number(variance)


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value


def says_itself(dist: object, method: str) -> bool:
    """Whether a family overrides what its base class does for every law."""
    from scipy import stats

    base = stats.rv_continuous if isinstance(dist, stats.rv_continuous) else stats.rv_discrete
    return getattr(type(dist), method, None) is not getattr(base, method, None)


def legacy(given: object) -> object:
    """SciPy's new `Normal`, `Uniform`, `Logistic`, `Binomial` as the frozen laws that they are; others as they are.

    A new-style object changes when it is pickled (SciPy 1.17: `Normal(mu=1)` comes back as another law); a frozen one
    is its parameters.
    """
    from scipy import stats

    if is_frozen(given) or not type(given).__module__.startswith("scipy.stats."):
        return given
    law: Any = given
    kind = type(given).__name__
    try:
        if kind == "ShiftedScaledDistribution":
            inner, loc, scale = legacy(law._dist), float(law.loc), float(law.scale)
            if is_frozen(inner) and inner.dist.name in ("norm", "logistic"):
                _, at, unit = parameters_of(inner)
                return inner.dist(loc=loc + scale * at, scale=abs(scale) * unit)  # both are symmetric
        elif kind in ("Normal", "StandardNormal"):
            return stats.norm(float(law.mu), float(law.sigma))
        elif kind == "Logistic":
            return stats.logistic()
        elif kind == "Uniform":
            return stats.uniform(float(law.a), float(law.b) - float(law.a))
        elif kind == "Binomial":
            return stats.binom(int(law.n), float(law.p))
    except (AttributeError, TypeError, ValueError):  # arrays of parameters, or another SciPy: `as_law` has a sentence
        pass
    return given


def is_discrete(law: object) -> bool:
    """Whether a law has masses. (SciPy's new classes have a pdf and a pmf, whatever their kind.)"""
    if not hasattr(law, "pmf"):
        return False
    names = {parent.__name__ for parent in type(law).__mro__}
    if "Mixture" in names or "ContinuousDistribution" in names:
        return False
    return "DiscreteDistribution" in names or not hasattr(law, "pdf")
