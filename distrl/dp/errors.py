"""What `evaluate(..., throw=True)` raises where the work ended early: errors that carry what there is."""

from distrl.dp.solution import Solution
from distrl.returns.base import Returns


class ConvergenceError(RuntimeError):
    """Raised by `evaluate(..., throw=True)` when the tolerance was not met; `.solution` holds what there is."""

    def __init__(self, solution: Solution[Returns]) -> None:
        super().__init__(
            f"{solution.status.value} ({solution.ended} after {solution.iterations} applications; the solution so far "
            "is this error's .solution, or pass throw=False)"
        )
        self.solution = solution

    def __reduce__(self) -> tuple[object, ...]:
        # an error is made again from what it was made of, not from its sentence: else a pool of processes hangs
        return type(self), (self.solution,), self.__dict__


class EvaluationInterrupted(KeyboardInterrupt):
    """Ctrl-C during `evaluate(..., throw=True)`; `.solution` holds the last iterate, certified."""

    def __init__(self, solution: Solution[Returns]) -> None:
        super().__init__(solution.status.value)
        self.solution = solution

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.solution,), self.__dict__
