"""Faults in what is drawn, and in what is said of it: estimates, streams, targets; see `mutations`."""

import dataclasses
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import numpy as np

from distrl._kernels import influence as influence_kernels
from distrl._kernels import td as td_kernels
from distrl.dp import monte_carlo
from distrl.generative import adaptive
from distrl.generative.influence import FirstOrder
from distrl.generative.intervals import bootstrap, delta, finite_sample
from distrl.generative.sampled import SampledSolution
from distrl.td import noise
from distrl.td import sampling as td_sampling
from distrl.td.step_sizes import Polynomial
from proofs_check.faults import Fault, given, returned

learning = importlib.import_module("distrl.td.learn")  # the package has a function of this name


def _both_radii(factor: float) -> Callable[[], AbstractContextManager[Any]]:
    """Finite-sample radii are multiplied by a factor."""
    mean, ball = finite_sample.mean_radius, finite_sample.w1_radius
    return lambda: mock.patch.multiple(
        finite_sample,
        mean_radius=lambda *given: factor * mean(*given),
        w1_radius=lambda *given: factor * ball(*given),
    )


def _without_ends(*arguments: Any) -> None:
    """The influence of an outcome that ends is left out."""
    _INFLUENCE(*arguments)
    terminals, out = arguments[5], arguments[9]
    start, stop = arguments[-2:]
    out[start:stop][np.asarray(terminals[start:stop])] = 0.0


_INFLUENCE = influence_kernels.influence


def _weights_to(power: float) -> Callable[[], AbstractContextManager[Any]]:
    """The variance of influence has the policy's weight to a power, 2 being right."""
    influence = FirstOrder.influence

    def altered(self: FirstOrder, *arguments: Any) -> Any:
        found = influence(self, *arguments)
        return found._replace(variance=found.variance * self.policy ** (power - 2.0))

    return lambda: mock.patch.object(FirstOrder, "influence", altered)


def _blocks(change: Callable[[int], int]) -> Callable[[], AbstractContextManager[Any]]:
    """Another block of reward noise is drawn in place of one; what is there is called what was asked for."""
    load = noise.Blocks.load

    def altered(self: Any, family: int, block: int) -> None:
        if self.loaded[family] != block:
            self.loaded[family] = -1
            load(self, family, change(block))
            self.loaded[family] = block

    return lambda: mock.patch.object(noise.Blocks, "load", altered)


def _weights(change: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[Any]]:
    return returned(td_sampling.Stream, "take", change)


def _early(self: Any, counts: Any) -> Any:
    return np.asarray(self.scale / (self.offset + counts + 1.0) ** self.exponent)


def _by_variance(deviations: Any, total: int, at_least: Any = adaptive.FLOOR) -> Any:
    """Sizes in proportion to the variance instead of the deviation."""
    return _neyman(np.square(deviations), total, at_least)


_neyman = adaptive.neyman_allocation


def _forgetful(position: Any) -> Any:
    """A position that knows of no draw of noise."""
    if position is not None:
        position.used[:] = 0
    return position


def _alone(method: delta.Delta) -> delta.Delta:
    return dataclasses.replace(method, simultaneous=False)


def _one_step(self: Any) -> Any:
    """Only the states that have such a source themselves."""
    return (self.empirical.unknown & (self.state_weights > 0.0)).reshape(self.model.n_states, -1).any(axis=1)


FAULTS = (
    Fault(
        "standard-errors-halved",
        "standard errors are half of what they are",
        returned(FirstOrder, "spreads", lambda spread: spread._replace(error=spread.error / 2.0)),
        ("plug-in-variance", "plug-in-coverage", "estimate-delta-coverage", "standard-error-by-differences"),
    ),
    Fault(
        "finite-sample-radii-a-tenth",
        "a tenth of the radius that holds for every N",
        _both_radii(0.1),
        ("estimate-finite-sample-coverage", "estimate-finite-sample-radius"),
    ),
    Fault(
        "finite-sample-radii-a-percent-less",
        "99% of the radius that holds for every N",
        _both_radii(0.99),
        ("estimate-finite-sample-radius",),
    ),
    Fault(
        "influence-without-ends",
        "outcomes that end have no influence",
        lambda: mock.patch.object(influence_kernels, "influence", _without_ends),
        ("plug-in-variance", "standard-error-by-differences"),
    ),
    Fault(
        "policy-weight-cubed",
        "the variance of influence has the third power of the policy's weight",
        _weights_to(3.0),
        ("plug-in-variance", "standard-error-by-differences"),
    ),
    Fault(
        "policy-weight-not-squared",
        "the variance of influence has the policy's weight itself",
        _weights_to(1.0),
        ("plug-in-variance", "standard-error-by-differences"),
    ),
    Fault(
        "replications-share-a-seed",
        "the second replication has the first one's seed",
        given(learning, "child", lambda root, index: (root, 0 if index == 1 else index)),
        ("replications-independent",),
    ),
    Fault(
        "reward-noise-repeats",
        "reward noise comes again after four blocks",
        _blocks(lambda block: block % 4),
        ("reward-noise-fresh",),
    ),
    Fault(
        "rewards-from-the-stream-of-transitions",
        "reward noise is drawn from the numbers that transitions are drawn from",
        lambda: mock.patch.object(noise, "_STRIDE", 0),
        ("rewards-independent-of-transitions",),
    ),
    Fault(
        "a-resume-starts-its-noise-again",
        "the number of draws taken is not kept",
        given(
            td_sampling.Stream,
            "__init__",
            lambda self, sampler, seed, position=None: (self, sampler, seed, _forgetful(position)),
        ),
        ("seeds-say-all",),
    ),
    Fault(
        "bootstrapped-with-a-discount-more",
        "n-step targets weigh the estimate after them with one discount more",
        _weights(lambda targets: targets._replace(weights=targets.weights * 0.7)),
        ("n-step-target-law", "trajectory-by-hand"),
    ),
    Fault(
        "ends-are-bootstrapped",
        "what follows an end is estimated too",
        _weights(lambda targets: targets._replace(weights=np.where(targets.weights == 0.0, 0.7, targets.weights))),
        ("n-step-target-law", "trajectory-by-hand"),
    ),
    Fault(
        "burn-in-one-less",
        "averages begin a renewal early",
        given(
            td_kernels,
            "renew_values",
            lambda values, averages, burn, *rest: (values, averages, max(burn - 1, 0), *rest),
        ),
        ("trajectory-by-hand",),
    ),
    Fault(
        "steps-one-late",
        "the k-th step has the size of the next",
        lambda: mock.patch.object(Polynomial, "__call__", _early),
        ("trajectory-by-hand",),
    ),
    Fault(
        "bootstrap-percentiles-inward",
        "percentiles of the middle half",
        given(
            bootstrap,
            "_each",
            lambda ends, drawn, value, level, lean: (ends, drawn, value, 0.6, lean._replace(known=False)),
        ),
        ("estimate-bootstrap-coverage",),
    ),
    Fault(
        "simultaneous-one-by-one",
        "no Bonferroni",
        given(delta.Delta, "interval", lambda self, *rest: (_alone(self), *rest)),
        ("estimate-simultaneous-coverage",),
    ),
    Fault(
        "woodruff-without-its-margin",
        "quantiles are read at a third of the CDF's margin",
        given(
            delta.Delta,
            "_woodruff",
            lambda self, found, level, alpha, states: (self, found, level, 0.6, states),
        ),
        ("estimate-woodruff-coverage",),
    ),
    Fault(
        "allocated-by-variance",
        "sample sizes in proportion to variances",
        lambda: mock.patch.object(adaptive, "neyman_allocation", _by_variance),
        ("neyman-optimal",),
    ),
    Fault(
        "unknown-where-it-is-only",
        "states on the way to an unknown source are taken for known",
        lambda: mock.patch.object(SampledSolution, "unknown", property(_one_step)),
        ("unknown-closure",),
    ),
    Fault(
        "bands-a-fifth-narrower",
        "four fifths of the band of Dvoretzky, Kiefer and Wolfowitz",
        returned(monte_carlo, "dkw_halfwidth", lambda half: 0.8 * half),
        ("monte-carlo-dkw",),
    ),
)
