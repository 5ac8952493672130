"""Hypothesis strategies for models, grids and laws, and suites of laws that extensions keep; needs the `test` extra."""

from distrl.testing.functional_laws import FunctionalLaws
from distrl.testing.method_laws import MethodLaws
from distrl.testing.returns_laws import ReturnsLaws
from distrl.testing.rule_laws import RuleLaws
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
