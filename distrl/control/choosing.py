"""Which method finds the best policy for an objective."""

from distrl.control.data import PessimisticIteration, PessimisticProcess
from distrl.control.method import ControlMethod
from distrl.control.nested import NestedIteration
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target import TargetDP
from distrl.control.timed import TimedDP
from distrl.returns import Functional, Mean

#: Those that are tried, in this order; the first that serves the objective is taken.
METHODS: tuple[type[ControlMethod], ...] = (PolicyIteration, TargetDP, TimedDP, NestedIteration)
#: What can be optimised, for errors.
OBJECTIVES = (
    "distrl.Mean(), CVaR(level), MeanCVaR(level, weight), Shortfall(target), MeanVariance(weight), "
    "ProbabilityAbove(target), Quantile(level), EntropicRisk(beta), EVaR(level), NestedCVaR(level)"
)


def method_for(objective: Functional, method: ControlMethod | None) -> ControlMethod:
    """The method for an objective: the one that was given, or the first that serves it.

    Raises
    ------
    ValueError, TypeError
        For what is no objective, and for a method that does not serve it.
    """
    if isinstance(objective, type):
        raise TypeError(f"objective must be an object, such as distrl.Mean(), got the class {objective.__name__}")
    if method is not None and not isinstance(method, ControlMethod):
        raise TypeError(f"method must be a control method, such as distrl.PolicyIteration(), got {method!r}")
    if not isinstance(objective, Functional):
        raise ValueError(f"objective {objective!r} cannot be optimised; there is {OBJECTIVES}")
    if method is not None:
        if not method.serves(objective):
            raise ValueError(f"{method!r} does not serve the objective {objective!r}; leave method out")
        return method
    for kind in METHODS:
        if kind().serves(objective):
            return kind()
    raise ValueError(f"objective {objective!r} cannot be optimised; there is {OBJECTIVES}")


def pessimistic(
    objective: Functional, method: ControlMethod | None, level: float, horizon: int | None
) -> ControlMethod:
    """The method for a lower bound that holds with confidence `level`.

    Raises
    ------
    ValueError, TypeError
        For what is no objective, for one that has no such bound, and beside another method.
    """
    inner = method_for(objective, method)
    if method is not None:
        raise ValueError(f"pessimism has a method of its own, and is not for {method!r}; leave one of them out")
    if isinstance(objective, Mean) and horizon is None:
        return PessimisticIteration(level)
    chosen = PessimisticProcess(level, inner)
    if not chosen.serves(objective):
        raise ValueError(
            f"pessimism is for objectives that do not fall where every return rises, and {objective!r} may: no bound "
            "that holds for the policy that the samples choose is known here; leave it out, and ask fresh samples with "
            "confirmed(fresh)"
        )
    return chosen
