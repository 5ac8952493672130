"""Learning of expectiles.

Definitions. The expectile e at level tau of a law Z balances what lies above it against what lies below:
tau E[(Z - e)^+] = (1 - tau) E[(e - Z)^+]; at 1/2 it is the mean.

Update. A transition (x, r, y) gives a law of targets U = r + discount Z(y), Z(y) a law that has the expectiles e(y).
e_i(x) moves by 2 a times the mean of |tau_i - 1{U < e_i(x)}| (U - e_i(x)), the gradient of the asymmetric square.

Convergence. The middle expectile is TD's value, update by update, and converges as that does. Of the others no proof is
known to us. Source: Rowland et al. 2019, "Statistics and Samples in Distributional Reinforcement Learning", for the
update; the law Z(y) is this library's choice.
"""

from dataclasses import dataclass

import numpy as np

from distrl._kernels.expectile import renew_expectiles
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.quantile import midpoint_levels
from distrl.td.base import TDMethod, for_replications, reported
from distrl.td.rule import Memory, Start
from distrl.td.sampling import Transitions


@dataclass(frozen=True)
class ExpectileTD(TDMethod[ExpectileReturns]):
    """Expectile TD: e_i(x) += 2 a E[|tau_i - 1{U < e_i(x)}| (U - e_i(x))], U = r + discount Z(y).

    Parameters
    ----------
    n : int
        Number of expectiles, at the levels (2i - 1) / (2n); where n is even 1/2 is one more. The expectile at 1/2 is
        the mean, and learns exactly as `TD` with the same steps and transitions.

    Notes
    -----
    Z(y) is a law with the expectiles e(y): the convex interpolation of the stop-loss transform, no search. Time
    O(n log n) a renewal, memory 8 S n bytes a replication. Steps must be at most 1, and are best below 1/2, where no
    expectile moves beyond its target. No proof of convergence is known to us. Source: Rowland et al. 2019, "Statistics
    and Samples in Distributional Reinforcement Learning", for the update; the imputation is this library's.

    Raises
    ------
    ValueError, TypeError
        If `n` is no whole number of at least 1.
    """

    n: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n", whole_number(self.n, "n", low=1))

    @property
    def taus(self) -> FloatArray:
        """The levels, in order."""
        return np.union1d(midpoint_levels(self.n), 0.5)

    @property
    def width(self) -> int:
        return self.n + 1 - self.n % 2

    @property
    def arrays(self) -> int:
        return 2

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        return for_replications(start, "expectiles", 0.0, (replications, states, self.width))

    def remember(self, start: FloatArray) -> Memory:
        return {"expectiles": start, "averages": self.averages(start), "taus": self.taus}

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        expectiles, averages, taus = memory["expectiles"], memory["averages"], memory["taus"]
        renew_expectiles(expectiles, averages, self.burn_in, transitions, counts, steps, block, taus)

    def estimates(self, memory: Memory) -> FloatArray:
        return reported(memory, "expectiles")

    def means(self, estimates: FloatArray) -> FloatArray:
        return estimates[..., self.width // 2]

    def axis(self) -> dict[str, FloatArray]:
        return {"taus": self.taus}

    def returns(self, estimates: FloatArray) -> ExpectileReturns:
        return ExpectileReturns.of(self.taus, estimates)
