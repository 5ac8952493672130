"""The best risk of decision processes whose paths end within a few steps, over all policies that look at histories.

With U(x, b) the least E (b - G)+ from the state x, the best CVaR at a level is the largest b - U(x, b) / level, at some
b that is a return. Whatever is done, U depends on b and on the steps that are left alone, and is found by recursion.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from proofs_check.exact.laws import ExactLaw, add_up, cvar, mean
from proofs_check.exact.processes import Decisions

ZERO = Fraction(0)
#: Where a target goes: to values and their probabilities.
Moves = Callable[[Fraction], list[tuple[Fraction, Fraction]]]
#: A convex function that is piecewise linear: kinks and values, rising; slope 0 before the first, 1 after the last.
Convex = list[tuple[Fraction, Fraction]]


def kept(target: Fraction) -> list[tuple[Fraction, Fraction]]:
    """The target itself."""
    return [(target, Fraction(1))]


def interpolated(target: Fraction) -> list[tuple[Fraction, Fraction]]:
    """The whole numbers beside the target, by its distance from each."""
    low = Fraction(math.floor(target))
    return [(low, 1 - (target - low)), (low + 1, target - low)]


def rounded_up(target: Fraction) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(math.ceil(target)), Fraction(1))]


def rounded_down(target: Fraction) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(math.floor(target)), Fraction(1))]


class Ending(Decisions):
    """An MDP over the rationals whose every path ends within `steps` steps; actions without outcomes are left out."""

    steps = 4

    def choices(self, x: int) -> list[list[tuple[Fraction, int, Fraction, bool]]]:
        """The outcomes of every action of a state."""
        pairs = self.outcomes[x * self.actions : (x + 1) * self.actions]
        return [rows for rows in pairs if rows]

    def returns(self, x: int, left: int = steps, policy: Sequence[int] | None = None) -> set[Fraction]:
        """What the return from a state can be, under any policy, or under one action for each state."""
        if left == 0:
            return {ZERO}
        chosen = self.choices(x) if policy is None else [self.choices(x)[policy[x]]]
        found = set()
        for rows in chosen:
            for _, y, r, end in rows:
                found |= {r} if end else {r + self.g * z for z in self.returns(y, left - 1, policy)}
        return found

    def loss(self, x: int, target: Fraction, move: Moves = kept) -> Fraction:
        """The least E (target - G)+ where targets are moved by `move` after every step."""
        return self._loss(x, target, self.steps, move, {})

    def _loss(self, x: int, b: Fraction, left: int, move: Moves, seen: dict[Any, Fraction]) -> Fraction:
        if left == 0:
            return max(b, ZERO)
        if (x, b, left) not in seen:
            values = []
            for rows in self.choices(x):
                total = ZERO
                for p, y, r, end in rows:
                    if end or not self.g:
                        total += p * max(b - r, ZERO)
                    else:
                        for c, q in move((b - r) / self.g):
                            total += p * q * self.g * self._loss(y, c, left - 1, move, seen) if q else ZERO
                values.append(total)
            seen[x, b, left] = min(values)
        return seen[x, b, left]

    def best_cvar(self, x: int, level: Fraction) -> Fraction:
        """The largest CVaR of the return that any policy reaches."""
        return max(b - self.loss(x, b) / level for b in self.returns(x))

    def least(self, x: int, target: Fraction, power: int) -> Fraction:
        """The least E (target - G)^2 for the power 2, the least P(G < target) for the power 0."""
        return self._least(x, target, self.steps, power, {})

    def _least(self, x: int, b: Fraction, left: int, power: int, seen: dict[Any, Fraction]) -> Fraction:
        def loss(over: Fraction) -> Fraction:
            return over * over if power else Fraction(over > 0)

        if left == 0:
            return loss(b)
        if (x, b, left) not in seen:
            values = []
            for rows in self.choices(x):
                total = ZERO
                for p, y, r, end in rows:
                    if end or not self.g:
                        total += p * loss(b - r)
                    else:
                        total += p * self.g**power * self._least(y, (b - r) / self.g, left - 1, power, seen)
                values.append(total)
            seen[x, b, left] = min(values)
        return seen[x, b, left]

    def best_quantile(self, x: int, level: Fraction) -> Fraction:
        """The largest lower quantile of the return that any policy reaches: the largest return b that a policy falls
        short of with a probability below the level."""
        return max(b for b in self.returns(x) if self.least(x, b, 0) < level)

    def moments(self, x: int, left: int = steps) -> list[tuple[Fraction, Fraction]]:
        """The means and mean squares of all policies, those that some E G^2 - 2 b E G is least for; means rise."""
        if left == 0:
            return [(ZERO, ZERO)]
        found = set()
        for rows in self.choices(x):
            sums = [(ZERO, ZERO)]
            for p, y, r, end in rows:
                after = [(ZERO, ZERO)] if end or not self.g else self.moments(y, left - 1)
                own = [(r + self.g * m, r * r + 2 * r * self.g * m + self.g**2 * s) for m, s in after]
                sums = _lower_hull([(m + p * n, s + p * t) for m, s in sums for n, t in own])
            found |= set(sums)
        return _lower_hull(list(found))

    def best_mean_variance(self, x: int, weight: Fraction) -> Fraction:
        """The largest E G - weight Var G of any policy: it is convex in (E G, E G^2), so a vertex has it."""
        return max(m - weight * (s - m * m) for m, s in self.moments(x))

    def best_markov(self, x: int, value: Callable[[ExactLaw], Fraction]) -> Fraction:
        """The largest value of a law that a policy has which looks at the state and the step alone."""
        places, going = [], {x}
        for t in range(self.steps):
            places += [(t, y) for y in sorted(going)]
            ahead = [row for y in going for rows in self.choices(y) for row in rows]
            going = {y for _, y, _, end in ahead if not end}
        pairs = [self.outcomes[y * self.actions : (y + 1) * self.actions] for _, y in places]
        able = [[a for a, rows in enumerate(each) if rows] for each in pairs]
        best = None
        for chosen in itertools.product(*able):
            plan = dict(zip(places, chosen, strict=True))
            law = self.law_of(x, 0, lambda y, t, plan=plan: plan[t, y], lambda y, t, r, z: t + 1)
            found = value(law)
            best = found if best is None else max(best, found)
        assert best is not None
        return best

    def dual_cvar(self, x: int, level: Fraction) -> Fraction:
        """The same recursion with U replaced by its convex hull at every state after every step."""
        return max(b - value / level for b, value in self._hull(x, self.steps))

    def _hull(self, x: int, left: int) -> Convex:
        if left == 0:
            return [(ZERO, ZERO)]
        points: dict[Fraction, Fraction] = {}
        for rows in self.choices(x):
            parts = [
                (p, [(r, ZERO)] if end else [(r + self.g * b, self.g * v) for b, v in self._hull(y, left - 1)])
                for p, y, r, end in rows
            ]
            for b in {b for _, part in parts for b, _ in part}:
                value = sum((p * _read(part, b) for p, part in parts), ZERO)
                points[b] = min(points.get(b, value), value)
        return _hull_of(sorted(points.items()))

    def nested_cvar(self, x: int, level: Fraction, left: int = steps) -> Fraction:
        """CVaR of r + g times the same of what follows, the best action in every state."""
        if left == 0:
            return ZERO
        values = []
        for rows in self.choices(x):
            pairs = [(r if end else r + self.g * self.nested_cvar(y, level, left - 1), p) for p, y, r, end in rows]
            values.append(cvar(add_up(pairs), level))
        return max(values)

    def best_mean(self, x: int, left: int = steps) -> Fraction:
        """The largest mean return."""
        if left == 0:
            return ZERO
        return max(self._mean(rows, left) for rows in self.choices(x))

    def _mean(self, rows: list[tuple[Fraction, int, Fraction, bool]], left: int) -> Fraction:
        return mean(add_up((r if end else r + self.g * self.best_mean(y, left - 1), p) for p, y, r, end in rows))

    def mean_optimal(self) -> list[int]:
        """The first action of the largest mean, in every state."""
        scores = [[self._mean(rows, self.steps) for rows in self.choices(x)] for x in range(self.states)]
        return [each.index(max(each)) for each in scores]

    def law_of(self, x: int, start: Any, act: Callable[[int, Any], int], observe: Callable[..., Any]) -> ExactLaw:
        """The law of the return from a state under a policy with a memory, by its histories."""
        going, law = [(x, start, ZERO, Fraction(1), Fraction(1))], []
        for _ in range(self.steps):
            following = []
            for state, memory, total, scale, mass in going:
                action = act(state, memory)
                for p, y, r, end in self.outcomes[state * self.actions + action]:
                    reached = total + scale * r
                    if end:
                        law.append((reached, mass * p))
                    else:
                        after = observe(state, memory, float(r), y)
                        following.append((y, after, reached, scale * self.g, mass * p))
            going = following
        return add_up([*law, *((total, mass) for _, _, total, _, mass in going)])


def _lower_hull(points: list[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """The vertices of the largest convex function below points of the plane, from the left."""
    hull: list[tuple[Fraction, Fraction]] = []
    for m, s in sorted(set(points)):
        if hull and hull[-1][0] == m:
            continue
        while len(hull) > 1:
            (left, low), (middle, between) = hull[-2], hull[-1]
            if (between - low) * (m - middle) < (s - between) * (middle - left):
                break
            hull.pop()
        hull.append((m, s))
    return hull


def _read(function: Convex, b: Fraction) -> Fraction:
    """A convex function at b."""
    first, last = function[0], function[-1]
    if b <= first[0]:
        return first[1]
    if b >= last[0]:
        return last[1] + b - last[0]
    k = next(k for k, (place, _) in enumerate(function) if place >= b)
    (left, low), (right, high) = function[k - 1], function[k]
    return low + (high - low) * (b - left) / (right - left)


def _hull_of(points: Convex) -> Convex:
    """The largest convex function below the points whose slopes lie in [0, 1]."""
    start = min(range(len(points)), key=lambda k: (points[k][1], points[k][0]))
    stop = max(range(len(points)), key=lambda k: (points[k][0] - points[k][1], points[k][0]))
    hull: Convex = []
    for b, value in points[start : stop + 1] or [points[start]]:
        while len(hull) > 1:
            (left, low), (middle, between) = hull[-2], hull[-1]
            if (between - low) * (b - middle) < (value - between) * (middle - left):
                break
            hull.pop()
        hull.append((b, value))
    return hull
