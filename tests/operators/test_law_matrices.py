"""The matrices of continuous reward laws are kept for the next model that has the same law, and no longer."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import stats

from distrl import MRP, Grid
from distrl.models.laws import as_law
from distrl.operators import CategoricalBellman
from distrl.operators.law_matrices import LAW_MATRICES, LawMatrices

GRID = Grid(-8.0, 8.0, 41)


def operator(law, stay, discount=0.9):
    return CategoricalBellman(MRP([[stay, 1.0 - stay], [0.5, 0.5]], [law, 0.0], discount), GRID)


def test_models_with_one_law_share_its_matrix_until_it_is_cleared():
    law = as_law(stats.norm(0.5, 1.0), "law")
    first, second = operator(law, 0.2), operator(law, 0.7)
    assert first.law_blocks[0].weights is second.law_blocks[0].weights
    other = operator(law, 0.2, discount=0.5)
    assert not np.array_equal(other.law_blocks[0].weights, first.law_blocks[0].weights)
    LAW_MATRICES.clear()
    again = operator(law, 0.2)
    assert again.law_blocks[0].weights is not first.law_blocks[0].weights
    np.testing.assert_array_equal(again.law_blocks[0].weights, first.law_blocks[0].weights)


def test_a_law_that_is_gone_leaves_no_matrix():
    kept, law = LawMatrices(), as_law(stats.norm(0.5, 1.0), "law")
    weights, _ = kept.of(law, 0.9, GRID)
    gone, size = weakref.ref(weights), len(kept)
    del weights, law
    gc.collect()
    assert (size, len(kept), gone()) == (1, 0, None)


def test_threads_that_ask_at_once_get_the_same_matrix():
    """With two discounts in turns, so that what is kept is replaced all the time."""
    kept, law = LawMatrices(), as_law(stats.norm(0.5, 1.0), "law")
    expected = {discount: LawMatrices().of(law, discount, GRID)[0] for discount in (0.5, 0.9)}

    def ask(number):
        discount = (0.5, 0.9)[number % 2]
        if number % 7 == 0:
            kept.clear()
        return np.array_equal(kept.of(law, discount, GRID)[0], expected[discount])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(64)))
