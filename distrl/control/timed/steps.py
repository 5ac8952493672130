"""One step of the recursion of entropic risk over the pairs of a decision process, for either end of it.

h_b(x) = max over policies of (1/b) log E exp(b G(x)) satisfies, for b of either sign,

    h_b(x) = max_a (1/b) log sum over outcomes of p E exp(b (R + g h_{bg}(y))),      h_b(y) = 0 where it has ended:

the logarithm of a moment grows with what it is of, so that the best at bg of the rest is the best for b of the whole.
"""

from typing import NamedTuple

import numpy as np

from distrl._kernels.timed import entropic_step
from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray, IntArray
from distrl.dp.entropic_steps import RewardExponents
from distrl.models.mdp import MDP
from distrl.returns.functionals import Ends

_NO_BETA = 1e-290  # a smaller one is none: the risk is the mean up to less than float64 can tell
_NO_CAPS = np.empty(0)
_SAME = 64.0 * EPS  # of the largest value: a pair that is better by less is no reason to change the action


class Step(NamedTuple):
    """An end (S,) of h_b one step earlier, and the pair (S,) that reaches it."""

    values: FloatArray
    pairs: IntArray


class Both(NamedTuple):
    """Both ends (S,) of h_b one step earlier, and the pair (S,) that reaches the lower one."""

    low: FloatArray
    high: FloatArray
    pairs: IntArray


class Seen:
    """What each pair was worth at most when it was last looked at in a pass back at negative betas.

    A pair is worth Q_b(v) = (1/b) log E exp(b (R + g v)) at values v of the next states. Q rises with b and with v, and
    by g c at most where v rises by c at most. So for b <= b' < 0

        Q_b(v) <= Q_b'(v') + g max(v - v', 0),

    the largest of all states. In a pass |b| grows from step to step, and risks fall: most pairs are known for many
    steps to be worth less than the best one.

    Parameters
    ----------
    pairs : int

    Attributes
    ----------
    caps : (pairs,)
        With `risen` added what they are worth at most; inf where they were not looked at.
    risen : float
    """

    def __init__(self, pairs: int) -> None:
        self.caps, self.risen = np.full(pairs, np.inf), 0.0
        self._last: tuple[float, FloatArray] | None = None

    def caps_at(self, b: float, after: FloatArray, discount: float) -> FloatArray:
        """(pairs,) which with `risen` bound what pairs are worth at b and `after`, where they have been looked at.

        Parameters
        ----------
        b, after, discount : float, (S,), float
        """
        if self._last is not None:
            last, before = self._last
            with np.errstate(invalid="ignore"):  # inf - inf: then nothing is known any more
                rise = float((after - before).max())
            self.risen = (self.risen + discount * max(rise, 0.0)) * (1.0 + 8.0 * EPS)
            if not (b <= last and rise < np.inf):
                self.caps.fill(np.inf)
                self.risen = 0.0
        self._last = b, after
        return self.caps


class EntropicSteps:
    """The outcomes of a decision process, laid out for steps of the recursion.

    Parameters
    ----------
    mdp : MDP
        With one discount for all outcomes.
    """

    def __init__(self, mdp: MDP) -> None:
        self.mdp, table = mdp, mdp.outcomes
        self.discount, self.indptr = mdp.discount, mdp.choices.indptr.astype(np.int64)
        self.rows = table.indptr.astype(np.int64)
        self.probs = table.probs / np.add.reduceat(table.probs, table.indptr[:-1])[table.sources]
        self.next_states = table.next_states.astype(np.int64)
        self.going_on = ~table.terminals & (self.discount > 0.0)  # 0 times an infinite end is nothing
        self.defects = np.ascontiguousarray(table.defects)
        self._lacking = bool(self.defects.any())
        self.rewards = RewardExponents(table)
        self._constant = np.ascontiguousarray(table.rewards) if not table.reward_laws else None
        self._largest, self._longest = float(np.abs(table.rewards).max()), float(np.diff(table.indptr).max())
        self._anyone = np.full(mdp.n_states, -1, dtype=np.int64)

    def reward_ends(self, b: float) -> Ends:
        """(outcomes,) ends of (1/b) log E exp(b R)."""
        if self._constant is not None:
            return self._constant, self._constant
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            low, high = self.rewards.ends(b)
        return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)

    @property
    def exact(self) -> bool:
        """Whether nothing but rounding lies between the two ends: rewards are constants, and rows sum to 1."""
        return self._constant is not None and not self._lacking

    def both(
        self, b: float, low: FloatArray, high: FloatArray, preferred: IntArray | None = None, seen: Seen | None = None
    ) -> Both:
        """Both ends of h_b from those of h_{bg}.

        The step of the recursion shrinks what is between two ends by g in the sup norm, so that where nothing but
        rounding is added one end says what the other is.

        Parameters
        ----------
        b, low, high, preferred : float, (S,), (S,), (S,) pairs
        seen : Seen, optional
            Of the steps of the same pass before. Ends and pairs are the same without it.
        """
        below = self.back(b, low, -1.0, preferred, seen)
        gap = float((high - low).max())
        if not (self.exact and np.isfinite(gap)):
            return Both(below.values, self.back(b, high, 1.0).values, below.pairs)
        size = self._largest + float(np.abs(low).max())
        room = 2.0 * (4.0 * (self._longest + 16.0) * EPS * size + TINY)
        room += 0.0 if preferred is None else _SAME * size
        return Both(below.values, below.values + (self.discount * gap + room) * (1.0 + 4.0 * EPS), below.pairs)

    def back(
        self,
        b: float,
        after: FloatArray,
        side: float,
        preferred: IntArray | None = None,
        seen: Seen | None = None,
    ) -> Step:
        """An end of h_b from the end of h_{bg} on the same side, rounding counted.

        Parameters
        ----------
        b : float
        after : (S,)
        side : 1.0 for the upper end, -1.0 for the lower one
        preferred : (S,) pairs, optional
            Taken where no pair is better by more than rounding.
        seen : Seen, optional
            See `both`.
        """
        b = float(np.copysign(max(abs(b), _NO_BETA), b))
        rewards = self.reward_ends(b)[int(side > 0.0)]
        values, pairs = np.empty(len(after)), np.empty(len(after), dtype=np.int64)
        g, wanted, tie, farthest = self.discount, self._anyone, 0.0, 0.0
        if self._lacking:
            end = side * float(np.max(side * after))
            farthest = side * (float(np.max(side * rewards)) + max(side * g * end, 0.0))
        if preferred is not None:
            wanted, finite = preferred, np.abs(after[np.isfinite(after)])
            tie = _SAME * float(finite.max(initial=0.0))
        caps = _NO_CAPS if seen is None else seen.caps_at(b, after, g)
        entropic_step(
            self.indptr,
            self.rows,
            self.probs,
            self.next_states,
            self.going_on,
            rewards,
            self.defects,
            farthest,
            after,
            g,
            b,
            side,
            wanted,
            tie,
            values,
            pairs,
            caps,
            0.0 if seen is None else seen.risen,
        )
        return Step(values, pairs)
