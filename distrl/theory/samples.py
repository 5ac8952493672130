"""What samples can tell: deviation bounds, and how many samples are needed."""

import math
from typing import NamedTuple, overload

from numpy.typing import ArrayLike

from distrl._lazy import special
from distrl._validation import FloatArray, real_number, whole_number
from distrl.theory.elementwise import each


@overload
def dkw_halfwidth(samples: int, confidence: float) -> float: ...
@overload
def dkw_halfwidth(samples: ArrayLike, confidence: ArrayLike) -> FloatArray: ...
def dkw_halfwidth(samples: ArrayLike, confidence: ArrayLike) -> float | FloatArray:
    """A bound on sup |F_n - F| that holds with probability `confidence`: sqrt(log(2 / (1 - confidence)) / (2 n)).

    F_n is the empirical CDF of n independent samples of F. Source: Dvoretzky, Kiefer, Wolfowitz 1956, with Massart's
    (1990) constant. Claim `monte-carlo-dkw`.

    Parameters
    ----------
    samples : int or array
        Their number n, at least 1.
    confidence : float or array
        In [0, 1]; the bound is infinite at 1.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; a probability

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """

    def bound(samples: int, confidence: float) -> float:
        n = whole_number(samples, "samples", low=1)
        level = real_number(confidence, "confidence", low=0.0, high=1.0)
        return math.sqrt(math.log(2.0 / (1.0 - level)) / (2.0 * n)) if level < 1.0 else math.inf

    return each(bound, samples, confidence)


@overload
def likelihood_radius(samples: int, delta: float) -> float: ...
@overload
def likelihood_radius(samples: ArrayLike, delta: ArrayLike) -> FloatArray: ...
def likelihood_radius(samples: ArrayLike, delta: ArrayLike) -> float | FloatArray:
    """How unlikely a law can be made by samples of it: (log(1 / delta) + log(pi (n + 1/2)) / 2) / n.

    With probability 1 - delta the mean of the law is at least the smallest mean of a law Q with KL(samples, Q) at most
    this, where Q may have mass at the low end of an interval that is known to hold the law. Claim
    `empirical-likelihood-coverage`. Source: derived here from Cover and Ordentlich 1996, "Universal Portfolios with
    Side Information", and Honda and Takemura 2010.

    Parameters
    ----------
    samples : int or array
        Their number n, at least 1; fixed beforehand.
    delta : float or array
        In (0, 1].

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in nats

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Proof. Let Y >= 0 have mean m > 0 and w lie in [0, 1]. The product of 1 - w + w Y_i / m over the samples has mean 1,
    and so has its mixture over w ~ Beta(1/2, 1/2), which is at least Gamma(n + 1/2) / (sqrt(pi) Gamma(n + 1)) >=
    1 / sqrt(pi (n + 1/2)) of the largest product (Cover and Ordentlich). By Markov's inequality n max_w (mean of
    log(1 - w + w Y / m)) exceeds n times this radius with probability delta at most. Where it does not, m is no less
    than the smallest mean of such Q, since that maximum is the least KL(samples, Q) of a Q with mean m (Honda and
    Takemura). For Y = high - X the same is said of the largest mean.
    """

    def bound(samples: int, delta: float) -> float:
        n = whole_number(samples, "samples", low=1)
        failure = real_number(delta, "delta", low=0.0, high=1.0)
        if failure == 0.0:
            raise ValueError("delta must be above 0: no radius is large enough for certain")
        return (math.log(1.0 / failure) + 0.5 * math.log(math.pi * (n + 0.5))) / n

    return each(bound, samples, delta)


@overload
def least_probability(count: int, samples: int, delta: float) -> float: ...
@overload
def least_probability(count: ArrayLike, samples: ArrayLike, delta: ArrayLike) -> FloatArray: ...
def least_probability(count: ArrayLike, samples: ArrayLike, delta: ArrayLike) -> float | FloatArray:
    """A lower bound of an outcome's probability, for all outcomes of a law at once, of however many there are.

    Of n independent samples k had the outcome. The bound is that of Clopper and Pearson at delta / (2 n), the p with
    P(Bin(n, p) >= k) = delta / (2 n), where k! >= 2 n / delta, and 0 for smaller k. With probability 1 - delta no
    outcome is less probable than its bound. Claim `probabilities-of-all-outcomes`. Source: derived here.

    Parameters
    ----------
    count : int or array
        How often the outcome was seen, k.
    samples : int or array
        Their number n, at least 1; fixed beforehand.
    delta : float or array
        In (0, 1].

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; a probability

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Proof. At most n outcomes have p >= 1 / n, and each of these is below its bound with probability delta / (2 n) at
    most. One with p < 1 / n has to be seen k times with k! >= 2 n / delta for a bound that is not 0, which happens with
    probability (n p)^k / k! <= n p delta / (2 n) at most; and these p sum to 1 at most.
    """

    def bound(count: int, samples: int, delta: float) -> float:
        n = whole_number(samples, "samples", low=1)
        k = whole_number(count, "count", low=0, high=n)
        failure = real_number(delta, "delta", low=0.0, high=1.0)
        if failure == 0.0:
            raise ValueError("delta must be above 0: no probability is certain to be positive")
        if math.lgamma(k + 1.0) < math.log(2.0 * n / failure):
            return 0.0
        found = float(special.betaincinv(k, n - k + 1.0, failure / (2.0 * n)))
        return max(found * (1.0 - 1e-9), 0.0)  # of which float64 knows some ten digits

    return each(bound, count, samples, delta)


class SampleSize(NamedTuple):
    """What a source says it takes to estimate return laws from samples of every state.

    Attributes
    ----------
    source : str
        Whose statement it is.
    what : str
        What it is about.
    samples : int or None
        The samples of every state, or the episodes from every state for rollouts; None where only a rate is known.
    atoms : int or None
        Those of a grid on which the approximation error is at most half of epsilon; None where there is no grid.
    rate : float
        The rate, with all its constants and logarithms set to 1.
    evidence : str
        How the statement is known here.
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

    All arguments are single numbers. Claims `estimate-finite-sample-coverage`, `fixed-point-w1`, `monte-carlo-dkw`.

    Parameters
    ----------
    epsilon : float > 0
        The bound on W1 that is asked for, in units of reward.
    delta : float in (0, 1)
        The probability with which it may be missed.
    discount : float in [0, 1)
    states : int
        Their number.
    reward_range : float
        The largest minus the smallest reward; rates are in units of it.

    Returns
    -------
    list of SampleSize
        There are explicit numbers where the constant was derived here, with proof: the generative bound of
        `distrl.generative.concentration` (half of epsilon for sampling, half for atoms), and the band of Dvoretzky,
        Kiefer and Wolfowitz for rollouts. Published results are given as the rates that they are known by, never with a
        constant that was not read in the paper.

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
