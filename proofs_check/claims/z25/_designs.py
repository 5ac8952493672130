"""Processes of many independent parts, and what is true of them: textbook formulas on dense matrices, no library.

A part is a process of its own, its samples independent of the others': one call on all of them gives as many
independent errors. Parts are random and of five kinds: any, ending with pay, nearly deterministic, with a rare and
costly end, and a chain.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import distrl
from distrl._validation import BoolArray, FloatArray, IntArray

KINDS = 5
TAIL = 0.8  # of CVaR
_SQUARINGS = 9  # of the affine map: 2^9 sweeps
#: (state, action, probability, next state, reward, terminal)
Row = tuple[int, int, float, int, float, bool]


def _part(kind: int, rng: np.random.Generator) -> list[Row]:
    """The rows of a part, states 0, 1 or 0, 1, 2, actions 0 and 1; what comes of state 0 is never certain."""
    pay = rng.uniform(-1.0, 1.0, 12)
    p, q = rng.uniform(0.25, 0.75, 2)
    if kind == 0:
        heads = [(s, a, float(rng.uniform(0.2, 0.8))) for s in (0, 1) for a in (0, 1)]
        one = [(s, a, h, 0, float(pay[2 * s + a]), False) for s, a, h in heads]
        return one + [(s, a, 1.0 - h, 1, float(pay[4 + 2 * s + a]), False) for s, a, h in heads]
    if kind == 1:
        ends = [(0, a, p, 0, 2.0 + pay[a], True) for a in (0, 1)] + [
            (0, a, 1.0 - p, 1, pay[2 + a], False) for a in (0, 1)
        ]
        return ends + [
            (1, a, w, 0, r, end) for a in (0, 1) for w, r, end in ((q, pay[4 + a], False), (1 - q, -2.0, True))
        ]
    if kind == 2:
        near = 1.0 / 64.0
        here = [(0, 0, 1.0 - near, 0, pay[0], False), (0, 0, near, 1, pay[1], False), (0, 1, 1.0, 1, pay[2], False)]
        return [*here, (1, 0, 1.0 - near, 0, 1.0, False), (1, 0, near, 1, -1.0, False), (1, 1, 1.0, 0, pay[3], False)]
    if kind == 3:
        rare = 0.02
        here = [
            (0, a, w, y, r, end)
            for a in (0, 1)
            for w, y, r, end in ((rare, 0, -4.0, True), (1 - rare, a, pay[a], False))
        ]
        return here + [(1, a, 1.0, 0, float(pay[2 + a]), False) for a in (0, 1)]
    chain = [(0, 0, p, 1, pay[0], False), (0, 0, 1.0 - p, 2, pay[1], False), (0, 1, 1.0, 1, pay[2], False)]
    chain += [(1, a, 1.0, 2, float(pay[3 + a]), False) for a in (0, 1)]
    return chain + [
        (2, a, w, 0, r, end) for a in (0, 1) for w, r, end in ((q, 1.0, True), (1.0 - q, pay[5 + a], False))
    ]


class Design:
    """Parts side by side in one MDP, a random policy, and a grid that covers every return.

    Parameters
    ----------
    rng : Generator
    parts : int
    discount : float
    atoms : int
    kinds : tuple of int
        They take turns.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        parts: int,
        discount: float,
        atoms: int = 21,
        kinds: tuple[int, ...] = tuple(range(KINDS)),
    ) -> None:
        self.discount = discount
        self.parts = [_part(kinds[k % len(kinds)], rng) for k in range(parts)]
        sizes = [1 + max(row[0] for row in part) for part in self.parts]
        #: (parts,) the first state of each part, whose returns are random.
        self.first: IntArray = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        chosen = rng.uniform(0.15, 0.85, sum(sizes))
        self.policy: FloatArray = np.stack([chosen, 1.0 - chosen], axis=1)
        rows = [
            (s + at, a, p, y + at, r, end)
            for at, part in zip(self.first.tolist(), self.parts, strict=True)
            for s, a, p, y, r, end in part
        ]
        self.mdp = distrl.MDP.from_outcomes(rows, discount)
        top = max(abs(row[4]) for row in rows) / (1.0 - discount)
        self.points: FloatArray = np.linspace(-top, top, atoms)
        self.method = distrl.CategoricalFixedPoint(grid=distrl.Grid(-top, top, atoms))

    @property
    def sources(self) -> tuple[int, int]:
        """(states, actions)."""
        return self.policy.shape[0], self.policy.shape[1]

    @cached_property
    def laws(self) -> FloatArray:
        """(parts, m) the categorical fixed point at the first state of each part."""
        return np.stack([self._law(k) for k in range(len(self.parts))])

    @cached_property
    def random(self) -> BoolArray:
        """(parts,) where the lowest atom has less than `TAIL`, so that no functional is certain."""
        lowest = np.argmax(self.laws > 1e-9, axis=1)
        return np.asarray(self.laws[np.arange(len(lowest)), lowest] < 0.95 * TAIL)

    def _law(self, part: int) -> FloatArray:
        at = int(self.first[part])
        return law_of(self.points, self.discount, self.parts[part], self.policy[at:])


def law_of(points: FloatArray, discount: float, rows: Sequence[Row], policy: FloatArray) -> FloatArray:
    """(m,) the categorical fixed point at state 0 of rows, by repeated squaring of the affine map p -> A p + b."""
    m, states = len(points), 1 + max(row[0] for row in rows)
    a, b = np.zeros((states, m, states, m)), np.zeros((states, m))
    for s, action, p, y, r, end in rows:
        weight = p * policy[s, action]
        if end:
            b[s] += weight * hats(points, np.array([r]))[:, 0]
        else:
            a[s, :, y] += weight * hats(points, r + discount * points)
    matrix, offset = a.reshape(states * m, states * m), b.ravel()
    for _ in range(_SQUARINGS):
        matrix, offset = matrix @ matrix, matrix @ offset + offset
    start = np.tile(np.full(m, 1.0 / m), states)
    return np.asarray((matrix @ start + offset).reshape(states, m)[0])


def hats(points: FloatArray, targets: FloatArray) -> FloatArray:
    """(m, n) the share of a Dirac at each target that each point gets."""
    spacing = points[1] - points[0]
    inside = np.clip(targets, points[0], points[-1])
    return np.asarray(np.maximum(1.0 - np.abs(points[:, None] - inside[None, :]) / spacing, 0.0))


def _mean(points: FloatArray, laws: FloatArray) -> FloatArray:
    return laws @ points


def _variance(points: FloatArray, laws: FloatArray) -> FloatArray:
    return laws @ points**2 - (laws @ points) ** 2


def _std(points: FloatArray, laws: FloatArray) -> FloatArray:
    return np.sqrt(_variance(points, laws))


def _median(points: FloatArray, laws: FloatArray) -> FloatArray:
    return points[np.argmax(np.cumsum(laws, axis=1) >= 0.5, axis=1)]


def _entropic(points: FloatArray, laws: FloatArray) -> FloatArray:
    return 2.0 * np.log(laws @ np.exp(0.5 * points))


def _cvar(points: FloatArray, laws: FloatArray) -> FloatArray:
    """The mean of the worst `TAIL`, atom by atom."""
    before = np.cumsum(laws, axis=1) - laws
    return np.clip(TAIL - before, 0.0, laws) @ points / TAIL


#: Functionals of the library, and what they are.
FUNCTIONALS: tuple[tuple[distrl.Functional, Callable[[FloatArray, FloatArray], FloatArray]], ...] = (
    (distrl.Mean(), _mean),
    (distrl.EntropicRisk(0.5), _entropic),
    (distrl.Std(), _std),
    (distrl.CVaR(TAIL), _cvar),
    (distrl.Variance(), _variance),
    (distrl.Quantile(0.5), _median),
)
#: Those with a derivative, by place: all but the quantile.
SMOOTH = (0, 1, 2, 3, 4)
MEDIAN = 5


@dataclass(frozen=True)
class Family:
    """Designs to be estimated: their parts, kinds, discounts in turn, atoms, samples of each pair or up to twice."""

    samples: int
    parts: int = 10
    kinds: tuple[int, ...] = tuple(range(KINDS))
    discounts: tuple[float, ...] = (0.7, 0.3, 0.9)
    atoms: int = 21

    def estimates(self, rng: np.random.Generator, most: int, repeats: int = 4) -> Iterator[tuple[Design, Any, int]]:
        """(design, an estimate of it, its number), `most` in all, of ever new designs, `repeats` of each."""
        for number in range(most):
            if number % repeats == 0:
                discount = self.discounts[(number // repeats) % len(self.discounts)]
                design = Design(rng, self.parts, discount, self.atoms, self.kinds)
                source = distrl.GenerativeModel(design.mdp)
            empirical = source.sample(rng.integers(self.samples, 2 * self.samples, design.sources), rng)
            yield design, distrl.estimate(empirical, design.method, design.policy, rng=rng), number
