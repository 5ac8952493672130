"""Discounts that differ by outcome: exact laws in fractions, dense formulas, options and their primitive steps."""

from fractions import Fraction as F
from math import comb

import numpy as np
import pytest
from exact_laws import FiniteTruth
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl import (
    MDP,
    MRP,
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    ExpectileDP,
    Grid,
    Moments,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    SketchDP,
    Status,
    evaluate,
)
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.resolvent import Resolvent
from distrl.operators.particle_targets import ParticleTargets

METHODS = [
    CategoricalFixedPoint(201),
    CategoricalFixedPoint(51, solver="iterate"),
    CategoricalDP(101, 60),
    QuantileDP(51),
    QuantileDP(20, flat=0.5),
    ExpectileDP(11),
    ParticleDP(101),
    SketchDP(atoms=21),
    MonteCarlo(400, confidence=1 - 1e-9),
]
#: state -> outcomes (probability, next state or None for an end, reward, discount)
Outcomes = list[list[tuple[F, int | None, F, F]]]


def truncated(outcomes: Outcomes, steps: int) -> tuple[list[FiniteTruth], list[F]]:
    """Laws of the first `steps` rewards, and bounds on W1 to those of all: paths counted one by one, in fractions."""
    sizes = [abs(reward) / (1 - g) for rows in outcomes for _, _, reward, g in rows if g < 1]
    laws = [{F(0): F(1)} for _ in outcomes]
    left = [max(sizes, default=F(0))] * len(outcomes)
    for _ in range(steps):
        longer, less = [], []
        for rows in outcomes:
            law, rest = {}, F(0)
            for p, y, reward, g in rows:
                for value, q in [(F(0), F(1))] if y is None else laws[y].items():
                    total = reward + g * value if y is not None else reward
                    law[total] = law.get(total, F(0)) + p * q
                rest += F(0) if y is None else p * g * left[y]
            longer.append(law)
            less.append(rest)
        laws, left = longer, less
    return [FiniteTruth(law) for law in laws], left


def model_of(outcomes: Outcomes) -> MRP:
    return MRP.from_outcomes(
        [
            (x, float(p), x if y is None else y, float(r), y is None, float(g))
            for x, rows in enumerate(outcomes)
            for p, y, r, g in rows
        ],
        None,
    )


def w1(truth, returns, state):
    values, weights = returns[state].support_weights()
    return truth.w1(np.asarray(values, dtype=float), np.asarray(weights, dtype=float))


EIGHTHS = st.integers(0, 8).map(lambda k: F(k, 8))


@st.composite
def loops(draw, states=2, largest=F(7, 8)):
    """Two states, each with two outcomes that may lead anywhere or end; dyadic numbers, exact in float64."""
    rows = []
    for _ in range(states):
        p = draw(st.integers(1, 7).map(lambda k: F(k, 8)))
        ends = st.one_of(st.none(), st.integers(0, states - 1))
        row = []
        for share in (p, 1 - p):
            reward = draw(st.integers(-8, 8).map(lambda k: F(k, 4)))
            row.append((share, draw(ends), reward, min(draw(EIGHTHS), largest)))
        rows.append(row)
    return rows


def dense(model):
    """(S, S) P, (S, n) outcome incidence is not needed: arrays of all rows for textbook formulas."""
    table = model.outcomes
    return table.sources, table.probs, table.next_states, table.rewards, model.discounts


def raw_moments(model, order):
    """(order + 1, S) E G^k by dense systems: E G^k = sum p sum_j (k over j) r^(k-j) g^j E G(y)^j."""
    sources, probs, following, rewards, g = dense(model)
    n = model.n_states
    moments = [np.ones(n)]
    for k in range(1, order + 1):
        matrix, right = np.eye(n), np.zeros(n)
        for x, p, y, r, factor in zip(sources, probs, following, rewards, g, strict=True):
            matrix[x, y] -= p * factor**k
            right[x] += p * sum(comb(k, j) * r ** (k - j) * factor**j * moments[j][y] for j in range(k))
        moments.append(np.linalg.solve(matrix, right))
    return np.array(moments)


def random_model(seed, states=6, low=0.2, high=0.95):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(states), states)
    return MRP(p, rng.normal(size=(states, states)), rng.uniform(low, high, (states, states)))


# -- the same numbers where discounts are the same ------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS, Moments(4), Brackets(51), Brackets(51, order="stochastic")], ids=repr)
def test_arrays_of_one_number_give_the_bits_of_the_number(method):
    rng = np.random.default_rng(0)
    p, r = rng.dirichlet(np.ones(4), 4), rng.normal(size=4)
    one, other = (evaluate(MRP(p, r, g), method, rng=0) for g in (0.75, np.full((4, 4), 0.75)))
    np.testing.assert_array_equal(one.values, other.values)
    assert one.status is other.status and one.iterations == other.iterations
    if one.certificate is not None:
        np.testing.assert_array_equal(one.certificate.w1, other.certificate.w1)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_state_whose_discount_is_zero_is_one_whose_outcomes_end(method):
    rng = np.random.default_rng(1)
    p, r = rng.dirichlet(np.ones(4), 4), rng.normal(size=4)
    g = np.array([0.75, 0.0, 0.75, 0.75])
    rows = [(x, p[x, y], y, r[x], x == 1) for x in range(4) for y in range(4)]
    one, other = (evaluate(model, method, rng=0) for model in (MRP(p, r, g), MRP.from_outcomes(rows, 0.75)))
    np.testing.assert_array_equal(one.values, other.values)


# -- exact laws -----------------------------------------------------------------------------------------------------


def acyclic(seed):
    """Five states that lead to later ones, three outcomes each; all numbers dyadic, factors 0 and 1 among them."""
    rng = np.random.default_rng(seed)
    outcomes = []
    for x in range(5):
        cuts = np.sort(rng.choice(np.arange(1, 16), 2, replace=False))
        row = []
        for share in np.diff([0, *cuts, 16]):
            y = int(rng.integers(x + 1, 5)) if x < 4 and rng.random() < 0.8 else None
            row.append((F(int(share), 16), y, F(int(rng.integers(-12, 13)), 4), F(int(rng.integers(0, 9)), 8)))
        outcomes.append(row)
    return outcomes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_certificates_enclose_the_exact_laws_of_acyclic_models(method, seed):
    outcomes = acyclic(seed)
    truth, _ = truncated(outcomes, 6)
    model = model_of(outcomes)
    grid = Grid.tight(model, 101)
    if hasattr(method, "grid"):
        method = type(method)(**{**{f: getattr(method, f) for f in method.__dataclass_fields__}, "grid": grid})
    sol = evaluate(model, method, rng=0)
    for x, law in enumerate(truth):
        assert w1(law, sol.returns, x) <= sol.certificate.w1[x] * (1 + 1e-9) + 1e-13
        low, high = sol.interval("mean")[x]
        assert low <= law.mean() <= high and high - low < 1e-12


@given(loops())
def test_certificates_and_intervals_enclose_the_exact_laws_of_loops(outcomes):
    truth, left = truncated(outcomes, 7)
    model = model_of(outcomes)
    for method in (CategoricalFixedPoint(31), QuantileDP(9), ParticleDP(21), ExpectileDP(5)):
        sol = evaluate(model, method)
        for x, law in enumerate(truth):
            assert w1(law, sol.returns, x) <= sol.certificate.w1[x] + float(left[x]) + 1e-12
    sol = evaluate(model, Brackets(31))
    for x, law in enumerate(truth):
        gap = float(left[x]) + 1e-12
        for level in (0.1, 0.5):
            low, high = sol.interval("cvar", level)[x]
            assert low - gap / level <= law.cvar(level) <= high + gap / level
        low, high = sol.interval("mean")[x]
        assert low - gap <= float(law.mean()) <= high + gap


@pytest.mark.parametrize("seed", range(3))
def test_entropic_intervals_enclose_the_exact_risk(seed):
    outcomes = acyclic(seed)
    truth, _ = truncated(outcomes, 6)
    model = model_of(outcomes)
    sol = evaluate(model, Brackets(201, grid=Grid.tight(model, 201)))
    for beta in (-2.0, 3.0):
        for (low, high), law in zip(sol.interval("entropic_risk", beta), truth, strict=True):
            assert low - 1e-12 <= law.entropic_risk(beta) <= high + 1e-12


def test_stochastic_brackets_enclose_the_exact_cdf():
    outcomes = [[(F(1, 2), 0, F(1), F(1, 2)), (F(1, 2), 1, F(-1), F(1, 4))], [(F(1), 0, F(1, 2), F(3, 4))]]
    truth, left = truncated(outcomes, 14)
    assert max(left) < 1e-3
    sol = evaluate(model_of(outcomes), Brackets(301, order="stochastic"))
    # a path cut short lies within 3 * (3/8)^7 of where it would have come to
    points = np.linspace(-2, 2, 9)
    for x, law in enumerate(truth):
        low, high = sol.interval("cdf", points)[x].T
        assert (low <= [float(law.cdf(point + 0.01)) for point in points]).all()
        assert (high >= [float(law.cdf(point - 0.01)) for point in points]).all()


# -- moments, resolvents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_moments_solve_the_dense_systems_of_powers_of_the_factors(seed):
    model = random_model(seed)
    raw = raw_moments(model, 4)
    sol = evaluate(model, Moments(4))
    assert sol.status is Status.CONVERGED
    mean = raw[1]
    for k in range(2, 5):
        central = sum(comb(k, j) * raw[j] * (-mean) ** (k - j) for j in range(k + 1))
        np.testing.assert_allclose(sol.returns.central_moment(k), central, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sol.values, mean, rtol=1e-12, atol=1e-12)


@given(loops(states=3), st.integers(1, 3))
def test_gains_and_bounds_of_the_resolvent_hold_in_fractions(outcomes, power):
    """(I - P g^k)^{-1} 1 by Gauss elimination over the rationals."""
    n = len(outcomes)
    rows = [[F(int(i == j)) for j in range(n)] + [F(1)] for i in range(n)]
    for x, row in enumerate(outcomes):
        for p, y, _, g in row:
            if y is not None:
                rows[x][y] -= p * g**power
    for c in range(n):
        rows[c] = [entry / rows[c][c] for entry in rows[c]]
        for x in range(n):
            if x != c:
                rows[x] = [a - rows[x][c] * b for a, b in zip(rows[x], rows[c], strict=True)]
    exact = [row[n] for row in rows]
    resolvent = Resolvent.of(model_of(outcomes), power)
    solution, error = resolvent.enclose(np.ones(n))
    for x in range(n):
        assert abs(F(solution[x]) - exact[x]) <= F(error[x])
        assert exact[x] <= F(resolvent.gains[x]) <= exact[x] * (1 + F(1, 10**12))


def test_means_keep_their_relative_accuracy_where_factors_are_all_but_one():
    """A chain that falls back to its start, leaks of 2^-40 in some places: the condition number is beyond 1e15."""
    n, leak = 24, F(1, 2**40)
    outcomes = [
        [(F(1, 2), x + 1 if x + 1 < n else None, F(1), 1 - leak if x % 3 else F(1)), (F(1, 2), 0, F(0), F(1))]
        for x in range(n)
    ]
    # value of state x is a + b v0: from the last state back, in fractions
    a, b = F(0), F(0)
    for x in reversed(range(n)):
        _, y, r, g = outcomes[x][0]
        onward = (F(0), F(0)) if y is None else (a, b)
        a, b = F(1, 2) * (r + g * onward[0]), F(1, 2) * g * onward[1] + F(1, 2)
    exact = a / (1 - b)
    mean = evaluate(model_of(outcomes), Moments(1)).values[0]
    assert abs(F(mean) / exact - 1) < F(1, 10**13)


# -- solvers --------------------------------------------------------------------------------------------------------


def walk(states, seed=0):
    """A walk on a ring with factors near 1, which iterates slowly."""
    rng = np.random.default_rng(seed)
    p = np.zeros((states, states))
    x = np.arange(states)
    p[x, (x + 1) % states], p[x, (x - 1) % states], p[x, x] = 0.45, 0.45, 0.1
    return MRP(p, rng.normal(size=states), rng.uniform(0.9, 0.999, (states, states)))


def dense_fixed_point(model, grid):
    """PMF of the categorical fixed point: the definition's double loop as a matrix, and a dense solve."""
    m, n, z = grid.atoms, model.n_states, grid.points
    matrix, right = np.zeros((n * m, n * m)), np.zeros(n * m)

    def hat(target):
        return np.clip(1 - np.abs(np.clip(target, z[0], z[-1]) - z) / grid.spacing, 0, 1)

    ends = model.outcomes.terminals
    for (x, p, y, r, g), end in zip(zip(*dense(model), strict=True), ends, strict=True):
        if end:
            right[x * m : (x + 1) * m] += p * hat(r)
            continue
        for j in range(m):
            matrix[x * m : (x + 1) * m, y * m + j] += p * hat(r + g * z[j])
    system = np.eye(n * m) - matrix
    for x in range(n):  # the last equation of each state is that masses sum to 1
        system[x * m + m - 1], right[x * m + m - 1] = 0.0, 1.0
        system[x * m + m - 1, x * m : (x + 1) * m] = 1.0
    return np.linalg.solve(system, right).reshape(n, m)


@pytest.mark.parametrize("solver", ["auto", "krylov", "direct", "iterate"])
@pytest.mark.parametrize("model", [random_model(0), walk(12), model_of(acyclic(3))], ids=["dense", "ring", "acyclic"])
def test_every_solver_reaches_the_dense_fixed_point(model, solver):
    grid = Grid.tight(model, 25)
    sol = evaluate(model, CategoricalFixedPoint(grid=grid, solver=solver), tol=1e-9)
    assert sol.status is Status.CONVERGED
    np.testing.assert_allclose(sol.returns.probs, dense_fixed_point(model, grid), atol=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        walk(300),
        random_model(5, 100, 0.97, 0.999),
        MRP.from_outcomes(
            [(x, 0.5, min(x + 1, 199), 1.0, False, 0.999 if x % 2 else 0.95) for x in range(200)]
            + [(x, 0.5, x, -1.0, x == 199, 0.9 if x % 3 else 0.5) for x in range(200)],
            None,
        ),
    ],
    ids=["ring", "mixing", "one way"],
)
def test_what_auto_chooses_agrees_with_plain_krylov(model):
    grid = Grid.tight(model, 41)
    auto, plain = (evaluate(model, CategoricalFixedPoint(grid=grid, solver=how)) for how in ("auto", "krylov"))
    assert auto.status is plain.status is Status.CONVERGED
    np.testing.assert_allclose(auto.returns.probs, plain.returns.probs, atol=1e-8)


@given(loops(largest=F(1)), st.integers(0, 2**32 - 1))
def test_the_operators_contract_by_the_largest_factor_and_state_by_state(outcomes, seed):
    """W1((T a)(x), (T b)(x)) <= sum_y p g W1(a(y), b(y)), and so sup-W1 shrinks by the largest factor."""
    model = model_of(outcomes)  # operators do not ask whether anything ends or discounts
    rng, grid = np.random.default_rng(seed), Grid(-3.0, 4.0, 15)
    operator = distrl.operators.CategoricalBellman(model, grid)
    a, b = rng.dirichlet(np.ones(15), (2, model.n_states))

    def distance(p, q):
        return np.abs(np.cumsum(p - q, axis=1)).sum(axis=1) * grid.spacing

    before, after = distance(a, b), distance(operator(a), operator(b))
    assert (after <= model.discounted() @ before + 1e-12).all()
    assert after.max() <= model.largest_discount * before.max() + 1e-12
    quantile = distrl.operators.QuantileBellman(model, 7)
    x, y = np.sort(rng.normal(size=(2, model.n_states, 7)), axis=2)
    shrunk = np.abs(quantile(x) - quantile(y)).max()
    assert shrunk <= model.largest_discount * np.abs(x - y).max() + 1e-12


# -- factors of 1 ---------------------------------------------------------------------------------------------------


def leaking():
    """Between decisions time stands still (factor 1, reward 0 or not); a decision discounts by a half."""
    return [
        [(F(1, 2), 0, F(0), F(1)), (F(1, 2), 1, F(1), F(1))],
        [(F(3, 4), 0, F(-1), F(1, 2)), (F(1, 4), None, F(2), F(0))],
    ]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_factors_of_one_are_certified_state_by_state(method):
    model = model_of(leaking())
    grid = Grid.tight(model, 101)
    if hasattr(method, "grid"):
        method = type(method)(**{**{f: getattr(method, f) for f in method.__dataclass_fields__}, "grid": grid})
    sol = evaluate(model, method, rng=0)
    truth, _ = truncated(leaking(), 11)
    exact = raw_moments(model, 1)[1]
    sampled = isinstance(method, MonteCarlo)
    for x, law in enumerate(truth):
        assert np.isfinite(sol.certificate.w1[x]) or sampled
        # the rest: (7/8)^k of states 0 and 1 alternate, each at most 3 in size
        assert w1(law, sol.returns, x) <= sol.certificate.w1[x] + abs(float(law.mean()) - exact[x]) + 3 * 0.8**5
    assert (sol.interval("mean")[:, 0] <= exact + 1e-12).all() and (sol.interval("mean")[:, 1] >= exact - 1e-12).all()


def test_no_interval_is_closed_where_a_reward_is_never_discounted():
    with pytest.raises(ValueError, match=r"goes on with discount 1 and a reward.*Grid\.tight"):
        Grid.covering(model_of(leaking()), 11)
    waiting = MRP.from_outcomes([(0, 0.5, 0, 0.0, False, 1.0), (0, 0.5, 0, 1.0, False, 0.5)], None)
    assert (Grid.covering(waiting, 11).low, Grid.covering(waiting, 11).high) == (2.0 - 0.5, 2.0 + 0.5)
    sol = evaluate(waiting, CategoricalFixedPoint(101))
    assert sol.values[0] == pytest.approx(2.0, abs=1e-12) and sol.certificate.w1[0] < 1e-9


# -- grids ----------------------------------------------------------------------------------------------------------


@given(loops(states=3))
def test_covering_is_the_smallest_interval_that_every_outcome_maps_into_itself(outcomes):
    model = model_of(outcomes)
    rows = [row for rows in outcomes for row in rows]
    ends = [(r, F(0)) if y is None else (r, g) for _, y, r, g in rows]
    high = max(r / (1 - g) for r, g in ends)
    low = min(r / (1 - g) for r, g in ends)
    assert all(low <= r + g * low and r + g * high <= high for r, g in ends)  # closed, in fractions
    assert any(r + g * (high - F(1, 10**6)) > high - F(1, 10**6) for r, g in ends)  # and no smaller one is
    assert any(r + g * (low + F(1, 10**6)) < low + F(1, 10**6) for r, g in ends)
    if high > low:
        grid, tight = Grid.covering(model, 5), Grid.tight(model, 5)
        assert grid.low == pytest.approx(float(low)) and grid.high == pytest.approx(float(high))
        truth, left = truncated(outcomes, 6)
        assert tight.high <= grid.high + 1e-9 or tight.width == 1.0  # one point is widened
        for law, rest in zip(truth, left, strict=True):  # where nothing is left, the sums are the returns
            if rest == 0:
                assert tight.low - 1e-9 <= float(min(law.values)) and float(max(law.values)) <= tight.high + 1e-9


# -- options --------------------------------------------------------------------------------------------------------


def test_an_option_has_the_law_of_its_primitive_steps():
    """An option of k steps is one outcome of its reward sum and the factor g^k, k random: the same law at decisions.

    Primitive: from the decision state 0, the option draws k in {1, 2, 3} and walks through states that pay 1 each step,
    then comes back or ends. State 1 starts the option of two steps, deterministic rewards.
    """
    g = F(7, 8)
    chance = {1: F(1, 4), 2: F(1, 2), 3: F(1, 4)}
    option = []
    for k, p in chance.items():
        total = sum(g**t for t in range(k))
        option += [(p * F(7, 8), 0, total, g**k), (p * F(1, 8), None, total, F(0))]
    # primitive states: 1 = one more step to go, 2 = two more
    stop = [(F(7, 8), 0), (F(1, 8), None)]
    primitive = [
        [(chance[1] * q, y, F(1), g) for q, y in stop] + [(chance[2], 1, F(1), g), (chance[3], 2, F(1), g)],
        [(q, y, F(1), g) for q, y in stop],
        [(F(1), 1, F(1), g)],
    ]
    slow, fast = model_of(primitive), model_of([option])
    assert slow.discount == 7 / 8 and fast.uniform_discount is None
    few, many = (evaluate(model, Moments(6)) for model in (fast, slow))
    assert few.values[0] == pytest.approx(many.values[0], rel=1e-12)
    for k in range(2, 7):
        moment, other = (float(sol.returns.central_moment(k)[0]) for sol in (few, many))
        assert moment == pytest.approx(other, rel=1e-10)
    a, b = (evaluate(model, CategoricalFixedPoint(1001)) for model in (fast, slow))
    distance = distrl.wasserstein(a.returns[[0]], b.returns[[0]])[0]
    assert distance <= a.certificate.w1[0] + b.certificate.w1[0]
    assert a.certificate.w1[0] < 0.02
    assert a.returns.mean()[0] == pytest.approx(b.returns.mean()[0], rel=1e-11)


def test_decision_processes_keep_factors_by_action_and_give_the_laws_of_actions():
    """A fast option and a slow one; the law of each action is one more step from the policy's laws."""
    rows = [
        (0, 0, 1.0, 1, 1.0, False, 0.5),
        (0, 1, 0.5, 1, 3.0, False, 0.25),
        (0, 1, 0.5, 0, 0.0, True, 0.0),
        (1, 0, 1.0, 0, -1.0, False, 0.75),
    ]
    mdp = MDP.from_outcomes(rows, None)
    policy = np.array([[0.5, 0.5], [1.0, 0.0]])
    sol = evaluate(mdp, CategoricalFixedPoint(301), policy=policy)
    v = np.linalg.solve([[1.0, -(0.5 * 0.5 + 0.25 * 0.25)], [-0.75, 1.0]], [0.5 * 1 + 0.5 * 1.5, -1.0])
    np.testing.assert_allclose(sol.values, v, atol=1e-10)
    actions = sol.action_returns
    np.testing.assert_allclose(np.ravel(actions.mean())[[0, 1]], [1 + 0.5 * v[1], 1.5 + 0.125 * v[1]], atol=1e-10)


# -- continuous rewards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [CategoricalFixedPoint(grid=Grid(-9, 12, 801)), QuantileDP(201)], ids=repr)
def test_one_normal_reward_with_two_discounts_gives_the_normal_law_of_each(method):
    """0 -> 2 at one half, 1 -> 2 at a quarter, 2 ends; all pay N(1, 1): three normal laws, two matrices of one law."""
    law = stats.norm(1, 1)
    rows = [(0, 1.0, 2, law, False, 0.5), (1, 1.0, 2, law, False, 0.25), (2, 1.0, 2, law, True, 0.0)]
    model = MRP.from_outcomes(rows, None)
    sol = evaluate(model, method)
    truth = [stats.norm(1 + g, (1 + g * g) ** 0.5) for g in (0.5, 0.25)] + [law]
    assert (distrl.wasserstein(sol.returns, truth) <= sol.certificate.w1 + 1e-9).all()
    assert (sol.certificate.w1 < 0.1).all()
    np.testing.assert_allclose(sol.values, [1.5, 1.25, 1.0], atol=1e-2)


def test_normal_rewards_and_factors_that_loop():
    """One state, N(0, 1) rewards, factor 1/2 or 1/4 by a coin: E G^2 = 1 + E g^2 E G^2."""
    law = stats.norm(0, 1)
    model = MRP.from_outcomes([(0, 0.5, 0, law, False, 0.5), (0, 0.5, 0, law, False, 0.25)], None)
    variance = 1 / (1 - (0.25 + 0.0625) / 2)
    sol = evaluate(model, CategoricalFixedPoint(grid=Grid(-8, 8, 801)))
    assert evaluate(model, Moments(2)).returns.var()[0] == pytest.approx(variance, rel=1e-12)
    assert sol.returns.var()[0] == pytest.approx(variance, rel=1e-3)
    low, high = sol.interval("variance")[0]
    assert low <= variance <= high and high - low < 1e-8


# -- sampling -------------------------------------------------------------------------------------------------------


def test_sampled_means_lie_within_their_error_bars():
    model = random_model(7)
    mean, second = raw_moments(model, 2)[1:]
    sol = evaluate(model, MonteCarlo(4000), rng=0)
    sd = np.sqrt(second - mean**2)
    assert (np.abs(sol.values - mean) <= 5 * sd / 4000**0.5 + sol.bounds).all()
    assert (sol.certificate.overshoot <= 1e-4).all()


@pytest.mark.fast
def test_particles_of_any_kind_are_certified():
    model = random_model(8, 3)
    values = np.sort(np.random.default_rng(0).normal(size=(3, 5)), axis=1)
    certificate = ParticleCertifier(model, ParticleTargets(model.outcomes, None)).certify(
        distrl.ParticleReturns(values)
    )
    mean = raw_moments(model, 1)[1]
    assert (np.abs(values.mean(axis=1) - mean) <= certificate.w1).all()
