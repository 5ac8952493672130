"""Return laws known without the library, trees in fractions and closed forms, and what is to be read from them."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import integrate

#: state -> outcomes (probability, next state or None for an end, reward)
Rows = list[list[tuple[Fraction, int | None, Fraction]]]


@dataclass(frozen=True)
class FiniteTruth:
    """A law on finitely many values, exact; `missing`: mass that was left out, at most, and how far it may lie."""

    law: dict[Fraction, Fraction]
    missing: float = 0.0

    @property
    def values(self) -> list[Fraction]:
        return sorted(self.law)

    def mean(self) -> Fraction:
        return sum((p * v for v, p in self.law.items()), Fraction(0))

    def variance(self) -> Fraction:
        return sum((p * (v - self.mean()) ** 2 for v, p in self.law.items()), Fraction(0))

    def std(self) -> float:
        return math.sqrt(self.variance())

    def cdf(self, x: float) -> Fraction:
        return sum((p for v, p in self.law.items() if v <= Fraction(x)), Fraction(0))

    def stop_loss(self, k: float) -> Fraction:
        return sum((p * max(v - Fraction(k), Fraction(0)) for v, p in self.law.items()), Fraction(0))

    def quantile(self, q: float) -> Fraction:
        total = Fraction(0)
        for value in self.values:
            total += self.law[value]
            if total >= Fraction(q):
                return value
        return self.values[-1]

    def cvar(self, level: float, tail: str = "lower") -> Fraction:
        left, total = Fraction(level), Fraction(0)
        for value in self.values if tail == "lower" else reversed(self.values):
            mass = min(self.law[value], left)
            total, left = total + mass * value, left - mass
        return total / Fraction(level)

    def expectile(self, tau: float) -> float:
        t = Fraction(tau)

        def balance(e: Fraction) -> Fraction:
            return sum((p * (t * max(v - e, 0) - (1 - t) * max(e - v, 0)) for v, p in self.law.items()), Fraction(0))

        below = [v for v in self.values if balance(v) >= 0][-1]
        above = next(v for v in self.values if balance(v) <= 0)
        if below == above:
            return float(below)
        fall = balance(below) - balance(above)  # linear between two values
        return float(below + (above - below) * balance(below) / fall)

    def entropic_risk(self, beta: float) -> float:
        if beta == 0.0:
            return float(self.mean())
        top = max(beta * float(v) for v in self.law)
        return (
            top + math.log(math.fsum(float(p) * math.exp(beta * float(v) - top) for v, p in self.law.items()))
        ) / beta

    def w1(self, values: np.ndarray, weights: np.ndarray) -> float:
        """W1 to the law of some values and weights: the area between the CDFs."""
        own = np.array([float(v) for v in self.values])
        points = np.unique(np.concatenate([own, values]))
        mine = np.array([float(self.law[v]) for v in self.values])
        gaps = np.diff(points)
        cdf = np.cumsum(mine)[np.maximum(np.searchsorted(own, points[:-1], side="right") - 1, 0)]
        cdf[points[:-1] < own[0]] = 0.0
        order = np.argsort(values)
        place = np.searchsorted(values[order], points[:-1], side="right")
        other = np.concatenate([[0.0], np.cumsum(weights[order])])[place]
        return float(np.sum(gaps * np.abs(cdf - other)))


@dataclass(frozen=True)
class SmoothTruth:
    """A law with a density, a frozen scipy.stats one: everything by quadrature, right to `slack` or so."""

    frozen: Any
    slack: float = 1e-9

    def mean(self) -> float:
        return float(self.frozen.mean())

    def variance(self) -> float:
        return float(self.frozen.var())

    def std(self) -> float:
        return float(self.frozen.std())

    def cdf(self, x: float) -> float:
        return float(self.frozen.cdf(x))

    def quantile(self, q: float) -> float:
        return float(self.frozen.ppf(q))

    def stop_loss(self, k: float) -> float:
        top = float(self.frozen.isf(1e-30))
        return integrate.quad(self.frozen.sf, k, max(top, k), limit=400, epsabs=1e-13)[0]

    def cvar(self, level: float, tail: str = "lower") -> float:
        if level == 1.0:
            return self.mean()
        if tail == "lower":
            q = self.quantile(level)
            bottom = float(self.frozen.ppf(1e-30))
            return q - integrate.quad(self.frozen.cdf, bottom, q, limit=400, epsabs=1e-13)[0] / level
        q = float(self.frozen.isf(level))
        return q + self.stop_loss(q) / level

    def expectile(self, tau: float) -> float:
        low, high = float(self.frozen.ppf(1e-12)), float(self.frozen.isf(1e-12))
        for _ in range(80):
            e = 0.5 * (low + high)
            above = self.stop_loss(e)
            low, high = (e, high) if tau * above > (1.0 - tau) * (e - self.mean() + above) else (low, e)
        return 0.5 * (low + high)

    def entropic_risk(self, beta: float) -> float:
        if beta == 0.0:
            return self.mean()
        ends = float(self.frozen.ppf(1e-30)), float(self.frozen.isf(1e-30))
        middle = self.mean()
        total = integrate.quad(lambda x: math.exp(beta * (x - middle)) * self.frozen.pdf(x), *ends, limit=400)[0]
        return middle + math.log(total) / beta

    def w1(self, values: np.ndarray, weights: np.ndarray) -> float:
        ends = min(float(self.frozen.ppf(1e-12)), values.min()), max(float(self.frozen.isf(1e-12)), values.max())
        x = np.linspace(*ends, 200_001)
        order = np.argsort(values)
        place = np.searchsorted(values[order], x, side="right")
        other = np.concatenate([[0.0], np.cumsum(weights[order])])[place]
        return float(np.mean(np.abs(self.frozen.cdf(x) - other)) * (ends[1] - ends[0]))


def tree_laws(rows: Rows, discount: Fraction, tail: Fraction = Fraction(0)) -> list[FiniteTruth]:
    """The return laws of a model, exact where it ends after finitely many steps; else rarer paths than `tail` stop."""

    def law(state: int, weight: Fraction, memory: dict[int, dict[Fraction, Fraction]]) -> dict[Fraction, Fraction]:
        if not tail and state in memory:
            return memory[state]
        found: dict[Fraction, Fraction] = {}
        for p, following, reward in rows[state]:
            if following is None or (tail and weight * p < tail):
                found[reward] = found.get(reward, Fraction(0)) + p
                continue
            for value, q in law(following, weight * p, memory).items():
                total = reward + discount * value
                found[total] = found.get(total, Fraction(0)) + p * q
        memory[state] = found
        return found

    memory: dict[int, dict[Fraction, Fraction]] = {}
    return [FiniteTruth(law(s, Fraction(1), memory), float(tail)) for s in range(len(rows))]


def random_tree(seed: int, states: int, *, rare: bool = False, signed: bool = True) -> Rows:
    """An acyclic model, state s goes on to larger states only; dyadic probabilities and rewards, exact in float64."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for s in range(states):
        outcomes: list[tuple[Fraction, int | None, Fraction]] = []
        count = int(rng.integers(2, 4))
        cuts = np.sort(rng.choice(np.arange(1, 64), count - 1, replace=False))
        parts = [Fraction(int(n), 64) for n in np.diff(np.concatenate([[0], cuts, [64]]))]
        if rare:
            parts = [Fraction(1, 2**20)] * (count - 1) + [1 - Fraction(count - 1, 2**20)]
        for p in parts:
            following = int(rng.integers(s + 1, states)) if s + 1 < states and rng.random() < 0.75 else None
            reward = Fraction(int(rng.integers(-24 if signed else 0, 40)), 8)
            outcomes.append((p, following, reward))
        rows.append(outcomes)
    return rows
