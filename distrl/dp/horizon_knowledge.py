"""All that is known for certain of the true laws of H steps: `Knowledge`, whose every source goes back over the steps.

Nothing of it asks a model about returns that go on: mean, variance and range come from `facts_of_steps`, brackets from
as many merging sweeps as there are steps, and entropic risk from its own recursion, which has an end here.
"""

from functools import cached_property

from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.entropic import EntropicEnds, entropic_of_steps
from distrl.dp.horizon_brackets import convex_beside, unknown_of_steps
from distrl.dp.horizon_moments import Facts, facts_of_steps
from distrl.dp.knowledge import Knowledge
from distrl.models.stages import Stages
from distrl.returns.base import Returns
from distrl.returns.brackets import ConvexBrackets
from distrl.returns.categorical import as_categorical
from distrl.returns.functionals import EntropicRisk

_WORK = 5e8  # updates of an atom beyond which brackets are not made on the way


class HorizonKnowledge(Knowledge):
    """What is certain of the true laws of H steps, given laws that a method reached and their certificate.

    Parameters
    ----------
    stages : Stages
    returns, certificate, method
        As for `Knowledge`.
    """

    def __init__(self, stages: Stages, returns: Returns, certificate: Certificate | None, method: object) -> None:
        super().__init__(stages.process(0), returns, certificate, method)
        self.stages = stages

    @cached_property
    def facts(self) -> Facts:
        """Mean, variance, range and what else one pass over the steps says."""
        return facts_of_steps(self.stages)

    @cached_property
    def moments(self) -> CertifiedMoments:
        """Exact mean, variance and range."""
        return self.facts.certified()

    def entropic(self, functional: EntropicRisk) -> EntropicEnds:
        """Ends of the entropic risks, by their own recursion."""
        return entropic_of_steps(self.stages, functional, self.moments)

    @cached_property
    def brackets(self) -> ConvexBrackets | None:
        """Laws on the result's grid that enclose the true one in convex order; None where there is no grid, or they are
        too expensive."""
        upper, sure = as_categorical(self.returns), self.certificate
        outcomes = max(len(model.outcomes.probs) for model in self.stages.models)
        if upper is None or sure is None or outcomes * upper.grid.atoms * self.stages.horizon > _WORK:
            return None
        call = Call()
        slack = sure.overshoot + sure.residual + unknown_of_steps(self.stages)
        found = convex_beside(self.stages, self.facts, upper, slack, call)
        if call.interrupted:  # a method gives back what it reached, but whoever asks for an interval wants to stop
            raise KeyboardInterrupt
        return found
