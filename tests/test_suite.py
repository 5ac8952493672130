"""The suite itself: the same examples wherever it runs, nightly parts that are not lost, repetitions that are told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

DRAWING = """
import os
from hypothesis import example, given, strategies as st

@given(st.floats(), st.integers(), st.text(), st.lists(st.sampled_from(sorted("abc"))))
def test_draws(a, b, c, d):
    with open(os.environ["DRAWN"], "a", encoding="utf-8") as out:
        print(repr((a, b, c, d)), file=out)
"""
#: A module of the folder: Hypothesis would try the constants of whatever is loaded.
ODD = "CONSTANTS = (1.2345678e-7, 987654321, 'an odd text')\n"


def drawn(tmp_path, name, first="", **environment):
    """What a test draws in a folder of its own, with our conftest."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "odd.py").write_text(ODD)
    (folder / "test_drawing.py").write_text(first + DRAWING)
    out = folder / "drawn.txt"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HYPOTHESIS", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "test_drawing.py"],
        cwd=folder,
        env={**kept, "DRAWN": str(out), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out.read_text(encoding="utf-8")


@pytest.mark.nightly
def test_examples_depend_on_the_test_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    plain = drawn(tmp_path, "plain", PYTHONHASHSEED="0")
    assert len(plain.splitlines()) == 50
    again = drawn(tmp_path, "again", PYTHONHASHSEED="12345", TZ="Pacific/Chatham", HOME=str(home), CI="1")
    assert again == plain
    # another module of ours happens to be loaded
    assert drawn(tmp_path, "loaded", "import odd\n") == plain


@pytest.mark.nightly
def test_the_nightly_profile_draws_others(tmp_path):
    assert drawn(tmp_path, "one") != drawn(tmp_path, "night", HYPOTHESIS_PROFILE="nightly")


def test_what_is_marked_nightly_runs_in_the_nightly_alone(tmp_path):
    shutil.copy(HERE / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    nightly: long\n")
    (tmp_path / "test_long.py").write_text("import pytest\n\n@pytest.mark.nightly\ndef test_long():\n    pass\n")
    for profile, status, words in (("default", 5, "1 deselected"), ("nightly", 0, "1 passed")):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"],
            cwd=tmp_path,
            env={**os.environ, "HYPOTHESIS_PROFILE": profile},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status and words in done.stdout, done.stdout


@pytest.fixture
def checkout(tmp_path):
    """A small project with our scripts, one file that draws and fails, and one that passes."""
    tests = tmp_path / "project" / "tests"
    tests.mkdir(parents=True)
    for name in ("conftest.py", "nightly.py", "repeat.py", "run.py"):
        shutil.copy(HERE / name, tests)
    (tests / "test_fails.py").write_text(
        "from hypothesis import given, strategies as st\n\n\n"
        "@given(st.integers(), st.booleans())\ndef test_small(number, flag):\n    assert number < 1000\n"
    )
    (tests / "test_passes.py").write_text(
        "import pytest\nfrom hypothesis import given, strategies as st\n\n\n@pytest.mark.fast\n"
        "@given(st.integers())\ndef test_any(number):\n    assert number == number\n"
    )
    (tests.parent / "pytest.ini").write_text("[pytest]\nmarkers =\n    fast: fast\n    nightly: long\n")
    return tests.parent


def script(checkout, name, *arguments):
    return subprocess.run(
        [sys.executable, f"tests/{name}.py", *arguments], cwd=checkout, capture_output=True, text=True
    )


@pytest.mark.nightly
def test_a_nightly_find_is_an_example_and_a_killed_run_goes_on(checkout):
    first = script(checkout, "nightly", "--folder", "found")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "@example(number=1000, flag=False)" in first.stdout
    record = checkout / "found" / "parts.jsonl"
    lines = record.read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["tests/test_fails.py", "tests/test_passes.py"]
    # the kill came while the second part was written
    record.write_text(lines[0] + "\n" + lines[1][:20])
    second = script(checkout, "nightly", "--folder", "found")
    assert "2 parts, 1 done before" in second.stdout and "test_fails.py, round" not in second.stdout
    assert second.returncode == 1 and "2 of 2 parts" in second.stdout and "1 finds" in second.stdout
    # nothing is left to do, and another seed begins anew
    assert "2 parts, 2 done before" in script(checkout, "nightly", "--folder", "found").stdout
    assert "1 parts, 0 done before" in script(checkout, "nightly", "--seed", "1", "tests/test_passes.py").stdout


@pytest.mark.slow
def test_a_nightly_run_without_time_stops_and_says_where(checkout):
    done = script(checkout, "nightly", "--minutes", "0", "tests/test_passes.py")
    assert done.returncode == 0 and "time is up during tests/test_passes.py" in done.stdout
    assert not (checkout / "build" / "nightly" / "parts.jsonl").exists()


@pytest.mark.nightly
def test_repetitions_run_what_is_committed_elsewhere_and_are_counted(checkout, tmp_path):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    log = tmp_path / "log.txt"
    passing = script(checkout, "repeat", "2", "--log", str(log), "--", "tests/test_passes.py")
    assert passing.returncode == 0, passing.stdout
    assert "2 of 2 runs passed" in passing.stdout and passing.stdout.count("1 passed") == 6
    assert "jobs='1'" in passing.stdout and "jobs='2'" in passing.stdout
    assert log.read_text().count("NUMBA_DISABLE_JIT=1 ===") == 2
    failing = script(checkout, "repeat", "1", "--", "tests/test_fails.py")
    assert failing.returncode == 1 and "0 of 1 runs passed" in failing.stdout
