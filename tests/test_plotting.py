"""Pictures say what the laws say: heights and positions are read back from the artists."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot as plt

import distrl
from distrl.plotting import plot_laws, plot_map, plot_returns, save_figure


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def solution():
    return distrl.evaluate(
        distrl.environments.garnet(12, 2, 3, discount=0.8, rng=0),
        distrl.CategoricalFixedPoint(atoms=101),
        policy="uniform",
    )


@pytest.fixture
def dice():
    """Two dice on six atoms, the second one loaded."""
    return distrl.CategoricalReturns(distrl.Grid(1, 6, 6), [[1 / 6] * 6, [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]])


def test_density_integrates_to_one(solution):
    axes = solution.returns.plot(states=3, kind="pmf")
    (steps,) = axes.patches
    heights, edges, _ = steps.get_data()
    assert heights @ np.diff(edges) == pytest.approx(1.0, abs=1e-3)  # the invisible tails are not drawn
    assert "density" in axes.get_ylabel()


def test_cdf_is_drawn_as_the_law_has_it(solution):
    line = solution.returns.plot(states=3, kind="cdf").lines[0]
    x, y = line.get_xdata()[1:-1], line.get_ydata()[1:-1]
    np.testing.assert_allclose(y, solution.returns[3].cdf(x), atol=1e-12)
    assert line.get_drawstyle() == "steps-post"


def test_few_atoms_are_stems_with_their_probabilities(dice):
    axes = plot_returns(dice)
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert axes.get_ylabel() == "probability"
    assert np.abs(axes.lines[0].get_xdata() - np.arange(1, 7)).max() < 0.1  # moved aside, not away
    assert "units of reward" in axes.get_xlabel()


def test_laws_with_a_lump_and_a_spread_part_are_drawn_as_cdf():
    weights = np.full(101, 0.5 / 100)
    weights[0] = 0.5
    axes = plot_returns(distrl.CategoricalReturns(distrl.Grid(0, 1, 101), weights))
    assert axes.get_ylabel() == "P(return ≤ x)"
    assert axes.get_legend() is None  # one law needs no name


def test_particles_of_equal_value_add_up():
    axes = plot_returns(distrl.ParticleReturns([[1.0, 2.0, 2.0, 3.0]]))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.25, 0.5, 0.25])


def test_histogram_of_particles_is_a_density():
    draws = np.random.default_rng(0).normal(size=(1, 4000))
    heights, edges, _ = plot_returns(distrl.ParticleReturns(draws), kind="pmf").patches[0].get_data()
    assert heights @ np.diff(edges) == pytest.approx(1.0)
    assert heights.max() == pytest.approx(0.4, abs=0.05)


def test_certificate_is_in_the_label_rounded_up(solution):
    axes = solution.returns.plot(states=[2, 5], certificate=solution.certificate)
    for state, text in zip((2, 5), axes.get_legend().get_texts(), strict=True):
        assert text.get_text().startswith(f"state {state} ")
        shown = float(text.get_text().rstrip(")").split()[-1])
        bound = solution.certificate.w1[state]
        assert bound <= shown <= 1.1 * bound


def test_action_returns_have_a_curve_for_each_action(solution):
    axes = solution.action_returns.plot(4, certificate=solution.action_certificate)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [name.split(" (")[0] for name in names] == ["state 4, action 0", "state 4, action 1"]


def test_curves_differ_without_colour(solution):
    axes = plot_returns(solution.returns, range(6), kind="cdf")
    assert len({(line.get_linestyle(), line._unscaled_dash_pattern) for line in axes.lines}) == 6


def test_given_axes_are_drawn_on_and_settings_are_left_alone(solution):
    before = dict(plt.rcParams)
    axes = plt.subplots()[1]
    assert solution.returns.plot(ax=axes, labels=list("abcdef")) is axes
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "pie"}, "kind must be"),
        ({"states": 12}, "states must select among 0..11"),
        ({"states": []}, "states"),
        ({"states": [0.5]}, "states must select"),
        ({"states": [0, 1], "labels": ["one"]}, "labels holds 1 entries for 2"),
    ],
)
def test_wrong_options_get_a_sentence(solution, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        solution.returns.plot(**options)


def test_laws_of_moments_cannot_be_drawn(solution):
    moments = distrl.evaluate(solution.model, distrl.Moments(2))
    with pytest.raises(TypeError, match="only moments are known"):
        moments.returns.plot()


def test_certificate_of_other_states_is_refused(solution, dice):
    with pytest.raises(ValueError, match="certificate is of 12 states, returns of 2"):
        plot_returns(dice, certificate=solution.certificate)


def test_map_shows_every_number_where_its_state_is():
    model = distrl.environments.gridworld(discount=0.9)
    values = np.arange(48.0)
    axes = plot_map(model, values, title="cliff", label="state")
    written = {text.get_position(): float(text.get_text()) for text in axes.texts}
    open_cells = np.flatnonzero(~model.terminal)
    assert written == {(s % 12, s // 12): float(s) for s in open_cells}
    assert axes.get_title() == "cliff"


def test_map_numbers_stand_out_from_their_cells():
    axes = plot_map((1, 3), [0.0, 0.5, 1.0])
    assert [axes.texts[0].get_color(), axes.texts[2].get_color()] == ["white", "black"]


def test_map_of_a_model_without_layout_is_refused(solution):
    with pytest.raises(ValueError, match="no layout"):
        plot_map(solution.model, solution.values)
    with pytest.raises(ValueError, match="rows \\* columns"):
        plot_map((5, 5), solution.values)


def test_figures_are_the_same_twice_and_pdf_fonts_are_embedded(solution, tmp_path):
    for name in ("a", "b"):
        figure = solution.returns.plot(1).figure
        save_figure(figure, *(tmp_path / f"{name}{suffix}" for suffix in (".pdf", ".png", ".svg")))
    for suffix in (".pdf", ".png", ".svg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert b"/FontFile2" in (tmp_path / "a.pdf").read_bytes()  # TrueType, which journals ask for


def test_missing_matplotlib_is_a_sentence_with_the_mend():
    code = (
        "import sys; sys.modules['matplotlib'] = None; import distrl\n"
        "laws = distrl.CategoricalReturns(distrl.Grid(0, 1, 2), [[0.5, 0.5]])\n"
        "try: laws.plot()\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plots need matplotlib: pip install 'distrl[plot]'"


@pytest.mark.parametrize(
    "values", [[1e15, 1e15 + 1], [1e17, 1e17 + 16], [1.0, 1.0 + 2**-52], [1e300], [5e-324, 1e-323]]
)
@pytest.mark.parametrize("kind", ["cdf", "pmf"])
def test_laws_are_drawn_wherever_floats_are_that_near(values, kind, tmp_path):
    """A margin of 3% of the gap, or of a half, was lost in rounding, and with it the steps."""
    axes = plot_returns(distrl.ParticleReturns([values]), kind=kind)
    save_figure(axes.figure, tmp_path / "law.png")
    low, high = axes.get_xlim()
    assert low < min(values) and max(values) < high
    if kind == "cdf":
        heights = axes.lines[0].get_ydata()
        assert heights[0] == 0.0 and heights[-1] == 1.0 and len(np.unique(heights)) == len(values) + 1


def test_a_legend_says_to_which_law_the_bound_is():
    model = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    est = distrl.estimate(model, distrl.CategoricalFixedPoint(31), samples_per_state=20, rng=0)
    rolled = distrl.evaluate(model, distrl.MonteCarlo(50), rng=0)
    exact = distrl.evaluate(model, distrl.CategoricalFixedPoint(31))
    for solution, words in ((est, "to the samples' own law"), (exact, "to the true law"), (rolled, "confidence 0.95")):
        axes = solution.returns.plot(certificate=solution.certificate)
        assert all(words in text.get_text() for text in axes.get_legend().get_texts())


# -- policies ----------------------------------------------------------------------------------------------------------


def gamble():
    rows = [("tired", "safe", 1.0, "fresh", 1.0, False), ("fresh", "go", 0.8, "tired", 0.5, False)]
    rows += [("tired", "bet", 0.5, "fresh", 0.0, False), ("tired", "bet", 0.5, "fresh", 4.0, False)]
    return distrl.MDP.from_outcomes([*rows, ("fresh", "go", 0.2, "fresh", 0.0, True)], 0.9)


def fill_at(axes, row, x):
    """The colour that a reader sees at a place of a row."""
    for bars in axes.collections:
        for path in bars.get_paths():
            box = path.get_extents()
            if box.x0 < x < box.x1 and box.y0 < row < box.y1:
                return tuple(bars.get_facecolor()[0])
    raise AssertionError(f"nothing at {x} in row {row}")


@pytest.mark.parametrize(
    ("objective", "horizon"),
    [
        (distrl.CVaR(0.2), None),
        (distrl.CVaR(0.2), 4),
        (distrl.ProbabilityAbove(6.0), 4),
        (distrl.EntropicRisk(-1.0), None),
        (distrl.EntropicRisk(-1.0), 6),
        (distrl.EVaR(0.3), None),
    ],
    ids=str,
)
def test_a_policy_map_shows_what_is_played(objective, horizon):
    mdp = gamble()
    ctl = distrl.optimize(mdp, objective, horizon=horizon)
    axes = ctl.plot_policy([1, 0])
    colours = {
        text.get_text(): patch.get_facecolor()
        for text, patch in zip(axes.get_legend().get_texts(), axes.get_legend().get_patches(), strict=False)
    }
    (low, high), steps = axes.get_xlim(), ctl.policy.remembers == "number of steps made"
    seen = set()
    for row, state in enumerate((1, 0)):
        for x in np.arange(max(low, 0.0) // 1, high) if steps else np.linspace(low, high, 39)[1:-1]:
            memory = int(x) if steps else x if horizon is None else (0, x)
            if isinstance(objective, distrl.EVaR):
                memory = ctl.policy.start(state) + int(x) * ctl.policy.stride
            action = mdp.actions[ctl.policy.act(state, memory)]
            assert fill_at(axes, row, x) == colours[action], (state, x)
            seen.add(action)
    assert {"safe", "bet"} <= seen and [t.get_text() for t in axes.get_yticklabels()] == ["state fresh", "state tired"]
    start = axes.lines[0].get_xdata()
    expected = [0.0, 0.0] if steps else ctl.policy.targets[[1, 0]]
    np.testing.assert_array_equal(start, expected)


def test_what_has_no_policy_map_is_named():
    mdp = gamble()
    with pytest.raises(ValueError, match="MarkovPolicy has no memory along which"):
        distrl.optimize(mdp, distrl.Mean()).plot_policy()
    ctl = distrl.optimize(mdp, distrl.CVaR(0.2), horizon=2)
    with pytest.raises(ValueError, match="states selects no state"):
        ctl.plot_policy([])
    with pytest.raises(ValueError, match="outside the range"):
        ctl.plot_policy([7])
    with pytest.raises(ValueError, match="all 2 steps"):
        ctl.plot_policy(step=2)
    assert not ctl.plot_policy(step=1).lines  # it starts at step 0


def test_laws_of_several_policies_are_on_one_axis(dice, solution):
    axes = plot_laws({"fair": dice[0], "loaded": dice[1]}, kind="cdf")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["fair", "loaded"]
    for line, law in zip(axes.lines, (dice[0], dice[1]), strict=True):
        np.testing.assert_allclose(line.get_ydata()[1:-1], np.cumsum(law.probs))
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 2
    plot_laws({"grid": solution.returns[0], "other": dice[0]})
    for laws, words in (({"all": dice}, "laws of shape"), ({}, "laws must be"), ({"x": 3.0}, "must be a return law")):
        with pytest.raises((ValueError, TypeError), match=words):
            plot_laws(laws)
    with pytest.raises(ValueError, match="kind must be"):
        plot_laws({"fair": dice[0]}, kind="pie")
