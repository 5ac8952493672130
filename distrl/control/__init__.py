"""`optimize`: the best policy of a decision process, with certain bounds on what any policy can reach.

Objectives are functionals of the return, and for each there is a method, which may be left out: `PolicyIteration` for
`Mean`; `TargetDP` for `CVaR`, `MeanCVaR` and `Shortfall`, by policies whose memory is a target; `TimedDP` for
`EntropicRisk` and `EVaR`, by policies that know the time; `NestedIteration` for `NestedCVaR`.
`CategoricalValueIteration` and `QuantileValueIteration` find the best mean as well.
"""

from distrl.control.data import Confirmation, PessimisticIteration, PessimisticProcess
from distrl.control.errors import OptimizationError, OptimizationInterrupted
from distrl.control.frontier import CommonStart, Frontier
from distrl.control.method import ControlMethod, Family, Found
from distrl.control.nested import NestedIteration
from distrl.control.objectives import NestedCVaR
from distrl.control.optimize import optimize
from distrl.control.policy import MarkovPolicy, RunnablePolicy
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.solution import ControlSolution
from distrl.control.target import NodePolicy, SwitchedPolicy, TargetDP, TargetPolicy
from distrl.control.timed import TimedDP, TimedPolicy
from distrl.control.value_iteration import CategoricalValueIteration, QuantileValueIteration, ValueIteration

__all__ = [
    "CategoricalValueIteration",
    "CommonStart",
    "Confirmation",
    "ControlMethod",
    "ControlSolution",
    "Family",
    "Found",
    "Frontier",
    "MarkovPolicy",
    "NestedCVaR",
    "NestedIteration",
    "NodePolicy",
    "OptimizationError",
    "OptimizationInterrupted",
    "PessimisticIteration",
    "PessimisticProcess",
    "PolicyIteration",
    "QuantileValueIteration",
    "RunnablePolicy",
    "SwitchedPolicy",
    "TargetDP",
    "TargetPolicy",
    "TimedDP",
    "TimedPolicy",
    "ValueIteration",
    "optimize",
]
