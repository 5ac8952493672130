"""Tabular distributional reinforcement learning: solvers, certificates, simulation.

Four verbs, one for each question: `evaluate` (I know the model), `learn` (I see a stream of transitions), and in later
releases `estimate` (I can sample it) and `optimize` (which policy is best for this risk).
"""

from distrl import operators, td, theory
from distrl.dp import (
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    Certificate,
    ConvergenceError,
    EvaluationInterrupted,
    ExpectileDP,
    Moments,
    MonteCarlo,
    QuantileDP,
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
from distrl.td import (
    TD,
    CategoricalTD,
    Learner,
    LearningRun,
    LearningStatus,
    MonteCarloTD,
    QuantileTD,
    learn,
)

__version__ = "0.1.0"

__all__ = [
    "MDP",
    "MRP",
    "TD",
    "Brackets",
    "CategoricalDP",
    "CategoricalFixedPoint",
    "CategoricalReturns",
    "CategoricalTD",
    "Certificate",
    "ConvergenceError",
    "EvaluationInterrupted",
    "ExpectileDP",
    "FiniteLaw",
    "Grid",
    "Learner",
    "LearningRun",
    "LearningStatus",
    "Moments",
    "MonteCarlo",
    "MonteCarloTD",
    "ParticleReturns",
    "QuantileDP",
    "QuantileReturns",
    "QuantileTD",
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
    "learn",
    "load",
    "operators",
    "read_prism",
    "save",
    "td",
    "theory",
    "wasserstein",
    "write_prism",
]
