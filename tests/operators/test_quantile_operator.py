"""The quantile operator against concatenation and sorting, rational arithmetic, and closed forms of its targets."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import merge_distance, rows_of
from scipy import integrate, stats

from distrl import MRP, FiniteLaw, QuantileReturns, environments, wasserstein
from distrl._kernels.quantile import follow
from distrl.operators import QuantileBellman
from distrl.returns.quantile import midpoint_levels
from distrl.testing import mrps

FLATS = st.sampled_from([0.0, 0.5, 1.0, 0.3])
VALUES = st.one_of(st.integers(-4, 4).map(float), st.floats(-10, 10, allow_subnormal=False))


def targets(model, values):
    """Per state (particles, weights) of r + discount * v, by concatenation."""
    found = [([], []) for _ in range(model.n_states)]
    n = values.shape[1]
    for source, probability, successor, reward, terminal in rows_of(model):
        particles, weights = found[source]
        if terminal:
            particles.append(np.array([reward]))
            weights.append(np.array([probability]))
        else:
            particles.append(reward + model.discount * values[successor])
            weights.append(np.full(n, probability / n))
    return [(np.concatenate(particles), np.concatenate(weights)) for particles, weights in found]


def dense_quantiles(model, values, m, flat):
    """The definition: the first sorted value whose cumulative weight reaches, or passes, the level."""
    out = np.empty((model.n_states, m))
    for state, (particles, weights) in enumerate(targets(model, values)):
        order = np.argsort(particles, kind="stable")
        cumulative = np.cumsum(weights[order])
        for i in range(m):
            level = (2 * i + 1) / (2 * m)
            lower = particles[order][min(np.argmax(cumulative >= level - 1e-9), len(order) - 1)]
            upper = particles[order][min(np.argmax(cumulative > level + 1e-9), len(order) - 1)]
            out[state, i] = (1 - flat) * lower + flat * upper
    return out


@st.composite
def cases(draw, particles=8):
    model = draw(mrps())
    n = draw(st.integers(1, particles))
    return model, draw(arrays(np.float64, (model.n_states, n), elements=VALUES))


@pytest.mark.fast
@given(cases(), st.integers(1, 8), FLATS)
def test_agrees_with_concatenation_and_sorting(case, m, flat):
    model, values = case
    image = QuantileBellman(model, m, flat)(values)
    np.testing.assert_allclose(image, dense_quantiles(model, values, m, flat), rtol=1e-13, atol=1e-13)
    assert (np.diff(image, axis=1) >= 0).all()


@pytest.mark.fast
@given(st.data(), st.integers(1, 6), st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1)]))
def test_is_the_rational_answer_on_rational_instances_with_ties(data, m, flat):
    n, states = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    discount = Fraction(data.draw(st.integers(0, 7)), 8)
    values = [[Fraction(data.draw(st.integers(-4, 4))) for _ in range(n)] for _ in range(states)]
    rows, exact = [], []
    for source in range(states):
        weights = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
        target = []
        for weight in weights:
            probability = Fraction(weight, sum(weights))
            successor, reward = data.draw(st.integers(0, states - 1)), data.draw(st.integers(-2, 2))
            ends = data.draw(st.booleans())
            rows.append((source, float(probability), successor, float(reward), ends))
            if ends:
                target.append((Fraction(reward), probability))
            else:
                target += [(reward + discount * value, probability / n) for value in values[successor]]
        target.sort()
        line = []
        for i in range(m):
            level = Fraction(2 * i + 1, 2 * m)
            lower = next(z for k, (z, _) in enumerate(target) if sum(w for _, w in target[: k + 1]) >= level)
            upper = next(z for k, (z, _) in enumerate(target) if sum(w for _, w in target[: k + 1]) > level)
            line.append((1 - flat) * lower + flat * upper)
        exact.append(line)
    model = MRP.from_outcomes(rows, float(discount), states=states)
    image = QuantileBellman(model, m, float(flat))(np.array(values, dtype=float))
    assert image.tolist() == [[float(z) for z in line] for line in exact]  # eighths: float64 is exact


@given(mrps(), st.data(), FLATS)
def test_contracts_in_w_inf_by_the_discount(model, data, flat):
    m = data.draw(st.integers(1, 6))
    a = data.draw(arrays(np.float64, (model.n_states, m), elements=VALUES))
    b = data.draw(arrays(np.float64, (model.n_states, m), elements=VALUES))
    operator = QuantileBellman(model, m, flat)
    before = np.abs(np.sort(a, axis=1) - np.sort(b, axis=1)).max()
    assert np.abs(operator(a) - operator(b)).max() <= model.discount * before + 1e-13


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
def test_w_inf_ratios_on_500_random_models(flat):
    rng = np.random.default_rng(7)
    worst = 0.0
    for _ in range(500):
        states, m = rng.integers(1, 7), rng.integers(1, 12)
        p = rng.dirichlet(np.full(states, 0.5), states)
        model = MRP(p, rng.normal(size=(states, states)).round(1), rng.random())
        a, b = np.sort(rng.normal(size=(2, states, m)).round(1), axis=2)
        operator = QuantileBellman(model, m, flat)
        ratio = np.abs(operator(a) - operator(b)).max() / max(np.abs(a - b).max(), 1e-300)
        assert ratio <= model.discount * (1 + 1e-12)
        worst = max(worst, ratio / model.discount)
    assert worst > 0.5  # the search reaches where the bound matters


@pytest.mark.fast
@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
def test_w1_is_not_contracted(flat):
    """A counterexample, exact: state 0 goes to 1 and 2, with probabilities 3/8 and 5/8, discount 9/10, m = 2.

    The target's masses are 3/16, 3/16, 5/16, 5/16, so the levels 1/4 and 3/4 fall inside the second and the fourth,
    whatever `flat`: each successor's upper value decides alone. Moving both by 1 moves either law by 1/2 in W1,
    the image of state 0 by 9/10.
    """
    first, second = Fraction(3, 8), Fraction(5, 8)
    discount = Fraction(9, 10)
    laws = {"a": [[0, 0], [0, 2], [4, 6]], "b": [[0, 0], [0, 3], [4, 7]]}

    def exact(values):
        masses = [(discount * v, first / 2) for v in values[1]] + [(discount * v, second / 2) for v in values[2]]
        masses.sort()
        image = []
        for level in (Fraction(1, 4), Fraction(3, 4)):
            total = Fraction(0)
            for z, mass in masses:
                if total < level < total + mass:  # inside: both ends of the flat region are here
                    image.append(z)
                total += mass
        return image

    images = {name: exact(values) for name, values in laws.items()}
    before = max(
        sum(Fraction(abs(x - y), 2) for x, y in zip(*rows, strict=True)) for rows in zip(*laws.values(), strict=True)
    )
    after = sum(abs(x - y) / 2 for x, y in zip(*images.values(), strict=True))
    assert (before, after) == (Fraction(1, 2), Fraction(9, 10))
    model = MRP([[0, 3 / 8, 5 / 8], [0, 1, 0], [0, 0, 1]], np.zeros(3), 0.9)
    for name, values in laws.items():
        found = QuantileBellman(model, 2, flat)(np.array(values, dtype=float))
        np.testing.assert_allclose(found[0], [float(z) for z in images[name]], rtol=1e-15)


@pytest.mark.fast
def test_unsorted_particles_and_returns_are_taken():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)
    operator = QuantileBellman(model, 3)
    values = np.array([[3.0, 1.0, 2.0], [0.0, -1.0, 5.0]])
    image = operator(QuantileReturns(midpoint_levels(3), values))
    assert isinstance(image, QuantileReturns)
    np.testing.assert_array_equal(image.values, operator(np.sort(values, axis=1)))


def test_results_do_not_depend_on_the_threads():
    model = environments.garnet(300, 1, 5, rng=0).under("uniform")
    values = np.random.default_rng(0).normal(size=(300, 200))
    images = [QuantileBellman(model, 200, 0.5, threads)(values) for threads in (1, 2, 5)]
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


def test_a_long_sum_of_masses_stays_below_the_tolerance_of_ties():
    """200,000 particles: the level 1/2 is reached by the last value of the lower half, exactly."""
    n = 100_000
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [[0.0, 1e6], [0.0, 1e6]], 0.5)
    values = np.tile(np.arange(n, dtype=float), (2, 1))
    np.testing.assert_array_equal(QuantileBellman(model, 1)(values), (n - 1) / 2)
    np.testing.assert_array_equal(QuantileBellman(model, 1, 1.0)(values), 1e6)


# -- frozen choices and cuts ---------------------------------------------------------------------------------------


def particle(plan, values, name):
    k, j = divmod(int(name), values.shape[1])
    return plan.shift[k] + (plan.discount[k] * values[plan.successor[k], j] if plan.successor[k] >= 0 else 0.0)


@pytest.mark.fast
@given(mrps(discounts=st.sampled_from([0.5, 0.99])), st.integers(1, 5), st.data())
def test_following_frozen_choices_solves_their_linear_system(model, m, data):
    """Any particles may be chosen: cycles of any length, ends, and rows without choices."""
    plan = QuantileBellman(model, m).targets.plan
    n = model.n_states
    choices = np.empty((n, m), dtype=np.int64)
    for x, i in np.ndindex(n, m):
        k = data.draw(st.integers(plan.list_ptr[x], plan.list_ptr[x + 1] - 1))
        choices[x, i] = k * m + data.draw(st.integers(0, m - 1))
    if n > 1 and data.draw(st.booleans()):
        choices[-1] = -1
    values = data.draw(arrays(np.float64, (n, m), elements=VALUES))
    matrix, right = np.eye(n * m), values.ravel().copy()
    for row, name in enumerate(choices.ravel()):
        if name >= 0:
            k, j = divmod(int(name), m)
            right[row] = plan.shift[k]
            if plan.successor[k] >= 0:
                matrix[row, plan.successor[k] * m + j] -= plan.discount[k]
    follow(plan, choices, values)
    np.testing.assert_allclose(values.ravel(), np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-9)


@pytest.mark.fast
@given(cases(), st.integers(1, 6), FLATS)
def test_cuts_have_the_mass_of_their_level_and_end_at_the_particle_chosen(case, m, flat):
    model, values = case
    values = np.sort(values, axis=1)
    operator, n = QuantileBellman(model, m, flat), values.shape[1]
    choices, cuts, plan = operator.empty_choices(), operator.empty_cuts(), operator.targets.plan
    operator.apply(values, choices, np.empty((model.n_states, m)), cuts=cuts)
    single = np.where(plan.successor >= 0, n, 1)
    assert (cuts >= 0).all() and (cuts <= single[:, None]).all()
    for x, i in np.ndindex(model.n_states, m):
        lists = np.arange(plan.list_ptr[x], plan.list_ptr[x + 1])
        mass = (plan.prob[lists] / single[lists]) @ cuts[lists, i]
        k, j = divmod(choices[x, i, 0], n)
        last = plan.prob[k] / single[k]
        assert mass >= operator.levels[i] - 2e-9 and mass - last <= operator.levels[i] + 2e-9
        assert cuts[k, i] == j + 1
        taken = [particle(plan, values, a * n + cuts[a, i] - 1) for a in lists if cuts[a, i] > 0]
        assert particle(plan, values, choices[x, i, 0]) == max(taken)


@pytest.mark.fast
@given(mrps(discounts=st.sampled_from([0.0, 0.5, 0.9])), st.integers(1, 6), st.data())
def test_kept_cuts_are_solved_as_by_repeated_maxima(model, m, data):
    operator, n = QuantileBellman(model, m), model.n_states
    start = np.sort(data.draw(arrays(np.float64, (n, m), elements=VALUES)), axis=1)
    choices, cuts, plan = operator.empty_choices(), operator.empty_cuts(), operator.targets.plan
    image = np.empty((n, m))
    operator.apply(start, choices, image, cuts=cuts)
    solved = image.copy()
    operator.solve(solved, np.ascontiguousarray(choices[..., 0]), cuts)
    again = np.empty((n, m))
    for x, i in np.ndindex(n, m):
        lists = [k for k in range(plan.list_ptr[x], plan.list_ptr[x + 1]) if cuts[k, i] > 0]
        again[x, i] = max(particle(plan, solved, k * m + cuts[k, i] - 1) for k in lists)
    np.testing.assert_allclose(again, solved, rtol=1e-12, atol=1e-12)
    assert (np.diff(solved, axis=1) >= -1e-11).all()


# -- distances to the unprojected target ---------------------------------------------------------------------------


@pytest.mark.fast
@given(cases(), st.data())
def test_distance_to_the_target_agrees_with_a_merge_of_supports(case, data):
    model, values = case
    m = data.draw(st.integers(1, 6))
    laws = np.sort(data.draw(arrays(np.float64, (model.n_states, m), elements=VALUES)), axis=1)
    weights = data.draw(arrays(np.float64, (model.n_states, m), elements=st.integers(1, 5).map(float)))
    weights /= weights.sum(axis=1, keepdims=True)
    values = np.sort(values, axis=1)
    n = values.shape[1]
    found, slack = QuantileBellman(model, m).targets.distances(values, np.full((1, n), 1 / n), laws, weights)
    for state, (particles, masses) in enumerate(targets(model, values)):
        expected = merge_distance((laws[state], weights[state]), (particles, masses))
        assert found[state] == pytest.approx(expected, abs=1e-11)
    assert (slack < 1e-10).all()


# -- continuous targets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
def test_quantiles_of_a_normal_mixture_solve_its_cdf(flat):
    laws = [stats.norm(2, 1), stats.expon(-1, 2)]
    model = MRP([[0.3, 0.7], [0.6, 0.4]], laws, 0.9)
    values = np.sort(np.random.default_rng(0).normal(size=(2, 6)), axis=1)
    m = 50
    image = QuantileBellman(model, m, flat)(values)
    for state, p in enumerate([[0.3, 0.7], [0.6, 0.4]]):
        gaps = image[state][:, None, None] - 0.9 * values[None]
        cdf = laws[state].cdf(gaps).mean(axis=2) @ p
        np.testing.assert_allclose(cdf, midpoint_levels(m), atol=2e-12)


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0, 0.25])
def test_both_ends_of_a_flat_region_of_a_continuous_target(flat):
    """Uniform on [0, 1] or [3, 4], half each: F is 1/2 on [1, 3]."""
    rows = [(0, 0.5, 0, stats.uniform(0, 1), True), (0, 0.5, 0, stats.uniform(3, 1), True)]
    image = QuantileBellman(MRP.from_outcomes(rows, 0.5), 3, flat)([[0.0]])
    np.testing.assert_allclose(image, [[1 / 3, 1 + 2 * flat, 3 + 2 / 3]], atol=1e-11)


def test_a_target_with_atoms_and_a_density():
    """Half a Dirac at 1 (an end), half N(0, 1): F jumps from Phi(1)/2 to (1 + Phi(1))/2 at 1."""
    rows = [(0, 0.5, 0, 1.0, True), (0, 0.5, 0, stats.norm(), True)]
    m = 10
    image = QuantileBellman(MRP.from_outcomes(rows, 0.5), m)([[0.0]])[0]
    levels = midpoint_levels(m)
    below, above = stats.norm.cdf(1) / 2, (1 + stats.norm.cdf(1)) / 2
    expected = np.where(levels <= below, stats.norm.ppf(2 * np.minimum(levels, below)), 1.0)
    expected = np.where(levels > above, stats.norm.ppf(np.maximum(2 * levels - 1, 0.5)), expected)
    np.testing.assert_allclose(image, expected, atol=1e-11)


def test_heavy_tails_and_lattices_are_inverted():
    t = stats.t(2)
    model = MRP([[1.0]], [t], 0.5)
    image = QuantileBellman(model, 101)([[0.0]])
    # levels are met up to 1e-12, so values up to that over the density
    np.testing.assert_allclose(t.cdf(image[0]), midpoint_levels(101), rtol=0, atol=1.1e-12)
    poisson = QuantileBellman(MRP([[1.0]], [stats.poisson(3)], 0.5), 7)([[4.0]])
    np.testing.assert_allclose(poisson[0], 2.0 + stats.poisson(3).ppf(midpoint_levels(7)), atol=1e-12)


@pytest.mark.fast
@settings(max_examples=25)
@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(-50, 50)), st.booleans())
def test_a_search_from_any_points_ends_at_the_same_quantiles(near, upper):
    values = np.array([[-1.0, 0.5, 2.0], [0.0, 1.0, 40.0]])
    target = QuantileBellman(MRP([[0.5, 0.5], [1.0, 0.0]], [stats.t(3), 0.0], 0.5), 1).targets.with_laws[0]
    levels = midpoint_levels(9)
    found, plain = (
        target.mixture(values, np.full((1, 3), 1 / 3), 0.0, points).quantile(levels, upper) for points in (near, None)
    )
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-11)


@pytest.mark.fast
def test_a_symmetric_target_is_split_at_its_middle():
    """N(0, 1) against -1 and 1, half each: twice the integral over the upper half of the levels."""
    targets = QuantileBellman(MRP([[1.0]], [stats.norm()], 0.0), 2).targets
    halves = np.full((1, 2), 0.5)
    found, _ = targets.distances(np.zeros((1, 2)), halves, np.array([[-1.0, 1.0]]), halves)
    expected, _ = integrate.quad(lambda u: abs(stats.norm.ppf(u) - 1.0), 0.5, 1.0, points=[stats.norm.cdf(1.0)])
    assert found[0] == pytest.approx(2 * expected, abs=1e-7)


@pytest.mark.parametrize("law", [stats.norm(2, 1), stats.expon(), stats.t(3)])
def test_distance_to_a_continuous_target_agrees_with_quadrature(law):
    model = MRP([[0.5, 0.5], [1.0, 0.0]], [law, 0.0], 0.5)
    values = np.array([[-1.0, 0.5, 2.0], [0.0, 1.0, 4.0]])
    weights = np.full((1, 3), 1 / 3)
    laws = np.array([[-2.0, 1.0, 3.0], [0.0, 0.0, 1.0]])
    found, slack = QuantileBellman(model, 3).targets.distances(values, weights, laws, weights)

    def gap(x):
        return abs(law.cdf(x - 0.5 * values).mean() - (laws[0] <= x).mean())

    edges = [-np.inf, -30.0, -10.0, *np.unique(np.concatenate([laws[0], np.linspace(-9, 12, 43)])), 30.0, np.inf]
    pieces = [integrate.quad(gap, a, b, limit=200) for a, b in itertools.pairwise(edges)]
    error = sum(e for _, e in pieces) + slack[0]
    assert found[0] == pytest.approx(sum(value for value, _ in pieces), abs=max(10 * error, 1e-7))
    assert slack[0] < 1e-9


@pytest.mark.fast
@example(0.0)
@example(1.0)
@given(st.floats(0, 1))
def test_a_deterministic_successor_law_is_shifted_and_scaled(flat):
    model = MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 2.0], 0.5)
    values = np.array([[0.0, 4.0, 8.0], [2.0, 2.0, 6.0]])
    np.testing.assert_array_equal(QuantileBellman(model, 3, flat)(values), [[2.0, 2.0, 4.0], [2.0, 4.0, 6.0]])


@pytest.mark.fast
def test_bad_input_is_refused_by_name():
    model = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5)
    with pytest.raises(ValueError, match=r"flat must lie in \[0, 1\]"):
        QuantileBellman(model, 3, 1.5)
    with pytest.raises(ValueError, match="quantiles must be at least 1"):
        QuantileBellman(model, 0)
    with pytest.raises(TypeError, match=r"needs \.under"):
        QuantileBellman(environments.garnet(5, 2, 2, rng=0), 3)
    with pytest.raises(ValueError, match=r"values must have shape \(1, n\)"):
        QuantileBellman(model, 3)(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="the operator acts on 1"):
        QuantileBellman(model, 3)(QuantileReturns([0.5], np.zeros((2, 1))))


def test_many_particles_are_allowed_and_the_image_approaches_the_target():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)
    values = np.sort(np.random.default_rng(1).normal(size=(2, 64)), axis=1)
    last = np.inf
    for m in (2, 8, 32, 128):
        image = QuantileBellman(model, m)(values)
        laws = [FiniteLaw(particles, weights) for particles, weights in targets(model, values)]
        distance = wasserstein(QuantileReturns(midpoint_levels(m), image), laws).max()
        assert distance < last
        last = distance
    assert last < 1e-12  # 128 equal masses: every particle is met
