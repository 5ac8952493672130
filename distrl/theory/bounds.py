"""Bounds as pure functions, each with its source."""

import math
import sys
from typing import NamedTuple

from distrl._validation import real_number, whole_number


def dkw_halfwidth(samples: int, confidence: float) -> float:
    """sup |F_n - F| is at most this with probability `confidence`: sqrt(log(2 / (1 - confidence)) / (2 n)).

    Source: Dvoretzky, Kiefer, Wolfowitz 1956, with Massart's (1990) constant.
    """
    n = whole_number(samples, "samples", low=1)
    level = real_number(confidence, "confidence", low=0.0, high=1.0)
    return math.sqrt(math.log(2.0 / (1.0 - level)) / (2.0 * n)) if level < 1.0 else math.inf


def fixed_point_w1(spacing: float, discount: float) -> float:
    """W1 between the categorical fixed point and the true return: spacing / (2 sqrt(1 - discount^2)).

    Premise: nothing is clipped (`Grid.covering`). Derived here: rounding errors are martingale differences of variance
    at most spacing^2 / 4, so they add in squares along a trajectory.
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return spacing / (2.0 * math.sqrt(1.0 - g * g)) if g < 1.0 else math.inf


def fixed_point_cramer_squared(spacing: float, discount: float) -> float:
    """Squared Cramer distance between the categorical fixed point and the true return: spacing / (1 - discount).

    Premise: the true returns lie on the grid's range. Source: Rowland et al. 2018, Proposition 3.
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return spacing / (1.0 - g) if g < 1.0 else math.inf


def quantile_projection_w1(width: float, quantiles: int) -> float:
    """W1 between a law on an interval of `width` and its m mid-point quantiles, equally weighted: width / (2 m).

    Derived here: on each cell of levels ((i - 1)/m, i/m) the integral of |F^{-1}(u) - v_i| is at most the width of
    F^{-1} on the cell times 1 / (2 m), as tau_i is its middle; at a flat region any v_i in it will do. Attained by mass
    1/2 at either end and m = 1.
    """
    return real_number(width, "width", low=0.0) / (2.0 * whole_number(quantiles, "quantiles", low=1))


def quantile_w1(width: float, quantiles: int, discount: float) -> float:
    """W1 between the quantile fixed point and the true return, any `flat`: width / (2 m (1 - discount)).

    `width` bounds the width of every state's range of returns. Derived here: one step errs by at most
    `quantile_projection_w1`, and steps add up by (I - discount P)^{-1}. It also bounds the error of the mean. Per
    state, w(x) its own width, 0 where the successor law is deterministic: [(I - discount P)^{-1} w](x) / (2 m).
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return quantile_projection_w1(width, quantiles) / (1.0 - g) if g < 1.0 else math.inf


def elimination_relative_error(states: int, lower: int, upper: int, rounding: float) -> float:
    """Relative error of every entry of (I - A)^{-1} b, b >= 0, by elimination without subtraction; inf if above 1%.

    (5 lower + upper / 2 + 5 states + rounding) eps, and a hundredth of it for terms of second order. `lower` and
    `upper` are the numbers of entries of the two factors off the diagonal, `rounding` the sum over the rows of the
    relative error of their data (entries off the diagonal and the row's excess), in units of eps / 2.

    Derived in docs/proofs.md. By the matrix-tree theorem entries of the inverse are quotients of sums of products of
    data, one factor from each row: an error of d in the c rows that one elimination step touches changes them by 2 c d.
    A step errs by 5 units (eps / 2) in what it touches, the pivot being a compensated sum; the c's add up to `lower`.
    """
    bound = 1.01 * (5.0 * lower + 0.5 * upper + 5.0 * states + rounding) * sys.float_info.epsilon
    return bound if bound <= 0.01 else math.inf


class SampleSize(NamedTuple):
    """What a source says it takes to estimate return laws from samples of every state.

    Attributes
    ----------
    source : whose statement
    what : what it is about
    samples : of every state (episodes from every state for rollouts); None where only a rate is known
    atoms : of a grid on which the approximation error is at most half of epsilon; None where there is no grid
    rate : the rate with all its constants and logarithms set to 1
    evidence : how the statement is known here
    """

    source: str
    what: str
    samples: int | None
    atoms: int | None
    rate: float
    evidence: str


def samples_for(
    epsilon: float, delta: float = 0.05, *, discount: float, states: int = 1, reward_range: float = 1.0
) -> list[SampleSize]:
    """Sample sizes for W1 <= `epsilon` at every state with probability 1 - `delta`, source by source.

    Parameters
    ----------
    epsilon : float > 0, in units of reward
    delta : float in (0, 1)
    discount : float in [0, 1)
    states : int
    reward_range : float
        Largest minus smallest reward; rates are in units of it.

    Returns
    -------
    list of SampleSize
        Explicit numbers where the constant was derived here, with proof: the generative bound of
        `distrl.generative.concentration` (half of epsilon for sampling, half for atoms), and the band of Dvoretzky,
        Kiefer and Wolfowitz for rollouts. Published results as the rates they are known by, never with a constant that
        was not read in the paper.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    error = real_number(epsilon, "epsilon")
    failure = real_number(delta, "delta", low=0.0, high=1.0)
    g = real_number(discount, "discount", low=0.0, high=1.0)
    n, span = whole_number(states, "states", low=1), real_number(reward_range, "reward_range", low=0.0)
    if error <= 0.0 or failure in (0.0, 1.0) or g == 1.0 or span == 0.0:
        raise ValueError("samples_for needs epsilon > 0, delta in (0, 1), discount < 1 and reward_range > 0")
    horizon, scaled = 1.0 / (1.0 - g), error / span
    width = span * horizon
    # width * horizon / sqrt(N) * (1/2 + sqrt(log(S / delta) / 2)) <= epsilon / 2
    derived = (2.0 * width * horizon / error * (0.5 + math.sqrt(math.log(n / failure) / 2.0))) ** 2
    # spacing / (2 sqrt(1 - g^2)) <= epsilon / 2
    atoms = math.ceil(width / (error * math.sqrt(1.0 - g * g))) + 1
    rollouts = (width / error) ** 2 * math.log(2.0 * n / failure) / 2.0
    published = "rate as summarised, constants and logarithms not read"
    return [
        SampleSize(
            "distrl", "any plug-in estimate", max(1, math.ceil(derived)), atoms, scaled**-2 * horizon**4, "derived"
        ),
        SampleSize(
            "Dvoretzky, Kiefer, Wolfowitz; Massart 1990",
            "Monte Carlo episodes from every state, never cut",
            max(1, math.ceil(rollouts)),
            None,
            scaled**-2 * horizon**2,
            "derived from the inequality",
        ),
        SampleSize(
            "Rowland et al. 2024",
            "categorical fixed point, minimax up to logarithms",
            None,
            atoms,
            scaled**-2 * horizon**3,
            published,
        ),
        SampleSize(
            "Azar et al. 2013",
            "lower bound, as |mean difference| <= W1",
            None,
            None,
            scaled**-2 * horizon**3,
            "the reduction derived, the rate recalled",
        ),
        SampleSize("Zhang et al. 2023", "nonparametric plug-in", None, None, scaled**-2 * horizon**4, published),
        SampleSize(
            "Peng et al. 2024", "nonparametric and categorical TD", None, atoms, scaled**-2 * horizon**3, published
        ),
    ]
