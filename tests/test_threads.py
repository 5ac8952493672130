"""Every call that works on threads gives the bits of one thread, from wherever and however often it is called.

`HYPOTHESIS_PROFILE=nightly` repeats everything 200 times.
"""

import copy
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import verbs
from scipy import stats

from distrl import MRP, TD, CategoricalFixedPoint, MonteCarlo, _threads, estimate, evaluate, learn

REPETITIONS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 3


@pytest.fixture
def threaded(monkeypatch):
    """However small an array is, threads share it out."""
    monkeypatch.setattr("distrl._threads.PARALLEL_SIZE", 0)


@pytest.mark.parametrize("name", verbs.JOBS)
def test_any_number_of_threads_gives_the_same_bits_every_time(name, threaded):
    one = verbs.job(name, 1)
    for threads in (2, 4, 8):
        for _ in range(REPETITIONS):
            assert verbs.job(name, threads) == one


def test_many_redrawn_models_share_one_factorisation(threaded):
    """The default of `interval("ks")`: all threads solve with the factors of one matrix."""
    found = estimate(verbs.MDP, CategoricalFixedPoint(grid=verbs.GRID), policy="uniform", samples_per_state=40, rng=2)
    for functional in ("ks", "w1"):
        one = found.interval(functional, rng=np.random.default_rng(0), resamples=400, threads=1)
        for _ in range(REPETITIONS):
            many = found.interval(functional, rng=np.random.default_rng(0), resamples=400, threads=8)
            np.testing.assert_array_equal(many, one)


@pytest.mark.nightly
def test_the_threads_of_a_program_share_models_solutions_and_estimates(threaded):
    alone = verbs.all_jobs()
    model, policy = verbs.MDP, "uniform"
    solution = evaluate(model, verbs.METHODS["fixed point"], policy=policy)
    found = estimate(model, verbs.METHODS["fixed point"], policy=policy, samples_per_state=40, rng=2)

    def shared(seed):
        bootstrap = found.interval("mean", method="bootstrap", resamples=12, rng=seed)
        laws = solution.action_returns, solution.returns.cdf_values
        certified = (
            solution.interval("variance"),
            solution.interval("cdf", [1.0, 2.0]),
            found.enclosure("quantile", 0.3),
        )
        text = np.frombuffer((solution.summary() + found.summary()).encode(), dtype=np.uint8)
        return verbs.digest(bootstrap, found.interval("cvar", 0.1), *certified, text, *laws)

    untouched = copy.copy(solution), copy.copy(found)  # nothing is computed yet of what they keep
    expected = {seed: shared(seed) for seed in range(4)}
    solution, found = untouched

    def user(number):
        names = list(verbs.JOBS)
        random.Random(number).shuffle(names)
        for seed in range(4):
            assert shared((seed + number) % 4) == expected[(seed + number) % 4]
        for name in names:
            assert verbs.job(name) == alone[name], name

    with ThreadPoolExecutor(8) as users:
        for future in [users.submit(user, number) for number in range(8)]:
            future.result(timeout=300)


def test_two_threads_read_the_redrawn_laws_of_their_own_seed():
    """The estimate keeps the last redrawn laws; another thread may put those of another seed there meanwhile."""
    found = estimate(verbs.MDP, verbs.METHODS["fixed point"], policy="uniform", samples_per_state=40, rng=2)

    def interval(seed):
        return found.interval("mean", method="bootstrap", resamples=12, rng=seed)

    expected = [interval(seed) for seed in range(2)]
    laws_of_the_other = found.redrawn.last[False]

    class Shared(dict):
        """Another thread's laws arrive right after ours were put here."""

        def __setitem__(self, key, value):
            super().__setitem__(key, laws_of_the_other)

    found.redrawn.last = Shared()
    np.testing.assert_array_equal(interval(0), expected[0])


NESTED = """
import threading
import numpy as np
from distrl import _threads
_threads.PARALLEL_SIZE = 0
filled = np.zeros((16, 64))
together = threading.Barrier(16)  # all threads of the pool are at work before the first one asks

def kernel(row, start, stop):
    row[start:stop] = 1.0

def task(row):
    together.wait()
    _threads.Workers(16, 64).rows(64, kernel, row)

tasks = [lambda row=row: task(row) for row in filled]
_threads.side_by_side(tasks, 16)
assert filled.all()
print("done")
"""


def test_a_task_that_asks_for_threads_itself_does_not_wait_for_ever():
    done = subprocess.run([sys.executable, "-c", NESTED], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "done", done.stderr


def test_a_reward_law_that_evaluates_while_it_is_sampled():
    """A user's own law, drawn on the pool's threads, calls the library itself."""
    inner = verbs.LAWS

    class Nested(stats.rv_continuous):
        def _cdf(self, x):
            return np.clip(x, 0.0, 1.0)

        def _rvs(self, size=None, random_state=None):
            value = evaluate(inner, MonteCarlo(5), rng=1, throw=False).values[0]
            return np.full(size, 0.5) + 0.0 * value

    law = Nested(a=0.0, b=1.0, name="nested")()
    model = MRP([[1.0]], [law], 0.9)
    runs = [learn(model, TD(), updates=20, replications=32, rng=0, threads=threads) for threads in (1, 16)]
    np.testing.assert_array_equal(runs[0].values, runs[1].values)


@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_first_failure_is_raised_and_nothing_is_begun_after_it(join, threads):
    begun = []

    def task(number):
        begun.append(number)
        if number in (3, 5):
            raise ValueError(f"task {number}")

    tasks = [lambda number=number: task(number) for number in range(500)]
    with pytest.raises(ValueError, match="task 3"):
        _threads._Tasks(tasks).run(threads, join=join)
    assert len(begun) < 500


def test_nothing_is_at_work_any_more_after_an_interrupt():
    """Else a thread would go on writing into the arrays that the caller gives back."""
    running = threading.Event()
    left = []

    def task():
        running.set()
        time.sleep(0.3)
        left.append(time.monotonic())

    def interrupted():
        if not running.wait(10.0):
            raise AssertionError("no helper began")
        raise KeyboardInterrupt

    caller = threading.current_thread()

    def work():
        return interrupted() if threading.current_thread() is caller else task()

    with pytest.raises(KeyboardInterrupt):
        _threads._Tasks([work] * 40).run(4, join=True)
    ended = time.monotonic()
    time.sleep(0.5)
    assert left and max(left) <= ended


def test_where_no_thread_can_be_started_the_caller_does_the_work(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("distrl._threads._pool", None)
    monkeypatch.setattr("_thread.start_new_thread", refuse)
    monkeypatch.setattr("distrl._threads.PARALLEL_SIZE", 0)
    assert verbs.job("evaluate: fixed point", 4) and verbs.job("learn: TD", 4) and verbs.job("bootstrap: mean", 4)


INTERRUPTED = """
import os, random, signal, threading, time
from distrl import _threads
signal.signal(signal.SIGINT, signal.default_int_handler)
until, runs, interrupts = time.monotonic() + 4.0, 0, 0

def press():
    moments = random.Random(0)
    while time.monotonic() < until:
        time.sleep(moments.uniform(0.0, 0.0004))
        os.kill(os.getpid(), signal.SIGINT)

def rows(start, stop):
    pass

threading.Thread(target=press, daemon=True).start()
while time.monotonic() < until + 0.1:
    try:
        _threads.side_by_side([lambda: None] * 4, 3)
        _threads.Workers(3, 10**9).rows(100, rows)
        runs += 1
    except KeyboardInterrupt:
        interrupts += 1
print(runs, interrupts)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_at_any_moment_leaves_no_thread_that_waits_for_ever():
    """With locks made of Python, one in some thousands was never given back, and the process never ended."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120)
    runs, interrupts = map(int, done.stdout.split())
    assert done.returncode == 0 and runs > 20 and interrupts > 200
