"""What a claim is, and the register of all of them."""

import importlib
import math
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from hypothesis.strategies import SearchStrategy

from proofs_check import claims as folder
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant
from proofs_check.families import Family

#: Probability that a report made of true statements rejects any statistical one of them.
FALSE_ALARM = 1e-6

#: Most cases of a statistical claim.
CASES = 8


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


#: Of a case; of a case and a `Chance`, where the claim is statistical.
Measure = Callable[..., Iterable[Reading] | Reading | None]
#: read: in the paper; summary: in a summary or a later paper; derived: here or in docs/proofs.md; numerical: also
#: checked before; recalled: from memory, its constant is not used.
Evidence = Literal["read", "summary", "derived", "numerical", "recalled"]
Expected = Literal["holds", "refuted"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that can be checked; `claim` says what its attributes are."""

    id: str
    statement: str
    latex: str
    source: str
    evidence: Evidence
    expected: Expected
    measured: str
    bound: str
    measure: Measure
    module: str
    assumes: str = ""
    searched: str = ""
    family: SearchStrategy[Case] | None = None
    structured: Callable[[], list[Case]] = list
    attained: float = 0.0
    cost: float = 1.0
    statistical: bool = False
    plants: tuple[Plant, ...] = ()
    proved: bool = False
    why: str = ""
    used_by: str = ""

    @property
    def paper(self) -> str:
        """Its paper: a name in `papers`, or that of its module where this is not in the folder of the claims."""
        inside = self.module.removeprefix(folder.__name__ + ".")
        return inside.partition(".")[0] if inside != self.module else self.module

    def readings(self, case: Case, chance: Chance | None = None) -> list[Reading]:
        """The readings of a case; none where the premises fail. `chance` is what a statistical claim draws with."""
        drawn = (chance or Chance(self.id, self.plants),) if self.statistical else ()
        found = self.measure(case, *drawn)
        if found is None:
            return []
        return [found] if isinstance(found, Reading) else list(found)


#: The claims registered so far, by id; `claims` gives all.
REGISTER: dict[str, Claim] = {}


def claim(
    id: str,
    *,
    statement: str,
    latex: str,
    source: str,
    evidence: Evidence,
    measured: str,
    bound: str,
    expected: Expected = "holds",
    assumes: str = "",
    family: Family | None = None,
    structured: Callable[[], list[Case]] = list,
    searched: str = "",
    attained: float = 0.0,
    cost: float = 1.0,
    statistical: bool = False,
    plants: tuple[Plant, ...] = (),
    proved: bool = False,
    why: str = "",
    used_by: str = "",
) -> Callable[[Measure], Measure]:
    """Register the decorated measure as a claim.

    The measure takes a case and gives its readings, or nothing for a case that does not meet the premises.

    Parameters
    ----------
    id : str
    statement, latex : str
        In plain words, and as a formula.
    source, evidence : str
        Paper and number of the theorem, or where the derivation is; and how far the source is known, see `Evidence`.
    measured, bound : str
        What is measured, and what bounds it.
    expected : "holds" or "refuted"
    assumes : str
        The premises.
    family : Family, optional
        What the search draws.
    structured : function, optional
        Gives the cases to begin with.
    searched : str
        What is searched besides, or said of it, where the words of the family do not say all.
    attained : float
        The ratio that the search is to reach.
    cost : float
        Instances are divided by this: 1 for milliseconds.
    statistical : bool
        Drawn at random with a controlled error: the structured cases only, each with its share of `FALSE_ALARM`. Its
        measure takes a case and a `Chance`.
    plants : tuple of Plant
        The smallest violations that a statistical claim finds; `python -m proofs_check power` shows that it does.
    proved : bool
        Not sampled, but proved for the cases that are looked at.
    why : str
        Sketch of the proof, or of the counterexample; the docstring of the measure where it is left out.
    used_by : str
        The code that relies on it.

    Raises
    ------
    ValueError
        If another claim has the id.
    """

    def register(measure: Measure) -> Measure:
        if id in REGISTER:
            raise ValueError(f"two claims are called {id}")
        REGISTER[id] = Claim(
            id=id,
            statement=statement,
            latex=latex,
            source=source,
            evidence=evidence,
            expected=expected,
            measured=measured,
            bound=bound,
            measure=measure,
            module=measure.__module__,
            assumes=assumes,
            searched=", ".join(words for words in (family.words if family else "", searched) if words),
            family=family.strategy if family else None,
            structured=structured,
            attained=attained,
            cost=cost,
            statistical=statistical,
            plants=plants,
            proved=proved,
            why=why or (measure.__doc__ or "").strip(),
            used_by=used_by,
        )
        return measure

    return register


def papers() -> dict[str, str]:
    """Titles of the papers by name, in the order of the report; claims from outside come last, under their module."""
    titles = {name.rpartition(".")[2]: str(vars(module)["TITLE"]) for name, module in _in_places(folder).items()}
    for entry in REGISTER.values():
        if entry.paper not in titles:
            titles[entry.paper] = str(getattr(sys.modules.get(entry.module), "TITLE", entry.module))
    return titles


def claims() -> list[Claim]:
    """All claims, in the order of the report."""
    order: list[str] = []
    for name, module in _in_places(folder).items():
        order += [name, *(_in_places(module) if hasattr(module, "__path__") else [])]
    place = {name: number for number, name in enumerate(order)}
    return sorted(REGISTER.values(), key=lambda entry: place.get(entry.module, len(order)))


def _in_places(package: ModuleType) -> dict[str, ModuleType]:
    """The modules of a package by their full names, imported, in the order of `PLACE` and then of their names."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]
    found = {name: importlib.import_module(name) for name in names if not name.rpartition(".")[2].startswith("_")}
    return dict(sorted(found.items(), key=lambda pair: (getattr(pair[1], "PLACE", math.inf), pair[0])))


def find(id: str) -> Claim:
    """The claim called `id`."""
    found = {entry.id: entry for entry in claims()}
    if id not in found:
        raise ValueError(f"no claim is called {id!r}; `python -m proofs_check list` shows them")
    return found[id]


def share_of_alarm(comparisons: int) -> float:
    """What each of a case's comparisons may spend: `FALSE_ALARM`, shared by all statistical claims, by Bonferroni.

    A statistical claim has at most `CASES` cases.
    """
    statistical = sum(entry.statistical for entry in claims())
    return FALSE_ALARM / (max(statistical, 1) * CASES * comparisons)
