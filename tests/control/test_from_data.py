"""Decisions from samples: bounds that hold for the process that was sampled, fresh samples, and what to sample next."""

import math

import numpy as np
import pytest
from scipy import optimize as search
from scipy import stats

import distrl
from distrl import MDP, CVaR, EmpiricalMDP, EntropicRisk, GenerativeModel, Mean, Moments, Shortfall, evaluate, optimize
from distrl.control import PessimisticIteration
from distrl.control.data.likely import least_means
from distrl.theory import least_probability, likelihood_radius

pytestmark = pytest.mark.fast
RNG = np.random.default_rng


def growth(values, probs, mean):
    """max over w in [0, 1] of the mean of log(1 - w + w y / mean): what rejects a mean, by a search over w."""

    def lost(w):
        with np.errstate(divide="ignore"):
            return -float(probs @ np.log(1.0 - w + w * values / mean))

    found = search.minimize_scalar(lost, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-12})
    return max(-found.fun, -lost(1.0), 0.0)


def is_least(values, probs, radius, mean, room=1e-6):
    """Whether means below `mean` are rejected at the radius and those above are not."""
    below, above = mean * (1.0 - room), mean * (1.0 + room) + 1e-15
    return (mean <= 1e-12 or growth(values, probs, below) >= radius) and growth(values, probs, above) <= radius


def made(seed, states=3, actions=2, discount=0.8):
    """A small process in which actions differ, random rewards and ends among the outcomes."""
    rng, rows = RNG(seed), []
    for x in range(states):
        for a in range(actions):
            probs = rng.dirichlet(np.full(states, 0.7))
            for y, p in enumerate(probs):
                rows.append((x, a, p, y, float(rng.integers(0, 3)), bool(rng.random() < 0.2)))
    return MDP.from_outcomes(rows, discount, states=states)


# -- the least mean ---------------------------------------------------------------------------------------------------


def test_the_least_mean_is_where_bets_against_it_no_longer_pay():
    rng, cases = RNG(0), []
    for k in range(300):
        values = rng.uniform(size=int(rng.integers(1, 7))) * 10.0 ** rng.integers(-3, 1)
        values[0] *= k % 3 > 0
        cases.append((values, rng.dirichlet(np.ones(len(values))), 10.0 ** rng.uniform(-4.0, 1.0)))
    cases += [(np.full(3, 0.25), np.full(3, 1.0 / 3.0), 0.01), (np.array([0.6, 0.0]), np.full(2, 0.5), 0.759)]
    starts = np.cumsum([0, *(len(values) for values, _, _ in cases[:-1])])
    together = (np.concatenate([case[0] for case in cases]), np.concatenate([case[1] for case in cases]))
    found = least_means(starts, *together, np.array([radius for _, _, radius in cases]))
    assert (found.errors <= 1e-10).all()
    for k, (values, probs, radius) in enumerate(cases):
        own = found.weights[starts[k] : starts[k] + len(values)]
        assert is_least(values, probs, radius, found.means[k]), (values, probs, radius)
        assert abs(own @ values - found.means[k]) < 1e-9 and own.min() >= 0.0 and own.sum() < 1.0 + 1e-9
        if found.means[k] > 0.0:
            assert probs @ np.log(probs / own) < radius + 1e-8


def test_radii_of_nothing_known_and_of_everything_known():
    values, probs = np.array([0.5, 1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.5, 0.5])
    found = least_means(np.array([0, 2]), values, probs, np.array([0.0, np.inf]))
    assert found.means.tolist() == [0.75, 0.0] and found.weights.tolist() == [0.5, 0.5, 0.0, 0.0]


def test_no_mixture_of_bets_falls_further_behind_the_best_one_than_the_radius_allows():
    """The largest product over w is at most sqrt(pi (n + 1/2)) times that of the mixture over Beta(1/2, 1/2)."""
    for n in (1, 2, 7, 60, 1000):
        k = np.arange(n + 1.0)
        best = np.where(k > 0, k * np.log(np.maximum(k, 1.0) / n), 0.0)
        best += np.where(k < n, (n - k) * np.log(np.maximum(n - k, 1.0) / n), 0.0)
        gamma = np.vectorize(math.lgamma)
        mixture = gamma(k + 0.5) + gamma(n - k + 0.5) - math.lgamma(n + 1.0) - math.log(math.pi)
        assert (best - mixture).max() <= 0.5 * math.log(math.pi * (n + 0.5)) + 1e-9
        assert likelihood_radius(n, 0.1) * n == pytest.approx(math.log(10.0) + 0.5 * math.log(math.pi * (n + 0.5)))


@pytest.mark.parametrize("n", [3, 20])
def test_the_least_mean_is_above_the_mean_no_more_often_than_promised(n):
    """By the binomial law itself: no samples are drawn."""
    delta, counts = 0.2, np.arange(n + 1)
    values = np.tile([0.0, 1.0], n + 1)
    probs = np.stack([1.0 - counts / n, counts / n], axis=1).ravel()
    lower = least_means(2 * counts, values, np.maximum(probs, 0.0), np.full(n + 1, likelihood_radius(n, delta))).means
    missed = [float(stats.binom.pmf(counts, n, p)[lower > p].sum()) for p in np.linspace(0.01, 0.99, 99)]
    assert 0.0 < max(missed) <= delta


# -- pessimism --------------------------------------------------------------------------------------------------------


def test_bounds_are_the_fixed_points_they_are_said_to_be():
    source, n, level = GenerativeModel(made(1)), 40, 0.9
    emp = source.sample(n, rng=0)
    ctl, (low, high), pairs = optimize(emp, Mean(), pessimism=level, tol=1e-9), emp.return_range, 6
    width, half = high - low, 0.5 * (1.0 - level)
    radii = [(math.log(k / half) + 0.5 * math.log(math.pi * (n + 0.5))) / n for k in (pairs * n, pairs)]
    table, best = emp.outcomes, {}
    for x in range(3):
        for a in range(2):
            rows = table.sources == 2 * x + a
            laws = [table.reward_laws[k] if k >= 0 else None for k in table.laws[rows]]
            assert all(law is None for law in laws)
            onward = np.where(table.terminals[rows], 0.0, emp.discount)
            for side, values in ((0, ctl.lower), (1, ctl.upper)):
                returns = table.rewards[rows] + onward * values[table.next_states[rows]]
                distances = (returns - low if side == 0 else high - returns) / width
                least = search.brentq(
                    lambda m, y=distances, p=table.probs[rows], c=radii[side]: growth(y, p, m) - c, 1e-6, 1.0
                )
                reached = low + width * (least - 0.5 * emp.discount / n) if side == 0 else high - width * least
                best[side, x] = max(best.get((side, x), -np.inf), reached, low)
    assert np.allclose([best[0, x] for x in range(3)], ctl.lower, atol=1e-5)
    assert np.allclose([best[1, x] for x in range(3)], ctl.upper, atol=1e-5)
    assert ctl.converged and ctl.unsolved < 1e-9 < ctl.gap.min()


def test_bounds_hold_for_the_true_process_as_often_as_promised():
    mdp, level, runs = made(2), 0.8, 40
    source, true = GenerativeModel(mdp), optimize(mdp, Mean())
    held, flattered = 0, 0
    for seed in range(runs):
        emp = source.sample(12, rng=seed)
        ctl = optimize(emp, Mean(), pessimism=level)
        values = evaluate(mdp, Moments(1), policy=ctl.policy).values
        held += (ctl.lower <= values).all() and (true.values <= ctl.upper).all()
        flattered += (ctl.values > values).any()
        assert (ctl.lower <= ctl.values).all() and (ctl.values <= ctl.upper).all()
    assert stats.binom.cdf(held, runs, level) > 1e-4
    assert stats.binom.cdf(runs - flattered, runs, level) < 1e-4  # what is best on the samples is no such bound


def test_more_samples_bring_the_bounds_together():
    source, gaps = GenerativeModel(made(3)), []
    for n in (100, 10_000, 1_000_000):
        ctl = optimize(source.sample(n, rng=n), Mean(), pessimism=0.95)
        gaps.append(float(ctl.gap.max()))
    low, high = source.return_range
    assert gaps[0] < 0.9 * (high - low) and gaps[1] < 0.2 * gaps[0] and gaps[2] < 0.2 * gaps[1]


def test_what_few_samples_praise_is_not_taken():
    log = [(0, 0, 1.0, 0, True)] * 3 + [(0, 1, 1.0, 0, True)] * 800 + [(0, 1, 0.0, 0, True)] * 200
    emp = EmpiricalMDP(log, discount=0.9, reward_range=(0.0, 1.0))
    assert optimize(emp, Mean()).policy.tolist() == [0]
    ctl = optimize(emp, Mean(), pessimism=0.95)
    assert ctl.policy.tolist() == [1] and 0.7 < ctl.lower[0] < 0.8 < ctl.upper[0]


def test_pairs_that_nobody_tried_are_the_worst_and_the_best():
    log = [(0, 0, 0.5, 1, False)] * 50 + [(1, 0, 0.0, 1, True)] * 50
    emp = EmpiricalMDP(log, discount=0.5, actions=2, reward_range=(-1.0, 1.0), unvisited="unknown")
    ctl = optimize(emp, Mean(), pessimism=0.95)
    assert ctl.policy.tolist() == [0, 0] and np.allclose(ctl.upper, 2.0)
    known = MDP.from_outcomes([(x, a, 1.0, x, 0.25, True) for x in (0, 1) for a in (0, 1)], 0.5)
    sure = optimize(
        EmpiricalMDP(log, 0.5, actions=2, reward_range=(-1.0, 1.0), unvisited=known), Mean(), pessimism=0.95
    )
    assert sure.lower[1] == pytest.approx(0.25, abs=1e-6) and sure.policy[1] == 1
    wild = MDP.from_outcomes([(x, a, 1.0, x, 9.0, True) for x in (0, 1) for a in (0, 1)], 0.5)
    with pytest.raises(ValueError, match=r"state 0, action 1 has reward 9.*reward_range"):
        optimize(EmpiricalMDP(log, 0.5, actions=2, reward_range=(-1.0, 1.0), unvisited=wild), Mean(), pessimism=0.95)


def test_what_pessimism_refuses(tmp_path):
    emp = GenerativeModel(made(4)).sample(9, rng=0)
    unknown = EmpiricalMDP([(0, 0, 1.0, 0, True)], 0.9)
    with pytest.raises(ValueError, match="interval that is known to hold every reward"):
        optimize(unknown, Mean(), pessimism=0.9)
    with pytest.raises(ValueError, match="discount below 1"):
        optimize(EmpiricalMDP([(0, 0, 1.0, 0, True)], 1.0, reward_range=(0, 1)), Mean(), pessimism=0.9)
    with pytest.raises(ValueError, match=r"in \[0.5, 1\), such as 0.95; got 0.05"):
        optimize(emp, Mean(), pessimism=0.05)
    with pytest.raises(ValueError, match=r"and MeanVariance.* may: no bound.*confirmed"):
        optimize(emp, distrl.MeanVariance(0.5), pessimism=0.9)
    with pytest.raises(ValueError, match="takes no horizon"):
        optimize(emp, Mean(), PessimisticIteration(0.9), horizon=3)
    with pytest.raises(ValueError, match="leave one of them out"):
        optimize(emp, Mean(), distrl.PolicyIteration(), pessimism=0.9)
    for objective in (Mean(), CVaR(0.5)):
        with pytest.raises(TypeError, match="no EmpiricalMDP"):
            optimize(made(4), objective, pessimism=0.9)
        with pytest.raises(ValueError, match="interval that is known to hold every reward"):
            optimize(unknown, objective, pessimism=0.9)
    ctl = optimize(emp, Mean(), pessimism=0.9)
    assert ctl.method == PessimisticIteration(0.9)
    ctl.save(tmp_path / "cautious.npz")
    again = distrl.load(tmp_path / "cautious.npz")
    assert np.array_equal(again.lower, ctl.lower) and again.unsolved == ctl.unsolved


def test_every_sentence_says_what_it_is_about():
    emp = GenerativeModel(made(4)).sample(9, rng=0)
    plain = optimize(emp, Mean()).summary()
    assert "values and bounds are about the samples' own law" in plain
    assert "certified, but to the samples' own law" in plain and "confirmed(fresh)" in plain
    cautious = optimize(emp, Mean(), pessimism=0.9).summary()
    assert "certified" not in cautious and "0.9 confidence" in cautious and "what the samples leave open" in cautious
    assert "samples" not in optimize(made(4), Mean()).summary()


def test_bounds_of_an_interrupted_search_are_wider_and_hold():
    emp = GenerativeModel(made(4)).sample(300, rng=0)
    whole = optimize(emp, Mean(), pessimism=0.9, tol=1e-9)

    def stop(share, done, bound):
        raise KeyboardInterrupt

    ctl = optimize(emp, Mean(), pessimism=0.9, progress=stop, throw=False)
    assert ctl.status is distrl.Status.INTERRUPTED
    assert (ctl.lower <= whole.lower + 1e-9).all() and (whole.upper <= ctl.upper + 1e-9).all()


# -- pessimism for risk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "outcomes"), [(6, 2), (40, 3), (40, 500), (300, 20)])
def test_few_outcomes_of_many_are_less_probable_than_their_bounds(n, outcomes):
    """By the binomial law: how many outcomes have a bound above their probability, on average over all samples."""
    delta, k = 0.3, np.arange(n + 1)
    floors = least_probability(k, n, delta)
    missed = 0.0
    for p in np.unique([1.0 / outcomes, 0.5 / n, 2.0 / n, 0.9]):
        missed = max(missed, min(outcomes, int(1.0 / p)) * float(stats.binom.pmf(k, n, p)[floors > p].sum()))
    assert missed <= delta and (np.diff(floors) >= 0.0).all() and (floors <= k / n).all()
    assert floors[-1] == pytest.approx((0.5 * delta / n) ** (1.0 / n), rel=1e-8)
    assert not floors[: int(np.argmax([math.factorial(j) >= 2.0 * n / delta for j in range(60)]))].any()


def law_of(mdp, policy, steps, state, memory, scale=1.0):
    """The law {return: probability} of a policy that is played for so many steps."""
    table, law = mdp.outcomes, {}
    if steps == 0:
        return {0.0: 1.0}
    pair = int(mdp.choices.sources(np.array([state]), np.array([policy.act(state, memory)]))[0])
    for row in range(table.indptr[pair], table.indptr[pair + 1]):
        reward, y = float(table.rewards[row]), int(table.next_states[row])
        later = {0.0: 1.0}
        if not table.terminals[row]:
            later = law_of(mdp, policy, steps - 1, y, policy.observe(state, memory, reward, y))
        for z, q in later.items():
            key = reward + mdp.discount * z
            law[key] = law.get(key, 0.0) + float(table.probs[row]) * q
    return law


def value_of(law, objective):
    z, p = (np.array(part) for part in zip(*sorted(law.items()), strict=True))
    if isinstance(objective, EntropicRisk):
        return math.log(p @ np.exp(objective.beta * z)) / objective.beta
    if isinstance(objective, Shortfall):
        return float(p @ np.maximum(objective.target - z, 0.0))
    if isinstance(objective, distrl.ProbabilityAbove):
        return float(p[z >= objective.target - 1e-9].sum())
    level = getattr(objective, "level", 1.0)
    return float(np.minimum(p, np.maximum(level - (np.cumsum(p) - p), 0.0)) @ z) / level


def alike(actions=8):
    """Actions that are all alike, twice in a row: the samples praise one of them without a reason."""
    rows = [(x, a, 0.5, 1, float(r), x == 1) for x in (0, 1) for a in range(actions) for r in (0, 1)]
    return MDP.from_outcomes(rows, 0.5, states=2)


def coverage(objectives, runs, n):
    """How often bounds of all objectives hold together, and how often those without pessimism do."""
    mdp, level, held, flattered = alike(), 0.8, 0, 0
    source = GenerativeModel(mdp)
    best = [optimize(mdp, objective, horizon=2) for objective in objectives]
    for seed in range(runs):
        emp, good, sure = source.sample(n, rng=seed), True, True
        for objective, top in zip(objectives, best, strict=True):
            ctl, plain = (optimize(emp, objective, horizon=2, pessimism=each) for each in (level, None))
            for x in range(2):
                truth = value_of(law_of(mdp, ctl.policy, 2, x, ctl.policy.start(x)), objective)
                good &= ctl.lower[x] - 1e-9 <= truth <= ctl.upper[x] + 1e-9
                good &= ctl.lower[x] <= top.upper[x] + 1e-9 and top.lower[x] - 1e-9 <= ctl.upper[x]
                own = value_of(law_of(mdp, plain.policy, 2, x, plain.policy.start(x)), objective)
                sure &= plain.lower[x] - 1e-9 <= own <= plain.upper[x] + 1e-9
        held, flattered = held + bool(good), flattered + (not sure)
    assert stats.binom.cdf(held, runs, level) > 1e-4
    assert stats.binom.cdf(runs - flattered, runs, level) < 1e-4  # bounds about the samples' own law are not about this


def test_bounds_on_risk_hold_for_the_true_process_as_often_as_promised():
    coverage([CVaR(0.3), Shortfall(1.0)], 20, 100)


@pytest.mark.nightly
@pytest.mark.parametrize("n", [30, 300, 3000])
def test_bounds_on_every_risk_hold_together_as_often_as_promised(n):
    risks = [CVaR(0.3), CVaR(0.7), Shortfall(0.75), EntropicRisk(-2.0), EntropicRisk(1.0), Mean()]
    coverage([*risks, distrl.MeanCVaR(1.0, 0.4), distrl.ProbabilityAbove(1.0)], 60, n)


def test_the_pessimistic_process_is_what_it_is_said_to_be():
    """One state and two actions, by hand: what the bounds of the frequencies lack ends with the worst return."""
    log = [(0, 0, 1.0, 0, True)] * 900 + [(0, 0, 0.0, 0, True)] * 100 + [(0, 1, 1.0, 0, True)] * 4
    emp = EmpiricalMDP(log, discount=0.5, reward_range=(-1.0, 2.0))
    ones, zeros = least_probability([900, 100], 1000, 0.1 / 2)
    law = {1.0: ones, 0.0: zeros, -2.0: 1.0 - ones - zeros}
    for objective in (CVaR(0.5), CVaR(0.2), EntropicRisk(-1.0), distrl.NestedCVaR(0.5), distrl.ProbabilityAbove(0.5)):
        ctl = optimize(emp, objective, pessimism=0.9, tol=1e-6)
        plain = CVaR(0.5) if isinstance(objective, distrl.NestedCVaR) else objective
        assert ctl.lower[0] == pytest.approx(value_of(law, plain), abs=1e-6)
        assert ctl.policy.first_actions(1).tolist() == [0] and ctl.converged and ctl.unsolved < 1e-6
    best = optimize(emp, Shortfall(0.5), pessimism=0.9, tol=1e-6)  # small is good
    assert best.upper[0] == pytest.approx(value_of(law, Shortfall(0.5)), abs=1e-6) and best.lower[0] <= 1e-6
    assert optimize(emp, Mean(), horizon=1, pessimism=0.9).lower[0] == pytest.approx(value_of(law, Mean()), abs=1e-6)


def test_one_solve_has_all_levels_with_one_confidence(tmp_path):
    emp = GenerativeModel(alike(2)).sample(500, rng=0)
    emp = EmpiricalMDP(emp.samples, 0.5, reward_range=(0.0, 1.0), initial=[0.5, 0.5])
    ctl = optimize(emp, CVaR(0.3), horizon=2, pessimism=0.9)
    ctl.save(tmp_path / "cautious.npz")
    for one in (ctl, distrl.load(tmp_path / "cautious.npz")):
        for level in (0.3, 0.6):
            own = optimize(emp, CVaR(level), horizon=2, pessimism=0.9)
            found = one.at(level)
            np.testing.assert_allclose([found.lower, found.upper], [own.lower, own.upper], atol=1e-9)
        band = one.frontier([0.3, 0.6])
        np.testing.assert_allclose(band.upper[:, 1], own.upper, atol=1e-9)
        assert one.start.lower <= one.start.upper and one.start.target is not None
    said = ctl.summary()
    assert "worst process that the samples leave open" in said and "0.9 confidence" in said and "certified" not in said


def test_known_outcomes_stay_what_they_are_and_unknown_ones_are_the_worst():
    log = [(0, 0, 0.5, 1, False)] * 50 + [(1, 0, 0.0, 1, True)] * 50
    known = MDP.from_outcomes([(x, a, 1.0, x, 0.25, True) for x in (0, 1) for a in (0, 1)], 0.5)
    given = {"discount": 0.5, "actions": 2, "reward_range": (-1.0, 1.0)}
    sure = optimize(EmpiricalMDP(log, **given, unvisited=known), CVaR(0.5), pessimism=0.95)
    assert sure.lower[1] == pytest.approx(0.25, abs=1e-6) and sure.policy.first_actions(2)[1] == 1
    open_ones = optimize(EmpiricalMDP(log, **given, unvisited="unknown"), CVaR(0.5), pessimism=0.95)
    assert open_ones.policy.first_actions(2).tolist() == [0, 0] and np.allclose(open_ones.upper, 2.0)
    wild = MDP.from_outcomes([(x, a, 1.0, x, 9.0, True) for x in (0, 1) for a in (0, 1)], 0.5)
    with pytest.raises(ValueError, match=r"state 0, action 1 has reward 9.*reward_range"):
        optimize(EmpiricalMDP(log, **given, unvisited=wild), CVaR(0.5), pessimism=0.95)


# -- fresh samples ----------------------------------------------------------------------------------------------------


def test_the_samples_that_chose_a_policy_flatter_it_and_fresh_ones_do_not():
    """Sixty actions, all worth 1/2: the best of sixty frequencies is well above, and its own interval is, too."""
    mdp = MDP.from_outcomes([(0, a, 0.5, 0, float(r), True) for a in range(60) for r in (0, 1)], 0.9)
    source, method, runs = GenerativeModel(mdp), distrl.CategoricalFixedPoint(atoms=2), 20
    values, same, fresh = [], 0, 0
    for seed in range(runs):
        rng = RNG(seed)
        emp = source.sample(60, rng)
        ctl = optimize(emp, Mean())
        values.append(ctl.values[0])
        low, high = distrl.estimate(emp, method, policy=ctl.policy).interval("mean")[0]
        same += low <= 0.5 <= high
        low, high = ctl.confirmed(source.sample(60, rng), evaluation=method).interval[0]
        fresh += low <= 0.5 <= high
    assert np.mean(values) - 0.5 > 10.0 * np.std(values) / math.sqrt(runs)
    assert stats.binom.cdf(fresh, runs, 0.94) > 1e-4  # normal intervals of 60 coin tosses
    assert stats.binom.cdf(same, runs, 0.94) < 1e-4


def test_fresh_samples_are_read_and_drawn():
    mdp = made(5)
    source = GenerativeModel(mdp)
    ctl = optimize(source.sample(50, rng=0), Mean())
    truth = evaluate(mdp, Moments(1), policy=ctl.policy).values
    method = distrl.CategoricalFixedPoint(atoms=31)
    read = ctl.confirmed(source.sample(400, rng=1), 0.9999, evaluation=method)
    drawn = ctl.confirmed(source, 0.9999, evaluation=method, samples=400, rng=2, states=[2, 0])
    assert ((read.interval[:, 0] <= truth) & (truth <= read.interval[:, 1])).all()
    assert drawn.interval.shape == (2, 2) and drawn.states.tolist() == [2, 0]
    assert ((drawn.interval[:, 0] <= truth[[2, 0]]) & (truth[[2, 0]] <= drawn.interval[:, 1])).all()
    assert "fresh samples" in read.summary() and "0.9999 confidence for the true process" in drawn.summary()


def test_policies_with_a_memory_are_played():
    mdp = made(6, discount=0.6)
    source = GenerativeModel(mdp)
    for horizon in (None, 3):
        ctl = optimize(source.sample(50, rng=0), EntropicRisk(-0.5), horizon=horizon)
        truth = ctl.policy.evaluated(mdp, distrl.CategoricalFixedPoint(atoms=201), horizon)
        ends = truth.interval(EntropicRisk(-0.5))[1]
        found = ctl.confirmed(source, 0.999, samples=2000, rng=1, states=1)
        assert found.interval[0, 0] <= ends[1] and ends[0] <= found.interval[0, 1]
        assert np.isfinite(found.interval).all() and "2000 episodes" in found.summary()
        with pytest.raises(ValueError, match="GenerativeModel"):
            ctl.confirmed(source.sample(50, rng=5))


def test_what_is_no_fresh_sample_is_refused():
    source = GenerativeModel(made(4))
    emp = source.sample(9, rng=0)
    ctl = optimize(emp, Mean())
    for same in (emp, source.sample(9, rng=0)):
        with pytest.raises(ValueError, match="on which the policy was chosen"):
            ctl.confirmed(same)
    with pytest.raises(TypeError, match="a model that is known needs no samples"):
        ctl.confirmed(made(4))
    with pytest.raises(ValueError, match="4 states"):
        ctl.confirmed(GenerativeModel(made(4, states=4)))
    with pytest.raises(ValueError, match=r"discount 0\.5"):
        ctl.confirmed(GenerativeModel(made(4, discount=0.5)))
    with pytest.raises(ValueError, match="level must lie in"):
        ctl.confirmed(source, 1.0)
    nested = optimize(emp, distrl.NestedCVaR(0.5))
    with pytest.raises(ValueError, match="nested CVaR"):
        nested.confirmed(source)


def test_the_band_of_a_horizon_counts_the_whole_range_of_random_rewards():
    """Reward 100 with probability 1/1000: small on average, and 50 episodes that saw none know little of the mean."""
    law = distrl.FiniteLaw([0.0, 100.0], [0.999, 0.001])
    mdp = MDP(np.ones((1, 1, 1)), [[law]], 0.5, axes="ass")
    played = optimize(mdp, Mean(), horizon=1).simulate(50, rng=0)
    assert played.certificate.residual[0] == pytest.approx(100.0 * distrl.theory.dkw_halfwidth(50, 0.95))


# -- what to sample next ----------------------------------------------------------------------------------------------


def arms(irrelevant=6):
    """A first choice among two arms that are close and one that is not; then states that no choice leads to."""
    rows = []
    for a, p in enumerate((0.5, 0.4, 0.05)):
        rows.append((0, a, 1.0, 1 + a, 0.0, False))
        for b in range(3):
            q = p / (1 + b)
            rows += [(1 + a, b, q, 0, 1.0, True), (1 + a, b, 1.0 - q, 0, 0.0, True)]
    for x in range(4, 4 + irrelevant):
        for b in range(3):
            rows += [(x, b, 0.5, x, 5.0, True), (x, b, 0.5, x, -5.0, True)]
    start = np.eye(4 + irrelevant)[0]
    return MDP.from_outcomes(rows, 0.9, initial=start)


def test_samples_go_to_what_is_open_and_not_to_what_no_choice_leads_to():
    emp = GenerativeModel(arms()).sample(60, rng=0)
    counts = optimize(emp, Mean()).next_samples(1000)
    assert counts.shape == emp.available.shape and counts.sum() == 1000 and counts.min() >= 0
    assert not counts[4:].any()
    assert counts[1:3].sum() > 900  # the third arm is clearly worse, the way to the arms is sure


def test_following_it_finds_the_best_action_more_often_than_sampling_everywhere_alike():
    source, runs, right = GenerativeModel(arms()), 40, {"next": 0, "even": 0}
    for seed in range(runs):
        rng = RNG(seed)
        emp = source.sample(10, rng)
        for _ in range(2):
            counts = optimize(emp, Mean()).next_samples(300)
            emp = source.sample(counts, rng, to=emp)
        right["next"] += optimize(emp, Mean()).policy[0] == 0
        even = source.sample(30, rng)  # 900 samples each
        assert even.samples.totals.sum() == emp.samples.totals.sum()
        right["even"] += optimize(even, Mean()).policy[0] == 0
    worse = stats.binom.cdf(right["even"], runs, right["next"] / runs)
    assert right["next"] > right["even"] and worse < 0.01


def test_pairs_that_nobody_tried_come_first_where_they_matter():
    rows = [(0, 0, 1.0, 0, 0.5, True)] * 9 + [(0, 1, 1.0, 1, 0.0, False)] * 9 + [(1, 0, 1.0, 1, 0.0, True)] * 9
    log = [(x, a, r, y, end) for x, a, _, y, r, end in rows]
    known = {"states": 3, "actions": 2, "unvisited": "unknown", "initial": [1.0, 0.0, 0.0]}
    ctl = optimize(EmpiricalMDP(log, 0.9, **known), Mean())
    assert ctl.next_samples(0).sum() == 0 and ctl.next_samples(1)[1, 1] == 1
    counts = ctl.next_samples(20)
    assert counts[1, 1] >= 2 and not counts[2].any() and counts.sum() == 20


def test_without_a_choice_samples_shrink_the_value_and_discount_1_has_them_too():
    rows = [
        (0, 0, 0.5, 1, 0.0, False),
        (0, 0, 0.5, 1, 1.0, False),
        (1, 0, 0.5, 1, 9.0, True),
        (1, 0, 0.5, 1, 0.0, True),
    ]
    emp = GenerativeModel(MDP.from_outcomes(rows, 1.0, initial=[1.0, 0.0])).sample(200, rng=0)
    counts = optimize(emp, Mean()).next_samples(4000)
    assert counts.sum() == 4000 and 4.0 < counts[1, 0] / counts[0, 0] < 14.0  # deviations of 1/2 and 9/2


def test_what_next_samples_refuses():
    with pytest.raises(TypeError, match="no EmpiricalMDP"):
        optimize(made(4), Mean()).next_samples(3)
    emp = GenerativeModel(made(4)).sample(9, rng=0)
    for ctl in (optimize(emp, Mean(), horizon=2), optimize(emp, EntropicRisk(-1.0))):
        with pytest.raises(ValueError, match="one action for each state"):
            ctl.next_samples(3)


def test_intervals_of_episodes_hold_and_are_by_the_spread_of_returns():
    """A rare loss: whoever saw none knows that there may be some, and how much it costs an averse one."""
    rows = [(0, 0, 0.99, 0, 1.0, True), (0, 0, 0.01, 0, -9.0, True)]
    mdp, runs, level = MDP.from_outcomes(rows, 1.0), 60, 0.8
    source = GenerativeModel(mdp)
    ctl = optimize(source.sample(50, rng=0), EntropicRisk(-0.5), horizon=1)
    truth = -2.0 * math.log(0.99 * math.exp(-0.5) + 0.01 * math.exp(4.5))
    held = 0
    for seed in range(runs):
        low, high = ctl.confirmed(source, level, samples=100, rng=seed).interval[0]
        held += low <= truth <= high
    assert stats.binom.cdf(held, runs, level) > 1e-4
    mean = optimize(source.sample(50, rng=0), Mean(), horizon=1).confirmed(source, 0.95, samples=4000, rng=3)
    assert mean.interval[0, 0] < 0.9 < mean.interval[0, 1] and np.ptp(mean.interval) < 0.25  # the band's is 0.42
