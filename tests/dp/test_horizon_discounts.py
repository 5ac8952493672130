"""Returns of H steps whose discounts differ by outcome: every path in fractions, and the layered process."""

from fractions import Fraction as F
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import distrl
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
    SketchDP,
    Status,
    evaluate,
)

#: state -> action -> (probability, next state, reward, discount); a discount of 0 ends the return
Table = list[list[list[tuple[F, int, F, F]]]]

UNEVEN: Table = [  # factors 1, where time stands still, 0, which ends, and others
    [
        [(F(1, 2), 1, F(1), F(1)), (F(1, 4), 2, F(0), F(1, 2)), (F(1, 4), 0, F(-1), F(0))],
        [(F(1), 2, F(3), F(3, 4))],
    ],
    [[(F(3, 4), 0, F(1), F(1, 4)), (F(1, 4), 1, F(1), F(1))], [(F(1), 1, F(-1), F(3, 4))]],
    [[(F(1, 8), 0, F(5), F(0)), (F(7, 8), 2, F(-1), F(7, 8))], [(F(1), 1, F(0), F(1, 2))]],
]
TWO_SPEEDS: Table = [  # each action has a discount of its own: a policy may make a process that has one number
    [[(F(1, 2), 0, F(1), F(1, 2)), (F(1, 2), 1, F(2), F(1, 2))], [(F(1), 1, F(-1), F(3, 4))]],
    [[(F(1), 0, F(0), F(1, 2))], [(F(1, 4), 1, F(1), F(3, 4)), (F(3, 4), 0, F(2), F(3, 4))]],
]
METHODS = [
    CategoricalFixedPoint(61),
    CategoricalDP(61),
    QuantileDP(16),
    ExpectileDP(5),
    ParticleDP(61),
    SketchDP(atoms=15),
    Brackets(61),
    Brackets(61, order="stochastic"),
    Moments(4),
    MonteCarlo(200, confidence=1 - 1e-9),
]
EVEN = F(1, 2), F(1, 2)


def model_of(table: Table) -> MDP:
    rows = [
        (x, a, float(p), y, float(r), False, float(g))
        for x, actions in enumerate(table)
        for a, outcomes in enumerate(actions)
        for p, y, r, g in outcomes
    ]
    return MDP.from_outcomes(rows, None)


class Truth(NamedTuple):
    """A law that was made in fractions, its values ascending, as floats."""

    values: np.ndarray
    probs: np.ndarray

    @classmethod
    def of(cls, law: dict[F, F]) -> "Truth":
        values = sorted(value for value, mass in law.items() if mass)
        return cls(np.array(list(map(float, values))), np.array([float(law[value]) for value in values]))

    def mean(self, values=None) -> float:
        return float(self.probs @ (self.values if values is None else values))

    def readings(self) -> list[tuple[str, float | None, float]]:
        """Functionals by name, what they are asked at, and their values by definition."""
        kept = np.minimum(self.probs, np.maximum(0.125 - (np.cumsum(self.probs) - self.probs), 0.0))
        return [
            ("mean", None, self.mean()),
            ("variance", None, self.mean((self.values - self.mean()) ** 2)),
            ("cvar", 0.125, float(kept @ self.values) / 0.125),
            ("cdf", 0.77, float(self.probs[self.values <= 0.77].sum())),
            ("stop_loss", 0.25, self.mean(np.maximum(self.values - 0.25, 0.0))),
        ]

    def w1(self, law) -> float:
        values, weights = (np.asarray(part, dtype=float) for part in law.support_weights())
        return wasserstein_distance(self.values, values, self.probs, weights)


def every_path(tables: list[Table], policies: list[list[tuple[F, ...]]]) -> list[Truth]:
    """The law of every state's return; `tables[t]` and `policies[t]`, action probabilities by state, are of step t."""
    laws: list[dict[F, F]] = [{F(0): F(1)} for _ in UNEVEN]
    for table, policy in zip(reversed(tables), reversed(policies), strict=True):
        longer = []
        for x, actions in enumerate(table):
            law: dict[F, F] = {}
            for share, outcomes in zip(policy[x], actions, strict=True):
                for p, y, r, g in outcomes:
                    for value, mass in laws[y].items():
                        law[r + g * value] = law.get(r + g * value, F(0)) + share * p * mass
            longer.append(law)
        laws = longer
    return [Truth.of(law) for law in laws]


def uniform(table: Table, steps: int) -> list[list[tuple[F, ...]]]:
    return [[EVEN] * len(table)] * steps


def check_against(sol, truth: list[Truth]) -> None:
    """The certificate and certified intervals hold the exact laws; room for rounding what is read from these."""
    states, readings = range(sol.model.n_states), [law.readings() for law in truth]
    if sol.certificate is not None and not hasattr(sol.returns, "lower"):
        assert all(truth[x].w1(sol.returns[x]) <= sol.certificate.w1[x] + 1e-13 for x in states)
    for k, (name, at, _) in enumerate(readings[0]):
        low, high = sol.interval(name, at).T
        exact = np.array([readings[x][k][2] for x in states])
        assert (low - 1e-11 <= exact).all() and (exact <= high + 1e-11).all(), (name, low, exact, high)


@pytest.mark.parametrize("table", [UNEVEN, TWO_SPEEDS], ids=["uneven", "two speeds"])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_laws_and_intervals_hold_every_path(method, table):
    model = model_of(table)
    for horizon in (0, 1, 4):
        sol = evaluate(model, method, policy="uniform", horizon=horizon, rng=5)
        check_against(sol, every_path([table] * horizon, uniform(table, horizon)))
        assert sol.horizon == horizon and (sol.converged or sol.status is Status.SWEEPS_DONE)


def test_means_variances_and_third_moments_are_known_to_rounding():
    sol = evaluate(model_of(UNEVEN), Moments(3), policy="uniform", horizon=5)
    for x, law in enumerate(every_path([UNEVEN] * 5, uniform(UNEVEN, 5))):
        for name, _, value in law.readings()[:2]:
            low, high = sol.interval(name)[x]
            assert low - 1e-13 <= value <= high + 1e-13 and high - low < 1e-11
        off = abs(sol.returns.central_moment(3)[x] - law.mean((law.values - law.mean()) ** 3))
        assert off <= sol.returns.central_moment_error(3)[x] + 1e-12 < 1e-10


def layered(table: Table, horizon: int) -> MRP:
    """State t * S + x is x in step t under the uniform policy; every outcome of the last step ends."""
    n, rows = len(table), []
    for t in range(horizon):
        last = t == horizon - 1
        for x, actions in enumerate(table):
            for outcomes in actions:
                for p, y, r, g in outcomes:
                    rows.append((t * n + x, p / 2, (t + 1) % horizon * n + y, r, last, 0 if last else g))
    return MRP.from_outcomes([(x, float(p), y, float(r), end, float(g)) for x, p, y, r, end, g in rows], None)


def test_the_layered_process_has_the_same_laws_and_certificates():
    horizon, n = 4, len(UNEVEN)
    model, whole = model_of(UNEVEN), layered(UNEVEN, horizon)
    grid = Grid(-9.03, 12.0, 40)  # no atom of it is 0
    here, there = (
        evaluate(one, CategoricalFixedPoint(grid=grid), **options)
        for one, options in ((model, {"policy": "uniform", "horizon": horizon}), (whole, {}))
    )
    np.testing.assert_allclose(here.returns.probs, there.returns.probs[:n], atol=1e-13)
    np.testing.assert_allclose(here.certificate.rounding, there.certificate.rounding[:n], rtol=0.2)
    assert (here.certificate.w1 <= there.certificate.w1[:n] + 1e-7).all()
    here = evaluate(model, QuantileDP(8), policy="uniform", horizon=horizon)
    there = evaluate(whole, QuantileDP(8))
    np.testing.assert_allclose(here.returns.values, there.returns.values[:n], atol=1e-9)
    np.testing.assert_allclose(here.certificate.w1, there.certificate.w1[:n], rtol=1e-6, atol=1e-8)


def test_actions_models_and_discounts_may_change_from_step_to_step():
    """A policy by step, under which a step may have one number as its discount, and a model that has one beside it."""
    one: Table = [[[(p, y, r + 1, F(1, 2)) for p, y, r, _ in rows] for rows in actions] for actions in TWO_SPEEDS]
    actions = [[0, 0], [1, 1], [0, 1], [1, 0]]
    tables = [TWO_SPEEDS, TWO_SPEEDS, one, TWO_SPEEDS]
    models = [
        MDP.from_outcomes([(*row[:6],) for row in rows_of(one)], 0.5) if t is one else model_of(t) for t in tables
    ]
    assert models[2].uniform_discount == 0.5
    pure = [[tuple(F(int(a == own)) for a in (0, 1)) for own in row] for row in actions]
    truth = every_path(tables, pure)
    for method in METHODS:
        check_against(evaluate(models, method, policy=actions, horizon=4, rng=1), truth)
    other = models[2].with_discount(0.25)
    with pytest.raises(ValueError, match=r"step 3 has the discount 0\.25, that of step 2 0\.5"):
        evaluate([*models[:3], other], METHODS[0], policy=actions, horizon=4)


def rows_of(table: Table) -> list[tuple]:
    return [
        (x, a, float(p), y, float(r), False)
        for x, actions in enumerate(table)
        for a, outcomes in enumerate(actions)
        for p, y, r, _ in outcomes
    ]


def test_the_first_action_is_followed_by_one_step_less():
    after = every_path([UNEVEN] * 2, uniform(UNEVEN, 2))
    for method in (CategoricalFixedPoint(81), QuantileDP(40)):
        sol = evaluate(model_of(UNEVEN), method, policy="uniform", horizon=3)
        for x, actions in enumerate(UNEVEN):
            for a, outcomes in enumerate(actions):
                law: dict[F, F] = {}
                for p, y, r, g in outcomes:
                    for value, mass in zip(after[y].values, after[y].probs, strict=True):
                        law[r + g * F(value)] = law.get(r + g * F(value), F(0)) + p * F(mass)
                apart = Truth.of(law).w1(sol.action_returns[x][a])
                assert apart <= sol.action_certificate.w1[2 * x + a] + 1e-13


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_what_is_reached_before_ctrl_c_is_bounded(method):
    truth = every_path([UNEVEN] * 4, uniform(UNEVEN, 4))
    for at in (1, 3):
        told = []

        def stop(*_, told=told, at=at):
            told.append(0)
            if len(told) == at:
                raise KeyboardInterrupt

        sol = evaluate(model_of(UNEVEN), method, policy="uniform", horizon=4, rng=0, throw=False, progress=stop)
        assert sol.status is Status.INTERRUPTED
        check_against(sol, truth)


def test_what_is_left_of_equal_steps_shrinks_with_the_factors_on_the_way():
    """Factors 1 and 1/4 in turn: after 20 of 40 steps 4^-10 of what may come is left, not 1 of it."""
    swing = MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0], [1.0, 0.25])
    sol = evaluate(swing, Moments(1), horizon=40, max_iterations=20, throw=False)
    low, high = sol.interval("mean").T
    np.testing.assert_allclose(sol.values, [0.0, -1.0], atol=3e-6)
    assert sol.bounds.max() <= 40 * 4.0**-10 * 1.001
    whole = evaluate(swing, Moments(1), horizon=40).values
    assert (np.abs(sol.values - whole) <= sol.bounds).all() and (low <= whole).all() and (whole <= high).all()


class Own:
    """A method that knows nothing of horizons."""

    def solve(self, model, call):
        return CategoricalFixedPoint(grid=Grid(-40.0, 40.0, 161)).solve(model, call)


def test_a_method_without_steps_is_handed_the_factors_of_all_of_them():
    for horizon in (0, 1, 3):
        sol = evaluate(model_of(UNEVEN), Own(), policy="uniform", horizon=horizon)
        check_against(sol, every_path([UNEVEN] * horizon, uniform(UNEVEN, horizon)))


def test_a_solution_is_saved_with_its_steps(tmp_path):
    sol = evaluate(model_of(UNEVEN), CategoricalFixedPoint(31), policy=[0, 1, 0], horizon=3)
    sol.save(tmp_path / "sol.npz")
    again = distrl.load(tmp_path / "sol.npz")
    np.testing.assert_array_equal(again.interval("cvar", 0.2), sol.interval("cvar", 0.2))
    np.testing.assert_array_equal(again.stages.process(0).discounts, sol.stages.process(0).discounts)


def test_a_number_given_as_an_array_moves_no_bit():
    rng = np.random.default_rng(0)
    p, r = rng.dirichlet(np.ones(3), 3), rng.normal(size=3)
    for method in METHODS:
        one, other = (evaluate(MRP(p, r, g), method, horizon=3, rng=0) for g in (0.75, np.full((3, 3), 0.75)))
        np.testing.assert_array_equal(one.values, other.values)
