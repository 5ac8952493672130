"""The law of a policy on a long ladder: the tail's on a grid, then back over the rungs on the same grid.

Where the process whose states are a rung and a state is too large, laws of all its states need not be held at once: the
law on a rung follows from that `stride` rungs below by one application of the categorical operator, and so does its
certificate (`distrl.dp.horizon_categorical`), from that of the tail.
"""

from dataclasses import replace

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import IntArray
from distrl.control.executed import executed
from distrl.dp import CategoricalFixedPoint, Solution, evaluate
from distrl.dp.horizon_categorical import GridLayer, back_on
from distrl.models.mdp import MDP
from distrl.models.stages import Opening, step_under
from distrl.returns import CategoricalReturns
from distrl.returns.grid import return_ranges


def law_by_rungs(
    mdp: MDP, actions: IntArray, tail: IntArray, first: IntArray, stride: int, method: CategoricalFixedPoint
) -> Solution[CategoricalReturns]:
    """The laws of a policy on a ladder, row s from the rung on which it starts in state s. Below discount 1.

    Parameters
    ----------
    mdp, actions, tail, first, stride
        As of `TimedPolicy`; stride >= 1.
    method : CategoricalFixedPoint
        Of the tail; its grid is that of all laws.

    Raises
    ------
    ValueError
        If returns have no bounds and no grid is given.

    Notes
    -----
    Time O(outcomes atoms) a rung, memory a few arrays of (S, atoms).
    """
    if method.grid is None and method.interval is None:
        low, high = return_ranges(mdp.under("uniform"))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(
                "a reward law is unbounded, so no interval holds every return; give a method with "
                "grid=Grid(low, high, atoms)"
            )
        method = method.on_interval(float(low.min()), float(high.max()))
    below = evaluate(mdp, method, policy=tail)
    sure, grid = below.certificate, below.returns.grid
    start = GridLayer(
        below.returns.probs, sure.rounding**2 * (1.0 + 4.0 * EPS), sure.overshoot, sure.residual, sure.clipped_mass
    )
    found = GridLayer(*(part.copy() for part in start))
    for residue in range(stride):
        own = (first % stride == residue) & (first < len(actions))
        if not own.any():
            continue
        rungs = np.arange(int(first[own].min()), len(actions), stride)
        stages = Opening.of(mdp, actions[rungs].astype(np.int64), len(rungs))
        back, layer = back_on(stages, grid, method.threads), start
        for rung, process in zip(rungs[::-1], stages.backwards(), strict=True):
            layer = back(layer, process)
            here = own & (first == rung)
            for part, reached in zip(found, layer, strict=True):
                part[here] = reached[here]
    certificate = found.certificate(grid)
    rows = np.vstack([actions, tail])[np.minimum(first, len(actions)), np.arange(mdp.n_states)]
    return executed(
        below,
        returns=CategoricalReturns.trusted(grid, found.probs),
        certificate=replace(certificate, of=sure.of),
        bounds=certificate.residual,
        model=step_under(mdp, rows.astype(np.int64)),
        mdp=mdp,
        reason=f"{below.reason}; then {len(actions)} rungs back on its grid",
    )
