"""What a run writes: table.csv, the figures, report.md; and what it says on the terminal."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distrl._display import at_most
from experiments.files import write_csv, write_text
from experiments.protocol import Arrays, Check, Outcome
from experiments.quickstart import analysis
from experiments.quickstart.family import CARELESS
from experiments.quickstart.figures import draw

_TITLE = """# Quickstart: return laws of FrozenLake and CliffWalking, certified

`python -m experiments run quickstart` wrote this folder. Each law was solved by the categorical fixed point on a grid
of atoms. The certificate bounds the Wasserstein-1 distance to the true law, per state, numerical error included, and
knows nothing of the exact laws, which come from recursions on Gymnasium's tables that share no code with distrl.
"""
_NOTES = f"""## What the numbers mean

- Returns are in units of reward, discounted by 0.99 in FrozenLake 8x8 (slippery), undiscounted in CliffWalking.
- "optimal" has the best mean (policy iteration); "careless" takes a random action in one step of {round(1 / CARELESS)}.
- VaR 5% is the lower 5% quantile of the return, CVaR 5% the mean of the worst 5%.
- Intervals are certified. Mean: rounding to a grid keeps means, so only clipping and iteration error count. CVaR: the
  bound on W1 divided by the level, never above the mean. VaR: a bound on W1 moves a quantile by no fixed amount, so
  level and value are traded against each other, which is often wide. sd: rounding adds a known variance; there is no
  interval where the grid clips, since the certificate says nothing about the far tail's square.
- CliffWalking's returns are integers: spacing 1 rounds nothing, and the law is exact but for float64.
- The uniform walk in CliffWalking falls about 600 times before it arrives, with returns far below -100,000. Its grid
  has spacing 100, the cost of a fall, so that only the steps of -1 are rounded; what lies below the grid is clipped,
  the certificate counts it, and the part of the exact law that the comparison leaves out is added to the distance.
"""


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write everything into `directory`."""
    header, rows = analysis.table(results)
    write_csv(directory / "table.csv", header, rows)
    found = analysis.checks(results)
    figures = draw(results, directory)
    parts = [_TITLE, _verdict(found)]
    parts.append("## The return from the start\n\n" + _markdown(_functionals(results)))
    parts.append("## Distance to the exact law, worst state\n\n" + _markdown(_distances(results)))
    parts += [f"![{name}]({name}.png)\n\n{caption}\n" for name, caption in figures]
    parts += [_NOTES, "## Every check\n\n" + "".join(_line(check) for check in found)]
    write_text(directory / "report.md", "\n".join(parts))
    return Outcome(_headline(results), found)


def _verdict(found: list[Check]) -> str:
    failed = [check for check in found if not check.holds]
    if not failed:
        return f"**All {len(found)} checks hold.** They are listed at the end.\n"
    return f"**{len(failed)} of {len(found)} checks FAIL:**\n\n" + "".join(_line(check) for check in failed)


def _line(check: Check) -> str:
    return f"- {'holds' if check.holds else '**FAILS**'}: {check.name} ({check.detail})\n"


def _functionals(results: Mapping[str, Arrays]) -> list[list[str]]:
    rows = [["cell", *analysis.NAMES]]
    for cell in _in_order(results):
        start = int(results[cell]["start"])
        row = [cell]
        for item in analysis.certified(results[cell]):
            low, high = float(item.low[start]), float(item.high[start])
            interval = "no bound" if np.isnan(low) else f"[{_short(low)}, {_short(high)}]"
            row.append(f"{_short(float(item.value[start]))} {interval}")
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
    rows = [["at the start", "mean", "sd", "CVaR 5%", "true W1", "certificate"]]
    for cell in _in_order(results):
        result = results[cell]
        start = int(result["start"])
        values = {item.name: _short(float(item.value[start])) for item in analysis.certified(result)}
        distance, bound = f"{result['w1'].max():.3g}", at_most(result["bound"].max())
        rows.append([cell, values["mean"], values["sd"], values["CVaR 5%"], distance, bound])
    return rows


def _in_order(results: Mapping[str, Arrays]) -> list[str]:
    """FrozenLake first."""
    return sorted(results, key=lambda cell: (not cell.startswith("lake"), cell))


def _short(value: float) -> str:
    """Five digits, rounding noise as 0."""
    return "0" if abs(value) < 5e-6 else f"{value:.5g}" if abs(value) < 1e5 else f"{value:.0f}"


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"
