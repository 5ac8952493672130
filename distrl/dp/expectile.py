"""Expectile dynamic programming: expectiles of every state's return, and laws imputed from them.

Definitions. e(x, i) is the expectile of the return from x at the level tau_i = (2 i - 1) / (2 n), the root e of tau
E(Z - e)+ = (1 - tau) E(e - Z)+. An imputation is a law that has given expectiles.

Operator. Impute a law for every state, apply the Bellman operator to these laws, and read the expectiles of the result.
It is not known to contract in any distance, whatever the imputation.

Termination. When no expectile moves by more than the tolerance in a sweep the status is STEADY, which says nothing of
the distance to a fixed point. What is guaranteed is the certificate alone, which holds for any laws (claim
`certificate-one-step-transport`).

Source: Bellemare, Dabney, Rowland 2023, chapter 8; Rowland et al. 2019, "Statistics and Samples in Distributional
Reinforcement Learning".
"""

from dataclasses import dataclass

import numpy as np

from distrl._kernels import expectile as kernels
from distrl._memory import check_memory
from distrl._threads import check_threads
from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.expectile_reading import read_expectiles
from distrl.dp.horizon_particles import as_particles, expectiles_of_steps, left_of
from distrl.dp.horizon_walk import ended, steps_in_words
from distrl.dp.moment_systems import mean_and_variance
from distrl.dp.scales import default_tol, enough_sweeps, largest_absolute_mean, normal_quantiles
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.particle_targets import ParticleTargets
from distrl.returns.finite import ParticleReturns
from distrl.returns.quantile import midpoint_levels


@dataclass(frozen=True)
class ExpectileDP:
    """Sweeps over expectiles: impute a law with the given expectiles, apply the Bellman operator, read them again.

    e(x, i) is the expectile of the return from x at the level tau_i = (2 i - 1) / (2 n): tau E(Z - e)+ = (1 - tau)
    E(e - Z)+. Expectiles of a target are not a function of its successors' expectiles, so a law with these is put in
    their place: the convex piecewise linear interpolation of the stop-loss transform, which expectiles and the mean
    give at n points (see `distrl._kernels.expectile`). It has these expectiles up to rounding and never more than n
    values. The mean, the one statistic that needs no imputation, is solved for exactly and held.

    Parameters
    ----------
    expectiles : int
        Number n of expectiles a state.
    threads : int, optional
        Threads over states, at most 16; by default one for each core. Results do not depend on it, bit for bit.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the arrays do not fit in memory.

    Notes
    -----
    `Solution.returns` are the imputed laws, `ParticleReturns`; `.expectile((2 i - 1) / (2 n))` gives the expectiles.
    Sweeps start at those of normal laws with the exact means and variances. No contraction is known for any imputation,
    so `tol` bounds the last step only, sup |change of an expectile|, and success is `Status.STEADY`; None: 1e-10 of the
    width of the returns' range, and at least what rounding leaves. What is guaranteed is the certificate (claim
    `certificate-one-step-transport`), which holds for any law and counts imputation and iteration together. Time
    O(K n log(K n)) a state and sweep, K its outcomes; a source with a continuous reward law is read by Newton's method,
    about ten evaluations of its CDF and put transform at the n expectiles. Source: Bellemare, Dabney, Rowland 2023,
    chapter 8; the imputation and the certificate are this library's.
    """

    expectiles: int = 21
    threads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "expectiles", whole_number(self.expectiles, "expectiles", low=1))
        object.__setattr__(self, "threads", check_threads(self.threads))

    def solve(self, model: MRP, call: Call) -> Solution[ParticleReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        n = self.expectiles
        check_memory(model.n_states, n, 8.0, "use fewer expectiles")
        targets, taus = ParticleTargets(model.outcomes, model.uniform_discount, self.threads), midpoint_levels(n)
        certifier = ParticleCertifier(model, targets)
        mean, variance = mean_and_variance(model, certifier.linear)
        statistics = ParticleReturns(normal_quantiles(mean, variance, taus)).expectile(taus)
        size, gain = largest_absolute_mean(model), float(certifier.linear.gains.max())
        # reading errs by about eps * size * n and imputing divides by differences of levels, 1 / n
        floor = 16.0 * n * EPS * size
        tol = call.tol if call.tol is not None else default_tol(model, size, 1.0)
        tol = tol if call.given else max(tol, floor)
        limit = call.max_iterations
        if limit is None:
            limit = enough_sweeps(model.largest_discount, gain, 4.0 * max(size, NOT_ZERO) / max(tol, floor, NOT_ZERO))
        values = np.empty((model.n_states, max(n, 2)))
        weights, image = np.empty_like(values), np.empty_like(statistics)
        status, residual = Status.MAX_ITERATIONS, np.inf
        kernels.impute(statistics, mean, taus, values, weights)
        call.enter("sweeping")
        with call.interruptible():
            while call.iterations < limit:
                read_expectiles(targets, values, weights, statistics, taus, image)
                residual = float(np.abs(image - statistics).max())
                call.count()
                call.report(residual, tol)
                if residual <= max(tol, floor):
                    status = Status.STEADY if tol >= floor else Status.STALLED
                    break
                statistics, image = image, statistics
                kernels.impute(statistics, mean, taus, values, weights)
        if call.interrupted:
            status = Status.INTERRUPTED
            kernels.impute(statistics, mean, taus, values, weights)
        returns = ParticleReturns(values, weights)
        call.enter("certifying")
        certificate = certifier.certify(returns)
        if status is Status.STEADY and not np.isfinite(certificate.w1).all():
            status = Status.UNCERTIFIED
        return Solution.of(
            returns,
            model,
            self,
            call,
            status=status,
            certificate=certificate,
            residual=residual,
            tol=tol,
            solver="sweeps",
            reason="means solved for, laws imputed by interpolating stop-loss transforms",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[ParticleReturns]:
        """The laws imputed from the expectiles of H steps, each step's read from the laws of those before.

        The certificate counts every imputation.

        `stages` and `call` are as `HorizonMethod` says.
        """
        walked = expectiles_of_steps(stages, self.expectiles, self.threads, call)
        status, tol = ended(stages, call, walked.done)
        return Solution.of(
            as_particles(walked.layer),
            stages.process(0),
            self,
            call,
            status=status,
            certificate=walked.layer.certificate(left=left_of(stages, walked)),
            tol=tol,
            solver="steps",
            reason=f"{steps_in_words(stages, walked.done)}, laws imputed by interpolating stop-loss transforms",
        )
