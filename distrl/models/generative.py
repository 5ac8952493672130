"""The generative model, and the empirical models that its samples, or logged transitions, make."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import (
    MIXED_TOLERANCE,
    BoolArray,
    FloatArray,
    IntArray,
    float_array,
    generator,
    int_array,
    whole_number,
)
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable, build_table
from distrl.models.reading import transition_columns

_REWARDS = ("sampled", "known")


@dataclass(frozen=True, eq=False)
class Samples:
    """What was drawn: distinct (source, terminal, next state, reward), sorted in that order, and how often.

    Attributes
    ----------
    n_sources, n_states : int
    sources, next_states : (n,) int
    rewards : (n,) float, a law's mean where the law is known
    terminals : (n,) bool
    laws : (n,) int, index into `reward_laws` of a known law, -1 for a reward as observed
    counts : (n,) int, positive
    reward_laws : tuple of Law
    """

    n_sources: int
    n_states: int
    sources: IntArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    counts: IntArray
    reward_laws: tuple[Law, ...] = ()

    @classmethod
    def collect(
        cls,
        n_sources: int,
        n_states: int,
        sources: IntArray,
        next_states: IntArray,
        rewards: FloatArray,
        terminals: BoolArray,
        laws: IntArray,
        counts: IntArray,
        reward_laws: tuple[Law, ...] = (),
    ) -> "Samples":
        """Sort, and add up what is equal. Time O(n log n)."""
        keys = (rewards, laws, next_states, terminals, sources)
        order = np.lexsort(keys)
        fresh = np.ones(len(order), dtype=np.bool_)
        fresh[1:] = False
        for key in keys:
            fresh[1:] |= np.diff(np.asarray(key)[order]) != 0
        starts = np.flatnonzero(fresh)
        first = order[starts]
        total = np.add.reduceat(counts[order], starts) if len(starts) else np.empty(0, dtype=np.int64)
        columns = (sources[first], next_states[first], rewards[first], terminals[first], laws[first])
        return cls(n_sources, n_states, *columns, total, reward_laws)

    @cached_property
    def totals(self) -> IntArray:
        """(sources,) number of samples."""
        totals = np.zeros(self.n_sources, dtype=np.int64)
        np.add.at(totals, self.sources, self.counts)
        return totals

    @cached_property
    def groups(self) -> IntArray:
        """Where runs of one (source, terminal, next state, law) start, and the end."""
        fresh = np.ones(len(self.sources), dtype=np.bool_)
        fresh[1:] = False
        for key in (self.sources, self.terminals, self.next_states, self.laws):
            fresh[1:] |= np.diff(key) != 0
        return np.append(np.flatnonzero(fresh), len(self.sources)).astype(np.int64)

    def merged(self, other: "Samples") -> "Samples":
        """These and others, whose known laws are the same."""
        names = ("sources", "next_states", "rewards", "terminals", "laws", "counts")
        columns: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return Samples.collect(self.n_sources, self.n_states, **columns, reward_laws=self.reward_laws)

    def redrawn_counts(self, rng: np.random.Generator) -> IntArray:
        """(n,) how often each is drawn when as many samples of every source are drawn from these with replacement.

        Time O(samples) where most samples are seen once, as with continuous rewards, O(n) otherwise.
        """
        counts = np.zeros_like(self.counts)
        edges = np.searchsorted(self.sources, np.arange(self.n_sources + 1))
        for source in np.flatnonzero(self.totals):
            piece, total = slice(edges[source], edges[source + 1]), self.totals[source]
            here = self.counts[piece]
            if total > 8 * len(here):  # a binomial number a row costs as much as some ten samples
                counts[piece] = rng.multinomial(total, here / total)
            else:
                rows = np.repeat(np.arange(len(here)), here)
                counts[piece] = np.bincount(rows[rng.integers(total, size=total)], minlength=len(here))
        return counts

    def redrawn(self, rng: np.random.Generator) -> "Samples":
        """As many samples of every source, drawn from these with replacement. Time O(n)."""
        counts = self.redrawn_counts(rng)
        kept = counts > 0
        return replace(
            self,
            sources=self.sources[kept],
            next_states=self.next_states[kept],
            rewards=self.rewards[kept],
            terminals=self.terminals[kept],
            laws=self.laws[kept],
            counts=counts[kept],
        )

    def table(self, known: OutcomeTable | None, describe: Callable[[int], str]) -> OutcomeTable:
        """Outcome rows with frequencies as probabilities; sources without samples have the rows of `known`.

        The rewards observed on one (source, terminal, next state) become one `FiniteLaw`: they are mixed once, and a
        law of many values acts as one matrix.
        """
        starts, stops = self.groups[:-1], self.groups[1:]
        laws = list(self.reward_laws)
        index = self.laws[starts].copy()
        counts = np.add.reduceat(self.counts, starts) if len(starts) else np.empty(0, dtype=np.int64)
        for k in np.flatnonzero(stops - starts > 1):
            piece = slice(starts[k], stops[k])
            index[k] = len(laws)
            laws.append(FiniteLaw(self.rewards[piece], self.counts[piece] / counts[k]))
        columns: list[Any] = [
            self.sources[starts],
            counts / self.totals[self.sources[starts]],
            self.next_states[starts],
            self.rewards[starts],
            self.terminals[starts],
            index,
        ]
        if known is not None:
            rows = np.flatnonzero(self.totals[known.sources] == 0)
            shifted = np.where(known.laws >= 0, known.laws + len(laws), -1)
            extra = (known.sources, known.probs, known.next_states, known.rewards, known.terminals, shifted)
            columns = [np.concatenate([own, more[rows]]) for own, more in zip(columns, extra, strict=True)]
            laws.extend(known.reward_laws)
        columns.append(laws)
        table = build_table(
            *columns,
            n_sources=self.n_sources,
            n_states=self.n_states,
            describe=describe,
            tolerance=MIXED_TOLERANCE,
        )
        defects = np.zeros(self.n_sources) if known is None else np.where(self.totals == 0, known.defects, 0.0)
        return replace(table.whole, known_defects=defects) if defects.any() else table


class GenerativeModel:
    """A model that can only be sampled: asked for a state (MRP) or a state and action (MDP), it draws an outcome.

    Parameters
    ----------
    model : MRP or MDP
        The truth.
    rewards : "sampled" or "known"
        A sample is (reward, next state, terminal), drawn jointly. sampled: a random reward enters the empirical model
        as the values that were drawn; known: its law is taken over, and only which outcome it was is drawn.

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
        """(S,) or (S, A): what can be asked for a sample."""
        n = self.model.n_states
        return (n, self.model.n_actions) if isinstance(self.model, MDP) else (n,)

    @cached_property
    def return_range(self) -> tuple[float, float] | None:
        """The interval of `Grid.covering`, known and not estimated; None if there is none."""
        if self.model.discount == 1.0:
            return None
        lows, highs = self.model.outcomes.reward_ranges()
        share = np.where(self.model.outcomes.terminals, 1.0, 1.0 - self.model.discount)
        low, high = float((lows / share).min()), float((highs / share).max())
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None

    def sample(self, n: ArrayLike, rng: Any = None, to: Any = None) -> "EmpiricalMRP | EmpiricalMDP":
        """`n` samples of every state or (state, action), as an empirical model.

        Parameters
        ----------
        n : int, (S,) ints for an MRP, (S, A) ints for an MDP
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
        table, shape = self.model.outcomes, self.shape
        asked = float_array(n, "n", ndim=(0, len(shape)))
        if asked.ndim and asked.shape != shape:
            raise ValueError(f"n must be a whole number or have shape {shape}, got shape {asked.shape}")
        wanted = int_array(np.broadcast_to(asked, shape).reshape(-1), "n", low=0)
        drawn = self._draw(wanted, generator(rng))
        if to is not None:
            before = getattr(to, "samples", None)
            if not isinstance(before, Samples) or before.n_sources != table.n_sources or to.drawn_from is not self:
                raise TypeError(f"to must be an empirical model that this generative model has drawn, got {to!r}")
            drawn = before.merged(drawn)
        kind: Any = EmpiricalMDP if isinstance(self.model, MDP) else EmpiricalMRP
        model: EmpiricalMRP | EmpiricalMDP = kind._of(
            drawn, self.model.discount, self.model.initial, self.model.layout, self.return_range, self
        )
        return model

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
        return Samples.collect(
            table.n_sources,
            table.n_states,
            table.sources[rows],
            table.next_states[rows],
            np.concatenate(rewards) + 0.0,
            table.terminals[rows],
            np.concatenate(laws),
            np.concatenate(multiplicity),
            table.reward_laws if self.rewards == "known" else (),
        )


class _Empirical:
    """What empirical models share; `MRP` or `MDP` is the other base."""

    samples: Samples
    unknown: BoolArray
    return_range: tuple[float, float] | None
    drawn_from: GenerativeModel | None
    _known: OutcomeTable | None

    @classmethod
    def _of(
        cls,
        samples: Samples,
        discount: float,
        initial: Any,
        layout: Any,
        return_range: tuple[float, float] | None,
        drawn_from: GenerativeModel | None = None,
        unvisited: Any = "error",
    ) -> Self:
        model: Any = cls.__new__(cls)
        model._fill(samples, unvisited, discount, initial, layout)
        model.return_range, model.drawn_from = return_range, drawn_from
        return cast(Self, model)

    def _fill(self, samples: Samples, unvisited: Any, discount: float, initial: Any, layout: Any) -> None:
        model: Any = self
        per_state = samples.n_sources // samples.n_states
        is_mrp = isinstance(self, MRP)

        def describe(source: int) -> str:
            return f"state {source}" if is_mrp else f"state {source // per_state}, action {source % per_state}"

        model.samples = samples
        model._known, unknown = _unvisited(samples, unvisited, MRP if is_mrp else MDP, describe)
        model.unknown = unknown if is_mrp else unknown.reshape(-1, per_state)
        model._setup(samples.table(model._known, describe), discount, initial, layout)

    @property
    def sample_counts(self) -> IntArray:
        """(S,) or (S, A) number of samples of every state, or state and action."""
        return self.samples.totals.reshape(self.unknown.shape)

    def redrawn(self, rng: np.random.Generator) -> Self:
        """A bootstrap replicate: as many samples of everything, drawn from these with replacement."""
        model: Any = self
        filling = "error" if self._known is None else self._known
        samples = self.samples.redrawn(rng)
        replicate = self._of(samples, model.discount, model.initial, model.layout, self.return_range, unvisited=filling)
        replicate.unknown = self.unknown
        return replicate


class EmpiricalMRP(_Empirical, MRP):
    """The MRP of logged transitions, frequencies as probabilities; an MRP like any other.

    Parameters
    ----------
    transitions : DataFrame, mapping of columns, (n, 4) array or sequence of tuples
        (state, reward, next_state, terminal); columns that have names are taken by name, see `MRP.from_outcomes`.
    discount : float in [0, 1]
    states : int, optional
        By default one more than the largest index in sight.
    columns : {our name: theirs}, optional
        Where a column has another name than these and their usual ones (done, terminated, obs, next_obs, ...).
    unvisited : "error", "unknown" or an MRP
        States without a transition. error: refuse them; unknown: `unknown` marks them, and intervals for states that
        can reach one say nothing; an MRP of as many states: its outcomes are taken for known there.
    reward_range : (low, high), optional
        An interval known to hold every reward: finite-sample intervals need it.
    initial, layout
        As for `MRP`.

    Attributes
    ----------
    samples : Samples
    sample_counts : (S,) number of samples
    unknown : (S,) mask of states about which nothing is known; they stand in the model as ending with reward 0
    return_range : (low, high) that holds every return, or None

    Raises
    ------
    ValueError, TypeError
        Naming the column, the row or the state without a transition.
    """

    sampled = True

    def __init__(
        self,
        transitions: Any,
        discount: float,
        *,
        states: int | None = None,
        columns: Mapping[str, str | None] | None = None,
        unvisited: Any = "error",
        reward_range: Any = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> None:
        read = transition_columns(transitions, ("state", "reward", "next_state", "terminal"), columns)
        n = _count_of(states, "states", read["state"], read["next_state"])
        self._fill(_observed(read, read["state"], n, n), unvisited, discount, initial, layout)
        self.return_range, self.drawn_from = _return_range(reward_range, self.discount, self.samples), None


class EmpiricalMDP(_Empirical, MDP):
    """The MDP of logged transitions, frequencies as probabilities; an MDP like any other, for any policy.

    Parameters
    ----------
    transitions : DataFrame, mapping of columns, (n, 5) array or sequence of tuples
        (state, action, reward, next_state, terminal); columns that have names are taken by name.
    states, actions : int, optional
        By default one more than the largest index in sight.
    discount, columns, unvisited, reward_range, initial, layout
        As for `EmpiricalMRP`, `unvisited` for (state, action) pairs.

    Attributes
    ----------
    samples, return_range
        As for `EmpiricalMRP`.
    sample_counts : (S, A) number of samples
    unknown : (S, A) mask

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True)]
    >>> EmpiricalMDP(log, discount=0.9).expected_rewards
    array([[0.5],
           [2. ]])
    """

    def __init__(
        self,
        transitions: Any,
        discount: float,
        *,
        states: int | None = None,
        actions: int | None = None,
        columns: Mapping[str, str | None] | None = None,
        unvisited: Any = "error",
        reward_range: Any = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> None:
        read = transition_columns(transitions, ("state", "action", "reward", "next_state", "terminal"), columns)
        n = _count_of(states, "states", read["state"], read["next_state"])
        n_actions = _count_of(actions, "actions", read["action"])
        check_memory(n, n_actions, 20.0, "give states= and actions=, or look for a stray index")
        sources = read["state"] * n_actions + read["action"]
        self._fill(_observed(read, sources, n * n_actions, n), unvisited, discount, initial, layout)
        self.return_range, self.drawn_from = _return_range(reward_range, self.discount, self.samples), None

    def under(self, policy: Any) -> MRP:
        """As of any MDP; the MRP knows that its probabilities are those of samples."""
        model = super().under(policy)
        model.sampled = True
        return model


def _count_of(given: Any, name: str, *indices: IntArray) -> int:
    largest = max(int(index.max()) for index in indices)
    count = largest + 1 if given is None else whole_number(given, name, low=1)
    if largest >= count:
        raise ValueError(f"transitions name index {largest}, but {name}={count}")
    check_memory(count, 1, 20.0, f"give {name}=, or look for a stray index")
    return count


def _observed(read: dict[str, Any], sources: IntArray, n_sources: int, n_states: int) -> Samples:
    return Samples.collect(
        n_sources,
        n_states,
        sources,
        read["next_state"],
        read["reward"] + 0.0,
        read["terminal"],
        np.full(len(sources), -1),
        np.ones(len(sources), dtype=np.int64),
    )


def _unvisited(
    samples: Samples, choice: Any, kind: type, describe: Callable[[int], str]
) -> tuple[OutcomeTable | None, BoolArray]:
    """Rows that stand in for sources without samples, None if there are none, and which of them say nothing."""
    missing = samples.totals == 0
    if isinstance(choice, kind):
        known: OutcomeTable = choice.outcomes  # type: ignore[attr-defined]
    elif isinstance(choice, OutcomeTable):
        known = choice
    elif not isinstance(choice, str) or choice not in ("error", "unknown"):
        raise ValueError(f"unvisited must be 'error', 'unknown' or a distrl.{kind.__name__}, got {choice!r}")
    elif not missing.any():
        return None, missing
    elif choice == "error":
        raise ValueError(
            f"{describe(int(np.argmax(missing)))} has no sample; give it some, or say what unvisited ones are: "
            f"unvisited='unknown' (intervals then say nothing about it) or a distrl.{kind.__name__} taken for known"
        )
    else:
        return _ending_at_once(samples), missing
    if known.n_sources != samples.n_sources or known.n_states != samples.n_states:
        raise ValueError(
            f"the model for unvisited sources has {known.n_states} states and {known.n_sources} rows, "
            f"the transitions {samples.n_states} and {samples.n_sources}"
        )
    return known, np.zeros(samples.n_sources, dtype=np.bool_)


def _ending_at_once(samples: Samples) -> OutcomeTable:
    n = samples.n_sources
    return OutcomeTable(
        n_states=samples.n_states,
        indptr=np.arange(n + 1),
        probs=np.ones(n),
        next_states=np.arange(n) // (n // samples.n_states),
        rewards=np.zeros(n),
        terminals=np.ones(n, dtype=np.bool_),
        laws=np.full(n, -1),
        reward_laws=(),
    )


def _return_range(reward_range: Any, discount: float, samples: Samples) -> tuple[float, float] | None:
    if reward_range is None:
        return None
    ends = float_array(reward_range, "reward_range", ndim=1)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"reward_range must be (low, high), got {ends.tolist()}")
    low, high = ends
    outside = (samples.rewards < low) | (samples.rewards > high)
    if outside.any():
        raise ValueError(
            f"a transition has reward {samples.rewards[outside][0]:g}, outside reward_range {ends.tolist()}"
        )
    if discount == 1.0:
        return None  # no interval holds every undiscounted return
    return float(min(low, low / (1.0 - discount))), float(max(high, high / (1.0 - discount)))
