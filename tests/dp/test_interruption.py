"""Ctrl-C at any application of any solver or method gives back laws, certified, and says so."""

import numpy as np
import pytest

import distrl
from distrl import MRP, Brackets, CategoricalDP, CategoricalFixedPoint, FiniteLaw, Status, environments, evaluate
from distrl.operators.system import System

TWO = MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.95)
ACYCLIC = MRP.from_outcomes([(x, 0.5, y, float(x), False) for x in range(20) for y in (x, min(x + 1, 19))], 0.9)
LOOPS = MRP([[0.5, 0.5, 0, 0], [0.5, 0.4, 0.1, 0], [0, 0, 0.5, 0.5], [0, 0, 0.6, 0.4]], [1.0, 0.0, 2.0, -1.0], 0.9)
SHORT = environments.garnet(30, 1, 4, discount=0.7, rng=0).under("uniform")
MIXING = environments.garnet(400, 1, 4, discount=0.99, rng=0).under("uniform")
ROOM = environments.gridworld((12, 20), discount=0.999).under("uniform")
CASES = [
    (TWO, CategoricalFixedPoint(21), "banded"),
    (environments.cycle(8, rewards=np.arange(8.0), discount=0.999), CategoricalFixedPoint(51), "direct"),
    (ACYCLIC, CategoricalFixedPoint(21), "exact"),
    (LOOPS, CategoricalFixedPoint(21), "components"),
    (SHORT, CategoricalFixedPoint(21), "gauss-seidel"),
    (MIXING, CategoricalFixedPoint(31), "two-grid"),
    (ROOM, CategoricalFixedPoint(41), "krylov-groups"),
    (MIXING, CategoricalFixedPoint(31, solver="krylov"), "krylov"),
    (TWO, CategoricalFixedPoint(21, solver="iterate"), "iterate"),
    (TWO, CategoricalFixedPoint(21, solver="direct"), "direct"),
]


@pytest.mark.fast
@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize(("model", "method", "solver"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_ctrl_c_in_a_solver_leaves_laws(model, method, solver, at, monkeypatch):
    """Ctrl-C comes in place of an application, a sweep or a product, wherever in the solver that is."""
    calls = []

    def interrupting(true):
        def call(self, *arguments, **options):
            calls.append(true)
            if len(calls) == at:
                raise KeyboardInterrupt
            return true(self, *arguments, **options)

        return call

    for name in ("apply", "linear", "gauss_seidel"):
        monkeypatch.setattr(System, name, interrupting(getattr(System, name)))
    sol = evaluate(model, method, throw=False)
    if len(calls) < at:  # it took fewer
        assert sol.converged and sol.solver == solver
        return
    assert sol.status is Status.INTERRUPTED and sol.solver == solver
    probs = np.asarray(sol.returns.probs)
    assert (probs >= 0.0).all() and np.isfinite(sol.certificate.w1).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)


METHODS = [
    CategoricalDP(21, 30),
    distrl.QuantileDP(11),
    distrl.ExpectileDP(5),
    distrl.ParticleDP(21),
    Brackets(21),
    Brackets(21, order="stochastic"),
    distrl.MonteCarlo(20),
]


@pytest.mark.fast
@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("at", [1, 3])
def test_ctrl_c_in_a_method_gives_back_what_was_reached(method, at):
    model = MRP(TWO.continuation.toarray(), [FiniteLaw([0.0, 4.0]), -1.0], 0.95)
    calls = []

    def interrupt(share, applications, bound):
        calls.append(applications)
        if len(calls) == at:
            raise KeyboardInterrupt

    sol = evaluate(model, method, progress=interrupt, rng=0, throw=False)
    assert sol.status is Status.INTERRUPTED and len(calls) >= at
    low, high = sol.interval("mean").T
    exact = np.linalg.solve(np.eye(2) - 0.95 * model.continuation.toarray(), [2.0, -1.0])
    assert (low <= exact + 1e-9).all() and (exact <= high + 1e-9).all()
    calls.clear()
    with pytest.raises(distrl.EvaluationInterrupted):
        evaluate(model, method, progress=interrupt, rng=0)
