"""The categorical estimator's error against the exact law: its rate in the samples, and how many atoms it needs."""

import numpy as np
import pytest

from distrl import CategoricalFixedPoint, FiniteLaw, environments, estimate, theory, wasserstein


def hard_and_its_law(discount):
    """Three hard states; the return is (1 - g^T) / (1 - g), T geometric (10,000 steps: the rest has mass < 1e-100)."""
    q = (4 * discount - 1) / (3 * discount)
    steps = np.arange(1, 10_000)
    mass = q ** (steps - 1) * (1 - q)
    law = FiniteLaw((1 - discount**steps) / (1 - discount), mass / mass.sum())
    return environments.hard(3, discount), [law] * 3


def errors(model, truth, atoms, samples, seeds):
    """(seeds,) sup-W1 of estimates; the same seed draws the same samples whatever the atoms."""
    method = CategoricalFixedPoint(atoms)
    return np.array(
        [wasserstein(estimate(model, method, None, samples, seed).returns, truth).max() for seed in range(seeds)]
    )


def test_the_error_falls_as_one_over_the_root_of_the_samples():
    model, truth = hard_and_its_law(0.8)
    sizes = 100 * 4 ** np.arange(4)
    mean = [errors(model, truth, 1201, int(n), 100).mean() for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(mean), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)  # its standard error is about .016


def test_atoms_of_the_derived_condition_do_as_well_as_many_more():
    """Atoms from 1 / (epsilon (1 - g)^(3/2) (1 + g)^(1/2)) and from 4 epsilon^-2 (1 - g)^-2, on the same samples."""
    epsilon, discount = 0.5, 0.9
    few = theory.samples_for(epsilon, 0.1, discount=discount, states=3)[0].atoms
    many = int(np.ceil(4 / epsilon**2 / (1 - discount) ** 2)) + 1
    assert few == int(np.ceil(1 / (epsilon * (1 - discount) ** 1.5 * (1 + discount) ** 0.5))) + 1
    assert many > 10 * few
    model, truth = hard_and_its_law(discount)
    coarse, fine = (errors(model, truth, atoms, 4000, 60) for atoms in (few, many))
    assert coarse.mean() <= 1.15 * fine.mean() and (coarse <= fine + epsilon / 2).all()
    assert (coarse <= epsilon).mean() >= 0.9
