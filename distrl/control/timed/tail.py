"""What is certain of entropic risk at a beta near 0: where the recursion over time is cut.

Let p be a policy of the largest mean, V its values and V* the largest of any. By Hoeffding and Bennett
|h_c - E G| <= |c| w^2 / 8 for returns on an interval of width w, and by Jensen h_c <= E G for c < 0. So, for what p
reaches and for what no policy exceeds,

    c < 0:   V(x) - |c| w(x)^2 / 8 <= h_c^p(x),      h_c(x) <= V*(x),
    c > 0:   V(x) <= h_c^p(x),                       h_c(x) <= V*(x) + c W(x)^2 / 8,

w(x) the width of the returns under p, W(x) of those under all policies. T steps shrink what is between by g^T, and c by
g^T as well (Hau, Petrik and Ghavamzadeh 2023, Theorem 3.4, for the lower end of c < 0). Claim `entropic-near-mean`,
claim `entropic-cut`.
"""

from dataclasses import replace
from functools import cached_property

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.method import Found, largest_size
from distrl.control.policy import MarkovPolicy
from distrl.control.policy_iteration import PolicyIteration
from distrl.dp.call import Call
from distrl.dp.certified_moments import certified_moments
from distrl.dp.entropic import far_ends
from distrl.dp.entropic_steps import RewardExponents, Steps
from distrl.models.mdp import MDP
from distrl.returns import Mean
from distrl.returns.functionals import Ends
from distrl.returns.grid import return_ranges


class Tail:
    """A policy of the largest mean return, and what is certain of h_c near c = 0. Below discount 1.

    Parameters
    ----------
    mdp : MDP
    call : Call
        Told if Ctrl-C comes.
    """

    def __init__(self, mdp: MDP, call: Call) -> None:
        self.mdp = mdp
        self.found = best_mean(mdp, call)
        assert isinstance(self.found.policy, MarkovPolicy)
        self.actions: IntArray = self.found.policy.actions
        self.pairs = mdp.choices.sources(np.arange(mdp.n_states), self.actions)
        self._process = mdp.under(self.actions).whole()
        self._steps = Steps(self._process)
        self._moments = certified_moments(self._process)
        if mdp.outcomes.defects.any():  # of the range that counts for risk they say nothing
            low, high = self.ranges
            low, high = np.minimum(self._moments.low, low), np.maximum(self._moments.high, high)
            self._moments = replace(self._moments, low=low, high=high)

    @cached_property
    def ranges(self) -> Ends:
        """(S,) each: ends that no return goes beyond, whatever is done; infinite where there are none."""
        return ranges_of_all(self.mdp)

    @cached_property
    def width(self) -> FloatArray:
        """(S,) of the interval between them, rounded up."""
        return np.asarray((self.ranges[1] - self.ranges[0]) * (1.0 + 2.0 * EPS))

    @property
    def upper(self) -> FloatArray:
        """(S,) what no mean exceeds."""
        return self.found.upper

    @property
    def scale(self) -> float:
        """What shares are shares of: the widest of the states' ranges, or the size of values where there is none."""
        widest = float(self.width.max())
        return widest if 0.0 < widest < np.inf else max(self.size, 1e-300)

    @cached_property
    def size(self) -> float:
        """How large values and rewards are."""
        return largest_size(self.found.values, Pairs(self.mdp).largest_reward)

    def ends(self, c: float) -> Ends:
        """(S,) each: what the policy's h_c is at least, and what no policy's exceeds.

        Parameters
        ----------
        c : float
        """
        if c == 0.0:
            return self.found.lower, self.upper
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            low = far_ends(self._steps, c, self._moments)[0]
            low = np.where(np.isnan(low), -np.inf, low)
            if c < 0.0:
                return low, self.upper
            low = np.maximum(low, self.found.lower)
            more = c * self.width**2 / 8.0 * (1.0 + 8.0 * EPS)
            high = self.upper + more + 4.0 * EPS * np.abs(self.upper)
            if not np.isfinite(high).all():
                high = np.minimum(high, RewardExponents(self.mdp.outcomes).farthest(c, self.mdp.discount, surely=True))
            return low, high

    def steps_for(self, beta: float, share: float, most: int) -> int:
        """After how many steps what is left between the ends is at most `share`, in units of reward; `most` at most."""

        def left(steps: int) -> float:
            low, high = self.ends(beta * self.mdp.discount**steps)
            return float(self.mdp.discount**steps * (high - low).max())

        count = 1
        while count < most and not left(count) <= share:
            count *= 2
        count, below = min(count, most), count // 2
        while count - below > max(1, count // 64):
            middle = (below + count) // 2
            below, count = (below, middle) if left(middle) <= share else (middle, count)
        return count


def ranges_of_all(mdp: MDP) -> Ends:
    """(S,) each: ends that no return goes beyond, whatever is done; infinite where there are none.

    Where a row lacks mass, of which nothing is known but that its rewards are among those that there are, returns may
    be anything that these add up to.

    Parameters
    ----------
    mdp : MDP
    """
    low, high = return_ranges(mdp.under("uniform"))
    if not mdp.outcomes.defects.any():
        return low, high
    lows, highs = mdp.outcomes.reward_ranges()
    least, most = min(float(lows.min()), 0.0), max(float(highs.max()), 0.0)
    steps = np.inf if mdp.discount == 1.0 else 1.0 / (1.0 - mdp.discount) * (1.0 + 8.0 * EPS)
    return np.minimum(low, least * steps if least else 0.0), np.maximum(high, most * steps if most else 0.0)


def best_mean(mdp: MDP, call: Call) -> Found:
    """A policy of the largest mean, by policy iteration; Ctrl-C there counts as one of `call`.

    Parameters
    ----------
    mdp, call : MDP, Call
    """
    inner = Call(progress=call.progress, horizon=call.horizon)
    found = PolicyIteration().optimal(mdp, Mean(), inner)
    call.interrupted = call.interrupted or inner.interrupted
    return found
