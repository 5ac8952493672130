"""What a policy that was chosen on samples is worth, by fresh ones.

The policy that is best on samples is one of those that the samples flatter: its value on the samples' own process is
the largest of many noisy values, and too high on average, and a confidence interval from the same samples, which takes
the policy for given, misses the truth more often than it says. Fresh samples do not know what was chosen. So intervals
are those that `estimate` has for a policy that was fixed beforehand; for a policy with a memory, which makes no
empirical process of its states alone, episodes are played (`distrl.control.data.episodes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import aligned, beside
from distrl._steady import steady
from distrl._validation import FloatArray, IntArray, RandomSource, generator, int_array, real_number, whole_number
from distrl.control.data.episodes import interval_of_episodes
from distrl.control.objectives import NestedCVaR
from distrl.control.policy import MarkovPolicy, RunnablePolicy
from distrl.control.simulation import Simulation, playable, simulated
from distrl.dp import CategoricalFixedPoint, Method
from distrl.generative import Estimate, IntervalMethod, estimate
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.generative import GenerativeModel
from distrl.models.mdp import MDP
from distrl.returns import Functional, Returns


@dataclass(frozen=True, eq=False)
class Confirmation:
    """The objective under a policy on the true process, by samples that had no part in choosing it.

    Attributes
    ----------
    interval : (K, 2)
        Confidence intervals, state by state.
    states : (K,)
    level : float
        The confidence of each.
    objective : Functional
    how : str
        What the intervals come from.
    source : Estimate or Simulation
        The return laws that they are read from.
    names : (K,) labels of the states
    """

    interval: FloatArray
    states: IntArray
    level: float
    objective: Functional
    how: str
    source: Estimate[Returns] | Simulation
    names: Sequence[object]

    @steady
    def summary(self) -> str:
        """What a person wants to read: the first states with the objective's estimate and interval."""
        shown = range(min(len(self.states), 8))
        laws = self.source.returns
        values = np.asarray(self.objective.value(laws))
        values = values if len(values) == len(self.states) else values[self.states]
        found = [beside(float(values[k]), float(self.interval[k, 0]), float(self.interval[k, 1])) for k in shown]
        columns = {"state": [str(self.names[k]) for k in shown], self.objective.label: found}
        left = len(self.states) - len(shown)
        lines = [f"{self.objective!r} of the policy, by fresh samples", self.how, ""]
        lines.append(f"intervals are statistical: {self.level:.6g} confidence for the true process, state by state")
        return "\n".join([*lines, *aligned(columns), *([f"... and {left} more state(s)"] if left > 0 else [])])


def confirmed(
    chosen_on: MDP,
    policy: RunnablePolicy,
    objective: Functional,
    horizon: int | None,
    fresh: EmpiricalMDP | GenerativeModel,
    level: float,
    method: str | IntervalMethod,
    states: ArrayLike | None,
    evaluation: Method[Returns] | None,
    samples: int,
    rng: RandomSource,
) -> Confirmation:
    """`ControlSolution.confirmed`, which says what the arguments are; `chosen_on` is the model it was chosen on."""
    sure = real_number(level, "level", low=0.0, high=1.0)
    if sure in (0.0, 1.0):
        raise ValueError(f"level must lie in (0, 1), got {sure:g}")
    if isinstance(objective, NestedCVaR):
        raise ValueError("nested CVaR is no number of a return's law, and fresh samples have no interval for it")
    model = _checked(fresh, chosen_on)
    number, source = whole_number(samples, "samples", low=1), generator(rng)
    asked = np.arange(model.n_states) if states is None else np.atleast_1d(np.asarray(states))
    if asked.dtype == np.bool_ and asked.shape == (model.n_states,):
        asked = np.flatnonzero(asked)
    places = int_array(asked, "states", low=0, high=model.n_states)
    names = [model.states[s] for s in places]
    if isinstance(policy, MarkovPolicy) and not policy.depends_on_step:
        solver = CategoricalFixedPoint() if evaluation is None else evaluation
        found: Estimate[Returns]
        if isinstance(fresh, EmpiricalMDP):
            found = estimate(fresh, solver, policy=policy.actions, rng=source)
            how = f"estimated from {fresh.samples.totals.sum()} samples"
        else:  # its process has states alone, so that no sample is drawn of an action that it does not take
            process = GenerativeModel(model.under(policy.actions), fresh.rewards)
            found = estimate(process, solver, samples_per_state=number, rng=source)
            how = f"estimated from {number} samples in every state, of the action that the policy takes"
        ends = found.interval(objective, level=sure, method=method, states=places)
        return Confirmation(ends, places, sure, objective, how, found, names)
    if isinstance(fresh, EmpiricalMDP):
        raise ValueError(
            f"{type(policy).__name__} has a memory, and samples of single pairs have no interval for it here; give a "
            "distrl.GenerativeModel, in which episodes are played"
        )
    played = simulated(model, playable(policy), places, number, horizon, sure, source)
    ends, by = interval_of_episodes(played, objective, model, horizon, sure)
    how = f"{number} episodes from each state, at most {played.steps} steps, and {by}"
    return Confirmation(ends, places, sure, objective, how, played, names)


def _checked(fresh: EmpiricalMDP | GenerativeModel, chosen_on: MDP) -> MDP:
    """The model that fresh samples are of, which has to have the same pairs, and samples of its own."""
    model = fresh.model if isinstance(fresh, GenerativeModel) else fresh
    if not isinstance(model, MDP) or (model is fresh and not isinstance(fresh, EmpiricalMDP)):
        raise TypeError(
            f"fresh must be an EmpiricalMDP or a distrl.GenerativeModel of a decision process, got {fresh!r}; a model "
            "that is known needs no samples: evaluate(model, policy=ctl.policy)"
        )
    if not np.array_equal(model.available, chosen_on.available):
        raise ValueError(
            f"fresh has {model.n_states} states and {model.n_actions} actions, the policy's model {chosen_on.n_states} "
            f"and {chosen_on.n_actions}, or other available actions"
        )
    if model.uniform_discount != chosen_on.uniform_discount:
        raise ValueError(
            f"fresh has discount {model.uniform_discount}, the policy's model {chosen_on.uniform_discount}"
        )
    if isinstance(fresh, EmpiricalMDP) and isinstance(chosen_on, EmpiricalMDP) and _same(fresh, chosen_on):
        raise ValueError(
            "fresh are the samples on which the policy was chosen, which flatter it: an interval from them is too high "
            "and misses more often than it says; draw others, or keep a part of the log aside before optimising"
        )
    return model


def _same(fresh: EmpiricalMDP, other: EmpiricalMDP) -> bool:
    """Whether two models have the same samples."""
    mine, theirs = fresh.samples, other.samples
    names = ("sources", "next_states", "rewards", "terminals", "counts")
    return mine is theirs or all(np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in names)
