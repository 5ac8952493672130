"""What bounds that hold with confidence ask of samples: a level, and an interval that is known to hold every return."""

import numpy as np

from distrl._validation import FloatArray, IntArray, real_number
from distrl.models.empirical_mdp import EmpiricalMDP


def checked_level(level: object) -> float:
    """A probability with which bounds hold, in [0.5, 1).

    Raises
    ------
    ValueError, TypeError
    """
    found = real_number(level, "pessimism", low=0.0, high=1.0)
    if not 0.5 <= found < 1.0:
        raise ValueError(
            f"pessimism is the probability with which the bounds hold, in [0.5, 1), such as 0.95; got {found:g}"
        )
    return found


def known_range(mdp: object) -> tuple[float, float]:
    """The interval that is known to hold every return.

    Raises
    ------
    ValueError, TypeError
        For what is no model of samples, at discount 1, for adaptive numbers of samples, and where no interval is known.
    """
    if not isinstance(mdp, EmpiricalMDP):
        raise TypeError(f"pessimism is about samples, and {mdp!r} is no EmpiricalMDP; leave pessimism out")
    if mdp.discount == 1.0:
        raise ValueError("pessimism needs a discount below 1: no interval holds every undiscounted return")
    if mdp.samples.adaptive:
        raise ValueError(
            "pessimism needs numbers of samples that were fixed beforehand, and these were chosen by looking at the "
            "samples (allocate='adaptive'); sample anew with fixed numbers"
        )
    if mdp.return_range is None:
        raise ValueError(
            "pessimism needs an interval that is known to hold every reward, those not seen included: give "
            "reward_range= to EmpiricalMDP, or draw from a GenerativeModel whose reward laws are bounded"
        )
    low, high = mdp.return_range
    return low, high if high > low else low + 1.0


def refuse_outside(
    mdp: EmpiricalMDP,
    sources: IntArray,
    rewards: tuple[FloatArray, FloatArray],
    onward: FloatArray,
    ends: tuple[float, float],
) -> None:
    """Known outcomes, which no sample was held against, have to stay within the range of returns.

    Parameters
    ----------
    mdp : EmpiricalMDP
    sources : (n,) the pairs of the outcomes
    rewards : two (n,), the ends of the rewards of each
    onward : (n,) what multiplies the return of the next state
    ends : the range of returns

    Raises
    ------
    ValueError
        Naming the state and the action.
    """
    low, high = ends
    room = 1e-9 * (high - low)
    outside = (rewards[0] + onward * low < low - room) | (rewards[1] + onward * high > high + room)
    if outside.any():
        row = int(np.argmax(outside))
        state, action = mdp.pairs[sources[row]]
        reward = rewards[0][row] if rewards[0][row] + onward[row] * low < low - room else rewards[1][row]
        raise ValueError(
            f"state {mdp.states[state]!r}, action {mdp.actions[action]!r} has reward {reward:g}, with which returns "
            f"leave their range [{low:g}, {high:g}]; give a wider reward_range="
        )
