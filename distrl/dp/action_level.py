"""The laws of every (state, action): one application of the operator away from the states' laws.

G(s, a) = R(s, a) + discount * G(next state): with laws of the states at hand, those of the actions need no iteration.
How one application is made depends on how the laws are represented: `action_level` looks it up by their class, and
`action_level.register(OwnReturns)` teaches it another one.
"""

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from distrl.dp.certificate import Certificate, Certifier, ParticleCertifier
from distrl.dp.scales import diameter
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.quantile import QuantileReturns


class StateLevel(NamedTuple):
    """What is known at the states: their certificate, their model, and the decision process and method behind it.

    With a horizon the states are those after the first step, and `stages` says what the steps are.
    """

    certificate: Certificate
    model: MRP
    mdp: MDP
    method: object
    stages: Stages | None = None

    @property
    def apart(self) -> float:
        """How far two outcomes can be from each other: see `diameter`."""
        return diameter(self.model) if self.stages is None else 2.0 * self.stages.reach(self.stages.horizon)


@singledispatch
def action_level(returns: Returns, below: StateLevel) -> tuple[Returns, Certificate]:
    """The laws of every (state, action), batch (S, A) or (pairs,), and their certificate, arrays (pairs,).

    Parameters
    ----------
    returns : Returns
        Of the states.
    below : StateLevel
    """
    raise ValueError(f"action returns need a categorical or quantile solution; {below.method!r} gives none")


@action_level.register
def _(returns: CategoricalReturns, below: StateLevel) -> tuple[Returns, Certificate]:
    mdp = below.mdp
    operator = CategoricalBellman.for_table(mdp.outcomes.whole, mdp.uniform_discount, returns.grid)
    image = operator.apply(np.asarray(returns.probs))
    certificate = Certifier.certify_sources(image, operator, below.certificate)
    probs = np.maximum(image.probs, 0.0).reshape(*mdp.choices.shape, returns.grid.atoms)
    return CategoricalReturns.trusted(returns.grid, probs), certificate


@action_level.register
def _(returns: QuantileReturns, below: StateLevel) -> tuple[Returns, Certificate]:
    mdp, m = below.mdp, len(returns.levels)
    flat = getattr(below.method, "flat", 0.0)  # which end of a flat region of a target's CDF the method takes
    operator = QuantileBellman.for_table(mdp.outcomes.whole, mdp.uniform_discount, m, flat)
    image = operator(returns)
    apart = 0.0 if operator.targets.table.known_defects is None else below.apart
    certificate = ParticleCertifier.certify_sources(image, returns, operator.targets, below.certificate, apart)
    return QuantileReturns.trusted(image.values.reshape(*mdp.choices.shape, m)), certificate
