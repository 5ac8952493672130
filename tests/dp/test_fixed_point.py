"""The categorical fixed point, against rational arithmetic, exact laws and other solvers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_bellman, exact_fixed_point
from scipy import sparse, stats

import distrl
from distrl import MRP, CategoricalDP, CategoricalFixedPoint, FiniteLaw, Grid, Status, environments, evaluate
from distrl.testing import mrps

SOLVERS = ["direct", "iterate", "krylov"]


def random_mrp(seed: int) -> MRP:
    """Dense or sparse, with terminal states, state, transition or random rewards."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    p = rng.dirichlet(np.full(n, 0.4), n)
    p[p < 0.05] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    kind = seed % 4
    rewards = rng.normal(size=n) if kind == 0 else rng.normal(size=(n, n))
    if kind == 2:
        rewards = [FiniteLaw(rng.integers(-3, 4, size=3), rng.dirichlet(np.ones(3))) for _ in range(n)]
    elif kind == 3:
        rewards = [stats.uniform(rng.normal(), 1.0) if rng.random() < 0.5 else float(rng.normal()) for _ in range(n)]
    discount = float(rng.choice([0.0, 0.3, 0.8, 0.9, 0.97]))
    matrix = sparse.csr_array(p) if seed % 2 else p
    terminal = rng.random(n) < 0.2
    for state in np.flatnonzero(terminal):
        rewards[state] = np.zeros_like(rewards[state]) if kind < 2 else 0.0
    return MRP(matrix, rewards, discount, terminal=terminal)


def rational_case(seed: int):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    discount = Fraction(int(rng.integers(0, 8)), 8)
    rows = []
    for state in range(n):
        weights = rng.integers(0, 4, size=3)
        weights[0] += 1
        for weight in weights:
            if weight:
                reward = Fraction(int(rng.integers(-6, 7)), 4)
                share = Fraction(int(weight), int(weights.sum()))
                rows.append((state, share, int(rng.integers(n)), reward, bool(rng.random() < 0.3)))
    low = Fraction(int(rng.integers(-16, 1)), 2)
    spacing = Fraction(int(rng.integers(1, 9)), 4)
    return rows, discount, [low + spacing * i for i in range(m)], n


@pytest.mark.fast
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(12))
def test_equals_the_fixed_point_in_rational_arithmetic(seed, solver):
    rows, discount, atoms, n = rational_case(seed)
    expected = np.array(exact_fixed_point(rows, discount, atoms, n), dtype=float)
    model = MRP.from_outcomes([(s, float(p), y, float(r), t) for s, p, y, r, t in rows], float(discount), states=n)
    grid = Grid(float(atoms[0]), float(atoms[-1]), len(atoms))
    sol = evaluate(model, CategoricalFixedPoint(grid=grid, solver=solver), tol=1e-13 * grid.width)
    # W1 <= tol, and a CDF value errs by at most W1 / spacing
    np.testing.assert_allclose(sol.returns.probs, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=[pytest.mark.nightly] * (k % 10 > 0)) for k in range(200)])
def test_direct_iterate_and_krylov_agree_to_nine_digits_in_cdf(seed):
    model = random_mrp(seed)
    atoms = int(np.random.default_rng(seed).choice([2, 11, 51, 101]))
    cdfs = [evaluate(model, CategoricalFixedPoint(atoms, solver=s)).returns.cdf_values for s in SOLVERS]
    np.testing.assert_allclose(cdfs[1], cdfs[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(cdfs[2], cdfs[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(0, 200, 7))
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_mean_equals_the_linear_solve_when_nothing_is_clipped(seed, solver):
    model = random_mrp(seed)
    sol = evaluate(model, CategoricalFixedPoint(51, solver=solver), tol=1e-12, throw=False)  # as far as float64 goes
    exact = np.linalg.solve(
        np.eye(model.n_states) - model.discount * model.continuation.toarray(), model.expected_rewards
    )
    np.testing.assert_allclose(sol.values, exact, rtol=0, atol=1e-10)
    assert sol.clipped_mass == 0.0


@given(mrps(), st.sampled_from(["auto", *SOLVERS]), st.integers(2, 40))
def test_the_solution_is_a_fixed_point_of_the_dense_operator(model, solver, atoms):
    sol = evaluate(model, CategoricalFixedPoint(atoms, solver=solver))
    probs = sol.returns.probs
    image = dense_bellman(model, sol.returns.atoms, probs)
    distance = np.abs(np.cumsum(image - probs, axis=1)[:, :-1]).sum(axis=1) * sol.returns.grid.spacing
    slack = 1e-12 * max(abs(sol.returns.grid.low), abs(sol.returns.grid.high))
    assert distance.max() <= sol.tol + slack
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.fast
def test_bernoulli_rewards_at_one_half_give_the_uniform_law_within_the_certificate():
    model = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5)
    for atoms in (11, 101, 1001):
        sol = evaluate(model, CategoricalFixedPoint(atoms))
        true = distrl.wasserstein(sol.returns, [stats.uniform(0, 2)])[0]
        assert 0 < true <= sol.certificate.w1[0] <= distrl.theory.fixed_point_w1(sol.returns.grid.spacing, 0.5) * 1.0001
        assert distrl.cramer(sol.returns, [stats.uniform(0, 2)])[0] <= sol.certificate.cramer[0]


@pytest.mark.fast
def test_the_cantor_law_has_mean_three_halves_and_its_variance_plus_rounding():
    model = MRP([[1.0]], [FiniteLaw([0.0, 2.0])], 1 / 3)
    sol = evaluate(model, CategoricalFixedPoint(244))
    assert sol.values[0] == pytest.approx(1.5, abs=1e-10)
    inflation = sol.returns.var()[0] - 9 / 8
    assert -1e-10 <= inflation <= sol.certificate.rounding[0] ** 2 + 1e-10


@pytest.mark.parametrize(("mean", "sd", "discount"), [(0.0, 1.0, 0.5), (1.0, 2.0, 0.9), (-0.3, 0.5, 0.95)])
def test_normal_rewards_give_the_normal_law(mean, sd, discount):
    centre, spread = mean / (1 - discount), sd / np.sqrt(1 - discount**2)
    grid = Grid(centre - 9 * spread, centre + 9 * spread, 401)
    sol = evaluate(MRP([[1.0]], [stats.norm(mean, sd)], discount), CategoricalFixedPoint(grid=grid))
    assert sol.clipped_mass < 1e-12
    assert sol.values[0] == pytest.approx(centre, abs=1e-9)
    inflation = sol.returns.var()[0] - spread**2
    assert 0 < inflation <= grid.spacing**2 / 4 / (1 - discount**2)
    assert distrl.wasserstein(sol.returns, [stats.norm(centre, spread)])[0] <= sol.certificate.w1[0]


@pytest.mark.fast
def test_a_deterministic_cycle_gives_the_discounted_sum_as_mean():
    sol = evaluate(MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5), CategoricalFixedPoint(201))
    np.testing.assert_allclose(sol.values, [4 / 3, 2 / 3], atol=1e-10)
    for state, value in enumerate([4 / 3, 2 / 3]):
        distance = np.abs(sol.returns.atoms - value) @ sol.returns.probs[state]
        assert distance <= sol.certificate.w1[state]


@pytest.mark.fast
def test_a_geometric_end_gives_the_geometric_return_law():
    """Reward 1 on every step, the last included, ending with probability 1 - q: (1 - g^T) / (1 - g)."""
    q, g = 0.8, 0.9
    model = MRP.from_outcomes([(0, q, 0, 1.0, False), (0, 1 - q, 0, 1.0, True)], g)
    sol = evaluate(model, CategoricalFixedPoint(501))
    t = np.arange(1, 400)
    law = FiniteLaw((1 - g**t) / (1 - g), (1 - q) * q ** (t - 1) / (1 - q**399))
    assert distrl.wasserstein(sol.returns, [law])[0] <= sol.certificate.w1[0] + 10 * q**399


@pytest.mark.fast
def test_terminal_rewards_are_exact_where_the_grid_has_them():
    model = MRP([[0.0, 1.0], [0.0, 0.0]], [3.0, 0.0], 0.9, terminal=[False, True])
    sol = evaluate(model, CategoricalFixedPoint(4))
    np.testing.assert_allclose(sol.returns.probs, [[0, 0, 0, 1], [1, 0, 0, 0]], atol=1e-14)
    assert sol.returns.grid == Grid(0.0, 3.0, 4)


@pytest.mark.fast
@pytest.mark.parametrize("solver", SOLVERS)
def test_discount_one_with_a_sure_end_is_exact_on_a_lattice(solver):
    """Steps of -1 until an end of probability 1/4: minus a geometric number."""
    model = MRP.from_outcomes([(0, 0.75, 0, -1.0, False), (0, 0.25, 0, -1.0, True)], 1.0)
    sol = evaluate(model, CategoricalFixedPoint(grid=Grid(-120.0, 0.0, 121), solver=solver))
    t = np.arange(1, 120)
    np.testing.assert_allclose(sol.returns.probs[0, -2:0:-1], 0.25 * 0.75 ** (t - 1), atol=1e-9)
    assert sol.values[0] == pytest.approx(-4.0, abs=1e-7)
    clipped = 0.75**120
    assert 0 <= sol.clipped_mass <= clipped + sol.tol  # a CDF value errs by at most W1 / spacing


def test_krylov_and_sweeps_agree_on_a_larger_sparse_problem_at_a_high_discount():
    rng = np.random.default_rng(3)
    n = 400
    successors = rng.integers(0, n, size=(n, 4))
    entries = rng.dirichlet(np.ones(4), n).ravel(), (np.repeat(np.arange(n), 4), successors.ravel())
    model = MRP(sparse.coo_array(entries, shape=(n, n)), rng.normal(size=n), 0.99)
    fast = evaluate(model, CategoricalFixedPoint(101))
    slow = evaluate(model, CategoricalFixedPoint(101, solver="iterate"))
    assert fast.solver == "two-grid"
    assert fast.iterations < slow.iterations / 10
    assert distrl.wasserstein(fast.returns, slow.returns).max() <= fast.tol + slow.tol


@pytest.mark.fast
def test_auto_says_which_solver_ran_and_why():
    alone = evaluate(MRP([[1.0]], [1.0], 0.9), CategoricalFixedPoint(11))
    assert (alone.solver, alone.reason) == ("exact", "1 states one after the other, last ones first")
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(30), 30)
    few = evaluate(MRP([[0.3, 0.7], [0.7, 0.3]], [0.0, 1.0], 0.99), CategoricalFixedPoint(51))
    assert few.solver == "banded" and "lead at most 1 places" in few.reason
    ring = evaluate(environments.cycle(30, rewards=rng.normal(size=30), discount=0.99), CategoricalFixedPoint(51))
    assert ring.solver == "direct" and "a small system" in ring.reason
    assert evaluate(MRP(p, np.arange(30.0), 0.5), CategoricalFixedPoint(101)).solver == "gauss-seidel"
    fast = evaluate(MRP(p, np.arange(30.0), 0.99), CategoricalFixedPoint(101))
    assert fast.solver == "two-grid" and "of a difference between states" in fast.reason


@pytest.mark.fast
def test_iterates_that_stop_early_say_so_and_stay_certified():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)
    with pytest.raises(distrl.ConvergenceError, match="raise max_iterations") as caught:
        evaluate(model, CategoricalFixedPoint(51, solver="iterate"), max_iterations=5)
    kept = caught.value.solution
    assert kept.status is Status.MAX_ITERATIONS and not kept.converged and kept.iterations == 5
    quiet = evaluate(model, CategoricalFixedPoint(51, solver="iterate"), max_iterations=5, throw=False)
    exact = evaluate(model, CategoricalFixedPoint(1001))
    slack = exact.certificate.w1
    assert (distrl.wasserstein(quiet.returns, exact.returns) <= quiet.certificate.w1 + slack).all()
    np.testing.assert_array_equal(quiet.returns.probs, kept.returns.probs)


@pytest.mark.fast
def test_a_tolerance_below_rounding_stalls_visibly():
    rng = np.random.default_rng(0)
    model = MRP(rng.dirichlet(np.ones(6), 6), rng.normal(size=6), 0.9)
    with pytest.raises(distrl.ConvergenceError, match="rounding keeps the bound") as caught:
        evaluate(model, CategoricalFixedPoint(51, solver="direct"), tol=1e-300)
    assert caught.value.solution.status is Status.STALLED
    assert caught.value.solution.bound > 1e-300


@pytest.mark.fast
def test_interrupted_work_keeps_the_last_iterate():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.99)

    def interrupt(share, iterations, bound):
        if iterations >= 20:
            raise KeyboardInterrupt

    method = CategoricalFixedPoint(51, solver="iterate")
    with pytest.raises(KeyboardInterrupt) as caught:
        evaluate(model, method, progress=interrupt)
    assert caught.value.solution.iterations == 20
    sol = evaluate(model, method, progress=interrupt, throw=False)
    assert sol.status is Status.INTERRUPTED and not sol.converged
    assert np.isfinite(sol.certificate.w1).all()


@pytest.mark.fast
def test_dynamic_programming_keeps_every_sweep_and_contracts():
    model = MRP([[0.2, 0.8], [0.5, 0.5]], [1.0, -1.0], 0.8)
    sol = evaluate(model, CategoricalDP(atoms=41, sweeps=30))
    history = sol.history
    assert history.probs.shape == (31, 2, 41) and history.residuals.shape == (30,)
    np.testing.assert_allclose(history.probs[-1], sol.returns.probs, atol=1e-15)
    for k in range(30):
        expected = dense_bellman(model, sol.returns.atoms, history.probs[k])
        np.testing.assert_allclose(history.probs[k + 1], expected, atol=1e-13)
    assert (history.residuals[1:] <= 0.8 * history.residuals[:-1] + 1e-14).all()
    assert sol.status is Status.SWEEPS_DONE
    assert evaluate(model, CategoricalDP(atoms=41, sweeps=200)).converged


@settings(max_examples=20)
@given(mrps(random_rewards=False), st.integers(0, 5))
def test_dynamic_programming_solves_models_that_end_within_its_sweeps_exactly(model, sweeps):
    sol = evaluate(model, CategoricalDP(atoms=21, sweeps=sweeps), tol=1e-9)
    assert sol.history.probs.shape[0] == sweeps + 1
    assert (sol.certificate.w1 >= 0).all()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CategoricalFixedPoint(atoms=1), "atoms must be at least 2"),
        (lambda: CategoricalFixedPoint(atoms=2.5), "atoms must be a whole number"),
        (lambda: CategoricalFixedPoint(solver="magic"), "solver must be one of"),
        (lambda: CategoricalFixedPoint(grid=(0, 1)), "grid must be a distrl.Grid"),
        (lambda: CategoricalDP(sweeps=-1), "sweeps must be at least 0"),
        (lambda: evaluate(MRP([[1.0]], [0.0], 0.5), CategoricalFixedPoint), "create it"),
        (lambda: evaluate(MRP([[1.0]], [0.0], 0.5), CategoricalFixedPoint(), tol=0), "tol must be positive"),
        (lambda: evaluate(MRP([[1.0]], [0.0], 0.5), CategoricalFixedPoint(), tol=np.nan), "tol must be finite"),
        (lambda: evaluate(MRP([[1.0]], [0.0], 0.5), CategoricalFixedPoint(), policy=[0]), "leave policy out"),
        (lambda: evaluate(MRP([[1.0]], [0.0], 0.5), CategoricalFixedPoint(), rng="x"), "rng must be"),
        (lambda: evaluate(distrl.MDP([[[1.0]]], [0.0], 0.5), CategoricalFixedPoint()), "needs a policy"),
        (lambda: evaluate([[1.0]], CategoricalFixedPoint()), "must be a distrl.MRP"),
        (lambda: evaluate(MRP([[1.0]], [stats.norm()], 0.5), CategoricalFixedPoint()), "unbounded"),
    ],
)
def test_bad_input_is_refused_by_name(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize("discount", [0.0, 1e-300, 1e-20, 1e-16])
def test_tiny_discounts_converge_with_cycles_and_clipping(discount):
    rows = [(0, 1.0, 2, 0.0, False), (1, 1.0, 2, 0.0, False), (2, 0.5, 2, -1.0, False), (2, 0.5, 1, 0.0, False)]
    sol = evaluate(MRP.from_outcomes(rows, discount), CategoricalFixedPoint(grid=Grid(0.0, 1.0, 2)))
    np.testing.assert_allclose(sol.returns.probs, [[1.0, 0.0]] * 3, rtol=0, atol=1e-12)
