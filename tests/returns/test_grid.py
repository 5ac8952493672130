"""Grids: what covers a model, what is attainable, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import enumerated_law
from scipy import stats

from distrl import MDP, MRP, FiniteLaw, Grid
from distrl.testing import mdps, mrps

pytestmark = pytest.mark.fast


@given(mrps(), st.integers(2, 9))
def test_covering_is_closed_under_every_outcome_and_no_smaller(model, atoms):
    grid = Grid.covering(model, atoms)
    table = model.outcomes
    lows, highs = table.reward_ranges()
    on = ~table.terminals
    slack = 1e-12 * max(abs(grid.low), abs(grid.high), 1.0)
    image_low = lows + np.where(on, model.discount * grid.low, 0.0)
    image_high = highs + np.where(on, model.discount * grid.high, 0.0)
    assert (image_low >= grid.low - slack).all() and (image_high <= grid.high + slack).all()
    ends_low = np.where(on, lows / (1 - model.discount), lows).min()
    ends_high = np.where(on, highs / (1 - model.discount), highs).max()
    if ends_high - ends_low > 1e-6:
        assert (grid.low, grid.high) == (ends_low, ends_high)
    elif ends_high == ends_low:
        assert grid.width == pytest.approx(1.0)


@given(mrps(max_states=3, discounts=st.sampled_from([0.0, 0.3, 0.6])))
def test_tight_holds_every_attainable_return_and_lies_within_covering(model):
    tight, covering = Grid.tight(model, 2), Grid.covering(model, 2)
    if tight.width > 1.0 + 1e-9:
        assert covering.low - 1e-9 <= tight.low and tight.high <= covering.high + 1e-9
    lowest, highest = np.inf, -np.inf
    reach = max(abs(covering.low), abs(covering.high))
    for state in range(model.n_states):
        values, weights, _ = enumerated_law(model, state, 7)
        lowest = min(lowest, values[weights > 0].min())
        highest = max(highest, values[weights > 0].max())
    left = model.discount**7 * reach + 1e-9
    assert tight.low <= lowest + left and highest - left <= tight.high
    if highest - lowest > 2 * left + 1.1:  # attained, up to what seven steps leave open
        assert abs(tight.low - lowest) <= left and abs(tight.high - highest) <= left


@given(mdps(discounts=st.sampled_from([0.0, 0.5, 0.9])), st.data())
def test_an_mdps_grid_covers_every_policy(mdp, data):
    actions = data.draw(st.lists(st.integers(0, mdp.n_actions - 1), min_size=mdp.n_states, max_size=mdp.n_states))
    whole, one = Grid.tight(mdp, 2), Grid.tight(mdp.under(actions), 2)
    if one.width > 1.0 + 1e-9:
        assert whole.low <= one.low + 1e-9 and one.high <= whole.high + 1e-9


def test_undiscounted_ranges_are_exact_for_models_that_surely_end_soon():
    model = MRP.from_outcomes(
        [(0, 0.5, 1, -1.0, False), (0, 0.5, 1, -100.0, False), (1, 0.9, 1, 2.0, True), (1, 0.1, 1, 5.0, True)], 1.0
    )
    assert Grid.tight(model, 3) == Grid(-98.0, 5.0, 3)


def test_undiscounted_loops_need_a_tail_probability():
    model = MRP.from_outcomes([(0, 0.75, 0, -1.0, False), (0, 0.25, 0, -1.0, True)], 1.0)
    with pytest.raises(ValueError, match="no largest or smallest value"):
        Grid.tight(model, 5)
    with pytest.raises(ValueError, match="discount 1"):
        Grid.covering(model, 5)
    grid = Grid.tight(model, 5, tail=1e-6)
    steps = round(-grid.low)
    assert 0.75**steps <= 1e-6 < 0.75 ** (steps - 1)
    assert grid.high == -1.0
    mdp = MDP.from_outcomes([(0, a, p, 0, -1.0, t) for a in (0, 1) for p, t in ((0.5, False), (0.5, True))], 1.0)
    with pytest.raises(ValueError, match="under"):
        Grid.tight(mdp, 5, tail=1e-6)


def test_unbounded_laws_need_a_grid_or_a_tail():
    model = MRP([[1.0]], [stats.norm(0, 1)], 0.5)
    for make in (Grid.covering, Grid.tight):
        with pytest.raises(ValueError, match="unbounded"):
            make(model, 11)
    grid = Grid.covering(model, 11, tail=1e-4)
    assert grid.high == pytest.approx(2 * stats.norm.ppf(1 - 1e-4))
    bounded = MRP([[1.0]], [FiniteLaw([0, 1])], 0.5)
    assert Grid.covering(bounded, 3) == Grid(0.0, 2.0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1, 3), "low < high"),
        ((2, 1, 3), "low < high"),
        ((0, 1, 1), "at least 2"),
        ((0, 1, 2.5), "whole number"),
        ((0, np.inf, 3), "finite"),
        ((np.nan, 1, 3), "finite"),
        (("a", 1, 3), "real number"),
        ((-1e308, 1e308, 3), "goes beyond"),
        ((1.0, 1.0 + 1e-14, 1000), "too close"),
    ],
)
def test_bad_grids_are_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Grid(*arguments)
    with pytest.raises(TypeError, match="MRP"):
        Grid.covering(3, 5)
    with pytest.raises(ValueError, match="tail"):
        Grid.covering(MRP([[1.0]], [0.0], 0.5), 5, tail=0.5)


def test_huge_and_nearly_equal_rewards_get_a_usable_grid_or_a_sentence():
    assert Grid.covering(MRP([[1.0]], [1e16], 0.0), 11).width > 0
    with pytest.raises(ValueError, match="too far"):
        Grid.covering(MRP([[1.0]], [1e99], 0.99), 11)
    close = MRP(np.eye(2), [0.1 + 0.2, 0.3], 0.0)
    assert Grid.covering(close, 201).width == pytest.approx(1.0)
