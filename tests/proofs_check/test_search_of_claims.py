"""The checker itself: readings, instances, verdicts, the command."""

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import distrl
from proofs_check import claim as claim_module
from proofs_check import claims as folder
from proofs_check import mutations, report, runner
from proofs_check.__main__ import app
from proofs_check.case import Case
from proofs_check.claim import REGISTER, Claim, Reading, claim, claims, find
from proofs_check.families import models, on_grid, structured_models
from proofs_check.search import MUTATION, QUICK, Hunt, Result, keep

ROOT = pathlib.Path(__file__).parents[2]


def _claim(measure, **attributes):
    texts = dict.fromkeys(("statement", "latex", "source", "evidence", "measured", "bound"), "-")
    return Claim(
        **{
            "id": "-",
            "expected": "holds",
            "module": "proofs_check.claims.own",
            "measure": measure,
            **texts,
            **attributes,
        }
    )


@pytest.mark.fast
def test_fractions_are_compared_exactly():
    third, tiny = Fraction(1, 3), Fraction(1, 10**30)
    assert not Reading(third, third).violated
    assert Reading(third + tiny, third).violated
    assert not Reading(third + tiny, third, slack=tiny).violated
    assert Reading(third - tiny, third, equal=True).violated


@pytest.mark.fast
def test_nan_is_a_violation():
    assert Reading(math.nan, 1.0).violated
    assert Reading(np.array([0.0, math.nan]), 1.0).violated
    assert Reading(math.nan, 1.0, equal=True).violated


@pytest.mark.fast
def test_room_counts_against_the_ratio():
    assert Reading(1.0, 1.0, slack=1e-12).ratio == 1.0
    assert Reading(1.0, 1.0, slack=1.0).ratio == 0.5
    assert Reading(1.0, 1.0, counts=False).ratio == 0.0
    assert Reading(np.array([1.0, 3.0]), np.array([2.0, 4.0])).ratio == 0.75


@given(case=on_grid(2).strategy)
def test_cases_survive_json(case):
    again = Case.from_json(json.loads(json.dumps(case.to_json())))
    assert again.to_json() == case.to_json() and str(again) == str(case)


@given(case=on_grid(1, particles=3).strategy, seed=st.integers(0, 1000))
def test_moved_cases_are_valid_and_stay_where_nothing_moves(case, seed):
    step = np.random.default_rng(seed).normal(size=case.dimension)
    moved = case.moved(step)
    assert moved.model.n_states == case.model.n_states
    assert np.allclose(moved.weights[0].sum(axis=1), 1.0)
    still = case.moved(np.zeros(case.dimension))
    assert np.allclose([row[1] for row in still.rows], [row[1] for row in case.rows])
    assert math.isclose(still.discount, case.discount, rel_tol=1e-12, abs_tol=1e-300)


def test_a_false_claim_is_refuted_by_a_shrunk_instance():
    def measure(case):
        return Reading(max(abs(row[3]) for row in case.rows), 3.0)

    result = Hunt(_claim(measure, family=models().strategy), QUICK).run(kept=None)
    assert result.verdict == "refuted" and not result.as_expected
    assert result.measured == 4.0  # the smallest reward of the family that breaks it


def test_search_climbs_to_the_largest_ratio():
    def measure(case):
        return Reading(1.0 / (1.0 + (case.rows[0][3] - math.pi) ** 2), 1.0)

    result = Hunt(_claim(measure, family=models(states=1).strategy), QUICK).run(kept=None)
    assert result.verdict == "holds" and result.ratio > 0.99


def test_nothing_measured_is_undecided():
    result = Hunt(_claim(lambda case: None, structured=structured_models), QUICK).run(kept=None)
    assert result.verdict == "undecided" and "premises" in result.reason


def test_an_error_is_undecided_and_told():
    def measure(case):
        raise ZeroDivisionError("as if the library had failed")

    result = Hunt(_claim(measure, structured=structured_models), QUICK).run(kept=None)
    assert result.verdict == "undecided" and "as if the library had failed" in result.reason


def test_a_broken_guard_is_no_refutation():
    def measure(case):
        return Reading(2.0, 1.0, counts=False)

    result = Hunt(_claim(measure, expected="refuted", structured=structured_models), QUICK).run(kept=None)
    assert result.verdict == "undecided" and "disagree" in result.reason


def test_kept_instances_are_replayed_first(tmp_path):
    seen = []

    def measure(case):
        seen.append(case.rows)
        return Reading(1.0, 2.0)

    claim = _claim(measure, id="replayed")
    case = Case(((0, 1.0, 0, 0.125, True),), 0.5)
    keep(Result(claim, verdict="holds", case=case), tmp_path)
    assert Hunt(claim, QUICK).run(kept=tmp_path).instances == 1 and seen == [case.rows]


def test_finished_claims_are_taken_up_again(tmp_path, monkeypatch):
    chosen = [find("formal-mean-preservation"), find("mean-below-w1")]
    first = runner.run(chosen, QUICK, store=tmp_path)
    monkeypatch.setattr(runner, "hunt", lambda *arguments: pytest.fail("searched again"))
    second = runner.run(chosen, QUICK, store=tmp_path)
    assert [runner.to_json(result) for result in first] == [runner.to_json(result) for result in second]


def test_command_writes_verdicts(tmp_path):
    file = tmp_path / "verdicts.json"
    arguments = ["--quick", "--claim", "projection-w2-nonexpansion", "--json", str(file)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "grid" in outcome.output  # the counterexample
    (entry,) = json.loads(file.read_text())
    assert set(entry) == {"id", "source", "expected", "verdict", "instances", "ratio"}
    assert entry["verdict"] == entry["expected"] == "refuted"


def test_command_names_what_is_wrong(tmp_path):
    for arguments in (["--claim", "no-such-claim"], ["--profile", "lazy"], ["show", "no-such-claim"]):
        assert CliRunner().invoke(app, arguments).exit_code == 2


def test_command_shows_a_claim():
    outcome = CliRunner().invoke(app, ["show", "fixed-point-w1"])
    assert outcome.exit_code == 0 and "theory.fixed_point_w1" in outcome.output and "sqrt" in outcome.output


def test_report_has_every_claim(tmp_path):
    results = runner.run([find("pythagoras"), find("cvar-time-consistent")], MUTATION)
    report.write(results, MUTATION, tmp_path)
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for result in results:
        assert result.claim.id in page and result.claim.id in text and result.verdict in text
    assert (tmp_path / "cdrl18.png").stat().st_size > 1000


ATTRIBUTES = {
    "statement": "Returns are at most the largest reward over 1 - g.",
    "latex": r"V\le\max|r|/(1-\gamma)",
    "source": "a geometric series",
    "evidence": "derived",
    "measured": "|means|",
    "bound": "the largest reward over 1 - g",
}
TITLE = "Claims of somebody else"


@pytest.fixture
def own_register(monkeypatch):
    """What a test registers is gone after it."""
    claims()
    monkeypatch.setattr(claim_module, "REGISTER", dict(REGISTER))


def test_a_claim_from_outside_is_found_hunted_and_reported(tmp_path, own_register):
    @claim("means-below-rewards", family=models(states=2, mild=True), **ATTRIBUTES)
    def means_below_rewards(case):
        """Rewards are discounted."""
        largest = max(abs(row[3]) for row in case.rows) / (1.0 - case.discount)
        yield Reading(np.abs(distrl.evaluate(case.model, distrl.Moments(1)).values), largest, 1e-9 * (1.0 + largest))

    entry = find("means-below-rewards")
    assert claims()[-1] is entry and entry.why == "Rewards are discounted."
    assert entry.searched == "processes of up to 2 states, discounts up to .8"
    result = Hunt(entry, MUTATION).run(kept=None)
    assert result.as_expected and result.instances > 0
    report.write([result], MUTATION, tmp_path)
    assert f"## {TITLE}\n" in (tmp_path / "report.md").read_text()


def test_a_paper_in_the_folder_is_found_by_itself(tmp_path, monkeypatch, own_register):
    (tmp_path / "sutton88.py").write_text(
        "from proofs_check.claim import Reading, claim\n"
        "from proofs_check.families import structured_models\n"
        "TITLE = 'Sutton 1988'\n"
        f"@claim('one-is-below-two', structured=structured_models, **{ATTRIBUTES})\n"
        "def one_is_below_two(case):\n"
        "    return Reading(1.0, 2.0)\n"
    )
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    assert claims()[-1].id == "one-is-below-two" and list(claim_module.papers().items())[-1][1] == "Sutton 1988"
    del sys.modules["proofs_check.claims.sutton88"]


def test_a_wrong_keyword_and_a_used_id_are_errors(own_register):
    with pytest.raises(TypeError, match="statment"):
        claim("new", statment="a typo", **ATTRIBUTES)
    with pytest.raises(ValueError, match="two claims are called pythagoras"):
        claim("pythagoras", **ATTRIBUTES)(lambda case: None)


def test_papers_do_not_borrow_from_each_other():
    root = ROOT / "proofs_check" / "claims"
    for file in root.rglob("*.py"):
        paper = file.relative_to(root).parts[0].removesuffix(".py")
        borrowed = re.findall(r"proofs_check\.claims\.(\w+)", file.read_text(encoding="utf-8"))
        assert set(borrowed) <= {paper}, file


def test_unexpected_verdicts_fail_the_command(monkeypatch):
    wrong = Result(find("pythagoras"), verdict="refuted", instances=1)
    monkeypatch.setattr(runner, "run", lambda *arguments, **options: [wrong])
    outcome = CliRunner().invoke(app, ["--claim", "pythagoras"])
    assert outcome.exit_code == 1 and "UNEXPECTED" in outcome.output


SOME = (
    "neighbour-weights-swapped",
    "discount-twice",
    "tau-half-a-step-up",
    "td-next-state-reused",
    "dkw-halved",
    "best-action-at-each-knot",
    "finite-sample-radii-a-tenth",
    "policy-weight-cubed",
    "replications-share-a-seed",
    "reward-noise-repeats",
)


@pytest.mark.parametrize("name", SOME)
def test_planted_faults_are_caught(name):
    fault = next(fault for fault in mutations.FAULTS if fault.name == name)
    assert mutations.catchers(fault)
    assert not [id for id in fault.near if not Hunt(find(id), MUTATION).run(kept=None).as_expected], "left behind"


def test_faults_have_names_and_claims():
    assert len({fault.name for fault in mutations.FAULTS}) == len(mutations.FAULTS) >= 20
    assert all(find(id) for fault in mutations.FAULTS for id in fault.near)


def test_a_fault_in_an_installed_copy_fails_the_command(tmp_path):
    for package in ("distrl", "proofs_check"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "instances"))
    source = tmp_path / "distrl" / "operators" / "kernel_plan.py"
    text = source.read_text(encoding="utf-8")
    right = "read_at=(read_reward + np.repeat(factor[starts], read_counts) * grid.low - grid.low) / grid.spacing"
    assert right in text
    source.write_text(text.replace(right, right.replace("+ np.repeat", "- np.repeat")), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "proofs_check", "--quick", "--claim", "categorical-definition"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "UNEXPECTED" in done.stdout
