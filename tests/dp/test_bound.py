"""The certified bound on the iteration error: what it is, what is compared with `tol`, where it is shown."""

import numpy as np
import pytest
from oracles import dense_bellman

import distrl
from distrl import MRP, CategoricalFixedPoint, MonteCarlo, evaluate
from distrl.dp.certificate import Certifier
from distrl.operators import CategoricalBellman

#: Two states that loop for ever and one that leads to them: its residual is met for a step or two only.
SHORT_VISIT = ([[1, 0, 0], [0, 1, 0], [0.4, 0.4, 0.2]], [0, 1, 0], 0.9999)


def dense_residuals(sol):
    """(S,) W1 between the returned laws and their images, and the bound on the iteration error: dense formulas."""
    model, probs = sol.model, sol.returns.probs
    image = dense_bellman(model, sol.returns.atoms, probs)
    residuals = np.abs(np.cumsum(image - probs, axis=1)[:, :-1]).sum(axis=1) * sol.returns.grid.spacing
    system = np.eye(model.n_states) - model.discount * model.continuation.toarray()
    return residuals, np.linalg.solve(system, residuals)


@pytest.mark.fast
@pytest.mark.parametrize("tol", [None, 1e-5, 1e-2])
def test_the_bound_covers_what_the_residuals_add_up_to_and_is_within_the_tolerance(tol):
    rng = np.random.default_rng(0)
    for model in (MRP(*SHORT_VISIT), MRP(rng.dirichlet(np.ones(6), 6), rng.normal(size=6), 0.99)):
        sol = evaluate(model, CategoricalFixedPoint(201), tol=tol)
        _, adding_up = dense_residuals(sol)
        rounding = 1e-13 * sol.returns.grid.width  # of the dense formula itself
        assert sol.bounds.shape == (model.n_states,) and sol.bound == sol.bounds.max()
        assert (sol.bounds >= adding_up - rounding).all()
        assert sol.converged and sol.bound <= sol.tol


@pytest.mark.fast
@pytest.mark.slow_without_jit
def test_the_bound_is_shown_wherever_a_result_is():
    sol = evaluate(MRP(*SHORT_VISIT), CategoricalFixedPoint(201), tol=1e-3)
    shown = distrl._display.at_most(sol.bound)
    assert f"iteration error <= {shown} (tol 0.001)" in sol.summary()
    assert f"bound={shown}" in repr(sol)
    with pytest.raises(distrl.ConvergenceError) as caught:
        evaluate(MRP(*SHORT_VISIT), CategoricalFixedPoint(201, solver="iterate"), tol=1e-3, max_iterations=3)
    assert f"iteration error <= {distrl._display.at_most(caught.value.solution.bound)}" in str(caught.value)


@pytest.mark.parametrize("scale", [1e-155, 1e-161, 1e-200])
def test_a_variance_that_is_lost_to_underflow_is_not_taken_for_zero(scale):
    """Squares of such rewards are 0 in floats; the law still has a spread."""
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [1.0 * scale, 2.0 * scale], 0.9)
    for method in (MonteCarlo(200), CategoricalFixedPoint(51)):
        ends = evaluate(model, method, rng=0, throw=False).interval("quantile", 0.05)
        unscaled = MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, 2.0], 0.9)
        truth = evaluate(unscaled, CategoricalFixedPoint(2001)).returns.quantile(0.05) * scale
        assert (ends[:, 0] <= truth * (1 + 1e-3)).all() and (truth * (1 - 1e-3) <= ends[:, 1]).all()


@pytest.mark.fast
def test_a_residual_counts_as_often_as_it_is_met():
    """State 2 is left after 1.25 steps on average: its residual counts so often, and not 1 / (1 - discount) times."""
    model = MRP(*SHORT_VISIT)
    sol = evaluate(model, CategoricalFixedPoint(51))
    certifier = Certifier(model, CategoricalBellman(model, sol.returns.grid))
    probs = np.array(sol.returns.probs)
    probs[2] = 0.999 * probs[2] + 0.001 * probs[1]
    certificate, residual = certifier.certify(probs)
    times = np.linalg.solve(np.eye(3) - 0.9999 * np.array(SHORT_VISIT[0]), [0.0, 0.0, 1.0])[2]
    assert times == pytest.approx(1.25, abs=1e-3)
    assert residual <= certificate.residual[2] <= 1.0001 * (times * residual + sol.tol)
    assert certificate.residual.max() < 2e-4 * residual / (1 - 0.9999)
    moved = np.abs(np.cumsum(probs - sol.returns.probs, axis=1)).sum() * sol.returns.grid.spacing
    assert moved - sol.tol <= certificate.residual[2]  # and it is a bound
