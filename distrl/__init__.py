"""Tabular distributional reinforcement learning: solvers, certificates, simulation.

Four verbs, one for each question: `evaluate` (I know the model), `estimate` (I can sample it), and in later releases
`learn` (I see a stream of transitions) and `optimize` (which policy is best for this risk).
"""

from distrl import operators, theory
from distrl.dp import (
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    Certificate,
    ConvergenceError,
    EvaluationInterrupted,
    Moments,
    MonteCarlo,
    ParticleDP,
    Solution,
    Status,
    cdf_band,
    evaluate,
)
from distrl.generative import Estimate, estimate
from distrl.models import (
    MDP,
    MRP,
    EmpiricalMDP,
    EmpiricalMRP,
    FiniteLaw,
    GenerativeModel,
    environments,
    from_gymnasium,
    load,
    read_prism,
    save,
    write_prism,
)
from distrl.returns import (
    CategoricalReturns,
    Grid,
    ParticleReturns,
    Returns,
    cramer,
    energy,
    kolmogorov,
    wasserstein,
)

__version__ = "0.1.0"

__all__ = [
    "MDP",
    "MRP",
    "Brackets",
    "CategoricalDP",
    "CategoricalFixedPoint",
    "CategoricalReturns",
    "Certificate",
    "ConvergenceError",
    "EmpiricalMDP",
    "EmpiricalMRP",
    "Estimate",
    "EvaluationInterrupted",
    "FiniteLaw",
    "GenerativeModel",
    "Grid",
    "Moments",
    "MonteCarlo",
    "ParticleDP",
    "ParticleReturns",
    "Returns",
    "Solution",
    "Status",
    "cdf_band",
    "cramer",
    "energy",
    "environments",
    "estimate",
    "evaluate",
    "from_gymnasium",
    "kolmogorov",
    "load",
    "operators",
    "read_prism",
    "save",
    "theory",
    "wasserstein",
    "write_prism",
]
