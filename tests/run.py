"""The whole suite: everything once, then the fast part again with bounds checks and without the JIT.

An out-of-bounds read in a kernel returns garbage silently, so the fast part runs once with NUMBA_BOUNDSCHECK=1; and
once with NUMBA_DISABLE_JIT=1, where kernels are plain Python. Every run draws the same examples (see `conftest.py`).

    python tests/run.py [--jobs N] [arguments of pytest, for every pass]
    python tests/run.py --nightly [arguments of nightly.py]
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHORT = {"HYPOTHESIS_PROFILE": "short"}  # fewer examples of each property than the first pass has drawn
PASSES = [
    ("the whole suite", {}, []),
    ("the fast part with NUMBA_BOUNDSCHECK=1", {"NUMBA_BOUNDSCHECK": "1", **SHORT}, ["-m", "fast"]),
    (
        "the fast part with NUMBA_DISABLE_JIT=1",
        {"NUMBA_DISABLE_JIT": "1", **SHORT},
        ["-m", "fast and not slow_without_jit"],
    ),
]
NOTHING_COLLECTED = 5  # pytest's status where no test of those asked for is in the fast part


def main(arguments: list[str]) -> int:
    if "--nightly" in arguments:
        arguments.remove("--nightly")
        return subprocess.run([sys.executable, ROOT / "tests" / "nightly.py", *arguments]).returncode
    jobs = str(min(os.cpu_count() or 1, 8))
    if "--jobs" in arguments:
        place = arguments.index("--jobs")
        jobs = arguments[place + 1]
        del arguments[place : place + 2]
    for title, environment, selection in PASSES:
        print(f"\n=== {title} ===", flush=True)
        with tempfile.TemporaryDirectory() as cache:
            extra = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
            if environment:  # kernels compiled another way must not be mixed with the usual ones
                extra["NUMBA_CACHE_DIR"] = cache
            command = [sys.executable, "-m", "pytest", "-q", "-n", jobs, "--dist", "worksteal", *selection, *arguments]
            kept = {name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"}
            status = subprocess.run(command, cwd=ROOT, env={**kept, **extra}).returncode
        if status and not (environment and arguments and status == NOTHING_COLLECTED):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
