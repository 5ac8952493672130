"""The quickstart in its small size: it holds, it repeats, it resumes; and its oracle is right where one can tell."""

import csv
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import protocol, runner
from experiments.policy_iteration import optimal_policy
from experiments.quickstart import analysis, exact, family

ROOT = Path(__file__).resolve().parents[2]


def start(out, *options):
    command = [sys.executable, "-m", "experiments", "run", "quickstart", "--quick", "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole run, and the folder it wrote."""
    out = tmp_path_factory.mktemp("results")
    done = start(out)
    assert done.returncode == 0, done.stderr
    return done, out / "quickstart"


def contents(folder):
    """All files but the store and the times."""
    kept = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".sqlite" and p.name != "times.csv"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def test_every_check_holds_and_the_report_says_so(finished):
    done, folder = finished
    found = re.search(r"(\d+) of (\d+) checks hold", done.stdout)
    assert found and found[1] == found[2]
    report = (folder / "report.md").read_text()
    assert f"All {found[1]} checks hold" in report
    for name in ("returns", "maps", "bounds"):
        assert f"({name}.png)" in report
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_table_is_sorted_and_its_intervals_hold_the_exact_values(finished):
    _, folder = finished
    with open(folder / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cell"] for row in rows] == sorted(row["cell"] for row in rows)
    assert {row["cell"].split("-")[0] for row in rows} == {"lake", "cliff"}
    for row in rows:
        assert float(row["W1 to the exact law"]) <= float(row["certificate"])
        for name in analysis.NAMES:
            if row[f"{name} exact"]:  # the oracle knows all of the law that matters
                slack = 1e-6 * max(1.0, abs(float(row[name])))
                low, high = float(row[f"{name} low"]) - slack, float(row[f"{name} high"]) + slack
                assert low <= float(row[f"{name} exact"]) <= high


def test_manifest_says_what_was_run(finished):
    manifest = json.loads((finished[1] / "manifest.json").read_text())
    assert manifest["arguments"] == {"size": "quick", "seed": 0}
    assert manifest["command"] == "python -m experiments run quickstart --quick --seed 0"
    assert {"distrl", "numpy", "python"} <= manifest["versions"].keys()
    assert len(manifest["cells"]) == len(pd.read_csv(finished[1] / "times.csv"))


def test_resumed_run_is_bit_equal(finished):
    _, folder = finished
    before = contents(folder)
    with sqlite3.connect(folder / "cells.sqlite") as store:
        store.execute("delete from cells where cell = 'lake-uniform-0051'")
        store.execute("update cells set result = substr(result, 1, 500) where cell = 'cliff-optimal'")
    done = start(folder.parent, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr  # and no other cell
    assert contents(folder) == before


def test_failed_check_ends_with_status_1(finished, monkeypatch, capsys):
    import experiments.__main__ as program

    said = protocol.Report([["cell"], ["one"]], [protocol.Check("two is one", False, "2 <= 1")])
    monkeypatch.setattr(runner, "run", lambda *_, **__: said)
    with pytest.raises(SystemExit) as end:
        program.app(["run", "quickstart"], standalone_mode=True)
    assert end.value.code == 1
    assert "FAILED two is one: 2 <= 1" in capsys.readouterr().out


def test_wrong_name_is_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "run", "slowstart"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert done.stderr.startswith("experiments: there is no experiment 'slowstart'; there are: allocation, anytime, ")
    assert done.stderr.count("\n") == 1


def test_list_names_the_experiments():
    done = subprocess.run([sys.executable, "-m", "experiments", "list"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == protocol.names()


@pytest.mark.parametrize("environment", list(family.ENVIRONMENTS))
def test_optimal_policy_cannot_be_improved(environment):
    mdp = family.model(environment)
    policy = optimal_policy(mdp)
    table = family.table(environment)
    best, _ = exact.moments(table, policy, mdp.discount)
    for state, actions in table.items():
        for outcomes in actions.values():
            value = sum(p * (r + (0.0 if ends else mdp.discount * best[y])) for p, y, r, ends in outcomes)
            assert value <= best[state] + 1e-9


def test_cliff_walk_of_the_optimal_policy_takes_thirteen_steps():
    policy = optimal_policy(family.model("CliffWalking-v1"))
    law = exact.cliff_walking_law(family.table("CliffWalking-v1"), policy, -200)
    assert law[36, 200 - 13] == 1.0


@pytest.mark.parametrize(("environment", "policy"), [("FrozenLake-v1", "uniform"), ("CliffWalking-v1", "careless")])
def test_oracle_laws_have_the_oracle_moments(environment, policy):
    mdp, table = family.model(environment), family.table(environment)
    probabilities = family.policy(mdp, policy)
    if environment == "FrozenLake-v1":
        values, weights = exact.frozen_lake_law(table, probabilities, mdp.discount)
    else:
        values, weights = np.arange(-2500, 1.0), exact.cliff_walking_law(table, probabilities, -2500)
    mean, sd = exact.moments(table, probabilities, mdp.discount)
    np.testing.assert_allclose(weights @ values, mean, rtol=1e-10, atol=1e-12)
    spread = np.sqrt(np.maximum((weights * (values - mean[:, None]) ** 2).sum(axis=1), 0.0))
    np.testing.assert_allclose(spread, sd, rtol=1e-8, atol=1e-8)


def test_oracle_tail_of_a_die():
    quantile, cvar = exact.lower_tail(np.arange(1.0, 7.0), np.full((1, 6), 1 / 6), 0.25)
    assert quantile[0] == 2.0
    assert cvar[0] == pytest.approx((1 / 6 * 1 + 1 / 12 * 2) / 0.25)
