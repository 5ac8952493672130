"""What distances accept, as rows of values and weights or as laws."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distrl._validation import FloatArray, IntArray
from distrl.models.laws import Law, as_law, is_law
from distrl.returns.arrays import as_rows
from distrl.returns.base import Returns
from distrl.returns.finite import FiniteReturns, as_finite

_ACCEPTED = "Returns, a distrl.FiniteLaw, a frozen scipy.stats law, or a list of laws, one a state"

Rows = tuple[FloatArray, FloatArray]  # values and weights, (1 or B, n)


class Frozen(Protocol):
    """A frozen law of scipy.stats."""

    def cdf(self, x: Any, /) -> Any:
        """P(X <= x)."""


#: What a distance is between: return laws, one law, or a list of laws, one a state.
Operand = Returns | Law | Frozen | Sequence["Operand"] | NDArray[np.object_]


@dataclass(frozen=True)
class Laws:
    """A batch of laws, flat in C order."""

    batch_shape: tuple[int, ...]
    laws: list[Law]

    def groups(self) -> Iterator[tuple[IntArray | slice, Law]]:
        """States and the law they share; a single law stands for all of them."""
        if not self.batch_shape:
            yield slice(None), self.laws[0]
            return
        found: dict[Hashable, list[int]] = {}
        for i, law in enumerate(self.laws):
            found.setdefault(law.key, []).append(i)
        for states in found.values():
            yield np.array(states), self.laws[states[0]]


def operand(value: Any, name: str) -> FiniteReturns | Laws:
    """`value` as laws of finitely many values, or as a batch of laws of any kind.

    Raises
    ------
    ValueError, TypeError
        If it is neither, naming it.
    """
    if isinstance(value, Returns):
        return as_finite(value)
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object and value.ndim):
        parts = [operand(part, f"{name}[{i}]") for i, part in enumerate(value)]
        if not parts:
            raise ValueError(f"{name} is an empty list; give one law a state")
        laws: list[Law] = []
        for i, part in enumerate(parts):
            if not isinstance(part, Laws):
                raise TypeError(f"{name}[{i}] is {value[i]!r}; a list holds laws, each one state's")
            if part.batch_shape != parts[0].batch_shape:
                raise ValueError(
                    f"{name}[{i}] has batch shape {part.batch_shape}, {name}[0] {parts[0].batch_shape}; "
                    "every state needs the same number of laws"
                )
            laws += part.laws
        return Laws((len(parts), *parts[0].batch_shape), laws)
    if not is_law(value):
        raise TypeError(f"{name} is {value!r}; expected {_ACCEPTED}")
    return Laws((), [as_law(value, name)])


def common_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The batch shape of the distances between two batches.

    Raises
    ------
    ValueError
        If they differ and neither is a single law.
    """
    if a and b and a != b:
        raise ValueError(f"a has batch shape {a}, b has {b}; they must be equal, or one of them a single law")
    return a or b


def take(rows: Rows, states: IntArray | slice) -> Rows:
    """The rows of some states; a row that all share stays one."""
    values, weights = (as_rows(part if len(part) == 1 else part[states]) for part in rows)
    return values, weights
