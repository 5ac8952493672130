"""Would a statistical claim notice? Its violations are planted, as small as it says, and it is asked many times."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from proofs_check.chance import LEVELS, POWER, Plant
from proofs_check.claim import Claim
from proofs_check.search import Effort, Hunt

#: The confidence of the intervals of what is found.
CONFIDENCE = 0.95
#: Seeds of the searches, away from the one of the report.
FIRST_SEED = 1000


@dataclass(frozen=True)
class Power:
    """How often a violation was found.

    Attributes
    ----------
    claim : Claim
    violation : str
        What was planted; nothing, where the claim is expected to be refuted anyway, or to hold.
    effort : Effort
    caught, repeats : int
    seconds : float
        Of the processor, for one search.
    reason : str
        An error that kept a search from a verdict; such a one has caught nothing.
    """

    claim: Claim
    violation: str
    effort: Effort
    caught: int
    repeats: int
    seconds: float
    reason: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's interval of the probability."""
        return clopper_pearson(self.caught, self.repeats)

    @property
    def enough(self) -> bool:
        """Whether the share that was caught is at least `POWER`, or may be: of few repeats one alone can be missed."""
        return self.caught >= POWER * self.repeats or self.repeats - self.caught <= 1

    @property
    def row(self) -> str:
        """A row of the table."""
        low, high = self.interval
        cells = (
            self.claim.id,
            self.violation,
            self.effort.name,
            f"{self.caught} of {self.repeats}",
            f"{low:.2f} to {high:.2f}",
            f"{self.seconds:.2g} s",
        )
        return "| " + " | ".join(cells) + " |"


HEADER = "| claim | planted | effort | caught | 95% interval | a search |\n|---|---|---|---:|---:|---:|"


def clopper_pearson(caught: int, repeats: int) -> tuple[float, float]:
    """The exact interval of a binomial probability, `CONFIDENCE` in all."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(stats.beta.ppf(tail, caught, repeats - caught + 1)) if caught else 0.0
    high = float(stats.beta.isf(tail, caught + 1, repeats - caught)) if caught < repeats else 1.0
    return low, high


def powers(claims: Sequence[Claim], effort: Effort, repeats: int, *, sound: bool = False) -> Iterator[Power]:
    """How often each violation of each claim is found; of a claim that is refuted, how often it is.

    `sound` plants nothing instead: a claim that holds is then to be refuted never.
    """
    for claim in claims:
        for plant in (None,) if sound or claim.expected == "refuted" else claim.plants:
            yield power(claim, plant, effort, repeats)


def power(claim: Claim, plant: Plant | None, effort: Effort, repeats: int) -> Power:
    """How often a claim is refuted while a violation is planted, or nothing."""
    caught, reason, begun = 0, "", time.process_time()
    size = 0.0 if plant is None else plant.sizes[effort.level]
    for seed in range(FIRST_SEED, FIRST_SEED + repeats):
        if plant is None:
            result = Hunt(claim, effort, seed).run(kept=None)
        else:
            with plant.plant(size):
                result = Hunt(claim, effort, seed).run(kept=None)
        caught += result.verdict == "refuted"
        reason = result.reason or reason
    words = "nothing" if plant is None else plant.words(size)
    return Power(claim, words, effort, caught, repeats, (time.process_time() - begun) / repeats, reason)


def statistical(claims: Sequence[Claim]) -> list[Claim]:
    """Those that draw."""
    return [claim for claim in claims if claim.statistical]


def sizes(claim: Claim) -> str:
    """What a claim finds at each effort, in a sentence."""
    parts = [
        ", ".join(f"{plant.words(size)} ({level})" for level, size in zip(LEVELS, plant.sizes, strict=True))
        for plant in claim.plants
    ]
    return "; ".join(parts)
