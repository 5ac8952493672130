"""Suites of laws that every return law, method, learning rule and functional keeps, the library's own and others'.

Each suite is a class whose `test_` methods pytest collects. A subclass says what is to be tested and inherits the rest:

    from distrl.testing import MethodLaws

    class TestMyMethod(MethodLaws):
        def method(self):
            return MyMethod(atoms=41)

What a suite needs to know beyond that (how good an answer must be, whether laws have finitely many values) is an
attribute with a default. Nothing here uses a private name of the library: a suite that passes is the proof that a
newcomer fits the public protocols. Oracles are dense formulas of their own.
"""

import inspect
from typing import Any, ClassVar

import numpy as np
import pytest

import distrl
from distrl import MRP, FiniteLaw, environments

_EPS = float(np.finfo(np.float64).eps)
_DKW = 4.0  # sqrt(n) times the Kolmogorov distance of n draws: beyond it with probability 2 exp(-32)


def small_models() -> dict[str, MRP]:
    """A few models that no method should stumble over."""
    rng = np.random.default_rng(7)
    dense = rng.dirichlet(np.ones(4), size=4)
    return {
        "two states": environments.two_state(discount=0.8),
        "ends": environments.chain(4, slip=0.2, discount=0.9, step_reward=-1.0),
        "random rewards": MRP(dense, [FiniteLaw([-1.0, 2.0], [0.7, 0.3]), 0.0, FiniteLaw([0.5]), 1.0], 0.7),
        "no discount": environments.garnet(5, 2, 2, discount=0.0, rng=1).under("uniform"),
    }


def exact_means(model: MRP) -> np.ndarray:
    """(S,) (I - discount P)^{-1} r by a dense solve."""
    matrix = np.eye(model.n_states) - model.discount * model.continuation.toarray()
    return np.linalg.solve(matrix, model.expected_rewards)


class ReturnsLaws:
    """What a representation of return laws keeps, for a batch of states."""

    #: Whether the laws have finitely many values, and so all functionals (`distrl.FiniteReturns`).
    finite: ClassVar[bool] = True

    def returns(self) -> distrl.Returns:
        """Laws of at least three states, no two alike."""
        raise NotImplementedError("say which return laws are tested")

    def test_the_batch_has_a_shape_that_indexing_follows(self) -> None:
        laws = self.returns()
        assert len(laws.batch_shape) == 1
        assert len(laws) == laws.batch_shape[0] >= 3
        assert laws[1].batch_shape == ()
        assert laws[[2, 0]].batch_shape == (2,)
        assert laws[1:].batch_shape == (len(laws) - 1,)
        with pytest.raises(IndexError, match=str(len(laws))):
            laws[len(laws)]

    def test_a_mean_does_not_depend_on_the_other_laws(self) -> None:
        laws = self.returns()
        means = np.asarray(laws.mean())
        assert means.shape == laws.batch_shape
        assert np.isfinite(means).all()
        np.testing.assert_array_equal([float(laws[s].mean()) for s in range(len(laws))], means)
        np.testing.assert_array_equal(laws[[2, 0]].mean(), means[[2, 0]])

    def test_arrays_state_the_laws(self) -> None:
        arrays = self.returns().arrays()
        assert arrays
        for name, array in arrays.items():
            assert isinstance(name, str)
            assert not np.asarray(array).dtype.hasobject

    def test_repr_is_one_line(self) -> None:
        laws = self.returns()
        for law in (laws, laws[0]):
            assert type(laws).__name__ in repr(law)
            assert "\n" not in repr(law)

    # -- laws of finitely many values -------------------------------------------------------------------------------

    def _finite(self) -> Any:
        if not self.finite:
            pytest.skip("these laws have no finite support")
        return self.returns()

    def _rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        laws = self._finite()
        values, weights = laws.support_weights()
        shape = (len(laws), values.shape[-1])
        return list(zip(np.broadcast_to(values, shape), np.broadcast_to(weights, shape), strict=True))

    def test_weights_are_a_distribution_on_sorted_values(self) -> None:
        for values, weights in self._rows():
            assert (np.diff(values) >= 0.0).all()
            assert (weights >= -8 * _EPS).all()
            assert abs(weights.sum() - 1.0) <= 1e-9

    def test_moments_are_those_of_the_support(self) -> None:
        laws = self._finite()
        found = zip(self._rows(), laws.mean(), laws.var(), laws.std(), strict=True)
        for (values, weights), mean, variance, sd in found:
            size = max(float(np.abs(values).max()), 1e-300)
            expected = float(weights @ values)
            spread = float(weights @ (values - expected) ** 2)
            assert abs(mean - expected) <= len(values) * 4 * _EPS * size
            assert abs(variance - spread) <= len(values) * 16 * _EPS * size**2
            assert abs(sd**2 - variance) <= 8 * _EPS * variance + 1e-300

    def test_the_cdf_rises_from_0_to_1_and_jumps_by_the_weights(self) -> None:
        laws = self._finite()
        for state, (values, weights) in enumerate(self._rows()):
            cdf = laws[state].cdf(values)
            assert (np.diff(cdf) >= -4 * _EPS).all()
            np.testing.assert_allclose(cdf, [weights[values <= v].sum() for v in values], rtol=0, atol=1e-12)
            ends = laws[state].cdf([values[0] - 1.0, values[-1], np.inf])
            np.testing.assert_allclose(ends, [0.0, 1.0, 1.0], rtol=0, atol=1e-9)

    def test_quantiles_invert_the_cdf(self) -> None:
        laws, levels = self._finite(), np.array([0.013, 0.25, 0.5, 0.83, 0.997])
        for state in range(len(laws)):
            quantiles = laws[state].quantile(levels)
            assert (np.diff(quantiles) >= 0.0).all()
            assert (laws[state].cdf(quantiles) >= levels - 2e-9).all()
            below = quantiles - 1e-9 * np.maximum(np.abs(quantiles), 1.0)
            assert (laws[state].cdf(below) <= levels + 2e-9).all()

    def test_cvar_lies_between_the_worst_value_and_the_mean(self) -> None:
        laws, levels = self._finite(), np.array([0.05, 0.3, 0.7, 1.0])
        lower, upper, mean = laws.cvar(levels), laws.cvar(levels, tail="upper"), laws.mean()[:, None]
        room = 1e-9 * max(float(np.abs(mean).max()), 1.0)
        assert (np.diff(lower, axis=1) >= -room).all()
        assert (np.diff(upper, axis=1) <= room).all()
        np.testing.assert_allclose(lower[:, -1], mean[:, 0], rtol=0, atol=room)
        # the mean is the mixture of both tails that meet
        for at, level in ((0, 0.05), (1, 0.3)):
            rest = laws.cvar(1.0 - level, tail="upper")
            np.testing.assert_allclose(level * lower[:, at] + (1.0 - level) * rest, mean[:, 0], rtol=0, atol=room)

    def test_stop_loss_expectile_and_entropic_risk_satisfy_their_definitions(self) -> None:
        laws = self._finite()
        for state, (values, weights) in enumerate(self._rows()):
            law, size = laws[state], max(float(np.abs(values).max()), 1.0)
            middle = float(law.mean())
            plain = float(weights @ np.maximum(values - middle, 0.0))
            assert abs(float(law.stop_loss(middle)) - plain) <= 1e-12 * size * len(values)
            e = float(law.expectile(0.3))
            over, under = weights @ np.maximum(values - e, 0.0), weights @ np.maximum(e - values, 0.0)
            assert abs(0.3 * over - 0.7 * under) <= 1e-9 * size
            beta = -1.0 / size
            plain = float(np.log(weights @ np.exp(beta * values)) / beta)
            assert abs(float(law.entropic_risk(beta)) - plain) <= 1e-9 * size
            assert abs(float(law.entropic_risk(0.0)) - middle) <= 1e-12 * size * len(values)

    def test_draws_follow_the_law_and_repeat_with_their_seed(self) -> None:
        laws = self._finite()
        draws = laws.sample(4000, rng=3)
        assert draws.shape == (*laws.batch_shape, 4000)
        np.testing.assert_array_equal(draws, laws.sample(4000, rng=3))
        for state, (values, weights) in enumerate(self._rows()):
            assert np.isin(draws[state], values).all()
            gaps = [abs((draws[state] <= v).mean() - weights[values <= v].sum()) for v in values]
            assert max(gaps) <= _DKW / np.sqrt(4000)

    def test_distances_are_those_of_a_metric(self) -> None:
        laws = self._finite()
        a, b, c = laws[[0]], laws[[1]], laws[[2]]
        for distance in (distrl.wasserstein, distrl.cramer, distrl.kolmogorov, distrl.energy):
            ab, bc, ac = (float(distance(*pair)[0]) for pair in ((a, b), (b, c), (a, c)))
            room = 1e-9 * max(ab, bc, ac, 1.0)
            assert abs(float(distance(b, a)[0]) - ab) <= room
            assert float(distance(a, a)[0]) <= room
            assert ac <= ab + bc + room
        assert abs(float(a.mean()[0] - b.mean()[0])) <= float(distrl.wasserstein(a, b)[0]) + 1e-9

    def test_a_mixture_has_the_mixed_mean_and_cdf(self) -> None:
        laws = self._finite()
        weights = np.arange(1.0, len(laws) + 1.0)
        weights /= weights.sum()
        mixed = laws.mix(weights)
        points = np.quantile(laws.support_weights()[0], [0.1, 0.5, 0.9])
        size = max(float(np.abs(laws.mean()).max()), 1.0)
        assert mixed.batch_shape == ()
        assert abs(float(mixed.mean()) - float(weights @ laws.mean())) <= 1e-12 * size * len(laws)
        np.testing.assert_allclose(mixed.cdf(points), weights @ laws.cdf(points), rtol=0, atol=1e-12)


class MethodLaws:
    """What a method of `evaluate` keeps."""

    #: Largest error of the mean, in units of reward, on the models of `models`; None: what the certificate says.
    accuracy: ClassVar[float | None] = None

    def method(self) -> Any:
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
            assert solution.converged, (name, solution.status)
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

    def test_it_runs_on_samples(self) -> None:
        model = small_models()["random rewards"]
        estimate = distrl.estimate(model, self.method(), samples_per_state=50, rng=0, throw=False)
        assert estimate.returns.batch_shape == (model.n_states,)


class RuleLaws:
    """What a learning rule keeps."""

    #: Largest distance of the mean from the truth, in units of reward, after 4,000 updates with steps 1 / k.
    accuracy: ClassVar[float] = 0.5
    #: Ways of sampling that the rule knows.
    samplings: ClassVar[tuple[str, ...]] = ("synchronous", "generative", "trajectory")
    step_size: ClassVar[Any] = 0.1

    def rule(self) -> Any:
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
            np.testing.assert_array_equal(run.final.mean(), run.values[-1])

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
        learner.update(0, 1.0, 1, False)
        after = np.asarray(learner.values)
        np.testing.assert_array_equal(after[1:], before[1:])
        assert after[0] != before[0]

    def test_wrong_steps_are_refused(self) -> None:
        with pytest.raises((ValueError, TypeError), match="step_size"):
            self._learn(step_size=-0.1)


class FunctionalLaws:
    """What a functional keeps: the value of a law, and an interval of what it can be."""

    #: Whether f(a Z + b) = a f(Z) + b for a > 0, as for means, quantiles and CVaR.
    translates: ClassVar[bool] = False

    def functional(self) -> distrl.Functional:
        """The functional, with its parameter."""
        raise NotImplementedError("say which functional is tested")

    def laws(self) -> distrl.ParticleReturns:
        """What it is read from: three laws on five values."""
        rng = np.random.default_rng(2)
        values = np.sort(rng.normal(size=(3, 5)), axis=1)
        return distrl.ParticleReturns(values, rng.dirichlet(np.ones(5), size=3))

    def test_a_value_does_not_depend_on_the_other_laws(self) -> None:
        laws, functional = self.laws(), self.functional()
        values = np.asarray(functional.value(laws))
        assert values.shape[0] == 3
        for state in range(3):
            np.testing.assert_allclose(functional.value(laws[state]), values[state], rtol=1e-12, atol=1e-12)

    def test_a_value_does_not_depend_on_how_a_law_is_written(self) -> None:
        laws, functional = self.laws(), self.functional()
        values, weights = laws.support_weights()
        twice = distrl.ParticleReturns(np.repeat(values, 2, axis=1), np.repeat(0.5 * weights, 2, axis=1))
        np.testing.assert_allclose(functional.value(twice), functional.value(laws), rtol=1e-9, atol=1e-9)

    def test_it_moves_with_the_law(self) -> None:
        if not self.translates:
            pytest.skip("the functional does not scale with the law")
        laws, functional = self.laws(), self.functional()
        values, weights = laws.support_weights()
        moved = distrl.ParticleReturns(2.0 * values + 3.0, weights)
        np.testing.assert_allclose(
            functional.value(moved), 2.0 * np.asarray(functional.value(laws)) + 3.0, rtol=1e-12, atol=1e-12
        )

    def test_certified_intervals_hold_the_exact_value(self) -> None:
        rows = [(0, 0.25, 0, 2.0, True), (0, 0.5, 0, -1.0, True), (0, 0.25, 0, 0.5, True)]
        model = MRP.from_outcomes(rows, 0.9)
        exact = distrl.ParticleReturns(np.array([[-1.0, 0.5, 2.0]]), np.array([[0.5, 0.25, 0.25]]))
        truth = np.asarray(self.functional().value(exact))
        for method in (distrl.CategoricalFixedPoint(61), distrl.QuantileDP(40), distrl.Brackets(61)):
            ends = distrl.evaluate(model, method).interval(self.functional())
            room = 1e-9 * np.maximum(np.abs(truth), 1.0)
            assert (ends[..., 0] <= truth + room).all(), method
            assert (truth - room <= ends[..., 1]).all(), method

    def test_its_label_is_short(self) -> None:
        assert 0 < len(self.functional().label) < 40


SUITES = {name: suite for name, suite in list(globals().items()) if inspect.isclass(suite) and name.endswith("Laws")}
