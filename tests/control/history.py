"""Oracles for control that share nothing with the library: small decision processes in fractions, decided by histories.

Two of them, which share no code either. `laws` lists the laws of the return of every deterministic policy that looks at
the whole history. `Tree` unfolds a process into the tree of its histories and goes back through it once for a loss of
the return: the least expected loss over all policies that look at histories. `best` makes the optimum of an objective
of that. `violations` says by how much what `optimize` found is wrong.

A process is a `Small`: `table[x][a]` are the outcomes (probability, next state, reward, whether it ends) of the action
a in the state x, in fractions; states may have different numbers of actions. Returns are those of `steps` steps, 0
after them: `optimize(..., horizon=steps)`, or `layers(model, steps)` without a horizon.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import distrl

F = Fraction
Outcome = tuple[Fraction, int, Fraction, bool]
#: Values and their probabilities, rising.
Law = tuple[tuple[Fraction, Fraction], ...]
DIGITS = 50
NEAR = F(1, 10**11)  # how far floats may move a target, in units of reward
NEAR_LEVEL = F(2, 10**9)  # levels are compared up to 1e-9


@dataclass(frozen=True)
class Small:
    """A decision process in fractions; the module says how `table` reads."""

    table: tuple[tuple[tuple[Outcome, ...], ...], ...]
    discount: Fraction

    def mdp(self) -> distrl.MDP:
        """The process for the library, its numbers rounded to floats."""
        rows = [
            (x, a, float(p), y, float(r), end)
            for x, actions in enumerate(self.table)
            for a, outcomes in enumerate(actions)
            for p, y, r, end in outcomes
        ]
        return distrl.MDP.from_outcomes(rows, float(self.discount), absorbing="keep")


def layers(model: Small, steps: int) -> Small:
    """The process that ends after so many steps: the state x at the step t is t * (number of states) + x."""
    n = len(model.table)

    def moved(t: int, outcome: Outcome) -> Outcome:
        p, y, r, end = outcome
        last = end or t == steps - 1
        return p, t * n + y if last else (t + 1) * n + y, r, last

    table = (tuple(tuple(moved(t, o) for o in a) for a in actions) for t in range(steps) for actions in model.table)
    return Small(tuple(table), model.discount)


def with_free_moves(model: Small) -> Small:
    """The process whose state x is two, x with the first action and n + x with the others, and a move for nothing from
    each to the other: what can be reached is the same from both."""
    n = len(model.table)
    first = [(actions[0], ((F(1), n + x, F(0), False),)) for x, actions in enumerate(model.table)]
    others = [(((F(1), x, F(0), False),), *actions[1:]) for x, actions in enumerate(model.table)]
    return Small((*first, *others), model.discount)


def random_small(rng: np.random.Generator, discount: Fraction, states: int = 3, outcomes: int = 2) -> Small:
    """One to three actions a state, one to `outcomes` successors each, some with two rewards; one in five may end.

    Probabilities are eighths and rewards quarters, so that floats hold them, and returns where the discount is dyadic.
    """
    table = []
    for _ in range(states):
        actions = []
        for _ in range(int(rng.integers(1, 4))):
            found = []
            shares = rng.multinomial(8, rng.dirichlet(np.ones(int(rng.integers(1, outcomes + 1)))))
            for share in shares.tolist():
                if share:
                    y, r, end = int(rng.integers(states)), F(int(rng.integers(-8, 9)), 4), bool(rng.random() < 0.2)
                    found.append((F(share, 8), y, r, end))
            actions.append(tuple(found))
        table.append(tuple(actions))
    return Small(tuple(table), discount)


# -- every policy -----------------------------------------------------------------------------------------------------


def _merged(pairs: dict[Any, Fraction]) -> Any:
    return tuple(sorted(pairs.items()))


def laws(model: Small, state: int, steps: int, limit: int = 20_000) -> set[Law]:
    """The laws of the return from `state` of every deterministic policy that looks at the history.

    Raises
    ------
    ValueError
        If from some state there are more choices of laws than `limit`.
    """

    @cache
    def after(x: int, left: int) -> frozenset[Law]:
        if left == 0:
            return frozenset({((F(0), F(1)),)})
        found: set[Law] = set()
        for outcomes in model.table[x]:
            seen: dict[tuple[int, Fraction, bool], Fraction] = {}  # what a policy can tell apart
            for p, y, r, end in outcomes:
                seen[y, r, end] = seen.get((y, r, end), F(0)) + p
            parts = [after(y, 0 if end else left - 1) for y, _, end in seen]
            if math.prod(map(len, parts)) + len(found) > limit:
                raise ValueError(f"more than {limit} policies of {left} steps")
            for chosen in itertools.product(*parts):
                law: dict[Fraction, Fraction] = {}
                for ((_, r, _), p), tail in zip(seen.items(), chosen, strict=True):
                    for value, q in tail:
                        total = r + model.discount * value
                        law[total] = law.get(total, F(0)) + p * q
                found.add(_merged(law))
        return frozenset(found)

    return set(after(state, steps))


def markov_laws(model: Small, state: int, steps: int) -> set[Law]:
    """The laws of the policies that look at the state and the step alone."""
    n, found = len(model.table), set()
    for flat in itertools.product(*(range(len(actions)) for _ in range(steps) for actions in model.table)):
        found.add(_law_under(model, state, steps, lambda t, x, flat=flat: flat[t * n + x]))
    return found


def _law_under(model: Small, state: int, steps: int, action: Callable[[int, int], int]) -> Law:
    law: dict[Fraction, Fraction] = {}
    going = {(state, F(0)): F(1)}
    for t in range(steps):
        following: dict[tuple[int, Fraction], Fraction] = {}
        for (x, total), mass in going.items():
            for p, y, r, end in model.table[x][action(t, x)]:
                reached = total + model.discount**t * r
                if end or t == steps - 1:
                    law[reached] = law.get(reached, F(0)) + mass * p
                else:
                    following[y, reached] = following.get((y, reached), F(0)) + mass * p
        going = following
    return _merged(law) if law else ((F(0), F(1)),)


def executed_law(model: Small, state: int, steps: int, policy: distrl.control.RunnablePolicy, layered: bool) -> Law:
    """The law of the return of a policy that is run by hand through every history; floats are what it sees."""
    n, law = len(model.table), {}

    def walk(t: int, x: int, memory: Any, total: Fraction, mass: Fraction) -> None:
        place = t * n + x if layered else x
        for p, y, r, end in model.table[x][policy.act(place, memory)]:
            reached = total + model.discount**t * r
            if end or t == steps - 1:
                law[reached] = law.get(reached, F(0)) + mass * p
            else:
                following = policy.observe(place, memory, float(r), (t + 1) * n + y if layered else y)
                walk(t + 1, y, following, reached, mass * p)

    walk(0, state, policy.start(state), F(0), F(1))
    return _merged(law)


# -- the tree of histories --------------------------------------------------------------------------------------------


class Tree:
    """The histories of `steps` steps from a state; those of one length, state and accumulated return are one node.

    They can be one, since all that follows, and every loss of the return, is the same: no policy gains by telling them
    apart. `totals` are the returns that can come out.
    """

    def __init__(self, model: Small, state: int, steps: int) -> None:
        self.steps, self.state = steps, state
        self.parts = math.lcm(*(p.denominator for actions in model.table for a in actions for p, *_ in a))
        self.layers: list[dict[tuple[int, Fraction], list[list[tuple[int, Any, Fraction]]]]] = []
        totals, going = set(), {(state, F(0))}
        for t in range(steps):
            layer, following = {}, set()
            for x, total in going:
                layer[x, total] = node = []
                for outcomes in model.table[x]:
                    node.append([])
                    for p, y, r, end in outcomes:
                        reached = total + model.discount**t * r
                        child = None if end or t == steps - 1 else (y, reached)
                        (totals if child is None else following).add(reached if child is None else child)
                        node[-1].append((int(p * self.parts), child, reached))
            self.layers.append(layer)
            going = following
        self.totals = sorted(totals) or [F(0)]

    def back(self, leaf: dict[Fraction, Any], weights: list[Any], grow: int) -> tuple[Any, dict[Any, int]]:
        """The least expectation of numbers at the leaves, and the action of each node that takes it.

        `weights[w]` stands for the probability w / `parts`; numbers grow by `grow` a step where weights sum to that.
        """
        after: dict[Any, Any] = {}
        choice: dict[Any, int] = {}
        for t in range(self.steps - 1, -1, -1):
            here, factor = {}, grow ** (self.steps - 1 - t)
            for key, actions in self.layers[t].items():
                values = [
                    sum(weights[w] * (leaf[total] * factor if child is None else after[child]) for w, child, total in o)
                    for o in actions
                ]
                here[key] = min(values)
                choice[t, key] = values.index(here[key])
            after = here
        return after[self.state, F(0)], choice

    def least(self, loss: Callable[[Fraction], Fraction | int]) -> tuple[Fraction, dict[Any, int]]:
        """min over policies of E loss(return), and the action of each node that takes it. In whole numbers inside."""
        losses = {total: F(loss(total)) for total in self.totals}
        if not self.steps:
            return losses[F(0)], {}
        unit = math.lcm(*(value.denominator for value in losses.values()))
        leaf = {total: int(value * unit) for total, value in losses.items()}
        value, choice = self.back(leaf, list(range(self.parts + 1)), self.parts)
        return F(value, unit * self.parts**self.steps), choice

    def least_decimal(self, loss: Callable[[Fraction], Decimal]) -> Decimal:
        """The same in decimals of the context's precision."""
        leaf = {total: loss(total) for total in self.totals}
        if not self.steps:
            return leaf[F(0)]
        weights = [Decimal(w) / self.parts for w in range(self.parts + 1)]
        found: Decimal = self.back(leaf, weights, 1)[0]
        return found

    def expected(self, choice: dict[Any, int], function: Callable[[Fraction], Fraction]) -> Fraction:
        """E function(return) under the actions that `least` gave."""
        total, going = F(0), {(self.state, F(0)): F(1)}
        for t in range(self.steps):
            following: dict[Any, Fraction] = {}
            for key, mass in going.items():
                for w, child, reached in self.layers[t][key][choice[t, key]]:
                    if child is None:
                        total += mass * F(w, self.parts) * function(reached)
                    else:
                        following[child] = following.get(child, F(0)) + mass * F(w, self.parts)
            going = following
        return total

    def put(self, b: Fraction) -> Fraction:
        """min over policies of E (b - return)+."""
        return self.least(lambda g: max(b - g, F(0)))[0]

    def below(self, b: Fraction) -> Fraction:
        """min over policies of P(return < b)."""
        return self.least(lambda g: int(g < b))[0]


# -- objectives -------------------------------------------------------------------------------------------------------


class Ends(NamedTuple):
    """What floats may make of a number: both ends are the number itself where nothing jumps."""

    low: float
    high: float


def best(tree: Tree, objective: distrl.Functional) -> Ends:
    """The optimum of an objective over all policies of histories.

    CVaR: for each policy max_b b - E(b - G)+ / level is taken at a value of its return, so that the optimum is the
    largest over all `totals` b. Mean and variance: E G - w Var G is convex in (E G, E G^2), so that a vertex of what
    can be reached is best; vertices are found from the directions in which they are best (Eisner and Severance).
    """
    name = objective.name
    if name == "mean":
        return _exactly(-tree.least(lambda g: -g)[0])
    if name in ("cvar", "mean_cvar"):
        return _exactly(_best_cvar(tree, F(objective.level), F(getattr(objective, "weight", 0.0))))
    if name == "shortfall":
        return _exactly(tree.put(F(objective.target)))
    if name == "probability_above":
        target = F(objective.target)
        return Ends(float(1 - tree.below(target + NEAR)), float(1 - tree.below(target - NEAR)))
    if name == "quantile":
        # the last b with P(return < b) below the level: the first has 0
        ends = [tree.totals[bisect_left(tree.totals, q, 1, key=tree.below) - 1] for q in _levels(objective.level)]
        return Ends(float(ends[0]), float(ends[1]))
    if name == "mean_variance":
        return _exactly(_best_mean_variance(tree, F(objective.weight)))
    if name == "entropic_risk":
        return _exactly(_best_entropic(tree, F(objective.beta)))
    if name == "evar":
        return _exactly(_best_evar(tree, objective.level))
    raise ValueError(f"no oracle for {objective!r}")


def _exactly(value: Fraction | Decimal | float) -> Ends:
    return Ends(float(value), float(value))


def _levels(level: float) -> list[Fraction]:
    return [max(F(level) - NEAR_LEVEL, F(1, 10**15)), F(level) + NEAR_LEVEL]


def _best_cvar(tree: Tree, level: Fraction, share: Fraction) -> Fraction:
    """max over b in `totals` of max_pi share E G + (1 - share) (b - E (b - G)+ / level).

    In b that rises by at most 1 - share a unit, and falls by at most (1 - share) (1 / level - 1): what lies between two
    b is left out where that cannot reach the best.
    """

    def value(k: int) -> Fraction:
        b = tree.totals[k]
        return -tree.least(lambda g: (1 - share) * (max(b - g, F(0)) / level - b) - share * g)[0]

    last = len(tree.totals) - 1
    found = {k: value(k) for k in (0, last)}
    open_pairs = [(0, last)]
    while open_pairs:
        k, n = open_pairs.pop()
        wide = (1 - share) * (tree.totals[n] - tree.totals[k])
        reach = min(found[k] + wide, found[n] + wide * (1 / level - 1))
        if n - k > 1 and reach > max(found.values()):
            middle = (k + n) // 2
            found[middle] = value(middle)
            open_pairs += [(k, middle), (middle, n)]
    return max(found.values())


def _best_mean_variance(tree: Tree, weight: Fraction) -> Fraction:
    """max of m - weight (s - m^2) over the vertices (m, s) of the attainable means and squares; largest t m - s."""
    if weight == 0:
        return -tree.least(lambda g: -g)[0]

    def vertex(t: Fraction) -> tuple[Fraction, Fraction]:
        choice = tree.least(lambda g: g * g - t * g)[1]
        return tree.expected(choice, lambda g: g), tree.expected(choice, lambda g: g * g)

    ends = [vertex(1 / weight + 2 * b) for b in (tree.totals[0], tree.totals[-1])]
    found, open_pairs = set(ends), [tuple(ends)]
    while open_pairs:
        (m, s), (m2, s2) = open_pairs.pop()
        if m2 == m:
            continue
        t = (s2 - s) / (m2 - m)
        new = vertex(t)
        if t * new[0] - new[1] > t * m - s:
            found.add(new)
            open_pairs += [((m, s), new), (new, (m2, s2))]
    return max(m - weight * (s - m * m) for m, s in found)


def _best_entropic(tree: Tree, beta: Fraction) -> Decimal | Fraction:
    if beta == 0:
        return -tree.least(lambda g: -g)[0]
    with localcontext() as context:
        context.prec = DIGITS
        b, side = _decimal(beta), -1 if beta > 0 else 1
        return (side * tree.least_decimal(lambda g: side * (b * _decimal(g)).exp())).ln() / b


def _best_evar(tree: Tree, level: float) -> float:
    """sup over b of max_pi ERM_b + log(level) / b, not concave in b: the best of a ladder, then by thirds around it."""
    wide = float(tree.totals[-1] - tree.totals[0])
    if level == 1.0 or wide == 0.0:
        return float(-tree.least(lambda g: -g)[0])
    weights = [w / tree.parts for w in range(tree.parts + 1)]

    def height(exponent: float) -> float:
        b = math.exp(exponent)  # per range of the returns
        leaf = {g: math.exp(min(-b * (float(g) - safe) / wide, 700.0)) for g in tree.totals}
        return safe + wide * (math.log(level) - math.log(tree.back(leaf, weights, 1)[0])) / b

    surely = bisect_left(tree.totals, F(1, 10**30), 1, key=tree.below) - 1
    safe = float(tree.totals[surely])  # the maximin return, the limit of large b
    places = np.linspace(-4.0, 7.0, 45).tolist()
    heights = [height(place) for place in places]
    found = [safe, *heights]
    for k in sorted(range(1, 44), key=lambda k: heights[k])[-3:]:
        left, right = places[k - 1], places[k + 1]
        for _ in range(40):
            a, b = left + (right - left) / 3, right - (right - left) / 3
            left, right = (a, right) if height(a) < height(b) else (left, b)
        found.append(height((left + right) / 2))
    return max(found)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def value_of(law: Law, objective: distrl.Functional) -> Ends:
    """The objective of one law: what it is at the process that has no choice but that law."""
    only = Small(((tuple((p, 0, value, True) for value, p in law),),), F(1))
    return best(Tree(only, 0, 1), objective)


# -- what was found ---------------------------------------------------------------------------------------------------


class Violation(NamedTuple):
    """By how much bounds, and what a policy reaches, are wrong at the worst state; at most 0 where nothing is.

    In units of what is largest of 1 and the range of the returns.
    """

    bounds: float
    policy: float
    state: int


def violations(
    model: Small, objective: distrl.Functional, ctl: Any, steps: int, *, layered: bool = False, run: bool = True
) -> Violation:
    """How wrong is what `optimize` found?

    Parameters
    ----------
    model : Small
        The process, in fractions; `layered` says that `layers(model, steps).mdp()` was solved without a horizon, else
        `model.mdp()` with `horizon=steps` was.
    objective : Functional
        With one parameter.
    ctl : ControlSolution
        Its `lower` and `upper` are compared with the optimum of every state, and its policy is run through every
        history: it has to reach `lower` (or, for an objective that is to be small, `upper`), which `run=False` leaves
        out.
    """
    worst = Violation(-math.inf, -math.inf, 0)
    for x in range(len(model.table)):
        tree = Tree(model, x, steps)
        size = max(1.0, float(tree.totals[-1] - tree.totals[0]))
        low, high = best(tree, objective)
        bounds = max(ctl.lower[x] - high, low - ctl.upper[x]) / size
        reached = -math.inf
        if run:
            least, most = value_of(executed_law(model, x, steps, ctl.policy, layered), objective)
            reached = (least - ctl.upper[x] if objective.minimised else ctl.lower[x] - most) / size
        if max(bounds, reached) > max(worst.bounds, worst.policy):
            worst = Violation(bounds, reached, x)
    return worst
