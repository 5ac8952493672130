"""Hypothesis strategies for models, grids and laws, and suites of laws that extensions keep; needs the `test` extra."""

from distrl.testing.laws import FunctionalLaws, MethodLaws, ReturnsLaws, RuleLaws
from distrl.testing.strategies import categorical_probs, finite_laws, grids, mdps, mrps, policies, transition_matrices

__all__ = [
    "FunctionalLaws",
    "MethodLaws",
    "ReturnsLaws",
    "RuleLaws",
    "categorical_probs",
    "finite_laws",
    "grids",
    "mdps",
    "mrps",
    "policies",
    "transition_matrices",
]
