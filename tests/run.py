"""The whole suite: everything once, then the fast part again with bounds checks and without the JIT.

An out-of-bounds read in a kernel returns garbage silently, so the fast part runs once with NUMBA_BOUNDSCHECK=1; and
once with NUMBA_DISABLE_JIT=1, where kernels are plain Python. Arguments are passed on to the first pytest run.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSES = [
    ("the whole suite", {}, []),
    ("the fast part with NUMBA_BOUNDSCHECK=1", {"NUMBA_BOUNDSCHECK": "1"}, ["-m", "fast"]),
    ("the fast part with NUMBA_DISABLE_JIT=1", {"NUMBA_DISABLE_JIT": "1"}, ["-m", "fast"]),
]


def main() -> int:
    jobs = str(min(os.cpu_count() or 1, 8))
    for title, environment, selection in PASSES:
        print(f"\n=== {title} ===", flush=True)
        with tempfile.TemporaryDirectory() as cache:
            extra = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
            if environment:  # kernels compiled another way must not be mixed with the usual ones
                extra["NUMBA_CACHE_DIR"] = cache
            command = [sys.executable, "-m", "pytest", "-q", "-n", jobs, "--dist", "worksteal", *selection]
            command += sys.argv[1:] if not environment else []
            status = subprocess.run(command, cwd=ROOT, env={**os.environ, **extra}).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
