"""Named problems: small ones with known return laws, random families, and maps.

Every function returns an `MRP` or an `MDP`. `discount` has a default, `rng` is anything `numpy.random.default_rng`
takes, and bad arguments raise ValueError or TypeError naming the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    RandomSource,
    float_array,
    generator,
    real_number,
    whole_number,
)
from distrl.models.given import Reward, Rewards
from distrl.models.laws import FiniteLaw, Law, as_law, is_law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable, Rows, build_table

__all__ = [
    "CLIFF_WALK",
    "absorbing",
    "bernoulli",
    "cantor",
    "chain",
    "cycle",
    "dirichlet",
    "garnet",
    "gaussian",
    "gridworld",
    "hard",
    "truncated_normal",
    "two_state",
]

#: The map of the cliff walk of Sutton and Barto (2018), example 6.6.
CLIFF_WALK = ("............", "............", "............", "SCCCCCCCCCCG")

_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left: neighbours in the list are perpendicular
_UP = _MOVES[0]


def chain(
    states: int = 10, slip: float = 0.0, discount: float = 0.9, *, step_reward: Reward = 0.0, end_reward: Reward = 1.0
) -> MRP:
    """A walk to the right along `states` states, which ends behind the last one.

    From state i the walk moves to i + 1 with probability 1 - slip and stays otherwise. The move out of the last state
    is terminal and pays `end_reward`; every other step pays `step_reward`. With the default rewards the return from
    state i is `discount**(T - 1)`, T the sum of `states - i` geometric times of mean 1 / (1 - slip).

    Parameters
    ----------
    states : int
        At least 1. The first one is the initial state.
    slip : float in [0, 1]
        Probability of staying.
    discount : float in [0, 1]
    step_reward, end_reward : number or law

    Returns
    -------
    MRP
        With `layout` (1, states). Memory O(states).
    """
    n = whole_number(states, "states", low=1)
    stay = real_number(slip, "slip", low=0.0, high=1.0)
    here = np.arange(n)
    last = here == n - 1
    table = _table(
        np.concatenate([here, here]),
        np.concatenate([np.full(n, 1.0 - stay), np.full(n, stay)]),
        np.concatenate([np.minimum(here + 1, n - 1), here]),
        np.concatenate([last.astype(np.int64), np.zeros(n, dtype=np.int64)]),
        np.concatenate([last, np.zeros(n, dtype=np.bool_)]),
        {"step_reward": step_reward, "end_reward": end_reward},
        states=n,
    )
    return MRP.from_table(table, discount, np.eye(1, n)[0], (1, n))


def two_state(switch: float | Sequence[float] = 0.5, rewards: Rewards = (1.0, 0.0), discount: float = 0.9) -> MRP:
    """Two states; state i moves to the other one with probability `switch[i]` and pays `rewards[i]` on leaving.

    The default is the picture of Rowland et al. (2024, 2402.07598): rewards 1 and 0, discount 0.9. Their transition
    probabilities are not known to this library; 1/2 is its own choice.

    Parameters
    ----------
    switch : float or pair of floats in [0, 1]
    rewards : two numbers or laws
    discount : float in [0, 1]
    """
    leave = float_array(switch, "switch", ndim=(0, 1))
    if leave.shape not in ((), (2,)):
        raise ValueError(f"switch must be one probability or two, got shape {leave.shape}")
    if ((leave < 0) | (leave > 1)).any():
        raise ValueError(f"switch must lie in [0, 1], got {switch!r}")
    first, second = np.broadcast_to(leave, (2,))
    return MRP([[1.0 - first, first], [second, 1.0 - second]], rewards, discount)


def cycle(states: int = 2, rewards: Rewards | None = None, discount: float = 0.9) -> MRP:
    """A deterministic cycle 0 -> 1 -> ... -> states - 1 -> 0.

    With constant rewards the return from state i is the number sum_k discount^k rewards[(i + k) % states].

    Parameters
    ----------
    states : int
        At least 1.
    rewards : (S,) numbers or laws, optional
        Paid on leaving each state; 1 in state 0 and 0 elsewhere when left out.
    discount : float in [0, 1)
        A cycle never ends, so that at 1 only finite horizons can be asked for.
    """
    n = whole_number(states, "states", low=1)
    here = np.arange(n)
    p = sparse.csr_array((np.ones(n), (here + 1) % n, np.arange(n + 1)), shape=(n, n))
    return MRP(p, np.eye(1, n)[0] if rewards is None else rewards, discount)


def garnet(
    states: int = 100,
    actions: int = 4,
    branching: int = 5,
    discount: float = 0.9,
    *,
    rewards: Rewards | str = "normal",
    concentration: float = 1.0,
    rng: RandomSource = None,
) -> MDP:
    """A random MDP in which every (state, action) goes to `branching` distinct, uniformly chosen successors.

    Parameters
    ----------
    states, actions, branching : int
        branching <= states.
    discount : float in [0, 1]
    rewards : "normal" | "uniform" | whatever `MDP` takes
        Rewards of the (state, action) pairs: independent N(0, 1), independent U(0, 1), or as given.
    concentration : float
        The weights of the successors are Dirichlet(concentration, ...); 1 gives the spacings of uniform points.
    rng
        Seed or generator.

    Notes
    -----
    Time and memory O(S A branching); nothing of size S x S is made. The family is that of Archibald, McKinnon and
    Thomas (1995), "On the generation of Markov decision processes".
    """
    n, n_actions = whole_number(states, "states", low=1), whole_number(actions, "actions", low=1)
    b = whole_number(branching, "branching", low=1)
    if b > n:
        raise ValueError(f"branching={b} distinct successors need at least as many states, got states={n}")
    gen = generator(rng)
    successors = _distinct(n * n_actions, b, n, gen)
    weights = _dirichlet_rows(n * n_actions, b, concentration, gen)
    starts = np.arange(0, n * b + 1, b)
    p = [
        sparse.csr_array((weights[a::n_actions].ravel(), successors[a::n_actions].ravel(), starts), shape=(n, n))
        for a in range(n_actions)
    ]
    return MDP(p, _rewards(rewards, (n, n_actions), gen), discount, axes="ass")


def dirichlet(
    states: int = 10,
    concentration: float = 1.0,
    discount: float = 0.9,
    *,
    rewards: Rewards | str = "uniform",
    rng: RandomSource = None,
) -> MRP:
    """A random MRP with dense transitions: each row is Dirichlet(concentration, ..., concentration).

    A low concentration makes nearly deterministic rows, a high one nearly uniform rows.

    Parameters
    ----------
    states : int
    concentration : float in [1e-6, 1e6]
    discount : float in [0, 1]
    rewards : "uniform" | "normal" | whatever `MRP` takes
        Rewards of the states: independent U(0, 1), independent N(0, 1), or as given.
    rng
        Seed or generator.

    Notes
    -----
    Time and memory O(states^2).
    """
    n = whole_number(states, "states", low=1)
    gen = generator(rng)
    p = _dirichlet_rows(n, n, concentration, gen)
    return MRP(p, _rewards(rewards, (n,), gen), discount)


def truncated_normal(
    states: int = 5, actions: int = 2, discount: float = 0.9, *, sd: float = 0.1, rng: RandomSource = None
) -> MDP:
    """A random MDP with dense transitions and continuous rewards in [0, 1].

    Transition weights are independent U(0.1, 0.9), each row divided by its sum; the reward of a (state, action) is
    normal around a mean drawn from U(0, 1), truncated to [0, 1]. With the defaults the design on which Zhang et al.
    (2023, 2309.17262) measure rates and coverage, at discounts .7, .8, .9, .97 and .98.

    Parameters
    ----------
    states, actions : int
    discount : float in [0, 1]
    sd : float > 0
        Standard deviation before truncation.
    rng
        Seed or generator.

    Notes
    -----
    Time and memory O(states^2 actions).
    """
    from scipy import stats  # slow to import, and few environments need it

    n, n_actions = whole_number(states, "states", low=1), whole_number(actions, "actions", low=1)
    spread = real_number(sd, "sd", low=0.0)
    if spread == 0.0:
        raise ValueError("sd must be positive, got 0")
    gen = generator(rng)
    p = gen.uniform(0.1, 0.9, (n_actions, n, n))
    laws = [
        [stats.truncnorm(-mean / spread, (1.0 - mean) / spread, mean, spread) for mean in row]
        for row in gen.random((n, n_actions))
    ]
    return MDP(p / p.sum(axis=2, keepdims=True), laws, discount, axes="ass")


def gridworld(
    cells: ArrayLike | Sequence[str] = CLIFF_WALK,
    discount: float = 0.99,
    *,
    step_reward: Reward = -1.0,
    goal_reward: Reward | None = None,
    cliff_reward: Reward = -100.0,
    slip: float = 0.0,
    wind: ArrayLike = 0.0,
) -> MDP:
    """Moves on a map: actions 0 up, 1 right, 2 down, 3 left.

    Every move pays `step_reward`, unless it ends on a goal (`goal_reward`, terminal) or on a cliff (`cliff_reward`,
    and the walk is back at the start). A move into a wall or over the edge stays where it is.

    Parameters
    ----------
    cells : sequence of strings, one string with line breaks, or (rows, columns)
        One character a cell: `.` or a blank free, `S` start, `G` goal, `C` cliff, `#` wall. A pair makes an open room
        with the start in the top left and the goal in the bottom right corner. The default is the cliff walk.
    discount : float in [0, 1]
    step_reward, cliff_reward : number or law
    goal_reward : number or law, optional
        As `step_reward` when left out.
    slip : float in [0, 1]
        Probability that a move goes in one of the two perpendicular directions instead, each with half of it.
    wind : float or (columns,) array, >= 0
        After the move, a push up of that many cells, read from the column the move began in. A fraction is a
        probability: 0.3 pushes one cell with probability 0.3, 1.5 pushes one or two with equal probability. Walls stop
        a push; a goal or cliff on the way catches the walker.

    Returns
    -------
    MDP
        State `row * columns + column`, so results reshape to `layout` = (rows, columns). Cells that nobody ever stands
        on (walls, cliffs, goals) are states too, terminal ones with return 0. `initial` is uniform over the starts.

    Raises
    ------
    ValueError, TypeError
        Naming the cell or the argument; a map with a cliff needs a start.

    Notes
    -----
    Time and memory O(rows * columns).
    """
    grid = _parse_map(cells)
    rows, columns = grid.shape
    flat = grid.ravel()
    n = rows * columns
    goal, cliff, starts = flat == "G", flat == "C", np.flatnonzero(flat == "S")
    closed = goal | cliff | (flat == "#")
    if cliff.any() and not starts.size:
        raise ValueError("a map with a cliff 'C' needs a start 'S' to go back to")
    stray = real_number(slip, "slip", low=0.0, high=1.0)
    strength = _wind(wind, rows, columns)
    here = np.flatnonzero(~closed)
    push = strength[here % columns]
    sure = np.floor(push).astype(np.int64)
    gust = push - sure
    parts: list[tuple[IntArray, FloatArray, IntArray]] = []
    for action in range(4):
        for turn, chance in ((0, 1.0 - stray), (1, stray / 2), (3, stray / 2)):
            if chance == 0.0:
                continue
            moved = _shift(here, _MOVES[(action + turn) % 4], flat, grid.shape)
            blown = _blow(moved, sure, flat, grid.shape)
            parts.append((here * 4 + action, chance * (1.0 - gust), blown))
            if gust.any():
                parts.append((here * 4 + action, chance * gust, _blow(blown, np.ones_like(sure), flat, grid.shape)))
    source, prob, target = (np.concatenate([part[i] for part in parts]) for i in range(3))
    fallen = cliff[target]
    outside = np.repeat(np.flatnonzero(closed), 4) * 4 + np.tile(np.arange(4), int(closed.sum()))
    back, drops = len(starts), int(fallen.sum())
    table = _table(
        np.concatenate([source[~fallen], np.repeat(source[fallen], back), outside]),
        np.concatenate([prob[~fallen], np.repeat(prob[fallen], back) / max(back, 1), np.ones(len(outside))]),
        np.concatenate([target[~fallen], np.tile(starts, drops), outside // 4]),
        np.concatenate([goal[target[~fallen]].astype(np.int64), np.full(drops * back, 2), np.full(len(outside), 3)]),
        np.concatenate([goal[target[~fallen]], np.zeros(drops * back, dtype=bool), np.ones(len(outside), dtype=bool)]),
        {
            "step_reward": step_reward,
            "goal_reward": step_reward if goal_reward is None else goal_reward,
            "cliff_reward": cliff_reward,
            "rest": 0.0,
        },
        states=n,
        actions=4,
    )
    initial = (flat == "S") / back if back else None
    return MDP.from_table(table, discount, initial, (rows, columns))


def hard(copies: int = 1, discount: float = 0.9) -> MRP:
    """Near-absorbing states on which estimating a return is hardest in 1/(1 - discount).

    `copies` separate states; each repeats itself with probability p = (4g - 1)/(3g), g the discount, and otherwise
    ends, with reward 1 on every step, the last one too. So 1 - p = (1 - g)/(3g), and with T the number of steps

        G = (1 - g^T)/(1 - g),  E G = 3/(4(1-g)),  Var G = (g/(3+4g) - 1/16)/(1-g)^2 ~ (9/112) (1-g)^{-2},

    while the mean of the empirical model built from N samples a state has the variance

        p(1-p) g^2 / (1-gp)^4 / N ~ (27/256) (1-g)^{-3} / N,

    the exponent of the minimax rate, which random MRPs do not show. Construction in the style of Azar, Munos and
    Kappen (2013), "Minimax PAC bounds on the sample complexity of reinforcement learning with a generative model".

    Parameters
    ----------
    copies : int
        At least 1; the supremum over independent copies brings in the logarithm of their number.
    discount : float in (1/4, 1)
    """
    n = whole_number(copies, "copies", low=1)
    g = real_number(discount, "discount", low=0.0, high=1.0)
    if not 0.25 < g < 1.0:
        raise ValueError(f"hard needs 1/4 < discount < 1, got {g:g}")
    return _geometric(n, (4 * g - 1) / (3 * g), g, 1.0)


def absorbing(q: float = 0.5, discount: float = 0.9, *, reward: Reward = 1.0) -> MRP:
    """One state that repeats itself with probability q and ends otherwise; every step pays, the last one too.

    With reward 1 the return is (1 - discount^T)/(1 - discount), P(T = t) = q^(t-1) (1 - q), t >= 1; at discount 1 it
    is T.

    Parameters
    ----------
    q : float in [0, 1]
    discount : float in [0, 1]
    reward : number or law
    """
    return _geometric(1, real_number(q, "q", low=0.0, high=1.0), discount, reward)


def bernoulli(discount: float = 0.5, p: float = 0.5) -> MRP:
    """One state that pays 1 with probability p and 0 otherwise, for ever.

    At p = 1/2 and discount 1/2 the return is uniform on [0, 2].
    """
    chance = real_number(p, "p", low=0.0, high=1.0)
    return MRP([[1.0]], [FiniteLaw([0.0, 1.0], [1.0 - chance, chance])], discount)


def cantor(discount: float = 1 / 3) -> MRP:
    """One state that pays 0 or 2 with probability 1/2 each, for ever.

    At discount 1/3 the return has the Cantor law on [0, 3]: mean 3/2, variance 9/8, no density and no atoms.
    """
    return MRP([[1.0]], [FiniteLaw([0.0, 2.0])], discount)


def gaussian(mean: float = 0.0, sd: float = 1.0, discount: float = 0.9) -> MRP:
    """One state with independent N(mean, sd^2) rewards, for ever.

    The return is N(mean/(1 - discount), sd^2/(1 - discount^2)).
    """
    from scipy import stats  # slow to import, and few environments need it

    center, scale = real_number(mean, "mean"), real_number(sd, "sd", low=0.0)
    if scale == 0.0:
        raise ValueError("sd must be positive; for a constant reward use cycle(1, [mean], discount)")
    return MRP([[1.0]], [stats.norm(center, scale)], discount)


def _table(
    sources: IntArray,
    probs: FloatArray,
    successors: IntArray,
    kinds: IntArray,
    terminals: BoolArray,
    rewards: Mapping[str, Any],
    *,
    states: int,
    actions: int = 1,
) -> OutcomeTable:
    """Outcome table of rows whose reward is the `kinds`-th of the named numbers or laws."""
    values, index = np.zeros(len(rewards)), np.full(len(rewards), -1)
    laws: list[Law] = []
    for position, (name, reward) in enumerate(rewards.items()):
        if is_law(reward):
            index[position] = len(laws)
            laws.append(as_law(reward, name))
        else:
            values[position] = real_number(reward, name)
    return build_table(
        Rows(sources, probs, successors, values[kinds], terminals, index[kinds], laws),
        n_sources=states * actions,
        n_states=states,
        describe=lambda source: f"state {source // actions}" + (f", action {source % actions}" * (actions > 1)),
    )


def _geometric(copies: int, q: float, discount: Any, reward: Any) -> MRP:
    here = np.arange(copies)
    table = _table(
        np.concatenate([here, here]),
        np.repeat([q, 1.0 - q], copies),
        np.concatenate([here, here]),
        np.zeros(2 * copies, dtype=np.int64),
        np.repeat([False, True], copies),
        {"reward": reward},
        states=copies,
    )
    return MRP.from_table(table, discount)


def _rewards(rewards: Any, shape: tuple[int, ...], gen: np.random.Generator) -> Any:
    if not isinstance(rewards, str):
        return rewards
    if rewards == "normal":
        return gen.standard_normal(shape)
    if rewards == "uniform":
        return gen.random(shape)
    raise ValueError(f"rewards {rewards!r} is not known; give 'normal', 'uniform', numbers or laws")


def _distinct(rows: int, count: int, n: int, gen: np.random.Generator) -> IntArray:
    """(rows, count) indices below n, distinct in each row, every subset equally likely."""
    if 8 * count > n:
        return np.argsort(gen.random((rows, n)), axis=1)[:, :count]
    # Floyd's sampling, a column at a time: memory O(rows * count) whatever n
    chosen = np.empty((rows, count), dtype=np.int64)
    for column in range(count):
        top = n - count + column
        draw = gen.integers(0, top + 1, size=rows)
        taken = (chosen[:, :column] == draw[:, None]).any(axis=1)
        chosen[:, column] = np.where(taken, top, draw)
    return chosen


def _dirichlet_rows(rows: int, count: int, concentration: Any, gen: np.random.Generator) -> FloatArray:
    """(rows, count) Dirichlet weights; in logarithms, since gamma draws of small shape underflow to a row of zeros."""
    shape = real_number(concentration, "concentration", low=1e-6, high=1e6)
    if shape == 1.0:
        weights = gen.standard_exponential((rows, count))
    else:
        logs = np.log(gen.standard_gamma(shape + 1.0, (rows, count)))
        logs -= gen.standard_exponential((rows, count)) / shape
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _parse_map(cells: Any) -> Any:
    """The map as a (rows, columns) array of single characters."""
    if isinstance(cells, str):
        lines = cells.strip("\n").split("\n")
    else:
        try:
            entries = list(cells)
        except TypeError as error:
            raise TypeError(f"cells must be strings or (rows, columns), got {cells!r}") from error
        if len(entries) == 2 and not isinstance(entries[0], str):
            rows, columns = whole_number(entries[0], "rows", low=1), whole_number(entries[1], "columns", low=1)
            if rows * columns < 2:
                raise ValueError("a room needs at least two cells, one for the start and one for the goal")
            grid = np.full((rows, columns), ".")
            grid[0, 0], grid[-1, -1] = "S", "G"
            return grid
        lines = entries
    for number, line in enumerate(lines):
        if not isinstance(line, str):
            raise TypeError(f"row {number} of the map is {line!r}; expected a string")
        if len(line) != len(lines[0]):
            raise ValueError(f"row {number} of the map has {len(line)} cells, row 0 has {len(lines[0])}")
        for column, cell in enumerate(line):
            if cell not in ".#CGS ":
                raise ValueError(f"cell ({number}, {column}) of the map is {cell!r}; known are . # C G S and blanks")
    if not lines or not lines[0]:
        raise ValueError("the map is empty")
    grid = np.array([list(line) for line in lines])
    if not np.isin(grid, [".", " ", "S"]).any():
        raise ValueError("the map has no cell to stand on; mark one with '.' or 'S'")
    return grid


def _wind(wind: Any, rows: int, columns: int) -> FloatArray:
    strength = float_array(wind, "wind", ndim=(0, 1))
    if strength.shape not in ((), (columns,)):
        raise ValueError(f"wind must be a number or one for each of the {columns} columns, got shape {strength.shape}")
    if (strength < 0).any():
        raise ValueError(f"wind must be >= 0 (it pushes up), got {strength.min():g}")
    return np.broadcast_to(np.minimum(strength, rows), (columns,))


def _shift(cells: IntArray, move: tuple[int, int], flat: Any, shape: tuple[int, int]) -> IntArray:
    """Where one step leads from each cell: walls and edges hold."""
    row, column = cells // shape[1] + move[0], cells % shape[1] + move[1]
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    target = np.where(inside, row * shape[1] + column, cells)
    return np.where(flat[target] == "#", cells, target)


def _blow(cells: IntArray, times: IntArray, flat: Any, shape: tuple[int, int]) -> IntArray:
    """Push up `times` cells, cell by cell, until a goal or a cliff catches."""
    for push in range(int(times.max(initial=0))):
        free = (times > push) & (flat[cells] != "G") & (flat[cells] != "C")
        cells = np.where(free, _shift(cells, _UP, flat, shape), cells)
    return cells
