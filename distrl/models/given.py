"""What users may give, as types. Everything is looked at before it is used; a type says what has a chance to pass."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl.models.laws import Law


class HasCDF(Protocol):
    """A law of one's own, or a frozen one of `scipy.stats`: whatever has a `cdf`."""

    @property
    def cdf(self) -> Callable[..., object]:
        """P(R <= x)."""


class HasColumns(Protocol):
    """A frame of some library, lazy or not."""

    @property
    def columns(self) -> object:
        """The names of its columns, or the columns themselves."""


#: A reward: a number, or a law.
Reward: TypeAlias = float | Law | HasCDF
#: A matrix, dense or of `scipy.sparse`, or one for each action.
Matrices: TypeAlias = "ArrayLike | sparse.sparray | sparse.spmatrix | Sequence[ArrayLike | sparse.sparray]"
#: Rewards by state, by state and action, by transition: numbers or laws, nested as the model's docstring says.
Rewards: TypeAlias = "Matrices | Sequence[Reward] | Sequence[Sequence[Reward] | Reward]"
#: Rows of a table: with names for its columns (a data frame, a mapping of columns, mappings), or in order.
TableLike: TypeAlias = ArrayLike | Mapping[str, Any] | Iterable[Sequence[Any] | Mapping[str, Any]] | HasColumns
#: How many states or actions there are, or their names.
Names: TypeAlias = int | Sequence[Hashable] | None
