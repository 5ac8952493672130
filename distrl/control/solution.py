"""What `optimize` gives back."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from distrl._display import aligned, at_most, beside
from distrl._files import path_of
from distrl._records import write_result
from distrl._steady import steady
from distrl._validation import FloatArray
from distrl.control.method import ControlMethod, Family
from distrl.control.policy import RunnablePolicy
from distrl.dp import Certificate, Method, Solution, Status
from distrl.dp.certificate import SAMPLES_LAW
from distrl.models.mdp import MDP
from distrl.models.stages import of_samples
from distrl.returns import Functional, Returns

#: The kind of its policy.
P = TypeVar("P", bound=RunnablePolicy, covariant=True)


@dataclass(frozen=True, eq=False, repr=False)
class ControlSolution(Generic[P]):
    """The best policy that was found, and certain bounds on what any policy reaches, from every state.

    Attributes
    ----------
    policy : RunnablePolicy
        A `MarkovPolicy` (an action for each state, or with a horizon for each step and state), or one with a memory.
    values : (S,)
        The objective's value under the policy, as computed.
    lower, upper : (S,)
        The policy's value is at least `lower`, and no policy's is above `upper`, numerical error included (where the
        objective is to be small: at most `upper`, and none below `lower`). At discount 1 policies are meant whose
        number of steps has a finite mean, as it has for all that look at the state alone and surely end.
    status : Status
        CONVERGED if and only if `gap` is at most `tol` at every state.
    iterations : int
        What `method.counts` says, or steps of a horizon.
    elapsed, compiled : float
        Seconds without those of compiling, and those.
    tol : float
        What the gap was to be at most, in units of the objective.
    reason : str
        How it was found.
    model, objective, method : what was optimised, and how
    horizon : int or None
    targets : (S,) or None
        The target with which the policy starts in every state, where it has one.
    family : Family or None
        The answers to other parameters of the objective, where one solve has them all; see `at` and `frontier`.
    """

    policy: P
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    status: Status
    iterations: int
    elapsed: float
    tol: float
    reason: str
    model: MDP
    objective: Functional
    method: ControlMethod
    horizon: int | None = None
    compiled: float = 0.0
    targets: FloatArray | None = None
    family: Family | None = None

    def __repr__(self) -> str:
        return (
            f"ControlSolution({self.status.name}, states={self.model.n_states}, objective={self.objective!r}, "
            f"iterations={self.iterations}, gap<={at_most(float(self.gap.max()))})"
        )

    @property
    def gap(self) -> FloatArray:
        """(S,) upper - lower."""
        return np.asarray(self.upper - self.lower)

    @property
    def converged(self) -> bool:
        """Whether what was asked for was reached."""
        return self.status is Status.CONVERGED

    @property
    def ended(self) -> str:
        """The gap and the tolerance, in words."""
        return f"gap <= {at_most(float(self.gap.max()))} (tol {self.tol:.3g})"

    @steady
    def evaluated(self, method: Method[Returns] | None = None) -> Solution[Returns]:
        """The law of the return under the policy, row s from state s.

        Parameters
        ----------
        method : Method, optional
            By default what `evaluate` takes: `Lattice()` or `CategoricalFixedPoint()`.
        """
        return self.policy.evaluated(self.model, method, self.horizon)

    @cached_property
    def _evaluated(self) -> Solution[Returns]:
        return self.evaluated()

    @property
    def returns(self) -> Returns:
        """Row s: the law of the return from state s under the policy; found when first asked for, by `evaluated`."""
        return self._evaluated.returns

    @property
    def certificate(self) -> Certificate:
        """How far `returns` can be from the true laws under the policy."""
        return self._evaluated.certificate

    @steady
    def summary(self) -> str:
        """What a person wants to read: how it ended, and the first states with action, value and bounds."""
        steps = "" if self.horizon is None else f", a horizon of {self.horizon}"
        lines = [f"{self.objective!r} by {self.method!r} on {self.model!r}{steps}", self.status.value]
        if of_samples(self.model):
            lines.append(f"values and bounds are about {SAMPLES_LAW}")
        lines.append(f"{self.ended}: {self.iterations} {self.method.counts}, {self.elapsed:.3g} s ({self.reason})")
        initial = self.model.initial
        shown = (np.arange(self.model.n_states) if initial is None else np.flatnonzero(initial))[:8]
        actions = self.policy.first_actions(self.model.n_states)
        columns = {"state": [str(self.model.states[s]) for s in shown]}
        if actions.size:
            columns["action"] = [str(self.model.actions[int(actions[s])]) for s in shown]
        columns[self.objective.label] = [
            beside(float(self.values[s]), float(self.lower[s]), float(self.upper[s])) for s in shown
        ]
        lines += ["", "intervals are certified: the policy's value and the best one are inside", *aligned(columns)]
        left = self.model.n_states - len(shown)
        return "\n".join([*lines, *([f"... and {left} more state(s)"] if left > 0 else [])])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, an `.npz` file, whole or not at all; `distrl.load` gives it back.

        Raises
        ------
        ValueError
            If the name ends otherwise, or the file cannot be written, naming it.
        """
        target = path_of(path)
        if target.suffix != ".npz":
            raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz")
        arrays = {**self.policy.arrays(), "values": self.values, "lower": self.lower, "upper": self.upper}
        write_result(target, self, arrays)
