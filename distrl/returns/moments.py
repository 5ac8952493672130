"""Results of which moments alone are known, and no law."""

from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, whole_number
from distrl.returns.arrays import StateIndex, state_index
from distrl.returns.base import NotKnown, Returns


class MomentReturns(Returns):
    """The mean and the central moments of every state's return; any other question is `NotKnown`.

    Parameters
    ----------
    mean : (S,)
    central : (order + 1, S), rows k >= 2 the k-th central moments (rows 0 and 1 are not used)
    errors : (order + 1, S), bounds on the errors of the mean (row 1) and of the central moments; inf by default
    """

    why_not = (
        "only moments are known (method Moments); solve with CategoricalFixedPoint for quantiles, CVaR, the CDF "
        "or distances"
    )
    moments_alone = True

    def __init__(self, mean: FloatArray, central: FloatArray, errors: FloatArray | None = None) -> None:
        self._mean, self._central = mean, central
        self._errors = np.full(central.shape, np.inf) if errors is None else errors

    @property
    def mean_error(self) -> FloatArray:
        """(S,) the certified bound on the error of the mean; inf where nothing is known."""
        return np.asarray(self._errors[1])

    @property
    def variance_error(self) -> FloatArray:
        """(S,) the certified bound on the error of the variance; see `central_moment_error`."""
        return self.central_moment_error(2)

    def central_moment_error(self, order: int) -> FloatArray:
        """(S,) the certified bound on the error of `central_moment(order)`; 0 below order 2.

        Raises
        ------
        NotKnown
            If `order` is above what was solved for.
        """
        k = whole_number(order, "order", low=0)
        self.central_moment(k)
        return np.zeros(self._mean.shape) if k < 2 else self._errors[k]

    @property
    def order(self) -> int:
        """The order of the highest moment known."""
        return len(self._central) - 1

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._mean.shape

    def arrays(self) -> dict[str, FloatArray]:
        central = np.stack([self.central_moment(k) for k in range(self.order + 1)])
        return {"central_moments": central, "moment_errors": self._errors}

    def __getitem__(self, index: StateIndex) -> "MomentReturns":
        where = state_index(index, self.batch_shape)
        several = where if isinstance(where, tuple) else (where,)
        rows = (slice(None), *several)
        return MomentReturns(self._mean[where], self._central[rows], self._errors[rows])

    def mean(self) -> FloatArray:
        return self._mean

    def central_moment(self, order: int) -> FloatArray:
        """E[(G - E G)^order] of every state.

        Raises
        ------
        NotKnown
            If `order` is above what was solved for.
        """
        k = whole_number(order, "order", low=0)
        if k > self.order:
            raise NotKnown(f"moments up to order {self.order} were solved; ask Moments(order={k})")
        return np.full(self._mean.shape, (1.0, 0.0)[k]) if k < 2 else self._central[k]

    def var(self) -> FloatArray:
        return np.maximum(self.central_moment(2), 0.0)

    def std(self) -> FloatArray:
        return np.sqrt(self.var())

    def skewness(self) -> FloatArray:
        """The third standardised moment, batch; 0 where the variance is 0.

        Raises
        ------
        NotKnown
            If moments of order 3 were not solved for.
        """
        return self._standardised(3)

    def kurtosis(self) -> FloatArray:
        """The fourth standardised moment, batch (3 for a normal law); 0 where the variance is 0.

        Raises
        ------
        NotKnown
            If moments of order 4 were not solved for.
        """
        return self._standardised(4)

    def _standardised(self, order: int) -> FloatArray:
        scale = np.asarray(self.var() ** (order / 2))
        return np.divide(self.central_moment(order), scale, out=np.zeros_like(scale), where=scale > 0)


@dataclass(frozen=True)
class ValueEstimates(Returns):
    """What `TD` knows: the estimated means `values`, (R, S), or (S,) of one learner, in units of reward."""

    values: FloatArray

    why_not = "only means are estimated (method TD); learn with CategoricalTD for quantiles, CVaR, the CDF or distances"
    moments_alone = True

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.values.shape

    def mean(self) -> FloatArray:
        """The estimates themselves."""
        return self.values

    def arrays(self) -> dict[str, FloatArray]:
        return {"values": self.values}

    def __getitem__(self, index: StateIndex) -> "ValueEstimates":
        return ValueEstimates(self.values[state_index(index, self.batch_shape)])
