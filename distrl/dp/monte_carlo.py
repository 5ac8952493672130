"""Sampled returns, with bounds on what sampling and truncation can have cost."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.certificate import Certificate
from distrl.dp.resolvent import Resolvent
from distrl.dp.run import Run
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.sampling import OutcomeSampler
from distrl.returns.grid import Grid
from distrl.returns.particles import ParticleReturns
from distrl.theory.bounds import dkw_halfwidth


@dataclass(frozen=True)
class MonteCarlo:
    """`episodes` independent returns from every state.

    Parameters
    ----------
    episodes : int
    confidence : float in (0, 1)
        With which the certificate holds for each state (not for all at once).

    Notes
    -----
    Discounted episodes are cut once what is left, discount^n * sup E|G|, is below `tol` (None: 1e-6 of the largest
    E|G|, far below the sampling error); undiscounted ones run to their end. Time O(S * episodes * length * log n),
    memory 32 bytes a return. Certificate: with probability `confidence`, W1 <= width of the returns' range *
    sqrt(log(2 / (1 - confidence)) / (2 episodes)) + truncation (Dvoretzky, Kiefer, Wolfowitz; Massart's constant); inf
    for unbounded returns. `cdf_band` gives the band itself.
    """

    episodes: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "episodes", whole_number(self.episodes, "episodes", low=1))
        confidence = real_number(self.confidence, "confidence", low=0.0, high=1.0)
        if confidence in (0.0, 1.0):
            raise ValueError(f"confidence must lie in (0, 1), got {confidence:g}")

    def _solve(self, model: MRP, run: Run) -> Solution:
        n, g = model.n_states, model.discount
        absolute = largest_absolute_mean(model)
        tol = 1e-6 * max(absolute, 1e-300) if run.tol is None else run.tol
        limit = run.max_iterations if run.max_iterations is not None else 10_000_000
        sampler = OutcomeSampler(model.outcomes)
        state = np.repeat(np.arange(n), self.episodes)
        total = np.zeros(n * self.episodes)
        active = np.arange(n * self.episodes)
        scale, steps, status = 1.0, 0, Status.SAMPLED
        try:
            while active.size and scale * absolute > tol:
                if steps >= limit:
                    status = Status.MAX_ITERATIONS
                    break
                rows = sampler.rows(state[active], run.rng)
                total[active] += scale * sampler.rewards(rows, run.rng)
                going_on = ~model.outcomes.terminals[rows]
                active = active[going_on]
                state[active] = model.outcomes.next_states[rows[going_on]]
                scale *= g
                steps += 1
                if run.progress is not None:
                    run.iterations = steps
                    run.progress(1.0 - active.size / total.size, steps, scale * absolute)
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        left = np.bincount(np.floor_divide(active, self.episodes), minlength=n) / self.episodes
        truncation = left * scale * absolute
        width = range_width(model)
        sampling = np.full(n, width * dkw_halfwidth(self.episodes, self.confidence)) if width > 0 else np.zeros(n)
        certificate = Certificate(
            w1=sampling + truncation,
            claim="monte-carlo-dkw",
            rounding=np.zeros(n),
            overshoot=truncation,
            residual=sampling,
            clipped_mass=left,
            confidence=self.confidence,
        )
        return Solution(
            returns=ParticleReturns(total.reshape(n, self.episodes)),
            status=status,
            iterations=steps,
            residual=0.0,
            clipped_mass=0.0,
            elapsed=run.elapsed,
            certificate=certificate,
            tol=tol,
            solver="sampling",
            reason=f"{self.episodes} episodes a state, cut after {steps} steps",
            model=model,
            method=self,
            bounds=truncation,
        )


def cdf_band(returns: ParticleReturns, x: FloatArray, level: float = 0.95, *, simultaneous: bool = False) -> FloatArray:
    """(S, len(x), 2): a band that holds the whole CDF of a state with probability `level` (DKW, Massart's constant).

    `simultaneous` makes it hold for all states at once (Bonferroni). `returns` must be equally weighted samples.
    """
    cdf = np.asarray(returns.cdf(np.atleast_1d(x)))
    states = int(np.prod(cdf.shape[:-1], dtype=np.int64))
    confidence = 1.0 - (1.0 - level) / states if simultaneous else level
    half = dkw_halfwidth(returns.values.shape[-1], confidence)
    return np.stack([np.maximum(cdf - half, 0.0), np.minimum(cdf + half, 1.0)], axis=-1)


def largest_absolute_mean(model: MRP) -> float:
    """A bound on sup over states of E|G|: the discounted sum of E|r|."""
    table = model.outcomes
    sizes = np.array([0.0, *(law.absolute_mean() for law in table.reward_laws)])[table.laws + 1]
    sizes = np.where(table.laws >= 0, sizes, np.abs(table.rewards))
    step = np.bincount(table.sources, weights=table.probs * sizes, minlength=table.n_sources)
    return float(Resolvent.of(model).upper(np.asarray(step, dtype=np.float64)).max())


def range_width(model: MRP) -> float:
    """Width of the range of returns; 0 if there is one value only, inf if it has no bounds."""
    try:
        grid = Grid.tight(model, 2)
    except ValueError:
        return math.inf
    return grid.width
