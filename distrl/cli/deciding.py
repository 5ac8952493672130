"""What `distrl optimize` reads and shows: objectives by their short forms, frontiers, laws of the policy."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import distrl
from distrl._display import aligned, enclosed
from distrl.cli.showing import MOST_CURVES
from distrl.control import Frontier, TargetPolicy
from distrl.control.choosing import METHODS
from distrl.control.policy import RunnablePolicy
from distrl.returns import Functional, MeanCVaR
from distrl.returns.finite import as_finite
from distrl.returns.functionals.parsing import NAMES

_Solved: TypeAlias = "distrl.ControlSolution[RunnablePolicy]"
_KINDS: dict[str, Any] = {**NAMES, "mean_cvar": MeanCVaR, "nested_cvar": distrl.NestedCVaR}


def _served(objective: Functional) -> bool:
    return any(method().serves(objective) for method in METHODS)


def _example(kind: Any) -> Functional:
    numbers = (0.5, 0.5) if kind is MeanCVaR else (0.5,) if kind.argument else ()
    found: Functional = kind(*numbers)
    return found


def objectives() -> list[str]:
    """The short forms of what some method optimises."""
    return [name for name, kind in _KINDS.items() if _served(_example(kind))]


def objective_of(name: str, at: float | None, weight: float | None) -> Functional:
    """The objective that was typed.

    Raises
    ------
    ValueError
        If it cannot be optimised, or its numbers are missing, not wanted or out of range.
    """
    if name not in objectives():
        raise ValueError(f"--objective {name} cannot be optimised; there is {', '.join(objectives())}")
    kind = _KINDS[name]
    if weight is not None and kind is not MeanCVaR:
        raise ValueError("--weight is the mean's share in mean_cvar; leave it out")
    if weight is None and kind is MeanCVaR:
        raise ValueError("--objective mean_cvar needs the mean's share: give --weight, for example 0.5")
    if at is None and kind.argument:
        raise ValueError(f"--objective {name} needs its {_named(kind)}: give --at")
    if at is not None and not kind.argument:
        raise ValueError(f"--objective {name} has no parameter; leave --at out")
    if at is not None and not math.isfinite(at):
        raise ValueError(f"--at must be finite, got {at:g}")
    numbers = [each for each in (at, weight) if each is not None]
    try:
        found: Functional = kind(*numbers)
    except ValueError as error:
        text, own = str(error), _named(kind)
        raise ValueError("--at" + text.removeprefix(own) if text.startswith(own) else f"--{text}") from None
    return found


def _named(kind: Any) -> str:
    """What its first parameter is called: level, target, beta."""
    return fields(kind)[0].name


def parameters_of(text: str, objective: Functional) -> tuple[float, ...]:
    """The numbers of "0.05,0.1,0.5", which the objective can have.

    Raises
    ------
    ValueError
        If they are no such numbers, or no solve has several answers.
    """
    if objective.points is None or isinstance(objective, distrl.NestedCVaR):
        raise ValueError(f"--frontier: one solve for {objective.label} has one answer; leave --frontier out")
    try:
        found = tuple(float(part) for part in text.split(","))
        parameters: dict[str, Any] = {_named(objective): found}
        replace(objective, **parameters)
    except ValueError as error:
        raise ValueError(f"--frontier {text}: expected numbers such as 0.05,0.1,0.5 ({error})") from None
    return found


def decides(model: "distrl.MRP | distrl.MDP", name: str) -> "distrl.MDP":
    """The model, if it has something to decide.

    Raises
    ------
    ValueError
        For a reward process.
    """
    if isinstance(model, distrl.MRP):
        raise ValueError(f"{name} is a Markov reward process and has nothing to decide; distrl evaluate has its law")
    return model


def frontier_of(ctl: _Solved, parameters: tuple[float, ...], states: list[int]) -> Frontier:
    """The best values for other parameters, printed for some states.

    Raises
    ------
    ValueError
        If the solve has no such answers.
    """
    band = ctl.frontier(parameters)
    first = band.lower[:, 0]
    pairs = [(k, s) for s in states for k in range(len(parameters))]
    columns = {
        "state": [str(ctl.model.states[s]) for _, s in pairs],
        _named(ctl.objective): [f"{parameters[k]:g}" for k, _ in pairs],
        band.label: [enclosed(float(band.lower[s, k]), float(band.upper[s, k])) for k, s in pairs],
    }
    if first.size and not math.isnan(float(band.targets[0, 0])):
        columns["target"] = [f"{band.targets[s, k]:g}" for k, s in pairs]
    print("\n".join(["", "other parameters, from the same solve:", *aligned(columns)]))
    return band


def draws() -> "Callable[[_Solved, Frontier | None, list[int], Path], None]":
    """How to plot; importing matplotlib now tells early that it is missing."""
    from distrl.plotting import plot_returns, save_figure

    def draw(ctl: _Solved, band: Frontier | None, states: list[int], path: Path) -> None:
        chosen = states[:MOST_CURVES]
        if band is not None:
            axes = band.plot(chosen)
        else:
            rows = chosen
            if isinstance(ctl.policy, TargetPolicy):  # from these states alone
                laws, rows = ctl.policy.laws_from(ctl.model, chosen), list(range(len(chosen)))
            else:
                laws = ctl.evaluated()
            names = [f"state {ctl.model.states[s]}" for s in chosen]
            axes = plot_returns(as_finite(laws.returns), rows, labels=names, certificate=laws.certificate)
            axes.set_title(f"best {ctl.objective.label}")
        save_figure(axes.figure, path)  # type: ignore[arg-type]  # a figure, and no part of one

    return draw
