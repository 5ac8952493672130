"""What is typed, read: options of environments, policies, grids and states."""

import ast
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import distrl
from distrl._validation import FloatArray
from distrl.cli.saying import count
from distrl.models.discounts import said_discount
from distrl.models.gymnasium_making import constructor_defaults
from distrl.models.stages import Stages


def check_target(path: Path | None, suffixes: tuple[str, ...], option: str) -> None:
    """Refuse a name for a file that nothing could be written to, before the work is done."""
    if path is None:
        return
    if path.suffix not in suffixes:
        raise ValueError(f"{option} {path}: the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: the folder {path.parent} does not exist")


def make_options(name: str, options: list[str]) -> dict[str, object]:
    """`map_name=8x8` and `is_slippery=no` as keywords of the environment's constructor."""
    defaults = constructor_defaults(name) if options else {}
    found: dict[str, object] = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--option {text}: expected KEY=VALUE, for example map_name=8x8")
        if key in found or key in ("discount", "check", "env_or_id"):
            raise ValueError(f"--option {text}: {key} " + ("is given twice" if key in found else "is no option of it"))
        found[key] = _option_value(value, defaults.get(key))
    return found


def _option_value(text: str, default: Any) -> Any:
    """`text` as a literal where it is one; a parameter whose default is text takes text, unless it is "none"."""
    words: dict[str, bool | None] = {"none": None}
    if not isinstance(default, str):
        words |= dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str) or not isinstance(default, str) else text


class Asked(NamedTuple):
    """What is to be evaluated: a model, with a horizon its policy; the process of its first step, and it in words."""

    model: "distrl.MRP | distrl.MDP"
    policy: FloatArray | str | None
    mrp: "distrl.MRP"
    words: str


def under(model: "distrl.MRP | distrl.MDP", policy: str | None, horizon: int | None) -> Asked:
    """What is to be evaluated, for what was typed."""
    steps = "" if horizon is None else f", {count(horizon, 'step')}"
    if isinstance(model, distrl.MRP):
        if policy is not None:
            raise ValueError("the model is a Markov reward process and has no actions; leave --policy out")
        return Asked(model, None, model, f"{count(model.n_states, 'state')}, discount {said_discount(model)}{steps}")
    name = "uniform" if policy is None else policy
    chosen = name if name == "uniform" else _read_policy(Path(name))
    mrp = model.under(chosen) if horizon is None else Stages.of(model, chosen, horizon).process(0)
    numbers = model.choices.numbers
    actions = count(model.n_actions, "action") if model.choices.even else f"{numbers.min()} to {numbers.max()} actions"
    sizes = f"{count(model.n_states, 'state')}, {actions}"
    words = f"{sizes}, discount {said_discount(model)}, policy {name}{steps}"
    return Asked(mrp, None, mrp, words) if horizon is None else Asked(model, chosen, mrp, words)


def _read_policy(path: Path) -> FloatArray:
    readers: dict[str, Callable[[], Any]] = {
        ".npy": lambda: np.load(path, allow_pickle=False),
        ".csv": lambda: np.loadtxt(path, delimiter=",", encoding="utf-8-sig"),
        ".txt": lambda: np.loadtxt(path, encoding="utf-8-sig"),
    }
    if path.suffix not in readers:
        raise ValueError(f"--policy {path}: expected 'uniform' or a .npy, .csv or .txt file")
    if not path.is_file():
        raise ValueError(f"--policy {path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty file is only a warning to NumPy
            return np.asarray(readers[path.suffix]())
    except Exception as error:
        raise ValueError(f"--policy {path} is not an array of numbers: {error}") from error


def grid_of(
    mrp: "distrl.MRP", atoms: int, ends: tuple[float, float] | None, tight: bool, tail: float | None
) -> "distrl.Grid":
    """The grid that was typed, or the one that needs no typing."""
    if ends is not None:
        if tight or tail is not None:
            raise ValueError("--grid says where the grid is; leave out --tight and --tail")
        return distrl.Grid(*ends, atoms)
    if not np.isfinite(mrp.outcomes.reward_ranges(tail)).all():
        raise ValueError(
            "the rewards are unbounded, so no grid holds every return; give --grid LOW HIGH, or --tail 1e-6 to cut "
            "their laws there"
        )
    if tight or mrp.uniform_discount == 1.0:
        try:
            return distrl.Grid.tight(mrp, atoms, tail=tail)
        except ValueError:
            if tail is not None or mrp.uniform_discount != 1.0:
                raise
        raise ValueError(
            "at discount 1 these returns have no largest or smallest value; add --tail 1e-9, give --grid LOW HIGH, or "
            "leave out --tight"
        )
    return distrl.Grid.covering(mrp, atoms, tail=tail)


def which_states(text: str | None, mrp: "distrl.MRP | distrl.MDP") -> list[int]:
    """The states of "0,4-9", of "all", of their names, or by default the first few that the model starts in."""
    if text is None:
        starts = np.arange(mrp.n_states) if mrp.initial is None else np.flatnonzero(mrp.initial)
        return [int(s) for s in starts[:8]]
    if text == "all":
        return list(range(mrp.n_states))
    chosen: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:  # numbers are positions, also where states have names that are numbers
            chosen.append(_named_state(part.strip(), mrp))
            continue
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < mrp.n_states:
            raise ValueError(f"--states {part.strip()}: the states are 0..{mrp.n_states - 1}")
        chosen += range(first, last + 1)
    return chosen


def _named_state(name: str, mrp: "distrl.MRP | distrl.MDP") -> int:
    """The position of the state with that name."""
    names = [] if isinstance(mrp.states, range) else list(map(str, mrp.states))
    if name not in names:
        known = f", or names such as {', '.join(names[:3])}" if names else ""
        raise ValueError(f"--states {name}: expected numbers and ranges such as 0,4-9{known}, or all")
    return names.index(name)
