"""Rows accepted although they do not sum to 1 exactly: every method works, and what the mass could be is counted."""

import dataclasses

import numpy as np
import pytest

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
    evaluate,
)

METHODS = [
    CategoricalFixedPoint(51),
    CategoricalFixedPoint(51, solver="krylov"),
    CategoricalFixedPoint(51, solver="direct"),
    CategoricalFixedPoint(51, solver="iterate"),
    CategoricalDP(atoms=51, sweeps=400),
    QuantileDP(21),
    ExpectileDP(5),
    ParticleDP(51),
    Brackets(51),
    Brackets(51, order="stochastic"),
    Moments(2),
    MonteCarlo(20),
]


def tables(kind):
    """(P, rewards): rows that went through text, or lack or have too much by what is accepted at most."""
    rng = np.random.default_rng(7)
    p = rng.dirichlet(np.ones(5), 5)
    if kind == "text":
        p = np.array([[float(f"{entry:.10g}") for entry in row] for row in p])
    else:
        p[:, 0] += {"lack": -9e-10, "excess": 9e-10}[kind] * np.array([1.0, 0.5, 0.0, 1.0, 0.2])
    assert np.abs(p.sum(axis=1) - 1.0).max() > 1e-13
    return p, np.array([1.0, -2.0, 0.5, 3.0, 0.0])


def completions(p):
    """Transition matrices that the rows may stand for: what is missing or too much, each time in one place."""
    for y in range(len(p)):
        whole = p.copy()
        whole[:, y] += 1.0 - p.sum(axis=1)
        yield whole


@pytest.mark.parametrize("kind", ["text", "lack", "excess"])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: repr(m)[:60])
def test_what_is_accepted_is_evaluated_and_its_defect_counted(method, kind):
    p, rewards = tables(kind)
    sol = evaluate(MRP(p, rewards, 0.9), method, rng=0)  # no ConvergenceError
    for whole in completions(p):
        mean = np.linalg.solve(np.eye(5) - 0.9 * whole, rewards)
        if isinstance(method, Moments):
            assert (np.abs(sol.values - mean) <= sol.bounds).all()
        elif not isinstance(method, MonteCarlo):
            assert (
                np.abs(sol.returns.lower.mean() - mean if isinstance(method, Brackets) else sol.values - mean)
                <= sol.certificate.w1 + 1e-12
            ).all()
        if isinstance(method, Brackets):
            low, high = sol.returns.interval("mean").T
            assert ((low <= mean) & (mean <= high)).all()


@pytest.mark.parametrize("excess", [1e-10, 9e-10, -9e-10])
@pytest.mark.parametrize("method", METHODS[:5] + METHODS[5:8] + METHODS[10:], ids=lambda m: repr(m)[:60])
def test_rows_that_sum_to_more_than_one_end_at_discount_1(method, excess):
    rows = [(0, 0.5 + excess, 0, -1.0, False), (0, 0.5, 0, -1.0, True)]
    if hasattr(method, "grid"):
        method = dataclasses.replace(method, grid=Grid(-60.0, 0.0, 61))
    sol = evaluate(MRP.from_outcomes(rows, 1.0), method, rng=0, throw=not isinstance(method, QuantileDP))
    if not isinstance(method, MonteCarlo):
        assert abs(sol.values[0] + 2.0) <= (sol.bound if sol.certificate is None else sol.certificate.w1[0])


@pytest.mark.fast
def test_the_certificate_grows_with_the_defect_and_the_horizon():
    p, rewards = tables("lack")
    exact = p / p.sum(axis=1, keepdims=True)
    for g in (0.9, 0.999):
        found = evaluate(MRP(p, rewards, g), CategoricalFixedPoint(51))
        clean = evaluate(MRP(exact, rewards, g), CategoricalFixedPoint(51))
        width, defect = found.returns.grid.width, 1.0 - p.sum(axis=1)
        unknown = np.linalg.solve(np.eye(5) - g * exact, defect * width)
        more = found.certificate.w1 - clean.certificate.w1
        np.testing.assert_allclose(more, unknown, rtol=0.02)  # the rest is what iterating left
        assert found.converged and found.bound <= found.tol


@pytest.mark.fast
def test_defects_of_two_actions_do_not_cancel():
    """One action lacks what the other has too much of: under half and half the row sums to 1, and still."""
    d = 5e-10
    P = [[[0.5 - d, 0.5], [0.0, 1.0]], [[0.5 + d, 0.5], [0.0, 1.0]]]
    mrp = MDP(P, [1.0, 0.0], 0.9).under("uniform")
    assert mrp.outcomes.defects[0] == pytest.approx(d, rel=1e-5)
    alone = evaluate(MRP([[0.5, 0.5], [0.0, 1.0]], [1.0, 0.0], 0.9), CategoricalFixedPoint(51))
    sol = evaluate(MDP(P, [1.0, 0.0], 0.9), CategoricalFixedPoint(51), policy="uniform")
    assert sol.certificate.w1[0] >= alone.certificate.w1[0] + 0.9 * d * sol.returns.grid.width
    assert sol.action_certificate.w1.shape == (4,)
    np.testing.assert_allclose(np.asarray(sol.action_returns.probs).sum(axis=-1), 1.0, atol=1e-14)


@pytest.mark.fast
def test_the_model_that_was_given_stays_as_it_is():
    p, rewards = tables("lack")
    model = MRP(p, rewards, 0.9)
    evaluate(model, CategoricalFixedPoint(11))
    np.testing.assert_array_equal(model.to_dense().P, p)
    assert not MRP(np.full((3, 3), 1 / 3), rewards[:3], 0.9).outcomes.defects.any()  # rounding is no defect
