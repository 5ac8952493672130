"""What is needed to run an experiment again: version of the code, packages, arguments, seeds."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import distrl
from experiments.protocol import Cell

PACKAGES = ("numpy", "scipy", "numba", "gymnasium", "matplotlib", "pandas", "joblib")
#: They present results and do not enter them.
PRESENTATION = (
    "__main__.py", "analysis.py", "cli.py", "files.py", "figures.py", "manifest.py", "pages.py", "parallel.py",
    "plotting.py", "progress.py", "report.py", "runner.py", "statistics.py", "store.py", "study.py", "style.py",
)  # fmt: skip


@lru_cache
def fingerprint(folder: str) -> str:
    """Hash of the source of distrl, of what experiments share and of the experiment's folder, and of the packages.

    Figures and reports do not matter to a cell, so their files are left out.
    """
    digest = hashlib.sha256()
    files = [*sorted(Path(distrl.__file__).parent.rglob("*.py")), *sorted(Path(__file__).parent.glob("*.py"))]
    for file in [*files, *sorted(Path(folder).rglob("*.py"))]:
        if file.name not in PRESENTATION:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(json.dumps(versions()).encode())
    return digest.hexdigest()[:16]


def version_of(experiment: Any) -> str:
    """The fingerprint of an experiment's package."""
    return fingerprint(str(Path(experiment.__file__).parent))


def versions() -> dict[str, str]:
    """Of Python, distrl and the packages that results depend on."""
    return {
        "distrl": distrl.__version__,
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }


def manifest(experiment: Any, cells: Sequence[Cell], size: str, seed: int) -> dict[str, Any]:
    """Everything that the cells depend on, and how to run them again."""
    name = experiment.__name__.rpartition(".")[2]
    option = {"quick": " --quick", "default": "", "full": " --full"}[size]
    return {
        "experiment": experiment.__name__,
        "command": f"python -m experiments run {name}{option} --seed {seed}",
        "arguments": {"size": size, "seed": seed},
        "cells": {cell.name: dict(cell.arguments) for cell in cells},
        "code": version_of(experiment),
        "commit": _commit(),
        "versions": versions(),
        "machine": platform.machine(),
    }


def _commit() -> str | None:
    """The checked-out commit, with a plus if files differ from it; None outside a repository."""
    folder = Path(__file__).parent
    try:
        head, changed = (
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", "."])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.strip() + ("+" if changed.strip() else "")
