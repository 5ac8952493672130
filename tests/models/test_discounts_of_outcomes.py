"""A discount for each outcome: how it comes in, what becomes of 0 and of numbers that are all the same, errors."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse

import distrl
from distrl import MDP, MRP

pytestmark = pytest.mark.fast

P = np.array([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0.25, 0.5]])
R = np.array([2.0, -1.0, 0.5])
TABLE = ("n_states", "indptr", "probs", "next_states", "rewards", "terminals", "laws")
ROWS = [
    (0, 0, 1.0, 1, 5.0, False, 0.5),
    (1, 0, 0.5, 1, 0.0, True, 0.25),
    (1, 0, 0.5, 0, 1.0, False, 0.75),
    (1, 1, 1.0, 0, -1.0, False, 0.25),
]
NAMES = ("state", "action", "probability", "next_state", "reward", "terminal", "discount")


def same(a, b):
    assert a.uniform_discount == b.uniform_discount
    for name in TABLE:
        np.testing.assert_array_equal(getattr(a.outcomes, name), getattr(b.outcomes, name))
    np.testing.assert_array_equal(a.discounts, b.discounts)


def by_outcome(model):
    """{(source, next state, reward): discount}."""
    table = model.outcomes
    keys = zip(table.sources.tolist(), table.next_states.tolist(), table.rewards.tolist(), strict=True)
    return dict(zip(keys, model.discounts.tolist(), strict=True))


@pytest.mark.parametrize("number", [0.0, 0.3, 0.9, 1 / 3])
@pytest.mark.parametrize("shape", [(3,), (3, 3)])
def test_an_array_of_one_number_is_that_number(number, shape):
    same(MRP(P, R, np.full(shape, number)), MRP(P, R, number))


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 3)])
def test_an_array_of_one_number_is_that_number_for_decision_processes(shape):
    p = np.stack([P, P[::-1]])
    same(MDP(p, R, np.full(shape, 0.7)), MDP(p, R, 0.7))


def test_a_column_of_one_number_is_that_number_whatever_ends_have():
    rows = [(*row[:6], 0.8 if not row[5] else 0.1) for row in ROWS]
    same(MDP.from_outcomes(rows, None), MDP.from_outcomes([row[:6] for row in ROWS], 0.8))


def test_arrays_give_each_transition_its_factor():
    g = np.arange(1, 10).reshape(3, 3) / 10
    model = MRP(P, R, g)
    assert by_outcome(model) == {(x, y, R[x]): g[x, y] for x in range(3) for y in range(3)}
    assert by_outcome(MRP(P, R, g[:, 0])) == {(x, y, R[x]): g[x, 0] for x in range(3) for y in range(3)}
    actions = np.stack([g, g[::-1]])
    p = np.stack([P, P])
    mdp = MDP(p, R, actions)
    wanted = {(2 * x + a, y, R[x]): actions[a, x, y] for x in range(3) for y in range(3) for a in range(2)}
    assert by_outcome(mdp) == wanted
    same(MDP(p.transpose(1, 0, 2), R, actions.transpose(1, 0, 2), axes="sas"), mdp)
    by_pair = MDP(p, R, g[:, :2])
    assert by_outcome(by_pair) == {(2 * x + a, y, R[x]): g[x, a] for x in range(3) for y in range(3) for a in range(2)}


@pytest.mark.parametrize("form", ["positions", "columns", "records", "frame"])
def test_a_column_is_read_by_position_and_by_name(form):
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
    given = {"positions": ROWS, "columns": columns, "records": [dict(zip(NAMES, row, strict=True)) for row in ROWS]}
    if form == "frame":
        given["frame"] = pytest.importorskip("pandas").DataFrame(columns)
    model = MDP.from_outcomes(given[form], None)
    assert by_outcome(model) == {(0, 1, 5.0): 0.5, (1, 1, 0.0): 0.0, (1, 0, 1.0): 0.75, (2, 0, -1.0): 0.25}
    renamed = {**columns, "gamma": columns["discount"]}
    del renamed["discount"]
    same(MDP.from_outcomes(renamed, None, columns={"discount": "gamma"}), model)


def test_a_factor_of_zero_is_an_end_and_its_reward_is_kept():
    """States whose factor is 0 are those whose outcomes end: the tables are equal, what is left has one number."""
    model = MRP(P, R, [0.9, 0.0, 0.9])
    rows = [(x, P[x, y], y, R[x], x == 1) for x in range(3) for y in range(3)]
    same(model, MRP.from_outcomes(rows, 0.9))


def test_rows_that_differ_in_discount_alone_stay_apart_and_equal_ones_add_up():
    rows = [(0, 0.25, 0, 1.0, False, g) for g in (0.5, 0.25, 0.5)] + [(0, 0.25, 0, 1.0, True, 0.75)]
    model = MRP.from_outcomes(rows, None)
    assert model.discounts.tolist() == [0.25, 0.5, 0.0]
    assert model.outcomes.probs.tolist() == [0.25, 0.5, 0.25]


def test_one_number_is_refused_where_there_are_several_and_the_largest_is_said():
    model = MRP(P, R, [0.9, 0.5, 0.75])
    assert model.uniform_discount is None and model.largest_discount == 0.9
    assert model.discounts.tolist() == [0.9] * 3 + [0.5] * 3 + [0.75] * 3
    with pytest.raises(ValueError, match=r"differs by outcome; see model\.discounts"):
        model.discount  # noqa: B018
    assert "discount=0.5 to 0.9" in repr(model)
    uniform = MRP(P, [2.0, -1.0, 0.0], 0.9, terminal=[False, False, True])
    assert uniform.discount == uniform.largest_discount == uniform.factors == 0.9
    assert set(uniform.discounts[uniform.outcomes.terminals]) == {0.0}


def test_discounted_transitions_are_sums_of_p_times_powers_of_the_factor():
    g = np.arange(1, 10).reshape(3, 3) / 10
    for power in (1, 2, 3):
        np.testing.assert_allclose(MRP(P, R, g).discounted(power).toarray(), P * g**power, rtol=1e-15)
        np.testing.assert_allclose(MRP(P, R, 0.7).discounted(power).toarray(), P * 0.7**power, rtol=1e-15)


def test_policies_keep_the_factors_and_one_that_leaves_one_number_has_it():
    p = np.stack([P, P])
    mdp = MDP(p, R, np.array([[0.9, 0.8], [0.9, 0.2], [0.9, 0.6]]))
    assert mdp.under([0, 0, 0]).discount == 0.9
    assert by_outcome(mdp.under([0, 1, 1])) == {(x, y, R[x]): [0.9, 0.2, 0.6][x] for x in range(3) for y in range(3)}
    mixed = mdp.under("uniform")
    assert len(mixed.outcomes.probs) == 18 and mixed.largest_discount == 0.9
    same(mdp.with_discount(0.5), MDP(p, R, 0.5))
    same(mixed.with_discount(0.5), MRP(P, R, 0.5))


def test_models_are_saved_and_read_bit_for_bit(tmp_path):
    for number, model in enumerate((MDP.from_outcomes(ROWS, None), MRP(P, R, [0.9, 0.5, 1 / 3]))):
        distrl.save(model, tmp_path / f"{number}.npz")
        same(distrl.load(tmp_path / f"{number}.npz"), model)
    with np.load(tmp_path / "0.npz") as fields:
        assert "discount" not in fields  # an older version must not take it for a model of one discount


G = np.array([[0.5, 0.25, 1.0], [0.0, 0.75, 0.5], [0.5, 0.5, 0.0]])  # two ends where the walk would go on


def test_chains_come_back_from_arrays():
    """Factors by transition, by state alone, ends on the way, and terminal states."""
    rows = [
        (0, 0.5, 1, 2.0, True, 0.0),
        (0, 0.5, 2, 1.0, False, 0.5),
        (1, 1.0, 2, 1.0, False, 0.25),
        (2, 1.0, 2, 0.0, True, 0.0),
    ]
    into = [
        (0, 0.5, 1, 0.0, True, 0.0),
        (0, 0.5, 2, 0.0, False, 0.5),
        (1, 1.0, 2, 0.0, True, 0.0),
        (2, 1.0, 0, 1.0, False, 0.25),
    ]
    chains = [
        (MRP(P, R, G), 2),
        (MRP(P, R, [0.5, 1.0, 0.25]), 1),
        (MRP(P, [1.0, 2.0, 0.0], [0.5, 0.75, 0.0], terminal=[False, False, True]), 1),
        (MRP.from_outcomes(rows, None), 2),
        (MRP.from_outcomes(into, None), 2),  # a state of return 0 that another one only passes through
    ]
    for model, ndim in chains:
        for arrays in (model.to_arrays(), model.to_sparse()):
            assert np.ndim(arrays.discount) == ndim
            same(MRP(arrays.P, arrays.R, arrays.discount, arrays.terminal), model)
        same(distrl.from_arrays(arrays.P, arrays.R, arrays.discount, terminal=arrays.terminal), model)
    assert MRP(P, R, 0.9).to_arrays().discount == 0.9


@pytest.mark.parametrize("axes", ["ass", "sas"])
def test_decision_processes_come_back_from_arrays(axes):
    p, available = np.stack([P, P[::-1]]), np.array([[True, True], [True, False], [False, True]])
    by_pair = np.array([[0.5, 0.25], [0.75, 0.0], [0.0, 0.5]])
    for given, ndim in ((by_pair, 2), (np.stack([G, G.T]), 3), ([0.5, 0.75, 0.25], 2)):
        for mask in (None, available):
            model = MDP(p, R, given, axes="ass", available=mask)
            arrays = model.to_arrays(axes)
            assert np.ndim(arrays.discount) == ndim
            again = MDP(arrays.P, arrays.R, arrays.discount, arrays.terminal, axes=axes, available=model.available)
            same(again, model)
            same(distrl.from_arrays(arrays.P, arrays.R, arrays.discount, axes, terminal=arrays.terminal), model)
            parts = model.to_sparse()
            same(MDP(parts.P, parts.R, parts.discount, parts.terminal, available=model.available), model)


def test_arrays_are_copied_and_pickled_with_their_discount():
    arrays = pickle.loads(pickle.dumps(copy.copy(MRP(P, R, G).to_arrays())))
    np.testing.assert_array_equal(arrays.discount, G)
    first, second, third = arrays
    assert first is arrays.P and second is arrays.R and third is arrays.terminal and "discount=" in repr(arrays)


def test_several_factors_of_one_transition_are_refused_by_name_and_kept_by_frames():
    rows = [("a", "x", 0.5, "b", 1.0, False, 0.5), ("a", "x", 0.5, "b", 1.0, False, 0.25)]
    ends = [("a", "x", 0.5, "b", 1.0, False, 0.5), ("a", "x", 0.5, "b", 1.0, True, 0.0)]
    rest = [("b", "x", 1.0, "a", 0.0, False, 0.75)]
    for given, said in ((rows, r"0\.25 and 0\.5"), (ends, r"0 and 0\.5")):
        model = MDP.from_outcomes(given + rest, None)
        for ask in (model.to_arrays, model.to_sparse, model.to_dense):
            with pytest.raises(ValueError, match=rf"state 'a', action 'x' reaches state 'b' with the discounts {said}"):
                ask()
        with pytest.raises(ValueError, match=rf"state 'a' reaches state 'b' with the discounts {said}"):
            model.under([0, 0]).to_arrays()
        pytest.importorskip("pandas")
        same(MDP.from_outcomes(model.to_frame(), None, absorbing="keep"), model)
    two_rewards = MRP.from_outcomes(
        [(0, 0.5, 0, 1.0, False, 0.5), (0, 0.5, 0, 2.0, False, 0.5), (1, 1.0, 0, 0.0, False, 0.25)], None
    )
    with pytest.raises(ValueError, match="reaches state 0 with different rewards"):
        two_rewards.to_arrays()


def test_files_without_discounts_refuse_them(tmp_path):
    with pytest.raises(ValueError, match=r"discounts of their own, which such files do not hold"):
        distrl.write_drn(MRP(P, R, G), tmp_path / "model.drn")


def test_absorbing_loops_end_where_a_factor_of_one_would_never_let_them():
    rows = [(0, 1.0, 1, 1.0, False, 0.5), (1, 1.0, 1, 0.0, False, 1.0)]
    model = MRP.from_outcomes(rows, None)
    assert model.outcomes.terminals.all()
    with pytest.raises(ValueError, match="no outcome that ends or has a discount below 1 can be reached from state 1"):
        MRP.from_outcomes(rows, None, absorbing="keep").check_ends()
    assert not MRP.from_outcomes([rows[0], (*rows[1][:5], 0.75)], None).outcomes.terminals.any()


def test_a_factor_of_one_is_taken_where_something_ends_or_discounts():
    circle = [[0.0, 1.0], [1.0, 0.0]]
    assert MRP(circle, [1.0, 1.0], [1.0, 0.5]).largest_discount == 1.0
    with pytest.raises(ValueError, match="state 1"):
        MRP([[0.0, 1.0], [0.0, 1.0]], [1.0, 1.0], [0.5, 1.0]).check_ends()


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: MRP(P, R, [0.9, 1.5, 0.9]), ValueError, r"discount\[1\] must lie in \[0, 1\], got 1.5"),
        (lambda: MRP(P, R, np.where(P == 0.375, np.nan, 0.9)), ValueError, r"discount.*(finite|NaN|nan)"),
        (lambda: MRP(P, R, [0.9, 0.5]), ValueError, r"have shape \(3,\) or \(3, 3\); got \(2,\)"),
        (lambda: MRP(P, R, sparse.csr_array(P)), TypeError, "dense array: what a sparse matrix does not store"),
        (lambda: MRP(P, R, None), ValueError, "discount is missing"),
        (lambda: MRP(P, R, "0.9"), TypeError, "discount must be a real number"),
        (lambda: MDP([P, P], R, np.ones((2, 2))), ValueError, r"\(3,\), \(3, 2\) or \(2, 3, 3\)"),
        (lambda: MDP([P, P, P], R, np.arange(27.0).reshape(3, 3, 3) / 30), ValueError, "give axes='ass' or axes='sas'"),
        (lambda: MDP.from_outcomes(ROWS, 0.9), ValueError, r"rows\[0\] has 7 entries"),
        (lambda: MDP.from_outcomes([r[:6] for r in ROWS], None), ValueError, r"rows\[0\] has 6 entries; .*discount\)"),
        (
            lambda: MDP.from_outcomes([dict(zip(NAMES, r, strict=True)) for r in ROWS], 0.9),
            ValueError,
            "give discount=None to take each row's own",
        ),
        (
            lambda: MDP.from_outcomes([(*r[:6], -0.5) for r in ROWS], None),
            ValueError,
            r"rows: discount\[0\] must lie in \[0, 1\], got -0.5",
        ),
        (lambda: MRP(P, R, [0.9, 0.5, 0.9]).with_discount([0.5, 0.5, 0.6]), ValueError, "one number is needed"),
        (lambda: MRP(MRP(P, R, [0.9, 0.5, 0.9]).outcomes, None, 0.9), ValueError, "have discounts of their own"),
        (
            lambda: distrl.EmpiricalMRP([(0, 1.0, 0, False, 2.0)], None),
            ValueError,
            r"transitions: discount\[0\] must lie",
        ),
    ],
)
def test_errors_name_the_place_and_the_mend(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
