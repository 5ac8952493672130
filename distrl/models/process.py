"""The Markov reward process that a verb works on."""

from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy

#: What the verbs take.
Model = MRP | MDP


def as_mrp(model: Model, policy: Policy | None) -> MRP:
    """`model` itself, or the process that `policy` makes of a decision process.

    Raises
    ------
    ValueError, TypeError
        If it is no model, or a policy is missing or has no place.
    """
    if isinstance(model, MDP):
        if policy is None:
            raise ValueError("an MDP needs a policy: (S,) actions, (S, A) probabilities or 'uniform'")
        return model.under(policy)
    if not isinstance(model, MRP):
        raise TypeError(f"model must be a distrl.MRP or a distrl.MDP, got {model!r}")
    if policy is not None:
        raise ValueError("an MRP has no actions; leave policy out")
    return model
