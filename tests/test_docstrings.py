"""What is public says what it is: a docstring that names its parameters, and in `theory` the claim that is searched."""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache, cached_property
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import pytest

import distrl
from distrl import theory
from proofs_check.claim import claims

pytest.importorskip("gymnasium")
pytest.importorskip("matplotlib")
pytest.importorskip("typer")


def public_modules() -> list[ModuleType]:
    """The package and its modules, but for those with a part that begins with an underscore."""
    names = [found.name for found in pkgutil.walk_packages(distrl.__path__, "distrl.")]
    public = [name for name in names if not any(part.startswith("_") for part in name.split("."))]
    return [distrl, *map(import_module, public)]


def public_objects() -> dict[str, Any]:
    """Classes and functions of the library that some `__all__` offers, by their names."""
    found: dict[str, Any] = {}
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if (inspect.isclass(thing) or callable(thing)) and str(thing.__module__).startswith("distrl"):
                found[name if found.get(name, thing) is thing else f"{module.__name__}.{name}"] = thing
    return found


@cache
def definitions() -> dict[str, Any]:
    """All public classes and functions of public modules, offered by an `__all__` or not, and the classes' members."""
    found: dict[str, Any] = {}
    for module in public_modules():
        for name, thing in vars(module).items():
            own = (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module.__name__
            if own and not name.startswith("_"):
                found[name] = thing
                found.update(members(thing) if inspect.isclass(thing) else ())
    return found


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class that distrl defines, and what to ask for their text."""
    for name in sorted({name for parent in kind.__mro__ for name in vars(parent)}):
        thing = inspect.getattr_static(kind, name)
        owner = next(parent for parent in kind.__mro__ if name in vars(parent))
        tests = name.startswith("test_")  # of a suite for others' classes: the name is the sentence
        if name.startswith("_") or tests or not owner.__module__.startswith("distrl"):
            continue
        if isinstance(thing, classmethod | staticmethod):
            thing = thing.__func__
        if isinstance(thing, FunctionType | property | cached_property) or hasattr(thing, "__wrapped__"):
            yield f"{owner.__qualname__}.{name}", getattr(kind, name)


def text_of(thing: Any) -> str:
    """Its docstring, or the one that it inherits; of a class, also what its constructor and its bases say."""
    if not inspect.isclass(thing):
        return inspect.getdoc(thing) or ""
    texts = []
    for kind in thing.__mro__:
        if kind.__module__.startswith("distrl"):
            text = str(kind.__doc__ or "")
            texts.append("" if text.startswith(f"{kind.__name__}(") else text)  # what `dataclass` makes up
            texts.append(str(getattr(vars(kind).get("__init__"), "__doc__", None) or ""))
    return "\n".join(texts)


def parameters_of(thing: Any) -> list[str]:
    """The names that a caller may write."""
    if isinstance(thing, property | cached_property):
        return []
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return []
    named = (each for each in signature.parameters.values() if each.kind is not each.POSITIONAL_ONLY)
    return [each.name for each in named if each.name not in ("self", "cls") and not each.name.startswith("_")]


def texts_of_member(kind: type, name: str) -> str:
    """What is said of a method: by itself, by those that it overrides, by protocols that ask for it, and by its class
    where it is another constructor."""
    others = [each for each in definitions().values() if getattr(each, "_is_protocol", False)]
    holders = [each for each in (*kind.__mro__, *others) if name in vars(each)]
    texts = [str(getattr(getattr(each, name), "__doc__", None) or "") for each in holders]
    own = inspect.getattr_static(kind, name)
    return "\n".join([*texts, text_of(kind) if isinstance(own, classmethod | staticmethod) else ""])


def unnamed(name: str, thing: Any, text: str | None = None) -> list[str]:
    """Parameters that a text does not mention; an error, an `Enum` or a `Protocol` has no constructor to explain."""
    if inspect.isclass(thing) and (issubclass(thing, BaseException | Enum) or getattr(thing, "_is_protocol", False)):
        return []
    text = re.sub(r"\w+\n *-{4,}\n", "", text_of(thing) if text is None else text)  # headings name nothing
    said = {word.casefold() for word in re.findall(r"\w+", text)}
    return [f"{name}({each})" for each in parameters_of(thing) if each.casefold() not in said]


def test_every_public_name_has_a_docstring():
    found = {name for name, thing in {**definitions(), **public_objects()}.items() if not text_of(thing).strip()}
    assert not found, sorted(found)


def test_docstrings_name_every_parameter():
    found = set()
    for name, thing in public_objects().items():
        found.update(unnamed(name, thing))
        if inspect.isclass(thing):
            for member, method in members(thing):
                found.update(unnamed(member, method, texts_of_member(thing, member.rpartition(".")[2])))
    assert not found, sorted(found)


@pytest.mark.parametrize("name", [name for name in theory.__all__ if isinstance(getattr(theory, name), FunctionType)])
def test_theory_names_its_claim_its_source_and_its_shapes(name):
    text = inspect.getdoc(getattr(theory, name)) or ""
    lists = re.findall(r"Claims?\s+((?:`[a-z0-9_-]+`(?:,\s+)?)+)", text)
    cited = {each for found in lists for each in found.split("`")[1::2]}
    assert cited, f"{name} cites no claim"
    assert cited <= {claim.id for claim in claims()}
    for heading in ("Parameters\n----------", "Returns\n-------"):
        assert heading in text
    assert "Source:" in text or name == "samples_for"  # whose rows name theirs
    assert re.search(r"array of the shape|broadcast|single numbers|\bint\b", text), f"{name} does not say which shapes"


def test_a_name_without_text_and_a_parameter_without_a_word_are_found():
    def bare(tail: float) -> None:
        pass

    def half(tail: float, states: int) -> None:
        """The tail."""

    checked: list[Callable[..., None]] = [bare, half]
    assert [text_of(each) for each in checked] == ["", "The tail."]
    assert [unnamed(each.__name__, each) for each in checked] == [["bare(tail)"], ["half(states)"]]
