"""What is known for certain of return laws, for functionals to read their bounds from."""

from abc import ABC, abstractmethod

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray

#: Lower and upper ends.
Ends = tuple[FloatArray, FloatArray]
#: One end: a number, or one for each law.
End = float | FloatArray


class Enclosing(ABC):
    """What is known for certain of a batch of laws: the ends of what each functional can be, infinite where nothing is.

    A source of knowledge supplies `batch_shape` and overrides what it can say. Arguments are (K,), ends batch or
    batch + (K,), rounding included: what they enclose is certain.
    """

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch of laws."""

    def nothing(self, *count: int) -> Ends:
        """Infinite ends, batch + `count`."""
        shape = (*self.batch_shape, *count)
        return np.full(shape, -np.inf), np.full(shape, np.inf)

    def mean_ends(self) -> Ends:
        """Of E G."""
        return self.nothing()

    def variance_ends(self) -> Ends:
        """Of Var G."""
        return self.nothing()

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        """Of E (G - k)+ at each k of `points`."""
        return self.nothing(len(points))

    def put_ends(self, points: FloatArray) -> Ends:
        """Of E (k - G)+ at each k of `points`; by default k - E G more than E (G - k)+."""
        low, high = self.stop_loss_ends(points)
        most, least = (points - end[..., None] for end in self.mean_ends())
        ends = []
        for loss, ahead, side in ((low, least, -1.0), (high, most, 1.0)):
            room = 4.0 * EPS * (np.abs(loss) + np.abs(ahead) + np.abs(points))
            ends.append(loss + ahead + side * room)
        return ends[0], ends[1]

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        """Of the mean of the lowest, or highest, mass, as `tail` says, at each of `levels`."""
        return self.nothing(len(levels))

    def cdf_ends(self, points: FloatArray) -> Ends:
        """Of P(G <= x) at each x of `points`."""
        return self.nothing(len(points))

    def below_ends(self, points: FloatArray) -> Ends:
        """Of P(G < x) at each x of `points`; by default from P(G <= x) there and at the next smaller float."""
        return self.cdf_ends(np.nextafter(points, -np.inf))[0], self.cdf_ends(points)[1]

    def quantile_ends(self, levels: FloatArray) -> Ends:
        """Of inf{x : P(G <= x) >= level} at each of `levels`."""
        return self.nothing(len(levels))

    def expectile_ends(self, taus: FloatArray) -> Ends:
        """Of the root e of tau E (G - e)+ = (1 - tau) E (e - G)+ at each of `taus`."""
        return self.nothing(len(taus))

    def entropic_ends(self, betas: FloatArray) -> Ends:
        """Of (1 / beta) log E exp(beta G) at each of `betas`."""
        return self.nothing(len(betas))
