"""Tabular distributional reinforcement learning: solvers, certificates, simulation.

Four verbs, one for each question: `evaluate` (I know the model), and in later releases `estimate` (I can sample it),
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
    Solution,
    Status,
    cdf_band,
    evaluate,
)
from distrl.models import (
    MDP,
    MRP,
    FiniteLaw,
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
    QuantileReturns,
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
    "EvaluationInterrupted",
    "FiniteLaw",
    "Grid",
    "Moments",
    "MonteCarlo",
    "ParticleReturns",
    "QuantileReturns",
    "Returns",
    "Solution",
    "Status",
    "cdf_band",
    "cramer",
    "energy",
    "environments",
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
