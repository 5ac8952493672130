"""Standard (loc 0, scale 1) put transforms E[(z - R)+] of common families.

Each takes z and the shape parameters and is checked in the tests against the integral of SciPy's CDF.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from distrl._lazy import special
from distrl._tolerances import NOT_ZERO


def _norm(z: Any) -> Any:
    return z * special.ndtr(z) + _phi(z)


def _phi(z: Any) -> Any:
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _uniform(z: Any) -> Any:
    inside = np.clip(z, 0.0, 1.0)
    return inside * inside / 2 + np.maximum(z - 1.0, 0.0)


def _expon(z: Any) -> Any:
    positive = np.maximum(z, 0.0)
    return positive + np.expm1(-positive)


def _gamma(z: Any, a: float) -> Any:
    positive = np.maximum(z, 0.0)
    return positive * special.gammainc(a, positive) - a * special.gammainc(a + 1, positive)


def _chi2(z: Any, df: float) -> Any:
    return 2 * _gamma(z / 2, df / 2)


def _beta(z: Any, a: float, b: float) -> Any:
    inside = np.clip(z, 0.0, 1.0)
    put = inside * special.betainc(a, b, inside) - a / (a + b) * special.betainc(a + 1, b, inside)
    return put + np.maximum(z - 1.0, 0.0)


def _t(z: Any, df: float) -> Any:
    log_scale = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * math.log(df * math.pi)
    density_term = np.exp(log_scale - (df - 1) / 2 * np.log1p(z * z / df)) * df / (df - 1)
    return z * special.stdtr(df, z) + density_term


def _laplace(z: Any) -> Any:
    return np.maximum(z, 0.0) + 0.5 * np.exp(-np.abs(z))


def _logistic(z: Any) -> Any:
    return np.logaddexp(0.0, z)


def _lognorm(z: Any, s: float) -> Any:
    positive = np.maximum(z, NOT_ZERO)
    score = np.log(positive) / s
    return positive * special.ndtr(score) - math.exp(s * s / 2) * special.ndtr(score - s)


def _pareto(z: Any, b: float) -> Any:
    above = np.maximum(z, 1.0)
    power = above ** (1 - b)
    return above - power - b / (b - 1) * (1 - power)


def _weibull_min(z: Any, c: float) -> Any:
    positive = np.maximum(z, 0.0)
    power = positive**c
    return -positive * np.expm1(-power) - special.gamma(1 + 1 / c) * special.gammainc(1 + 1 / c, power)


def _triang(z: Any, c: float) -> Any:
    left = np.clip(z, 0.0, c) ** 3 / (3 * c) if c > 0 else 0.0
    right = np.clip(1 - z, 0.0, 1 - c) ** 3 / (3 * (1 - c)) if c < 1 else 0.0
    return np.where(z < c, left, z - (1 + c) / 3 + right)


def _truncnorm(z: Any, a: float, b: float) -> Any:
    inside = np.clip(z, a, b)
    # Phi(b) - Phi(a) on the side where it does not cancel
    sign = -1.0 if a > 0 else 1.0
    mass = abs(special.ndtr(sign * b) - special.ndtr(sign * a))
    below = sign * (special.ndtr(sign * inside) - special.ndtr(sign * a))
    return (inside * below + _phi(inside) - _phi(a)) / mass + np.maximum(z - b, 0.0)


def _halfnorm(z: Any) -> Any:
    positive = np.maximum(z, 0.0)
    return 2 * (_norm(positive) - _phi(0.0)) - positive


CLOSED_FORMS: dict[str, Callable[..., Any]] = {
    "norm": _norm,
    "uniform": _uniform,
    "expon": _expon,
    "gamma": _gamma,
    "chi2": _chi2,
    "beta": _beta,
    "t": _t,
    "laplace": _laplace,
    "logistic": _logistic,
    "lognorm": _lognorm,
    "pareto": _pareto,
    "weibull_min": _weibull_min,
    "triang": _triang,
    "truncnorm": _truncnorm,
    "halfnorm": _halfnorm,
}
