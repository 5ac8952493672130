"""Models from arrays of transitions and rewards, in whatever way they mark the actions that are not available."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import BoolArray, FloatArray, bool_array, float_array, real_number
from distrl.models.arrays import actions_first, check_axes
from distrl.models.choices import available_mask, end_absorbing
from distrl.models.collected import ended
from distrl.models.discount_arrays import is_array
from distrl.models.given import Matrices, Rewards
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP, names_of


def from_arrays(
    P: Matrices,
    R: Rewards,
    discount: ArrayLike,
    axes: str | None = None,
    *,
    terminal: ArrayLike | None = None,
    initial: ArrayLike | None = None,
    available: ArrayLike | None = None,
    absorbing: str | None = None,
    normalise: bool = False,
    states: Sequence[Hashable] | None = None,
    actions: Sequence[Hashable] | None = None,
    layout: tuple[int, int] | None = None,
) -> MRP | MDP:
    """The model of a transition array `P` and a reward array `R`: an `MDP`, or an `MRP` where `P` is one matrix.

    An action is taken for not available in a state if its row of `P` is zero, or its reward -inf (then its row of `P`
    is not looked at). This is what `MDP` wants to be told by `available=`; the rest is as there.

    Parameters
    ----------
    P : (A, S, S) or (S, A, S) array, list of A matrices (S, S), dense or scipy.sparse, or one matrix (S, S)
    R : (S,) | (S, A) | an array shaped like P | list of A sparse (S, S), or laws as for `MDP`
        -inf says that an action is not available: at (s, a), or at all that P reaches from there. Where a row of `P`
        is zero a reward may be NaN or 0; another number there is refused, since it would be lost.
    discount : float in [0, 1], or (S,) | (S, A) | an array shaped like P of such
        As for `MDP`, or `MRP` where `P` is one matrix.
    axes : "ass", "sas" or None
        Order of the axes of arrays with three: (action, state, next state) or (state, action, next state). None: as
        the shape tells; where it does not tell, the order is asked for.
    available : (S, A) mask, optional
        Which actions each state has; None: as `P` and `R` say.
    absorbing, normalise
        As for `MDP.from_outcomes`.
    terminal, initial, states, actions, layout
        As for `MDP`.

    Returns
    -------
    MDP or MRP
        Time and memory O(size of the arrays); sparse ones stay sparse. `model.to_arrays()` gives arrays from which
        this makes the model again.

    Raises
    ------
    ValueError, TypeError
        Naming the state, the action and the number.

    Examples
    --------
    >>> from_arrays([[[0.5, 0.5], [0, 1]], [[0, 1], [0, 0]]], [[5, 10], [-1, 0]], discount=0.95, axes="ass").available
    array([[ True,  True],
           [ True, False]])
    """
    given: Any
    if is_array(discount):
        given = float_array(discount, "discount", ndim=(1, 2, 3), finite=False)
    else:
        given = real_number(discount, "discount", low=0.0, high=1.0)
    described: dict[str, Any] = {"initial": initial, "layout": layout, "states": states}
    if _is_matrix(P):
        for name, value in (("axes", axes), ("available", available), ("actions", actions)):
            if value is not None:
                raise ValueError(f"P is one matrix (S, S), which makes an MRP; leave {name} out")
        # of a number: whether all ends is seen below
        chain = MRP(P, R, given if is_array(given) else 0.0, terminal, normalise=normalise, **described)
        number, each = chain.uniform_discount if is_array(given) else given, np.arange(chain.n_states)
        table = end_absorbing(chain.outcomes, absorbing, number, each, names_of(chain.states))
        return MRP.from_table(table, number, **described)
    check_axes(axes)
    matrices: Any = actions_first(P, "P", axes)
    rewards: Any = actions_first(R, "R", axes, finite=False)
    mask, rewards = _available(matrices, rewards, available, terminal)
    given = actions_first(given, "discount", axes) if isinstance(given, np.ndarray) and given.ndim == 3 else given
    described |= {"axes": None if _listed(matrices) else "ass", "available": mask, "actions": actions}
    return ended(MDP(matrices, rewards, given, terminal, normalise=normalise, **described), absorbing)


def _listed(P: Any) -> bool:
    """Whether `P` is a list of matrices of which some are sparse."""
    return isinstance(P, Sequence) and any(sparse.issparse(matrix) for matrix in P)


def _is_matrix(P: Any) -> bool:
    if sparse.issparse(P) or _listed(P):
        return bool(sparse.issparse(P))
    try:
        return np.ndim(P) == 2
    except ValueError:  # ragged, which is said when it is read
        return False


def _available(P: Any, R: Any, available: Any, terminal: Any) -> tuple[BoolArray | None, Any]:
    """The (S, A) mask of the actions that there are, None for all, and the rewards without what marks the others."""
    stack: Any = P
    if _listed(P):
        stack = [m if sparse.issparse(m) else float_array(m, f"P[{a}]", ndim=2) for a, m in enumerate(P)]
    elif not isinstance(P, np.ndarray) or P.ndim != 3:
        return available, R  # which `MDP` refuses in its words
    shapes = {matrix.shape for matrix in stack}
    if len(shapes) != 1 or any(len(shape) != 2 or shape[0] != shape[1] for shape in shapes):
        return available, R
    some = [
        np.diff((sparse.csr_array(m) != 0).indptr) > 0 if sparse.issparse(m) else (m != 0.0).any(axis=1) for m in stack
    ]
    has_row = np.stack(some, axis=1)
    shape = has_row.shape
    ends = np.zeros(shape[0], dtype=np.bool_) if terminal is None else bool_array(terminal, "terminal", shape[0])
    numbers = isinstance(R, np.ndarray) and R.dtype != object
    closed = np.zeros(shape, dtype=np.bool_)
    if numbers and R.shape == shape:
        closed, R = _of_pairs(R, has_row)
    elif numbers and R.shape == (shape[1], shape[0], shape[0]):
        closed, R = _of_transitions(R, stack)
    if available is not None:
        mask = available_mask(available, shape)
        wrong = closed & mask & ~ends[:, None]
        if wrong.any():
            state, action = np.argwhere(wrong)[0]
            raise ValueError(f"R[{state}, {action}] is -inf, but available is True there; one of them is wrong")
        return mask, R
    mask = (has_row & ~closed) | ends[:, None]
    without = ~mask.any(axis=1)
    if without.any():
        raise ValueError(
            f"state {int(np.argmax(without))} has no action: its rows of P are zero, or its rewards -inf, under every "
            "one; if the return ends there, mark it in terminal="
        )
    return (None if mask.all() else mask), R


def _of_pairs(rewards: FloatArray, has_row: BoolArray) -> tuple[BoolArray, FloatArray]:
    """Which pairs (S, A) rewards close, and the rewards with 0 for what is not paid."""
    closed = rewards == -np.inf
    lost = ~has_row & np.isfinite(rewards) & (rewards != 0.0)
    if lost.any():
        state, action = np.argwhere(lost)[0]
        raise ValueError(
            f"R[{state}, {action}] is {rewards[state, action]:g}, but state {state} has a row of zeros in P under this "
            "action, so that it is never paid; fill in the row, or give 0, NaN or -inf if the action is not available"
        )
    return closed, np.where(closed | (~has_row & np.isnan(rewards)), 0.0, rewards)


def _of_transitions(rewards: FloatArray, stack: Any) -> tuple[BoolArray, FloatArray]:
    """The same for (A, S, S) rewards: a pair is closed by -inf on all that it reaches."""
    moves = np.stack([(m != 0.0).toarray() if sparse.issparse(m) else m != 0.0 for m in stack])
    barred = moves & (rewards == -np.inf)
    closed = barred.any(axis=2)
    partly = barred.any(axis=2) & (moves & ~barred).any(axis=2)
    if partly.any():
        action, state = np.argwhere(partly)[0]
        raise ValueError(
            f"state {state}, action {action} has the reward -inf on some transitions and numbers on others; -inf "
            "on all of them says that the action is not available"
        )
    return closed.T, np.where(barred | (~moves & ~np.isfinite(rewards)), 0.0, rewards)
