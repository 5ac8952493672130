"""`learn`: return distributions from a stream of transitions."""

from distrl.returns.moments import ValueEstimates
from distrl.td.learn import learn
from distrl.td.learner import Learner
from distrl.td.methods import (
    TD,
    CategoricalTD,
    ExpectileTD,
    MonteCarloTD,
    QuantileTD,
    TDMethod,
    VarianceReduced,
)
from distrl.td.run import LearningRun, LearningStatus
from distrl.td.step_sizes import Constant, Harmonic, Listed, Polynomial, StepSize

__all__ = [
    "TD",
    "CategoricalTD",
    "Constant",
    "ExpectileTD",
    "Harmonic",
    "Learner",
    "LearningRun",
    "LearningStatus",
    "Listed",
    "MonteCarloTD",
    "Polynomial",
    "QuantileTD",
    "StepSize",
    "TDMethod",
    "ValueEstimates",
    "VarianceReduced",
    "learn",
]
