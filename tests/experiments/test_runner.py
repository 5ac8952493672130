"""The runner's promises: finished cells survive anything, and a resumed run is an uninterrupted one bit for bit.

The runs are of a small experiment that is written for the tests, with many short random cells.
"""

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import manifest, parallel, protocol
from experiments.protocol import Cell, seed_of
from experiments.store import Store, key_of

ROOT = Path(__file__).resolve().parents[2]
CELLS = 40
TOY = """
import time
import numpy as np
from experiments.files import write_csv, write_text
from experiments.protocol import Cell, Check, Experiment, Report

def cells(size):
    return [Cell(f"cell-{k:02d}", {"k": k, "pause": PAUSE}) for k in range(CELLS)]

def solve(cell, seed):
    time.sleep(cell.arguments["pause"])
    if cell.arguments["k"] == FAILING:
        raise FloatingPointError("no luck")
    return {"drawn": np.random.default_rng(seed).standard_normal(2000), "k": np.array(cell.arguments["k"])}

def report(results, directory):
    rows = [[name, repr(float(r["drawn"].sum()))] for name, r in sorted(results.items())]
    write_csv(directory / "table.csv", ["cell", "sum"], rows)
    write_text(directory / "report.md", "# Toy\\n")
    return Report([["cells"], [str(len(rows))]], [Check("all", len(rows) == CELLS, "")])

EXPERIMENT = Experiment(
    __name__, "random numbers", {"quick": 2.0, "default": 2.0, "full": 2.0}, cells, solve, report
)
"""
DRIVER = """
import sys, toy
from experiments import protocol
from experiments.__main__ import app
protocol.names, protocol.find = lambda: ["toy"], lambda name: toy.EXPERIMENT
app(["run", "toy", *sys.argv[1:]])
"""


@pytest.fixture
def toy(tmp_path):
    """A function that writes the experiment; its environment and its folder."""

    def write(pause=0.0, failing=-1, comment=""):
        folder = tmp_path / "code" / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        settings = f"PAUSE, FAILING, CELLS = {pause}, {failing}, {CELLS}\n"
        (folder / "__init__.py").write_text(f"# {comment}\n{settings}{TOY}")

    write()
    return write


def environment(tmp_path):
    path = os.pathsep.join([str(ROOT), str(tmp_path / "code")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def start(tmp_path, out, jobs=1, *more, **options):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, "--out", str(out), "--jobs", str(jobs), *more],
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, timeout=120):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def finished_cells(out):
    path = out / "toy" / "cells.sqlite"
    if not path.exists():
        return 0
    try:
        return len(pd.read_sql("select cell from cells", sqlite3.connect(path)))
    except pd.errors.DatabaseError:  # killed before the table was made
        return 0


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_run_and_its_second_start(toy, tmp_path):
    assert finish(start(tmp_path, tmp_path / "a"))[0] == 0
    table = (tmp_path / "a" / "toy" / "table.csv").read_bytes()
    status, _, err = finish(start(tmp_path, tmp_path / "a", 2))
    assert status == 0
    assert f"{CELLS} of {CELLS} cells are finished" in err
    assert (tmp_path / "a" / "toy" / "table.csv").read_bytes() == table
    assert len(pd.read_csv(tmp_path / "a" / "toy" / "times.csv")) == CELLS


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_kill_at_random_moments_changes_nothing(kills, toy, tmp_path):
    toy(pause=0.05)
    assert finish(start(tmp_path, tmp_path / "whole", 2))[0] == 0
    whole = {name: (tmp_path / "whole" / "toy" / name).read_bytes() for name in ("table.csv", "report.md")}
    moments = random.Random(0)
    seen, restarts = [], 0
    directory = tmp_path / "killed"
    for _ in range(kills):
        process = start(tmp_path, directory, moments.choice([1, 2]), start_new_session=True)
        before = finished_cells(directory)
        if before < CELLS:  # now and then before it even begins, else after one to four more cells
            goal = min(before + moments.randrange(5), CELLS)
            wait_for(lambda goal=goal, process=process: finished_cells(directory) >= goal or process.poll() is not None)
        time.sleep(moments.uniform(0.0, 0.08))
        os.killpg(process.pid, signal.SIGKILL)  # the runner and its workers
        process.communicate()
        restarts += 1
        seen.append(finished_cells(directory))
        assert seen == sorted(seen)  # nothing that was finished is lost
    assert finish(start(tmp_path, directory, 2))[0] == 0
    middle = {count for count in seen if 0 < count < CELLS}
    assert restarts == kills and len(middle) >= kills // 4  # they were moments in the middle
    for name, content in whole.items():
        assert (directory / "toy" / name).read_bytes() == content, name


def test_second_runner_is_refused(toy, tmp_path):
    with Store(tmp_path / "a" / "toy"):
        status, _, err = finish(start(tmp_path, tmp_path / "a"))
    assert status == 2
    assert "another process is running into" in err and "Traceback" not in err
    assert finished_cells(tmp_path / "a") == 0
    assert finish(start(tmp_path, tmp_path / "a"))[0] == 0


def test_cells_of_another_version_are_not_mixed_in(toy, tmp_path):
    assert finish(start(tmp_path, tmp_path / "a"))[0] == 0
    toy(comment="changed")
    status, _, err = finish(start(tmp_path, tmp_path / "a"))
    assert status == 0
    assert f"{CELLS} cell(s) in" in err and "another version" in err
    assert f"0 of {CELLS} cells are finished" in err
    versions = pd.read_sql(
        "select code, count(*) as n from cells group by code", sqlite3.connect(tmp_path / "a" / "toy" / "cells.sqlite")
    )
    assert versions["n"].tolist() == [CELLS, CELLS]


def test_full_disk_is_a_sentence_and_corrupts_nothing(toy, tmp_path):
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    status, _, err = finish(start(tmp_path, tmp_path / "a", preexec_fn=no_room))
    assert status == 2
    assert "finished cells are kept" in err and "Traceback" not in err
    kept = finished_cells(tmp_path / "a")
    assert 0 < kept < CELLS
    check = sqlite3.connect(tmp_path / "a" / "toy" / "cells.sqlite").execute("pragma integrity_check").fetchone()
    assert check == ("ok",)
    status, _, err = finish(start(tmp_path, tmp_path / "a"))
    assert status == 0 and f"{kept} of {CELLS} cells are finished" in err
    assert finish(start(tmp_path, tmp_path / "b"))[0] == 0
    assert (tmp_path / "a" / "toy" / "table.csv").read_bytes() == (tmp_path / "b" / "toy" / "table.csv").read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_cleanly_and_keeps_what_is_finished(toy, tmp_path, jobs):
    toy(pause=0.1)
    process = start(tmp_path, tmp_path / "a", jobs, start_new_session=True)
    wait_for(lambda: finished_cells(tmp_path / "a") > 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    status, _, err = finish(process)
    assert status == 130
    assert "Traceback" not in err and "goes on from there" in err
    assert 2 < finished_cells(tmp_path / "a") < CELLS
    assert finish(start(tmp_path, tmp_path / "a"))[0] == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_failing_cell_is_named_and_all_others_are_solved(toy, tmp_path, jobs):
    toy(failing=20)
    status, _, err = finish(start(tmp_path, tmp_path / "a", jobs))
    assert status == 2
    assert "cell cell-20 failed: FloatingPointError: no luck" in err and "Traceback" not in err
    assert finished_cells(tmp_path / "a") == CELLS - 1


def test_damaged_cell_is_solved_again(toy, tmp_path):
    assert finish(start(tmp_path, tmp_path / "a"))[0] == 0
    table = (tmp_path / "a" / "toy" / "table.csv").read_bytes()
    with sqlite3.connect(tmp_path / "a" / "toy" / "cells.sqlite") as cells:
        cells.execute("update cells set result = x'00' where cell = 'cell-07'")
    status, _, err = finish(start(tmp_path, tmp_path / "a"))
    assert status == 0 and f"{CELLS - 1} of {CELLS} cells are finished" in err
    assert (tmp_path / "a" / "toy" / "table.csv").read_bytes() == table


def test_damaged_file_is_a_sentence(tmp_path):
    (tmp_path / "cells.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(OSError, match="damaged; move it away"), Store(tmp_path):
        pass


def test_store_gives_back_the_bits(tmp_path):
    result = {"x": np.array([0.1, -0.0, np.nan, np.inf, 5e-324]), "word": np.array(["a", "bc"]), "n": np.array(3)}
    cell = Cell("one", {"atoms": [1, 2]})
    with Store(tmp_path) as store:
        store.put("key", cell, 0, "code", 1.5, result)
    with Store(tmp_path) as store:
        back = store.get("key")
        assert store.get("other") is None
        assert store.seconds({"one": "key", "two": "none"}) == {"one": 1.5}
        assert store.others("code") == 0 and store.others("newer") == 1
        assert store.forget_others("newer") == 1
        assert store.get("key") is None
    assert {name: value.tobytes() for name, value in back.items()} == {n: v.tobytes() for n, v in result.items()}


def test_keys_depend_on_everything_and_seeds_on_the_name_alone():
    cells = [Cell("a", {"m": 1}), Cell("a", {"m": 2}), Cell("b", {"m": 1})]
    keys = {key_of(cell, seed, code) for cell in cells for seed in (0, 1) for code in ("x", "y")}
    assert len(keys) == 12
    states = [tuple(seed_of(cell, seed).generate_state(4)) for cell in cells for seed in (0, 1)]
    assert states[0] == states[2] and len(set(states)) == 4


def test_worker_of_another_version_is_refused(toy, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    import toy as package

    experiment = package.EXPERIMENT
    task = (0, experiment.solve, experiment.cells("quick")[0], 0, experiment.modules)
    with pytest.raises(RuntimeError, match="another version"):
        parallel._solve(*task, "0" * 16)
    assert parallel._solve(*task, manifest.fingerprint(*experiment.modules)).index == 0


@pytest.mark.nightly
def test_dask_cluster_with_a_worker_killed_gives_the_same_table(toy, tmp_path):
    pytest.importorskip("distributed")
    toy(pause=0.2)
    environ = {**environment(tmp_path), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "20s"}
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environ, "cwd": tmp_path}
    contact = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(contact)]
    processes = [subprocess.Popen([*dask, "scheduler", *options], **quiet)]
    try:
        wait_for(contact.exists)
        wait_for(lambda: contact.read_text().strip().endswith("}"))
        worker = [*dask, "worker", "--scheduler-file", str(contact), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        address = json.loads(contact.read_text())["address"]
        run = start(tmp_path, tmp_path / "cluster", 1, "--scheduler", address)
        wait_for(lambda: finished_cells(tmp_path / "cluster") > CELLS // 4 or run.poll() is not None)
        processes[1].kill()
        assert finished_cells(tmp_path / "cluster") < CELLS - 5  # in the middle
        status, _, err = finish(run)
        assert status == 0, err
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
    assert finish(start(tmp_path, tmp_path / "local"))[0] == 0
    assert (tmp_path / "cluster" / "toy" / "table.csv").read_bytes() == (
        tmp_path / "local" / "toy" / "table.csv"
    ).read_bytes()


def test_what_cells_depend_on_is_what_their_modules_import(tmp_path, monkeypatch):
    folder = tmp_path / "study_of_somebody"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "sweep.py").write_text(
        "def solve():\n    from study_of_somebody.analysis import shared\n    return shared\n"
    )
    (folder / "analysis.py").write_text("from study_of_somebody import deeper\nshared = deeper\n")
    (folder / "deeper.py").write_text("import numpy\n")
    (folder / "figures.py").write_text("import study_of_somebody.sweep\n")
    monkeypatch.syspath_prepend(tmp_path)

    def code():
        manifest.fingerprint.cache_clear()
        return manifest.fingerprint("study_of_somebody.sweep")

    first = code()
    for name, matters in (("deeper", True), ("analysis", True), ("figures", False)):
        path = folder / f"{name}.py"
        path.write_text(path.read_text() + "# another version\n")
        assert (code() != first) == matters
        first = code()


@pytest.mark.parametrize("name", protocol.names())
def test_figures_of_a_study_do_not_make_its_cells_stale(name):
    """What is drawn and printed is in no file that cells depend on, and what a solve imports is in one."""
    study = protocol.find(name)
    found = manifest.sources(*study.modules)
    names = {file.name for file in found if "experiments" in file.parts}
    assert {"protocol.py", "sweep.py"} <= names
    assert not names & {"analysis.py", "figures.py", "report.py", "style.py", "statistics.py", "study.py", "runner.py"}
    assert {"kernel_plan.py", "td.py"} <= {file.name for file in found}
    assert not {"plotting", "cli"} & {file.parent.name for file in found}
