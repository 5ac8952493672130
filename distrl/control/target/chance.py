"""The largest probability to reach a target, and the largest quantile."""

import numpy as np

from distrl.control.method import Found
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target.chance_family import ChanceFamily
from distrl.control.target.chords import Chords
from distrl.control.target.chords_enclosed import ChordsEnclosed
from distrl.control.target.free import FreeMoves
from distrl.control.target.problem import Known, Problem
from distrl.control.target.steps import Steps, StepSearch
from distrl.control.target.steps_enclosed import StepsEnclosed
from distrl.control.target.sure import Sure
from distrl.control.target.unrolled import Unrolled
from distrl.dp.call import Call
from distrl.models.mdp import MDP
from distrl.returns import Functional, Mean, ProbabilityAbove, Quantile

_SHARE = 0.01  # of 1, or of the range of returns, is the gap to be at most by default
_LITTLE = 1e-3  # of the gap that is asked for, changes of a sweep that count for nothing
_WORTH = 0.9  # of the gap is left by steps, where they are swept on the next lattice too
_LONG, _EVERY = 2_000, 8  # sweeps of chords on one lattice at most, and between looks at the gap
_SMALL = 1e-6  # a discount: what positions are divided by, and their rounding with them
_CHEAP = 2**17  # outcomes at knots, of all states, on the last lattice: steps are swept in any case
_STUCK = 0.9  # of the gap is left by chords on the next lattice: steps are tried
_HOPE = 4.0  # times closer to the best value than expected, steps may come on the last lattice
_SLOW, _VAIN = 0.97, 4  # of the gap is left at so many looks in a row: more sweeps gain little


def best_chance(mdp: MDP, objective: Functional, cells: int, call: Call) -> Found:
    """The policy of the largest P(G >= target), or of the largest lower quantile, from every state.

    Parameters
    ----------
    mdp : MDP
    objective : ProbabilityAbove or Quantile
        With one parameter.
    cells : int
        Of the range of returns, on the finest lattice; and returns of a state, where all are listed, at most.
    call : Call
        Its `max_iterations` counts sweeps of all lattices.

    Raises
    ------
    ValueError
        As `TargetDP.optimal` does.
    """
    if call.horizon == 0:  # the return is 0
        stay, n = PolicyIteration().optimal(mdp, Mean(), call), mdp.n_states
        value = np.zeros(n)
        if isinstance(objective, ProbabilityAbove):
            value = np.full(n, float(objective.single() <= 0.0))
        return Found(stay.policy, value, value, value, False, "no step is made", 1.0)
    problem, free = FreeMoves.without(Problem.of(mdp, ends=call.horizon is None), call.horizon)
    known = None
    if call.horizon is None:
        call.enter("looking for a policy of the largest mean")
        known = Known.of(problem)
    search = _Search(StepSearch(Unrolled.of(problem, call.horizon), known, cells, objective), objective, free, call)
    call.enter("enclosing probabilities to fall short")
    with call.interruptible():
        search.run()
    if call.interrupted:
        search.look()
    return search.family().at(objective)


class _Search:
    """Chords where discounts are below 1 and steps of the target: on each lattice the former, the latter where those
    are stuck, as long as they gain something, and where no lattice is left."""

    def __init__(self, steps: StepSearch, objective: Functional, free: FreeMoves | None, call: Call) -> None:
        self.steps, self.objective, self.free, self.call = steps, objective, free, call
        share = _SHARE * (1.0 if isinstance(objective, ProbabilityAbove) else steps.width)
        self.enough = share if call.tol is None else call.tol
        self.little = 0.0 if steps.every else _LITTLE * min(self.enough, _SHARE)
        self.chords = self._first_chords()
        self.rounded: StepsEnclosed | None = None
        self.rounded_at, self.left, self.stalled = np.inf, np.inf, False

    def _first_chords(self) -> Chords | None:
        steps, known, problem = self.steps, self.steps.known, self.steps.rows.problem
        if known is None or steps.every or not _SMALL < problem.g < 1.0:
            return None
        sure = Sure.of(problem, known.largest_mean)
        if not np.isfinite(sure.least).all():
            return None
        return Chords.of(problem, sure, steps.window.highest, steps.near, steps.origin, steps.spacing)

    def run(self) -> None:
        """Sweep and refine until the gap is met, nothing finer is left, or the call's limit."""
        worth = self.chords is None
        while True:
            before = self.left
            if self.chords is not None:
                self._sweep(self.chords)
                self.left = self.family().gap
                worth |= self.left > _STUCK * before
            before = self.left
            if self.left > self.enough and not self.steps.stopped and (worth or self._may_gain()):
                self.steps.swept(self.call, self.little)
                self.look()
                self.left = self.family().gap
                worth = self.chords is None or self.left < _WORTH * before
            self.call.report(self.left, self.enough)
            if self.left <= self.enough or self.steps.stopped or not self.steps.further():
                return
            if self.chords is not None:
                self.chords = self.chords.finer()

    def _sweep(self, chords: Chords) -> None:
        """Until the gap is met, or more sweeps gain little: near atoms values may move without end."""
        limit = np.inf if self.call.max_iterations is None else self.call.max_iterations
        ways = self.steps.order, np.ascontiguousarray(self.steps.order[::-1])
        before, vain = np.inf, 0
        for number in range(_LONG):
            if self.call.iterations >= limit:
                self.steps.stopped = f"the limit of {self.call.max_iterations} sweeps was reached"
                return
            change = chords.sweep(ways[number % 2], self.little)
            self.call.count()
            if change > self.little and number % _EVERY < _EVERY - 1:
                continue
            gap = self.family().gap
            vain = vain + 1 if gap > _SLOW * before else 0
            if gap <= self.enough or change <= self.little or vain == _VAIN:
                return
            before = gap
        self.stalled = True

    def look(self) -> None:
        """Keep what steps say now, if that is better than what they said on other lattices."""
        new = self._enclosed()
        if self.rounded is None or self._gap(new) < self._gap(self.rounded):
            self.rounded, self.rounded_at = new, self.steps.spacing

    def _may_gain(self) -> bool:
        """Whether this lattice is the last, and steps may say more there than chords do, from some state: the width of
        quantiles by rounding is of first order in the spacing, about s g / (1 - g) where nothing was seen of it."""
        reads = len(self.steps.rows.probs) * len(self.steps.steps.points) / self.steps.rows.size
        if not self.steps.last or not isinstance(self.objective, Quantile) or reads <= _CHEAP:
            return self.steps.last
        found, g = self.family().at(self.objective), self.steps.rows.problem.g
        width = np.full(len(found.lower), g / (1.0 - g))
        if self.rounded is not None:
            lower, upper, _ = self.rounded.quantile(self.objective.single())
            width = (upper - lower) / self.rounded_at
        return bool((width * self.steps.spacing < _HOPE * (found.upper - found.lower)).any())

    def _gap(self, way: StepsEnclosed | ChordsEnclosed) -> float:
        return ChanceFamily(self.objective, (way,), self.steps.width, False, "").gap

    def _enclosed(self) -> StepsEnclosed:
        """What steps say as they are now."""
        search = self.steps
        if not search.certain:
            search.forget()
        ptr, points, below, above, choice = search.steps
        steps = Steps(ptr, points, below.copy(), above.copy(), choice.copy())  # more sweeps may follow, in place
        rule = search.rule()
        highest = search.window.highest[: search.rows.problem.mdp.n_states]
        how = "all returns" if search.every else f"a lattice of spacing {search.spacing:.3g}"
        how = f"{how}, {len(steps.points)} knots"
        if self.free is not None:
            ptr, states, places = self.free.spread(steps.ptr)
            points, below, above = (column[places] for column in (steps.points, steps.below, steps.above))
            steps = Steps(ptr, points, below, above, self.free.meant(steps.choice[places], states))
            rule = self.free.rule(rule)
            highest = highest[self.free.small.number]
        return StepsEnclosed(steps, rule, highest, search.every, search.near, how)

    def family(self) -> ChanceFamily:
        """All that is known now."""
        ways: list[StepsEnclosed | ChordsEnclosed] = []
        if self.chords is not None:
            ways.append(ChordsEnclosed.of(self.chords))
        if self.rounded is not None:
            ways.append(self.rounded)
        elif self.chords is None:
            ways.append(self._enclosed())
        reason = f"{self.call.iterations} sweeps, the best bounds from {' and '.join(way.how for way in ways)}"
        if self.stalled:
            reason += f"; chords were swept {_LONG} times on a lattice, no more"
        reason += f"; {self.steps.stopped}" if self.steps.stopped else ""
        return ChanceFamily(self.objective, tuple(ways), self.steps.width, bool(self.steps.stopped), reason)
