"""Counts of what makes a house hard to extend, read from its source: see `tests/test_house.py` for the limits.

python tests/house.py [FOLDER]      # every place, by kind
"""

import ast
import pathlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPRESENTATIONS = {
    "BracketReturns",
    "CategoricalReturns",
    "ExpectileReturns",
    "MomentReturns",
    "ParticleReturns",
    "QuantileReturns",
    "ValueEstimates",
}
NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}  # public, for all their underscores


@dataclass(frozen=True)
class Place:
    """A line of a file, and what is there."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def sources(root: pathlib.Path) -> Iterator[tuple[str, ast.Module]]:
    """The files of the package, as (path inside it, tree)."""
    for path in sorted((root / "distrl").rglob("*.py")):
        yield path.relative_to(root / "distrl").as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def is_private(file: str) -> bool:
    """Whether a module is nobody's business outside the package: a part of its path begins with one underscore."""
    return any(part.startswith("_") and not part.startswith("__") for part in pathlib.PurePosixPath(file).parts)


def mentions(node: ast.AST | None, names: set[str]) -> bool:
    """Whether any of the names occurs in an expression."""
    found = [] if node is None else list(ast.walk(node))
    return any(
        (isinstance(part, ast.Name) and part.id in names)
        or (isinstance(part, ast.Attribute) and part.attr in names)
        or (isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in names)
        for part in found
    )


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Public functions, and the public methods of public classes, dunder ones included."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.endswith("__")):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)


def any_in_signatures(root: pathlib.Path = ROOT) -> list[Place]:
    """`Any` in the public signatures of public modules: one for each parameter or result."""
    found = []
    for file, tree in sources(root):
        if is_private(file):
            continue
        for function in public_functions(tree.body):
            arguments = function.args
            some = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            annotated = [(one.arg, one.annotation) for one in some if one is not None]
            for name, annotation in [*annotated, ("the result", function.returns)]:
                if mentions(annotation, {"Any"}):
                    found.append(Place(file, function.lineno, f"{function.name}: {name}"))
    return found


def isinstance_of_representations(root: pathlib.Path = ROOT) -> list[Place]:
    """`isinstance` of a representation of return laws outside the metrics, which are between two of them."""
    found = []
    for file, tree in sources(root):
        if file.startswith("returns/") and "metric" in file:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                if mentions(node.args[1], REPRESENTATIONS):
                    found.append(Place(file, node.lineno, ast.unparse(node)))
            elif isinstance(node, ast.match_case) and mentions(node.pattern, REPRESENTATIONS):
                found.append(Place(file, node.pattern.lineno, ast.unparse(node.pattern)))
    return found


def private_accesses(root: pathlib.Path = ROOT) -> list[Place]:
    """`other._name`, where the name is not one of the file's own classes or functions."""
    found = []
    for file, tree in sources(root):
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        own |= {
            target.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            for target in [node]
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        }
        own |= {
            node.target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.endswith("__"):
                continue
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                continue
            if node.attr not in own | NAMED_TUPLE:
                found.append(Place(file, node.lineno, ast.unparse(node)))
    return found


def back_doors(root: pathlib.Path = ROOT) -> list[Place]:
    """Objects made without a constructor: `cls.__new__(cls)`; files of results restore theirs so, as pickle does."""
    return [
        Place(file, node.lineno, ast.unparse(node))
        for file, tree in sources(root)
        if not file.startswith("_records")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__new__"
    ]


def long_files(root: pathlib.Path = ROOT, most: int = 300) -> list[Place]:
    """Files of `most` lines or more, but for kernels and environments."""
    found = []
    for path in sorted((root / "distrl").rglob("*.py")):
        file, lines = path.relative_to(root / "distrl").as_posix(), len(path.read_text(encoding="utf-8").splitlines())
        if lines >= most and not file.startswith("_kernels/") and file != "models/environments.py":
            found.append(Place(file, lines, f"{lines} lines"))
    return found


KINDS = {
    "Any in public signatures": any_in_signatures,
    "isinstance of a representation": isinstance_of_representations,
    "private accesses across files": private_accesses,
    "objects made without a constructor": back_doors,
    "files of 300 lines or more": long_files,
}

if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    for kind, places_of in KINDS.items():
        places = places_of(root)
        print(f"{kind}: {len(places)}")
        for place in places:
            print(f"    {place}")
