"""Entropic value at risk: the best bound that Chernoff's inequality gives on a quantile.

EVaR_a(G) = sup over b > 0 of h(b) = -(1 / b) log E exp(-b G) + log(a) / b, a the level. With c = 1 / b it is the
largest value of a concave function of c, and with relative entropy it is the smallest mean of G under laws Q with
KL(Q | P) <= -log a, so that ess inf G <= EVaR_a <= CVaR_a <= E G. The best b is where the law tilted by exp(-b G) has
KL = -log a; where P(G = ess inf G) >= a there is none, and EVaR is ess inf G, the limit at b = inf.

Source: Ahmadi-Javid 2012, "Entropic Value-at-Risk: A New Coherent Risk Measure".
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import functionals as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, fraction
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import as_finite
from distrl.returns.functionals.averages import Mean
from distrl.returns.functionals.base import Pointed, Points
from distrl.returns.functionals.enclosing import Enclosing, Ends

_BELOW, _ABOVE = 0.125, 64.0  # the ladder, from and to these times the best b of a normal law
_STEP, _MOST = 1.1, 200  # its ratio, and how many betas it has at most


@dataclass(frozen=True)
class EVaR(Pointed):
    """The lower entropic value at risk sup_{b > 0} {-(1 / b) log E exp(-b G) + log(level) / b}; `level` in (0, 1].

    In units of reward, at most CVaR at the same level, the mean at level 1; ess inf G where that has a probability of
    at least `level`, the limit of large b. Exact to rounding for laws of finitely many values: the derivative's root is
    searched for, O(n) a step, some ten steps. Intervals need bounds on entropic risks, which brackets know; elsewhere
    they reach down to the smallest return.
    """

    level: Points
    name: ClassVar[str] = "evar"
    argument: ClassVar[str] = "level"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name, open_low=True)

    def value(self, returns: Returns) -> FloatArray:
        return self._solved(returns)[0]

    def best_betas(self, returns: Returns) -> FloatArray:
        """The b at which the supremum is taken, of the shape of `value`: 0 at level 1, inf where EVaR is ess inf.

        Parameters
        ----------
        returns : Returns
            Laws of finitely many values.
        """
        return self._solved(returns)[1]

    def _solved(self, returns: Returns) -> Ends:
        laws = as_finite(returns)
        values, betas = (np.empty((laws.size, self.several.size)) for _ in range(2))
        kernels.evar(*laws.rows(), self.several, values, betas)
        shape = laws.batch_shape + self.points.shape
        return np.asarray(values.reshape(shape)[()]), np.asarray(betas.reshape(shape)[()])

    def enclose(self, known: Enclosing) -> Ends:
        mean_low, mean_high = known.mean_ends()
        spread = known.variance_ends()[1]
        highs = known.cvar_ends(self.several, "lower")[1]
        low, high = known.nothing(self.several.size)
        for k, level in enumerate(self.several):
            if level == 1.0:
                low[..., k], high[..., k] = mean_low, mean_high
                continue
            high[..., k] = np.minimum(mean_high, highs[..., k])
            betas = ladder(spread, level)
            if betas.size:
                below, above = evar_ends(betas, known.entropic_ends(-betas), mean_high, level)
                low[..., k], high[..., k] = below, np.minimum(high[..., k], above)
        return self.read((low, high))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        level, laws = self.single(), returns[states]
        if level == 1.0:
            return Mean().slope(returns, states)
        value, beta = (part[:, None] for part in self._solved(laws))
        here = value - math.log(level) / beta  # the entropic risk at the best b, whose derivative it is
        return np.asarray(-np.exp(np.minimum(-beta * (returns.atoms - here), 600.0)) / beta)

    def check_derivative(self, returns: CategoricalReturns, states: IntArray) -> None:
        flat = np.isinf(self.best_betas(returns[states]))
        if flat.any() and self.single() < 1.0:
            raise ValueError(
                f"EVaR at {self.single():g} has no derivative at state {states[int(np.argmax(flat))]}: its smallest "
                "return has at least that probability; use a smaller level or method='bootstrap'"
            )

    @property
    def label(self) -> str:
        return f"EVaR {self.percent()}"


def ladder(variances: FloatArray, level: float) -> FloatArray:
    """Betas (K,), rising, among which the best one of laws with up to these `variances` (batch) is looked for.

    Parameters
    ----------
    variances : batch
        Where they are 0 or infinite they are left out; none, no betas.
    level : float in (0, 1)
    """
    scales = np.sqrt(variances[np.isfinite(variances) & (variances > 0.0)])
    if not scales.size:
        return np.empty(0)
    normal = math.sqrt(-2.0 * math.log(level))  # the best b of a normal law, times its standard deviation
    first, last = _BELOW * normal / float(scales.max()), _ABOVE * normal / float(scales.min())
    count = min(int(math.log(last / first) / math.log(_STEP)) + 2, _MOST)
    return np.geomspace(first, last, count)


def evar_ends(betas: FloatArray, entropic: Ends, mean_high: FloatArray, level: float) -> Ends:
    """Certain ends of EVaR from those of entropic risks at some betas, batch.

    Below: the best of the betas. Above: phi(c) = -c log E exp(-G / c) + c log(level) is concave in c = 1 / b, so that
    between two betas it lies under the lines through the ends of their neighbours on either side, and beyond the
    largest and the smallest under one of them; and entropic risk falls in b, from the mean on.

    Parameters
    ----------
    betas : (K,) rising, K >= 1
    entropic : Ends, batch + (K,)
        Of -(1 / b) log E exp(-b G), infinite where nothing is known.
    mean_high : batch
        Upper ends of the mean.
    level : float in (0, 1)
    """
    c, loss = 1.0 / betas[::-1], -math.log(level)  # rising
    risk_low, risk_high = (np.asarray(end)[..., ::-1] for end in entropic)
    sizes = np.maximum(np.abs(risk_low), np.abs(risk_high)) + loss * c
    room = 16.0 * EPS * np.where(np.isfinite(sizes), sizes, 0.0)
    low, high = risk_low - loss * c - room, risk_high - loss * c + room
    first, last = risk_high[..., 0], mean_high - loss * c[-1] * (1.0 - 4.0 * EPS)
    if len(c) == 1:
        return low[..., 0], np.maximum(first, last) + room[..., 0]
    steps = np.diff(c)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        flat = high[..., 1:] + loss * steps * (1.0 + 4.0 * EPS)  # the larger risk, the smaller loss
        # lines (value at an end, slope away from it) of every piece: from the pair before, and from the pair behind
        rise, fall = (high[..., 1:] - low[..., :-1]) / steps, (high[..., :-1] - low[..., 1:]) / steps
        none = np.zeros_like(flat[..., :1])
        before = np.concatenate([flat[..., :1], high[..., 1:-1]], axis=-1), np.concatenate([none, rise[..., :-1]], -1)
        behind = np.concatenate([high[..., 1:-1], flat[..., -1:]], axis=-1), np.concatenate([fall[..., 1:], none], -1)
        meeting = (behind[0] + behind[1] * steps - before[0]) / (before[1] + behind[1])
        meeting = np.clip(np.where(np.isnan(meeting), 0.0, meeting), 0.0, steps)
        tops = [
            np.minimum(before[0] + before[1] * d, behind[0] + behind[1] * (steps - d))
            for d in (np.zeros_like(steps), steps, meeting)
        ]
        most = np.where(np.isnan(sum(tops)), np.inf, np.maximum.reduce(tops))
        first = np.fmin(first, high[..., 0] + np.maximum(fall[..., 0], 0.0) * c[0])
        last = np.fmin(last, np.where(rise[..., -1] <= 0.0, high[..., -1], np.inf))
    most = np.minimum(most, flat).max(axis=-1)
    return low.max(axis=-1), np.maximum(most, np.maximum(first, last)) + 2.0 * room.max(axis=-1)
