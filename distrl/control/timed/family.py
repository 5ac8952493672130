"""What a pass back over time knows of other parameters: entropic risk at betas nearer to 0, EVaR at every level."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.method import Family, Found
from distrl.control.policy import RunnablePolicy
from distrl.control.timed.bracket import Bracket
from distrl.control.timed.ladder import Stage, descend, rungs_of
from distrl.control.timed.policy import TimedPolicy
from distrl.control.timed.steps import EntropicSteps
from distrl.dp.call import Call
from distrl.dp.exponents import log_mean_exp
from distrl.models.mdp import MDP
from distrl.returns import EntropicRisk, EVaR, Functional
from distrl.returns.functionals import Ends


@dataclass(frozen=True, eq=False)
class EntropicFamily(Family):
    """The best entropic risks at betas between the one that was solved for and 0.

    On the ladder beta g^t they are as sharp as the solution; between two rungs risk rises with beta, by W^2 / 8 times
    the step at most.

    Attributes
    ----------
    mdp : MDP
    beta : float
    actions : (T, S), the best at beta g^t in row t
    tail : (S,) actions of the best mean
    width : (S,) of the interval of all returns
    stages : (K,) int, rising; the last one is T
    lows, highs : (K, S) the ends at these
    means : ((S,), (S,)) what the tail's mean is at least, and what no mean exceeds
    size : float
    """

    mdp: MDP
    beta: float
    actions: IntArray
    tail: IntArray
    width: FloatArray
    stages: IntArray
    lows: FloatArray
    highs: FloatArray
    means: tuple[FloatArray, FloatArray]
    size: float

    @cached_property
    def _steps(self) -> EntropicSteps:
        return EntropicSteps(self.mdp)

    def _rung(self, step: int) -> float:
        """The beta of a step; 0 beyond the last one."""
        if step > self.stages[-1]:
            return 0.0
        return float(rungs_of(self.beta, self.mdp.discount, 1, np.array([step]))[0])

    def _ends(self, step: int) -> Ends:
        """The ends at beta g^step, made again from the next stage that was kept; beyond the last one those of means."""
        if step > self.stages[-1]:
            return self.means
        place = int(np.searchsorted(self.stages, step))
        stage = Stage(
            int(self.stages[place]),
            np.array([self._rung(int(self.stages[place]))]),
            self.lows[place][None],
            self.highs[place][None],
            self.mdp.choices.sources(np.arange(self.mdp.n_states), self._row(int(self.stages[place])))[None],
        )
        stage = descend(self._steps, stage, self.beta, Call(), lambda _: None, to=step)
        return stage.low[0], stage.high[0]

    def _row(self, step: int) -> IntArray:
        return self.actions[step].astype(np.int64) if step < len(self.actions) else self.tail

    def _near(self, beta: float) -> int:
        """The last step whose beta is at least as far from 0."""
        if beta == 0.0:
            return int(self.stages[-1]) + 1
        g, away = self.mdp.discount, math.log(abs(beta)) - math.log(abs(self.beta))
        step = int(away / math.log(g)) if g > 0.0 else 0
        step = min(max(step, 0), int(self.stages[-1]))
        while step > 0 and abs(self._rung(step)) < abs(beta):
            step -= 1
        while step < self.stages[-1] and abs(self._rung(step + 1)) >= abs(beta):
            step += 1
        return step

    def at(self, objective: Functional) -> Found:
        """The best policy at another beta, with its bounds.

        Parameters
        ----------
        objective : EntropicRisk

        Raises
        ------
        ValueError
            For a beta of the other sign or farther from 0, and for another objective.
        """
        if not isinstance(objective, EntropicRisk):
            raise ValueError(f"one solve for EntropicRisk({self.beta:g}) has no answer for {objective!r}; optimize it")
        beta = objective.single()
        if beta * self.beta < 0.0 or abs(beta) > abs(self.beta):
            raise ValueError(
                f"one solve for EntropicRisk({self.beta:g}) has the answers for beta from there to 0, not for "
                f"{beta:g}; optimize for the one that is farthest from 0"
            )
        step = self._near(beta)
        far, near = self._moved(step, beta), self._moved(step + 1, beta)
        low, high = np.maximum(far[0], near[0]), np.minimum(far[1], near[1])
        first = np.where(far[0] >= near[0], step, step + 1)
        policy = TimedPolicy(self.actions, self.tail, first, 1, np.full(len(low), beta), self.mdp.n_actions)
        return Found(policy, low, low, high, False, "the betas of one solve", self.size, family=self)

    def _moved(self, step: int, beta: float) -> Ends:
        """The ends at beta from those of a step."""
        (low, high), away = self._ends(step), beta - self._rung(step)
        if away == 0.0:
            return low, high
        with np.errstate(invalid="ignore"):
            most = abs(away) * self.width**2 / 8.0 * (1.0 + 1e-12)
        low, high = (low, high + most) if away > 0.0 else (low - most, high)
        room = 4.0 * EPS * (np.abs(low) + np.abs(high))
        room = np.where(np.isfinite(room), room, 0.0)
        return low - room, high + room

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value for a drawn start; there is no target: NaN.

        Parameters
        ----------
        objective : EntropicRisk
        initial : (S,) probabilities
        """
        found = self.at(objective)
        low, high = mixed(objective.single(), found.lower, found.upper, initial)
        return float(low[0]), float(high[0]), math.nan


def mixed(beta: float, low: FloatArray, high: FloatArray, initial: FloatArray) -> Ends:
    """(1,) each: the ends of (1/beta) log sum of p exp(beta h), h the risks from every start."""
    some = np.flatnonzero(initial)
    probs = initial[some] / initial[some].sum()
    starts, groups = np.zeros(1, dtype=np.int64), np.zeros(len(some), dtype=np.int64)
    ends = []
    for values, side in ((low[some], -1.0), (high[some], 1.0)):
        if not np.isfinite(values).all():
            ends.append(np.array([side * np.inf]))
            continue
        found = probs @ values if beta == 0.0 else log_mean_exp(beta, values, probs, starts, groups)[0]
        room = 4.0 * (len(some) + 16.0) * EPS * float(np.abs(values).max())
        ends.append(np.array([found + side * room]))
    return ends[0], ends[1]


@dataclass(frozen=True, eq=False)
class EVaRFamily(Family):
    """The best EVaR at every level, from the entropic risks of one ladder of betas.

    The ladder is fine enough for the level that was solved for; bounds are as wide as they are elsewhere.

    Attributes
    ----------
    mdp : MDP
    passes : int
        Rungs to a factor of the discount.
    betas : (N,) falling, above 0
    actions : (N', S) of the first rungs
    tail : (S,) of all others
    lows, highs : (N, S) ends of the best entropic risk at each
    mean : (S,) what no mean exceeds
    smallest, width : (S,) of all returns
    size : float
    """

    mdp: MDP
    passes: int
    betas: FloatArray
    actions: IntArray
    tail: IntArray
    lows: FloatArray
    highs: FloatArray
    mean: FloatArray
    smallest: FloatArray
    width: FloatArray
    size: float

    @staticmethod
    def _level(objective: Functional) -> float:
        if not isinstance(objective, EVaR):
            raise ValueError(f"one solve for EVaR has no answer for {objective!r}; optimize it")
        level = objective.single()
        if level == 1.0:
            raise ValueError("EVaR at level 1 is the mean, which has no beta; optimize for distrl.Mean()")
        return level

    def at(self, objective: Functional) -> Found:
        """The best policy at another level, with its bounds.

        Parameters
        ----------
        objective : EVaR

        Raises
        ------
        ValueError
            For level 1, and for another objective.
        """
        bracket = Bracket(self._level(objective), self.mean, self.smallest, self.width)
        for rung in range(len(self.betas) - 1, -1, -1):
            bracket.add(float(self.betas[rung]), self.lows[rung], self.highs[rung], rung)
        first = np.where(bracket.first < 0, len(self.betas), bracket.first)
        policy = TimedPolicy(self.actions, self.tail, first, self.passes, -bracket.betas, self.mdp.n_actions)
        lower, upper = bracket.lower, bracket.upper
        return Found(policy, lower, lower, upper, False, "the ladder of one solve", self.size, family=self)

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value for a drawn start, from which there is one beta for all; no target: NaN.

        Parameters
        ----------
        objective : EVaR
        initial : (S,) probabilities
        """
        bracket = self._mixed(objective, initial)
        return float(bracket.lower[0]), float(bracket.upper[0]), math.nan

    def begun(self, policy: RunnablePolicy, objective: Functional, initial: FloatArray) -> TimedPolicy:
        """The policy of the one beta that is the best for a drawn start, whichever state is drawn.

        Parameters
        ----------
        policy, objective, initial
            As for `Family.begun`.
        """
        bracket, n = self._mixed(objective, initial), self.mdp.n_states
        rung = int(bracket.first[0]) if bracket.first[0] >= 0 else len(self.betas)
        betas = np.full(n, -bracket.betas[0])
        return TimedPolicy(self.actions, self.tail, np.full(n, rung), self.passes, betas, self.mdp.n_actions)

    def _mixed(self, objective: Functional, initial: FloatArray) -> Bracket:
        """What a drawn start reaches, as of one state."""
        some = np.flatnonzero(initial)
        mean = np.atleast_1d((initial / initial.sum()) @ self.mean)
        mean = mean + 4.0 * (len(some) + 4.0) * EPS * float(np.abs(self.mean[some]).max())
        smallest = np.atleast_1d(self.smallest[some].min())
        largest = np.atleast_1d((self.smallest + self.width)[some].max())
        bracket = Bracket(self._level(objective), mean, smallest, (largest - smallest) * (1.0 + 4.0 * EPS))
        for rung in range(len(self.betas) - 1, -1, -1):
            b = float(self.betas[rung])
            bracket.add(b, *mixed(-b, self.lows[rung], self.highs[rung], initial), rung)
        return bracket
