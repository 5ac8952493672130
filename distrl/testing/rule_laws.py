"""What a learning rule keeps, as a suite of tests.

A subclass says what is to be tested and inherits the rest:

    class TestMine(RuleLaws):
        def rule(self):
            return MyRule()

What the suite needs to know beyond that is an attribute with a default. Nothing here uses a private name of the
library: a suite that passes is the proof that a newcomer fits the public protocol.
"""

from typing import Any, ClassVar

import numpy as np
import pytest

import distrl
from distrl import MRP, FiniteLaw
from distrl.returns import Returns
from distrl.td.rule import LearningRule
from distrl.testing.examples import exact_means


class RuleLaws:
    """What a learning rule keeps."""

    #: Largest distance of the mean from the truth, in units of reward, after 4,000 updates with steps 1 / k.
    accuracy: ClassVar[float] = 0.5
    #: Ways of sampling that the rule knows.
    samplings: ClassVar[tuple[str, ...]] = ("synchronous", "generative", "trajectory")
    step_size: ClassVar[Any] = 0.1

    def rule(self) -> LearningRule[Returns]:
        """The rule, with options that suit returns between -10 and 10."""
        raise NotImplementedError("say which learning rule is tested")

    def model(self) -> MRP:
        """What it learns."""
        return MRP([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.3, 0.0, 0.7]], [1.0, -1.0, FiniteLaw([0.0, 1.0])], 0.8)

    def _learn(self, **options: Any) -> Any:
        given = {"step_size": self.step_size, "updates": 60, "replications": 3, "rng": 5, **options}
        return distrl.learn(self.model(), self.rule(), **given)

    def test_every_sampling_gives_values_of_every_state(self) -> None:
        for sampling in self.samplings:
            run = self._learn(sampling=sampling, records=4)
            assert run.values.shape == (4, 3, 3)
            assert np.isfinite(run.values).all()
            assert run.updates.tolist() == [15, 30, 45, 60]
            np.testing.assert_allclose(run.final.mean(), run.values[-1], rtol=1e-12, atol=1e-12)

    def test_a_seed_decides_and_replications_do_not_matter_to_each_other(self) -> None:
        for sampling in self.samplings:
            few, more = self._learn(sampling=sampling), self._learn(sampling=sampling, replications=5)
            np.testing.assert_array_equal(few.values, more.values[:, :3])
            assert not np.array_equal(few.values[:, 0], few.values[:, 1])
            threaded = self._learn(sampling=sampling, threads=2)
            np.testing.assert_array_equal(few.values, threaded.values)

    def test_a_resumed_run_is_the_uninterrupted_one(self) -> None:
        for sampling in self.samplings:
            whole = self._learn(sampling=sampling)
            half = self._learn(sampling=sampling, updates=25, records=1)
            rest = distrl.learn(self.model(), self.rule(), updates=35, records=1, resume=half)
            np.testing.assert_array_equal(rest.values[-1], whole.values[-1])

    def test_records_do_not_change_what_is_learnt(self) -> None:
        often, once = self._learn(records=30), self._learn(records=1)
        np.testing.assert_array_equal(often.values[-1], once.values[-1])

    def test_it_comes_near_the_means(self) -> None:
        run = self._learn(updates=4000, records=1, step_size=distrl.td.Polynomial(1.0, 0.7), replications=2)
        assert np.abs(run.values[-1] - exact_means(self.model())).max() <= self.accuracy

    def test_a_learner_fed_by_hand_makes_the_same_update(self) -> None:
        rule, model = self.rule(), self.model()
        if "trajectory" not in self.samplings:
            pytest.skip("the rule renews all states at once")
        learner = distrl.Learner(rule, model, step_size=self.step_size)
        before = np.array(learner.values)
        learner.update(0, 1.0, 1, True)  # an end completes targets of any number of steps
        after = np.asarray(learner.values)
        np.testing.assert_array_equal(after[1:], before[1:])
        assert after[0] != before[0]

    def test_wrong_steps_are_refused(self) -> None:
        with pytest.raises((ValueError, TypeError), match="step_size"):
            self._learn(step_size=-0.1)
