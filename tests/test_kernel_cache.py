"""Compiled kernels are kept where that is possible; where it is not, or a file is damaged, they are compiled anew."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from numba import config

from distrl._kernel_cache import _Files

ROOT = pathlib.Path(__file__).resolve().parent.parent
jit = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
PROGRAM = """
import sys
import numpy as np
from distrl._kernels.krylov import largest
assert largest(np.array([1.0, 3.0])) == 3.0
print(sum(largest.stats.cache_hits.values()))
"""


def run(program, environment, path=ROOT):
    inherited = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=path,
        env={**inherited, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def nowhere(tmp_path):
    """A copy of the package, and settings, with which no cache can be written, not even by root."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "distrl", copy / "distrl", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (copy / "distrl").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").write_text("a file where the folder would be")
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "below")  # a folder within a file cannot be made
    return copy, {"HOME": below, "XDG_CACHE_HOME": below, "NUMBA_CACHE_DIR": below, "PYTHONDONTWRITEBYTECODE": "1"}


def test_where_no_cache_can_be_written_kernels_work_and_one_sentence_says_so(tmp_path):
    copy, environment = nowhere(tmp_path)
    done = run("import distrl; print(distrl.__file__)" + PROGRAM, environment, copy)
    assert done.returncode == 0, done.stderr
    assert str(copy) in done.stdout and done.stdout.split()[-1] == "0"
    assert done.stderr.count("NUMBA_CACHE_DIR") == 1


def test_warnings_that_are_errors_do_not_stop_the_import_there(tmp_path):
    copy, environment = nowhere(tmp_path)
    done = run("import distrl", {**environment, "PYTHONWARNINGS": "error"}, copy)
    assert done.returncode == 0, done.stderr


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def junk(file):
    file.write_bytes(b"\x80\x04junk")


def one_bit(file):
    """In the middle: within the machine code, which unpickles as if nothing were wrong."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def hits(cache):
    """How often the program in a new process found its kernel in the cache: once, or never where it was compiled."""
    done = run(PROGRAM, {"NUMBA_CACHE_DIR": str(cache)})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return int(done.stdout)


@pytest.fixture(scope="module")
def good_cache(tmp_path_factory):
    cache = tmp_path_factory.mktemp("kernels")
    assert (hits(cache), hits(cache)) == (0, 1)
    return cache


#: How a file of the cache can be damaged; the nightly run tries all of them, each costs three new processes.
DAMAGES = [(cut, ".nbi"), (emptied, ".nbi"), (junk, ".nbi"), (cut, ".nbc"), (junk, ".nbc"), (one_bit, ".nbc")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "suffix"),
    [pytest.param(*each, marks=[pytest.mark.nightly] * (each not in (DAMAGES[0], DAMAGES[-1]))) for each in DAMAGES],
)
def test_a_damaged_file_is_replaced(damage, suffix, good_cache, tmp_path):
    cache = shutil.copytree(good_cache, tmp_path / "cache")
    damaged = list(cache.rglob(f"*largest*{suffix}"))
    assert damaged
    for file in damaged:
        damage(file)
    assert (hits(cache), hits(cache)) == (0, 1)


def test_a_cache_that_cannot_be_written_any_more_is_done_without(tmp_path):
    program = """
import pathlib, shutil
from distrl._kernels.krylov import largest
folder = pathlib.Path(largest.stats.cache_path)
shutil.rmtree(folder, ignore_errors=True)
folder.write_text("a file where the folder was")
import numpy as np
assert largest(np.array([1.0, 3.0])) == 3.0
"""
    done = run(program, {"NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("NUMBA_CACHE_DIR") == 1


SORTED = """
import numpy as np
from distrl._kernels.expectile import impute
values, weights = np.zeros((1, 3)), np.zeros((1, 3))
impute(np.array([[1.0, 0.0, 2.0]]), np.ones(1), np.array([0.25, 0.5, 0.75]), values, weights)
assert abs((values * weights).sum() - 1.0) < 1e-12
"""
ARGSORTED = """
import collections
import numpy as np
from distrl._kernels.expectile import read_targets
Plan = collections.namedtuple("MixturePlan", "shift list_ptr prob discount successor")
plan = Plan(np.zeros(1), np.array([0, 1]), np.ones(1), np.ones(1), np.zeros(1, dtype=np.int64))
out = np.zeros((1, 1))
read_targets(np.array([[3.0, 1.0]]), np.array([[0.5, 0.5]]), plan, np.array([0.5]), out, 0, 1)
assert out[0, 0] == 2.0
"""


def symbols(cache):
    """Names of the functions inside the kept code that have a number, of those that sort."""
    names = b" ".join(file.read_bytes() for file in cache.rglob("*.nbc"))
    return set(re.findall(rb"_ZN5numba4misc9quicksort\w*B\d+v\d+B\w+", names))


@jit
def test_no_function_in_the_code_of_one_process_is_called_like_one_of_another(tmp_path):
    # the insides of np.sort and np.argsort differ in what they close over, not in their names: read by one process,
    # one sort would run the other's and crash
    found = []
    for name, program in (("one", SORTED), ("other", SORTED), ("third", ARGSORTED)):
        done = run(program, {"NUMBA_CACHE_DIR": str(tmp_path / name)})
        assert done.returncode == 0, done.stderr
        found.append(symbols(tmp_path / name))
    assert all(found)
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


@jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_fork_counts_functions_from_elsewhere():
    program = """
import os
import distrl
from numba.core.bytecode import FunctionIdentity as Identity
print(next(Identity._unique_ids), flush=True)
if os.fork() == 0:
    print(next(Identity._unique_ids), flush=True)
    os._exit(0)
os.wait()
print(next(Identity._unique_ids))
"""
    first, of_child, third = map(int, run(program, {}).stdout.split())
    assert third == first + 1
    assert abs(of_child - first) > 1_000_000  # fails once in 10^11 runs


@jit
def test_code_with_functions_that_were_counted_before_is_not_kept(tmp_path):
    before = "import numba, numpy as np\nnumba.njit(lambda values: np.sort(values))(np.ones(2))\n"
    for program, kept in ((before + SORTED, False), (SORTED, True)):
        done = run(program, {"NUMBA_CACHE_DIR": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        assert bool(list(tmp_path.rglob("expectile.impute*.nbc"))) is kept


@jit
def test_two_kinds_of_arguments_never_share_a_file(tmp_path):
    # two processes that both find an empty index, each with another kind: what is written in turn here
    files = [_Files(str(tmp_path), "kernel-1.py3", "stamp") for _ in range(2)]
    found = [file._load_index() for file in files]
    assert found == [{}, {}]
    for file, key in zip(files, ("floats", "integers"), strict=True):
        file._load_index = dict  # what it has read
        file.save(key, f"code for {key}")
        del file._load_index
    for key in ("floats", "integers"):
        assert files[0].load(key) in (None, f"code for {key}")
    assert files[0].load("integers") == "code for integers"
