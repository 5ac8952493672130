"""Imports follow the data's way: a model, an operator, a solver, results. Read from the source, nothing is run.

Imports inside functions and for type checkers count too: both say who has to know whom.
"""

import ast
import pathlib
from collections import defaultdict

import pytest

pytestmark = pytest.mark.fast

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: Floors of the house, lowest first. What stands on a floor may import from its own folder and from lower floors.
FLOORS = (
    {"helpers"},
    {"theory"},
    {"kernels"},
    {"plotting"},
    {"models"},
    {"_records"},  # files of results: it finds the classes of higher floors by name, and imports none of them
    {"returns"},
    {"operators"},
    {"dp"},
    {"td"},
    {"generative"},
    {"control"},
    {"_warm_up", "_saving"},
    {"top"},
    {"testing", "cli"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, pathlib.Path]:
    """Every module of the package, by its full name."""
    found = {}
    for path in (ROOT / "distrl").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name: str) -> set[str]:
    """The modules of the package that a module imports, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {other for other in found if other in MODULES and other != name}


GRAPH = {name: imported(name) for name in MODULES}


def room(name: str) -> str:
    """Where a module stands."""
    parts = name.split(".")
    if len(parts) == 1:
        return "top"
    if parts[1] in ("_records", "_saving", "_warm_up"):
        return parts[1]
    if parts[1] in ("cli", "__main__"):
        return "cli"
    if parts[1] == "_kernels":
        return "kernels"
    return "helpers" if parts[1].startswith("_") else parts[1]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def test_every_room_has_a_floor():
    assert {room(name) for name in MODULES} <= FLOOR.keys()


def test_there_is_no_circle():
    assert circles(GRAPH) == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_import_runs_back_up(name):
    above = {
        other
        for other in GRAPH[name]
        if room(other) != room(name) and FLOOR[room(other)] >= FLOOR[room(name)] and room(name) not in ("top", "cli")
    }
    assert not above, f"{name} imports from its own floor or above: {sorted(above)}"


def test_a_circle_would_be_found():
    graph = defaultdict(set, {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert circles(graph) == [["a", "b", "c"]]
