"""Turning what users pass into arrays, or into one clear sentence.

Every public constructor goes through here, so that bad input never surfaces as a NumPy or Numba trace. An error names
the argument, the offending index and the mend.
"""

import itertools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distrl._tolerances import NEGATIVE, ROW_SUM

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: What `numpy.random.default_rng` takes, and so every `rng=`.
RandomSource = (
    int
    | Sequence[int]
    | IntArray
    | np.random.SeedSequence
    | np.random.BitGenerator
    | np.random.Generator
    | np.random.RandomState
    | None
)


def plain(array: FloatArray) -> FloatArray:
    """`array`, or a copy if it is locked or not contiguous: kernels are compiled anew for each such kind of array."""
    return np.require(array, np.float64, ["C_CONTIGUOUS", "WRITEABLE"])


def real_number(value: object, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a finite float in [low, high], or an error naming `name`."""
    if isinstance(value, str | bytes | bool | np.bool_) or value is None:
        raise TypeError(f"{name} must be a real number, got {value!r}")
    refuse_masked(value, name)
    if isinstance(value, np.ndarray | np.generic) and (value.ndim or value.dtype.kind not in "iuf"):
        raise TypeError(f"{name} must be a real number, got {shortened(value)}")  # float() would drop an imaginary part
    try:
        number = float(value)  # type: ignore[arg-type]  # which raises what is caught
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must be a real number, got {value!r}") from error
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    if not low <= number <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {number:g}")
    return number


def whole_number(value: object, name: str, *, low: int = 0, high: int | None = None) -> int:
    """`value` as an int of at least `low`, or an error naming `name`."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from error
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {number}")
    if high is not None and number > high:
        raise ValueError(f"{name} must be at most {high}, got {number}")
    return number


def float_array(
    value: object, name: str, *, ndim: int | tuple[int, ...] | None = None, finite: bool = True
) -> FloatArray:
    """`value` as a new float64 array; complex, text, ragged and masked input are refused by name."""
    refuse_masked(value, name)
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from error
    if raw.dtype.kind == "O":
        # astype would read text, turn None into NaN and drop imaginary parts
        if any(entry is None or isinstance(entry, str | bytes | complex | np.complexfloating) for entry in raw.flat):
            raise TypeError(f"{name} must hold real numbers, got {shortened(value)}")
        try:
            with np.errstate(over="ignore"):  # too large becomes inf, which is refused below
                raw = raw.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"{name} must hold real numbers, got {shortened(value)}") from error
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got an array of dtype {raw.dtype}")
    with np.errstate(over="ignore"):
        array = np.array(raw, dtype=np.float64, order="C")
    dims = (ndim,) if isinstance(ndim, int) else ndim
    if dims is not None and array.ndim not in dims:
        wanted = " or ".join(str(d) for d in dims)
        raise ValueError(f"{name} must have {wanted} dimension(s), got shape {array.shape}")
    if finite and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}{list(where) if where else ''} is {array[where]}; every entry must be finite")
    return array


def int_array(value: object, name: str, *, low: int | None = None, high: int | None = None) -> IntArray:
    """`value` as a one-dimensional int64 array with entries in [low, high)."""
    whole = whole_column(value)
    array = float_array(value, name, ndim=1) if whole is None else whole
    if whole is None and array.size and (np.abs(array).max() > 2.0**53 or (array != np.floor(array)).any()):
        index = int(np.argmax((array != np.floor(array)) | (np.abs(array) > 2.0**53)))
        raise ValueError(f"{name}[{index}] is {array[index]:g}, not a whole number")
    whole = array.astype(np.int64)
    if not whole.size or ((low is None or whole.min() >= low) and (high is None or whole.max() < high)):
        return whole
    outside = np.zeros(len(whole), dtype=bool)
    if low is not None:
        outside |= whole < low
    if high is not None:
        outside |= whole >= high
    if outside.any():
        index = int(np.argmax(outside))
        raise ValueError(
            f"{name}[{index}] is {whole[index]}, outside the range {low}..{'' if high is None else high - 1}"
        )
    return whole


def whole_column(value: object) -> IntArray | None:
    """A plain column of whole numbers up to 2^53 in size, as it is if it is int64; None for all that needs a look."""
    if type(value) is not np.ndarray or value.ndim != 1 or value.dtype.kind not in "iuf" or not value.size:
        return None
    if not (value.max() <= 2.0**53 and value.min() >= -(2.0**53)):  # NaN compares as False
        return None
    whole = value.astype(np.int64, copy=False)
    return whole if value.dtype.kind != "f" or (whole == value).all() else None


def bool_array(value: object, name: str, length: int) -> BoolArray:
    """`value` as a mask of `length` entries; only booleans or 0/1 are taken, positions are not."""
    refuse_masked(value, name)
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not a mask: {error}") from error
    if raw.shape != (length,):
        raise ValueError(
            f"{name} must be a mask of shape ({length},), got shape {raw.shape}; positions become a mask by "
            f"numpy.isin(numpy.arange({length}), positions)"
        )
    if raw.dtype.kind == "O" and all(isinstance(entry, bool | np.bool_) for entry in raw):
        raw = raw.astype(np.bool_)
    if raw.dtype.kind not in "biuf" or (raw.dtype.kind != "b" and not ((raw == 0) | (raw == 1)).all()):
        raise ValueError(f"{name} must hold booleans (or 0 and 1), got {shortened(value)}")
    return raw.astype(np.bool_)


def distribution(value: object, name: str, length: int | None = None) -> FloatArray:
    """`value` as a probability vector (entries >= 0 within `NEGATIVE`, sum 1 within `ROW_SUM`)."""
    array = without_noise(float_array(value, name, ndim=1))
    if length is not None and array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    if not array.size:
        raise ValueError(f"{name} is empty")
    if (array < 0).any():
        index = int(np.argmax(array < 0))
        raise ValueError(f"{name}[{index}] is {array[index]:g}; probabilities cannot be negative")
    with np.errstate(over="ignore"):
        total = float(array.sum())
    if abs(total - 1.0) > ROW_SUM:
        raise ValueError(f"{name} sums to {total:.12g}, not 1; divide it by its sum if that is what you mean")
    return array


def without_noise(probs: FloatArray) -> FloatArray:
    """`probs` with what lies in [-`NEGATIVE`, 0) as 0; a row's sum is checked, and counted, after that."""
    noisy = probs.size > 0 and probs.min() < 0.0
    return np.where((probs < 0) & (probs >= -NEGATIVE), 0.0, probs) if noisy else probs


def refuse_masked(value: object, name: str, depth: int = 4) -> None:
    """Raise if something in `value` is masked: NumPy would go on with whatever number lies under the mask."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            where = np.argwhere(np.ma.getmaskarray(value))[0].tolist()
            raise ValueError(
                f"{name}{where if where else ''} is masked; leave masked entries out, or give them a value with "
                ".filled(value)"
            )
    elif isinstance(value, list | tuple) and depth:
        for entry in value:
            if isinstance(entry, np.ma.MaskedArray | list | tuple):
                refuse_masked(entry, name, depth - 1)


def refuse_other_order(value: object, name: str) -> None:
    """Raise if `value` is a pandas object whose labels say another order than its positions, by which it is read."""
    labels: dict[str, list[Any]] = {}
    for axis in ("index", "columns"):
        found: Any = getattr(value, axis, None)
        if hasattr(found, "__len__"):  # a list's `index` is a method
            labels[axis] = list(found)
    for axis, given in labels.items():
        whole = all(isinstance(label, int | np.integer) for label in given)
        if whole and any(after <= before for before, after in itertools.pairwise(given)):
            raise ValueError(
                f"the {axis} of {name} is {shortened(given)}, in another order than its positions, which are what is "
                f"read; sort it, or give {name}.to_numpy() if the positions are right"
            )
    index, columns = labels.get("index"), labels.get("columns")
    if index and columns and index != columns and Counter(map(str, index)) == Counter(map(str, columns)):
        raise ValueError(f"the index and the columns of {name} name the same things in another order; sort both")


def check_layout(layout: object, n: int) -> tuple[int, int] | None:
    """A (rows, columns) pair whose product is the number of states `n`; None where there is no map."""
    if layout is None:
        return None
    shape = tuple(int(side) for side in int_array(layout, "layout", low=1))
    if len(shape) != 2 or shape[0] * shape[1] != n:
        raise ValueError(f"layout {shape} must be (rows, columns) with rows * columns = {n} states")
    return shape[0], shape[1]


def fraction(value: object, name: str, *, open_low: bool = False, open_high: bool = False) -> FloatArray:
    """Scalar or 1-D array of levels in [0, 1]; open ends refuse 0 or 1."""
    array = float_array(value, name, ndim=(0, 1))
    bad = (array < 0) | (array > 1)
    if open_low:
        bad |= array == 0
    if open_high:
        bad |= array == 1
    if bad.any():
        interval = f"{'(' if open_low else '['}0, 1{')' if open_high else ']'}"
        raise ValueError(f"{name} must lie in {interval}, got {np.atleast_1d(array)[np.atleast_1d(bad)][0]:g}")
    return array


def generator(rng: RandomSource) -> np.random.Generator:
    """`numpy.random.default_rng(rng)`, with the error raised here."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"rng must be None, a seed or a numpy Generator, got {shortened(rng)}") from error


def shortened(value: object) -> str:
    """`repr(value)` on one line of at most 60 characters, for errors."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
