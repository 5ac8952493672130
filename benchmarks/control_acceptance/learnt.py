"""Items 11 and 12: what is refuted, and Q-learning of all targets."""

from collections.abc import Iterator

import numpy as np

import distrl
from benchmarks.control_acceptance.said import Line, percent
from distrl.td import Harmonic
from proofs_check import runner
from proofs_check.claim import find

_CLAIMS = {
    "dual-equals-static": "refuted",
    "interpolation-above-loss": "refuted",
    "interpolation-below-loss": "refuted",
    "nested-below-static": "refuted",
    "static-below-nested": "refuted",
    "static-below-dual": "holds",
}


def refuted() -> Iterator[Line]:
    """The claims on recursions that look like the right one, by a quick search for counterexamples."""
    for result in runner.run([find(claim) for claim in _CLAIMS], runner.QUICK):
        wanted = _CLAIMS[result.claim.id]
        said = f"{result.verdict} after {result.instances} instances"
        yield Line(f"claim {result.claim.id}", said, wanted, result.verdict == wanted)


def learning() -> Iterator[Line]:
    """Losses at 64 cells after so many rounds, against the recursion with interpolated targets on the same knots.

    Garnet of 20 states, 3 actions and 3 successors at discount .9, steps 1 / (1 + (1 - g) n).
    """
    discount = 0.9
    mdp = distrl.environments.garnet(20, 3, 3, rng=1, discount=discount)
    steps = Harmonic(1.0 / (1.0 - discount), 1.0 / (1.0 - discount))
    goals = {100: None, 300: None, 1_000: None, 3_000: 0.01, 10_000: None}
    for rounds, most in goals.items():
        run = distrl.learn(mdp, distrl.TargetQ(64), step_size=steps, updates=rounds, rng=0, records=1)
        points = run.method.grid.points
        found = run.final.losses.reshape(len(mdp.pairs), -1)
        off = float(np.abs(found - _interpolated(mdp, points)).max() / (points[-1] - points[0]))
        met = None if most is None else off <= most
        yield Line(f"Q-learning of all targets, {rounds:,} rounds", f"{percent(off)} of the range", "1%", met)


def _interpolated(mdp: distrl.MDP, points: np.ndarray) -> np.ndarray:
    """(pairs, knots) the fixed point of the recursion, targets between knots read along chords."""
    table, indptr, g = mdp.outcomes, mdp.choices.indptr, mdp.discount
    losses = np.tile(np.maximum(points - points.mean(), 0.0), (len(mdp.pairs), 1))
    left = (points - table.rewards[:, None]) / g
    change = np.inf
    while change > 1e-6 * (points[-1] - points[0]):
        read = np.empty(left.shape)
        for row, (state, end) in enumerate(zip(table.next_states, table.terminals, strict=True)):
            own = [np.interp(left[row], points, each) for each in losses[indptr[state] : indptr[state + 1]]]
            onward = g * (np.min(own, axis=0) + np.maximum(left[row] - points[-1], 0.0))
            read[row] = np.maximum(points - table.rewards[row], 0.0) if end else onward
        after = np.add.reduceat(table.probs[:, None] * read, table.indptr[:-1], axis=0)
        change, losses = float(np.abs(after - losses).max()), after
    return losses
