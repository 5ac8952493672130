"""States between which one moves surely and for nothing at discount 1: one state for the recursion.

To stay among them for ever is no way to end, but the recursion from below would take it for one. So the components of
free moves become states of a smaller process (`merged`), and what is found there is said of the process itself: where a
component's action belongs to another of its states, one first moves there, which changes no target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from distrl._kernels.target import Choice
from distrl._validation import IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import Merged, free_components, merged, nearer_end, spread_out
from distrl.control.target.knots import Curve, Knots
from distrl.models.mdp import MDP


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

    def knots(self, knots: Knots) -> Knots:
        """Every state has the knots of its component."""
        number = self.small.number
        return Knots.between(knots.origin, knots.spacing, knots.first[number], knots.last[number])

    def _places(self, inner: Knots, outer: Knots) -> IntArray:
        component = self.small.number[outer.states]
        return np.asarray(inner.ptr[:-1][component] + outer.positions - inner.first[component])

    def curve(self, curve: Curve) -> Curve:
        """Every state has the function of its component."""
        outer = self.knots(curve.knots)
        return replace(curve, knots=outer, values=curve.values[self._places(curve.knots, outer)])

    def actions(self, choice: Choice, inner: Knots) -> Choice:
        """The actions on `knots(inner)` that the pairs chosen on `inner` mean."""
        outer, pairs, small = self.knots(inner), self.pairs, self.small
        choices = small.mdp.choices
        place = self._places(inner, outer)
        chosen = choices.indptr[:-1][small.number[outer.states]] + choice[place]
        meant = small.kept[chosen]
        away = pairs.states[meant] != outer.states
        meant[away] = self._ways[self._rank[chosen[away]], outer.states[away]]
        return np.asarray(pairs.mdp.choices.actions[meant], dtype=np.int16)

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
