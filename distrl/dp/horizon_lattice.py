"""Exact laws of H steps whose rewards are multiples of one step, at discount 1: H sweeps on one lattice.

With d the step and f_h(x, k) = P(G_h(x) = k d), f_0(x, 0) = 1,

    f_h(x, k) = sum over outcomes of p f_{h-1}(y, k - r),

r the levels that the reward pays, and f_0 in place of f_{h-1}(y, .) where the outcome ends the return: masses are moved
and added up, and nothing else. How far returns reach is known beforehand, in whole numbers. Where rewards have one
sign, the lattice may end before: a return that has passed its last level never comes back, so what is beyond is known
exactly, and the law is cut at the first level that leaves a given tail, as `distrl.dp.lattice` says.

Rounding. Sums of non-negative products: a mass is right up to a relative error of so many roundings a step, and so are
P(G > k d) for k >= 0 and P(G <= k d) for k < 0, whose sum over k is E|G| / d. What the masses' own sum is off by counts
at every level. Claims: `lattice-levels`, `horizon-certificates`, on the process in which a state is a step and a state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from distrl._kernels import lattice as kernels
from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.horizon_moments import Facts, facts_of_steps
from distrl.dp.horizon_walk import (
    ForProcess,
    Walked,
    ended,
    later_of,
    left_out,
    onward,
    steps_in_words,
    unknown_mass,
    walk,
)
from distrl.dp.lattice_rows import GENERAL, LatticeRows, OffLattice, TooManyLevels, common_step, distinct_rewards
from distrl.dp.method import Method
from distrl.dp.solution import Solution
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.base import Returns
from distrl.returns.grid import Grid
from distrl.returns.lattice import LatticeReturns
from distrl.theory import lattice_tail_w1

_NOTHING = 1e-280  # what a step may lose of a mass that float64 cannot tell from 0
_SPARE = 64  # levels beyond the likely ones
_FAR = 9.0  # standard deviations beyond the mean that are likely
_MOST = 2.0**60  # levels that are counted


class _Rows:
    """Outcomes of a process as moves between levels, a source's after each other; the state -1 is an end."""

    def __init__(self, process: MRP, step: float) -> None:
        rows = LatticeRows.of(process, step)
        order = np.argsort(rows.sources, kind="stable")
        self.at = np.searchsorted(rows.sources[order], np.arange(process.n_states + 1)).astype(np.int64)
        self.to = np.where(rows.terminals, -1, rows.next_states)[order].astype(np.int64)
        self.levels, self.probs, self.error = rows.levels[order], rows.probs[order], rows.error
        self.outcomes = int(np.diff(self.at).max())

    def best(self, levels: IntArray, sign: int) -> IntArray:
        """(S,) the largest level (smallest for -1) of a return, from those of the next states."""
        after = np.where(self.to < 0, 0, levels[self.to])
        return sign * np.asarray(np.maximum.reduceat(sign * (self.levels + after), self.at[:-1]))


class LevelLayer(NamedTuple):
    """Masses (S, levels) of returns of so many steps.

    reach : (S, 2) the columns between which a state has masses
    relative, lumped : relative error of a mass, and of one that holds what is beyond the lattice
    error : (S,) what rewards that are no exact multiples can have moved, and mass of which nothing is known, in W1
    """

    steps: int
    masses: FloatArray
    reach: IntArray
    relative: float
    lumped: float
    error: FloatArray


class Told(NamedTuple):
    """Laws with their certificate, of which `cut` is what was cut off."""

    returns: LatticeReturns
    certificate: Certificate
    cut: FloatArray


@dataclass
class StepLattice:
    """The lattice of H steps.

    Parameters
    ----------
    stages : Stages
    step : float
        d, in units of reward.

    Attributes
    ----------
    least, most : int
        Levels that no return of up to H steps is beyond; 0 lies between.
    largest : int
        The largest size of a reward, in levels.
    sign : int
        1 if no reward is negative, -1 if none is positive, 0 if there are both.
    """

    stages: Stages
    step: float
    least: int = field(init=False, default=0)
    most: int = field(init=False, default=0)
    largest: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        low, high = (np.zeros(self.stages.n_states, dtype=np.int64) for _ in range(2))
        self._rows_of = ForProcess(lambda process: _Rows(process, self.step))
        for process in self.stages.backwards():
            rows = self._rows_of(process)
            self.largest = max(self.largest, int(np.abs(rows.levels).max()))
            if self.largest * float(self.stages.horizon) > _MOST:
                raise OffLattice(f"rewards of up to {self.largest:.3g} multiples of {self.step:g}: too many levels")
            low, high = rows.best(low, -1), rows.best(high, 1)
            self.least, self.most = min(self.least, int(low.min())), max(self.most, int(high.max()))

    @classmethod
    def of(cls, stages: Stages) -> StepLattice | str:
        """The lattice on which the returns of H steps lie, or why there is none."""
        number = stages.uniform_discount
        if number != 1.0:
            return "discounted returns are on no lattice"
        same = 1 if stages.stationary else stages.horizon
        try:
            rewards = [distinct_rewards(stages.process(step)) for step in range(same)]
            return cls(stages, common_step(np.unique(np.concatenate([[0.0], *rewards]))))
        except OffLattice as error:
            return str(error)

    @property
    def sign(self) -> int:
        """Of the rewards."""
        return 0 if self.least < 0 < self.most else -1 if self.least < 0 else 1

    @property
    def levels(self) -> int:
        """How many there are, at least two."""
        return max(self.most - self.least, 1) + 1

    def likely(self, facts: Facts) -> int:
        """Levels up to which returns of one sign go in all likelihood."""
        sure = facts.certified()
        far = np.abs(sure.mean) + _FAR * np.sqrt(np.where(np.isfinite(sure.variance_high), sure.variance_high, 0.0))
        return int(min(float(far.max()) / self.step + _SPARE, float(self.levels)))

    def walked(self, call: Call, last: int) -> Walked[LevelLayer]:
        """The masses of H steps on levels up to `last` (from -`last` on, for rewards that are not positive).

        What is beyond is on one more level, if there is any; rewards of both signs have all levels.
        """
        n = self.stages.n_states
        ends = {1: (0, last + 1), -1: (-last - 1, 0), 0: (self.least, self.most)}[self.sign]
        width, zero, beyond = ends[1] - ends[0] + 1, -ends[0], self.largest * (self.sign != 0)
        check_memory(n, width, 3.0, "raise the tail, or use CategoricalFixedPoint(), on a coarser grid")

        def back(below: LevelLayer, process: MRP) -> LevelLayer:
            rows = self._rows_of(process)
            masses, reach = np.zeros((n, width)), np.empty((n, 2), dtype=np.int64)
            kernels.step_back(rows.at, rows.to, rows.levels, rows.probs, zero, below.masses, below.reach, masses, reach)
            wrong = rows.error + process.outcomes.law_errors + unknown_mass(self.stages, process, below.steps + 1)
            return LevelLayer(
                steps=below.steps + 1,
                masses=masses,
                reach=reach,
                relative=below.relative + (rows.outcomes + 3.0) * EPS,
                lumped=below.lumped + (rows.outcomes * (beyond + 1.0) + 3.0) * EPS,
                error=wrong + onward(process, below.error),
            )

        start = np.zeros((n, width))
        start[:, zero] = 1.0
        home = np.full((n, 2), zero, dtype=np.int64)
        return walk(self.stages, call, LevelLayer(0, start, home, 0.0, 0.0, np.zeros(n)), back)

    def beyond(self, layer: LevelLayer) -> FloatArray:
        """(S, levels) P(|G| > k d) for rewards of one sign, k from 0 on, small masses first."""
        outwards = layer.masses if self.sign > 0 else layer.masses[:, ::-1]
        above = np.cumsum(outwards[:, :0:-1], axis=1)[:, ::-1]
        return np.concatenate([above, np.zeros((len(above), 1))], axis=1)

    def told(self, layer: LevelLayer, last: int, mean: float, done: int) -> Told:
        """The laws on levels up to `last` and their certificate; `mean` bounds |E G| of any number of steps."""
        n, masses, tail = len(layer.masses), layer.masses, np.zeros(len(layer.masses))
        if self.sign:
            tail = self.beyond(layer)[:, last].copy()
            outwards = masses if self.sign > 0 else masses[:, ::-1]
            masses = np.ascontiguousarray(outwards[:, : last + 1])
            masses[:, -1] += tail
            masses = masses if self.sign > 0 else np.ascontiguousarray(masses[:, ::-1])
        first, count = {1: 0, -1: -last, 0: self.least}[self.sign], masses.shape[1]
        grid = Grid(first * self.step, (first + count - 1) * self.step, count)
        sure = tail * (1.0 + min(layer.lumped + layer.masses.shape[1] * EPS, 1.0))
        cut = lattice_tail_w1(sure, self.step, self.largest, mean)
        sizes = masses @ np.abs(np.arange(first, first + count)) * (1.0 + 2.0 * layer.relative)
        defect = np.abs(masses.sum(axis=1) - 1.0) + 16.0 * EPS + count * (layer.steps + 1.0) * _NOTHING
        rounding = layer.relative * sizes + count * (layer.lumped * tail + defect) + 4.0 * EPS * (sizes + 1.0)
        floats = self.step * rounding + left_out(self.stages, done)
        certificate = Certificate(
            w1=cut + layer.error + floats,
            claim="lattice-levels" if self.sign else "horizon-certificates",
            rounding=np.zeros(n),
            overshoot=cut + layer.error,
            residual=floats,
            clipped_mass=tail,
        )
        return Told(LatticeReturns(grid, masses, check=False, tail=tail), certificate, cut)

    def facts(self) -> tuple[Facts, float]:
        """What is certain of H steps, and what |E G| of no number of steps exceeds."""
        largest = [0.0]

        def widen(facts: Facts) -> None:
            largest[0] = max(largest[0], float((np.abs(facts.mean) + facts.mean_error + facts.blur).max()))

        return facts_of_steps(self.stages, widen), largest[0]


def levels_of_steps(
    lattice: StepLattice, tail: float, most: int, method: Method[Returns], call: Call
) -> Solution[Returns]:
    """The laws of H steps, cut at the first level that leaves at most `tail` beyond it at every state.

    Rewards of both signs need all levels. Time O(H outcomes levels), memory three arrays (S, levels).

    Raises
    ------
    TooManyLevels
        If more than `most` levels are needed, naming a state.
    """
    stages, (facts, mean) = lattice.stages, lattice.facts()
    if mean > most * lattice.step:
        raise TooManyLevels(
            f"the largest mean return of {stages.horizon} steps is {mean / lattice.step:.4g} times the step "
            f"{lattice.step:g} of the rewards, so that more than {most} levels are needed; raise max_values, or use "
            f"{GENERAL}"
        )
    reach = lattice.largest * lattice.step + mean
    enough = max(tail if call.tol is None else min(tail, 0.5 * call.tol / max(reach, 1e-300)), 1e-290)
    last = whole = lattice.levels - 1
    if lattice.sign:
        likely, limit = lattice.likely(facts), min(whole, most - 1)
        last = min(likely if 2 * likely < whole else whole, limit)
        while True:
            walked = lattice.walked(call, last)
            beyond = lattice.beyond(walked.layer)
            if call.interrupted or last == limit or beyond[:, last].max() <= enough:
                break
            last = min(2 * last, limit)
        left = beyond[:, last]
        if left.max() > enough and not call.interrupted:
            state = stages.states[int(np.argmax(left))]
            raise TooManyLevels(
                f"after {most} levels the return of {stages.horizon} steps from state {state!r} still goes beyond with "
                f"probability {left.max():.3g}, more than tail={enough:g}; raise max_values or tail, or use {GENERAL}"
            )
        last = last if left.max() > enough else max(int(np.argmax(beyond.max(axis=0) <= enough)), 1)
    else:
        walked = lattice.walked(call, last)
    told = lattice.told(walked.layer, last, mean, walked.done)
    bounds = told.cut + told.certificate.residual
    status, tol = ended(stages, call, walked.done, bounds)
    signs = "one sign" if lattice.sign else "both signs"
    made = f"{told.returns.grid.atoms} levels; {steps_in_words(stages, walked.done)}"
    return Solution.of(
        told.returns,
        stages.process(0),
        method,
        call,
        status=status,
        certificate=told.certificate,
        bounds=bounds,
        clipped_mass=float(told.certificate.clipped_mass.max()),
        tol=tol,
        solver="levels",
        reason=f"rewards of {signs}, multiples of {lattice.step:g}; {made}",
        later=later_of(walked, stages, lambda layer: lattice.told(layer, last, mean, stages.horizon)[:2]),
    )
