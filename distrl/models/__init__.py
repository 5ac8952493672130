"""What is solved: Markov reward and decision processes, reward laws, environments, importers."""

from distrl.models.laws import FiniteLaw, Law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP

__all__ = ["MDP", "MRP", "FiniteLaw", "Law"]
