"""Compiled kernels are kept where that is possible; where it is not, or a file is damaged, they are compiled anew."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "suffix"),
    [(cut, ".nbi"), (emptied, ".nbi"), (junk, ".nbi"), (cut, ".nbc"), (junk, ".nbc"), (one_bit, ".nbc")],
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
