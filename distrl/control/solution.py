"""What `optimize` gives back."""

import os
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import aligned, beside
from distrl._files import path_of
from distrl._records import write_result
from distrl._steady import steady
from distrl._tolerances import EPS
from distrl._validation import RandomSource, float_array, generator, int_array, real_number, whole_number
from distrl.control.data.decision import DecidedFromData
from distrl.control.frontier import CommonStart, Frontier
from distrl.control.method import Family
from distrl.control.policy import RunnablePolicy
from distrl.control.result import P
from distrl.control.simulation import Simulation, playable, simulated
from distrl.control.target import NodePolicy, TargetPolicy
from distrl.control.timed.family import mixed
from distrl.dp import Certificate, Method, Solution, Status
from distrl.models.stages import of_samples
from distrl.returns import EntropicRisk, Functional, Mean, Returns


@dataclass(frozen=True, eq=False, repr=False)
class ControlSolution(DecidedFromData[P]):
    """The best policy that was found, and certain bounds on what any policy reaches, from every state.

    Attributes
    ----------
    policy, values, lower, upper : the policy, the objective's value under it, and what is certain (S,)
    status, converged, gap, tol : how the work ended, upper - lower, and what that was to be at most
    iterations, elapsed, compiled, reason : what was done
    model, objective, method, horizon : what was optimised, and how
    targets, family : starting targets, and answers to other parameters
        `ControlResult` says each in full. `confirmed` and `next_samples` are those of `DecidedFromData`.
    """

    # -- other parameters ---------------------------------------------------------------------------------------------

    def _asked(self, parameter: Functional | ArrayLike) -> Functional:
        if isinstance(parameter, Functional):
            return parameter
        if self.objective.points is None:
            raise ValueError(f"{self.objective!r} has no parameter")
        asked = np.asarray(parameter, dtype=np.float64)
        value = tuple(asked.tolist()) if asked.ndim else float(asked)
        changed: Any = replace(self.objective, **{fields(self.objective)[0].name: value})
        return cast(Functional, changed)

    def _family(self) -> Family:
        if self.family is None:
            raise ValueError(f"{self.method!r} solves for one parameter of {self.objective!r} at a time")
        return self.family

    @steady
    def at(self, parameter: Functional | float) -> "ControlSolution[RunnablePolicy]":
        """The best policy for another level or target, without solving again.

        Parameters
        ----------
        parameter : float or Functional
            The level of CVaR or the target of a shortfall, or such an objective.

        Returns
        -------
        ControlSolution
            Certified as this one is; its gap may be wider.

        Raises
        ------
        ValueError
            If the solve says nothing of it.
        """
        objective = self._asked(parameter)
        found = self._family().at(objective)
        gap = float(np.max(found.upper - found.lower))
        status = Status.CONVERGED if gap <= self.tol else Status.MAX_ITERATIONS
        if self.status is Status.INTERRUPTED:
            status = self.status
        return replace(
            cast("ControlSolution[RunnablePolicy]", self),
            policy=found.policy,
            values=found.values,
            lower=found.lower,
            upper=found.upper,
            status=status,
            targets=found.targets,
            objective=objective,
            reason=f"read from the solve for {self.objective.label}: {found.reason}",
        )

    @steady
    def frontier(self, levels: ArrayLike) -> Frontier:
        """The best values for many levels or targets at once, enclosed.

        Parameters
        ----------
        levels : (K,)
            Levels of CVaR, or targets of a shortfall.

        Returns
        -------
        Frontier
            Time O(knots + S K).

        Raises
        ------
        ValueError, TypeError
            If there are none, or the solve says nothing of them.
        """
        asked = float_array(levels, "levels", ndim=(0, 1))
        if not asked.size:
            raise ValueError("levels is empty; give one parameter of the objective at least")
        objective = self._asked(np.atleast_1d(asked))
        lower, upper, targets = self._family().frontier(objective)
        assert objective.points is not None
        return Frontier(objective.points, lower, upper, targets, f"best {objective.name}")

    @property
    @steady
    def start(self) -> CommonStart:
        """The best value, and the policy that reaches it, for a start that is drawn from the model's `initial`.

        Risk from a random start is no mean of the states' values: the law is that of the return from the drawn state,
        and one target is common to all.

        Raises
        ------
        ValueError
            If the model has no initial law, or the method does not say it.
        """
        initial = self.model.initial
        if initial is None:
            raise ValueError("the model has no initial law; give one with initial=, or look at single states")
        if isinstance(self.objective, Mean):
            room = 2.0 * EPS * self.model.n_states * float(np.abs(self.values).max())
            return CommonStart(
                float(initial @ self.lower) - room, float(initial @ self.upper) + room, None, self.policy
            )
        if isinstance(self.objective, EntropicRisk):  # the best from every state is the best for a drawn one
            low, high = mixed(self.objective.single(), self.lower, self.upper, initial)
            return CommonStart(float(low[0]), float(high[0]), None, self.policy)
        if self.family is None:
            raise ValueError(
                f"{self.method!r} solves for {self.objective!r} from single states, and not from a drawn start; give "
                "the model a first state with one action that pays 0 and leads where initial says: its return is the "
                "discount times that of the start"
            )
        lower, upper, target = self.family.common(self.objective, initial)
        policy = self.family.begun(self.policy, self.objective, initial)
        if isinstance(policy, TargetPolicy | NodePolicy):
            policy = policy.started(np.full(self.model.n_states, target))
        return CommonStart(lower, upper, None if np.isnan(target) else target, policy)

    @steady
    def simulate(
        self,
        episodes: int = 10_000,
        rng: RandomSource = None,
        *,
        states: ArrayLike | None = None,
        confidence: float = 0.95,
    ) -> Simulation:
        """Returns drawn under the policy, its exact memory and all.

        Parameters
        ----------
        episodes : int
            From each state.
        rng : anything `numpy.random.default_rng` takes
        states : (K,) positions, or one
            None: those that the model starts in, all if it does not say.
        confidence : float in (0, 1)
            Of the band and of intervals, for one state.

        Returns
        -------
        Simulation

        Raises
        ------
        ValueError, TypeError
            On bad arguments.
        """
        n = self.model.n_states
        if states is None:
            chosen = np.arange(n) if self.model.initial is None else np.flatnonzero(self.model.initial)
        else:
            chosen = int_array(np.atleast_1d(states), "states", low=0, high=n)
        confidence = real_number(confidence, "confidence", low=0.0, high=1.0)
        if confidence in (0.0, 1.0):
            raise ValueError(f"confidence must lie in (0, 1), got {confidence:g}")
        number = whole_number(episodes, "episodes", low=1)
        return simulated(self.model, playable(self.policy), chosen, number, self.horizon, confidence, generator(rng))

    # -- the law of the policy ----------------------------------------------------------------------------------------

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
        """Row s: the law of the return from state s under the policy; found when first asked for, by `evaluated`.

        For policies with a target see `TargetPolicy.laws_from`: where targets have to be rounded the laws are those of
        the policy that rounds them, and `certificate.of` says so.
        """
        return self._evaluated.returns

    @property
    def certificate(self) -> Certificate:
        """How far `returns` can be from the true laws under the policy, or from those that `of` names."""
        return self._evaluated.certificate

    @steady
    def summary(self, states: ArrayLike | None = None) -> str:
        """What a person wants to read: how it ended, and some states with action, value and bounds.

        Parameters
        ----------
        states : (K,) positions, or one
            None: the first eight that the model starts in, or the first eight if it does not say.
        """
        steps = "" if self.horizon is None else f", a horizon of {self.horizon}"
        lines = [f"{self.objective!r} by {self.method!r} on {self.model!r}{steps}", self.outcome]
        about, inside = self.method.said(of_samples(self.model))
        lines += [about] if about else []
        lines.append(f"{self.ended}: {self.elapsed:.3g} s, {self.reason}")
        initial = self.model.initial
        shown = (np.arange(self.model.n_states) if initial is None else np.flatnonzero(initial))[:8]
        if states is not None:
            shown = int_array(np.atleast_1d(states), "states", low=0, high=self.model.n_states)
        actions = self.policy.first_actions(self.model.n_states)
        columns = {"state": [str(self.model.states[s]) for s in shown]}
        if actions.size:
            columns["action"] = [str(self.model.actions[int(actions[s])]) for s in shown]
        columns[self.objective.label] = [
            beside(float(self.values[s]), float(self.lower[s]), float(self.upper[s])) for s in shown
        ]
        lines += ["", inside, *aligned(columns)]
        left = self.model.n_states - len(np.unique(shown))
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
