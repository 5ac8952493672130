"""What `evaluate` asks of a method: to write one of your own, supply `solve`."""

from typing import Protocol, Self, runtime_checkable

from distrl.dp.call import Call
from distrl.dp.result import R
from distrl.dp.solution import Solution
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.grid import Grid


@runtime_checkable
class Method(Protocol[R]):
    """A way to the return laws of a model, usually a frozen dataclass of options.

    `solve` is given a model whose probabilities are checked and whose rows sum to 1, and the `Call`: it keeps to
    `call.tol` and `call.max_iterations`, draws from `call.rng` alone, counts its applications by `call.count()`, tells
    progress by `call.enter`, `call.report` or `call.advance`, and puts its loop inside `with call.interruptible():`,
    so that Ctrl-C gives back what was reached. The result is made by `Solution.of`.
    """

    def solve(self, model: MRP, call: Call) -> Solution[R]:
        """The return laws of every state of `model`, as well as `call` asks for and allows."""


@runtime_checkable
class HorizonMethod(Protocol[R]):
    """A method that goes back over the steps of a finite horizon by itself: `evaluate(..., horizon=H)` asks for it.

    `solve_horizon` is given the `Stages`, whose `process(t)` is what step t does, and the `Call`, as `Method.solve` is.
    It gives back the laws of the return of all H steps, made by `Solution.of(..., model=stages.process(0))`: laws,
    `certificate` and `bounds` are to be right for H steps. `later=`, the laws after the first step with their
    certificate, is what `Solution.action_returns` starts from. `distrl.dp.horizon.walk` is the loop that the library's
    methods share. A method without `solve_horizon` is handed the process of all steps together (`Stages.unrolled`)
    while that is small.
    """

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[R]:
        """The return laws of the H steps of `stages` from every state, as well as `call` asks for and allows."""


@runtime_checkable
class GridMethod(Protocol):
    """A method that works on a grid, which it chooses itself as long as `grid` is None."""

    grid: Grid | None

    def on_interval(self, low: float, high: float) -> Self:
        """The same method on a grid from `low` to `high`."""


def check_method(method: object, *others: type) -> None:
    """Raise a TypeError that says what methods there are, unless `method` is one or an instance of `others`."""
    if isinstance(method, (Method, *others)) and not isinstance(method, type):
        return
    hint = f"; create it: {method.__name__}(...)" if isinstance(method, type) else f"; {_KNOWN}"
    raise TypeError(f"method must be a method such as distrl.CategoricalFixedPoint(), got {method!r}{hint}")


_KNOWN = (
    "there are CategoricalFixedPoint, Lattice, CategoricalDP, QuantileDP, ExpectileDP, ParticleDP, SketchDP, Brackets, "
    "Moments and MonteCarlo, or any object with a method solve(model, call)"
)
