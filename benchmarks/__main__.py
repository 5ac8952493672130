"""`python -m benchmarks`: ratio tables on standard output, and docs/figures/benchmark.png."""

import argparse
import importlib.util
import pathlib
import resource
import statistics

import numpy as np

from benchmarks.direct_in_time import DirectInTime
from benchmarks.problems import CHOSEN_ON, HELD_OUT, garnet, walk
from benchmarks.test_elimination_cost import GRAPHS, against_splu
from benchmarks.test_solver_ratios import against_quantecon, against_spsolve, against_sweeps, best_of, scipy_ways
from benchmarks.test_speed_application import TRAFFIC, application_against_triad
from benchmarks.test_speed_learning import SIZES, has_rlax, rlax_updates_a_second, updates_a_second
from benchmarks.test_speed_metrics import KINDS, ratios
from distrl import CategoricalFixedPoint, Grid, evaluate

DISCOUNTS = (0.9, 0.99, 0.999)
FIGURE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "figures" / "benchmark.png"


def table_of_sweeps(atoms):
    """{set: {problem: [ratio at each discount]}}, printed as it grows."""
    results, shares = {}, {}
    direct = DirectInTime()
    for title, problems in (("chosen on", CHOSEN_ON), ("held out", HELD_OUT)):
        print(f"\nauto: plain sweeps over it, [the better of sweeps and direct over it]; {atoms} atoms, {title}")
        print(f"{'problem':24}" + "".join(f"{g:>34}" for g in DISCOUNTS))
        rows = results[title] = {}
        for name, make in problems.items():
            rows[name], cells = [], ""
            for g in DISCOUNTS:
                auto, ours, sweeps = against_sweeps(make(g), atoms)
                # a direct solve of that long cannot be the better one by a tenth
                best = min(sweeps, direct(name, g, atoms, ours + 0.01))
                rows[name].append(sweeps / ours)
                shares[name, g] = best / ours
                cells += f"{auto.solver:>16} {sweeps / ours:>7.1f}x [{best / ours:>5.2f}]"
            print(f"{name:24}{cells}", flush=True)
        medians = [statistics.median(column) for column in zip(*rows.values(), strict=True)]
        print(f"{'median':24}" + "".join(f"{m:>24.1f}x        " for m in medians))
    direct.close()
    (name, g), least = min(shares.items(), key=lambda item: item[1])
    below = sum(share < 0.9 for share in shares.values())
    print(f"\nsmallest share of the better of sweeps and direct: {least:.2f} ({name}, {g}); below .9: {below}")
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


def table_of_small_systems():
    """Every problem with 500 to 12,000 unknowns at some number of atoms; dense graphs, which fill in, to 6,000."""
    print("\nauto against spsolve on systems of 500 to 12,000 unknowns (assembly not counted), the smallest ratios")
    rows = []
    for name, make in {**CHOSEN_ON, **HELD_OUT}.items():
        for discount in DISCOUNTS:
            model = make(discount)
            most = 6_000 if len(model.outcomes.probs) > 20 * model.n_states else 12_000
            for atoms in (6, 11, 21, 51, 101):
                if 500 <= model.n_states * (atoms - 1) <= most:
                    ours, seconds, ratio = against_spsolve(model, atoms)
                    rows.append((ratio, f"{name}, {discount}, m={atoms}", ours.solver, seconds))
    rows.sort()
    for ratio, label, solver, seconds in rows[:8]:
        print(f"{label:44} {solver:>16} {1e3 * seconds:8.1f} ms  {ratio:.2f}x")
    middle, slower = statistics.median(row[0] for row in rows), sum(row[0] < 1.0 for row in rows)
    print(f"median of {len(rows)}: {middle:.2f}x; slower than spsolve: {slower}", flush=True)


def table_of_large_problems():
    """Garnets of a hundred million numbers, iteration error at most 1e-8 of the grid's width."""
    print("\nlarge garnets, 5 successors, tol 1e-8 of the width")
    for states, atoms, discount in ((1_000_000, 101, 0.9), (1_000_000, 101, 0.99), (100_000, 1001, 0.99)):
        model = garnet(states, 5, discount, 0)
        grid = Grid.covering(model, atoms)
        method = CategoricalFixedPoint(grid=grid)
        sol, seconds = best_of(lambda m=model, a=method, g=grid: evaluate(m, a, tol=1e-8 * g.width), 1)
        left = sol.certificate.residual.max() / grid.width
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # the most so far, kilobytes on Linux
        label = f"S={states:<9} m={atoms:<6} g={discount:<6}"
        print(f"{label}{seconds:8.1f} s  {memory:.1f} GB  iteration part {left:.0e}", flush=True)


def table_of_scaling():
    print("\none application over its traffic at triad bandwidth, m=101")
    for label, make in TRAFFIC.items():
        cells = [application_against_triad(make(), 101, threads) for threads in (1, 2)]
        text = "  ".join(f"{k} thread{'s' * (k > 1)}: {r:.2f} of {b:.0f} GB/s" for k, (r, b) in enumerate(cells, 1))
        print(f"{label:44} {text}", flush=True)
    base = {"states": 2000, "atoms": 101, "discount": 0.99, "successors": 5}
    print("\nauto on garnets: one thing changed at a time from " + ", ".join(f"{k} {v:g}" for k, v in base.items()))
    changes = {
        "states": (1000, 4000, 8000, 16_000),
        "atoms": (51, 201, 401, 801),
        "discount": (0.9, 0.98, 0.995, 0.999),
        "successors": (2, 10, 20, 40),
    }
    print(f"{'':>24}{'seconds':>10}{'over base':>11}{'applications':>14}{'ns a successor and atom':>26}")
    first = None
    for key, values in {"": (None,), **changes}.items():
        for value in values:
            size = {**base, key: value} if key else base
            model = garnet(size["states"], size["successors"], size["discount"], 0)
            method = CategoricalFixedPoint(size["atoms"])
            sol, seconds = best_of(lambda model=model, method=method: evaluate(model, method), 3)
            first = first or seconds
            unit = 1e9 * seconds / (sol.iterations * size["states"] * size["successors"] * size["atoms"])
            label = f"{key} {value:g}" if key else "base"
            print(f"{label:>24}{seconds:>10.4f}{seconds / first:>10.2f}x{sol.iterations:>14}{unit:>26.2f}", flush=True)


def table_of_metrics():
    print("\nW1 of 1,000 atoms, 500 pairs: other libraries over it, and it over one pass over the data")
    for kind in KINDS:
        seconds, others, reading = ratios(kind)
        cells = "  ".join(f"{name} {ratio:.0f}x" for name, ratio in others.items())
        print(f"{kind:24}{1e6 * seconds:6.2f} us a pair  {cells}  reading {reading:.1f}", flush=True)


def table_of_learning():
    print("\nstate updates a second of learn, 10 states, 100 replications, all cores, against rlax under jax.jit")
    for kind, sizes in SIZES.items():
        for atoms in sizes:
            ours, constant = updates_a_second(kind, atoms), updates_a_second(kind, atoms, noise=False)
            cells = f"{kind} {atoms:<6} {ours:>12.3g}, constant rewards {constant / ours:.2f} of it"
            if has_rlax():
                theirs, setting = rlax_updates_a_second(kind, atoms)
                cells += f"  rlax {theirs:.3g} ({setting})  {ours / theirs:.0f}x"
            print(cells, flush=True)


def table_of_means():
    if importlib.util.find_spec("quantecon") is None:
        print("\nmeans against QuantEcon: not installed (pip install 'distrl[bench]')")
        return
    print("\nmeans alone: QuantEcon's DiscreteDP.evaluate_policy over Moments(1), models built before")
    for label, model in (
        ("garnet 2000, .99", garnet(2000, 5, 0.99, 0)),
        ("walk 2000, .99", walk(2000, 0.99)),
        ("garnet 100, .9", garnet(100, 4, 0.9, 0)),
    ):
        ours, theirs = against_quantecon(model)
        print(f"{label:44} {1e3 * ours:8.2f} ms  {theirs / ours:.2f}x", flush=True)


def table_of_elimination():
    print(
        "\nlinear systems over states at .99: times of SciPy's sparse LU over those of elimination without subtraction,"
    )
    print("factors and a solve, with the fill of both over the matrix; and over the library's own choice (`gain`)")
    for label, make in GRAPHS.items():
        row = against_splu(make(0.99))
        cells = f"{1e3 * row.seconds:>9.2f} ms  factors {row.lu:5.2f}x  solve {row.solve:5.2f}x"
        way = row.how.partition(":")[0]
        cells += f"  fill {row.fill:5.1f} (LU {row.lu_fill:5.1f})  chosen {row.over_default:6.2f}x {way}"
        print(f"{label:20}{cells}", flush=True)


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
    parser.add_argument("--large", action="store_true", help="only the problems of a hundred million numbers (6 GB)")
    arguments = parser.parse_args()
    if arguments.large:
        evaluate(garnet(2000, 5, 0.99, 0), CategoricalFixedPoint(101))  # compiled before it is timed
        table_of_large_problems()
        return
    for make in CHOSEN_ON.values():  # compile before anything is timed
        evaluate(make(0.9), CategoricalFixedPoint(11))
        evaluate(make(0.99), CategoricalFixedPoint(11))
    evaluate(garnet(2000, 5, 0.99, 0), CategoricalFixedPoint(101))
    results = table_of_sweeps(arguments.atoms)
    table_of_scipy()
    table_of_small_systems()
    table_of_scaling()
    table_of_metrics()
    table_of_means()
    table_of_elimination()
    figure(results, arguments.figure)
    table_of_learning()


if __name__ == "__main__":
    main()
