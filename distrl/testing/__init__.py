"""Hypothesis strategies for models, grids and laws; needs the `test` extra."""

from distrl.testing.strategies import categorical_probs, finite_laws, grids, mdps, mrps, policies, transition_matrices

__all__ = ["categorical_probs", "finite_laws", "grids", "mdps", "mrps", "policies", "transition_matrices"]
