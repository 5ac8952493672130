"""Certified intervals, the table, and the checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

import distrl
from distrl.theory.bounds import fixed_point_w1
from experiments.protocol import Arrays, Check
from experiments.quickstart.cell import LEVELS

#: Laws of integers on a grid of spacing 1: nothing is rounded, so this close they must be.
EXACT = 1e-9
NAMES = ("mean", "sd", *(f"{what} {level:.0%}" for level in LEVELS for what in ("VaR", "CVaR")))


@dataclass(frozen=True)
class Certified:
    """One functional of every state: its value, a certified interval (NaN where there is none), the exact value."""

    name: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    exact: np.ndarray
    slack: np.ndarray
    """What the oracle itself may be wrong by."""

    @property
    def holds(self) -> np.ndarray:
        """(S,) whether the interval contains the exact value, where there is one."""
        inside = (self.low - self.slack <= self.exact) & (self.exact <= self.high + self.slack)
        return inside | np.isnan(self.low)


def laws(result: Arrays) -> distrl.CategoricalReturns:
    """The solved laws of a cell."""
    points = result["points"]
    return distrl.CategoricalReturns(distrl.Grid(points[0], points[-1], len(points)), result["probs"])


def certified(result: Arrays) -> Iterator[Certified]:
    """Mean, sd, VaR and CVaR of every state, with intervals that follow from the certificate.

    With w the bound on W1, e its overshoot and iteration parts, t its rounding part:

        mean    +- e, since rounding to the grid keeps means
        sd      Var in [v - t^2 - d, v + d] where nothing is clipped: rounding adds t^2 of variance; d: iteration error
        CVaR_a  +- w / a, and at most the mean
        VaR_a   W1 alone says nothing about a quantile of a known level, but P(|X - Y| > h) <= w / h for a coupling, so
                q(a - w/h) - h <= VaR_a <= q(a + w/h) + h for every h > 0: the best of them

    each cut to the grid's range where that holds all returns.
    """
    returns = laws(result)
    closed = not result["clipped"].any()
    floor = np.full(len(returns), returns.grid.low if closed else -np.inf)
    rounding_error = 1e-12 * np.maximum(np.abs(result["exact_mean"]), 1.0)
    mean, bound = returns.mean(), result["bound"]
    top = mean + result["mean_bound"]
    yield Certified("mean", mean, mean - result["mean_bound"], top, result["exact_mean"], rounding_error)
    low, high = _sd_interval(result, returns) if closed else (np.full(len(mean), np.nan),) * 2
    yield Certified("sd", returns.std(), low, high, result["exact_sd"], rounding_error)
    for level, quantile, cvar in zip(LEVELS, result["exact_var"], result["exact_cvar"], strict=True):
        low, high = _quantile_interval(returns, bound, level)
        high = np.minimum(high, returns.grid.high) if closed else high
        value = returns.quantile(level)
        yield Certified(f"VaR {level:.0%}", value, np.maximum(low, floor), high, quantile, rounding_error)
        value = returns.cvar(level)
        low, high = np.maximum(value - bound / level, floor), np.minimum(value + bound / level, top)
        slack = rounding_error + result["missing"] / level
        yield Certified(f"CVaR {level:.0%}", value, low, high, cvar, slack)


def _sd_interval(result: Arrays, returns: distrl.CategoricalReturns) -> tuple[np.ndarray, np.ndarray]:
    """From Var F - Var = t^2 + error, |error| <= (4 M + 2 M N) sup e: M bounds the returns and rewards, N the steps."""
    size = max(abs(returns.grid.low), abs(returns.grid.high))
    discount = float(result["discount"])
    # undiscounted steps cost 1 at least, so there are at most |mean| of them on average
    steps = 1.0 / (1.0 - discount**2) if discount < 1.0 else float(np.abs(result["exact_mean"]).max())
    error = (4.0 + 2.0 * steps) * size * float(result["iteration"].max())
    variance = returns.var()
    low = np.sqrt(np.maximum(variance - result["rounding"] ** 2 - error, 0.0))
    return low, np.sqrt(variance + error)


def _quantile_interval(
    returns: distrl.CategoricalReturns, bound: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(len(returns), -np.inf), np.full(len(returns), np.inf)
    stretch = np.geomspace(1.01, 1e6, 200)
    for s, w in enumerate(np.maximum(bound, 1e-15)):
        h = w / level * stretch  # shares w / h below the level
        low[s] = (returns[s].quantile(level - w / h) - h).max()
        h = w / (1.0 - level) * stretch
        # quantile() takes a level to be reached within 1e-9
        high[s] = (returns[s].quantile(np.minimum(level + w / h + 2e-9, 1.0)) + h).min()
    return low, high


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
            row += [_number(column[start]) for column in (item.value, item.low, item.high, item.exact)]
        row += [_number(result[key][start]) for key in ("w1", "bound")]
        row += [_number(result[key].max()) for key in ("w1", "bound")]
        rows.append([*row, _number(a_priori(result)), _number(result["clipped"].max()), str(result["claim"])])
    return header, rows


def checks(results: Mapping[str, Arrays]) -> list[Check]:
    """What must hold in every cell."""
    found = []
    for cell in sorted(results):
        result = results[cell]
        distance = result["w1"] + result["missing"]
        worst = int(np.argmax(distance / result["bound"]))
        detail = f"{distance[worst]:.3g} <= {result['bound'][worst]:.3g}, state {worst}"
        found.append(Check(f"{cell}: W1 to the exact law <= certificate", _all(distance <= result["bound"]), detail))
        prior, highest = a_priori(result), float(result["bound"].max())
        if np.isfinite(prior):
            detail = f"{highest:.3g} <= {prior:.3g}"
            found.append(Check(f"{cell}: certificate <= s / (2 sqrt(1 - g^2))", highest <= prior, detail))
        elif laws(result).grid.spacing == 1.0:
            detail = f"{distance.max():.3g} <= {EXACT:g}"
            found.append(Check(f"{cell}: exact on the integer grid", _all(distance <= EXACT), detail))
        wrong = [(item, int(s)) for item in certified(result) for s in np.flatnonzero(~item.holds)]
        detail = "; ".join(
            f"{item.name} of state {s}: {item.exact[s]:.6g} outside [{item.low[s]:.6g}, {item.high[s]:.6g}]"
            for item, s in wrong[:3]
        )
        states = f"{len(result['bound'])} states"
        found.append(Check(f"{cell}: exact mean, sd, VaR and CVaR within the intervals", not wrong, detail or states))
    return found


def _all(condition: np.ndarray) -> bool:
    return bool(condition.all())


def _number(value: float) -> str:
    """Ten digits; nothing for what is not there."""
    return f"{value + 0.0:.10g}" if np.isfinite(value) else ""
