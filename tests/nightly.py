"""Explore at random: every file of tests that draws examples, and the long loops, with seeds of their own.

    python tests/nightly.py [--minutes 60] [--rounds 1] [--seed 0] [--folder build/nightly] [paths]

A part is one file in one round; each finished part is a line of FOLDER/parts.jsonl, so that a run that was killed goes
on where it was. Finds are printed, and kept in FOLDER/finds.txt, as an `@example(...)` for the test and the command
that shows them again. The exit status is 1 if there are any, in this run or an earlier one of the folder.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
DRAWS = re.compile(r"^\s*@given\(|\bnightly\b", re.MULTILINE)
EXAMPLE = re.compile(
    r"^(?:Falsifying example|Failing test case): (\w+)\(\n(.*?)^\)$",  # by version of Hypothesis
    re.DOTALL | re.MULTILINE,
)
BLOB = re.compile(r"@reproduce_failure\([^)]*\)")


def files(paths: list[str]) -> list[str]:
    """The test files, below `paths` if there are any, that have anything to explore."""
    wanted = [pathlib.Path(path).resolve() for path in paths] or [ROOT / "tests"]
    found = sorted(file for path in wanted for file in ([path] if path.is_file() else path.rglob("test_*.py")))
    return [str(file.relative_to(ROOT)) for file in found if DRAWS.search(file.read_text(encoding="utf-8"))]


def finished(record: pathlib.Path) -> list[dict]:
    """The parts that are done; a line that a kill cut short is none."""
    parts = []
    for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else []:
        try:
            parts.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return parts


def seed_of(file: str, round_: int, seed: int) -> int:
    """One for each part, whatever else is explored."""
    return zlib.crc32(f"{file} {round_} {seed}".encode())


def finds_in(output: str, file: str, seed: int) -> list[str]:
    """The failures of a part, each with its falsifying example as a decorator."""
    command = f"HYPOTHESIS_PROFILE=nightly python -m pytest {file} --hypothesis-seed={seed}"
    finds = []
    plain = re.sub(r"^(?:E|[ |]+\|)? *", "", output, flags=re.MULTILINE)
    blocks = re.finditer(
        r"^(?:Falsifying example|Failing test case): (\w+)\(\n(.*?)^\)$", plain, re.DOTALL | re.MULTILINE
    )
    for block in blocks:
        values = " ".join(line.split("  #")[0].strip() for line in block[2].splitlines()).rstrip(", ")
        head = f"{block[1]} in {file}:\n    @example({values})"
        if any(find.startswith(head) for find in finds):
            continue  # under CI pytest's last lines repeat whole messages
        again = BLOB.search(plain, block.end())  # where the values are objects that cannot be typed
        blob = f"\n    {again[0]}" if again else ""
        finds.append(f"{head}{blob}\n    {command} -k {block[1]}")
    for line in re.findall(r"^(?:FAILED|ERROR) (\S.*)$", output, re.MULTILINE):
        name = line.split(" - ")[0]
        if not any(f"{find.split()[0]}" in name for find in finds):
            finds.append(f"{line}\n    {command}")
    return finds


def explore(file: str, seed: int, left: float) -> tuple[int, str] | None:
    """Run one file's tests: (pytest's status, its output), or None where the time is up."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", file]
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "nightly"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=max(left, 0.0))
    except BaseException as end:  # with its workers; a KeyboardInterrupt goes on
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(end, subprocess.TimeoutExpired):
            return None
        raise
    return process.returncode, output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="when to stop, whatever is at work")
    parser.add_argument("--rounds", type=int, default=1, help="how often each file is explored")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "nightly")
    parser.add_argument("paths", nargs="*")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    record, begun = chosen.folder / "parts.jsonl", time.monotonic()
    if record.exists() and not record.read_bytes().endswith(b"\n"):  # the last line was cut short
        with record.open("a", encoding="utf-8") as out:
            out.write("\n")
    done = {(part["file"], part["round"], part["seed"]) for part in finished(record)}
    explored = files(chosen.paths)
    parts = [(file, k, seed_of(file, k, chosen.seed)) for k in range(chosen.rounds) for file in explored]
    waiting = [part for part in parts if part not in done]
    print(
        f"{len(parts)} parts, {len(parts) - len(waiting)} done before; {chosen.minutes:g} minutes at most", flush=True
    )
    for file, number, seed in waiting:
        since = time.monotonic()
        found = explore(file, seed, 60.0 * chosen.minutes - (since - begun))
        if found is None:
            print(f"time is up during {file}; the same command goes on with it", flush=True)
            break
        status, output = found
        finds = finds_in(output, file, seed) if status not in (0, 5) else []
        if status not in (0, 5) and not finds:
            finds = [f"{file}: pytest ended with status {status}\n{output[-2000:]}"]
        taken = time.monotonic() - since
        line = {"file": file, "round": number, "seed": seed, "seconds": round(taken, 1), "finds": finds}
        with record.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        with (chosen.folder / "finds.txt").open("a", encoding="utf-8") as out:
            out.writelines(f"{find}\n" for find in finds)
        print(f"{file}, round {number}, seed {seed}: {len(finds)} finds, {taken:.0f} s", flush=True)
        for find in finds:
            print(f"  {find}", flush=True)
    now = [part for part in finished(record) if (part["file"], part["round"], part["seed"]) in parts]
    finds = [find for part in now for find in part["finds"]]
    seconds = sum(part["seconds"] for part in now)
    print(f"{len(now)} of {len(parts)} parts in {seconds / 60.0:.1f} minutes in all; {len(finds)} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
