"""Random numbers: replications, rewards and transitions, blocks of draws; threads and resumes.

Every number is read from what `learn` gives back. With step 1 an estimate is its last target: of states that end with
a normal reward it is a draw of that reward, bit for bit.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

import distrl
from distrl._validation import FloatArray, IntArray
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.evidence import Evidence, correlated, dependent
from proofs_check.faults import returned

PLACE = 8
_DEFINITION = "the definition of independent draws"
_EVIDENCE = "1 / the share of the false alarm, as logarithms"
KINDS = 4
SUCCESSORS = KINDS**3  # a transition tells six bits of its number: the highest, the next, and the two after them
_APART = 100.0  # between the bootstrapped parts of targets: a reward is next to nothing
QUARTILES = np.full(KINDS, 1.0 / KINDS)


def _changed(change: Callable[[FloatArray], FloatArray]) -> AbstractContextManager[Any]:
    """What `learn` records, (records, R, S), is changed."""

    def altered(run: Any) -> Any:
        found = change(np.stack(run.estimates)[..., 0])
        return replace(run, estimates=tuple(found[..., None]))

    return returned(distrl, "learn", altered)()


def draws(count: int, states: int, replications: int, seed: int) -> FloatArray:
    """(count, R, S) draws of a normal reward: what states learn that end with it, at step 1."""
    law = stats.norm()
    model = distrl.MRP.from_outcomes([(s, 1.0, s, law, True) for s in range(states)], 0.5)
    run = distrl.learn(
        model, distrl.TD(), step_size=1.0, updates=count, replications=replications, records=count, rng=seed
    )
    return np.asarray(run.values)


def _against(pairs: Iterator[tuple[FloatArray, FloatArray]], count: int, rho: float) -> Iterator[Reading]:
    """Evidence that one of `count` pairs of sequences is correlated, by rho or by -rho."""
    for x, y in pairs:
        for sign in (rho, -rho):
            test = Evidence(2 * count)
            test.add(correlated(x, y, sign))
            yield test.reading


def _leaning(size: float) -> AbstractContextManager[Any]:
    """The second replication's numbers have a correlation with the first one's."""

    def change(values: FloatArray) -> FloatArray:
        other = values.copy()
        other[:, 1] = size * values[:, 0] + np.sqrt(1.0 - size**2) * values[:, 1]
        return other

    return _changed(change)


@claim(
    "replications-independent",
    statement="Replications draw independent numbers.",
    latex=r"\mathrm{corr}(R_k,R_l)=0,\quad k\ne l",
    source=_DEFINITION,
    evidence="derived",
    measured="evidence that two of eight replications are correlated; how many of their numbers are equal",
    bound=f"{_EVIDENCE}; 0",
    searched="normal rewards of states that end, one update",
    structured=lambda: [Case(numbers={"replications": 8.0})],
    statistical=True,
    plants=(Plant("correlation", "a correlation of {} between two replications", Sizes(0.3, 0.1, 0.05), _leaning),),
    used_by="learn(replications=)",
)
def replications_independent(case: Case, chance: Chance) -> Iterator[Reading]:
    """Each has a seed of its own."""
    values = draws(1, chance.of(1200, 10_000, 40_000), int(case.numbers["replications"]), chance.seed())[0]
    pairs = list(itertools.combinations(values, 2))
    yield Reading(float(sum((x == y).sum() for x, y in pairs)), 0.0, counts=False)
    yield from _against(iter(pairs), len(pairs), chance.size("correlation"))


def _coded(states: int, replications: int, seed: int, families: bool) -> tuple[IntArray, IntArray]:
    """(R S,) transitions, 64 as likely, and classes of the rewards of one update, 4 as likely, in the order of drawing.

    With `families` 64 classes of normal rewards and 4 of exponential ones instead, each of two states in turn.
    """
    laws = (stats.norm(), stats.expon())
    if families:
        rows = [(s, 1.0, s, laws[s % 2], True) for s in range(states)]
        start = np.zeros(states)
    else:
        rows = [(s, 1.0 / SUCCESSORS, y, laws[0], False) for s in range(states) for y in range(SUCCESSORS)]
        start = 2.0 * _APART * np.arange(states)
    model = distrl.MRP.from_outcomes(rows, 0.5)
    run = distrl.learn(
        model, distrl.TD(), step_size=1.0, updates=1, replications=replications, records=1, rng=seed, start=start
    )
    values = np.asarray(run.values)[0]
    if families:
        levels = [stats.norm.cdf(values[:, ::2]).ravel(), stats.expon.cdf(values[:, 1::2]).ravel()]
        return _class(levels[0], SUCCESSORS), _class(levels[1], KINDS)
    went = np.round(values / _APART)
    return went.astype(np.int64).ravel(), _class(stats.norm.cdf(values - _APART * went).ravel(), KINDS)


def _class(levels: FloatArray, count: int) -> IntArray:
    return np.asarray(np.minimum((levels * count).astype(np.int64), count - 1))


def _following(size: float) -> AbstractContextManager[Any]:
    """A share of the rewards follows from the transition."""
    rng = np.random.default_rng(4)

    def change(values: FloatArray) -> FloatArray:
        went = np.round(values / _APART)
        told = _APART * went + stats.norm.ppf((np.clip(went // KINDS**2, 0, KINDS - 1) + 0.5) / KINDS)
        return np.where(rng.random(values.shape) < size, told, values)

    return _changed(change)


@claim(
    "rewards-independent-of-transitions",
    statement="Rewards are drawn independently of transitions, and of rewards of other families.",
    latex=r"R\perp Y",
    source=_DEFINITION,
    evidence="derived",
    measured="evidence that a reward's class can be told from that of the transition, or of the one before or after",
    bound=_EVIDENCE,
    searched="64 successors as likely, by two of six bits, quarters of a normal law; normal and exponential rewards",
    structured=lambda: [Case(numbers={"families": 0.0}), Case(numbers={"families": 1.0})],
    statistical=True,
    plants=(Plant("told", "a share {} of the rewards told by the transition", Sizes(0.3, 0.1, 0.06), _following),),
    used_by="learn",
)
def rewards_independent_of_transitions(case: Case, chance: Chance) -> Iterator[Reading]:
    """Streams that are far apart; many short ones are looked at, for what they share would be at their beginnings."""
    families = bool(case.numbers["families"])
    seen, then = _coded(SUCCESSORS, chance.of(40, 200, 700), chance.seed(int(families)), families)
    for lag, part in itertools.product((0, 1, -1), (KINDS**2, KINDS, 1)):
        test = Evidence(9, simple=False)
        test.add(dependent(np.roll(seen // part % KINDS, lag), then, QUARTILES))
        yield test.reading


BLOCK = 2048  # what lags are multiples of: the blocks of rewards that the library draws
LAGS = (1, 2, 1024, BLOCK, 2 * BLOCK)


def _repeating(size: float) -> AbstractContextManager[Any]:
    """Numbers come again after `size` of them."""
    return _changed(lambda values: values.ravel()[np.arange(values.size) % int(size)].reshape(values.shape))


def _echoing(size: float) -> AbstractContextManager[Any]:
    """A number has a correlation with that of a block before."""

    def change(values: FloatArray) -> FloatArray:
        row = values.ravel()
        other = row.copy()
        for first in range(BLOCK, len(row), BLOCK):
            piece = slice(first, first + BLOCK)
            before = other[first - BLOCK : first][: len(row[piece])]
            other[piece] = size * before + np.sqrt(1.0 - size**2) * row[piece]
        return other.reshape(values.shape)

    return _changed(change)


@claim(
    "reward-noise-fresh",
    statement="Rewards do not come again, and those of one block say nothing of another's.",
    latex=r"\mathrm{corr}(R_i,R_{i+l})=0,\ l\ge1",
    source=_DEFINITION,
    evidence="derived",
    measured="how many two draws in a row have come before; evidence of a correlation at lags up to 4096",
    bound=f"0; {_EVIDENCE}",
    searched="normal rewards in the order of drawing, one replication; lags 1, 2, 1024, 2048 and 4096",
    structured=lambda: [Case(numbers={"replications": 1.0})],
    statistical=True,
    plants=(
        Plant("period", "numbers come again after {} of them", Sizes(8192.0, 131_072.0, 1_048_576.0), _repeating),
        Plant("echo", "a correlation of {} with the block before", Sizes(0.1, 0.04, 0.012), _echoing),
    ),
    used_by="distrl.td.noise",
)
def reward_noise_fresh(case: Case, chance: Chance) -> Iterator[Reading]:
    """Blocks are far apart in the period of the generator."""
    states = 1024
    row = draws(int(chance.size("period")) * 5 // (4 * states) + 8, states, 1, chance.seed()).ravel()
    rounded = np.round(row, 10)  # a step of 1 moves an estimate to its target, but for rounding
    twice = rounded[:-1] + 1j * rounded[1:]
    yield Reading(float(len(twice) - len(np.unique(twice))), 0.0, counts=False)
    yield from _against(((row[:-lag], row[lag:]) for lag in LAGS), len(LAGS), chance.size("echo"))


_METHODS = (
    distrl.TD(),
    distrl.TD(steps=3),
    distrl.CategoricalTD(grid=distrl.Grid(-20.0, 20.0, 11)),
    distrl.QuantileTD(4),
    distrl.TD(average_from=5),
)
_SAMPLINGS = ("synchronous", "generative", "trajectory")


@claim(
    "seeds-say-all",
    statement="A seed says all: threads, resumes and more replications change no bit, and another seed changes all.",
    latex=r"\hat V_k=f(\text{seed},k)",
    source="the definition of `learn`",
    evidence="derived",
    measured="estimates with one thread, in two halves, or among other replications",
    bound="with three threads, in one go (equality to the bit)",
    searched="five methods, three ways to sample, normal and exponential rewards, more than one block of draws",
    structured=lambda: [
        Case(numbers={"method": float(m), "sampling": float(k)}) for m in range(len(_METHODS)) for k in range(3)
    ],
    used_by="learn(rng=, threads=, resume=)",
)
def seeds_say_all(case: Case) -> Iterator[Reading]:
    """Streams are told by their numbers."""
    method, sampling = _METHODS[int(case.numbers["method"])], _SAMPLINGS[int(case.numbers["sampling"])]
    rows = [
        (s, p, y, law, end)
        for s in range(3)
        for p, y, law, end in (
            (0.4, (s + 1) % 3, stats.norm(s), False),
            (0.4, s, stats.expon(), False),
            (0.2, s, 1.0, True),
        )
    ]
    model, half = distrl.MRP.from_outcomes(rows, 0.8), 1500 if sampling == "synchronous" else 4000
    options: dict[str, Any] = {"step_size": 0.1, "sampling": sampling, "records": 1}
    whole = distrl.learn(model, method, updates=2 * half, replications=3, rng=7, threads=3, **options)
    final = whole.estimates[-1]
    first = distrl.learn(model, method, updates=half, replications=3, rng=7, threads=1, **options)
    second = distrl.learn(model, method, updates=half, resume=first, records=1, threads=2)
    yield Reading(second.estimates[-1], final, 0.0, equal=True)
    more = distrl.learn(model, method, updates=2 * half, replications=5, rng=7, threads=1, **options)
    yield Reading(more.estimates[-1][:3], final, 0.0, equal=True)
    other = distrl.learn(model, method, updates=half, replications=3, rng=8, **options).estimates[-1]
    same = [(row == first.estimates[-1]).all() for row in other]
    yield Reading(float(sum(same)), 0.0, counts=False)
