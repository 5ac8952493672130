"""How many atoms `atoms=None` takes: what rounding to atoms adds is small against the returns' standard deviation."""

import math

import numpy as np

from distrl._memory import available_memory
from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate
from distrl.dp.moment_systems import mean_and_variance
from distrl.dp.resolvent import Resolvent
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP

#: What the certificate's rounding part may be of a state's standard deviation.
SHARE = 0.01
FEWEST, MOST = 51, 2_001
#: Atoms of a first try, which says what rounding really costs.
PILOT = 201
#: States times atoms beyond which more than `PILOT` atoms are left to the user: it would take minutes.
ENTRIES = 4_000_000
_SPREAD = 1e-6  # a standard deviation below this share of the largest is rounding of 0
_MEMORY = 0.5  # share of what is free that laws may take
_SPARE = 1.02


class Resolution:
    """What is asked of a grid on an interval: rounding <= `SHARE` * sd at every state whose return is random.

    Rounding to atoms adds at most spacing / 2 * sqrt([(I - g^2 P)^{-1} 1](x)) to the certificate, which gives `enough`
    atoms beforehand; what it did add, on a first grid, gives fewer where outcomes meet atoms.

    Parameters
    ----------
    model : MRP
    width : float
        Of the interval.
    arrays : float
        Arrays of (S, atoms) float64 that a solve needs; with reward laws that are not finite (atoms, atoms) ones, too.
    """

    def __init__(self, model: MRP, width: float, arrays: float) -> None:
        square = Resolvent.of(model, power=2)
        variance = mean_and_variance(model, square=square)[1]
        sd = np.sqrt(np.where(np.isfinite(variance), variance, 0.0))
        self.set_up(sd, square.gains, width, self.affordable(model, arrays))

    def set_up(self, sd: FloatArray, gains: FloatArray, width: float, most: int) -> None:
        """What is asked, from the standard deviations (S,), what a variance added at every step adds up to (S,), the
        interval's width, and the most atoms that are chosen."""
        self.sd, self.most = sd, most
        self.random = self.sd > _SPREAD * self.sd.max()
        if not self.random.any():  # nothing to be small against
            self.enough = PILOT
            return
        per_spacing = 0.5 * np.sqrt(gains[self.random]) / (SHARE * self.sd[self.random])
        with np.errstate(over="ignore"):
            needed = float((width * per_spacing).max())
        self.enough = min(max(math.ceil(min(needed, 2.0**53)) + 1, FEWEST), self.most)

    @staticmethod
    def affordable(model: MRP, arrays: float) -> int:
        """Atoms that time and memory have room for, between `FEWEST` and `MOST`."""
        quick = max(ENTRIES // model.n_states, PILOT)
        room = _MEMORY * available_memory() / 8.0
        if not math.isfinite(room):
            return min(quick, MOST)
        matrices = sum(not isinstance(law, FiniteLaw) for law in model.outcomes.reward_laws)
        linear = arrays * model.n_states
        # linear * m + matrices * m^2 <= room
        most = room / linear if matrices == 0 else 2.0 * room / (linear + math.sqrt(linear**2 + 4.0 * matrices * room))
        return min(max(min(int(most), quick), FEWEST), MOST)

    def share(self, certificate: Certificate) -> float:
        """The largest rounding / sd of a state whose return is random; 0 if there is none."""
        return float((certificate.rounding[self.random] / self.sd[self.random]).max(initial=0.0))

    def after(self, atoms: int, share: float) -> int:
        """How many atoms it takes if `atoms` left that `share`, which falls with the spacing."""
        needed = _SPARE * (atoms - 1) * share / SHARE
        return min(max(math.ceil(min(needed, 2.0**53)) + 1, FEWEST), self.enough)

    def words(self, atoms: int, certificate: Certificate) -> str:
        """How many were taken and why."""
        if not self.random.any():
            return f"{atoms} atoms; no return has a finite positive standard deviation to choose them by"
        share = self.share(certificate)
        told = f"{atoms} atoms: rounding to them adds at most {share:.2g} of a state's standard deviation"
        if share <= SHARE:
            return told
        limit = "" if self.most == MOST else " for so many states and laws"
        return (
            f"{told}; for {SHARE:g} it takes about {_SPARE * atoms * share / SHARE:.2g}, but {self.most} are the most "
            f"that are chosen{limit}: ask for more by atoms="
        )
