"""What no policy's mean goes beyond: a certain upper bound from any values, tight where they are the best ones.

T V(x) = max_a r(x, a) + g sum_y P(y | x, a) V(y) is the optimality operator. U is an upper bound where T U <= U (at
discount 1, for policies whose number of steps has a finite mean). With V what was computed and d(x, a) how far the
backup of (x, a) exceeds it, rounding included,

    U = V + c h,    c [h(x) - g sum_y P(y | x, a) h(y)] >= d(x, a) for every pair,

h = 1, or the expected number of steps of a policy, which is tighter. At discount 1 h is the largest expected number of
steps under the pairs that may improve, found by policy iteration. It is infinite where such pairs make rounds: states
between which one can move for nothing, and rounds whose rewards sum to 0 (`distrl.control.rounds`), are one state each
for that, with V levelled on them; a pair that stays in one is no way to more.

Sources: Bertsekas and Tsitsiklis 1991, "An Analysis of Stochastic Shortest Path Problems"; the certificate is this
library's.
"""

from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import free_components, made_ending, merged, never_ending
from distrl.control.rounds import Undecided, balanced
from distrl.dp.resolvent import Resolvent
from distrl.models.stages import step_under

_ROUNDS = 100  # policies tried for the largest expected number of steps
_LEAST = 1e-3  # of a step that an action has to take off the expected number, while more steps can be found
_WIDE = 4.0  # times what rounding allows, within which a pair counts as one that may be as good


class Evaluated(NamedTuple):
    """A policy, one pair a state, its system over states, its values (S,) and the bound on their error."""

    policy: IntArray
    linear: Resolvent
    values: FloatArray
    error: FloatArray


def upper_bound(pairs: Pairs, now: Evaluated) -> tuple[FloatArray, str]:
    """(S,) what no policy goes beyond, and how it was found; inf where it was not."""
    if not np.isfinite(now.values).all():
        return np.full(len(now.values), np.inf), "nothing: values are beyond float64"
    if pairs.g == 1.0:
        return _undiscounted(pairs, now)
    excess = _excess(pairs, now.values)
    flat = (1.0 + 8.0 * EPS) / (1.0 - pairs.g)
    found = now.values + max(float(excess.max()), 0.0) * flat
    own, against = _raised(pairs, now.values, excess, now.linear.gains)
    upper = found if against.any() else np.minimum(found, own)
    return upper + 4.0 * EPS * np.abs(upper), "one backup"


def _excess(pairs: Pairs, values: FloatArray) -> FloatArray:
    """(pairs,) how far the backup of values may exceed them."""
    advantage = pairs.advantage(values)
    return np.asarray(advantage.values + advantage.error)


def _raised(
    pairs: Pairs, values: FloatArray, excess: FloatArray, steps: FloatArray, least: float = 0.0
) -> tuple[FloatArray, BoolArray]:
    """values + c * steps with the smallest c that makes it an upper bound, and (pairs,) for which no c does.

    Pairs that need more than 1 / `least` times their excess count as such.
    """
    if not np.isfinite(steps).all():
        return values, np.ones(len(excess), dtype=np.bool_)
    margin = steps[pairs.states] * (1.0 - 4.0 * EPS) - pairs.spread(steps)
    needed = excess > 0.0
    against = needed & (margin <= least)
    if against.any():
        return values, against
    c = float((excess[needed] / margin[needed]).max(initial=0.0)) * (1.0 + 8.0 * EPS)
    falling = ~needed & (margin < 0.0)
    against[falling] = c * -margin[falling] > -excess[falling]
    return values + c * steps * (1.0 + 4.0 * EPS), against


# -- discount 1 -------------------------------------------------------------------------------------------------------


def _undiscounted(pairs: Pairs, now: Evaluated) -> tuple[FloatArray, str]:
    how = "the largest expected number of steps"
    free = free_components(pairs)
    whole = merged(pairs, free)
    inner = Pairs(whole.mdp)
    values = np.full(whole.mdp.n_states, -np.inf)
    np.maximum.at(values, whole.number, now.values)
    start = inner.first_best(inner.backup(values).values)
    upper = _over_ends(inner, values, _excess(inner, values), start)
    if upper is not None:
        return upper[whole.number], how
    try:
        found = _over_rounds(pairs, now, free.staying)
    except Undecided as error:
        return np.full(pairs.mdp.n_states, np.inf), f"nothing: {error}"
    if found is not None:
        return found, f"{how}, rounds whose rewards sum to 0 made one state each"
    unknown = np.full(pairs.mdp.n_states, np.inf)
    return unknown, "nothing: actions that may be as good need not end, see docs/control.md"


def _over_rounds(pairs: Pairs, now: Evaluated, free: BoolArray) -> FloatArray | None:
    """The bound where rounds that gain nothing are one state each; None where others are left."""
    advantage = pairs.advantage(now.values)
    room = advantage.error + pairs.spread(now.error) + now.error[pairs.states]
    round_about = balanced(pairs, free | (advantage.values + _WIDE * room >= 0.0))
    values, off = round_about.levelled(now.values)
    whole = merged(pairs, round_about.components)
    inner = Pairs(whole.mdp)
    excess = _excess(pairs, values) + (pairs.spread(off) + off[pairs.states]) * (1.0 + 4.0 * EPS)
    excess = (excess + EPS * np.abs(excess))[whole.kept]
    above = _over_ends(inner, np.zeros(whole.mdp.n_states), excess, inner.first_best(excess))
    if above is None:
        return None
    upper = values + off + above[whole.number]
    return np.asarray(upper + 4.0 * EPS * np.abs(upper))


def _over_ends(inner: Pairs, values: FloatArray, excess: FloatArray, start: IntArray) -> FloatArray | None:
    """The bound on a process in which a pair without an end leads on; None where the number of steps has no largest."""
    # a policy of the merged process that ends, to start from: that of `nearer_end` where nothing is nearer
    policy = made_ending(inner, start)
    for _ in range(_ROUNDS):
        process = step_under(inner.mdp, inner.actions(policy)).whole()
        steps = Resolvent.of(process).gains
        upper, against = _raised(inner, values, excess, steps, _LEAST)
        if not against.any():
            break
        longer = np.where((excess > 0.0) | against, 1.0 + inner.spread(steps), -np.inf)
        better = inner.largest(longer) > steps * (1.0 + 1e-9)
        if better.any() and np.isfinite(steps).all():
            policy = np.where(better, inner.first_best(longer), policy)
        if not better.any() or not np.isfinite(steps).all() or never_ending(inner, policy).any():
            upper, against = _raised(inner, values, excess, steps)
            break
    return None if against.any() else np.asarray(upper + 4.0 * EPS * np.abs(upper))
