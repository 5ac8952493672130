"""`save` and `load`: models and results in files."""

import os
from typing import Any

from distrl._files import one_line, path_of, read_npz, write_npz
from distrl._records import can_be_recorded, is_model, is_record, read_record, record_of
from distrl.models.storage import FORMAT, model_in
from distrl.models.storage import save as save_model


def save(thing: object, path: str | os.PathLike[str]) -> None:
    """Write a model or a result to a file; `load` gives it back bit for bit.

    The file appears whole or not at all: it is written beside `path` and then renamed.

    Parameters
    ----------
    thing : MRP, MDP, Solution, Estimate, LearningRun, or a part of one: return laws, a certificate, a method
        Reward laws must be `FiniteLaw`s or frozen laws of `scipy.stats` with scalar parameters.
    path : path
        For results the name must end in .npz (or .csv, for the table of a solution); for a model it is taken as it is.

    Raises
    ------
    ValueError, TypeError
        If a reward law or a method is a user's own, or the file cannot be written, naming it.
    """
    if is_model(thing):
        save_model(thing, path)
    elif not can_be_recorded(thing):
        raise TypeError(f"distrl saves an MRP or an MDP, and results such as a Solution; got {thing!r}")
    elif hasattr(thing, "save"):
        thing.save(path)
    else:
        write_npz(path_of(path), record_of(thing, {}))


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save`, `Solution.save` or `LearningRun.save` wrote: a model, a Solution, an Estimate, a LearningRun.

    A result is what it was: laws, certificate, status, method, model and samples, bit for bit; its intervals can be
    asked for, and a run can be resumed. Nothing in the file is executed.

    Parameters
    ----------
    path : path
        Of a file whose name may end in anything.

    Raises
    ------
    ValueError, TypeError
        If the file is missing, damaged, cut short, not made by distrl or by a later version, naming it.
    """
    source = path_of(path)
    fields = read_npz(source, f"a {FORMAT} file or result")
    if not is_record(fields):
        if str(fields.get("format")) != FORMAT and "settings" in fields:
            raise ValueError(f"{source} was saved by an older distrl, or without its model: it has arrays, no record")
        return model_in(fields, source)
    try:
        return read_record(fields)
    except KeyError as error:
        raise ValueError(f"{source} is not a whole file of distrl: it has no field {error}") from error
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{source} does not hold a valid result: {one_line(error)}") from error
