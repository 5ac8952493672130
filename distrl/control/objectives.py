"""Objectives of `optimize` that are no functional of one law of the return."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from distrl._validation import FloatArray, fraction
from distrl.returns import NotKnown, Pointed, Returns
from distrl.returns.functionals import Enclosing, Ends
from distrl.returns.functionals.base import Points


@dataclass(frozen=True)
class NestedCVaR(Pointed):
    """CVaR of what follows, step by step: rho(x) = CVaR_level over one step's outcomes of r + discount rho(y).

    A Markov risk measure (Ruszczynski 2010): risk is judged anew in every state, by the mean of the worst `level`, in
    (0, 1], of what may happen next. In units of reward; the mean at level 1. It is a number of a process and a policy,
    not of the law of the return, and says nothing of that law's CVaR, which may be larger or smaller: so no law has a
    `value` of it, and `optimize` alone works it out.

    Source: Ruszczynski 2010, "Risk-averse dynamic programming for Markov decision processes".
    """

    level: Points
    name: ClassVar[str] = "nested_cvar"
    argument: ClassVar[str] = "level"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name, open_low=True)

    def value(self, returns: Returns) -> FloatArray:
        """There is none.

        Raises
        ------
        NotKnown
            Always.
        """
        raise NotKnown(_NONE)

    def enclose(self, known: Enclosing) -> Ends:
        """There is none.

        Raises
        ------
        NotKnown
            Always.
        """
        raise NotKnown(_NONE)

    @property
    def label(self) -> str:
        return f"nested CVaR {self.percent()}"


_NONE = (
    "nested CVaR is a number of a process and a policy, not of a law of the return: optimize(mdp, NestedCVaR(level)) "
    "has it in values, lower and upper; ask laws for distrl.CVaR(level)"
)
