"""What a run writes: table.csv, the figures, report.md; and what it says on the terminal."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distrl._display import allowed, at_most, beside
from experiments.files import write_csv, write_text
from experiments.protocol import Arrays, Check, Report
from experiments.quickstart import analysis
from experiments.quickstart.family import CARELESS
from experiments.quickstart.figures import draw
from experiments.quickstart.sweep import LEVELS

_TITLE = """# Quickstart: return laws of FrozenLake and CliffWalking, certified

`python -m experiments run quickstart` wrote this folder. Each law was solved by the categorical fixed point on a grid
of atoms. The certificate bounds the Wasserstein-1 distance to the true law, per state, numerical error included, and
knows nothing of the exact laws, which come from recursions on Gymnasium's tables that share no code with distrl.
"""
_NOTES = f"""## What the numbers mean

- Returns are in units of reward, discounted by 0.99 in FrozenLake 8x8 (slippery), undiscounted in CliffWalking.
- "optimal" has the best mean (policy iteration); "careless" takes a random action in one step of {round(1 / CARELESS)}.
- VaR 25% is the lower 25% quantile of the return, CVaR 25% the mean of the worst 25%. Under the uniform walk on the
  ice nearly every return is 0, and so are these.
- Intervals are certified by `Solution.interval`: what the certificate, the exact mean and variance, and the laws that
  enclose the true one in convex order say together. A value has the digits that its interval allows.
- A number with a star is the method's own, and its interval proves it to be off: rounding to atoms adds to a variance.
- A check names the room that it leaves to the oracle's own rounding.
- CliffWalking's returns are integers: spacing 1 rounds nothing, and the law is exact but for float64.
- The uniform walk in CliffWalking falls about 600 times before it arrives, with returns far below -100,000. Its grid
  has spacing 100, the cost of a fall, so that only the steps of -1 are rounded; what lies below the grid is clipped,
  the certificate counts it, and the part of the exact law that the comparison leaves out is added to the distance.
"""


def report(results: Mapping[str, Arrays], directory: Path) -> Report:
    """Write everything into `directory`."""
    header, rows = analysis.table(results)
    write_csv(directory / "table.csv", header, rows)
    found = analysis.checks(results)
    figures = draw(results, directory)
    parts = [_TITLE, _verdict(found)]
    parts.append("## The return from the start\n\n" + _markdown(_functionals(results)))
    parts.append("## Distance to the exact law, worst state\n\n" + _markdown(_distances(results)))
    parts += [f"![{name}]({name}.png)\n\n{caption}\n" for name, caption in figures]
    parts += [_NOTES, "## Every check\n\n" + "".join(check.line() for check in found)]
    write_text(directory / "report.md", "\n".join(parts))
    return Report(_headline(results), found)


def _verdict(found: list[Check]) -> str:
    failed = [check for check in found if not check.holds]
    if not failed:
        return f"**All {len(found)} checks hold.** They are listed at the end.\n"
    return f"**{len(failed)} of {len(found)} checks FAIL:**\n\n" + "".join(check.line() for check in failed)


def _functionals(results: Mapping[str, Arrays]) -> list[list[str]]:
    rows = [["cell", *analysis.NAMES]]
    for cell in _in_order(results):
        start = int(results[cell]["start"])
        row = [cell]
        for item in analysis.certified(results[cell]):
            value, low, high = (float(column[start]) for column in (item.value, item.low, item.high))
            row.append(beside(value, low, high))
        rows.append(row)
    return rows


def _distances(results: Mapping[str, Arrays]) -> list[list[str]]:
    rows = [["cell", "atoms", "spacing", "true W1", "certificate", "a priori", "clipped mass"]]
    for cell in _in_order(results):
        result = results[cell]
        grid, prior = analysis.laws(result).grid, analysis.a_priori(result)
        rows.append(
            [
                cell,
                str(grid.atoms),
                f"{grid.spacing:g}",
                f"{result['w1'].max():.3g}",
                at_most(result["bound"].max()),
                f"{prior:.3g}" if np.isfinite(prior) else "none at discount 1",
                f"{result['clipped'].max():.2g}",
            ]
        )
    return rows


def _headline(results: Mapping[str, Arrays]) -> list[list[str]]:
    shown = ("mean", "sd", f"CVaR {LEVELS[0]:.0%}")
    rows = [["at the start", *shown, "true W1", "certificate"]]
    for cell in _in_order(results):
        result = results[cell]
        start = int(result["start"])
        ends = {i.name: (float(c[start]) for c in (i.value, i.low, i.high)) for i in analysis.certified(result)}
        distance, bound = f"{result['w1'].max():.3g}", at_most(result["bound"].max())
        rows.append([cell, *(allowed(*ends[name]) for name in shown), distance, bound])
    return rows


def _in_order(results: Mapping[str, Arrays]) -> list[str]:
    """FrozenLake first."""
    return sorted(results, key=lambda cell: (not cell.startswith("lake"), cell))


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"
