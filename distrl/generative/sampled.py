"""A solution of an empirical model, with what interval methods read of it."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import BoolArray, FloatArray
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.enclosure import CertifiedLaw
from distrl.dp.result import R
from distrl.dp.solution import Solution
from distrl.generative.distances import Distance
from distrl.generative.influence import FirstOrder
from distrl.generative.redrawn import RedrawnModels
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import Functional, intersection
from distrl.returns.grid import return_ranges
from distrl.td.rule import is_rule


@dataclass(frozen=True, eq=False, repr=False)
class SampledSolution(Solution[R]):
    """A `Solution` that was made from samples: what an interval method is given.

    Attributes
    ----------
    empirical : EmpiricalMRP, EmpiricalMDP or None
        The model of the samples, whose solution this is; None for Monte Carlo rollouts, which estimate no model.
    policy : object
        What was evaluated; None for an MRP.
    adaptive : bool
        Whether sample sizes were chosen by looking at the samples.
    """

    empirical: EmpiricalMRP | EmpiricalMDP | None = None
    policy: ArrayLike | None = None
    adaptive: bool = False

    @classmethod
    def from_solution(
        cls,
        solution: Solution[R],
        empirical: EmpiricalMRP | EmpiricalMDP | None,
        policy: ArrayLike | None = None,
        adaptive: bool = False,
    ) -> Self:
        """A solution as an estimate.

        Parameters
        ----------
        solution : Solution
            Of the model `empirical`, or of rollouts: then `empirical` is None. The certificate of the former is to the
            samples' own law.
        policy, adaptive
            As the attributes.
        """
        if empirical is not None and solution.certificate is not None:
            solution = replace(solution, certificate=replace(solution.certificate, of=SAMPLES_LAW))
        parts = {field.name: getattr(solution, field.name) for field in fields(Solution)}
        return cls(**parts, empirical=empirical, policy=policy, adaptive=adaptive)

    # -- the samples ------------------------------------------------------------------------------------------------

    def solved(self) -> EmpiricalMRP | EmpiricalMDP:
        """`empirical`, where the method has solved it.

        Raises
        ------
        ValueError
            Of rollouts, which estimate no model, and of learners, which solve none.
        """
        if self.empirical is None:
            raise ValueError("rollouts estimate no model; use method='finite-sample', or a method that estimates one")
        if is_rule(self.method):
            raise ValueError(
                f"{type(self.method).__name__} does not solve the empirical model; use method='finite-sample', or "
                "CategoricalFixedPoint on the same samples"
            )
        return self.empirical

    @cached_property
    def weights(self) -> FloatArray:
        """(sources,) the weight of each source (state, or state and action) in its state: the policy's probability."""
        if isinstance(self.empirical, EmpiricalMDP) and self.policy is not None:
            return self.empirical.pair_weights(self.policy)
        return np.ones(self.model.n_states)

    @property
    def state_weights(self) -> FloatArray:
        """The same by state: (S, A), or (S,) of an MRP."""
        if isinstance(self.empirical, EmpiricalMDP) and self.policy is not None:
            return self.empirical.policy_matrix(self.policy)
        return self.weights

    @cached_property
    def unknown(self) -> BoolArray:
        """(S,) the states from which a source can be reached of which nothing is known."""
        n = self.model.n_states
        if self.empirical is None:
            return np.zeros(n, dtype=np.bool_)
        bad = (self.empirical.unknown & (self.state_weights > 0.0)).reshape(n, -1).any(axis=1)
        while True:
            wider = bad | (self.model.continuation @ bad.astype(np.float64) > 0.0)
            if np.array_equal(wider, bad):
                return np.asarray(bad, dtype=np.bool_)
            bad = wider

    @property
    def return_range(self) -> tuple[float, float]:
        """An interval that holds every return of the true model, infinite where none is known.

        A model that is rolled out tells the range of its rewards.
        """
        if self.empirical is None:
            least, most = return_ranges(self.model)
            return float(least.min()), float(most.max())
        known = self.empirical.return_range
        return (-np.inf, np.inf) if known is None else known

    # -- what is known of the samples' own law ----------------------------------------------------------------------

    def enclosed(self, functional: Functional) -> FloatArray:
        """(S, 2) the certified ends of a functional of the samples' own law; of a distance, 0 and its bound.

        Raises
        ------
        ValueError
            Of a distance, where nothing is certified.
        """
        if isinstance(functional, Distance):
            return intersection([self.certified_law], functional)
        return self._known.interval(functional)

    @property
    def certified_law(self) -> CertifiedLaw:
        """The return laws with their certificate.

        Raises
        ------
        ValueError
            Where there is none: of means that were learnt, and of moments, which are no law to be distant from.
        """
        if self._known.law is None:
            raise ValueError(f"{self.method!r} states no bound on its error")
        return self._known.law

    @property
    def _knows_model(self) -> bool:
        return self.empirical is not None

    # -- other samples ----------------------------------------------------------------------------------------------

    @cached_property
    def first_order(self) -> FirstOrder | None:
        """How the return laws move with the samples, to first order: of categorical fixed points, None of others."""
        if self.empirical is None or is_rule(self.method):
            return None
        if not isinstance(self.returns, CategoricalReturns):
            return None
        return FirstOrder(self.model, self.returns, self.empirical.samples, self.weights, self.unknown)

    def linearised(self) -> FirstOrder:
        """`first_order`, where there is one.

        Raises
        ------
        ValueError
            For anything but a categorical fixed point.
        """
        if self.first_order is None:
            raise ValueError(f"the delta method needs a categorical fixed point; {self.method!r} gives none")
        return self.first_order

    @cached_property
    def redrawn(self) -> RedrawnModels:
        """Models that are drawn from the empirical one as it was drawn from the true one, and their return laws.

        Raises
        ------
        ValueError
            As `solved`.
        """
        empirical = self.solved()
        policy = None if self.policy is None else self.state_weights
        categorical = None if self.first_order is None else self.first_order.returns
        return RedrawnModels(empirical, policy, self.returns, self.method, categorical)
