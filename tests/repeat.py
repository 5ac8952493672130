"""The suite again and again, each time in another folder, with other workers, hash seeds, homes and time zones.

    python tests/repeat.py 5 [--first 1] [--log FILE] [--make] [-- arguments of tests/run.py]

Every run works on a clone of what is committed, in a folder of its own, with an empty cache of kernels. `--make` runs
`make test` there, which builds its own environment; else this interpreter runs `tests/run.py`. One line a run, the
output of those that fail, and a summary; FILE gets everything, after what it has. With `--first 3` the runs are the
third to the fifth. The exit status is 1 if any run failed.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ZONES = ("UTC", "Pacific/Chatham", "America/St_Johns")
COUNTS = re.compile(r"^=* ?(\d+ (?:passed|failed|error)[^=\n]* in [^=\n]*?)(?: =*)?$", re.MULTILINE)
FOLDERS = ("a", "a folder with spaces", "très-long-" + 8 * "long-", "build")


def run(number: int, make: bool, arguments: list[str]) -> tuple[dict[str, str], int, float, str]:
    """One run: what was different about it, its exit status, seconds and output."""
    differs = {
        "jobs": str(1 + number % 3),
        "PYTHONHASHSEED": str(number * 7919 % 2**32),
        "TZ": ZONES[number % len(ZONES)],
        "folder": FOLDERS[number % len(FOLDERS)],
    }
    since = time.monotonic()
    with tempfile.TemporaryDirectory() as base:
        clone = pathlib.Path(base) / differs["folder"] / "distrl"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        home = pathlib.Path(base) / "home"
        home.mkdir()
        environment = {
            **os.environ,
            "PYTHONHASHSEED": differs["PYTHONHASHSEED"],
            "TZ": differs["TZ"],
            "HOME": str(home),
            "NUMBA_CACHE_DIR": str(pathlib.Path(base) / "kernels"),
        }
        command = ["make", "test"] if make else [sys.executable, "tests/run.py", "--jobs", differs["jobs"], *arguments]
        if not make:
            environment["PYTHONPATH"] = str(clone)
        done = subprocess.run(
            command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    return differs, done.returncode, time.monotonic() - since, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("times", type=int)
    parser.add_argument("--first", type=int, default=1, metavar="RUN")
    parser.add_argument("--log", type=pathlib.Path)
    parser.add_argument("--make", action="store_true")
    own, arguments = sys.argv[1:], []
    if "--" in own:
        own, arguments = own[: own.index("--")], own[own.index("--") + 1 :]
    chosen = parser.parse_args(own)
    log = chosen.log.open("a", encoding="utf-8") if chosen.log else None

    def tell(text: str, to_screen: bool = True) -> None:
        if to_screen:
            print(text, flush=True)
        if log is not None:
            print(text, file=log, flush=True)

    version = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    tell(f"version {version.stdout.strip()} (only what is committed is run)")
    failed = 0
    for number in range(chosen.first - 1, chosen.times):
        differs, status, seconds, output = run(number, chosen.make, arguments)
        failed += status != 0
        counts = "; ".join(COUNTS.findall(output))
        what = ", ".join(f"{name}={value!r}" for name, value in differs.items())
        tell(f"run {number + 1} of {chosen.times} ({what}): status {status}, {seconds:.0f} s; {counts}")
        tell(output, to_screen=status != 0)
    made = chosen.times - chosen.first + 1
    tell(f"{made - failed} of {made} runs passed")
    if log is not None:
        log.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
