"""The least probability to fall short of any target, P(G < b), enclosed by functions that are constant between knots.

u(x, b) = min over policies of P_x(G < b) = min_a sum p u(y, (b - r) / g), without a factor: nothing contracts, and what
does not close stays open. Where the returns of every state are few, knots are these, and nothing is lost; at discount 1
with rewards on a lattice they are its points. Else targets are rounded, up for the policy, down for the bound on all.
"""

from typing import NamedTuple

import numpy as np

from distrl._kernels import chance as kernels
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.target.nodes import NodeRule, made_ending
from distrl.control.target.problem import Known
from distrl.control.target.unrolled import Unrolled, pointers
from distrl.control.target.windows import returns_of, window_of
from distrl.dp.call import Call
from distrl.returns import Functional, ProbabilityAbove

_NEAR = 1e-11  # of the size of returns: targets that differ by less are one
_COARSEST = 64  # cells of the range of returns
_SDS = 8.0  # at discount 1, that windows reach beyond a mean-optimal policy's returns
_LONG = 400  # sweeps on one lattice
_LONGEST = 100_000  # the same where knots are all returns, and no other lattice is left to try


class Steps(NamedTuple):
    """Knots of every state and what is known of P(G < b) there.

    Attributes
    ----------
    ptr : (N + 1,)
    points : (knots,) rising in each state
    below, above : (knots,)
        Below that of every policy, above that of the choices.
    choice : (knots,) int
        Pairs.
    """

    ptr: IntArray
    points: FloatArray
    below: FloatArray
    above: FloatArray
    choice: IntArray


class StepSearch:
    """Knots and sweeps on them; `steps` is whole at every moment, `stopped` says why it ended before the gap was met.

    Parameters
    ----------
    rows : Unrolled
    known : Known or None
        None with a horizon.
    cells : int
        Of the range of returns, and returns of a state, at most.
    objective : ProbabilityAbove or Quantile
        With one parameter.
    """

    def __init__(self, rows: Unrolled, known: Known | None, cells: int, objective: Functional) -> None:
        self.rows, self.known, self.cells, self.objective = rows, known, cells, objective
        self.window = window_of(rows)
        low, high = self._ends()
        n = rows.problem.mdp.n_states
        self.width = float(high[:n].max() - low[:n].min()) or rows.problem.pairs.largest_reward or 1.0
        size = max(self.width, float(np.abs(np.concatenate([low[:n], high[:n]])).max()))
        self.near = _NEAR * size
        self.order = np.arange(rows.size)[::-1].copy()
        if known is not None:
            self.order = np.argsort(-known.largest_mean, kind="stable").astype(np.int64)
        self.stopped, self.settled, self.long = "", False, _LONG
        found = returns_of(rows, cells, self.near)
        step = rows.problem.step if rows.horizon is None else None
        self.every = found is not None or (step is not None and self.width / step <= cells)
        self.spacing = self.width / min(_COARSEST, cells)
        if found is not None:
            ptr, points = found
            self._begin(ptr, points, np.zeros(rows.size, dtype=np.bool_))
            self.window = self.window._replace(highest=points[ptr[1:] - 1])
        else:
            if self.every and step is not None:
                self.spacing = step
            self.lattice()

    def _ends(self) -> tuple[FloatArray, FloatArray]:
        low, high = self.window.surely, self.window.highest
        if self.known is not None and not np.isfinite(low).all():
            moments = self.known.moments
            far = _SDS
            if self.target is None:  # the time until an end has a geometric tail
                far = max(far, -2.0 * float(np.log(self.objective.single())))
            low = np.maximum(moments.low, moments.mean - far * moments.sd)
            likely = np.minimum(moments.high, moments.mean + _SDS * moments.sd)
            most, step = np.where(np.isfinite(high), high, likely), self.rows.problem.step
            # a window to the largest return of any policy, if that leaves knots that are all returns as they are
            high = likely if step is not None and most.max() - low.min() > step * self.cells else most
            if self.target is not None:
                low, high = np.minimum(low, self.target), np.maximum(high, self.target)
        return low, high

    @property
    def searching(self) -> bool:
        """Whether a search comes before what its table reaches is found. Below discount 1 `above` is at every moment
        above its own image under `choice`, and that is enough: a return that falls short of a target leaves the knots
        behind it at some time, where `above` is 1. At discount 1 one can wait for ever, and is above nothing then."""
        return self.known is not None and self.rows.problem.g == 1.0

    @property
    def last(self) -> bool:
        """Whether no lattice is finer."""
        return self.every or self.width / self.spacing * 2.0 > self.cells * (1.0 + 1e-9)

    @property
    def target(self) -> float | None:
        """The one that is to be reached; None for a quantile."""
        return self.objective.single() if isinstance(self.objective, ProbabilityAbove) else None

    @property
    def origin(self) -> float:
        """What lattices have a knot at."""
        return 0.0 if self.target is None or self.every else self.target

    def lattice(self) -> None:
        """Knots `spacing` apart, with a target among them, and nothing known yet."""
        low, high = self._ends()
        origin = self.origin
        safe = np.isfinite(self.window.surely)
        first = np.floor((low - origin + self.near) / self.spacing).astype(np.int64) + 1
        first = np.where(safe, first, first - 1)
        last = np.maximum(np.ceil((high - origin) / self.spacing).astype(np.int64), first)
        counts = last - first + 1 + safe
        ptr = pointers(counts)
        states = np.repeat(np.arange(self.rows.size), counts)
        place = np.arange(ptr[-1]) - ptr[:-1][states]
        points = origin + self.spacing * (first[states] + place - safe[states])
        points = np.where(safe[states] & (place == 0), low[states], points)
        self._begin(ptr, np.asarray(points, dtype=np.float64), safe)

    def _begin(self, ptr: IntArray, points: FloatArray, safe: BoolArray) -> None:
        states = np.repeat(np.arange(self.rows.size), np.diff(ptr))
        first = self.window.safest
        if self.known is not None and self.rows.problem.g == 1.0:  # a policy that ends
            choices = self.rows.problem.mdp.choices
            first = np.flatnonzero(choices.actions == self.known.actions[choices.states])
        self.safe, self.certain = safe, not self.searching
        below = (points > self.window.highest[states] + self.near).astype(np.float64)
        self.steps = Steps(ptr, points, below, np.ones(len(points)), first[states].astype(np.int64))
        self.forget()

    def forget(self) -> None:
        """Nothing is known from above but what is surely reached."""
        self.steps.above[:] = 1.0
        self.steps.above[self.steps.ptr[:-1][self.safe]] = 0.0

    def further(self) -> bool:
        """Go on with half the spacing, or where knots are all returns with more sweeps; False if neither helps."""
        if self.every and not self.settled and self.long < _LONGEST:
            self.long *= 4
            return True
        if self.every:
            self.stopped = "targets stay on the knots, and more sweeps gain nothing"
        elif self.last:
            self.stopped = f"the finest lattice, of {self.spacing:.3g} a cell, is not fine enough; raise cells"
        if self.stopped:
            return False
        self.spacing *= 0.5
        self.lattice()
        return True

    def _sweep(self, order: IntArray, fixed: bool) -> float:
        rows, steps, table = self.rows, self.steps, self.rows.problem.mdp.outcomes
        return max(
            kernels.sweep(
                order,
                rows.pair_ptr,
                rows.row_ptr,
                rows.probs,
                rows.next_states,
                rows.rewards,
                rows.ends,
                rows.problem.g or 1.0,
                *steps,
                self.window.highest,
                self.safe,
                self.every,
                fixed,
                np.tile(table.defects, rows.horizon or 1) + 0.0,
                self.near,
                int(np.diff(steps.ptr).max()),
            )
        )

    def swept(self, call: Call, little: float) -> None:
        """Sweep until nothing changes by more than `little`, and then for the choices alone, that these hold what is
        said of them."""
        limit = np.inf if call.max_iterations is None else call.max_iterations
        ways = self.order, np.ascontiguousarray(self.order[::-1])
        endless = self.known is not None
        self.settled = True
        for fixed in (False, True) if self.searching else (False,):
            calm = False
            if fixed:  # what was found is that of policies that change their minds
                self.forget()
                self.certain = True
            for number in range(self.long):
                if call.iterations >= (limit if fixed or not self.searching else 0.5 * limit):
                    self.stopped = f"the limit of {call.max_iterations} sweeps was reached"
                    break
                change = self._sweep(ways[number % 2] if endless else self.order, fixed)
                call.count()
                calm = change <= little or not endless
                if calm:
                    break
            self.settled &= calm

    def rule(self) -> NodeRule:
        """The policy: a target is the next knot; behind the last one it is given up."""
        rows, steps = self.rows, self.steps
        bounds = np.full(len(steps.points), -np.inf)
        inner = np.setdiff1d(np.arange(len(bounds)), steps.ptr[:-1])
        bounds[inner] = np.nextafter(steps.points[inner - 1] + self.near, np.inf)
        actions = rows.actions[steps.choice]
        n = rows.problem.mdp.n_states
        rule = NodeRule(rows.problem.g, n, steps.ptr, steps.points, bounds, actions, rows.horizon)
        return rule if self.known is None else made_ending(rows, rule, self.known)
