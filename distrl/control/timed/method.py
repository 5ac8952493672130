"""`TimedDP`: entropic risk and EVaR, by dynamic programming over time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, real_number
from distrl.control.bellman import Pairs
from distrl.control.ends import nearer_end, with_silent_ends
from distrl.control.method import ControlMethod, Found, largest_size
from distrl.control.policy import MarkovPolicy
from distrl.control.timed.discounted import by_horizon, by_time
from distrl.control.timed.evar import Known, Solved, by_betas, by_ladder, goal_of
from distrl.control.timed.policy import TimedPolicy
from distrl.control.timed.tail import Tail, best_mean, ranges_of_all
from distrl.control.timed.undiscounted import Undiscounted
from distrl.dp.call import Call
from distrl.dp.horizon_moments import facts_of_steps
from distrl.models.mdp import MDP
from distrl.models.stages import Stages
from distrl.returns import EntropicRisk, EVaR, Functional


@dataclass(frozen=True)
class TimedDP(ControlMethod):
    """Entropic risk and EVaR by the recursion h_b = max_a (1/b) log E exp(b (R + g h_{bg})) back over time.

    Parameters
    ----------
    tail : float
        What cutting the recursion may leave of the gap, as a share of the width of the returns; then the best mean is
        pursued.

    Notes
    -----
    Policies. Below discount 1 the best action depends on the state and on the number of steps made (`TimedPolicy`); at
    discount 1 on the state alone; with a horizon on both (`MarkovPolicy`). For EVaR it is that of the beta which is the
    best from the state of the start.

    Bounds. `lower` is what the policy reaches, cut and rounding counted; no policy exceeds `upper`. Below discount 1
    the cut leaves |beta| (g^T W)^2 / 8 after T steps, W the width of the returns. EVaR is known to 0.1% of the width,
    0.5% of the values' size at most, or as `tol` says. At discount 1 both come with a proof that E exp(beta G) is
    finite.

    Random rewards by their own exponential moments; where one has none, bounds are infinite on that side.

    Time: O(outcomes) a step, log(1 / tail) / (2 (1 - g)) steps or so; for EVaR that many times as many as there are
    passes, 1 at discount .99, 13 at .7, and where there would be more than 32 one recursion for each of some 50 betas.
    Memory: a byte for each state and step, and 64 MB at most for other parameters (`ControlSolution.family`).

    Source: Hau, Petrik and Ghavamzadeh 2023, "Entropic Risk Optimization in Discounted MDPs" (AISTATS), Theorems 3.1 to
    3.4 and Corollary 4.2; the two-sided bounds, and those between betas, are this library's.
    """

    tail: float = 1e-9
    counts: ClassVar[str] = "steps"

    def __post_init__(self) -> None:
        tail = real_number(self.tail, "tail")
        if not 0.0 < tail < 1.0:
            raise ValueError(f"tail must lie between 0 and 1, got {tail:g}; it is a share of the returns' width")
        object.__setattr__(self, "tail", tail)

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, EntropicRisk | EVaR)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy of the largest entropic risk or EVaR.

        Parameters
        ----------
        mdp : MDP
        objective : EntropicRisk or EVaR
            With one parameter.
        call : Call
            Its `max_iterations` limits the steps back over time, or the sweeps at discount 1.

        Raises
        ------
        ValueError
            For several parameters; for a model with a discount for each outcome; at discount 1 naming a state from
            which no policy ends or E exp(beta G) is not shown to be finite.
        """
        point, g = objective.single(), mdp.discount
        mean = point == (1.0 if isinstance(objective, EVaR) else 0.0)
        if mean:
            return self._best_mean(mdp, call)
        if isinstance(objective, EVaR):
            return self._evar(mdp, point, call)
        if call.horizon is not None:
            return by_horizon(mdp, point, call)
        if g < 1.0:
            return by_time(mdp, point, self.tail, call)
        return self._undiscounted(mdp, point, call)

    def _best_mean(self, mdp: MDP, call: Call) -> Found:
        """What both objectives are at one end of their parameters."""
        found = best_mean(mdp, call)
        return replace(found, reason=f"the mean: {found.reason}")

    def _undiscounted(self, mdp: MDP, beta: float, call: Call) -> Found:
        means, problem = _endings(mdp, call)
        size = largest_size(means.values, problem.pairs.largest_reward)
        call.enter("sweeping")
        bounds = problem.solve(beta, _within(self.tail * size, call), call)
        open_ends = bounds.low if beta < 0.0 else bounds.high
        if not np.isfinite(open_ends).all() and call.max_iterations is None and not call.interrupted:
            state = int(np.argmin(np.isfinite(open_ends)))
            which = "under any policy that was found" if beta < 0.0 else "under every policy"
            raise ValueError(
                f"at discount 1 E exp({beta:g} G) is not shown to be finite {which} from state "
                f"{mdp.states[state]!r}; take a beta nearer to 0, a discount below 1, or give horizon="
            )
        policy = MarkovPolicy(problem.pairs.actions(bounds.policy), mdp.n_actions)
        reason = f"{call.iterations} sweeps at discount 1"
        return Found(policy, bounds.low, bounds.low, bounds.high, True, reason, size)

    def _evar(self, mdp: MDP, level: float, call: Call) -> Found:
        call.enter("looking for the best mean")
        if call.horizon is not None:
            return self._evar_of_steps(mdp, level, call)
        if mdp.discount == 1.0:
            return self._evar_undiscounted(mdp, level, call)
        tail = Tail(mdp, call)
        goal = goal_of(tail.scale, tail.size, call)
        found = by_ladder(mdp, level, self.tail, tail, goal, call)
        if found is not None:
            return found
        still = MarkovPolicy(tail.actions, mdp.n_actions)
        known = Known(tail.upper, tail.ranges[0], tail.width, tail.size, still, tail.actions)

        def solve(b: float, enough: FloatArray) -> Solved:
            with _inside(call, Call(max_iterations=call.max_iterations)) as inner:
                one = by_time(mdp, -b, self.tail, inner, tail)
            return Solved(one.lower, one.upper, _rows(one))

        return by_betas(mdp, level, goal, known, solve, False, call)

    def _evar_of_steps(self, mdp: MDP, level: float, call: Call) -> Found:
        """Each beta by its own steps back from the horizon; means and ranges likewise."""
        horizon = call.horizon or 0
        stages = Stages.of(mdp, "uniform", horizon)
        facts = facts_of_steps(stages)
        means = best_mean(mdp, call)
        known = Known(means.upper, facts.low, (facts.high - facts.low) * (1.0 + 4.0 * EPS), means.size, means.policy)

        def solve(b: float, enough: FloatArray) -> Solved:
            with _inside(call, Call(horizon=horizon)) as inner:
                one = by_horizon(mdp, -b, inner)
            return Solved(one.lower, one.upper, _rows(one))

        if call.interrupted or horizon == 0:
            return means
        return by_betas(mdp, level, goal_of(known.scale, known.size, call), known, solve, False, call)

    def _evar_undiscounted(self, mdp: MDP, level: float, call: Call) -> Found:
        means, problem = _endings(mdp, call)
        low, high = ranges_of_all(problem.pairs.mdp)
        size = largest_size(means.values, problem.pairs.largest_reward)
        known = Known(means.upper, low, high - low, size, means.policy)
        goal = goal_of(known.scale, known.size, call)

        def solve(b: float, enough: FloatArray) -> Solved:
            with _inside(call, Call(max_iterations=call.max_iterations)) as inner:
                bounds = problem.solve(-b, 0.1 * goal, inner, enough)
            return Solved(bounds.low, bounds.high, problem.pairs.actions(bounds.policy)[None])

        return by_betas(mdp, level, goal, known, solve, True, call)


def _endings(mdp: MDP, call: Call) -> tuple[Found, Undiscounted]:
    """The best means at discount 1, and the problem of entropic risk there."""
    pairs = Pairs(with_silent_ends(mdp))
    nearer_end(pairs)  # refuses what no policy ends
    means = best_mean(mdp, call)
    return means, Undiscounted(pairs, means)


def _rows(found: Found) -> IntArray:
    """The actions of every step."""
    policy = found.policy
    assert isinstance(policy, MarkovPolicy | TimedPolicy)
    return policy.actions


@contextmanager
def _inside(call: Call, inner: Call) -> Iterator[Call]:
    """One of many solves: its work is the call's, and so is Ctrl-C."""
    yield inner
    call.count(inner.iterations)
    if inner.interrupted:
        raise KeyboardInterrupt


def _within(goal: float, call: Call) -> float:
    """`goal`, or half of what the call asks for."""
    return goal if call.tol is None else min(goal, 0.5 * call.tol)
