"""Empirical models: frequencies of what was drawn, kept when more is drawn, and what nobody has visited."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import rows_of
from scipy import stats

import distrl
from distrl import MDP, MRP, EmpiricalMDP, EmpiricalMRP, FiniteLaw, GenerativeModel, Grid
from distrl.testing import strategies

pytestmark = pytest.mark.fast


def aggregated(model):
    """{(source, successor, reward, terminal): probability} with reward laws spelled out."""
    found = {}
    for source, probability, successor, reward, terminal in rows_of(model):
        key = source, successor, reward, terminal
        found[key] = found.get(key, 0.0) + probability
    return found


@given(st.data())
def test_an_empirical_model_holds_outcomes_of_the_truth_with_frequencies(data):
    model = data.draw(st.one_of(strategies.mrps(), strategies.mdps()))
    n = data.draw(st.integers(1, 50))
    empirical = GenerativeModel(model).sample(n, rng=data.draw(st.integers(0, 99)))
    assert isinstance(empirical, type(model)) and (empirical.sample_counts == n).all()
    truth = aggregated(model)
    for key, probability in aggregated(empirical).items():
        assert truth[key] > 0
        assert probability * n == pytest.approx(round(probability * n), abs=1e-9)


def test_counts_are_multinomial():
    model = MRP([[0.2, 0.3, 0.5]] * 3, [0.0, FiniteLaw([0, 1], [0.25, 0.75]), stats.norm()], 0.5)
    source = GenerativeModel(model)
    empirical = source.sample(4000, rng=0)
    drawn = empirical.samples
    expected = 4000 * np.array([0.2, 0.3, 0.5])
    assert stats.chisquare(drawn.counts[drawn.sources == 0], expected).pvalue > 1e-4
    joint = 4000 * np.outer([0.2, 0.3, 0.5], [0.25, 0.75]).ravel()  # reward and successor are drawn together
    assert stats.chisquare(drawn.counts[drawn.sources == 1], joint).pvalue > 1e-4
    rewards = drawn.rewards[drawn.sources == 2]
    assert len(rewards) == 4000 and stats.kstest(rewards, "norm").pvalue > 1e-4


def test_known_rewards_keep_their_law():
    model = MRP([[0.5, 0.5], [0, 1]], [stats.norm(1, 2), 0.0], 0.5)
    empirical = GenerativeModel(model, rewards="known").sample(100, rng=0)
    assert [law.key for law in empirical.outcomes.reward_laws] == [law.key for law in model.outcomes.reward_laws]
    assert set(empirical.samples.counts[empirical.samples.sources == 0]) != {1}


def test_adding_samples_keeps_what_was_drawn():
    model = MDP(np.full((2, 3, 3), 1 / 3), np.arange(6.0).reshape(3, 2), 0.9)
    source = GenerativeModel(model)
    first = source.sample(10, rng=0)
    more = np.array([[0, 5], [1, 0], [2, 3]])
    second = source.sample(more, rng=1, to=first)
    np.testing.assert_array_equal(second.sample_counts, 10 + more)

    def counts(model):
        table = np.zeros((6, 3), dtype=int)
        np.add.at(table, (model.samples.sources, model.samples.next_states), model.samples.counts)
        return table

    assert (counts(second) >= counts(first)).all()
    with pytest.raises(TypeError, match="this generative model"):
        GenerativeModel(model).sample(3, to=first)


def test_a_log_gives_the_frequencies_it_holds_by_position_or_by_name():
    rows = [
        (0, 1, 1.0, 1, False),
        (0, 1, 1.0, 0, False),
        (0, 0, 2.0, 1, True),
        (1, 0, 0.0, 0, False),
        (1, 1, 3.0, 1, True),
    ]
    columns = dict(
        zip(("state", "action", "reward", "next_state", "terminal"), np.array(rows, dtype=float).T, strict=True)
    )
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns)[["terminal", "reward", "next_state", "state", "action"]]
    for log in (rows, np.array(rows, dtype=float), columns, frame):
        model = EmpiricalMDP(log, 0.9)
        np.testing.assert_array_equal(model.sample_counts, [[1, 2], [1, 1]])
        assert aggregated(model) == {
            (0, 1, 2.0, True): 1.0,
            (1, 0, 1.0, False): 0.5,
            (1, 1, 1.0, False): 0.5,
            (2, 0, 0.0, False): 1.0,
            (3, 1, 3.0, True): 1.0,
        }


def test_a_log_without_a_state_is_refused_or_filled_or_marked():
    rows = [(0, 1.0, 1, False), (0, 0.0, 0, False)]
    with pytest.raises(ValueError, match="state 1 has no sample"):
        EmpiricalMRP(rows, 0.9)
    marked = EmpiricalMRP(rows, 0.9, unvisited="unknown")
    np.testing.assert_array_equal(marked.unknown, [False, True])
    prior = MRP([[0, 1], [0, 1]], [7.0, 8.0], 0.9)
    filled = EmpiricalMRP(rows, 0.9, unvisited=prior)
    assert filled.expected_rewards.tolist() == [0.5, 8.0] and not filled.unknown.any()
    with pytest.raises(ValueError, match="unvisited must be"):
        EmpiricalMRP(rows, 0.9, unvisited="guess")
    with pytest.raises(ValueError, match="3 states"):
        EmpiricalMRP(rows, 0.9, unvisited=MRP(np.eye(3), np.zeros(3), 0.9))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "dimension"),
        ([(0, 1.0, 1)], "3 columns"),
        ({"state": [0], "reward": [1.0]}, "no column 'next_state'"),
        ([(0.5, 1.0, 0, 0)], "not a whole number"),
        ([(0, np.inf, 0, 0)], "finite"),
        ([(0, 0.0, 0, 2)], "mask|booleans"),
    ],
)
def test_bad_logs_are_refused_by_name(rows, message):
    with pytest.raises(ValueError, match=message):
        EmpiricalMRP(rows, 0.9)


def test_a_bootstrap_replicate_has_as_many_samples_of_everything():
    model = MDP(np.full((2, 3, 3), 1 / 3), [[stats.norm()] * 2, [0.0, 1.0], [FiniteLaw([0, 1])] * 2], 0.9)
    empirical = GenerativeModel(model).sample([[5, 50], [7, 8], [9, 10]], rng=0)
    replicate = empirical.redrawn(np.random.default_rng(0))
    np.testing.assert_array_equal(replicate.sample_counts, empirical.sample_counts)
    assert set(aggregated(replicate)) < set(aggregated(empirical))


def test_the_range_of_returns_is_that_of_the_covering_grid():
    model = MRP([[0.5, 0.5], [0, 0]], [[1.0, -2.0], [0, 0]], 0.9, terminal=[False, True])
    grid = Grid.covering(model, 2)
    assert GenerativeModel(model).return_range == pytest.approx((grid.low, grid.high))
    assert GenerativeModel(MRP([[1.0]], [stats.norm()], 0.9)).return_range is None
    assert EmpiricalMRP([(0, 1.0, 0, 0)], 0.5, reward_range=(-1, 2)).return_range == (-2.0, 4.0)
    for wrong, message in (((0, 0.5), "outside reward_range"), ((2, 1), "low, high"), ((1,), "low, high")):
        with pytest.raises(ValueError, match=message):
            EmpiricalMRP([(0, 1.0, 0, 0)], 0.5, reward_range=wrong)


def test_wrong_arguments_are_refused():
    model = MRP([[1.0]], [1.0], 0.5)
    with pytest.raises(TypeError, match="must be a distrl"):
        GenerativeModel("model")
    with pytest.raises(ValueError, match="sampled, known"):
        GenerativeModel(model, rewards="hidden")
    with pytest.raises(ValueError, match="n"):
        GenerativeModel(model).sample([-1])
    with pytest.raises(ValueError, match="shape"):
        GenerativeModel(model).sample([1, 2])
    with pytest.raises(ValueError, match="no sample"):
        GenerativeModel(model).sample(0)
    assert isinstance(
        distrl.evaluate(GenerativeModel(model).sample(3), distrl.CategoricalFixedPoint(11)).values, np.ndarray
    )
