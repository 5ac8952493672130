"""Independent returns of H steps."""

from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.horizon_walk import ForProcess, total_steps
from distrl.models.mrp import MRP
from distrl.models.sampling import OutcomeSampler
from distrl.models.stages import Stages


class Drawn(NamedTuple):
    """Returns (S, episodes) after `done` steps.

    left : (S,) the share of episodes that still go on where some steps were not made
    weight : what is left of them counts, discount^done, or (S,) on average where outcomes have discounts of their own
    unknown : what rows that did not sum to 1 can change
    """

    totals: FloatArray
    done: int
    left: FloatArray
    weight: float | FloatArray
    unknown: float


class _Walk(NamedTuple):
    """Where all episodes are: whole at every moment, since Ctrl-C may come at any.

    scale : what the next reward counts; of each active episode where outcomes have discounts of their own
    """

    totals: FloatArray
    active: IntArray
    state: IntArray
    scale: float | FloatArray
    done: int
    defect: float


def steps_sampled(stages: Stages, episodes: int, call: Call) -> Drawn:
    """`episodes` returns from every state. Time O(S episodes H log n)."""
    n, g = stages.n_states, stages.uniform_discount
    everyone = np.arange(n * episodes)
    scale = 1.0 if g is not None else np.ones(n * episodes)
    walk = _Walk(np.zeros(n * episodes), everyone, np.repeat(np.arange(n), episodes), scale, 0, 0.0)
    sampler_of = ForProcess(lambda process: OutcomeSampler(process.outcomes))
    limit = stages.horizon if call.max_iterations is None else min(call.max_iterations, stages.horizon)
    call.enter("sampling")
    with call.interruptible():
        while walk.done < limit and walk.active.size:
            process = stages.process(walk.done)
            walk = _step(walk, process, sampler_of(process), g, call.rng)
            call.count()
            call.advance(walk.done / stages.horizon)
    done = walk.done if walk.active.size else stages.horizon
    going_on = walk.active if done < stages.horizon else walk.active[:0]
    starts = np.floor_divide(going_on, episodes)
    left = np.bincount(starts, minlength=n) / episodes
    weight = g**done if g is not None else _mean_scales(walk, starts, n)
    unknown = walk.defect * 2.0 * stages.reach(stages.horizon) * total_steps(stages) if walk.defect else 0.0
    return Drawn(walk.totals.reshape(n, episodes), done, left, weight, unknown)


def _mean_scales(walk: _Walk, starts: IntArray, n: int) -> FloatArray:
    """(S,) the mean scale of the episodes that go on, by where they started."""
    total = np.bincount(starts, weights=np.broadcast_to(walk.scale, walk.active.shape)[: len(starts)], minlength=n)
    return np.asarray(total / np.maximum(np.bincount(starts, minlength=n), 1))


def _step(walk: _Walk, process: MRP, sampler: OutcomeSampler, g: float | None, rng: np.random.Generator) -> _Walk:
    table = process.outcomes
    rows = sampler.rows(walk.state, rng)
    totals = walk.totals.copy()
    totals[walk.active] += walk.scale * sampler.rewards(rows, rng)
    going_on = ~table.terminals[rows]
    scale = g ** (walk.done + 1) if g is not None else (walk.scale * process.discounts[rows])[going_on]
    defect = walk.defect if table.known_defects is None else max(walk.defect, float(table.known_defects.max()))
    return _Walk(totals, walk.active[going_on], table.next_states[rows[going_on]], scale, walk.done + 1, defect)
