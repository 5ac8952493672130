"""`distrl evaluate ... --horizon H` on the command line."""

import sys

import numpy as np
import pytest

import distrl
from distrl import cli


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in a folder of its own; gives (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["distrl", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def endless(tmp_path):
    """No policy ends: without a horizon there are no returns at discount 1."""
    mdp = distrl.MDP([[[0.0, 1.0], [1.0, 0.0]]], [1.0, -2.0], 1.0, initial=[1.0, 0.0])
    distrl.save(mdp, tmp_path / "endless.npz")
    np.save(tmp_path / "policy.npy", np.zeros((3, 2), dtype=np.int64))
    return tmp_path / "endless.npz"


def test_so_many_steps_are_evaluated(run, endless):
    status, out, err = run(endless, "--horizon", 3, "--save", "f.npz")
    assert status == 0 and "3 steps" in out, err
    saved = distrl.load("f.npz")
    assert saved.horizon == 3 and saved.values.tolist() == [0.0, -3.0]


def test_a_policy_may_depend_on_the_step(run, endless):
    status, out, _ = run(endless, "--horizon", 3, "--policy", "policy.npy", "--quantiles", 5, "--states", "all")
    assert status == 0 and "-3" in out
    status, _, err = run(endless, "--horizon", 4, "--policy", "policy.npy")
    assert status == 2 and "3 policies for 4 steps" in err


def test_a_grid_may_be_given(run, endless):
    status, out, _ = run(endless, "--horizon", 2, "--grid", -5, 5, "--atoms", 11)
    assert status == 0 and "11 atoms on [-5, 5]" in out
    status, _, err = run(endless, "--horizon", 2, "--tight")
    assert status == 2 and "--horizon chooses the range" in err
