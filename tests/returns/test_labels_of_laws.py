"""Laws of states that have names: found by name, shown by name, at positions everywhere else."""

import numpy as np
import pytest

import distrl

pytestmark = pytest.mark.fast

ROWS = [
    ("sun", 0.5, "rain", 2.0, False),
    ("sun", 0.5, "sun", 1.0, False),
    ("rain", 1.0, "sun", 0.0, True),
]
METHODS = [
    distrl.CategoricalFixedPoint(11),
    distrl.QuantileDP(7),
    distrl.Moments(),
    distrl.Brackets(atoms=11),
    distrl.MonteCarlo(20),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_every_method_gives_laws_that_are_found_by_name(method: distrl.dp.Method):
    solution = distrl.evaluate(distrl.MRP.from_outcomes(ROWS, 0.5), method, rng=0)
    for position, name in enumerate(["sun", "rain"]):
        for by_name, by_place in zip(
            solution.returns.at(name).arrays().values(), solution.returns[position].arrays().values(), strict=True
        ):
            assert np.array_equal(by_name, by_place)
    with pytest.raises(ValueError, match="no state 'snow'"):
        solution.returns.at("snow")


def test_without_names_the_positions_are_the_names():
    returns = distrl.evaluate(distrl.environments.two_state(), distrl.CategoricalFixedPoint(11)).returns
    assert returns.names is None
    assert np.array_equal(returns.at(1).probs, returns[1].probs)
    with pytest.raises(ValueError, match="no state 2; these states have no names"):
        returns.at(2)


def test_numbers_may_be_names_and_are_not_taken_for_positions():
    mrp = distrl.MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5, states=[1, 0])
    returns = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(11)).returns
    assert float(returns.at(0).mean()) == float(returns[1].mean()) != float(returns[0].mean())


def test_names_survive_a_file(tmp_path):
    solution = distrl.evaluate(distrl.MRP.from_outcomes(ROWS, 0.5), distrl.CategoricalFixedPoint(11))
    distrl.save(solution, tmp_path / "weather.npz")
    loaded = distrl.load(tmp_path / "weather.npz")
    assert np.array_equal(loaded.returns.at("rain").probs, solution.returns[1].probs)


def test_legends_show_the_names():
    pytest.importorskip("matplotlib").use("Agg")
    solution = distrl.evaluate(distrl.MRP.from_outcomes(ROWS, 0.5), distrl.CategoricalFixedPoint(11))
    axes = solution.returns.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["state sun", "state rain"]
