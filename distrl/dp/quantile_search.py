"""The search for the fixed point of the quantile operator: applications, and short cuts between them.

A state's m quantiles are particles r + discount * theta_j(y) of its target, the law of reward and next state. An
application finds, for each quantile, which particle it is. Two things are kept of it besides the quantiles themselves:
the *choices*, the particle that each quantile took, and the *cuts*, how many particles of each successor's list lie at
or below it. Short cuts ask where the search would go if these stayed as they are:

- with the *cuts* frozen, quantiles solve a deterministic decision process, by policy iteration (`_frozen`);
- with the *choices* frozen, where two particles tie, they follow a linear recursion, applied some times (`_frozen`);
- where a target is continuous there is nothing to freeze: past iterates are combined instead (`_mixed`).

A short cut is only kept if the true residual after it falls at least as far as an application would make it fall, or
if it provably lies between the last image and the fixed point; otherwise the application that tried it is thrown away,
and short cuts are left alone for a while. So the contraction's guarantee holds whatever the short cuts do.
"""

import math
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.operators.quantile import QuantileBellman

_PATIENCE = 15  # applications, at most, until a short cut is tried again
_CHEAP = 6  # policies that take as long as an application
_DEPTH = 5  # differences of past iterates that are combined
_FALL = 0.01  # of the residual
_FROZEN = 64  # applications with frozen choices where levels tie, each a small part of a true one


@dataclass
class _Image:
    """What one application writes: quantiles (S, m), the particles they took, and the cuts of the lists."""

    values: FloatArray
    choices: IntArray
    cuts: IntArray


class Drift:
    """Whether undiscounted quantiles drift away: residuals that do not fall, though contraction would make them.

    A proper operator makes a residual fall by a share of about 1 / `gain` a sweep on average, `gain` the largest
    expected number of steps. It drifts where a fall by 1% takes more than gain / 20 sweeps, at least 200 and at
    most 2,000.
    """

    def __init__(self, gain: float) -> None:
        self._window = min(max(200.0, 0.05 * gain), 2_000.0)
        self._smallest, self._since = math.inf, 0

    def shown_by(self, residual: float) -> bool:
        """Whether the residuals so far, and this one, show it."""
        if residual < (1.0 - _FALL) * self._smallest:
            self._smallest, self._since = residual, 0
        else:
            self._since += 1
        return self._since > self._window

    def lasts(self, sweeps: int) -> bool:
        """Whether the residual has not fallen for the last half of so many sweeps, which were enough to contract."""
        return 2 * self._since >= sweeps


class Search:
    """The iteration: `step` by `step` from a start.

    Attributes
    ----------
    values : (S, m)
        Where the search stands.
    residual : float
        sup |values - their image|; infinite before the first step.
    kept : int
        How many short cuts helped.
    """

    def __init__(self, operator: QuantileBellman, start: FloatArray, goal: float, floor: float) -> None:
        self._operator, self._goal, self._floor = operator, goal, floor
        self.values, self.residual, self.kept = start.copy(), math.inf, 0
        # the image of `values`; there is none yet, so that the first step goes to the start itself
        self._last = _Image(start, operator.empty_choices(), operator.empty_cuts())
        self._spare = _Image(np.empty_like(start), operator.empty_choices(), operator.empty_cuts())
        self._moved = np.empty(len(start))
        self._smallest, self._since = math.inf, 0  # the smallest residual, and the steps since
        # a continuous target has no choices to freeze; where there are both kinds, the short cuts take turns
        self._lists, self._laws = bool(len(self._last.cuts)), bool(operator.targets.with_laws)
        self._mixing = self._laws
        self._past: list[tuple[FloatArray, FloatArray]] = []  # iterates and their images, latest last
        self._wait, self._patience = 0, 0  # applications until a short cut is tried, and after the next failure
        self._policies = 0  # that the last short cut went through
        self._fallen = False  # whether a short cut lay above the fixed point, as all later ones must then

    @property
    def stalled(self) -> bool:
        """Whether rounding alone is left."""
        return self._since > 50 and self.residual <= self._floor

    def step(self) -> None:
        """One application: to where a short cut leads, kept if that is better than an application, or to the image."""
        g = self._operator.model.largest_discount
        begun = math.isfinite(self.residual)
        jump = begun and self._wait == 0
        following = self._last.values
        if jump:
            following = self._mixed() if self._mixing else self._frozen()
        # continuous targets need not be inverted better than the iteration stands
        inner = max(0.1 * self._goal, 0.1 * (1.0 - g) * self.residual if begun else 0.0)
        new = self._spare
        error = self._operator.apply(following, new.choices, new.values, self._moved, inner, new.cuts)
        residual = float(self._moved.max()) + error
        if self._laws:
            self._past = [*self._past[-_DEPTH:], (following.copy(), new.values.copy())]
        if jump and not (residual < g * self.residual or self._above(following)):
            # undiscounted choices may lead round and round: policies without end, as dear as hundreds of applications
            self._patience = 2 * self._patience + 1 if g == 1.0 else min(2 * self._patience + 1, _PATIENCE)
            self._wait = self._patience
            self._mixing = self._laws and not (self._mixing and self._lists)
            return
        if jump:
            self._patience = 0
            self._wait = 0 if self._mixing else self._policies // _CHEAP
            self.kept += 1
        elif begun:
            self._wait -= 1
        # the last image's array is free unless it is what the step went to
        free = self._last.values if jump else self.values
        self.values, self.residual = following, residual
        self._last, self._spare = new, _Image(free, self._last.choices, self._last.cuts)
        self._smallest, self._since = (residual, 0) if residual < self._smallest else (self._smallest, self._since + 1)

    def _mixed(self) -> FloatArray:
        """The combination of the last images whose residuals, combined alike, are least in L2 (Anderson mixing)."""
        images = np.stack([image.ravel() for _, image in self._past])
        residuals = images - np.stack([values.ravel() for values, _ in self._past])
        steps = np.diff(residuals, axis=0)
        share = np.linalg.lstsq(steps.T, residuals[-1], rcond=1e-10)[0]
        values: FloatArray = (images[-1] - share @ np.diff(images, axis=0)).reshape(self.values.shape)
        values.sort(axis=1)
        return values

    def _above(self, values: FloatArray) -> bool:
        """Whether `values`, sought by frozen cuts, lie above their image, hence above the fixed point.

        Once that has been so, they must lie below the last image, too, hence nearer to the fixed point than by an
        application.
        """
        if self._mixing or self._operator.model.largest_discount == 1.0:
            return False
        near = not self._fallen or (values - self._last.values).max() <= self._floor
        above = near and bool((self._spare.values - values).max() <= self._floor)
        self._fallen |= above
        return above

    def _frozen(self) -> FloatArray:
        """Where the present cuts lead if they are kept, or many applications of the present choices if levels tie.

        A quantile is the least, over cuts (numbers of particles of each list) of enough mass, of the largest particle
        within the cut. So T is a minimum of monotone operators, one for each choice of cuts, and the fixed point v of
        the present one has v <= T values if T values <= values, and T v <= v: from the first such step on, iterates
        fall to the fixed point of T at least as fast as by applications (strategy iteration for a stochastic game).
        """
        first, last = np.ascontiguousarray(self._last.choices[..., 0]), self._last.choices[..., -1]
        values = self._last.values.copy()
        if np.array_equal(first, last):
            self._policies = self._operator.solve(values, first, self._last.cuts)
        else:
            other = self._last.values.copy()
            for _ in range(_FROZEN):
                self._operator.read(values, self._last.choices, other)
                values, other = other, values
            self._policies = 0
        values.sort(axis=1)
        return values
