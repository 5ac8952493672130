"""One line of what was measured."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from distrl import MDP, ControlSolution, Functional, environments, optimize


class Line(NamedTuple):
    """A figure beside what it was to be; `met` is None where there was no target."""

    what: str
    figure: str
    target: str
    met: bool | None

    def __str__(self) -> str:
        end = "" if self.met is None else f"; target {self.target}: {'met' if self.met else 'MISSED'}"
        return f"{self.what}: {self.figure}{end}"


#: What an item is: a function that measures, a line at a time.
Item = Callable[[], Iterator[Line]]


def solved(mdp: MDP, objective: Functional, *arguments: Any, **options: Any) -> tuple[float, ControlSolution[Any]]:
    """(seconds of the process, the solution): an open gap is told and not raised, compiling is left out."""
    before = time.process_time()
    ctl = optimize(mdp, objective, *arguments, throw=False, **options)
    return time.process_time() - before - ctl.compiled, ctl


def warm(objective: Functional) -> None:
    """Compile what an objective needs on a small process, before it is timed."""
    optimize(environments.garnet(5, 2, 2, rng=0, discount=0.9), objective, throw=False)


def share(ctl: ControlSolution[Any], state: int | None = None) -> float:
    """The gap, the largest of all states or that of one, as a share of the range of returns."""
    assert ctl.family is not None
    gap = ctl.gap.max() if state is None else ctl.gap[state]
    return float(gap / ctl.family.size)


def percent(value: float, digits: int = 2) -> str:
    """A share in percent with so many digits that count."""
    return f"{100.0 * value:.{digits}g}%" if np.isfinite(value) else "infinite"
