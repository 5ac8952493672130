"""Passes back over time: the best entropic risks at a ladder of betas, one discount apart from step to step.

Stage t of a pass from beta is the problem at beta g^t, so that one pass answers for beta, beta g, beta g^2, ... J
passes side by side from beta, beta g^(1/J), ... make the ratio of the ladder g^(1/J). Rung i = t J + j is stage t of
pass j.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.control.timed.steps import EntropicSteps, Seen
from distrl.control.timed.tail import Tail
from distrl.dp.call import Call
from distrl.returns.functionals import Ends

_SEEN = 8_000_000  # numbers that are kept at most of what pairs are worth


class Stage(NamedTuple):
    """What is known at one step of all passes.

    Attributes
    ----------
    step : int
    betas : (J,)
    low, high : (J, S)
        What the policy found so far reaches at each beta, and what none exceeds.
    pairs : (J, S)
    """

    step: int
    betas: FloatArray
    low: FloatArray
    high: FloatArray
    pairs: IntArray


def start_of(tail: Tail, beta: float, passes: int, step: int) -> Stage:
    """The stage at which a recursion is cut: what the tail knows.

    Parameters
    ----------
    tail, beta, passes, step : Tail, float, int, int
    """
    betas = rungs_of(beta, tail.mdp.discount, passes, np.arange(step * passes, (step + 1) * passes))
    low, high = (np.stack(side) for side in zip(*(tail.ends(float(b)) for b in betas), strict=True))
    return Stage(step, betas, low, high, np.tile(tail.pairs, (passes, 1)))


def rungs_of(beta: float, discount: float, passes: int, rungs: IntArray) -> FloatArray:
    """The betas of some rungs: beta discount^(rung / passes).

    Parameters
    ----------
    beta, discount, passes, rungs : float, float, int, int array
    """
    whole = beta * discount ** (rungs // passes).astype(np.float64)
    part = rungs % passes
    return np.asarray(np.where(part == 0, whole, whole * discount ** (part / passes)))


def stage_before(steps: EntropicSteps, stage: Stage, betas: FloatArray, seen: Sequence[Seen | None]) -> Stage:
    """One step of all passes back, to `betas` (J,)."""
    low, high = np.empty_like(stage.low), np.empty_like(stage.high)
    pairs = np.empty_like(stage.pairs)
    for j, b in enumerate(betas.tolist()):
        low[j], high[j], pairs[j] = steps.both(b, stage.low[j], stage.high[j], stage.pairs[j], seen[j])
    return Stage(stage.step - 1, betas, low, high, pairs)


def descend(
    steps: EntropicSteps, start: Stage, beta: float, call: Call, each: Callable[[Stage], None], to: int = 0
) -> Stage:
    """From a stage back to step `to`, or to where Ctrl-C comes; `each` is told of every stage on the way.

    Parameters
    ----------
    steps : EntropicSteps
    start : Stage
    beta : float
        Of the first pass at step 0.
    call : Call
        Counts a step of every pass.
    each : callable
    to : int
    """
    stage, passes = start, len(start.betas)
    pairs = len(steps.rows) - 1
    few = beta < 0.0 and steps.exact and passes * pairs <= _SEEN
    seen = [Seen(pairs) if few else None for _ in range(passes)]
    total = max(start.step - to, 1)
    with call.interruptible():
        while stage.step > to:
            rungs = np.arange((stage.step - 1) * passes, stage.step * passes)
            stage = stage_before(steps, stage, rungs_of(beta, steps.discount, passes, rungs), seen)
            each(stage)
            call.count(passes)
            call.advance((start.step - stage.step) / total, float((stage.high - stage.low).max()))
    return stage


class Kept:
    """Stages of one pass in full where they fit, else every so many of them, between which steps are made again.

    Parameters
    ----------
    states, steps : int
        How many.
    most : int
        Numbers that are kept at most.
    """

    def __init__(self, states: int, steps: int, most: int) -> None:
        self.every = max(-(-2 * states * (steps + 1) // most), 1)
        self.stages: list[int] = []
        self.ends: list[Ends] = []

    def __call__(self, stage: Stage) -> None:
        """Keep a stage of one pass if its turn has come; the first that it is shown it keeps."""
        if stage.step % self.every == 0 or not self.stages:
            self.stages.append(stage.step)
            self.ends.append((stage.low[0], stage.high[0]))
