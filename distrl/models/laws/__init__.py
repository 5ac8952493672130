"""Laws of a random reward, known through their integrated CDF.

For a law R with finite mean write

    put(k)       = E[(k - R)+] = integral of the CDF up to k,
    stop_loss(k) = E[(R - k)+] = put(k) - (k - E R).

Second differences of either on a grid are the exact masses of the hat-function (categorical) projection, so a law
that offers `put` can be projected exactly, whatever its shape. `FiniteLaw` has it as a finite sum (`finite.py`); a
`scipy.stats` law in closed form for the common families (`closed_forms.py`), else from a table that is rebuilt from
its CDF alone (`tables.py`), and a discrete one as a sum up to a tail that is counted (`lattice.py`). Nothing that a law
says of itself is believed unseen: mean, quantiles and closed forms are compared with the CDF first (`standard.py`),
and what is left of the difference is the law's `error`, which certificates add.
"""

from distrl.models.laws.accept import as_law
from distrl.models.laws.base import Law, is_law
from distrl.models.laws.finite import FiniteLaw
from distrl.models.laws.lattice import LatticeLaw
from distrl.models.laws.scipy_laws import ScipyLaw

__all__ = ["FiniteLaw", "LatticeLaw", "Law", "ScipyLaw", "as_law", "is_law"]
