"""The model that is solved is the one that was given: what would be dropped, guessed or bent is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from distrl import environments
from distrl.models import MDP, MRP, EmpiricalMDP, EmpiricalMRP, FiniteLaw, load, save

pytestmark = pytest.mark.fast

COIN = np.full((2, 2), 0.5)
ENDS = np.array([[0.5, 0.5], [0.0, 1.0]])  # state 1 is where the return ends
LAST = [False, True]


def outcomes(model):
    table = model.outcomes
    columns = (table.sources, table.probs, table.next_states, table.rewards, table.terminals)
    return list(zip(*(column.tolist() for column in columns), strict=True))


# Rewards of terminal states

LOST = {
    "by state": lambda p, r: MRP(p, [1.0, r], 0.9, LAST),
    "by transition": lambda p, r: MRP(p, [[1.0, 1.0], [0.0, r]], 0.9, LAST),
    "sparse": lambda p, r: MRP(sparse.csr_array(p), sparse.csr_array([[1.0, 1.0], [0.0, r]]), 0.9, LAST),
    "a law": lambda p, r: MRP(p, [1.0, FiniteLaw([0.0, r])], 0.9, LAST),
    "a continuous law": lambda p, r: MRP(p, [1.0, stats.norm(0, r)], 0.9, LAST),
    "an MDP's state": lambda p, r: MDP([p, p, p], [1.0, r], 0.9, LAST),
    "an MDP's pair": lambda p, r: MDP([p, p, p], [[1.0, 1.0, 1.0], [0.0, 0.0, r]], 0.9, LAST),
    "an MDP's transition": lambda p, r: MDP(
        [p, p], np.array([[[1, 1], [0, 0]], [[1, 1], [0, r]]]), 0.9, LAST, axes="ass"
    ),
    "an MDP's sparse matrices": lambda p, r: MDP(
        [sparse.csr_array(p)] * 2, [sparse.csr_array((2, 2)), sparse.csr_array([[0, 0], [0, r]])], 0.9, LAST
    ),
    "an MDP's law": lambda p, r: MDP([p, p], [[1.0, 1.0], [0.0, FiniteLaw([r])]], 0.9, LAST),
}


@pytest.mark.parametrize("row", [[0.0, 1.0], [0.0, 0.0]], ids=["a loop", "no row"])
@pytest.mark.parametrize("case", LOST)
def test_a_reward_on_a_terminal_state_is_refused_and_never_dropped(case, row):
    p = np.array([[0.5, 0.5], row])
    with pytest.raises(ValueError, match=r"state 1.* is terminal, and its reward of .* would be lost.* transitions"):
        LOST[case](p, 5.0)
    if case != "a continuous law":
        assert LOST[case](p, 0.0).terminal.tolist() == LAST


def test_the_mend_keeps_the_reward():
    assert outcomes(MRP(ENDS, [[1.0, 6.0], [0.0, 0.0]], 0.9, LAST))[1] == (0, 0.5, 1, 6.0, True)


def test_a_reward_on_a_transition_that_never_happens_is_no_reward():
    table = [[1.0, 6.0], [7.0, 0.0]]  # state 1 never moves to state 0
    assert outcomes(MRP(ENDS, table, 0.9, LAST)) == outcomes(MRP([[0.5, 0.5], [0, 0]], table, 0.9, LAST))
    with pytest.raises(ValueError, match="reward of 7"):
        MRP([[0.5, 0.5], [1.0, 0.0]], table, 0.9, LAST)


def test_an_explicit_zero_of_a_sparse_matrix_is_no_transition():
    stored = sparse.csr_array(
        (np.array([0.5, 0.5, 0.0, 1.0]), np.array([0, 1, 0, 1]), np.array([0, 2, 4])), shape=(2, 2)
    )
    assert outcomes(MRP(stored, [[1.0, 6.0], [7.0, 0.0]], 0.9, LAST)) == outcomes(
        MRP(ENDS, [[1.0, 6.0], [7.0, 0.0]], 0.9, LAST)
    )


# The order of axes


def transposable(n_states, n_actions, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(n_states), (n_actions, n_states))
    return p, rng.normal(size=p.shape)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_both_orders_of_axes_give_one_model(n_states, n_actions, seed):
    p, r = transposable(n_states, n_actions, seed)
    first = MDP(p, r, 0.9, axes="ass")
    assert outcomes(first) == outcomes(MDP(p.transpose(1, 0, 2), r.transpose(1, 0, 2), 0.9, axes="sas"))
    assert outcomes(first) == outcomes(MDP(list(p), list(r), 0.9))
    assert outcomes(first) == outcomes(MDP([*map(sparse.csr_array, p)], [*map(sparse.csr_array, r)], 0.9))
    if n_states != n_actions:
        assert outcomes(first) == outcomes(MDP(p, r, 0.9))
        by_pair = r[:, :, 0].T
        assert outcomes(MDP(p, by_pair, 0.9)) == outcomes(MDP(p.transpose(1, 0, 2), by_pair, 0.9, axes="sas"))


@given(st.integers(2, 4), st.integers(0, 5))
def test_an_array_whose_axes_cannot_be_told_is_refused(n, seed):
    p, r = transposable(n, n, seed)
    with pytest.raises(ValueError, match=rf"P has shape \({n}, {n}, {n}\), so .* told.*axes='ass'.*axes='sas'"):
        MDP(p, np.zeros(n), 0.9)
    with pytest.raises(ValueError, match=r"rewards has shape .* so it cannot be told"):
        MDP(list(p), r, 0.9)
    assert outcomes(MDP(p, r, 0.9, axes="ass")) != outcomes(MDP(p, r, 0.9, axes="sas"))


def test_an_array_that_reads_alike_both_ways_needs_no_axes():
    p = np.full((2, 2, 2), 0.5)
    r = np.array([[[1.0, 2.0], [3.0, 4.0]], [[3.0, 4.0], [5.0, 6.0]]])
    assert outcomes(MDP(p, r, 0.9)) == outcomes(MDP(p, r, 0.9, axes="sas")) == outcomes(MDP(p, r, 0.9, axes="ass"))


def test_an_array_with_states_first_is_recognised_by_its_shape():
    p, r = transposable(3, 2)
    with pytest.raises(ValueError, match=r"P has shape \(3, 2, 3\), which is not.*give axes='sas'"):
        MDP(p.transpose(1, 0, 2), np.zeros(3), 0.9)
    with pytest.raises(ValueError, match=r"rewards has shape \(3, 2, 3\), which is not.*give axes='sas'"):
        MDP(p, r.transpose(1, 0, 2), 0.9)
    with pytest.raises(ValueError, match="axes='sas' is for arrays"):
        MDP([*map(sparse.csr_array, p)], np.zeros(3), 0.9, axes="sas")
    with pytest.raises(ValueError, match="axes must be 'ass', 'sas' or None, got 'saa'"):
        MDP(p, r, 0.9, axes="saa")


def test_environments_with_as_many_actions_as_states_are_not_stopped():
    for model in (environments.garnet(3, 3, 2, rng=0), environments.truncated_normal(3, 3, rng=0)):
        assert model.n_states == model.n_actions == 3


# What lies under a mask


MASKED = {
    "P": lambda x: MRP(np.ma.array(COIN, mask=[[x, 0], [0, 0]]), [1.0, 2.0], 0.9),
    "a matrix in a list": lambda x: MDP([COIN, np.ma.array(COIN, mask=[[x, 0], [0, 0]])], [1.0, 2.0], 0.9),
    "a row in a list": lambda x: MRP([np.ma.array([0.5, 0.5], mask=[x, 0]), [0.5, 0.5]], [1.0, 2.0], 0.9),
    "rewards": lambda x: MRP(COIN, np.ma.array([1.0, 2.0], mask=[0, x]), 0.9),
    "terminal": lambda x: MRP(COIN, [1.0, 0.0], 0.9, np.ma.array([False, True], mask=[x, 0])),
    "initial": lambda x: MRP(COIN, [1.0, 2.0], 0.9, initial=np.ma.array([0.5, 0.5], mask=[0, x])),
    "a policy": lambda x: MDP([COIN], [1.0, 2.0], 0.9).under(np.ma.array([0, 0], mask=[0, x])),
    "a law's values": lambda x: FiniteLaw(np.ma.array([1.0, 2.0], mask=[0, x])),
    "a column": lambda x: MRP.from_outcomes(
        {
            "state": [0],
            "probability": [1.0],
            "next_state": [0],
            "reward": np.ma.array([1.0], mask=[x]),
            "terminal": [True],
        },
        0.9,
    ),
    "an array of rows": lambda x: MRP.from_outcomes(np.ma.array([[0, 1, 0, 1, 1.0]], mask=[[0, 0, 0, x, 0]]), 0.9),
    "a log": lambda x: EmpiricalMDP(np.ma.array([[0, 0, 1.0, 0, 1]], mask=[[0, 0, x, 0, 0]]), 0.9),
}


@pytest.mark.parametrize("case", MASKED)
def test_what_lies_under_a_mask_is_not_used(case):
    MASKED[case](False)  # a masked array without a masked entry is an array
    with pytest.raises(ValueError, match=r"is masked; leave masked entries out"):
        MASKED[case](True)


def test_the_masked_constant_is_no_number():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for build in (lambda: MRP(COIN, [1.0, np.ma.masked], 0.9), lambda: MRP(COIN, [1.0, 2.0], np.ma.masked)):
            with pytest.raises(ValueError, match="is masked"):
                build()


# Numbers of other kinds


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g", ">f8", "<f8", "i1", "u8", "O"])
def test_every_kind_of_number_gives_the_same_model(kind):
    p, r = np.array([[0, 1], [1, 0]]).astype(kind), np.array([3, 2]).astype(kind)
    p.flags.writeable = r.flags.writeable = False
    assert outcomes(MRP(p, r, 0.9)) == [(0, 1.0, 1, 3.0, False), (1, 1.0, 0, 2.0, False)]


def test_what_a_half_float_cannot_say_is_refused_by_its_sum():
    with pytest.raises(ValueError, match=r"state 0 sum to 1.0001"):
        MRP(np.array([[0.3, 0.6, 0.1]] * 3).astype("f2"), np.zeros(3), 0.9)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (np.array([1.0, 1j]), "real numbers"),
        (np.array([1.0, None], dtype=object), "real numbers"),
        (np.array(["1", "2"]), "real numbers"),
        (np.array(["2020", "2021"], dtype="M8[Y]"), "real numbers"),
        (np.array([2**63, 2.0**70]) * 1e80, "beyond 1e\\+100"),
        (np.array([1, 10**400], dtype=object), "real numbers|finite"),
        (np.float64(1.0), "dimension"),
    ],
)
def test_rewards_that_are_no_numbers_are_refused(value, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        MRP(COIN, value, 0.9)


def test_labels_in_another_order_than_positions_are_not_passed_over():
    pandas = pytest.importorskip("pandas")
    p = [[0.25, 0.75], [0.5, 0.5]]
    turned, square = pandas.Series([2.0, 1.0], index=[1, 0]), pandas.DataFrame(p, index=[1, 0], columns=[1, 0])
    for build, name in (
        (lambda: MRP(p, turned, 0.9), "rewards"),
        (lambda: MRP(p, [1.0, 2.0], 0.9, initial=turned / 3), "initial"),
        (lambda: MRP(p, [1.0, 0.0], 0.9, terminal=turned == 1.0), "terminal"),
        (lambda: MRP(square, [1.0, 2.0], 0.9), "P"),
        (lambda: MDP([p, square], [1.0, 2.0], 0.9), r"P\[1\]"),
        (lambda: MDP([p, p], turned, 0.9), "rewards"),
        (lambda: MDP([p, p], [1.0, 2.0], 0.9).under(turned - 1), "policy"),
    ):
        with pytest.raises(ValueError, match=rf"the index of {name} is \[1, 0\], in another order than its positions"):
            build()
    named = pandas.DataFrame(p, index=["a", "b"], columns=["b", "a"])
    with pytest.raises(ValueError, match="the index and the columns of P name the same things in another order"):
        MRP(named, [1.0, 2.0], 0.9)
    expected = outcomes(MRP(p, [1.0, 2.0], 0.9))
    for labels in (["a", "b"], [0, 1], [1, 2]):
        frame = pandas.DataFrame(p, index=labels, columns=labels)
        assert outcomes(MRP(frame, pandas.Series([1.0, 2.0], index=labels), 0.9)) == expected
    assert outcomes(MRP(p, turned.sort_index(), 0.9)) == expected


def test_booleans_are_no_positions():
    """A column of ends in the place of a column of states was 0 and 1."""
    rows = [(0, True, 1.0, 0, 1.0, False), (1, False, 1.0, 0, 1.0, False)]
    with pytest.raises(TypeError, match="action holds booleans, not positions; look at the order"):
        MDP.from_outcomes(rows, 0.9)
    with pytest.raises(TypeError, match="next_state holds booleans"):
        EmpiricalMRP({"state": [0], "reward": [1.0], "next_state": [False], "terminal": [True]}, 0.9)


def test_missing_values_of_pandas_are_refused():
    pandas = pytest.importorskip("pandas")
    for column, name in (
        (pandas.array([1.0, None], dtype="Float64"), "reward"),
        (pandas.array([0, None], dtype="Int64"), "next_state"),
        (pandas.array([True, None], dtype="boolean"), "terminal"),
        ([1.0, None], "reward"),
    ):
        columns = {"state": [0, 1], "probability": [1.0, 1.0], "next_state": [0, 1], "reward": [0.0, 0.0]}
        frame = pandas.DataFrame({**columns, "terminal": [True, True], name: column})
        with pytest.raises((ValueError, TypeError), match=name):
            MRP.from_outcomes(frame, 0.9)
    whole = pandas.DataFrame({**columns, "terminal": pandas.array([True, False], dtype="boolean")})
    assert MRP.from_outcomes(whole.convert_dtypes(), 0.9).outcomes.terminals.tolist() == [True, False]


def test_a_column_of_mixed_things_may_hold_booleans():
    rows = np.array([(0, 1.0, 0, 1.0, True)], dtype=object)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows, columns=["state", "probability", "next_state", "reward", "terminal"])
    assert outcomes(MRP.from_outcomes(frame, 0.9)) == [(0, 1.0, 0, 1.0, True)]


def test_duplicates_of_a_sparse_matrix_add_up_beyond_a_small_integer():
    twice = sparse.coo_array((np.array([100, 100], dtype=np.int8), ([0, 0], [0, 0])), shape=(1, 1))
    assert MRP([[1.0]], twice, 0.9).expected_rewards.tolist() == [200.0]
    halves = sparse.coo_array(([0.5, 0.5], ([0, 0], [0, 0])), shape=(1, 1))
    assert outcomes(MRP(halves, twice, 0.9)) == [(0, 1.0, 0, 200.0, False)]


SHORT = 1 - 9e-10
MDP_OF_TWO = MDP([[[SHORT, 0], [0, 1]], [[SHORT, 0], [0, 1]]], [1.0, 1.0], 0.9)

# Rows that do not sum to 1


def test_the_noise_of_arithmetic_counts_as_zero():
    left = 1 - 0.9 - 0.1
    assert left < 0
    for model in (
        MRP([[0.9, 0.1, left]] * 3, [1.0, 2.0, 3.0], 0.9),
        MRP(sparse.csr_array([[0.9, 0.1, left]] * 3), [1.0, 2.0, 3.0], 0.9),
        MDP([[[0.9, 0.1, left]] * 3], [1.0, 2.0, 3.0], 0.9),
        MRP.from_outcomes([(s, q, y, s + 1.0, False) for s in range(3) for y, q in enumerate((0.9, 0.1, left))], 0.9),
    ):
        assert outcomes(model) == [(s, q, y, s + 1.0, False) for s in range(3) for y, q in enumerate((0.9, 0.1))]
    assert MRP(np.eye(3), np.zeros(3), 0.9, initial=[0.9, 0.1, left]).initial.tolist() == [0.9, 0.1, 0.0]
    assert FiniteLaw([1, 2, 3], [0.9, 0.1, left]).probs.tolist() == [0.9, 0.1]
    mdp = MDP([np.eye(2)] * 3, np.zeros(2), 0.9)
    assert mdp.policy_matrix([[0.9, 0.1, left]] * 2).tolist() == [[0.9, 0.1, 0.0]] * 2


@pytest.mark.parametrize("below", [-1e-11, -1e-3, -1.0])
def test_what_is_more_than_noise_is_a_negative_probability(below):
    row = [0.9, 0.1 - below, below]
    for build in (
        lambda: MRP([row] * 3, np.zeros(3), 0.9),
        lambda: MRP(np.eye(3), np.zeros(3), 0.9, initial=row),
        lambda: FiniteLaw([1, 2, 3], row),
        lambda: MDP([np.eye(2)] * 3, np.zeros(2), 0.9).under([row, [1, 0, 0]]),
    ):
        with pytest.raises(ValueError, match="probabilities cannot be negative"):
            build()


ROUGH = [[0.333, 0.333, 0.333], [0.5, 0.5, 0.0], [0.25, 0.25, 0.49]]  # a table that was printed once


def test_rows_that_do_not_sum_to_one_are_divided_only_on_demand_and_said():
    exact = [[1 / 3] * 3, [0.5, 0.5, 0.0], np.array([0.25, 0.25, 0.49]) / 0.99]
    rows = [(s, q, y, 1.0 * s, False) for s, row in enumerate(ROUGH) for y, q in enumerate(row)]
    for build in (
        lambda **how: MRP(ROUGH, [0.0, 1.0, 2.0], 0.9, **how),
        lambda **how: MRP(sparse.csr_array(ROUGH), [0.0, 1.0, 2.0], 0.9, **how),
        lambda **how: MRP.from_outcomes(rows, 0.9, **how),
        lambda **how: MDP([ROUGH], [0.0, 1.0, 2.0], 0.9, **how).under("uniform"),
        lambda **how: MDP.from_outcomes([(s, 0, *rest) for s, *rest in rows], 0.9, **how).under("uniform"),
    ):
        with pytest.raises(ValueError, match=r"state 0.* sum to 0\.999, not 1 .*normalise=True"):
            build()
        with pytest.warns(UserWarning, match=r"2 of 3 rows .*divided.* state 2.* summed to 0\.99$") as caught:
            model = build(normalise=True)
        assert caught[0].filename == __file__
        np.testing.assert_allclose(model.continuation.toarray(), exact, rtol=0, atol=1e-15)
        assert model.expected_rewards.tolist() == pytest.approx([0.0, 1.0, 2.0])


def test_normalising_changes_no_row_that_is_accepted_without_it():
    row = [1 / 3, 1 / 3, 0.3333333333]  # short by 3e-11
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert outcomes(MRP([row] * 3, np.zeros(3), 0.9, normalise=True)) == outcomes(MRP([row] * 3, np.zeros(3), 0.9))


def test_a_row_of_nothing_cannot_be_divided():
    with pytest.raises(ValueError, match="state 1 has no outcome"):
        MRP([[0.5, 0.4], [0.0, 0.0]], [1.0, 2.0], 0.9, normalise=True)
    rows = [(0, 1.0, 0, 1.0, False), (1, 0.0, 1, 1.0, False)]
    with pytest.raises(ValueError, match="state 1 sum to 0"):
        MRP.from_outcomes(rows, 0.9, normalise=True)


def test_whether_to_normalise_is_yes_or_no():
    with pytest.raises(TypeError, match="normalise must be True or False, got 'no'"):
        MRP(ROUGH, np.zeros(3), 0.9, normalise="no")


def test_what_is_accepted_goes_on_working():
    """A row and a policy that are both off by almost what is allowed: together they are off by twice that."""
    mixed = MDP_OF_TWO.under([[0.5 * SHORT, 0.5 * SHORT], [1, 0]])
    assert mixed.outcomes.defects == pytest.approx([1.8e-9, 0.0], rel=1e-6)
    empirical = EmpiricalMRP([(1, 0.0, 1, True)], 0.9, unvisited=mixed)
    assert outcomes(empirical)[0] == outcomes(mixed)[0]
    assert empirical.outcomes.defects.tolist() == mixed.outcomes.defects.tolist()


def test_what_a_policy_lacks_does_not_make_up_for_what_a_row_has_too_much():
    d = 5e-10
    mdp = MDP([[[1 + d]], [[1 + d]]], [1.0], 0.9)
    for weights in ([0.5 * (1 - d)] * 2, [0.5 * (1 + d)] * 2):
        assert mdp.under([weights]).outcomes.defects == pytest.approx([2 * d], rel=1e-5)
    assert MDP([[[1.0]]] * 10, [1.0], 0.9).under("uniform").outcomes.defects.tolist() == [0.0]  # rounding is no defect


def test_a_mixed_model_loads_again_with_what_it_lacks(tmp_path):
    model = MDP_OF_TWO.under([[0.5 * SHORT, 0.5 * SHORT], [1, 0]])
    save(model, tmp_path / "m.npz")
    again = load(tmp_path / "m.npz")
    assert outcomes(again) == outcomes(model)
    assert again.outcomes.defects.tolist() == model.outcomes.defects.tolist() != [0.0, 0.0]


# Masks, policies and discounts


def test_terminal_is_a_mask_and_never_positions():
    model = MRP(ENDS, [1.0, 0.0], 0.9, terminal=[0, 1])
    assert model.terminal.tolist() == [False, True]  # as positions it would be every state
    for positions in ([1], [0, 2], np.array([2])):
        with pytest.raises(ValueError, match=r"mask of shape .*positions become a mask by numpy.isin"):
            MRP(np.eye(3), np.zeros(3), 0.9, terminal=positions)
    with pytest.raises(ValueError, match="booleans"):
        MRP(np.eye(3), np.zeros(3), 0.9, terminal=[0, 1, 2])


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ([[0], [1]], r"policy must have shape \(2,\) or \(2, 2\), got \(2, 1\)"),
        ([-1, 0], r"policy\[0\] is -1, not an action"),
        ([0.0, 0.5], r"policy\[1\] is 0.5"),
        ([np.nan, 0], "finite"),
        (["0", "1"], "real numbers"),
        ([None, 0], "real numbers"),
        (0, "dimension"),
        ([[[0.5, 0.5]] * 2], "dimension"),
        ([[0.5, 0.6], [0.5, 0.5]], r"policy\[0\] sums to 1.1"),
    ],
)
def test_a_policy_of_another_shape_or_kind_is_not_bent_into_one(policy, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        MDP([COIN, ENDS], [1.0, 2.0], 0.9).under(policy)


def test_whole_numbers_of_any_kind_are_actions():
    mdp = MDP([COIN, ENDS], [1.0, 2.0], 0.9)
    for kind in ("f8", "i1", "u8", bool, object):
        assert outcomes(mdp.under(np.array([1, 0]).astype(kind))) == outcomes(mdp.under([1, 0]))


@pytest.mark.parametrize("discount", [np.nan, np.inf, True, np.bool_(False), "0.9", None, 1 + 1e-9, -1e-9, [0.9], 0.9j])
def test_a_discount_is_a_number_from_zero_to_one(discount):
    for build in (
        lambda: MRP(COIN, [1.0, 2.0], discount),
        lambda: MDP([COIN], [1.0, 2.0], discount),
        lambda: MRP.from_outcomes([(0, 1.0, 0, 1.0, True)], discount),
        lambda: MDP.from_outcomes([(0, 0, 1.0, 0, 1.0, True)], discount),
        lambda: EmpiricalMDP([(0, 0, 1.0, 0, True)], discount),
    ):
        with pytest.raises((ValueError, TypeError), match="discount"):
            build()


@pytest.mark.parametrize("initial", [[0.5, 0.4], [1.0], [1.5, -0.5], [np.nan, 1.0], 0, "uniform", [[0.5, 0.5]]])
def test_a_law_of_the_first_state_is_a_distribution(initial):
    for build in (
        lambda: MRP(COIN, [1.0, 2.0], 0.9, initial=initial),
        lambda: MDP([COIN], [1.0, 2.0], 0.9, initial=initial),
        lambda: EmpiricalMDP([(0, 0, 1.0, 1, True), (1, 0, 1.0, 0, True)], 0.9, initial=initial),
    ):
        with pytest.raises((ValueError, TypeError), match="initial"):
            build()
