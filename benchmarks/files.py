"""Files as models, over what pandas takes to read the same numbers; rows as models, over SciPy's CSR matrix and a sort.

python -m benchmarks.files [--states 2000] [--actions 4] [--successors 5] [--times 3] [--only KIND]

The files are made in a temporary folder. Times are CPU seconds, so that other processes count for nothing, the least of
so many, both sides in the same run. Peak memory is that of a process of its own for each side, above what it held just
before it read, when all its kernels and modules were there; it is told only where Linux says it.
"""

import argparse
import gc
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

import distrl
from benchmarks.test_speed_tables import best, million_rows

ROOT = pathlib.Path(__file__).resolve().parent.parent
_SMALL = 20  # states of the file that is read first, so that nothing is compiled or imported while it counts


class Kind(NamedTuple):
    """A form of the same model: how it is written into a folder, which files count, and how each side reads them."""

    write: Callable[[dict[str, np.ndarray], pathlib.Path], Any]
    files: str
    ours: Callable[[pathlib.Path], Callable[[], object]]
    theirs: Callable[[pathlib.Path], Callable[[], object]]


def columns_of(states, actions, successors):
    """Rows of a random decision process in the order of their states, with a reward for each pair: any format does."""
    columns = million_rows(states, actions, successors, shuffled=False)
    paid = np.random.default_rng(1).normal(size=states * actions).round(2) + 0.001  # never 0, which files leave out
    columns["reward"] = paid[columns["state"] * actions + columns["action"]]
    columns["terminal"] = np.zeros(len(paid) * successors, dtype=np.bool_)
    return columns


def _pandas(*files, **options):
    import pandas

    return lambda: [pandas.read_csv(file, **options) for file in files]


def _write_csv(text):
    def write(columns, folder):
        import pandas

        frame = pandas.DataFrame(columns)
        ids = ("state", "action", "next_state")
        frame = frame.assign(**{name: "s" + frame[name].astype(str) for name in ids}) if text else frame
        frame.to_csv(folder / "model.csv", index=False)

    return write


def _write_course(columns, folder):
    head = f"numStates {columns['state'][-1] + 1}\nnumActions {columns['action'].max() + 1}\nend -1\ndiscount 0.9\n"
    order = ("state", "action", "next_state", "reward", "probability")
    rows = zip(*(columns[name].tolist() for name in order), strict=True)
    lines = (f"transition {s} {a} {t} {r!r} {p!r}\n" for s, a, t, r, p in rows)
    (folder / "model.txt").write_text(head + "".join(lines))


def _write_cassandra(columns, folder):
    model = distrl.MDP.from_outcomes(columns, 0.9)  # adds rows up; of two lines on one next state the last would hold
    table, actions = model.outcomes, model.n_actions
    head = f"discount: 0.9\nvalues: reward\nstates: {model.n_states}\nactions: {actions}\n"
    rows = zip(table.sources.tolist(), table.next_states.tolist(), table.probs.tolist(), strict=True)
    lines = [f"T: {source % actions} : {source // actions} : {t} {p!r}\n" for source, t, p in rows]
    paid = enumerate(model.expected_rewards.ravel().tolist())
    lines += [f"R: {source % actions} : {source // actions} : * {r!r}\n" for source, r in paid]
    (folder / "model.MDP").write_text(head + "".join(lines))


def _write_prism(columns, folder):
    distrl.write_prism(distrl.MDP.from_outcomes(columns, 0.9), folder / "model")


def _write_drn(columns, folder):
    _write_prism(columns, folder)  # for pandas: the same numbers
    distrl.write_drn(distrl.MDP.from_outcomes(columns, 0.9), folder / "model.drn")


def _write_rows(columns, folder):
    np.savez(folder / "rows.npz", **columns)


def _model_of_rows(folder):
    with np.load(folder / "rows.npz") as file:
        columns = dict(file)
    return lambda: distrl.MDP.from_outcomes(columns, 0.9)


def _matrix_of_rows(folder):
    """A CSR matrix of the probabilities, and the order of the rows by their sources."""
    with np.load(folder / "rows.npz") as file:
        columns = dict(file)
    source = columns["state"] * (int(columns["action"].max()) + 1) + columns["action"]
    shape = (int(source.max()) + 1, int(columns["next_state"].max()) + 1)
    entries = (columns["probability"], (source, columns["next_state"]))
    return lambda: (sparse.coo_array(entries, shape=shape).tocsr(), np.argsort(source))


def _prism_by_pandas(folder):
    return _pandas(folder / "model.tra", folder / "model.trew", sep=" ", skiprows=1, header=None)


def _csv(text):
    def ours(folder):
        return lambda: distrl.read_csv(folder / "model.csv", 0.9)

    return Kind(_write_csv(text), "*", ours, lambda folder: _pandas(folder / "model.csv"))


def _lines_by_pandas(name):
    return lambda folder: _pandas(folder / name, sep=" ", skiprows=4, header=None)


KINDS = {
    "CSV, numbers": _csv(text=False),
    "CSV, text": _csv(text=True),
    "PRISM": Kind(_write_prism, "*", lambda f: lambda: distrl.read_prism(f / "model", 0.9), _prism_by_pandas),
    "DRN": Kind(_write_drn, "*.drn", lambda f: lambda: distrl.read_drn(f / "model.drn", 0.9), _prism_by_pandas),
    "course": Kind(
        _write_course, "*", lambda f: lambda: distrl.read_text(f / "model.txt"), _lines_by_pandas("model.txt")
    ),
    "Cassandra": Kind(
        _write_cassandra,
        "*",
        lambda f: lambda: distrl.read_cassandra(f / "model.MDP"),
        _lines_by_pandas("model.MDP"),
    ),
    "rows, over CSR and argsort": Kind(_write_rows, "*", _model_of_rows, _matrix_of_rows),
}


def _kilobytes(name):
    """A line of Linux's account of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def peak(call):
    """Bytes that a call held at most above what was held before it; None where that is not told."""
    gc.collect()
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts anew
        before = _kilobytes("VmRSS")
        kept = call()
        found = 1024 * (_kilobytes("VmHWM") - before)
    except (OSError, StopIteration):
        return None
    del kept
    return found


def peak_elsewhere(kind, side, folder):
    """`peak` of one side in a process of its own, which has read a small file of that kind before."""
    command = [sys.executable, "-m", "benchmarks.files", "--child", kind, side, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measured(kind, columns, small, folder, times):
    """(ratio of CPU seconds, bytes of what is read, peak of ours, peak of theirs)."""
    form = KINDS[kind]
    for name, rows in (("small", small), ("large", columns)):
        (folder / name).mkdir(parents=True)
        form.write(rows, folder / name)
    for side in (form.ours, form.theirs):
        side(folder / "small")()
    ratio = best(form.ours(folder / "large"), times) / best(form.theirs(folder / "large"), times)
    peaks = [peak_elsewhere(kind, side, folder) for side in ("ours", "theirs")]
    size = sum(path.stat().st_size for path in (folder / "large").glob(form.files))
    return ratio, size, *peaks


def child(kind, side, folder):
    """What a process of its own does: print its peak."""
    make = getattr(KINDS[kind], side)
    make(folder / "small")()
    print(json.dumps(peak(make(folder / "large"))))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=2_000)
    parser.add_argument("--actions", type=int, default=4)
    parser.add_argument("--successors", type=int, default=5)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        child(given.child[0], given.child[1], pathlib.Path(given.child[2]))
        return
    if importlib.util.find_spec("pandas") is None:
        sys.exit("reading is compared with pandas: pip install 'distrl[io]'")
    columns = columns_of(given.states, given.actions, given.successors)
    small = columns_of(_SMALL, given.actions, min(given.successors, _SMALL))
    print(f"{len(columns['state'])} rows; CPU seconds over pandas', and peak memory of both over the size of the files")
    print(f"{'':28}{'MB':>8}{'seconds':>10}{'memory':>10}{'theirs':>10}")
    for kind in KINDS if given.only is None else (given.only,):
        with tempfile.TemporaryDirectory() as folder:
            ratio, size, *peaks = measured(kind, columns, small, pathlib.Path(folder), given.times)
        told = "".join(f"{'-' if each is None else f'{each / size:.2f}x':>10}" for each in peaks)
        print(f"{kind:28}{size / 1e6:>8.2f}{ratio:>9.2f}x{told}", flush=True)


if __name__ == "__main__":
    main()
