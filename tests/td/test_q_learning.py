"""Q-learning and SARSA against value iteration, dense backups and an oracle in plain Python."""

from fractions import Fraction

import numpy as np
import pytest
from q_models import deterministic, finite, noisy, rows_of
from scipy import stats

import distrl
from distrl import CategoricalQ, ExpectileQ, MeanQ, QuantileQ
from distrl.td import Exploration, Harmonic, LinearDecay, Polynomial, QLearning

pytestmark = pytest.mark.fast

SAMPLINGS = ("synchronous", "generative", "trajectory")


GRID = distrl.Grid(-12.0, 20.0, 17)
METHODS = [
    MeanQ(),
    MeanQ(update="sarsa"),
    CategoricalQ(grid=GRID),
    CategoricalQ(grid=GRID, update="sarsa"),
    QuantileQ(5),
    QuantileQ(4, update="sarsa"),
    ExpectileQ(4),
    ExpectileQ(3, update="sarsa"),
    QLearning(distrl.TD(average_from=3)),
]


# -- what one update does


def test_with_steps_of_1_on_a_deterministic_process_it_is_value_iteration():
    mdp = deterministic()
    pairs = {(s, a): (r, y, end) for s, a, _, y, r, end in rows_of(mdp)}
    run = distrl.learn(mdp, MeanQ(), step_size=1.0, updates=20, records=20)
    q = dict.fromkeys(pairs, Fraction(0))
    for k in range(20):
        best = {s: max(value for (x, _), value in q.items() if x == s) for s in range(4)}
        q = {pair: Fraction(r) + (0 if end else best[y] / 2) for pair, (r, y, end) in pairs.items()}
        for (s, a), value in q.items():
            assert run.action_values[k, 0, s, a] == float(value)
    assert np.isnan(run.action_values[..., 3, 1:]).all()
    np.testing.assert_array_equal(run.values, np.nanmax(run.action_values, axis=-1))


def test_discounts_of_outcomes_are_each_transitions_own():
    rows = [(0, 0, 1.0, 1, 1.0, False, 0.5), (0, 1, 1.0, 0, 1.0, False, 0.25), (1, 0, 1.0, 0, 2.0, False, 0.0)]
    mdp = distrl.MDP.from_outcomes(rows, None)
    for sampling in SAMPLINGS:
        run = distrl.learn(mdp, MeanQ(), step_size=1.0, updates=40, sampling=sampling, exploration=0.5, rng=0)
        np.testing.assert_array_equal(run.action_values[-1, 0], [[2.0, 1.5], [2.0, np.nan]])
    learner = MeanQ().learner(mdp, step_size=1.0)
    learner.update(1, 0, 2.0, 0, True)
    learner.update(0, 0, 1.0, 1, False, discount=0.5)
    assert learner.action_values[0, 0] == 2.0
    with pytest.raises(ValueError, match="differs by outcome"):
        learner.update(0, 0, 1.0, 1, False)
    policy = distrl.learn(mdp, distrl.TargetQ(grid=distrl.Grid(0.0, 4.0, 9)), step_size=1.0, updates=20).policy()[0]
    assert policy.observe(0, 2.0, 1.0, 1, discount=0.5) == 2.0
    with pytest.raises(ValueError, match="differs by outcome"):
        policy.observe(0, 2.0, 1.0, 1)


@pytest.mark.parametrize("grid", [None, distrl.Grid(-1.0, 7.0, 9)], ids=["covering", "clipping"])
def test_with_steps_of_1_it_is_the_distributional_optimality_backup(grid):
    mdp = deterministic()
    run = distrl.learn(mdp, CategoricalQ(21, grid), step_size=1.0, updates=12, records=12)
    points = run.method.grid.points
    m, spacing = len(points), points[1] - points[0]
    laws = {(s, a): np.full(m, 1.0 / m) for s, a, *_ in rows_of(mdp)}
    for k in range(12):
        best = {}
        for s in range(4):
            own = [pair for pair in sorted(laws) if pair[0] == s]
            best[s] = max(own, key=lambda pair: laws[pair] @ points)  # the first of those that tie
        fresh = {}
        for s, a, _, y, r, end in rows_of(mdp):
            where = np.clip(r + (0.0 if end else 0.5) * points, points[0], points[-1])
            hats = np.maximum(0.0, 1.0 - np.abs(where[:, None] - points) / spacing)
            fresh[s, a] = laws[best[y]] @ hats
        laws = fresh
        for pair, (s, a) in enumerate(mdp.pairs):
            np.testing.assert_allclose(run.at(k + 1).probs[0, pair], laws[s, a], atol=1e-13)


def test_quantiles_and_expectiles_move_by_their_formulas():
    mdp, a = deterministic(), 0.25
    rng = np.random.default_rng(0)
    start = rng.normal(size=(8, 4))
    first = [np.flatnonzero(mdp.pairs[:, 0] == s)[0] for s in range(4)]
    for method, levels in ((QuantileQ(4), (2 * np.arange(4) + 1) / 8), (ExpectileQ(1), np.array([0.5]))):
        theta = start[:, : len(levels)]
        run = distrl.learn(mdp, method, step_size=a, updates=1, start=theta)
        best = []
        for s in range(4):
            own = np.flatnonzero(mdp.pairs[:, 0] == s)
            best.append(own[np.argmax(theta[own].mean(axis=1))])
        assert best != first  # the choice is put to the test
        for pair, (_, _, _, y, r, end) in enumerate(rows_of(mdp)):
            targets = np.full(len(levels), r) if end else r + 0.5 * theta[best[y]]
            if isinstance(method, QuantileQ):
                below = (targets[None] < theta[pair][:, None]).mean(axis=1)
                expected = theta[pair] + a * (levels - below)
                np.testing.assert_allclose(run.final.values[0, pair], expected, atol=1e-13)
            else:
                expected = theta[pair] + a * (targets - theta[pair])
                np.testing.assert_allclose(run.final.expectiles[0, pair], expected, atol=1e-13)


# -- what is done along a trajectory


def by_hand(mdp: distrl.MDP, sampling: str, update: str, seed: int, updates: int, epsilon, step) -> tuple:
    """Means, visits and transitions of one replication, in plain Python: four numbers a transition."""
    numbers = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    outcomes: dict = {}
    for s, a, *rest in rows_of(mdp):
        outcomes.setdefault(s, {}).setdefault(a, []).append(rest)
    q = {s: dict.fromkeys(rows, 0.0) for s, rows in outcomes.items()}
    visits, moves = {(s, a): 0 for s in q for a in q[s]}, []

    def played(s, share, u):
        if u < share:
            return sorted(q[s])[int(u / share * len(q[s]))]
        return max(sorted(q[s]), key=lambda a: q[s][a])

    state = action = None
    for k in range(1, updates + 1):
        block = list(visits) if sampling == "synchronous" else [None]
        fresh = []
        for pair in block:
            outcome, following, own, place = numbers.random(4)
            if sampling == "generative":
                pair = list(visits)[int(place * len(visits))]
            if sampling == "trajectory":
                if state is None:
                    state, action = int(np.searchsorted(np.cumsum(mdp.initial), place, side="right")), None
                pair = (state, played(state, epsilon(k), own) if action is None else action)
            rows = outcomes[pair[0]][pair[1]]
            row = rows[
                min(int(np.searchsorted(np.cumsum([p for p, *_ in rows]), outcome, side="right")), len(rows) - 1)
            ]
            _, y, r, end = row
            b = played(y, epsilon(k) if update == "sarsa" else 0.0, following)
            if sampling == "trajectory":
                state, action = (None, None) if end else (y, b if update == "sarsa" else None)
            fresh.append((pair, r + (0.0 if end else mdp.discount * q[y][b])))
            moves.append((*pair, r, y, end, b))
        for (s, a), target in fresh:
            visits[s, a] += 1
            q[s][a] += step(visits[s, a]) * (target - q[s][a])
    return q, visits, moves


@pytest.mark.parametrize("update", ["q", "sarsa"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_it_does_what_a_program_of_thirty_lines_does(sampling, update):
    mdp, schedule = finite(), LinearDecay(0.9, 0.2, 200)
    n = 60 if sampling == "synchronous" else 400
    q, visits, moves = by_hand(
        mdp, sampling, update, 8, n, lambda k: 0.9 + 0.7 * -min((k - 1) / 199, 1.0), lambda k: 2.0 / (1.0 + k)
    )
    steps = Harmonic(2.0, 1.0)
    run = distrl.learn(mdp, MeanQ(update), step_size=steps, updates=n, sampling=sampling, rng=8, exploration=schedule)
    for (s, a), count in visits.items():
        assert run.visits[0, s, a] == count
        np.testing.assert_allclose(run.action_values[-1, 0, s, a], q[s][a], atol=1e-13)
    assert run.visits.sum() == sum(visits.values())
    if sampling != "synchronous":
        learner = MeanQ(update).learner(mdp, step_size=steps)
        for s, a, r, y, end, b in moves:
            learner.update(s, a, r, y, end, *([b] if update == "sarsa" and not end else []))
        np.testing.assert_array_equal(learner.action_values, run.action_values[-1, 0])
        np.testing.assert_array_equal(learner.visits, run.visits[0])
        np.testing.assert_array_equal(learner.policy, run.policy())
        assert [learner.greedy(s) for s in range(4)] == run.policy()[0].tolist()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    "method", [MeanQ(), CategoricalQ(grid=GRID, update="sarsa"), QuantileQ(5), QuantileQ(70, "sarsa")], ids=repr
)
def test_kernels_and_python_do_the_same(method, sampling):
    common = {"updates": 50, "sampling": sampling, "replications": 2, "rng": 3, "step_size": 0.3, "exploration": 0.5}
    fast = distrl.learn(noisy(), method, **common)
    slow = distrl.learn(noisy(), QLearning(method.rule, method.update), **common)
    np.testing.assert_array_equal(fast.visits, slow.visits)
    np.testing.assert_allclose(fast.values, slow.values, rtol=1e-12, atol=1e-12)


def test_step_sizes_of_every_kind_are_those_that_td_takes():
    mdp = finite()
    listed = np.linspace(0.9, 0.1, 200)

    class Own(distrl.td.StepSize):
        clock, largest, robbins_monro, quantile_convergent = "visits", 1.0, None, None

        def __call__(self, counts):
            return 1.0 / (1.0 + counts)

    runs = {
        kind: distrl.learn(mdp, MeanQ(), step_size=steps, updates=200, sampling="trajectory", rng=0).values[-1]
        for kind, steps in {
            "own": Own(),
            "harmonic": Harmonic(1.0, 1.0),
            "polynomial": Polynomial(1.0, 1.0, 1.0),
            "listed": 1.0 / (2.0 + np.arange(200)),
            "updates": distrl.td.Listed(listed, clock="updates"),
        }.items()
    }
    for kind in ("harmonic", "polynomial", "listed"):
        np.testing.assert_allclose(runs[kind], runs["own"], rtol=1e-14)
    slow = distrl.learn(
        mdp,
        QLearning(distrl.TD()),
        step_size=distrl.td.Listed(listed, clock="updates"),
        updates=200,
        sampling="trajectory",
        rng=0,
    )
    np.testing.assert_array_equal(slow.values[-1], runs["updates"])


# -- what stands for what


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_means_of_categorical_laws_and_the_middle_expectile_are_those_of_q_learning(sampling):
    mdp = finite()
    common = {"updates": 200, "sampling": sampling, "rng": 2, "step_size": 0.3, "exploration": 0.4}
    grid = distrl.Grid.covering(mdp, 21)
    start = np.where(mdp.available, 0.5 * (grid.low + grid.high), np.nan)[mdp.available]
    mean = distrl.learn(mdp, MeanQ(), start=start, **common)
    laws = distrl.learn(mdp, CategoricalQ(21), **common)
    np.testing.assert_allclose(laws.action_values, mean.action_values, atol=1e-11)
    few = distrl.learn(mdp, ExpectileQ(4), start=np.repeat(start[:, None], 5, axis=1), **common)
    np.testing.assert_allclose(few.action_values, mean.action_values, atol=1e-11)


# -- what it may not depend on


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_resumed_run_is_the_uninterrupted_one_whatever_the_threads(method, sampling, tmp_path):
    common = {"sampling": sampling, "rng": 7, "step_size": 0.2, "exploration": LinearDecay(updates=50)}
    whole = distrl.learn(noisy(), method, updates=90, replications=4, records=[40, 90], threads=1, **common)
    half = distrl.learn(noisy(), method, updates=40, replications=4, records=1, threads=2, **common)
    half.save(tmp_path / "half.npz")
    loaded = distrl.load(tmp_path / "half.npz")
    for before in (half, loaded):
        rest = distrl.learn(noisy(), method, updates=50, records=1, resume=before, threads=2)
        np.testing.assert_array_equal(rest.action_values, whole.action_values)
        np.testing.assert_array_equal(rest.visits, whole.visits)
        np.testing.assert_array_equal(rest.policy(90), whole.policy())
    assert type(loaded) is distrl.ControlRun and loaded.exploration == LinearDecay(updates=50)
    assert half.done == 40 and half.values.shape == (1, 4, 3)
    fewer = distrl.learn(noisy(), method, updates=90, replications=2, records=[40, 90], **common)
    np.testing.assert_array_equal(fewer.values, whole.values[:, :2])
    assert len(np.unique(whole.values[-1], axis=0)) == 4
    with np.load(tmp_path / "half.npz") as file:
        np.testing.assert_array_equal(file["action_values"], half.action_values)


def test_an_interrupted_run_keeps_what_was_done_and_goes_on():
    def stop(share, updates, seconds):
        if updates >= 20:
            raise KeyboardInterrupt

    common = {"updates": 800, "replications": 3, "rng": 2, "records": [5, 9, 800], "sampling": "trajectory"}
    run = distrl.learn(noisy(), QuantileQ(5), progress=stop, **common)
    assert run.status is distrl.LearningStatus.INTERRUPTED
    assert 20 <= run.done < 800 and run.updates.tolist() == [5, 9, run.done]
    rest = distrl.learn(noisy(), QuantileQ(5), updates=800 - run.done, records=1, resume=run)
    whole = distrl.learn(noisy(), QuantileQ(5), **common)
    np.testing.assert_array_equal(rest.final.values, whole.final.values)


# -- exploration


def test_actions_are_explored_among_those_that_there_are():
    mdp = finite()
    run = distrl.learn(mdp, MeanQ(), updates=4000, sampling="trajectory", exploration=1.0, rng=0)
    assert not run.visits[0][~mdp.available].any()
    for s in (0, 2, 3):
        assert stats.chisquare(run.visits[0, s][mdp.available[s]]).pvalue > 1e-3
    greedy = distrl.learn(mdp, MeanQ(), step_size=1e-12, updates=500, sampling="trajectory", exploration=0.0, rng=0)
    best = greedy.policy()[0]
    assert greedy.visits[0].sum() == 500 and greedy.visits[0, range(4), best].sum() > 400


def test_schedules_are_functions_of_the_update_count():
    mdp = finite()
    common = {"updates": 300, "sampling": "trajectory", "rng": 0}
    schedules = [
        lambda k: 1.0 / k**0.5,
        Polynomial(1.0, 0.5, clock="updates"),
        distrl.td.Listed(1.0 / np.arange(1, 301) ** 0.5, clock="updates"),
    ]
    runs = [distrl.learn(mdp, MeanQ(), exploration=schedule, **common).values for schedule in schedules]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    counts = np.array([1, 2, 6, 11, 50])
    np.testing.assert_allclose(LinearDecay(1.0, 0.5, 11)(counts), [1.0, 0.95, 0.75, 0.5, 0.5])
    default = distrl.learn(mdp, MeanQ(), **common)
    np.testing.assert_array_equal(default.values, distrl.learn(mdp, MeanQ(), exploration=0.1, **common).values)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), "longer"], ids=str)
def test_a_schedule_of_somebody_that_has_not_one_number_for_each_update_is_named(shape):
    class Own(Exploration):
        def __call__(self, counts):
            return np.full(len(counts) + 1 if shape == "longer" else shape, 0.5)

    with pytest.raises(ValueError, match=r"gave probabilities of shape .* for .* counts; it must give one for each"):
        distrl.learn(finite(), MeanQ(), updates=300, exploration=Own(), sampling="trajectory", rng=0)


def test_a_learner_plays_and_learns():
    learner = CategoricalQ(grid=distrl.Grid(0.0, 2.0, 3)).learner((2, 3), discount=0.5, exploration=lambda k: 0.5)
    rng = np.random.default_rng(0)
    learner.update(0, 2, 2.0, 1, True)
    played = [learner.act(0, rng) for _ in range(3000)]
    assert learner.greedy(0) == 2
    assert stats.chisquare(np.bincount(played, minlength=3), [500, 500, 2000]).pvalue > 1e-3
    assert learner.returns.probs.shape == (2, 3, 3) and learner.values.shape == (2,)
    np.testing.assert_allclose(learner.returns.probs[0, 2], [0.3, 0.3, 0.4])
    assert "actions=3" in repr(learner)


# -- starts, words and errors


def test_starts_are_by_state_and_action_or_what_another_run_has_found():
    mdp = distrl.environments.garnet(4, 3, 2, rng=0, discount=0.9)
    start = 1.0 + np.arange(12.0).reshape(4, 3)
    run = distrl.learn(mdp, MeanQ(), updates=1, step_size=1e-300, start=start)
    np.testing.assert_array_equal(run.action_values[0, 0], start)
    several = distrl.learn(mdp, MeanQ(), updates=1, step_size=1e-300, start=np.stack([start, -start]), replications=2)
    np.testing.assert_array_equal(several.action_values[0, 1], -start)
    for method in (MeanQ(), CategoricalQ(7), QuantileQ(3), ExpectileQ(3)):
        first = distrl.learn(mdp, method, updates=5, replications=2, rng=0)
        again = distrl.learn(mdp, method, updates=1, replications=2, start=first.final, step_size=1e-300)
        np.testing.assert_allclose(again.values[-1], first.values[-1], rtol=1e-12)
        assert first.final.batch_shape == (2, 4, 3)
    with pytest.raises(ValueError, match="they must be equal"):
        distrl.learn(mdp, CategoricalQ(grid=GRID), start=distrl.learn(mdp, CategoricalQ(7), updates=1).final)


def test_the_summary_names_actions_and_pairs_never_seen():
    run = distrl.learn(deterministic(), MeanQ(), updates=3, sampling="trajectory", rng=0, replications=2)
    text = run.summary()
    assert "MeanQ" in text and "pair(s) of state and action were never renewed" in text and "exploration" in text
    assert text.count("%") == 4
    assert "ControlRun(DONE" in repr(run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "uniform"}, "leave policy out"),
        ({"discount": 0.9}, "leave discount out"),
        ({"exploration": 1.5}, r"exploration must lie in \[0, 1\]"),
        ({"exploration": lambda k: 2.0, "sampling": "trajectory"}, "exploration at update 1 is 2"),
        ({"exploration": Polynomial()}, "clock='updates'"),
        ({"exploration": Harmonic(3.0, 0.0, clock="updates")}, "goes up to 3"),
        ({"exploration": LinearDecay}, "got the class"),
        ({"exploration": "greedy"}, "exploration must be a real number"),
        ({"model": distrl.MRP([[1.0]], [1.0], 0.5)}, "needs actions to choose from"),
        ({"sampling": "episodes"}, "sampling must be one of"),
        ({"step_size": 1.5}, "MeanQ needs steps of at most 1"),
        ({"start": np.zeros(3)}, r"it must be \(8,\)"),
        ({"method": MeanQ}, "create it"),
        ({"replications": 10**12}, "GB"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given = {"model": deterministic(), "method": MeanQ(), "updates": 10, **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        distrl.learn(given.pop("model"), given.pop("method"), **given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanQ("double"), "update must be"),
        (lambda: QLearning(distrl.TD(steps=3)), "give steps=1"),
        (lambda: QLearning(distrl.CategoricalTD(variant="speedy")), "all states at once"),
        (lambda: QLearning(3), "method must be"),
        (lambda: QuantileQ(0), "quantiles"),
        (lambda: CategoricalQ().learner((2, 2), discount=0.9), "grid must be given"),
        (lambda: CategoricalQ(grid=3), "grid must be a distrl.Grid"),
        (lambda: MeanQ().learner((2, 2)), "discount must be given"),
        (lambda: MeanQ().learner(2, discount=0.9), "the numbers"),
        (lambda: MeanQ().learner(deterministic(), 0.5), "leave discount out"),
        (lambda: MeanQ().learner(deterministic()).update(3, 1, 0.0, 0, False), r"action 1 is not available in state 3"),
        (lambda: MeanQ().learner(deterministic()).update(3, 0, 0.0, 0, False, 1), "leave it out"),
        (lambda: MeanQ("sarsa").learner(deterministic()).update(3, 0, 0.0, 0, False), "give next_action="),
        (lambda: MeanQ().learner(deterministic()).update(3, 0, np.nan, 0, False), "reward must be finite"),
        (lambda: MeanQ().learner(deterministic()).act(4), "state must be at most 3"),
        (lambda: distrl.Learner(MeanQ(), 3, 0.5), "it chooses actions"),
        (lambda: distrl.estimate(deterministic(), MeanQ(), "uniform"), "chooses actions|method"),
        (lambda: distrl.learn(deterministic(), distrl.TD(), "uniform", exploration=0.1), "leave exploration out"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_resumed_run_refuses_what_is_not_its_own():
    mdp = deterministic()
    run = distrl.learn(mdp, MeanQ(), updates=5, exploration=0.3)
    assert distrl.learn(deterministic(), MeanQ(), updates=5, resume=run, exploration=0.3).done == 10
    with pytest.raises(ValueError, match="leave exploration out"):
        distrl.learn(mdp, MeanQ(), updates=5, resume=run, exploration=0.2)
    with pytest.raises(ValueError, match="not of"):
        distrl.learn(mdp, MeanQ("sarsa"), updates=5, resume=run)
    with pytest.raises(ValueError, match="another model"):
        distrl.learn(noisy(), MeanQ(), updates=5, resume=run)
    td = distrl.learn(mdp, distrl.TD(), [0, 1, 0, 0], updates=5)
    with pytest.raises(TypeError, match="learnt to act"):
        distrl.learn(mdp, MeanQ(), updates=5, resume=td)
