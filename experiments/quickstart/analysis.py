"""Certified intervals, the table, and the checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

import distrl
from distrl._display import at_most, enclosed
from distrl.theory import fixed_point_w1
from experiments.protocol import Arrays, Check
from experiments.quickstart.sweep import FUNCTIONALS, LEVELS

#: Laws of integers on a grid of spacing 1: nothing is rounded, so this close they must be.
EXACT = 1e-9
NAMES = tuple(functional.label for functional in FUNCTIONALS)


@dataclass(frozen=True)
class Certified:
    """One functional of every state: its value, a certified interval, the exact value."""

    name: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    exact: np.ndarray
    slack: np.ndarray
    """What the oracle itself may be wrong by."""

    @property
    def known(self) -> np.ndarray:
        """(S,) the exact value, NaN where the oracle leaves out a part of the law that matters to it."""
        return np.where(self.slack <= 1e-6 * np.maximum(np.abs(self.exact), 1.0), self.exact, np.nan)

    @property
    def holds(self) -> np.ndarray:
        """(S,) whether the interval contains the exact value."""
        inside: np.ndarray = (self.low - self.slack <= self.exact) & (self.exact <= self.high + self.slack)
        return inside


def laws(result: Arrays) -> distrl.CategoricalReturns:
    """The solved laws of a cell."""
    points = result["points"]
    return distrl.CategoricalReturns(distrl.Grid(points[0], points[-1], len(points)), result["probs"])


def certified(result: Arrays) -> Iterator[Certified]:
    """Mean, sd, VaR and CVaR of every state with the intervals of `Solution.interval`, and the oracle's values."""
    returns = laws(result)
    exact = {"mean": result["exact_mean"], "sd": result["exact_sd"]}
    tails = zip(LEVELS, result["exact_var"], result["exact_cvar"], strict=True)
    for level, quantile, cvar in tails:
        exact |= {distrl.Quantile(level).label: quantile, distrl.CVaR(level).label: cvar}
    # an error of mass in the oracle's law moves the mean of a share of it by the inverse of the share
    room = np.full(len(returns), result["room"])
    wider = {distrl.CVaR(level).label: (room + result["missing"]) / level for level in LEVELS}
    # a variance is a difference of squares: near 0 its root is off by the root of their rounding
    wider["sd"] = np.sqrt(result["room"] * np.maximum(np.abs(result["exact_mean"]), 1.0))
    for functional in FUNCTIONALS:
        low, high = result[f"interval of {functional.label}"].T
        value = np.asarray(functional.value(returns))
        name = functional.label
        yield Certified(name, value, low, high, exact[name], wider.get(name, room))


def a_priori(result: Arrays) -> float:
    """spacing / (2 sqrt(1 - discount^2)), known before anything is solved; inf at discount 1."""
    return fixed_point_w1(laws(result).grid.spacing, float(result["discount"]))


def table(results: Mapping[str, Arrays]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of table.csv: one row a cell, in the order of their names, for the start state."""
    header = ["cell", "state", "atoms", "spacing", "solver"]
    for name in NAMES:
        header += [name, f"{name} low", f"{name} high", f"{name} exact"]
    header += ["W1 to the exact law", "certificate", "sup W1 to the exact law", "sup certificate", "a priori bound"]
    header += ["sup clipped mass", "claim"]
    rows = []
    for cell in sorted(results):
        result = results[cell]
        start, grid = int(result["start"]), laws(result).grid
        row = [cell, str(start), str(grid.atoms), _number(grid.spacing), str(result["solver"])]
        for item in certified(result):
            row += [_number(column[start]) for column in (item.value, item.low, item.high, item.known)]
        row += [_number(result[key][start]) for key in ("w1", "bound")]
        row += [_number(result[key].max()) for key in ("w1", "bound")]
        rows.append([*row, _number(a_priori(result)), _number(result["clipped"].max()), str(result["claim"])])
    return header, rows


def checks(results: Mapping[str, Arrays]) -> list[Check]:
    """What must hold in every cell."""
    found = []
    for cell in sorted(results):
        result = results[cell]
        distance, allowed = result["w1"] + result["missing"], result["bound"] + result["room"]
        worst = int(np.argmax(distance / allowed))
        room = f" + {float(result['room']):.0e} for the oracle's rounding"
        detail = f"{distance[worst]:.3g} <= {at_most(result['bound'][worst])}{room}, state {worst}"
        found.append(Check(f"{cell}: W1 to the exact law <= certificate", _all(distance <= allowed), detail))
        prior, highest = a_priori(result), float(result["bound"].max())
        if np.isfinite(prior):
            detail = f"{highest:.3g} <= {prior:.3g}"
            found.append(Check(f"{cell}: certificate <= s / (2 sqrt(1 - g^2))", highest <= prior, detail))
        elif laws(result).grid.spacing == 1.0:
            detail = f"{distance.max():.3g} <= {EXACT:g}"
            found.append(Check(f"{cell}: exact on the integer grid", _all(distance <= EXACT), detail))
        wrong = [(item, int(s)) for item in certified(result) for s in np.flatnonzero(~item.holds)]
        detail = "; ".join(
            f"{item.name} of state {s}: {item.exact[s]:.6g} outside {enclosed(item.low[s], item.high[s])}"
            for item, s in wrong[:3]
        )
        states = f"{len(result['bound'])} states{room}"
        found.append(Check(f"{cell}: exact mean, sd, VaR and CVaR within the intervals", not wrong, detail or states))
    return found


def _all(condition: np.ndarray) -> bool:
    return bool(condition.all())


def _number(value: float) -> str:
    """Ten digits; nothing for what is not there."""
    return f"{value + 0.0:.10g}" if np.isfinite(value) else ""
