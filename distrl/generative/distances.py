"""Distances from the estimate to the true law: what `Estimate.interval` takes beside the functionals of one law."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure as kernels
from distrl._validation import FloatArray
from distrl.dp.enclosure import CertifiedLaw
from distrl.returns.base import Returns
from distrl.returns.finite import each
from distrl.returns.functionals import NAMES, Enclosing, Ends, Functional, parse
from distrl.returns.functionals.enclosing import End
from distrl.returns.metrics import kolmogorov, wasserstein


@dataclass(frozen=True)
class Distance(Functional):
    """The distance of a law from `centre`, the law that an estimate states, at every state."""

    centre: Returns = field(repr=False)

    @abstractmethod
    def between(self, returns: Returns) -> FloatArray:
        """(S,) the distances of other laws from the centre."""

    @abstractmethod
    def bound(self, certified: CertifiedLaw) -> FloatArray:
        """(S,) how far the law that a certificate is to can be from the certified one."""

    def value(self, returns: Returns) -> FloatArray:
        return np.zeros(returns.batch_shape) if returns is self.centre else self.between(returns)

    def enclose(self, known: Enclosing) -> Ends:
        if not isinstance(known, CertifiedLaw) or known.law is not self.centre:
            return np.zeros(known.batch_shape), np.full(known.batch_shape, np.inf)
        high = self.bound(known)
        return np.zeros_like(high), high


@dataclass(frozen=True)
class Wasserstein(Distance):
    """W1, in units of reward."""

    name: ClassVar[str] = "w1"

    def between(self, returns: Returns) -> FloatArray:
        return np.asarray(wasserstein(returns, self.centre))

    def bound(self, certified: CertifiedLaw) -> FloatArray:
        return certified.certificate.w1

    def natural_range(self, low: End, high: End) -> Ends:
        return np.zeros_like(np.asarray(low)), np.asarray(high - low)


@dataclass(frozen=True)
class Kolmogorov(Distance):
    """The largest difference of CDFs."""

    name: ClassVar[str] = "ks"

    def between(self, returns: Returns) -> FloatArray:
        return np.asarray(kolmogorov(returns, self.centre))

    def bound(self, certified: CertifiedLaw) -> FloatArray:
        """The largest mass on an interval (t, t + h] and the tail of the coupling beyond h, for the best h."""
        h, tail, margin = certified.smear
        smeared = each(certified.law, kernels.window_mass, h) + tail + margin
        return np.asarray(np.minimum(smeared.min(axis=-1), 1.0))

    def natural_range(self, low: End, high: End) -> Ends:
        return np.zeros_like(np.asarray(low)), np.asarray(1.0)


#: The short forms.
DISTANCES: dict[str, type[Distance]] = {kind.name: kind for kind in (Wasserstein, Kolmogorov)}


def asked(functional: str | Functional, at: ArrayLike | None, tail: str, centre: Returns) -> Functional:
    """What a user asks of an estimate whose laws are `centre`: as `parse`, or the name of a distance from them.

    Raises
    ------
    ValueError, TypeError
        As `parse` does.
    """
    if not isinstance(functional, str) or functional in NAMES:
        return parse(functional, at, tail)
    if functional not in DISTANCES:
        raise ValueError(f"functional must be one of {', '.join((*NAMES, *DISTANCES))}; got {functional!r}")
    if at is not None:
        raise ValueError(f"{functional} takes no point or level; leave `at` out")
    return DISTANCES[functional](centre)
