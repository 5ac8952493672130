"""Rounds whose rewards sum to 0 at discount 1, decided exactly.

Definitions. A component is a set of states within which some pairs, its own, lead from everywhere to everywhere and
never out (`ends.components_of`). f is a potential of it where, for each of its pairs,

    r(x, a) + sum_y P(y | x, a) (f(y) - f(x)) <= 0.

Then whoever stays collects f(x) - E f(x_n) at most on average, which is bounded: going round gains nothing. Where V + c
is a potential for all of a component, U = V + c h needs h to fall along the other pairs alone, and h can be one number
on the component: it is one state for the bound.

No rounding is allowed here, since a gain of 1e-17 a round for ever is infinite. Rewards and probabilities are the
floats that they are, and mass that a row lacks of 1 by rounding stays where it is. Two ways to a potential:

1. *outcome by outcome*: f(y) = f(x) - r along a tree of the component's outcomes. Taken where every other outcome
   agrees without rounding, whatever the probabilities: rounds of whole numbers, places of different worth.
2. *in fractions*: policy iteration for the largest mean reward a step, which is found to be 0 or below, with its bias.
   For components of at most 40 states, O(states^3) operations on fractions.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from distrl._lazy import csgraph, sparse
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import Components, components_of
from distrl.models.laws import FiniteLaw

_SOLVED = 40  # states of a component that is solved in fractions
_POLICIES = 20


class Balanced(NamedTuple):
    """Components in which going round gains nothing for certain.

    Attributes
    ----------
    components : Components
    potential : (S,) f of each state's component
    rounding : (S,) how far `potential` is from the f that was decided on
    """

    components: Components
    potential: FloatArray
    rounding: FloatArray

    def levelled(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(S,) the smallest V >= values that is f and a number on every component, and a bound on its rounding."""
        top = np.full(len(values), -np.inf)
        np.maximum.at(top, self.components.number, values - self.potential)
        of_state = top[self.components.number]
        raised = of_state + self.potential
        parts = raised - of_state  # the error of a sum is a float: Knuth 1969
        off = (of_state - (raised - parts)) + (self.potential - parts)
        return raised, np.abs(off) + self.rounding


class Undecided(Exception):
    """A round gains something, or cannot be decided; the message says which and where."""


def balanced(pairs: Pairs, allowed: BoolArray) -> Balanced:
    """The components of the `allowed` pairs, with a potential of each.

    Raises
    ------
    Undecided
        Naming a state of a component that has none, or for which none was found.
    """
    components = components_of(pairs, allowed)
    potential = _along_a_tree(pairs, components)
    rounding = np.zeros(len(potential))
    open_pairs = np.flatnonzero(components.staying & ~_agreeing(pairs, components, potential))
    for number in np.unique(components.number[pairs.states[open_pairs]]):
        own = np.flatnonzero(components.staying & (components.number[pairs.states] == number))
        states = np.flatnonzero(components.number == number)
        exact = _decided(pairs, states, own, open_pairs, potential)
        potential[states] = [float(exact[x]) for x in states.tolist()]
        rounding[states] = EPS * np.abs(potential[states])
    return Balanced(components, potential, rounding)


def _along_a_tree(pairs: Pairs, components: Components) -> FloatArray:
    """(S,) f with f(y) = f(x) - r along a tree of outcomes from a state of each component, 0 there."""
    table, n = pairs.table, pairs.mdp.n_states
    rows = np.flatnonzero(components.staying[table.sources])
    tails, heads = pairs.states[table.sources[rows]], table.next_states[rows]
    keys, first = np.unique(tails * (n + 1) + heads, return_index=True)
    _, roots = np.unique(components.number, return_index=True)
    tails = np.concatenate([keys // (n + 1), np.full(len(roots), n)])
    heads = np.concatenate([keys % (n + 1), roots])
    graph = sparse.csr_array((np.ones(len(tails)), (tails, heads)), shape=(n + 1, n + 1))
    order, before = csgraph.breadth_first_order(graph, n)
    rewards = dict(zip(keys.tolist(), table.rewards[rows[first]].tolist(), strict=True))
    potential = np.zeros(n + 1)
    for y in order[1:].tolist():
        x = int(before[y])
        potential[y] = 0.0 if x == n else potential[x] - rewards[x * (n + 1) + y]
    return potential[:n]


def _agreeing(pairs: Pairs, components: Components, potential: FloatArray) -> BoolArray:
    """(pairs,) whether r = f(x) - f(y) without rounding at every outcome of a pair that stays in its component."""
    table = pairs.table
    here, onward = potential[pairs.states[table.sources]], potential[table.next_states]
    fall = here - onward
    parts = fall - here
    off = (here - (fall - parts)) - (onward + parts)
    against = (off != 0.0) | (fall != table.rewards) | (table.laws >= 0)
    count = np.bincount(table.sources, weights=against, minlength=table.n_sources)
    return np.asarray(components.staying & (count == 0) & (table.defects == 0.0))


# -- in fractions -----------------------------------------------------------------------------------------------------


def _decided(
    pairs: Pairs, states: IntArray, own: IntArray, open_pairs: IntArray, potential: FloatArray
) -> dict[int, Fraction]:
    """f of the states of one component, whose pairs are `own`; those that are not open agree with `potential`."""
    exact = {x: Fraction(float(potential[x])) for x in states.tolist()}
    moves = {pair: _move(pairs, pair) for pair in open_pairs[np.isin(open_pairs, own)].tolist()}
    if all(move.gain(exact) <= 0 for move in moves.values()):
        return exact
    name = f"from state {pairs.mdp.states[int(states[0])]!r}"
    if len(states) > _SOLVED:
        raise Undecided(
            f"{name} one can go round among {len(states)} states, and that this gains nothing was not decided: it is "
            f"for more than {_SOLVED} states only where the rewards of every way round sum to 0 without rounding"
        )
    moves = {pair: _move(pairs, pair) for pair in own.tolist()}
    gain, exact = _best_round(states.tolist(), moves, name)
    if gain > 0:
        raise Undecided(
            f"{name} one can go round with a mean reward of {float(gain):.3g} a step, which is above 0; if that is "
            "rounding, give rewards and probabilities that float64 holds, such as whole numbers and halves"
        )
    return exact


class _Move(NamedTuple):
    """A pair over the rationals: its state, mean reward, and next states with their probabilities."""

    state: int
    reward: Fraction
    onward: dict[int, Fraction]

    def gain(self, potential: dict[int, Fraction]) -> Fraction:
        """r + sum_y P(y) (f(y) - f(x))."""
        here = potential[self.state]
        return self.reward + sum(p * (potential[y] - here) for y, p in self.onward.items())


def _move(pairs: Pairs, pair: int) -> _Move:
    table = pairs.table
    state = int(pairs.states[pair])
    name = f"action {pairs.mdp.actions[int(pairs.choices.actions[pair])]!r} in state {pairs.mdp.states[state]!r}"
    if table.defects[pair] > 0.0:
        raise Undecided(f"{name} may be part of a round that gains nothing, but its probabilities do not sum to 1")
    reward, onward = Fraction(0), dict[int, Fraction]()
    for row in range(table.indptr[pair], table.indptr[pair + 1]):
        p, y = Fraction(float(table.probs[row])), int(table.next_states[row])
        onward[y] = onward.get(y, Fraction(0)) + p
        law = table.reward_laws[table.laws[row]] if table.laws[row] >= 0 else None
        if law is None or law.mean_error == 0.0:
            reward += p * Fraction(float(table.rewards[row]))
        elif isinstance(law, FiniteLaw):
            weights = [Fraction(float(weight)) for weight in law.probs]
            total = sum(Fraction(float(v)) * w for v, w in zip(law.values, weights, strict=True))
            reward += p * total / sum(weights)
        else:
            raise Undecided(f"{name} may be part of a round that gains nothing, but the mean of {law!r} is not exact")
    return _Move(state, reward, onward)


def _best_round(states: list[int], moves: dict[int, _Move], name: str) -> tuple[Fraction, dict[int, Fraction]]:
    """The largest mean reward g a step in a component, and f with r - g + sum_y P(y) (f(y) - f(x)) <= 0 at every pair.

    Howard's policy iteration from a policy that surely comes to the first state; a g above 0 need not be the largest.
    """
    policy, known = {}, {states[0]}
    policy[states[0]] = next(pair for pair, move in moves.items() if move.state == states[0])
    while len(known) < len(states):
        for pair, move in moves.items():
            if move.state not in known and not known.isdisjoint(move.onward):
                policy[move.state] = pair
        known |= policy.keys()
    for _ in range(_POLICIES):
        solved = _gain_and_bias(states, [moves[policy[x]] for x in states])
        if solved is None:
            break
        gain, bias = solved
        better = {move.state: pair for pair, move in moves.items() if move.gain(bias) > gain}
        if gain > 0 or not better:
            return gain, bias
        policy |= better
    raise Undecided(f"{name} one can go round, and whether this gains was not decided")


def _gain_and_bias(states: list[int], moves: list[_Move]) -> tuple[Fraction, dict[int, Fraction]] | None:
    """g and f with r + sum_y P(y) (f(y) - f(x)) = g at every state, f = 0 at the first; None where not unique."""
    place = {x: i for i, x in enumerate(states)}
    n = len(states)
    rows = []
    for i, move in enumerate(moves):
        row = [Fraction(0)] * n + [move.reward]
        for y, p in move.onward.items():
            row[i] += p
            row[place[y]] -= p
        row[0] = Fraction(1)  # f(first) is 0: its column is that of g
        rows.append(row)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        inverse = 1 / rows[k][k]
        rows[k] = [value * inverse for value in rows[k]]
        for i in range(n):
            factor = rows[i][k]
            if i != k and factor != 0:
                rows[i] = [a - factor * b if b else a for a, b in zip(rows[i], rows[k], strict=True)]
    solution = [row[-1] for row in rows]
    return solution[0], {x: solution[i] if i else Fraction(0) for i, x in enumerate(states)}
