"""Entropic risk where outcomes have discounts of their own, against sums over all paths and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from distrl import MRP, Moments, evaluate
from distrl.dp.entropic_factors import Family, Places

BETAS = (-2.0, 0.5)
#: state -> outcomes (probability, next state, reward, discount)
Outcomes = list[list[tuple[float, int, float, float]]]


def model_of(outcomes: Outcomes) -> MRP:
    return MRP.from_outcomes(
        [(x, p, y, r, g == 0.0, g) for x, rows in enumerate(outcomes) for p, y, r, g in rows], None
    )


def all_paths(outcomes: Outcomes, start: int, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Values and probabilities of the sums of so many rewards from a state, and the largest factor that is left."""
    values, probs, factors, at = np.zeros(1), np.ones(1), np.ones(1), np.array([start])
    for _ in range(steps):
        parts = []
        for x, rows in enumerate(outcomes):
            here = at == x
            for p, y, r, g in rows:
                parts.append(
                    (values[here] + factors[here] * r, probs[here] * p, factors[here] * g, np.full(here.sum(), y))
                )
        values, probs, factors, at = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return values, probs, float(factors.max())


def risk(values: np.ndarray, probs: np.ndarray, beta: float) -> float:
    top = (beta * values).max()
    return float((top + np.log(probs @ np.exp(beta * values - top))) / beta)


LOOPS: Outcomes = [
    [(0.5, 1, 1.0, 0.5), (0.25, 0, -1.0, 0.3), (0.25, 0, 2.0, 0.0)],
    [(0.75, 0, 0.5, 0.45), (0.25, 1, -2.0, 0.5)],
]
POWERS: Outcomes = [
    [(0.5, 1, 1.0, 0.5), (0.25, 0, -1.0, 0.25), (0.25, 0, 2.0, 0.0)],
    [(0.75, 0, 0.5, 0.125), (0.25, 1, -2.0, 0.5)],
]


@pytest.mark.parametrize("outcomes", [LOOPS, POWERS], ids=["any factors", "powers of one"])
def test_ends_enclose_the_risk_of_returns_that_go_on(outcomes):
    """The risk changes by no more than the sums do: 11 steps, and at most 4 times the factors that are left."""
    sol = evaluate(model_of(outcomes), Moments(2))
    ends = {beta: sol.interval("entropic_risk", beta) for beta in BETAS}
    for x in range(2):
        values, probs, left = all_paths(outcomes, x, 11)
        mean = float(probs @ values)
        for beta in BETAS:
            low, high = ends[beta][x]
            true = risk(values, probs, beta)
            assert low - 4.0 * left <= true <= high + 4.0 * left
            assert high - low <= (2e-2 if outcomes is LOOPS else 0.0) * abs(true - mean) + 1e-10


@pytest.mark.parametrize("outcomes", [LOOPS, POWERS], ids=["any factors", "powers of one"])
def test_ends_enclose_the_risk_of_so_many_steps(outcomes):
    model = model_of(outcomes)
    for horizon in (1, 5):
        sol = evaluate(model, Moments(2), horizon=horizon)
        ends = {beta: sol.interval("entropic_risk", beta) for beta in BETAS}
        for x in range(2):
            values, probs, _ = all_paths(outcomes, x, horizon)
            mean = float(probs @ values)
            for beta in BETAS:
                low, high = ends[beta][x]
                true = risk(values, probs, beta)
                assert low - 1e-12 <= true <= high + 1e-12
                assert high - low <= (2e-2 if outcomes is LOOPS else 0.0) * abs(true - mean) + 1e-10


@settings(max_examples=3)
@given(st.data())
def test_ends_enclose_the_risk_of_any_small_model(data):
    number = st.integers(0, 16).map(lambda k: k / 16)
    outcomes: Outcomes = []
    for _ in range(2):
        p = data.draw(st.integers(1, 7)) / 8
        outcomes.append(
            [(q, data.draw(st.integers(0, 1)), 4 * data.draw(number) - 2, data.draw(number)) for q in (p, 1 - p)]
        )
    model = model_of(outcomes)
    beta = data.draw(st.sampled_from([-3.0, -0.25, 1.0]))
    if model.uniform_discount is not None:
        return
    ends = evaluate(model, Moments(2), horizon=5).interval("entropic_risk", beta)
    for x in range(2):
        values, probs, _ = all_paths(outcomes, x, 5)
        low, high = ends[x]
        assert low - 1e-11 <= risk(values, probs, beta) <= high + 1e-11


def test_an_option_has_the_risk_of_its_primitive_steps():
    """A courier back after 1, 2 or 3 hours: factors are powers of the hourly discount, and nothing is between."""
    g, rows, slow = 0.875, [], []
    for hours, p in ((1, 0.25), (2, 0.5), (3, 0.25)):
        earned = sum(g**t for t in range(hours))
        rows += [(0, p * 7 / 8, 0, earned, False, g**hours), (0, p / 8, 0, earned, True, 0.0)]
    stop = [(7 / 8, 0, False), (1 / 8, 0, True)]
    slow += [(0, 0.25 * q, y, 1.0, end) for q, y, end in stop] + [(0, 0.5, 1, 1.0, False), (0, 0.25, 2, 1.0, False)]
    slow += [(1, q, y, 1.0, end) for q, y, end in stop] + [(2, 1.0, 1, 1.0, False)]
    few, many = evaluate(MRP.from_outcomes(rows, None), Moments(2)), evaluate(MRP.from_outcomes(slow, g), Moments(2))
    for beta in BETAS:
        mine, other = few.interval("entropic_risk", beta)[0], many.interval("entropic_risk", beta)[0]
        assert max(mine[0], other[0]) <= min(mine[1], other[1]) + 1e-12
        assert mine[1] - mine[0] < 1e-7


def test_normal_rewards_have_no_bounds_and_certain_risks():
    """0 -> 2 at one half, 1 -> 2 at .3, 2 ends; all pay N(1, 1): normal returns of variance 1 + g^2."""
    law = stats.norm(1, 1)
    rows = [(0, 1.0, 2, law, False, 0.5), (1, 1.0, 2, law, False, 0.3), (2, 1.0, 2, law, True, 0.0)]
    model = MRP.from_outcomes(rows, None)
    for options in ({}, {"horizon": 2}):
        sol = evaluate(model, Moments(2), **options)
        for beta in BETAS:
            for (low, high), g in zip(sol.interval("entropic_risk", beta), (0.5, 0.3, 0.0), strict=True):
                assert low - 1e-12 <= 1 + g + beta * (1 + g * g) / 2 <= high + 1e-12
                assert high - low < (0.1 + 0.3 * abs(beta))  # what is between has no width to be bounded by


def test_rows_that_lack_a_little_are_counted():
    """Whatever the missing row does that a row of the model does."""
    lack = 5e-10
    rows: Outcomes = [[(0.5 - lack, 0, 1.0, 0.5), (0.5, 1, -1.0, 0.3)], [(1.0, 0, 3.0, 0.25)]]
    model = model_of(rows)
    for beta in (-1.0, 1.0):
        low, high = evaluate(model, Moments(1), throw=False, horizon=3).interval("entropic_risk", beta)[0]
        for row in ((0.5, 0, 1.0, 0.5), (lack, 1, 3.0, 0.5), (lack, 0, -1.0, 0.3), (lack, 1, -1.0, 0.0)):
            whole = [[row if row[0] == 0.5 else rows[0][0], rows[0][1], *([row] if row[0] == lack else [])], rows[1]]
            values, probs, _ = all_paths(whole, 0, 3)
            assert low <= risk(values, probs, beta) <= high
    endless = evaluate(model, Moments(1), throw=False).interval("entropic_risk", 1.0)[0]
    assert np.diff(endless)[0] > lack


@pytest.mark.fast
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6), st.floats(0.3, 0.99), st.booleans())
def test_places_enclose_what_stands_between_exactly(factors, ratio, bounded):
    """For H(c) = c, a normal law of variance 2, chords, bends and slacks hold to the last digit."""
    factors = np.array([*factors, 1.0, ratio, ratio**3])
    places = Places.of(factors, ratio, bounded)
    high, low = ratio ** places.upper.astype(float), ratio ** places.lower.astype(float)
    assert (high >= factors * (1 - places.near - 1e-15)).all() and (low <= factors * (1 + places.near + 1e-15)).all()
    upper = low + places.share[0] * (high - low)
    assert (upper * (1 + places.near) >= factors * (1 - 1e-15)).all()  # L(c) = c^2 is convex
    under = low + places.share[1] * (high - low) - places.bend * factors  # L'' = 2 for w^2 / 4 = 2
    assert (under <= factors * (1 + places.near + 1e-15)).all()
    assert places.near[-3] == 0.0 and (places.upper[-2:] == places.lower[-2:]).all() == bounded


@pytest.mark.fast
def test_a_family_stands_on_the_powers_of_what_factors_have_in_common():
    assert Family.of(1.0, np.array([0.0, 0.25, 0.125, 1.0]), 1e-3).ratio == pytest.approx(0.5)
    assert Family.of(1.0, 0.9 ** np.arange(1, 6), 1e-3).ratio == pytest.approx(0.9)
    odd = Family.of(-2.0, np.array([0.5, 0.7, 0.83]), 1e-3, 100)
    assert len(odd.exponents) == 100 and odd.exponents[-1] == pytest.approx(2e-3) and odd.sign == -1.0
