"""The certificate of laws made level by level; `distrl.dp.lattice` says what it is the sum of."""

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.certificate import Certificate
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.lattice_rows import LatticeRows
from distrl.dp.level_recursion import LevelRecursion, Reached
from distrl.dp.moment_systems import absolute_rewards
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import unknown_mass
from distrl.models.mrp import MRP
from distrl.returns.brackets import StochasticBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.theory import lattice_tail_w1


def certified_levels(
    model: MRP, rows: LatticeRows, linear: Resolvent, recursion: LevelRecursion, reached: Reached, mean: float
) -> tuple[Certificate, FloatArray]:
    """The certificate (S,), and the part of it that the tail is.

    Where levels were gathered on atoms, that moves every mass by something of mean 0, whatever the mass: `rounding` is
    its standard deviation, as in `certificate-martingale-coupling`, and all else as for every level.
    """
    outcomes = np.bincount(rows.sources, minlength=model.n_states) + 6.0
    solved = linear.upper(outcomes * EPS * reached.above)  # sums of so many terms, and a division
    if reached.local.any():  # (I - P)^{-1} (I - P_0) = I + (I - P)^{-1} P_+
        solved = solved + reached.local + linear.upper(model.continuation @ reached.local)
    levels = reached.last + 1
    relative = recursion.relative_error if np.isfinite(recursion.relative_error) else 0.0
    doubt = 2.0 * levels * (float(outcomes.max()) * EPS * model.n_states + relative)  # of a walk's longest way
    beyond = reached.beyond * (1.0 + min(doubt, 1.0)) * (1.0 + 2.0 * reached.drift)
    if not np.isfinite(recursion.relative_error):
        beyond = beyond + solved
    cut = lattice_tail_w1(beyond, rows.step, recursion.largest, mean)
    positions = 4.0 * EPS * (linear.upper(absolute_rewards(model, of_laws=True)) + rows.step)
    floats = rows.step * (reached.gap + 4.0 * EPS * levels + 2.0 * solved) + positions
    rewards = linear.upper(rows.error + model.outcomes.law_errors + unknown_mass(model))
    rounding, times = np.zeros(model.n_states), reached.kept.times
    if times > 1:
        rounding[recursion.states] = rows.step * np.sqrt(reached.kept.spread) * (1.0 + 1e-9)
        floats = floats + (2.0 * times + 64.0) * EPS * levels * rows.step  # sums of so many masses an atom
    certificate = Certificate(
        w1=rounding + cut + rewards + floats,
        claim="certificate-martingale-coupling" if times > 1 else "lattice-levels",
        rounding=rounding,
        overshoot=cut + rewards,
        residual=floats,
        clipped_mass=reached.beyond,
    )
    return certificate, cut


def levels_enclosed(
    model: MRP, laws: CategoricalReturns, certificate: Certificate, moments: CertifiedMoments
) -> StochasticBrackets:
    """What is certain of laws made by levels, besides W1: the true ones lie on the same levels.

    W1 adds up what the CDFs differ by at every level, a step wide each: at no level can they differ by more than its
    part `residual` over the step, below the last one, and by the tail at the last. Where rewards are no exact multiples
    of the step, they are within 8 roundings of their levels, and of one sign, so that returns are, too. On atoms that
    lie some levels apart no mass is further from its level than they are.

    Parameters
    ----------
    model : whose rewards say whether levels are exact numbers
    laws, certificate : of the states, as `certified_levels` says
    moments : of the model
    """
    grid, rows = laws.grid, LatticeRows.of(model)
    mass = np.minimum(certificate.residual / rows.step + certificate.clipped_mass, 1.0)
    if certificate.rounding.any():
        apart = np.full(laws.size, grid.spacing + 64.0 * EPS * grid.width)
        ends = (moments.mean, moments.mean_error, apart, apart, moments.low, moments.high)
        return StochasticBrackets(laws, laws, *ends, mass, certificate.w1 - certificate.rounding)
    first = round(grid.low / rows.step)
    exact = float(rows.step).as_integer_ratio()[0] * grid.atoms < 2**53 and not rows.error.any()
    exact = exact and np.array_equal(grid.points, np.arange(first, first + grid.atoms) * rows.step)
    shift = np.full(laws.size, 0.0 if exact else 64.0 * EPS * grid.width)
    ends = (moments.mean, moments.mean_error, shift, shift, moments.low, moments.high)
    return StochasticBrackets(laws, laws, *ends, mass, certificate.w1)
