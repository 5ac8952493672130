"""Answers to many parameters of an objective, from one solve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from distrl._validation import FloatArray
from distrl.control.policy import RunnablePolicy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Frontier:
    """The best values of every state for K parameters of an objective, enclosed.

    Attributes
    ----------
    levels : (K,)
        The parameters: levels of CVaR, targets of a shortfall.
    lower, upper : (S, K)
        Ends of the best value; the policy with the starting target of `targets` reaches the one on its side.
    targets : (S, K)
    label : str
        What is drawn, in words.
    """

    levels: FloatArray
    lower: FloatArray
    upper: FloatArray
    targets: FloatArray
    label: str

    def plot(self, state: int | Sequence[int] = 0, *, ax: "Axes | None" = None) -> "Axes":
        """Draw a band between both ends against the parameter, for one state or several.

        Parameters
        ----------
        state : int or sequence of ints
        ax : matplotlib Axes, optional
            A new figure when left out.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ModuleNotFoundError
            Without matplotlib.
        """
        from distrl.plotting.frontiers import plot_frontier

        states = [state] if isinstance(state, int | np.integer) else list(state)
        bands: list[Any] = [(f"state {s}", self.lower[s], self.upper[s]) for s in states]
        return plot_frontier(self.levels, bands, label=self.label, ax=ax)


@dataclass(frozen=True, eq=False)
class CommonStart:
    """The best value for a start that is drawn from the model's initial law: of the law of the return from there.

    Attributes
    ----------
    lower, upper : float
        Ends of the best value.
    target : float or None
        The target that is common to all states to start in; None for policies without one.
    policy : RunnablePolicy
        That reaches the one on its side, begun in whichever state is drawn.
    """

    lower: float
    upper: float
    target: float | None
    policy: RunnablePolicy
