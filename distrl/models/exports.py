"""What a decision process becomes for other libraries."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._validation import BoolArray, FloatArray, whole_number
from distrl.models.choices import Choices
from distrl.models.model import TabularModel
from distrl.models.to_arrays import Arrays, dense_discount, terminal_sources, written
from distrl.models.to_quantecon import DiscreteDP, discrete_dp

if TYPE_CHECKING:
    from distrl.models.gymnasium_environment import TabularEnv, TabularVectorEnv


class Exports(TabularModel):
    """An outcome table whose sources are (state, action) pairs, and what it becomes for other libraries."""

    choices: Choices
    actions: Sequence[Hashable]

    @property
    def terminal(self) -> BoolArray:
        """(S,) mask of the states whose return is surely 0 under every action."""
        return np.asarray(self.choices.matrix(terminal_sources(self.outcomes), True).all(axis=1), dtype=np.bool_)

    def to_sparse(self) -> Arrays[list[sparse.csr_array]]:
        """(P, R, terminal): two lists of A CSR arrays (S, S) and a mask; see `MRP.to_sparse`.

        Discounts that differ are an array (S, A) where state and action say them, else (A, S, S). The rows of an action
        where it is not available are zero; with `available=mdp.available` they build this model.
        """
        known = self.outcomes, self.uniform_discount, self.terminal, self.choices.states
        made = written(*known, self.choices.described(self.states, self.actions), self.states)
        p, r = ([self.choices.of_action(a, matrix) for a in range(self.choices.n_actions)] for matrix in made[:2])
        discount = dense_discount(made.discount, self.n_states)
        if isinstance(discount, np.ndarray) and discount.ndim == 2:
            by_pair = sparse.csr_array(discount)
            discount = np.stack([self.choices.of_action(a, by_pair).toarray() for a in range(self.choices.n_actions)])
        elif isinstance(discount, np.ndarray):
            discount = np.asarray(self.choices.matrix(discount, 0.0))
        return Arrays(p, r, made.terminal, discount)

    def to_dense(self) -> Arrays[FloatArray]:
        """(P, R, terminal) as arrays of shape (A, S, S), (A, S, S), (S,); see `to_sparse`. Memory O(A S^2)."""
        given = self.to_sparse()
        p, r = (np.stack([matrix.toarray() for matrix in stack]) for stack in (given.P, given.R))
        return Arrays(p, r, given.terminal, given.discount)

    def to_arrays(self, axes: str = "ass") -> Arrays[FloatArray]:
        """(P, R, terminal) as dense arrays, and `.discount` beside them, of which `from_arrays` makes the model again.

        Parameters
        ----------
        axes : "ass" or "sas"
            Order of the axes of P and R: (action, state, next state) or (state, action, next state). The row of an
            action where it is not available is zero.

        Raises
        ------
        ValueError
            As for `MRP.to_sparse`, and for arrays that do not fit into memory: `to_sparse()` has the same, sparse.

        Examples
        --------
        `arrays = mdp.to_arrays("sas")`, and back by
        `distrl.from_arrays(arrays.P, arrays.R, arrays.discount, "sas", terminal=arrays.terminal)`.
        """
        if axes not in ("ass", "sas"):
            raise ValueError(f"axes must be 'ass' or 'sas', got {axes!r}")
        check_memory(self.n_states, self.choices.n_actions * self.n_states, 4.0, "take to_sparse() instead")
        given = self.to_dense()
        if axes == "ass":
            return given
        discount = given.discount
        if isinstance(discount, np.ndarray) and discount.ndim == 3:
            discount = discount.swapaxes(0, 1)
        p, r = given.P.swapaxes(0, 1), given.R.swapaxes(0, 1)
        return Arrays(p, r, given.terminal, discount)

    def to_quantecon(self, sparse: bool = True) -> DiscreteDP:
        """A `quantecon.markov.DiscreteDP` with the same values; `from_quantecon` makes the model again.

        QuantEcon knows one reward for each (state, action), and no end of a return. Rewards that differ between the
        outcomes of a pair are replaced by their mean, with a UserWarning. A state that is terminal stays where it is
        and pays 0 for ever; an outcome that ends elsewhere goes to a state of this kind, which is added as the last.

        Parameters
        ----------
        sparse : bool
            In the form of state-action pairs with a sparse Q; False: in product form, (S, A) and (S, A, S), where an
            action that is not available has the reward -inf.

        Raises
        ------
        ModuleNotFoundError, ValueError
            If QuantEcon is not installed, or the product form does not fit into memory.
        """
        if not isinstance(sparse, bool):
            raise TypeError(f"sparse must be True or False, got {sparse!r}")
        return discrete_dp(self.outcomes, self.choices, self.terminal, self.discount, sparse)

    @overload
    def to_gymnasium(self, num_envs: None = None) -> TabularEnv: ...
    @overload
    def to_gymnasium(self, num_envs: int) -> TabularVectorEnv: ...
    def to_gymnasium(self, num_envs: int | None = None) -> TabularEnv | TabularVectorEnv:
        """A Gymnasium environment that does what the model says; `from_gymnasium` makes the model again.

        Observations and actions are positions, their names are `env.state_names` and `env.action_names`, labels are
        `env.state_labels`, the table is `env.P`. An episode starts by the model's `initial` law; without one, uniformly
        in a state that is not terminal. It ends with a terminal outcome and has no limit of steps:
        `gymnasium.wrappers.TimeLimit` sets one. `env.reset(seed=...)` starts the draws anew, `options={"state": s}`
        starts in state s.

        Parameters
        ----------
        num_envs : int, optional
            Give a `gymnasium.vector.VectorEnv` of so many copies, which are stepped together.

        Raises
        ------
        ModuleNotFoundError, ValueError, TypeError
            If Gymnasium is not installed, or `num_envs` is no number of copies.

        Examples
        --------
        >>> mdp = distrl.environments.gridworld(["S.", ".G"], discount=0.9)  # doctest: +SKIP
        >>> state, info = mdp.to_gymnasium().reset(seed=0)  # doctest: +SKIP
        """
        try:
            from distrl.models.gymnasium_environment import Process, TabularEnv, TabularVectorEnv
        except ImportError as error:
            raise ModuleNotFoundError(
                "to_gymnasium needs gymnasium: pip install 'distrl[gymnasium]'", name="gymnasium"
            ) from error
        named = (self.states, self.actions, self.discount, self.initial, self.layout, self.terminal, self.labels)
        process = Process(self.outcomes, self.choices, *named)
        if num_envs is None:
            return TabularEnv(process)
        return TabularVectorEnv(process, whole_number(num_envs, "num_envs", low=1))
