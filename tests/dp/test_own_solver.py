"""A solver that a stranger writes, with public names alone, in place of the library's."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, CategoricalFixedPoint, Grid, Status, environments, evaluate
from distrl.dp.solvers import Banded, Clustered, Direct, GaussSeidel, Grouped, Krylov, Solved, Solver, Sweeps, TwoGrid

MODEL = environments.garnet(12, 1, 3, discount=0.9, rng=0).under("uniform")
NORMAL = MRP([[0.5, 0.5], [0.2, 0.8]], [stats.norm(0.0, 1.0), 1.0], 0.9)
WIDE = Grid(-60.0, 60.0, 81)
pytestmark = pytest.mark.fast


@dataclass(frozen=True)
class Damped:
    """F <- F + damping (A F + b - F)."""

    damping: float = 0.8
    name: ClassVar[str] = "damped"
    takes_law_blocks: ClassVar[bool] = True

    def solve(self, system, start, stop):
        cdf, image = start, np.empty_like(start)
        with stop.call.interruptible():
            while stop.call.iterations < stop.limit:
                residual = system.apply(cdf, image)
                stop.call.count()
                stop.report(residual)
                if residual <= stop.goal:
                    return Solved(image, Status.CONVERGED)
                cdf += self.damping * (image - cdf)
        return Solved(cdf, stop.missed)


class GivesUp:
    name, takes_law_blocks = "gives-up", False

    def solve(self, system, start, stop):
        return Solved(start, Status.STALLED)


@pytest.mark.parametrize(("model", "grid"), [(MODEL, None), (NORMAL, WIDE)])
def test_it_gives_the_same_law_and_its_name_and_reason(model, grid):
    assert isinstance(Damped(), Solver)
    method = CategoricalFixedPoint(41 if grid is None else None, grid=grid, solver=Damped())
    sol = evaluate(model, method)
    other = evaluate(model, CategoricalFixedPoint(41 if grid is None else None, grid=grid))
    assert sol.converged and sol.solver == "damped" and sol.reason == "asked for"
    assert distrl.wasserstein(sol.returns, other.returns).max() <= sol.tol + other.tol
    assert "solver damped" in sol.summary() and "solver=Damped(damping=0.8)" in sol.summary()


def test_ctrl_c_and_the_limit_leave_what_it_reached():
    def interrupt(share, applications, bound):
        if applications == 9:
            raise KeyboardInterrupt

    method = CategoricalFixedPoint(41, solver=Damped())
    sol = evaluate(MODEL, method, progress=interrupt, throw=False)
    short = evaluate(MODEL, method, max_iterations=9, throw=False)
    assert (sol.status, short.status) == (Status.INTERRUPTED, Status.MAX_ITERATIONS)
    assert sol.iterations == short.iterations == 9 and np.isfinite(sol.certificate.w1).all()


def test_where_it_gives_up_the_library_goes_on_and_says_so():
    sol = evaluate(MODEL, CategoricalFixedPoint(41, solver=GivesUp()))
    assert sol.converged and "asked for; it stalled at an error bound of" in sol.reason and "was tried" in sol.reason


@pytest.mark.parametrize("solver", [GivesUp(), GaussSeidel()])
def test_a_solver_that_does_not_take_densities_is_not_given_them(solver):
    with pytest.raises(ValueError, match=f"{solver.name} does not take reward laws"):
        evaluate(NORMAL, CategoricalFixedPoint(grid=WIDE, solver=solver))


@pytest.mark.parametrize(("name", "solver"), [("krylov", Krylov()), ("direct", Direct())])
def test_a_name_and_its_object_are_the_same_solver(name, solver):
    by_name = evaluate(MODEL, CategoricalFixedPoint(41, solver=name))
    by_object = evaluate(MODEL, CategoricalFixedPoint(41, solver=solver))
    np.testing.assert_array_equal(by_object.returns.probs, by_name.returns.probs)
    assert (by_object.solver, by_object.iterations) == (by_name.solver, by_name.iterations)


THIRDS = np.arange(12) % 3
CLUSTERED = Clustered(MODEL.expected_rewards / (1 - 0.9), np.full(12, 1 / 12), THIRDS)
LIBRARYS = [
    *(Sweeps(), GaussSeidel(1.2), Krylov(), Direct(), Banded(np.arange(12), 11)),
    *(Krylov(Grouped(THIRDS), "krylov-groups"), Krylov(CLUSTERED), TwoGrid(CLUSTERED)),
]


@pytest.mark.slow_without_jit
@pytest.mark.parametrize("solver", LIBRARYS, ids=lambda solver: f"{solver.name}-{len(repr(solver))}")
def test_the_librarys_solvers_compare_by_value_and_come_back_from_a_file(solver, tmp_path):
    method = CategoricalFixedPoint(41, solver=solver)
    assert method == CategoricalFixedPoint(41, solver=type(solver)(**vars(solver))) and hash(method)
    sol = evaluate(MODEL, method)
    sol.save(tmp_path / "solution.npz")
    loaded = distrl.load(tmp_path / "solution.npz")
    assert loaded.method == method and hash(loaded.method) == hash(method)
    assert sol.converged and sol.solver == solver.name
    again = evaluate(MODEL, loaded.method)
    assert again.iterations == sol.iterations
    np.testing.assert_array_equal(again.returns.probs, sol.returns.probs)


def test_preconditioners_of_other_numbers_are_others():
    assert Krylov(Grouped(THIRDS)) != Krylov(Grouped(THIRDS + 1)) and Grouped(THIRDS) != Grouped(THIRDS[:6])
    assert TwoGrid(CLUSTERED) != TwoGrid(Clustered(CLUSTERED.mean + 1.0, CLUSTERED.weights, THIRDS))
    assert Krylov(Grouped(THIRDS)) != Krylov() and Banded(np.arange(12), 11) != Banded(np.arange(12), 10)


@pytest.mark.parametrize(
    "solver", [Krylov(Grouped(THIRDS[:6])), TwoGrid(Clustered(np.ones(12), np.ones(12), THIRDS[:6]))]
)
def test_a_preconditioner_of_another_model_is_refused(solver):
    with pytest.raises(ValueError, match="labels has 6 entries for a system of 12 states"):
        evaluate(MODEL, CategoricalFixedPoint(41, solver=solver))


def test_a_function_for_a_preconditioner_cannot_be_saved_and_that_is_said(tmp_path):
    sol = evaluate(MODEL, CategoricalFixedPoint(41, solver=Krylov(lambda system: Grouped(THIRDS)(system))))
    with pytest.warns(UserWarning, match="gets arrays only, and distrl.load cannot read it: .*function is no class"):
        sol.save(tmp_path / "solution.npz")


@pytest.mark.parametrize("solver", ["lu", Damped, None, 3])
def test_what_is_no_solver_is_refused(solver):
    with pytest.raises((ValueError, TypeError), match="solver must be one of auto, direct, iterate, krylov"):
        CategoricalFixedPoint(41, solver=solver)
