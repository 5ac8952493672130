"""All that is known for certain of the true return laws behind a result, and the intervals that it gives together.

Three sources, each an `Enclosing`: what the certificate says of the laws that were reached (`CertifiedLaw`), exact mean
and variance with what they imply (`CertifiedMoments`), and convex brackets on the result's grid. Each is certain by
itself, so the true value lies in the intersection of their intervals. Entropic risk has its own recursion besides
(`distrl.dp.entropic`). Laws that are enclosures themselves (`Brackets`) take the place of the first and the third.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.dp.bracketing import brackets_around
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.certified_moments import certified_moments
from distrl.dp.enclosure import CertifiedLaw, CertifiedMoments
from distrl.dp.entropic import EntropicEnds, entropic_ends
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.returns.categorical import as_categorical
from distrl.returns.finite import FiniteReturns
from distrl.returns.functionals import (
    Enclosing,
    EntropicRisk,
    Functional,
    Mean,
    MeanVariance,
    Std,
    Variance,
    intersection,
)
from distrl.returns.grid import Grid
from distrl.theory import dkw_halfwidth

_BLOCK = 16_384  # states whose intervals are worked out at once
_WORK = 5e8  # updates of an atom beyond which brackets are not made on the way


@runtime_checkable
class MergesCells(Protocol):
    """A method that merges particles in the cells of a grid."""

    def cells(self, model: MRP) -> Grid:
        """The grid."""


@runtime_checkable
class EnclosesLaws(Protocol):
    """A method that knows more of the laws that it reached than a distance to the true ones."""

    def enclosing(
        self, model: MRP, returns: Returns, certificate: Certificate, moments: CertifiedMoments
    ) -> Enclosing | None:
        """What it knows; None where that is no more."""


@runtime_checkable
class Sampling(Protocol):
    """A method whose certificate holds with a confidence, since it drew so many independent returns of each state."""

    @property
    def episodes(self) -> int:
        """How many."""


class Mixed(NamedTuple):
    """What is known of a mixture: a bound on W1 to the true one, and the ends (2,) of functionals in their order."""

    w1: float
    ends: list[FloatArray]


class Knowledge:
    """What is certain of the true laws of a model, given laws that a method reached and their certificate.

    Parameters
    ----------
    model : MRP
    returns : Returns
    certificate : Certificate or None
    method : the method that reached them
    asks_model : bool
        Whether the model may be asked; rollouts of an `Estimate` only sample it.
    """

    def __init__(
        self, model: MRP, returns: Returns, certificate: Certificate | None, method: object, asks_model: bool = True
    ) -> None:
        self.model, self.returns, self.certificate, self.method = model, returns, certificate, method
        self.asks_model = asks_model

    def interval(self, functional: Functional, states: Sequence[int] | IntArray | None = None) -> FloatArray:
        """(S, 2) or (S, K, 2) the interval, of some states if given; a block of them at a time, for memory."""
        everyone = np.arange(self.model.n_states) if states is None else np.asarray(states, dtype=np.int64)
        sources = self._sources(functional)
        blocks = []
        for first in range(0, max(len(everyone), 1), _BLOCK):
            some = everyone[first : first + _BLOCK]
            known = [source[some] for source in sources]
            support = (self.moments.low[some], self.moments.high[some]) if self.asks_model else (-np.inf, np.inf)
            blocks.append(intersection(known, functional, support))
        return np.concatenate(blocks)

    def of_mixture(self, weights: FloatArray, mixture: FiniteReturns, functionals: tuple[Functional, ...]) -> Mixed:
        """What is known of the mixture of the states' laws with `weights` (S,): mean, variance and certificate mix too.

        Raises
        ------
        ValueError
            If nothing is certified of the laws.
        """
        if self.law is None:
            raise ValueError("the method gives no law to mix")
        some = np.flatnonzero(weights)
        certified = self.law[some].mixed(weights[some], mixture)
        moments = self.moments[some].mixed(weights[some])
        support = (moments.low, moments.high)
        ends = [intersection([moments, certified], functional, support)[0] for functional in functionals]
        return Mixed(float(certified.certificate.w1[0]), ends)

    def _sources(self, functional: Functional) -> list[Any]:
        """What is known that can say something of the functional."""
        sources: list[Any] = [self.moments] if self.asks_model else []
        if isinstance(self.returns, Enclosing):
            sources.append(self.returns)
        else:
            sources += [] if self.law is None else [self.law]
            if self.asks_model and not isinstance(functional, Mean | Variance | Std | MeanVariance | EntropicRisk):
                sources += [] if self.brackets is None else [self.brackets]
        if self.asks_model and isinstance(functional, EntropicRisk):
            sources.append(self.entropic(functional))
        return sources

    def entropic(self, functional: EntropicRisk) -> EntropicEnds:
        """Ends of the entropic risks, by their own recursion."""
        return entropic_ends(self.model, functional, self.moments)

    @cached_property
    def moments(self) -> CertifiedMoments:
        """Exact mean, variance and range."""
        return certified_moments(self.model)

    @cached_property
    def law(self) -> CertifiedLaw | None:
        """What the certificate says; None without one."""
        if self.certificate is None:
            return None
        if self.certificate.confidence is None:
            return CertifiedLaw(self.returns, self.certificate)
        assert isinstance(self.method, Sampling)
        sampled = dkw_halfwidth(self.method.episodes, self.certificate.confidence)
        return CertifiedLaw(self.returns, self.certificate, np.full(self.model.n_states, sampled))

    @cached_property
    def brackets(self) -> Enclosing | None:
        """What the method knows of its laws beside their certificate, if it `EnclosesLaws`.

        Else laws on the result's grid that enclose the true one in convex order, of second order in the spacing where
        the certificate is of first; None where there is no grid, or they are too expensive. Laws on a grid are the
        upper ones; particles that were merged in the cells of the method's grid are the lower ones, beside which the
        upper ones are solved for.
        """
        if isinstance(self.method, EnclosesLaws) and self.certificate is not None:
            known = self.method.enclosing(self.model, self.returns, self.certificate, self.moments)
            if known is not None:
                return known
        upper, grid = as_categorical(self.returns), None
        if upper is not None:
            grid = upper.grid
        elif isinstance(self.method, MergesCells):
            grid = self.method.cells(self.model)
        if grid is None:
            return None
        call = Call()
        found = brackets_around(self.model, grid, upper, call, _WORK)
        if call.interrupted:  # a method gives back what it reached, but whoever asks for an interval wants to stop
            raise KeyboardInterrupt
        return found
