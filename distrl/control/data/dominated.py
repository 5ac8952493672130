"""Policies that are good for the worst of what samples leave open, for every objective that grows with the return.

Definitions. At a pair with n samples an outcome (reward, next state, end) that was seen k times has at least the
probability `theory.least_probability(k, n, delta / K)`, K the number of pairs with samples: all of them at once, with
probability 1 - delta, however many outcomes there are. The *pessimistic process* has these probabilities, and what they
lack of 1 ends with `low`, an interval [low, high] being known to hold every return; the *optimistic process* ends with
`high`.

Where these probabilities are not too large, the true process under any policy, whatever it remembers, can be drawn
beside the pessimistic one so that both do the same until the latter ends with `low`; so the true return is at least as
large, for sure. So is every number of its law that does not fall where returns rise: for every policy at once, and
hence for the one that the samples choose. What the best policy of the pessimistic process reaches there it reaches in
truth, and no policy reaches more in truth than the best in the optimistic process. Claim `dominated-process`.

Premises: as for `PessimisticIteration`. What is lacking at a pair is about sqrt(2 c p (1 - p)) for each outcome of
probability p, c = log(2 K n / delta) / n, and c for one that is sure; and it costs as much as the whole rest of the
return. So this asks for many samples, few outcomes a pair and rewards of few values. For the mean
`PessimisticIteration` is narrower, by far where successors are alike.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distrl._validation import FloatArray
from distrl.control.data.premises import checked_level, known_range, refuse_outside
from distrl.control.method import ControlMethod, Family, Found
from distrl.control.objectives import NestedCVaR
from distrl.control.policy import RunnablePolicy
from distrl.dp.call import Call
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.mdp import MDP
from distrl.models.outcomes import Rows, build_table
from distrl.returns import CVaR, EntropicRisk, EVaR, Functional, Mean, MeanCVaR, ProbabilityAbove, Quantile, Shortfall
from distrl.theory import least_probability

#: Objectives that do not fall where every return rises (Shortfall: that do not rise).
MONOTONE = (Mean, CVaR, MeanCVaR, Shortfall, EntropicRisk, EVaR, ProbabilityAbove, Quantile, NestedCVaR)


@dataclass(frozen=True)
class PessimisticProcess(ControlMethod):
    """The best policy of the pessimistic process: `optimize(..., pessimism=level)` for risk, and for horizons.

    Parameters
    ----------
    level : float in [0.5, 1)
        The probability with which both bounds hold at all states, for all parameters of the objective at once.
    method : ControlMethod
        That solves both processes.

    Notes
    -----
    Guarantee, with that probability and under the premises of `distrl.control.data.dominated`: the true value of the
    policy is at least `lower`, and no policy's is above `upper` (the other way round where small is good); `values` are
    those of the pessimistic process. Claim `dominated-process`. Time: two solves, with one more outcome a pair.
    """

    level: float
    method: ControlMethod
    counts: ClassVar[str] = "iterations"

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", checked_level(self.level))

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, MONOTONE) and self.method.serves(objective)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy that reaches most, or least where small is good, in the pessimistic process.

        Parameters
        ----------
        mdp : EmpiricalMDP
            With `return_range`.
        objective : Functional
            One that `serves` says.
        call : Call
            `tol` is about either process alone; `max_iterations` limits the work on each.

        Raises
        ------
        ValueError, TypeError
            For a model that is not of samples, or without a range of returns; and as the method does.
        """
        low, high = known_range(mdp)
        assert isinstance(mdp, EmpiricalMDP)  # `known_range` has asked
        if call.horizon is not None:  # what is cut short may be nothing at all
            low, high = min(low, 0.0), max(high, 0.0)
        floors, kept = _floors(mdp, 1.0 - self.level)
        below = self.method.optimal(_ending_with(mdp, floors, low, (low, high)), objective, call)
        inner = (
            call if not call.interrupted else Call(call.tol, 1 if call.horizon is None else None, horizon=call.horizon)
        )
        above = self.method.optimal(_ending_with(mdp, floors, high, (low, high)), objective, inner)
        totals = mdp.samples.totals
        reason = f"{below.reason}; {totals.sum()} samples, of which {kept:.3g} of the outcomes' probability is certain"
        return _between(below, above, objective, f"{reason}, returns in [{low:g}, {high:g}]", known=True)

    def said(self, sampled: bool) -> tuple[str, str]:
        return (
            "values are about the worst process that the samples leave open, bounds about the one that was sampled",
            f"intervals are statistical, {self.level:.6g} confidence at all states together, if the numbers of samples "
            "were fixed beforehand: the policy's true value and the best one are inside",
        )


def _between(below: Found, above: Found, objective: Functional, reason: str, known: bool = False) -> Found:
    """The policy of the pessimistic process, between what it reaches there and the best of the optimistic one."""
    ends = (above.lower, below.upper) if objective.minimised else (below.lower, above.upper)
    left = max(float((found.upper - found.lower).max()) for found in (below, above))
    family = None
    if known and below.family is not None and above.family is not None:
        family = DominatedFamily(below.family, above.family)
    return Found(
        policy=below.policy,
        values=below.values,
        lower=ends[0],
        upper=ends[1],
        better=below.better or above.better,
        reason=reason,
        size=max(below.size, above.size),
        targets=below.targets,
        family=family,
        unsolved=left,
    )


@dataclass(frozen=True, eq=False)
class DominatedFamily(Family):
    """The answers of both processes to other parameters; the confidence is for all of them together.

    Attributes
    ----------
    below, above : Family
        Of the pessimistic process, and of the optimistic one.
    """

    below: Family
    above: Family

    def at(self, objective: Functional) -> Found:
        """The best policy of the pessimistic process for another parameter.

        Parameters
        ----------
        objective : Functional

        Raises
        ------
        ValueError
            As those of the processes.
        """
        below, above = self.below.at(objective), self.above.at(objective)
        return _between(below, above, objective, below.reason)

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends for a start that is drawn, and the target, of the pessimistic process.

        Parameters
        ----------
        objective, initial
            As for `Family.common`.
        """
        (low, top, target), (bottom, high, _) = (
            family.common(objective, initial) for family in (self.below, self.above)
        )
        return (bottom, top, target) if objective.minimised else (low, high, target)

    def begun(self, policy: RunnablePolicy, objective: Functional, initial: FloatArray) -> RunnablePolicy:
        """As the pessimistic process has it.

        Parameters
        ----------
        policy, objective, initial
            As for `Family.begun`.
        """
        return self.below.begun(policy, objective, initial)


def _floors(mdp: EmpiricalMDP, delta: float) -> tuple[FloatArray, float]:
    """(n,) lower confidence bounds of the probabilities of the samples' outcomes, and what they sum to on average."""
    samples = mdp.samples
    totals = samples.totals
    drawn = int((totals > 0).sum())
    seen, place = np.unique(np.stack([samples.counts, totals[samples.sources]]), axis=1, return_inverse=True)
    floors = least_probability(seen[0], seen[1], delta / max(drawn, 1))[place.ravel()]
    return floors, float(floors.sum()) / max(drawn, 1)


def _ending_with(mdp: EmpiricalMDP, floors: FloatArray, end: float, ends: tuple[float, float]) -> MDP:
    """The process of `floors`, whose rest ends with the return `end`; pairs without samples are as they are known."""
    samples, table, g = mdp.samples, mdp.outcomes, mdp.discount
    unknown, bare = mdp.unknown[mdp.choices.states, mdp.choices.actions], samples.totals == 0
    known, free = np.flatnonzero((bare & ~unknown)[table.sources]), np.flatnonzero(~bare | unknown)
    lows, highs = table.reward_ranges()
    onward = np.where(table.terminals[known], 0.0, g)
    refuse_outside(mdp, table.sources[known], (lows[known], highs[known]), onward, ends)
    certain = np.bincount(samples.sources, weights=floors, minlength=samples.n_sources)
    first = len(samples.reward_laws)  # the table's laws follow those of the samples
    own = np.where(table.laws[known] < 0, -1, table.laws[known] + first)
    columns = (
        (samples.sources, table.sources[known], free),
        (floors, table.probs[known], 1.0 - certain[free]),
        (samples.next_states, table.next_states[known], mdp.choices.states[free]),
        (samples.rewards, table.rewards[known], np.full(len(free), end)),
        (samples.terminals, table.terminals[known], np.ones(len(free), dtype=np.bool_)),
        (samples.laws, own, np.full(len(free), -1)),
    )
    parts: list[Any] = [*(np.concatenate(column) for column in columns), [*samples.reward_laws, *table.reward_laws]]
    rows = Rows(*parts)
    made = build_table(rows, n_sources=samples.n_sources, n_states=mdp.n_states, describe=lambda pair: f"pair {pair}")
    named: dict[str, Any] = {"available": mdp.choices, "states": mdp.states, "actions": mdp.actions}
    return MDP.from_table(made, g, initial=mdp.initial, layout=mdp.layout, **named)
