"""The best policy for a target, or for the worst outcomes: the recursion over states and targets."""

from distrl.control.target.method import TargetDP
from distrl.control.target.nodes import NodePolicy
from distrl.control.target.policy import TargetPolicy
from distrl.control.target.switched import SwitchedPolicy

__all__ = ["NodePolicy", "SwitchedPolicy", "TargetDP", "TargetPolicy"]
