"""A status says what the certified bound says: every method, any tolerance, models from easy to stiff."""

import numpy as np
import pytest
from oracles import dense_bellman
from scipy import stats

import distrl
from distrl import (
    MRP,
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    ExpectileDP,
    Grid,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    Status,
    evaluate,
)

EPS = np.finfo(float).eps
DISCOUNTS = [0.0, 0.5, 0.99, 0.99999, 1 - 1e-12, 1.0]
SCALES = [1.0, 1e90, 1e-90]
TOLERANCES = [1e-300, 1e-18, 1e-12, 1e-3, 1e3, None]


def stiff(discount, scale):
    """Two looping states and one that leads to both; at discount 1 every step may be the last."""
    end = 0.25 if discount == 1.0 else 0.0
    rows = [(x, 1.0 - end, x, reward * scale, False) for x, reward in ((0, 0.0), (1, 1.0))]
    rows += [(2, share * (1.0 - end), y, -0.5 * scale, False) for y, share in ((0, 0.4), (1, 0.4), (2, 0.2))]
    if end:
        rows += [(x, end, x, 0.5 * scale, True) for x in range(3)]
    return MRP.from_outcomes(rows, discount)


def mixed(discount, scale):
    """Four states that lead to each other, one looping fast."""
    rng = np.random.default_rng(3)
    matrix = rng.dirichlet(np.ones(4), 4)
    matrix[3] = [1e-6, 0.0, 0.0, 1.0 - 1e-6]
    rewards = scale * np.array([0.3, -1.0, 0.7, 0.1])
    rows = []
    for x in range(4):
        end = 0.25 if discount == 1.0 else 0.0
        rows += [(x, (1.0 - end) * matrix[x, y], y, rewards[x], False) for y in range(4) if matrix[x, y]]
        rows += [(x, end, x, rewards[x], True)] if end else []
    return MRP.from_outcomes(rows, discount)


CASES = [
    (make, g, scale)
    for make in (stiff, mixed)
    for g in DISCOUNTS
    for scale in SCALES
    if not (scale == 1e90 and g == 1 - 1e-12)  # such returns are refused
]


def grid_of(model, scale, atoms=31):
    return Grid(-40.0 * scale, 40.0 * scale, atoms) if model.discount == 1.0 else Grid.covering(model, atoms)


def solved_by(model, right):
    """(I - discount P)^{-1} right, dense."""
    return np.linalg.solve(np.eye(model.n_states) - model.discount * model.continuation.toarray(), right)


def noise_of(model, grid):
    """What float64 may add to a dense recomputation of a residual, through the dense resolvent."""
    size = max(abs(grid.low), abs(grid.high)) + np.abs(model.outcomes.rewards).max()
    return solved_by(model, np.full(model.n_states, 64 * EPS * (size + grid.width)))


def categorical_error(sol):
    """The iteration error's bound by the definition: dense residuals, dense resolvent."""
    grid, probs = sol.returns.grid, sol.returns.probs
    image = dense_bellman(sol.model, grid.points, probs)
    residual = np.abs(np.cumsum(image - probs, axis=1)[:, :-1]).sum(axis=1) * grid.spacing
    return solved_by(sol.model, residual)


def quantile_error(sol):
    """sup-W_inf residual by sorting, times the contraction's 1 / (1 - discount); at discount 1 the dense resolvent."""
    model, values = sol.model, sol.returns.values
    table, m = model.outcomes, values.shape[1]
    levels = (2 * np.arange(m) + 1) / (2 * m)
    moved = np.zeros(model.n_states)
    for x in range(model.n_states):
        places, weights = [], []
        for k in range(table.indptr[x], table.indptr[x + 1]):
            ends = table.terminals[k] or model.discount == 0.0
            at = table.rewards[k] + (np.zeros(m) if ends else model.discount * values[table.next_states[k]])
            places.append(at)
            weights.append(np.full(m, table.probs[k] / m))
        order = np.argsort(np.concatenate(places), kind="stable")
        at, mass = np.concatenate(places)[order], np.cumsum(np.concatenate(weights)[order])
        image = at[np.minimum(np.searchsorted(mass, levels - 1e-9), len(at) - 1)]
        moved[x] = np.abs(image - values[x]).max()
    if model.discount == 1.0:
        return solved_by(model, moved)
    return moved / (1.0 - model.discount)


def ends_as_it_says(model, method, tol):
    """The solution; and that a call raises exactly where its status says that it did not converge."""
    sol = evaluate(model, method, tol=tol, throw=False)
    if sol.status in (Status.STALLED, Status.MAX_ITERATIONS):
        with pytest.raises(distrl.ConvergenceError):
            evaluate(model, method, tol=tol)
    if tol is None:
        assert sol.status not in (Status.STALLED, Status.MAX_ITERATIONS)
    else:
        assert sol.tol == tol
    return sol


@pytest.mark.parametrize(("make", "discount", "scale"), CASES)
def test_the_fixed_point_is_converged_iff_its_certified_bound_is_within_the_tolerance(make, discount, scale):
    model = make(discount, scale)
    grid = grid_of(model, scale)
    for tol in TOLERANCES:
        for solver in ("auto", "krylov", "direct") if make is stiff else ("auto",):
            sol = ends_as_it_says(model, CategoricalFixedPoint(grid=grid, solver=solver), tol)
            assert (sol.status is Status.CONVERGED) == (sol.bound <= sol.tol)
            error, noise = categorical_error(sol), noise_of(model, grid)
            assert (sol.bounds >= error - noise).all()
            if sol.converged:
                assert (error <= sol.tol + noise).all()
                assert sol.tol >= EPS * grid.width  # no float64 law is that good
            elif tol is not None:
                assert tol <= 1e3 * noise.max()  # nothing is given up that float64 can do


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize(("make", "discount", "scale"), CASES)
def test_quantiles_are_converged_iff_their_certified_bound_is_within_the_tolerance(make, discount, scale, tol):
    model = make(discount, scale)
    if discount == 1.0:  # there may be no fixed point to come to
        sol = evaluate(model, QuantileDP(11), tol=tol, throw=False, max_iterations=200)
    else:
        sol = ends_as_it_says(model, QuantileDP(11), tol)
    done = Status.STEADY if discount == 1.0 else Status.CONVERGED
    assert (sol.status is done) == (sol.bound <= sol.tol)
    size = np.abs(sol.returns.values).max()
    noise = solved_by(model, np.full(model.n_states, 64 * EPS * size)).max()
    error = quantile_error(sol).max()
    assert sol.bound >= error - noise
    if sol.converged:
        assert error <= sol.tol + noise and sol.tol > EPS * size
    elif discount < 1.0:
        assert tol <= 1e3 * noise


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize(("make", "discount", "scale"), CASES)
def test_sweeps_brackets_and_particles_claim_no_more_than_they_know(make, discount, scale, tol):
    model = make(discount, scale)
    grid = grid_of(model, scale, 21)
    methods = [CategoricalDP(grid=grid, sweeps=40), ParticleDP(grid=grid, sweeps=40), Brackets(grid=grid, sweeps=40)]
    if discount < 1.0:
        methods.append(Brackets(grid=grid, sweeps=40, order="stochastic"))
    for method in methods:
        sol = ends_as_it_says(model, method, tol)
        if sol.status is Status.CONVERGED:
            assert sol.bound <= sol.tol
        elif sol.status is Status.STEADY:
            assert sol.residual <= sol.tol and np.isfinite(sol.certificate.w1).all()
        else:
            assert not sol.bound <= sol.tol
        if isinstance(method, CategoricalDP):
            assert (sol.bounds >= categorical_error(sol) - noise_of(model, grid)).all()


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize(("make", "discount", "scale"), [case for case in CASES if case[1] != 1 - 1e-12])
def test_a_steady_expectile_stands_still_to_the_tolerance_and_is_certified(make, discount, scale, tol):
    model = make(discount, scale)
    if discount == 0.99999:
        tol = 1e-6 * scale / (1 - discount) if tol is None else tol  # its sweeps contract at the discount
        sol = evaluate(model, ExpectileDP(5), tol=tol, throw=False, max_iterations=100)
    else:
        sol = ends_as_it_says(model, ExpectileDP(5), tol)
    if sol.status is Status.STEADY:
        assert sol.residual <= sol.tol and np.isfinite(sol.certificate.w1).all()
        assert sol.tol >= EPS * np.abs(sol.returns.values).max()
    assert sol.status is not Status.CONVERGED  # nothing is known about what its sweeps lead to


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize(("make", "discount", "scale"), [case for case in CASES if case[1] < 0.999 or case[1] == 1.0])
def test_sampled_returns_are_cut_where_the_tolerance_says(make, discount, scale, tol):
    model = make(discount, scale)
    sol = ends_as_it_says(model, MonteCarlo(4), tol)
    assert (sol.status is Status.SAMPLED) == (sol.bound <= sol.tol)
    if tol is not None and tol <= 1e-18 * scale:
        assert sol.status is Status.STALLED


@pytest.mark.fast
@pytest.mark.parametrize("law", [stats.norm(), stats.expon()])
def test_a_result_without_a_finite_certificate_does_not_say_that_it_is_certified(law):
    sol = evaluate(MRP([[1.0]], [law], 0.5), MonteCarlo(20), rng=0)
    assert np.isinf(sol.certificate.w1).all()
    assert sol.status is Status.UNCERTIFIED and not sol.converged and "nothing is certified" in sol.summary()


@pytest.mark.fast
def test_what_a_learner_of_means_has_left_to_learn_is_bounded():
    """The learnt mean is off the empirical model's by at most `bound`; a certificate of a law it has none."""
    model = MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.9)
    est = distrl.estimate(model, distrl.TD(), samples_per_state=50, rng=0)
    exact = solved_by(est.model, est.model.expected_rewards)
    assert est.status is Status.LEARNT and est.certificate is None
    off = np.abs(est.values - exact)
    assert (off <= est.bounds).all() and (est.bounds <= 100 * off.max()).all()
    law = distrl.estimate(model, distrl.CategoricalTD(atoms=21), samples_per_state=50, rng=0)
    assert (law.bounds >= categorical_error(law) - noise_of(law.model, law.returns.grid)).all()


@pytest.mark.fast
@pytest.mark.parametrize(
    "method",
    [CategoricalFixedPoint(31), distrl.Moments(2)],
    ids=lambda m: repr(m)[:25],
)
def test_a_tolerance_that_the_library_chose_itself_is_never_missed_by_rounding(method):
    """`estimate` asks for 1e-9 of the width, which a horizon of 1e6 steps puts out of reach."""
    model = MRP([[0.5, 0.5], [0.3, 0.7]], [0.0, 1.0], 1 - 1e-6)
    sol = evaluate(model, method)
    assert sol.converged and sol.bound <= sol.tol
    est = distrl.estimate(model, method, samples_per_state=20, rng=0)
    assert est.converged and est.bound <= est.tol
