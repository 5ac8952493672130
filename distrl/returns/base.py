"""What every representation of return laws can be asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import functionals as kernels
from distrl._validation import SUM_TOLERANCE, FloatArray, float_array, fraction, generator, whole_number


class Returns(ABC):
    """Laws Z of finitely many values, for a batch of states.

    The batch shape is (S,), (S, A) for action returns, or () for the law of one state, `returns[s]`. Every functional
    is over all laws at once: its result has the batch shape, followed by the length of an array argument. Values are
    in units of reward; n is the number of values of a law, B the number of laws, K the number of arguments.

    A representation supplies `batch_shape`, `support_weights`, `arrays` and `__getitem__`.
    """

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of laws: (), (S,) or (S, A)."""

    @abstractmethod
    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        """Values, sorted along the last axis, and their weights.

        Each is of shape (n,), shared by all laws, or batch + (n,).
        """

    @abstractmethod
    def arrays(self) -> dict[str, FloatArray]:
        """All that is needed to state these laws again, by name: what `Solution.save` writes."""

    @abstractmethod
    def __getitem__(self, index: Any) -> Self:
        """The laws of some states: an int, a slice, an array of ints or a mask, or a tuple of them."""

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError("the law of one state has no length")
        return self.batch_shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shape = self.batch_shape
        count = "one law" if not shape else f"{' x '.join(map(str, shape))} {'states' if len(shape) == 1 else 'laws'}"
        parts = [count, self._describe()]
        if not shape:
            parts.append(f"mean={float(self.mean()):.6g}, std={float(self.std()):.6g}")
        return f"{type(self).__name__}({', '.join(filter(None, parts))})"

    def _describe(self) -> str:
        """What `repr` says of the support."""
        return ""

    def mean(self) -> FloatArray:
        """E Z = sum_j w_j v_j, shape batch. Time O(B n)."""
        values, weights = self.support_weights()
        with np.errstate(over="ignore"):  # of values near the largest float, by rounding
            means = np.einsum("...j,...j->...", np.maximum(weights, 0.0), values)
        if not np.isfinite(means).all():
            means = np.clip(means, values[..., 0], values[..., -1])
        return self._shaped(means, ())

    def var(self) -> FloatArray:
        """E (Z - E Z)^2, shape batch, in squared units of reward; summed around the mean, never negative. O(B n).

        inf (or 0) where that is beyond float64; `std` is still right then.
        """
        square, unit = self._spread()
        with np.errstate(over="ignore", under="ignore"):
            return self._shaped(square * unit * unit, ())

    def std(self) -> FloatArray:
        """sqrt(E (Z - E Z)^2), shape batch, in units of reward. O(B n)."""
        square, unit = self._spread()
        return self._shaped(np.sqrt(square) * unit, ())

    def _spread(self) -> tuple[FloatArray, FloatArray]:
        """(B,) and (B,): variances in units of their own, squared; the units, 1 where squares do not overflow."""
        out = np.empty((self._size, 2))
        kernels.variance(*self._rows(), out)
        return out[:, 0], out[:, 1]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """P(Z <= x).

        Parameters
        ----------
        x : scalar or (K,)
            Points; infinities are allowed.

        Returns
        -------
        array, batch or batch + (K,)
            In [0, 1]. The comparison is exact: for an atom take it from the law's own atoms. Time O(B (n + K log n)).

        Raises
        ------
        ValueError, TypeError
            If `x` is not a number or a list of numbers, or is NaN.
        """
        points = float_array(x, "x", ndim=(0, 1), finite=False)
        if np.isnan(points).any():
            raise ValueError("x is NaN; the CDF is asked at numbers")
        return self._apply(kernels.cdf, points)

    def quantile(self, q: ArrayLike) -> FloatArray:
        """Lower quantile inf{x : F(x) >= q}.

        Parameters
        ----------
        q : scalar or (K,)
            Levels in [0, 1]. F is compared with q - 1e-9, so that rounding of a cumulative mass does not move the
            answer to the next atom; 0 gives the smallest value of mass above 1e-15.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B (n + K log n)).

        Raises
        ------
        ValueError
            If a level is outside [0, 1].
        """
        return self._apply(kernels.quantile, fraction(q, "q"))

    def cvar(self, level: ArrayLike, tail: str = "lower") -> FloatArray:
        """Conditional value at risk: the mean of the worst, or the best, mass `level`.

        lower: (1/level) int_0^level F^{-1}(u) du; upper: (1/level) int_{1-level}^1 F^{-1}(u) du. An atom across the
        level counts with the part that is needed, so the value is exact and continuous in the level.

        Parameters
        ----------
        level : scalar or (K,)
            In (0, 1]; at 1 it is the mean.
        tail : {"lower", "upper"}
            lower averages the smallest returns, the bad ones for a reward; upper the largest.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError
            If a level is outside (0, 1] or `tail` is neither of the two words.
        """
        if tail not in ("lower", "upper"):
            raise ValueError(f'tail must be "lower" or "upper", got {tail!r}')
        return self._apply(kernels.cvar, fraction(level, "level", open_low=True), tail == "upper")

    def entropic_risk(self, beta: ArrayLike) -> FloatArray:
        """(1/beta) log E exp(beta Z); the mean at beta = 0.

        Sign: for a reward beta < 0 is risk averse (below the mean), beta > 0 risk seeking (above it).

        Parameters
        ----------
        beta : scalar or (K,)
            Finite, in 1/units of reward. Large values neither overflow nor lose the small ones.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError, TypeError
            If `beta` is not finite or not a number.
        """
        return self._apply(kernels.entropic_risk, float_array(beta, "beta", ndim=(0, 1)))

    def expectile(self, tau: ArrayLike) -> FloatArray:
        """The e with tau E(Z - e)+ = (1 - tau) E(e - Z)+, exact; the mean at tau = 1/2.

        Parameters
        ----------
        tau : scalar or (K,)
            In (0, 1).

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError
            If a level is outside (0, 1).
        """
        return self._apply(kernels.expectile, fraction(tau, "tau", open_low=True, open_high=True))

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        """E[(Z - k)+].

        Parameters
        ----------
        k : scalar or (K,)
            Finite.

        Returns
        -------
        array, batch or batch + (K,)
            Without cancellation. Time O(B (n + K log n)).

        Raises
        ------
        ValueError, TypeError
            If `k` is not finite or not a number.
        """
        return self._apply(kernels.stop_loss, float_array(k, "k", ndim=(0, 1)))

    def sample(self, n: int, rng: Any = None) -> FloatArray:
        """`n` independent draws of every law, independent between the laws, shape batch + (n,).

        Parameters
        ----------
        n : int
            At least 0.
        rng : anything `numpy.random.default_rng` takes
            The same rng gives the same draws.

        Raises
        ------
        ValueError, TypeError
            If `n` is not a whole number >= 0, or `rng` no seed or generator.
        """
        count = whole_number(n, "n")
        values, weights = self._rows()
        draws = generator(rng).random((self._size, count))
        kernels.draw(values, weights, draws)
        return draws.reshape(*self.batch_shape, count)

    def plot(self, states: Any = None, **options: Any) -> Any:
        """Draw the laws of `states` (all, or the first few when left out); needs the extra `plot` (matplotlib).

        See `distrl.plotting.plot_returns` for the options and what is returned.
        """
        from distrl.plotting import plot_returns

        return plot_returns(self, states=states, **options)

    @property
    def _size(self) -> int:
        return int(np.prod(self.batch_shape, dtype=np.int64))

    def _rows(self) -> tuple[FloatArray, FloatArray]:
        """Support and weights as kernels take them: two-dimensional, one row if shared by all laws."""
        values, weights = self.support_weights()
        return as_rows(values), as_rows(weights)

    def _apply(self, kernel: Callable[..., None], argument: FloatArray, *options: Any) -> FloatArray:
        out = np.empty((self._size, argument.size))
        kernel(*self._rows(), argument.reshape(-1), out, *options)
        return self._shaped(out, argument.shape)

    def _shaped(self, out: FloatArray, tail: tuple[int, ...]) -> FloatArray:
        shaped: FloatArray = out.reshape(self.batch_shape + tail)[()]  # [()]: a number rather than a 0-d array
        return shaped


def as_rows(array: FloatArray) -> FloatArray:
    """View of shape (rows, n), read-only so that a kernel is compiled for one type of array only."""
    return read_only(np.ascontiguousarray(array).reshape(-1, array.shape[-1]))


def read_only(array: FloatArray) -> FloatArray:
    """View that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def state_index(index: Any, batch_shape: tuple[int, ...]) -> Any:
    """`index`, if it selects laws of the batch and nothing else.

    Raises
    ------
    IndexError
        Naming the range of states.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if not batch_shape:
        raise IndexError("this is the law of one state; it cannot be indexed")
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, bool | np.bool_ | str):
            raise IndexError(f"{part!r} does not select states; use ints, slices, lists of ints or masks")
    try:
        # a view without memory of its own: NumPy decides what is out of range
        np.broadcast_to(np.float64(0.0), batch_shape)[index]
    except IndexError as error:
        ranges = " and ".join(
            f"{axis} 0..{length - 1}" for axis, length in zip(_axes(batch_shape), batch_shape, strict=True)
        )
        raise IndexError(f"index {index!r} is outside the batch of {ranges}") from error
    return index


def check_weights(weights: FloatArray, name: str) -> None:
    """Raise a ValueError that names the law whose weights are negative or do not sum to 1."""
    if (weights < 0).any():
        where = tuple(int(i) for i in np.argwhere(weights < 0)[0])
        raise ValueError(
            f"{name}{_of_law(where[:-1])}: entry {where[-1]} is {weights[where]:g}; probabilities cannot be negative"
        )
    sums = weights.sum(axis=-1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        raise ValueError(
            f"{name}{_of_law(where)} sum to {np.asarray(sums)[where]:.12g}, not 1; divide them by their sum if that is "
            "what you mean"
        )


def _axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    return {1: ("states",), 2: ("states", "actions")}.get(len(shape), tuple(f"axis {i}:" for i in range(len(shape))))


def _of_law(where: tuple[int, ...]) -> str:
    if not where:
        return ""
    return f" of state {where[0]}" if len(where) == 1 else f" of state {where[0]}, action {where[1]}"
