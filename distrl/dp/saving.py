"""Solutions in files."""

import csv
import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from distrl.dp.solution import Solution


def save_solution(solution: "Solution", path: str | os.PathLike[str]) -> None:
    """What `Solution.save` says."""
    target = pathlib.Path(path)
    partial = target.with_name(target.name + ".partial")
    if target.suffix == ".csv":
        columns = solution.table()
        with open(partial, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["state", *columns])
            writer.writerows(zip(range(solution.model.n_states), *(c.tolist() for c in columns.values()), strict=True))
    elif target.suffix == ".npz":
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
        with open(partial, "wb") as binary:
            np.savez_compressed(binary, **arrays)
    else:
        raise ValueError(f"cannot tell the format of {str(target)!r}; end its name in .npz or .csv")
    os.replace(partial, target)
