"""Results as frames and as `xarray` data sets, with the names of states and actions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate
from distrl.dp.result import R, Result
from distrl.models.tables.export import named_column
from distrl.models.tables.frames import NativeFrame, frame_of
from distrl.returns.base import Returns
from distrl.returns.functionals import Functional, parse

if TYPE_CHECKING:
    import xarray


class Exports(Result[R]):
    """What goes out of a result: `to_frame`, `to_xarray`."""

    @abstractmethod
    def table(self, functionals: Sequence[Functional] = ()) -> dict[str, FloatArray]:
        """Columns of one row a state."""

    @property
    @abstractmethod
    def action_returns(self) -> Returns:
        """The law of every (state, action)."""

    @property
    @abstractmethod
    def action_certificate(self) -> Certificate:
        """The certificate of `action_returns`."""

    def to_frame(self, *functionals: Functional | str, backend: str = "pandas") -> NativeFrame:
        """`table` as a data frame, with the names of the states in its first column.

        Parameters
        ----------
        *functionals : Functionals, or "mean", "std", "variance"
            Which; mean, sd, VaR and CVaR of the worst 5% when left out.
        backend : str
            The library of the frame: "pandas", "polars", "pyarrow", or another that narwhals makes frames of.

        Raises
        ------
        ValueError, TypeError, ModuleNotFoundError
            If a functional is not known, or there is no such library.

        Examples
        --------
        >>> import distrl
        >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
        >>> sol = distrl.evaluate(mrp, distrl.QuantileDP(100))
        >>> list(sol.to_frame(distrl.CVaR(0.1)).columns)[:2]  # doctest: +SKIP
        ['state', 'CVaR 10%']
        """
        columns = self.table(tuple(parse(each) for each in functionals)) if functionals else self.table()
        states = named_column(self.model.states, np.arange(self.model.n_states))
        return frame_of({"state": states, **columns}, backend)

    def to_xarray(self, actions: bool = False) -> xarray.Dataset:
        """The return laws and their certificate as an `xarray.Dataset`; needs the extra `io`.

        Parameters
        ----------
        actions : bool
            The laws of every (state, action), `action_returns`, in place of those of the states.

        Returns
        -------
        xarray.Dataset
            As `Returns.to_xarray`, with the names of states and actions as coordinates, the bound `w1` on the distance
            to the law that the attribute `certificate_of` names, and how the work ended in `status`. Where not every
            state has every action, the laws of actions lie along the axis `pair`, whose coordinates `state` and
            `action` are those of each.
        """
        returns: Returns = self.action_returns if actions else self.returns
        certificate = self.action_certificate if actions else self.certificate
        shape = returns.batch_shape
        if not actions or self.mdp is None:
            found = returns.to_xarray(state=self.model.states)
        elif len(shape) == 2:
            found = returns.to_xarray(state=self.mdp.states, action=self.mdp.actions)
        else:
            found = returns.to_xarray(pair=range(shape[0]))
            state, action = self.mdp.pairs.T
            found = found.assign_coords(
                state=("pair", np.array([self.mdp.states[place] for place in state], dtype=object)),
                action=("pair", np.array([self.mdp.actions[place] for place in action], dtype=object)),
            )
        if certificate is not None:
            dims = [dim for dim in ("state", "action", "pair") if dim in found.dims]
            found = found.assign(w1=(dims, certificate.w1.reshape(shape)))
            found.attrs["certificate_of"] = certificate.of
        found.attrs.update(status=self.status.name, method=repr(self.method))
        return found
