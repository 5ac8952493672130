"""Import of the transition and reward arrays of pymdptoolbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from distrl._lazy import sparse
from distrl._validation import float_array, real_number, refuse_masked, shortened
from distrl.models.collected import ended
from distrl.models.given import Matrices
from distrl.models.mdp import MDP

#: An array, or something that holds one for each action.
PerAction: TypeAlias = "Matrices | Mapping[int, Any]"


def from_pymdptoolbox(
    P: PerAction,
    R: PerAction,
    discount: float,
    *,
    absorbing: str | None = None,
    normalise: bool = False,
) -> MDP:
    """The MDP that `mdptoolbox.mdp.MDP(P, R, discount, ...)` means, the arrays in any of its forms.

    Parameters
    ----------
    P : (A, S, S) array, or list, tuple, dict or array of objects holding A matrices (S, S), dense or sparse
    R : rewards
        (S,) by state; (S, A); (A, S, S) by transition; or a list, tuple, dict or array of objects holding, for each
        action, a matrix (S, S) by transition, dense or sparse, or a vector (S,), (S, 1) or (1, S) by state (which the
        toolbox describes, and its version 4.0b3 does not take). Rewards by transition are paid by transition: the
        toolbox goes on with their mean, which has the same values and another law of the return.
    discount : float in [0, 1]
    absorbing, normalise
        As for `MDP.from_outcomes`. The toolbox knows no ends of a return and no unavailable actions.

    Returns
    -------
    MDP
        Time and memory O(size of the arrays); sparse ones stay sparse.

    Raises
    ------
    ValueError, TypeError
        Naming the array, the state, the action and the number.

    Examples
    --------
    >>> import numpy as np
    >>> P = np.array([[[0.5, 0.5], [0.8, 0.2]], [[0, 1], [0.1, 0.9]]])
    >>> from_pymdptoolbox(P, np.array([[5, 10], [-1, 2]]), 0.9).expected_rewards
    array([[ 5., 10.],
           [-1.,  2.]])
    """
    number = real_number(discount, "discount", low=0.0, high=1.0)
    matrices = [_matrix(matrix, f"P[{action}]") for action, matrix in enumerate(_listed(P, "P"))]
    shapes = [matrix.shape for matrix in matrices]
    if not shapes or len(set(shapes)) > 1 or shapes[0][0] != shapes[0][1]:
        raise ValueError(f"P must hold a square matrix for each action, all of one size; got the shapes {shapes}")
    for action, matrix in enumerate(matrices):
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        if (sums == 0.0).any():
            raise ValueError(
                f"P[{action}]: the row of state {int(np.argmax(sums == 0.0))} is zero; the toolbox has every action in "
                "every state. distrl.from_arrays takes such a row for an action that is not available"
            )
    rewards = _rewards(R, shapes[0][0], len(matrices))
    mixed = any(map(sparse.issparse, matrices))
    model = (
        MDP(matrices, rewards, number, normalise=normalise)
        if mixed
        else MDP(np.stack(matrices), rewards, number, normalise=normalise, axes="ass")
    )
    return ended(model, absorbing)


def _listed(given: Any, name: str) -> list[Any]:
    """The entries of what is indexed by actions, or by states."""
    refuse_masked(given, name)
    if isinstance(given, Mapping):
        if set(given) != set(range(len(given))):
            raise ValueError(f"{name} is a dict; its keys must be 0..{len(given) - 1}, got {shortened(list(given))}")
        return [given[key] for key in range(len(given))]
    if sparse.issparse(given) or isinstance(given, str | bytes) or not hasattr(given, "__len__"):
        raise TypeError(f"{name} must be an array, or a list of one matrix for each action, got {shortened(given)}")
    return list(given)


def _matrix(given: Any, name: str) -> Any:
    """A matrix of numbers, dense or CSR; a `numpy.matrix` is a matrix, too."""
    if sparse.issparse(given):
        return sparse.csr_array(given)
    return float_array(np.asarray(given), name, ndim=2)


def _rewards(R: Any, n: int, n_actions: int) -> Any:
    """Rewards as `MDP` takes them: (S,), (S, A), (A, S, S), or a list of A sparse matrices."""
    if sparse.issparse(R):
        R = R.toarray()
    if isinstance(R, np.ndarray) and R.dtype != object:
        array = float_array(np.asarray(R), "R")
        if array.shape not in ((n,), (n, n_actions), (n_actions, n, n)):
            raise ValueError(
                f"R must have shape ({n},), ({n}, {n_actions}) or ({n_actions}, {n}, {n}), got {array.shape}"
            )
        return array
    entries = _listed(R, "R")
    if len(entries) == n and all(map(_is_number, entries)):
        return float_array(np.array(entries), "R", ndim=1)
    if len(entries) != n_actions:
        if len(entries) == n:
            return _rewards(float_array(entries, "R"), n, n_actions)
        raise ValueError(f"R has {len(entries)} entries; expected one for each of {n} states or {n_actions} actions")
    if n == n_actions and all(isinstance(entry, list | tuple) and all(map(_is_number, entry)) for entry in entries):
        raise ValueError(
            f"R is a list of {n} lists, with {n} states and {n} actions: give numpy.array(R) if it is (state, action), "
            "or a list of arrays, one for each action, if it is (action, state)"
        )
    return _of_actions([_of_action(entry, f"R[{action}]", n) for action, entry in enumerate(entries)], n)


def _is_number(entry: Any) -> bool:
    return not (hasattr(entry, "__len__") or sparse.issparse(entry))


def _of_action(given: Any, name: str, n: int) -> Any:
    """One action's rewards, (S,) by state or (S, S) by transition."""
    array: Any = sparse.csr_array(given) if sparse.issparse(given) else float_array(given, name, ndim=(1, 2))
    if array.shape == (n, n):
        return array
    if array.shape in ((n,), (n, 1), (1, n)):
        return np.asarray(array.toarray() if sparse.issparse(array) else array).reshape(n)
    raise ValueError(f"{name} must have shape ({n}, {n}), or ({n},), ({n}, 1) or (1, {n}); got {array.shape}")


def _of_actions(rewards: list[Any], n: int) -> Any:
    """Actions' rewards in one form: by state if all are, else by transition, sparse if one of them is."""
    if all(each.ndim == 1 for each in rewards):
        return np.stack(rewards, axis=1)
    whole: list[Any] = [np.repeat(each[:, None], n, axis=1) if each.ndim == 1 else each for each in rewards]
    return [sparse.csr_array(each) for each in whole] if any(map(sparse.issparse, whole)) else np.stack(whole)
