"""What `optimize(..., throw=True)` raises where the work ended early: errors that carry what there is."""

from distrl.control.policy import RunnablePolicy
from distrl.control.solution import ControlSolution


class OptimizationError(RuntimeError):
    """Raised by `optimize(..., throw=True)` where the gap is above the tolerance; `.solution` holds what there is."""

    def __init__(self, solution: ControlSolution[RunnablePolicy]) -> None:
        super().__init__(
            f"{solution.outcome} ({solution.ended} after {solution.iterations} {solution.method.counts}: "
            f"{solution.reason}; the solution so far is this error's .solution, or pass throw=False)"
        )
        self.solution = solution

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.solution,), self.__dict__


class OptimizationInterrupted(KeyboardInterrupt):
    """Ctrl-C during `optimize(..., throw=True)`; `.solution` holds the best policy so far, its bounds are valid."""

    def __init__(self, solution: ControlSolution[RunnablePolicy]) -> None:
        super().__init__(solution.outcome)
        self.solution = solution

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.solution,), self.__dict__
