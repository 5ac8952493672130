"""EVaR: the entropic problem at a ladder of betas, from few passes, or at betas that are added where they matter."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.control.method import Found
from distrl.control.policy import RunnablePolicy
from distrl.control.timed.bracket import Bracket, ratio_for
from distrl.control.timed.discounted import steps_that_fit
from distrl.control.timed.family import EVaRFamily
from distrl.control.timed.ladder import Stage, descend, rungs_of, start_of
from distrl.control.timed.policy import TimedPolicy, empty_table, trimmed
from distrl.control.timed.steps import EntropicSteps
from distrl.control.timed.tail import Tail
from distrl.dp.call import Call
from distrl.models.mdp import MDP

_SHARE = 1e-3  # of the returns' width, that the gap is to be at most
_OF_SIZE = 5e-3  # the same of the values' size: half of what `optimize` asks for by default
_PASSES = 32  # side by side; where more are needed betas are added one by one
_BETAS = 400  # that are solved for one by one at most
_STEP = 4.0  # by which they go outwards
_FARTHEST = 1e9  # from the first one, as a factor
_KEPT = 8_000_000  # numbers of a ladder that are kept for other levels


def goal_of(scale: float, size: float, call: Call) -> float:
    """What the gap is to be at most, in units of reward.

    Parameters
    ----------
    scale, size : float
        The width of the returns, where it is finite, and how large values are.
    call : Call
        Half of its tolerance, where that is less.
    """
    goal = min(_SHARE * scale, _OF_SIZE * size) if size > 0.0 else _SHARE * scale
    return goal if call.tol is None else min(goal, 0.5 * call.tol)


def passes_for(discount: float, goal: float, width: float, loss: float) -> int:
    """How many passes make a ladder fine enough; more than can be where the discount is too small for one."""
    if discount == 0.0:
        return _PASSES + 1
    return max(math.ceil(-math.log(discount) / math.log(ratio_for(0.8 * goal, width, loss))), 1)


def by_ladder(mdp: MDP, level: float, share: float, tail: Tail, goal: float, call: Call) -> Found | None:
    """The policy of the largest EVaR below discount 1, by passes side by side; None where too many would be needed.

    Parameters
    ----------
    mdp, level, tail, call : MDP, float in (0, 1), Tail, Call
    share : float
        What cutting the recursion may leave, as a share of the returns' width.
    goal : float
        What the gap is to be at most, in units of reward.
    """
    n, loss = mdp.n_states, -math.log(level)
    passes = passes_for(mdp.discount, goal, float(tail.width.max()), loss)
    if passes > _PASSES:
        return None
    beta, most = -4.0 * loss / goal, max(steps_that_fit(mdp, call) // passes, 1)
    count = tail.steps_for(beta, share * tail.scale, most)
    actions = empty_table(count * passes, mdp)
    kept = 2 * n * passes * (count + 1) <= _KEPT
    lows, highs = (np.empty((passes * (count + 1) if kept else 0, n)) for _ in range(2))
    bracket = Bracket(level, tail.upper, tail.ranges[0], tail.width)

    def add(stage: Stage) -> None:
        for j in range(passes - 1, -1, -1):
            rung = stage.step * passes + j
            if stage.step < count:
                actions[rung] = mdp.choices.actions[stage.pairs[j]]
            if kept:
                lows[rung], highs[rung] = stage.low[j], stage.high[j]
            bracket.add(-float(stage.betas[j]), stage.low[j], stage.high[j], rung)

    start = start_of(tail, beta, passes, count)
    add(start)
    call.enter("stepping back over time")
    reached = start if call.interrupted else descend(EntropicSteps(mdp), start, beta, call, add)
    whole, lowest = reached.step == 0, reached.step * passes
    first = np.where(bracket.first < 0, len(actions), bracket.first)
    family = None
    if whole and kept:
        betas = -rungs_of(beta, mdp.discount, passes, np.arange(len(lows)))
        family = EVaRFamily(
            mdp=mdp,
            passes=passes,
            betas=betas,
            actions=actions,
            tail=tail.actions,
            lows=lows,
            highs=highs,
            mean=tail.upper,
            smallest=tail.ranges[0],
            width=tail.width,
            size=tail.size,
        )
    rows, start_rungs = _used(actions, tail.actions, first, passes)
    policy = TimedPolicy(rows, tail.actions, start_rungs, passes, -bracket.betas, mdp.n_actions)
    reason = f"{(count * passes) - lowest} betas in {passes} pass(es) back over {count - reached.step} steps"
    limited = not whole or (count >= most and float((bracket.upper - bracket.lower).max()) > goal)
    lower, upper = bracket.lower, bracket.upper
    return Found(policy, lower, lower, upper, limited, reason, tail.size, family=family)


def _used(actions: IntArray, tail: IntArray, first: IntArray, stride: int) -> tuple[IntArray, IntArray]:
    """The rungs from the first that a policy starts on to the last that differs from the tail, and the starts there."""
    rows = trimmed(actions, tail)
    before = min(int(first.min()), len(rows)) // stride * stride
    return rows[before:].copy(), first - before


class Solved(NamedTuple):
    """The problem at one beta: what is reached (S,), what no policy exceeds (S,), and the actions of every step."""

    low: FloatArray
    high: FloatArray
    rows: IntArray


class Known(NamedTuple):
    """What is known before any beta: what no mean exceeds, the smallest return and the width of all returns, (S,) each;
    how large values are; a policy, and its actions where they are those of all later steps."""

    mean: FloatArray
    smallest: FloatArray
    width: FloatArray
    size: float
    policy: RunnablePolicy
    tail: IntArray | None = None

    @property
    def scale(self) -> float:
        """The widest of the states' ranges, or the size of values where there is none."""
        widest = float(self.width.max())
        return widest if 0.0 < widest < math.inf else max(self.size, 1e-300)


def by_betas(
    mdp: MDP,
    level: float,
    goal: float,
    known: Known,
    solve: Callable[[float, FloatArray], Solved],
    stationary: bool,
    call: Call,
) -> Found:
    """The policy of the largest EVaR, each beta solved by itself: a few far apart, then between those that leave room.

    Parameters
    ----------
    mdp, level, goal, known, call : MDP, float in (0, 1), float, Known, Call
    solve : callable
        Of b > 0, where beta is -b, and of an upper end (S,) below which nothing more is wanted.
    stationary : bool
        Whether a solution's one row of actions is for all steps.
    """
    solved: dict[float, Solved] = {}
    middle = -math.log(level) / max(float(known.scale), goal)
    fresh, state = [middle], _look(level, known, solved)
    call.enter("solving for betas")
    with call.interruptible():
        while fresh and len(solved) < _BETAS and not call.interrupted:
            for b in fresh:
                solved[b] = solve(b, state.lower + 0.5 * goal)
            state = _look(level, known, solved)
            fresh = _wanted(solved, state, goal, middle)
            call.advance(min(len(solved) / 40.0, 0.99), float((state.upper - state.lower).max()))
    state = _look(level, known, solved)  # Ctrl-C may have come after a beta was added
    return _found(mdp, known, solved, state, stationary, bool(fresh))


def _wanted(solved: dict[float, Solved], state: "_State", goal: float, middle: float) -> list[float]:
    """Betas below, above and between those that were solved for, where more may be reached than is enough."""
    betas, enough = sorted(solved), state.lower + goal
    fresh = []
    if (state.pieces[0] > enough).any() and betas[0] > middle * (1.0 / _FARTHEST):
        fresh.append(betas[0] / _STEP)
    if (solved[betas[-1]].high > enough).any() and betas[-1] < middle * _FARTHEST:
        fresh.append(betas[-1] * _STEP)
    if fresh:
        return fresh
    between = zip(betas[:-1], betas[1:], state.pieces[1:], strict=True)
    return [
        math.sqrt(b1) * math.sqrt(b2) for b1, b2, piece in between if (piece > enough).any() and b2 > b1 * (1.0 + 1e-9)
    ]


class _State(NamedTuple):
    lower: FloatArray
    upper: FloatArray
    pieces: list[FloatArray]
    first: IntArray
    betas: FloatArray


def _look(level: float, known: Known, solved: dict[float, Solved]) -> _State:
    bracket = Bracket(level, known.mean, known.smallest, known.width)
    pieces = [bracket.add(b, solved[b].low, solved[b].high, k) for k, b in enumerate(sorted(solved))]
    return _State(bracket.lower, bracket.upper, pieces, bracket.first, bracket.betas)


def _found(mdp: MDP, known: Known, solved: dict[float, Solved], state: _State, stationary: bool, wide: bool) -> Found:
    reason = f"{len(solved)} betas"
    if not solved:
        return Found(known.policy, state.lower, state.lower, state.upper, True, reason, known.size)
    betas = sorted(solved)
    best = np.maximum(state.first, 0)  # where none has a finite risk, that which is nearest to the mean
    used = np.unique(best)
    stride = 0 if stationary else len(used)
    length = max(len(solved[b].rows) for b in betas)
    rows = empty_table(len(used) * length, mdp)
    for k, place in enumerate(used.tolist()):
        own = solved[betas[place]].rows
        rows[k : len(own) * len(used) : len(used)] = own
        if len(own) < length and known.tail is not None:  # later ones play the tail
            rows[len(own) * len(used) + k :: len(used)] = known.tail
    policy = TimedPolicy(rows, known.tail, np.searchsorted(used, best), stride, -np.array(betas)[best], mdp.n_actions)
    reason = f"{len(betas)} betas, {len(used)} of them the best from some state"
    return Found(policy, state.lower, state.lower, state.upper, wide, reason, known.size)
