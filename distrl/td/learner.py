"""A learner that is fed transitions by hand, from Gymnasium or anything else."""

from typing import Generic

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    bool_array,
    float_array,
    int_array,
    real_number,
    whole_number,
)
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.td.replication import renew
from distrl.td.rule import LearningRule, R, Start, check_rule
from distrl.td.sampling import Columns, Transitions, no_steps, windowed
from distrl.td.step_sizes import StepSize, as_step_size, check_step_size


class Learner(Generic[R]):
    """Estimates for the states of an environment that is not modelled, renewed transition by transition.

    It predicts: the policy is whatever chose the actions, and never seen here. Made by a method:
    `CategoricalTD(grid=grid).learner(500, discount=0.99)`.

    Parameters
    ----------
    method : a method such as `CategoricalTD`, or a `LearningRule`
    model : MRP, MDP or int
        A model gives the number of states, the discount and the default grid; or the number of states alone.
    discount : float in [0, 1]
        To be given with a number of states, and only then.
    step_size : float, array or step-size object
        As in `learn`; by default its clock is the state's own count.
    start : array, optional
        (S,) for TD, else (S, m); as in `learn`.

    Attributes
    ----------
    returns : CategoricalReturns, QuantileReturns, ExpectileReturns or ValueEstimates
        The estimates, batch (S,).
    values : (S,)
        The means of the estimates, in units of reward.
    visits : (S,) int
        How often each state was renewed.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it must be, naming it, or the method renews all states at once.

    Examples
    --------
    A coin is tossed until it shows heads; the return is the number of tosses.

    >>> import distrl, numpy
    >>> rng = numpy.random.default_rng(0)
    >>> method = distrl.CategoricalTD(grid=distrl.Grid(0, 20, 21))
    >>> learner = method.learner(1, discount=1.0, step_size=distrl.td.Harmonic(scale=4, offset=3))
    >>> for _ in range(20_000):
    ...     learner.update(state=0, reward=1.0, next_state=0, terminal=bool(rng.random() < 0.5))
    >>> numpy.abs(learner.returns[0].probs[1:4] - [0.5, 0.25, 0.125]).max() < 0.02
    np.True_
    """

    def __init__(
        self,
        method: LearningRule[R],
        model: MRP | MDP | int,
        discount: float | None = None,
        step_size: StepSize | ArrayLike = 0.1,
        start: Start = None,
    ) -> None:
        check_rule(method)
        if isinstance(model, MRP | MDP):
            if discount is not None:
                raise ValueError("the model has a discount of its own; leave discount out")
            self.n_states, self.uniform_discount = model.n_states, model.uniform_discount
            self.method = method.on(model)
        else:
            self.n_states = whole_number(model, "model (a number of states)", low=1)
            if discount is None:
                raise ValueError("without a model the discount must be given: learner(states, discount=0.99)")
            self.uniform_discount = real_number(discount, "discount", low=0.0, high=1.0)
            self.method = method.on(None)
        if self.method.all_at_once:
            raise ValueError(f"{self.method!r} renews all states at once; a learner takes one at a time")
        self.step_size = as_step_size(step_size)
        check_step_size(self.step_size, self.method, 0)
        check_memory(self.n_states, self.method.width, self.method.arrays, "use fewer atoms")
        self._memory = self.method.remember(self.method.starts(start, 1, self.n_states)[0].copy())
        self.visits: IntArray = np.zeros(self.n_states, np.int64)
        self._waiting = no_steps()
        self._updates = 0

    def __repr__(self) -> str:
        g = "by transition" if self.uniform_discount is None else f"{self.uniform_discount:g}"
        return f"Learner({self.method!r}, states={self.n_states}, discount={g}, updates={self._updates})"

    @property
    def discount(self) -> float:
        """The discount of every transition.

        Raises
        ------
        ValueError
            Where transitions have discounts of their own.
        """
        if self.uniform_discount is None:
            raise ValueError("the model's discount differs by outcome: update(..., discount=) says each transition's")
        return self.uniform_discount

    def update(self, state: int, reward: float, next_state: int, terminal: bool, discount: float | None = None) -> None:
        """Learn from one transition.

        Parameters
        ----------
        state, next_state : int
        reward : float
        terminal : bool
            Whether the return ends here (Gymnasium's `terminated`). After a `truncated` episode start the next one.
        discount : float in [0, 1], optional
            The transition's own; None: the learner's. It has to be given where the model's differ by outcome.

        Notes
        -----
        With `steps` of more than 1 transitions must come in the order of the episodes; a state is renewed once its
        target is complete. An episode that another one cuts off bootstraps from its last state (with `steps=None` its
        waiting visits are dropped). An update takes time O(m), and O(visits that wait): feed long episodes that nothing
        bootstraps with `update_batch`.

        Raises
        ------
        ValueError, TypeError
            If a state is out of range or the reward is not finite.
        """
        last = self.n_states - 1
        place, following = whole_number(state, "state", high=last), whole_number(next_state, "next_state", high=last)
        if terminal not in (True, False):
            raise TypeError(f"terminal must be True or False, got {terminal!r}")
        gain, own = real_number(reward, "reward"), None if discount is None else [discount]
        columns = (np.array([place]), np.array([gain]), np.array([following]), np.array([bool(terminal)]))
        self._learn((*columns, self._factors(own, columns[3])))

    def _factors(self, given: ArrayLike | None, terminals: BoolArray) -> FloatArray:
        """(N,) the discounts of transitions, 0 where they end."""
        if given is None:
            return np.where(terminals, 0.0, 0.0 if terminals.all() else self.discount)
        own = float_array(given, "discounts", ndim=1)
        if own.shape != terminals.shape or not ((own >= 0.0) & (own <= 1.0)).all():
            raise ValueError(f"discounts must be {len(terminals)} numbers in [0, 1], one for each transition")
        return np.where(terminals, 0.0, own)

    def update_batch(
        self,
        states: ArrayLike,
        rewards: ArrayLike,
        next_states: ArrayLike,
        terminals: ArrayLike,
        discounts: ArrayLike | None = None,
    ) -> None:
        """Learn from transitions one after the other, the same as `update` for each.

        Parameters
        ----------
        states, next_states : (N,) int
        rewards : (N,) float
        terminals : (N,) bool
        discounts : (N,) float, optional
            As for `update`.

        Raises
        ------
        ValueError, TypeError
            If a column is not as long as `states`, or a state is out of range, naming it.
        """
        columns = (
            int_array(states, "states", low=0, high=self.n_states),
            float_array(rewards, "rewards", ndim=1),
            int_array(next_states, "next_states", low=0, high=self.n_states),
        )
        count = len(columns[0])
        for name, column in zip(("rewards", "next_states"), columns[1:], strict=True):
            if len(column) != count:
                raise ValueError(f"{name} has {len(column)} entries for {count} states")
        ends = bool_array(terminals, "terminals", count)
        self._learn((*columns, ends, self._factors(discounts, ends)))

    def _learn(self, steps: Columns) -> None:
        """Learn from checked columns."""
        states, rewards, next_states, _, weights = steps
        count = len(states)
        sizes = getattr(self.step_size, "sizes", None)
        if sizes is not None and self._updates + count > len(sizes):
            raise ValueError(f"step_size lists {len(sizes)} steps; update {self._updates + count} may need one more")
        if self.method.steps == 1:
            transitions = Transitions(states, rewards, next_states, weights, self._updates + np.arange(1, count + 1))
        else:
            transitions, self._waiting = windowed(self._waiting, steps, self.method.steps or 0, self._updates)
        self._updates += count
        renew(self.method, self._memory, self.visits, self.step_size, transitions, 1)

    @property
    def returns(self) -> R:
        """The estimates of all states: a copy that later updates do not change."""
        return self.method.returns(self.method.estimates(self._memory).copy())

    @property
    def values(self) -> FloatArray:
        """(S,) the means of the estimates, in units of reward."""
        return self.method.means(self.method.estimates(self._memory)).copy()
