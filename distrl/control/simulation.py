"""Returns drawn under a policy with a memory, and what they say of it with confidence."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._steady import steady
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import undiscounted, with_silent_ends
from distrl.control.policy import MarkovPolicy, Memory, RunnablePolicy
from distrl.dp import Certificate, cdf_band
from distrl.dp.enclosure import CertifiedLaw
from distrl.models.mdp import MDP
from distrl.models.sampling import OutcomeSampler
from distrl.models.stages import discounted_steps
from distrl.returns import Functional, Grid, ParticleReturns
from distrl.returns.functionals import intersection, parse
from distrl.theory import dkw_halfwidth

#: What many episodes remember: numbers, or whatever a policy does.
Memories: TypeAlias = NDArray[Any]

#: The share of the largest size of a return at which discounted episodes are cut.
CUT = 1e-6


@runtime_checkable
class Playable(Protocol):
    """A policy that acts in many episodes at once."""

    def memories(self, states: IntArray) -> Memories:
        """(n,) the memories at the start."""

    def acting(self, step: int, states: IntArray, memories: Memories) -> IntArray:
        """(n,) the actions of step `step`."""

    def after(self, step: int, memories: Memories, rewards: FloatArray, next_states: IntArray) -> Memories:
        """(n,) the memories after it."""


@runtime_checkable
class Discounting(Playable, Protocol):
    """One whose memory goes by the discount that came with each outcome."""

    def after_own(
        self, step: int, memories: Memories, rewards: FloatArray, next_states: IntArray, factors: FloatArray
    ) -> Memories:
        """(n,) the memories after a step whose outcomes had discounts `factors`."""


@dataclass(frozen=True)
class _OneByOne:
    """Any policy, an episode at a time."""

    policy: RunnablePolicy

    def memories(self, states: IntArray) -> Memories:
        return self._held([self.policy.start(int(state)) for state in states])

    def acting(self, step: int, states: IntArray, memories: Memories) -> IntArray:
        act = self.policy.act
        return np.array([act(int(s), memory) for s, memory in zip(states, memories, strict=True)], dtype=np.int64)

    def after(self, step: int, memories: Memories, rewards: FloatArray, next_states: IntArray) -> Memories:
        # what was seen of the state is in the memory
        steps = zip(memories, rewards.tolist(), next_states.tolist(), strict=True)
        return self._held([self.policy.observe(0, memory, reward, state) for memory, reward, state in steps])

    @staticmethod
    def _held(memories: list[Memory]) -> Memories:
        held = np.empty(len(memories), dtype=np.object_)
        held[:] = memories
        return held


@dataclass(frozen=True)
class _Markov:
    """A policy without a memory but of time."""

    policy: MarkovPolicy

    def memories(self, states: IntArray) -> Memories:
        return np.zeros(len(states))

    def acting(self, step: int, states: IntArray, memories: Memories) -> IntArray:
        actions = self.policy.actions if self.policy.actions.ndim == 1 else self.policy.actions[step]
        return np.asarray(actions[states])

    def after(self, step: int, memories: Memories, rewards: FloatArray, next_states: IntArray) -> Memories:
        return memories


def playable(policy: RunnablePolicy) -> Playable:
    """The policy itself if it acts in many episodes at once, else what makes it do so.

    Parameters
    ----------
    policy : RunnablePolicy
    """
    if isinstance(policy, Playable):
        return policy
    return _Markov(policy) if isinstance(policy, MarkovPolicy) else _OneByOne(policy)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Independent returns under a policy.

    Attributes
    ----------
    returns : ParticleReturns, batch (K,)
        The returns from each of `states`, equally weighted.
    states : (K,)
    certificate : Certificate
        Bound on W1 to the law of the policy, with its `confidence` for one state; inf where returns have no bounds.
    steps : int
        After how many steps what was left was cut.
    """

    returns: ParticleReturns
    states: IntArray
    certificate: Certificate
    steps: int

    def band(self, x: ArrayLike) -> FloatArray:
        """(K, len(x), 2): with the certificate's confidence for one state its whole CDF lies within, but for what
        cutting moved (Dvoretzky, Kiefer, Wolfowitz).

        Parameters
        ----------
        x : (n,)
        """
        confidence = self.certificate.confidence
        assert confidence is not None
        return cdf_band(self.returns, np.asarray(x, dtype=np.float64), confidence)

    @steady
    def interval(self, functional: Functional | str, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """(K, 2) or (K, n, 2): with the certificate's confidence the functional of the policy's law lies within.

        Parameters
        ----------
        functional, at, tail
            As for `Solution.interval`.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        """
        confidence = self.certificate.confidence
        assert confidence is not None
        share, sure = dkw_halfwidth(self.returns.values.shape[-1], confidence), self.certificate
        width = float(sure.residual.max()) / share + float(sure.overshoot.max())  # of the returns' range
        law = CertifiedLaw(self.returns, sure, np.full(len(self.states), share), width)
        return intersection([law], parse(functional, at, tail))


def simulated(
    mdp: MDP,
    policy: Playable,
    states: IntArray,
    episodes: int,
    horizon: int | None,
    confidence: float,
    rng: np.random.Generator,
) -> Simulation:
    """`episodes` returns from each of `states`. Time O(states * episodes * length * log outcomes), in NumPy.

    Parameters
    ----------
    mdp, policy : MDP, Playable
    states : (K,)
    episodes : int
    horizon : int or None
    confidence : float in (0, 1)
    rng : numpy.random.Generator
    """
    if horizon is None and undiscounted(mdp):
        mdp = with_silent_ends(mdp)
    table, choices, g = mdp.outcomes.whole, mdp.choices, mdp.largest_discount
    factors = None if mdp.uniform_discount is not None else mdp.discounts
    keys, sampler = choices.states * choices.n_actions + choices.actions, OutcomeSampler(table)
    state, total = np.repeat(states, episodes), np.zeros(len(states) * episodes)
    memory, active = policy.memories(state), np.arange(len(state))
    size = Pairs(mdp).largest_reward
    scale: FloatArray = np.ones(len(state))
    step = 0
    while active.size and step != horizon and (g == 1.0 or scale.max() > CUT):
        action = policy.acting(step, state, memory)
        row = sampler.rows(np.searchsorted(keys, state * choices.n_actions + action), rng)
        reward = sampler.rewards(row, rng)
        total[active] += scale * reward
        going_on = ~table.terminals[row]
        active, state = active[going_on], table.next_states[row[going_on]]
        memory, reward, own = memory[going_on], reward[going_on], g if factors is None else factors[row[going_on]]
        if factors is not None and isinstance(policy, Discounting):
            memory = policy.after_own(step, memory, reward, state, factors[row[going_on]])
        else:
            memory = policy.after(step, memory, reward, state)
        scale, step = scale[going_on] * own, step + 1
    if step == horizon:
        active, scale = active[:0], scale[:0]
    # the band is about returns that are not cut; of those that were drawn this share was, each by so much at most
    left = np.bincount(active // episodes, minlength=len(states)) / episodes
    counts = np.bincount(active // episodes, weights=scale, minlength=len(states)) / episodes
    cut = counts * size / (1.0 - g) if g < 1.0 else np.zeros(len(states))
    width = _width(mdp, horizon) * dkw_halfwidth(episodes, confidence)
    rounding = 2.0 * (step + 1) * EPS * size * discounted_steps(g, step)
    certificate = Certificate(
        w1=width + cut + rounding,
        claim="monte-carlo-dkw",
        rounding=np.zeros(len(states)),
        overshoot=cut + rounding,
        residual=np.full(len(states), width),
        clipped_mass=left,
        confidence=confidence,
    )
    return Simulation(ParticleReturns(total.reshape(len(states), episodes)), states, certificate, step)


def _width(mdp: MDP, horizon: int | None) -> float:
    """Of an interval that holds all returns, whatever the policy; inf where none is known."""
    if horizon is not None:
        lows, highs = mdp.outcomes.reward_ranges()
        return float(max(highs.max(), 0.0) - min(lows.min(), 0.0)) * discounted_steps(mdp.largest_discount, horizon)
    try:
        return Grid.tight(mdp, 2).width
    except ValueError:
        return float("inf")
