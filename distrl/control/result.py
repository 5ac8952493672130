"""What a search for the best policy gives back, as data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import at_most
from distrl._validation import FloatArray, int_array, whole_number
from distrl.control.method import ControlMethod, Family
from distrl.control.policy import RunnablePolicy
from distrl.dp import Status
from distrl.models.mdp import MDP
from distrl.returns import Functional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The kind of its policy.
P = TypeVar("P", bound=RunnablePolicy, covariant=True)


#: What a status means for a search of policies.
_OUTCOMES = {
    Status.CONVERGED: "Converged: upper - lower is at most the tolerance at every state.",
    Status.MAX_ITERATIONS: "Not converged: a limit was reached while upper - lower is above the tolerance somewhere; "
    "raise max_iterations, the method's limits, or tol.",
    Status.STALLED: "Not converged: upper - lower stays above the tolerance somewhere; raise tol.",
    Status.UNCERTIFIED: "Done, but upper - lower is not finite everywhere: the reason says what cannot be certified.",
    Status.INTERRUPTED: "Interrupted: the result is the best policy so far, and its bounds are valid.",
}


@dataclass(frozen=True, eq=False, repr=False)
class ControlResult(Generic[P]):
    """The best policy that was found, and certain bounds; `ControlSolution` adds what can be asked of them.

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
        CONVERGED if and only if `gap` (or `unsolved`) is at most `tol` at every state.
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
    unsolved : float or None
        What `tol` is compared with in place of the gap, where bounds hold with confidence and stay apart: see `Found`.
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
    unsolved: float | None = None

    def __repr__(self) -> str:
        return (
            f"ControlSolution({self.status.name}, states={self.model.n_states}, objective={self.objective!r}, "
            f"iterations={self.iterations}, gap<={at_most(float(self.gap.max()))})"
        )

    def plot_policy(self, states: ArrayLike | None = None, *, step: int = 0, ax: "Axes | None" = None) -> "Axes":
        """Draw which action is played at which memory, one bar a state: a target, or the number of steps made.

        Parameters
        ----------
        states : (K,) positions, or one
            None: the first twelve that are not terminal.
        step : int
            With a horizon and a target: when.
        ax : matplotlib Axes, optional
            A new figure when left out.

        Returns
        -------
        matplotlib Axes
            The diamond is where the policy starts in the state.

        Raises
        ------
        ValueError, TypeError
            For a policy without a memory, naming it, and bad states.
        ModuleNotFoundError
            Without matplotlib.
        """
        from distrl.plotting.policies import plot_policy

        asked = np.flatnonzero(~self.model.terminal)[:12] if states is None else np.atleast_1d(states)
        places = int_array(asked, "states", low=0, high=self.model.n_states)
        when = whole_number(step, "step")
        strips = [(f"state {self.model.states[s]}", self.policy.strip(s, when)) for s in places.tolist()]
        return plot_policy(strips, self.model.actions, label=self.policy.remembers, ax=ax)

    @property
    def gap(self) -> FloatArray:
        """(S,) upper - lower."""
        return np.asarray(self.upper - self.lower)

    @property
    def converged(self) -> bool:
        """Whether what was asked for was reached."""
        return self.status is Status.CONVERGED

    @property
    def outcome(self) -> str:
        """How the work ended, in words."""
        return _OUTCOMES.get(self.status, self.status.value)

    @property
    def ended(self) -> str:
        """The gap and the tolerance, in words."""
        gap = f"gap <= {at_most(float(self.gap.max()))}"
        if self.unsolved is None:
            return f"{gap} (tol {self.tol:.3g})"
        return f"{gap}, all but {at_most(self.unsolved)} of it (tol {self.tol:.3g}) what the samples leave open"
