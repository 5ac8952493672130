"""`distrl optimize` on the command line: what is printed is what `optimize` finds, and what is refused is said."""

import re
import sys

import numpy as np
import pytest

import distrl
from distrl import cli
from distrl._compiling import NOTE
from distrl.cli.deciding import objective_of, objectives
from distrl.control.choosing import METHODS
from distrl.returns.functionals.parsing import NAMES

# half of the time a choice between a sure 0 and a coin that loses 2 or wins 2, half of the time a sure 1
ROWS = [(0, 0, 0.5, 1, 0.0, False), (0, 0, 0.5, 2, 0.0, False), (1, 0, 1.0, 1, 0.0, True)]
ROWS += [(1, 1, 0.25, 1, -2.0, True), (1, 1, 0.75, 1, 2.0, True), (2, 0, 1.0, 2, 1.0, True)]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in a folder with the model m.npz; gives (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    distrl.save(distrl.MDP.from_outcomes(ROWS, discount=1.0, initial=[1.0, 0.0, 0.0]), "m.npz")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["distrl", "optimize", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        err = err.replace(f"distrl: note: {NOTE}\n", "")  # where the cache of kernels is still empty
        return int(end.value.code or 0), out, err

    return call


def test_the_optimum_is_printed_and_saved(run):
    status, out, err = run("m.npz", "--objective", "cvar", "--at", 0.5, "--save", "f.npz")
    assert status == 0 and "CVaR(level=0.5, tail='lower') by TargetDP" in out and "wrote f.npz" in out, err
    ctl = distrl.load("f.npz")
    assert ctl.lower[0] <= 0.25 <= ctl.upper[0] and ctl.gap.max() < 1e-9
    assert re.search(r"^ +0 +0 +0\.25\d* \[", out, re.MULTILINE) and "2 more state" in out
    for option in ((), ("--states", "0-2")):
        _, out, _ = run("m.npz", "--objective", "cvar", "--at", 0.5, *option)
        assert out.splitlines()[4:] == ctl.summary(range(3) if option else None).splitlines()[4:]


def test_other_levels_come_from_the_same_solve(run, tmp_path):
    pytest.importorskip("matplotlib")
    parts = ("--frontier", "0.25,0.5,0.75,1", "--plot", "f.png")
    status, out, err = run("m.npz", "--objective", "cvar", "--at", 0.1, *parts)
    assert status == 0, err
    ends = [tuple(map(float, found)) for found in re.findall(r"^ +0 +[.0-9]+ +\[(.+), (.+)\]", out, re.MULTILINE)]
    for (low, high), best in zip(ends, [0.0, 0.25, 2 / 3, 1.0], strict=True):
        assert low <= best <= high and high - low < 3e-5  # the sixth digit, rounded outwards
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "numbers", "best"),
    [
        ("mean", (), 1.0),
        ("mean_cvar", ("--at", 0.5, "--weight", 0.5), 0.625),
        ("shortfall", ("--at", 1), 0.375),
        ("entropic_risk", ("--at", -1), 0.3798854930417225),
        ("nested_cvar", ("--at", 0.5), 0.0),
    ],
)
def test_every_objective_has_a_short_form(run, name, numbers, best):
    status, _, err = run("m.npz", "--objective", name, *numbers, "--save", "f.npz", "--tol", 1e-6)
    assert status == 0, err
    ctl = distrl.load("f.npz")
    assert ctl.lower[0] <= best + 1e-12 and best - 1e-12 <= ctl.upper[0]


def test_all_that_is_served_is_offered():
    for name, kind in NAMES.items():
        example = kind(0.5) if kind.argument else kind()
        assert (name in objectives()) == any(method().serves(example) for method in METHODS)
    assert {"mean_cvar", "nested_cvar"} <= set(objectives())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--objective", "std"), "--objective std cannot be optimised; there is mean, "),
        (("--objective", "cvar"), "--objective cvar needs its level: give --at"),
        (("--objective", "cvar", "--at", 1.5), "--at must lie in (0, 1]"),
        (("--objective", "cvar", "--at", "nan"), "--at must be finite"),
        (("--objective", "mean", "--at", 1), "leave --at out"),
        (("--objective", "cvar", "--at", 0.1, "--weight", 1), "leave it out"),
        (("--objective", "mean_cvar", "--at", 0.1), "give --weight"),
        (("--objective", "mean_cvar", "--at", 0.1, "--weight", 2), "--weight must lie in [0, 1]"),
        (("--objective", "mean", "--frontier", "0.1"), "leave --frontier out"),
        (("--objective", "nested_cvar", "--at", 0.1, "--frontier", "0.1"), "leave --frontier out"),
        (("--objective", "cvar", "--at", 0.1, "--frontier", "0.1,2"), "--frontier 0.1,2: expected numbers"),
        (("--objective", "cvar", "--at", 0.1, "--frontier", "low"), "--frontier low: expected numbers"),
        (("--objective", "cvar", "--at", 0.1, "--save", "f.csv"), "--save f.csv: the name must end in"),
        (("--objective", "cvar", "--at", 0.1, "--states", 7), "--states 7: the states are 0..2"),
        (("--objective", "cvar", "--at", 0.1, "--tol", 0), "tol must be positive"),
        ((), "--objective"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(run, arguments, said):
    status, out, err = run("m.npz", *arguments)
    assert status == 2 and said in err and len(err.splitlines()) == 1 and not out


def test_numbers_out_of_range_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^--at must lie in \[?\(?0, 1\]"):
        objective_of("evar", -1.0, None)


def test_a_reward_process_has_nothing_to_decide(run):
    distrl.save(distrl.environments.chain(3), "chain.npz")
    status, _, err = run("chain.npz", "--objective", "mean")
    assert status == 2 and "chain.npz is a Markov reward process and has nothing to decide" in err


def test_the_law_of_the_policy_is_drawn(run, tmp_path):
    pytest.importorskip("matplotlib")
    for objective in (("cvar", "--at", 0.5), ("mean",)):
        status, out, err = run("m.npz", "--objective", *objective, "--plot", "law.svg")
        assert status == 0 and "wrote law.svg" in out, err
        assert "best" in (tmp_path / "law.svg").read_text()


def test_interrupted_work_is_shown_and_saved(run, monkeypatch):
    rng = np.random.default_rng(0)
    distrl.save(distrl.environments.garnet(20, 3, 3, rng=rng, discount=0.9), "g.npz")
    found = distrl.optimize

    def interrupted(*arguments, **options):
        def stop(*_):
            raise KeyboardInterrupt

        return found(*arguments, **{**options, "progress": stop})

    monkeypatch.setattr(distrl, "optimize", interrupted)
    parts = ("--objective", "cvar", "--at", 0.1, "--tol", 1e-9, "--save", "f.npz")
    status, out, err = run("g.npz", *parts)
    assert status == 130 and "Interrupted: the result" in out, err
    ctl = distrl.load("f.npz")
    assert np.isfinite(ctl.lower).all() and (ctl.lower <= ctl.upper).all()


def test_an_open_gap_is_status_1(run):
    rng = np.random.default_rng(0)
    distrl.save(distrl.environments.garnet(20, 3, 3, rng=rng, discount=0.9), "g.npz")
    parts = ("--objective", "cvar", "--at", 0.1, "--tol", 1e-9, "--max-iterations", 3, "--states", 0)
    status, out, err = run("g.npz", *parts)
    assert status == 1 and "19 more state" in out
    assert err.startswith("distrl: Not converged: a limit was reached")
