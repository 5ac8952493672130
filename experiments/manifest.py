"""What is needed to run an experiment again: version of the code, packages, arguments, seeds."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import subprocess
import sysconfig
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import distrl
from experiments.protocol import SIZES, Cell, Experiment

PACKAGES = ("numpy", "scipy", "numba", "gymnasium", "matplotlib", "pandas", "joblib")
#: The doors of distrl that present results; no cell goes through them.
PRESENTATION = ("__main__.py", "cli", "plotting")
_LIBRARY = Path(distrl.__file__).parent


def sources(*modules: str) -> list[Path]:
    """The files that results of these modules depend on: distrl but for `PRESENTATION`, and everything that the modules
    import from the folder of the experiments, on whichever line and through however many files."""
    every = sorted(_LIBRARY.rglob("*.py"))
    library = [file for file in every if file.relative_to(_LIBRARY).parts[0] not in PRESENTATION]
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (file := _file_of(name)) is None:
            continue
        found[name] = file
        waiting += _imports(file)
    return library + [found[name] for name in sorted(found)]


def _file_of(module: str) -> Path | None:
    """The file of a module beside or below that of `distrl`'s users: one that belongs to no installed package."""
    if module.partition(".")[0] == "distrl":
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # `from package import name` was tried as a module
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin).resolve()
    return file if "site-packages" not in file.parts and not file.is_relative_to(sysconfig.get_path("stdlib")) else None


def _imports(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += inner if all(_file_of(name) for name in inner) else [node.module, *inner]
    return names


@lru_cache
def fingerprint(*modules: str) -> str:
    """Hash of the `sources` of the modules, and of the versions of the packages."""
    digest = hashlib.sha256()
    for file in sources(*modules):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(json.dumps(versions()).encode())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of Python, distrl and the packages that results depend on."""
    return {
        "distrl": distrl.__version__,
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }


def manifest(experiment: Experiment, cells: Sequence[Cell], size: str, seed: int) -> dict[str, Any]:
    """Everything that the cells depend on, and how to run them again."""
    option = {"quick": " --quick", "default": "", "full": " --full"}[size]
    return {
        "experiment": experiment.package,
        "command": f"python -m experiments run {experiment.name}{option} --seed {seed}",
        "arguments": {"size": size, "seed": seed},
        "cells": {cell.name: dict(cell.arguments) for cell in cells},
        "code": fingerprint(*experiment.modules),
        "commit": _commit(),
        "versions": versions(),
        "machine": platform.machine(),
    }


def arguments_in(path: Path) -> tuple[str, int]:
    """The size and the seed that a manifest says.

    Raises
    ------
    ValueError
        If there is none, or it is damaged, naming it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        size, seed = content["arguments"]["size"], content["arguments"]["seed"]
    except FileNotFoundError:
        raise ValueError(f"{path.parent} holds no finished run; start one with `python -m experiments run`") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error) or type(error).__name__) from error
    if size not in SIZES or not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise _damaged(path, f"size {size!r}, seed {seed!r}")
    return size, seed


def _damaged(path: Path, what: str) -> ValueError:
    return ValueError(
        f"{path} is damaged ({what}); `python -m experiments run` with the run's size and seed writes it again from "
        "the finished cells"
    )


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
