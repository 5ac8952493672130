"""What a user's type checker sees of an installed distrl: by the editable install of the README, and by a wheel."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
USER = """
from typing import assert_type

import numpy as np

import distrl
from distrl import td

mrp = distrl.MRP([[1.0]], [1.0], 0.5)
solution = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(atoms=11))
assert_type(solution, distrl.Solution[distrl.CategoricalReturns])
masses = solution.returns.probs.sum()
bound = solution.certificate.w1.max()
assert_type(distrl.evaluate(mrp, distrl.QuantileDP(5)).returns, distrl.QuantileReturns)
assert_type(distrl.evaluate(mrp, distrl.ParticleDP(5)).returns, distrl.ParticleReturns)

run = distrl.learn(mrp, distrl.CategoricalTD(atoms=11), updates=3, rng=0)
assert_type(run.final, distrl.CategoricalReturns)
assert_type(distrl.learn(mrp, distrl.QuantileTD(5), updates=3).final, distrl.QuantileReturns)
assert_type(distrl.learn(mrp, distrl.TD(), updates=3).final, td.ValueEstimates)

estimate = distrl.estimate(mrp, distrl.CategoricalFixedPoint(atoms=11), samples_per_state=3, rng=0)
assert_type(estimate, distrl.Estimate[distrl.CategoricalReturns])
assert_type(distrl.estimate(mrp, distrl.CategoricalTD(atoms=11), rng=0).returns, distrl.CategoricalReturns)
interval = estimate.interval(distrl.CVaR(0.1)).shape


class Halves:
    def solve(self, model: distrl.MRP, call: distrl.dp.Call) -> distrl.Solution[distrl.ParticleReturns]:
        laws = distrl.ParticleReturns(np.zeros((model.n_states, 2)))
        return distrl.Solution.of(laws, model, self, call, status=distrl.Status.CONVERGED)


assert_type(distrl.evaluate(mrp, Halves()).returns, distrl.ParticleReturns)
"""
WRONG = """
import distrl

solution = distrl.evaluate(distrl.MRP([[1.0]], [1.0], 0.5), distrl.QuantileDP(5))
solution.returns.probs
distrl.evaluate(1, distrl.QuantileDP(5))
distrl.learn(distrl.MRP([[1.0]], [1.0], 0.5), distrl.QuantileDP(5))
"""


def installed_here() -> bool:
    """Whether this interpreter's distrl is the editable install of this checkout.

    The build leaves a folder of metadata in the checkout itself, which hides the installed one where the checkout comes
    first in the path: all that bear the name are looked at.
    """
    for known in importlib.metadata.distributions(name="distrl"):
        found = json.loads(known.read_text("direct_url.json") or "{}")
        if found.get("dir_info", {}).get("editable") and found.get("url") == ROOT.as_uri():
            return True
    return False


def checked(text: str, folder: pathlib.Path, python: str) -> subprocess.CompletedProcess[str]:
    """`mypy --strict` on a user's file, in a folder that knows nothing of this checkout."""
    pytest.importorskip("mypy")
    (folder / "user.py").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "user.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def judge(folder: pathlib.Path, python: str) -> None:
    right = checked(USER, folder, python)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = checked(WRONG, folder, python)
    lines = {line.split(":")[1] for line in wrong.stdout.splitlines() if " error: " in line}
    assert lines == {"5", "6", "7"}, wrong.stdout + wrong.stderr


@pytest.mark.slow
def test_the_editable_install_is_seen_by_type_checkers(tmp_path: pathlib.Path):
    if not installed_here():
        pytest.skip("this interpreter has another distrl; `make test` installs this one")
    judge(tmp_path, sys.executable)


@pytest.mark.slow
def test_the_wheel_is_seen_by_type_checkers(tmp_path: pathlib.Path):
    built = tmp_path / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached to build a wheel")
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = pathlib.Path(subprocess.check_output([python, "-c", where], text=True).strip())
    with zipfile.ZipFile(next(built.glob("distrl-*.whl"))) as wheel:
        wheel.extractall(site)
    assert (site / "distrl" / "py.typed").is_file()
    # what distrl needs, from this interpreter; the wheel comes first
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    judge(folder, str(python))
