"""Enclosures of the laws of H steps, in convex or in stochastic order: the recursions of `Brackets`, broken off.

Convex: the laws on the grid are above the true ones, since linear projection is, from the Dirac at 0 shared between two
atoms on; merged particles are below them (claim `brackets-convex`). What leaves the grid, and the rounding of floats,
is counted in the slacks by their own recursion. Stochastic: rounding down and up at every step (claim
`brackets-stochastic`). On a grid that holds every return of up to H steps clipping does not harm: a law above the true
one, cut off where no return goes beyond, is still above it.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._tolerances import EPS, GRID_SLACK
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, float_slack
from distrl.dp.horizon_categorical import Reached, reach_on
from distrl.dp.horizon_grid import Span
from distrl.dp.horizon_moments import Facts
from distrl.dp.horizon_particles import around_atoms, as_particles, merged_of_steps
from distrl.dp.horizon_walk import ForProcess, Walked, ended, left_out, onward, total_steps, unknown_mass, walk
from distrl.dp.rounding import Rounding, resolution_of
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.brackets import ConvexBrackets, StochasticBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import ParticleReturns
from distrl.returns.grid import Grid

_CLIPPED = 1e-12  # a mass off the grid up to this may be a far tail: it is counted; more is refused


class ConvexReached(NamedTuple):
    """Convex brackets, and what was reached of the upper laws."""

    laws: ConvexBrackets
    upper: Reached
    status: Status


def convex_of_steps(stages: Stages, facts: Facts, grid: Grid, call: Call) -> ConvexReached:
    """Laws on the grid above, particles merged in its cells below."""
    upper = reach_on(stages, grid, call)
    law, slack_upper = upper.returns, upper.certificate.overshoot + upper.certificate.residual
    if upper.walked.done < stages.horizon and np.isfinite([facts.low, facts.high]).all():
        law, slack_upper = _at_the_ends(facts, grid)
        apart = grid.width + slack_upper
        nothing = np.zeros(stages.n_states)
        sure = replace(upper.certificate, w1=apart, residual=apart, rounding=nothing, overshoot=nothing)
        upper = upper._replace(certificate=sure)
    laws = convex_beside(stages, facts, law, slack_upper + unknown_of_steps(stages), call)
    return ConvexReached(laws, upper, Status.INTERRUPTED if call.interrupted else upper.status)


def _at_the_ends(facts: Facts, grid: Grid) -> tuple[CategoricalReturns, FloatArray]:
    """Where not all steps were made: laws on the grid's two ends with the exact means, above all on it of that mean;
    and a slack, twice how far returns go beyond the grid."""
    beyond = np.maximum(grid.low - facts.low, 0.0) + np.maximum(facts.high - grid.high, 0.0)
    share = np.clip((facts.mean - grid.low) / grid.width, 0.0, 1.0)
    probs = np.zeros((len(share), grid.atoms))
    probs[:, 0], probs[:, -1] = 1.0 - share, share
    moments = facts.certified()
    rounding = 8.0 * EPS * (abs(grid.low) + abs(grid.high))
    return CategoricalReturns.trusted(grid, probs), 2.0 * beyond + moments.mean_error + rounding


def convex_beside(
    stages: Stages, facts: Facts, upper: CategoricalReturns, slack_upper: FloatArray, call: Call
) -> ConvexBrackets:
    """Merged particles beside laws that are above the true ones up to a slack (S,); where not all steps were made, the
    exact means in their place."""
    cells = around_atoms(upper.grid)
    walked = merged_of_steps(stages, cells, call)
    moments = facts.certified()
    lower, slack_lower = as_particles(walked.layer, cells), walked.layer.floats
    if walked.done < stages.horizon:
        lower, slack_lower = ParticleReturns(moments.mean[:, None]), moments.mean_error
    return ConvexBrackets(
        lower,
        upper,
        moments.mean,
        moments.mean_error,
        slack_lower,
        slack_upper,
        moments.low,
        moments.high,
    )


def unknown_of_steps(stages: Stages) -> float:
    """What rows that did not sum to 1 can change of a stop-loss transform: mass that may lead anywhere."""
    defect = max(float(model.outcomes.defects.max()) for model in stages.models)
    return 2.0 * defect * 2.0 * stages.reach(stages.horizon) * total_steps(stages) if defect else 0.0


class RoundedLayer(NamedTuple):
    """Laws (S, m) below and above after so many steps, and what may be wrong with them.

    lost : (S,) the probability that something is out of place; far : (S,) how far it is in expectation
    floats : the mass that rounding may have moved, all steps together
    clipped : (S,) the mass off the grid in the last step
    """

    steps: int
    below: FloatArray
    above: FloatArray
    lost: FloatArray
    far: FloatArray
    floats: float
    clipped: FloatArray


class _Tools:
    """Both roundings of a process, and the float errors of a step."""

    def __init__(self, process: MRP, grid: Grid) -> None:
        self.operator = CategoricalBellman(process, grid)
        self.near = resolution_of(self.operator, grid)
        self.down, self.up = (Rounding(self.operator, upwards, self.near) for upwards in (False, True))
        self.slack = float_slack(self.operator)


class StochasticReached(NamedTuple):
    """Stochastic brackets, the bound on their distance, and how they were reached."""

    laws: StochasticBrackets
    certificate: Certificate
    status: Status
    tol: float
    done: int


def stochastic_of_steps(stages: Stages, span: Span, grid: Grid, call: Call) -> StochasticReached:
    """Laws rounded down, and up, at every step.

    Raises
    ------
    ValueError
        If more than a far tail of the returns lies off the grid.
    """
    check_memory(stages.n_states, grid.atoms, 6.0, "use fewer atoms")
    covered = grid.low <= span.least and span.most <= grid.high
    tools_of, nothing = ForProcess(partial(_Tools, grid=grid)), np.zeros(stages.n_states)
    near = [0.0]

    def back(layer: RoundedLayer, process: MRP) -> RoundedLayer:
        tools, table = tools_of(process), process.outcomes
        near[0] = max(near[0], tools.near)
        below, above = np.empty_like(layer.below), np.empty_like(layer.above)
        tools.down.sweep(layer.below, below)
        tools.up.sweep(layer.above, above)
        clipped = overshoot = nothing
        if not covered:
            images = [tools.operator.apply(probs) for probs in (layer.below, layer.above)]
            clipped = np.maximum(images[0].clipped_mass, images[1].clipped_mass)
            overshoot = np.maximum(images[0].overshoot, images[1].overshoot)
            _refuse_clipping(clipped, grid, span)
        unknown = unknown_mass(stages, process, layer.steps + 1)
        odd = table.law_cdf_errors + table.defects
        return RoundedLayer(
            steps=layer.steps + 1,
            below=below,
            above=above,
            lost=np.minimum(clipped + odd + onward_undiscounted(process, layer.lost), 1.0),
            far=tools.slack + table.law_errors + overshoot + odd * grid.width + unknown + onward(process, layer.far),
            floats=layer.floats + float(tools.slack.max()) / grid.width,
            clipped=clipped,
        )

    start = _rounded_zero(stages, grid, span)
    walked = walk(stages, call, start, back)
    return _told(stages, span, grid, walked, near[0], call)


def onward_undiscounted(process: MRP, vector: FloatArray) -> FloatArray:
    """(S,) P v for v >= 0, rounded up; nothing where nothing of the next return counts."""
    room = 1.0 + (np.diff(process.outcomes.indptr) + 4.0) * EPS
    return np.asarray((process.largest_discount > 0.0) * (process.continuation @ vector) * room)


def _rounded_zero(stages: Stages, grid: Grid, span: Span) -> RoundedLayer:
    """The Dirac at 0 rounded down and up."""
    if not grid.low <= 0.0 <= grid.high:
        _refuse_clipping(np.ones(stages.n_states), grid, span)
    at, nothing, off = -grid.low / grid.spacing, np.zeros(stages.n_states), _off_atom(grid)
    laws = []
    for place in (np.floor(at + off), np.ceil(at - off)):
        probs = np.zeros((stages.n_states, grid.atoms))
        probs[:, int(min(max(place, 0.0), grid.atoms - 1.0))] = 1.0
        laws.append(probs)
    return RoundedLayer(0, laws[0], laws[1], nothing, nothing, 0.0, nothing)


def _off_atom(grid: Grid) -> float:
    """How far 0 is from an atom that it is taken to be on, in units of the spacing; 0 where it is between two."""
    at = -grid.low / grid.spacing
    off = abs(at - round(at))
    return off if off <= GRID_SLACK * grid.atoms else 0.0


def _refuse_clipping(clipped: FloatArray, grid: Grid, span: Span) -> None:
    if (clipped > _CLIPPED).any():
        state = int(np.argmax(clipped))
        raise ValueError(
            f"stochastic-order brackets need a grid that holds every return of up to {span.stages.horizon} steps, "
            f"[{span.least:g}, {span.most:g}], but some from state {state} leave [{grid.low:g}, {grid.high:g}]; leave "
            "grid out, or use order='convex'"
        )


def _told(
    stages: Stages, span: Span, grid: Grid, walked: Walked[RoundedLayer], near: float, call: Call
) -> StochasticReached:
    layer, moments = walked.layer, span.facts.certified()
    left = left_out(stages, walked.done)
    steps = total_steps(stages)
    shift = np.full(stages.n_states, 2.0 * near * steps + _off_atom(grid) * grid.spacing)
    lost = np.minimum(layer.lost + layer.floats + grid.atoms * EPS, 1.0) if left == 0.0 else np.ones(stages.n_states)
    far = layer.far + left
    lower, upper = (CategoricalReturns.trusted(grid, probs) for probs in (layer.below, layer.above))
    ends = moments.low, moments.high
    laws = StochasticBrackets(lower, upper, moments.mean, moments.mean_error, shift, shift, *ends, lost, far)
    gap = np.asarray(upper.mean() - lower.mean()) + 2.0 * (shift + far)
    status, tol = ended(stages, call, walked.done, gap)
    if (status is Status.CONVERGED and call.tol is None) or status is Status.STALLED:
        status = Status.SWEEPS_DONE  # what is left is rounding to atoms, which more atoms make smaller
    certificate = Certificate(gap, "brackets-stochastic", gap, np.zeros(len(gap)), np.zeros(len(gap)), layer.clipped)
    return StochasticReached(laws, certificate, status, tol, walked.done)
