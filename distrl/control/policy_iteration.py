"""Policy iteration for the mean, and certain bounds on what any policy can reach.

Definitions. V_p is the mean return of a policy p, V* the largest of any policy; at discount 1 of any that surely ends,
within a number of steps that has a finite mean.

Algorithm. A policy is evaluated by the states' linear system, with a certain bound on the error (`enclosed_mean`), and
an action is exchanged where another one is better for certain, rounding and that bound counted (Howard 1960). Values
then rise strictly, so that no policy comes twice. At discount 1 the first policy surely ends, and so do all others: one
that does not would have gained more than 0 on the average round of where it stays, and then no policy is the best.

Bounds. `lower` is V_p less its error; `upper` is that of `distrl.control.upper`.

Sources: Howard 1960, "Dynamic Programming and Markov Processes"; Bertsekas and Tsitsiklis 1991, "An Analysis of
Stochastic Shortest Path Problems"; the certificate is this library's.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import never_ending, undiscounted, with_silent_ends
from distrl.control.first_policy import first_policy
from distrl.control.method import ControlMethod, Found, largest_size
from distrl.control.policy import MarkovPolicy
from distrl.control.upper import Evaluated, upper_bound
from distrl.dp.call import Call
from distrl.dp.moment_systems import enclosed_mean
from distrl.dp.resolvent import Resolvent
from distrl.models.mdp import MDP
from distrl.models.stages import step_under
from distrl.returns import Functional, Mean

_LONGEST = 10_000  # policies: values rise strictly, so that there is an end


@dataclass(frozen=True)
class PolicyIteration(ControlMethod):
    """Howard's policy iteration, each policy evaluated by a linear system over states; with a horizon backwards.

    Notes
    -----
    Time: a handful of policies, tens at most in practice; each costs a solve over states and a pass over the outcomes.
    With a horizon H passes over the outcomes, O(H S) memory for the policy. Guarantee: `lower` <= value of the policy,
    and of the best one, <= `upper`, rounding counted (claim `optimal-mean-bounds`). Source: Howard 1960.
    """

    counts: ClassVar[str] = "policies"

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, Mean)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy of the largest mean return, from every state.

        Parameters
        ----------
        mdp : MDP
        objective : Mean
        call : Call
            Its `max_iterations` counts policies; with a `horizon` the policy depends on the step.

        Raises
        ------
        ValueError
            At discount 1, naming a state from which no policy ends, or from which means have no largest.
        """
        if call.horizon is not None:
            return _by_steps(Pairs(mdp), call)
        return _by_policies(Pairs(with_silent_ends(mdp) if undiscounted(mdp) else mdp), call)


def evaluated(pairs: Pairs, policy: IntArray) -> Evaluated:
    """A policy, one pair a state, by its linear system."""
    process = step_under(pairs.mdp, pairs.actions(policy)).whole()
    linear = Resolvent.of(process)
    values, error = enclosed_mean(process, linear)
    return Evaluated(policy, linear, values, np.where(np.isfinite(error), error, np.inf))


def found_markov(
    pairs: Pairs, actions: IntArray, values: FloatArray, ends: tuple[FloatArray, FloatArray], better: bool, reason: str
) -> Found:
    """What is found where the policy is one action for each state, or for each step and state."""
    policy = MarkovPolicy(actions, pairs.mdp.n_actions)
    return Found(policy, values, *ends, better, reason, largest_size(values, pairs.largest_reward))


def _by_policies(pairs: Pairs, call: Call) -> Found:
    call.enter("looking for a first policy")
    now = evaluated(pairs, first_policy(pairs))
    limit = _LONGEST if call.max_iterations is None else call.max_iterations
    better = True
    call.enter("improving the policy")
    with call.interruptible():
        while better and call.iterations < limit:
            call.count()
            policy = _improved(pairs, now)
            better = policy is not None
            if policy is not None:
                _refuse_endless(pairs, policy)
                now = evaluated(pairs, policy)
            call.advance(1.0 - 1.0 / (call.iterations + 1.0), float(now.error.max()))
    call.enter("bounding what any policy can reach")
    upper, how = upper_bound(pairs, now)
    reason = f"{call.iterations} policies, values by {now.linear.how}, the upper bound by {how}"
    return found_markov(pairs, pairs.actions(now.policy), now.values, (now.values - now.error, upper), better, reason)


def _improved(pairs: Pairs, now: Evaluated) -> IntArray | None:
    """The policy with every action exchanged that another one beats for certain; None where there is none."""
    advantage = pairs.advantage(now.values)
    with np.errstate(invalid="ignore"):
        room = advantage.error + pairs.spread(now.error) + now.error[pairs.states]
        sure = advantage.values > room * (1.0 + 4.0 * EPS)
    if not sure.any():
        return None
    gain = np.where(sure, advantage.values, -np.inf)
    chosen = pairs.first_best(gain)
    changes = np.isfinite(pairs.largest(gain))
    return np.where(changes, chosen, now.policy)


def _refuse_endless(pairs: Pairs, policy: IntArray) -> None:
    """At discount 1 a policy that is better for certain and does not end gains for ever."""
    if pairs.g < 1.0:
        return
    lost = never_ending(pairs, policy)
    if lost.any():
        state = int(np.argmax(lost))
        raise ValueError(
            f"at discount 1 no policy is the best: from state {pairs.mdp.states[state]!r} one can go round with a mean "
            "reward above 0 a step for as long as one likes; use a discount below 1, give horizon=, or check the "
            "rewards of that round"
        )


# -- finite horizons --------------------------------------------------------------------------------------------------


def _by_steps(pairs: Pairs, call: Call) -> Found:
    """Backward induction: the best first action with h steps left, h = 1, ..., H."""
    horizon, n = call.horizon or 0, pairs.mdp.n_states
    chosen = np.zeros((horizon, n), dtype=np.int64)
    values, error, done = np.zeros(n), np.zeros(n), 0
    call.enter("stepping back from the horizon")
    with call.interruptible():
        for step in range(horizon - 1, -1, -1):
            backup = pairs.backup(values)
            policy = pairs.first_best(backup.values)
            room = backup.error + pairs.spread(error)
            chosen[step] = pairs.actions(policy)
            values, error, done = backup.values[policy], pairs.largest(room), done + 1
            call.count()
            call.advance(done / horizon)
    if done < horizon:  # what was found are the last steps; the first ones play anything
        chosen[: horizon - done] = pairs.actions(pairs.choices.indptr[:-1])
        reach = 2.0 * pairs.largest_reward * _discounted(pairs.g, horizon) + np.abs(values) + error
        return found_markov(
            pairs, chosen, values, (-reach, reach), True, f"{done} of {horizon} steps back from the horizon"
        )
    ends = (values - error, values + error)
    return found_markov(pairs, chosen, values, ends, False, f"{done} steps back from the horizon")


def _discounted(g: float, steps: int) -> float:
    return float(steps) if g == 1.0 else (1.0 - g**steps) / (1.0 - g) * (1.0 + 8.0 * EPS)
