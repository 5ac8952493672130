"""A learner that acts, or is told what was done, in an environment of one's own."""

from typing import Generic

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import FloatArray, IntArray, RandomSource, generator, real_number, whole_number
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.td.acting.exploration import ExplorationLike, as_exploration, explorations
from distrl.td.acting.method import ActingMethod, K, Move
from distrl.td.rule import R, Start
from distrl.td.step_sizes import StepSize, as_step_size, check_step_size


class ControlLearner(Generic[R, K]):
    """Estimates for (state, action) pairs, renewed transition by transition; made by `method.learner(...)`.

    Parameters
    ----------
    method : ActingMethod, such as `CategoricalQ`
    model : MDP, or (states, actions)
        A decision process gives the pairs, the discount and the default grid; or the numbers of states and actions.
    discount : float in [0, 1]
        To be given with numbers, and only then.
    step_size : float, array or step-size object
        As in `learn`; by default its clock is the pair's own count.
    start : array or returns, optional
        As in `learn`.
    exploration : float, schedule or function of the update count
        How often `act` plays a random action.

    Attributes
    ----------
    choices : Choices
        The (state, action) pairs.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it must be, naming it.

    Examples
    --------
    Two machines, one of which pays.

    >>> import distrl, numpy
    >>> rng = numpy.random.default_rng(0)
    >>> learner = distrl.MeanQ().learner((1, 2), discount=0.0, exploration=0.5)
    >>> for _ in range(200):
    ...     action = learner.act(0, rng)
    ...     learner.update(0, action, float(action), 0, True)
    >>> learner.greedy(0)
    1
    """

    def __init__(
        self,
        method: ActingMethod[R, K],
        model: MDP | tuple[int, int],
        discount: float | None = None,
        step_size: StepSize | ArrayLike = 0.1,
        start: Start = None,
        exploration: ExplorationLike | None = None,
    ) -> None:
        if isinstance(model, MDP):
            if discount is not None:
                raise ValueError("the model has a discount of its own; leave discount out")
            self.choices, self._discount = model.choices, model.uniform_discount
            self.method = method.on(model)
        else:
            if not isinstance(model, tuple) or len(model) != 2:
                raise TypeError(f"model must be a distrl.MDP, or the numbers (states, actions), got {model!r}")
            sizes = [whole_number(size, name, low=1) for size, name in zip(model, ("states", "actions"), strict=True)]
            if discount is None:
                raise ValueError("without a model the discount must be given: learner((16, 4), discount=0.99)")
            self.choices, self._discount = Choices.full(*sizes), real_number(discount, "discount", low=0.0, high=1.0)
            self.method = method.on(None)
        pairs = len(self.choices.actions)
        self.step_size, self.exploration = as_step_size(step_size), as_exploration(exploration)
        check_step_size(self.step_size, self.method, 0)
        check_memory(pairs, self.method.width, self.method.arrays, "use fewer atoms")
        self._memory = self.method.remember(self.method.starts(start, 1, self.choices)[0].copy())
        self._visits: IntArray = np.zeros(pairs, np.int64)
        self._updates = 0

    def __repr__(self) -> str:
        g = "by transition" if self._discount is None else f"{self._discount:g}"
        sizes = f"states={self.choices.n_states}, actions={self.choices.n_actions}"
        return f"ControlLearner({self.method!r}, {sizes}, discount={g}, updates={self._updates})"

    def act(self, state: int, rng: RandomSource = None) -> int:
        """An action for a state: a random one with the probability that `exploration` gives, else the greedy one.

        Parameters
        ----------
        state : int
        rng : numpy Generator
            One number is drawn.

        Raises
        ------
        ValueError, TypeError
            If there is no such state.
        """
        share = float(explorations(self.exploration, self._updates, 1)[0])
        return self._act(state, share, float(generator(rng).random()))

    def greedy(self, state: int) -> int:
        """The action of the largest mean, the first where some tie.

        Parameters
        ----------
        state : int
        """
        return self._act(state, 0.0, 1.0)

    def _act(self, state: int, exploration: float, number: float) -> int:
        place = whole_number(state, "state", high=self.choices.n_states - 1)
        pair = self.method.choose(self._memory, place, exploration, number, self.choices)
        return int(self.choices.actions[pair])

    def update(
        self,
        state: int,
        action: int,
        reward: float,
        next_state: int,
        terminal: bool,
        next_action: int | None = None,
        discount: float | None = None,
    ) -> None:
        """Learn from one transition.

        Parameters
        ----------
        state, action, next_state : int
            Whoever chose the action.
        reward : float
        terminal : bool
            Whether the return ends here (Gymnasium's `terminated`).
        next_action : int, optional
            The action that is played in `next_state`: for `update="sarsa"`, unless the return ends, and for it alone.
        discount : float in [0, 1], optional
            The transition's own; None: the learner's. It has to be given where the model's differ by outcome.

        Raises
        ------
        ValueError, TypeError
            If a state or an action is not there, or the reward is not finite, naming it.
        """
        if terminal not in (True, False):
            raise TypeError(f"terminal must be True or False, got {terminal!r}")
        pair, following = self._pair(state, action, "action"), -1
        place = whole_number(next_state, "next_state", high=self.choices.n_states - 1)
        if self.method.update != "sarsa" and next_action is not None:
            raise ValueError("next_action is for update='sarsa'; this learner takes the best one, so leave it out")
        if self.method.update == "sarsa" and not terminal:
            if next_action is None:
                raise ValueError("update='sarsa' learns from the action that is played next: give next_action=")
            following = self._pair(place, next_action, "next_action")
        sizes = getattr(self.step_size, "sizes", None)
        if sizes is not None and self._updates >= len(sizes):
            raise ValueError(f"step_size lists {len(sizes)} steps; update {self._updates + 1} may need one more")
        weight = 0.0 if terminal else self._factor(discount)
        move = Move(pair, real_number(reward, "reward"), place, following, weight, self._updates + 1)
        self.method.learn_one(self._memory, self._visits, self.step_size, move, self.choices)
        self._updates += 1

    def _factor(self, given: float | None) -> float:
        if given is not None:
            return real_number(given, "discount", low=0.0, high=1.0)
        if self._discount is None:
            raise ValueError("the model's discount differs by outcome: update(..., discount=) says each transition's")
        return self._discount

    def _pair(self, state: int, action: int, name: str) -> int:
        place = whole_number(state, "state", high=self.choices.n_states - 1)
        chosen = whole_number(action, name, high=self.choices.n_actions - 1)
        if not self.choices.available[place, chosen]:
            there = np.flatnonzero(self.choices.available[place]).tolist()
            raise ValueError(f"{name} {chosen} is not available in state {place}; available there: {there}")
        return int(self.choices.sources(np.array([place]), np.array([chosen]))[0])

    @property
    def _estimates(self) -> FloatArray:
        return self.method.estimates(self._memory)

    @property
    def returns(self) -> R:
        """The estimates, batch (S, A), or (pairs,) where not every state has every action: a copy."""
        kept = self._estimates.copy()
        return self.method.returns(kept.reshape(*self.choices.shape, kept.shape[-1]))

    @property
    def action_values(self) -> FloatArray:
        """(S, A) the means of the estimates, in units of reward; NaN where an action is not available."""
        return np.array(self.choices.matrix(self.method.means(self._estimates), np.nan))

    @property
    def values(self) -> FloatArray:
        """(S,) the largest of each state's action values."""
        return np.asarray(np.nanmax(self.action_values, axis=1))

    @property
    def policy(self) -> K:
        """As `ControlRun.policy` gives it, of one replication."""
        return self.method.policies(self._estimates[None], self.choices, self._discount)

    @property
    def visits(self) -> IntArray:
        """(S, A) how often each pair was renewed."""
        return np.array(self.choices.matrix(self._visits, 0))
