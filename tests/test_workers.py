"""Processes and threads of other libraries finish every verb, and bring its errors back.

A worker that hangs ends in a timeout, which is a failure.
"""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import verbs
from scipy import stats

import distrl
from distrl import (
    MRP,
    CategoricalFixedPoint,
    CategoricalTD,
    ConvergenceError,
    EvaluationInterrupted,
    GenerativeModel,
    MonteCarlo,
    _threads,
    estimate,
    evaluate,
    learn,
    operators,
    td,
)

PATIENCE = 300  # seconds


@pytest.fixture
def threads_at_work(monkeypatch):
    """The parent has used its threads, as most programs will have before they start workers."""
    monkeypatch.setattr("distrl._threads.PARALLEL_SIZE", 0)
    for name in ("evaluate: fixed point", "learn: TD", "bootstrap: mean"):
        verbs.job(name, 4)


@contextmanager
def processes(how):
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(how))
    try:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=PATIENCE)
    finally:
        for process in (pool._processes or {}).values():
            process.kill()  # one that hangs is not waited for
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def joblib_workers(backend):
    joblib = pytest.importorskip("joblib")
    with joblib.Parallel(n_jobs=2, backend=backend, timeout=PATIENCE) as parallel:
        yield lambda function, *arguments: parallel([joblib.delayed(function)(*arguments)] * 2)[-1]


@contextmanager
def dask_workers(in_processes):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=in_processes, dashboard_address=None, silence_logs=50
    )
    with cluster, distributed.Client(cluster) as client:
        if in_processes:
            client.run(lambda path: __import__("sys").path.insert(0, path), os.path.dirname(verbs.__file__))
        yield lambda function, *arguments: client.submit(function, *arguments, pure=False).result(timeout=PATIENCE)


WORKERS = {
    "a forked process": lambda: processes("fork"),
    "a spawned process": lambda: processes("spawn"),
    "a process of joblib": lambda: joblib_workers("loky"),
    "a thread of joblib": lambda: joblib_workers("threading"),
    "a process of Dask": lambda: dask_workers(True),
    "a thread of Dask": lambda: dask_workers(False),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORKERS)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_every_verb_is_finished_and_every_error_comes_back(kind, threads_at_work):
    here = verbs.all_jobs()
    expected = verbs.caught()
    with WORKERS[kind]() as call:
        assert call(verbs.all_jobs) == here
        assert call(verbs.all_jobs, 4) == here
        with pytest.raises(ConvergenceError) as error:
            call(verbs.failing)
        assert verbs.of_solution(error.value.solution) == expected
        with pytest.raises(ValueError, match="policy"):
            call(verbs.wrong)
        assert call(verbs.job, "learn: TD") == here["learn: TD"]  # it goes on after an error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_fork_while_other_threads_are_at_work(threads_at_work):
    """Whatever locks and threads the others hold at that moment, the child has none of them."""
    with multiprocessing.get_context("fork").Pool(1) as pool, _threads._starting:
        result = pool.apply_async(verbs.job, ("evaluate: fixed point", 4))
        assert result.get(timeout=PATIENCE)
    context = multiprocessing.get_context("fork")
    with _threads._starting, context.Pool(1) as pool:  # forked with the lock held
        assert pool.apply_async(verbs.job, ("learn: TD", 4)).get(timeout=PATIENCE)


def with_given(model, laws, solution, run):
    """Of objects that came from another process."""
    method = verbs.METHODS["fixed point"]
    found = estimate(model, method, policy="uniform", samples_per_state=40, rng=2)
    return [
        verbs.of_solution(evaluate(model, method, policy="uniform")),
        verbs.of_solution(evaluate(laws, verbs.METHODS["quantile DP"])),
        verbs.digest(found.interval("mean"), found.interval("ks", rng=0, resamples=5)),
        verbs.digest(solution.interval("cvar", 0.1), solution.action_returns, solution.returns.cvar(0.1)),
        verbs.digest(learn(run.model, run.method, updates=5, resume=run).values),
    ]


@pytest.mark.slow
def test_a_worker_that_is_given_big_arrays_as_read_only_maps_of_files():
    joblib = pytest.importorskip("joblib")
    given = verbs.MDP, verbs.LAWS, SOLVED["fixed point"], LEARNT
    with joblib.Parallel(n_jobs=2, backend="loky", max_nbytes=1, timeout=PATIENCE) as parallel:
        assert parallel([joblib.delayed(with_given)(*given)]) == [with_given(*given)]


COMPILING = """
import os, signal, sys, threading, time
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from distrl._kernels.krylov import largest

holding = threading.Event()

def compile_something():
    with global_compiler_lock:
        holding.set()
        time.sleep(1.0)

thread = threading.Thread(target=compile_something)
thread.start()
holding.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that hangs
    os._exit(0 if largest(np.array([1.0, 3.0])) == 3.0 else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_fork_while_another_thread_compiles():
    done = subprocess.run([sys.executable, "-c", COMPILING], capture_output=True, text=True, timeout=200)
    assert done.stdout.strip() == "0", (done.stdout, done.stderr)


# -- pickles and copies

LEARNT = learn(verbs.LAWS, td.CategoricalTD(grid=verbs.GRID), updates=30, replications=2, rng=0)
SOLVED = {name: evaluate(verbs.MDP, method, policy="uniform", rng=0) for name, method in verbs.METHODS.items()}
ESTIMATE = estimate(verbs.LAWS, CategoricalFixedPoint(grid=verbs.GRID), samples_per_state=30, rng=0)


def learner():
    made = CategoricalTD(grid=verbs.GRID, steps=3).learner(5, discount=0.9)
    made.update_batch([0, 1, 2, 3], [1.0, 2.0, 0.5, 1.5], [1, 2, 3, 4], [False] * 4)
    return made


def of_learner(made):
    made = copy.deepcopy(made)
    made.update(4, 2.0, 0, True)  # with what waits in it
    return verbs.digest(made.returns, made.visits)


def of_model(model):
    return verbs.of_solution(evaluate(model, CategoricalFixedPoint(grid=verbs.GRID)))


def of_estimate(found):
    return verbs.of_solution(found) + verbs.digest(found.interval("ks", rng=0, resamples=5))


def of_run(run):
    further = learn(run.model, run.method, updates=20, resume=run)
    return verbs.digest(further.values, run.final, run.visits, run.negative_mass)


def of_linear(operator):
    vector = np.arange(float(operator.shape[1]))
    return verbs.digest(operator @ vector, operator.T @ np.arange(float(operator.shape[0])))


OBJECTS = {
    **{f"the solution of {name}": (solution, verbs.of_solution) for name, solution in SOLVED.items()},
    **{
        f"the certificate of {name}": (s.certificate, lambda c: verbs.digest(c.w1))
        for name, s in SOLVED.items()
        if s.certificate is not None
    },
    "action returns": (SOLVED["fixed point"], lambda s: verbs.digest(s.action_returns)),
    "an estimate": (ESTIMATE, of_estimate),
    "an estimate from a learner": (
        estimate(verbs.LAWS, CategoricalTD(grid=verbs.GRID), samples_per_state=30, rng=0),
        verbs.of_solution,
    ),
    "an estimate from rollouts": (estimate(verbs.LAWS, MonteCarlo(2), samples_per_state=900, rng=0), verbs.of_solution),
    "a run": (LEARNT, of_run),
    "a learner": (learner(), of_learner),
    "a model": (verbs.LAWS, of_model),
    "a model that was used": (LEARNT.model, of_model),
    "an empirical model": (ESTIMATE.empirical, of_model),
    "a generative model": (GenerativeModel(verbs.LAWS), lambda g: of_model(g.sample(20, rng=0))),
    "a decision process": (verbs.MDP, lambda m: of_model(m.under("uniform"))),
    "gamma and Poisson rewards": (MRP([[1.0]], [stats.poisson(3.0)], 0.9), of_model),
    "a categorical operator": (
        operators.CategoricalBellman(verbs.LAWS, verbs.GRID),
        lambda T: verbs.digest(T(np.full((3, 57), 1 / 57))),
    ),
    "its linear part": (
        operators.CategoricalBellman(verbs.MDP.under("uniform"), verbs.GRID).linear_operator(),
        of_linear,
    ),
    "a quantile operator": (operators.QuantileBellman(verbs.LAWS, 7), lambda T: verbs.digest(T(np.zeros((3, 7))))),
    "a stochastic operator": (
        operators.StochasticCDFBellman(verbs.MDP.under("uniform"), verbs.GRID),
        lambda T: verbs.digest(T.mean(), T.sample(2, 0)),
    ),
}


TRIPS = {
    "pickle 2": lambda thing: pickle.loads(pickle.dumps(thing, 2)),
    "pickle 5": lambda thing: pickle.loads(pickle.dumps(thing, 5)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("again", TRIPS.values(), ids=TRIPS)
def test_an_object_gives_the_same_after_a_trip(name, again):
    thing, reading = OBJECTS[name]
    fresh = again(thing)
    expected = reading(thing)
    assert reading(fresh) == expected
    assert reading(again(thing)) == expected  # and after everything that is kept was computed
    assert type(fresh) is type(thing)


VALUES = [
    *verbs.METHODS.values(),
    *verbs.LEARNERS.values(),
    CategoricalTD(grid=verbs.GRID, variant=td.VarianceReduced()),
    verbs.GRID,
    td.Constant(0.2),
    td.Polynomial(2.0, 0.6, 3.0),
    td.Harmonic(2.0, 1.0),
    td.step_sizes.Listed([0.1, 0.2]),
    *distrl.Status,
    *distrl.LearningStatus,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_equal_to_its_copy(value):
    for fresh in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert fresh == value and hash(fresh) == hash(value) and repr(fresh) == repr(value)


@pytest.mark.parametrize("kind", [ConvergenceError, EvaluationInterrupted])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_comes_back_with_its_solution_its_sentence_and_its_notes(kind, protocol):
    error = kind(SOLVED["fixed point"])
    error.add_note("in cell 3")
    fresh = pickle.loads(pickle.dumps(error, protocol))
    assert type(fresh) is kind and str(fresh) == str(error) and fresh.__notes__ == ["in cell 3"]
    assert verbs.of_solution(fresh.solution) == verbs.of_solution(error.solution)
