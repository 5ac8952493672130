"""The checker is checked: faults planted in the library on purpose, and the claims that catch each.

A fault replaces Python-level functions, or the arrays that kernels read, while a few claims are hunted at a small
size. It is caught by a claim whose verdict is then not the expected one: a bound broken, an oracle contradicted, an
error raised, or a refutation that is no longer found.
"""

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

import distrl
from distrl import theory
from distrl._kernels import brackets as bracket_kernels
from distrl._kernels import categorical as categorical_kernels
from distrl._kernels import functionals as functional_kernels
from distrl._kernels import metrics as metric_kernels
from distrl._kernels import stochastic as stochastic_kernels
from distrl._validation import FloatArray
from distrl.control.bellman import Pairs
from distrl.dp import certificate, horizon_categorical, lattice_certificate, moment_systems, monte_carlo
from distrl.dp import problem as problems
from distrl.dp.resolvent import Resolvent
from distrl.models import generative
from distrl.models.laws import ScipyLaw
from distrl.operators import StochasticCDFBellman, categorical, quantile
from distrl.returns import brackets as bracket_returns
from distrl.td import quantile as td_quantile
from distrl.td import sampling as td_sampling
from proofs_check import control_faults, sampling_faults
from proofs_check.claim import claims, find
from proofs_check.faults import Fault, given, returned
from proofs_check.search import MUTATION, Hunt


def catchers(fault: Fault, every: bool = False) -> list[str]:
    """Ids of the claims near the fault (or of all) that do not give their expected verdict while it is planted."""
    with fault.plant():
        suspects = [find(id) for id in fault.near] if not every else claims()
        return [claim.id for claim in suspects if not Hunt(claim, MUTATION).run(kept=None).as_expected]


def _plan(change: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Alter the kernel arrays of every categorical operator."""
    build = categorical.build_plan

    def altered(*arguments: Any, **options: Any) -> Any:
        plan, blocks = build(*arguments, **options)
        return change(plan), blocks

    return lambda: mock.patch.object(categorical, "build_plan", altered)


def _table(**columns: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Alter the outcome table that every categorical operator is built from."""
    build = categorical.build_plan

    def altered(table: Any, *arguments: Any, **options: Any) -> Any:
        changed = dataclasses.replace(table, **{name: change(table) for name, change in columns.items()})
        return build(changed, *arguments, **options)

    return lambda: mock.patch.object(categorical, "build_plan", altered)


def _pmf(split: Callable[[float, int], Sequence[tuple[int, float]]]) -> Callable[[], AbstractContextManager[Any]]:
    """Replace the projection in PMF form: `split` says where a mass at a position goes, in units of the spacing."""

    whole = categorical_kernels.apply_pmf

    def apply(probs: FloatArray, plan: Any, slack: float, out: FloatArray, spread: FloatArray, *rest: Any) -> None:
        if not len(out):  # a certificate, which asks for no image, is spared
            whole(probs, plan, slack, out, spread, *rest)
            return
        out[:], spread[:] = 0.0, 0.0
        atoms = probs.shape[1]
        for x in range(len(out)):
            for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
                entries = range(plan.successor_ptr[group], plan.successor_ptr[group + 1])
                mix = sum(plan.successor_prob[k] * probs[plan.successor[k]] for k in entries)
                for read in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    for j in range(atoms):
                        for i, share in split(plan.read_at[read] + plan.discount[group] * j, atoms):
                            out[x, i] += share * plan.read_prob[read] * mix[j]
            for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
                for i, share in split(plan.end_at[k], atoms):
                    out[x, i] += share * plan.end_prob[k]

    return lambda: mock.patch.object(categorical_kernels, "apply_pmf", apply)


def _place(at: float, atoms: int) -> tuple[int, float]:
    place = min(max(at, 0.0), atoms - 1.0)
    left = min(int(place), atoms - 2)
    return left, place - left


def _swapped(at: float, atoms: int) -> list[tuple[int, float]]:
    left, right = _place(at, atoms)
    return [(left, right), (left + 1, 1.0 - right)]


def _nearest(at: float, atoms: int) -> list[tuple[int, float]]:
    left, right = _place(at, atoms)
    return [(left + (right >= 0.5), 1.0)]


def _lost(at: float, atoms: int) -> list[tuple[int, float]]:
    left, right = _place(at, atoms)
    return [(left, 1.0 - right), (left + 1, right)] if 0.0 <= at <= atoms - 1.0 else []


def _wrapped(at: float, atoms: int) -> list[tuple[int, float]]:
    left, right = _place(at, atoms)
    return [(left, 1.0 - right), (left + 1, right)] if at <= atoms - 1.0 else [(0, 1.0)]


def _solving(owner: Any, of: Callable[[Any, int], Resolvent]) -> Callable[[], AbstractContextManager[Any]]:
    """Another system over states in a module."""
    altered = SimpleNamespace(of=lambda model, power=1: of(model, power))
    return lambda: mock.patch.object(owner, "Resolvent", altered)


def _excess_by_subtraction() -> AbstractContextManager[Any]:
    def altered(model: Any, power: int = 1) -> Resolvent:
        ending = 1.0 - np.asarray(model.continuation.sum(axis=1)).ravel()
        return Resolvent(model.continuation, model.discount, ending, power)

    return mock.patch.object(Resolvent, "of", altered)


def _flat_ignored() -> AbstractContextManager[Any]:
    make = quantile.QuantileBellman.__init__

    def altered(self: Any, model: Any, quantiles: int, flat: float = 0.0, threads: Any = None) -> None:
        make(self, model, quantiles, 0.0, threads)

    return mock.patch.object(quantile.QuantileBellman, "__init__", altered)


def _certified_without(part: str) -> Callable[[], AbstractContextManager[Any]]:
    certify = certificate.Certifier.certify

    def altered(self: Any, *arguments: Any, **options: Any) -> Any:
        found, residual = certify(self, *arguments, **options)
        rest = found.w1 - getattr(found, part)
        return dataclasses.replace(found, w1=rest, **{part: np.zeros_like(rest)}), residual

    return lambda: mock.patch.object(certificate.Certifier, "certify", altered)


def _rolled(plan: Any) -> Any:
    size = int(plan.successor.max(initial=0)) + 1
    return plan._replace(successor=(plan.successor + 1) % size)


def _always_first(self: Any, wanted: Any, rng: Any) -> Any:
    """Samples that are all of the first outcome of their state."""
    return _DRAW(self, wanted, _First())


class _First:
    """A generator whose multinomial gives everything to the first entry."""

    def multinomial(self, n: int, probs: FloatArray) -> Any:
        return np.eye(1, len(probs), dtype=np.int64)[0] * n


_DRAW = generative.GenerativeModel._draw


@contextlib.contextmanager
def _upwards_only() -> Iterator[None]:
    sweep = bracket_kernels.round_sweep

    def altered(probs: Any, plan: Any, upwards: bool, slack: float, out: Any) -> None:
        sweep(probs, plan, True, slack, out)

    with mock.patch.object(bracket_kernels, "round_sweep", altered):
        yield


@contextlib.contextmanager
def _advantages_lost() -> Iterator[None]:
    with (
        mock.patch.object(Pairs, "first_best", lambda self, values: self.choices.indptr[:-1]),
        returned(Pairs, "advantage", lambda backup: backup._replace(values=-np.abs(backup.values)))(),
    ):
        yield


def _both_upper(self: Any, points: FloatArray) -> Any:
    above = self.upper.stop_loss(points)
    return above, above + self.slack_upper[..., None]


learning = importlib.import_module("distrl.td.learn")  # the package has a function of this name
_LOCAL = StochasticCDFBellman.local_variation
_TAIL: Callable[[Any], float] = vars(ScipyLaw)["tail_index"].func


def _myopic(cls: Any, model: Any, atoms: int, *, tail: float | None = None) -> Any:
    lows, highs = model.outcomes.reward_ranges(tail)
    return cls(float(lows.min()), float(max(highs.max(), lows.min() + 0.5)), atoms)


OPERATOR = ("categorical-definition", "mean-preservation", "categorical-w1-contraction-off-grid")
SOLVED = ("dcfp-linear-system", "dcfp-mean", "categorical-unique-fixed-point")

FAULTS = (
    Fault(
        "neighbour-weights-swapped", "each mass goes to its neighbours the wrong way round", _pmf(_swapped), OPERATOR
    ),
    Fault("rounded-to-nearest", "no splitting between neighbours", _pmf(_nearest), OPERATOR),
    Fault(
        "clipped-mass-lost",
        "mass off the grid vanishes",
        _pmf(_lost),
        ("categorical-definition", "categorical-monotone"),
    ),
    Fault(
        "clipped-mass-wrapped",
        "mass above the grid lands on the lowest atom",
        _pmf(_wrapped),
        ("categorical-definition", "categorical-monotone"),
    ),
    Fault(
        "discount-dropped",
        "atoms are not scaled",
        _plan(lambda plan: plan._replace(discount=np.ones_like(plan.discount))),
        (*OPERATOR, *SOLVED),
    ),
    Fault(
        "discount-twice",
        "atoms are scaled by the discount squared",
        _plan(lambda plan: plan._replace(discount=plan.discount**2)),
        (*OPERATOR, *SOLVED),
    ),
    Fault(
        "discount-of-another-outcome",
        "the discounts of outcomes are exchanged, last for first",
        _plan(lambda plan: plan._replace(discount=plan.discount[::-1].copy())),
        ("discounts-by-outcome-contraction", "discounts-by-outcome-certificate"),
    ),
    Fault("reward-sign", "rewards are subtracted", _table(rewards=lambda table: -table.rewards), (*OPERATOR, *SOLVED)),
    Fault(
        "reward-shifted-by-an-atom",
        "targets land one atom too high",
        _plan(lambda plan: plan._replace(read_at=plan.read_at + 1.0)),
        (*OPERATOR, *SOLVED),
    ),
    Fault(
        "terminal-ignored",
        "returns go on after their end",
        _table(terminals=lambda table: np.zeros_like(table.terminals)),
        (*OPERATOR, *SOLVED),
    ),
    Fault(
        "terminal-reward-lost",
        "the last reward counts as the lowest atom",
        _plan(lambda plan: plan._replace(end_at=0.0 * plan.end_at)),
        (*OPERATOR, *SOLVED),
    ),
    Fault("successors-rolled", "the law of the next state but one is read", _plan(_rolled), (*OPERATOR, *SOLVED)),
    Fault(
        "offset-lost",
        "b = 0 in F = A F + b",
        returned(categorical.CategoricalBellman, "offset", np.zeros_like),
        ("categorical-definition", "dcfp-linear-system"),
    ),
    Fault(
        "matrix-transposed",
        "A in place of its transpose",
        returned(categorical.CategoricalBellman, "matrix", lambda matrix: matrix.T.tocsr()),
        ("categorical-definition", "cdf-column-sums"),
    ),
    Fault(
        "stopped-early",
        "a residual a million times too large is accepted",
        returned(problems.Problem, "stop", lambda stop: stop._replace(**{stop._fields[1]: stop[1] * 1e6})),
        SOLVED,
    ),
    Fault(
        "certificate-no-rounding",
        "rounding is not certified",
        _certified_without("rounding"),
        ("certificate-martingale-coupling", "variance-inflation"),
    ),
    Fault(
        "certificate-no-overshoot",
        "clipping is not certified",
        _certified_without("overshoot"),
        ("certificate-martingale-coupling", "certificate-infinite-variance"),
    ),
    Fault(
        "certificate-no-residual",
        "the iteration is not certified",
        _certified_without("residual"),
        ("certificate-martingale-coupling",),
    ),
    Fault(
        "certificate-not-propagated",
        "errors of later steps are forgotten",
        _solving(certificate, lambda model, power: Resolvent(model.continuation, 0.0)),
        ("certificate-martingale-coupling", "variance-inflation", "certificate-one-step-transport"),
    ),
    Fault(
        "variance-by-wrong-discount",
        "g in place of g^2 in the variance's system",
        _solving(moment_systems, lambda model, power: Resolvent.of(model)),
        ("variance-by-linear-system",),
    ),
    Fault(
        "excess-by-subtraction",
        "the probability of ending is 1 less the row's sum",
        _excess_by_subtraction,
        ("elimination-relative-accuracy",),
    ),
    Fault(
        "w1-without-spacing",
        "gaps between atoms count one",
        given(metric_kernels, "shared_wasserstein_1", lambda gaps, *rest: (np.ones_like(gaps), *rest)),
        ("categorical-w1-contraction",),
    ),
    Fault(
        "cramer-not-rooted",
        "the Cramer distance is squared",
        returned(distrl, "cramer", np.square),
        ("wasserstein-of-particles", "bellman-cramer-contraction"),
    ),
    Fault(
        "wasserstein-doubled",
        "distances between particles are doubled",
        returned(distrl, "wasserstein", lambda d: 2.0 * d),
        ("wasserstein-of-particles", "bellman-w1-contraction"),
    ),
    Fault(
        "expectile-level-flipped",
        "1 - tau in place of tau",
        given(
            functional_kernels, "expectile", lambda values, weights, taus, *rest: (values, weights, 1.0 - taus, *rest)
        ),
        ("expectile-winf-lipschitz",),
    ),
    Fault(
        "cvar-other-tail",
        "the best returns in place of the worst",
        given(functional_kernels, "cvar", lambda *given: (*given[:-1], not given[-1])),
        ("cvar-by-stop-loss", "brackets-convex"),
    ),
    Fault(
        "tau-half-a-step-up",
        "levels i / m in place of (2 i - 1) / (2 m)",
        lambda: mock.patch.object(quantile, "midpoint_levels", lambda m: (np.arange(m) + 1.0) / m),
        ("quantile-winf-contraction-flat-0", "quantile-regression-values", "quantile-fixed-point-w1"),
    ),
    Fault(
        "flat-ignored",
        "flat = 0 whatever is asked for",
        _flat_ignored,
        ("quantile-winf-contraction-flat-1", "quantile-regression-values"),
    ),
    Fault(
        "convex-lower-is-upper",
        "the upper law's stop-loss as the lower end",
        lambda: mock.patch.object(bracket_returns.ConvexBrackets, "stop_loss_ends", _both_upper),
        ("brackets-convex",),
    ),
    Fault(
        "steps-not-propagated",
        "with a horizon errors of later steps are forgotten",
        lambda: mock.patch.object(
            horizon_categorical, "onward", lambda process, vector, power=1: np.zeros_like(vector)
        ),
        ("horizon-certificates",),
    ),
    Fault(
        "advantages-lost",
        "the first action is taken, and no other is seen to be better",
        _advantages_lost,
        ("optimal-mean-bounds",),
    ),
    Fault("rounding-up-twice", "both stochastic brackets round up", _upwards_only, ("brackets-stochastic",)),
    Fault(
        "td-tau-half-a-step-up",
        "quantile TD learns the levels i / m",
        lambda: mock.patch.object(td_quantile, "midpoint_levels", lambda m: (np.arange(m) + 1.0) / m),
        ("qtd-limit",),
    ),
    Fault(
        "td-discount-dropped",
        "targets are not discounted",
        returned(td_sampling.Stream, "take", lambda targets: targets._replace(weights=np.sign(targets.weights))),
        ("td-deterministic-rate", "td-expected-update", "ctd-expected-update"),
    ),
    Fault(
        "td-next-state-reused",
        "all states learn from the first one's next state",
        returned(
            td_sampling.Stream,
            "take",
            lambda targets: targets._replace(next_states=np.full_like(targets.next_states, targets.next_states[0])),
        ),
        ("td-deterministic-rate", "td-expected-update", "ctd-expected-update"),
    ),
    Fault(
        "td-steps-halved",
        "half of the step asked for",
        returned(
            learning,
            "as_step_size",
            lambda step: distrl.td.Constant(step.size / 2.0) if isinstance(step, distrl.td.Constant) else step,
        ),
        ("td-deterministic-rate", "td-expected-update", "ctd-expected-update"),
    ),
    Fault(
        "random-cdf-deterministic",
        "every draw takes the first outcome",
        returned(StochasticCDFBellman, "_outcomes", lambda drawn: tuple(np.full_like(part, part[0]) for part in drawn)),
        ("stochastic-cdf-mean", "stochastic-cdf-one-step-mean"),
    ),
    Fault(
        "random-cdf-undiscounted",
        "draws are shifted and not scaled",
        given(stochastic_kernels, "push_draws", lambda rows, at, ending, discount, out: (rows, at, ending, 1.0, out)),
        ("stochastic-cdf-one-step-mean", "stochastic-cdf-coupling"),
    ),
    Fault(
        "variation-without-spacing",
        "local variation in units of atoms",
        lambda: mock.patch.object(
            StochasticCDFBellman, "local_variation", lambda self: _LOCAL(self) / self.grid.spacing
        ),
        ("local-variation", "variance-corollary"),
    ),
    Fault(
        "one-outcome-sampled",
        "the generative model gives the first outcome only",
        lambda: mock.patch.object(generative.GenerativeModel, "_draw", _always_first),
        ("generative-frequencies",),
    ),
    Fault(
        "dkw-halved",
        "confidence bands half as wide",
        returned(monte_carlo, "dkw_halfwidth", lambda width: width / 2.0),
        ("monte-carlo-dkw",),
    ),
    Fault(
        "likelihood-radius-without-the-mixture",
        "a radius as if the best bet had been known beforehand",
        returned(theory, "likelihood_radius", lambda radius: radius / 3.0),
        ("empirical-likelihood-coverage",),
    ),
    Fault(
        "least-probability-of-one-outcome",
        "bounds of probabilities that are too near to the frequencies",
        returned(theory, "least_probability", lambda bound: bound**0.5),
        ("probabilities-of-all-outcomes",),
    ),
    Fault(
        "lattice-tail-a-tenth-less",
        "nine tenths of what the mass beyond the last level costs",
        returned(lattice_certificate, "lattice_tail_w1", lambda bound: 0.9 * bound),
        ("lattice-levels",),
    ),
    Fault(
        "fixed-point-bound-halved",
        "half of s / (2 sqrt(1 - g^2))",
        returned(theory, "fixed_point_w1", lambda bound: bound / 2.0),
        ("fixed-point-w1",),
    ),
    Fault(
        "atom-count-halved",
        "half of the atoms that are needed",
        returned(theory, "atoms_for_w1", lambda atoms: max(2, atoms // 2)),
        ("atom-count",),
    ),
    Fault(
        "tail-index-off",
        "tail indices one too high",
        lambda: mock.patch.object(ScipyLaw, "tail_index", property(lambda self: _TAIL(self) + 1.0)),
        ("moment-existence",),
    ),
    Fault(
        "covering-forgets-the-future",
        "a covering grid of the rewards alone",
        lambda: mock.patch.object(distrl.Grid, "covering", classmethod(_myopic)),
        ("dcfp-mean", "ctd-mean-is-td", "atom-count"),
    ),
    *control_faults.FAULTS,
    *sampling_faults.FAULTS,
)
