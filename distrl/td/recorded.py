"""What a run of `learn` has recorded, as data: arrays, return laws, and an `xarray` data set."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Generic

import numpy as np

from distrl._steady import steady
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.models.mrp import MRP
from distrl.td.replication import Checkpoint
from distrl.td.rule import LearningRule, R
from distrl.td.step_sizes import StepSize

if TYPE_CHECKING:
    import xarray


class LearningStatus(Enum):
    """How a run ended; the value is the sentence a person reads."""

    DONE = "Done: all updates were made."
    INTERRUPTED = "Interrupted: what was recorded until then is here; go on with learn(..., resume=run)."


@dataclass(frozen=True, eq=False)
class Recorded(Generic[R]):
    """R independent replications of a method, recorded at T update counts; `LearningRun` adds what can be asked.

    Attributes
    ----------
    updates : (T,) int
        The update counts recorded, those of the runs it resumed included.
    done : int
        The updates made altogether.
    status : LearningStatus
    elapsed : float
        The seconds taken, those of the runs it resumed included.
    model : MRP
    method : TDMethod or another LearningRule
        With the grid that was used.
    step_size : StepSize
    sampling : str
    estimates : T arrays, (R, S, width)
        What was recorded, in the numbers that the method keeps; `at` says what they stand for.
    seed : SeedSequence
        Replication k draws from its child k.
    checkpoints : R of them
        What each replication needs to go on.
    """

    updates: IntArray
    done: int
    status: LearningStatus
    elapsed: float
    model: MRP
    method: LearningRule[R]
    step_size: StepSize
    sampling: str
    estimates: tuple[FloatArray, ...] = field(repr=False)
    seed: np.random.SeedSequence = field(repr=False)
    checkpoints: tuple[Checkpoint, ...] = field(repr=False)

    @property
    def replications(self) -> int:
        """The number of replications, R."""
        return len(self.checkpoints)

    @cached_property
    @steady
    def values(self) -> FloatArray:
        """(T, R, S) the means of the estimates, in units of reward."""
        shape = (0, self.replications, self.model.n_states)
        return np.stack([self.method.means(record) for record in self.estimates]) if self.estimates else np.empty(shape)

    def at(self, updates: int) -> R:
        """The estimates recorded after `updates` updates, batch axes (R, S).

        Returns
        -------
        CategoricalReturns (.probs (R, S, m)), QuantileReturns (.values (R, S, m), by label), ExpectileReturns
        (.expectiles (R, S, n)) or ValueEstimates (.values (R, S))

        Raises
        ------
        ValueError
            If that count was not recorded, naming those that were.
        """
        return self._returns(self.record(updates))

    def record(self, updates: int) -> FloatArray:
        """(R, S, width) the numbers recorded after `updates` updates; see `at`."""
        place = np.flatnonzero(self.updates == whole_number(updates, "updates"))
        if not place.size:
            raise ValueError(f"nothing was recorded at update {updates}, but at {self.updates.tolist()}; see records=")
        return np.asarray(self.estimates[place[0]])

    @cached_property
    @steady
    def final(self) -> R:
        """The estimates after all updates that were made, as `at` gives them."""
        return self._returns(self._last)

    @property
    def _last(self) -> FloatArray:
        """(R, S, width) the numbers after all updates."""
        return np.stack([self.method.estimates(each.memory) for each in self.checkpoints])

    def _returns(self, record: FloatArray) -> R:
        """A record (R, S, width) as what a user works with."""
        return self.method.returns(record)

    @property
    def _axes(self) -> dict[str, Sequence[Hashable]]:
        """The names of what is learnt, by axis."""
        return {"state": self.model.states}

    @property
    def visits(self) -> IntArray:
        """(R, S) how often each state was renewed."""
        return np.stack([each.visits for each in self.checkpoints])

    @cached_property
    def negative_mass(self) -> FloatArray:
        """(T, R) the largest mass below zero of any state: how far the variants of `CategoricalTD` left the simplex."""
        shape = (len(self.updates), self.replications)
        if "atoms" not in self.method.axis():  # estimates are no masses
            return np.zeros(shape)
        negative = [np.minimum(record, 0.0).sum(axis=-1).min(axis=-1) for record in self.estimates]
        return np.abs(np.reshape(negative, shape))

    def to_xarray(self) -> "xarray.Dataset":
        """The estimates of all records as an `xarray.Dataset`; needs the extra `io`.

        Returns
        -------
        xarray.Dataset
            As `Returns.to_xarray`, along the axes `update`, `replication` and `state`, whose coordinates are the update
            counts recorded, the replications' numbers and the names of the states; then `atom`, `level`, `particle`,
            `tau` or `anchor` by what is learnt, and none for means. In units of reward. `visits` (replication, state)
            is how often each state was renewed; the attributes say the status, the method, the steps, the sampling and
            the updates made. All records are copied, time and memory O(T R S width), and what `at` takes for each.

        Raises
        ------
        ModuleNotFoundError
            If xarray is not installed.

        Examples
        --------
        >>> import distrl
        >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
        >>> run = distrl.learn(mrp, distrl.TD(), updates=100, records=4, replications=3, rng=0)
        >>> run.to_xarray()["mean"].sel(update=50, state=1).std("replication")  # doctest: +SKIP
        """
        axes = {"replication": range(self.replications), **self._axes}
        laws = [self._returns(record) for record in self.estimates] or [self.final]
        records = [each.to_xarray(**axes) for each in laws]

        import xarray  # optional; `Returns.to_xarray` has said so where it is missing

        joined = {"data_vars": "all", "coords": "minimal", "compat": "override", "join": "override"}
        found = xarray.concat(records, dim="update", **joined).isel(update=slice(len(self.estimates)))
        found = found.assign_coords(update=self.updates)
        counts = np.stack([each.visits for each in self.checkpoints]).reshape([len(axis) for axis in axes.values()])
        found = found.assign(visits=(tuple(axes), counts))
        found.attrs.update(
            status=self.status.name,
            method=repr(self.method),
            step_size=repr(self.step_size),
            sampling=self.sampling,
            updates=self.done,
        )
        return found
