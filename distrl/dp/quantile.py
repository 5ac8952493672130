"""Quantile dynamic programming: the fixed point of the quantile Bellman operator."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._memory import check_memory
from distrl._threads import check_threads
from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.moment_systems import mean_and_variance
from distrl.dp.scales import default_tol, enough_sweeps, largest_absolute_mean, normal_quantiles
from distrl.dp.solution import Solution
from distrl.dp.status import Status, settle
from distrl.models.mrp import MRP
from distrl.operators.quantile import QuantileBellman
from distrl.returns.quantile import QuantileReturns

_EPS = float(np.finfo(np.float64).eps)
_POSITION = 4.0  # roundings of a product, a sum and what they start from
_PATIENCE = 15  # applications, at most, until a short cut is tried again
_CHEAP = 6  # policies that take as long as an application
_DEPTH = 5  # differences of past iterates that are combined
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

    def solve(self, model: MRP, call: Call) -> Solution:
        check_memory(model.n_states, self.quantiles, 12.0, "use fewer quantiles")
        call.enter("building the operator")
        operator = QuantileBellman(model, self.quantiles, self.flat, self.threads)
        check_memory(len(operator.targets.plan.shift), self.quantiles, 1.0, "use fewer quantiles")
        if operator.targets.with_laws:
            check_memory(model.n_states, self.quantiles, 60.0, "use fewer quantiles")
        certifier = ParticleCertifier(model, operator.targets)
        mean, variance = mean_and_variance(model, certifier.linear)
        start, size = normal_quantiles(mean, variance, operator.levels), largest_absolute_mean(model)
        gain = 1.0 / (1.0 - model.discount) if model.discount < 1.0 else float(certifier.linear.gain.max())
        loose = default_tol(model, size, gain)
        tol = call.tol if call.tol is not None else loose
        largest = max(size, float(np.abs(start).max()))
        rounding = _POSITION * _EPS * largest  # of a particle r + discount * value, which a quantile is
        search = _Search(operator, start, tol / gain, 64.0 * _EPS * largest)
        limit = call.max_iterations
        status = Status.MAX_ITERATIONS
        call.enter("solving for quantiles")
        if limit is None:
            limit = enough_sweeps(model.discount, gain, 4.0 * max(size, 1e-300) * gain / max(tol, gain * rounding))
            status = Status.STALLED if model.discount < 1.0 else status  # else the contraction is done, twice over
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
        if call.interrupted:
            status = Status.INTERRUPTED
        returns = QuantileReturns._trusted(search.values)
        bounds = np.full(model.n_states, search.residual + rounding)
        bounds = certifier.linear.upper(bounds) if model.discount == 1.0 else gain * bounds
        status, tol = settle(status, float(bounds.max()), tol, call.given, gain * rounding, loose)
        call.enter("certifying")
        certificate = certifier.certify(returns)
        if status is Status.CONVERGED and model.discount == 1.0:
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


class _Search:
    """The iteration. `values` (S, m) has the image `image`, which takes the particles `choices`, and `residual`."""

    def __init__(self, operator: QuantileBellman, start: FloatArray, goal: float, floor: float) -> None:
        self._operator, self._goal, self._floor = operator, goal, floor
        self.values, self.residual = start.copy(), math.inf
        self._image, self._choices = start, operator.empty_choices()  # as if it were the start's image
        self._other_image, self._other_choices = np.empty_like(start), operator.empty_choices()
        self._cuts, self._other_cuts = operator.empty_cuts(), operator.empty_cuts()
        self._moved = np.empty(len(start))
        self._smallest, self._since = math.inf, 0
        # a continuous target has no choices to freeze; where there are both kinds, the short cuts take turns
        self._lists, self._laws = bool(len(self._cuts)), bool(operator.targets.with_laws)
        self._mixing = self._laws
        self._past: list[tuple[FloatArray, FloatArray]] = []  # iterates and their images, latest last
        self._wait, self._patience, self._policies = 0, 0, 0
        self._fallen, self.kept = False, 0

    @property
    def stalled(self) -> bool:
        """Whether rounding alone is left."""
        return self._since > 50 and self.residual <= self._floor

    def step(self) -> None:
        """One application: to where a short cut leads, kept if that is better than an application, or to the image.

        After a failure short cuts are left alone for a while.
        """
        g = self._operator.discount
        begun = math.isfinite(self.residual)
        jump = begun and self._wait == 0
        following = self._image
        if jump:
            following = self._mixed() if self._mixing else self._frozen()
        # continuous targets need not be inverted better than the iteration stands
        inner = max(0.1 * self._goal, 0.1 * (1.0 - g) * self.residual if begun else 0.0)
        error = self._operator.apply(
            following, self._other_choices, self._other_image, self._moved, inner, self._other_cuts
        )
        residual = float(self._moved.max()) + error
        if self._laws:
            self._past = [*self._past[-_DEPTH:], (following.copy(), self._other_image.copy())]
        if jump and not (residual < g * self.residual or self._above(following)):
            self._patience = min(2 * self._patience + 1, _PATIENCE)
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
        free = self._image if jump else self.values
        self.values, self.residual = following, residual
        self._image, self._other_image = self._other_image, free
        self._choices, self._other_choices = self._other_choices, self._choices
        self._cuts, self._other_cuts = self._other_cuts, self._cuts
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
        if self._mixing or self._operator.discount == 1.0:
            return False
        near = not self._fallen or (values - self._image).max() <= self._floor
        above = near and bool((self._other_image - values).max() <= self._floor)
        self._fallen |= above
        return above

    def _frozen(self) -> FloatArray:
        """Where the present cuts lead if they are kept, or many applications of the present choices if levels tie.

        A quantile is the least, over cuts (numbers of particles of each list) of enough mass, of the largest particle
        within the cut. So T is a minimum of monotone operators, one for each choice of cuts, and the fixed point v of
        the present one has v <= T values if T values <= values, and T v <= v: from the first such step on, iterates
        fall to the fixed point of T at least as fast as by applications (strategy iteration for a stochastic game).
        """
        first, last = np.ascontiguousarray(self._choices[..., 0]), self._choices[..., -1]
        values = self._image.copy()
        if np.array_equal(first, last):
            self._policies = self._operator.solve(values, first, self._cuts)
        else:
            other = self._image.copy()
            for _ in range(_FROZEN):
                self._operator.read(values, self._choices, other)
                values, other = other, values
            self._policies = 0
        values.sort(axis=1)
        return values
