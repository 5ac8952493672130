"""What a certificate, or exact moments, say for certain of every functional of the true return law."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from distrl._kernels import enclosure as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate
from distrl.returns.arrays import StateIndex
from distrl.returns.base import Returns
from distrl.returns.finite import FiniteReturns, ParticleReturns, as_finite, each
from distrl.returns.functionals import Enclosing, Ends, Shortfall

_WIDER = "certificate-martingale-coupling"  # the certified law is the true one and martingale errors
_NARROWER = "particles-martingale"  # the true law is the certified one and martingale errors
_STRETCHES = np.geomspace(1.0, 1e8, 160)


@dataclass(frozen=True, eq=False)
class CertifiedLaw(Enclosing):
    """What a certified law F says of the true law G of each state.

    On one probability space G_F = G + M + A (or G = G_F + M + A where particles were merged), E[M | .] = 0, E M^2 <=
    t^2, E|A| <= a; t is the certificate's rounding part and a the others, or t = 0 and a the whole bound. So means
    differ by a at most; E(k - G_F)+ exceeds E(k - G)+ by at most t / 2 + a and falls below by at most a (the other way
    round for merged particles), which CVaR_q = max_k k - E(k - G)+ / q divides by q; and P(|G_F - G| > h) <= tail(h) =
    min((t + a) / h, (2 t / h)^2 + 2 a / h), which gives F(x) <= F_F(x + h) + tail(h) and quantile(q) <=
    quantile_F(q + tail(h)) + h for every h, and so below. An expectile at tau is the root of a function of slope at
    least min(tau, 1 - tau), which moves by what stop-loss and mean move.

    Attributes
    ----------
    law : Returns, batch (S,)
    certificate : Certificate
    band : (S,)
        For sampled laws: what bounds |F_F - F| before anything else moves, see `MonteCarlo`; `certificate.residual`
        follows from it then.
    width : float
        Of an interval that holds the values of both laws; inf where none is known.
    """

    law: Returns
    certificate: Certificate
    band: FloatArray | None = None
    width: float = np.inf

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.law.batch_shape

    def __getitem__(self, index: StateIndex) -> "CertifiedLaw":
        band = None if self.band is None else self.band[index]
        return CertifiedLaw(self.law[index], self.certificate[index], band, self.width)

    def mixed(self, weights: FloatArray, law: FiniteReturns) -> "CertifiedLaw":
        """What is known of the mixture `law` of these laws: one law, batch (1,). Couplings mix as the laws do."""
        sure = self.certificate
        spread = np.sqrt(np.atleast_1d(weights @ sure.rounding**2))
        moved, left, bound = (np.atleast_1d(weights @ part) for part in (sure.overshoot, sure.residual, sure.w1))
        if sure.claim in (_WIDER, _NARROWER):
            bound = spread + moved + left
        clipped = np.atleast_1d(weights @ sure.clipped_mass)
        certificate = replace(sure, w1=bound, rounding=spread, overshoot=moved, residual=left, clipped_mass=clipped)
        band = None if self.band is None else np.atleast_1d(weights @ self.band)
        values, masses = law.support_weights()
        one = ParticleReturns(values[None], np.maximum(np.broadcast_to(masses, values.shape), 0.0)[None])
        return CertifiedLaw(one, certificate, band, self.width)

    @property
    def _size(self) -> FloatArray:
        """(S,) what reading a functional can cost in float64."""
        values, _ = as_finite(self.law).support_weights()
        return np.asarray(np.abs(values).max(axis=-1) * ((values.shape[-1] + 16.0) * EPS))

    @property
    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """How far stop-loss transforms of the law exceed the true ones, fall below, and how far means differ."""
        sure = self.certificate
        if sure.claim not in (_WIDER, _NARROWER):
            alpha = sure.w1 + self._size
            return alpha, alpha, alpha
        alpha = sure.overshoot + sure.residual + self._size
        half = alpha + 0.5 * sure.rounding
        return (half, alpha, alpha) if sure.claim == _WIDER else (alpha, half, alpha)

    def mean_ends(self) -> Ends:
        value, alpha = np.asarray(self.law.mean()), self._parts[2]
        return value - alpha, value + alpha

    def variance_ends(self) -> Ends:
        # Var F - Var G = -int 2 (z - mid) (F - G) dz, mid between the means: at most 2 width W1
        with np.errstate(invalid="ignore"):
            half = np.where(np.isfinite(self.width), 2.0 * self.width * (self.certificate.w1 + self._size), np.inf)
        value = np.asarray(self.law.var())
        return value - half, value + half

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        above, below, _ = self._parts
        value = np.asarray(self.law.stop_loss(points))
        values, _ = as_finite(self.law).support_weights()
        reading = (values.shape[-1] + 16.0) * EPS * value  # a sum of terms of one sign, large far below the law
        return value - above[..., None] - reading, value + below[..., None] + reading

    def put_ends(self, points: FloatArray) -> Ends:
        above, below, _ = self._parts  # puts move as stop-loss transforms do
        value = Shortfall(tuple(points.tolist())).value(self.law)
        values, _ = as_finite(self.law).support_weights()
        reading = (values.shape[-1] + 16.0) * EPS * value
        return value - above[..., None] - reading, value + below[..., None] + reading

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        above, below, _ = (part[..., None] / levels for part in self._parts)
        value = np.asarray(self.law.cvar(levels, tail))
        return (value - below, value + above) if tail == "lower" else (value - above, value + below)

    def expectile_ends(self, taus: FloatArray) -> Ends:
        above, below, alpha = (part[..., None] for part in self._parts)
        up = taus >= 0.5
        more, less = np.where(up, below, above), np.where(up, above, below)
        pull, slope = np.abs(2.0 * taus - 1.0), np.minimum(taus, 1.0 - taus)
        value = np.asarray(self.law.expectile(taus))
        rest = (1.0 - taus) * alpha
        with np.errstate(invalid="ignore"):  # 0 times an unbounded certificate
            less, more = (np.where(pull > 0.0, pull * part, 0.0) for part in (less, more))
        return value - (less + rest) / slope, value + (more + rest) / slope

    def cdf_ends(self, points: FloatArray) -> Ends:
        low, high = np.zeros((*self.batch_shape, len(points))), np.ones((*self.batch_shape, len(points)))
        h, tail, margin = self.smear
        for k, point in enumerate(points):
            below = self._cdf(np.nextafter(point - h, -np.inf)) - tail - margin
            above = self._cdf(np.nextafter(point + h, np.inf)) + tail + margin
            low[..., k], high[..., k] = below.max(axis=-1), above.min(axis=-1)
        return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)

    def quantile_ends(self, levels: FloatArray) -> Ends:
        return self.quantiles_near(levels, np.zeros(self.batch_shape))

    def quantiles_near(self, levels: FloatArray, margins: FloatArray) -> Ends:
        """Ends of the quantiles at every level within `margins` (batch) of `levels` (K,)."""
        low, high = self.nothing(len(levels))
        h, tail, margin = self.smear
        margin = margin + margins[..., None]
        for k, level in enumerate(levels):
            low[..., k] = (self._quantile(level - tail - margin) - h).max(axis=-1)
            above = level + tail + margin
            high[..., k] = np.where(above < 1.0, self._quantile(above) + h, np.inf).min(axis=-1)
        return low - self._size[..., None], high + self._size[..., None]

    @property
    def smear(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Distances h (S, n), the tails of the coupling beyond them, and what the CDF may be off by anyhow (S, 1)."""
        sure = self.certificate
        sampled = np.zeros(self.batch_shape) if self.band is None else self.band
        martingale = sure.claim in (_WIDER, _NARROWER)
        spread = sure.rounding if martingale else np.zeros_like(sure.w1)
        moved = sure.overshoot if self.band is not None else sure.overshoot + sure.residual if martingale else sure.w1
        scale = (spread + moved)[..., None]
        h = scale * _STRETCHES
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            square = (2.0 * spread[..., None] / h) ** 2 + 2.0 * moved[..., None] / h
            tail = np.where(scale > 0.0, np.minimum(1.0 / _STRETCHES, square), 0.0)
        tail = np.where(np.isfinite(h), np.nan_to_num(tail, nan=1.0), 1.0)
        values, _ = as_finite(self.law).support_weights()
        return np.where(np.isfinite(h), h, 0.0), tail, (sampled + (values.shape[-1] + 8.0) * EPS)[..., None]

    def _cdf(self, points: FloatArray) -> FloatArray:
        return self._each(kernels.cdf_each, points)

    def _quantile(self, levels: FloatArray) -> FloatArray:
        return self._each(kernels.quantile_each, levels)

    def _each(self, kernel: Callable[..., None], arguments: FloatArray) -> FloatArray:
        return each(self.law, kernel, arguments)


@dataclass(frozen=True, eq=False)
class CertifiedMoments(Enclosing):
    """What mean, variance and range of the true laws say: the sharp inequalities of Cantelli, Scarf and Jensen.

    With m the mean, s the standard deviation: P(G <= x) <= s^2 / (s^2 + (m - x)^2) below the mean, and so above it;
    the quantile at q lies within m - s sqrt((1-q)/q) and m + s sqrt(q/(1-q)), the CVaR of the worst q within the former
    and m; E(G - k)+ <= (sqrt(s^2 + (m - k)^2) + m - k) / 2, and at least (m - k)+; the expectile at tau is within
    s (2 tau - 1) / (2 sqrt(tau (1 - tau))) of m, on its side.

    Attributes
    ----------
    mean, mean_error, variance_low, variance_high : (S,)
    low, high : (S,)
        An interval that holds every return, infinite where none is known.
    """

    mean: FloatArray
    mean_error: FloatArray
    variance_low: FloatArray
    variance_high: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.mean.shape

    @property
    def sd(self) -> FloatArray:
        """(S,) at least the standard deviation."""
        return np.sqrt(self.variance_high) * (1.0 + 4.0 * EPS)

    def __getitem__(self, index: StateIndex) -> "CertifiedMoments":
        arrays = (self.mean, self.mean_error, self.variance_low, self.variance_high)
        mean, error, least, most = (array[index] for array in arrays)
        return CertifiedMoments(mean, error, least, most, self.low[index], self.high[index])

    def mixed(self, weights: FloatArray) -> "CertifiedMoments":
        """Of the mixture of these laws, batch (1,): variances mix, and the means' own variance adds."""
        mean, error = float(weights @ self.mean), float(weights @ self.mean_error)
        error += len(weights) * EPS * float(np.abs(self.mean).max())
        gap, blur = np.abs(self.mean - mean), self.mean_error + error
        between, off = weights @ gap**2, weights @ (2.0 * gap * blur + blur**2)
        room = 8.0 * len(weights) * EPS
        low = max((float(weights @ self.variance_low) + between) * (1.0 - room) - off, 0.0)
        high = (float(weights @ self.variance_high) + between) * (1.0 + room) + off
        ends = float(self.low.min()), float(self.high.max())
        return CertifiedMoments(*(np.array([part]) for part in (mean, error, low, high, *ends)))

    def mean_ends(self) -> Ends:
        return self.mean - self.mean_error, self.mean + self.mean_error

    def variance_ends(self) -> Ends:
        return self.variance_low, self.variance_high

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        least, most = (end[..., None] - points for end in self.mean_ends())
        size = (np.abs(self.mean)[..., None] + np.abs(points)) * 8.0 * EPS
        over = np.hypot(self.sd[..., None], most) + most
        # far above the mean the sum cancels: it is the variance over the difference
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            far = self.variance_high[..., None] / (np.hypot(self.sd[..., None], most) - most)
        high = 0.5 * np.where((most < 0.0) & np.isfinite(far), far, over) * (1.0 + 8.0 * EPS)
        return np.maximum(least - size, 0.0), high + np.where(most < 0.0, 0.0, size)

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        low, high = (end[..., None] for end in self.mean_ends())
        reach = self._times(np.sqrt((1.0 - levels) / levels))
        shape = np.broadcast(low, reach).shape
        if tail == "lower":
            return low - reach, np.broadcast_to(high, shape)
        return np.broadcast_to(low, shape), high + reach

    def expectile_ends(self, taus: FloatArray) -> Ends:
        low, high = (end[..., None] for end in self.mean_ends())
        reach = self._times((2.0 * taus - 1.0) / (2.0 * np.sqrt(taus * (1.0 - taus))))
        return low + np.minimum(reach, 0.0), high + np.maximum(reach, 0.0)

    def cdf_ends(self, points: FloatArray) -> Ends:
        least, most = (end[..., None] for end in self.mean_ends())
        v = self.variance_high[..., None]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            under, over = (least - points) * (1.0 - 4.0 * EPS), (points - most) * (1.0 - 4.0 * EPS)
            high = np.where(under > 0.0, _share(v, under), 1.0)
            low = np.where(over > 0.0, 1.0 - _share(v, over), np.where((v == 0.0) & (over >= 0.0), 1.0, 0.0))
            top, bottom = self.high[..., None], self.low[..., None]  # Markov's inequality from either end
            share = np.where((under > 0.0) & np.isfinite(top), (top - least) / (top - points), 1.0)
            high = np.minimum(high, share * (1.0 + 16.0 * EPS))
            share = np.where((over > 0.0) & np.isfinite(bottom), (most - bottom) / (points - bottom), 1.0)
            low = np.maximum(low, 1.0 - share * (1.0 + 16.0 * EPS))
        room, sure = 16.0 * EPS, (over >= 0.0) & ((v == 0.0) | (most <= bottom))  # 1 less a tiny share is not 1
        return np.maximum(np.where(sure, 1.0, low - room), 0.0), np.minimum(high * (1.0 + room), 1.0)

    def quantile_ends(self, levels: FloatArray) -> Ends:
        low, high = (end[..., None] for end in self.mean_ends())
        with np.errstate(divide="ignore"):
            down, up = np.sqrt((1.0 - levels) / levels), np.sqrt(levels / (1.0 - levels))
        return low - self._times(down), high + self._times(up)

    def _times(self, factors: FloatArray) -> FloatArray:
        """(S, K) the standard deviation times factors, rounded away from 0; nothing where it is 0."""
        sd = self.sd[..., None]
        with np.errstate(invalid="ignore"):
            product = sd * factors * (1.0 + 8.0 * EPS)
        return np.where((sd == 0.0) | (factors == 0.0), 0.0, product) + np.sign(factors) * self._room[..., None]

    @property
    def _room(self) -> FloatArray:
        return 8.0 * EPS * np.abs(self.mean)


def _share(variance: FloatArray, distance: FloatArray) -> FloatArray:
    """variance / (variance + distance^2), 1 for an infinite one."""
    ratio = distance / np.sqrt(variance)
    return np.where(np.isinf(variance), 1.0, np.where(variance == 0.0, 0.0, 1.0 / (1.0 + ratio * ratio)))
