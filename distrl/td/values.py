"""Learning of the mean.

Definitions. The value of a state is the mean of its return, V(x) = E[R + discount V(Y)], R the reward and Y the next
state of a transition from x. A target is a sample of what stands in the brackets; its bootstrapped part is the estimate
at Y, and n-step targets bootstrap after n rewards, Monte Carlo targets never.

Update. V(x) moves by the share a of the way to the target: V(x) += a (r + discount V(y) - V(x)).

Convergence. Almost surely to (I - discount P)^{-1} r where each state's steps sum to inf and their squares do not
(`StepSize.robbins_monro`). With constant steps the mean error falls by the factor 1 - a (1 - discount) at least in each
synchronous update, and the noise remains. Source: Sutton 1988, "Learning to Predict by the Methods of Temporal
Differences"; Bellemare, Dabney, Rowland 2023, chapter 6.
"""

from dataclasses import dataclass

import numpy as np

from distrl._kernels import td as kernels
from distrl._validation import FloatArray, IntArray
from distrl.returns.arrays import read_only
from distrl.returns.moments import ValueEstimates
from distrl.td.base import TDMethod, for_replications, reported
from distrl.td.rule import Memory, Start
from distrl.td.sampling import Transitions


@dataclass(frozen=True, kw_only=True)
class TD(TDMethod[ValueEstimates]):
    """Temporal-difference learning of the mean: V(x) += a (r + discount V(y) - V(x)).

    Notes
    -----
    Time O(1) a renewal. Steps must be at most 1. The estimates converge almost surely to (I - discount P)^{-1} r under
    Robbins-Monro steps. Source: Sutton 1988; Bellemare, Dabney, Rowland 2023.
    """

    @property
    def width(self) -> int:
        return 1

    @property
    def arrays(self) -> int:
        return 2

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        return for_replications(start, "values", 0.0, (replications, states))[..., None]

    def remember(self, start: FloatArray) -> Memory:
        return {"values": start, "averages": self.averages(start)}

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        kernels.renew_values(memory["values"], memory["averages"], self.burn_in, transitions, counts, steps, block)

    def estimates(self, memory: Memory) -> FloatArray:
        return reported(memory, "values")

    def means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates[..., 0])

    def returns(self, estimates: FloatArray) -> ValueEstimates:
        return ValueEstimates(read_only(estimates[..., 0]))


@dataclass(frozen=True, kw_only=True)
class MonteCarloTD(TD):
    """Every-visit Monte Carlo: V(x) += a (return that followed x - V(x)); `TD` with `steps=None`.

    With `Harmonic()` steps it is the average of the returns. It needs a model in which every state ends surely.
    """

    steps: int | None = None
