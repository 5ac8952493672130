"""The protocol of control methods: what a method of `optimize` supplies, and what it gives back.

A method of your own is a frozen dataclass of options that inherits from `ControlMethod`; it is passed as
`optimize(mdp, objective, method)`. It says which objectives it serves, and finds a policy with certain bounds.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._validation import FloatArray
from distrl.control.policy import RunnablePolicy
from distrl.dp.call import Call
from distrl.dp.certificate import SAMPLES_LAW
from distrl.models.mdp import MDP
from distrl.returns import Functional


@dataclass(frozen=True)
class Found:
    """What a control method found.

    Attributes
    ----------
    policy : RunnablePolicy
    values, lower, upper : (S,)
        The objective's value under the policy as computed, and what is certain, numerical error included. Where the
        objective is to be large, the policy's value is at least `lower` and no policy's is above `upper`; where it is
        to be small (`Functional.minimised`), the policy's is at most `upper` and no policy's below `lower`.
    better : bool
        Whether more work would have gone on: the method stopped at a limit.
    reason : str
        How it was found, for people.
    size : float
        How large the values or their differences are: 1% of it is the default tolerance.
    targets : (S,) or None
        The target that the policy starts with in every state, for methods that have one.
    family : Family or None
        The answers to other parameters that the same work holds.
    unsolved : float or None
        How far float64 and unfinished work can have left the bounds from what they are meant to be, where that is not
        upper - lower: bounds that hold with confidence stay apart. It is what `tol` is compared with then.
    """

    policy: RunnablePolicy
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    better: bool
    reason: str
    size: float
    targets: FloatArray | None = None
    family: "Family | None" = None
    unsolved: float | None = None


class Family(ABC):
    """What one solve knows about all parameters of an objective at once, as CVaR of all levels."""

    @abstractmethod
    def at(self, objective: Functional) -> Found:
        """The best policy for another parameter, with its bounds, without solving again.

        Parameters
        ----------
        objective : Functional
            Of the class that was optimised.
        """

    def frontier(self, objective: Functional) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The ends of the best values and the starting targets, each (S, K), for K parameters at once.

        By default one `at` for each. Targets are NaN where there are none.

        Parameters
        ----------
        objective : Functional
            Of the class that was optimised, with K parameters.
        """
        found = [self.at(each) for each in objective.each()]
        low, high = np.stack([one.lower for one in found], axis=1), np.stack([one.upper for one in found], axis=1)
        none = np.full(len(low), np.nan)
        targets = np.stack([none if one.targets is None else one.targets for one in found], axis=1)
        return low, high, targets

    @abstractmethod
    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value and the target for a start that is drawn from `initial` (S,).

        The law is that of the return from the drawn state, and there is one target for all of them: this is not the
        mean of the values from each state.

        Parameters
        ----------
        objective : Functional
            Of the class that was optimised, with one parameter.
        initial : (S,) probabilities
        """

    def begun(self, policy: RunnablePolicy, objective: Functional, initial: FloatArray) -> RunnablePolicy:
        """The policy that reaches the end of `common` on its side.

        By default the policy that is the best from every single state; targets are set by whoever asks.

        Parameters
        ----------
        policy : RunnablePolicy
            The best from every single state.
        objective, initial
            As for `common`.
        """
        return policy


class ControlMethod(ABC):
    """A way to find the best policy for some objectives."""

    counts: ClassVar[str] = "iterations"
    """What `Call.count` counts, in words: "policies", "sweeps"."""

    @abstractmethod
    def serves(self, objective: Functional) -> bool:
        """Whether this method finds the best policy for `objective`."""

    @abstractmethod
    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The best policy of `mdp`, as `call` asks for it.

        Parameters
        ----------
        mdp : MDP
        objective : Functional
            One that this method serves.
        call : Call
            `tol` bounds the gap of the ends at every state, in units of the objective; `max_iterations` limits what
            `counts` says; with a `horizon` returns end after so many steps. The work stands in `interruptible` blocks.

        Raises
        ------
        ValueError
            For a model or an objective that cannot be treated, naming the state and the mend.
        """

    def said(self, sampled: bool) -> tuple[str, str]:
        """What values and intervals are, in words: a line for the head of a summary, if any, and one for its table.

        Parameters
        ----------
        sampled : bool
            Whether the model's probabilities are those of samples.
        """
        inside = "the policy's value and the best one are inside"
        if not sampled:
            return "", f"intervals are certified: {inside}"
        return (
            f"values and bounds are about {SAMPLES_LAW}",
            f"intervals are certified, but to {SAMPLES_LAW}: {inside}; what the policy is worth on the process that "
            "was sampled they do not say, and it is less as a rule: confirmed(fresh) does",
        )


def largest_size(values: FloatArray, reward: float) -> float:
    """How far finite `values` lie apart, how large they or `reward` are: what a tolerance is a share of."""
    finite = values[np.isfinite(values)]
    sizes = (float(np.ptp(finite)), float(np.abs(finite).max())) if finite.size else (0.0,)
    return max(*sizes, reward)
