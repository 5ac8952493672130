"""What a method gives back, as data: laws, how the work ended, and how far the laws can be trusted."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from distrl._display import at_most
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.status import Status
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.base import Returns

#: The representation of the laws.
R = TypeVar("R", bound=Returns, covariant=True)


class Later(NamedTuple):
    """The laws of the returns that are left after the first step of a horizon, and their certificate."""

    returns: Returns
    certificate: Certificate


@dataclass(frozen=True, eq=False)
class Result(Generic[R]):
    """Return laws of all states, and how far they can be trusted; `Solution` adds what can be asked of them.

    Attributes
    ----------
    returns : Returns
        The laws; first axis the state.
    status : Status
    iterations : int
        Applications of the operator (episodes for Monte Carlo, linear solves for moments, samples for learners).
    residual : float
        sup over states of W1(F, Pi T F), in units of reward (0 where the method has none); W_inf for quantiles, the
        last step of an expectile for `ExpectileDP`.
    bounds : (S,) array or None
        Certified bound on the iteration error at each state, rounding included: how far, in W1 and units of reward,
        the law may be from the one that the method would reach in the end (the categorical fixed point, say). For
        `QuantileDP` below discount 1 in W_inf. `bound` is the largest, and what is compared with `tol`. None where no
        such bound is known; what is certified then is the distance to the true law alone.
    clipped_mass : float
        Largest probability, over states, that one more application leaves the grid's interval.
    elapsed : float
        Seconds, without those that compiling took.
    certificate : Certificate
        Bound on the distance to the law that `certificate.of` names, per state. None where the method gives no law or
        no bound, as `Moments`; the type does not say so, since all that have laws have one.
    tol : float
        The tolerance used: what `bound` was to be at most.
    solver, reason : str
        Which solver ran, and why it was chosen.
    model : MRP
        What was solved; with a horizon the process of the first step.
    mdp : MDP or None
        The decision process it came from.
    history : object or None
        What the method recorded on the way (`CategoricalDP`).
    compiled : float
        Seconds that compiling took before or during the call, 0 once everything is compiled.
    stages : Stages or None
        The steps of a finite horizon; None: returns go on until they end.
    later : Later or None
        With a horizon, the laws after the first step where the method knows them.
    """

    returns: R
    status: Status
    iterations: int
    residual: float
    clipped_mass: float
    elapsed: float
    certificate: Certificate
    tol: float
    solver: str
    reason: str
    model: MRP
    method: Any
    mdp: MDP | None = None
    history: Any = field(default=None, repr=False)
    bounds: FloatArray | None = field(default=None, repr=False)
    compiled: float = 0.0
    stages: Stages | None = None
    later: Later | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        states = self.model.states
        if self.returns.names is None and not isinstance(states, range):
            object.__setattr__(self, "returns", self.returns.named(states))

    @classmethod
    def of(
        cls,
        returns: R,  # type: ignore[misc]  # covariant, since results are frozen
        model: MRP,
        method: object,
        call: Call,
        *,
        status: Status,
        certificate: Certificate | None = None,
        bounds: FloatArray | None = None,
        residual: float = 0.0,
        clipped_mass: float = 0.0,
        tol: float | None = None,
        solver: str = "",
        reason: str = "",
        iterations: int | None = None,
        later: Later | None = None,
    ) -> Self:
        """What a method gives back: the laws that it reached, how it ended, and what is known of their error.

        Parameters
        ----------
        returns, model, method : Returns, MRP, Method
            What was reached, for which model and by which method.
        call : Call
            Its applications, time and tolerance are those of the result.
        status : Status
        certificate, bounds, residual, clipped_mass
            What is known of the error, as the attributes say; nothing is by default.
        tol, solver, reason, iterations
            By default the call's tolerance (0 where none was given), the name of the method's class, "asked for" and
            the call's applications.
        later
            With a horizon, the laws after the first step.
        """
        return cls(
            returns=returns,
            status=status,
            iterations=call.iterations if iterations is None else iterations,
            residual=residual,
            clipped_mass=clipped_mass,
            elapsed=call.elapsed,
            certificate=certificate,  # type: ignore[arg-type]  # see the attribute
            tol=(call.tol or 0.0) if tol is None else tol,
            solver=solver or type(method).__name__,
            reason=reason or "asked for",
            model=model,
            method=method,
            bounds=bounds,
            later=later,
        )

    def __repr__(self) -> str:
        left = "" if self.bounds is None else f", bound={at_most(self.bound)}"
        worst = ""
        if self.certificate is not None:
            worst = f", W1 to {self.certificate.of}<={at_most(float(self.certificate.w1.max()))}"
        steps = "" if self.stages is None else f", horizon={self.stages.horizon}"
        return (
            f"{type(self).__name__}({self.status.name}, states={self.model.n_states}{steps}, solver={self.solver!r}, "
            f"iterations={self.iterations}, residual={self.residual:.3g}{left}{worst})"
        )

    @property
    def horizon(self) -> int | None:
        """After how many steps returns end; None: when they end by themselves."""
        return None if self.stages is None else self.stages.horizon

    @property
    def bound(self) -> float:
        """The largest of `bounds`: the certified bound on the iteration error; inf where none is known.

        A state's bound is [(I - discount P)^{-1} residual](x): the residuals that a walk from x meets, discounted. It
        is often far below max residual / (1 - discount), which takes the largest residual at every step for ever.
        """
        return math.inf if self.bounds is None else float(self.bounds.max())

    @cached_property
    def values(self) -> FloatArray:
        """(S,) means of the returns."""
        return np.asarray(self.returns.mean())

    @property
    def ended(self) -> str:
        """The iteration error's bound, the tolerance and the last residual, in words."""
        if self.bounds is None:
            return f"residual {self.residual:.3g} (tol {self.tol:.3g})"
        return f"iteration error <= {at_most(self.bound)} (tol {self.tol:.3g}), residual {self.residual:.3g}"

    @property
    def converged(self) -> bool:
        """Whether what was asked for was reached."""
        return self.status in (Status.CONVERGED, Status.STEADY, Status.SAMPLED)
