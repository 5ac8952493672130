"""What an estimate says of itself: to which law a number is near, how it knows, and what it does not know."""

import csv
import pickle
import re

import numpy as np
import pytest

import distrl
from distrl import MRP, CategoricalFixedPoint, CategoricalTD, CVaR, FiniteLaw, GenerativeModel, estimate, evaluate
from distrl.dp.certificate import SAMPLES_LAW, TRUE_LAW

MODEL = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)


def few(method, **options):
    return estimate(MODEL, method, samples_per_state=40, rng=0, **options)


@pytest.mark.parametrize(
    "method",
    [CategoricalFixedPoint(101), distrl.QuantileDP(9), distrl.ParticleDP(51), CategoricalTD(51), distrl.QuantileTD(9)],
)
def test_an_estimates_certificate_says_what_it_is_to(method, tmp_path):
    """40 samples: the bound is far below the distance to the true law, and every door says that it is another's."""
    est = few(method)
    assert est.certificate.of == SAMPLES_LAW
    text = est.summary()
    assert f"W1 to {SAMPLES_LAW} <= " in text and TRUE_LAW not in text.split("certificate")[1].split("\n")[0]
    assert f"W1 to {SAMPLES_LAW}" in repr(est)
    assert f"W1 to {SAMPLES_LAW} <=" in est.table()
    est.save(tmp_path / "x.csv")
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        assert f"W1 to {SAMPLES_LAW} <=" in next(csv.reader(file))


def test_the_bound_of_an_estimate_does_not_hold_for_the_true_law():
    """The report that started it: W1 to the true law is a hundred times what the certificate states."""
    est = estimate(MODEL, CategoricalFixedPoint(4001), samples_per_state=40, rng=0)
    truth = evaluate(MODEL, CategoricalFixedPoint(4001))
    far = distrl.wasserstein(est.returns, truth.returns)
    assert (far > 10 * est.certificate.w1).all()
    assert (est.interval("w1", method="finite-sample")[:, 1] > far).all()


def test_a_solution_of_an_empirical_model_is_near_the_samples_law_too(tmp_path):
    """A sibling: `evaluate` on what was sampled or logged."""
    log = [(0, 1.0, 1, False), (0, 0.0, 0, False), (1, 2.0, 1, True)]
    for model in (distrl.EmpiricalMRP(log, 0.9), GenerativeModel(MODEL).sample(10, rng=0)):
        solution = evaluate(model, CategoricalFixedPoint(31))
        assert solution.certificate.of == SAMPLES_LAW and SAMPLES_LAW in solution.summary()
    decisions = distrl.EmpiricalMDP([(0, 0, 1.0, 0, True), (0, 1, 2.0, 0, True)], 0.9)
    solution = evaluate(decisions, CategoricalFixedPoint(31), policy="uniform")
    assert solution.certificate.of == solution.action_certificate.of == SAMPLES_LAW
    chain = decisions.under("uniform")  # by hand, and through a file and a copy
    distrl.save(chain, tmp_path / "chain.npz")
    for model in (chain, distrl.load(tmp_path / "chain.npz"), pickle.loads(pickle.dumps(chain))):
        assert evaluate(model, CategoricalFixedPoint(31)).certificate.of == SAMPLES_LAW
    assert evaluate(MODEL, CategoricalFixedPoint(31)).certificate.of == TRUE_LAW


@pytest.mark.parametrize("method", [distrl.QuantileDP(9), CategoricalFixedPoint(31)])
def test_action_level_certificates_are_to_the_same_law(method):
    mdp = distrl.environments.garnet(3, 2, 2, discount=0.8, rng=0)
    est = estimate(mdp, method, policy="uniform", samples_per_state=20, rng=0)
    assert est.action_certificate.of == SAMPLES_LAW
    assert evaluate(mdp, method, policy="uniform").action_certificate.of == TRUE_LAW


def test_rollouts_are_near_the_true_law_with_a_confidence_and_say_so():
    est = few(distrl.MonteCarlo())
    assert est.certificate.of == TRUE_LAW and est.certificate.confidence == 0.95
    assert "with confidence 0.95: W1 to the true law" in est.summary() and "finite-sample" in est.summary()
    # what is known of the model beside its rewards' range is not used: the ends move with the samples
    other = estimate(MODEL, distrl.MonteCarlo(), samples_per_state=40, rng=1)
    assert (est.enclosure("mean") != other.enclosure("mean")).all()
    assert est.enclosure("mean")[0, 1] - est.enclosure("mean")[0, 0] > 1.0


def test_a_summary_shows_confidence_intervals_that_hold_the_truth():
    """Exact values: mean 6.5 and 3.5, variance 2.25 / .19 - ..., by the linear systems in plain NumPy."""
    est = estimate(MODEL, CategoricalFixedPoint(101), samples_per_state=400, rng=3)
    assert "95% delta confidence intervals for the true law" in est.summary()
    rows = [re.split(r"\s{2,}", line.strip()) for line in est.summary().splitlines()[-2:]]
    p, r = np.full((2, 2), 0.5), np.array([2.0, -1.0])
    mean = np.linalg.solve(np.eye(2) - 0.9 * p, r)
    sd = np.sqrt(np.linalg.solve(np.eye(2) - 0.81 * p, 0.81 * (p @ mean**2 - (p @ mean) ** 2)))
    for row, truths in zip(rows, zip(mean, sd, strict=True), strict=True):
        for cell, truth in zip(row[1:3], truths, strict=True):
            low, high = (float(x) for x in re.search(r"\[(\S+), (\S+)\]", cell).groups())
            assert low <= truth <= high and high - low > 0.1


def test_where_delta_has_no_interval_the_summary_says_what_there_is():
    half = MRP([[1.0]], [FiniteLaw([0, 1])], 0.0)  # CDF 1/2 at 0: CVaR at the level has no derivative
    est = estimate(half, CategoricalFixedPoint(11), samples_per_state=1000, rng=0)
    level = float(est.returns[0].cdf(0.0))
    ends, kind = est._stated(CVaR(level), [0])
    assert kind == "95% finite-sample" and ends[0, 0] <= 0.0 <= ends[0, 1]
    quantiles = few(distrl.QuantileDP(9))
    assert "95% finite-sample" in quantiles.summary()
    bare = estimate(distrl.EmpiricalMRP([(0, 1.0, 0, True), (0, 0.0, 0, True)], 0.9), distrl.QuantileDP(9))
    assert "intervals are certified, but to the samples' own law" in bare.summary()


@pytest.mark.parametrize(
    ("name", "at", "options"),
    [
        ("std", None, {}),
        ("stop_loss", 5.0, {}),
        ("entropic_risk", -0.2, {}),
        ("expectile", 0.3, {}),
        ("cvar", 0.23, {"tail": "upper"}),
        (CVaR(0.23), None, {}),
    ],
)
@pytest.mark.parametrize("method", ["delta", "bootstrap", "finite-sample"])
def test_every_functional_has_confidence_intervals(name, at, options, method):
    """Those of 3,000 samples hold the value of a fine solution of the true model, and shrink with the samples."""
    truth = evaluate(MODEL, CategoricalFixedPoint(801)).enclosure(name, at, **options)
    widths = []
    for samples in (300, 30_000):
        est = estimate(MODEL, CategoricalFixedPoint(101), samples_per_state=samples, rng=2)
        ends = est.interval(name, at, level=0.999, method=method, rng=0, resamples=1000, states=[0], **options)
        assert ends.shape == (1, 2)
        assert ends[0, 0] <= truth[0, 1] and truth[0, 0] <= ends[0, 1]
        widths.append(float(ends[0, 1] - ends[0, 0]))
    # those for every N are wide: all that returns can be, at 300 samples
    assert widths[1] <= widths[0] if method == "finite-sample" else widths[1] < 0.5 * widths[0]


def test_level_and_confidence_are_two_names_of_one_number():
    est = few(CategoricalFixedPoint(51))
    np.testing.assert_array_equal(est.interval("mean", confidence=0.8), est.interval("mean", level=0.8))
    with pytest.raises(ValueError, match="two names of one number"):
        est.interval("mean", level=0.9, confidence=0.8)
    with pytest.raises(ValueError, match="level must lie in"):
        est.interval("mean", confidence=1.0)


def test_several_levels_are_asked_at_once():
    est = few(CategoricalFixedPoint(51))
    together = est.interval("cvar", [0.11, 0.5])
    assert together.shape == (2, 2, 2)
    np.testing.assert_array_equal(together[:, 0], est.interval("cvar", 0.11))


def test_an_estimates_enclosure_is_the_interval_of_the_empirical_models_solution():
    est = few(CategoricalFixedPoint(51))
    solution = evaluate(est.empirical, CategoricalFixedPoint(grid=est.returns.grid), tol=est.tol)
    for name, at in [("mean", None), ("variance", None), ("cvar", 0.1), ("cdf", 4.0), ("entropic_risk", 0.1)]:
        np.testing.assert_allclose(est.enclosure(name, at), solution.interval(name, at), rtol=1e-9, atol=1e-9)
    assert (est.enclosure("cvar", 0.1)[:, 1] - est.enclosure("cvar", 0.1)[:, 0] < 0.5).all()
