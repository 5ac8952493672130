"""Functionals of return laws: value, derivative, and what the solver's error can do to them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._validation import FloatArray, IntArray, real_number
from distrl.dp.certificate import Certificate
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns

NAMES = ("mean", "variance", "quantile", "cvar", "cdf", "w1", "ks")
_LEVEL_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Functional:
    """`mean`, `variance`, `quantile` at a level, lower-tail `cvar` at a level, `cdf` at a point, or `w1`, `ks`: the
    distance to the estimate itself."""

    name: str
    at: float = math.nan

    @classmethod
    def of(cls, name: Any, at: Any) -> "Functional":
        """From what a user passes.

        Raises
        ------
        ValueError
            If the name is not known, or `at` is missing, out of range or not wanted.
        """
        if name not in NAMES:
            raise ValueError(f"functional must be one of {', '.join(NAMES)}; got {name!r}")
        if name in ("mean", "variance", "w1", "ks"):
            if at is not None:
                raise ValueError(f"{name} takes no argument; leave at out")
            return cls(name)
        if at is None:
            raise ValueError(f"{name} needs at=, the {'point' if name == 'cdf' else 'level'}")
        point = real_number(at, "at")
        if name != "cdf" and not 0.0 < point <= 1.0:
            raise ValueError(f"at is a level of {name} and must lie in (0, 1], got {point:g}")
        return cls(name, point)

    @property
    def is_distance(self) -> bool:
        """Whether it compares two laws, and has no value at one."""
        return self.name in ("w1", "ks")

    def value(self, returns: Returns) -> FloatArray:
        """(S,) its value at every law."""
        if self.name == "mean":
            return returns.mean()
        if self.name == "variance":
            return returns.var()
        if self.name == "quantile":
            return returns.quantile(self.at)
        if self.name == "cvar":
            return returns.cvar(self.at)
        if self.name == "cdf":
            return returns.cdf(self.at)
        raise ValueError(f"{self.name} is a distance between two laws and has no value at one")

    def gradient(self, returns: CategoricalReturns, states: IntArray, *, one_sided: bool = False) -> FloatArray:
        """(K, m) derivative in the CDF values F_1..F_{m-1} of each of `states`, last column 0.

        E phi(Z) = sum p_i phi(z_i) has derivative phi(z_i) - phi(z_{i+1}); mean phi = z, variance (z - mean)^2, CVaR_a
        -(q - z)+ / a with q the quantile at a; the CDF at a point is one of the F_i.

        Raises
        ------
        ValueError
            For CVaR if some F_i is the level: it has two one-sided derivatives there, `one_sided` takes that for
            rising F_i; for distances, and for quantiles, which on a grid are a step function of F.
        """
        z = returns.atoms
        if self.name == "mean":
            phi = np.tile(z, (len(states), 1))
        elif self.name == "variance":
            phi = (z - np.asarray(returns.mean())[states, None]) ** 2
        elif self.name == "cvar":
            if not one_sided:
                self._check_level(returns, states)
            q = np.asarray(returns.quantile(self.at))[states, None]
            phi = -np.maximum(q - z, 0.0) / self.at
        elif self.name == "cdf":
            phi = np.tile((z <= self.at).astype(np.float64), (len(states), 1))
        else:
            raise ValueError(f"{self.name} has no derivative in the CDF values; use method='bootstrap'")
        gradient = np.zeros_like(phi)
        gradient[:, :-1] = phi[:, :-1] - phi[:, 1:]
        return gradient

    def _check_level(self, returns: CategoricalReturns, states: IntArray) -> None:
        gap = np.abs(returns.cdf_values[states, :-1] - self.at)
        if self.at != 1.0 and (gap < _LEVEL_TOLERANCE).any():
            row, atom = (int(i) for i in np.argwhere(gap < _LEVEL_TOLERANCE)[0])
            raise ValueError(
                f"CVaR at {self.at:g} has no derivative at state {states[row]}: its CDF is {self.at:g} from "
                f"{returns.atoms[atom]:.6g}; use another level or method='bootstrap'"
            )

    def enclosure(self, returns: Returns, certificate: Certificate, variance: FloatArray | None = None) -> FloatArray:
        """(S, 2) an interval that holds the value at the exact law of the model that was solved.

        G_F = G + M + A on one probability space (see `distrl.dp.certificate`), E[M | G] = 0, E M^2 <= rounding^2,
        E |A| <= overshoot + residual =: alpha. So means differ by at most alpha; E(k - G_F)+ exceeds E(k - G)+ by at
        most E|M| / 2 + alpha and falls below by at most alpha, which CVaR_a = max_k k - E(k - G)+ / a divides by a; and
        P(|G_F - G| > h) <= tail(h) = min((rounding + alpha) / h, (2 rounding / h)^2 + 2 alpha / h), which gives
        F(t) <= F_F(t + h) + tail(h) and quantile(q) <= quantile_F(q + tail(h)) + h, for every h, and so below. For ks
        that is at most tail(h) plus the largest mass on an interval (t, t + h].
        `variance` is that of the exact law, a linear system's solution. Laws that are not categorical get alpha = w1.
        """
        spread, alpha = _parts(returns, certificate)
        if self.name == "w1":
            return np.stack([np.zeros_like(spread), certificate.w1], axis=1)
        if self.name in ("cdf", "quantile", "ks"):
            return self._smeared(returns, certificate, 0.0)
        value = np.asarray(self.value(returns))
        if self.name == "mean":
            return np.stack([value - alpha, value + alpha], axis=1)
        if self.name == "cvar":
            return np.stack([value - alpha / self.at, value + (0.5 * spread + alpha) / self.at], axis=1)
        if variance is None:
            raise ValueError("the variance needs the exact one to be compared with")
        slack = 1e-12 * np.maximum(value, variance)
        ends = np.stack([variance, variance], axis=1)
        ends[np.isfinite(variance)] += np.outer(slack[np.isfinite(variance)], [-1.0, 1.0])
        return ends

    def _smeared(self, returns: Returns, certificate: Certificate, margin: Any) -> FloatArray:
        """(S, 2) CDF at the point, or quantile at level -/+ `margin`, over all laws as near as the certificate says;
        for ks their distance."""
        spread, alpha = _parts(returns, certificate)
        step = returns.grid.spacing if isinstance(returns, CategoricalReturns) else float(certificate.w1.max()) / 8
        low, high = np.zeros(len(spread)), np.ones(len(spread))
        if self.name == "quantile":
            low, high = np.full(len(spread), -math.inf), np.full(len(spread), math.inf)
        margins = np.broadcast_to(margin, spread.shape)
        if not np.isfinite(step):
            return np.stack([low, high], axis=1)
        for h in step * np.concatenate([[0.0], np.arange(1, 8), np.geomspace(8, 512, 25)]):
            if h == 0.0:
                tail = np.where(spread + alpha > 0.0, 1.0, 0.0)
            else:
                tail = np.minimum((spread + alpha) / h, (2.0 * spread / h) ** 2 + 2.0 * alpha / h)
            if self.name == "ks":
                points = np.unique(returns.support_weights()[0])
                mass = np.asarray(returns.cdf(points) - returns.cdf(points - h)).max(axis=1)
                high = np.minimum(high, mass + tail)
            elif self.name == "cdf":
                low = np.maximum(low, returns.cdf(self.at - h) - tail)
                high = np.minimum(high, returns.cdf(self.at + h) + tail)
            else:
                lower, upper = self.at - margins - tail, self.at + margins + tail
                low = np.where(lower > 0.0, np.maximum(low, quantiles(returns, lower) - h), low)
                high = np.where(upper < 1.0, np.minimum(high, quantiles(returns, upper) + h), high)
        return np.stack([low, high], axis=1)


def _parts(returns: Returns, certificate: Certificate) -> tuple[FloatArray, FloatArray]:
    """What adds up in squares and vanishes in the mean, and what does not."""
    if isinstance(returns, CategoricalReturns):
        return certificate.rounding, certificate.overshoot + certificate.residual
    return np.zeros_like(certificate.w1), certificate.w1


def quantiles(returns: Returns, levels: FloatArray) -> FloatArray:
    """(S,) lower quantile of each law at its own level, clipped to [0, 1]."""
    return np.array([float(returns[x].quantile(q)) for x, q in enumerate(np.clip(levels, 0.0, 1.0))])


def natural_range(functional: Functional, grid_range: tuple[float, float] | None) -> tuple[float, float]:
    """Values that the functional can take at all."""
    low, high = (-math.inf, math.inf) if grid_range is None else grid_range
    if functional.name == "cdf":
        return 0.0, 1.0
    if functional.name == "variance":
        return 0.0, (high - low) ** 2 / 4.0
    if functional.name == "ks":
        return 0.0, 1.0
    return (0.0, high - low) if functional.name == "w1" else (low, high)
