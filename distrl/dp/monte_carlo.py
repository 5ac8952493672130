"""Sampled returns, with bounds on what sampling and truncation can have cost.

Definitions. n independent episodes from every state, cut once what is left of the return, discount^steps * sup E|G|,
is below the tolerance; their returns are n equally weighted particles.

Guarantee. With the stated confidence the empirical CDF is within sqrt(log(2 / (1 - confidence)) / (2 n)) of the true
one at every point, whatever the law (Dvoretzky, Kiefer, Wolfowitz 1956; the constant is Massart's, 1990), and W1 is
at most that times the width of the returns' range, plus what cutting leaves out (claim `monte-carlo-dkw`).
"""

from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.certified_moments import certified_moments
from distrl.dp.horizon_moments import facts_of_steps
from distrl.dp.horizon_sampling import steps_sampled
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import largest_absolute_mean, range_width, unknown_mass
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.sampling import OutcomeSampler
from distrl.models.stages import Stages
from distrl.returns.finite import ParticleReturns
from distrl.theory import dkw_halfwidth


@dataclass(frozen=True)
class MonteCarlo:
    """`episodes` independent returns from every state.

    Parameters
    ----------
    episodes : int
        Number of episodes from every state.
    confidence : float in (0, 1)
        The probability with which the certificate holds for one state; for all states at once it is less.

    Raises
    ------
    ValueError
        If an option is out of range.

    Notes
    -----
    Discounted episodes are cut once what is left, discount^n * sup E|G|, is below `tol` for all of them (None: 1e-6 of
    the largest E|G|, far below the sampling error); undiscounted ones run to their end. Time O(S * episodes * length *
    log n), memory 40 bytes a return. `Solution.bound` is what cutting and rounding add. Certificate: with probability
    `confidence`, W1 <= width of the returns' range * sqrt(log(2 / (1 - confidence)) / (2 episodes)) + truncation
    (Dvoretzky, Kiefer, Wolfowitz; Massart's constant); inf for unbounded returns, and the status is then
    `Status.UNCERTIFIED`. At discount 1 the width is that of the state's own returns, and where a cycle pays, the exact
    mean and variance bound what lies beyond an interval: see `undiscounted_w1`. `cdf_band` gives the band itself.
    """

    episodes: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "episodes", whole_number(self.episodes, "episodes", low=1))
        confidence = real_number(self.confidence, "confidence", low=0.0, high=1.0)
        if confidence in (0.0, 1.0):
            raise ValueError(f"confidence must lie in (0, 1), got {confidence:g}")

    def solve(self, model: MRP, call: Call) -> Solution[ParticleReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        n, factors = model.n_states, model.discounts
        absolute = largest_absolute_mean(model)
        tol = 1e-6 * max(absolute, NOT_ZERO) if call.tol is None else call.tol
        limit = call.max_iterations if call.max_iterations is not None else 10_000_000
        sampler = OutcomeSampler(model.outcomes)
        state = np.repeat(np.arange(n), self.episodes)
        total = np.zeros(n * self.episodes)
        active = np.arange(n * self.episodes)
        scale, steps, status = np.ones(len(active)), 0, Status.SAMPLED
        enough = max(tol, EPS * absolute)  # what is left is rounding from there on
        call.enter("sampling")
        with call.interruptible():
            while active.size and scale.max() * absolute > enough:
                if steps >= limit:
                    status = Status.MAX_ITERATIONS
                    break
                rows = sampler.rows(state[active], call.rng)
                total[active] += scale * sampler.rewards(rows, call.rng)
                going_on = ~model.outcomes.terminals[rows]
                active = active[going_on]
                state[active] = model.outcomes.next_states[rows[going_on]]
                scale = (scale * factors[rows])[going_on]
                steps += 1
                call.count()
                call.advance(1.0 - active.size / total.size, float(scale.max(initial=0.0)) * absolute)
        if call.interrupted:
            status = Status.INTERRUPTED
        left = np.bincount(np.floor_divide(active, self.episodes), minlength=n) / self.episodes
        unknown = Resolvent.of(model).upper(unknown_mass(model))
        cut = left * float(scale.max(initial=0.0)) * absolute
        truncation = cut + unknown
        # what rounding adds to a sum of so many terms of total size E|G| at most, and what was cut
        bounds = cut + 2.0 * (steps + 1) * EPS * absolute
        if status is Status.SAMPLED and bounds.max() > tol:
            status = Status.STALLED if call.given else Status.SAMPLED
        half = dkw_halfwidth(self.episodes, self.confidence)
        if model.uniform_discount == 1.0:
            sampling = undiscounted_w1(model, total.reshape(n, self.episodes), half)
        else:
            width = range_width(model)
            sampling = np.full(n, width * half) if width > 0 else np.zeros(n)
        if status is Status.SAMPLED and not np.isfinite(sampling + truncation).all():
            status = Status.UNCERTIFIED
        certificate = Certificate(
            w1=sampling + truncation,
            claim="monte-carlo-dkw",
            rounding=np.zeros(n),
            overshoot=truncation,
            residual=sampling,
            clipped_mass=left,
            confidence=self.confidence,
        )
        return Solution.of(
            ParticleReturns(total.reshape(n, self.episodes)),
            model,
            self,
            call,
            status=status,
            certificate=certificate,
            bounds=bounds,
            tol=tol,
            solver="sampling",
            reason=f"{self.episodes} episodes a state, cut after {steps} steps",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[ParticleReturns]:
        """Returns of exactly H steps; the range is each state's own, and nothing is cut.

        `stages` and `call` are as `HorizonMethod` says.
        """
        drawn = steps_sampled(stages, self.episodes, call)
        facts = facts_of_steps(stages)
        width = np.where(facts.high > facts.low, facts.high - facts.low, 0.0)
        sampling = np.where(width > 0.0, width * dkw_halfwidth(self.episodes, self.confidence), 0.0)
        status = Status.SAMPLED if drawn.done == stages.horizon else Status.MAX_ITERATIONS
        if status is Status.SAMPLED and not np.isfinite(sampling + drawn.unknown).all():
            status = Status.UNCERTIFIED
        cut = drawn.left * (drawn.weight * stages.reach(stages.horizon - drawn.done))
        truncation = cut + drawn.unknown
        bounds = cut + 2.0 * (drawn.done + 1) * EPS * stages.reach(stages.horizon)
        certificate = Certificate(
            w1=sampling + truncation,
            claim="monte-carlo-dkw",
            rounding=np.zeros(stages.n_states),
            overshoot=truncation,
            residual=sampling,
            clipped_mass=drawn.left,
            confidence=self.confidence,
        )
        return Solution.of(
            ParticleReturns(drawn.totals),
            stages.process(0),
            self,
            call,
            status=Status.INTERRUPTED if call.interrupted else status,
            certificate=certificate,
            bounds=bounds,
            tol=call.tol,
            solver="sampling",
            reason=f"{self.episodes} episodes a state, of {drawn.done} steps",
        )


def undiscounted_w1(model: MRP, samples: FloatArray, half: float) -> FloatArray:
    """(S,) W1 between undiscounted returns and their `samples` (S, n), if no CDF value is off by more than `half`.

    On an interval [a, b] the CDFs' difference adds up to half (b - a) at most; beyond b to E(G - b)+ of both laws,
    which the samples say of theirs, and

        E(G - b)+ <= (sqrt(sd^2 + (b - mean)^2) - (b - mean)) / 2

    of the true one (Scarf 1958), certified mean and variance inserted; likewise below a. Where returns are bounded, a
    and b need not lie beyond their range. The best of some distances b - mean and mean - a is taken, in units of sd.
    Claim: `monte-carlo-undiscounted`.
    """
    moments = certified_moments(model)
    sd, off = np.sqrt(moments.variance_high), moments.mean_error
    best = half * (moments.high - moments.low)  # inf where a cycle pays
    for units in 2.0 ** np.arange(-1.0, 8.0, 0.25):
        with np.errstate(invalid="ignore"):
            high = np.minimum(moments.mean + units * sd, moments.high)
            low = np.maximum(moments.mean - units * sd, moments.low)
            found = half * (high - low)
            for end, inside, over in ((high, high < moments.high, 1.0), (low, low > moments.low, -1.0)):
                far = np.maximum(over * (end - moments.mean) - off, 0.0)
                true = 0.5 * (np.hypot(sd, far) - far) * (1.0 + 8.0 * EPS) + off
                drawn = np.maximum(over * (samples - end[:, None]), 0.0).mean(axis=1)
                found = found + np.where(inside, true + drawn, drawn)
        best = np.fmin(best, found)
    return np.where(np.isfinite(best), best, np.inf)


def cdf_band(returns: ParticleReturns, x: FloatArray, level: float = 0.95, *, simultaneous: bool = False) -> FloatArray:
    """(S, len(x), 2): a band that holds the whole CDF of a state with probability `level` (DKW, Massart's constant).

    `simultaneous` makes it hold for all states at once (Bonferroni). `returns` must be equally weighted samples.
    """
    cdf = np.asarray(returns.cdf(np.atleast_1d(x)))
    states = int(np.prod(cdf.shape[:-1], dtype=np.int64))
    confidence = 1.0 - (1.0 - level) / states if simultaneous else level
    half = dkw_halfwidth(returns.values.shape[-1], confidence)
    return np.stack([np.maximum(cdf - half, 0.0), np.minimum(cdf + half, 1.0)], axis=-1)
