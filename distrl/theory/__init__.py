"""Bounds as pure functions.

Each has its source and the id of the claim by which `python -m proofs_check` searches for a counterexample. Arguments
may be arrays where a function says so; the answer for an array holds what the function says of each of its numbers.
"""

from distrl.theory.contraction import (
    cramer_modulus,
    expectile_lipschitz,
    grid_wasserstein_modulus,
    iteration_cramer,
    iteration_w1,
    quantile_modulus,
    second_moment_modulus,
    wasserstein_modulus,
)
from distrl.theory.control import entropic_mean_gap, rounded_target_gap
from distrl.theory.lattice import lattice_tail_w1
from distrl.theory.learning import (
    mean_difference_near_absorbing,
    power_tail_constant,
    quantile_shortest_step,
    quantile_step,
    simulation_w1,
    stochastic_variation,
    td_deterministic_error,
    td_stationary_variance,
)
from distrl.theory.projection import (
    atoms_for_w1,
    fixed_point_cramer_squared,
    fixed_point_cramer_squared_sharp,
    fixed_point_w1,
    fixed_point_w1_absolute,
    fixed_point_w2,
    projection_cramer_squared,
    projection_variance,
    projection_w1,
)
from distrl.theory.quantiles import quantile_projection_w1, quantile_w1, quantile_w1_between
from distrl.theory.rounding import elimination_relative_error
from distrl.theory.samples import SampleSize, dkw_halfwidth, least_probability, likelihood_radius, samples_for

__all__ = [
    "SampleSize",
    "atoms_for_w1",
    "cramer_modulus",
    "dkw_halfwidth",
    "elimination_relative_error",
    "entropic_mean_gap",
    "expectile_lipschitz",
    "fixed_point_cramer_squared",
    "fixed_point_cramer_squared_sharp",
    "fixed_point_w1",
    "fixed_point_w1_absolute",
    "fixed_point_w2",
    "grid_wasserstein_modulus",
    "iteration_cramer",
    "iteration_w1",
    "lattice_tail_w1",
    "least_probability",
    "likelihood_radius",
    "mean_difference_near_absorbing",
    "power_tail_constant",
    "projection_cramer_squared",
    "projection_variance",
    "projection_w1",
    "quantile_modulus",
    "quantile_projection_w1",
    "quantile_shortest_step",
    "quantile_step",
    "quantile_w1",
    "quantile_w1_between",
    "rounded_target_gap",
    "samples_for",
    "second_moment_modulus",
    "simulation_w1",
    "stochastic_variation",
    "td_deterministic_error",
    "td_stationary_variance",
    "wasserstein_modulus",
]
