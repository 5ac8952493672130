"""Nobody waits in silence: what the work is at is told, and Ctrl-C ends it soon."""

import time

import numpy as np
import pytest

import distrl
from distrl import MRP, Brackets, CategoricalFixedPoint, FiniteLaw, MonteCarlo, QuantileDP, Status, evaluate
from distrl._kernels.categorical import solve_states
from distrl.dp.progress import progress_hook
from distrl.operators import CategoricalBellman

MODEL = MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.99)
ACYCLIC = MRP.from_outcomes([(x, 0.5, y, float(x), False) for x in range(20) for y in (x, min(x + 1, 19))], 0.9)


class Hook:
    def __init__(self):
        self.phases, self.calls = [], []

    def phase(self, words):
        self.phases.append(words)

    def __call__(self, share, applications, bound):
        self.calls.append((share, applications, bound))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("method", "model", "words"),
    [
        (CategoricalFixedPoint(51), MODEL, ["building", "solving 2 states by banded", "certifying"]),
        (CategoricalFixedPoint(51, solver="krylov"), MODEL, ["building", "solving by krylov", "certifying"]),
        (CategoricalFixedPoint(51), ACYCLIC, ["building", "solving 20 states one after", "certifying"]),
        (QuantileDP(11), MODEL, ["building", "solving for quantiles", "certifying"]),
        (distrl.ExpectileDP(3), MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.5), ["sweeping", "certifying"]),
        (Brackets(21), MODEL, ["building", "certifying", "sweeping the lower law"]),
        (Brackets(21, order="stochastic"), MODEL, ["building", "sweeping the lower law", "sweeping the upper law"]),
        (MonteCarlo(10), MODEL, ["sampling"]),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_every_phase_is_told_in_its_order(method, model, words):
    hook = Hook()
    evaluate(model, method, progress=hook, rng=0)
    places = [next(k for k, told in enumerate(hook.phases) if told.startswith(word)) for word in words]
    assert places == sorted(places) and all(0.0 <= share <= 1.0 for share, _, _ in hook.calls)
    evaluate(model, method, progress=lambda *_: None, rng=0)  # a plain callable is told nothing else


@pytest.mark.fast
def test_states_solved_one_after_the_other_can_be_followed_and_interrupted(monkeypatch):
    monkeypatch.setattr("distrl.dp.auto._AT_A_TIME", 5 * 31)
    hook = Hook()
    assert evaluate(ACYCLIC, CategoricalFixedPoint(31), progress=hook).solver == "exact"
    assert [share for share, _, _ in hook.calls[:4]] == [0.25, 0.5, 0.75, 1.0]

    def stop(share, applications, bound):
        if share >= 0.5:
            raise KeyboardInterrupt

    sol = evaluate(ACYCLIC, CategoricalFixedPoint(31), progress=stop, throw=False)
    assert sol.status is Status.INTERRUPTED and np.isfinite(sol.certificate.w1).all()
    np.testing.assert_allclose(np.asarray(sol.returns.probs).sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.fast
def test_the_bar_says_which_phase_it_is(capsys):
    pytest.importorskip("tqdm")
    evaluate(MODEL, CategoricalFixedPoint(51), progress=True)
    assert "certifying" in capsys.readouterr().err
    hook, close = progress_hook(True)
    hook.phase("counting sheep")
    hook(0.5, 3, 1.0)
    close()
    assert "counting sheep" in capsys.readouterr().err


@pytest.mark.fast
@pytest.mark.slow_without_jit
def test_a_loop_with_several_rewards_on_many_atoms_is_no_matter_of_minutes():
    """Passes over the loop's own cells stop helping long before the last of 500; what is left is for another solver."""
    model = MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.9)
    sol = evaluate(model, CategoricalFixedPoint(300_001))
    assert sol.converged and sol.bound <= sol.tol
    assert sol.values[0] == pytest.approx(5.0, abs=1e-8)
    operator = CategoricalBellman(model, sol.returns.grid)
    cdf, image = np.ones((1, 300_001)), np.ones((1, 300_001))

    def seconds(call):
        begun = time.process_time()
        call()
        return time.process_time() - begun

    def apply():
        for _ in range(20):
            operator.apply_cdf(cdf, image)

    passes = seconds(lambda: solve_states(cdf, operator.plan, np.array([0])))
    assert passes < 50.0 * seconds(apply)  # 1,000 applications; it takes about 300, and 500 passes took 2,500
