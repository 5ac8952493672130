"""Faults in `optimize`: what the bounds of control problems could get wrong without anybody seeing it."""

import dataclasses
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import numpy as np

from distrl._kernels import chords
from distrl._kernels import target as kernels
from distrl._validation import FloatArray, IntArray
from distrl.control import nested
from distrl.control.target import steps, variance_family
from distrl.control.target.nodes import NodePolicy
from distrl.control.target.problem import Known
from distrl.control.target.rule import TargetRule
from distrl.control.target.search import Search
from distrl.control.target.steps import StepSearch
from distrl.control.timed import bracket, ladder
from distrl.control.timed import steps as timed_steps
from proofs_check.exact import risk
from proofs_check.faults import Fault, given, returned

ENCLOSED = ("target-optimum-enclosed",)
BY_KNOT = {kernels.UPPER: kernels.KNOTS, kernels.FIXED: kernels.KNOTS_FIXED}
OUT, HATS = 5, 27  # the places of `out` and `with_hats` among the arguments of a sweep


def _without_hats(*arguments: Any) -> tuple[Any, ...]:
    hats = arguments[HATS] and arguments[0] != kernels.LOWER
    return (*arguments[:HATS], hats, *arguments[HATS + 1 :])


def _clipped() -> AbstractContextManager[Any]:
    sweep = kernels.sweep

    def altered(*arguments: Any) -> Any:
        found = sweep(*arguments)
        if arguments[0] == kernels.LOWER:
            np.maximum(arguments[OUT], 0.0, out=arguments[OUT])
        return found

    return mock.patch.object(kernels, "sweep", altered)


def _jensen_before(self: Search, knots: Any, exact: bool) -> FloatArray:
    """The kink at the knot before the mean, where the line to the next knot is above the loss."""
    mean = self.known.largest_mean[knots.states]
    kink = knots.origin + knots.spacing * np.floor((mean - knots.origin) / knots.spacing)
    return np.maximum(knots.points - kink, 0.0)


def _node_before(self: NodePolicy, step: int, states: IntArray, memories: FloatArray) -> IntArray:
    nodes = self.rule.nodes(step, states, memories)
    return np.asarray(self.rule.actions[np.maximum(nodes - 1, self.rule.ptr[:-1][states])], dtype=np.int64)


def _raised_chords() -> AbstractContextManager[Any]:
    sweep = chords.sweep

    def altered(*arguments: Any) -> Any:
        found = sweep(*arguments)
        if arguments[0]:
            values = arguments[2]
            values[:-1] = np.maximum(values[:-1], 0.5 * (values[:-1] + values[1:]))
        return found

    return mock.patch.object(chords, "sweep", altered)


FAULTS = (
    Fault(
        "chords-not-lowered",
        "the function below the least loss without its hats",
        given(kernels, "sweep", _without_hats),
        ENCLOSED,
    ),
    Fault(
        "best-action-at-each-knot",
        "the function above from the best action at each knot, not one for each cell",
        given(kernels, "sweep", lambda mode, *rest: (BY_KNOT.get(mode, mode), *rest)),
        ENCLOSED,
    ),
    Fault(
        "chord-knots-clipped",
        "knots of chords are held at 0 or above, as the loss is",
        _clipped,
        ENCLOSED,
    ),
    Fault(
        "kink-at-the-knot-before",
        "floor for ceil: Jensen's bound with its kink at the knot before",
        lambda: mock.patch.object(Search, "_jensen", _jensen_before),
        ENCLOSED,
    ),
    Fault(
        "window-from-the-mean",
        "the mean-optimal policy's smallest return is taken to be its mean: no loss below it",
        returned(
            Known,
            "of",
            lambda known: dataclasses.replace(known, moments=known.moments._replace(low=known.moments.mean)),
        ),
        ENCLOSED,
    ),
    Fault(
        "action-of-the-next-cell",
        "what is played at a target is the action one cell on",
        given(
            TargetRule, "actions_at", lambda self, step, states, targets: (self, step, states, targets + self.spacing)
        ),
        ENCLOSED,
    ),
    Fault(
        "dual-without-hulls",
        "the dual recursion keeps the loss as it is",
        lambda: mock.patch.object(risk, "_hull_of", lambda points: points),
        ("dual-equals-static", "static-below-dual"),
    ),
    Fault(
        "lines-for-chords",
        "lines of policies are taken for what no policy is below",
        given(
            variance_family,
            "upper_of",
            lambda fan, *rest: (fan._replace(lower=fan.squares - 2.0 * fan.points * fan.means), *rest),
        ),
        ("mean-variance-enclosed",),
    ),
    Fault(
        "action-of-the-node-before",
        "what is played at a node is the action of the node before",
        lambda: mock.patch.object(NodePolicy, "acting", _node_before),
        ("mean-variance-enclosed", "probability-enclosed", "quantile-enclosed"),
    ),
    Fault(
        "targets-rounded-down-for-the-policy",
        "floor for ceil: the policy goes on with the knot before its target",
        returned(StepSearch, "rule", lambda rule: dataclasses.replace(rule, bounds=rule.points)),
        ("probability-enclosed", "quantile-enclosed"),
    ),
    Fault(
        "knots-of-probabilities-halfway-to-the-next",
        "knots that carry chords of the least probability to fall short are raised, as far as the next one allows",
        _raised_chords,
        ("probability-enclosed", "quantile-enclosed"),
    ),
    Fault(
        "highest-return-is-the-sure-one",
        "no return is taken to be above what can be reached for sure",
        returned(steps, "window_of", lambda window: window._replace(highest=window.surely)),
        ("probability-enclosed", "quantile-enclosed"),
    ),
    Fault(
        "beta-of-the-other-sign",
        "seeking risk for averse of it",
        given(timed_steps, "entropic_step", lambda *given: (*given[:10], -given[10], *given[11:])),
        ("risks-enclosed",),
    ),
    Fault(
        "beta-not-discounted",
        "the same beta at every step",
        given(ladder, "rungs_of", lambda beta, discount, passes, rungs: (beta, 1.0, passes, rungs)),
        ("risks-enclosed",),
    ),
    Fault(
        "evar-without-its-level",
        "no log(level) / b in the ladder of betas",
        given(bracket.Bracket, "__init__", lambda self, level, *rest: (self, 1.0, *rest)),
        ("risks-enclosed",),
    ),
    Fault(
        "nested-level-twice",
        "the tail of each step has the level's square",
        given(nested, "tail_shares", lambda starts, order, probs, level, out: (starts, order, probs, level**2, out)),
        ("risks-enclosed",),
    ),
)
