"""States between which one moves surely and for nothing at discount 1: one state for the recursion.

To stay among them for ever is no way to end, but the recursion from below would take it for one. So the components of
free moves become states of a smaller process (`merged`), and what is found there is said of the process itself: where a
component's action belongs to another of its states, one first moves there, which changes no target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from distrl._kernels.target import Choice
from distrl._validation import IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import Merged, free_components, merged, nearer_end, spread_out
from distrl.control.target.knots import Curve, Knots
from distrl.control.target.nodes import NodeRule
from distrl.control.target.problem import Problem
from distrl.control.target.unrolled import pointers
from distrl.models.mdp import MDP


class Spread(NamedTuple):
    """What belongs to components, for each of their states.

    Attributes
    ----------
    ptr : (S + 1,)
    states, places : (n,)
        The state that each belongs to, and where it is among those of the components.
    """

    ptr: IntArray
    states: IntArray
    places: IntArray


@dataclass(frozen=True, eq=False)
class FreeMoves:
    """A process without free moves, and what its states and pairs stand for.

    Attributes
    ----------
    pairs : Pairs
        Of the process itself.
    small : Merged
    """

    pairs: Pairs
    small: Merged

    @classmethod
    def of(cls, mdp: MDP) -> FreeMoves | None:
        """None where nobody moves surely and for nothing.

        Raises
        ------
        ValueError
            Naming a state from which no policy ends.
        """
        pairs = Pairs(mdp)
        nearer_end(pairs)
        components = free_components(pairs)
        return cls(pairs, merged(pairs, components)) if components.staying.any() else None

    @staticmethod
    def without(problem: Problem, horizon: int | None) -> tuple[Problem, FreeMoves | None]:
        """The problem to solve for `problem`, where a horizon does not end returns, and what its states stand for."""
        free = FreeMoves.of(problem.mdp) if problem.g == 1.0 and horizon is None else None
        if free is None:
            return problem, None
        return Problem.of(free.small.mdp, False, problem.side, problem.parts), free

    def knots(self, knots: Knots) -> Knots:
        """Every state has the knots of its component."""
        number = self.small.number
        return Knots.between(knots.origin, knots.spacing, knots.first[number], knots.last[number])

    def spread(self, ptr: IntArray) -> Spread:
        """Every state has the places of its component, `ptr[c]:ptr[c + 1]`."""
        counts = np.diff(ptr)[self.small.number]
        outer = pointers(counts)
        states = np.repeat(np.arange(len(counts)), counts)
        first = ptr[:-1][self.small.number] - outer[:-1]
        return Spread(outer, states, np.arange(outer[-1]) + first[states])

    def curve(self, curve: Curve) -> Curve:
        """Every state has the function of its component."""
        places = self.spread(curve.knots.ptr).places
        return replace(curve, knots=self.knots(curve.knots), values=curve.values[places])

    def actions(self, choice: Choice, inner: Knots) -> Choice:
        """The actions on `knots(inner)` that the pairs chosen on `inner` mean."""
        _, states, places = self.spread(inner.ptr)
        chosen = self.small.mdp.choices.indptr[:-1][self.small.number[states]] + choice[places]
        return np.asarray(self.pairs.mdp.choices.actions[self.meant(chosen, states)], dtype=np.int16)

    def rule(self, rule: NodeRule) -> NodeRule:
        """Every state has the nodes of its component, and plays what they mean there."""
        ptr, states, places = self.spread(rule.ptr)
        chosen = self.small.mdp.choices.indptr[:-1][self.small.number[states]] + rule.actions[places]
        actions = self.pairs.mdp.choices.actions[self.meant(chosen, states)].astype(np.int64)
        return NodeRule(rule.discount, len(ptr) - 1, ptr, rule.points[places], rule.bounds[places], actions)

    def meant(self, chosen: IntArray, states: IntArray) -> IntArray:
        """(n,) the pairs to play in `states` (n,) where `chosen` (n,) are those of the small process."""
        meant = self.small.kept[chosen]
        away = self.pairs.states[meant] != states
        meant[away] = self._ways[self._rank[chosen[away]], states[away]]
        return np.asarray(meant)

    @cached_property
    def _rank(self) -> IntArray:
        """(small pairs,) the number of the pair's own state among those of its component that have pairs left."""
        choices, home = self.small.mdp.choices, self.pairs.states[self.small.kept]
        fresh = np.ones(len(home), dtype=np.int64)
        fresh[1:] = home[1:] != home[:-1]
        count = np.cumsum(fresh) - 1
        return np.asarray(count - count[choices.indptr[:-1]][choices.states])

    @cached_property
    def _ways(self) -> IntArray:
        """(ranks, S) the pair with which each state moves towards the state of that rank in its component."""
        choices = self.small.mdp.choices
        ways = []
        for rank in range(int(self._rank.max()) + 1):
            policy = choices.indptr[:-1].copy()
            found = np.flatnonzero(self._rank == rank)
            policy[choices.states[found]] = found
            ways.append(spread_out(self.pairs, self.small, policy))
        return np.stack(ways)
