"""Distances from the estimate to the true law: what `Estimate.interval` takes beside the functionals of one law."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._kernels import enclosure as kernels
from distrl._validation import FloatArray
from distrl.dp.enclosure import CertifiedLaw
from distrl.returns.base import Returns
from distrl.returns.functionals import NAMES, Ends, Functional, each, parse
from distrl.returns.metrics import kolmogorov, wasserstein

_BETWEEN: dict[str, Callable[..., FloatArray]] = {"w1": wasserstein, "ks": kolmogorov}


@dataclass(frozen=True)
class Distance:
    """`w1` or `ks` (Kolmogorov) to the estimated law; it has no value at one law."""

    name: str

    def between(self, returns: Returns, centre: Returns) -> FloatArray:
        """(S,) the distances of laws."""
        return np.asarray(_BETWEEN[self.name](returns, centre))

    def enclosure(self, certified: CertifiedLaw) -> FloatArray:
        """(S, 2) from a certified law to the one that its certificate is to: 0, and the bound. For ks the largest mass
        on an interval (t, t + h] and the tail of the coupling beyond h, for the best h."""
        high = certified.certificate.w1
        if self.name == "ks":
            h, tail, margin = certified.smear
            high = np.minimum((each(certified.law, kernels.window_mass, h) + tail + margin).min(axis=-1), 1.0)
        return np.stack([np.zeros_like(high), high], axis=1)

    def natural_range(self, low: Any, high: Any) -> Ends:
        """The distances that laws on [low, high] can have."""
        return np.zeros_like(np.asarray(low)), np.asarray(high - low if self.name == "w1" else 1.0)


def asked(functional: Any, at: Any, tail: str) -> Functional | Distance:
    """What a user asks of an estimate: as `parse`, or the name of a distance.

    Raises
    ------
    ValueError, TypeError
        As `parse` does.
    """
    if not isinstance(functional, str) or functional not in _BETWEEN:
        if isinstance(functional, str) and functional not in NAMES:
            raise ValueError(f"functional must be one of {', '.join((*NAMES, *_BETWEEN))}; got {functional!r}")
        return parse(functional, at, tail)
    if at is not None:
        raise ValueError(f"{functional} takes no point or level; leave `at` out")
    return Distance(functional)
