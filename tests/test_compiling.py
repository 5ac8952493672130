"""What a first call compiles, that it is said, and that results leave it out of the time they took."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

import distrl
import distrl._kernels
from distrl._compiling import NOTE, watch

ROOT = Path(distrl.__file__).resolve().parent.parent
MODEL = distrl.MRP([[0.5, 0.5], [0.2, 0.8]], [1.0, 0.0], 0.9)
#: What no verb needs: operators for people who study them, variants of a learner, matrices of continuous laws, files.
NOT_OF_VERBS = {
    "banded.eliminate",
    "csv_text.number_texts",
    "csv_text.read_cells",
    "enclosure.cdf_each",
    "enclosure.window_mass",
    "graph.match_neighbours",
    "influence.pull_law",
    "krylov.extrapolate",
    "lattice.close_up",
    "laws.add_image",
    "outcomes.ascend",
    "outcomes.fill_outcomes",
    "outcomes.mark_absorbing",
    "stochastic.apply_covariance",
    "stochastic.local_covariance",
    "stochastic.push_draws",
    "stochastic.unroll",
    "table_sort.order_by_source",
    "table_sort.sort_within",
    "target_learning.least",
    "target_learning.left",
    "target_learning.renew_losses",
    "target_learning.start_target",
    "td.choose",
    "td.renew_recentred",
    "td.renew_speedy",
    "text.more_names",
    "text.read_drn",
    "text.read_labels",
    "text.read_table",
    "text.survey",
}

jit = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")


def in_a_new_process(code, tmp_path, **environment):
    """Run code with an empty cache folder of kernels."""
    extra = {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **extra}, capture_output=True, text=True, cwd=tmp_path
    )


SOLVE = """
import logging
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
from numba.core import event

class Names(event.Listener):
    def __init__(self):
        self.names = []
    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        self.names.append(f"{function.__module__}.{function.__name__}")
    def on_end(self, event):
        pass

names = Names()
event.register("numba:compile", names)
import distrl
model = distrl.MRP([[0.5, 0.5], [0.2, 0.8]], [1.0, 0.0], 0.9)
first = distrl.evaluate(model, distrl.CategoricalFixedPoint(21))
second = distrl.evaluate(model, distrl.CategoricalFixedPoint(21))
print(first.elapsed < 0.5 * first.compiled, first.compiled > 0.1, second.compiled == 0.0)
print("to compile, once" in first.summary(), "to compile" in second.summary())
distrl.learn(model, distrl.QuantileTD(101), updates=3)
print(sorted({name for name in names.names if name.startswith("numba.cpython.unicode")}))
"""


@jit
@pytest.mark.slow
def test_a_first_call_says_that_it_compiles_and_its_time_is_that_of_the_work(tmp_path):
    done = in_a_new_process(SOLVE, tmp_path)
    assert done.returncode == 0, done.stderr
    times, summaries, text_processing = done.stdout.splitlines()
    assert times == "True True True"
    assert summaries == "True False"
    # an array assigned to a slice or a row makes Numba compile the text of an error, for two seconds
    assert text_processing == "[]"
    assert done.stderr.count(NOTE) == 1 and f"INFO distrl: {NOTE}" in done.stderr


@jit
@pytest.mark.nightly
def test_the_command_line_says_that_it_compiles_and_later_that_it_does_not(tmp_path):
    distrl.save(MODEL, tmp_path / "model.npz")
    run = "import sys; from distrl.cli import main; sys.argv = ['distrl', *{}]; main()"
    first = in_a_new_process(run.format(["evaluate", "model.npz"]), tmp_path)
    second = in_a_new_process(run.format(["evaluate", "model.npz"]), tmp_path)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stderr == f"distrl: note: {NOTE}\n" and second.stderr == ""
    assert "nan" not in first.stdout
    # all but the time is the same
    assert re.sub(r"\d\S* s ", "", first.stdout) == re.sub(r"\d\S* s ", "", second.stdout)


@jit
@pytest.mark.slow
def test_after_warming_up_every_kernel_of_the_verbs_is_compiled_for_one_kind_of_arrays():
    code = f"""
import importlib, pkgutil, distrl, distrl._kernels
distrl.warm_up(progress=False)
for found in pkgutil.iter_modules(distrl._kernels.__path__):
    module = importlib.import_module("distrl._kernels." + found.name)
    for name, kernel in vars(module).items():
        if hasattr(kernel, "signatures") and kernel.py_func.__module__ == module.__name__ and not name.startswith("_"):
            expected = 0 if found.name + "." + name in {NOT_OF_VERBS!r} else 1
            if (expected, len(kernel.signatures)) not in ((0, 0), (0, 1), (1, 1)):
                print(found.name, name, kernel.signatures)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_warming_up_names_what_it_does_not_know():
    with pytest.raises(ValueError, match="evaluate, estimate, learn, optimize, got 'plan'"):
        distrl.warm_up("plan")


def test_without_anything_to_compile_nothing_is_said(caplog, capsys):
    distrl.evaluate(MODEL, distrl.CategoricalFixedPoint(11))
    before = watch.seconds
    with caplog.at_level(logging.INFO, "distrl"):
        again = distrl.evaluate(MODEL, distrl.CategoricalFixedPoint(11))
    assert again.compiled == 0.0 and watch.seconds == before
    assert not caplog.records and capsys.readouterr().err == ""


def test_importing_loads_no_part_of_scipy_that_it_does_not_need():
    names = "('scipy.sparse', 'scipy.linalg', 'scipy.special', 'scipy.stats')"
    code = f"import sys, distrl; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0)
