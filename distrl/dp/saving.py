"""Solutions in files."""

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from distrl._files import path_of, replacing

if TYPE_CHECKING:
    from distrl.dp.solution import Solution


def save_solution(solution: "Solution", path: str | os.PathLike[str]) -> None:
    """What `Solution.save` says."""
    target = path_of(path)
    if target.suffix == ".csv":
        text = io.StringIO(newline="")
        columns = solution.table()
        writer = csv.writer(text)
        writer.writerow(["state", *columns])
        writer.writerows(zip(solution.model.states, *(c.tolist() for c in columns.values()), strict=True))
        with replacing(target) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8", newline="")
    elif target.suffix == ".npz":
        _save_record(solution, target)
    else:
        raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz or .csv")


def _save_record(solution: "Solution", target: Any) -> None:
    """Arrays and settings for people, and beside them the record that `distrl.load` reads."""
    from distrl._records import write_result  # it knows all classes of results

    settings = {
        "method": repr(solution.method),
        "solver": solution.solver,
        "status": solution.status.name,
        "tol": solution.tol,
    }
    arrays: dict[str, Any] = {
        "values": solution.values,
        "settings": np.array(json.dumps(settings)),
        "residual": np.array(solution.residual),
    }
    arrays.update(solution.returns.arrays())
    if solution.certificate is not None:
        arrays["w1_bound"] = solution.certificate.w1
    write_result(target, solution, arrays)
