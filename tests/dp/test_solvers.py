"""What `auto` chooses from: components, exact passes, Gauss-Seidel, coarse corrections; each against sweeps."""

import numpy as np
import pytest
from oracles import dense_bellman
from scipy import sparse, stats

import distrl
from distrl import MRP, CategoricalFixedPoint, FiniteLaw, Grid, environments, evaluate
from distrl.dp.call import Call
from distrl.dp.problem import Problem, moment_start
from distrl.dp.solvers import (
    Aggregation,
    Banded,
    Direct,
    GaussSeidel,
    Krylov,
    ShiftedCoarse,
    Sweeps,
    Traits,
    TwoGrid,
    select_solver,
)
from distrl.dp.solvers.aggregation import groups_of
from distrl.dp.solvers.banded import narrow_order
from distrl.dp.solvers.clusters import clusters_of, long_run_weights, mixing
from distrl.dp.solvers.components import rounds
from distrl.operators.system import System


def random_walk(states, discount, up=0.5, stay=0.1):
    i = np.arange(states)
    entries = np.concatenate([np.full(states, up * (1 - stay)), np.full(states, (1 - up) * (1 - stay))])
    rows, columns = np.tile(i, 2), np.concatenate([np.minimum(i + 1, states - 1), np.maximum(i - 1, 0)])
    p = sparse.coo_array((entries, (rows, columns)), shape=(states, states)).tocsr() + stay * sparse.eye_array(states)
    return MRP(p, np.random.default_rng(0).normal(size=states), discount)


def two_clusters(states, discount, crossing=1e-3):
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(states), 5)
    half = states // 2
    columns = rng.integers(0, half, len(rows)) + half * (rows // half)
    columns = np.where(rng.random(len(rows)) < crossing, (columns + half) % states, columns)
    weights = rng.dirichlet(np.ones(5), states).ravel()
    p = sparse.coo_array((weights, (rows, columns)), shape=(states, states)).tocsr()
    return MRP(p, rng.normal(size=states) + np.repeat([0.0, 0.5], half), discount)


def garnet(states, discount):
    return environments.garnet(states=states, actions=2, branching=4, discount=discount, rng=0).under("uniform")


def acyclic(seed, discount):
    """Every state leads to itself and to later ones; some self-loops pay at random; some states end."""
    rng = np.random.default_rng(seed)
    n = 12
    rows = []
    for state in range(n):
        later = rng.integers(state, n, size=3)
        weights = rng.dirichlet(np.ones(4))
        end = state == n - 1 or rng.random() < 0.3
        for successor, weight in zip(later, weights[:3], strict=True):
            reward = float(rng.normal()) if rng.random() < 0.7 else FiniteLaw([-1.0, 0.5], [0.3, 0.7])
            rows.append((state, weight, int(successor), reward, False))
        rows.append((state, weights[3], state, float(rng.normal()), bool(end)))
    return MRP.from_outcomes(rows, discount)


def solved(model, atoms, how, start=moment_start, threads=1):
    """CDF by one solver on the whole system, the way `auto` calls it."""
    problem = Problem.of(model, Grid.covering(model, atoms), Call())
    system = System.whole(problem.operator, threads)
    call = Call()
    return how(problem, system).solve(system, start(problem, system.workers), problem.stop(call))


def coarse_of(problem, system, labels=None):
    weights = long_run_weights(problem.model.continuation)
    labels = np.zeros(system.n, dtype=np.int64) if labels is None else labels
    return ShiftedCoarse(system, problem.moments[0], weights, labels)


def aggregation_of(problem, system):
    return Aggregation(system, groups_of(problem.model.continuation, system.grid.atoms)[0])


@pytest.mark.fast
@pytest.mark.parametrize("discount", [0.0, 0.4, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("seed", range(6))
def test_models_without_cycles_but_self_loops_are_solved_in_one_pass(seed, discount):
    model = acyclic(seed, discount)
    sol = evaluate(model, CategoricalFixedPoint(31))
    assert sol.solver == "exact" and sol.iterations == 2
    probs = sol.returns.probs
    np.testing.assert_allclose(dense_bellman(model, sol.returns.atoms, probs), probs, atol=1e-12)


@pytest.mark.fast
@pytest.mark.parametrize("reward", [-3.0, -0.4, 0.0, 0.2, 1.7])
@pytest.mark.parametrize("stay", [0.5, 1.0])
@pytest.mark.parametrize("discount", [0.3, 0.9, 0.999])
def test_a_self_loop_is_solved_exactly_on_grids_that_clip_it(discount, stay, reward):
    """The fixed point of the loop's shift, r / (1 - g), lies below, on and above the grid."""
    rows = [(0, stay, 0, reward, False)] + ([(0, 1 - stay, 0, 0.7, True)] if stay < 1 else [])
    model = MRP.from_outcomes(rows, discount)
    sol = evaluate(model, CategoricalFixedPoint(grid=Grid(-1.0, 1.0, 23)))
    assert sol.solver == "exact"
    np.testing.assert_allclose(
        dense_bellman(model, sol.returns.atoms, sol.returns.probs), sol.returns.probs, atol=1e-13
    )


@pytest.mark.fast
def test_rounds_leave_no_state_out_and_put_successors_first():
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = 30
        p = sparse.random_array((n, n), density=0.04, rng=rng).toarray() + 0.1 * np.eye(n)
        model = MRP(p / p.sum(axis=1, keepdims=True), rng.normal(size=n), 0.9)
        operator = distrl.operators.CategoricalBellman(model, Grid(-1.0, 1.0, 5))
        done = np.zeros(n, dtype=bool)
        for part in rounds(operator.plan):
            for state in part.exact:
                assert all(done[y] or y == state for y in np.flatnonzero(p[state]))
                done[state] = True
            for state in part.block:
                assert all(done[y] or y in part.block for y in np.flatnonzero(p[state]))
            done[part.block] = True
        assert done.all()


@pytest.mark.parametrize("discount", [0.9, 0.99])
def test_components_one_after_the_other_give_what_sweeps_give(discount):
    """Three components in a row, states between them, ends behind them."""
    rng = np.random.default_rng(2)
    rows = []
    for first in (0, 12, 24):
        for x in range(first, first + 10):
            for y, weight in zip(rng.integers(first, first + 10, 3), rng.dirichlet(np.ones(3)) * 0.9, strict=True):
                rows.append((x, weight, int(y), float(rng.normal()), False))
            rows.append((x, 0.1, min(first + 10 + x % 2, 35), 0.3, False))
        for x in (first + 10, first + 11):
            rows.append((x, 1.0, first + 12 if first < 24 else 0, 1.0, first == 24))
    model = MRP.from_outcomes(rows, discount)
    ours = evaluate(model, CategoricalFixedPoint(41))
    sweeps = evaluate(model, CategoricalFixedPoint(41, solver="iterate"))
    assert ours.solver == "components"
    assert distrl.wasserstein(ours.returns, sweeps.returns).max() <= ours.tol + sweeps.tol


@pytest.mark.parametrize("discount", [0.9, 0.99])
@pytest.mark.parametrize("make", [lambda g: garnet(80, g), lambda g: random_walk(60, g), lambda g: two_clusters(80, g)])
def test_every_solver_gives_what_sweeps_give(make, discount):
    model = make(discount)
    expected = solved(model, 41, lambda p, s: Sweeps()).cdf
    ways = {
        "gauss-seidel": lambda p, s: GaussSeidel(),
        "krylov": lambda p, s: Krylov(),
        "krylov, coarse": lambda p, s: Krylov(lambda _: coarse_of(p, s)),
        "two-grid": lambda p, s: TwoGrid(lambda _: coarse_of(p, s)),
        "banded": lambda p, s: Banded(*narrow_order(p.model.continuation)),
        "krylov, groups": lambda p, s: Krylov(lambda _: aggregation_of(p, s)),
        "two labels": lambda p, s: Krylov(lambda _: coarse_of(p, s, np.arange(s.n) % 2)),
    }
    for name, way in ways.items():
        outcome = solved(model, 41, way)
        assert outcome.status.name == "CONVERGED", name
        np.testing.assert_allclose(outcome.cdf, expected, rtol=0, atol=2e-9, err_msg=name)


@pytest.mark.parametrize("width", [1, 3])
def test_elimination_along_a_chain_needs_no_iteration(width):
    rng = np.random.default_rng(width)
    n, discount = 40, 0.999
    hidden = rng.permutation(n)  # neighbours have far numbers
    matrix = np.zeros((n, n))
    for x in range(n):
        near = np.arange(max(x - width, 0), min(x + width + 1, n))
        matrix[hidden[x], hidden[near]] = rng.dirichlet(np.ones(len(near)))
    rewards = [FiniteLaw([float(r), float(r) + 1.0], [0.5, 0.5]) for r in rng.normal(size=n)]
    model = MRP(matrix, rewards, discount)
    order, found = narrow_order(model.continuation)
    assert sorted(order) == list(range(n)) and found <= 2 * width
    outcome = solved(model, 21, lambda p, s: Banded(order, found))
    expected = solved(model, 21, lambda p, s: Direct())
    np.testing.assert_allclose(outcome.cdf, expected.cdf, rtol=0, atol=1e-10)
    sol = evaluate(model, CategoricalFixedPoint(21))
    assert sol.solver == "banded" and sol.iterations == 1


def test_float32_inside_and_float64_outside_reach_the_same_tolerance(monkeypatch):
    monkeypatch.setattr("distrl.dp.solvers.krylov.SINGLE_ENTRIES", 0)
    model = garnet(100, 0.99)
    way = solved(model, 51, lambda p, s: Krylov(lambda _: coarse_of(p, s)))
    plain = solved(model, 51, lambda p, s: Krylov())
    expected = evaluate(model, CategoricalFixedPoint(51, solver="iterate")).returns.cdf_values
    for outcome in (way, plain):
        assert outcome.status.name == "CONVERGED"
        np.testing.assert_allclose(outcome.cdf, expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize("discount", [0.9, 0.99, 0.999])
@pytest.mark.parametrize(
    "make", [lambda g: garnet(400, g), lambda g: random_walk(300, g), lambda g: two_clusters(400, g)]
)
def test_results_are_the_same_bit_for_bit_for_any_number_of_threads(make, discount, monkeypatch):
    monkeypatch.setattr("distrl._threads.PARALLEL_SIZE", 0)
    laws = [evaluate(make(discount), CategoricalFixedPoint(101, threads=k)) for k in (1, 2, 3)]
    for other in laws[1:]:
        np.testing.assert_array_equal(other.returns.probs, laws[0].returns.probs)
        np.testing.assert_array_equal(other.certificate.w1, laws[0].certificate.w1)
        assert other.iterations == laws[0].iterations


def test_the_coarse_correction_needs_few_applications_where_mixing_is_fast():
    for discount in (0.9, 0.99, 0.999):
        sol = evaluate(garnet(400, discount), CategoricalFixedPoint(101))
        assert sol.solver == "two-grid" and sol.iterations <= 100


def test_clusters_are_found_and_used():
    model = two_clusters(1000, 0.99)
    weights = long_run_weights(model.continuation)
    keeps, vector = mixing(model.continuation, weights, np.zeros(1000, dtype=np.int64))
    labels = clusters_of(vector, weights)
    assert keeps > 0.95 and labels.max() == 1
    assert len(np.unique(labels[:500])) == 1 and labels[0] != labels[-1]
    assert mixing(model.continuation, weights, labels)[0] < 0.6
    for discount in (0.9, 0.99, 0.999):
        model = two_clusters(2000, discount)
        sol = evaluate(model, CategoricalFixedPoint(101))
        assert sol.solver == "two-grid" and "2 clusters" in sol.reason
        assert sol.iterations <= 0.7 * evaluate(model, CategoricalFixedPoint(101, solver="krylov")).iterations


def test_no_clusters_where_differences_fade_slowly_within_them_too():
    room = environments.gridworld((20, 40), discount=0.99).under("uniform")
    assert not Traits(room.continuation, 0.99, 101, 100.0).labels.any()


@pytest.mark.fast
def test_the_rule_can_be_asked_without_solving():
    walk = random_walk(2000, 0.99).continuation
    assert select_solver(Traits(walk, 0.9, 101, 10.0))[0].name == "gauss-seidel"
    assert select_solver(Traits(walk, 0.99, 101, 100.0))[0].name == "krylov"
    assert select_solver(Traits(walk[:1000][:, :1000], 0.999, 161, 1000.0))[0].name == "krylov-groups"
    room = environments.gridworld((30, 30), discount=0.99).under("uniform").continuation
    assert select_solver(Traits(room, 0.99, 101, 100.0))[0].name == "krylov-groups"
    assert select_solver(Traits(walk[:8][:, :8], 0.999, 51, 1000.0))[0].name == "banded"
    ring = environments.cycle(8, rewards=np.arange(8.0), discount=0.999).continuation
    assert select_solver(Traits(ring, 0.999, 51, 1000.0))[0].name == "direct"
    one_way = random_walk(2000, 0.99, up=0.97).continuation
    assert select_solver(Traits(one_way, 0.99, 101, 100.0))[0].name == "gauss-seidel"
    dense = sparse.csr_array(np.full((10, 10), 0.1))
    assert select_solver(Traits(dense, 0.99, 101, 100.0))[0].name == "krylov"  # an inverse of 100^2 costs as much
    assert select_solver(Traits(sparse.csr_array(np.full((100, 100), 0.01)), 0.99, 101, 100.0))[0].name == "two-grid"
    assert select_solver(Traits(sparse.csr_array(np.full((100, 100), 0.01)), 0.99, 1001, 100.0))[0].name != "two-grid"


@pytest.mark.fast
@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_threads_must_be_a_positive_whole_number(threads):
    with pytest.raises((ValueError, TypeError), match="threads"):
        CategoricalFixedPoint(threads=threads)


@pytest.mark.parametrize("target", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("make", [lambda: garnet(60, 0.9), lambda: random_walk(50, 0.95)])
def test_a_target_is_met_with_no_more_atoms_than_the_a_priori_bound_asks_for(make, target):
    model = make()
    sol = evaluate(model, CategoricalFixedPoint(target_w1=target))
    grid = sol.returns.grid
    assert sol.certificate.w1.max() <= target
    enough = distrl.theory.fixed_point_w1(grid.width, model.discount) / target + 2
    assert grid.atoms <= enough and f"{grid.atoms} atoms for target_w1" in sol.reason


def test_a_target_that_clipping_keeps_out_of_reach_is_refused():
    model = garnet(20, 0.9)
    with pytest.raises(ValueError, match="cannot be met"):
        evaluate(model, CategoricalFixedPoint(grid=Grid(-0.5, 0.5, 11), target_w1=0.01))
    with pytest.raises(ValueError, match="target_w1 must be positive"):
        CategoricalFixedPoint(target_w1=0.0)


@pytest.mark.fast
@pytest.mark.slow_without_jit
def test_what_cannot_fit_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr("distrl._memory.available_memory", lambda: 1e6)
    model = random_walk(100, 0.9)
    with pytest.raises(ValueError, match=r"100 states on 1001 atoms need about .* GB .*iterate"):
        evaluate(model, CategoricalFixedPoint(1001))
    assert evaluate(model, CategoricalFixedPoint(101, solver="iterate")).converged
    with pytest.raises(ValueError, match="fewer atoms"):
        evaluate(model, CategoricalFixedPoint(target_w1=1e-9))


@pytest.mark.parametrize("tol", [None, 1e-4])
@pytest.mark.parametrize("name", ["dirichlet 200, sparse", "garnet 1000, b=3", "walk 800", "cycle 60", "acyclic 1000"])
def test_the_law_that_is_returned_meets_the_tolerance(name, tol):
    """What is certified is the law after cutting off negative rounding: its residual too must be below the goal."""
    from benchmarks.problems import HELD_OUT
    from distrl.dp.certificate import Certifier
    from distrl.operators import CategoricalBellman

    sol = evaluate(HELD_OUT[name](0.99), CategoricalFixedPoint(51), tol=tol)
    gain = Certifier(sol.model, CategoricalBellman(sol.model, sol.returns.grid)).gain
    assert sol.converged
    assert sol.residual * gain <= sol.tol


@pytest.mark.fast
@pytest.mark.parametrize("make", [lambda: random_walk(200, 0.99), lambda: garnet(120, 0.99)])
def test_groups_lead_to_each_other_and_are_few(make):
    p = make().continuation
    labels, neighbours = groups_of(p, 101)
    count = labels.max() + 1
    assert np.array_equal(np.unique(labels), np.arange(count)) and 1 < count <= len(labels) // 3
    for group in range(count):
        inside = p[labels == group][:, labels == group]
        assert sparse.csgraph.connected_components(inside, directed=False)[0] == 1
    between = sparse.coo_array(p)
    pairs = set(zip(labels[between.coords[0]], labels[between.coords[1]], strict=True))
    pairs |= {(d, c) for c, d in pairs}
    assert neighbours == pytest.approx(len(pairs) / count)


@pytest.mark.fast
def test_the_coarse_matrix_is_the_dense_average_of_the_operator():
    """R (I - A) P as a product of dense matrices; shifts are multiples of 1/16 of a cell, so nothing is rounded."""
    rewards = np.random.default_rng(0).integers(-16, 16, 24) / 16
    model = MRP(random_walk(24, 0.875).continuation, rewards, 0.875)
    operator = distrl.operators.CategoricalBellman(model, Grid(-8.0, 8.0, 17))
    system = System.whole(operator, 1)
    labels = groups_of(model.continuation, 17)[0]
    assert labels.max() < 12
    lift = sparse.kron(sparse.csr_array((np.ones(24), (np.arange(24), labels))), np.eye(16)).toarray()
    average = lift.T / lift.sum(axis=0)[:, None]
    exact = average @ (np.eye(24 * 16) - operator.matrix().toarray()) @ lift
    right = np.random.default_rng(1).normal(size=len(exact))
    found = Aggregation(system, labels)._factors.solve(exact @ right)
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-12)


@pytest.mark.fast
def test_no_groups_where_states_share_one_neighbour_or_all_are_neighbours():
    star = sparse.lil_array((1000, 1000))
    star[1:, 0], star[0, 1:] = 1.0, 1.0 / 999
    assert Traits(star.tocsr(), 0.99, 101, 100.0).groups is None
    assert Traits(garnet(1000, 0.99).continuation, 0.99, 101, 100.0).groups is None
    assert Traits(random_walk(1000, 0.99).continuation, 0.99, 101, 100.0).groups is not None


def test_a_correction_of_no_use_leaves_the_work_to_krylov_and_sweeps():
    """Groups of states far apart: true residuals decide, and the answer stays the same."""
    model = random_walk(60, 0.99)
    expected = solved(model, 41, lambda p, s: Sweeps()).cdf
    far = solved(model, 41, lambda p, s: Krylov(lambda _: Aggregation(s, np.arange(s.n) % 3)))
    assert far.status.name == "CONVERGED"
    np.testing.assert_allclose(far.cdf, expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize("discount", [0.999])
@pytest.mark.parametrize(
    "make",
    [lambda g: random_walk(200, g, up=0.8), lambda g: environments.gridworld((12, 20), discount=g).under("uniform")],
)
def test_groups_of_neighbours_save_most_of_the_applications_on_slow_chains(make, discount):
    model = make(discount)
    ours = evaluate(model, CategoricalFixedPoint(161))
    plain = evaluate(model, CategoricalFixedPoint(161, solver="krylov"))
    assert ours.solver == "krylov-groups" and "groups of neighbouring states" in ours.reason
    assert ours.converged and ours.iterations <= 0.7 * plain.iterations
    assert distrl.wasserstein(ours.returns, plain.returns).max() <= ours.tol + plain.tol


def with_densities(n, discount, share=1.0):
    """Dense transitions, rewards with a density from that share of the states."""
    rng = np.random.default_rng(5)
    laws = [stats.norm(0.3, 1.0), stats.norm(-0.5, 0.5)]
    rewards = [laws[x % 2] if x < share * n else float(x) for x in range(n)]
    return MRP(rng.dirichlet(np.ones(n), n), rewards, discount)


@pytest.mark.fast
def test_the_rule_knows_of_laws_that_apply_as_matrices():
    """Each sentence is an argument for the solver that it names, and all of these can run."""
    dense = sparse.csr_array(np.full((100, 100), 0.01))
    walk = random_walk(2000, 0.99).continuation
    for matrix, atoms, gain, name, words in [
        (dense, 101, 2.0, "sweeps", "at most 6"),
        (dense, 101, 100.0, "krylov", "rewards have a density"),
        (dense[:5][:, :5], 51, 100.0, "direct", "250 unknowns"),
        (dense[:5][:, :5], 401, 100.0, "krylov", "rewards have a density"),
        (walk, 101, 30.0, "krylov", "rewards have a density"),
        (walk[:8][:, :8], 51, 1000.0, "banded", "places"),
    ]:
        found, reason = select_solver(Traits(matrix, 0.99, atoms, gain, laws=True))
        assert found.name == name and found.takes_law_blocks and words in reason, (found, reason)
        for other in ("flow goes one way", "of a difference between states", "groups of neighbouring"):
            assert other not in reason


@pytest.mark.parametrize(("share", "discount"), [(1.0, 0.9), (0.4, 0.99)])
def test_densities_are_solved_by_the_solver_that_is_named(share, discount):
    model, grid = with_densities(12, discount, share), Grid(-1500.0, 1500.0, 101)
    ours = evaluate(model, CategoricalFixedPoint(grid=grid))
    named = evaluate(model, CategoricalFixedPoint(grid=grid, solver="krylov"))
    assert ours.solver == "krylov" and ours.iterations == named.iterations
    np.testing.assert_array_equal(ours.returns.probs, named.returns.probs)


@pytest.mark.fast
@pytest.mark.parametrize("solver", ["auto", "krylov", "direct"])
def test_another_solver_is_tried_before_a_call_gives_up(solver, monkeypatch):
    """Whichever solver stalls with half of its work undone, the result is converged and says who did it."""
    model = MRP([[0.3, 0.7], [0.6, 0.4]], [0.0, 1.0], 0.99)
    clean = evaluate(model, CategoricalFixedPoint(31, solver="iterate"))
    true = distrl.dp.fixed_point._solved

    def stalling(*arguments):
        solved = true(*arguments)
        solved.cdf[:, :-1] *= 0.9
        return solved._replace(status=distrl.Status.STALLED)

    monkeypatch.setattr(distrl.dp.fixed_point, "_solved", stalling)
    sol = evaluate(model, CategoricalFixedPoint(31, solver=solver))
    assert sol.converged and "it stalled at an error bound of" in sol.reason and "was tried" in sol.reason
    assert distrl.wasserstein(sol.returns, clean.returns).max() <= sol.tol + clean.tol
    hopeless = evaluate(model, CategoricalFixedPoint(31, solver=solver), tol=1e-300, throw=False)
    assert hopeless.status is distrl.Status.STALLED and "was tried" not in hopeless.reason


@pytest.mark.fast
@pytest.mark.slow_without_jit
@pytest.mark.parametrize("discount", [0.999, 0.99999, 1 - 1e-9])
@pytest.mark.parametrize("rows", [[[1.0]], [[1.0, 0.0], [0.5, 0.5]], [[1, 0, 0], [0, 1, 0], [0.4, 0.4, 0.2]]])
def test_looping_states_are_solved_at_any_discount(rows, discount):
    rewards = [FiniteLaw([0.0, 1.0]), *np.linspace(1.0, 2.0, len(rows) - 1)]
    sol = evaluate(MRP(rows, rewards, discount), CategoricalFixedPoint(201))  # does not raise
    clean = np.linalg.solve(np.eye(len(rows)) - discount * np.array(rows), [0.5, *rewards[1:]])
    assert sol.converged and (np.abs(sol.values - clean) <= sol.tol + 1e-9 * np.abs(clean)).all()
