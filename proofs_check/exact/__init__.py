"""Oracles that share no code with distrl: textbook definitions over the rationals, and true return laws.

A float is a rational number, so an instance is taken as it is; only probabilities are divided by their exact sum.

laws.py       laws, their functionals, distances
processes.py  Bellman operators, fixed points, linear systems
reference.py  true return laws in floats, their error bounded
"""

from proofs_check.exact.laws import (
    ExactLaw,
    add_up,
    cramer_squared,
    cvar,
    expectile,
    kolmogorov,
    mean,
    normalised,
    project,
    quantile,
    size_of,
    stop_loss,
    sup,
    total_variation,
    transport_cost,
    variance,
    w1,
    w_infinity,
)
from proofs_check.exact.processes import (
    Decisions,
    Exact,
    Outcome,
    fixed_point,
    optimal_values,
    resolvent,
    solve,
    values,
    variances,
)
from proofs_check.exact.reference import true_laws, w1_floats

__all__ = [
    "Decisions",
    "Exact",
    "ExactLaw",
    "Outcome",
    "add_up",
    "cramer_squared",
    "cvar",
    "expectile",
    "fixed_point",
    "kolmogorov",
    "mean",
    "normalised",
    "optimal_values",
    "project",
    "quantile",
    "resolvent",
    "size_of",
    "solve",
    "stop_loss",
    "sup",
    "total_variation",
    "transport_cost",
    "true_laws",
    "values",
    "variance",
    "variances",
    "w1",
    "w1_floats",
    "w_infinity",
]
