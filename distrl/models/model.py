"""What the verbs take: a reward process, or a decision process with a policy."""

from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy

Model = MRP | MDP


def as_mrp(model: Model, policy: Policy | None) -> MRP:
    """The process that is evaluated or sampled: an MRP itself, or an MDP under a policy.

    Raises
    ------
    ValueError, TypeError
        If it is no model, an MDP has no policy, or an MRP has one.
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
