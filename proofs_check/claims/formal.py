"""Five core claims proved for all rewards, discounts and laws on grids of up to `LARGEST` atoms, not sampled.

A target u lies in one of m + 1 pieces: below the grid, in one of its m - 1 cells, above it. On each piece the hat
weights are polynomials in u, and what a claim says of Diracs at u (or of two of them) is an identity of polynomials,
which SymPy expands to zero. Every law is a mixture of Diracs, and each claim says how Diracs decide it. The grid is
{0, ..., m - 1}: others are shifted and scaled copies.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp

from proofs_check.case import Case
from proofs_check.claim import Reading, claim

TITLE = "Proved symbolically"
PLACE = 11
LARGEST = 8

Piece = tuple[list[Any], Any, Any]


def _cases() -> list[Case]:
    return [Case(numbers={"atoms": m}) for m in range(2, LARGEST + 1)]


def pieces(m: int, u: Any) -> list[Piece]:
    """(hat weights of a Dirac at u, lower end, upper end) for u below the grid, in each cell, and above it."""
    zero, one = sp.Integer(0), sp.Integer(1)

    def unit(k: int) -> list[Any]:
        return [one if i == k else zero for i in range(m)]

    found: list[Piece] = [(unit(0), -sp.oo, zero)]
    for k in range(m - 1):
        weights = [zero] * m
        weights[k], weights[k + 1] = k + 1 - u, u - k
        found.append((weights, sp.Integer(k), sp.Integer(k + 1)))
    found.append((unit(m - 1), sp.Integer(m - 1), sp.oo))
    return found


def _clip(piece: Piece, m: int, u: Any) -> Any:
    if piece[1] == -sp.oo:
        return sp.Integer(0)
    return sp.Integer(m - 1) if piece[2] == sp.oo else u


def _cdf(weights: list[Any], i: int) -> Any:
    return sum(weights[: i + 1], sp.Integer(0))


def _zero(expressions: list[Any]) -> Reading:
    """The number of expressions that are no identity, to be none; the ratio counts the share proved."""
    left = sum(sp.expand(expression) != 0 for expression in expressions)
    return Reading(len(expressions), len(expressions) - left, equal=True)


def _formal(id: str, statement: str, latex: str, why: str, check: Callable[[int], Iterator[Reading]]) -> None:
    @claim(
        id,
        statement=statement,
        latex=latex,
        source="docs/proofs.md; proved by SymPy for each number of atoms",
        evidence="derived",
        measured="polynomial identities to prove",
        bound="those proved (equality)",
        searched=f"all targets, all grids of 2 to {LARGEST} atoms",
        structured=_cases,
        proved=True,
        why=why,
    )
    def measure(case: Case) -> Iterator[Reading]:
        return check(int(case.numbers["atoms"]))


def _mean(m: int) -> Iterator[Reading]:
    u = sp.Symbol("u", real=True)
    found = pieces(m, u)
    yield _zero([sum(i * w for i, w in enumerate(piece[0])) - _clip(piece, m, u) for piece in found])
    yield _zero([sum(piece[0]) - 1 for piece in found])


def _columns(m: int) -> Iterator[Reading]:
    u, v = sp.symbols("u v", real=True)
    expressions = []
    for first in pieces(m, u):
        for second in pieces(m, v):
            column = sum(_cdf(first[0], i) - _cdf(second[0], i) for i in range(m - 1))
            expressions.append(column - (_clip(second, m, v) - _clip(first, m, u)))
    yield _zero(expressions)


def _monotone(m: int) -> Iterator[Reading]:
    u = sp.Symbol("u", real=True)
    found = pieces(m, u)
    for i in range(m):
        slopes = [sp.diff(_cdf(piece[0], i), u) for piece in found]
        yield Reading(max(int(slope) for slope in slopes), 0)
        # continuous where two pieces meet, so that it falls everywhere
        yield _zero([(_cdf(a[0], i) - _cdf(b[0], i)).subs(u, a[2]) for a, b in itertools.pairwise(found)])


def _w1(m: int) -> Iterator[Reading]:
    u, v = sp.symbols("u v", real=True)
    expressions = []
    for k, first in enumerate(pieces(m, u)):
        for second in pieces(m, v)[k:]:
            # u <= v: by monotonicity |H_i(u) - H_i(v)| = H_i(u) - H_i(v)
            distance = sum(_cdf(first[0], i) - _cdf(second[0], i) for i in range(m - 1))
            expressions.append(distance - (_clip(second, m, v) - _clip(first, m, u)))
    yield _zero(expressions)


def _pythagoras(m: int) -> Iterator[Reading]:
    u = sp.Symbol("u", real=True)
    expressions = []
    for piece in pieces(m, u)[1:-1]:
        for cell in range(m - 1):
            # int over the cell of 1{x >= u}: all of it, the part above u, or nothing
            low, high = piece[1], piece[2]
            area = sp.Integer(1) if high <= cell else (cell + 1 - u if low == cell else sp.Integer(0))
            expressions.append(area - _cdf(piece[0], cell))
    yield _zero(expressions)


_formal(
    "formal-mean-preservation",
    "The projection of a Dirac has the mean of the clipped target, and mass one.",
    r"\sum_iz_ih_i(u)=\mathrm{clip}(u)",
    "Means are linear in the law, so Diracs decide.",
    _mean,
)
_formal(
    "formal-column-sums",
    "Columns of the CDF form sum to the difference of two clipped targets, in units of the spacing.",
    r"\sum_{i<m}(H_i(u)-H_i(v))=\mathrm{clip}(v)-\mathrm{clip}(u)",
    "Column j of B^r is H_i(u) - H_i(v) with u = r + g z_j, v = r + g z_{j+1}; any pair of pieces.",
    _columns,
)
_formal(
    "formal-monotonicity",
    "The projected CDF at each atom falls as the target grows.",
    r"u\le v\Rightarrow H_i(u)\ge H_i(v)",
    "Continuous, with slopes 0 and -1; ordered laws are coupled monotonically.",
    _monotone,
)
_formal(
    "formal-w1-nonexpansion",
    "Projections of two Diracs are as far apart in W1 as the clipped targets.",
    r"W_1(\Pi\delta_u,\Pi\delta_v)=|\mathrm{clip}(u)-\mathrm{clip}(v)|\le|u-v|",
    "W1 is convex in pairs of laws: an optimal coupling reduces all laws to Diracs.",
    _w1,
)
_formal(
    "formal-pythagoras",
    "Over every cell the CDF of a law on the grid's range has the projected CDF as its average.",
    r"\int_{z_i}^{z_{i+1}}(F_\mu-F_{\Pi\mu})=0",
    "Linear in the law; F_mu - F_Pimu is then orthogonal to what is constant on cells, which is Pythagoras.",
    _pythagoras,
)
