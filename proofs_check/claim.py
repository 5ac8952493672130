"""What a claim is, and the register of all of them."""

import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from proofs_check.case import Case

#: Probability that a report made of true statements rejects any statistical one of them.
FALSE_ALARM = 1e-6

MODULES = ("bdr23", "cdrl18", "nm24", "qtd24", "sb23", "p25", "z25", "heavy_tails", "control", "own", "formal")


class Reading(NamedTuple):
    """One measurement: `measured` is to be at most `bound` (equal to it if `equal`), numbers or arrays.

    `slack` is what floating point, truncation or chance can have added; 0 for fractions, which are compared exactly.
    `counts` is False for what only guards the measurement (the library against an exact oracle): its ratio is no news.
    """

    measured: Any
    bound: Any
    slack: Any = 0
    equal: bool = False
    counts: bool = True

    @property
    def violated(self) -> bool:
        """Whether the claim fails here; what is not a number fails."""
        pairs = list(_entries(self.measured, self.bound, self.slack))
        if self.equal:
            return any(not abs(measured - bound) <= slack for measured, bound, slack in pairs)
        return any(not measured <= bound + slack for measured, bound, slack in pairs)

    @property
    def ratio(self) -> float:
        """Largest measured / bound; a slack worth mention (more than 10^-6 of the bound) is added to the bound."""
        best = 0.0
        if self.counts:
            for measured, bound, slack in _entries(self.measured, self.bound, self.slack):
                allowed = bound if bound > 1e6 * slack else bound + slack
                if bound > 0 or allowed > 0:
                    best = max(best, float(measured / allowed))
        return best

    @property
    def excess(self) -> tuple[float, float]:
        """(measured, bound) of the entry that breaks the claim most."""
        entries = _entries(self.measured, self.bound, self.slack)
        gaps = [(abs(m - b) if self.equal else m - b) - s for m, b, s in entries]
        worst = max(range(len(gaps)), key=lambda k: gaps[k] if gaps[k] == gaps[k] else math.inf)
        measured, bound, _ = list(_entries(self.measured, self.bound, self.slack))[worst]
        return float(measured), float(bound)

    @property
    def pair(self) -> tuple[float, float]:
        """(measured, bound) of the entry with the largest ratio."""
        pairs = [(float(m), float(b)) for m, b, _ in _entries(self.measured, self.bound, self.slack)]
        return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] > 0 else 0.0)


def _entries(measured: Any, bound: Any, slack: Any) -> Iterator[tuple[Any, Any, Any]]:
    if any(isinstance(part, np.ndarray | list) for part in (measured, bound, slack)):
        parts = [np.asarray(part, dtype=object if _exact(part) else None) for part in (measured, bound, slack)]
        return zip(*(np.ravel(part).tolist() for part in np.broadcast_arrays(*parts)), strict=True)
    return iter([(measured, bound, slack)])


def _exact(part: Any) -> bool:
    return isinstance(part, Fraction) or (isinstance(part, list) and bool(part) and isinstance(part[0], Fraction))


def same(computed: Any, exact: Any, slack: Any) -> Reading:
    """A guard: what the library computed against an oracle that shares no code with it."""
    return Reading(np.asarray(computed, dtype=float), np.asarray(exact, dtype=float), slack, equal=True, counts=False)


Measure = Callable[[Case], Iterable[Reading] | Reading | None]


@dataclass(frozen=True)
class Claim:
    """A statement that can be checked.

    Attributes
    ----------
    id : str
    statement, latex : str
        In plain words, and as a formula.
    source : str
        Paper and number of the theorem, or where the derivation is.
    evidence : str
        read: in the paper; summary: in a summary or a later paper; derived: here or in docs/proofs.md; numerical: also
        checked before; recalled: from memory, its constant is not used.
    assumes, measured, bound, searched : str
        The premises, what is measured, what bounds it, the family it is searched over.
    expected : "holds" or "refuted"
    measure : Case -> readings
        None for an instance that does not meet the premises.
    family : a Hypothesis strategy of cases, or None
    structured : function that gives the cases to begin with
    attained : float
        The ratio that the search is to reach.
    cost : float
        Instances are divided by this: 1 for milliseconds.
    statistical : bool
        Drawn at random with a controlled error: the structured cases only, each with its share of `FALSE_ALARM`.
    why : str
        Sketch of the proof, or of the counterexample.
    used_by : str
        The code that relies on it.
    """

    id: str
    statement: str
    latex: str
    source: str
    evidence: str
    expected: str
    measure: Measure
    module: str
    assumes: str = ""
    measured: str = ""
    bound: str = ""
    searched: str = ""
    family: Any = None
    structured: Callable[[], list[Case]] = field(default=list)
    attained: float = 0.0
    cost: float = 1.0
    statistical: bool = False
    why: str = ""
    used_by: str = ""

    def readings(self, case: Case) -> list[Reading]:
        """The readings of a case; none where the premises fail."""
        found = self.measure(case)
        if found is None:
            return []
        return [found] if isinstance(found, Reading) else list(found)


_REGISTER: dict[str, Claim] = {}


def claim(id: str, **attributes: Any) -> Callable[[Measure], Measure]:
    """Register the decorated measure as a claim. `expected` is "holds" unless said otherwise."""

    def register(measure: Measure) -> Measure:
        if id in _REGISTER:
            raise ValueError(f"two claims are called {id}")
        module = measure.__module__.rpartition(".")[2]
        given = {"expected": "holds", "why": (measure.__doc__ or "").strip(), **attributes}
        _REGISTER[id] = Claim(id=id, measure=measure, module=module, **given)
        return measure

    return register


def claims() -> list[Claim]:
    """All claims, in the order of the modules."""
    for module in MODULES:
        importlib.import_module(f"proofs_check.{module}")
    order = {module: place for place, module in enumerate(MODULES)}
    return sorted(_REGISTER.values(), key=lambda entry: order[entry.module])


def find(id: str) -> Claim:
    """The claim called `id`."""
    for entry in claims():
        if entry.id == id:
            return entry
    raise ValueError(f"no claim is called {id!r}; `python -m proofs_check list` shows them")


def share_of_alarm(comparisons: int) -> float:
    """What each of a case's comparisons may spend: `FALSE_ALARM`, shared by all statistical claims, by Bonferroni.

    A statistical claim has at most `CASES` cases.
    """
    statistical = sum(entry.statistical for entry in claims())
    return FALSE_ALARM / (max(statistical, 1) * CASES * comparisons)


#: Most cases of a statistical claim.
CASES = 8
