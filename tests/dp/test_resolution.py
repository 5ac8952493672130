"""`atoms=None`: as many atoms as make rounding small against the returns' standard deviations."""

import re

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, CategoricalFixedPoint, FiniteLaw, Grid, environments, evaluate

MODELS = {
    "two states": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9),
    "one coin": lambda: MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5),
    "short horizon": lambda: MRP(np.full((3, 3), 1 / 3), [0.0, 1.0, 5.0], 0.1),
    "geometric": lambda: MRP.from_outcomes([(0, 0.8, 0, 1.0, False), (0, 0.2, 0, 1.0, True)], 0.9),
    "dense": lambda: environments.dirichlet(20, discount=0.95, rng=0),
    "hardly random": lambda: MRP([[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]], [0.0, 1.0], 0.9),
}


def deviations(model):
    """(S,) standard deviations by dense linear algebra: Sobel's recursion."""
    p, g = model.continuation.toarray(), model.discount
    identity = np.eye(model.n_states)
    mean = np.linalg.solve(identity - g * p, model.expected_rewards)
    source = np.zeros(model.n_states)
    table = model.outcomes
    for k in range(len(table.probs)):
        law = table.reward_laws[table.laws[k]] if table.laws[k] >= 0 else FiniteLaw([table.rewards[k]])
        onward = 0.0 if table.terminals[k] else g * mean[table.next_states[k]]
        error = law.values + onward - mean[table.sources[k]]
        source[table.sources[k]] += table.probs[k] * (law.probs @ error**2)
    return np.sqrt(np.linalg.solve(identity - g * g * p, source))


@pytest.mark.fast
@pytest.mark.slow_without_jit
@pytest.mark.parametrize("name", MODELS)
def test_rounding_is_a_hundredth_of_the_standard_deviation_or_the_atoms_are_the_most(name):
    model = MODELS[name]()
    sol = evaluate(model, CategoricalFixedPoint())
    atoms = sol.returns.grid.atoms
    share = (sol.certificate.rounding / deviations(model)).max()
    assert 51 <= atoms <= 2001 and (share <= 0.01 * (1 + 1e-9) or atoms == 2001)
    assert re.search(rf"{atoms} atoms: rounding to them adds at most", sol.reason)
    if atoms > 201 and name not in ("geometric", "hardly random"):  # whose few values meet some grids by chance
        # no more of them than it takes: a seventh fewer are too few
        fewer = evaluate(model, CategoricalFixedPoint(int(0.85 * atoms)))
        assert (fewer.certificate.rounding / deviations(model)).max() > 0.01
    assert sol.method == CategoricalFixedPoint() and sol.converged


@pytest.mark.fast
def test_returns_that_are_not_random_do_not_ask_for_atoms():
    sol = evaluate(MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.9), CategoricalFixedPoint())
    assert sol.returns.grid.atoms == 201 and "no return has a finite positive standard deviation" in sol.reason


@pytest.mark.fast
def test_an_interval_takes_the_place_of_the_covering_one():
    model = MRP([[1.0]], [stats.norm()], 0.5)
    with pytest.raises(ValueError, match="unbounded"):
        evaluate(model, CategoricalFixedPoint())
    sol = evaluate(model, CategoricalFixedPoint(interval=(-8.0, 8.0)))
    assert (sol.returns.grid.low, sol.returns.grid.high) == (-8.0, 8.0)
    assert sol.certificate.rounding[0] <= 0.01 * (4 / 3) ** 0.5
    ending = MRP.from_outcomes([(0, 0.5, 0, -1.0, False), (0, 0.5, 0, -1.0, True)], 1.0)
    assert evaluate(ending, CategoricalFixedPoint(interval=(-64.0, 0.0))).converged
    with pytest.raises(ValueError, match="leave interval out"):
        CategoricalFixedPoint(grid=Grid(0.0, 1.0, 11), interval=(0.0, 1.0))
    with pytest.raises(ValueError, match="low < high"):
        CategoricalFixedPoint(interval=(1.0, 0.0))


@pytest.mark.fast
def test_many_states_and_little_memory_get_fewer_atoms_and_are_told(monkeypatch):
    model = environments.dirichlet(20, discount=0.95, rng=0)
    monkeypatch.setattr("distrl.dp.resolution.ENTRIES", 20 * 300)
    sol = evaluate(model, CategoricalFixedPoint())
    assert sol.returns.grid.atoms == 300 and "for so many states" in sol.reason
    monkeypatch.setattr("distrl.dp.resolution.available_memory", lambda: 16.0 * 9 * 20 * 100)
    assert evaluate(model, CategoricalFixedPoint()).returns.grid.atoms == 100


@pytest.mark.fast
@pytest.mark.parametrize(
    "method",
    [
        CategoricalFixedPoint(),
        CategoricalFixedPoint(31),
        distrl.CategoricalDP(31, 50),
        distrl.ParticleDP(31),
        distrl.Brackets(31),
        distrl.CategoricalTD(31),
    ],
    ids=lambda m: repr(m)[:30],
)
def test_estimates_live_on_the_interval_of_every_possible_return(method):
    """Rewards 0 to 10 are possible, those that were sampled need not reach that far."""
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [FiniteLaw([0.0, 1.0, 10.0], [0.5, 0.5 - 1e-9, 1e-9]), 0.5], 0.5)
    est = distrl.estimate(model, method, samples_per_state=20, rng=0)
    law = est.returns.upper if hasattr(est.returns, "upper") else est.returns
    if hasattr(law, "grid"):
        assert (law.grid.low, law.grid.high) == (0.0, 20.0)
    else:
        assert est.method.grid == Grid(0.0, 20.0, 31)
    assert hasattr(method, "on_interval") and method.grid is None
