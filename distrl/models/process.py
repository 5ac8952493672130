"""The Markov reward process that a verb works on."""

from collections.abc import Sequence

from distrl.models.endings import refuse_endless
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy

#: What the verbs take.
Model = MRP | MDP


class Step(MRP):
    """One step of a process whose returns a horizon ends: at discount 1 too they need not end by themselves.

    The arguments are those of `MRP`. Nothing but a finite number of steps is to be asked of it.
    """

    needs_horizon = True


def as_mrp(model: Model | Sequence[Model], policy: Policy | Sequence[Policy] | None) -> MRP:
    """`model` itself, or the process that `policy` makes of a decision process.

    Raises
    ------
    ValueError, TypeError
        If it is no model, or a policy is missing or has no place; if returns need a horizon and never end.
    """
    if isinstance(model, MDP):
        if policy is None:
            raise ValueError("an MDP needs a policy: (S,) actions, (S, A) probabilities or 'uniform'")
        return model.under(policy)  # type: ignore[arg-type]  # which refuses a sequence of policies
    if isinstance(model, list | tuple) and any(isinstance(each, Model) for each in model):
        raise TypeError("a sequence of models, one for each step, needs horizon=, the number of steps")
    if not isinstance(model, MRP):
        raise TypeError(f"model must be a distrl.MRP or a distrl.MDP, got {model!r}")
    if policy is not None:
        raise ValueError("an MRP has no actions; leave policy out")
    if model.needs_horizon and model.uniform_discount == 1.0:
        refuse_endless(model.outcomes, model.states, model.initial)
    return model
