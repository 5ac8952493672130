"""Returns of finitely many steps: against every path in fractions, and against the layered process built here."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import (
    CDF,
    MDP,
    MRP,
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    CVaR,
    EntropicRisk,
    Expectile,
    ExpectileDP,
    FiniteLaw,
    Grid,
    Mean,
    Moments,
    MonteCarlo,
    ParticleDP,
    ParticleReturns,
    Quantile,
    QuantileDP,
    SketchDP,
    Status,
    Std,
    StopLoss,
    Variance,
    evaluate,
)

F = Fraction
#: state -> action -> (probability, next state, reward, terminal)
Table = dict[int, dict[int, list[tuple[Fraction, int, Fraction, bool]]]]

CYCLE: Table = {0: {0: [(F(1), 1, F(1), False)]}, 1: {0: [(F(1), 0, F(-2), False)]}}
UNEVEN: Table = {
    0: {
        0: [(F(1, 2), 1, F(1), False), (F(1, 4), 2, F(0), False), (F(1, 4), 0, F(-1), True)],
        1: [(F(1), 2, F(3), False)],
    },
    1: {1: [(F(3, 4), 0, F(1), False), (F(1, 4), 1, F(1), False)]},
    2: {0: [(F(1, 8), 0, F(5), True), (F(7, 8), 2, F(-1), False)], 1: [(F(1), 1, F(0), False)]},
}
LAWFUL: Table = {  # rewards 0 or 2 with equal chances from state 0: told to the library as a law
    0: {0: [(F(1, 4), 1, F(0), False), (F(1, 4), 1, F(2), False), (F(1, 2), 0, F(1), False)]},
    1: {0: [(F(1, 2), 0, F(-1), False), (F(1, 2), 1, F(1, 2), True)]},
}
MODELS = {"cycle": CYCLE, "uneven": UNEVEN, "lawful": LAWFUL}
DISCOUNTS = [F(0), F(9, 10), F(1)]
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
    MonteCarlo(200),
]
names = {id(method): repr(method).split("(")[0] + ("2" if "stochastic" in repr(method) else "") for method in METHODS}
FUNCTIONALS = [
    Mean(),
    Std(),
    Variance(),
    CVaR(0.1),
    CVaR(0.3, tail="upper"),
    Quantile(0.37),
    CDF(0.77),
    StopLoss(0.3),
    Expectile(0.2),
    EntropicRisk(-0.7),
]


def model_of(table: Table, discount: Fraction) -> MDP:
    rows = []
    for x, choices in table.items():
        for a, outcomes in choices.items():
            if table is LAWFUL and x == 0:
                rows.append((x, a, 0.5, 1, FiniteLaw([0.0, 2.0], [0.5, 0.5]), False))
                outcomes = outcomes[2:]
            rows += [(x, a, float(p), y, float(r), end) for p, y, r, end in outcomes]
    return MDP.from_outcomes(rows, float(discount), absorbing="keep")


def uniform(table: Table) -> dict[int, dict[int, Fraction]]:
    return {x: {a: F(1, len(choices)) for a in choices} for x, choices in table.items()}


def every_path(tables: list[Table], policies: list[dict], discount: Fraction) -> list[dict[Fraction, Fraction]]:
    """The law of every state's return, `tables[t]` and `policies[t]` of step t."""
    laws: list[dict[Fraction, Fraction]] = [{F(0): F(1)} for _ in tables[0]] if tables else []
    for table, policy in zip(reversed(tables), reversed(policies), strict=True):
        before = []
        for x, choices in table.items():
            law: dict[Fraction, Fraction] = {}
            for a, share in policy[x].items():
                for p, y, r, end in choices[a]:
                    for value, mass in ({F(0): F(1)} if end else laws[y]).items():
                        total = r + discount * value
                        law[total] = law.get(total, F(0)) + share * p * mass
            before.append(law)
        laws = before
    return laws


def as_returns(laws: list[dict[Fraction, Fraction]]) -> ParticleReturns:
    longest = max(map(len, laws))
    values, weights = np.zeros((len(laws), longest)), np.zeros((len(laws), longest))
    for x, law in enumerate(laws):
        values[x, : len(law)], weights[x, : len(law)] = list(map(float, law)), list(map(float, law.values()))
    return ParticleReturns(values, weights)


def check_against(sol, truth: ParticleReturns) -> None:
    """The certificate, and every certified interval, holds the truth; room for the truth's own rounding."""
    if sol.certificate is not None and not hasattr(sol.returns, "lower"):
        assert (distrl.wasserstein(sol.returns, truth) <= sol.certificate.w1 + 1e-13).all()
    for functional in FUNCTIONALS:
        ends, value = sol.interval(functional), functional.value(truth)
        room = 1e-9 if isinstance(functional, CDF | Quantile) else 1e-12
        assert (ends[:, 0] - room <= value).all(), (functional, ends, value)
        assert (value <= ends[:, 1] + room).all(), (functional, ends, value)


def layered(table: Table, model: MDP, horizon: int) -> MRP:
    """State t * S + x is x in step t under the uniform policy; every outcome of the last step ends."""
    n, rows = len(table), []
    for t in range(horizon):
        for x, choices in table.items():
            for outcomes in choices.values():
                share = 1.0 / len(choices)
                if table is LAWFUL and x == 0:
                    law = FiniteLaw([0.0, 2.0], [0.5, 0.5])
                    rows.append((t * n + x, share * 0.5, (t + 1) % horizon * n + 1, law, t == horizon - 1))
                    outcomes = outcomes[2:]
                for p, y, r, end in outcomes:
                    last = end or t == horizon - 1
                    rows.append((t * n + x, share * float(p), (t + 1) % horizon * n + y, float(r), last))
    return MRP.from_outcomes(rows, model.discount, states=n * horizon)


@pytest.mark.parametrize("discount", DISCOUNTS, ids=str)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: names[id(m)])
def test_laws_and_intervals_hold_every_path(method, name, discount):
    table = MODELS[name]
    for horizon in (0, 1, 4):
        sol = evaluate(model_of(table, discount), method, policy="uniform", horizon=horizon, rng=5)
        assert sol.horizon == horizon
        truth = as_returns(
            every_path([table] * horizon, [uniform(table)] * horizon, discount) or [{F(0): F(1)}] * len(table)
        )
        check_against(sol, truth)
        assert sol.converged or sol.status is Status.SWEEPS_DONE
        assert f"a horizon of {horizon}" in sol.summary()


@pytest.mark.parametrize("discount", DISCOUNTS, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_the_layered_process_has_the_same_laws(name, discount):
    table, horizon = MODELS[name], 5
    model = model_of(table, discount)
    whole, n = layered(table, model, horizon), len(table)
    for grid in (None, Grid(-11.03, 21.0, 40)):  # no atom of the second is 0
        sol = evaluate(
            model,
            CategoricalFixedPoint(61, grid) if grid is None else CategoricalFixedPoint(grid=grid),
            policy="uniform",
            horizon=horizon,
        )
        plain = evaluate(whole, CategoricalFixedPoint(grid=sol.returns.grid))
        np.testing.assert_allclose(sol.returns.probs, plain.returns.probs[:n], atol=1e-13)
        exact = 1e-7 * sol.returns.grid.spacing  # what outcomes that meet atoms up to rounding are counted with there
        assert (sol.certificate.w1 <= plain.certificate.w1[:n] + exact).all()
    sol = evaluate(model, QuantileDP(8), policy="uniform", horizon=horizon)
    plain = evaluate(whole, QuantileDP(8))
    np.testing.assert_allclose(sol.returns.values, plain.returns.values[:n], atol=1e-9)
    np.testing.assert_allclose(sol.certificate.w1, plain.certificate.w1[:n], rtol=1e-6, atol=1e-8)
    sol = evaluate(model, ExpectileDP(5), policy="uniform", horizon=horizon)
    plain = evaluate(whole, ExpectileDP(5))
    assert distrl.wasserstein(sol.returns, plain.returns[np.arange(n)]).max() < 1e-8
    sol = evaluate(model, ParticleDP(31), policy="uniform", horizon=horizon)
    cells = Grid(-11.03, 21.0, 40)
    sol = evaluate(model, ParticleDP(grid=cells), policy="uniform", horizon=horizon)
    plain = evaluate(whole, ParticleDP(grid=cells, sweeps=horizon + 1))
    assert distrl.wasserstein(sol.returns, plain.returns[np.arange(n)]).max() < 1e-12
    sketch = SketchDP(grid=Grid(-11.03, 21.0, 15), atoms=15)
    sol, plain = evaluate(model, sketch, policy="uniform", horizon=horizon), evaluate(whole, sketch, throw=False)
    np.testing.assert_allclose(sol.returns.embeddings, plain.returns.embeddings[:n], atol=1e-7)
    sol, plain = evaluate(model, Moments(4), policy="uniform", horizon=horizon), evaluate(whole, Moments(4))
    for k in range(2, 5):
        off = np.abs(sol.returns.central_moment(k) - plain.returns.central_moment(k)[:n])
        assert (off <= sol.returns.central_moment_error(k) + plain.returns.central_moment_error(k)[:n]).all()
    np.testing.assert_allclose(sol.values, plain.values[:n], atol=1e-13)
    wide = Grid(-60.03, 60.0, 1500)  # nothing can leave it below discount 1, as the layered process is asked
    for method in (Brackets(grid=wide), Brackets(grid=wide, order="stochastic"))[: 1 if discount == 1 else 2]:
        sol, plain = evaluate(model, method, policy="uniform", horizon=horizon), evaluate(whole, method)
        for law in ("lower", "upper"):
            mine, other = getattr(sol.returns, law), getattr(plain.returns, law)[np.arange(n)]
            apart = 0.3 if isinstance(mine, ParticleReturns) else 1e-11  # cells of .08 lie elsewhere
            assert distrl.wasserstein(mine, other).max() <= apart


def test_policies_and_rewards_by_step():
    rng = np.random.default_rng(3)
    steps, discount = 4, F(9, 10)
    tables = []
    for _ in range(steps):  # rewards change from step to step
        table = {
            x: {a: [(p, y, r + rng.integers(-2, 3), e) for p, y, r, e in o] for a, o in c.items()}
            for x, c in UNEVEN.items()
        }
        tables.append(
            {x: {a: [(p, y, F(int(r)), e) for p, y, r, e in o] for a, o in c.items()} for x, c in table.items()}
        )
    allowed = [sorted(UNEVEN[x]) for x in UNEVEN]
    actions = np.array([[rng.choice(there) for there in allowed] for _ in range(steps)])
    models = [model_of(table, discount) for table in tables]
    truth = as_returns(
        every_path(tables, [{x: {int(a): F(1)} for x, a in enumerate(row)} for row in actions], discount)
    )
    for method in METHODS:
        check_against(evaluate(models, method, policy=actions, horizon=steps, rng=1), truth)
    matrix = np.eye(2)[actions]
    one = model_of(UNEVEN, discount)
    first = evaluate(one, QuantileDP(9), policy=actions, horizon=steps)
    second = evaluate(one, QuantileDP(9), policy=matrix, horizon=steps)
    third = evaluate(one, QuantileDP(9), policy=[dict(enumerate(row)) for row in actions.tolist()], horizon=steps)
    np.testing.assert_array_equal(first.returns.values, second.returns.values)
    np.testing.assert_array_equal(first.returns.values, third.returns.values)


def test_the_first_action_is_followed_by_one_step_less():
    for discount in DISCOUNTS:
        model, policy = model_of(UNEVEN, discount), uniform(UNEVEN)
        for horizon in (1, 3):
            after = every_path([UNEVEN] * (horizon - 1), [policy] * (horizon - 1), discount) or [{F(0): F(1)}] * 3
            for method in (CategoricalFixedPoint(81), QuantileDP(40)):
                sol = evaluate(model, method, policy="uniform", horizon=horizon)
                for pair, (x, a) in enumerate(model.pairs.tolist()):
                    law: dict[Fraction, Fraction] = {}
                    for p, y, r, end in UNEVEN[x][a]:
                        for value, mass in ({F(0): F(1)} if end else after[y]).items():
                            law[r + discount * value] = law.get(r + discount * value, F(0)) + p * mass
                    apart = distrl.wasserstein(sol.action_returns[[pair]], as_returns([law]))
                    assert apart[0] <= sol.action_certificate.w1[pair] + 1e-13


@pytest.mark.fast
@pytest.mark.parametrize("method", METHODS, ids=lambda m: names[id(m)])
def test_ctrl_c_leaves_bounds_that_hold(method):
    table, horizon = UNEVEN, 6
    for discount in (F(1, 2), F(1)):
        model = model_of(table, discount)
        truth = as_returns(every_path([table] * horizon, [uniform(table)] * horizon, discount))
        for at in (1, 3):
            told = []

            def stop(*_, told=told, at=at):
                told.append(0)
                if len(told) == at:
                    raise KeyboardInterrupt

            sol = evaluate(model, method, policy="uniform", horizon=horizon, rng=0, throw=False, progress=stop)
            assert sol.status is Status.INTERRUPTED
            check_against(sol, truth)
            with pytest.raises(ValueError, match=r"first step|categorical"):
                _ = sol.action_returns


@pytest.mark.fast
def test_a_limit_on_applications_is_no_horizon():
    model = model_of(UNEVEN, F(1))
    with pytest.raises(distrl.ConvergenceError) as caught:
        evaluate(model, CategoricalFixedPoint(61), policy="uniform", horizon=6, max_iterations=4)
    truth = as_returns(every_path([UNEVEN] * 6, [uniform(UNEVEN)] * 6, F(1)))
    check_against(caught.value.solution, truth)


def test_bounds_are_tighter_than_those_of_returns_that_go_on():
    model = distrl.environments.garnet(6, 2, 3, rng=0, discount=0.9)
    grid = Grid.covering(model, 101)
    for method in (CategoricalFixedPoint(grid=grid), QuantileDP(20), ExpectileDP(5), ParticleDP(grid=grid)):
        short = evaluate(model, method, policy="uniform", horizon=10).certificate.w1
        assert (short < evaluate(model, method, policy="uniform").certificate.w1).all()


def test_many_steps_come_to_rest():
    """A horizon far beyond what the discount sees gives the laws of returns that go on, and stops looking."""
    model = distrl.environments.garnet(6, 2, 3, rng=0, discount=0.5)
    grid = Grid.covering(model, 51)
    sol = evaluate(model, CategoricalFixedPoint(grid=grid), policy="uniform", horizon=10**6)
    on = evaluate(model, CategoricalFixedPoint(grid=grid), policy="uniform")
    assert sol.iterations < 200 and sol.converged
    np.testing.assert_allclose(sol.returns.probs, on.returns.probs, atol=1e-12)


def test_whole_rewards_need_no_rounding_at_discount_1():
    model = model_of(UNEVEN, F(1))
    for atoms in (None, 200):
        sol = evaluate(model, CategoricalFixedPoint(atoms), policy="uniform", horizon=12)
        assert sol.certificate.w1.max() < 1e-10
        truth = as_returns(every_path([UNEVEN] * 12, [uniform(UNEVEN)] * 12, F(1)))
        assert distrl.kolmogorov(sol.returns, truth).max() < 1e-12
    third = MRP([[0.5, 0.5], [0.2, 0.8]], [0.1, -0.3], 0.9).to_dense()
    tenth = MDP(third.P[None] if hasattr(third, "P") else third[0][None], [0.1, -0.3], 1.0)
    assert evaluate(tenth, CategoricalFixedPoint(), policy="uniform", horizon=50).certificate.w1.max() < 1e-10


def test_rewards_of_any_law():
    law = stats.norm(1.0, 2.0)
    model = MDP([[[0.5, 0.5], [0.25, 0.75]]], [law, FiniteLaw([0.0, 1.0])], 0.8)
    horizon = 5
    p, mean, second = np.array([[0.5, 0.5], [0.25, 0.75]]), np.zeros(2), np.zeros(2)
    own = np.array([1.0, 0.5]), np.array([5.0, 0.5])
    for _ in range(horizon):
        second = own[1] + 2 * 0.8 * own[0] * (p @ mean) + 0.64 * (p @ second)
        mean = own[0] + 0.8 * (p @ mean)
    for method in (
        QuantileDP(20),
        ExpectileDP(5),
        Moments(2),
        CategoricalFixedPoint(grid=Grid(-30, 40, 301)),
        MonteCarlo(50),
    ):
        sol = evaluate(model, method, policy="uniform", horizon=horizon, rng=0, throw=False)
        low, high = sol.interval("mean").T
        assert (low - 1e-12 <= mean).all() and (mean <= high + 1e-12).all()
        low, high = sol.interval("variance").T
        assert (low - 1e-9 <= second - mean**2).all() and (second - mean**2 <= high + 1e-9).all()
    with pytest.raises(ValueError, match="unbounded"):
        evaluate(model, CategoricalFixedPoint(), policy="uniform", horizon=horizon)


def test_a_target_sets_the_number_of_atoms():
    model = model_of(UNEVEN, F(9, 10))
    sol = evaluate(model, CategoricalFixedPoint(target_w1=0.02), policy="uniform", horizon=6)
    assert sol.certificate.w1.max() <= 0.02 and "target_w1" in sol.reason
    sol = evaluate(model, Brackets(target_width=0.01, functional="cvar", at=0.1), policy="uniform", horizon=6)
    assert np.diff(sol.interval("cvar", 0.1)).max() <= 0.01


@pytest.mark.fast
def test_history_keeps_every_number_of_steps():
    model = model_of(UNEVEN, F(1))
    sol = evaluate(model, CategoricalDP(81), policy="uniform", horizon=5)
    assert sol.history.probs.shape == (6, 3, 81) and sol.history.residuals.shape == (5,)
    for steps in range(6):
        fewer = evaluate(model, CategoricalFixedPoint(grid=sol.returns.grid), policy="uniform", horizon=steps)
        np.testing.assert_allclose(sol.history.probs[steps], fewer.returns.probs, atol=1e-14)


def test_a_solution_is_saved_with_its_steps(tmp_path):
    improper = model_of(CYCLE, F(1))  # no policy ends
    for method in METHODS:
        sol = evaluate(improper, method, policy=[0, 0], horizon=3, rng=0)
        sol.save(tmp_path / "sol.npz")
        again = distrl.load(tmp_path / "sol.npz")
        assert again.horizon == 3 and again.status is sol.status
        np.testing.assert_array_equal(again.values, sol.values)
        np.testing.assert_array_equal(again.interval("cvar", 0.2), sol.interval("cvar", 0.2))
    distrl.save(sol.model, tmp_path / "step.npz")
    assert distrl.load(tmp_path / "step.npz").discount == 1.0


class Own:
    """A method that knows nothing of horizons."""

    def solve(self, model, call):
        return CategoricalFixedPoint(grid=Grid(-40.0, 40.0, 161)).solve(model, call)


def test_a_method_without_steps_is_handed_all_of_them_at_once():
    for discount in DISCOUNTS:
        model = model_of(UNEVEN, discount)
        for horizon in (0, 1, 4):
            sol = evaluate(model, Own(), policy="uniform", horizon=horizon)
            truth = as_returns(
                every_path([UNEVEN] * horizon, [uniform(UNEVEN)] * horizon, discount) or [{F(0): F(1)}] * 3
            )
            check_against(sol, truth)
            if horizon:
                assert sol.action_returns.batch_shape == (5,)
    with pytest.raises(ValueError, match="solve_horizon"):
        evaluate(model, Own(), policy="uniform", horizon=10**6)


def test_samples_say_that_they_are_samples():
    log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, False)]
    sol = evaluate(distrl.EmpiricalMDP(log, discount=1.0), QuantileDP(5), policy="uniform", horizon=3)
    assert sol.certificate.of == "the samples' own law" == sol.action_certificate.of


def test_rows_that_lack_a_little_are_counted():
    lacking = MDP.from_outcomes([(0, 0, 1.0 - 5e-10, 0, 1.0, False), (1, 0, 1.0, 0, 0.0, False)], 1.0, absorbing="keep")
    for method in METHODS:
        sol = evaluate(lacking, method, policy="uniform", horizon=4, rng=0, throw=False)
        low, high = sol.interval("mean")[0]
        assert low <= 4.0 - 4 * 5e-10 and high >= 4.0, method


@pytest.mark.fast
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "uniform", "horizon": -1}, "horizon must be at least 0"),
        ({"policy": "uniform", "horizon": 1.5}, "horizon must be a whole number"),
        ({"horizon": 3}, "needs a policy"),
        ({"policy": [[0, 1, 0], [0, 1, 0]], "horizon": 3}, "2 policies for 3 steps"),
        ({"policy": [[0, 1, 0], [0, 0, 0]], "horizon": 2}, "step 1: the policy plays action 0 in state 1"),
        ({"policy": np.full((2, 3, 3), 1 / 3), "horizon": 2}, "policy must have shape"),
        ({"policy": ["uniform", "best"], "horizon": 2}, "step 1: policy 'best' is not known"),
    ],
)
def test_what_is_wrong_is_said(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        evaluate(model_of(UNEVEN, F(1)), CategoricalFixedPoint(51), **options)


@pytest.mark.fast
def test_models_by_step_have_to_fit():
    model, other = model_of(UNEVEN, F(1)), model_of(UNEVEN, F(1, 2))
    with pytest.raises(TypeError, match="horizon="):
        evaluate([model, model], CategoricalFixedPoint(51), policy="uniform")
    with pytest.raises(ValueError, match="2 models for 3 steps"):
        evaluate([model, model], CategoricalFixedPoint(51), policy="uniform", horizon=3)
    with pytest.raises(ValueError, match=r"step 1 has the discount 0\.5"):
        evaluate([model, other], CategoricalFixedPoint(51), policy="uniform", horizon=2)
    with pytest.raises(ValueError, match="other states"):
        evaluate([model, model_of(CYCLE, F(1))], CategoricalFixedPoint(51), policy="uniform", horizon=2)
    with pytest.raises(TypeError, match="one kind"):
        evaluate([model, MRP([[1.0]], [0.0], 0.5)], CategoricalFixedPoint(51), policy="uniform", horizon=2)


@pytest.mark.fast
def test_one_shape_with_two_meanings_is_refused():
    square = MDP(np.full((2, 2, 2), 0.5), [1.0, 0.0], 0.9)
    with pytest.raises(ValueError, match="shape"):
        evaluate(square, QuantileDP(5), policy=[[0, 1], [1, 0]], horizon=2)
    by_step = evaluate(square, QuantileDP(5), policy=[[1, 1], [1, 0]], horizon=2)  # no probabilities
    assert by_step.stages.policies.shape == (2, 2)
    mixed = evaluate(square, QuantileDP(5), policy=[[0.5, 0.5], [1, 0]], horizon=2)  # no actions
    assert mixed.stages.policies.shape == (1, 2, 2)
