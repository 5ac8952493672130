"""`Solution.interval`: one implementation, every source, and what happens when sources disagree."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, Brackets, CategoricalFixedPoint, CVaR, FiniteLaw, Grid, Moments, QuantileDP, evaluate
from distrl.returns.functionals import CrossedEnds

MODEL = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
ASKED = [("mean", None), ("std", None), ("cvar", 0.1), ("quantile", 0.3), ("cdf", 4.0), ("stop_loss", 4.0)]


@pytest.mark.fast
def test_crossed_ends_are_an_internal_error_that_names_state_and_functional(monkeypatch):
    """They were swapped: a false bound looked like a true one."""
    returns = evaluate(MODEL, Brackets(31)).returns
    low, high = returns.interval("cvar", 0.1).T
    monkeypatch.setattr(type(returns), "cvar_ends", lambda self, levels, tail: (high[:, None], low[:, None]))
    with pytest.raises(CrossedEnds, match=r"CVaR\(level=0.1, tail='lower'\) at state 0 contradict each other"):
        returns.interval("cvar", 0.1)


@pytest.mark.fast
def test_sources_that_contradict_each_other_are_an_internal_error(monkeypatch):
    """Siblings of swapped ends: an empty intersection, and ends that are no numbers."""
    solution = evaluate(MODEL, Moments())
    far = lambda self: (self.mean + 1.0, self.mean + 2.0)  # noqa: E731
    monkeypatch.setattr(distrl.dp.enclosure.CertifiedLaw, "mean_ends", far)
    assert np.isfinite(solution.interval("mean")).all()  # moments alone
    monkeypatch.undo()
    other = evaluate(MODEL, CategoricalFixedPoint(31))
    bad = lambda self: (np.asarray(self.law.mean()) + 1.0, np.asarray(self.law.mean()) + 2.0)  # noqa: E731
    monkeypatch.setattr(distrl.dp.enclosure.CertifiedLaw, "mean_ends", bad)
    with pytest.raises(CrossedEnds, match=r"Mean\(\) at state 0 contradict"):
        other.interval("mean")
    lost = lambda self: (np.full(2, np.nan), np.full(2, np.nan))  # noqa: E731
    monkeypatch.setattr(distrl.dp.enclosure.CertifiedLaw, "mean_ends", lost)
    with pytest.raises(CrossedEnds, match="contradict"):
        other.interval("mean")


@pytest.mark.fast
def test_the_interval_of_brackets_is_within_what_the_laws_alone_say():
    solution = evaluate(MODEL, Brackets(51))
    for name, at in ASKED:
        whole, alone = solution.interval(name, at), solution.returns.interval(name, at)
        assert (alone[:, 0] <= whole[:, 0]).all() and (whole[:, 1] <= alone[:, 1]).all(), name
    assert np.diff(solution.interval("std")).max() < 1e-9  # the exact variance is known


@pytest.mark.fast
def test_a_solution_on_a_grid_knows_what_brackets_on_that_grid_know():
    """Of second order in the spacing, where its certificate is of first."""
    widths = []
    for atoms in (51, 201):
        solution = evaluate(MODEL, CategoricalFixedPoint(atoms))
        ends = solution.interval("cvar", 0.3)
        brackets = evaluate(MODEL, Brackets(atoms)).returns.interval("cvar", 0.3)
        np.testing.assert_allclose(ends, brackets, atol=1e-6)
        widths.append(float(np.diff(ends).max()))
        assert widths[-1] < 0.5 * solution.certificate.w1.max() / 0.3
    assert widths[1] < widths[0] / 4


def test_a_solution_that_is_not_converged_is_enclosed_all_the_same():
    """Its law is the upper bracket as it is; nothing is solved again behind a user's back."""
    exact = evaluate(MODEL, Brackets(401)).returns
    method = CategoricalFixedPoint(51, solver="iterate")
    for most in (1, 5, 40):
        solution = evaluate(MODEL, method, max_iterations=most, throw=False)
        for name, at in ASKED[2:]:
            inner, outer = exact.interval(name, at), solution.interval(name, at)
            assert (outer[:, 0] <= inner[:, 1]).all() and (inner[:, 0] <= outer[:, 1]).all()
            assert (outer[:, 0] <= outer[:, 1]).all()


@pytest.mark.fast
def test_the_command_for_an_expensive_bracket_is_left_to_the_user(monkeypatch):
    monkeypatch.setattr(distrl.dp.knowledge, "_WORK", 1e3)
    solution = evaluate(MODEL, CategoricalFixedPoint(51))
    assert solution._known.brackets is None
    ends = solution.interval("cvar", 0.3)
    inner = evaluate(MODEL, Brackets(201)).returns.interval("cvar", 0.3)
    assert (ends[:, 0] <= inner[:, 0]).all() and (inner[:, 1] <= ends[:, 1]).all()


@pytest.mark.fast
@pytest.mark.parametrize("share", [0.01, 1 / 16, 0.5, 0.75])
def test_moments_are_sharp_for_two_points(share):
    """Cantelli, Scarf: the law on two points attains its bound."""
    model = MRP([[1.0]], [FiniteLaw([-1.0, 3.0], [share, 1.0 - share])], 0.0)
    solution = evaluate(model, Moments())
    assert solution.interval("cvar", share)[0, 0] == pytest.approx(-1.0, abs=1e-12)
    assert solution.interval("quantile", share)[0, 0] == pytest.approx(-1.0, abs=1e-12)
    assert solution.interval("cdf", -1.0)[0, 1] == pytest.approx(share, abs=1e-12)
    assert solution.interval("cdf", 2.999)[0, 0] <= share <= solution.interval("cdf", -1.0)[0, 1]
    middle = 1.0  # midway between the points
    exact = (1.0 - share) * 2.0
    assert solution.interval("stop_loss", middle)[0, 1] >= exact - 1e-12
    if share == 0.5:
        assert solution.interval("stop_loss", middle)[0, 1] == pytest.approx(exact, abs=1e-12)
    if share > 0.5:  # share (1 - share) (3 - e) = (1 - share) share (e + 1)
        assert solution.interval("expectile", share)[0, 1] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.fast
def test_an_infinite_variance_leaves_what_the_mean_says():
    model = MRP([[0.0, 1.0], [0.0, 1.0]], [stats.t(1.5), 0.0], 1.0, terminal=[False, True])
    solution = evaluate(model, QuantileDP(40), throw=False)
    assert solution.interval("variance")[0, 1] == np.inf and np.isfinite(solution.interval("mean")).all()
    assert (solution.interval("variance")[1] <= 1e-300).all()
    low, high = solution.interval("cvar", 0.1)[0]
    exact = -stats.t(1.5).expect(lambda x: -x * (x < stats.t(1.5).ppf(0.1))) / 0.1
    assert low <= exact <= high


@pytest.mark.fast
def test_the_start_of_a_model_is_a_mixture_with_bounds_that_hold():
    """Fair coin between a Dirac at 1 and a uniform law on [0, 2]: what the command line prints for the start."""
    model = MRP([[1.0, 0.0], [0.0, 1.0]], [FiniteLaw([0.0, 1.0]), 0.5], 0.5, initial=[0.5, 0.5])
    asked = (distrl.Mean(), distrl.Std(), CVaR(0.1))
    _, columns = evaluate(model, CategoricalFixedPoint(101)).text_columns([], asked, start=True)
    row = {name: cells[0] for name, cells in columns.items()}
    truths = {"mean": 1.0, "sd": np.sqrt(0.5 / 3), "CVaR 10%": 0.2}  # F(x) = x / 4 up to 1: the mean of [0, .4]
    for name, truth in truths.items():
        low, high = (float(end) for end in row[name].split("[")[1].strip("]").split(", "))
        assert low <= truth <= high


@pytest.mark.fast
def test_stochastic_brackets_read_each_states_cdf_at_its_own_points():
    """The cost was that of all states' shifts at all states; the answer is what a loop over states gives."""
    model = distrl.environments.garnet(12, 1, 3, discount=0.8, rng=0).under(np.zeros(12, dtype=int))
    returns = evaluate(model, Brackets(61, order="stochastic")).returns
    points = np.linspace(-2.0, 6.0, 9)
    whole = returns.interval("cdf", points)
    for s in range(12):
        np.testing.assert_array_equal(returns[s].interval("cdf", points), whole[s])


@pytest.mark.fast
def test_monte_carlo_says_with_what_confidence_and_its_band_holds():
    coin = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5)
    solution = evaluate(coin, distrl.MonteCarlo(400, confidence=1 - 1e-9), rng=0)
    assert "confidence 1" in solution.summary()
    for x in (0.3, 1.0, 1.7):  # uniform on [0, 2]
        low, high = solution.interval("cdf", x)[0]
        assert low <= x / 2 <= high and high - low < 0.35
    for q in (0.2, 0.5, 0.8):
        low, high = solution.interval("quantile", q)[0]
        assert low <= 2 * q <= high


@pytest.mark.fast
def test_grids_that_clip_later_steps_do_not_mislead():
    """A clip two steps on: the variance was [2475, 9.99]."""
    rows = [(0, 0, 1.0, 1, 0.0, False), (1, 0, 0.99, 1, 0.0, True), (1, 0, 0.01, 1, 1000.0, True)]
    model = distrl.MDP.from_outcomes(rows, 0.5).under([0, 0])
    for method in (CategoricalFixedPoint(grid=Grid(0, 1, 11)), Brackets(grid=Grid(0, 1, 11))):
        low, high = evaluate(model, method).interval("variance")[0]
        exact = 0.25 * 0.01 * 0.99 * 1000.0**2
        assert low <= exact <= high and high - low < 1e-6


@pytest.mark.fast
@pytest.mark.parametrize("order", ["convex", "stochastic"])
@pytest.mark.parametrize("beta", [-5.0, -0.3, 0.0, 0.3, 5.0, 1e9, -1e9])
def test_brackets_alone_enclose_entropic_risk(order, beta):
    """A coin at discount 1/2: uniform on [0, 2]; wider than the recursion, never in conflict with it."""
    coin = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5)
    solution = evaluate(coin, Brackets(41, order=order))
    low, high = solution.returns.interval("entropic_risk", beta)[0]
    if abs(beta) > 100.0:
        exact = (2.0 if beta > 0 else 0.0) - np.log(2.0 * abs(beta)) / beta
    else:
        exact = np.log(np.expm1(2.0 * beta) / (2.0 * beta)) / beta if beta else 1.0
    assert low <= exact <= high
    inner = solution.interval("entropic_risk", beta)[0]
    assert low <= inner[0] <= inner[1] <= high
    if 0.0 < abs(beta) < 1.0:
        assert high - low < (0.01 if order == "convex" else 0.3)


@pytest.mark.fast
def test_rows_that_lack_mass_are_enclosed_whatever_it_does():
    """A row of sum 1 - 5e-10, within what is accepted: what is missing may stay, move on, or end."""
    missing = 5e-10
    model = MRP([[0.5, 0.5 - missing], [0.0, 1.0]], [1.0, 0.0], 0.9, terminal=[False, True])
    for method in (Moments(), CategoricalFixedPoint(31), Brackets(31)):
        solution = evaluate(model, method, throw=False)
        for p in (0.5, 0.5 + missing, 0.5 / (1.0 - missing)):
            mean = 1.0 / (1.0 - 0.9 * p)
            second = (1.0 + 2 * 0.9 * p * mean) / (1.0 - 0.81 * p)
            for name, exact in (("mean", mean), ("variance", second - mean**2)):
                low, high = solution.interval(name)[0]
                assert low <= exact <= high, (method, name, p)
        assert np.diff(solution.interval("mean")).max() < 1e-6


def test_quantiles_by_bisection_are_those_of_the_cdf_at_every_atom():
    """The cost was that of the CDF's ends at all atoms of all states; a search reads log m of them."""
    model = distrl.environments.garnet(7, 1, 3, discount=0.9, rng=1).under(np.zeros(7, dtype=int))
    returns = evaluate(model, Brackets(41)).returns
    atoms, levels = returns.upper.grid.points, [0.0, 0.01, 0.3, 0.5, 0.999, 1.0]
    low, high = np.moveaxis(returns.interval("cdf", atoms), -1, 0)
    found = returns.interval("quantile", levels)
    for k, level in enumerate(levels):
        for s in range(7):
            short = np.flatnonzero(high[s] < level - 1e-9)
            reached = np.flatnonzero(low[s] >= max(level, 1e-9))
            below = max(atoms[short[-1]] if len(short) else -np.inf, returns.least[s])
            above = min(atoms[reached[0]] if len(reached) else np.inf, returns.most[s])
            assert found[s, k].tolist() == [below, above]
