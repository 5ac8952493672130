"""What is known of returns without any sweep: what a policy can be sure of, and the largest mean of all.

Let w(x) <= r + g w(y) for every outcome of some action in x (w <= r where the return ends). Who plays these actions has
at least w(x), whatever chance does, and at a target b <= w(x) falls short by nothing: the next target (b - r) / g is
below w(y) again. So any policy may go over to them for ever as soon as the target is at most w, and is none the worse:
a shortfall is never negative. The largest such w are the best smallest returns (maximin). Rewards that are rounded
down will do.
"""

from dataclasses import dataclass, replace

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.target.parts import is_wide
from distrl.control.target.problem import Problem

_ROUNDS = 60  # of better actions, and of worse outcomes for them
_DOUBLINGS = 60  # of the steps along them
_SWEEPS, _ROUGH = 300, 1e-3  # for means of what is sure, and of their size: nothing is claimed of them
_SPARE = 8.0  # times what a backup may be off by is given away, so that the best pairs are seen to keep w
_CLOSE = 1e-13  # of the size of returns: nearer to the largest w is not needed


@dataclass(frozen=True, eq=False)
class Sure:
    """What is certain of every state.

    Attributes
    ----------
    largest_mean : (S,) at least the largest mean of any policy
    least : (S,) what `actions` reach surely; -inf where nothing is known
    actions : (S,) int
    near : float
        Targets above `least` by no more count as `least`: what float64 makes of a step.
    """

    largest_mean: FloatArray
    least: FloatArray
    actions: IntArray
    near: float

    @classmethod
    def nothing(cls, problem: Problem, largest_mean: FloatArray) -> "Sure":
        """Means alone."""
        n, choices = problem.mdp.n_states, problem.mdp.choices
        return cls(largest_mean, np.full(n, -np.inf), choices.actions[choices.indptr[:-1]], 0.0)

    @classmethod
    def of(cls, problem: Problem, largest_mean: FloatArray) -> "Sure":
        """Of returns that go on until they end; below discount 1, for at discount 1 who is sure of something need not
        end. O(outcomes) a round, a few rounds."""
        if problem.g == 1.0 or not _all_known(problem):
            return cls.nothing(problem, largest_mean)
        return _Worst(problem).surely(largest_mean)

    @classmethod
    def by_steps(cls, problem: Problem, means: list[FloatArray]) -> list["Sure"]:
        """With 0, 1, ..., H steps left, H + 1 the number of `means`, the largest ones with as many."""
        if not _all_known(problem):
            return [cls.nothing(problem, mean) for mean in means]
        worst, n = _Worst(problem), problem.mdp.n_states
        found = [cls.nothing(problem, means[0])]
        low, values = np.zeros(n), np.zeros(n)
        for mean in means[1:]:
            each = worst.of_pairs(low)
            low = worst.best(each) - _SPARE * worst.noise(low)
            values, played = worst.kept(each, low, values)
            found.append(worst.sure(low, played, mean))
        near = max(each.near for each in found)
        return [replace(each, near=near) for each in found]

    @property
    def played(self) -> tuple[FloatArray, IntArray]:
        """What a table holds of it."""
        return self.least, self.actions

    def common(self, initial: FloatArray) -> "Sure":
        """Of a start that is drawn from `initial` (S,), as of one state."""
        some = initial > 0.0
        mean = float(initial @ self.largest_mean)
        mean += 2.0 * EPS * len(initial) * float(np.abs(self.largest_mean).max())
        return Sure(np.array([mean]), self.least[some].min(keepdims=True), self.actions[:1], self.near)

    def of_components(self, number: IntArray) -> "Sure":
        """The same of states that belong to these as components `number` (S',); nothing is sure but means."""
        n = len(number)
        return Sure(self.largest_mean[number], np.full(n, -np.inf), np.zeros(n, dtype=np.int64), 0.0)


def _all_known(problem: Problem) -> bool:
    """Whether all outcomes and bounds on rewards are: no mass is missing, no law was cut."""
    table = problem.mdp.outcomes
    return not table.defects.any() and all(law.error == 0.0 or is_wide(law) for law in table.reward_laws)


class _Worst:
    """The worst outcome of each pair, for values of the next states."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.choices, rows = problem, problem.mdp.choices, problem.outcomes
        self.starts = np.searchsorted(rows.pairs, np.arange(len(self.choices.actions)))
        self.largest = float(np.abs(rows.rewards).max())
        self.factors = np.where(rows.terminals, 0.0, rows.factors)

    def noise(self, values: FloatArray) -> float:
        """What float64 makes of one backup is not further off."""
        return 4.0 * EPS * (self.largest + float(np.abs(values).max()))

    def of_rows(self, values: FloatArray) -> FloatArray:
        rows = self.problem.outcomes
        return np.asarray(rows.rewards + self.factors * values[rows.next_states])

    def of_pairs(self, values: FloatArray) -> FloatArray:
        """(pairs,) the smallest r + g value."""
        return np.asarray(np.minimum.reduceat(self.of_rows(values), self.starts))

    def best(self, pairs: FloatArray) -> FloatArray:
        """(S,) the largest of each state's pairs."""
        return self.problem.pairs.largest(pairs)

    def kept(self, pairs: FloatArray, low: FloatArray, values: FloatArray) -> tuple[FloatArray, IntArray]:
        """(S,) the largest mean before `values` of the pairs that keep `low`, and these pairs."""
        keeps = pairs >= low[self.choices.states] + self.noise(low)
        means = np.where(keeps, self.problem.pairs.backup(values).values, -np.inf)
        return self.best(means), self.problem.pairs.first_best(means)

    def sure(self, low: FloatArray, played: IntArray, mean: FloatArray) -> Sure:
        """That `low` is certain."""
        return Sure(mean, low, self.choices.actions[played].astype(np.int64), 8.0 * EPS * float(np.abs(low).max()))

    def surely(self, largest_mean: FloatArray) -> Sure:
        """From any values v with |T v - v| <= h for the backup T: w = v - h / (1 - g) satisfies T w >= w.

        They are found as those of a game with chance, by policy iteration (Hoffman and Karp 1966).
        """
        g, values = self.problem.g, np.full(self.problem.mdp.n_states, -self.largest / (1.0 - self.problem.g))
        low, missing = values, np.inf
        for _ in range(_ROUNDS):
            pairs = self.problem.pairs.first_best(self.of_pairs(values))
            for _ in range(_ROUNDS):  # what chance can do against them: each answer is worse than the one before
                before, values = values, self.followed(values, pairs)
                if np.abs(values - before).max() <= self.noise(values):
                    break
            short = float(np.abs(values - self.best(self.of_pairs(values))).max())
            if short < missing:
                low, missing = values, short
            if missing <= _CLOSE * (1.0 - g) * float(np.abs(low).max()):
                break
        low = low - (missing + _SPARE * self.noise(low)) / (1.0 - g) * (1.0 + 8.0 * EPS)
        each = self.of_pairs(low)
        values, played = self.kept(each, low, low)  # of means, all that follows is sure too
        for _ in range(_SWEEPS):
            before = values
            values, played = self.kept(each, low, before)
            if np.abs(values - before).max() <= _ROUGH * (1.0 - g) * float(np.abs(values).max()):
                break
        return self.sure(low, played, largest_mean)

    def followed(self, values: FloatArray, pairs: IntArray) -> FloatArray:
        """(S,) the return along the worst outcomes of `pairs` (S,), for ever: 1, 2, 4, ... steps at once."""
        rows = self.problem.outcomes
        each = self.of_rows(values)
        worst = np.minimum.reduceat(each, self.starts)
        place = np.where(each == worst[rows.pairs], np.arange(len(each)), len(each))
        row = np.minimum.reduceat(place, self.starts)[pairs]
        gain, factor, following = rows.rewards[row], self.factors[row], rows.next_states[row]
        for _ in range(_DOUBLINGS):
            if not factor.any():
                break
            gain, factor, following = gain + factor * gain[following], factor * factor[following], following[following]
        return np.asarray(gain)
