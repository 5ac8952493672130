"""CVaR, its mixtures with the mean, and shortfalls: against every history-dependent policy, in fractions.

The oracle lists the laws of all deterministic policies that look at the whole history: those of (state, action) are the
mixtures of one law of each successor. `put` and `cvar` read them by their definitions.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import distrl
from distrl import CVaR, MeanCVaR, Shortfall, Status, TargetDP, optimize
from distrl.control.target.goals import Goal
from distrl.control.target.problem import Known, Problem
from distrl.control.target.search import Search

F = Fraction
LEVELS = (F(1, 10), F(1, 4), F(1, 2), F(3, 4), F(1))
ROOM = 1e-9


# -- the oracle -------------------------------------------------------------------------------------------------------


def all_laws(table, discount, steps, n_states):
    """[state] -> the laws {value: probability} that some policy has, over `steps` steps at most."""
    known = [[{F(0): F(1)}] for _ in range(n_states)]
    for _ in range(steps):
        fresh = []
        for x in range(n_states):
            found = {}
            for outcomes in table[x].values():
                parts = [
                    [{r: p}] if end else [{r + discount * v: p * q for v, q in law.items()} for law in known[y]]
                    for p, y, r, end in outcomes
                ]
                for chosen in itertools.product(*parts):
                    law = {}
                    for part in chosen:
                        for value, mass in part.items():
                            law[value] = law.get(value, 0) + mass
                    found[tuple(sorted(law.items()))] = law
            fresh.append(list(found.values()))
        known = fresh
    return known


def put(law, target):
    return sum(p * max(target - v, 0) for v, p in law.items())


def cvar(law, level):
    left, total = F(level), F(0)
    for value, mass in sorted(law.items()):
        taken = min(mass, left)
        total, left = total + taken * value, left - taken
    return total / F(level)


def mean(law):
    return sum(p * v for v, p in law.items())


def played(table, policy, discount, x, memory, steps):
    """The law of a policy that is run by hand."""
    if steps == 0:
        return {F(0): F(1)}
    law = {}
    for p, y, r, end in table[x][policy.act(x, memory)]:
        onward = {F(0): F(1)}
        if not end:
            onward = played(table, policy, discount, y, policy.observe(x, memory, float(r), y), steps - 1)
        for value, mass in onward.items():
            total = r + (0 if end else discount * value)
            law[total] = law.get(total, 0) + p * mass
    return law


def model_of(table, discount, initial=None):
    rows = [
        (x, a, float(p), y, float(r), end)
        for x, choices in table.items()
        for a, outcomes in choices.items()
        for p, y, r, end in outcomes
    ]
    return distrl.MDP.from_outcomes(rows, float(discount), absorbing="keep", initial=initial)


def least_loss(table, discount, state, target):
    """The smallest E (target - G)+ for outcomes that lead to later states or end: the recursion over histories."""
    return min(
        sum(
            p * (max(target - r, 0) if end else discount * least_loss(table, discount, y, (target - r) / discount))
            for p, y, r, end in outcomes
        )
        for outcomes in table[state].values()
    )


def random_table(rng, n_states, ending):
    """Up to two actions a state, up to two outcomes each; with `ending` outcomes lead to later states or end."""
    table = {}
    for x in range(n_states):
        table[x] = {}
        for a in range(int(rng.integers(1, 3))):
            count = int(rng.integers(1, 3))
            parts = rng.multinomial(8 - count, np.full(count, 1.0 / count)) + 1
            outcomes = []
            for part in parts.tolist():
                y = int(rng.integers(x + 1, n_states + 1)) if ending else int(rng.integers(0, n_states))
                end = y == n_states if ending else bool(rng.random() < 0.1)
                outcomes.append((F(part, 8), min(y, n_states - 1), F(int(rng.integers(-6, 7)), 2), end))
            table[x][a] = outcomes
    return table


def in_ends(solution, state, best):
    best = float(best)
    assert solution.lower[state] - ROOM <= best <= solution.upper[state] + ROOM
    assert solution.converged
    assert solution.gap.max() <= solution.tol


# -- regression values ------------------------------------------------------------------------------------------------

DUAL = {  # where a decomposition by levels is wrong
    0: {0: [(F(1, 2), 1, F(0), False), (F(1, 2), 2, F(0), False)]},
    1: {0: [(F(1), 1, F(0), True)], 1: [(F(1, 4), 1, F(-2), True), (F(3, 4), 1, F(2), True)]},
    2: {0: [(F(1), 2, F(1), True)]},
}
MEMORY = {  # where no Markov policy is the best
    0: {0: [(F(1, 2), 1, F(0), False), (F(1, 2), 1, F(4), False)]},
    1: {0: [(F(1), 1, F(1), True)], 1: [(F(1, 2), 1, F(0), True), (F(1, 2), 1, F(4), True)]},
}
LOOP = {
    0: {0: [(F(1, 2), 0, F(1), False), (F(1, 2), 1, F(-1), False)], 1: [(F(1), 1, F(0), False)]},
    1: {0: [(F(3, 4), 0, F(2), False), (F(1, 4), 1, F(-2), False)], 1: [(F(1), 0, F(0), False)]},
}
SHORT = {0: {0: [(F(1), 0, F(-5, 2), True)], 1: [(F(1, 2), 0, F(-1), False), (F(1, 2), 0, F(-1), True)]}}
LONG = {0: {0: [(F(1), 0, F(-4), True)], 1: [(F(2, 3), 0, F(-1), False), (F(1, 3), 0, F(-1), True)]}}
CHORD = {  # where interpolation of the target is no bound
    0: {0: [(F(1), 1, F(1, 2), False)]},
    1: {0: [(F(1), 1, F(0), True)], 1: [(F(1, 2), 1, F(-9, 10), True), (F(1, 2), 1, F(3), True)]},
}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (DUAL, (0, 0, F(1, 4), F(2, 3), 1)),
        (MEMORY, (1, 1, 2, 3, 4)),
        (SHORT, (F(-5, 2), F(-5, 2), F(-5, 2), F(-7, 3), -2)),
        (LONG, (-4, -4, -4, F(-11, 3), -3)),
    ],
    ids=["dual", "memory", "short", "long"],
)
def test_on_a_lattice_at_discount_1_all_levels_are_exact(table, values):
    for level, value in zip(LEVELS, values, strict=True):
        ctl = optimize(model_of(table, 1), CVaR(float(level)))
        assert abs(ctl.lower[0] - float(value)) <= ROOM
        assert abs(ctl.upper[0] - float(value)) <= ROOM
        other = ctl.at(0.5)
        assert abs(other.lower[0] - float(values[2])) <= ROOM and other.gap[0] <= ROOM


@pytest.mark.parametrize(
    ("horizon", "values"),
    [(4, (0, 0, F(9, 64), F(15, 32), F(85, 128))), (3, (0, 0, F(1, 8), F(5, 12), F(9, 16)))],
)
def test_a_horizon_gives_the_known_values(horizon, values):
    for level, value in zip(LEVELS, values, strict=True):
        ctl = optimize(model_of(LOOP, F(1, 2)), CVaR(float(level)), horizon=horizon, tol=1e-6)
        in_ends(ctl, 0, value)


def test_without_end_the_known_values_are_enclosed():
    rows = [(0, 0, 0.5, 0, 0.0, False), (0, 0, 0.5, 0, 1.0, False), (0, 1, 1.0, 0, 0.4, False)]
    mdp = distrl.MDP.from_outcomes(rows, 0.5)
    for level, value in ((0.5, F(4, 5)), (0.8, F(67, 80)), (0.9, F(109, 120)), (0.95, F(1447, 1520))):
        in_ends(optimize(mdp, CVaR(level), tol=4e-4), 0, value)
    ctl = optimize(mdp, Shortfall(1.0), tol=4e-4)
    for target, value in ((0.9, F(11, 140)), (1.0, F(11, 70)), (1.2, F(11, 35)), (1.8, F(113, 140))):
        found = ctl.at(target)
        assert found.lower[0] - ROOM <= float(value) <= found.upper[0] + ROOM


def test_the_cliff_walk_has_its_known_values_at_all_levels():
    mdp = distrl.environments.gridworld(discount=1.0, slip=0.1)
    ctl = optimize(mdp, CVaR(0.05))
    start = int(np.argmax(mdp.initial))
    known = {0.05: (-73.847536941428, -54), 0.1: (-60.331685214631, -41), 0.5: (-30.532456145456, -17)}
    for level, (value, target) in known.items():
        found = ctl.at(level)
        assert found.lower[start] - ROOM <= value <= found.upper[start] + ROOM
        assert found.gap.max() <= 1e-7 and found.targets[start] == target
    law = ctl.policy.laws_from(mdp, [start])
    assert law.certificate.of == "the true law" and law.certificate.w1[0] <= 1e-9
    assert abs(law.returns.cvar(0.05)[0] - known[0.05][0]) <= 1e-8
    assert ctl.start.target == -54.0 and ctl.start.lower <= known[0.05][0] + ROOM


# -- every history-dependent policy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [F(1), F(9, 10), F(1, 2)], ids=str)
def test_no_policy_that_knows_the_history_is_better(discount):
    rng = np.random.default_rng(int(100 * discount))
    for _ in range(8):
        table = random_table(rng, 3, True)
        laws = all_laws(table, discount, 3, 3)[0]
        mdp = model_of(table, discount)
        ctl = optimize(mdp, CVaR(0.25))
        best = max(cvar(law, F(1, 4)) for law in laws)
        in_ends(ctl, 0, best)
        own = played(table, ctl.policy, discount, 0, ctl.policy.start(0), 10)
        assert ctl.lower[0] - ROOM <= float(cvar(own, F(1, 4))) <= float(best) + ROOM
        ends = ctl.frontier((0.1, 0.5, 1.0))
        for k, level in enumerate((F(1, 10), F(1, 2), F(1))):
            value = float(max(cvar(law, level) for law in laws))
            assert ends.lower[0, k] - ROOM <= value <= ends.upper[0, k] + ROOM
        mixed = optimize(mdp, MeanCVaR(0.5, 0.25))
        in_ends(mixed, 0, max(F(1, 4) * mean(law) + F(3, 4) * cvar(law, F(1, 2)) for law in laws))
        short = optimize(mdp, Shortfall(0.3))
        in_ends(short, 0, min(put(law, F(3, 10)) for law in laws))
        own = played(table, short.policy, discount, 0, short.policy.start(0), 10)
        assert float(put(own, F(3, 10))) <= short.upper[0] + ROOM
        other = short.at(-1.0)
        value = float(min(put(law, F(-1)) for law in laws))
        assert other.lower[0] - ROOM <= value <= other.upper[0] + ROOM


@pytest.mark.parametrize("discount", [F(1), F(9, 10)], ids=str)
def test_with_a_horizon_no_policy_that_knows_the_history_is_better(discount):
    rng = np.random.default_rng(7)
    for _ in range(6):
        table, horizon = random_table(rng, 3, False), int(rng.integers(1, 4))
        laws = all_laws(table, discount, horizon, 3)
        ctl = optimize(model_of(table, discount), CVaR(0.4), horizon=horizon)
        short = optimize(model_of(table, discount), Shortfall(0.3), horizon=horizon)
        for x in range(3):
            in_ends(ctl, x, max(cvar(law, F(2, 5)) for law in laws[x]))
            in_ends(short, x, min(put(law, F(3, 10)) for law in laws[x]))
            own = played(table, ctl.policy, discount, x, ctl.policy.start(x), horizon)
            assert ctl.lower[x] - ROOM <= float(cvar(own, F(2, 5)))
        found = ctl.policy.laws_from(ctl.model, [2])
        assert abs(found.returns.cvar(0.4)[0] - float(cvar(own, F(2, 5)))) <= found.certificate.w1[0] / 0.4 + ROOM


def test_a_random_start_has_one_target_for_all_states():
    rng = np.random.default_rng(3)
    for _ in range(4):
        table = random_table(rng, 3, True)
        laws = all_laws(table, F(1), 3, 3)
        ctl = optimize(model_of(table, 1, initial=[0.5, 0.5, 0.0]), CVaR(0.25))
        best = -np.inf
        for one, other in itertools.product(laws[0], laws[1]):
            law = {v: F(one.get(v, 0) + other.get(v, 0)) / 2 for v in one.keys() | other.keys()}
            best = max(best, float(cvar(law, F(1, 4))))
        start = ctl.start
        assert start.lower - ROOM <= best <= start.upper + ROOM and start.upper - start.lower <= ROOM


@pytest.mark.parametrize("discount", [F(9, 10), F(1, 2), F(1)], ids=str)
def test_the_functions_enclose_the_loss_between_knots_too_at_every_sweep(discount):
    rng = np.random.default_rng(int(10 * discount))
    for _ in range(8):
        table = random_table(rng, 4, True)
        table[0][0][0] = (*table[0][0][0][:2], F(1, 3), table[0][0][0][3])  # off the lattice of the others
        table[1][0][0] = (*table[1][0][0][:2], F(-20001, 20000), table[1][0][0][3])
        problem = Problem.of(model_of(table, discount), ends=True)
        search = Search(problem, Known.of(problem), Goal(CVaR(0.25)), 1024, 1e-6)
        targets = np.concatenate([rng.uniform(-8.0, 8.0, 8), search.bracket.knots.points[::5][:8]])
        exact = [[float(least_loss(table, discount, x, F(target))) for x in range(4)] for target in targets]
        for sweep in range(6):
            search.bracket.swept(search.order[:: 1 - 2 * (sweep % 2)].copy(), 0.0)
            for target, least in zip(targets, exact, strict=True):
                assert (search.bracket.below.at_least(target) <= np.array(least) + ROOM).all()
                assert (search.bracket.above.at_most(target) >= np.array(least) - ROOM).all()
            if sweep == 3:
                search.finer()


def test_interpolation_alone_is_no_bound_and_is_not_taken_for_one():
    laws = all_laws(CHORD, F(1), 2, 2)
    assert min(put(law, F(1, 2)) for law in laws[1]) == F(1, 2)
    assert min(put(law, F(1)) for law in laws[0]) == F(1, 2)  # between 0 and 19/20, half of which is less
    problem = Problem.of(model_of(CHORD, 1), ends=True)
    search = Search(problem, Known.of(problem), Goal(Shortfall(1.0)), 4, 1e-6)
    for _ in range(3):
        search.bracket.swept(search.order, 0.0)
        assert search.bracket.below.at_least(1.0)[0] <= 0.5 + ROOM <= search.bracket.above.at_most(1.0)[0] + 2 * ROOM


# -- bounds of unfinished work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sweeps", [1, 2, 5])
def test_bounds_hold_after_any_number_of_sweeps(sweeps):
    table = random_table(np.random.default_rng(8), 4, True)
    best = float(max(cvar(law, F(1, 4)) for law in all_laws(table, F(9, 10), 4, 4)[0]))
    ctl = optimize(model_of(table, F(9, 10)), CVaR(0.25), tol=1e-9, max_iterations=sweeps, throw=False)
    assert ctl.status is Status.MAX_ITERATIONS and ctl.iterations <= sweeps + 1
    assert ctl.lower[0] - ROOM <= best <= ctl.upper[0] + ROOM
    own = played(table, ctl.policy, F(9, 10), 0, ctl.policy.start(0), 10)
    assert ctl.lower[0] - ROOM <= float(cvar(own, F(1, 4)))


@pytest.mark.parametrize("horizon", [None, 4])
def test_an_interrupted_search_has_bounds_that_hold(horizon):
    calls = []

    def hook(share, done, bound):
        calls.append(share)
        if len(calls) == 2:
            raise KeyboardInterrupt

    table = random_table(np.random.default_rng(8), 4, True)
    best = float(max(cvar(law, F(1, 4)) for law in all_laws(table, F(9, 10), 4, 4)[0]))
    mdp = model_of(table, F(9, 10))
    ctl = optimize(mdp, CVaR(0.25), tol=1e-9, horizon=horizon, progress=hook, throw=False)
    assert ctl.status is Status.INTERRUPTED
    assert ctl.lower[0] - ROOM <= best <= ctl.upper[0] + ROOM
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        optimize(mdp, CVaR(0.25), tol=1e-9, horizon=horizon, progress=hook)


# -- one solve, many questions ----------------------------------------------------------------------------------------


def test_level_times_value_is_convex_and_targets_rise():
    mdp = distrl.environments.garnet(12, 3, 3, 0.8, rng=1)
    ctl = optimize(mdp, CVaR(0.1))
    levels = np.arange(1, 20) / 20.0
    ends = ctl.frontier(levels)
    for side in (ends.lower, ends.upper):
        assert (np.diff(levels * side, 2, axis=1) >= -1e-9).all()
    assert (np.diff(ends.targets, axis=1) >= 0.0).all()
    assert (ends.lower <= ends.upper).all()
    one = ctl.at(0.25)
    assert np.array_equal(one.lower, ends.lower[:, 4]) and np.array_equal(one.targets, ends.targets[:, 4])
    assert one.objective == CVaR(0.25) and one.policy.start(3) == one.targets[3]
    assert np.array_equal(ctl.frontier((0.5, 0.25)).lower[:, 1], one.lower)


def test_a_solve_says_no_more_than_it_knows():
    mdp = model_of(DUAL, 1)
    with pytest.raises(ValueError, match="says nothing of Shortfall"):
        optimize(mdp, CVaR(0.5)).at(Shortfall(1.0))
    with pytest.raises(ValueError, match="says nothing of MeanCVaR"):
        optimize(mdp, MeanCVaR(0.5, 0.5)).at(0.25)
    with pytest.raises(ValueError, match="one parameter"):
        optimize(mdp, distrl.Mean()).at(distrl.Mean())
    with pytest.raises(ValueError, match="no initial law"):
        _ = optimize(mdp, CVaR(0.5)).start
    assert abs(optimize(mdp, MeanCVaR(0.5, 1.0)).lower[0] - 1.0) <= ROOM


def test_policies_come_back_from_files(tmp_path):
    for horizon in (None, 3):
        ctl = optimize(model_of(LOOP, F(1, 2)), CVaR(0.5), horizon=horizon)
        ctl.save(tmp_path / "ctl.npz")
        loaded = distrl.load(tmp_path / "ctl.npz")
        memory = ctl.policy.start(0)
        assert loaded.policy.start(0) == memory and loaded.policy.act(0, memory) == ctl.policy.act(0, memory)
        assert loaded.policy.observe(0, memory, 1.0, 1) == ctl.policy.observe(0, memory, 1.0, 1)
        assert np.array_equal(loaded.at(0.25).lower, ctl.at(0.25).lower)
        assert loaded.objective == CVaR(0.5) and loaded.horizon == horizon


@pytest.mark.parametrize("discount", [F(9, 10), F(1)], ids=str)
def test_from_every_target_the_policy_keeps_below_its_function(discount):
    rng = np.random.default_rng(17)
    for _ in range(6):
        table = random_table(rng, 4, True)
        table[0][0][0] = (*table[0][0][0][:2], F(1, 3), table[0][0][0][3])
        ctl = optimize(model_of(table, discount), CVaR(0.25), TargetDP(cells=64), throw=False)
        targets = rng.uniform(-7.0, 7.0, 24)
        if ctl.policy.rule.by_knot:
            targets = ctl.family.above.knots.points[::3]
        for target in targets:
            own = played(table, ctl.policy, discount, 0, float(target), 10)
            assert float(put(own, F(target))) <= ctl.family.above.at_most(target)[0] + ROOM


def test_each_cell_has_its_own_action():
    rule = optimize(distrl.environments.garnet(6, 4, 3, 0.8, rng=2), CVaR(0.1)).policy.rule
    table, differ = rule.tables[0], 0
    for x in range(6):
        actions = table.actions[table.ptr[x] : table.ptr[x + 1] - 1]
        middle = rule.origin + rule.spacing * (table.first[x] + np.arange(len(actions)) + 0.5)
        played = rule.actions_at(0, np.full(len(actions), x), middle)
        assert np.array_equal(played, np.where(middle <= table.least[x], table.safe[x], actions))
        differ += len(np.unique(actions)) > 1
    assert differ > 0


def test_the_memory_is_the_exact_target():
    policy = optimize(model_of(LOOP, F(1, 2)), CVaR(0.5)).policy
    assert policy.observe(0, 0.25, 0.125, 1) == 0.25
    table = policy.rule.tables[0]
    last = policy.rule.origin + policy.rule.spacing * (table.first[1] + table.ptr[2] - table.ptr[1] - 1)
    assert policy.observe(0, 1e9, 0.0, 1) == last and policy.act(1, 1e9) == policy.act(1, last)
    steps = optimize(model_of(LOOP, F(1, 2)), CVaR(0.5), horizon=2).policy
    assert steps.start(0)[0] == 0 and steps.observe(0, (0, 0.25), 0.0, 1)[0] == 1
    with pytest.raises(ValueError, match="2 steps"):
        steps.act(0, (2, 0.0))
    with pytest.raises(TypeError, match="target"):
        policy.act(0, None)


# -- laws and draws ---------------------------------------------------------------------------------------------------


def test_rounded_targets_make_another_policy_and_the_certificate_says_so(monkeypatch):
    mdp = distrl.environments.garnet(4, 2, 2, 0.7, rng=0)
    ctl = optimize(mdp, CVaR(0.25), tol=0.2)
    monkeypatch.setattr("distrl.control.target.product.MOST", 300)
    law = ctl.policy.laws_from(mdp, [1])
    assert (
        law.certificate.of
        == f"the law of the policy that rounds its target to multiples of {ctl.policy.rule.spacing:g}"
    )
    assert law.returns.cvar(0.25)[0] <= ctl.upper[1] + law.certificate.w1[0] / 0.25
    monkeypatch.setattr("distrl.control.target.product.MOST", 5)
    with pytest.raises(ValueError, match="simulate"):
        ctl.policy.laws_from(mdp, [1])


def test_laws_of_all_states_have_the_certified_cvar():
    table = random_table(np.random.default_rng(11), 4, True)
    ctl = optimize(model_of(table, F(9, 10)), CVaR(0.25))
    assert ctl.returns.batch_shape == (4,) and ctl.certificate.of == "the true law"
    found = ctl.returns.cvar(0.25)
    assert (ctl.lower - ctl.certificate.w1 / 0.25 - ROOM <= found).all()
    assert (found <= ctl.upper + ctl.certificate.w1 / 0.25 + ROOM).all()


def test_drawn_returns_are_those_of_the_policy():
    table = random_table(np.random.default_rng(11), 4, True)
    ctl = optimize(model_of(table, F(9, 10)), CVaR(0.25))
    drawn = ctl.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9)
    own = played(table, ctl.policy, F(9, 10), 0, ctl.policy.start(0), 10)
    points = np.array(sorted(float(v) for v in own))
    exact = np.array([float(sum(p for v, p in own.items() if v <= point)) for point in map(F, points + 1e-9)])
    band = drawn.band(points + 1e-9)[0]
    assert (band[:, 0] <= exact).all() and (exact <= band[:, 1]).all()
    low, high = drawn.interval("cvar", 0.25)[0]
    assert low <= float(cvar(own, F(1, 4))) <= high
    again = ctl.simulate(4000, rng=0, states=[0], confidence=1.0 - 1e-9)
    assert np.array_equal(again.returns.values, drawn.returns.values)
    markov = optimize(ctl.model, distrl.Mean()).simulate(50, rng=0, states=[0])
    assert markov.returns.batch_shape == (1,)


# -- what is refused --------------------------------------------------------------------------------------------------


def test_errors_name_the_place_and_the_mend():
    stats = pytest.importorskip("scipy.stats")
    mdp = distrl.MDP([np.eye(2)] * 2, [[stats.norm(), 0.0], [1.0, 0.0]], 0.5, states=["a", "b"])
    with pytest.raises(ValueError, match=r"state 'a', action 0 .*FiniteLaw"):
        optimize(mdp, CVaR(0.5))
    gain = distrl.MDP.from_outcomes([(0, 0, 1.0, 0, 1.0, False), (0, 1, 1.0, 0, 0.0, True)], 1.0)
    with pytest.raises(ValueError, match="state 0"):
        optimize(gain, CVaR(0.5))
    with pytest.raises(ValueError, match="optimised"):
        optimize(model_of(DUAL, 1), CVaR(0.5, tail="upper"))
    with pytest.raises(ValueError, match="one at a time"):
        optimize(model_of(DUAL, 1), CVaR((0.5, 0.25)))
    with pytest.raises(ValueError, match="cells"):
        TargetDP(cells=1)


def test_finite_reward_laws_are_outcomes_like_others():
    law = distrl.FiniteLaw([-2.0, 2.0], [0.25, 0.75])
    mdp = distrl.MDP([[[0.0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]]] * 2, [[0.0, 0.0], [0.0, law], [1.0, 1.0]], 0.0)
    ctl = optimize(mdp, CVaR(0.5))
    in_ends(ctl, 1, max(F(0), cvar({F(-2): F(1, 4), F(2): F(3, 4)}, F(1, 2))))


def test_one_moves_for_nothing_to_where_the_best_action_is():
    rows = [(0, 0, 1.0, 1, 0.0, False), (1, 0, 0.5, 2, 0.0, False), (1, 0, 0.5, 1, 0.0, False)]
    rows += [(2, 0, 1.0, 0, 0.0, False), (0, 1, 0.5, 0, -3.0, True), (0, 1, 0.5, 0, 1.0, True)]
    rows += [(2, 1, 1.0, 2, -2.0, True), (3, 0, 0.5, 1, -1.0, False), (3, 0, 0.5, 2, 1.0, False)]
    ctl = optimize(distrl.MDP.from_outcomes(rows, 1.0), CVaR(0.5))
    assert ctl.lower == pytest.approx([-2.0, -2.0, -2.0, -2.5], abs=ROOM) and ctl.gap.max() <= ROOM
    assert [ctl.policy.act(x, ctl.policy.start(x)) for x in (0, 1, 2)] == [0, 0, 1]
    mean = ctl.at(1.0)
    assert (
        mean.lower == pytest.approx([-1.0, -1.0, -1.0, -1.0], abs=ROOM)
        and mean.policy.act(0, mean.policy.start(0)) == 1
    )
    assert ctl.returns.cvar(0.5) == pytest.approx(ctl.lower, abs=1e-8)


def test_waiting_for_nothing_is_no_way_to_end():
    rows = [(0, 0, 1.0, 0, 0.0, False), (0, 1, 0.5, 0, -3.0, True), (0, 1, 0.5, 0, -1.0, True)]
    ctl = optimize(distrl.MDP.from_outcomes(rows, 1.0, absorbing="keep"), CVaR(0.5))
    assert abs(ctl.lower[0] + 3.0) <= ROOM and ctl.upper[0] >= -3.0 - ROOM
    assert ctl.policy.act(0, ctl.policy.start(0)) == 1
