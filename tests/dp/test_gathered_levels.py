"""Laws by levels, kept on fewer atoms: against dense formulas for the number of steps, and projections by hand."""

import numpy as np
import pytest

import distrl
from distrl import MRP, Lattice, Status, evaluate
from distrl.dp.call import Call
from distrl.dp.levels import TooManyLevels


def walk(rng, n, end):
    """(n, n) probabilities of going on, about 1 - end a row."""
    p = rng.dirichlet(np.ones(n), size=n)
    return p * (1.0 - end * rng.uniform(0.5, 1.5, size=n))[:, None]


def counted(p, sign, idle=0.0):
    """Every step pays 1, or -1, but that a share of them is spent where one is for nothing."""
    rows = []
    for x, row in enumerate(p):
        rows += [(x, (1.0 - idle) * float(q), y, float(sign), False) for y, q in enumerate(row)]
        rows += [(x, (1.0 - idle) * float(1.0 - row.sum()), x, float(sign), True)]
        rows += [(x, idle, (x + 1) % len(p), 0.0, False)] if idle else []
    return MRP.from_outcomes(rows, 1.0)


def hats(p, times, atoms):
    """The masses at 0, q, 2 q, ... of the projected number of steps, what is beyond the last put onto it.

    E(N - k)+ = sum over l >= k of P^l 1 = P^k (I - P)^{-1} 1; its second differences are the masses (q = `times`).
    """
    excess = [np.linalg.solve(np.eye(len(p)) - p, np.ones(len(p)))]
    power = np.linalg.matrix_power(p, times)
    for _ in range(atoms):
        excess.append(power @ excess[-1])
    e = np.array(excess).T / times
    masses = np.zeros((len(p), atoms))
    masses[:, 0] = 1.0 - (e[:, 0] - e[:, 1])
    masses[:, 1:-1] = e[:, : atoms - 2] - 2.0 * e[:, 1 : atoms - 1] + e[:, 2:atoms]
    masses[:, -1] = e[:, atoms - 2] - e[:, atoms - 1]
    return masses


@pytest.mark.fast
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("end", "atoms"), [(0.3, 9), (0.3, 16), (1e-2, 129), (1e-4, 33), (1e-6, 1001)])
def test_masses_are_those_of_the_projected_law(sign, end, atoms):
    p = walk(np.random.default_rng(3), 4, end)
    sol = evaluate(counted(p, sign), Lattice(atoms=atoms))
    grid, masses = sol.returns.grid, np.asarray(sol.returns.probs)
    times = round(grid.spacing)
    masses = masses[:, ::-1] if sign < 0 else masses
    assert sol.converged and grid.atoms <= atoms and times & (times - 1) == 0
    assert ("falls by a factor" in sol.reason) == (end < 0.1)  # short ones come to their end before they are looked at
    expected = hats(p, times, grid.atoms)
    # what the tail is off by is certified, and far below: a mass is a second difference of something within it
    room = 4.0 * sol.certificate.residual.max() / times + 1e-12
    np.testing.assert_allclose(masses, expected, rtol=0, atol=min(room, 1e-7))
    steps = np.linalg.solve(np.eye(4) - p, np.ones(4))
    assert (np.abs(sign * sol.values - steps) <= (sol.certificate.overshoot + sol.certificate.residual)).all()
    true = evaluate(counted(p, sign), distrl.Moments(2)).returns.var()
    np.testing.assert_allclose(sol.returns.var(), true + sol.certificate.rounding**2, rtol=1e-5)
    assert (sol.certificate.rounding <= 0.5 * grid.spacing).all() and sol.certificate.rounding.any()


@pytest.mark.fast
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(6))
def test_certificates_and_intervals_hold_the_truth(sign, seed):
    """Rewards of several sizes, moves for nothing that come back, and tails of .01: the exact law is inside."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(5, 0.5), size=4)
    rewards = sign * rng.integers(0, 4, size=(4, 5)).astype(float)
    rows = [(x, p[x, y], min(y, 3), rewards[x, y], y == 4) for x in range(4) for y in range(5)]
    model = MRP.from_outcomes(rows, 1.0)
    exact = evaluate(model, Lattice()).returns
    method = Lattice(tail=10.0 ** -float(rng.integers(2, 9)), atoms=12)
    sol = evaluate(model, method)
    assert (distrl.wasserstein(sol.returns, exact) <= sol.certificate.w1).all()
    assert (np.abs(sol.returns.mean() - exact.mean()) <= sol.certificate.overshoot + sol.certificate.residual).all()
    for functional, at in (("cdf", [0.0, sign * 3.0]), ("quantile", [0.1, 0.9]), ("cvar", [0.1]), ("stop_loss", 2.0)):
        low, high = np.moveaxis(sol.interval(functional, at), -1, 0)
        points = np.atleast_1d(at)
        true = np.asarray(getattr(exact, functional)(points)).reshape(low.shape)
        assert (low <= true + 1e-9).all() and (true <= high + 1e-9).all()
    some = method.laws_of(model, [2, 0])
    np.testing.assert_array_equal(some.returns.probs, np.asarray(sol.returns.probs)[[2, 0]])
    np.testing.assert_array_equal(some.certificate.w1, sol.certificate.w1[[2, 0]])


@pytest.mark.fast
def test_moves_for_nothing_have_geometric_tails_as_well():
    p = walk(np.random.default_rng(5), 3, 3e-4)
    sol = evaluate(counted(p, 1, idle=0.25), Lattice(atoms=65))
    assert "come back" in sol.reason and "falls by a factor" in sol.reason
    steps = np.linalg.solve(np.eye(3) - p, np.ones(3))
    # idle moves change the state: the mean is that of the chain seen where it pays
    turn = 0.25 * np.roll(np.eye(3), 1, axis=1)
    paid = np.linalg.solve(np.eye(3) - turn, 0.75 * p)
    steps = np.linalg.solve(np.eye(3) - paid, np.ones(3))
    assert (np.abs(sol.values - steps) <= sol.certificate.overshoot + sol.certificate.residual + 1e-9).all()
    times = round(sol.returns.grid.spacing)
    np.testing.assert_allclose(sol.returns.probs, hats(paid, times, sol.returns.grid.atoms), rtol=0, atol=1e-9)


@pytest.mark.fast
def test_a_walk_that_alternates_has_no_geometric_tail():
    """From one of two sides an end is possible after every other step alone."""
    p = np.array([[0.0, 1.0], [0.995, 0.0]])
    sol = evaluate(counted(p, 1), Lattice(atoms=65))
    assert sol.converged and "falls by" not in sol.reason
    times = round(sol.returns.grid.spacing)
    np.testing.assert_allclose(sol.returns.probs, hats(p, times, sol.returns.grid.atoms), rtol=0, atol=1e-11)


def test_the_default_takes_fewer_atoms_where_there_are_many_levels():
    p = walk(np.random.default_rng(1), 3, 2e-5)
    sol = evaluate(counted(p, -1))
    assert sol.method.atoms == 4097 and "not every level is kept" in sol.reason
    sd = evaluate(counted(p, -1), distrl.Moments(2)).returns.std()
    assert (sol.certificate.w1 <= 0.01 * sd).all()
    assert evaluate(counted(walk(np.random.default_rng(1), 3, 0.1), -1)).method == Lattice()


def test_cliff_walking_is_certified_within_a_hundredth_of_its_standard_deviation():
    pytest.importorskip("gymnasium")
    model = distrl.from_gymnasium("CliffWalking-v1", discount=1.0).under("uniform")
    sol, moments = evaluate(model), evaluate(model, distrl.Moments(2))
    sd = moments.returns.std()
    assert sol.converged and (sol.certificate.w1 <= 0.01 * np.where(sd > 0.0, sd, np.inf)).all()
    assert (np.abs(sol.values - moments.values) <= sol.certificate.overshoot + sol.certificate.residual + 1e-6).all()


def test_limits_and_tolerances_are_kept():
    alternating = counted(np.array([[0.0, 1.0], [0.995, 0.0]]), 1)
    with pytest.raises(TooManyLevels, match="after 500 levels"):
        evaluate(alternating, Lattice(atoms=9, max_values=500))
    sol = evaluate(alternating, Lattice(atoms=9), max_iterations=500, throw=False)
    assert sol.status is Status.MAX_ITERATIONS
    model = counted(walk(np.random.default_rng(3), 4, 1e-3), 1)
    for tol in (1.0, 1e-6):
        reached = evaluate(model, Lattice(atoms=33), tol=tol)
        assert reached.bounds.max() <= tol
    mixed = MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, -1.0, True)], 1.0)
    with pytest.raises(ValueError, match="atoms is for laws made by levels, but there are rewards of both signs"):
        evaluate(mixed, Lattice(atoms=9))
    with pytest.raises(ValueError, match="atoms must be at least 2"):
        Lattice(atoms=1)
    assert Lattice(atoms=9).by_levels(model, Call()).returns.grid.atoms <= 9
