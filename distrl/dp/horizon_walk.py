"""Returns of a finite number of steps: the recursion over stages that all methods share.

Definitions. G_h(x) is the return of h steps from x, G_0 = 0 and G_h(x) = R + g G_{h-1}(y), or R where the step ends
the return; the step that is taken when h are left is step H - h, with its own process. T_t is the Bellman operator of
step t.

Operator. Laws of h - 1 steps go to those of h steps by one application of T_{H-h}, and a projection: H applications,
from the last step to the first, and no fixed point. Nothing has to contract, and nothing has to end.

Certificates follow the same recursion. With the coupling of `distrl.dp.certificate` along the H steps,

    variance_h = local_h + g^2 P variance_{h-1},    w_h = local_h + g P w_{h-1}  for all that adds in absolute value,

g P the sums of p g over outcomes and g^2 P those of p g^2 where these have discounts of their own (claim
`discounts-by-outcome-certificate`): products of the factors along the steps. They are the sums that (I - g^2 P)^{-1}
and (I - g P)^{-1} are for infinitely many steps, broken off: the claims are the same, on the process in which a state
is a step and a state (`Stages.unrolled`), which ends after H steps (claim `horizon-certificates`).
"""

import math
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.result import Later
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages, discounted_steps
from distrl.returns.base import Returns

#: A relative change up to this is rounding.
HELD = 8.0 * EPS
_WEIGHED = 1000  # steps whose factors are multiplied state by state where a walk was broken off

Layer = TypeVar("Layer")
Made = TypeVar("Made")


class Walked(NamedTuple, Generic[Layer]):
    """Where a walk back over the steps has come to: the layer after `done` steps, and the one a step shorter."""

    layer: Layer
    before: Layer | None
    done: int


def walk(stages: Stages, call: Call, start: Layer, back: Callable[[Layer, MRP], Layer]) -> Walked[Layer]:
    """From `start`, what is known of returns of no steps, back to the first step, or to where Ctrl-C comes.

    Parameters
    ----------
    stages, call : Stages, Call
    start : what is known of G_0
    back : (layer, process) -> layer
        One step back. It leaves the layer that it is given as it is, and may return it: nothing changes any more.
    """
    reached = Walked(start, None, 0)
    if call.interrupted:  # by Ctrl-C in a walk before this one
        return reached
    limit = stages.horizon if call.max_iterations is None else min(call.max_iterations, stages.horizon)
    call.enter("stepping back from the horizon")
    with call.interruptible():
        for process in stages.backwards():
            if reached.done >= limit:
                break
            layer = back(reached.layer, process)
            at_rest = layer is reached.layer and stages.stationary and reached.done > 0  # the last step is another one
            reached = Walked(layer, reached.layer, stages.horizon if at_rest else reached.done + 1)
            call.count()
            call.advance(reached.done / stages.horizon)
    return reached


class ForProcess(Generic[Made]):
    """What `make` makes of a process; kept while the same process is asked for."""

    def __init__(self, make: Callable[[MRP], Made]) -> None:
        self._make = make
        self._last: tuple[MRP, Made] | None = None

    def __call__(self, process: MRP) -> Made:
        """What belongs to `process`."""
        if self._last is None or self._last[0] is not process:
            self._last = process, self._make(process)
        return self._last[1]


def left_out(stages: Stages, done: int) -> float:
    """A bound on W1 between the law after `done` steps of a walk that was to go on, and that of all steps.

    The first steps are those of the whole return where all steps do the same: what is left is discounted^done, or the
    mean product of as many factors. Else both laws are small.
    """
    if done >= stages.horizon:
        return 0.0
    if stages.stationary:
        return _weight_after(stages, done) * stages.reach(stages.horizon - done) * (1.0 + 4.0 * EPS)
    return stages.reach(done) + stages.reach(stages.horizon)


def _weight_after(stages: Stages, done: int) -> float:
    """What returns count after so many steps that all do the same: at most discount^done, or E[g_0 ... g_{done-1}]."""
    if stages.uniform_discount is not None:
        return stages.uniform_discount**done
    process, weight = stages.process(0), np.ones(stages.n_states)
    few = min(done, _WEIGHED)
    for _ in range(few):
        weight = onward(process, weight)
    return float(weight.max()) * stages.largest_discount ** (done - few)


def ended(stages: Stages, call: Call, done: int, bounds: FloatArray | None = None) -> tuple[Status, float]:
    """How a walk ended, and the tolerance that the bound on its error, if there is one, was held against.

    CONVERGED where all steps were made and the bound is within a given tolerance, or finite where none was given.
    """
    if call.interrupted or done < stages.horizon:
        return (Status.INTERRUPTED if call.interrupted else Status.MAX_ITERATIONS), call.tol or 0.0
    if bounds is None:
        return Status.SWEEPS_DONE, call.tol or 0.0
    bound = float(bounds.max())
    if not math.isfinite(bound):
        return Status.UNCERTIFIED, call.tol or 0.0
    if call.tol is not None and (call.given or bound <= call.tol):
        return (Status.CONVERGED if bound <= call.tol else Status.STALLED), call.tol
    return Status.CONVERGED, max(bound, call.tol or 0.0)


def unknown_mass(stages: Stages, process: MRP, steps: int) -> FloatArray:
    """(S,) what rows that did not sum to 1 can change of one of so many steps, in W1; zeros where all did."""
    defects = process.outcomes.known_defects
    return np.zeros(stages.n_states) if defects is None else defects * (2.0 * stages.reach(steps))


def held(new: FloatArray, old: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`old` and how far `new` is from it, where that is rounding alone; else `new` and zeros.

    So a walk comes to rest, where float64 would go on between two neighbours for ever.
    """
    with np.errstate(invalid="ignore"):  # of infinite ends
        moved = np.where(new == old, 0.0, np.abs(new - old))
    size = float(np.abs(np.where(np.isfinite(new), new, 0.0)).max(initial=0.0))
    if moved.max(initial=0.0) <= HELD * size:
        return old, moved
    return new, np.zeros_like(moved)


def onward(process: MRP, vector: FloatArray, power: int = 1) -> FloatArray:
    """(S,) discount^power P v for v >= 0, rounded up; the sums of p g^power v where outcomes have discounts g."""
    table = process.outcomes
    room = 1.0 + (np.diff(table.indptr) + 4.0) * EPS
    if process.uniform_discount is None:  # by outcome: a matrix would be made anew at every call
        counted = process.next_values(vector) * process.discounts ** (power - 1)
        return np.asarray(np.add.reduceat(table.probs * counted, table.indptr[:-1]) * room)
    return np.asarray(process.uniform_discount**power * (process.continuation @ vector) * room)


def later_of(
    walked: Walked[Layer], stages: Stages, tell: Callable[[Layer], tuple[Returns, Certificate]]
) -> Later | None:
    """What is known of the returns after the first step; None where there is none, or not all steps were made."""
    if walked.before is None or walked.done < stages.horizon:
        return None
    return Later(*tell(walked.before))


def steps_in_words(stages: Stages, done: int) -> str:
    """How many steps were made, for `Solution.reason`."""
    if done == stages.horizon:
        return f"{done} steps back from the horizon"
    return f"{done} of {stages.horizon} steps back from the horizon"


def total_steps(stages: Stages) -> float:
    """1 + g + ... + g^(H - 1), g the largest discount, rounded up: what a unit error in every step adds up to."""
    return discounted_steps(stages.largest_discount, stages.horizon)
