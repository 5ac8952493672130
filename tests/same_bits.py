"""Whether two versions of the code give the same numbers, bit for bit: every verb and method on twenty models.

    python tests/same_bits.py REF [--keep FOLDER] [--only TEXT]     # this working tree against a commit, tag or branch
    python tests/same_bits.py --write FILE                          # what the distrl that is imported gives

Names of the contract alone are used, so that this file runs on either side, each in a process and with a cache of
kernels of its own. What is compared: laws, values, statuses, iterations, residuals, bounds, certificates, solvers and
their reasons, intervals of all functionals, tables, summaries without their times, records of learning, estimates'
intervals, operators, and the sentences of errors. The exit status is 1 where anything differs.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
AT = {
    "mean": None,
    "variance": None,
    "std": None,
    "stop_loss": 1.0,
    "cvar": [0.05, 0.5],
    "cdf": [0.0, 3.0],
    "quantile": [0.05, 0.5],
    "expectile": 0.3,
    "entropic_risk": -0.1,
}


def models() -> dict[str, Any]:
    """Twenty of all kinds: (model, policy, grid)."""
    import scipy.stats as st

    import distrl
    from distrl import MDP, MRP, FiniteLaw, Grid, environments

    rng = np.random.default_rng(0)
    dense = rng.dirichlet(np.ones(5), size=5)
    three = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]
    garnet = environments.garnet(12, 2, 3, discount=0.9, rng=5)
    grid = Grid(-60.0, 80.0, 57)
    policy = rng.dirichlet(np.ones(2), size=12)
    ends = MRP(three, [1.0, -2.0, 0.0], 1.0, terminal=[False, False, True], initial=[0.5, 0.5, 0.0])
    rows = [(0, 0, 0.5, 1, 1.0, False), (0, 0, 0.5, 0, -1.0, True), (0, 1, 1.0, 1, 0.5, False)]
    rows += [(1, 0, 0.9, 0, 0.0, False), (1, 0, 0.1, 1, 2.0, False), (1, 1, 1.0, 1, 0.0, True)]
    lattice = MRP(three, [st.poisson(2.0), FiniteLaw([0.0, 1.0], [0.5, 0.5]), FiniteLaw([3.0])], 0.8)
    laws = MRP(three, [st.norm(0.0, 1.0), FiniteLaw([0.0, 1.0, 5.0], [0.2, 0.3, 0.5]), st.beta(2.0, 3.0)], 0.9)
    near = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.4, 0.4, 0.2]]
    return {
        "chain": (environments.chain(10, 0.1, 0.9), None, None),
        "chain at discount 1": (environments.chain(6, 0.3, 1.0, step_reward=-1.0), None, Grid(-40.0, 1.0, 83)),
        "two states": (environments.two_state(), None, None),
        "cycle": (environments.cycle(7, discount=0.95), None, None),
        "garnet, uniform": (garnet, "uniform", grid),
        "garnet, mixed policy": (garnet, policy, None),
        "garnet, actions": (garnet, [0, 1] * 6, None),
        "large garnet": (environments.garnet(200, 3, 4, discount=0.99, rng=1), "uniform", None),
        "dirichlet": (environments.dirichlet(10, 0.3, 0.9, rng=2), None, None),
        "truncated normal": (environments.truncated_normal(rng=3), "uniform", None),
        "cliff": (environments.gridworld(discount=0.95), "uniform", None),
        "hard": (environments.hard(2, 0.9), None, None),
        "absorbing": (environments.absorbing(0.5, 1.0), None, Grid(0.0, 60.0, 61)),
        "cantor": (environments.cantor(), None, None),
        "gaussian": (environments.gaussian(1.0, 1.0, 0.5), None, Grid(-8.0, 12.0, 101)),
        "laws": (laws, None, grid),
        "lattice": (lattice, None, Grid(0.0, 80.0, 81)),
        "ends": (ends, None, Grid(-60.0, 40.0, 101)),
        "outcomes": (MDP.from_outcomes(rows, 0.9), [[0.2, 0.8], [0.7, 0.3]], None),
        "almost absorbing": (MRP(near, [0.0, 1.0, 0.0], 0.9999), None, None),
        "samples": (distrl.GenerativeModel(MRP(dense, [0.0, 1.0, 2.0, -1.0, 0.5], 0.9)).sample(50, 7), None, None),
    }


def methods(grid: Any) -> dict[str, Any]:
    """Methods of `evaluate`."""
    import distrl

    own = {} if grid is None else {"grid": grid}
    atoms = own or {"atoms": 61}
    solvers = ("auto", "krylov", "direct", "iterate")
    return {
        "default": distrl.CategoricalFixedPoint(**own),
        **{f"fixed point {name}": distrl.CategoricalFixedPoint(**atoms, solver=name) for name in solvers},
        "categorical DP": distrl.CategoricalDP(**atoms, sweeps=20),
        "quantile DP": distrl.QuantileDP(21),
        "quantile DP, flat": distrl.QuantileDP(11, flat=0.5),
        "expectile DP": distrl.ExpectileDP(5),
        "particle DP": distrl.ParticleDP(20, **own),
        "moments": distrl.Moments(3),
        "Monte Carlo": distrl.MonteCarlo(30),
        "brackets": distrl.Brackets(**atoms),
        "stochastic brackets": distrl.Brackets(**atoms, order="stochastic"),
    }


class Recorder:
    """Collects named arrays and sentences."""

    def __init__(self, only: str) -> None:
        self.found: dict[str, Any] = {}
        self._only = only

    def keep(self, name: str, make: Any) -> Any:
        """What `make()` gives, under `name`; the sentence of the error where it raises one."""
        if self._only not in name:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = make()
        except (ValueError, TypeError, RuntimeError, IndexError, AttributeError, NotImplementedError) as error:
            self.found[name] = np.array(f"{type(error).__name__}: {error}")
            return None
        self.add(name, made)
        return made

    def add(self, name: str, thing: Any) -> None:
        """An array, a number, a text, a dict of them, or return laws."""
        if isinstance(thing, dict):
            for key, value in thing.items():
                self.add(f"{name}/{key}", value)
        elif hasattr(thing, "arrays") and callable(thing.arrays):
            self.add(name, thing.arrays())
        elif isinstance(thing, str):
            self.found[name] = np.array(without_times(thing))
        elif isinstance(thing, int | float | np.ndarray | np.generic | bool):
            self.found[name] = np.asarray(thing)


def without_times(text: str) -> str:
    """A summary but for what changes from run to run."""
    text = re.sub(r"[0-9.e+-]+ s \(", "s (", text)
    return re.sub(r"\nand [0-9.]+ s to compile, once", "", text)


def of_solution(solution: Any) -> dict[str, Any]:
    """The fields of a Solution that mean something."""
    parts = {
        "returns": solution.returns,
        "values": solution.values,
        "status": solution.status.name,
        "iterations": solution.iterations,
        "residual": solution.residual,
        "clipped": solution.clipped_mass,
        "tol": solution.tol,
        "solver": solution.solver,
        "reason": solution.reason,
        "bounds": solution.bounds,
        "table": solution.table(),
        "summary": solution.summary(),
    }
    if solution.certificate is not None:
        for name in ("w1", "cramer", "rounding", "overshoot", "residual"):
            parts[f"certificate/{name}"] = getattr(solution.certificate, name)
        parts["certificate/of"], parts["certificate/claim"] = solution.certificate.of, solution.certificate.claim
    return parts


def evaluated(record: Recorder) -> None:
    import distrl

    for name, (model, policy, grid) in models().items():
        for label, method in methods(grid).items():
            for tol in (None, 1e-4) if label in ("default", "quantile DP", "fixed point krylov") else (None,):
                where = f"evaluate/{name}/{label}/{tol}"
                kept: list[Any] = []

                def make(method: Any = method, tol: Any = tol, kept: list[Any] = kept) -> Any:
                    kept.append(distrl.evaluate(model, method, policy=policy, tol=tol, rng=0, throw=False))  # noqa: B023
                    return of_solution(kept[-1])

                record.keep(where, make)
                if not kept or tol is not None:
                    continue
                solution = kept[-1]
                for functional, at in AT.items():
                    record.keep(
                        f"{where}/interval/{functional}", lambda s=solution, f=functional, a=at: s.interval(f, a)
                    )
                if label in ("default", "quantile DP"):
                    record.keep(f"{where}/start", lambda s=solution: s.start)
                    record.keep(f"{where}/actions", lambda s=solution: s.action_returns)
                    record.keep(f"{where}/actions/w1", lambda s=solution: s.action_certificate.w1)


def learnt(record: Recorder) -> None:
    import distrl
    from distrl import td

    kinds = {
        "TD": distrl.TD,
        "Monte Carlo TD": distrl.MonteCarloTD,
        "variance reduced": td.VarianceReduced,
        "categorical": lambda **options: distrl.CategoricalTD(atoms=21, **options),
        "quantile": lambda **options: distrl.QuantileTD(9, **options),
        "expectile": lambda **options: distrl.ExpectileTD(3, **options),
    }
    some = models()
    for name in ("chain", "garnet, uniform", "truncated normal", "outcomes"):
        model, policy, _ = some[name]
        for kind, make in kinds.items():
            for sampling in ("synchronous", "generative", "trajectory"):
                for options in ({}, {"steps": 3}, {"average_from": 10}):
                    where = f"learn/{name}/{kind}/{sampling}/{options}"

                    def run(make: Any = make, sampling: str = sampling, options: Any = options) -> Any:
                        first = distrl.learn(
                            model,  # noqa: B023
                            make(**options),
                            policy=policy,  # noqa: B023
                            step_size=td.Harmonic(1.0, 2.0),
                            updates=60,
                            replications=3,
                            sampling=sampling,
                            rng=1,
                        )
                        more = distrl.learn(model, first.method, policy=policy, updates=30, resume=first)  # noqa: B023
                        axis = getattr(more.final, "values", getattr(more.final, "probs", 0))
                        return {"values": more.values, "visits": more.visits, "final": axis, "updates": more.updates}

                    record.keep(where, run)


def estimated(record: Recorder) -> None:
    import distrl

    some = models()
    kinds = {
        "fixed point": distrl.CategoricalFixedPoint(atoms=31),
        "quantile DP": distrl.QuantileDP(15),
        "moments": distrl.Moments(2),
        "Monte Carlo": distrl.MonteCarlo(10),
        "categorical TD": distrl.CategoricalTD(atoms=31),
    }
    points = {"mean": None, "variance": None, "cvar": 0.1, "quantile": 0.4, "cdf": 1.0, "w1": None, "ks": None}
    for name in ("chain", "garnet, uniform", "dirichlet", "outcomes"):
        model, policy, _ = some[name]
        for kind, method in kinds.items():
            where = f"estimate/{name}/{kind}"
            kept: list[Any] = []

            def make(method: Any = method, kept: list[Any] = kept) -> Any:
                kept.append(distrl.estimate(model, method, policy=policy, samples_per_state=60, rng=2))  # noqa: B023
                return of_solution(kept[-1])

            record.keep(where, make)
            for how in ("delta", "bootstrap", "finite-sample") if kept else ():
                for functional, at in points.items():
                    # distances are simulated by the delta method too
                    options = {} if how == "finite-sample" else {"resamples": 12, "rng": 3}
                    record.keep(
                        f"{where}/{how}/{functional}",
                        lambda e=kept[-1], f=functional, a=at, h=how, o=options: e.interval(f, a, method=h, **o),
                    )
        record.keep(
            f"estimate/{name}/adaptive",
            lambda m=model, p=policy: of_solution(
                distrl.estimate(
                    m,
                    kinds["fixed point"],
                    policy=p,
                    rng=4,
                    budget=4000,
                    allocate="adaptive",
                    functional="cvar",
                    at=0.1,
                    state=0,
                )
            ),
        )


def applied(record: Recorder) -> None:
    import distrl
    from distrl import operators

    for name, (given, policy, grid) in models().items():
        model = given if policy is None else given.under(policy)
        rng = np.random.default_rng(1)

        def make(model: Any = model, grid: Any = grid, rng: Any = rng) -> Any:
            own = grid or distrl.Grid.covering(model, 41)
            probs = rng.dirichlet(np.ones(own.atoms), size=model.n_states)
            bellman = operators.CategoricalBellman(model, own)
            found = {"pmf": bellman(probs), "cdf": bellman.cdf(np.cumsum(probs, axis=1)), "offset": bellman.offset()}
            if model.n_states <= 60:
                found["matrix"] = bellman.matrix().toarray()
            quantiles = np.sort(rng.normal(size=(model.n_states, 15)), axis=1)
            found["quantiles"] = np.asarray(operators.QuantileBellman(model, 15)(quantiles))
            return found

        record.keep(f"operators/{name}", make)

        def draws(model: Any = model, grid: Any = grid) -> Any:
            phi = operators.StochasticCDFBellman(model, grid or distrl.Grid.covering(model, 41))
            return {"sample": phi.sample(5, 0), "mean": phi.mean(), "local": phi.local_variation()}

        record.keep(f"stochastic/{name}", draws)

    solved = distrl.evaluate(models()["laws"][0], distrl.CategoricalFixedPoint(atoms=41, interval=(-60.0, 80.0)))
    for metric in ("wasserstein", "cramer", "kolmogorov", "energy"):
        record.keep(f"metrics/{metric}", lambda m=metric: getattr(distrl, m)(solved.returns, solved.returns[0]))


def collect(only: str) -> dict[str, Any]:
    """Everything, by name."""
    record = Recorder(only)
    for part in (evaluated, learnt, estimated, applied):
        part(record)
    return record.found


def of_version(tree: pathlib.Path, only: str, folder: pathlib.Path, label: str) -> dict[str, Any]:
    """What the code in `tree` gives, from a process of its own."""
    file = folder / f"{label}.npz"
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "NUMBA_CACHE_DIR": str(folder / f"kernels-{label}"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--write", str(file), "--only", only]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ref", nargs="?")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--only", default="", help="names that contain this text")
    parser.add_argument("--keep", type=pathlib.Path, help="where arrays are kept; made and reused for REF")
    chosen = parser.parse_args()
    if chosen.write is not None:
        found = collect(chosen.only)
        np.savez(chosen.write, **{name.replace("/", "|"): value for name, value in found.items()})
        return 0
    if chosen.ref is None:
        parser.error("name a commit to compare with, such as HEAD~1")
    with tempfile.TemporaryDirectory() as base:
        folder = chosen.keep or pathlib.Path(base)
        folder.mkdir(parents=True, exist_ok=True)
        tree = pathlib.Path(base) / "before"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tree)], check=True)
        subprocess.run(["git", "checkout", "--quiet", chosen.ref], cwd=tree, check=True)
        before = of_version(tree, chosen.only, folder, "before")
        after = of_version(ROOT, chosen.only, folder, "after")
    differing = [
        name
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or not same(before[name], after[name])
    ]
    for name in differing[:50]:
        print(f"{name}: {described(before.get(name))} before, {described(after.get(name))} now")
    print(f"{len(before)} arrays and sentences of {chosen.ref}, {len(differing)} of them or of now differ")
    return 1 if differing else 0


def same(a: Any, b: Any) -> bool:
    """Equal shape, type and bytes; NaNs are equal to NaNs of the same bits."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def described(array: Any) -> str:
    if array is None:
        return "nothing"
    return repr(str(array)[:300]) if array.dtype.kind == "U" else f"{array.shape} {np.array2string(array.ravel()[:4])}"


if __name__ == "__main__":
    sys.exit(main())
