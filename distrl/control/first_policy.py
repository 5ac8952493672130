"""A policy to begin policy iteration with: by sweeps of value iteration, of which nothing is claimed."""

import numpy as np

from distrl._kernels.first_policy import greedy_sweeps
from distrl._validation import IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import made_ending, nearer_end

_WARM = 100  # sweeps where a policy is evaluated at once
_AT_ONCE = 150  # states up to which it is
_TOGETHER, _IN_TURN = 30, 400  # sweeps of all states at once, and then of one after the other
_BREATH = 20  # sweeps between which Ctrl-C is heard
_BETTER = 1e-12  # of the value: an action that is better by less is none


def first_policy(pairs: Pairs) -> IntArray:
    """(S,) the greedy pairs after some sweeps of value iteration; at discount 1 made to end.

    Parameters
    ----------
    pairs : Pairs

    Raises
    ------
    ValueError
        At discount 1, naming a state from which no policy ends.
    """
    if pairs.g < 1.0:
        return _near_the_best(pairs) if pairs.mdp.n_states > _AT_ONCE else _greedy(pairs)
    nearer_end(pairs)  # refuses what no policy ends
    return made_ending(pairs, _greedy(pairs))


def _greedy(pairs: Pairs) -> IntArray:
    values = np.zeros(pairs.mdp.n_states)
    backup = pairs.backup(values).values
    for _ in range(_WARM):
        following = pairs.largest(backup)
        if not np.isfinite(following).all() or np.array_equal(following, values):
            break
        values = following
        backup = pairs.backup(values).values
    return pairs.first_best(backup)


def _near_the_best(pairs: Pairs) -> IntArray:
    """The same where a policy's evaluation costs as much as hundreds of sweeps.

    Where chance mixes states, sweeps of all of them at once soon change all values by one amount, which says how far
    off they all are; on maps what is far off is learnt of by sweeps forth and back.
    """
    n, onward = pairs.mdp.n_states, pairs.weights
    values = np.zeros(n)
    policy = pairs.first_best(pairs.table.expected_rewards)
    of_pairs = pairs.choices.indptr.astype(np.int64), onward.indptr.astype(np.int64), onward.data
    given = *of_pairs, onward.indices.astype(np.int64), pairs.table.expected_rewards
    with np.errstate(all="ignore"):
        _, least, most = greedy_sweeps(*given, values.copy(), values, policy, _TOGETHER, _BETTER)
        if most - least < 0.5 * abs(most + least):
            values += 0.5 * (least + most) * pairs.g / (1.0 - pairs.g)
        for _ in range(_IN_TURN // _BREATH):
            if greedy_sweeps(*given, values, values, policy, _BREATH, _BETTER)[0] < _BREATH:
                break
    return policy
