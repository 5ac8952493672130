"""The studies in their small size, and what they share: problems with their exact laws, statistics, tables, pages."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import distrl
import experiments
from experiments import files, manifest, problems, protocol, runner, statistics, study

ROOT = Path(__file__).resolve().parents[2]


def call(*words):
    return subprocess.run([sys.executable, "-m", "experiments", *words], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_run_all_quick(tmp_path):
    """One run for all of it: every study ends well and leaves what it should."""
    done = call("run", "all", "--quick", "--jobs", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all experiments, size quick: about" in done.stderr  # said before it starts
    for name in protocol.names():
        folder = tmp_path / name
        table = pd.read_csv(folder / "table.csv")
        assert not {"seconds", "time", "date", "elapsed"} & set(table)
        assert table["cell"].tolist() == sorted(table["cell"])
        cells = protocol.find(name).cells("quick")
        assert set(table["cell"]) == {cell.name for cell in cells}
        assert set(pd.read_csv(folder / "times.csv")["cell"]) == {cell.name for cell in cells}
        record = json.loads((folder / "manifest.json").read_text())
        assert record["arguments"] == {"seed": 0, "size": "quick"} and len(record["cells"]) == len(cells)
        page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
        figures = re.findall(r"!\[\w+\]\((\w+)\.png\)", text)
        assert figures and page.count("data:image/png;base64,") == len(figures)
        assert not re.search(r'(src|href)="(?!data:)', page)  # nothing is beside the page
        assert record["code"] in page
        for figure in figures:
            assert (folder / f"{figure}.png").stat().st_size > 10_000
            assert (folder / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
            if name != "quickstart":
                assert (folder / f"{figure}.txt").read_text().strip() in text
        if name != "quickstart":
            findings = text.split("## Findings")[1].split("## Table")[0]
            assert len(findings) > 200 and "nan" not in findings.split()
            assert "**FAILS**" not in text
    status = call("status", "--out", str(tmp_path)).stdout
    assert all(re.search(rf"{name} +quick (\d+)/\1,", status) for name in protocol.names())
    before = (tmp_path / "minimax" / "table.csv").read_bytes()
    (tmp_path / "minimax" / "table.csv").unlink()
    assert call("report", "minimax", "--out", str(tmp_path)).returncode == 0
    assert (tmp_path / "minimax" / "table.csv").read_bytes() == before
    assert "rates.pdf" in call("plot", "minimax", "--out", str(tmp_path)).stdout
    assert call("clean", "minimax", "--all", "--out", str(tmp_path)).returncode == 0
    assert not (tmp_path / "minimax").exists()


@pytest.mark.parametrize("name", protocol.names())
@pytest.mark.parametrize("size", protocol.SIZES)
def test_cells_have_stable_ids_and_json_arguments(name, size):
    experiment = protocol.find(name)
    cells = experiment.cells(size)
    assert len({cell.name for cell in cells}) == len(cells) > 0
    json.dumps([dict(cell.arguments) for cell in cells])
    assert experiment.seconds[size] > 0 and experiment.description


SWEEP = """
import numpy as np
from experiments.protocol import Cell, columns

def cells(size):
    return [Cell(f"die-{sides}", {"sides": sides}) for sides in (6, 20)]

def solve(cell, seed):
    sides = cell.arguments["sides"]
    drawn = np.random.default_rng(seed).integers(1, sides + 1, 500)
    return columns([{"sides": sides, "mean": drawn.mean()}])
"""
ANALYSIS = """
from experiments.protocol import Check

TITLE, INTRODUCTION = "Dice", "Means of 500 throws."

def summary(frame):
    return frame[["sides", "mean"]]

def findings(frame):
    return "They are dice."

def checks(frame):
    return [Check("means are near", bool((abs(frame["mean"] - (frame["sides"] + 1) / 2) < 2).all()), "")]

def figures(frame):
    return {}
"""
PACKAGE = """
from experiments.dice import analysis, sweep
from experiments.study import study

EXPERIMENT = study(sweep, analysis, "dice", dict.fromkeys(("quick", "default", "full"), 1.0))
"""


def test_a_study_of_ones_own_is_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "code" / "dice"
    folder.mkdir(parents=True)
    for name, text in {"__init__": PACKAGE, "sweep": SWEEP, "analysis": ANALYSIS}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path / "code")])
    assert "dice" in protocol.names()
    experiment = protocol.find("dice")
    assert folder / "sweep.py" in manifest.sources(*experiment.modules)
    said = runner.run(experiment, tmp_path / "out", size="quick")
    assert said.headline[0] == ["sides", "mean"] and all(check.holds for check in said.checks)
    assert pd.read_csv(tmp_path / "out" / "table.csv")["sides"].tolist() == [20, 6]
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Dice")
    for name in [name for name in sys.modules if name.startswith("experiments.dice")]:
        del sys.modules[name]


def test_report_of_nothing_is_a_sentence(tmp_path):
    done = call("report", "minimax", "--out", str(tmp_path))
    assert done.returncode == 2 and "holds no finished run" in done.stderr and "Traceback" not in done.stderr


def test_two_sizes_at_once_are_refused():
    done = call("run", "minimax", "--quick", "--full")
    assert done.returncode == 2 and "two sizes" in done.stderr


@pytest.mark.parametrize("name", ["chain", "hard"])
@pytest.mark.parametrize("discount", [0.6, 0.9])
def test_closed_forms_agree_with_a_certified_fixed_point(name, discount):
    model = problems.problem(name, discount)
    exact, bound = problems.truth(name, model)
    solution = distrl.evaluate(model, distrl.CategoricalFixedPoint(2001))
    assert (distrl.wasserstein(solution.returns, exact) <= solution.certificate.w1 + bound).all()
    np.testing.assert_allclose(exact.mean(), distrl.evaluate(model, distrl.Moments(1)).values, rtol=1e-10)


@pytest.mark.parametrize("name", ["high-random", "low-random", "two-state"])
def test_truth_is_within_its_bound_of_a_finer_one(name):
    model = problems.problem(name, 0.8, 1)
    coarse, bound = problems.truth(name, model, relative=1e-2)
    fine, finer = problems.truth(name, model, relative=1e-3)
    assert finer < bound
    assert distrl.wasserstein(coarse, fine).max() <= bound + finer


def test_interval_of_normal_means_is_the_textbook_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = statistics.mean(values)
    ends = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(found, [values.mean(), ends.low, ends.high], rtol=1e-12)
    assert statistics.mean([2.0] * statistics.FEWEST) == (2.0, 2.0, 2.0)


def test_too_few_units_have_an_estimate_and_no_interval():
    few = [1.0, 2.0, 4.0]
    for found in (statistics.mean(few), statistics.geometric(few), statistics.ratio(few, [1.0] * 3)):
        assert np.isnan(found.low) and np.isnan(found.high) and not found.excludes(100.0)
        assert "[" not in found.text()
    assert np.isnan(statistics.slope([1.0, 2.0], [few[:2]] * 3).low)
    assert statistics.geometric(few).estimate == pytest.approx(2.0)
    assert statistics.geometric([1.0, 0.0, 2.0]).estimate == 0.0


def test_wider_intervals_at_the_joint_level():
    values = np.random.default_rng(0).normal(size=50)
    assert statistics.each_level(0.95, 10) == pytest.approx(0.995)
    one, joint = statistics.mean(values), statistics.mean(values, level=statistics.each_level(0.95, 10))
    assert joint.low < one.low and one.high < joint.high


def test_ratio_of_paired_units():
    base = np.random.default_rng(0).exponential(size=30)
    found = statistics.ratio(3.0 * base, base)
    np.testing.assert_allclose(found, 3.0)
    assert found.excludes(1.0) and not statistics.ratio(base, base).excludes(1.0)


def test_slope_of_a_power_law_is_its_exponent():
    x = [10.0, 100.0, 1000.0]
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (40, 1))
    found = statistics.slope(x, noise * np.array(x) ** -0.5)
    np.testing.assert_allclose(found, -0.5, rtol=1e-9)
    noisy = statistics.slope(x, np.array(x) ** -0.5 * np.random.default_rng(1).uniform(0.5, 1.5, (40, 3)))
    assert noisy.low < noisy.estimate < noisy.high and abs(noisy.estimate + 0.5) < 0.1


def test_units_are_mrps_where_there_are_several():
    frame = pd.DataFrame({"mrp": [0, 0, 1, 1], "replication": [0, 1, 0, 1], "w": [1.0, 3.0, 5.0, 7.0], "N": [1] * 4})
    assert study.units(frame, "w", "N")[1].tolist() == [2.0, 6.0]
    assert study.units(frame[frame["mrp"] == 0], "w", "N")[1].tolist() == [1.0, 3.0]


def test_bounded_names_the_tightest_row():
    good, bad = study.bounded("a", [1.0, 2.0], [4.0, 3.0]), study.bounded("a", [1.0, 2.0], [4.0, 1.9])
    assert good.holds and "2 <= 3" in good.detail
    assert not bad.holds and "2 <= 1.9" in bad.detail


def test_columns_and_back():
    rows = [{"name": "x", "value": 0.1}, {"name": "longer", "value": 2.0}]
    frame = study.frame_of({"b": protocol.columns(rows), "a": protocol.columns(rows[:1])})
    assert frame.to_dict("records") == [
        {"cell": c, **row} for c, row in (("a", rows[0]), ("b", rows[0]), ("b", rows[1]))
    ]


def test_nothing_half_written_is_left(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "whole")

    def fail_halfway():
        with files.replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "whole"
