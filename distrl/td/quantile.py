"""Learning of quantiles.

Definitions. Z(x) has equal masses 1/m at the values theta_1(x), ..., theta_m(x), estimates of the quantiles at the
levels tau_i = (2i - 1) / (2m). A transition (x, r, y) gives m targets r + discount theta_j(y).

Update. theta_i(x) moves up by a tau_i and down by a times the share of targets below it: a step of quantile regression.
Its length does not depend on the rewards (claim `qtd-step-bounded`).

Convergence. Almost surely to the set of fixed points of quantile dynamic programming if sum a_k = inf and
a_k = o(1 / log k), for rewards with a finite mean (`StepSize.quantile_convergent`, claim `qtd-limit`); with constant
steps the values never settle (claim `qtd-constant-steps`). Source: Rowland et al. 2024, "An Analysis of Quantile
Temporal-Difference Learning", Theorem 8.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._kernels import td as kernels
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.returns.quantile import QuantileReturns, midpoint_levels
from distrl.td.base import TDMethod
from distrl.td.rule import Memory
from distrl.td.sampling import Transitions


@dataclass(frozen=True)
class QuantileTD(TDMethod[QuantileReturns]):
    """Quantile TD: theta_i(x) += a (tau_i - mean_j 1{r + discount theta_j(y) < theta_i(x)}), tau_i = (2i - 1) / (2m).

    Parameters
    ----------
    quantiles : int
        m.

    Notes
    -----
    No value moves by more than a (1 - 1/(2m)) in an update, whatever the rewards; a is in units of reward and may
    exceed 1: the spread of the returns times the step that TD would take is a start. Only the rank of theta_i among
    the sorted targets is needed. Up to 64 quantiles all pairs are compared, in vector instructions; more are kept
    sorted and merged with the targets: O(m) where few change places, O(m log m) at worst. Either way the result is
    bitwise that of the formula. Memory 12 S m bytes a replication (a second time for the update itself).
    Guarantee: the values converge to the set of quantile dynamic programming's fixed points if sum a_k = inf and
    a_k = o(1 / log k), for rewards with a finite mean (claim `qtd-limit`). Source: Rowland et al. 2024, "An Analysis of
    Quantile Temporal-Difference Learning", Theorem 8.

    Raises
    ------
    ValueError, TypeError
        If `quantiles` is no whole number of at least 1.
    """

    quantiles: int = 51

    largest_step: ClassVar[float] = np.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "quantiles", whole_number(self.quantiles, "quantiles", low=1))

    @property
    def width(self) -> int:
        return self.quantiles

    @property
    def arrays(self) -> int:
        return 4 if self.average_from is not None else 3

    def remember(self, start: FloatArray) -> Memory:
        labels = np.broadcast_to(np.arange(self.quantiles), start.shape)
        if self.quantiles > kernels.FEW:
            labels = np.argsort(start, axis=-1, kind="stable")
        return {
            "values": np.take_along_axis(start, labels, axis=-1),
            "labels": labels.astype(np.int32),
            "averages": self.averages(start),
            "levels": midpoint_levels(self.quantiles),
        }

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        kernels.renew_quantiles(
            memory["values"],
            memory["labels"],
            memory["averages"],
            self.burn_in,
            transitions,
            counts,
            steps,
            block,
            memory["levels"],
        )

    def estimates(self, memory: Memory) -> FloatArray:
        if self.average_from is not None:
            return np.asarray(memory["averages"])
        values = np.empty_like(memory["values"])
        np.put_along_axis(values, memory["labels"].astype(np.int64), memory["values"], axis=-1)
        return np.asarray(values)

    def means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates.mean(axis=-1))

    def axis(self) -> dict[str, FloatArray]:
        return {"levels": midpoint_levels(self.quantiles)}

    def returns(self, estimates: FloatArray) -> QuantileReturns:
        return QuantileReturns.trusted(estimates)
