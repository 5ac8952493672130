"""What is solved: Markov reward and decision processes, reward laws, environments, importers."""

from distrl.models import environments
from distrl.models.empirical import EmpiricalMDP, EmpiricalMRP
from distrl.models.from_gymnasium import from_gymnasium
from distrl.models.generative import GenerativeModel
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism import read_prism, write_prism
from distrl.models.storage import load, save
from distrl.models.storm import from_stormpy, read_drn, write_drn

__all__ = [
    "MDP",
    "MRP",
    "EmpiricalMDP",
    "EmpiricalMRP",
    "FiniteLaw",
    "GenerativeModel",
    "Law",
    "environments",
    "from_gymnasium",
    "from_stormpy",
    "load",
    "read_drn",
    "read_prism",
    "save",
    "write_drn",
    "write_prism",
]
