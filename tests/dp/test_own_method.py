"""A method that a stranger writes, with public names alone, is as good as the library's own."""

from dataclasses import dataclass

import numpy as np
import pytest

import distrl
from distrl import MRP, Grid, Status, evaluate
from distrl.dp import Call, Method, Solution
from distrl.operators import CategoricalBellman
from distrl.returns import CategoricalReturns, MomentReturns, ParticleReturns

MODEL = MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.8, initial=[0.25, 0.75])


@dataclass(frozen=True)
class ValueIteration:
    """Sweeps over laws on a grid; nothing is certified by it."""

    grid: Grid
    sweeps: int = 200

    def solve(self, model: MRP, call: Call) -> Solution:
        operator = CategoricalBellman(model, self.grid)
        laws = np.full((model.n_states, self.grid.atoms), 1.0 / self.grid.atoms)
        moved = np.inf
        with call.interruptible():
            for sweep in range(self.sweeps):
                image = operator(laws)
                moved, laws = float(np.abs(image - laws).max()), image
                call.count()
                call.advance((sweep + 1) / self.sweeps, moved)
        status = Status.INTERRUPTED if call.interrupted else Status.SWEEPS_DONE
        return Solution.of(CategoricalReturns(self.grid, laws), model, self, call, status=status, residual=moved)


@dataclass(frozen=True)
class Tree:
    """Every path of so many steps: particles, as many for each state as there are paths."""

    depth: int = 6

    def solve(self, model: MRP, call: Call) -> Solution:
        values, weights = np.zeros((model.n_states, 1)), np.ones((model.n_states, 1))
        p = model.continuation.toarray()
        for _ in range(self.depth):
            step = model.expected_rewards[:, None, None] + model.discount * values[None]
            values = np.broadcast_to(step, (len(p), *values.shape)).reshape(len(p), -1)
            weights = (p[:, :, None] * weights[None]).reshape(len(p), -1)
            call.count()
        return Solution.of(ParticleReturns(values, weights), model, self, call, status=Status.SWEEPS_DONE)


@dataclass(frozen=True)
class MeansOnly:
    def solve(self, model: MRP, call: Call) -> Solution:
        mean = np.linalg.solve(np.eye(model.n_states) - model.discount * model.continuation, model.expected_rewards)
        moments = np.stack([np.ones_like(mean), np.zeros_like(mean)])
        return Solution.of(MomentReturns(mean, moments), model, self, call, status=Status.CONVERGED, reason="by hand")


METHODS = [ValueIteration(Grid.covering(MODEL, 51)), Tree(), MeansOnly()]
pytestmark = pytest.mark.fast


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_it_is_a_method_and_its_result_is_read_as_any_other(method):
    assert isinstance(method, Method)
    sol = evaluate(MODEL, method)
    assert sol.method is method and sol.solver == type(method).__name__ and sol.elapsed >= 0.0
    text = sol.summary()
    assert repr(method) in text and f"solver {type(method).__name__}" in text and "intervals are certified" in text
    assert f"Solution({sol.status.name}" in repr(sol) and len(sol.table()["mean >="]) == 2


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_its_intervals_hold_the_truth_without_a_certificate(method):
    exact = np.linalg.solve(np.eye(2) - 0.8 * MODEL.continuation.toarray(), [2.0, -1.0])
    truth = evaluate(MODEL, distrl.Brackets(401))
    sol = evaluate(MODEL, method)
    low, high = sol.interval("mean").T
    assert (low <= exact + 1e-12).all() and (exact - 1e-12 <= high).all() and (high - low).max() < 1e-9
    ends, sharp = sol.interval("cvar", 0.1), truth.interval("cvar", 0.1)
    assert (ends[:, 0] <= sharp[:, 1]).all() and (sharp[:, 0] <= ends[:, 1]).all()  # both hold the true value


def test_laws_on_a_grid_get_brackets_on_it():
    wide = evaluate(MODEL, MeansOnly()).interval("cvar", 0.1)
    near = evaluate(MODEL, METHODS[0]).interval("cvar", 0.1)
    assert (np.diff(near) < 0.2 * np.diff(wide)).all()


@pytest.mark.parametrize("method", METHODS[:2], ids=repr)
def test_its_start_is_the_mixture(method):
    sol = evaluate(MODEL, method)
    assert float(sol.start.mean()) == pytest.approx(float(MODEL.initial @ sol.values))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_it_is_saved_as_a_table_and_as_arrays(method, tmp_path):
    sol = evaluate(MODEL, method)
    sol.save(tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 3
    with pytest.warns(UserWarning, match="arrays only"):
        sol.save(tmp_path / "solution.npz")
    with np.load(tmp_path / "solution.npz") as arrays:
        np.testing.assert_array_equal(arrays["values"], sol.values)


def test_it_estimates_from_samples_too():
    est = distrl.estimate(MODEL, ValueIteration(Grid.covering(MODEL, 51)), samples_per_state=200, rng=0)
    assert est.solver == "ValueIteration" and (np.diff(est.interval("mean")) > 0.0).all()


def test_ctrl_c_gives_back_what_was_reached():
    def interrupt(share, applications, bound):
        if applications == 7:
            raise KeyboardInterrupt

    method = METHODS[0]
    sol = evaluate(MODEL, method, progress=interrupt, throw=False)
    assert sol.status is Status.INTERRUPTED and sol.iterations == 7
    operator, laws = CategoricalBellman(MODEL, method.grid), np.full((2, 51), 1.0 / 51)
    for _ in range(7):
        laws = operator(laws)
    np.testing.assert_array_equal(sol.returns.probs, laws)
    with pytest.raises(distrl.EvaluationInterrupted) as caught:
        evaluate(MODEL, method, progress=interrupt)
    assert caught.value.solution.iterations == 7


@pytest.mark.parametrize("method", [object(), 201, "CategoricalDP", distrl.CategoricalDP])
def test_what_is_no_method_is_refused_and_told_which_there_are(method):
    with pytest.raises(TypeError, match=r"method must be a method.*(create it: CategoricalDP|MonteCarlo.*solve)"):
        evaluate(MODEL, method)


def test_a_call_counts_and_takes_ctrl_c_by_itself():
    call = Call()
    with call.interruptible():
        call.count()
        call.count(3)
        raise KeyboardInterrupt
    assert call.interrupted and call.iterations == 4
    with pytest.raises(ZeroDivisionError), call.interruptible():
        raise ZeroDivisionError
