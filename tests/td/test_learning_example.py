"""The worked example of docs/learning.md runs, and its learners agree with Monte Carlo."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gymnasium")
SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "learning.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("learning_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_blackjack_chances_agree_with_monte_carlo(example):
    hands = example.blackjack(episodes=5000, seed=1)
    td, frequencies, visits = hands["td"], hands["monte carlo"], hands["visits"]
    np.testing.assert_allclose(td.sum(axis=1), 1.0, atol=1e-12)
    often = visits >= 30
    # five standard errors of a frequency for each of the two estimates
    assert (np.abs(td - frequencies)[often] <= 10 * 0.5 / np.sqrt(visits[often])[:, None]).all()
    index = [int(np.ravel_multi_index((sums, 10, 0), example.HANDS)) for sums in (20, 16)]
    assert td[index[0], 2] > td[index[1], 2]  # twenty wins more often than sixteen


def test_taxi_learners_approach_the_exact_values(example):
    values = example.taxi(steps=20_000, seed=1)
    seen = values["visits"] >= 20
    start = np.abs(values["exact"])[seen].mean()
    for label in ("quantile TD", "categorical TD", "60-step returns"):
        assert np.abs(values[label] - values["exact"])[seen].mean() < 0.25 * start


def test_the_script_runs():
    done = subprocess.run([sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Blackjack" in done.stdout and "Taxi" in done.stdout
