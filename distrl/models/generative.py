"""The generative model: a model that can only be sampled."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, RandomSource, float_array, generator, int_array
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.samples import Samples

_REWARDS = ("sampled", "known")


class GenerativeModel:
    """A model that can only be sampled: asked for a state (MRP) or a state and action (MDP), it draws an outcome.

    Parameters
    ----------
    model : MRP or MDP
        The truth.
    rewards : "sampled" or "known"
        A sample is (reward, next state, terminal), drawn jointly, and the outcome's discount where they differ.
        sampled: a random reward enters the empirical model as the values that were drawn; known: its law is taken over,
        and only which outcome it was is drawn.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> import distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> empirical = GenerativeModel(mrp).sample(100, rng=0)
    >>> empirical.sample_counts
    array([100, 100])
    """

    def __init__(self, model: MRP | MDP, rewards: str = "sampled") -> None:
        if not isinstance(model, MRP | MDP):
            raise TypeError(f"model must be a distrl.MRP or a distrl.MDP, got {model!r}")
        if rewards not in _REWARDS:
            raise ValueError(f"rewards must be one of {', '.join(_REWARDS)}; got {rewards!r}")
        self.model, self.rewards = model, rewards

    def __repr__(self) -> str:
        return f"GenerativeModel({self.model!r}, rewards={self.rewards!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """What can be asked for a sample: (S,) states, or (S, A) states and actions, (pairs,) of an MDP where not every
        state has every action."""
        return self.model.choices.shape if isinstance(self.model, MDP) else (self.model.n_states,)

    @cached_property
    def return_range(self) -> tuple[float, float] | None:
        """The interval of `Grid.covering`, known and not estimated; None if there is none."""
        if self.model.largest_discount == 1.0:
            return None
        lows, highs = self.model.outcomes.reward_ranges()
        share = np.where(self.model.outcomes.terminals, 1.0, 1.0 - self.model.factors)
        low, high = float((lows / share).min()), float((highs / share).max())
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None

    def sample(
        self, n: ArrayLike, rng: RandomSource = None, to: EmpiricalMRP | EmpiricalMDP | None = None
    ) -> EmpiricalMRP | EmpiricalMDP:
        """`n` samples of every state or (state, action), as an empirical model.

        Parameters
        ----------
        n : int, (S,) ints for an MRP, (S, A) ints for an MDP
            Where not every state has every action, (S, A) ints that are 0 for those it has not, or (pairs,) ints in the
            order of `mdp.pairs`.
        rng : anything `numpy.random.default_rng` takes
        to : empirical model that an earlier call gave, optional
            What it has drawn is kept, and the new samples are added.

        Raises
        ------
        ValueError, TypeError
            On negative numbers, wrong shapes, or a source left without any sample, naming it.

        Notes
        -----
        Time O(outcomes + samples of random rewards). The counts of a source's outcomes are multinomial.
        """
        drawn = self._draw(self._wanted(n), generator(rng))
        if to is not None:
            if not isinstance(to, EmpiricalMRP | EmpiricalMDP) or to.drawn_from is not self:
                raise TypeError(f"to must be an empirical model that this generative model has drawn, got {to!r}")
            drawn = to.samples.merged(drawn)
        of = self.model
        empirical: EmpiricalMRP | EmpiricalMDP
        if isinstance(of, MDP):
            named: dict[str, Any] = {"available": of.choices, "states": of.states, "actions": of.actions}
            empirical = EmpiricalMDP(drawn, of.uniform_discount, initial=of.initial, layout=of.layout, **named)
        else:
            empirical = EmpiricalMRP(drawn, of.uniform_discount, initial=of.initial, layout=of.layout, states=of.states)
        empirical.return_range, empirical.drawn_from, empirical.labels = self.return_range, self, of.labels
        return empirical

    def _wanted(self, n: ArrayLike) -> IntArray:
        """(sources,) how many samples are asked for."""
        model, shape = self.model, self.shape
        if isinstance(model, MDP) and not model.choices.even and np.ndim(n) == 2:
            n = _of_pairs(float_array(n, "n"), model)
        asked = float_array(n, "n", ndim=(0, len(shape)))
        if asked.ndim and asked.shape != shape:
            raise ValueError(f"n must be a whole number or have shape {shape}, got shape {asked.shape}")
        return int_array(np.broadcast_to(asked, shape).reshape(-1), "n", low=0)

    def _draw(self, wanted: IntArray, rng: np.random.Generator) -> Samples:
        table = self.model.outcomes
        counts = np.zeros(len(table.probs), dtype=np.int64)
        for source in np.flatnonzero(wanted):
            piece = slice(table.indptr[source], table.indptr[source + 1])
            probs = table.probs[piece]
            counts[piece] = rng.multinomial(wanted[source], probs / probs.sum())
        by_law = [np.flatnonzero((table.laws == -1) & (counts > 0))]
        multiplicity, rewards = [counts[by_law[0]]], [table.rewards[by_law[0]]]
        laws = [np.full(len(by_law[0]), -1)]
        for index, law in enumerate(table.reward_laws):
            rows = np.flatnonzero((table.laws == index) & (counts > 0))
            if self.rewards == "sampled":
                rows = np.repeat(rows, counts[rows])
                rewards.append(law.sample(len(rows), rng))
                multiplicity.append(np.ones(len(rows), dtype=np.int64))
            else:
                rewards.append(table.rewards[rows])
                multiplicity.append(counts[rows])
            laws.append(np.full(len(rows), -1 if self.rewards == "sampled" else index))
            by_law.append(rows)
        rows = np.concatenate(by_law)
        return Samples(
            table.n_sources,
            table.n_states,
            table.sources[rows],
            table.next_states[rows],
            np.concatenate(rewards) + 0.0,
            table.terminals[rows],
            np.concatenate(laws),
            np.concatenate(multiplicity),
            table.reward_laws if self.rewards == "known" else (),
            None if isinstance(self.model, MRP) or self.model.choices.even else self.model.indptr,
            None if table.discounts is None else table.discounts[rows],
        ).collected()


def _of_pairs(matrix: FloatArray, model: MDP) -> FloatArray:
    """The entries of an (S, A) matrix for the pairs that are available; it has to be 0 for the others."""
    if matrix.shape != model.available.shape:
        raise ValueError(f"n must be a whole number or have shape {model.available.shape}, got shape {matrix.shape}")
    stray = (matrix != 0.0) & ~model.available
    if stray.any():
        state, action = (int(i) for i in np.argwhere(stray)[0])
        raise ValueError(
            f"n[{state}, {action}] is {matrix[state, action]:g}, but action {model.actions[action]!r} is not available "
            f"in state {model.states[state]!r}"
        )
    return model.choices.values(matrix)
