"""The laws of H steps by a method: by its own steps where it has some, else on the process of all steps together."""

from dataclasses import replace

import numpy as np

from distrl.dp.call import Call
from distrl.dp.method import HorizonMethod, Method
from distrl.dp.result import Later, R
from distrl.dp.solution import Solution
from distrl.models.stages import Stages

#: States of the process of all steps together that a method without `solve_horizon` is handed at most.
MOST_UNROLLED = 200_000


def solve_stages(stages: Stages, method: Method[R], call: Call) -> Solution[R]:
    """The laws of H steps by a method that takes steps (`HorizonMethod`), else on the process of all steps together.

    Raises
    ------
    ValueError
        If that process has more than `MOST_UNROLLED` states.
    """
    if isinstance(method, HorizonMethod):
        solution = method.solve_horizon(stages, call)
    else:
        solution = _unrolled(stages, method, call)
    return replace(solution, stages=stages)


def _unrolled(stages: Stages, method: Method[R], call: Call) -> Solution[R]:
    n, h = stages.n_states, stages.horizon
    if n * max(h, 1) > MOST_UNROLLED:
        raise ValueError(
            f"{method!r} has no solve_horizon(stages, call), and {h} steps of {n} states are {n * h} states together, "
            f"more than the {MOST_UNROLLED} that it is handed at once: write that method (distrl.dp.HorizonMethod), or "
            "take one of the library's"
        )
    solution = method.solve(stages.unrolled(), call)
    first, second = np.arange(n), np.arange(n, 2 * n)
    later = None
    if h > 1 and solution.certificate is not None:
        later = Later(solution.returns[second], solution.certificate[second])
    elif h == 1 and solution.certificate is not None:
        rest = method.solve(Stages(0, stages.models, stages.policies).unrolled(), call)
        later = Later(rest.returns, rest.certificate)
    return replace(
        solution,
        returns=solution.returns[first],
        certificate=None if solution.certificate is None else solution.certificate[first],
        bounds=None if solution.bounds is None else solution.bounds[first],
        model=stages.process(0),
        history=None,
        later=later,
        reason=f"{solution.reason}; on the {n * max(h, 1)} states of all steps together",
    )
