"""`evaluate`: the return distribution of a known model."""

from distrl.dp.brackets import Brackets
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.categorical_sweeps import CategoricalDP
from distrl.dp.certificate import Certificate
from distrl.dp.errors import ConvergenceError, EvaluationInterrupted
from distrl.dp.evaluate import evaluate
from distrl.dp.expectile import ExpectileDP
from distrl.dp.lattice import Lattice
from distrl.dp.method import HorizonMethod, Method
from distrl.dp.moments import Moments
from distrl.dp.monte_carlo import MonteCarlo, cdf_band
from distrl.dp.particles import ParticleDP
from distrl.dp.quantile import QuantileDP
from distrl.dp.sketch import SketchDP
from distrl.dp.solution import Solution
from distrl.dp.status import Status

__all__ = [
    "Brackets",
    "Call",
    "CategoricalDP",
    "CategoricalFixedPoint",
    "Certificate",
    "ConvergenceError",
    "EvaluationInterrupted",
    "ExpectileDP",
    "HorizonMethod",
    "Lattice",
    "Method",
    "Moments",
    "MonteCarlo",
    "ParticleDP",
    "QuantileDP",
    "SketchDP",
    "Solution",
    "Status",
    "cdf_band",
    "evaluate",
]
