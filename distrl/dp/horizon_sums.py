"""Exact laws of H steps as the finitely many sums that so many rewards can make: any rewards, any discounts.

The sums of h steps from a state are r + g times those of h - 1 steps from the next one, equal ones merged as
`distrl.dp.distinct_sums` says. What merging and rounding move goes on along the steps like everything that adds in
absolute value. Only the laws of two numbers of steps are kept.
"""

from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.distinct_sums import Sums, merged_sums
from distrl.dp.horizon_walk import ended, later_of, left_out, onward, steps_in_words, unknown_mass, walk
from distrl.dp.lattice_rows import INSTEAD
from distrl.dp.method import Method
from distrl.dp.solution import Solution
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.base import Returns
from distrl.returns.finite import ParticleReturns


class SumLayer(NamedTuple):
    """The sums of every state after so many steps.

    moved : (S,) how far masses were moved, in W1
    lost : (S,) the relative error of masses, summed up along the steps, and `spread`, over how far it counts at most
    given : (S,) what reward laws are off by, and mass of which nothing is known
    """

    steps: int
    laws: list[Sums]
    moved: FloatArray
    lost: FloatArray
    spread: float
    given: FloatArray


def sums_of_steps(stages: Stages, method: Method[Returns], most: int, call: Call) -> Solution[Returns]:
    """The laws of H steps as particles, each state with its own values. Time O(sums) for each outcome and step.

    Raises
    ------
    ValueError
        If a state has more than `most` sums, naming it and the number, a reward law has infinitely many values, or the
        laws do not fit in memory.
    """
    for law in (law for model in stages.models for law in model.outcomes.reward_laws):
        if not isinstance(law, FiniteLaw):
            raise ValueError(f"the reward law {law!r} has infinitely many values, and so have sums; {INSTEAD}")

    def back(below: SumLayer, process: MRP) -> SumLayer:
        steps, n = below.steps + 1, stages.n_states
        laws: list[Sums] = []
        near, error = np.empty(n), np.empty(n)
        whose = f"the return of {steps} steps"
        for x in range(n):
            law, near[x], error[x] = merged_sums(process, below.laws, x, steps, most, whose)
            laws.append(law)
        ends = [(float(values[0]), float(values[-1])) for values, _ in laws]
        unknown = unknown_mass(stages, process, steps)
        return SumLayer(
            steps=steps,
            laws=laws,
            moved=near + onward(process, below.moved),
            lost=error + onward(process, below.lost),
            spread=max(below.spread, max(high for _, high in ends) - min(low for low, _ in ends)),
            given=process.outcomes.law_errors + unknown + onward(process, below.given),
        )

    nothing = np.zeros(stages.n_states)
    start = SumLayer(0, [(np.zeros(1), np.ones(1))] * stages.n_states, nothing, nothing, 0.0, nothing)
    walked = walk(stages, call, start, back)
    certificate = _certified(walked.layer, left_out(stages, walked.done))
    status, tol = ended(stages, call, walked.done, certificate.residual)
    returns = _particles(walked.layer)
    return Solution.of(
        returns,
        stages.process(0),
        method,
        call,
        status=status,
        certificate=certificate,
        bounds=certificate.residual,
        tol=tol,
        solver="distinct sums",
        reason=f"at most {returns.values.shape[1]} sums a state; {steps_in_words(stages, walked.done)}",
        later=later_of(walked, stages, lambda layer: (_particles(layer), _certified(layer))),
    )


def _certified(layer: SumLayer, left: float = 0.0) -> Certificate:
    floats, nothing = layer.moved + layer.lost * layer.spread + left, np.zeros(len(layer.moved))
    return Certificate(floats + layer.given, "horizon-certificates", nothing, layer.given, floats, nothing)


def _particles(layer: SumLayer) -> ParticleReturns:
    n, widest = len(layer.laws), max(len(values) for values, _ in layer.laws)
    check_memory(n, widest, 2.0, "lower max_values, or use CategoricalFixedPoint(), which works on a grid")
    values, weights = np.empty((n, widest)), np.zeros((n, widest))
    for x, (sums, masses) in enumerate(layer.laws):
        values[x, : len(sums)], weights[x, : len(sums)] = sums, masses
        values[x, len(sums) :] = sums[-1]
    return ParticleReturns.trusted(values, weights)
