"""One run of the recursion over levels: how many there may be, what is kept of them, and the certificate."""

from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.lattice_certificate import certified_levels
from distrl.dp.lattice_rows import GENERAL, LatticeRows, TooManyLevels
from distrl.dp.level_keeping import MEND, Gathered, Whole
from distrl.dp.level_recursion import LevelRecursion, Reached
from distrl.dp.moment_systems import absolute_rewards
from distrl.dp.resolvent import Resolvent
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid

_SMALL = 1e-9  # of the largest mean: what a geometric tail may cost where no tolerance is given; or
_FLOATS = 1e3  # roundings of a share at every step


class Wanted(NamedTuple):
    """What is asked of the recursion.

    Attributes
    ----------
    states : (n,) whose masses are kept
    tail : float
        What may lie beyond the last level at most, in probability.
    most : int
        Limit on the levels that are made.
    atoms : int or None
        How many atoms are kept of a law at most; None: every level.
    """

    states: IntArray
    tail: float
    most: int
    atoms: int | None


class Found(NamedTuple):
    """What the recursion reached, with signs as they were; `cut` is what the tail may cost."""

    grid: Grid
    masses: FloatArray
    reached: Reached
    certificate: Certificate
    cut: FloatArray
    stopped: bool
    how: str


def run_levels(model: MRP, rows: LatticeRows, call: Call, wanted: Wanted) -> Found:
    """The laws of a model whose rewards are of one sign, level by level.

    Raises
    ------
    TooManyLevels
        Where every level is kept, if there have to be more than `most`; else where after so many there is more than the
        tail beyond, and `call` sets no limit of its own.
    """
    states, limit = wanted.states, wanted.most
    call.enter("bounding what errors add up to")
    linear = Resolvent.of(model)
    mean = float(linear.upper(absolute_rewards(model, of_laws=True)).max())
    at_least = mean / rows.step
    if wanted.atoms is None and at_least > limit:
        raise TooManyLevels(
            f"the largest mean return is {at_least:.4g} times the step {rows.step:g} of the rewards, so that more "
            f"than {limit} levels are needed; raise max_values, or use {GENERAL}"
        )
    if wanted.atoms is None:
        check_memory(len(states), int(at_least) + 2, 1.0, MEND)
    recursion = LevelRecursion(rows, model.n_states, states, rows.reach(model))
    reach = recursion.largest * rows.step + mean
    enough = max(wanted.tail if call.tol is None else min(wanted.tail, 0.5 * call.tol / max(reach, 1e-300)), 1e-290)
    limit = limit if call.max_iterations is None else min(call.max_iterations, limit)
    call.enter("solving level after level")
    if wanted.atoms is None:
        likely = int(1.1 * at_least + 12.0 * at_least**0.5) + 64  # a law that is nearly normal, of a walk forward
        reached = recursion.run(call, enough, limit, Whole(len(states), min(likely, limit)))
    else:
        keeper = Gathered(len(states), wanted.atoms)
        steps = float(linear.gains.max())
        small = max(_SMALL, _FLOATS * EPS * steps) * at_least
        allowed = small if call.tol is None else 0.25 * call.tol / rows.step
        reached = recursion.run(call, enough, limit, keeper, allowed, steps)
    left = float(reached.beyond.max())
    stopped = left > enough and not call.interrupted
    if stopped and limit == wanted.most:
        state = int(np.argmax(reached.beyond))
        raise TooManyLevels(
            f"after {limit} levels the return from state {model.states[state]!r} still goes beyond with "
            f"probability {left:.3g}, more than tail={enough:g}; raise max_values or tail, or use {GENERAL}"
        )
    certificate, cut = certified_levels(model, rows, linear, recursion, reached, mean)
    masses = reached.kept.masses
    end, atoms = (masses.shape[1] - 1) * reached.kept.times * rows.step, masses.shape[1]
    if rows.sign > 0:
        grid = Grid(0.0, end, atoms)
    else:
        grid, masses = Grid(-end, 0.0, atoms), np.ascontiguousarray(masses[:, ::-1])
    return Found(grid, masses, reached, certificate, cut, stopped, recursion.how)
