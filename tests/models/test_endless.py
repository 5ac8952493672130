"""Reward processes that never end at discount 1: built, asked for finite horizons, refused by what needs an end."""

from fractions import Fraction as F

import numpy as np
import pytest

import distrl
from distrl import MDP, MRP, CategoricalFixedPoint, EmpiricalMRP, Grid, Lattice, Moments, evaluate
from distrl.dp.certificate import Certifier, ParticleCertifier
from distrl.dp.resolvent import Resolvent
from distrl.generative.redrawn import under
from distrl.operators.particle_targets import ParticleTargets

pytestmark = pytest.mark.fast

P, R = [[0.5, 0.5], [0.25, 0.75]], [1.0, -2.0]
GRID = Grid(-40.0, 40.0, 81)
SAID = r"discount 1 needs every return to end, but no terminal outcome can be reached from state 0: the closed class"
LOG = [(0, 1.0, 1, False), (1, -2.0, 0, False), (0, 1.0, 0, False)]


def walk() -> MRP:
    return MRP(P, R, 1.0)


NEEDS_AN_END = {
    "evaluate": lambda: evaluate(walk(), CategoricalFixedPoint(grid=GRID)),
    "evaluate without a method": lambda: evaluate(walk()),
    "moments": lambda: evaluate(walk(), Moments(2)),
    "learn": lambda: distrl.learn(walk(), distrl.TD(), updates=2),
    "estimate": lambda: distrl.estimate(walk(), CategoricalFixedPoint(grid=GRID), samples_per_state=9, rng=0),
    "learners fed samples": lambda: distrl.estimate(
        walk(), distrl.CategoricalTD(grid=GRID), samples_per_state=9, rng=0
    ),
    "a log": lambda: distrl.estimate(EmpiricalMRP(LOG, 1.0), CategoricalFixedPoint(grid=GRID)),
    "a bootstrap replicate": lambda: under(EmpiricalMRP(LOG, 1.0), None),
    "a grid": lambda: Grid.tight(walk(), 11),
    "laws of some states": lambda: Lattice().laws_of(MRP(P, [1.0, 2.0], 1.0), [0]),
    "random CDFs": lambda: distrl.operators.StochasticCDFBellman(walk(), GRID),
    "a certificate": lambda: Certifier(walk(), distrl.operators.CategoricalBellman(walk(), GRID)),
    "a certificate of particles": lambda: ParticleCertifier(walk(), ParticleTargets(walk().outcomes, 1.0)),
    "linear systems": lambda: Resolvent.of(walk()),
    "a policy": lambda: MDP([P], R, 1.0).under([0, 0]),
    "a step of a horizon": lambda: evaluate(evaluate(walk(), Moments(1), horizon=2).model, Moments(1)),
}


@pytest.mark.parametrize("ask", NEEDS_AN_END.values(), ids=NEEDS_AN_END)
def test_what_needs_an_end_says_which_states_have_none(ask):
    with pytest.raises(ValueError, match=SAID):
        ask()


def test_a_finite_horizon_needs_none():
    """The law of ten steps of the walk, in fractions; as of the decision process with one action, bit for bit."""
    laws = [{F(0): F(1)} for _ in R]
    for _ in range(10):
        longer = []
        for x, row in enumerate(P):
            law: dict[F, F] = {}
            for p, below in zip(row, laws, strict=True):
                for value, mass in below.items():
                    law[F(R[x]) + value] = law.get(F(R[x]) + value, F(0)) + F(p) * mass
            longer.append(law)
        laws = longer
    for method in (CategoricalFixedPoint(), Lattice(), Moments(3), distrl.QuantileDP(20), distrl.MonteCarlo(20)):
        sol = evaluate(walk(), method, horizon=10, rng=0)
        other = evaluate(MDP([P], R, 1.0), method, policy=[0, 0], horizon=10, rng=0)
        np.testing.assert_array_equal(sol.values, other.values)
        for x, law in enumerate(laws):
            low, high = sol.interval("mean")[x]
            assert low <= sum(v * m for v, m in law.items()) <= high
            low, high = sol.interval("cvar", 0.25)[x]
            left, tail = F(1, 4), F(0)
            for value in sorted(law):
                tail, left = tail + min(law[value], left) * value, left - min(law[value], left)
            assert low - 1e-12 <= 4 * tail <= high + 1e-12
    assert evaluate(walk(), CategoricalFixedPoint(), horizon=10).certificate.w1.max() < 1e-11


def test_models_by_step_and_logs_may_be_endless():
    by_step = evaluate([walk(), MRP(P, [0.0, 3.0], 1.0)], Moments(1), horizon=2)
    np.testing.assert_allclose(by_step.values, [1.0 + 1.5, -2.0 + 2.25])
    sol = evaluate(EmpiricalMRP(LOG, 1.0), Moments(1), horizon=2)
    np.testing.assert_allclose(sol.values, [1.0 + 0.5 - 1.0, -2.0 + 1.0])
    with pytest.raises(ValueError, match=r"reached from state 1: state 1 is never left and pays"):
        evaluate(EmpiricalMRP([*LOG[:1], (1, 1.0, 1, False)], 0.5).with_discount(1.0), Moments(1))


def test_a_class_that_pays_is_kept_beside_one_that_ends(tmp_path):
    """State 0 goes to a loop that pays and to one that does not: the latter is an end, and nothing else changes."""
    rows = [(0, 0.5, 1, 0.0, False), (0, 0.5, 2, 0.0, False), (1, 1.0, 1, 1.0, False), (2, 1.0, 2, 0.0, False)]
    model = MRP.from_outcomes(rows, 1.0)
    assert model.terminal.tolist() == [False, False, True]
    np.testing.assert_allclose(evaluate(model, Moments(1), horizon=5).values, [2.0, 5.0, 0.0])
    with pytest.raises(ValueError, match=r"reached from state 1: state 1 is never left and pays, as state 1 does"):
        evaluate(model, Moments(1))
    distrl.save(model, tmp_path / "model.npz")
    again = distrl.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.outcomes.terminals, model.outcomes.terminals)
    assert evaluate(again.with_discount(0.5), Moments(1)).values.tolist() == pytest.approx([0.5, 2.0, 0.0])
    assert evaluate(model.reach([2]), Lattice()).values.tolist() == pytest.approx([0.5, 0.0, 1.0])


def test_a_loop_of_one_step_that_pays_in_the_next_is_no_end(tmp_path):
    """Each model by itself ends in its loop of reward 0; one after the other they go on, saved and read ones too."""
    silent = MRP([[0.0, 1.0], [0.0, 1.0]], [3.0, 0.0], 1.0)
    assert silent.outcomes.terminals.all()
    distrl.save(silent, tmp_path / "silent.npz")
    read = distrl.load(tmp_path / "silent.npz")
    np.testing.assert_array_equal(read.outcomes.terminals, silent.outcomes.terminals)
    paying = MRP([[1.0, 0.0], [0.0, 1.0]], [0.0, 5.0], 1.0)
    for first in (silent, read):
        sol = evaluate([first, paying], Lattice(), horizon=2)
        assert sol.values.tolist() == [8.0, 5.0]
        sol.save(tmp_path / "sol.npz")
        assert distrl.load(tmp_path / "sol.npz").interval("mean")[:, 0].tolist() == pytest.approx([8.0, 5.0])
    assert evaluate(silent, Lattice(), horizon=2).values.tolist() == [3.0, 0.0]


def test_factors_of_one_without_an_end_likewise():
    model = MRP([[0.5, 0.5], [0.0, 1.0]], [1.0, 2.0], [0.5, 1.0])
    np.testing.assert_allclose(evaluate(model, Moments(1), horizon=2).values, [1.75, 4.0])
    for ask in (
        lambda: evaluate(model, Moments(1)),
        lambda: Grid.tight(model, 5),
        lambda: distrl.learn(model, distrl.TD(), updates=1),
        lambda: MDP([[[0.5, 0.5], [0.0, 1.0]]], [1.0, 2.0], [0.5, 1.0]).under([0, 0]),
    ):
        with pytest.raises(ValueError, match="no outcome that ends or has a discount below 1 can be reached from stat"):
            ask()


def test_files_and_environments_may_be_endless(tmp_path):
    ring = distrl.environments.cycle(3, discount=1.0)
    assert evaluate(ring, Lattice(), horizon=4).values.sum() == pytest.approx(4.0)
    distrl.write_drn(walk(), tmp_path / "walk.drn")
    assert evaluate(distrl.read_drn(tmp_path / "walk.drn", 1.0), Moments(1), horizon=1).values.tolist() == R
    arrays = walk().to_arrays()
    assert isinstance(distrl.from_arrays(arrays.P, arrays.R, 1.0), MRP)
