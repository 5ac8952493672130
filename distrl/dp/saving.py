"""Solutions in files: arrays and settings for people, and beside them the record that `distrl.load` reads."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distrl._files import replacing
from distrl._records import write_result
from distrl._validation import FloatArray
from distrl.dp.result import Result
from distrl.returns.base import Returns


def save_table(columns: Mapping[str, FloatArray], states: Sequence[object], target: Path) -> None:
    """Columns (S,) as `.csv`, one row for each of `states`, the labels."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["state", *columns])
    writer.writerows(zip(states, *(column.tolist() for column in columns.values()), strict=True))
    with replacing(target) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", newline="")


def save_record(result: Result[Returns], target: Path) -> None:
    """A `Solution` as `.npz`; where it cannot be recorded, its arrays alone, with a warning."""
    settings = {
        "method": repr(result.method),
        "solver": result.solver,
        "status": result.status.name,
        "tol": result.tol,
    }
    arrays: dict[str, Any] = {
        "values": result.values,
        "settings": np.array(json.dumps(settings)),
        "residual": np.array(result.residual),
        **result.returns.arrays(),
    }
    if result.certificate is not None:
        arrays["w1_bound"] = result.certificate.w1
    write_result(target, result, arrays)
