"""Whether this version is slower than another one: the same calls in turns, and an interval of the ratio.

    python benchmarks/paired.py REF [--pairs 15] [--only TEXT] [--kernels FOLDER]

Two processes are kept, one with the code of REF, a commit or the folder of a checkout, and one with this working
tree's, each with kernels of its own, which FOLDER keeps for the next time that the same folders are compared. For
every benchmark both run in turns, the order drawn anew for each pair, each time as often as fills a tenth of a second.
Printed is the median over pairs of (seconds now) / (seconds before), and the 95% interval of that median from order
statistics, which assumes nothing of the times' law. The exit status is 1 where an interval does not lie below 1.10.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 1.10
_ENOUGH = 0.1  # seconds of one side of a pair


def jobs() -> dict[str, Callable[[], Callable[[], Any]]]:
    """name -> what prepares the call that is timed."""
    import distrl
    from distrl import operators

    spec = importlib.util.spec_from_file_location("problems", ROOT / "benchmarks" / "problems.py")
    problems: Any = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(problems)  # type: ignore[union-attr]
    rng = np.random.default_rng(0)

    def solving(make: Any, method: Any, **options: Any) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            model = make()
            return lambda: distrl.evaluate(model, method, **options)

        return prepare

    fixed = distrl.CategoricalFixedPoint
    found: dict[str, Callable[[], Callable[[], Any]]] = {
        f"auto, {name}, {g}, m=51": solving(lambda make=make, g=g: make(g), fixed(51))
        for name, make in problems.CHOSEN_ON.items()
        for g in ((0.9, 0.99) if name != "Taxi" else (0.9,))
    }
    small, garnet = distrl.environments.two_state, lambda: problems.garnet(200, 5, 0.99, 0)
    found |= {
        "two states, default": solving(small, fixed()),
        **{f"{name}, garnet 200, .99": solving(garnet, fixed(101, solver=name)) for name in ("krylov", "iterate")},
        "direct, garnet 60": solving(lambda: problems.garnet(60, 3, 0.99, 0), fixed(51, solver="direct")),
        "categorical DP": solving(garnet, distrl.CategoricalDP(51, sweeps=100)),
        "quantile DP": solving(garnet, distrl.QuantileDP(51)),
        "expectile DP": solving(lambda: problems.garnet(20, 3, 0.9, 0), distrl.ExpectileDP(11)),
        "particle DP": solving(garnet, distrl.ParticleDP(51)),
        "moments": solving(lambda: problems.garnet(2000, 5, 0.99, 0), distrl.Moments(3)),
        "Monte Carlo": solving(small, distrl.MonteCarlo(2000), rng=0),
        "brackets": solving(garnet, distrl.Brackets(51)),
    }

    def learning(method: Any, **options: Any) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            gen = np.random.default_rng(0)
            model = distrl.MRP(gen.dirichlet(np.ones(10), 10), gen.normal(size=10), 0.9)
            given = {"step_size": 0.05, "updates": 300, "replications": 20, "records": 1, "rng": 0, **options}
            return lambda: distrl.learn(model, method, **given)

        return prepare

    wide = distrl.Grid(-40.0, 40.0, 51)
    found |= {
        "TD": learning(distrl.TD()),
        "categorical TD, m=51": learning(distrl.CategoricalTD(grid=wide)),
        "categorical TD, trajectory": learning(distrl.CategoricalTD(grid=wide), sampling="trajectory"),
        "quantile TD, m=32": learning(distrl.QuantileTD(32)),
        "expectile TD": learning(distrl.ExpectileTD(5)),
    }

    def estimating(functional: str, at: Any, how: str) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            mdp = distrl.environments.garnet(10, 2, 3, discount=0.9, rng=0)

            def call() -> Any:
                est = distrl.estimate(mdp, fixed(51), policy="uniform", samples_per_state=200, rng=0)
                options = {"resamples": 50, "rng": 1} if how == "bootstrap" else {}
                return est.interval(functional, at, method=how, **options)

            return call

        return prepare

    for functional, at in (("mean", None), ("cvar", 0.1), ("quantile", 0.5)):
        for how in ("delta", "bootstrap"):
            found[f"estimate, {functional}, {how}"] = estimating(functional, at, how)

    def laws() -> tuple[Any, Any]:
        grids = distrl.Grid(0.0, 1.0, 1000), distrl.Grid(0.01, 1.1, 1000)
        return tuple(distrl.CategoricalReturns(g, rng.dirichlet(np.ones(1000), 200)) for g in grids)  # type: ignore[return-value]

    both = laws()

    def measuring(metric: str) -> Callable[[], Callable[[], Any]]:
        return lambda: lambda: getattr(distrl, metric)(*both)

    def reading(functional: str, at: Any) -> Callable[[], Callable[[], Any]]:
        return lambda: lambda: getattr(both[0], functional)(at)

    found |= {f"{metric}, m=1000": measuring(metric) for metric in ("wasserstein", "cramer", "kolmogorov")}
    for functional, at in (("cvar", 0.1), ("quantile", [0.1, 0.5]), ("cdf", [0.2, 0.7]), ("expectile", 0.3)):
        found[f"{functional} of 200 laws"] = reading(functional, at)

    def applying() -> Callable[[], Any]:
        model = problems.garnet(2000, 5, 0.99, 0)
        operator = operators.CategoricalBellman(model, distrl.Grid.covering(model, 51))
        probs = np.random.default_rng(0).dirichlet(np.ones(51), model.n_states)
        return lambda: operator(probs)

    found["one application"] = applying
    found["building a model"] = lambda: lambda: distrl.environments.garnet(500, 4, 5, discount=0.9, rng=0)
    return found


def worker() -> None:
    """Answer lines of a name and a count with seconds; the first call of a name compiles, and is not counted."""
    prepared: dict[str, Callable[[], Any]] = {}
    known = jobs()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        name, count = json.loads(line)
        if name not in prepared:
            prepared = {name: known[name]()}  # one at a time, for memory
            prepared[name]()
        call = prepared[name]
        since = time.perf_counter()
        for _ in range(count):
            call()
        print(json.dumps(time.perf_counter() - since), flush=True)


class Side:
    """A process with one version of the code."""

    def __init__(self, tree: pathlib.Path, folder: pathlib.Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(tree),
            "NUMBA_CACHE_DIR": str(folder),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--worker"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder
        )
        self.names: list[str] = self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise SystemExit("a worker ended; its error is above")
        return json.loads(line)

    def seconds(self, name: str, count: int) -> float:
        """Of `count` calls."""
        print(json.dumps([name, count]), file=self._process.stdin, flush=True)
        return float(self._answer())

    def close(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()


def median_interval(ratios: list[float], level: float = 0.95) -> tuple[float, float]:
    """Order statistics between which the median lies with at least that probability."""
    ordered, n = sorted(ratios), len(ratios)
    place = int(stats.binom.ppf((1.0 - level) / 2.0, n, 0.5))
    while place > 0 and 2.0 * stats.binom.cdf(place - 1, n, 0.5) > 1.0 - level:
        place -= 1
    return ordered[max(place - 1, 0)], ordered[min(n - place, n - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ref", nargs="?", default="HEAD")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", default="", help="names that contain this text")
    parser.add_argument("--kernels", type=pathlib.Path, help="where compiled kernels are kept")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        worker()
        return 0
    draw, slower = random.Random(0), []
    with tempfile.TemporaryDirectory() as base:
        kernels = (chosen.kernels or pathlib.Path(base)).resolve()
        before, now = kernels / "before", kernels / "now"
        tree = pathlib.Path(chosen.ref).resolve()
        if not tree.is_dir():
            tree = pathlib.Path(base, "tree")
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tree)], check=True)
            subprocess.run(["git", "checkout", "--quiet", chosen.ref], cwd=tree, check=True)
        for folder in (before, now):
            folder.mkdir(parents=True, exist_ok=True)
        sides = Side(tree, before), Side(ROOT, now)
        names = [name for name in sides[1].names if chosen.only in name and name in sides[0].names]
        print(f"{'benchmark':36} {'before':>10} {'now/before':>10}   95% interval of the median, {chosen.pairs} pairs")
        for name in names:
            for side in sides:
                side.seconds(name, 1)
            first = max(sides[0].seconds(name, 1), 1e-6)
            count = max(int(_ENOUGH / first), 1)
            ratios, base_times = [], []
            for _ in range(chosen.pairs):
                order = [0, 1]
                draw.shuffle(order)
                taken = {k: sides[k].seconds(name, count) for k in order}
                ratios.append(taken[1] / taken[0])
                base_times.append(taken[0] / count)
            low, high = median_interval(ratios)
            mark = "" if high < MOST else "  SLOWER?"
            slower += [name] if mark else []
            seconds, middle = float(np.median(base_times)), float(np.median(ratios))
            print(f"{name:36} {1e3 * seconds:8.3f}ms {middle:10.3f}   [{low:.3f}, {high:.3f}]{mark}", flush=True)
        for side in sides:
            side.close()
    print(f"{len(names) - len(slower)} of {len(names)} intervals lie below {MOST}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
