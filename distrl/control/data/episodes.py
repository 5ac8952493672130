"""Intervals for a policy's objective from independent returns under it, valid for every number of them.

The mean and the entropic risk are means of G and of exp(beta G), which lie in a known interval where the rewards do:
the laws that the episodes do not contradict (`likely.least_means`) enclose them, by their spread and not by that
interval.
For other objectives the band of Dvoretzky, Kiefer and Wolfowitz holds the law.
"""

import math

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.data.likely import least_means
from distrl.control.simulation import CUT, Simulation
from distrl.models.mdp import MDP
from distrl.models.stages import discounted_steps
from distrl.returns import EntropicRisk, Functional, Mean
from distrl.theory import likelihood_radius

_STEEP = 600.0  # beta times the range of returns, from which on exp leaves float64


def interval_of_episodes(
    played: Simulation, objective: Functional, model: MDP, horizon: int | None, level: float
) -> tuple[FloatArray, str]:
    """(K, 2) intervals of confidence `level`, state by state, and what they come from, in words."""
    low, high, cut = _range(model, horizon)
    beta = 0.0 if isinstance(objective, Mean) else math.nan
    if isinstance(objective, EntropicRisk):
        beta = objective.single()
    if not abs(beta) * (high - low) < _STEEP:
        return played.interval(objective), "the band that holds their law"
    values = np.asarray(played.returns.values)
    k, n = values.shape
    low, high = min(low, float(values.min())), max(high, float(values.max()))
    width = high - low or 1.0
    radii, starts = np.full(k, likelihood_radius(n, 0.5 * (1.0 - level))), n * np.arange(k)
    probs = np.full(k * n, 1.0 / n)
    # shares of the way from the low to the high end, both of which a law may have mass at
    size = beta * width
    ways = (values - low) / width
    ways = ways if beta == 0.0 else np.expm1(size * ways) / math.expm1(size)
    ways = np.clip(ways, 0.0, 1.0)
    least = least_means(starts, ways.ravel(), probs, radii)
    most = least_means(starts, 1.0 - ways.ravel(), probs, radii)
    ends = np.stack([least.means - least.errors, 1.0 - most.means + most.errors], axis=1).clip(0.0, 1.0)
    with np.errstate(divide="ignore"):
        back = ends if beta == 0.0 else np.clip(np.log1p(ends * math.expm1(size)) / size, 0.0, 1.0)
    room = cut + played.certificate.overshoot[:, None]
    found = low + width * back + room * np.array([-1.0, 1.0])
    return found, "the laws that they do not contradict"


def _range(model: MDP, horizon: int | None) -> tuple[float, float, float]:
    """An interval that holds every return, infinite where there is none, and what cutting an episode leaves out."""
    lows, highs = model.outcomes.reward_ranges()
    least, most = min(float(lows.min()), 0.0), max(float(highs.max()), 0.0)
    g, cut = model.discount, 0.0
    steps = math.inf if horizon is None else discounted_steps(g, horizon)
    if g < 1.0:
        steps = min(steps, 1.0 / (1.0 - g) * (1.0 + 8.0 * EPS))
        cut = CUT * max(-least, most) / (1.0 - g)
    return least * steps if least < 0.0 else 0.0, most * steps if most > 0.0 else 0.0, cut
