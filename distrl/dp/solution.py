"""What `evaluate` gives back."""

import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from distrl._display import at_most
from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate, Certifier, ParticleCertifier
from distrl.dp.saving import save_solution
from distrl.dp.status import Status
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman
from distrl.returns.base import Returns
from distrl.returns.brackets import BracketReturns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.moments import MomentReturns
from distrl.returns.particles import ParticleReturns
from distrl.returns.quantile import QuantileReturns


@dataclass(frozen=True, eq=False)
class Solution:
    """Return laws of all states, and how far they can be trusted.

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
        Seconds.
    certificate : Certificate or None
        Bound on the distance to the true law, per state (None for `Moments`, which give no law).
    tol : float
        The tolerance used: what `bound` was to be at most.
    solver, reason : str
        Which solver ran, and why it was chosen.
    model : MRP
        What was solved.
    mdp : MDP or None
        The decision process it came from.
    history : object or None
        What the method recorded on the way (`CategoricalDP`).
    """

    returns: Returns
    status: Status
    iterations: int
    residual: float
    clipped_mass: float
    elapsed: float
    certificate: Certificate | None
    tol: float
    solver: str
    reason: str
    model: MRP
    method: Any
    mdp: MDP | None = None
    history: Any = field(default=None, repr=False)
    bounds: FloatArray | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        left = "" if self.bounds is None else f", bound={at_most(self.bound)}"
        worst = "" if self.certificate is None else f", certificate={float(self.certificate.w1.max()):.3g}"
        return (
            f"Solution({self.status.name}, states={self.model.n_states}, solver={self.solver!r}, "
            f"iterations={self.iterations}, residual={self.residual:.3g}{left}{worst})"
        )

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

    @cached_property
    def _action_level(self) -> tuple[CategoricalReturns | QuantileReturns, Certificate]:
        if self.mdp is None:
            raise ValueError("action returns need an MDP and a policy; this solution is of an MRP")
        if isinstance(self.returns, QuantileReturns) and self.certificate is not None:
            return self._action_quantiles(self.mdp, self.returns, self.certificate)
        if not isinstance(self.returns, CategoricalReturns) or self.certificate is None:
            raise ValueError(f"action returns need a categorical or quantile solution; {self.method!r} gives none")
        operator = CategoricalBellman.for_table(self.mdp.outcomes, self.mdp.discount, self.returns.grid)
        image = operator.apply(np.asarray(self.returns.probs))
        certificate = Certifier.certify_sources(image, operator, self.certificate)
        shape = (self.mdp.n_states, self.mdp.n_actions, self.returns.grid.atoms)
        probs = np.maximum(image.probs, 0.0).reshape(shape)
        return CategoricalReturns._trusted(self.returns.grid, probs), certificate

    def _action_quantiles(
        self, mdp: MDP, below: QuantileReturns, certificate: Certificate
    ) -> tuple[QuantileReturns, Certificate]:
        m = len(below.levels)
        operator = QuantileBellman.for_table(mdp.outcomes, mdp.discount, m, self.method.flat)
        image = operator(below)
        certified = ParticleCertifier.certify_sources(image, below, operator.targets, certificate)
        return QuantileReturns._trusted(image.values.reshape(mdp.n_states, mdp.n_actions, m)), certified

    @property
    def action_returns(self) -> CategoricalReturns | QuantileReturns:
        """The law of every (state, action): batch shape (S, A), one application away from `returns`.

        `action_returns.mean()` is (S, A), `action_returns[s, a]` one law. `action_certificate` bounds its error.
        """
        return self._action_level[0]

    @property
    def action_certificate(self) -> Certificate:
        """The certificate of `action_returns`, arrays (S * A,), index state * A + action."""
        return self._action_level[1]

    @property
    def start(self) -> Returns:
        """The law of the return from the model's initial law (its `initial`): a mixture, one law.

        Raises
        ------
        ValueError
            If the model has no initial law.
        """
        if self.model.initial is None:
            raise ValueError("the model has no initial law; give one with initial=, or look at returns[state]")
        if isinstance(self.returns, ParticleReturns | QuantileReturns):
            values, weights = self.returns.support_weights()
            mixed = self.model.initial[:, None] * np.broadcast_to(weights, values.shape)
            return ParticleReturns(values.ravel(), mixed.ravel())
        if not isinstance(self.returns, CategoricalReturns):
            raise ValueError(f"{self.method!r} gives no law to mix; look at returns[state]")
        return CategoricalReturns._trusted(self.returns.grid, self.model.initial @ np.asarray(self.returns.probs))

    def table(self) -> dict[str, FloatArray]:
        """Columns of one row a state: mean, sd, VaR and CVaR of the worst 5%, certificate; for brackets, intervals."""
        returns = self.returns
        if isinstance(returns, BracketReturns):
            sd, cvar = returns.interval("std"), returns.interval("cvar", 0.05)
            ends = {"sd >=": sd[:, 0], "sd <=": sd[:, 1], "CVaR 5% >=": cvar[:, 0], "CVaR 5% <=": cvar[:, 1]}
            return {"mean": self.values, **ends}
        columns = {"mean": self.values}
        if isinstance(returns, MomentReturns) and returns.order < 2:
            return columns
        columns["sd"] = np.asarray(returns.std())
        try:
            columns["VaR 5%"] = np.asarray(returns.quantile(0.05))
            columns["CVaR 5%"] = np.asarray(returns.cvar(0.05))
        except TypeError:  # moments alone have no tail
            pass
        if self.certificate is not None:
            columns["W1 bound"] = self.certificate.w1
        return columns

    def summary(self, states: Any = None) -> str:
        """What a person wants to read: how it ended, the bound, and a risk table of the first states (or `states`)."""
        if states is None:
            initial = self.model.initial
            first = np.arange(self.model.n_states) if initial is None else np.flatnonzero(initial)
            shown = first[:8]
        else:
            shown = np.atleast_1d(states)
        lines = [f"{self.method!r} on {self.model!r}", self.status.value]
        lines.append(f"solver {self.solver}: {self.iterations} applications, {self.elapsed:.3g} s ({self.reason})")
        lines.append(f"{self.ended}, clipped mass {self.clipped_mass:.3g}")
        if self.certificate is not None:
            worst = int(np.argmax(self.certificate.w1))
            sure = "" if self.certificate.confidence is None else f" with confidence {self.certificate.confidence:g}"
            lines.append(
                f"certificate{sure}: W1 to the true law <= {at_most(self.certificate.w1[worst])} "
                f"(state {worst}, the worst) [{self.certificate.claim}]"
            )
        columns = self.table()
        lines.append("")
        lines.append(f"{'state':>8}" + "".join(f"{name:>14}" for name in columns))
        lines += [f"{s:>8}" + "".join(f"{column[s]:>14.6g}" for column in columns.values()) for s in shown]
        left_out = self.model.n_states - len(shown)
        if left_out > 0:
            lines.append(f"... and {left_out} more state(s); summary(states=...) shows any of them")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `.npz` (laws, certificate, settings) or `.csv` (the table, one row a state), atomically.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        """
        save_solution(self, path)
