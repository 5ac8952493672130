"""Quantile dynamic programming: the fixed point of the quantile Bellman operator.

Definitions. theta(x, 1..m) are m equally weighted particles for each state, at the levels tau_i = (2 i - 1) / (2 m). T
maps them to the law of R + g theta_J(y), y the next state and J uniform: a particle for each outcome and each quantile
of its next state. Pi_flat reads the quantiles of that law at the levels tau_i; where its CDF is flat there, `flat` says
which point of the flat piece is taken.

Operator. Pi_flat T contracts by g in sup-W_inf (claim `quantile-winf-contraction-flat-0`, likewise for other `flat`),
so that there is one fixed point below discount 1. It is monotone, and piecewise linear where rewards take finitely many
values.

Termination. W_inf(theta, theta*) <= residual / (1 - g), residual = sup |theta - Pi_flat T theta|. CONVERGED means that
this, rounding included, is at most the tolerance. How the residual is made to fall is `distrl.dp.quantile_search`; how
far theta is from the true law is the certificate's, W1(theta(x), (T theta)(x)) added up along the walk from x (claim
`certificate-one-step-transport`).

Sources: Dabney et al. 2018; Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning".
"""

from dataclasses import dataclass

import numpy as np

from distrl._memory import check_memory
from distrl._threads import check_threads
from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, ParticleCertifier
from distrl.dp.horizon_particles import ParticleLayer, left_of, quantiles_of_steps
from distrl.dp.horizon_walk import ended, later_of, steps_in_words
from distrl.dp.moment_systems import mean_and_variance
from distrl.dp.quantile_search import Drift, Search
from distrl.dp.scales import default_tol, enough_sweeps, largest_absolute_mean, normal_quantiles
from distrl.dp.solution import Solution
from distrl.dp.status import Status, settle
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.quantile import QuantileBellman
from distrl.returns.quantile import QuantileReturns

_POSITION = 4.0  # roundings of a product, a sum and what they start from
_WORK = 2e9  # quantiles of outcomes that undiscounted applications go through at most: some seconds


@dataclass(frozen=True)
class QuantileDP:
    """The fixed point theta = Pi_flat T theta of `operators.QuantileBellman`: m quantiles a state.

    Parameters
    ----------
    quantiles : int
        Number m of quantiles, at the levels (2 i - 1) / (2 m).
    flat : float in [0, 1]
        Which end of a flat region of a target's CDF is taken: 0 the lower, 1 the upper.
    threads : int, optional
        Threads over states, at most 16; by default one for each core. Results do not depend on it, bit for bit.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the arrays do not fit in memory.

    Notes
    -----
    `tol` bounds the iteration error in sup-W_inf, which the residual sup |theta - Pi T theta| bounds by residual / (1 -
    discount); None: 1e-10 of the width of the returns' range (of 2 sup E|G| if it is infinite). At discount 1 the
    operator need not contract in W_inf nor have one fixed point: `tol` then bounds what the residual adds to the
    certificate, [(I - P)^{-1} residual], and success is `Status.STEADY`. Where a state ends with a probability of less
    than 1 / (2 m), its outermost quantiles may never end: they drift away, sweep after sweep by the same amount. That
    is seen from residuals that do not fall, and is `Status.DRIFTING`; undiscounted sweeps are limited to some seconds.

    Applications alternate with short cuts. An application takes, for each quantile, one particle within a cut of the
    successors' lists. With the cuts kept, the equations are those of a deterministic decision process, solved by policy
    iteration: with one particle taken for each, quantiles follow each other, and O(S m) solves for them exactly. That
    is strategy iteration for a stochastic game, which falls to the fixed point at least as fast as applications; where
    levels tie and 0 < flat < 1, the last choices are kept for 64 applications instead. With continuous rewards the
    short cut is Anderson mixing of the last 6 applications. A step is kept if its true residual falls at least as far
    as by an application, or if it is (but for the first) certain to lie between the last image and the fixed point; the
    contraction guarantees the rest. Started from normal quantiles with the exact means and variances. Memory in arrays
    of S * m numbers: about 12, and one for each outcome of a state; 60 with continuous rewards. An application costs
    what `QuantileBellman` says.

    Guarantee: the certificate (claim `certificate-one-step-transport`): W1 <= [(I - discount P)^{-1} r](x), r(x) = W1
    between theta(x) and its unprojected image, also for unbounded rewards. It is at most the bound known beforehand,
    `theory.quantile_w1` with the widths of the returns' ranges, plus the iteration error: see docs/quantiles.md.
    Sources: Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning"; Hoffman and Karp 1966, "On
    Nonterminating Stochastic Games"; Walker and Ni 2011, "Anderson Acceleration for Fixed-Point Iterations"; the
    certificate is this library's.
    """

    quantiles: int = 201
    flat: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantiles", whole_number(self.quantiles, "quantiles", low=1))
        object.__setattr__(self, "flat", real_number(self.flat, "flat", low=0.0, high=1.0))
        object.__setattr__(self, "threads", check_threads(self.threads))

    def solve(self, model: MRP, call: Call) -> Solution[QuantileReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        check_memory(model.n_states, self.quantiles, 12.0, "use fewer quantiles")
        call.enter("building the operator")
        operator = QuantileBellman(model, self.quantiles, self.flat, self.threads)
        check_memory(len(operator.targets.plan.shift), self.quantiles, 1.0, "use fewer quantiles")
        if operator.targets.with_laws:
            check_memory(model.n_states, self.quantiles, 60.0, "use fewer quantiles")
        certifier = ParticleCertifier(model, operator.targets)
        mean, variance = mean_and_variance(model, certifier.linear)
        start, size = normal_quantiles(mean, variance, operator.levels), largest_absolute_mean(model)
        largest_discount = model.largest_discount
        gain = 1.0 / (1.0 - largest_discount) if largest_discount < 1.0 else float(certifier.linear.gains.max())
        loose = default_tol(model, size, gain)
        tol = call.tol if call.tol is not None else loose
        largest = max(size, float(np.abs(start).max()))
        rounding = _POSITION * EPS * largest  # of a particle r + discount * value, which a quantile is
        search = Search(operator, start, tol / gain, 64.0 * EPS * largest)
        limit = call.max_iterations
        status = Status.MAX_ITERATIONS
        call.enter("solving for quantiles")
        if limit is None:
            limit = enough_sweeps(largest_discount, gain, 4.0 * max(size, NOT_ZERO) * gain / max(tol, gain * rounding))
            status = Status.STALLED if largest_discount < 1.0 else status  # else the contraction is done, twice over
        if largest_discount == 1.0:
            if call.max_iterations is None:
                limit = min(limit, max(int(_WORK / (len(model.outcomes.probs) * self.quantiles)), 100))
            drift = Drift(gain)
        with call.interruptible():
            while call.iterations < limit:
                search.step()
                call.count()
                bound = gain * (search.residual + rounding)
                call.report(bound, tol)
                if bound <= tol or (search.residual <= rounding and call.given and tol <= gain * rounding):
                    status = Status.CONVERGED
                    break
                if search.stalled:
                    status = Status.STALLED
                    break
                if largest_discount == 1.0 and drift.shown_by(search.residual):
                    status = Status.DRIFTING
                    break
        if largest_discount == 1.0 and status is Status.MAX_ITERATIONS and call.max_iterations is None:
            status = Status.DRIFTING if drift.lasts(call.iterations) else status
        if call.interrupted:
            status = Status.INTERRUPTED
        returns = QuantileReturns.trusted(search.values)
        bounds = np.full(model.n_states, search.residual + rounding)
        bounds = certifier.linear.upper(bounds) if largest_discount == 1.0 else gain * bounds
        status, tol = settle(status, float(bounds.max()), tol, call.given, gain * rounding, loose)
        call.enter("certifying")
        certificate = certifier.certify(returns)
        if status is Status.CONVERGED and largest_discount == 1.0:
            status = Status.STEADY if np.isfinite(certificate.w1).all() else Status.UNCERTIFIED
        return Solution.of(
            returns,
            model,
            self,
            call,
            status=status,
            certificate=certificate,
            bounds=bounds,
            residual=search.residual,
            tol=tol,
            solver="sweeps and Anderson mixing" if operator.targets.with_laws else "sweeps and strategy iteration",
            reason=f"{search.kept} short cuts helped",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[QuantileReturns]:
        """The quantiles of H steps, by as many applications; `bounds` is rounding, in W_inf.

        `stages` and `call` are as `HorizonMethod` says.
        """
        walked = quantiles_of_steps(stages, self.quantiles, self.flat, self.threads, call)
        layer = walked.layer
        left = left_of(stages, walked)
        bounds = np.full(stages.n_states, layer.moved)
        status, tol = ended(stages, call, walked.done, bounds)

        def tell(below: ParticleLayer) -> tuple[QuantileReturns, Certificate]:
            return QuantileReturns.trusted(below.values), below.certificate()

        return Solution.of(
            QuantileReturns.trusted(layer.values),
            stages.process(0),
            self,
            call,
            status=status,
            certificate=layer.certificate(left=left),
            bounds=bounds if left == 0.0 else None,
            tol=tol,
            solver="steps",
            reason=steps_in_words(stages, walked.done),
            later=later_of(walked, stages, tell),
        )
