"""Return laws as what other libraries take: `xarray` data sets and laws of `scipy.stats`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._validation import FloatArray, shortened
from distrl.returns.named import Named

if TYPE_CHECKING:
    import xarray

#: A law of `scipy.stats`: frozen, or of its newer kind.
ScipyDistribution: TypeAlias = Any
#: What the arrays of a representation are called outside, and the axis that its last one is.
_NAMES = {
    "atoms": ("atom", "atom"),
    "probs": ("probability", "atom"),
    "levels": ("level", "level"),
    "quantiles": ("value", "level"),
    "particles": ("value", "particle"),
    "weights": ("weight", "particle"),
    "taus": ("tau", "tau"),
    "expectiles": ("expectile", "tau"),
    "anchors": ("anchor", "anchor"),
    "embeddings": ("embedding", "feature"),
    "targets": ("target", "target"),
    "losses": ("loss", "target"),
    "values": ("mean", ""),
    "central_moments": ("central_moment", "order"),
    "moment_errors": ("moment_error", "order"),
}


class ToXarray(Named):
    """What laws that can be stated as arrays have: `to_xarray`."""

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch of laws."""

    @abstractmethod
    def arrays(self) -> dict[str, FloatArray]:
        """All that is needed to state these laws again, by name."""

    def to_xarray(self, **names: Sequence[Hashable]) -> xarray.Dataset:
        """The arrays that state these laws as an `xarray.Dataset`, with coordinates; needs the extra `io`.

        Parameters
        ----------
        **names : labels of each axis of the batch, by the name of the axis
            In the order of the axes, as `state=mdp.states, action=mdp.actions` or `replication=range(10),
            state=range(5)`. None: state and action, states by their names, the others by their positions.

        Returns
        -------
        xarray.Dataset
            Categorical laws: `probability` (state, atom), the coordinate `atom` in units of reward; quantiles: `value`
            (state, level); particles: `value` and `weight` (state, particle). No array is copied.

        Raises
        ------
        ValueError
            If there is not one name for each axis, or not one label for each entry.
        """
        shape = self.batch_shape
        dims = tuple(names) or ("state", "action")[: len(shape)]
        if not names and shape and self.names is not None:
            names = {"state": self.names}
        if len(dims) != len(shape):
            raise ValueError(f"these are laws of shape {shape}: name each axis, with its labels, in their order")
        return dataset_of(self.arrays(), shape, dims, names)


def dataset_of(
    arrays: Mapping[str, FloatArray],
    batch: tuple[int, ...],
    dims: tuple[str, ...],
    names: Mapping[str, Sequence[Hashable]],
) -> xarray.Dataset:
    """A data set of the arrays that state laws.

    Parameters
    ----------
    arrays : the arrays, each of the shape `batch` + (n,), (n,), `batch`, or (n,) + `batch`
    batch : the shape of the batch of laws
    dims : the name of each axis of the batch
    names : {name of an axis: its labels}
        Positions where there are none.

    Raises
    ------
    ModuleNotFoundError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise ModuleNotFoundError("a data set needs xarray: pip install 'distrl[io]'", name="xarray") from error
    coords: dict[str, Any] = {}
    for dim, size in zip(dims, batch, strict=True):
        coords[dim] = (dim, _labels(names.get(dim, range(size)), dim, size))
    data: dict[str, Any] = {}
    for key, array in arrays.items():
        side, plain = (key.partition("_")[::2]) if key.startswith(("lower_", "upper_")) else ("", key)
        name, axis = _NAMES.get(plain, (plain, f"{plain}_axis"))
        name, axis = (f"{side}_{name}", f"{side}_{axis}") if side else (name, axis)
        if array.ndim == 1 and name == axis:
            coords[axis] = (axis, array)
        elif array.shape == batch:
            data[name] = (dims, array)
        elif array.shape[:-1] == batch:
            data[name] = ((*dims, axis), array)
        elif array.shape[1:] == batch:
            data[name] = ((axis, *dims), array)
        else:
            data[name] = (tuple(f"{name}_axis_{k}" for k in range(array.ndim)), array)
    return xarray.Dataset(data, coords)


def scipy_law(values: FloatArray, weights: FloatArray, new: bool) -> ScipyDistribution:
    """The law sum_i weights[i] delta(values[i]) as one of `scipy.stats`; `Returns.to_scipy` says which."""
    import scipy.stats

    distinct, inverse = np.unique(values, return_inverse=True)
    masses = np.bincount(inverse, weights=np.maximum(weights, 0.0), minlength=len(distinct)).astype(np.float64)
    distinct, masses = distinct[masses > 0.0], masses[masses > 0.0]
    if not new:
        return scipy.stats.rv_discrete(name="returns", values=(distinct, masses))()
    make = getattr(scipy.stats, "make_distribution", None)
    if make is None:
        raise ModuleNotFoundError(
            "distributions of the new kind need SciPy 1.16: pip install -U scipy, or leave out new=True", name="scipy"
        )
    return make(_Atoms(distinct, masses))()


class _Atoms:
    """A law of finitely many values in the form that `scipy.stats.make_distribution` takes.

    Its discrete laws are on whole numbers, so this is one of its general ones, with a density of inf at the values.
    """

    __make_distribution_version__ = "1.16.0"
    parameters = ()

    def __init__(self, values: FloatArray, masses: FloatArray) -> None:
        below, above = np.cumsum(masses), np.cumsum(masses[::-1])[::-1]
        mean = float(masses @ values)
        lowest = float(np.nextafter(values[0], -np.inf))  # at the lower end itself SciPy takes every CDF for 0
        self.support = {"endpoints": (lowest, float(values[-1])), "inclusive": (True, True)}

        # functions, not methods: SciPy makes methods of another class of them, and hands that class over as self
        def cdf(_: object, x: ArrayLike) -> FloatArray:
            return np.append(0.0, below)[np.searchsorted(values, x, side="right")]

        def ccdf(_: object, x: ArrayLike) -> FloatArray:
            return np.append(above, 0.0)[np.searchsorted(values, x, side="right")]

        def icdf(_: object, p: ArrayLike) -> FloatArray:
            return values[np.minimum(np.searchsorted(below, p), len(values) - 1)]

        def iccdf(_: object, p: ArrayLike) -> FloatArray:
            reached = np.searchsorted(
                -np.append(above[1:], 0.0), -np.asarray(p)
            )  # the first value with as little above
            return values[np.minimum(reached, len(values) - 1)]

        def pdf(_: object, x: ArrayLike) -> FloatArray:
            return np.where(np.isin(x, values), np.inf, 0.0)

        def median(_: object) -> FloatArray:
            return icdf(_, 0.5)

        def sample(_: object, shape: tuple[int, ...], *, rng: np.random.Generator) -> FloatArray:
            return rng.choice(values, size=shape, p=masses / masses.sum())

        def moment(order: int, kind: str) -> float:
            centred = values - (0.0 if kind == "raw" else mean)
            scale = np.sqrt(masses @ (values - mean) ** 2) if kind == "standardized" else 1.0
            return float(masses @ (centred / scale) ** order)

        self.cdf, self.ccdf, self.icdf, self.iccdf = cdf, ccdf, icdf, iccdf
        self.pdf, self.median, self.sample, self.moment = pdf, median, sample, moment


def _labels(names: Sequence[Hashable], dim: str, size: int) -> NDArray[Any]:
    """Labels as an array that keeps each whole, tuples too."""
    if len(names) != size:
        raise ValueError(f"{dim} has {size} entries, but there are {len(names)} names: {shortened(list(names))}")
    if isinstance(names, range):
        return np.arange(size)
    kinds = {type(name) for name in names}
    if len(kinds) == 1 and kinds <= {str, int, float, bool}:
        return np.array(list(names))
    array = np.empty(size, dtype=object)
    for place, name in enumerate(names):
        array[place] = name
    return array
