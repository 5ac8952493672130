"""Entropic risk below discount 1, and at any discount with a horizon: back over time."""

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.bellman import Pairs
from distrl.control.method import Found, largest_size
from distrl.control.policy import MarkovPolicy
from distrl.control.timed.family import EntropicFamily
from distrl.control.timed.ladder import Kept, Stage, descend, start_of
from distrl.control.timed.policy import TimedPolicy, empty_table, trimmed
from distrl.control.timed.steps import EntropicSteps
from distrl.control.timed.tail import Tail
from distrl.dp.call import Call
from distrl.models.mdp import MDP
from distrl.models.stages import discounted_steps

_MOST = 2_000_000_000  # bytes of a policy's table
_WORK, _STEPS = 2e11, 5_000_000  # outcomes that are passed over, and steps: some ten minutes
_KEPT = 8_000_000  # numbers of a pass that are kept for other betas


def by_time(mdp: MDP, beta: float, share: float, call: Call, known: Tail | None = None) -> Found:
    """The policy of the largest entropic risk at beta, below discount 1.

    Parameters
    ----------
    mdp, beta, call : MDP, float, Call
    share : float
        What cutting the recursion may leave, as a share of the returns' width.
    known : Tail, optional
        Found before, for one of many betas, of which nothing is kept then.
    """
    call.enter("looking for the best mean")
    tail, n = known or Tail(mdp, call), mdp.n_states
    goal = share * tail.scale
    goal = goal if call.tol is None else min(goal, 0.5 * call.tol)
    most = steps_that_fit(mdp, call)
    count = tail.steps_for(beta, goal, most)
    steps, start = EntropicSteps(mdp), start_of(tail, beta, 1, count)
    actions, kept = empty_table(count, mdp), Kept(n, count, _KEPT)
    kept(start)

    def keep(stage: Stage) -> None:
        actions[stage.step] = mdp.choices.actions[stage.pairs[0]]
        if known is None:
            kept(stage)

    call.enter("stepping back over time")
    reached = start if call.interrupted else descend(steps, start, beta, call, keep)
    if reached.step > 0:  # nothing of what was found is at this beta
        low, high = tail.ends(beta)
        policy = TimedPolicy(actions[:0], tail.actions, np.zeros(n, dtype=np.int64), 1, np.full(n, beta), mdp.n_actions)
        return Found(policy, low, low, high, True, f"{count - reached.step} of {count} steps", tail.size)
    family = (
        None
        if known is not None
        else EntropicFamily(
            mdp=mdp,
            beta=beta,
            actions=actions,
            tail=tail.actions,
            width=tail.width,
            stages=np.array(kept.stages[::-1], dtype=np.int64),
            lows=np.stack([low for low, _ in kept.ends[::-1]]),
            highs=np.stack([high for _, high in kept.ends[::-1]]),
            means=(tail.found.lower, tail.upper),
            size=tail.size,
        )
    )
    rows = trimmed(actions, tail.actions)
    policy = TimedPolicy(rows, tail.actions, np.zeros(n, dtype=np.int64), 1, np.full(n, beta), mdp.n_actions)
    low, high = reached.low[0], reached.high[0]
    limited = count >= most and float((high - low).max()) > goal
    reason = f"{count} steps back over time, of which {len(rows)} need actions of their own"
    reason += ", cut where memory or time ends" if limited and call.max_iterations is None else ""
    return Found(policy, low, low, high, limited, reason, tail.size, family=family)


def steps_that_fit(mdp: MDP, call: Call) -> int:
    """How many steps a recursion may have: as many as the call allows, else as memory and time have room for."""
    bytes_of_step = mdp.n_states * np.min_scalar_type(max(mdp.n_actions - 1, 0)).itemsize
    fits = max(min(_MOST // bytes_of_step, int(_WORK / len(mdp.outcomes.probs)), _STEPS), 1)
    return int(fits if call.max_iterations is None else min(call.max_iterations, fits))


def by_horizon(mdp: MDP, beta: float, call: Call) -> Found:
    """The policy of the largest entropic risk at beta of the return of H steps, H the call's horizon.

    Parameters
    ----------
    mdp, beta, call : MDP, float, Call
    """
    horizon, n = call.horizon or 0, mdp.n_states
    steps, pairs = EntropicSteps(mdp), Pairs(mdp)
    chosen = np.tile(pairs.actions(pairs.choices.indptr[:-1]), (horizon, 1))
    low = high = np.zeros(n)
    done = 0
    call.enter("stepping back from the horizon")
    with call.interruptible():
        for step in range(horizon - 1, -1, -1):
            b = beta * mdp.discount**step
            ends = steps.both(b, low, high)
            chosen[step] = pairs.actions(ends.pairs)
            low, high, done = ends.low, ends.high, done + 1
            call.count()
            call.advance(done / horizon)
    policy = MarkovPolicy(chosen, mdp.n_actions)
    size = largest_size(low, pairs.largest_reward)
    reason = f"{done} steps back from the horizon"
    if done < horizon:
        low, high = bounds_of_steps(steps, beta, horizon)
        reason = f"{done} of {horizon} steps back from the horizon"
    return Found(policy, 0.5 * low + 0.5 * high, low, high, done < horizon, reason, size)


def bounds_of_steps(steps: EntropicSteps, beta: float, horizon: int) -> tuple[FloatArray, FloatArray]:
    """(S,) each: what every policy's entropic risk of H steps lies between, from the rewards' ends alone.

    Parameters
    ----------
    steps, beta, horizon : EntropicSteps, float, int
    """
    total = discounted_steps(steps.discount, horizon) * (1.0 + 8.0 * EPS)
    below, above = steps.reward_ends(beta)
    # at smaller betas of a later step risks are nearer to the mean
    least, most = (below, steps.mdp.outcomes.rewards) if beta < 0.0 else (steps.mdp.outcomes.rewards, above)
    ends = total * min(float(least.min()), 0.0), total * max(float(most.max()), 0.0)
    low, high = (np.full(steps.mdp.n_states, end) for end in ends)
    return low, high
