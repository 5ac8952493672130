"""The Monte Carlo certificate."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

import distrl
from distrl import theory
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, share_of_alarm

PLACE = 7
COIN = Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)


@claim(
    "monte-carlo-dkw",
    statement="The Monte Carlo certificate fails with at most the probability it states.",
    latex=r"P\bigl(\sup|F_n-F|>\sqrt{\ln(2/\alpha)/2n}\bigr)\le\alpha",
    source="Dvoretzky, Kiefer, Wolfowitz 1956; Massart 1990",
    evidence="recalled",
    measured="share of 400 empirical laws of 50 returns farther than theory.dkw_halfwidth(50, .8) from the exact law",
    bound=".2, with a binomial radius",
    searched="the uniform return of a coin at discount 1/2; a reward that ends",
    structured=lambda: [Case(numbers={"uniform": 1.0}), Case(numbers={"uniform": 0.0})],
    statistical=True,
    used_by="MonteCarlo, cdf_band",
)
def monte_carlo_dkw(case: Case) -> Iterator[Reading]:
    """Massart's inequality."""
    n, trials, alpha = 50, 400, 0.2
    uniform = bool(case.numbers["uniform"])
    model = distrl.environments.bernoulli() if uniform else COIN.model
    returns = distrl.evaluate(model, distrl.MonteCarlo(n * trials), rng=21).returns
    values = np.random.default_rng(5).permutation(np.asarray(returns.values).reshape(-1)).reshape(trials, n)
    half, missed = theory.dkw_halfwidth(n, 1.0 - alpha), 0
    for row in np.sort(values, axis=1):
        if uniform:
            cdf = np.clip(row / 2.0, 0.0, 1.0)
            distance = max((np.arange(1, n + 1) / n - cdf).max(), (cdf - np.arange(n) / n).max())
        else:
            distance = abs(float((row == 0.0).mean()) - 0.5)
        missed += distance > half
    radius = stats.binom.isf(share_of_alarm(1), trials, alpha) / trials - alpha
    yield Reading(missed / trials, alpha, radius)
