"""Quantile dynamic programming: the fixed point of the quantile Bellman operator."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from distrl._memory import check_memory
from distrl._threads import check_threads
from distrl._validation import FloatArray, IntArray, real_number, whole_number
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.moments import mean_and_variance
from distrl.dp.monte_carlo import largest_absolute_mean, range_width
from distrl.dp.problem import enough_sweeps
from distrl.dp.run import Run
from distrl.dp.solution import Solution, Status
from distrl.models.mrp import MRP
from distrl.operators.quantile import QuantileBellman
from distrl.returns.quantile import QuantileReturns

_EPS = float(np.finfo(np.float64).eps)
_MOST = 40  # doublings of the number of applications with frozen choices
_PATIENCE = 15  # applications, at most, until frozen choices are tried again
_FROZEN = 64  # applications with frozen choices where levels tie, each a small part of a true one


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
        As for `CategoricalFixedPoint`; results do not depend on it, bit for bit.

    Raises
    ------
    ValueError
        If an option is out of range, or the arrays do not fit in memory.

    Notes
    -----
    `tol` bounds the iteration error in sup-W_inf, which the residual sup |theta - Pi T theta| bounds by residual / (1 -
    discount); None: 1e-10 of the width of the returns' range (of 2 sup E|G| if it is infinite). At discount 1 the
    operator need not contract in W_inf nor have one fixed point: `tol` then bounds what the residual adds to the
    certificate, [(I - P)^{-1} residual], and success is `Status.STEADY`.

    Applications alternate with steps that keep the particles that the last application chose: with frozen choices the
    equations are linear, and (but for ties) each quantile follows one other, so that 2^k applications take k passes of
    O(S m). Such a step is kept if the true residual falls at least as far as by an application; the contraction
    guarantees the rest. Started from normal quantiles with the exact means and variances. Memory in arrays of S * m
    numbers: about 10. An application costs what `QuantileBellman` says.

    Guarantee: the certificate (claim `certificate-one-step-transport`): W1 <= [(I - discount P)^{-1} r](x), r(x) = W1
    between theta(x) and its unprojected image, also for unbounded rewards. It is at most the bound known beforehand,
    `theory.quantile_w1` with the widths of the returns' ranges, plus the iteration error: see docs/quantiles.md.
    Source: Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning"; the certificate is this
    library's.
    """

    quantiles: int = 201
    flat: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantiles", whole_number(self.quantiles, "quantiles", low=1))
        object.__setattr__(self, "flat", real_number(self.flat, "flat", low=0.0, high=1.0))
        object.__setattr__(self, "threads", check_threads(self.threads))

    def _solve(self, model: MRP, run: Run) -> Solution:
        check_memory(model.n_states, self.quantiles, 10.0, "use fewer quantiles")
        operator = QuantileBellman(model, self.quantiles, self.flat, self.threads)
        certifier = ParticleCertifier(model, operator.targets)
        mean, variance = mean_and_variance(model, certifier.linear)
        start, size = normal_quantiles(mean, variance, operator.levels), largest_absolute_mean(model)
        gain = 1.0 / (1.0 - model.discount) if model.discount < 1.0 else float(certifier.linear.gain.max())
        tol = run.tol if run.tol is not None else default_tol(model, size, gain)
        search = _Search(operator, start, tol / gain, 64.0 * _EPS * max(size, float(np.abs(start).max())))
        limit = run.max_iterations
        if limit is None:
            limit = enough_sweeps(model.discount, gain, 4.0 * max(size, 1e-300) * gain / tol)
        status = Status.MAX_ITERATIONS
        try:
            while run.iterations < limit:
                search.step()
                run.iterations += 1
                run.report(search.residual * gain, tol)
                if search.residual * gain <= tol:
                    status = Status.CONVERGED if model.discount < 1.0 else Status.STEADY
                    break
                if search.stalled:
                    status = Status.STALLED
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        returns = QuantileReturns._trusted(search.values)
        return Solution(
            returns=returns,
            status=status,
            iterations=run.iterations,
            residual=search.residual,
            clipped_mass=0.0,
            elapsed=run.elapsed,
            certificate=certifier.certify(returns),
            tol=tol,
            solver="sweeps and frozen choices",
            reason=f"{search.kept} steps with frozen choices helped",
            model=model,
            method=self,
        )


class _Search:
    """The iteration. `values` (S, m) has the image `image`, which takes the particles `choices`, and `residual`."""

    def __init__(self, operator: QuantileBellman, start: FloatArray, goal: float, floor: float) -> None:
        self._operator, self._goal, self._floor = operator, goal, floor
        self.values, self.residual = start.copy(), math.inf
        self._image, self._choices = start, operator.empty_choices()  # as if it were the start's image
        self._other_image, self._other_choices = np.empty_like(start), operator.empty_choices()
        self._moved = np.empty(len(start))
        self._smallest, self._since = math.inf, 0
        # a continuous target has no choices to freeze
        self._wait, self._patience = 0 if len(operator.targets.plan.shift) else -1, 0
        self.kept = 0

    @property
    def stalled(self) -> bool:
        """Whether rounding alone is left."""
        return self._since > 50 and self.residual <= self._floor

    def step(self) -> None:
        """One application: to what frozen choices lead to, kept if that is better than an application, or to the image.

        After a failure frozen choices are left alone for a while.
        """
        g = self._operator.discount
        begun = math.isfinite(self.residual)
        jump = begun and self._wait == 0
        following = self._frozen() if jump else self._image
        # continuous targets need not be inverted better than the iteration stands
        inner = max(0.1 * self._goal, 0.01 * (1.0 - g) * self.residual if begun else 0.0)
        error = self._operator.apply(following, self._other_choices, self._other_image, self._moved, inner)
        residual = float(self._moved.max()) + error
        if jump and not residual < g * self.residual:
            self._patience = min(2 * self._patience + 1, _PATIENCE)
            self._wait = self._patience
            return
        if jump:
            self._patience = 0
            self.kept += 1
        elif begun:
            self._wait -= 1
        # the last image's array is free unless it is what the step went to
        free = self._image if jump else self.values
        self.values, self.residual = following, residual
        self._image, self._other_image = self._other_image, free
        self._choices, self._other_choices = self._other_choices, self._choices
        self._smallest, self._since = (residual, 0) if residual < self._smallest else (self._smallest, self._since + 1)

    def _frozen(self) -> FloatArray:
        """Where many applications that keep the present choices lead; sorted, as it need not come out so."""
        first, last = self._choices[..., 0], self._choices[..., -1]
        if np.array_equal(first, last):
            values = self._followed(first)
        else:
            values, other = self._image.copy(), self._image.copy()
            for _ in range(_FROZEN):
                self._operator.read(values, self._choices, other)
                values, other = other, values
        values.sort(axis=1)
        return values

    def _followed(self, choices: IntArray) -> FloatArray:
        """2^k applications, each quantile following one particle: its shift and successor double k times."""
        plan, (n, m) = self._operator.targets.plan, choices.shape
        end = n * m  # a return that has ended, and every quantile of a continuous target: constants
        row = np.where(choices >= 0, choices // m, 0)
        shift, successor = self._image.ravel().copy(), np.full(end, end)
        if len(plan.shift):
            onward = np.where(choices >= 0, plan.successor[row], -1)
            shift = np.where(choices >= 0, plan.shift[row], self._image).ravel()
            successor = np.where(onward >= 0, onward * m + choices % m, end).ravel()
        shift, successor = np.append(shift, 0.0), np.append(successor, end)
        factor = self._operator.discount
        for _ in range(_MOST):
            if factor < 1e-18 or (successor == end).all():
                break  # what is further away does not count in float64, or there is nothing
            shift = shift + factor * shift[successor]
            successor = successor[successor]
            factor *= factor
        return np.asarray((shift + factor * np.append(self._image.ravel(), 0.0)[successor])[:-1].reshape(n, m))


def default_tol(model: MRP, size: float, gain: float) -> float:
    """1e-10 of the width of the returns' range (2 sup E|G| = 2 `size` if infinite), or what float64 can reach."""
    width = range_width(model)
    return max(1e-10 * (width if math.isfinite(width) else 2.0 * size), 128.0 * _EPS * gain * size, 1e-300)


def normal_quantiles(mean: FloatArray, variance: FloatArray, levels: FloatArray) -> FloatArray:
    """(S, m) quantiles of normal laws (of Diracs where the variance is infinite)."""
    sd = np.sqrt(np.where(np.isfinite(variance), variance, 0.0))
    return np.asarray(mean[:, None] + sd[:, None] * special.ndtri(levels))
