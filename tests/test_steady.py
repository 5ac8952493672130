"""What a program has set up does not change what a call gives: BLAS threads, NumPy's error state, warnings."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import scipy.stats as st

import distrl
from distrl import (
    MRP,
    TD,
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    CategoricalTD,
    ExpectileDP,
    ExpectileTD,
    FiniteLaw,
    Grid,
    Moments,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    QuantileTD,
    environments,
    estimate,
    evaluate,
    learn,
)
from distrl._steady import _libraries, _OneBlasThread, steady

ROOT = pathlib.Path(__file__).resolve().parent
GRID = Grid(-60.0, 80.0, 61)

MAKE = {
    "a coin": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9),
    "a walk": lambda: MRP([[0, 1, 0], [0.5, 0, 0.5], [0, 0, 1.0]], [1.0, 0.0, 0.0], 0.99),
    "an end": lambda: MRP([[0.9, 0.1], [0.0, 1.0]], [1.0, 0.0], 1.0, terminal=[False, True]),
    "nothing": lambda: MRP([[1.0]], [0.0], 0.5),
    "discount 0": lambda: MRP([[1.0]], [3.0], 0.0),
    "normal": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [st.norm(0, 1), st.norm(3, 0.1)], 0.9),
    "bounded": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [st.uniform(0, 1), st.beta(2, 3)], 0.9),
    "skew": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [st.gamma(0.3), st.expon()], 0.9),
    "counts": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [st.poisson(3), st.geom(0.3)], 0.9),
    "finite": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [FiniteLaw([0, 1, 5.0], [0.2, 0.3, 0.5]), 1.0], 0.9),
    "tiny rewards": lambda: MRP([[0.5, 0.5], [0.5, 0.5]], [1e-200, 2e-200], 0.9),
    "rare": lambda: MRP([[1 - 1e-12, 1e-12], [0, 1]], [0, 1.0], 0.99),
    "a garnet": lambda: environments.garnet(15, 2, 3, discount=0.95, rng=0).under("uniform"),
}
MODELS = {name: make() for name, make in MAKE.items()}
METHODS = {
    "fixed point": CategoricalFixedPoint(grid=GRID),
    "direct": CategoricalFixedPoint(grid=GRID, solver="direct"),
    "krylov": CategoricalFixedPoint(grid=GRID, solver="krylov"),
    "iterate": CategoricalFixedPoint(grid=GRID, solver="iterate"),
    "categorical DP": CategoricalDP(grid=GRID, sweeps=30),
    "quantile DP": QuantileDP(11),
    "expectile DP": ExpectileDP(5),
    "particle DP": ParticleDP(20, grid=GRID),
    "moments": Moments(4),
    "Monte Carlo": MonteCarlo(50),
    "convex brackets": Brackets(grid=GRID),
    "stochastic brackets": Brackets(grid=Grid(-400.0, 400.0, 81), order="stochastic"),
}
FUNCTIONALS = (("mean", None), ("variance", None), ("cvar", 0.1), ("cdf", 1.0), ("quantile", 0.5))
BOUNDED = set(MODELS) - {"normal", "skew", "counts", "an end"}  # returns that no grid needs to clip


@pytest.fixture
def strict():
    """A program that makes errors of everything: what a careful user, or a test suite, sets up."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_where_numpy_raises_and_warnings_are_errors(method, model, strict):
    if method == "stochastic brackets" and model not in BOUNDED:
        pytest.skip("they need a grid that clips nothing")
    solution = evaluate(MODELS[model], METHODS[method], rng=0, throw=False)
    assert solution.summary() and solution.table()
    for functional, at in FUNCTIONALS:
        assert (solution.interval(functional, at) <= np.inf).all()
    returns = solution.returns
    if method != "moments" and "brackets" not in method:
        assert returns.var().shape and returns.cdf([0.0, 1.0]).shape and returns.quantile([0.01, 0.5]).shape
        assert returns.cvar([0.1, 0.5]).shape and returns.cvar(0.1, "upper").shape and returns.sample(5, 0).shape
        assert returns.entropic_risk(1.0).shape and returns.entropic_risk(-100.0).shape and returns.expectile(0.3).shape
        for distance in (distrl.wasserstein, distrl.cramer, distrl.kolmogorov, distrl.energy):
            assert distance(returns, [st.norm(0, 1)] * len(returns)).shape and not distance(returns, returns).any()


@pytest.mark.parametrize("model", MAKE)
def test_models_are_made_there_too(model, strict):
    made = MAKE[model]()
    np.testing.assert_array_equal(made.expected_rewards, MODELS[model].expected_rewards)
    assert distrl.GenerativeModel(made).sample(5, rng=0).n_states == made.n_states


@pytest.mark.parametrize("model", MODELS)
def test_so_do_learners_and_estimates(model, strict):
    for method in (TD(), CategoricalTD(grid=GRID), QuantileTD(5), ExpectileTD(3)):
        run = learn(MODELS[model], method, updates=50, replications=3, rng=0)
        assert run.summary() and run.errors(np.zeros(MODELS[model].n_states)).shape
    found = estimate(MODELS[model], CategoricalFixedPoint(grid=GRID), samples_per_state=50, rng=0, throw=False)
    assert found.summary()
    for functional, at in (*FUNCTIONALS, ("w1", None), ("ks", None)):
        for method in ("delta", "bootstrap"):
            assert found.interval(functional, at, method=method, rng=0, resamples=10).shape


def test_a_programs_error_state_and_blas_threads_are_its_own_again_afterwards():
    before = [get() for _, get in _libraries()]
    with np.errstate(all="raise"):
        evaluate(MODELS["a coin"], METHODS["fixed point"])
        with pytest.raises(ValueError):
            evaluate(MODELS["a coin"], METHODS["fixed point"], tol=-1.0)
        assert set(np.geterr().values()) == {"raise"}
    assert [get() for _, get in _libraries()] == before


# -- BLAS

BLAS = """
import json, sys
import numpy as np
import scipy.linalg, scipy.sparse.linalg
from distrl._steady import _libraries
set_to = [get() for _, get in _libraries()]
import distrl, scipy.stats as st
from distrl import *
import verbs
rng = np.random.default_rng(0)
n = 140
P = rng.random((n, n)) ** 8
P /= P.sum(axis=1, keepdims=True)
P[:, 0] += 1.0 - P.sum(axis=1)
laws = [st.norm(0.0, 1.0), st.gamma(2.0)]
model = MRP(P, [laws[k % 2] for k in range(n)], 0.97)
grid = Grid(-80.0, 200.0, 281)
found = verbs.all_jobs(1)
for solver in ("auto", "krylov"):
    method = CategoricalFixedPoint(grid=grid, solver=solver)
    found[f"dense, {solver}"] = verbs.of_solution(evaluate(model, method, throw=False))
numbers = MRP(P, rng.normal(size=n), 0.97)
found["direct"] = verbs.of_solution(evaluate(numbers, CategoricalFixedPoint(31, solver="direct")))
found["quantiles"] = verbs.of_solution(evaluate(numbers, QuantileDP(60), throw=False))
found["moments"] = verbs.of_solution(evaluate(model, Moments(2)))
run = learn(numbers, CategoricalTD(grid=grid), updates=40, replications=4, rng=0)
found["learn"] = verbs.digest(run.values, run.negative_mass)
est = estimate(numbers, CategoricalFixedPoint(9), samples_per_state=60, rng=0)
found["ks"] = verbs.digest(est.interval("ks", rng=0, resamples=20), est.interval("mean"), est.enclosure("cvar", 0.1))
found["start"] = verbs.digest(evaluate(MRP(P, rng.normal(size=n), 0.9, initial=P[3]), CategoricalFixedPoint(401)).start)
values = rng.normal(size=60_000)
weights = rng.random(60_000)
long = FiniteLaw(values, weights / weights.sum())
numbers_of_it = [long.mean, long.variance, long.moment(3), long.central_moment(3)]
found["a law on many values"] = verbs.digest(np.array(numbers_of_it))
T = operators.CategoricalBellman(model, grid)
laws = np.full((n, 281), 1.0 / 281.0)
found["an operator"] = verbs.digest(T(laws), T.cdf(np.cumsum(laws, axis=1)), T.offset())
Phi = operators.StochasticCDFBellman(numbers, Grid.covering(numbers, 21))
variations = Phi.local_variation(), Phi.global_variation()
found["a stochastic operator"] = verbs.digest(Phi.mean(), Phi.sample(2, 0), *variations)
mixed = MRP([[1.0]], [long], 0.9)
found["their solution"] = verbs.of_solution(evaluate(mixed, CategoricalFixedPoint(51)))
print(json.dumps([set_to, found]))
"""


@pytest.mark.nightly
def test_the_number_of_blas_threads_does_not_change_one_bit():
    if not _libraries():
        pytest.skip("this BLAS is not one that can be told its number of threads")
    answers = []
    for threads in (1, 4):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        environment["PYTHONPATH"] = f"{ROOT.parent}{os.pathsep}{ROOT}"
        done = subprocess.run(
            [sys.executable, "-c", BLAS], env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr

        set_to, found = json.loads(done.stdout)
        assert set_to == [min(threads, os.cpu_count())] * len(set_to)
        answers.append(found)
    for other in answers[1:]:
        assert {name for name in other if other[name] != answers[0][name]} == set()


def set_blas(threads):
    for setter, _ in _libraries():
        setter(threads)


@pytest.fixture
def two_threads():
    before = [get() for _, get in _libraries()]
    set_blas(2)
    if any(get() != 2 for _, get in _libraries()):
        pytest.skip("one core")
    yield
    for (setter, _), number in zip(_libraries(), before, strict=True):
        setter(number)


def blas():
    return [get() for _, get in _libraries()]


def test_blas_has_one_thread_while_any_call_is_inside(two_threads):
    seen = []
    inner = steady(lambda: seen.append(blas()))
    outer = steady(lambda: (inner(), seen.append(blas())))
    outer()
    assert seen == [[1] * len(blas())] * 2 and blas() == [2] * len(blas())
    entered, leave = threading.Event(), threading.Event()

    @steady
    def other():
        entered.set()
        leave.wait(20.0)

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait(20.0)
    inner()
    assert blas() == [1] * len(blas())  # the other one is still inside
    leave.set()
    thread.join()
    assert blas() == [2] * len(blas())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_child_that_is_forked_while_another_thread_is_inside_gets_its_threads_back(two_threads):
    entered, leave = threading.Event(), threading.Event()

    @steady
    def other():
        entered.set()
        leave.wait(20.0)

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait(20.0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # the thread that is inside is not here
        with _OneBlasThread():
            inside = blas()
        os.write(writing, repr((inside, blas())).encode())
        os._exit(0)
    os.waitpid(child, 0)
    leave.set()
    thread.join()
    assert os.read(reading, 1000).decode() == repr(([1] * len(blas()), [2] * len(blas())))
