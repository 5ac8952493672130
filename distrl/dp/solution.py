"""What `evaluate` gives back."""

import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import OFF, aligned, at_most, beside, enclosed
from distrl._steady import steady
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, Certifier, ParticleCertifier
from distrl.dp.enclosure import CertifiedLaw, CertifiedMoments
from distrl.dp.entropic import entropic_ends
from distrl.dp.saving import save_solution
from distrl.dp.status import Status
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman
from distrl.returns.base import Returns
from distrl.returns.brackets import BracketReturns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import (
    CVaR,
    EntropicRisk,
    Functional,
    Mean,
    Quantile,
    Std,
    Variance,
    intersection,
    parse,
)
from distrl.returns.grid import Grid
from distrl.returns.moments import MomentReturns
from distrl.returns.particles import ParticleReturns
from distrl.returns.quantile import QuantileReturns
from distrl.theory.bounds import dkw_halfwidth

_TABLE = (Mean(), Std(), Quantile(0.05), CVaR(0.05))  # of summaries and files
_BLOCK = 16_384  # states whose intervals are worked out at once
_WORK = 5e8  # updates of an atom beyond which brackets are not made on the way


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
        Seconds, without those that compiling took.
    certificate : Certificate or None
        Bound on the distance to the law that `certificate.of` names, per state (None for `Moments`, which give no law).
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
    compiled : float
        Seconds that compiling took before or during the call, 0 once everything is compiled.
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
    compiled: float = 0.0

    def __repr__(self) -> str:
        left = "" if self.bounds is None else f", bound={at_most(self.bound)}"
        worst = ""
        if self.certificate is not None:
            worst = f", W1 to {self.certificate.of}<={at_most(float(self.certificate.w1.max()))}"
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
    @steady
    def _action_level(self) -> tuple[CategoricalReturns | QuantileReturns, Certificate]:
        if self.mdp is None:
            raise ValueError("action returns need an MDP and a policy; this solution is of an MRP")
        if isinstance(self.returns, QuantileReturns) and self.certificate is not None:
            return self._action_quantiles(self.mdp, self.returns, self.certificate)
        if not isinstance(self.returns, CategoricalReturns) or self.certificate is None:
            raise ValueError(f"action returns need a categorical or quantile solution; {self.method!r} gives none")
        operator = CategoricalBellman.for_table(self.mdp.outcomes.whole, self.mdp.discount, self.returns.grid)
        image = operator.apply(np.asarray(self.returns.probs))
        certificate = Certifier.certify_sources(image, operator, self.certificate)
        shape = (self.mdp.n_states, self.mdp.n_actions, self.returns.grid.atoms)
        probs = np.maximum(image.probs, 0.0).reshape(shape)
        return CategoricalReturns._trusted(self.returns.grid, probs), certificate

    def _action_quantiles(
        self, mdp: MDP, below: QuantileReturns, certificate: Certificate
    ) -> tuple[QuantileReturns, Certificate]:
        m = len(below.levels)
        operator = QuantileBellman.for_table(mdp.outcomes.whole, mdp.discount, m, self.method.flat)
        image = operator(below)
        certified = ParticleCertifier.certify_sources(image, below, operator.targets, certificate, self.model)
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
    @steady
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

    # -- certified intervals ----------------------------------------------------------------------------------------

    @steady
    def interval(self, functional: Any, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the return law: the true value is inside, numerical error included.

        The sharpest that the library knows: where what the method's certificate says (`CertifiedLaw`), the exact mean
        and variance with what they imply (`CertifiedMoments`), and for laws on a grid the convex brackets on that grid
        agree. Entropic risk has its own recursion, `distrl.dp.entropic`.

        Parameters
        ----------
        functional : a `Functional` such as `distrl.CVaR(0.1)`, or "mean", "variance", "std", "stop_loss", "cvar",
            "cdf", "quantile", "expectile" or "entropic_risk"
        at : scalar or (K,)
            For a short form: the level of "cvar", "quantile" and "expectile", the point of "cdf" and "stop_loss", the
            beta of "entropic_risk".
        tail : "lower" or "upper", for "cvar"

        Returns
        -------
        array (S, 2), or (S, K, 2) for several `at`
            Lower and upper end; infinite where nothing is known. For `MonteCarlo` the interval holds with
            `certificate.confidence` for each state, for all functionals at once; all others are certain.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        CrossedEnds
            If two proven bounds contradict each other: an error of the library, to be reported.

        Notes
        -----
        The moments cost a few solves over states. The brackets' other law is iterated for half a billion updates of an
        atom at most (1 s), once; `Brackets` may be asked for more. An interval may be narrower than what `Brackets`
        alone would say.

        Examples
        --------
        >>> import distrl
        >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
        >>> low, high = distrl.evaluate(mrp, distrl.QuantileDP(100)).interval("mean")[0]
        >>> bool(low <= 6.5 <= high), bool(high - low < 1e-12)
        (True, True)
        """
        return self._certified(parse(functional, at, tail))

    @steady
    @steady
    def enclosure(self, functional: Any, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """What `interval` is on a `Solution`; on an `Estimate`, to the law that `certificate.of` names."""
        return self._certified(parse(functional, at, tail))

    def _certified(self, functional: Functional, states: Any = None) -> FloatArray:
        """The interval, of some states if given: a block of states at a time, for memory."""
        everyone = np.arange(self.model.n_states) if states is None else np.asarray(states, dtype=np.int64)
        if isinstance(functional, EntropicRisk) and self._knows_model:
            entropic = entropic_ends(self.model, functional, self._moments)
        blocks = []
        for first in range(0, max(len(everyone), 1), _BLOCK):
            some = everyone[first : first + _BLOCK]
            known = [source[some] for source in self._sources(functional)]
            if isinstance(functional, EntropicRisk) and self._knows_model:
                known.append(entropic[some])
            support = (self._moments.low[some], self._moments.high[some]) if self._knows_model else (-np.inf, np.inf)
            blocks.append(intersection(known, functional, support))
        return np.concatenate(blocks)

    def _sources(self, functional: Functional) -> list[Any]:
        """What is known that can say something of the functional."""
        sources: list[Any] = [self._moments] if self._knows_model else []
        if isinstance(self.returns, BracketReturns):
            return [*sources, self.returns]
        if self._certified_law is not None:
            sources.append(self._certified_law)
        if self._knows_model and not isinstance(functional, Mean | Variance | Std | EntropicRisk):
            sources += [] if self._brackets is None else [self._brackets]
        return sources

    @property
    def _knows_model(self) -> bool:
        """Whether `model` may be asked: rollouts of an `Estimate` only sample it."""
        return True

    @cached_property
    def _moments(self) -> CertifiedMoments:
        from distrl.dp.certified_moments import certified_moments

        return certified_moments(self.model)

    @cached_property
    def _certified_law(self) -> CertifiedLaw | None:
        if self.certificate is None or isinstance(self.returns, MomentReturns):
            return None
        if self.certificate.confidence is None:
            return CertifiedLaw(self.returns, self.certificate)
        sampled = dkw_halfwidth(self.method.episodes, self.certificate.confidence)
        return CertifiedLaw(self.returns, self.certificate, np.full(self.model.n_states, sampled))

    @cached_property
    def _brackets(self) -> Any:
        """Laws on the solution's grid that enclose the true one in convex order, of second order in the spacing where
        the certificate is of first; None where there is no grid, or they are too expensive."""
        from distrl.dp.brackets import brackets_around

        call, found = Call(), None
        if isinstance(self.returns, CategoricalReturns):
            found = brackets_around(self.model, self.returns.grid, self.returns, call, _WORK)
        elif isinstance(self.returns, ParticleReturns) and hasattr(self.method, "grid"):
            grid = self.method.grid or Grid.covering(self.model, self.method.atoms)
            found = brackets_around(self.model, grid, None, call, _WORK)
        if call.interrupted:  # a run keeps its last iterate; whoever asks for an interval wants to stop
            raise KeyboardInterrupt
        return found

    def _start_row(self, functionals: tuple[Functional, ...]) -> dict[str, str]:
        """The row of a table for the law of `start`: a mixture, of which mean, variance and certificate mix too."""
        initial = self.model.initial
        if initial is None or self._certified_law is None:
            raise ValueError("the model has no initial law, or the method gives no law to mix")
        some = np.flatnonzero(initial)
        weights, law = initial[some], self.start
        certified = self._certified_law[some].mixed(weights, law)
        moments = self._moments[some].mixed(weights)
        known = [moments, certified]
        row = {"state": "start", "W1 <=": at_most(float(certified.certificate.w1[0]))}
        for functional in functionals:
            low, high = intersection(known, functional, (moments.low, moments.high))[0]
            value = float(functional.value(law))
            row[functional.label] = beside(value, float(low), float(high))
        return row

    # -- for people to read -----------------------------------------------------------------------------------------

    @steady
    def table(self) -> dict[str, FloatArray]:
        """Columns of one row a state: mean, sd, VaR and CVaR of the worst 5%, each with the ends of its certified
        interval ("mean >=", "mean <="), and the certificate, whose heading says to which law it is.

        For brackets, which are no single law, the ends alone; for `Moments`, values of the moments that were solved.
        """
        columns: dict[str, FloatArray] = {}
        for functional in _TABLE:
            value = self._value(functional)
            if value is not None:
                columns[functional.label] = value
            ends, kind = self._stated(functional, list(range(self.model.n_states)))
            name = f"{functional.label} {kind}".rstrip()
            columns[f"{name} >="], columns[f"{name} <="] = ends[:, 0], ends[:, 1]
        if self.certificate is not None:
            columns[f"W1 to {self.certificate.of} <="] = self.certificate.w1
        return columns

    def _stated(self, functional: Functional, states: list[int]) -> tuple[FloatArray, str]:
        """(K, 2) the interval that tables state for some states, and its kind in a word or two: "" for `interval`."""
        return self._certified(functional, states), ""

    def _value(self, functional: Functional) -> FloatArray | None:
        """The method's own number, None where it has none."""
        if isinstance(functional, Mean):
            return self.values
        if isinstance(self.returns, MomentReturns):
            return functional.value(self.returns) if isinstance(functional, Std) and self.returns.order > 1 else None
        return None if isinstance(self.returns, BracketReturns) else functional.value(self.returns)

    def _shown(self, states: Any) -> list[int]:
        """The states of a summary: those given, or the first of those that the model starts in."""
        if states is not None:
            return [int(s) for s in np.arange(self.model.n_states)[np.atleast_1d(states)]]
        initial = self.model.initial
        first = np.arange(self.model.n_states) if initial is None else np.flatnonzero(initial)
        return [int(s) for s in first[:8]]

    def _cells(self, functional: Functional, states: list[int], ends: FloatArray) -> list[str]:
        """`value [low, high]` of some states, with the digits that the interval allows; see `beside`."""
        value = self._value(functional)
        cells = []
        for row, state in enumerate(states):
            low, high = (float(end) for end in ends[row])
            cells.append(enclosed(low, high) if value is None else beside(float(value[state]), low, high))
        return cells

    def _what_intervals_are(self, kinds: dict[str, str]) -> str:
        """One sentence on the intervals of a summary; `kinds`: heading -> kind, as `_stated` says them."""
        sure = None if self.certificate is None else self.certificate.confidence
        if sure is None:
            return "intervals are certified: the true value is inside, numerical error included"
        return f"intervals are statistical: those of one state hold together with confidence {sure:g}"

    def _lines(self, states: list[int], functionals: tuple[Functional, ...] = _TABLE) -> list[str]:
        """The table of a summary, and what its intervals are."""
        said, columns = self._columns(states, functionals)
        starred = any("*" in cell for cells in columns.values() for cell in cells)
        return ["", said, *aligned(columns), *([OFF] if starred else [])]

    def _columns(
        self, states: list[int], functionals: tuple[Functional, ...] = _TABLE
    ) -> tuple[str, dict[str, list[str]]]:
        """What the intervals are, and the columns of text."""
        columns, kinds = {"state": [str(s) for s in states]}, {}
        for functional in functionals:
            ends, kinds[functional.label] = self._stated(functional, states)
            columns[functional.label] = self._cells(functional, states, ends)
        if self.certificate is not None:
            columns["W1 <="] = [at_most(float(self.certificate.w1[s])) for s in states]
        return self._what_intervals_are(kinds), columns

    def _certificate_line(self) -> list[str]:
        if self.certificate is None:
            return []
        worst = int(np.argmax(self.certificate.w1))
        sure = "" if self.certificate.confidence is None else f" with confidence {self.certificate.confidence:g}"
        return [
            f"certificate{sure}: W1 to {self.certificate.of} <= {at_most(self.certificate.w1[worst])} "
            f"(state {worst}, the worst) [{self.certificate.claim}]"
        ]

    @steady
    def summary(self, states: Any = None) -> str:
        """What a person wants to read: how it ended, the bound and the law it is to, and a risk table of the first
        states (or `states`), every number with its interval and no digit that the interval does not allow."""
        shown = self._shown(states)
        lines = [f"{self.method!r} on {self.model!r}", self.status.value]
        lines.append(f"solver {self.solver}: {self.iterations} applications, {self.elapsed:.3g} s ({self.reason})")
        if self.compiled > 0.0:
            lines.append(f"and {self.compiled:.2g} s to compile, once")
        lines.append(f"{self.ended}, clipped mass {self.clipped_mass:.3g}")
        lines += [*self._certificate_line(), *self._lines(shown)]
        left_out = self.model.n_states - len(shown)
        if left_out > 0:
            lines.append(f"... and {left_out} more state(s); summary(states=...) shows any of them")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `.npz` (all of it: `distrl.load` gives it back) or `.csv` (the table), whole or not at all.

        Raises
        ------
        ValueError
            If the name ends otherwise, or the file cannot be written, naming it.

        Warns
        -----
        UserWarning
            If the model has a reward law of a user's own, or the method is one: the file then holds arrays only.
        """
        save_solution(self, path)
