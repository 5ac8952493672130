"""Elimination without subtraction: relative accuracy whatever the condition number, against rational arithmetic."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from oracles import rational_central_moments, rational_resolvent
from scipy import sparse

from distrl import MRP, CategoricalFixedPoint, ConvergenceError, Grid, Moments, Status, evaluate
from distrl.dp import resolvent as resolvents
from distrl.dp.certificate import Certifier
from distrl.dp.resolvent import Resolvent
from distrl.operators import CategoricalBellman

RATES = (1e-12, 1.0)


def falls_back_to_its_middle(steps):
    """States 0..2N that end at both ends, with 1 at 0: from the middle .7 down, elsewhere 1/2 outwards, 1/2 back."""
    rows, middle = [(0, 1.0, 0, 0.0, True), (2 * steps, 1.0, 0, 0.0, True)], steps
    for x in range(1, 2 * steps):
        out = x - 1 if x < middle else x + 1
        moves = [(0.7, x - 1), (0.3, x + 1)] if x == middle else [(0.5, out), (0.5, middle)]
        rows += [(x, p, y, float(y == 0), y in (0, 2 * steps)) for p, y in moves]
    return MRP.from_outcomes(rows, 1.0)


def stiff_rows(rng, states, signed, ends=0.3):
    """Rates log-uniform on 1e-12..1 to three other states, a loop that is 1 less everything else, a reward a state."""
    rows = []
    for x in range(states):
        targets = rng.choice(states, size=min(3, states), replace=False)
        rates = 10.0 ** rng.uniform(-12, 0, len(targets) + 1) / 5
        reward = float(rng.normal() if signed else rng.random())
        leaves = [(x, float(p), int(y), reward, False) for p, y in zip(rates, targets, strict=False) if y != x]
        if x == 0 or rng.random() < ends:
            leaves.append((x, float(rates[-1]), x, reward, True))
        if len(leaves) == 0 or (x > 0 and all(row[2] > x for row in leaves)):
            leaves.append((x, float(rates[0]), x - 1, reward, False))  # so that the end can be reached
        rows += [*leaves, (x, 1.0 - math.fsum(row[1] for row in leaves), x, reward, False)]
    return rows


def means_of(rows, discount):
    """Rational (I - g P)^{-1} r and (I - g P)^{-1} |r|, rewards one a state."""
    rewards = {row[0]: Fraction(row[3]) for row in rows}
    rhs = [rewards[x] for x in range(len(rewards))]
    return rational_resolvent(rows, discount, 1, rhs, [abs(value) for value in rhs])


def relative_errors(found, exact, scale):
    return [
        float(abs(Fraction(float(v)) - e) / s) if s else float(v != 0)
        for v, e, s in zip(found, exact, scale, strict=True)
    ]


def within(found, exact, bound):
    """Whether found is within bound of exact, compared in rationals."""
    triples = zip(found, exact, bound, strict=True)
    return all(abs(Fraction(float(v)) - e) <= Fraction(float(b)) for v, e, b in triples)


@pytest.mark.parametrize("steps", [20, 56, 100, 200, 300])
def test_a_mean_keeps_its_digits_where_the_walk_is_longer_than_1e17_steps(steps):
    model = falls_back_to_its_middle(steps)
    solution = evaluate(model, Moments(2))
    assert solution.status is Status.CONVERGED
    assert solution.values[steps] == pytest.approx(0.7, rel=1e-13)
    assert solution.returns.var()[steps] == pytest.approx(0.21, rel=1e-12)
    # an excursion from the middle lasts 1 + (1 + 1/2 + ... ) steps and ends with probability 2^-(steps - 1)
    expected = 3 * 2 ** (steps - 1) - 2
    known = np.isin(np.arange(2 * steps + 1), (0, 2 * steps))
    linear = Resolvent.of(model)
    found = linear.solve(np.where(known, 0.0, 1.0))[steps]
    off = 0.7 - 7 / 10 + float(abs(Fraction(0.7) + Fraction(0.3) - 1))  # .7 and .3 themselves are rounded
    assert abs(Fraction(found) / expected - 1) <= 1e-13 + off
    assert linear.gains[steps] >= found and linear.how == "elimination"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_means_of_stiff_chains_are_right_relative_to_what_is_summed(seed, signed):
    check_stiff_chains(seed, signed, count=2, largest=9)


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", [pytest.param(k, marks=[pytest.mark.nightly] * (k % 5 > 0)) for k in range(100, 125)])
def test_means_of_many_stiff_chains_are_right_relative_to_what_is_summed(seed, signed):
    check_stiff_chains(seed, signed, count=6, largest=30)


def check_stiff_chains(seed, signed, count, largest):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        rows = stiff_rows(rng, int(rng.integers(5, largest + 1)), signed)
        discount = float(rng.choice([1.0, 1.0, 0.9, 1 - 1e-6, 1 - 1e-12]))
        model = MRP.from_outcomes(rows, discount)
        exact, size = means_of(rows, discount)
        solution = evaluate(model, Moments(1))
        assert max(relative_errors(solution.values, exact, size)) <= 1e-12
        assert solution.status is Status.CONVERGED and solution.bound <= solution.tol
        error = solution.returns.mean_error
        assert within(solution.values, exact, error)
        assert all(float(b) <= 1e-11 * float(s) for b, s in zip(error, size, strict=True))
        # the same through what certificates take from it
        operator = CategoricalBellman(model, Grid(-1.0, 1.0, 5))
        upper = Certifier(model, operator).linear.upper(np.abs(model.expected_rewards))
        assert all(s <= Fraction(float(u)) <= s * (1 + Fraction(1e-11)) for u, s in zip(upper, size, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_the_certificate_of_a_stiff_chain_is_a_finite_bound(seed):
    rng = np.random.default_rng(seed)
    rows = stiff_rows(rng, 6, signed=False)
    rows = [(x, p, y, float(end), end) for x, p, y, _, end in rows]  # 1 at the end: a return in [0, 1]
    model = MRP.from_outcomes(rows, 1 - 1e-9)
    solution = evaluate(model, CategoricalFixedPoint(grid=Grid(0.0, 1.0, 41)), throw=False)
    rhs = [sum((Fraction(p) for a, p, _, _, end in rows if a == x and end), Fraction(0)) for x in range(6)]
    (exact,) = rational_resolvent(rows, 1 - 1e-9, 1, rhs)
    gaps = np.array([float(abs(Fraction(float(v)) - e)) for v, e in zip(solution.values, exact, strict=True)])
    assert (gaps <= solution.certificate.w1).all()  # |difference of means| <= W1
    assert np.isfinite(solution.certificate.w1).all()


@pytest.mark.parametrize("seed", range(6))
def test_central_moments_are_within_their_certified_errors(seed):
    rng = np.random.default_rng(seed)
    rows = stiff_rows(rng, 5, signed=bool(seed % 2))
    discount = [1.0, 1 - 1e-9, 0.9][seed % 3]
    solution = evaluate(MRP.from_outcomes(rows, discount), Moments(4), throw=False)
    exact = rational_central_moments(rows, discount, 4)
    for k in (2, 3, 4):
        found, bound = solution.returns.central_moment(k), solution.returns.central_moment_error(k)
        assert within(found, exact[k], bound)
    assert (solution.returns.variance_error == solution.returns.central_moment_error(2)).all()


def clusters(crossing):
    """Two rings of three states, crossed and left with a tiny probability."""
    rows = []
    for x in range(6):
        ring, to = x // 3, 3 * (x // 3) + (x + 1) % 3
        rows += [(x, 1.0 - 2 * crossing, to, 1.0 - ring, False), (x, crossing, (x + 3) % 6, 1.0 - ring, False)]
        rows.append((x, crossing, x, 1.0 - ring, True))
    return rows


def drift(states, up):
    """Up with a small probability, else back; ends above the last state."""
    rows = []
    for x in range(states):
        rows += [(x, 1.0 - up, max(x - 1, 0), 1.0, False), (x, up, min(x + 1, states - 1), 1.0, x == states - 1)]
    return rows


def ring(states, leave):
    """A cycle that is left from one state only."""
    rows = [(x, 1.0, (x + 1) % states, float(x), False) for x in range(1, states)]
    return [*rows, (0, 1.0 - leave, 1, 0.0, False), (0, leave, 0, 0.0, True)]


ILL = {
    "nearly decomposable": (clusters(1e-14), 1.0),
    "drift back": (drift(20, 1e-4), 1.0),
    "long loop, tiny exit": (ring(25, 1e-15), 1.0),
    "discount of almost one": (clusters(0.0)[:2] + clusters(1e-3)[3:], 1 - 1e-12),
    "discount of one eps less": (drift(6, 0.5), 1 - 2.0**-53),
}


@pytest.mark.parametrize("name", ILL)
def test_ill_conditioned_chains_keep_their_digits(name):
    rows, discount = ILL[name]
    exact, size = means_of(rows, discount)
    solution = evaluate(MRP.from_outcomes(rows, discount), Moments(1))
    errors = relative_errors(solution.values, exact, size)
    # a loop of probability 1 - 1e-15 to *another* state is a rounded number: data of the model as it is stored
    assert max(errors) <= 1e-12 and solution.status is Status.CONVERGED


@pytest.mark.parametrize("rate", [5e-324, 1e-310, 1e-300])
def test_rates_too_small_for_relative_accuracy_are_not_called_converged(rate):
    """Ends with a denormal probability after 1e300 steps and more: a sentence, or a bound that says so."""
    rows = [(0, 1.0 - rate, 1, 1.0, False), (0, rate, 0, 1.0, True), (1, 0.5, 0, 0.0, False), (1, 0.5, 1, 0.0, False)]
    model = MRP.from_outcomes(rows, 1.0)
    try:
        solution = evaluate(model, Moments(1), throw=False)
    except ValueError as error:
        assert "too small for float64" in str(error)
    else:
        assert solution.status is Status.STALLED and solution.bound > solution.tol


def test_status_says_when_a_moment_is_lost_to_rounding():
    """Discount 1 - 1e-15: the mean of 1e15 keeps its digits, the variance is a difference that does not."""
    rows = [(0, 0.5, 1, 1.0, False), (0, 0.5, 0, 0.0, False), (1, 1.0, 0, 0.0, False)]
    model, discount = MRP.from_outcomes(rows, 1 - 1e-15), 1 - 1e-15
    exact, size = rational_resolvent(rows, discount, 1, [Fraction(1, 2), Fraction(0)], [Fraction(1, 2), Fraction(0)])
    mean = evaluate(model, Moments(1))
    assert max(relative_errors(mean.values, exact, size)) <= 1e-12
    with pytest.raises(ConvergenceError) as caught:
        evaluate(model, Moments(2))
    solution = caught.value.solution
    assert solution.status is Status.STALLED and solution.bound > solution.tol
    variance = rational_central_moments(rows, discount, 2)[2]
    found, bound = solution.returns.var(), solution.returns.variance_error
    assert within(found, variance, bound)


def test_a_given_tolerance_below_the_bound_is_not_met():
    model = falls_back_to_its_middle(20)
    solution = evaluate(model, Moments(1), throw=False, tol=1e-300)
    assert solution.status is Status.STALLED and solution.bound > 1e-300
    assert evaluate(model, Moments(1), tol=float(solution.bound)).status is Status.CONVERGED


def test_a_start_at_the_exact_moments_does_not_divide_by_a_gain_without_bounds(monkeypatch):
    rows = [(0, 1.0, 1, 0.0, False), (1, 1.0 - 1e-320, 0, 0.0, False), (1, 1e-320, 0, 1.0, True)]
    model = MRP.from_outcomes(rows, 1.0)
    try:
        solution = evaluate(model, CategoricalFixedPoint(grid=Grid(0.0, 1.0, 11)), throw=False)
    except ValueError as error:
        assert "too small for float64" in str(error)
    else:
        assert solution.status is not Status.CONVERGED
    chain = falls_back_to_its_middle(56)
    solution = evaluate(chain, CategoricalFixedPoint(grid=Grid(0.0, 1.0, 11)), throw=False)
    assert np.isfinite(solution.certificate.w1).all()
    assert (np.abs(solution.values - evaluate(chain, Moments(1)).values) <= solution.certificate.w1).all()


@pytest.mark.parametrize("way", ["elimination", "iteration"])
def test_bounds_count_the_length_of_a_row(way, monkeypatch):
    """One state with 10,000 equal successors, which all come back to it: sums of equal numbers round one way."""
    n, discount = 10_001, 1 - 1e-6
    share = 1.0 / (n - 1)
    rows, columns = np.zeros(n - 1, dtype=int), np.arange(1, n)
    entries = np.concatenate([np.full(n - 1, share), np.ones(n - 1)])
    places = (np.concatenate([rows, columns]), np.concatenate([columns, rows]))
    matrix = sparse.coo_array((entries, places), shape=(n, n)).tocsr()
    if way == "iteration":
        monkeypatch.setattr(resolvents, "_LIGHT", 0)
        monkeypatch.setattr(resolvents, "_HEAVY", 0)
    ending = np.zeros(n)  # a loop is 1 less everything else
    linear = Resolvent(matrix, discount, ending)
    g, total = Fraction(discount), Fraction(share) * (n - 1)
    # u0 = 1 + g total u1 + g (1 - total) u0, u1 = 1 + g u0
    exact = (1 + g * total) / (1 - g * (1 - total) - g * g * total)
    upper = linear.upper(np.ones(n))
    assert linear.how.startswith(way)
    assert Fraction(float(upper[0])) >= exact and Fraction(float(upper[5])) >= 1 + g * exact
    assert upper[0] <= float(exact) * (1 + 1e-3)
    found, error = linear.enclose(np.ones(n))
    assert abs(Fraction(float(found[0])) - exact) <= Fraction(float(error[0]))


@pytest.mark.parametrize("states", [40, 400, 2000])
def test_sparse_and_dense_elimination_agree_with_a_rational_birth_and_death_chain(states):
    """Steps to the end of a walk with drift back, by its own sums: products of ratios."""
    up = 15 / 32
    linear = Resolvent.of(MRP.from_outcomes(drift(states, up), 1.0))
    expected = steps = Fraction(0)
    for _ in range(states):  # steps from x to x + 1: 1/up + (1 - up)/up * steps from x - 1 to x
        steps = Fraction(32, 15) + Fraction(17, 15) * steps
        expected += steps
    assert abs(Fraction(float(linear.solve(np.ones(states))[0])) / expected - 1) <= 1e-12
    assert linear.gains[0] >= expected and linear.relative_error <= 1e-10


@pytest.mark.parametrize("states", [30, 300, 1200])
@pytest.mark.parametrize("kind", ["tree", "star", "random", "acyclic"])
def test_every_graph_is_solved_to_its_promise(states, kind):
    """Against a dense solve of a well-conditioned system, whatever fills in."""
    rng = np.random.default_rng(states)
    rows = np.arange(states)
    if kind == "tree":
        edges = [(rows, np.maximum((rows - 1) // 2, 0)), (rows, np.minimum(2 * rows + 1, states - 1))]
    elif kind == "star":
        edges = [(rows, 0 * rows), (0 * rows, rows)]
    elif kind == "random":
        edges = [(rows, rng.integers(0, states, states)) for _ in range(4)]
    else:
        edges = [(rows, np.minimum(rows + int(k), states - 1)) for k in rng.integers(1, 9, 3)]
    sources, columns = (np.concatenate(side) for side in zip(*edges, strict=True))
    weights = rng.random(len(sources)) + 0.1
    totals = np.bincount(sources, weights=weights, minlength=states)
    matrix = sparse.coo_array((weights / totals[sources], (sources, columns)), shape=(states, states)).tocsr()
    linear, rhs = Resolvent(matrix, 0.95, np.zeros(states)), rng.normal(size=states)
    found, error = linear.enclose(rhs)
    expected = np.linalg.solve(np.eye(states) - 0.95 * matrix.toarray(), rhs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-12)
    assert (error <= 1e-10).all() and (linear.upper(np.abs(rhs)) >= np.abs(expected)).all()


def test_factors_are_read_only_so_that_threads_share_a_resolvent():
    rng = np.random.default_rng(0)
    matrix = sparse.csr_array(rng.dirichlet(np.ones(120), 120))
    linear = Resolvent(matrix, 0.99, np.zeros(120))
    sides = rng.normal(size=(64, 120))
    alone = [linear.solve(rhs) for rhs in sides]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            for first, second in zip(alone, pool.map(linear.solve, sides), strict=True):
                assert np.array_equal(first, second)


def test_an_elimination_too_heavy_falls_back_to_iteration_with_a_bound_and_says_so(monkeypatch):
    monkeypatch.setattr(resolvents, "_AT_ONCE", 0)
    monkeypatch.setattr(resolvents, "_LIGHT", 0)
    rng = np.random.default_rng(1)
    rows = [
        (x, float(p), int(y), float(x), False)
        for x in range(200)
        for p, y in zip(rng.dirichlet(np.ones(5)), rng.choice(200, 5, replace=False), strict=True)
    ]
    well = MRP.from_outcomes(rows, 0.99)
    solution = evaluate(well, Moments(2))
    assert "iteration" in solution.reason and solution.status is Status.CONVERGED
    # where iterating is not accurate enough, the heavy elimination is tried after all
    hard = evaluate(MRP.from_outcomes(rows, 1 - 1e-10), Moments(1))
    assert hard.reason.endswith("elimination") and hard.status is Status.CONVERGED
    monkeypatch.setattr(resolvents, "_HEAVY", 0)
    lost = evaluate(MRP.from_outcomes(rows, 1 - 1e-10), Moments(1), throw=False)
    assert "iteration" in lost.reason
    assert (np.abs(lost.values - hard.values) <= lost.returns.mean_error + hard.returns.mean_error).all()
    assert (lost.status is Status.CONVERGED) == (lost.bound <= lost.tol)
