"""What `evaluate` gives back."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import at_most, beside
from distrl._files import path_of
from distrl._steady import steady
from distrl._validation import FloatArray
from distrl.dp import text
from distrl.dp.action_level import StateLevel, action_level
from distrl.dp.certificate import Certificate
from distrl.dp.export import Exports
from distrl.dp.horizon_knowledge import HorizonKnowledge
from distrl.dp.knowledge import Knowledge
from distrl.dp.result import R
from distrl.dp.saving import save_record, save_table
from distrl.returns.base import Returns
from distrl.returns.finite import as_finite
from distrl.returns.functionals import CVaR, Functional, Mean, Quantile, Std, parse

_TABLE = (Mean(), Std(), Quantile(0.05), CVaR(0.05))  # of summaries and files


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Exports[R]):
    """Return laws of all states, how far they can be trusted, and what can be asked of them.

    Attributes
    ----------
    returns, values : the laws of all states, and their means (S,)
    status, converged : how the work ended, and whether what was asked for was reached
    iterations, elapsed, compiled, solver, reason : what was done
    residual, bounds, bound, tol, clipped_mass : what is left of the iteration error, and what it was held against
    certificate : how far the laws can be from the true ones
    model, mdp, method, history : what was solved and how
        `Result` says each in full, with units.
    """

    # -- other laws -------------------------------------------------------------------------------------------------

    @cached_property
    @steady
    def _action_level(self) -> tuple[Returns, Certificate]:
        if self.mdp is None:
            raise ValueError("action returns need an MDP and a policy; this solution is of an MRP")
        if self.certificate is None:
            raise ValueError(f"action returns need a categorical or quantile solution; {self.method!r} gives none")
        if self.stages is None:
            return action_level(self.returns, StateLevel(self.certificate, self.model, self.mdp, self.method))
        if self.later is None:
            raise ValueError(
                "action returns need the laws after the first step: a horizon of at least 1, all of whose steps were "
                f"made, and a method that keeps them; {self.method!r} gives none here"
            )
        below = StateLevel(self.later.certificate, self.model, self.mdp, self.method, self.stages)
        return action_level(self.later.returns, below)

    @property
    def action_returns(self) -> Returns:
        """The law of every (state, action): batch shape (S, A), one application away from `returns`.

        `action_returns.mean()` is (S, A), `action_returns[s, a]` one law; with a horizon the action is the first
        step's. `action_certificate` bounds the error. Where not every state has every action, the batch shape is
        (pairs,), in the order of `mdp.pairs`.
        """
        return self._action_level[0]

    @property
    def action_certificate(self) -> Certificate:
        """The certificate of `action_returns`, arrays (pairs,) in the order of `mdp.pairs`: state * A + action where
        every state has every action."""
        return self._action_level[1]

    @property
    @steady
    def start(self) -> Returns:
        """The law of the return from the model's initial law (its `initial`): a mixture, one law.

        Raises
        ------
        ValueError
            If the model has no initial law, or the method gives no law to mix.
        """
        if self.model.initial is None:
            raise ValueError("the model has no initial law; give one with initial=, or look at returns[state]")
        return self.returns.mix(self.model.initial)

    # -- certified intervals ----------------------------------------------------------------------------------------

    @cached_property
    def _known(self) -> Knowledge:
        if self.stages is not None:
            return HorizonKnowledge(self.stages, self.returns, self.certificate, self.method)
        return Knowledge(self.model, self.returns, self.certificate, self.method, self._knows_model)

    @property
    def _knows_model(self) -> bool:
        """Whether `model` may be asked: rollouts of an `Estimate` only sample it."""
        return True

    @steady
    def interval(self, functional: Functional | str, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the return law: the true value is inside, numerical error included.

        The sharpest that the library knows: where what the method's certificate says (`CertifiedLaw`), the exact mean
        and variance with what they imply (`CertifiedMoments`), and for laws on a grid the convex brackets on that grid
        agree. Entropic risk has its own recursion, `distrl.dp.entropic`.

        Parameters
        ----------
        functional : a `Functional` such as `distrl.CVaR(0.1)`, or "mean", "variance", "std", "stop_loss", "cvar",
            "cdf", "quantile", "expectile", "entropic_risk", "shortfall", "evar", "mean_variance" or "probability_above"
        at : scalar or (K,)
            For a short form: the level of "cvar", "evar", "quantile" and "expectile", the point
            of "cdf", "stop_loss" and "shortfall", the beta of "entropic_risk".
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
        return self._known.interval(parse(functional, at, tail))

    @steady
    def enclosure(
        self, functional: Functional | str, at: ArrayLike | None = None, *, tail: str = "lower"
    ) -> FloatArray:
        """What `interval` is on a `Solution`; on an `Estimate`, to the law that `certificate.of` names.

        `functional`, `at` and `tail` are those of `interval`.
        """
        return self._known.interval(parse(functional, at, tail))

    # -- for people to read -----------------------------------------------------------------------------------------

    @steady
    def table(self, functionals: Sequence[Functional] = _TABLE) -> dict[str, FloatArray]:
        """Columns of one row a state: `functionals` (mean, sd, VaR and CVaR of the worst 5%), each with the ends of its
        certified interval ("mean >=", "mean <="), and the certificate, whose heading says to which law it is.

        For brackets, which are no single law, the ends alone; for `Moments`, values of the moments that were solved.
        """
        columns: dict[str, FloatArray] = {}
        for functional in functionals:
            value = self._value(functional)
            if value is not None:
                columns[functional.label] = value
            ends, kind = self._stated(functional, list(range(self.model.n_states)))
            name = f"{functional.label} {kind}".rstrip()
            columns[f"{name} >="], columns[f"{name} <="] = ends[:, 0], ends[:, 1]
        if self.certificate is not None:
            columns[f"W1 to {self.certificate.of} <="] = self.certificate.w1
        return columns

    def text_columns(
        self, states: list[int], functionals: tuple[Functional, ...] = _TABLE, *, start: bool = False
    ) -> tuple[str, dict[str, list[str]]]:
        """A sentence on what the intervals are, and the columns of a table for people: each number with its interval.

        Parameters
        ----------
        states : list of int
            A row for each.
        functionals : tuple of Functionals
            A column for each; mean, sd, VaR and CVaR of the worst 5% when left out.
        start : bool
            A row above them for the law of `start`.

        Raises
        ------
        ValueError
            If `start` is asked for and the model has no initial law, or the method gives no law to mix.
        """
        columns, kinds = {"state": [str(self.model.states[s]) for s in states]}, {}
        for functional in functionals:
            ends, kinds[functional.label] = self._stated(functional, states)
            columns[functional.label] = text.cells(self._value(functional), states, ends)
        if self.certificate is not None:
            columns["W1 <="] = [at_most(float(self.certificate.w1[s])) for s in states]
        if start:
            first = self._start_row(functionals)
            columns = {name: [first[name], *cells] for name, cells in columns.items()}
        return self._what_intervals_are(kinds), columns

    def _start_row(self, functionals: tuple[Functional, ...]) -> dict[str, str]:
        """The row of a table for the law of `start`."""
        if self.model.initial is None or self._known.law is None:
            raise ValueError("the model has no initial law, or the method gives no law to mix")
        law = as_finite(self.start)
        mixed = self._known.of_mixture(self.model.initial, law, functionals)
        row = {"state": "start", "W1 <=": at_most(mixed.w1)}
        for functional, (low, high) in zip(functionals, mixed.ends, strict=True):
            row[functional.label] = beside(float(functional.value(law)), float(low), float(high))
        return row

    @steady
    def summary(self, states: ArrayLike | None = None) -> str:
        """What a person wants to read: how it ended, the bound and the law it is to, and a risk table of the first
        states (or `states`), every number with its interval and no digit that the interval does not allow."""
        shown = self._shown(states)
        steps = "" if self.stages is None else f", a horizon of {self.stages.horizon}"
        lines = [f"{self.method!r} on {self.model!r}{steps}", self.status.value]
        lines.append(f"solver {self.solver}: {self.iterations} applications, {self.elapsed:.3g} s ({self.reason})")
        if self.compiled > 0.0:
            lines.append(f"and {self.compiled:.2g} s to compile, once")
        lines.append(f"{self.ended}, clipped mass {self.clipped_mass:.3g}")
        if self.certificate is not None:
            lines.append(text.on_certificate(self.certificate, self.model.states))
        lines += text.lines(*self.text_columns(shown))
        left_out = self.model.n_states - len(shown)
        if left_out > 0:
            lines.append(f"... and {left_out} more state(s); summary(states=...) shows any of them")
        return "\n".join(lines)

    def _shown(self, states: ArrayLike | None) -> list[int]:
        """The states of a summary: those given, or the first of those that the model starts in."""
        if states is not None:
            return [int(s) for s in np.arange(self.model.n_states)[np.atleast_1d(states)]]
        initial = self.model.initial
        first = np.arange(self.model.n_states) if initial is None else np.flatnonzero(initial)
        return [int(s) for s in first[:8]]

    def _value(self, functional: Functional) -> FloatArray | None:
        """The method's own number of every state; None where its laws say nothing of the functional."""
        return self.returns.columns([functional]).get(functional.label)

    def _stated(self, functional: Functional, states: list[int]) -> tuple[FloatArray, str]:
        """(K, 2) the interval that tables state for some states, and its kind in a word or two: "" for `interval`."""
        return self._known.interval(functional, states), ""

    def _what_intervals_are(self, kinds: dict[str, str]) -> str:
        """One sentence on the intervals of a summary; `kinds`: heading -> kind, as `_stated` says them."""
        return text.on_intervals(self.certificate)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, whole or not at all: `.npz` (all of it, for `distrl.load`) or `.csv` (the table).

        Raises
        ------
        ValueError
            If the name ends otherwise, or the file cannot be written, naming it.

        Warns
        -----
        UserWarning
            If the model has a reward law of a user's own, or the method is one: the file then holds arrays only.
        """
        target = path_of(path)
        if target.suffix == ".csv":
            save_table(self.table(), self.model.states, target)
        elif target.suffix == ".npz":
            save_record(self, target)
        else:
            raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz or .csv")
