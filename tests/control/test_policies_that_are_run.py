"""Policies that are run by hand: no wrong state or memory plays in silence."""

import numpy as np
import pytest

import distrl
from distrl import MDP, CVaR, EntropicRisk, Mean, ProbabilityAbove, optimize

pytestmark = pytest.mark.fast
ROWS = [(0, 0, 1.0, 1, 1.0, False), (0, 1, 0.5, 1, 0.0, False), (0, 1, 0.5, 1, 4.0, False)]
PAID = MDP.from_outcomes([*ROWS, (1, 0, 0.8, 0, 0.5, False), (1, 0, 0.2, 1, 0.0, True)], 0.9)


def learnt():
    return distrl.learn(PAID, distrl.TargetQ(cells=8, level=0.2), updates=5, rng=0).policy()[0]


POLICIES = {
    "markov": lambda: optimize(PAID, Mean()).policy,
    "by step": lambda: optimize(PAID, Mean(), horizon=3).policy,
    "timed": lambda: optimize(PAID, EntropicRisk(-1.0)).policy,
    "target": lambda: optimize(PAID, CVaR(0.2), tol=0.5).policy,
    "target by step": lambda: optimize(PAID, CVaR(0.2), horizon=3, tol=0.5).policy,
    "nodes": lambda: optimize(PAID, ProbabilityAbove(2.0), horizon=3).policy,
    "learnt": learnt,
}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_loop_of_start_act_and_observe_takes_numbers_of_numpy_and_names_what_is_wrong(kind):
    policy = POLICIES[kind]()
    memory = policy.start(np.int64(0))
    action = policy.act(np.int64(0), memory)
    assert PAID.available[0, action]
    assert PAID.available[1, policy.act(1, policy.observe(0, memory, np.float64(4.0), np.int64(1)))]
    for state, error in ((-1, ValueError), (2, ValueError), ("zero", TypeError), (0.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match=r"^state must be"):
            policy.start(state)
        with pytest.raises(error, match=r"^state must be"):
            policy.act(state, memory)
    if kind == "markov":
        return
    wrong = "zero" if not isinstance(memory, tuple) else (0, "zero")
    for call in (lambda: policy.act(0, wrong), lambda: policy.observe(0, wrong, 0.0, 1)):
        with pytest.raises(TypeError, match="memory"):
            call()
    if isinstance(memory, float | tuple):
        lost = (0, float("nan")) if isinstance(memory, tuple) else float("nan")
        with pytest.raises(ValueError, match=r"memory.* must be finite"):
            policy.act(0, lost)
        with pytest.raises(ValueError, match="reward must be finite"):
            policy.observe(0, memory, float("nan"), 1)
        with pytest.raises(ValueError, match="next_state must be at most 1"):
            policy.observe(0, memory, 0.0, 2)
