"""Laws of `learn`: what replications, seeds, threads, resumption and records may and may not change."""

import pickle
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl.td import Harmonic, LearningStatus, Polynomial, VarianceReduced
from distrl.testing.strategies import mdps, mrps, policies

pytestmark = pytest.mark.fast

SAMPLINGS = ("synchronous", "generative", "trajectory")
GRID = distrl.Grid(-40.0, 40.0, 9)


def noisy_chain() -> distrl.MRP:
    """Three states, an end, continuous and finite reward laws, a law shared by two states."""
    rows = [
        (0, 0.5, 1, stats.norm(1, 1), False),
        (0, 0.5, 2, stats.t(2), False),
        (1, 0.7, 0, stats.t(2), False),
        (1, 0.3, 1, 2.0, True),
        (2, 0.6, 2, distrl.FiniteLaw([0, 1, 5], [0.5, 0.3, 0.2]), False),
        (2, 0.4, 0, -1.0, False),
    ]
    return distrl.MRP.from_outcomes(rows, 0.9, initial=[0.2, 0.5, 0.3])


METHODS = [
    distrl.TD(),
    distrl.TD(steps=3, average_from=5),
    distrl.MonteCarloTD(),
    distrl.CategoricalTD(grid=GRID),
    distrl.CategoricalTD(grid=GRID, steps=2, average_from=0),
    distrl.QuantileTD(6),
    distrl.QuantileTD(5, steps=4, average_from=3),
    distrl.ExpectileTD(4),
]
VARIANTS = [
    distrl.CategoricalTD(grid=GRID, variant="speedy"),
    distrl.CategoricalTD(grid=GRID, variant=VarianceReduced(epoch=7, gathering=3)),
]


def same(first: distrl.LearningRun, second: distrl.LearningRun, replications: int | None = None) -> None:
    """Bitwise equal in all that was recorded (of the first replications)."""
    kept = slice(replications)
    np.testing.assert_array_equal(first.updates, second.updates)
    np.testing.assert_array_equal(first.values[:, kept], second.values[:, kept])
    np.testing.assert_array_equal(first.visits[kept], second.visits[kept])
    for x, y in zip(first.estimates, second.estimates, strict=True):
        np.testing.assert_array_equal(x[kept], y[kept])


@settings(max_examples=60)
@given(st.data())
def test_a_run_resumed_anywhere_is_the_uninterrupted_one(data):
    method = data.draw(st.sampled_from(METHODS + VARIANTS))
    sampling = "synchronous" if method in VARIANTS else data.draw(st.sampled_from(SAMPLINGS))
    cuts = sorted(data.draw(st.sets(st.integers(1, 400), min_size=1, max_size=3)))
    model, step_size = noisy_chain(), Polynomial(exponent=0.6)
    common = {"step_size": step_size, "sampling": sampling, "replications": 2, "rng": 5}
    whole = distrl.learn(model, method, updates=cuts[-1], records=cuts, **common)
    run, done = None, 0
    for cut in cuts:
        if run is None:
            run = distrl.learn(model, method, updates=cut, records=[cut], **common)
        else:
            before = run.values.copy()
            run = distrl.learn(model, method, updates=cut - done, records=[cut], resume=pickle.loads(pickle.dumps(run)))
            np.testing.assert_array_equal(run.values[: len(before)], before)
        done = cut
    same(run, whole)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("method", [METHODS[1], METHODS[3], METHODS[5]], ids=repr)
def test_replications_do_not_depend_on_their_number_or_on_threads(method, sampling):
    model = noisy_chain()
    common = {"updates": 60, "sampling": sampling, "rng": 11, "records": 3}
    ten = distrl.learn(model, method, replications=10, threads=1, **common)
    hundred = distrl.learn(model, method, replications=25, threads=2, **common)
    same(ten, hundred, 10)
    assert len(np.unique(hundred.values[-1], axis=0)) == 25  # independent, not copies


@given(st.data(), mdps(max_states=3), st.integers(0, 99))
def test_a_decision_process_is_learnt_as_the_process_under_its_policy(data, mdp, seed):
    policy = data.draw(policies(mdp))
    common = {"updates": 20, "rng": seed, "sampling": data.draw(st.sampled_from(SAMPLINGS))}
    same(
        distrl.learn(mdp, distrl.QuantileTD(4), policy=policy, **common),
        distrl.learn(mdp.under(policy), distrl.QuantileTD(4), **common),
    )
    with pytest.raises(ValueError, match="needs a policy"):
        distrl.learn(mdp, distrl.TD())


def test_records_do_not_change_what_is_learnt():
    model = noisy_chain()
    few = distrl.learn(model, distrl.QuantileTD(5), updates=200, records=1, rng=0)
    many = distrl.learn(model, distrl.QuantileTD(5), updates=200, records=200, rng=0)
    np.testing.assert_array_equal(few.final.values, many.final.values)
    assert many.updates.tolist() == list(range(1, 201))
    for t in (1, 57, 200):
        np.testing.assert_allclose(many.at(t).mean(), many.values[t - 1], rtol=1e-13, atol=1e-14)


def test_seeds_of_every_kind_are_reproducible():
    def learn(rng):
        return distrl.learn(noisy_chain(), distrl.TD(), updates=20, replications=3, rng=rng).values

    for make in (
        lambda: 3,
        lambda: [3, 4],
        lambda: np.random.SeedSequence(3),
        lambda: np.random.default_rng(3),
        lambda: np.random.PCG64(3),
    ):
        np.testing.assert_array_equal(learn(make()), learn(make()))
    np.testing.assert_array_equal(learn(3), learn(np.random.SeedSequence(3)))
    shared = np.random.default_rng(3)
    assert not np.array_equal(learn(shared), learn(shared))  # a generator moves on
    assert not np.array_equal(learn(None), learn(None))


def test_replication_k_draws_its_outcomes_from_child_k_of_the_seed():
    # an oracle in plain Python: one number a step, found in the row's cumulative probabilities
    p = np.array([[0.2, 0.5, 0.3], [0.0, 0.1, 0.9], [0.6, 0.4, 0.0]])
    r = np.arange(9.0).reshape(3, 3)
    run = distrl.learn(distrl.MRP(p, r, 0.5), distrl.TD(), step_size=0.5, updates=40, replications=3, rng=8)
    for k, seed in enumerate(np.random.SeedSequence(8).spawn(3)):
        rng, values = np.random.default_rng(seed), np.zeros(3)
        for _ in range(40):
            nexts = [int(np.searchsorted(np.cumsum(p[s]), rng.random(), side="right")) for s in range(3)]
            values = values + 0.5 * (r[range(3), nexts] + 0.5 * values[nexts] - values)
        np.testing.assert_allclose(run.final.values[k], values, atol=1e-14)


@given(mrps(max_states=4, discounts=st.sampled_from([0.0, 0.5, 0.9])), st.integers(0, 99), st.sampled_from(SAMPLINGS))
def test_categorical_means_and_td_values_differ_by_a_vanishing_constant(mrp, seed, sampling):
    # without clipping the projection keeps means, so the two differ by what their starts do
    grid = distrl.Grid.covering(mrp, 21)
    updates, a = 60, 0.3
    common = {"step_size": a, "updates": updates, "rng": seed, "sampling": sampling, "records": updates}
    middle = 0.5 * (grid.low + grid.high)
    categorical = distrl.learn(mrp, distrl.CategoricalTD(grid=grid), **common)
    scale = 1e-12 * (1 + grid.width + abs(middle))
    equal = distrl.learn(mrp, distrl.TD(), start=np.full(mrp.n_states, middle), **common)
    np.testing.assert_allclose(categorical.values, equal.values, rtol=0, atol=scale)
    if sampling == "synchronous" and not mrp.outcomes.terminals.any():
        other = distrl.learn(mrp, distrl.TD(), start=np.full(mrp.n_states, middle + 1.0), **common)
        decay = (1 - a * (1 - mrp.discount)) ** np.arange(1, updates + 1)
        gap = other.values - categorical.values
        np.testing.assert_allclose(gap, np.broadcast_to(decay[:, None, None], gap.shape), rtol=0, atol=scale)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_middle_expectile_learns_as_td_does(sampling):
    common = {"updates": 300, "replications": 2, "rng": 4, "sampling": sampling, "step_size": 0.05}
    for n in (1, 4, 7):
        expectile = distrl.learn(noisy_chain(), distrl.ExpectileTD(n), **common)
        td = distrl.learn(noisy_chain(), distrl.TD(), **common)
        np.testing.assert_allclose(expectile.values, td.values, atol=1e-11)


def test_harmonic_monte_carlo_is_the_average_of_the_returns():
    mrp = distrl.MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], 0.5)
    run = distrl.learn(mrp, distrl.MonteCarloTD(), step_size=Harmonic(), updates=200, rng=1)
    rng, returns = np.random.default_rng(np.random.SeedSequence(1).spawn(1)[0]), []
    while len(returns) < 200:
        length = 1
        while rng.random() < 0.5:  # the continuing row comes first
            length += 1
        returns.append(2 * (1 - 0.5**length))
    assert run.final.values[0, 0] == pytest.approx(np.mean(returns), abs=1e-12)


def test_an_interrupted_run_keeps_what_was_done_and_goes_on():
    def stop(share, updates, seconds):
        if updates >= 20:
            raise KeyboardInterrupt

    model = noisy_chain()
    common = {"updates": 800, "replications": 3, "rng": 2, "records": [5, 9, 800]}
    run = distrl.learn(model, distrl.QuantileTD(5), progress=stop, **common)
    assert run.status is LearningStatus.INTERRUPTED
    assert 20 <= run.done < 800 and run.updates.tolist() == [5, 9, run.done]
    rest = distrl.learn(model, distrl.QuantileTD(5), updates=800 - run.done, records=1, resume=run)
    assert rest.status is LearningStatus.DONE
    whole = distrl.learn(model, distrl.QuantileTD(5), **common)
    np.testing.assert_array_equal(rest.final.values, whole.final.values)


def test_ctrl_c_from_the_keyboard_stops_a_long_run():
    model = noisy_chain()
    distrl.learn(model, distrl.CategoricalTD(grid=GRID), updates=2, sampling="trajectory")  # compiled by now
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    run = distrl.learn(model, distrl.CategoricalTD(grid=GRID), updates=10**9, replications=4, sampling="trajectory")
    timer.join()
    assert run.status is LearningStatus.INTERRUPTED
    assert 0 < run.done < 10**9 and run.updates.tolist() == [run.done]
    assert (run.visits.sum(axis=1) == run.done).all()


def test_progress_reports_shares_that_end_at_one():
    seen = []
    distrl.learn(noisy_chain(), distrl.TD(), updates=500, progress=lambda *args: seen.append(args))
    shares = [share for share, _, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0 and seen[-1][1] == 500


def test_errors_are_distances_to_the_truth_and_intervals_hold_their_mean():
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.5)
    truth = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(atoms=21))
    run = distrl.learn(mrp, distrl.CategoricalTD(21), updates=50, replications=6, records=4, rng=0)
    errors = run.errors(truth, distrl.cramer, over=None)
    for t, count in enumerate(run.updates):
        for k in range(6):
            np.testing.assert_array_equal(errors[t, k], distrl.cramer(run.at(count)[k], truth.returns))
    np.testing.assert_array_equal(run.errors(truth, distrl.cramer), errors.max(axis=-1))
    means = run.errors(truth.values, over="mean")
    np.testing.assert_allclose(means, np.abs(run.values - truth.values).mean(axis=-1))
    td = distrl.learn(mrp, distrl.TD(), updates=50, replications=6, records=4, rng=0)
    np.testing.assert_allclose(td.errors(truth), np.abs(td.values - truth.values).max(axis=-1))
    for method in ("bootstrap", "t"):
        interval = run.interval(truth, method=method)
        centre = run.errors(truth).mean(axis=1)
        assert interval.shape == (4, 2)
        assert ((interval[:, 0] <= centre) & (centre <= interval[:, 1])).all()
    by_hand = stats.t.interval(0.95, 5, run.errors(truth).mean(axis=1), stats.sem(run.errors(truth), axis=1))
    np.testing.assert_allclose(run.interval(truth, method="t"), np.transpose(by_hand), rtol=1e-12)


def test_error_curves_are_drawn_with_their_intervals():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.5)
    truth = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(atoms=21))
    run = distrl.learn(mrp, distrl.CategoricalTD(21), updates=50, replications=9, records=4, rng=0)
    axes = run.plot(truth, level=0.9)
    x, y = axes.lines[0].get_data()
    np.testing.assert_array_equal(x, run.updates)
    np.testing.assert_array_equal(y, run.errors(truth).mean(axis=1))
    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(run.interval(truth, level=0.9).min())
    run.plot(truth, ax=axes, label="again")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["CategoricalTD", "again"]
    matplotlib.pyplot.close(axes.figure)
    few = distrl.learn(mrp, distrl.CategoricalTD(21), updates=50, replications=3, records=4, rng=0)
    axes = few.plot(truth)
    points = axes.collections[0].get_offsets()
    np.testing.assert_array_equal(points[:, 1].reshape(4, 3), few.errors(truth))  # every replication, and no band
    assert len(axes.collections) == 1
    matplotlib.pyplot.close(axes.figure)


def test_a_saved_run_holds_what_was_recorded(tmp_path):
    run = distrl.learn(noisy_chain(), distrl.QuantileTD(4), updates=30, replications=2, records=3, rng=0)
    run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        np.testing.assert_array_equal(file["estimates"][-1], run.final.values)
        np.testing.assert_array_equal(file["values"], run.values)
        np.testing.assert_array_equal(file["levels"], run.final.levels)
    with pytest.raises(ValueError, match=r"\.npz"):
        run.save(tmp_path / "run.csv")


def test_the_summary_names_method_status_and_states_never_seen():
    mrp = distrl.MRP(np.eye(3), [1.0, 2.0, 3.0], 0.5, initial=[1, 0, 0])
    run = distrl.learn(mrp, distrl.TD(), updates=10, sampling="trajectory", rng=0)
    text = run.summary()
    assert "TD(" in text and run.status.value in text and "2 state(s) were never renewed" in text


def test_negative_mass_is_reported_and_laws_are_laws():
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    method = distrl.CategoricalTD(31, variant=VarianceReduced(epoch=20, gathering=10))
    run = distrl.learn(mrp, method, step_size=0.5, updates=60, replications=4, records=60, rng=0)
    assert run.negative_mass.max() > 0.01
    for count in run.updates:
        probs = run.at(count).probs
        assert probs.min() >= 0 and np.abs(probs.sum(axis=-1) - 1).max() < 1e-12
    assert run.negative_mass[-1].max() > 0
    assert "negative mass" in run.summary()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": distrl.TD}, "create it"),
        ({"method": distrl.CategoricalFixedPoint()}, "method must be"),
        ({"policy": "uniform"}, "leave policy out"),
        ({"step_size": 1.5}, "at most 1"),
        ({"step_size": -0.1}, "step_size must be positive"),
        ({"step_size": Harmonic(scale=5)}, "offset of at least scale - 1"),
        ({"step_size": [0.1, 0.1]}, "lists 2 steps"),
        ({"updates": 0}, "updates"),
        ({"replications": 0}, "replications"),
        ({"records": 0}, "records"),
        ({"records": [5, 3]}, "increasing"),
        ({"records": [20]}, "records"),
        ({"sampling": "episodes"}, "sampling must be one of"),
        ({"start": np.zeros(4)}, r"it must be \(3,\)"),
        ({"start": np.zeros((2, 3))}, r"or \(1, 3\) with replications"),
        ({"rng": "seed"}, "rng"),
        ({"threads": 0}, "threads"),
        ({"progress": 3}, "progress"),
        ({"replications": 10**12}, "GB"),
        ({"method": distrl.CategoricalTD()}, "unbounded"),
        ({"method": distrl.CategoricalTD(grid=GRID), "start": np.ones((3, 9))}, "start of state 0 sum to 9"),
        ({"method": VARIANTS[0], "sampling": "generative"}, "synchronous"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given = {"method": distrl.TD(), "updates": 10, **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        distrl.learn(noisy_chain(), given.pop("method"), **given)


def test_episodes_without_end_are_refused_as_monte_carlo_targets():
    mrp = distrl.MRP([[0, 1, 0], [1, 0, 0], [0, 0, 1]], [1.0, 1.0, 0.0], 0.9, terminal=[0, 0, 1])
    with pytest.raises(ValueError, match="from state 0"):
        distrl.learn(mrp, distrl.MonteCarloTD())


def test_a_resumed_run_refuses_what_is_not_its_own():
    model = noisy_chain()
    run = distrl.learn(model, distrl.TD(), updates=5, step_size=0.2, replications=2, rng=0, sampling="generative")
    assert distrl.learn(noisy_chain(), distrl.TD(), updates=5, resume=run).done == 10
    same = {"step_size": 0.2, "replications": 2, "rng": 0, "sampling": "generative"}
    assert distrl.learn(model, distrl.TD(), updates=5, resume=run, **same).done == 10
    for arguments, message in [
        ({"step_size": 0.3}, "leave step_size out"),
        ({"step_size": 0.1}, "leave step_size out"),  # what a new run has by default is not what this one has
        ({"replications": 1}, "leave them out"),
        ({"replications": 3}, "leave them out"),
        ({"sampling": "trajectory"}, "leave it out"),
        ({"rng": 1}, "random streams"),
        ({"rng": np.random.default_rng(0)}, "random streams"),
        ({"start": np.zeros(3)}, "own estimates"),
        ({"records": [3]}, "records"),
    ]:
        with pytest.raises(ValueError, match=message):
            distrl.learn(model, distrl.TD(), updates=5, resume=run, **arguments)
    with pytest.raises(ValueError, match="not of"):
        distrl.learn(model, distrl.QuantileTD(3), updates=5, resume=run)
    with pytest.raises(ValueError, match="another model"):
        distrl.learn(distrl.MRP(np.eye(3), [0, 0, 1], 0.9), distrl.TD(), updates=5, resume=run)
    with pytest.raises(ValueError, match="nothing was recorded"):
        run.at(7)


@pytest.mark.parametrize("method", [distrl.TD(), distrl.CategoricalTD(21), distrl.QuantileTD(5), distrl.ExpectileTD(3)])
def test_errors_against_means_are_those_of_the_means(method):
    """An array holds means, for every method: an array's own mean() is one number, and not that."""
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    run = distrl.learn(mrp, method, updates=30, replications=3, records=4, rng=0)
    truth = [6.5, 3.5]
    for means in (np.array(truth), truth) if isinstance(method, distrl.TD) else (np.array(truth),):
        np.testing.assert_array_equal(run.errors(means, over=None), np.abs(run.values - np.array(truth)))
    if isinstance(method, distrl.TD):
        solution = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(21))
        for means in (solution, solution.returns):
            np.testing.assert_array_equal(run.errors(means), np.abs(run.values - solution.values).max(axis=-1))
