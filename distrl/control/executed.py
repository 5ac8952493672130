"""Laws of policies with a memory: of the process whose states are a memory and a state, from those of the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.dp import Certificate, Method, Solution, evaluate
from distrl.dp.knowledge import Knowledge, Mixed
from distrl.dp.result import R
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.stages import step_under
from distrl.returns import Returns
from distrl.returns.finite import FiniteReturns
from distrl.returns.functionals import Functional


class OnProduct(Knowledge):
    """What is certain of the laws from some states of a larger process.

    Parameters
    ----------
    inner : Solution
        Of the larger process.
    rows : (S,) the state of it at which each state of the decision process starts
    """

    def __init__(self, inner: Solution[Returns], rows: IntArray) -> None:
        super().__init__(inner.model, inner.returns, inner.certificate, inner.method)
        self.rows = rows

    def interval(self, functional: Functional, states: Sequence[int] | IntArray | None = None) -> FloatArray:
        """(S, 2) or (S, K, 2) the interval, of some states if given."""
        some = self.rows if states is None else self.rows[np.asarray(states, dtype=np.int64)]
        return super().interval(functional, some)

    def of_mixture(self, weights: FloatArray, mixture: FiniteReturns, functionals: tuple[Functional, ...]) -> Mixed:
        """What is known of the mixture of the states' laws with `weights` (S,)."""
        wide = np.bincount(self.rows, weights=weights, minlength=self.model.n_states)
        return super().of_mixture(np.asarray(wide, dtype=np.float64), mixture, functionals)


@dataclass(frozen=True, eq=False, repr=False)
class ExecutedSolution(Solution[R]):
    """A `Solution` whose row s is the law of a policy with a memory that starts in state s.

    Attributes
    ----------
    inner : Solution or None
        Of the process whose states are a memory and a state: what is certified is certified there. None: the
        certificate alone is what is certified.
    rows : (S,) or None
        The state of it at which each state starts.
    """

    inner: Solution[R] | None = field(default=None, repr=False)
    rows: IntArray | None = field(default=None, repr=False)

    @cached_property
    def _known(self) -> Knowledge:
        if self.inner is None or self.rows is None:
            return Knowledge(self.model, self.returns, self.certificate, self.method, asks_model=False)
        return OnProduct(self.inner, self.rows)

    @cached_property
    def _action_level(self) -> tuple[Returns, Certificate]:
        raise ValueError("action returns are not known of a policy with a memory; look at `inner`, its whole process")


def evaluated_on(
    product: MRP, rows: IntArray, mdp: MDP, first_actions: IntArray, method: Method[Returns] | None
) -> Solution[Returns]:
    """The laws of a policy with a memory, by `evaluate` on the process that it makes.

    Parameters
    ----------
    product : MRP
        Whose states are a memory and a state.
    rows : (S,)
        The state of it at which each state starts.
    mdp : MDP
    first_actions : (S,)
        With which the policy starts.
    method : Method or None
    """
    chosen: Any = method
    inner: Solution[Returns] = evaluate(product, chosen)
    return executed(
        inner,
        returns=inner.returns[rows],
        certificate=None if inner.certificate is None else inner.certificate[rows],
        bounds=None if inner.bounds is None else inner.bounds[rows],
        model=step_under(mdp, first_actions),
        mdp=mdp,
        reason=f"{inner.reason}; on {product.n_states} states, each a memory and a state",
        inner=inner,
        rows=rows,
    )


def executed(solution: Solution[R], **changed: object) -> ExecutedSolution[R]:
    """An `ExecutedSolution` made of a `Solution`, with other fields where they are given."""
    known: dict[str, Any] = {each.name: getattr(solution, each.name) for each in fields(Solution) if each.init}
    return ExecutedSolution(**{**known, "history": None, **changed})
