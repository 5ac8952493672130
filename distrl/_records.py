"""Results in `.npz` files, bit for bit and without pickle.

A record is the tree of an object as JSON: its class by name, its fields, and the names under which its arrays lie
beside it in the file. Only the library's own classes are written and made again, each through its constructor or from
its fields; what is computed on demand is left out. An object that occurs twice is written once.
"""

import dataclasses
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._files import one_line, write_npz
from distrl.models.law_storage import LawReader, described
from distrl.models.laws import FiniteLaw, LatticeLaw, Law
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.storage import build, fields_of

_RECORD = "distrl result"
_VERSION = 1
_LARGEST_POOL = 1024  # words of a seed's pool, 4 unless a user says otherwise
#: Attributes of a model that the fields of a model's file say.
_MODEL = ("outcomes", "uniform_discount", "initial", "layout", "states", "actions", "choices", "labels")
#: Where the classes are that results are made of.
_MODULES = (
    *(f"dp.{name}" for name in ("brackets", "categorical", "categorical_sweeps", "certificate", "expectile")),
    *(f"dp.{name}" for name in ("lattice", "moments", "monte_carlo", "particles", "quantile", "result", "sketch")),
    *(f"dp.{name}" for name in ("solution", "status")),
    *(f"dp.solvers.{name}" for name in ("aggregation", "banded", "direct", "gauss_seidel", "krylov")),
    *(f"dp.solvers.{name}" for name in ("shifted_coarse", "sweeps", "two_grid")),
    *(f"control.{name}" for name in ("executed", "nested", "objectives", "policy", "policy_iteration", "solution")),
    *(f"control.data.{name}" for name in ("dominated", "pessimism")),
    *(f"control.target.{name}" for name in ("family", "knots", "method", "nodes", "policy", "rule", "sure")),
    *(
        f"control.target.{name}"
        for name in ("chance_family", "chords_enclosed", "steps", "steps_enclosed", "switched", "variance")
    ),
    "control.target.variance_family",
    *(f"control.{name}" for name in ("timed.family", "timed.method", "timed.policy", "value_iteration")),
    "generative.result",
    *(f"models.{name}" for name in ("empirical_mdp", "empirical_mrp", "generative", "mdp", "mrp", "outcomes")),
    *(f"models.{name}" for name in ("process", "samples", "stages")),
    *(f"returns.brackets.{name}" for name in ("convex", "stochastic")),
    *(f"returns.functionals.{name}" for name in ("averages", "evar", "levels", "objectives", "points")),
    *(f"returns.{name}" for name in ("categorical", "expectile", "finite", "grid", "lattice", "moments")),
    *(f"returns.{name}" for name in ("quantile", "sketch")),
    *(f"td.acting.{name}" for name in ("environment", "exploration", "methods", "run", "target")),
    *(f"td.{name}" for name in ("base", "categorical", "expectile", "quantile", "recorded", "replication", "result")),
    *(f"td.{name}" for name in ("sampling", "sketch", "step_sizes", "values")),
)


def is_model(thing: object) -> TypeGuard[MRP | MDP]:
    """Whether it is a model with nothing in it but what the format of models holds."""
    return isinstance(thing, MRP | MDP) and set(_state(thing)) <= set(_MODEL)


def can_be_recorded(thing: object) -> bool:
    """Whether it is of a class that results are made of."""
    return _classes().get(type(thing).__name__) is type(thing)


def is_record(fields: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a file with these fields holds a record."""
    return str(fields.get("format")) == _RECORD


def read_record(fields: Mapping[str, NDArray[Any]]) -> Any:
    """What a file with these fields holds.

    Raises
    ------
    KeyError, ValueError, TypeError, AttributeError, IndexError
        If the file is damaged or of a later version.
    """
    version = int(fields["version"])
    if version != _VERSION:
        raise ValueError(f"it has format version {version}, this distrl reads version {_VERSION}; update distrl")
    return _Reader(fields).read(json.loads(str(fields["record"])))


def record_of(
    thing: object, named: Mapping[str, ArrayLike], stacked: Mapping[str, Sequence[object]] = MappingProxyType({})
) -> dict[str, ArrayLike]:
    """The fields of a file: `thing`, and arrays for people, `named`, which it shares where they are its own.

    `stacked` says of a named array which arrays of `thing` are its rows.

    Raises
    ------
    ValueError
        If something in it is no class of the library.
    """
    writer = _Writer(named, stacked)
    record = json.dumps(writer.write(thing))
    return {
        "format": np.array(_RECORD),
        "version": np.array(_VERSION),
        "record": np.array(record),
        **writer.arrays,
    }


def write_result(
    path: Path,
    thing: object,
    named: Mapping[str, ArrayLike],
    stacked: Mapping[str, Sequence[object]] = MappingProxyType({}),
) -> None:
    """Write a result and arrays for people; the arrays alone, with a warning, where a part of it cannot be written."""
    try:
        fields = record_of(thing, named, stacked)
    except ValueError as error:
        warnings.warn(f"{path} gets arrays only, and distrl.load cannot read it: {one_line(error)}", stacklevel=4)
        fields = dict(named)
    write_npz(path, fields)


@cache
def _classes() -> dict[str, type]:
    """Classes of results by name."""
    found: dict[str, type] = {}
    for name in _MODULES:
        module = import_module(f"distrl.{name}")
        members = inspect.getmembers(module, inspect.isclass)
        found.update({own: kind for own, kind in members if kind.__module__ == module.__name__})
    return found


def _state(thing: Any) -> dict[str, Any]:
    """The fields of an object: what it was made of, not what was computed on demand."""
    kind = type(thing)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(thing, field.name) for field in dataclasses.fields(kind) if field.init}
    if hasattr(kind, "_fields"):
        return dict(thing._asdict())
    given = getattr(kind, "given_by_holder", ())  # anew when the holder is read
    return {name: value for name, value in vars(thing).items() if name not in given and not _computed(kind, name)}


def _computed(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name, None), cached_property)


#: What classes and fields were called in older files.
_FORMER = {
    "Kept": "Checkpoint",
    "LearningRun._records": "estimates",
    "LearningRun._root": "seed",
    "LearningRun._kept": "checkpoints",
}


class _Writer:
    """Makes a record."""

    def __init__(self, named: Mapping[str, ArrayLike], stacked: Mapping[str, Sequence[object]]) -> None:
        self.arrays = dict(named)
        self._places: dict[int, Any] = {
            id(array): {"array": name} for name, array in named.items() if isinstance(array, np.ndarray)
        }
        for name, rows in stacked.items():
            self._places.update((id(row), {"array": name, "row": place}) for place, row in enumerate(rows))
        self._kept: list[object] = []  # alive, so that no two have one identity
        self._objects = 0

    def write(self, thing: Any) -> Any:
        """`thing` as JSON."""
        if thing is None or (isinstance(thing, bool | int | float | str) and not isinstance(thing, np.generic | Enum)):
            return thing
        if isinstance(thing, np.generic):
            return self.write(thing.item())
        if isinstance(thing, Enum):
            self._check(thing)
            return {"enum": type(thing).__name__, "name": thing.name}
        if id(thing) in self._places:
            found = self._places[id(thing)]
            if isinstance(thing, np.ndarray):
                return {**found, "fixed": not thing.flags.writeable}
            return found
        node = self._node(thing)
        self._kept.append(thing)
        if "array" in node:
            self._places[id(thing)] = {"array": node["array"]}
        elif "number" in node:
            self._places[id(thing)] = {"again": node["number"]}
        return node

    def _node(self, thing: Any) -> dict[str, Any]:
        if isinstance(thing, np.ndarray):
            if thing.dtype.hasobject:
                raise ValueError("an array of objects cannot be saved")
            name = f"record/{len(self.arrays)}"
            self.arrays[name] = thing
            return {"array": name, "fixed": not thing.flags.writeable}
        if isinstance(thing, list):
            return {"list": [self.write(item) for item in thing]}
        if isinstance(thing, tuple) and not hasattr(thing, "_fields"):
            return {"tuple": [self.write(item) for item in thing]}
        if isinstance(thing, dict):
            return {"dict": [[self.write(key), self.write(value)] for key, value in thing.items()]}
        if isinstance(thing, np.random.SeedSequence):
            state = {name: self.write(value) for name, value in thing.state.items()}
            return {"number": self._number(), "seed": state}
        if isinstance(thing, Law):
            finite = isinstance(thing, FiniteLaw) and not isinstance(thing, LatticeLaw)
            parts = [thing.values, thing.probs] if finite else described(thing)  # type: ignore[attr-defined]
            return {"number": self._number(), "law": self.write(parts)}
        self._check(thing)
        state = _state(thing)
        node: dict[str, Any] = {"number": self._number(), "class": type(thing).__name__}
        if isinstance(thing, MRP | MDP):
            node["model"] = {name: self.write(np.asarray(field)) for name, field in fields_of(thing).items()}
            state = {name: value for name, value in state.items() if name not in _MODEL}
        return {**node, "fields": {name: self.write(value) for name, value in state.items()}}

    def _number(self) -> int:
        self._objects += 1
        return self._objects

    @staticmethod
    def _check(thing: object) -> None:
        if not can_be_recorded(thing):
            raise ValueError(f"{thing!r} cannot be saved: {type(thing).__name__} is no class of distrl's results")


class _Reader:
    """Makes objects of a record."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._made: dict[int, Any] = {}
        self._read_law = LawReader()

    def read(self, node: Any) -> Any:
        """The object that JSON stands for."""
        if not isinstance(node, dict):
            return node
        if "array" in node:
            array = self._arrays[node["array"]]
            if "row" in node:
                array = array[node["row"]]
            array.flags.writeable = array.flags.writeable and not node["fixed"]
            return array
        if "again" in node:
            return self._made[node["again"]]
        if "list" in node:
            return [self.read(item) for item in node["list"]]
        if "tuple" in node:
            return tuple(self.read(item) for item in node["tuple"])
        if "dict" in node:
            return {self.read(key): self.read(value) for key, value in node["dict"]}
        if "enum" in node:
            return self._class(node["enum"], Enum)[node["name"]]
        made = self._made[node["number"]] = self._object(node)
        return made

    def _object(self, node: dict[str, Any]) -> Any:
        if "seed" in node:
            state = {name: self.read(value) for name, value in node["seed"].items()}
            if not 1 <= state.get("pool_size", 1) <= _LARGEST_POOL:
                raise ValueError(f"it holds a seed with a pool of {state['pool_size']!r} numbers")
            return np.random.SeedSequence(**state)
        if "law" in node:
            parts = self.read(node["law"])
            return FiniteLaw(*parts) if isinstance(parts, list) else self._read_law(parts, "a law")
        kind = self._class(node["class"])
        named = f"{node['class']}."
        fields = {_FORMER.get(named + name, name): self.read(value) for name, value in node["fields"].items()}
        if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
            return kind(**fields)
        thing = kind.__new__(kind)
        if "model" in node:
            model = build({name: self.read(value) for name, value in node["model"].items()}, self._read_law)
            fields = {**vars(model), **fields}
        vars(thing).update(fields)
        return thing

    @staticmethod
    def _class(name: Any, base: type = object) -> Any:
        kind = _classes().get(_FORMER.get(name, name))
        if kind is None or not issubclass(kind, base):
            raise ValueError(f"it holds a {name!r}, which this distrl does not know; update distrl")
        return kind
