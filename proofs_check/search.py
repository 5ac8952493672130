"""The hunt for a counterexample, steered to the tightest ratio of measured over bound."""

import contextlib
import json
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from scipy import optimize

from distrl._files import replacing
from proofs_check.case import Case
from proofs_check.chance import Chance
from proofs_check.claim import CASES, Claim, Reading

#: The tightest instance of each claim, replayed first.
KEPT = Path(__file__).parent / "instances"


@dataclass(frozen=True)
class Effort:
    """How hard to look: instances drawn, and evaluations of the polish, before a claim's cost divides them; and which
    of the sizes of its violations, `chance.LEVELS`, a statistical claim is to find."""

    name: str
    examples: int
    polish: int
    level: int


QUICK = Effort("quick", 25, 60, 0)
DEFAULT = Effort("default", 300, 300, 1)
NIGHTLY = Effort("nightly", 10_000, 5_000, 2)
FULL = Effort("full", 50_000, 20_000, 2)
MUTATION = Effort("mutation", 8, 0, 0)


@dataclass
class Result:
    """What the hunt found.

    `case` is the counterexample where there is one, else the tightest instance; `points` are (measured, bound).
    """

    claim: Claim
    verdict: str = "undecided"
    instances: int = 0
    ratio: float = 0.0
    case: Case | None = None
    measured: float = math.nan
    bound: float = math.nan
    reason: str = ""
    seconds: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.claim.expected

    @property
    def loose(self) -> bool:
        """Whether a bound that holds was never met by half of it; what chance allows is not a bound."""
        return self.verdict == "holds" and 0.0 < self.ratio < 0.5 and not self.claim.statistical

    @property
    def short(self) -> bool:
        """Whether the search stayed below the ratio that is known to be attained."""
        return self.verdict == "holds" and self.ratio < self.claim.attained


class _Found(Exception):
    """A counterexample; raised for Hypothesis to shrink."""


class Hunt:
    """The search for one claim."""

    def __init__(self, claim: Claim, effort: Effort, seed: int = 0) -> None:
        self.claim, self.effort, self.seed = claim, effort, seed
        self.result = Result(claim)
        self.chance = Chance(claim.id, claim.plants, effort.level, seed)
        self._violation: tuple[Case, Reading] | None = None

    def run(self, kept: Path | None = KEPT) -> Result:
        """Replay, structured cases, steered search, polish. Never raises for what the measured code does: an error
        there leaves the claim undecided, with the reason."""
        begun = time.perf_counter()
        result, claim = self.result, self.claim
        try:
            for case in self._beginnings(kept):
                self.look(case)
            if self._violation is None and claim.family is not None and not claim.statistical:
                self._search(claim.family)
                if self._violation is None and claim.expected == "holds":
                    self._polish()
        except Exception:
            result.reason = traceback.format_exc(limit=-3)
            result.verdict = "undecided"
        else:
            result.verdict = "undecided" if not result.instances else "refuted" if self._violation else "holds"
            if not result.instances:
                result.reason = "no instance met the premises"
        if self._violation is not None:
            result.case, reading = self._violation
            result.measured, result.bound = reading.excess
        result.seconds = time.perf_counter() - begun
        return result

    def _beginnings(self, kept: Path | None) -> list[Case]:
        cases = self.claim.structured()
        if self.claim.statistical and len(cases) > CASES:
            raise ValueError(f"{self.claim.id} has {len(cases)} cases; a statistical claim may have {CASES}")
        path = None if kept is None or self.claim.statistical else kept / f"{self.claim.id}.json"
        if path is not None and path.exists():
            cases = [Case.from_json(json.loads(path.read_text(encoding="utf-8"))), *cases]
        return cases

    def look(self, case: Case) -> float:
        """Measure a case; its largest ratio. The first violation, and the last one while shrinking, is kept."""
        readings = self.claim.readings(case, self.chance)
        if not readings:
            return 0.0
        result = self.result
        result.instances += 1
        violated = [reading for reading in readings if reading.violated]
        if self.claim.expected == "refuted" and any(not reading.counts for reading in violated):
            raise ArithmeticError(f"the library and an oracle disagree, which refutes no claim: {case}")
        if violated:
            self._violation = case, violated[0]
        counted = max(readings, key=lambda reading: reading.ratio)
        ratio = counted.ratio
        if ratio > result.ratio or result.case is None:
            result.case = case
            result.measured, result.bound = counted.pair
        result.ratio = max(result.ratio, ratio)
        if ratio > 0 and len(result.points) < 400:
            result.points.append(counted.pair)
        return ratio

    def _search(self, family: SearchStrategy[Case]) -> None:
        count = max(int(self.effort.examples / self.claim.cost), 5)

        def visit(case: Case) -> None:
            ratio = self.look(case)
            if self._violation is not None and self._violation[0] is case:
                raise _Found
            if math.isfinite(ratio):
                hypothesis.target(ratio, label="measured / bound")

        bare: Callable[[], None] = hypothesis.seed(self.seed)(
            settings(
                max_examples=count,
                database=None,
                deadline=None,
                phases=[Phase.generate, Phase.target, Phase.shrink],
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
            )(given(family)(visit))
        )
        with contextlib.suppress(_Found):  # shrunk: the last violation seen is the smallest
            bare()

    def _polish(self) -> None:
        """Climb from the tightest instance found, all its numbers free."""
        start = self.result.case
        if start is None or not start.dimension:
            return
        count = int(self.effort.polish / self.claim.cost)

        def loss(step: np.ndarray) -> float:
            case = start.moved(step)
            return -self.look(case) if case.valid else 0.0

        if count >= 10:
            simplex = np.vstack([np.zeros(start.dimension), 0.1 * np.eye(start.dimension)])
            options: dict[str, Any] = {"maxfev": count, "adaptive": True, "initial_simplex": simplex}
            optimize.minimize(loss, np.zeros(start.dimension), method="Nelder-Mead", options=options)


def keep(result: Result, folder: Path = KEPT) -> None:
    """Store the tightest instance, or the counterexample, for the next replay."""
    if result.case is None or result.claim.statistical or result.verdict == "undecided":
        return
    folder.mkdir(exist_ok=True)
    with replacing(folder / f"{result.claim.id}.json") as partial:
        partial.write_text(json.dumps(result.case.to_json()) + "\n", encoding="utf-8")
