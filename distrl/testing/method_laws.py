"""What a method of `evaluate` keeps, as a suite of tests.

A subclass says what is to be tested and inherits the rest:

    class TestMine(MethodLaws):
        def method(self):
            return MyMethod(atoms=41)

What the suite needs to know beyond that is an attribute with a default. Nothing here uses a private name of the
library: a suite that passes is the proof that a newcomer fits the public protocol.
"""

from typing import Any, ClassVar

import numpy as np
import pytest

import distrl
from distrl import MRP, environments
from distrl.dp.method import Method
from distrl.returns import Returns
from distrl.testing.examples import exact_means, small_models


class MethodLaws:
    """What a method of `evaluate` keeps."""

    #: Largest error of the mean, in units of reward, on the models of `models`; None: what the certificate says.
    accuracy: ClassVar[float | None] = None

    def method(self) -> Method[Returns]:
        """The method, with options that suit small models."""
        raise NotImplementedError("say which method is tested")

    def models(self) -> dict[str, MRP]:
        """What it is tried on."""
        return small_models()

    def _solved(self, **options: Any) -> list[tuple[str, MRP, Any]]:
        return [
            (name, model, distrl.evaluate(model, self.method(), rng=0, throw=False, **options))
            for name, model in self.models().items()
        ]

    def test_it_ends_as_it_says(self) -> None:
        for name, model, solution in self._solved():
            assert solution.converged or solution.status is distrl.Status.SWEEPS_DONE, (name, solution.status)
            assert solution.returns.batch_shape == (model.n_states,)
            assert solution.iterations >= 0
            assert solution.elapsed >= 0.0
            if solution.bounds is not None and solution.status is distrl.Status.CONVERGED:
                assert solution.bounds.shape == (model.n_states,)
                assert solution.bound <= solution.tol, name

    def test_means_are_as_near_as_is_promised(self) -> None:
        for name, model, solution in self._solved():
            off = np.abs(solution.values - exact_means(model))
            if self.accuracy is not None:
                assert off.max() <= self.accuracy, name
            elif solution.certificate is not None:
                assert (off <= solution.certificate.w1 + 1e-12 * np.abs(solution.values)).all(), name

    def test_the_certified_interval_holds_the_mean(self) -> None:
        for name, model, solution in self._solved():
            low, high = solution.interval("mean").T
            expected, room = exact_means(model), 1e-12 * np.abs(exact_means(model))
            assert (low <= expected + room).all(), name
            assert (expected - room <= high).all(), name

    def test_the_same_seed_gives_the_same_laws(self) -> None:
        for (name, _, first), (_, _, again) in zip(self._solved(), self._solved(), strict=True):
            for key, array in first.returns.arrays().items():
                np.testing.assert_array_equal(array, again.returns.arrays()[key], err_msg=name)

    def test_a_person_can_read_the_result(self) -> None:
        for name, model, solution in self._solved():
            text = solution.summary()
            assert solution.status.value in text, name
            assert repr(solution.method) in text, name
            assert all(len(column) == model.n_states for column in solution.table().values())

    def test_an_mdp_is_solved_under_a_policy_alone(self) -> None:
        mdp = environments.garnet(4, 2, 2, discount=0.8, rng=0)
        with pytest.raises(ValueError, match="policy"):
            distrl.evaluate(mdp, self.method(), rng=0)
        solution = distrl.evaluate(mdp, self.method(), policy="uniform", rng=0, throw=False)
        plain = distrl.evaluate(mdp.under("uniform"), self.method(), rng=0, throw=False)
        np.testing.assert_array_equal(solution.values, plain.values)

    def test_progress_is_told_in_shares(self) -> None:
        told: list[float] = []
        model = next(iter(self.models().values()))
        distrl.evaluate(model, self.method(), rng=0, throw=False, progress=lambda share, *_: told.append(share))
        assert all(0.0 <= share <= 1.0 for share in told)

    def test_an_interrupt_is_a_status_or_ends_the_call(self) -> None:
        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        model = small_models()["two states"]
        try:
            solution = distrl.evaluate(model, self.method(), rng=0, throw=False, progress=stop)
        except (KeyboardInterrupt, distrl.EvaluationInterrupted):
            return
        assert solution.status is distrl.Status.INTERRUPTED or solution.converged

    def test_a_horizon_is_so_many_steps(self) -> None:
        for name, model in self.models().items():
            mean = np.zeros(model.n_states)
            for _ in range(3):
                mean = model.expected_rewards + model.discount * (model.continuation @ mean)
            solution = distrl.evaluate(model, self.method(), rng=0, throw=False, horizon=3)
            assert solution.horizon == 3, name
            low, high = solution.interval("mean").T
            room = 1e-12 * (1.0 + np.abs(mean))
            assert (low <= mean + room).all() and (mean - room <= high).all(), name
            if solution.certificate is not None:
                assert (np.abs(solution.values - mean) <= solution.certificate.w1 + room).all(), name

    def test_it_runs_on_samples(self) -> None:
        model = small_models()["random rewards"]
        estimate = distrl.estimate(model, self.method(), samples_per_state=50, rng=0, throw=False)
        assert estimate.returns.batch_shape == (model.n_states,)
