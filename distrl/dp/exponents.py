"""Exponents of rewards: (1/b) log E exp(b R) of finite laws, and certified ends of it for any reward law."""

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.models.laws import FiniteLaw, Law

_CELLS = 1024  # of equal probability, that a reward's law is enclosed on


def bennett(c: float, variance: float | FloatArray, reach: float | FloatArray) -> FloatArray:
    """(1/c) log(1 + c^2 s^2 f(c reach)), relative error 1e-10 at most: rounded up by that for a positive reach."""
    u = c * np.asarray(reach, dtype=np.float64)
    series = 0.5 + u * (1.0 / 6.0 + u * (1.0 / 24.0 + u * (1.0 / 120.0 + u / 720.0)))
    f = np.where(np.abs(u) < 1e-2, series, (np.expm1(u) - u) / (u * u))
    value = np.log1p(c * c * np.asarray(variance) * f) / c
    return np.asarray(np.where(u > 0.0, value * (1.0 + 1e-9), value))


def log_mean_exp(b: float, values: FloatArray, probs: FloatArray, starts: IntArray, sources: IntArray) -> FloatArray:
    """(groups,) (1/b) log sum p exp(b value); error at most 4 (terms + 16) eps of the largest |value|.

    About the mean where nothing overflows, so that no 1/b magnifies rounding, else about the largest term.
    """
    mean = np.add.reduceat(probs * values, starts)
    z = b * (values - mean[sources])
    wide = np.maximum.reduceat(np.abs(z), starts) > 30.0
    safe = np.clip(z, -31.0, 31.0)
    about_mean = mean + np.log1p(np.add.reduceat(probs * (np.expm1(safe) - safe), starts)) / b
    if not wide.any():
        return np.asarray(about_mean)
    top = np.maximum.reduceat(values, starts) if b > 0.0 else np.minimum.reduceat(values, starts)
    about_top = top + np.log(np.add.reduceat(probs * np.exp(b * (values - top[sources])), starts)) / b
    return np.asarray(np.where(wide, about_top, about_mean))


class EnclosedExponent:
    """Ends of (1/b) log E exp(b (R - E R)) of a reward R, from two finite laws that enclose its law in convex order.

    Below it lie the conditional means on cells of equal probability, above it masses at the cells' ends.
    """

    def __init__(self, law: Law) -> None:
        self.law, self.normal = law, _is_normal(law)
        if isinstance(law, FiniteLaw):
            self.inner = self.outer = (law.values, law.probs / law.probs.sum())
            self.blur, self.open = 0.0, (False, False)
            return
        edges = np.unique(law.quantile(np.arange(1, _CELLS) / _CELLS))
        self.open = (not np.isfinite(law.support[0]), not np.isfinite(law.support[1]))
        cdf = np.asarray(law.cdf(edges))
        mass = np.diff(np.concatenate([[0.0], cdf, [1.0]]))
        partial = np.diff(np.concatenate([[0.0], edges * cdf - law.put(edges), [law.mean]]))  # E[R; R <= k]
        kept = mass > 0.01 / _CELLS
        low = np.concatenate([[law.support[0] if not self.open[0] else edges[0]], edges])
        high = np.concatenate([edges, [law.support[1] if not self.open[1] else edges[-1]]])
        mass, partial = np.where(kept, mass, 0.0), np.where(kept, partial, 0.0)
        low, high, mass = low[kept], high[kept], mass[kept] / mass.sum()
        centre = np.clip(partial[kept] / mass, np.minimum(low, high), np.maximum(low, high))
        if self.open[0]:
            centre[0] = partial[kept][0] / mass[0]
        if self.open[1]:
            centre[-1] = partial[kept][-1] / mass[-1]
        width = high - low
        up = np.where(
            width > 0.0,
            np.clip(np.divide(centre - low, width, out=np.ones_like(width), where=width > 0), 0.0, 1.0),
            1.0,
        )
        self.inner = (centre, mass)
        self.outer = (np.concatenate([low, high]), np.concatenate([mass * (1.0 - up), mass * up]))
        reach = float(np.abs(edges).max())
        # a conditional mean is a difference of two partial ones over its mass; masses left out are below .01 cells
        self.blur = 8.0 * (law.put_error(reach) + EPS * reach) / float(mass.min()) + (
            0.0 if kept.all() else float(np.ptp(edges)) * 0.01
        )

    def exponent(self, b: float) -> tuple[float, float]:
        """Ends of (1/b) log E exp(b (R - E R))."""
        law = self.law
        if b == 0.0:
            return 0.0, 0.0
        if self.normal:
            value = 0.5 * b * law.variance
            return value - 8.0 * EPS * abs(value), value + 8.0 * EPS * abs(value)
        inner = self._of(b, *self.inner) - law.mean
        outer = inner if self.outer is self.inner else self._of(b, *self.outer) - law.mean
        room = self.blur + 4.0 * (len(self.inner[0]) + 16.0) * EPS * float(np.abs(self.inner[0]).max())
        ahead = law.support[1] - law.mean if b > 0.0 else law.mean - law.support[0]
        most = float(bennett(abs(b), law.variance, ahead)) if np.isfinite(ahead) else np.inf
        if self.open[1 if b > 0.0 else 0]:  # the side that counts exponentially has no end
            far = np.inf
        else:
            far = min(abs(outer) + room, most) if self.outer is not self.inner else abs(inner) + room
        if self.open[0 if b > 0.0 else 1]:  # masses at the last edge are nearer than the tail: too small a mean
            far = most if not np.isfinite(far) else min(most, max(far, abs(outer) + room))
        near = max(abs(inner) - room, 0.0) if (inner >= 0.0) == (b > 0.0) else 0.0
        return (near, far) if b > 0.0 else (-far, -near)

    @staticmethod
    def _of(b: float, values: FloatArray, weights: FloatArray) -> float:
        groups = np.zeros(len(values), dtype=np.int64)
        return float(log_mean_exp(b, values, weights, np.zeros(1, dtype=np.int64), groups)[0])


def _is_normal(law: Law) -> bool:
    return getattr(getattr(getattr(law, "frozen", None), "dist", None), "name", "") == "norm"
