"""Particle laws of H steps: quantiles, laws imputed from expectiles or sketches, merged particles.

Each law of h steps is what one application and a projection make of those of h - 1. What the projection changed is
measured: r_h(x) = W1(theta_h(x), (T theta_{h-1})(x)), and

    W1(theta_h(x), eta_h(x)) <= r_h(x) + g [P w_{h-1}](x),      w_{h-1} the bound of h - 1 steps

(claim `certificate-one-step-transport`, on the process of all steps together). Merged particles are better than that:
merging is a conditional expectation, so what it takes from the variance adds up in squares, with discount^2 (claim
`particles-martingale`), and what it takes is summed cell by cell, with no difference of large numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from distrl._kernels import brackets as merging_kernels
from distrl._kernels import expectile as expectile_kernels
from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, ParticleCertifier
from distrl.dp.certified_moments import law_blur
from distrl.dp.expectile_reading import read_expectiles
from distrl.dp.horizon_walk import ForProcess, Walked, held, left_out, onward, unknown_mass, walk
from distrl.dp.merging import merge_slack, with_merged_laws
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.kernel_plan import build_plan
from distrl.operators.particle_targets import ParticleTargets, equal_weights
from distrl.operators.quantile import QuantileBellman
from distrl.operators.sketch import SketchBellman
from distrl.returns.finite import ParticleReturns
from distrl.returns.grid import Grid
from distrl.returns.quantile import midpoint_levels
from distrl.returns.sketch import Features, SketchReturns

MARTINGALE = "particles-martingale"
_POSITION = 4.0  # roundings of a product, a sum and what they start from


class ParticleLayer(NamedTuple):
    """Laws after so many steps: values (S, n) and weights (1 or S, n), what a method knows beside them, their bounds.

    data : statistics that laws were imputed from, or the embeddings of sketches; else empty
    mean : (S,) exact means, where the method holds them
    step, floats : (S,) the two parts of the bound on W1, or for merged particles the variance that merging took
    moved : bound on what rounding did to a quantile, in W_inf
    """

    steps: int
    values: FloatArray
    weights: FloatArray
    data: FloatArray
    mean: FloatArray
    step: FloatArray
    floats: FloatArray
    moved: float = 0.0

    def certificate(self, claim: str = ParticleCertifier.claim, left: float = 0.0) -> Certificate:
        """`left`: what steps that were not made can change."""
        rounding = np.sqrt(self.step) * (1.0 + 2.0 * EPS) if claim == MARTINGALE else self.step
        residual, nothing = self.floats + left, np.zeros(len(self.step))
        return Certificate(rounding + residual, claim, rounding, nothing, residual, nothing)


def _bounds(
    stages: Stages,
    process: MRP,
    targets: ParticleTargets,
    below: ParticleLayer,
    values: FloatArray,
    weights: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The two parts of the bound of laws that one application to `below` and a projection made."""
    distance, slack = targets.distances(below.values, below.weights, values, weights)
    slack = slack + unknown_mass(stages, process, below.steps + 1)
    return distance + onward(process, below.step), slack + onward(process, below.floats)


def quantiles_of_steps(
    stages: Stages, quantiles: int, flat: float, threads: int | None, call: Call
) -> Walked[ParticleLayer]:
    """m quantiles of every state, from 0."""
    check_memory(stages.n_states, quantiles, 6.0, "use fewer quantiles")
    operator_of = ForProcess(partial(QuantileBellman, quantiles=quantiles, flat=flat, threads=threads))
    nothing = np.zeros(stages.n_states)
    weights = equal_weights(np.empty((1, quantiles)))

    def back(below: ParticleLayer, process: MRP) -> ParticleLayer:
        operator = operator_of(process)
        values = np.empty_like(below.values)
        inversion = operator.apply(below.values, operator.empty_choices(), values)
        values, inversion = _held_values(stages, below, values, inversion)
        step, floats = _bounds(stages, process, operator.targets, below, values, weights)
        moved = inversion + _POSITION * EPS * float(np.abs(values).max()) + process.largest_discount * below.moved
        reached = ParticleLayer(below.steps + 1, values, weights, nothing, nothing, step, floats, moved)
        return below if _at_rest(reached, below) else reached

    start = np.zeros((stages.n_states, quantiles))
    return walk(stages, call, ParticleLayer(0, start, weights, nothing, nothing, nothing, nothing), back)


def _held_values(
    stages: Stages, below: ParticleLayer, values: FloatArray, moved: float = 0.0
) -> tuple[FloatArray, float]:
    """The values of before where they have changed by rounding alone, so that a walk comes to rest; what it counts."""
    if not stages.stationary or below.steps == 0:
        return values, moved
    kept, change = held(values, below.values)
    return kept, moved + float(change.max(initial=0.0))


def expectiles_of_steps(stages: Stages, expectiles: int, threads: int | None, call: Call) -> Walked[ParticleLayer]:
    """Laws imputed from n expectiles and the exact means of every state."""
    check_memory(stages.n_states, expectiles, 12.0, "use fewer expectiles")
    taus = midpoint_levels(expectiles)
    targets_of = ForProcess(lambda process: ParticleTargets(process.outcomes, process.uniform_discount, threads))
    n, nothing = max(expectiles, 2), np.zeros(stages.n_states)

    def layer(steps: int, data: FloatArray, mean: FloatArray) -> ParticleLayer:
        values, weights = np.empty((stages.n_states, n)), np.empty((stages.n_states, n))
        expectile_kernels.impute(data, mean, taus, values, weights)
        return ParticleLayer(steps, values, weights, data, mean, nothing, nothing)

    def back(below: ParticleLayer, process: MRP) -> ParticleLayer:
        targets, data = targets_of(process), np.empty_like(below.data)
        read_expectiles(targets, below.values, below.weights, below.data, taus, data)
        mean = process.expected_rewards + process.onward(below.mean)
        data, mean = held(data, below.data)[0], held(mean, below.mean)[0]  # what they move is counted below
        reached = layer(below.steps + 1, data, mean)
        step, floats = _bounds(stages, process, targets, below, reached.values, reached.weights)
        reached = reached._replace(step=step, floats=floats)
        return below if _at_rest(reached, below) else reached

    return walk(stages, call, layer(0, np.zeros((stages.n_states, expectiles)), nothing), back)


def sketches_of_steps(stages: Stages, features: Features, grid: Grid, call: Call) -> Walked[ParticleLayer]:
    """Mean embeddings, and the laws imputed from those of every number of steps, which the certificate needs."""
    check_memory(stages.n_states, grid.atoms, 8.0, "use fewer anchors")
    nothing = np.zeros(stages.n_states)
    operator_of = ForProcess(partial(SketchBellman, features=features, grid=grid))
    targets_of = ForProcess(lambda process: ParticleTargets(process.outcomes, process.uniform_discount))

    def layer(steps: int, data: FloatArray) -> ParticleLayer:
        values, weights = SketchReturns(features, grid, data).rows()
        values = np.broadcast_to(values, (stages.n_states, values.shape[-1]))
        return ParticleLayer(steps, values, np.atleast_2d(weights), data, nothing, nothing, nothing)

    def back(below: ParticleLayer, process: MRP) -> ParticleLayer:
        reached = layer(below.steps + 1, operator_of(process)(below.data))
        step, floats = _bounds(stages, process, targets_of(process), below, reached.values, reached.weights)
        reached = reached._replace(step=step, floats=floats)
        return below if _at_rest(reached, below) else reached

    first = layer(0, np.tile(features(0.0, grid), (stages.n_states, 1)))
    # W1 between what is imputed from the features of 0 and the Dirac at 0
    sizes = (np.abs(first.values) * first.weights).sum(axis=1) * (1.0 + (grid.atoms + 4.0) * EPS)
    return walk(stages, call, first._replace(step=np.asarray(sizes)), back)


class _Merge:
    """What one step of merging needs of a process."""

    def __init__(self, process: MRP, grid: Grid) -> None:
        self.table, self.law_errors = with_merged_laws(process.outcomes, grid)
        self.plan, _ = build_plan(self.table, process.uniform_discount, grid, all_as_reads=True)
        # what merging the reward laws themselves takes from the variance
        own, kept = (
            np.array([0.0, *(law.variance for law in laws)])[process.outcomes.laws + 1]
            for laws in (process.outcomes.reward_laws, self.table.reward_laws)
        )
        lost = np.where(own > kept, own - np.where(own > kept, kept, 0.0), 0.0)
        pairs = zip(process.outcomes.reward_laws, self.table.reward_laws, strict=True)
        coarse = np.array([False, *(law is not merged for law, merged in pairs)])[process.outcomes.laws + 1]
        lost = np.where(coarse, lost + 1e-9 * own + law_blur(process)[1], 0.0)
        self.lost = np.asarray(np.add.reduceat(process.outcomes.probs * lost, process.outcomes.indptr[:-1]))


def merged_of_steps(
    stages: Stages, grid: Grid, call: Call, each: Callable[[ParticleLayer], None] | None = None
) -> Walked[ParticleLayer]:
    """Particles below the true laws in convex order: one for each cell of the grid, its conditional mean."""
    check_memory(stages.n_states, grid.atoms + 1, 6.0, "use fewer atoms")
    cells, nothing = grid.atoms + 1, np.zeros(stages.n_states)
    merge_of = ForProcess(partial(_Merge, grid=grid))

    def back(below: ParticleLayer, process: MRP) -> ParticleLayer:
        merge = merge_of(process)
        values, weights, lost = np.empty_like(below.values), np.empty_like(below.weights), np.empty(stages.n_states)
        merging_kernels.merge_sweep(below.values, below.weights, merge.plan, values, weights)
        merging_kernels.merged_variance(below.values, below.weights, merge.plan, values, lost)
        weights /= weights.sum(axis=1, keepdims=True)  # rows need not sum to 1 exactly
        farthest = max(float(np.abs(values).max()), float(np.abs(below.values).max())) * grid.spacing
        unknown = unknown_mass(stages, process, below.steps + 1)
        slack = merge_slack(process, grid, merge.plan, merge.law_errors, farthest, unknown)
        taken = lost * grid.spacing**2 * (1.0 + 4.0 * slack.relative) + merge.lost
        reached = ParticleLayer(
            steps=below.steps + 1,
            values=values,
            weights=weights,
            data=nothing,
            mean=nothing,
            step=taken + onward(process, below.step, 2),
            floats=slack.expected + onward(process, below.floats),
        )
        return below if _at_rest(reached, below) else reached

    at = -grid.low / grid.spacing
    home = int(min(max(np.floor(at), -1.0), grid.atoms - 1.0)) + 1
    values = np.tile(np.arange(cells) - 0.5, (stages.n_states, 1))
    weights = np.zeros((stages.n_states, cells))
    values[:, home], weights[:, home] = at, 1.0
    floats = nothing + 4.0 * EPS * max(abs(grid.low), abs(grid.high))
    return walk(stages, call, ParticleLayer(0, values, weights, nothing, nothing, nothing, floats), back)


def around_atoms(grid: Grid) -> Grid:
    """The grid moved down by half a cell: each of its cells has an atom of `grid` in the middle.

    Returns that lie on atoms then keep a cell to themselves, however their sums are rounded.
    """
    half = 0.5 * grid.spacing
    return Grid(grid.low - half, grid.high - half, grid.atoms)


def as_particles(layer: ParticleLayer, grid: Grid | None = None) -> ParticleReturns:
    """The laws of a layer; those of merged particles are in units of the grid."""
    values = layer.values if grid is None else grid.low + grid.spacing * layer.values
    weights = np.broadcast_to(layer.weights, values.shape)
    return ParticleReturns(values, weights)


def _at_rest(reached: ParticleLayer, below: ParticleLayer) -> bool:
    """Whether nothing has changed but the number of steps."""
    after, before = reached._asdict(), below._asdict()
    return all(np.array_equal(after[name], before[name]) for name in reversed(after) if name != "steps")


def left_of(stages: Stages, walked: Walked[ParticleLayer]) -> float:
    """What the steps that were not made can change, in W1."""
    return left_out(stages, walked.done)
