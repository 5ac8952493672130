"""`estimate`: methods side by side, intervals, allocation of samples, logs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distrl
from distrl import (
    MDP,
    MRP,
    CategoricalDP,
    CategoricalFixedPoint,
    EmpiricalMDP,
    EmpiricalMRP,
    FiniteLaw,
    GenerativeModel,
    Grid,
    MonteCarlo,
    ParticleDP,
    estimate,
    evaluate,
    theory,
)
from distrl.generative import neyman_allocation
from distrl.returns.functionals import parse
from distrl.testing import strategies

ALL = [("mean", None), ("variance", None), ("quantile", 0.3), ("cvar", 0.3), ("cdf", 1.7), ("w1", None), ("ks", None)]


def random_mrp(seed, n=2, discount=0.7):
    rng = np.random.default_rng(seed)
    return MRP(rng.dirichlet(np.ones(n), n), rng.uniform(size=(n, n)), discount)


# -- the methods ------------------------------------------------------------------------------------------------------


def test_methods_see_the_same_samples():
    model = random_mrp(0)
    methods = [CategoricalFixedPoint(101), CategoricalDP(101, 60), ParticleDP(101)]
    estimates = [estimate(model, method, samples_per_state=500, rng=7) for method in methods]
    for est in estimates:
        np.testing.assert_array_equal(est.empirical.samples.counts, estimates[0].empirical.samples.counts)
        distance = distrl.wasserstein(est.returns, estimates[0].returns)
        assert (distance <= est.certificate.w1 + estimates[0].certificate.w1).all()
        assert est.summary().startswith("estimated from 1000 samples, 500 to 500 a state\n")
    with pytest.raises(ValueError, match="categorical"):
        estimates[2].interval("w1")
    assert estimates[0].returns.grid == Grid(*GenerativeModel(model).return_range, 101)


@given(st.data())
def test_merged_particles_are_within_their_certificate(data):
    model = data.draw(strategies.mrps(max_states=3, discounts=st.sampled_from([0.0, 0.5, 0.9])))
    sol = evaluate(model, ParticleDP(data.draw(st.integers(2, 40)), sweeps=data.draw(st.integers(1, 30))))
    fine = evaluate(model, CategoricalFixedPoint(801))
    distance = distrl.wasserstein(sol.returns, fine.returns)
    assert (distance <= sol.certificate.w1 + fine.certificate.w1 + 1e-9).all()
    np.testing.assert_allclose(sol.values, fine.values, atol=1e-8 * fine.returns.grid.width)


@pytest.mark.fast
def test_rollouts_keep_to_the_budget():
    model = random_mrp(1)
    est = estimate(model, MonteCarlo(), samples_per_state=1000, rng=0)
    episodes, steps = est.returns.values.shape[1], est.iterations
    assert episodes * steps <= 1000 < 2 * episodes * steps and est.converged
    truth = evaluate(model, CategoricalFixedPoint(801)).returns
    assert (distrl.wasserstein(est.returns, truth) <= est.certificate.w1 + 0.01).all()
    ball = est.interval("w1", method="finite-sample", level=0.999)
    assert (distrl.wasserstein(est.returns, truth) <= ball[:, 1]).all()
    with pytest.raises(ValueError, match="finite-sample"):
        est.interval("mean")
    assert est.summary().startswith("rollouts")


# -- intervals --------------------------------------------------------------------------------------------------------


def test_what_the_solver_loses_is_enclosed():
    """Coarse estimates of one empirical model: the fine one's functionals lie in their enclosures."""
    empirical = GenerativeModel(random_mrp(2, 3, 0.9)).sample(50, rng=0)
    fine = evaluate(empirical, CategoricalFixedPoint(4001)).returns
    for method in (CategoricalFixedPoint(31), CategoricalFixedPoint(grid=Grid(2, 6, 31)), ParticleDP(31)):
        est = estimate(empirical, method)
        for name, at in [("mean", None), ("variance", None), ("quantile", 0.3), ("cvar", 0.2), ("cdf", 4.0)]:
            value, ends = parse(name, at).value(fine), est.enclosure(name, at)
            slack = 0.01 if name == "cdf" else 0.005  # the fine law's own error
            assert (ends[:, 0] - slack <= value).all() and (value <= ends[:, 1] + slack).all(), (method, name)


@pytest.mark.fast
@pytest.mark.parametrize("model", [random_mrp(2, 3, 0.9), MRP([[1.0]], [FiniteLaw([0, 1])], 0.5)])
def test_what_the_solver_loses_of_cvar_is_of_second_order(model):
    """Four times as many cells: a sixteenth, not a quarter, in the limit."""
    widths = []
    for atoms in (51, 201):
        est = estimate(model, CategoricalFixedPoint(atoms), samples_per_state=200, rng=0)
        widths.append(np.diff(est.enclosure("cvar", 0.3)).max())
        assert widths[-1] < 0.5 * est.certificate.w1.max() / 0.3
    assert widths[1] < widths[0] / 8


def test_sampling_alone_is_the_interval_less_the_solvers_error():
    est = estimate(random_mrp(6), CategoricalFixedPoint(41), samples_per_state=200, rng=0)
    for name, at in ALL:
        options = {"rng": 1, "resamples": 20}
        for method in ("delta", "bootstrap"):
            whole = est.interval(name, at, method=method, **options)
            alone = est.interval(name, at, method=method, numerical=False, **options)
            if name != "variance":  # the exact one is known, and the grid's is larger
                assert (whole[:, 0] <= alone[:, 0] + 1e-9).all() and (alone[:, 1] <= whole[:, 1] + 1e-9).all()
            if name not in ("w1", "ks", "quantile"):
                added = est.enclosure(name, at) - parse(name, at).value(est.returns)[:, None]
                clipped = np.clip(alone + added, 0.0, 1.0) if name == "cdf" else alone + added
                np.testing.assert_allclose(whole, clipped, atol=1e-9)
    with pytest.raises(ValueError, match="leave numerical out"):
        est.interval("mean", method="finite-sample", numerical=False)


@pytest.mark.parametrize(("name", "at"), ALL)
@pytest.mark.parametrize("method", ["delta", "bootstrap", "finite-sample"])
def test_intervals_hold_the_truth(name, at, method):
    model = random_mrp(6)
    truth = evaluate(model, CategoricalFixedPoint(2001)).returns
    est = estimate(model, CategoricalFixedPoint(201), samples_per_state=400, rng=3)
    options = {"method": method, "rng": 0, "resamples": 60, "level": 0.99}
    ends = est.interval(name, at, **options)
    together = est.interval(name, at, simultaneous=True, **options)
    distances = {"w1": distrl.wasserstein, "ks": distrl.kolmogorov}
    value = distances[name](truth, est.returns) if name in distances else parse(name, at).value(truth)
    slack = 0.005  # of the fine law
    assert (together[:, 0] - slack <= value).all() and (value <= together[:, 1] + slack).all()
    assert (ends[:, 0] <= ends[:, 1]).all()
    if method != "finite-sample":
        assert (np.diff(together) >= np.diff(ends) - 1e-9).mean() >= 0.5
    some = est.interval(name, at, states=[1], **options)
    np.testing.assert_allclose(some[0], ends[1], atol=1e-9)


@pytest.mark.fast
def test_finite_sample_radii_shrink_as_one_over_the_root_and_cover():
    model = random_mrp(7)
    radii = []
    for n in (100, 400):
        est = estimate(model, CategoricalFixedPoint(401), samples_per_state=n, rng=0)
        radii.append(est.interval("w1", method="finite-sample")[:, 1] - est.certificate.w1)
    np.testing.assert_allclose(radii[0] / radii[1], 2.0, rtol=0.1)


def test_bootstrap_does_not_depend_on_threads():
    est = estimate(random_mrp(8), CategoricalFixedPoint(31), samples_per_state=50, rng=0)
    one, two = (est.interval("cvar", 0.2, method="bootstrap", rng=5, resamples=20, threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.fast
def test_what_was_never_seen_says_so():
    log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True), (1, 0, 1.0, 0, True)] * 3
    log += [(2, 0, 1.0, 2, True), (2, 0, 0.0, 2, True)] * 5 + [(0, 1, 1.0, 2, True), (0, 1, 0.0, 2, True)]
    model = EmpiricalMDP(log, 0.5, unvisited="unknown", reward_range=(0, 2))
    assert model.unknown[1:, 1].all() and not model.unknown[:, 0].any()
    known = estimate(model, CategoricalFixedPoint(21), [0, 0, 0])
    assert np.isfinite(known.interval("mean")).all() and (np.diff(known.interval("mean")) < 4).all()
    lost = estimate(model, CategoricalFixedPoint(21), [0, 1, 0])  # 0 leads to 1, where action 1 was never taken
    for method in ("delta", "bootstrap", "finite-sample"):
        ends = lost.interval("mean", method=method, rng=0, resamples=10)
        np.testing.assert_allclose(ends[:2], [[0, 4], [0, 4]])
        assert np.diff(ends[2]) < 4 or method == "finite-sample"
    bare = estimate(EmpiricalMDP(log, 0.5, unvisited="unknown"), CategoricalFixedPoint(21), [0, 1, 0])
    assert np.isinf(bare.interval("mean")[:2]).all() and np.isinf(bare.standard_error("mean")[:2]).all()
    with pytest.raises(ValueError, match="reward_range"):
        bare.interval("mean", method="finite-sample")


@pytest.mark.fast
def test_one_sample_shows_no_variance():
    est = estimate(EmpiricalMRP([(0, 1.0, 0, True)], 0.5), CategoricalFixedPoint(11))
    assert np.isinf(est.standard_error("mean")).all()


# -- allocation -------------------------------------------------------------------------------------------------------


@pytest.mark.fast
@given(st.data())
def test_neyman_allocation_beats_every_move_of_one_sample(data):
    n = data.draw(st.integers(1, 5))
    sd = np.array(data.draw(st.lists(st.floats(0, 10), min_size=n, max_size=n)))
    floor = np.array(data.draw(st.lists(st.integers(1, 6), min_size=n, max_size=n)))
    total = int(floor.sum()) + data.draw(st.integers(0, 60))
    sizes = neyman_allocation(sd, total, floor)
    assert sizes.sum() == total and (sizes >= floor).all()
    if not (sd > 1e-3).any():
        return
    best = (sd**2 / sizes).sum()
    for i in range(n):
        for j in range(n):
            moved = sizes + (np.arange(n) == i) - (np.arange(n) == j)
            if (moved >= floor).all():  # rounding may cost one sample's worth, no more
                assert best <= (sd**2 / moved).sum() + (sd**2 / sizes**2).max() + 1e-12


def test_a_state_that_hardly_varies_gets_nothing_where_nothing_is_asked_for():
    with np.errstate(all="raise"):
        assert neyman_allocation([1e-310, 1.0], 42, 0).tolist() == [0, 42]
        assert neyman_allocation([1e-310, 1.0], 42, [0, 5]).tolist() == [0, 42]


@pytest.mark.fast
def test_adaptive_samples_go_where_the_interval_shrinks():
    """Only state 0 is noisy, and state 2 cannot be reached from it."""
    model = MRP([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], [FiniteLaw([0, 5]), 1.0, FiniteLaw([0, 5])], 0.5)
    method = CategoricalFixedPoint(41)
    est = estimate(model, method, rng=0, budget=3000, allocate="adaptive", functional="mean", state=0)
    assert est.empirical.sample_counts.sum() == 3000
    assert est.empirical.sample_counts[0] > 2000 and est.empirical.sample_counts[2] == 200
    with pytest.raises(ValueError, match="adaptive"):
        est.interval("mean", method="finite-sample")
    even = estimate(model, method, rng=0, budget=3000)
    assert est.standard_error("mean", states=0)[0] < 0.8 * even.standard_error("mean", states=0)[0]


@pytest.mark.fast
def test_adaptive_samples_stay_adaptive_whatever_is_made_of_them(tmp_path):
    """Their sizes depend on what was drawn: no finite-sample bound holds, for another estimate of them either."""
    model = MDP([[[0.5, 0.5], [0.5, 0.5]]] * 2, [[1.0, 2.0], [0.0, 3.0]], 0.5)
    source, method = GenerativeModel(model), CategoricalFixedPoint(21)
    options = {"budget": 80, "allocate": "adaptive", "state": 0, "batches": 2}
    drawn = estimate(source, method, "uniform", rng=0, **options).empirical
    distrl.save(drawn, tmp_path / "drawn.npz")
    for empirical in (
        drawn,
        source.sample(5, rng=1, to=drawn),
        drawn.redrawn(np.random.default_rng(0)),
        distrl.load(tmp_path / "drawn.npz"),
    ):
        est = estimate(empirical, CategoricalFixedPoint(31), "uniform")
        assert est.adaptive
        with pytest.raises(ValueError, match="these were adaptive"):
            est.interval("mean", method="finite-sample")
        with pytest.raises(ValueError, match="fixed beforehand"):
            distrl.optimize(empirical, distrl.Mean(), pessimism=0.9)
    even = estimate(source.sample(20, rng=0), method, "uniform")
    assert not even.adaptive and even.interval("mean", method="finite-sample").shape == (2, 2)


def test_adaptive_samples_need_a_fraction_of_the_uniform_budget():
    """Slippery walk under one action of two: CVaR's interval at the start, solver's error included, and coverage."""
    p = np.zeros((2, 6, 6))
    for action, slip in enumerate((0.2, 0.6)):
        for state in range(5):
            p[action, state, state + 1], p[action, state, max(state - 1, 0)] = 1 - slip, slip
    p[:, 5, 5] = 1.0
    rewards = np.zeros((6, 2))
    rewards[4] = 1.0
    model = MDP(p, rewards, 0.9, terminal=np.arange(6) == 5)
    policy, method, at = np.array([[0.9, 0.1]] * 6), CategoricalFixedPoint(101), 0.6
    truth = evaluate(model, CategoricalFixedPoint(1601), policy).returns.cvar(at)[0]
    rng, widths, hits = np.random.default_rng(0), {}, {}
    for options in ({}, {"allocate": "adaptive", "functional": "cvar", "at": at, "state": 0}):
        budget = 2100 if options else 3000
        ends = np.array(
            [
                estimate(model, method, policy, rng=rng, budget=budget, **options).interval("cvar", at, states=0)[0]
                for _ in range(40)
            ]
        )
        widths[budget] = np.diff(ends).mean()
        hits[budget] = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum()
    assert widths[2100] <= widths[3000]
    assert hits[2100] >= 33  # of 40: fewer happen by chance once in 1,000 at 95%


@pytest.mark.fast
def test_wrong_arguments_are_refused():
    model, method = random_mrp(0), CategoricalFixedPoint(11)
    est = estimate(model, method, samples_per_state=10, rng=0)
    for bad, message in [
        (lambda: estimate(model, CategoricalFixedPoint), "method"),
        (lambda: estimate(model, method, budget=10, allocate="random"), "uniform, adaptive"),
        (lambda: estimate(model, method, allocate="adaptive"), "budget"),
        (lambda: estimate(model, method, budget=100, allocate="adaptive"), "state="),
        (lambda: estimate(model, method, budget=10, allocate="adaptive", state=0), "raise budget"),
        (lambda: estimate(est.empirical, method, budget=10), "logged"),
        (lambda: est.interval("median"), "functional must be"),
        (lambda: est.interval("cvar"), "needs a level"),
        (lambda: est.interval("mean", 0.5), "takes no point"),
        (lambda: est.interval("cvar", 1.5), "at must lie in"),
        (lambda: est.interval("mean", level=1.0), "level must lie"),
        (lambda: est.interval("mean", method="normal"), "method must be"),
        (lambda: est.interval("mean", states=[2]), "states"),
        (lambda: est.standard_error("quantile", 0.5), "no derivative"),
        (lambda: theory.samples_for(0.0, discount=0.9), "epsilon"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            bad()


@pytest.mark.fast
def test_sample_sizes_state_their_evidence_and_the_derived_one_suffices():
    sizes = theory.samples_for(0.5, 0.1, discount=0.5, states=2)
    derived = sizes[0]
    assert derived.evidence == "derived" and all(size.samples is None for size in sizes if "rate" in size.evidence)
    model = random_mrp(9, discount=0.5)
    est = estimate(model, CategoricalFixedPoint(derived.atoms), samples_per_state=derived.samples, rng=0)
    assert (est.interval("w1", level=0.9, method="finite-sample")[:, 1] <= 0.5 + 1e-6).all()
