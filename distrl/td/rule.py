"""What a learning rule is: all that `learn`, `Learner` and `estimate` know of the methods that they run.

A rule keeps estimates, `width` numbers a state, and renews them from transitions. What it needs for that is its
*memory*, a dictionary of arrays, one for each replication: `remember` makes it of a start, `renew` changes it in place,
`estimates` reads from it what is to be reported. `means` and `returns` say what such estimates stand for. Everything
else is the same for all rules and is not theirs: sampling, random streams, step sizes, counts of visits, records,
replications, threads, interruption and resumption.

`TDMethod` supplies what most rules share, and leaves `width`, `arrays`, `remember`, `renew`, `estimates`, `means` and
`returns`.
"""

import inspect
from typing import Any, Protocol, Self, TypeGuard, TypeVar

from numpy.typing import ArrayLike, NDArray

from distrl._validation import FloatArray, IntArray
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.td.sampling import Transitions

#: What one replication remembers between updates, by name.
Memory = dict[str, NDArray[Any]]

#: The estimates that a user begins with; None asks for the rule's own.
Start = ArrayLike | Returns | None

#: What the estimates are given back as: `CategoricalReturns`, for example.
R = TypeVar("R", bound=Returns, covariant=True)


class LearningRule(Protocol[R]):
    """A rule that learns from transitions; S states, N transitions, `width` numbers an estimate.

    A rule is not changed by learning: replications share it, on several threads at once, and a resumed run asks whether
    the rule that it is given equals its own (`==`), so a frozen dataclass of options is the natural form.
    """

    @property
    def steps(self) -> int | None:
        """Rewards in a target: 1, n, or None for all to the end of the episode."""
        ...

    @property
    def width(self) -> int:
        """Numbers an estimate; asked of the rule that `on` has given."""
        ...

    @property
    def arrays(self) -> int:
        """How many arrays of (S, width) a replication needs at most, its memory included: for the check of memory."""
        ...

    @property
    def largest_step(self) -> float:
        """The largest step size that makes sense: 1 where a step is a share of the way to a target, inf for any."""
        ...

    @property
    def all_at_once(self) -> bool:
        """Whether all states must be renewed together: then sampling is synchronous, and no `Learner` can run it."""
        ...

    def on(self, model: MRP | MDP | None) -> Self:
        """This rule with all that it takes from the model filled in, a grid for example.

        It is asked first, and all the rest is asked of what it gives. None: a `Learner` that has no model.

        Raises
        ------
        ValueError
            If something must be given that the model does not tell.
        """
        ...

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        """(R, S, width) the estimates to begin with; it may be read-only.

        Parameters
        ----------
        start : array, returns or None
            As the user gave it.
        replications, states : int
            Their numbers R and S.

        Raises
        ------
        ValueError, TypeError
            If `start` has another shape, or is not what estimates can be.
        """
        ...

    def remember(self, start: FloatArray) -> Memory:
        """The memory of one replication, from its start (S, width), an array of its own which may be kept.

        Copies of these arrays are all that a run needs to go on, and what is saved of the rule's work.
        """
        ...

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        """Learn from transitions: change the arrays of `memory` in place.

        Parameters
        ----------
        transitions : Transitions
            In order. Those of a block are learnt at once, each from the estimates before the block.
        counts : (N,) int
            Which renewal of its state each is, counted from 1.
        steps : (N,) float
            The step size of each.
        block : int
            Transitions a block: S, one for each state, with synchronous sampling, else 1. N is a multiple of it. The
            blocks of an update count are the same however many of them come in one call, and the result must be too.
        """
        ...

    def estimates(self, memory: Memory) -> FloatArray:
        """(S, width) the estimates to report; it may be an array of the memory."""
        ...

    def means(self, estimates: FloatArray) -> FloatArray:
        """(..., S) the means of estimates (..., S, width), in units of reward."""
        ...

    def returns(self, estimates: FloatArray) -> R:
        """Estimates (..., S, width) as what a user works with, of batch shape (..., S)."""
        ...

    def axis(self) -> dict[str, FloatArray]:
        """What the last axis of estimates stands for, by name, for files; empty where there is nothing to say.

        The name "atoms" says that estimates are masses at these points: what is below 0 is then reported as negative
        mass.
        """
        ...


_HOOKS = tuple(name for name in vars(LearningRule) if not name.startswith("_"))
_NONE = object()


def is_rule(method: object) -> TypeGuard[LearningRule[Returns]]:
    """Whether `method` has everything that a `LearningRule` must have."""
    return not isinstance(method, type) and not _lacking(method)


def check_rule(method: object) -> None:
    """Refuse what is no rule.

    Raises
    ------
    TypeError
        Naming what it lacks, where it has something of a rule.
    """
    if is_rule(method):
        return
    hint = ""
    if isinstance(method, type):
        hint = f"; create it: {method.__name__}(...)"
    elif hasattr(method, "play"):
        hint = "; it chooses actions, which is for distrl.learn(mdp, method) and method.learner(mdp)"
    elif "renew" not in (lacking := _lacking(method)):
        hint = f"; it lacks {', '.join(lacking)} of a distrl.td.LearningRule"
    raise TypeError(f"method must be a method such as distrl.CategoricalTD(), got {method!r}{hint}")


def _lacking(method: object) -> list[str]:
    """The hooks that a method does not have; none of them is asked for its value, which may need a model."""
    return [name for name in _HOOKS if inspect.getattr_static(method, name, _NONE) is _NONE]
