"""The command as a user meets it: what is printed, what is written, how it ends."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import cli
from distrl._compiling import NOTE
from distrl._display import at_most


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in a folder of its own; gives (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["distrl", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        err = err.replace(f"distrl: note: {NOTE}\n", "")  # where the cache of kernels is still empty
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "chain.npz"
    distrl.save(distrl.environments.chain(5, slip=0.3), path)
    return path


LAKE = ("evaluate", "FrozenLake-v1", "--discount", "0.99", "--atoms", "51")


def row_of(out, state):
    """The numbers that the table has for a state."""
    cells = next(line for line in out.splitlines() if re.match(rf"│ +{state} │", line)).split("│")
    return [float(cell.strip(" *")) for cell in cells[2:-1]]  # a star: outside its interval


def test_table_shows_the_solution(run):
    status, out, err = run(*LAKE, "--policy", "uniform")
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99)
    solution = distrl.evaluate(mdp, distrl.CategoricalFixedPoint(atoms=51), policy="uniform")
    law, bound = solution.returns[0], solution.certificate.w1[0]
    assert (status, err) == (0, "")
    mean, sd, var, cvar, shown = row_of(out, 0)
    np.testing.assert_allclose(
        [mean, sd, var, cvar], [law.mean(), law.std(), law.quantile(0.05), law.cvar(0.05)], rtol=1e-5, atol=1e-9
    )
    assert bound <= shown <= 1.01 * bound
    assert "[certificate-martingale-coupling]" in out
    assert "Converged" in out
    assert solution.reason in out


def test_options_of_a_grid_go_with_no_quantiles(run):
    lake = ("evaluate", "FrozenLake-v1", "--discount", "0.9", "--quantiles", "20")
    for option in (("--atoms", "51"), ("--grid", "0", "1"), ("--tight",), ("--solver", "direct")):
        status, _, told = run(*lake, *option)
        assert status == 2 and "--quantiles needs no grid" in told and option[0] in told


def test_without_atoms_their_number_is_chosen_and_said(run):
    status, told, _ = run("evaluate", "FrozenLake-v1", "--discount", "0.9", "--policy", "uniform")
    assert status == 0 and "atoms: rounding to them adds at most" in told and "iteration error <=" in told
    status, told, _ = run("evaluate", "FrozenLake-v1", "--discount", "0.9", "--grid", "0", "2", "--policy", "uniform")
    assert status == 0 and "on [0, 2]" in told


def test_quantiles_instead_of_a_grid(run, tmp_path):
    lake = ("evaluate", "FrozenLake-v1", "--discount", "0.99", "--quantiles", "20")
    status, out, err = run(*lake, "--save", "f.npz", "--plot", "f.png")
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99)
    solution = distrl.evaluate(mdp, distrl.QuantileDP(20), policy="uniform")
    assert (status, err) == (0, "")
    assert row_of(out, 0)[0] == pytest.approx(float(solution.values[0]), rel=1e-5, abs=1e-9)
    assert "[certificate-one-step-transport]" in out and "grid:" not in out
    with np.load(tmp_path / "f.npz") as archive:
        np.testing.assert_array_equal(archive["quantiles"], solution.returns.values)
    status, _, err = run(*lake, "--tight")
    assert status == 2 and "needs no grid" in err


def test_everything_is_saved(run, tmp_path):
    status, out, _ = run(*LAKE, "--plot", "f.png", "--save", "f.npz")
    assert status == 0
    assert "wrote f.npz\nwrote f.png" in out
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "f.npz") as archive:
        assert archive["probs"].shape == (16, 51)
    status, _, _ = run(*LAKE, "--save", "f.csv", "--plot", "f.svg", "--states", "0-3,6")
    assert status == 0
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 17
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.csv", "f.npz", "f.png", "f.svg"]


@pytest.mark.parametrize("name", ["p.csv", "p.txt", "p.npy"])
@pytest.mark.parametrize("shape", ["actions", "probabilities"])
def test_policy_files(run, tmp_path, name, shape):
    actions = np.array([1, 2, 1, 0] * 4)
    policy = actions if shape == "actions" else np.eye(4)[actions]
    if name.endswith(".npy"):
        np.save(tmp_path / name, policy)
    else:
        np.savetxt(tmp_path / name, policy, delimiter="," if name.endswith(".csv") else " ")
    status, out, _ = run(*LAKE, "--policy", name, "--option", "map_name=4x4", "--option", "is_slippery=true")
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99)
    solution = distrl.evaluate(mdp, distrl.CategoricalFixedPoint(atoms=51), policy=actions)
    assert status == 0
    assert row_of(out, 0)[0] == pytest.approx(solution.values[0], rel=1e-5)


def test_model_file_brings_its_discount_and_an_option_overrides_it(run, chain):
    _, own, _ = run("evaluate", chain)
    assert "discount 0.9" in own
    _, other, _ = run("evaluate", chain, "--discount", "0.5", "--states", "all", "--atoms", "21")
    assert "discount 0.5" in other
    expected = distrl.environments.chain(5, slip=0.3, discount=0.5)
    means = distrl.evaluate(expected, distrl.CategoricalFixedPoint(atoms=21)).values
    np.testing.assert_allclose([row_of(other, s)[0] for s in range(5)], means, rtol=1e-5)


def test_prism_model_undiscounted(run, tmp_path):
    (tmp_path / "m.tra").write_text("2 3\n0 0 0.5\n0 1 0.5\n1 1 1\n")
    (tmp_path / "m.lab").write_text('0="init" 1="goal"\n0: 0\n1: 1\n')
    (tmp_path / "m.srew").write_text("2 1\n0 1\n")
    status, out, _ = run(
        "evaluate", "m.tra", "--discount", "1", "--terminal", "goal", "--grid", "0", "60", "--atoms", "61"
    )
    assert status == 0
    mean, sd, *_ = row_of(out, 0)
    assert (mean, sd) == (pytest.approx(2.0), pytest.approx(np.sqrt(2.0), rel=1e-5))  # geometric


def test_negative_grid_ends_are_numbers_not_options(run, tmp_path):
    distrl.save(distrl.environments.chain(4, discount=1.0, step_reward=-1.0, end_reward=-1.0), tmp_path / "m.npz")
    status, out, _ = run("evaluate", "m.npz", "--grid", "-20", "0", "--atoms", "21", "--states", "0")
    assert status == 0
    assert row_of(out, 0)[:4] == [-4.0, 0.0, -4.0, -4.0]
    status, out, _ = run("evaluate", "m.npz", "--grid", "-2", "0", "--states", "0")
    assert status == 0
    assert "most of it is clipping" in out


def test_discount_1_needs_no_grid(run, tmp_path):
    distrl.save(distrl.environments.chain(4, discount=1.0, step_reward=-1.0, end_reward=-1.0), tmp_path / "m.npz")
    for options in ([], ["--atoms", "21"]):
        status, out, _ = run("evaluate", "m.npz", "--states", "0", *options)
        assert status == 0
        assert row_of(out, 0)[:4] == [-4.0, 0.0, -4.0, -4.0]
    assert run("evaluate", "m.npz", "--tail", "1e-6")[0] == run("evaluate", "m.npz", "--tight")[0] == 0


def test_unbounded_rewards_need_a_tail(run, tmp_path):
    distrl.save(distrl.MRP([[1.0]], [stats.norm(1, 1)], 0.5), tmp_path / "g.npz")
    status, _, err = run("evaluate", "g.npz")
    assert status == 2
    assert "--tail 1e-6" in err
    status, out, _ = run("evaluate", "g.npz", "--tail", "1e-9", "--level", "0.1")
    assert status == 0
    assert "CVaR 10%" in out
    assert row_of(out, 0)[0] == pytest.approx(2.0)


def test_states_are_chosen_by_their_names(run, tmp_path):
    rows = [("sun", 1.0, "heavy rain", 2.0, False), ("heavy rain", 1.0, "sun", 0.0, True)]
    distrl.save(distrl.MRP.from_outcomes(rows, 0.5), tmp_path / "weather.npz")
    status, out, _ = run("evaluate", "weather.npz", "--atoms", "11", "--states", "heavy rain", "--plot", "f.svg")
    assert status == 0 and "heavy rain" in out and "sun" not in out
    status, _, err = run("evaluate", "weather.npz", "--states", "snow")
    assert status == 2 and "or names such as sun, heavy rain" in err


def test_several_starts_get_a_row_for_their_mixture(run, tmp_path):
    distrl.save(distrl.MRP([[0, 1], [1, 0]], [1.0, 0.0], 0.5, initial=[0.5, 0.5]), tmp_path / "m.npz")
    _, out, _ = run("evaluate", "m.npz")
    assert row_of(out, "start")[0] == pytest.approx(1.0)
    assert row_of(out, 0)[0] == pytest.approx(4 / 3, rel=1e-5)


def test_unconverged_solution_is_shown_saved_and_status_1(run, chain, tmp_path):
    status, out, err = run(
        "evaluate", chain, "--solver", "iterate", "--max-iterations", "2", "--save", "x.csv", "--discount", "0.99"
    )
    assert status == 1
    assert err == f"distrl: {distrl.Status.MAX_ITERATIONS.value}\n"
    assert "W1 <=" in out
    assert (tmp_path / "x.csv").exists()


def test_progress_is_silent_unless_asked_for(run, chain):
    # enough to be iterated on
    slow = ("evaluate", chain, "--solver", "iterate", "--discount", "0.999")
    assert run(*slow)[2] == ""
    assert run(*slow, "--no-progress")[2] == ""
    assert "applications" in run(*slow, "--progress")[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("evaluate", "Missing argument"),
        ("evalute", "No such command 'evalute'"),
        ("evaluate x --atoms many", "Invalid value for '--atoms'"),
        ("evaluate x --frobnicate", "No such option"),
        ("evaluate FrozenLake-v1", "give --discount"),
        ("evaluate FrozenLake-v1 --discount 1.5", r"discount must lie in \[0, 1\], got 1.5"),
        ("evaluate FrozenLake-v99 --discount 0.9", "cannot make 'FrozenLake-v99'"),
        ("evaluate CartPole-v1 --discount 0.9", "no transition table"),
        ("evaluate FrozenLake-v1 --discount 0.9 --option map_name", "expected KEY=VALUE"),
        ("evaluate FrozenLake-v1 --discount 0.9 --option speed=3", "unexpected keyword argument 'speed'"),
        ("evaluate FrozenLake-v1 --discount 0.9 --policy greedy", "expected 'uniform' or a .npy"),
        ("evaluate FrozenLake-v1 --discount 0.9 --policy none.npy", "there is no such file"),
        ("evaluate FrozenLake-v1 --discount 0.9 --policy words.csv", "is not an array of numbers"),
        ("evaluate FrozenLake-v1 --discount 0.9 --policy empty.csv", "is not an array of numbers"),
        ("evaluate FrozenLake-v1 --discount 0.9 --policy unfair.csv", r"policy\[0\] sums to 1.2, not 1"),
        ("evaluate CliffWalking-v1 --discount 1 --policy up.csv", "no terminal outcome can be reached"),
        ("evaluate none.npz", "does not exist"),
        ("evaluate words.npz", "damaged or not a distrl model file"),
        ("evaluate words.csv --discount 0.9", "cannot tell what words.csv is"),
        ("evaluate none.tra --discount 0.9", "does not exist"),
        ("evaluate chain.npz --policy uniform", "has no actions"),
        ("evaluate chain.npz --option a=1", "--option is for gymnasium.make"),
        ("evaluate chain.npz --terminal goal", "--terminal is for PRISM"),
        ("evaluate walk.npz --tight", "add --tail 1e-9"),
        ("evaluate chain.npz --grid 3 1", "needs low < high"),
        ("evaluate chain.npz --grid 0 1 --tight", "leave out --tight"),
        ("evaluate chain.npz --atoms 1", "at least 2, got 1"),
        ("evaluate chain.npz --solver magic", "solver must be one of"),
        ("evaluate chain.npz --tol -1", "tol must be positive"),
        ("evaluate chain.npz --level 0", "--level must lie in"),
        ("evaluate chain.npz --states 5", "the states are 0..4"),
        ("evaluate chain.npz --states first", "expected numbers and ranges"),
        ("evaluate chain.npz --plot f.bmp", "must end in .png, .pdf or .svg"),
        ("evaluate chain.npz --save f.txt", "must end in .npz or .csv"),
        ("evaluate chain.npz --save nowhere/f.csv", "folder nowhere does not exist"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(run, chain, tmp_path, arguments, sentence):
    for name in ("words.csv", "words.npz"):
        (tmp_path / name).write_text("some words")
    (tmp_path / "empty.csv").write_text("")
    distrl.save(distrl.environments.chain(5, 0.3, discount=1.0, step_reward=-1.0), tmp_path / "walk.npz")
    np.savetxt(tmp_path / "up.csv", np.zeros(48), fmt="%d")
    np.savetxt(tmp_path / "unfair.csv", np.full((16, 4), 0.3), delimiter=",")
    status, out, err = run(*arguments.split())
    assert status == 2
    assert out == ""
    assert err.startswith("distrl: ")
    assert err.count("\n") == 1
    assert re.search(sentence, err), err


def test_help_and_version(run):
    status, out, _ = run("--version")
    assert (status, out) == (0, f"distrl {distrl.__version__}\n")
    status, out, _ = run("evaluate", "--help")
    assert status == 0
    for word in ("Examples", "Exit status", "--policy", "--grid", "certificate"):
        assert word in out


def test_bounds_are_rounded_up():
    for bound in (0.00245, 1 / 3, 1e-300, 123456.0, 0.1):
        assert bound <= float(at_most(bound, 2)) <= 1.1 * bound
    assert at_most(0.1) == "0.1"
    assert at_most(float("inf")) == "inf"


def test_installed_command_line_in_a_process(chain, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "distrl", "evaluate", str(chain)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stderr in ("", f"distrl: note: {NOTE}\n")
    assert "certificate" in done.stdout


def test_missing_typer_is_a_sentence(tmp_path):
    code = "import sys; sys.modules['typer'] = None; import distrl.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "distrl: the command line needs typer: pip install 'distrl[cli]'\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_interrupted_run_shows_what_there_is(tmp_path):
    distrl.save(distrl.environments.gridworld(discount=1.0), tmp_path / "cliff.npz")
    grid = ("--grid", "-700000", "0", "--atoms", "7001", "--solver", "iterate")
    command = [sys.executable, "-m", "distrl", "evaluate", "cliff.npz", *grid, "--save", "x.csv", "--progress"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        seen = ""
        while "applications" not in seen:  # until the work has begun
            letter = process.stderr.read(1)
            assert letter, seen
            seen += letter
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # one that hangs is not waited for
    assert process.returncode == 130, err
    assert distrl.Status.INTERRUPTED.value in out
    assert (tmp_path / "x.csv").exists()
