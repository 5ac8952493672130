"""Brackets enclose the true law: against enumeration, exact laws and each other."""

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import enumerated_law
from scipy import stats

import distrl
from distrl import MRP, Brackets, CategoricalFixedPoint, FiniteLaw, Grid, ParticleReturns, environments, evaluate
from distrl.dp.merging import merged_law
from distrl.testing import finite_laws, grids, mrps
from experiments.quickstart.exact import frozen_lake_law

SHORT = st.sampled_from([0.0, 0.25, 0.5])
LEVELS = np.array([0.01, 0.1, 0.35, 0.8, 1.0])


def exact_functionals(values, weights, points):
    """Functionals of a finite law by their definitions, with plain NumPy."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    cumulative = np.cumsum(weights)

    def tail_mean(v, w, level):
        before = np.concatenate([[0.0], np.cumsum(w)[:-1]])
        return np.clip(level - before, 0.0, w) @ v / level

    return {
        "cvar lower": [tail_mean(values, weights, a) for a in LEVELS],
        "cvar upper": [tail_mean(values[::-1], weights[::-1], a) for a in LEVELS],
        "stop_loss": [weights @ np.maximum(values - k, 0.0) for k in points],
        "cdf": [weights[values <= k].sum() for k in points],
        "quantile": [values[min(np.searchsorted(cumulative, a - 1e-9), len(values) - 1)] for a in LEVELS],
        "variance": weights @ (values - weights @ values) ** 2,
    }


def check_inside(returns, state, exact, points, slack):
    asked = {
        "cvar lower": returns.interval("cvar", LEVELS),
        "cvar upper": returns.interval("cvar", LEVELS, tail="upper"),
        "stop_loss": returns.interval("stop_loss", points),
    }
    for name, interval in asked.items():
        extra = slack / LEVELS if "cvar" in name else slack
        assert (interval[state, :, 0] <= np.array(exact[name]) + extra).all(), name
        assert (np.array(exact[name]) <= interval[state, :, 1] + extra).all(), name
    low, high = returns.interval("variance")[state]
    assert low - 20 * slack <= exact["variance"] <= high + 20 * slack
    assert low <= high


@pytest.mark.fast
@given(mrps(max_states=3, discounts=SHORT), st.sampled_from(["convex", "stochastic"]), st.integers(2, 25), st.data())
def test_intervals_hold_the_functionals_of_the_enumerated_law(model, order, atoms, data):
    grid = Grid.covering(model, atoms)
    if order == "convex" and data.draw(st.booleans()):
        grid = data.draw(grids(max_atoms=15))
    returns = evaluate(model, Brackets(grid=grid, order=order)).returns
    points = np.linspace(grid.low - 0.3, grid.high + 0.3, 6)
    for state in range(model.n_states):
        values, weights, left = enumerated_law(model, state, 6)
        reach = np.abs(model.outcomes.rewards).max()  # what is left after 6 steps is at most .5^6 reach / (1 - .5)
        check_inside(returns, state, exact_functionals(values, weights, points), points, left * 0.5**5 * reach)


def frozen_lake():
    table = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=True).unwrapped.P
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99, map_name="8x8", is_slippery=True)
    values, weights = frozen_lake_law(table, np.full((64, 4), 0.25), 0.99)
    return mdp, values, weights


@pytest.mark.parametrize("atoms", [101, 401, 1601])
def test_frozen_lake_is_inside_at_every_state_level_and_tail(atoms):
    mdp, values, weights = frozen_lake()
    returns = evaluate(mdp, Brackets(atoms), policy="uniform").returns
    exact = ParticleReturns(np.tile(values, (64, 1)), weights / weights.sum(axis=1, keepdims=True))
    levels = np.array([0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0])
    for tail in ("lower", "upper"):
        interval = returns.interval("cvar", levels, tail=tail)
        true = exact.cvar(levels, tail)
        assert (interval[..., 0] <= true + 1e-12).all()
        assert (true <= interval[..., 1] + 1e-12).all()
    points = np.array([-0.1, 0.0, 0.3, 0.5, 0.77, 1.0, 1.2])
    interval, true = returns.interval("cdf", points), exact.cdf(points)
    assert (interval[..., 0] <= true + 1e-12).all() and (true <= interval[..., 1] + 1e-12).all()
    for k, level in enumerate([0.05, 0.5, 0.99]):
        ends = returns.interval("quantile", [0.05, 0.5, 0.99])[:, k]
        true = exact.quantile(level)
        assert (ends[:, 0] <= true + 1e-12).all() and (true <= ends[:, 1] + 1e-12).all()


@pytest.mark.parametrize("tail", ["lower", "upper"])
@pytest.mark.parametrize("width", [0.1, 1e-3])
def test_a_target_for_a_cvar_is_met_around_the_exact_value(width, tail):
    mdp, values, weights = frozen_lake()
    method = Brackets(target_width=width, functional="cvar", at=0.1, tail=tail)
    sol = evaluate(mdp, method, policy="uniform")
    interval = sol.returns.interval("cvar", 0.1, tail=tail)
    exact = ParticleReturns(np.tile(values, (64, 1)), weights / weights.sum(axis=1, keepdims=True)).cvar(0.1, tail)
    assert np.diff(interval).max() <= width
    assert (interval[:, 0] <= exact + 1e-12).all() and (exact <= interval[:, 1] + 1e-12).all()
    assert f"{sol.returns.upper.grid.atoms} atoms for target_width={width:g} of cvar at 0.1" in sol.reason
    assert sol.method is method


@settings(max_examples=15)
@given(
    mrps(max_states=3, discounts=SHORT),
    st.sampled_from([0.5, 0.02]),
    st.sampled_from([("cvar", 0.1), ("cvar", 0.8), ("variance", None), ("stop_loss", 0.25)]),
    st.sampled_from(["convex", "stochastic"]),
)
def test_whatever_is_asked_the_target_is_met_and_intervals_hold_the_exact_values(model, share, asked, order):
    functional, at = asked
    scale = Grid.covering(model, 2).width
    width = share * (scale**2 if functional == "variance" else scale)
    sol = evaluate(model, Brackets(target_width=width, functional=functional, at=at, order=order))
    intervals = sol.returns.interval(functional, at)
    assert np.diff(intervals).max() <= width
    points = np.linspace(-1.0, 1.0, 5)
    for state in range(model.n_states):
        values, weights, left = enumerated_law(model, state, 6)
        slack = left * 0.5**5 * max(np.abs(values).max(), scale, 1.0)
        check_inside(sol.returns, state, exact_functionals(values, weights, points), points, slack)


def test_a_width_that_cannot_be_had_is_refused_with_what_was_tried(monkeypatch):
    normal = MRP([[1.0]], [stats.norm()], 0.5)
    narrow = Grid(-3, 3, 11)  # clips
    for functional, at, width in (("cvar", 0.1, 0.02), ("variance", None, 0.1)):
        with pytest.raises(ValueError, match=r"cannot be met on \[-3, 3\]: .* atoms give .* widen the grid"):
            evaluate(normal, Brackets(grid=narrow, target_width=width, functional=functional, at=at))
    model = environments.garnet(30, 2, 3, discount=0.9, rng=0).under("uniform")
    monkeypatch.setattr("distrl._memory.available_memory", lambda: 3e5)
    with pytest.raises(ValueError, match=r"\(28 atoms give .*\); a larger target needs fewer atoms"):
        evaluate(model, Brackets(target_width=0.1, functional="cvar", at=0.1))


def test_stochastic_brackets_hold_frozen_lake_too():
    mdp, values, weights = frozen_lake()
    returns = evaluate(mdp, Brackets(401, order="stochastic"), policy="uniform").returns
    exact = ParticleReturns(np.tile(values, (64, 1)), weights / weights.sum(axis=1, keepdims=True))
    points = np.linspace(-0.1, 1.1, 25)
    interval, true = returns.interval("cdf", points), exact.cdf(points)
    assert (interval[..., 0] <= true + 1e-12).all() and (true <= interval[..., 1] + 1e-12).all()
    levels = np.array([0.05, 0.5, 0.9, 0.99])
    interval, true = returns.interval("quantile", levels), exact.quantile(levels)
    assert (interval[..., 0] <= true + 1e-12).all() and (true <= interval[..., 1] + 1e-12).all()
    interval, true = returns.interval("cvar", levels), exact.cvar(levels)
    assert (interval[..., 0] <= true + 1e-12).all() and (true <= interval[..., 1] + 1e-12).all()


@pytest.mark.parametrize(("functional", "at"), [("cvar", 0.1), ("variance", None), ("stop_loss", 1.3)])
@pytest.mark.parametrize("atoms", [27, 105, 417])
def test_convex_widths_are_at_most_a_multiple_of_the_squared_spacing(functional, at, atoms):
    """One state, uniform rewards replaced by K conditional means; what a sweep can cost adds up by 1 / (1 - g).

    Variance: the projection adds at most s^2 / 4, merging cells loses that, rewards 1 / (12 K^2); 1 / (1 - g^2).
    Stop-loss, largest gap: TF has a density of at most 1, so interpolating adds at most s^2 / 8; merging the rewards
    loses at most 1 / (8 K^2); merging a cell a quarter of s times its mass, which is at most s + 1 / K.
    A CVaR is a maximum of k - E(k - G)+ / level, so its gap is at most that of the stop-loss over the level.
    The sweeps start g^(2n) of the variance apart, 1e-6 of s^2 at the end by their number; the rest is floating point.
    """
    g = 0.6
    returns = evaluate(MRP([[1.0]], [stats.uniform(0, 1)], g), Brackets(atoms)).returns
    s, cells = returns.upper.grid.spacing, max(8, atoms // 4)
    slack = float(returns.slack_lower[0] + returns.slack_upper[0])
    if functional == "variance":
        bound = (s**2 / 2 + 1 / (12 * cells**2)) / (1 - g**2) + 6 * slack  # twice the range, which is 2.5, and 1
    else:
        bound = (s**2 / 8 + 1 / (8 * cells**2) + (s + 1 / cells) * s / 4) / (1 - g) + slack
    bound = (bound + 1e-6 * s**2) / (at if functional == "cvar" else 1.0)
    low, high = returns.interval(functional, at)[0]
    assert high - low <= bound
    assert slack <= 1e-3 * s**2


def test_convex_widths_are_far_below_the_stochastic_ones():
    model = environments.garnet(30, 2, 3, discount=0.9, rng=0).under("uniform")
    convex, stochastic = (evaluate(model, Brackets(401, order=order)).returns for order in ("convex", "stochastic"))
    widths = [np.diff(returns.interval("cvar", 0.1), axis=-1).max() for returns in (convex, stochastic)]
    assert widths[0] < widths[1] / 50
    both = np.maximum(convex.interval("cvar", 0.1)[:, 0], stochastic.interval("cvar", 0.1)[:, 0])
    assert (both <= np.minimum(convex.interval("cvar", 0.1)[:, 1], stochastic.interval("cvar", 0.1)[:, 1])).all()


@pytest.mark.parametrize("order", ["convex", "stochastic"])
@pytest.mark.parametrize("law", [stats.uniform(-1, 2), stats.beta(2, 5), FiniteLaw(np.linspace(0, 1, 300))])
def test_continuous_rewards_are_enclosed(order, law):
    model = MRP([[1.0]], [law], 0.4)
    returns = evaluate(model, Brackets(101, order=order)).returns
    fine = evaluate(model, CategoricalFixedPoint(601))
    slack = fine.certificate.w1[0]
    for level in (0.05, 0.5):
        low, high = returns.interval("cvar", level)[0]
        true = fine.returns.cvar(level)[0]
        assert low - slack / level <= true <= high + slack / level
        assert high - low < 0.15
    moments = evaluate(model, distrl.Moments(2))
    low, high = returns.interval("variance")[0]
    assert low <= moments.returns.var()[0] <= high


def test_normal_rewards_on_a_clipping_grid_are_enclosed_where_that_is_possible():
    model = MRP([[1.0]], [stats.norm(0, 1)], 0.5)
    truth = stats.norm(0, (1 / 0.75) ** 0.5)
    returns = evaluate(model, Brackets(grid=Grid(-8, 8, 401))).returns
    for level in (0.05, 0.5):
        exact = -truth.pdf(truth.ppf(level)) * truth.var() / level
        low, high = returns.interval("cvar", level)[0]
        assert low <= exact <= high < low + 0.1
    assert np.isinf(returns.interval("variance")[0, 1]) or returns.interval("variance")[0, 1] >= truth.var()
    with pytest.raises(ValueError, match="clips nothing"):
        evaluate(model, Brackets(grid=Grid(-8, 8, 401), order="stochastic"))


@pytest.mark.fast
@given(finite_laws(max_values=8), st.integers(1, 8), st.floats(-6, 6))
def test_merged_laws_are_below_in_convex_order(law, cells, point):
    merged = merged_law(law, cells)
    assert len(merged.values) <= max(cells, 1) or merged is law
    assert merged.mean == pytest.approx(law.mean, abs=1e-12)
    excess = law.probs @ np.maximum(law.values - point, 0.0)
    assert merged.probs @ np.maximum(merged.values - point, 0.0) <= excess + 1e-12


@pytest.mark.fast
@pytest.mark.parametrize("frozen", [stats.norm(1, 2), stats.expon(), stats.t(3), stats.gumbel_r()])
def test_continuous_laws_merge_to_conditional_means(frozen):
    from distrl.models.laws import as_law

    law = as_law(frozen, "law")
    merged = merged_law(law, 40)
    assert merged.mean == pytest.approx(law.mean, abs=1e-9)
    points = frozen.ppf([0.01, 0.3, 0.5, 0.9, 0.99])
    excess = merged.probs @ np.maximum(merged.values[:, None] - points, 0.0)
    assert (excess <= law.stop_loss(points) + 1e-9).all()
    assert (excess >= law.stop_loss(points) - 0.1 * frozen.std()).all()


@pytest.mark.fast
@settings(max_examples=20)
@given(mrps(max_states=3, discounts=SHORT), st.integers(1, 6))
def test_every_sweep_of_either_order_is_valid(model, sweeps):
    grid = Grid.covering(model, 9)
    for order in ("convex", "stochastic"):
        returns = evaluate(model, Brackets(grid=grid, order=order, sweeps=sweeps)).returns
        for state in range(model.n_states):
            values, weights, left = enumerated_law(model, state, 6)
            points = np.linspace(grid.low, grid.high, 5)
            slack = left * 0.5**5 * max(np.abs(values).max(), grid.width, 1.0)
            check_inside(returns, state, exact_functionals(values, weights, points), points, slack)


@pytest.mark.fast
def test_means_are_exact_and_certified():
    rng = np.random.default_rng(1)
    model = MRP(rng.dirichlet(np.ones(6), 6), rng.normal(size=6), 0.95)
    sol = evaluate(model, Brackets(51))
    exact = np.linalg.solve(np.eye(6) - 0.95 * model.continuation.toarray(), model.expected_rewards)
    np.testing.assert_allclose(sol.values, exact, rtol=1e-12)
    interval = sol.returns.interval("mean")
    assert (interval[:, 0] <= exact).all() and (exact <= interval[:, 1]).all()
    assert np.diff(interval, axis=1).max() < 1e-10
    np.testing.assert_allclose(sol.returns.lower.mean(), exact, atol=1e-9)
    assert "CVaR 5%" in sol.summary() and "CVaR 5% <=" in sol.table()
    one = sol.returns[2]
    assert one.interval("cvar", 0.1).shape == (2,)
    np.testing.assert_array_equal(one.interval("cvar", 0.1), sol.returns.interval("cvar", 0.1)[2])


@pytest.mark.fast
def test_wrong_questions_are_refused_with_the_mend():
    returns = evaluate(MRP([[1.0]], [FiniteLaw([0, 1])], 0.5), Brackets(11)).returns
    for ask, message in [
        (lambda: returns.interval("median"), "functional must be one of"),
        (lambda: returns.interval("cvar"), "needs a level"),
        (lambda: returns.interval("cdf"), "needs a point"),
        (lambda: returns.interval("mean", 3), "takes no point"),
        (lambda: returns.interval("cvar", 0.0), "at must lie in"),
        (lambda: returns.interval("cvar", 0.1, tail="left"), "tail must be"),
        (lambda: Brackets(order="total"), "order must be"),
        (lambda: Brackets(sweeps=0), "sweeps must be"),
        (lambda: Brackets(target_width=0.0, functional="cvar", at=0.1), "target_width must be positive"),
        (lambda: Brackets(target_width=0.1), "go together"),
        (lambda: Brackets(functional="cvar", at=0.1), "go together"),
        (lambda: Brackets(at=0.1), "at and tail say"),
        (lambda: Brackets(target_width=0.1, functional="cvar"), "cvar needs a level"),
        (lambda: Brackets(target_width=0.1, functional="cvar", at=0.0), "at must lie in"),
        (lambda: Brackets(target_width=0.1, functional="mode"), "functional must be one of"),
        (lambda: Brackets(target_width=0.1, functional="variance", at=0.1), "takes no point"),
    ]:
        with pytest.raises(ValueError, match=message):
            ask()
    with pytest.raises(TypeError, match="interval"):
        returns.quantile(0.5)
