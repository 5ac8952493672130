"""What is solved: Markov reward and decision processes, reward laws, environments, importers."""

from distrl.models import environments
from distrl.models.cassandra import read_cassandra
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.from_arrays import from_arrays
from distrl.models.from_function import from_function
from distrl.models.from_gymnasium import from_gymnasium
from distrl.models.from_pymdptoolbox import from_pymdptoolbox
from distrl.models.from_quantecon import from_quantecon
from distrl.models.generative import GenerativeModel
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.planning import read_text
from distrl.models.prism import read_prism, write_prism
from distrl.models.storage import load, save
from distrl.models.storm import from_stormpy, read_drn, write_drn
from distrl.models.tables.read_csv import read_csv

__all__ = [
    "MDP",
    "MRP",
    "EmpiricalMDP",
    "EmpiricalMRP",
    "FiniteLaw",
    "GenerativeModel",
    "Law",
    "environments",
    "from_arrays",
    "from_function",
    "from_gymnasium",
    "from_pymdptoolbox",
    "from_quantecon",
    "from_stormpy",
    "load",
    "read_cassandra",
    "read_csv",
    "read_drn",
    "read_prism",
    "read_text",
    "save",
    "write_drn",
    "write_prism",
]
