"""Item 5: what a small table reaches, certified on a finer lattice with its actions fixed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import distrl
from benchmarks.control import cliffs
from benchmarks.control_acceptance.enclosure import nearest
from benchmarks.control_acceptance.said import Line, solved
from distrl import CVaR, environments
from distrl.control.target.certify import certified
from distrl.control.target.goals import Goal
from distrl.control.target.knots import Curve
from distrl.control.target.problem import Known, Problem
from distrl.control.target.search import Search
from distrl.dp.call import Call

#: Domains of other people's papers, kept beside the tests: name -> state to start in, discount .9.
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "models" / "data" / "csv"
DOMAINS = {"machine": 0, "ruin": 4, "riverswim": 8, "cliff": 36, "inventory1": 9}

_LEVEL = 0.1
_CELLS, _FINEST = 128, 16_384  # of the table, and of the lattice on which it is judged, at most
_OPEN = 5e-5  # of the range, that the best is to be known to


def domain(name: str) -> distrl.MDP:
    """One of `DOMAINS`."""
    plain = FOLDER / f"{name}.csv"
    found = distrl.read_csv(plain if plain.exists() else plain.with_suffix(".csv.gz"), 0.9)
    assert isinstance(found, distrl.MDP)
    return found


def six() -> Iterator[tuple[str, distrl.MDP, int]]:
    """The problems, each with the state to start in."""
    yield "Garnet 100, .95", environments.garnet(100, 4, 5, rng=0, discount=0.95), 0
    walk = cliffs(12, discount=0.95)
    assert walk.initial is not None
    yield "cliffs 12x12, .95", walk, int(np.argmax(walk.initial))
    for name in ("machine", "ruin", "cliff"):
        yield f"{name}, .9", domain(name), DOMAINS[name]
    yield "Garnet 20, .9", environments.garnet(20, 3, 3, rng=1, discount=0.9), 0


def tables() -> Iterator[Line]:
    """What the policy of a table of about 128 cells reaches for certain, against the best."""
    for name, mdp, start in six():
        goal, call, problem = Goal(CVaR(_LEVEL)), Call(), Problem.of(mdp, ends=True)
        known = Known.of(problem)
        size = known.width
        search = Search(problem, known, goal, _FINEST, _OPEN * size)
        search.run(call)
        best = search.ends
        found, cells = thinned(search, call)
        lower, upper = (
            float(goal.read(search.bracket.below, found, search.sure).lower[start, 0]),
            float(best.upper[start, 0]),
        )
        alone = solved(mdp, CVaR(_LEVEL), nearest(_CELLS), tol=1e-7 * size)[1]
        said = f"at least {lower:.6g} with {cells:.0f} cells, the best in [{best.lower[start, 0]:.6g}, {upper:.6g}]"
        off = max(upper - lower, 0.0) / size
        own = max(upper - float(alone.lower[start]), 0.0) / size
        yield Line(
            f"policy of a small table, {name}",
            f"{said}: {off:.1e} of the range below the best at most (a search on no finer lattice says {own:.1e})",
            "2e-4",
            off <= 2e-4,
        )


def thinned(search: Search, call: Call) -> tuple[Curve, float]:
    """A function above the loss of a table of about 128 cells, and how many these are.

    The table has the action that a fine search chose in the middle of each cell. It is swept by itself on the fine
    lattice, which certifies what it reaches with the exact target as its memory.
    """
    bracket, known = search.bracket, search.known
    knots, state = bracket.knots, bracket.knots.states
    factor = 2 ** int(np.rint(np.log2(known.width / _CELLS / knots.spacing)))
    middle = np.floor_divide(knots.positions, factor) * factor + factor // 2
    middle = np.clip(middle, knots.first[state], np.maximum(knots.last[state] - 1, knots.first[state]))
    choice = bracket.choice[knots.ptr[:-1][state] + middle - knots.first[state]]
    spare = 1e-6 * search.goal.scale * known.width
    found = certified(replace(bracket, choice=choice), known, search.order, search.toll, spare, call)
    assert found is not None
    return found, known.width / (factor * knots.spacing)
