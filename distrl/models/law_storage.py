"""Reward laws in files: finite ones as arrays, those of `scipy.stats` by name and parameters."""

import json
import time
from typing import Any

import numpy as np

from distrl._validation import float_array, int_array
from distrl.models.laws import FiniteLaw, LatticeLaw, Law, ScipyLaw, as_law

#: The fields of a file: arrays by name.
Fields = dict[str, Any]
_PATIENCE = 300.0  # seconds of CPU that the laws of one file may take; a law takes at most some seconds, see `as_law`


def described(law: Law) -> dict[str, object] | None:
    """A law as JSON: None for a finite one (its arrays are stored), else name and parameters."""
    if isinstance(law, FiniteLaw) and not isinstance(law, LatticeLaw):
        return None
    if isinstance(law, ScipyLaw | LatticeLaw):
        from scipy import stats  # slow to import; loaded already when there is such a law

        frozen: Any = law.frozen
        dist = getattr(frozen, "dist", None)
        name = getattr(dist, "name", None)
        # a user's own distribution may carry a SciPy name
        if isinstance(name, str) and type(getattr(stats, name, None)) is type(dist):
            try:
                args, kwds = map(_plain, frozen.args), frozen.kwds.items()
                return {"name": name, "args": list(args), "kwds": {key: _plain(value) for key, value in kwds}}
            except (TypeError, ValueError):
                pass
    raise ValueError(f"{law!r} cannot be saved; use a FiniteLaw or a frozen scipy.stats law with scalar parameters")


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, int | np.integer) else float(value)


def laws_in(fields: Fields, read: "LawReader") -> list[Law]:
    """The laws of a file of a model, in order.

    Raises
    ------
    KeyError, ValueError
        If they are missing or damaged.
    """
    try:
        described = json.loads(str(fields["laws"]))
    except ValueError as error:
        raise ValueError(f"laws is not JSON: {error}") from error
    if not isinstance(described, list):
        raise ValueError("laws is not a list")
    values = float_array(fields["finite_values"], "finite_values", ndim=1)
    probs = float_array(fields["finite_probs"], "finite_probs", ndim=1)
    cuts = int_array(fields["finite_indptr"], "finite_indptr", low=0, high=len(values) + 1)
    finite = sum(entry is None for entry in described)
    if len(cuts) != finite + 1 or len(probs) != len(values):
        raise ValueError(f"the arrays of the finite laws do not hold {finite} laws")
    laws: list[Law] = []
    position = 0
    for number, entry in enumerate(described):
        if entry is None:
            piece = slice(int(cuts[position]), int(cuts[position + 1]))
            laws.append(FiniteLaw(values[piece], probs[piece]))
            position += 1
        else:
            laws.append(read(entry, f"law {number}"))
    return laws


class LawReader:
    """Reads the laws of one file; refuses to go on where they take too long together."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self, entry: object, what: str) -> Law:
        """The law that `described` wrote down.

        Raises
        ------
        ValueError
            If it is none, or the laws so far took minutes; `what` names it.
        """
        if self._seconds > _PATIENCE:
            raise ValueError(f"{what}: the laws before it took {self._seconds:.0f} s of CPU; that many are not read")
        started = time.thread_time()
        try:
            return frozen_law(entry, what)
        finally:
            self._seconds += time.thread_time() - started


def frozen_law(entry: object, what: str) -> Law:
    """The law that `described` wrote down."""
    from scipy import stats  # slow to import, and only models with such laws need it

    if not (isinstance(entry, dict) and {"name", "args", "kwds"} <= entry.keys() and isinstance(entry["name"], str)):
        raise ValueError(f"{what} is {entry!r}; expected name, args and kwds")
    dist = getattr(stats, entry["name"], None)
    if not isinstance(dist, stats.rv_continuous | stats.rv_discrete):
        raise ValueError(f"{what}: scipy.stats has no distribution {entry['name']!r}")
    try:
        frozen = dist(*entry["args"], **entry["kwds"])
    except Exception as error:  # whatever SciPy's parameter parsing raises
        raise ValueError(f"{what}: {entry['name']} does not take these parameters: {error}") from error
    return as_law(frozen, what)
