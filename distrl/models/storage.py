"""Models in `.npz` files, bit for bit and without pickle."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import numpy as np

from distrl._files import one_line, path_of, read_npz, write_npz
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import bool_array, float_array, int_array, whole_number
from distrl.models.choices import Choices
from distrl.models.law_storage import Fields, LawReader, described, laws_in
from distrl.models.laws import FiniteLaw, LatticeLaw
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import Rows, build_table
from distrl.models.process import Step

FORMAT = "distrl model"
_VERSION = 1


def save(model: MRP | MDP, path: str | os.PathLike[str]) -> None:
    """Write a model to an `.npz` file; `load` gives it back bit for bit.

    The file appears whole or not at all: it is written beside `path` and then renamed.

    Parameters
    ----------
    model : MRP or MDP
        Its reward laws must be `FiniteLaw`s or frozen laws of `scipy.stats` with scalar parameters, the names of its
        states and actions text, numbers, truth values or tuples of these.
    path : path
        Taken as it is, no ending is added.

    Raises
    ------
    ValueError, TypeError
        If a reward law or a name cannot be written down, or the file cannot be written.

    Notes
    -----
    Format: version 1 holds the fields `format`, `version`, `kind`, `discount`, `n_states`, the columns of
    `model.outcomes`, `laws` (JSON: null for a finite law, else the name and parameters of a scipy.stats law), the
    finite laws' values and probabilities end to end, and `initial`, `layout`, `defects` (what the rows lacked of 1
    before they were mixed), `sampled`, `step` (of a `Step`, whose returns need not end), `n_actions`, `pair_indptr` and
    `pair_actions` (where not every state has every action), and, where the model has them, `states` and `actions`
    (JSON: their names) and `labels` (JSON: names) with `label_masks` (labels, S). Where rows have discounts of their
    own, `discounts` is there instead of `discount`, which older versions of distrl miss and say so.
    """
    if not isinstance(model, MRP | MDP):
        raise TypeError(f"model must be an MRP or an MDP, got {model!r}")
    write_npz(path_of(path), fields_of(model))


def fields_of(model: MRP | MDP) -> Fields:
    """The fields of a file; an MRP's loops of reward 0 are made ends again when it is read."""
    table = model.outcomes if model.outcomes.before_ends is None else model.outcomes.before_ends
    finite = [law for law in table.reward_laws if isinstance(law, FiniteLaw) and not isinstance(law, LatticeLaw)]
    fields: dict[str, Any] = {
        "format": np.array(FORMAT),
        "version": np.array(_VERSION),
        "kind": np.array("MRP" if isinstance(model, MRP) else "MDP"),
        "n_states": np.array(table.n_states),
        "indptr": table.indptr,
        "probs": table.probs,
        "next_states": table.next_states,
        "rewards": table.rewards,
        "terminals": table.terminals,
        "law_of_row": table.laws,
        "laws": np.array(json.dumps([described(law) for law in table.reward_laws])),
        "finite_indptr": np.cumsum([0, *(len(law.values) for law in finite)]),
        "finite_values": np.concatenate([np.empty(0), *(law.values for law in finite)]),
        "finite_probs": np.concatenate([np.empty(0), *(law.probs for law in finite)]),
    }
    own = table.discounts
    fields.update({"discount": np.array(model.discount)} if own is None else {"discounts": own})
    if table.known_defects is not None:
        fields["defects"] = table.known_defects
    if model.initial is not None:
        fields["initial"] = model.initial
    if model.layout is not None:
        fields["layout"] = np.array(model.layout)
    if isinstance(model, MRP) and model.sampled:
        fields["sampled"] = np.array(True)
    if isinstance(model, Step):
        fields["step"] = np.array(True)
    if isinstance(model, MDP) and not model.choices.even:
        fields["n_actions"] = np.array(model.n_actions)
        fields["pair_indptr"], fields["pair_actions"] = model.indptr, model.choices.actions
    named = {"states": model.states, "actions": model.actions} if isinstance(model, MDP) else {"states": model.states}
    for what, names in named.items():
        if not isinstance(names, range):
            fields[what] = np.array(json.dumps([_as_json(name, what) for name in names]))
    if model.labels:
        fields["labels"] = np.array(json.dumps(list(model.labels)))
        fields["label_masks"] = np.stack(list(model.labels.values()))
    return fields


def load(path: str | os.PathLike[str]) -> MRP | MDP:
    """Read the model that `save` wrote to `path`.

    Everything in the file is validated as if a user had typed it; nothing in it is executed.

    Raises
    ------
    ValueError, TypeError
        If the file is missing, damaged, cut short, not a distrl model or of a later version, naming it.
    """
    source = path_of(path)
    return model_in(read_npz(source, "a distrl model file"), source)


def model_in(fields: Fields, source: object) -> MRP | MDP:
    """The model that a file's fields say."""
    if str(fields.get("format")) != FORMAT:
        raise ValueError(f"{source} is not a distrl model file")
    try:
        version = whole_number(fields["version"], "version")
        if version != _VERSION:
            raise ValueError(f"it has format version {version}, this distrl reads version {_VERSION}; update distrl")
        return build(fields)
    except KeyError as error:
        raise ValueError(f"{source} is not a whole distrl model file: it has no field {error}") from error
    except (ValueError, TypeError, RecursionError) as error:  # the last: lists in lists, too deep to be names or laws
        raise ValueError(f"{source} does not hold a valid model: {one_line(error)}") from error


def build(fields: Fields, read_law: LawReader | None = None) -> MRP | MDP:
    """A model from fields, everything in them checked; `read_law` is shared with other models of a file."""
    kind = str(fields["kind"])
    if kind not in ("MRP", "MDP"):
        raise ValueError(f"kind is {kind!r}, neither MRP nor MDP")
    n = whole_number(fields["n_states"], "n_states", low=1)
    probs = float_array(fields["probs"], "probs", ndim=1)
    rows = len(probs)
    indptr = int_array(fields["indptr"], "indptr", low=0, high=rows + 1)
    if len(indptr) < 2 or indptr[0] != 0 or indptr[-1] != rows or (np.diff(indptr) < 0).any():
        raise ValueError("indptr does not cut the rows into sources")
    sources = len(indptr) - 1
    available = _choices(fields, n, sources)
    if available is None and (sources % n or (kind == "MRP" and sources != n)):
        raise ValueError(f"{sources} sources do not fit {n} states")
    laws = laws_in(fields, LawReader() if read_law is None else read_law)
    next_states = int_array(fields["next_states"], "next_states", low=0, high=n)
    rewards = float_array(fields["rewards"], "rewards", ndim=1)
    law_of_row = int_array(fields["law_of_row"], "law_of_row", low=-1, high=len(laws))
    for name, length in (("next_states", len(next_states)), ("rewards", len(rewards)), ("law_of_row", len(law_of_row))):
        if length != rows:
            raise ValueError(f"{name} has {length} entries for {rows} rows")
    terminals = bool_array(fields["terminals"], "terminals", rows)
    columns = np.repeat(np.arange(sources), np.diff(indptr)), probs, next_states, rewards, terminals, law_of_row, laws
    own = float_array(fields["discounts"], "discounts", ndim=1) if "discounts" in fields else None
    if own is not None and (len(own) != rows or ((own < 0.0) | (own > 1.0)).any()):
        raise ValueError(f"discounts must be {rows} numbers in [0, 1]")
    table = build_table(
        Rows(*columns, own),
        n_sources=sources,
        n_states=n,
        describe=lambda source: f"source {source}",
        tolerance=MIXED_ROW_SUM,
    )
    if "defects" in fields:
        defects = float_array(fields["defects"], "defects", ndim=1)
        if len(defects) != sources or (defects < 0.0).any():
            raise ValueError(f"defects must be {sources} numbers >= 0")
        table = replace(table, known_defects=defects)
    discount = fields["discount"] if own is None else None
    initial, layout = fields.get("initial"), fields.get("layout")
    known: dict[str, Any] = {"states": _names(fields, "states"), "labels": _labels(fields, n)}
    if kind == "MDP":
        known |= {"available": available, "actions": _names(fields, "actions")}
        return MDP.from_table(table, discount, initial, layout, **known)
    kinds = Step if fields.get("step", False) else MRP
    model = kinds(table, None, discount, initial=initial, layout=layout, **known)
    if fields.get("sampled", False):
        model.sampled = True
    return model


def _choices(fields: dict[str, Any], n_states: int, sources: int) -> Choices | None:
    """The pairs of an MDP in which not every state has every action."""
    if "n_actions" not in fields:
        return None
    n_actions = whole_number(fields["n_actions"], "n_actions", low=1)
    indptr = int_array(fields["pair_indptr"], "pair_indptr", low=0, high=sources + 1)
    actions = int_array(fields["pair_actions"], "pair_actions", low=0, high=n_actions)
    if len(indptr) != n_states + 1 or indptr[0] != 0 or indptr[-1] != sources or len(actions) != sources:
        raise ValueError(f"{len(actions)} pairs do not fit {n_states} states and {sources} sources")
    choices = Choices(n_actions, indptr, actions)
    if (choices.numbers < 1).any() or (np.diff(choices.states * n_actions + actions) <= 0).any():
        raise ValueError("pair_actions are not in ascending order, or a state has none")
    return choices


def _as_json(name: Any, what: str) -> Any:
    if isinstance(name, tuple):
        return [_as_json(part, what) for part in name]
    if name is None or isinstance(name, str | int | float):
        return name
    raise ValueError(f"{name!r}, one of {what}, cannot be saved; names are text, numbers or tuples of these")


def _names(fields: dict[str, Any], what: str) -> list[Any] | None:
    if what not in fields:
        return None
    try:
        names = json.loads(str(fields[what]))
    except ValueError as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
    if not isinstance(names, list):
        raise ValueError(f"{what} is not a list")
    return [_hashable(name) for name in names]


def _labels(fields: dict[str, Any], n_states: int) -> dict[Any, Any] | None:
    names = _names(fields, "labels")
    if names is None:
        return None
    masks = np.asarray(fields["label_masks"])
    if masks.shape != (len(names), n_states) or masks.dtype != np.bool_ or len(set(names)) < len(names):
        raise ValueError(f"label_masks are not the masks of {len(names)} labels for {n_states} states")
    return dict(zip(names, masks, strict=True))


def _hashable(name: Any) -> Any:
    return tuple(map(_hashable, name)) if isinstance(name, list) else name
