"""Power of statistical claims: evidence, sizes, plants, the command."""

import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from proofs_check import claim as claim_module
from proofs_check import power as powering
from proofs_check.__main__ import app
from proofs_check.case import Case
from proofs_check.chance import LEVELS, Chance, Plant, Sizes
from proofs_check.claim import REGISTER, claim, claims, find, share_of_alarm
from proofs_check.evidence import ENOUGH, Evidence, correlated, dependent, rate, scale
from proofs_check.power import clopper_pearson, powers
from proofs_check.search import DEFAULT, MUTATION, QUICK, Hunt


def share(x):
    """What the toy claim below measures: the library's public answer, so to speak."""
    return x.mean()


@pytest.fixture
def toy(monkeypatch):
    """The mean of normal numbers is 0, to .5 at --quick and .2 by default; gone after the test."""
    claims()
    monkeypatch.setattr(claim_module, "REGISTER", dict(REGISTER))
    texts = dict.fromkeys(("statement", "latex", "source", "measured", "bound"), "-")

    def shifted(size):
        return mock.patch(f"{__name__}.share", lambda x: x.mean() + size)

    @claim(
        "toy",
        evidence="derived",
        structured=lambda: [Case(numbers={"x": 1.0})],
        statistical=True,
        plants=(Plant("shift", "a mean of {}", Sizes(0.5, 0.2, 0.1), shifted),),
        **texts,
    )
    def measure(case, chance):
        test, rng, size = Evidence(), chance.rng(), chance.size("shift")
        while test.open:
            x = np.array([share(rng.normal(size=4)) for _ in range(5)])
            test.add(4.0 * (size * x - size**2 / 2.0))
        yield test.reading

    return find("toy")


def test_a_planted_violation_is_found_and_nothing_else(toy):
    for effort in (QUICK, DEFAULT):
        (found,) = powers([toy], effort, 30)
        assert found.caught >= 29 and found.enough and not found.reason
        assert found.violation == f"a mean of {toy.plants[0].sizes[effort.level]:g}"
        (sound,) = powers([toy], effort, 30, sound=True)
        assert sound.caught == 0 and sound.violation == "nothing"


def test_what_is_half_as_large_is_not_promised(toy):
    """Sizes are told apart: a claim at --quick does not see what the default does."""
    (plant,) = toy.plants
    with plant.plant(plant.sizes.default / 2):
        assert Hunt(toy, QUICK).run(kept=None).verdict == "holds"


def test_a_seed_says_what_is_drawn(toy):
    first, again, other = (Hunt(toy, QUICK, seed).run(kept=None) for seed in (3, 3, 4))
    assert (first.measured, first.ratio) == (again.measured, again.ratio)
    assert Chance("toy", (), 0, 3).seed(1) != Chance("toy", (), 0, 4).seed(1) != Chance("other", (), 0, 4).seed(1)
    assert first.verdict == other.verdict == "holds"


@given(
    z=st.lists(st.floats(-5, 5), min_size=1, max_size=5),
    claimed=st.floats(0.8, 1.2),
    violation=st.floats(0.5, 2.0),
)
def test_ratios_are_those_of_scipys_densities(z, claimed, violation):
    z = np.array(z)
    exact = stats.norm.logpdf(z, scale=violation) - stats.norm.logpdf(z, scale=claimed)
    assert np.allclose(scale(z, claimed, violation), exact, atol=1e-9)
    rho = 0.3 if violation > 1 else -0.7
    pairs = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).logpdf(np.stack([z, z[::-1]], axis=1))
    exact = pairs - stats.norm.logpdf(z) - stats.norm.logpdf(z[::-1])
    assert np.allclose(correlated(z, z[::-1], rho), exact, atol=1e-9)
    happened = z > 0
    exact = stats.bernoulli.logpmf(happened, 0.4) - stats.bernoulli.logpmf(happened, 0.3)
    assert np.allclose(rate(happened, 0.3, 0.4), exact)


def test_bets_on_categories_add_up_to_one():
    """The expectation of the ratio under the claim is 1, whatever came before: summed over all sequences."""
    probs, total = np.array([0.2, 0.3, 0.5]), 0.0
    for sequence in np.ndindex(3, 3, 3, 3):
        then = np.array(sequence)
        total += float(probs[then].prod()) * math.exp(dependent(np.array([0, 1, 0, 1]), then, probs).sum())
    assert math.isclose(total, 1.0)
    assert dependent(np.array([0]), np.array([1]), np.array([1.0, 0.0])) == [math.inf]


def test_evidence_stops_at_its_bounds_and_leaves_the_rest_out():
    against, for_it, both = Evidence(2), Evidence(), Evidence(simple=False)
    against.add(np.array([against.most + 1.0, -100.0]))
    assert not against.open and against.seen == 1 and against.reading.violated
    for_it.add(np.array([-math.log(ENOUGH) - 1.0, 1e6]))
    assert not for_it.open and not for_it.reading.violated and for_it.reading.measured == 0.0
    both.add(np.array([-math.log(ENOUGH) - 1.0, 1e6]))
    assert both.reading.violated
    assert math.isclose(math.exp(-against.most), share_of_alarm(2))
    lost = Evidence()
    lost.add(np.array([math.nan]))
    assert not lost.open and lost.reading.violated


def test_false_alarms_are_as_rare_as_they_should_be(monkeypatch):
    """With a share of 1/20 a true null is rejected in at most that share of runs, looked at after every number."""
    monkeypatch.setattr("proofs_check.evidence.share_of_alarm", lambda comparisons: 0.05)
    rng, runs, rejected = np.random.default_rng(1), 2000, 0
    for _ in range(runs):
        test = Evidence(simple=False)
        test.add(scale(rng.normal(size=300), 1.0, 1.2))
        rejected += test.reading.violated
    assert rejected <= stats.binom.isf(1e-6, runs, 0.05)


@pytest.mark.parametrize(("caught", "repeats"), [(0, 7), (7, 7), (5, 9)])
def test_intervals_are_scipys(caught, repeats):
    exact = stats.binomtest(caught, repeats).proportion_ci(0.95, "exact")
    assert np.allclose(clopper_pearson(caught, repeats), (exact.low, exact.high))


def test_every_statistical_claim_says_what_it_finds():
    for entry in claims():
        assert not entry.plants or entry.statistical
        if entry.statistical and entry.expected == "holds":
            assert entry.plants, f"{entry.id} states no power"
        for plant in entry.plants:
            assert len(plant.sizes) == len(LEVELS) and "{}" in plant.what
    assert "(quick)" in powering.sizes(find("plug-in-variance"))


@pytest.mark.parametrize("id", ["generative-frequencies", "replications-independent", "stochastic-cdf-one-step-mean"])
def test_claims_find_what_they_say(id):
    for found in powers([find(id)], MUTATION, 2):
        assert found.caught == 2, found.row


def test_the_command_writes_a_table(tmp_path, toy):
    out = tmp_path / "power.md"
    outcome = CliRunner().invoke(app, ["power", "toy", "--quick", "--repeats", "4", "--out", str(out)])
    assert outcome.exit_code == 0, outcome.output
    assert "| toy | a mean of 0.5 | quick | 4 of 4 | 0.40 to 1.00 |" in out.read_text()
    for wrong in (["power", "no-such-claim"], ["power", "pythagoras"], ["power", "toy", "--profile", "lazy"]):
        assert CliRunner().invoke(app, wrong).exit_code == 2


def test_too_little_power_fails_the_command(tmp_path, toy):
    blind = Plant(
        "shift", "a mean of {}, planted nowhere", Sizes(0.5, 0.2, 0.1), lambda size: mock.patch("math.tau", 1)
    )
    object.__setattr__(toy, "plants", (blind,))
    outcome = CliRunner().invoke(
        app, ["power", "toy", "--quick", "--repeats", "4", "--out", str(tmp_path / "power.md")]
    )
    assert outcome.exit_code == 1 and "0 of 4" in outcome.output
