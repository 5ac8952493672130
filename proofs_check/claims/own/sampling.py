"""The Monte Carlo certificate."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

import distrl
from distrl.dp import monte_carlo
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.evidence import Evidence, rate
from proofs_check.faults import returned

PLACE = 7
COIN = Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)


def _narrower(size: float) -> AbstractContextManager[Any]:
    """Bands `size` times as wide."""
    return returned(monte_carlo, "dkw_halfwidth", lambda half: half * size)()


@claim(
    "monte-carlo-dkw",
    statement="The Monte Carlo certificate fails with at most the probability it states.",
    latex=r"P\bigl(\sup|F_n-F|>\sqrt{\ln(2/\alpha)/2n}\bigr)\le\alpha",
    source="Dvoretzky, Kiefer, Wolfowitz 1956; Massart 1990",
    evidence="recalled",
    measured="evidence that bands of `cdf_band` around 50 returns, level .8, leave the exact law out more often",
    bound="1 / the share of the false alarm, as logarithms; .2",
    searched="the uniform return of a coin at discount 1/2; a reward that ends",
    structured=lambda: [Case(numbers={"uniform": 1.0}), Case(numbers={"uniform": 0.0})],
    statistical=True,
    plants=(Plant("narrow", "bands {} times as wide", Sizes(0.8, 0.9, 0.93), _narrower),),
    used_by="MonteCarlo, cdf_band",
)
def monte_carlo_dkw(case: Case, chance: Chance) -> Iterator[Reading]:
    """Massart's inequality; a continuous law misses as often as that, but for a tenth."""
    n, trials, alpha = 50, chance.of(500, 2500, 6000), 0.2
    uniform, test = bool(case.numbers["uniform"]), Evidence()
    model = distrl.environments.bernoulli() if uniform else COIN.model
    seed, narrow = chance.seed(int(uniform)), chance.size("narrow")
    returns = distrl.evaluate(model, distrl.MonteCarlo(n * trials), rng=seed).returns
    values = np.random.default_rng(seed).permutation(np.asarray(returns.values).reshape(-1)).reshape(trials, n)
    violation = 0.9 * 2.0 * math.exp(math.log(alpha / 2.0) * narrow**2)
    for row in values:
        if uniform:
            at = np.concatenate([row, np.nextafter(row, -1.0)])
            exact = np.clip(at / 2.0, 0.0, 1.0)
        else:
            at, exact = np.array([0.0]), np.array([0.5])
        band = distrl.cdf_band(distrl.ParticleReturns(row[None]), at, 1.0 - alpha)[0]
        test.add(rate(np.array([((exact < band[:, 0]) | (exact > band[:, 1])).any()]), alpha, violation))
        if not test.open:
            break
    yield test.reading
