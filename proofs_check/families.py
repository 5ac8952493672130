"""Where instances come from: strategies for the search, and structured cases to begin with."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl.testing import strategies as shipped
from proofs_check.case import Case

#: Discounts away from 1, where a reference law is cheap.
MILD = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.floats(0.0, 0.8))


@dataclass(frozen=True)
class Family:
    """Instances to be drawn, and what they are in words."""

    strategy: st.SearchStrategy[Case]
    words: str


def rows_of(model: distrl.MRP) -> tuple[tuple[int, float, int, float, bool], ...]:
    """Outcome rows with finite reward laws spelled out."""
    table, rows = model.outcomes, []
    for k, probability in enumerate(table.probs):
        pairs = [(float(table.rewards[k]), 1.0)]
        if table.laws[k] >= 0:
            law = table.reward_laws[table.laws[k]]
            assert isinstance(law, distrl.FiniteLaw)
            pairs = list(zip(law.values.tolist(), law.probs.tolist(), strict=True))
        for value, weight in pairs:
            source, successor = int(table.sources[k]), int(table.next_states[k])
            rows.append((source, float(probability * weight), successor, value, bool(table.terminals[k])))
    return tuple(rows)


def models(states: int = 3, *, mild: bool = False, terminals: bool = True, random_rewards: bool = True) -> Family:
    """Markov reward processes; `mild` keeps their discounts away from 1."""
    return Family(_models(states, mild, terminals, random_rewards), _joined(_processes(states), mild))


def on_grid(
    laws: int = 2,
    atoms: int = 6,
    *,
    covering: bool = False,
    particles: int = 0,
    states: int = 3,
    mild: bool = False,
    random_rewards: bool = True,
) -> Family:
    """A process, a grid, and laws: on the grid, or of up to `particles` values anywhere."""
    grids = f"{'covering grids' if covering else 'any grid'} of up to {atoms} atoms"
    if particles:
        grids = f"laws of up to {particles} values, {grids}"
    elif laws:
        grids = f"laws on {grids}"
    process = _models(states, mild, True, random_rewards)
    return Family(_on_grid(process, laws, atoms, covering, particles), _joined(_processes(states), grids, mild))


def particle_laws(
    laws: int = 2, particles: int = 3, *, equal: bool = False, states: int = 3, mild: bool = False
) -> Family:
    """A process, and laws of a few values; with `equal` weights as quantile methods keep them."""
    words = f"1 to {particles} quantiles" if equal else f"laws of up to {particles} values"
    process = _models(states, mild, True, True)
    return Family(_particle_laws(process, laws, particles, equal), _joined(_processes(states), words, mild))


def numbers(words: str, **ranges: st.SearchStrategy[Any]) -> Family:
    """Numbers, each from its strategy; `words` say what they are."""
    return Family(_numbers(ranges), words)


def _processes(states: int) -> str:
    return "one-state processes" if states == 1 else f"processes of up to {states} states"


def _joined(*words: str | bool) -> str:
    """The words with commas between; the last says whether discounts are mild."""
    return ", ".join([*(str(word) for word in words[:-1]), *(["discounts up to .8"] if words[-1] else [])])


@st.composite
def _models(draw: st.DrawFn, states: int, mild: bool, terminals: bool, random_rewards: bool) -> Case:
    options: dict[str, Any] = {"discounts": MILD} if mild else {}
    model = draw(shipped.mrps(states, random_rewards=random_rewards, terminals=terminals, **options))
    return Case(rows_of(model), model.discount)


@st.composite
def _on_grid(
    draw: st.DrawFn, process: st.SearchStrategy[Case], laws: int, atoms: int, covering: bool, particles: int
) -> Case:
    case = draw(process)
    n = case.states
    if covering:
        grid = distrl.Grid.covering(case.model, draw(st.integers(2, atoms)))
    else:
        grid = draw(shipped.grids(atoms, reach=8.0))
    kind = (grid.low, grid.high, grid.atoms)
    if not particles:
        weights = tuple(draw(shipped.categorical_probs(n, grid.atoms)) for _ in range(laws))
        return Case(case.rows, case.discount, kind, weights)
    weights, values = draw(_particles(n, particles, laws))
    return Case(case.rows, case.discount, kind, weights, values)


@st.composite
def _particles(draw: st.DrawFn, states: int, most: int, laws: int) -> Any:
    count = draw(st.integers(1, most))
    value = st.one_of(st.integers(-8, 8).map(lambda k: k / 2), st.floats(-8, 8, allow_nan=False, allow_subnormal=False))
    weights = tuple(draw(shipped.categorical_probs(states, count)) for _ in range(laws))
    values = tuple(
        np.array(draw(st.lists(value, min_size=states * count, max_size=states * count))).reshape(states, count)
        for _ in range(laws)
    )
    return weights, values


@st.composite
def _particle_laws(draw: st.DrawFn, process: st.SearchStrategy[Case], laws: int, particles: int, equal: bool) -> Case:
    case = draw(process)
    weights, values = draw(_particles(case.states, particles, laws))
    if equal:
        weights = tuple(np.full_like(array, 1.0 / array.shape[1]) for array in weights)
    return Case(case.rows, case.discount, None, weights, values)


@st.composite
def _numbers(draw: st.DrawFn, ranges: dict[str, st.SearchStrategy[Any]]) -> Case:
    return Case(numbers={name: draw(strategy) for name, strategy in ranges.items()})


# -- structured ------------------------------------------------------------------------------------------------------


def structured_models(discounts: tuple[float, ...] = (0.5, 0.9)) -> list[Case]:
    """Near-deterministic, near-absorbing, ties, lattice rewards, two-state hard family, and the plainest of all."""
    near = 1.0 / 64
    cases = []
    for g in discounts:
        cases += [
            Case(((0, 1.0, 0, 0.0, False),), g),
            Case(((0, 0.5, 0, 0.0, False), (0, 0.5, 0, 1.0, False)), g),
            Case(((0, 1.0, 1, 1.0, False), (1, 1.0, 0, 0.0, False)), g),
            Case(((0, 1 - near, 0, 1.0, False), (0, near, 0, 0.0, True)), g),
            Case(((0, 1 - near, 0, 1.0, False), (0, near, 1, 1.0, False), (1, 1.0, 1, 0.0, False)), g),
            Case(
                ((0, 0.5, 1, 0.0, False), (0, 0.5, 2, 0.0, False), (1, 1.0, 1, 1.0, False), (2, 1.0, 2, 0.0, False)), g
            ),
            Case(
                ((0, 0.5, 0, 2.0, False), (0, 0.5, 1, 2.0, False), (1, 0.5, 0, -1.0, False), (1, 0.5, 1, -1.0, False)),
                g,
            ),
        ]
    return cases


def with_laws(
    cases: list[Case],
    atoms: int = 5,
    pairs: tuple[tuple[int, int], ...] = ((0, -1), (0, 2), (1, 2)),
    covering: bool = True,
) -> list[Case]:
    """Each case on its covering grid, with pairs of Diracs at these atoms in every state."""
    result = []
    for case, (first, second) in itertools.product(cases, pairs):
        grid = distrl.Grid.covering(case.model, atoms)
        weights = tuple(np.tile(np.eye(atoms)[k], (case.states, 1)) for k in (first, second))
        low, high = (grid.low, grid.high) if covering else (grid.low, grid.high - grid.width / 3)
        result.append(Case(case.rows, case.discount, (low, high, atoms), weights))
    return result


def with_grids(cases: list[Case], atoms: tuple[int, ...] = (2, 3, 6)) -> list[Case]:
    """Each case on covering grids of these sizes."""
    result = []
    for case, count in itertools.product(cases, atoms):
        grid = distrl.Grid.covering(case.model, count)
        result.append(Case(case.rows, case.discount, (grid.low, grid.high, count)))
    return result


def with_particles(cases: list[Case], equal: bool = False) -> list[Case]:
    """Each case with two Diracs, and with two laws on two values that differ in one of them."""
    result = []
    for case in cases:
        n = case.states
        one = np.ones((n, 1))
        result.append(Case(case.rows, case.discount, None, (one, one), (np.zeros((n, 1)), np.ones((n, 1)))))
        half = np.full((n, 2), 0.5)
        values = np.tile([0.0, 1.0], (n, 1)), np.tile([0.0, 2.0], (n, 1))
        result.append(Case(case.rows, case.discount, None, (half, half), values))
    return result


def numbered(**values: Any) -> list[Case]:
    """Cases made of numbers alone: all combinations of the values of each name."""
    names = list(values)
    return [Case(numbers=dict(zip(names, chosen, strict=True))) for chosen in itertools.product(*values.values())]


def lattice_off_grid() -> list[Case]:
    """Diracs a quarter and three quarters of the way between two atoms, and processes that do nothing to them."""
    one = np.ones((1, 1))
    return [
        Case(((0, 1.0, 0, 0.0, False),), g, (0.0, 1.0, 2), (one, one), (np.full((1, 1), a / g), np.full((1, 1), b / g)))
        for g in (0.5, 0.9)
        for a, b in ((0.25, 0.75), (0.0, 0.5), (0.4, 0.6))
    ]


def tilted(case: Case) -> Case:
    """Each state's first outcome made more likely by the share `shift` of the others."""
    shift, rows, seen = case.numbers["shift"], [], set[int]()
    for state, probability, *rest in case.rows:
        first = state not in seen
        seen.add(state)
        rows.append((state, (1.0 - shift) * probability + (shift if first else 0.0), *rest))
    return Case(tuple(rows), case.discount)


#: The structured processes with pairs of particle laws, with pairs of laws on covering grids, and on grids that clip.
PARTICLES = with_particles(structured_models())
ON_GRIDS = with_laws(structured_models())
CLIPPED = with_laws(structured_models(), covering=False)
