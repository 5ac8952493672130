"""`python -m benchmarks`: ratio tables of the fixed point on standard output, and docs/figures/benchmark.png."""

import argparse
import pathlib
import statistics

import numpy as np

from benchmarks.problems import CHOSEN_ON, HELD_OUT, garnet, walk
from benchmarks.test_solver_ratios import against_sweeps, best_of, scipy_ways
from benchmarks.test_speed_application import TRAFFIC, application_against_triad
from distrl import CategoricalFixedPoint, evaluate

DISCOUNTS = (0.9, 0.99, 0.999)
FIGURE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "figures" / "benchmark.png"


def table_of_sweeps(atoms):
    """{set: {problem: [ratio at each discount]}}, printed as it grows."""
    results = {}
    for title, problems in (("chosen on", CHOSEN_ON), ("held out", HELD_OUT)):
        print(f"\nauto against plain sweeps, {atoms} atoms, problems the thresholds were {title}")
        print(f"{'problem':24}" + "".join(f"{g:>25}" for g in DISCOUNTS))
        rows = results[title] = {}
        for name, make in problems.items():
            cells = [against_sweeps(make(g), atoms) for g in DISCOUNTS]
            rows[name] = [ratio for _, _, ratio in cells]
            print(f"{name:24}" + "".join(f"{a.solver:>16} {r:>7.1f}x" for a, _, r in cells), flush=True)
        medians = [statistics.median(column) for column in zip(*rows.values(), strict=True)]
        print(f"{'median':24}" + "".join(f"{m:>24.1f}x" for m in medians))
    return results


def table_of_scipy():
    print("\nauto against scipy on the same linear system (assembly not counted)")
    for label, model, atoms, dense in (
        ("garnet 100, m=51, .9", garnet(100, 4, 0.9, 0), 51, True),
        ("garnet 200, m=51, .99 (10,000 unknowns)", garnet(200, 5, 0.99, 0), 51, False),
        ("garnet 100, m=101, .99 (10,000 unknowns)", garnet(100, 5, 0.99, 0), 101, False),
        ("walk 100, m=101, .99", walk(100, 0.99), 101, False),
    ):
        ours, ratios = scipy_ways(model, atoms, dense)
        print(
            f"{label:44} {ours.solver:>13} " + "  ".join(f"{k} {v:.3g}x (err {e:.0e})" for k, (v, e) in ratios.items()),
            flush=True,
        )


def table_of_scaling():
    print("\none application over its traffic at triad bandwidth, m=101")
    for label, make in TRAFFIC.items():
        cells = [application_against_triad(make(), 101, threads) for threads in (1, 2)]
        text = "  ".join(f"{k} thread{'s' * (k > 1)}: {r:.2f} of {b:.0f} GB/s" for k, (r, b) in enumerate(cells, 1))
        print(f"{label:44} {text}", flush=True)
    print("\nseconds of auto, garnet with 5 successors")
    for states, atoms, discount in ((1000, 101, 0.99), (10_000, 101, 0.99), (10_000, 401, 0.99), (10_000, 101, 0.999)):
        model = garnet(states, 5, discount, 0)
        sol, seconds = best_of(lambda model=model, atoms=atoms: evaluate(model, CategoricalFixedPoint(atoms)), 1)
        print(f"S={states:<8} m={atoms:<6} g={discount:<7} {seconds:8.3f} s  {sol.iterations} applications", flush=True)


def figure(results, path):
    """Speed-up over plain sweeps for each problem, logarithmic, a marker for each discount."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(name, values, title) for title, part in results.items() for name, values in part.items()]
    rows.sort(key=lambda row: row[1][1])
    fig, axis = plt.subplots(figsize=(7.0, 0.27 * len(rows) + 1.3), layout="constrained")
    styles = (("#0072B2", "o"), ("#E69F00", "s"), ("#000000", "^"))  # Okabe and Ito
    for column, (discount, (colour, marker)) in enumerate(zip(DISCOUNTS, styles, strict=True)):
        values = [row[1][column] for row in rows]
        axis.plot(values, np.arange(len(rows)), marker, color=colour, ms=5.5, label=f"discount {discount:g}")
    axis.hlines(np.arange(len(rows)), 0.5, [max(row[1]) for row in rows], color="0.85", lw=0.8, zorder=0)
    axis.axvline(1.0, color="0.4", lw=0.8)
    axis.set_yticks(np.arange(len(rows)), [f"{n}{' *' if t == 'held out' else ''}" for n, _, t in rows], fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(left=0.5)
    axis.set_xlabel("times faster than plain sweeps, same kernel, certificate included (* held out)", fontsize=9)
    axis.legend(loc="lower right", fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=150)
    print(f"\nfigure: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=int, default=101)
    parser.add_argument("--figure", type=pathlib.Path, default=FIGURE)
    arguments = parser.parse_args()
    for make in CHOSEN_ON.values():  # compile before anything is timed
        evaluate(make(0.9), CategoricalFixedPoint(11))
        evaluate(make(0.99), CategoricalFixedPoint(11))
    evaluate(garnet(2000, 5, 0.99, 0), CategoricalFixedPoint(101))
    results = table_of_sweeps(arguments.atoms)
    table_of_scipy()
    table_of_scaling()
    figure(results, arguments.figure)


if __name__ == "__main__":
    main()
