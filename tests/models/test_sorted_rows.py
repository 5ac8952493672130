"""The compiled sort of many rows gives what NumPy's lexsort gives, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl.models import MDP
from distrl.models.sorting import MANY_ROWS, Unsorted, by_counting, by_lexsort

pytestmark = pytest.mark.fast


def rows(rng, n, sources, with_laws, few):
    """Random rows of which every source has one; `few` values, so that many rows are equal but for the probability."""
    source = np.concatenate([np.arange(sources), rng.integers(sources, size=n)])
    rng.shuffle(source)
    size = len(source)
    reward = rng.integers(3, size=size) / 2.0 if few else rng.normal(size=size)
    laws = rng.integers(-1, 2, size=size) if with_laws else np.full(size, -1)
    probs = np.where(rng.random(size) < 0.1, 0.0, rng.random(size))
    probs[np.unique(source, return_index=True)[1]] = 0.5
    return Unsorted(source, probs, rng.integers(4, size=size), reward, rng.random(size) < 0.3, laws)


@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.sampled_from([1, 2, 7, 40]), st.booleans(), st.booleans())
def test_both_ways_agree_bit_for_bit(seed, n, sources, with_laws, few):
    given_rows = rows(np.random.default_rng(seed), n, sources, with_laws, few)
    order = np.argsort(given_rows.sources, kind="stable")
    for some in (given_rows, Unsorted(*(column[order] for column in given_rows[:6]))):
        ours, oracle = by_counting(some, sources), by_lexsort(some, sources)
        for left, right in zip(ours[:6], oracle[:6], strict=True):
            assert left.dtype == right.dtype and left.tobytes() == right.tobytes()


def test_locked_and_strided_columns_are_taken_too():
    some = rows(np.random.default_rng(0), 60, 5, True, True)
    strided = []
    for column in some[:6]:
        wide = np.repeat(column, 2)
        wide.flags.writeable = False
        strided.append(wide[::2])
    for left, right in zip(by_counting(Unsorted(*strided), 5)[:6], by_lexsort(some, 5)[:6], strict=True):
        assert left.tobytes() == right.tobytes()


def test_a_large_table_is_what_its_shuffled_rows_are_too():
    """Above `MANY_ROWS` the compiled sort is taken. Sums of equal rows depend on their order: there are none here."""
    rng = np.random.default_rng(1)
    states, successors = MANY_ROWS // 10, 10
    columns = {
        "state": np.repeat(np.arange(states), successors),
        "action": np.zeros(states * successors, dtype=int),
        "probability": np.full(states * successors, 0.1),
        "next_state": np.concatenate([rng.permutation(states)[:successors] for _ in range(states)]),
        "reward": rng.integers(3, size=states * successors).astype(float),
        "terminal": rng.random(states * successors) < 0.1,
    }
    plain = MDP.from_outcomes(columns, 0.9).outcomes
    order = rng.permutation(states * successors)
    mixed = MDP.from_outcomes({name: column[order] for name, column in columns.items()}, 0.9).outcomes
    array = np.stack([np.asarray(column, dtype=float) for column in columns.values()], axis=1)
    third = MDP.from_outcomes(array, 0.9).outcomes
    for table in (mixed, third):
        for name in ("indptr", "probs", "next_states", "rewards", "terminals", "laws"):
            assert getattr(table, name).tobytes() == getattr(plain, name).tobytes()
    key = np.lexsort((columns["next_state"], columns["reward"], columns["terminal"], columns["state"]))
    assert np.array_equal(plain.next_states, columns["next_state"][key])
