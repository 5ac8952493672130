"""The short forms of functionals that users type, and the objects that they stand for."""

from dataclasses import fields
from typing import Any

from numpy.typing import ArrayLike

from distrl.returns.functionals.averages import EntropicRisk, Mean, Std, Variance
from distrl.returns.functionals.base import Functional
from distrl.returns.functionals.evar import EVaR
from distrl.returns.functionals.levels import CVaR, Expectile, Quantile
from distrl.returns.functionals.objectives import MeanVariance, ProbabilityAbove, Shortfall
from distrl.returns.functionals.points import CDF, StopLoss

#: The short forms.
NAMES: dict[str, type[Functional]] = {
    kind.name: kind
    for kind in (
        *(Mean, Variance, Std, StopLoss, CVaR, CDF, Quantile, Expectile, EntropicRisk),
        *(Shortfall, EVaR, MeanVariance, ProbabilityAbove),
    )
}


def parse(functional: Functional | str | None, at: ArrayLike | None = None, tail: str = "lower") -> Functional:
    """A `Functional` from what a user passes: an object, or its short form with its level or point.

    Parameters
    ----------
    functional : Functional, or "mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile", "expectile",
        "entropic_risk", "shortfall", "evar", "mean_variance" or "probability_above"
    at : scalar or (K,), for a short form
        The level of "cvar", "evar", "quantile" and "expectile", the point of "cdf", "stop_loss", "shortfall" and
        "probability_above", the beta of "entropic_risk", the weight of "mean_variance".
    tail : "lower" or "upper", for "cvar"

    Raises
    ------
    ValueError, TypeError
        If the name is not known, or `at` is missing, not wanted or out of range.
    """
    if tail not in ("lower", "upper"):
        raise ValueError(f"tail must be 'lower' or 'upper', got {tail!r}")
    if isinstance(functional, Functional):
        if at is not None or tail != "lower":
            raise ValueError(f"{functional!r} has its parameters; leave `at` and `tail` out")
        return functional
    kind: Any = NAMES.get(functional) if isinstance(functional, str) else None
    if kind is None:
        hint = f"; create it: {functional.__name__}(...)" if isinstance(functional, type) else ""
        raise ValueError(
            f"functional must be one of {', '.join(NAMES)}, or an object such as distrl.CVaR(0.1); "
            f"got {functional!r}{hint}"
        )
    if not kind.argument:
        if at is not None:
            raise ValueError(f"{kind.name} takes no point or level; leave `at` out")
        return kind()  # type: ignore[no-any-return]
    if at is None:
        raise ValueError(f"{kind.name} needs a {kind.argument}: at=")
    options: dict[str, Any] = {"tail": tail} if kind is CVaR else {}
    try:
        return kind(at, **options)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:  # the user called it `at`
        own = fields(kind)[0].name
        raise type(error)("at" + str(error).removeprefix(own)) from None
