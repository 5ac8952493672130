"""The best policy where outcomes have discounts of their own, against every policy that looks at histories."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import CVaR, Mean, MeanCVaR, MeanVariance, Quantile, Shortfall, optimize

F = Fraction
ROOM = 1e-9
FACTORS = (F(0), F(1, 2), F(1, 2), F(3, 4), F(1))


def random_table(rng, states, ahead, largest):
    """[state][action] -> (probability, next state, reward, discount), 0 at an end; `ahead` to later states alone."""
    table = []
    for x in range(states):
        actions = []
        for _ in range(int(rng.integers(1, 3))):
            outcomes = []
            for part in (rng.multinomial(6, [0.5, 0.5]) + 1).tolist():
                g = FACTORS[int(rng.integers(0, len(FACTORS) - (not largest)))]
                y = int(rng.integers(x + 1, states + 1)) if ahead else int(rng.integers(0, states))
                g = F(0) if y == states else g
                outcomes.append((F(part, 8), min(y, states - 1), F(int(rng.integers(-4, 5)), 2), g))
            actions.append(outcomes)
        table.append(actions)
    return table


def model_of(table, initial=None):
    rows = [
        (x, a, float(p), y, float(r), False, float(g))
        for x, actions in enumerate(table)
        for a, outcomes in enumerate(actions)
        for p, y, r, g in outcomes
    ]
    return distrl.MDP.from_outcomes(rows, None, absorbing="keep", initial=initial)


def all_laws(table, steps):
    """[state] -> laws of the return of `steps` steps, one for each policy that looks at histories."""
    known = [[{F(0): F(1)}] for _ in table]
    for _ in range(steps):
        fresh = []
        for actions in table:
            found = {}
            for outcomes in actions:
                seen = {}
                for p, y, r, g in outcomes:
                    seen[y, r, g] = seen.get((y, r, g), F(0)) + p
                parts = [
                    [{r: p}] if g == 0 else [{r + g * v: p * q for v, q in law.items()} for law in known[y]]
                    for (y, r, g), p in seen.items()
                ]
                for chosen in itertools.product(*parts):
                    law = {}
                    for part in chosen:
                        for value, mass in part.items():
                            law[value] = law.get(value, F(0)) + mass
                    found[tuple(sorted(law.items()))] = law
            fresh.append(list(found.values()))
        known = fresh
    return known


def cvar(law, level):
    left, total = F(level), F(0)
    for value, mass in sorted(law.items()):
        taken = min(mass, left)
        total, left = total + taken * value, left - taken
    return total / F(level)


def mean(law):
    return sum(p * v for v, p in law.items())


def put(law, target):
    return sum(p * max(F(target) - v, F(0)) for v, p in law.items())


def played(table, policy, x, memory, steps):
    """The law of a policy that is run by hand, with what it is shown."""
    if steps == 0:
        return {F(0): F(1)}
    law = {}
    for p, y, r, g in table[x][policy.act(x, memory)]:
        onward = {F(0): F(1)}
        if g > 0:
            seen = (float(r), y, float(g)) if isinstance(policy, distrl.control.TargetPolicy) else (float(r), y)
            onward = played(table, policy, y, policy.observe(x, memory, *seen), steps - 1)
        for value, mass in onward.items():
            law[r + g * value] = law.get(r + g * value, F(0)) + p * mass
    return law


CASES = [
    (CVaR(0.25), lambda law: cvar(law, F(1, 4))),
    (CVaR(0.75), lambda law: cvar(law, F(3, 4))),
    (MeanCVaR(0.5, 0.25), lambda law: mean(law) / 4 + cvar(law, F(1, 2)) * 3 / 4),
    (Shortfall(0.75), lambda law: -put(law, 0.75)),
    (Mean(), mean),
]


@pytest.mark.parametrize("horizon", [None, 3])
def test_no_policy_of_histories_is_better(horizon):
    rng = np.random.default_rng(3)
    for _ in range(5):
        table = random_table(rng, 3, ahead=horizon is None, largest=horizon is not None)
        mdp, found = model_of(table), all_laws(table, 3)
        for objective, value in CASES:
            ctl = optimize(mdp, objective, horizon=horizon)
            sign = -1.0 if objective.minimised else 1.0
            for x in range(3):
                best = sign * float(max(value(law) for law in found[x]))
                assert ctl.lower[x] - ROOM <= best <= ctl.upper[x] + ROOM
                own = sign * float(value(played(table, ctl.policy, x, ctl.policy.start(x), 3)))
                assert own <= ctl.upper[x] + ROOM and own >= ctl.lower[x] - ROOM
            assert ctl.converged and ctl.gap.max() <= ctl.tol


@pytest.mark.parametrize("objective", [CVaR(0.25), MeanCVaR(0.5, 0.25)])
def test_a_step_of_several_hours_is_as_many_steps(objective):
    """An option that lasts two hours, with the square of the discount, and the same hour by hour."""
    g = 0.75
    long = [(0, 0, 0.5, 0, 1.0 + g, False, g * g), (0, 0, 0.5, 1, 0.0, False, g), (0, 1, 1.0, 0, 0.5, False, g)]
    long += [(1, 0, 0.5, 0, -1.0, False, g), (1, 0, 0.5, 1, 2.0, False, g), (1, 1, 1.0, 0, 0.0, False, g)]
    hours = [(0, 0, 0.5, 2, 1.0, False), (0, 0, 0.5, 1, 0.0, False), (0, 1, 1.0, 0, 0.5, False)]
    hours += [(1, 0, 0.5, 0, -1.0, False), (1, 0, 0.5, 1, 2.0, False), (1, 1, 1.0, 0, 0.0, False)]
    hours += [(2, 0, 1.0, 0, 1.0, False)]
    one = optimize(distrl.MDP.from_outcomes(long, None), objective, tol=2e-3)
    other = optimize(distrl.MDP.from_outcomes(hours, g), objective, tol=2e-3)
    assert (one.lower <= other.upper[:2]).all() and (other.lower[:2] <= one.upper).all()


def test_the_law_and_the_draws_are_those_of_the_policy():
    table = random_table(np.random.default_rng(8), 4, ahead=True, largest=False)
    ctl = optimize(model_of(table), CVaR(0.25))
    own = played(table, ctl.policy, 0, ctl.policy.start(0), 4)
    exact = float(cvar(own, F(1, 4)))
    assert abs(ctl.returns.cvar(0.25)[0] - exact) <= 4.0 * ctl.certificate.w1[0] + ROOM
    assert abs(ctl.returns.mean()[0] - float(mean(own))) <= ctl.certificate.w1[0] + ROOM
    drawn = ctl.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9)
    low, high = drawn.interval("cvar", 0.25)[0]
    assert low <= exact <= high
    points = np.array(sorted(float(v) for v in own)) + 1e-9
    below = np.array([float(sum(p for v, p in own.items() if v <= point)) for point in map(F, points)])
    band = drawn.band(points)[0]
    assert (band[:, 0] <= below).all() and (below <= band[:, 1]).all()


def test_the_mean_is_within_its_bounds_for_endless_returns():
    rng = np.random.default_rng(4)
    for _ in range(5):
        table = random_table(rng, 4, ahead=False, largest=False)
        mdp = model_of(table)
        ctl = optimize(mdp, Mean())
        values = np.zeros(4)
        for _ in range(300):  # largest discount 3/4
            values = np.array(
                [max(sum(float(p) * (float(r) + float(g) * values[y]) for p, y, r, g in o) for o in a) for a in table]
            )
        assert (ctl.lower - 1e-12 <= values).all() and (values <= ctl.upper + 1e-12).all()
        assert ctl.gap.max() < 1e-11


def test_what_cannot_be_treated_is_refused_by_name():
    rows = [("wait", "stay", 0.5, "wait", 0.0, False, 1.0), ("wait", "stay", 0.5, "wait", 1.0, False, 0.5)]
    mdp = distrl.MDP.from_outcomes(rows, None)
    for objective in (Mean(), CVaR(0.5)):
        with pytest.raises(ValueError, match="state 'wait', action 'stay' has an outcome with discount 1"):
            optimize(mdp, objective)
        assert optimize(mdp, objective, horizon=2).converged
    other = model_of(random_table(np.random.default_rng(4), 3, ahead=False, largest=False))
    for objective in (MeanVariance(0.5), Quantile(0.5)):
        with pytest.raises(ValueError, match="takes one discount for all outcomes"):
            optimize(other, objective)
    for objective in (distrl.EntropicRisk(-1.0), distrl.NestedCVaR(0.5)):
        with pytest.raises(ValueError, match="discount differs by outcome"):
            optimize(other, objective)
    policy = optimize(other, CVaR(0.5)).policy
    with pytest.raises(ValueError, match="give that of the outcome"):
        policy.observe(0, policy.start(0), 1.0, 1)
    with pytest.raises(ValueError, match="discount must"):
        policy.observe(0, policy.start(0), 1.0, 1, 1.5)
