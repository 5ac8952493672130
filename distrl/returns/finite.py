"""Laws of finitely many values: they answer every question, each exactly, and a mixture of them is one again."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import functionals as kernels
from distrl._validation import FloatArray, RandomSource, float_array, fraction, generator, whole_number
from distrl.returns.arrays import StateIndex, as_rows, check_weights, mixing_weights, read_only, state_index
from distrl.returns.base import NotKnown, Returns
from distrl.returns.export import ScipyDistribution, scipy_law

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class FiniteReturns(Returns):
    """Laws sum_i w_i delta(v_i) for a batch of states: all that is read from them follows from values and weights.

    A representation supplies `batch_shape`, `support_weights`, `arrays` and `__getitem__`. `Returns` says what each
    question is, its shape, its unit and its cost.
    """

    @abstractmethod
    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        """The values, sorted along the last axis and in units of reward, and their weights.

        Each is of shape (n,), shared by all laws, or batch + (n,). An entry of -1e-16 counts as a weight of 0.
        """

    def mean(self) -> FloatArray:
        values, weights = self.support_weights()
        with np.errstate(over="ignore"):  # of values near the largest float, by rounding
            means = np.einsum("...j,...j->...", np.maximum(weights, 0.0), values)
        if not np.isfinite(means).all():
            means = np.clip(means, values[..., 0], values[..., -1])
        return self._shaped(means, ())

    def var(self) -> FloatArray:
        square, unit = self._spread()
        with np.errstate(over="ignore", under="ignore"):
            return self._shaped(square * unit * unit, ())

    def std(self) -> FloatArray:
        square, unit = self._spread()
        return self._shaped(np.sqrt(square) * unit, ())

    def cdf(self, x: ArrayLike) -> FloatArray:
        points = float_array(x, "x", ndim=(0, 1), finite=False)
        if np.isnan(points).any():
            raise ValueError("x is NaN; the CDF is asked at numbers")
        return self._apply(kernels.cdf, points)

    def quantile(self, q: ArrayLike) -> FloatArray:
        return self._apply(kernels.quantile, fraction(q, "q"))

    def cvar(self, level: ArrayLike, tail: str = "lower") -> FloatArray:
        if tail not in ("lower", "upper"):
            raise ValueError(f'tail must be "lower" or "upper", got {tail!r}')
        return self._apply(kernels.cvar, fraction(level, "level", open_low=True), tail == "upper")

    def entropic_risk(self, beta: ArrayLike) -> FloatArray:
        return self._apply(kernels.entropic_risk, float_array(beta, "beta", ndim=(0, 1)))

    def expectile(self, tau: ArrayLike) -> FloatArray:
        return self._apply(kernels.expectile, fraction(tau, "tau", open_low=True, open_high=True))

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        return self._apply(kernels.stop_loss, float_array(k, "k", ndim=(0, 1)))

    def sample(self, n: int, rng: RandomSource = None) -> FloatArray:
        count = whole_number(n, "n")
        values, weights = self.rows()
        draws = generator(rng).random((self.size, count))
        kernels.draw(values, weights, draws)
        return draws.reshape(*self.batch_shape, count)

    def to_scipy(self, new: bool = False) -> ScipyDistribution:
        """The laws as laws of `scipy.stats`: mean, var, cdf, ppf, rvs and all else that SciPy asks of each.

        Parameters
        ----------
        new : bool
            False: a frozen `rv_discrete` on the law's own values, whole numbers or not. True: a distribution of the
            newer kind (`mean`, `variance`, `cdf`, `icdf`, `sample`), which SciPy makes from version 1.16 on; it has no
            such laws on other values than whole numbers, so its density is inf at each value.

        Returns
        -------
        a law, or a list of them
            Of one state, `returns[state].to_scipy()`, a law; of a batch a list of what each entry of its first axis
            gives, in their order. Time O(n log n) for a law of n values, and what SciPy takes to make an object of it.
        """
        if self.batch_shape:
            return [law.to_scipy(new) for law in self]
        values, weights = self.support_weights()
        return scipy_law(values, np.broadcast_to(weights, values.shape), new)

    def plot(self, states: StateIndex | None = None, **options: object) -> "Axes":
        from distrl.plotting import plot_returns  # it needs matplotlib, which few calls do

        arguments: dict[str, Any] = {"states": states, **options}
        axes: Axes = plot_returns(self, **arguments)
        return axes

    def mix(self, weights: ArrayLike) -> "FiniteReturns":
        share = mixing_weights(weights, self.batch_shape)[:, None]
        values, masses = self.support_weights()
        shape = (*self.batch_shape, values.shape[-1])
        mixed = share * np.broadcast_to(masses, shape)
        return ParticleReturns(np.broadcast_to(values, shape).ravel(), mixed.ravel())

    @property
    def size(self) -> int:
        """The number of laws."""
        return int(np.prod(self.batch_shape, dtype=np.int64))

    def rows(self) -> tuple[FloatArray, FloatArray]:
        """The values and weights as kernels take them: two-dimensional, one row if all laws share it, read-only."""
        values, weights = self.support_weights()
        return as_rows(values), as_rows(weights)

    def _spread(self) -> tuple[FloatArray, FloatArray]:
        """(B,) and (B,): variances in units of their own, squared; the units, 1 where squares do not overflow."""
        out = np.empty((self.size, 2))
        kernels.variance(*self.rows(), out)
        return out[:, 0], out[:, 1]

    def _apply(self, kernel: Callable[..., None], argument: FloatArray, *options: Any) -> FloatArray:
        out = np.empty((self.size, argument.size))
        kernel(*self.rows(), argument.reshape(-1), out, *options)
        return self._shaped(out, argument.shape)

    def _shaped(self, out: FloatArray, tail: tuple[int, ...]) -> FloatArray:
        shaped: FloatArray = out.reshape(self.batch_shape + tail)[()]  # [()]: a number rather than a 0-d array
        return shaped


class ParticleReturns(FiniteReturns):
    """Laws sum_i w_i delta(v_i), each with its own n values: empirical laws, for example.

    Parameters
    ----------
    values : array, (n,), (S, n) or (S, A, n)
        Finite, in any order; they are copied and sorted along the last axis (O(B n log n)).
    weights : array of the same shape, optional
        Probabilities in the order of `values`: >= 0, each law's sum 1 within 1e-9; 1/n when left out.
    check : bool
        False takes the arrays as they are: see `trusted`.

    Attributes
    ----------
    values, weights : batch + (n,), read-only
        Sorted by value.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, or naming the state and the number that is wrong.
    """

    def __init__(self, values: ArrayLike, weights: ArrayLike | None = None, *, check: bool = True) -> None:
        sorted_values, masses = _checked(values, weights) if check else (np.asarray(values), np.asarray(weights))
        self._values, self._weights = read_only(sorted_values), read_only(masses)

    @classmethod
    def trusted(cls, values: FloatArray, weights: FloatArray) -> "ParticleReturns":
        """Laws of sorted `values` and their `weights`, batch + (n,) or (n,) for all: taken as they are, unchecked."""
        return ParticleReturns(values, weights, check=False)

    @property
    def values(self) -> FloatArray:
        """batch + (n,) the sorted values, in units of reward."""
        return self._values

    @property
    def weights(self) -> FloatArray:
        """batch + (n,) their probabilities."""
        return np.broadcast_to(self._weights, self._values.shape)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._values.shape[:-1]

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        return self._values, self._weights

    def arrays(self) -> dict[str, FloatArray]:
        return {"particles": self.values, "weights": self.weights}

    def __getitem__(self, index: StateIndex) -> Self:
        return type(self)(*self._rows_of(index), check=False)

    def _rows_of(self, index: StateIndex) -> tuple[FloatArray, FloatArray]:
        selected = state_index(index, self.batch_shape)
        shared = self._weights.ndim < self._values.ndim
        return self._values[selected], self._weights if shared else self._weights[selected]

    def describe(self) -> str:
        return f"{self._values.shape[-1]} values each"


def as_finite(returns: Returns) -> FiniteReturns:
    """`returns`, if they are laws of finitely many values.

    Raises
    ------
    NotKnown
        If they are not, with what can be asked instead.
    """
    if not isinstance(returns, FiniteReturns):
        raise NotKnown(returns.why_not)
    return returns


def each(returns: Returns, kernel: Callable[..., None], arguments: FloatArray) -> FloatArray:
    """`kernel(values, weights, arguments, out)` of every law at its own arguments, batch + (K,).

    Raises
    ------
    NotKnown
        If they are no laws of finitely many values.
    """
    rows = np.ascontiguousarray(arguments).reshape(-1, arguments.shape[-1])
    out = np.empty_like(rows)
    kernel(*as_finite(returns).rows(), rows, out)
    return out.reshape(arguments.shape)


def _checked(values: ArrayLike, weights: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Copies of values and weights, sorted by value."""
    raw = float_array(values, "values", ndim=(1, 2, 3))
    if not raw.shape[-1]:
        raise ValueError(f"values has shape {raw.shape}; a law needs at least one value")
    if weights is None:
        return np.sort(raw, axis=-1), np.full(raw.shape[-1], 1.0 / raw.shape[-1])  # one row serves every law
    masses = float_array(weights, "weights")
    if masses.shape != raw.shape:
        raise ValueError(f"weights has shape {masses.shape}, values {raw.shape}; they must be equal")
    check_weights(masses, "weights")
    order = np.argsort(raw, axis=-1, kind="stable")
    return np.take_along_axis(raw, order, axis=-1), np.take_along_axis(masses, order, axis=-1)
