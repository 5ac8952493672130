"""What several parts measure, and where."""

import numpy as np

import distrl
from distrl._validation import FloatArray
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.families import lattice_off_grid, on_grid, structured_models, with_grids

BINS = 2000  # of reference laws
MILD_GRIDS = on_grid(0, atoms=8, covering=True, mild=True, states=2)
MILD_CASES = with_grids(structured_models((0.5, 0.8)), (2, 6))
#: Attains the bounds of one projection.
HALF_WAY = Case(((0, 1.0, 0, 0.5, True), (1, 1.0, 1, 1.0, True), (2, 1.0, 2, 0.0, True)), 0.0, (0.0, 1.0, 2))


def solved(case: Case) -> distrl.Solution:
    """The categorical fixed point, converged or not."""
    return distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)


def distances(case: Case, probs: FloatArray, power: int = 1) -> tuple[FloatArray, float]:
    """int |F - eta|^power per state to reference laws, and the reference's W1 error."""
    values, weights, error = ex.true_laws(case, BINS)
    gaps = [ex.w1_floats((case.on.points, probs[x]), (values[x], weights[x]), power) for x in range(case.states)]
    return np.array(gaps), error


def half_way() -> list[Case]:
    """Diracs half-way between two atoms, which one projection moves most, and at other shares of a cell."""
    one = np.ones((1, 1))
    rows = ((0, 1.0, 0, 0.0, False),)
    middle = [Case(rows, 0.5, (0.0, 4.0, m), (one,), (np.full((1, 1), 2.0 / (m - 1)),)) for m in (2, 3, 5)]
    return [*middle, *(Case(c.rows, c.discount, c.grid, c.weights[:1], c.values[:1]) for c in lattice_off_grid())]
