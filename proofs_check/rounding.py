"""What floating point can add to a measurement: the slack of readings."""

from typing import Any

import numpy as np

from proofs_check.case import Case

#: Distance from 1 to the next float.
FLOAT = 2.0**-52

#: What rounding may push a target off a grid that covers it, as a share of its width.
ROUNDED = 1e-12


def slack_of(case: Case) -> float:
    """Mass that float64 can put wrong in one application: rounding of positions, in cells, and of sums."""
    grid = case.on
    size = max(abs(grid.low), abs(grid.high)) + max(abs(row[3]) for row in case.rows)
    return 64 * FLOAT * len(case.rows) * (grid.atoms + size / grid.spacing)


def close(size: Any) -> Any:
    """What float64 may cost a distance between a few particles of this size."""
    return 64 * FLOAT * (1.0 + np.asarray(size, dtype=float))
