"""Arrays, QuantEcon's dynamic programs and pymdptoolbox's arrays: in by one line, and back."""

import re
import sys
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import distrl
from distrl import MDP, MRP, from_arrays, from_pymdptoolbox, from_quantecon
from distrl.testing import mrps
from tests.outside_models import any_mdps, assert_same_model, optimal_values

pytestmark = pytest.mark.fast
INF = float("inf")


# ---- arrays

P = np.array([[[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 0], [0.25, 0.25, 0.5]]])  # (A, S, S)
R = np.array([[5.0, 10.0], [-1.0, 0.0], [0.0, 2.0]])


def test_a_row_of_zeros_is_an_action_that_is_not_available():
    mdp = from_arrays(P, R, 0.95)
    assert mdp.available.tolist() == [[True, True], [True, False], [True, True]]
    assert_same_model(mdp, MDP(P, R, 0.95, available=mdp.available, axes="ass"))


@pytest.mark.parametrize("mark", [-INF, np.nan, 0.0])
def test_a_reward_may_mark_it_as_well(mark):
    rewards = R.copy()
    rewards[1, 1] = mark
    assert_same_model(from_arrays(P, rewards, 0.95), from_arrays(P, R, 0.95))


def test_minus_infinity_closes_a_pair_whatever_its_row():
    rows = P.copy()
    rows[1, 1] = [0.25, 0.25, 0.5]
    rewards = R.copy()
    rewards[1, 1] = -INF
    assert_same_model(from_arrays(rows, rewards, 0.95), from_arrays(P, R, 0.95))
    by_transition = np.broadcast_to(rewards.T[:, :, None], P.shape)
    assert_same_model(from_arrays(rows, by_transition, 0.95), from_arrays(P, R, 0.95))


def test_both_orders_of_axes_and_sparse_lists_say_the_same():
    for rewards in (R, np.random.default_rng(0).normal(size=P.shape)):
        other = rewards.transpose(1, 0, 2) if rewards.ndim == 3 else rewards
        first = from_arrays(P, rewards, 0.9, axes="ass")
        assert_same_model(first, from_arrays(P.transpose(1, 0, 2), other, 0.9, axes="sas"))
        matrices = [sparse.csr_array(p) for p in P]
        listed = [sparse.csr_array(r) for r in rewards] if rewards.ndim == 3 else rewards
        assert_same_model(first, from_arrays(matrices, listed, 0.9))


def test_a_cube_of_which_nobody_says_the_order_is_refused():
    cube = np.random.default_rng(0).dirichlet(np.ones(3), size=(3, 3))
    with pytest.raises(ValueError, match="cannot be told"):
        from_arrays(cube, np.zeros((3, 3)), 0.9)


@pytest.mark.parametrize("axes", ["ass", "sas"])
@given(any_mdps())
def test_a_model_is_the_same_after_arrays(axes, mdp):
    try:
        arrays = mdp.to_arrays(axes)
    except ValueError as error:  # what arrays cannot say: see `to_sparse`
        assert re.search("reach|ends on the way", str(error))
        return
    shape = (mdp.n_actions, mdp.n_states) if axes == "ass" else (mdp.n_states, mdp.n_actions)
    assert arrays.P.shape == arrays.R.shape == (*shape, mdp.n_states)
    ends, table = arrays.terminal, mdp.outcomes
    # a row of zeros says that the action is not available, but for an end, whose rows are not looked at
    available = None if mdp.available[ends].all() else mdp.available
    again = from_arrays(arrays.P, arrays.R, mdp.discount, axes, terminal=ends, available=available)
    if (ends[table.next_states] & ~table.terminals).any():  # a move to an end, which ends the return when read again
        assert (again.outcomes.terminals >= table.terminals).all()
        for one, other in zip(arrays, again.to_arrays(axes), strict=True):
            np.testing.assert_array_equal(one, other)
    else:
        assert_same_model(mdp, again)


@pytest.mark.parametrize("axes", ["ass", "sas"])
def test_ends_with_some_actions_and_moves_to_ends_come_back_from_arrays(axes):
    """Found by exploration: an end that lacks an action, and a move to an end that is not marked as the last one."""
    some = MDP.from_outcomes([(0, 0, 1.0, 0, 0.0, False), (1, 1, 1.0, 1, 0.0, True)], 0.0)
    arrays = some.to_arrays(axes)
    again = from_arrays(arrays.P, arrays.R, 0.0, axes, terminal=arrays.terminal, available=some.available)
    assert_same_model(some, again)
    moved = MDP.from_outcomes([(0, 0, 1.0, 1, 2.0, False), (1, 0, 1.0, 1, 0.0, True)], 0.5)
    arrays = moved.to_arrays(axes)
    again = from_arrays(arrays.P, arrays.R, 0.5, axes, terminal=arrays.terminal)
    assert again.outcomes.terminals.tolist() == [True, True] and not moved.outcomes.terminals[0]
    for model in (moved, again):
        assert distrl.evaluate(model, policy=[0, 0]).values.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("bad", [[None, np.empty((0, 0))], [[0.5], [0.5, 0.5]]])
def test_a_ragged_discount_is_refused_by_name(bad):
    with pytest.raises((ValueError, TypeError), match="discount"):
        from_arrays([np.eye(2)] * 2, [[1.0, 1.0], [2.0, 0.0]], bad, axes="ass")


@given(mrps(random_rewards=False))
def test_a_chain_is_the_same_after_arrays(mrp):
    try:
        p, r, terminal = mrp.to_arrays()
    except ValueError as error:
        assert re.search("reach|ends on the way", str(error))
        return
    again = from_arrays(p, r, mrp.discount, terminal=terminal)
    assert isinstance(again, MRP)
    for column in ("indptr", "probs", "next_states", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(mrp.outcomes, column), getattr(again.outcomes, column))


def test_at_discount_one_a_loop_that_pays_nothing_ends():
    assert from_arrays([[0.5, 0.5], [0, 1]], [1.0, 0.0], 1.0).terminal.tolist() == [False, True]
    assert not from_arrays([[0.5, 0.5], [0, 1]], [1.0, 0.0], 0.9).terminal.any()
    kept = from_arrays([[[0.5, 0.5], [0, 1]]], [[1.0], [0.0]], 1.0, absorbing="keep")
    assert not kept.outcomes.terminals.any()


@pytest.mark.parametrize(
    ("p", "r", "options", "sentence"),
    [
        (P, R + np.array([[0, 0], [0, 3], [0, 0]]), {}, r"R\[1, 1\] is 3, but state 1 has a row of zeros in P"),
        (P * [[[1], [0], [1]], [[1], [0], [1]]], R * [[1, 1], [0, 0], [1, 1]], {}, "state 1 has no action"),
        (P, R - np.array([[INF, 0], [0, 0], [0, 0]]), {"available": np.ones((3, 2))}, r"R\[0, 0\] is -inf, but avail"),
        (P, np.where(P == 0.5, -INF, 0.0), {}, "state 2, action 1 has the reward -inf on some transitions"),
        (P, R + np.array([[np.nan, 0], [0, 0], [0, 0]]), {}, "nan"),
        (P, R, {"axes": "ssa"}, "axes must be"),
        (P[0], [1, 2, 3], {"axes": "ass"}, "leave axes out"),
        (P[:, :2], R, {}, "square|shape"),
        (P, R[:2], {}, "rewards must have shape"),
        (P, R, {"discount": 1.5}, "discount"),
        (0.9 * P, R, {}, "sum to 0.9"),
    ],
)
def test_arrays_that_say_two_things_are_refused(p, r, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_arrays(p, r, **{"discount": 0.9} | options)


# ---- QuantEcon

Q = np.array([[[0.5, 0.5], [0, 1]], [[0, 1], [np.nan, 7]]])  # the last row is not looked at
PUTERMAN = SimpleNamespace(R=[[5, 10], [-1, -INF]], Q=Q, beta=0.95, s_indices=None, a_indices=None)
PAIRS = SimpleNamespace(
    R=[10, 5, -1], Q=[[0, 1], [0.5, 0.5], [0, 1]], beta=0.95, s_indices=[0, 0, 1], a_indices=[1, 0, 0]
)


@pytest.mark.parametrize("form", ["product", "pairs", "sparse"])
def test_putermans_example_has_its_published_values(form):
    """Puterman 2005, example 6.2.1, which QuantEcon's tests use: closed forms for a discount above 10/11."""
    ddp = PUTERMAN if form == "product" else SimpleNamespace(**vars(PAIRS))
    if form == "sparse":
        ddp.Q = sparse.csr_matrix(ddp.Q)
    mdp = from_quantecon(ddp)
    assert mdp.available.tolist() == [[True, True], [True, False]]
    values, policy = optimal_values(mdp)
    np.testing.assert_allclose(values, [(5 - 5.5 * 0.95) / (1 - 0.5 * 0.95) / 0.05, -1 / 0.05], rtol=1e-11)
    assert policy.tolist() == [0, 0]


def growth(n=16, capacity=5, shocks=10, alpha=0.5, beta=0.9):
    """The stochastic growth model of QuantEcon's lecture on discrete dynamic programming."""
    rewards, q = np.full((n, capacity + 1), -INF), np.zeros((n, capacity + 1, n))
    for stock in range(n):
        for stored in range(min(stock, capacity) + 1):
            rewards[stock, stored] = (stock - stored) ** alpha
            q[stock, stored, stored : stored + shocks + 1] = 1.0 / (shocks + 1)
    return SimpleNamespace(R=rewards, Q=q, beta=beta, s_indices=None, a_indices=None)


def test_the_lectures_growth_model_has_its_printed_values():
    values, policy = optimal_values(from_quantecon(growth()))
    printed = (
        "19.01740222 20.01740222 20.43161578 20.74945302 21.04078099 21.30873018 21.54479816 21.76928181 21.98270358 \
    22.18824323 22.3845048 22.57807736 22.76109127 22.94376708 23.11533996 23.27761762"
    )
    np.testing.assert_allclose(values, np.array(printed.split(), dtype=float), atol=5.1e-9)
    assert policy.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 5]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"R": [[5, 10], [-1, INF]]}, "state 1, action 1 is inf"),
        ({"R": [[5, np.nan], [-1, -INF]]}, "state 0, action 1 is nan"),
        ({"R": [[5, 10], [-INF, -INF]]}, "state 1 has no available action"),
        ({"Q": Q[:, :1]}, "ddp.Q must have shape"),
        ({"Q": Q * [[[1], [0.5]], [[1], [1]]]}, "state 0, action 1 sum to 0.5"),
        ({"Q": np.array([[[0.5, 0.5], [np.nan, 1]], Q[1]])}, "state 0, action 1 goes to state 0 with probability nan"),
        ({"beta": -1}, "discount"),
        ({"R": [1, 2, 3]}, "ddp.Q"),
    ],
)
def test_a_program_that_is_none_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_quantecon(SimpleNamespace(**vars(PUTERMAN) | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"s_indices": None}, "ddp.s_indices is None"),
        ({"s_indices": [0, 0, 2]}, r"ddp.s_indices\[2\] is 2"),
        ({"a_indices": [0, 0, 0]}, "state 0, action 0 comes twice"),
        ({"a_indices": [0, 1]}, "ddp.a_indices has 2 entries"),
        ({"Q": [[0, 1], [0.5, 0.5]]}, "ddp.Q has 2 rows"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_quantecon(SimpleNamespace(**vars(PAIRS) | changes))


@pytest.mark.parametrize("given", [None, 3, MDP, "DiscreteDP"])
def test_anything_else_is_no_program(given):
    with pytest.raises(TypeError, match="DiscreteDP"):
        from_quantecon(given)


class TestQuantEcon:
    """With the library itself, where it is there."""

    @pytest.fixture(autouse=True)
    def library(self):
        self.markov = pytest.importorskip("quantecon.markov")

    def program(self, spaces):
        fields = vars(spaces)
        return self.markov.DiscreteDP(*(fields[name] for name in ("R", "Q", "beta", "s_indices", "a_indices")))

    @pytest.mark.parametrize("spaces", [growth(), PAIRS])
    def test_its_programs_have_the_values_that_it_finds(self, spaces):
        ddp = self.program(spaces)
        for form in (ddp, ddp.to_sa_pair_form(), ddp.to_product_form()):
            found = form.solve(method="policy_iteration")
            values, policy = optimal_values(from_quantecon(form))
            np.testing.assert_allclose(values, found.v, rtol=1e-10)
            np.testing.assert_array_equal(policy, found.sigma)

    @pytest.mark.parametrize("is_sparse", [True, False])
    @given(mdp=any_mdps(rewards=st.just(0.0), terminals=False), data=st.data())
    def test_a_model_is_the_same_after_a_program(self, is_sparse, mdp, data):
        paid = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=len(mdp.pairs), max_size=len(mdp.pairs))))
        rows = [
            (*mdp.pairs[source], mdp.outcomes.probs[row], mdp.outcomes.next_states[row], float(paid[source]), False)
            for source in range(len(mdp.pairs))
            for row in range(mdp.outcomes.indptr[source], mdp.outcomes.indptr[source + 1])
        ]
        model = MDP.from_outcomes(rows, mdp.discount, absorbing="keep")
        assert_same_model(model, from_quantecon(model.to_quantecon(sparse=is_sparse)))

    @pytest.mark.filterwarnings("ignore:to_quantecon. rewards differ")
    @pytest.mark.parametrize("is_sparse", [True, False])
    @given(mdp=any_mdps())
    def test_ends_and_varying_rewards_keep_their_values(self, is_sparse, mdp):
        found = mdp.to_quantecon(sparse=is_sparse).solve(method="policy_iteration")
        values, _ = optimal_values(mdp)
        np.testing.assert_allclose(found.v[: mdp.n_states], values, atol=1e-9)

    def test_a_mean_in_place_of_a_law_is_said(self):
        mdp = MDP.from_outcomes([(0, 0, 1.0, 0, distrl.FiniteLaw([1, 2]), False)], 0.5)
        with pytest.warns(UserWarning, match="their mean"):
            assert mdp.to_quantecon().R.tolist() == [1.5]

    def test_what_ends_is_a_loop_that_pays_nothing(self):
        mdp = MDP(np.array([[[0, 1], [0, 0]]]), [[2.0], [0.0]], 0.9, terminal=[False, True])
        ddp = mdp.to_quantecon()
        assert ddp.num_states == 2 and ddp.Q.toarray().tolist() == [[0, 1], [0, 1]]
        assert_same_model(from_quantecon(ddp, absorbing="end"), mdp)


def through_stand_in(model, **options):
    """What `to_quantecon` hands to the library, where that is not there."""

    def program(R, Q, beta, s_indices=None, a_indices=None):
        return SimpleNamespace(R=R, Q=Q, beta=beta, s_indices=s_indices, a_indices=a_indices)

    library = SimpleNamespace(markov=SimpleNamespace(DiscreteDP=program))
    with mock.patch.dict(sys.modules, {"quantecon": library}):
        return model.to_quantecon(**options)


@pytest.mark.filterwarnings("ignore:to_quantecon. rewards differ")
@pytest.mark.parametrize("is_sparse", [True, False])
@given(mdp=any_mdps())
def test_what_quantecon_is_given_has_the_same_values(is_sparse, mdp):
    ddp = through_stand_in(mdp, sparse=is_sparse)
    np.testing.assert_allclose(
        optimal_values(from_quantecon(ddp))[0][: mdp.n_states], optimal_values(mdp)[0], atol=1e-11
    )


@pytest.mark.parametrize("is_sparse", [True, False])
@given(mdp=any_mdps(rewards=st.just(2.0), terminals=False))
def test_what_quantecon_is_given_is_the_model(is_sparse, mdp):
    assert_same_model(mdp, from_quantecon(through_stand_in(mdp, sparse=is_sparse)))


def test_without_quantecon_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "quantecon", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .distrl\[quantecon\]"):
        from_arrays(P, R, 0.9).to_quantecon()


# ---- pymdptoolbox

FOREST_P = np.array([[[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]], [[1, 0, 0], [1, 0, 0], [1, 0, 0]]])
FOREST_R = np.array([[0, 0], [0, 1], [4, 2]])
SMALL_P = np.array([[[0.5, 0.5], [0.8, 0.2]], [[0, 1], [0.1, 0.9]]])
SMALL_R = np.array([[5, 10], [-1, 2]])


@pytest.mark.parametrize(
    ("p", "r", "discount", "published", "policy"),
    [  # the values of the toolbox's own tests, from the Octave version
        (FOREST_P, FOREST_R, 0.9, [26.244, 29.484, 33.484], [0, 0, 0]),
        (FOREST_P, FOREST_R, 0.96, [74.6496, 78.1056, 82.1056], [0, 0, 0]),
        (SMALL_P, SMALL_R, 0.9, [42.4418604651163, 36.0465116279070], [1, 0]),
    ],
)
def test_the_toolboxs_examples_have_their_published_values(p, r, discount, published, policy):
    values, best = optimal_values(from_pymdptoolbox(p, r, discount))
    np.testing.assert_allclose(values, published, atol=1e-11)
    assert best.tolist() == policy


def test_ten_years_of_forest_have_their_published_values():
    n = 10
    p = [sparse.lil_matrix((n, n)), sparse.lil_matrix((n, n))]
    p[0][:, 0], p[1][:, 0] = 0.1, 1.0
    for state in range(n):
        p[0][state, min(state + 1, n - 1)] = 0.9
    r = np.zeros((n, 2))
    r[-1, 0], r[1:, 1], r[-1, 1] = 4.0, 1.0, 2.0
    published = """
        26.8301859311444 28.0723241686974 29.5099841658652 31.1739424959205 33.0998201927438
        35.3288453048078 37.9087354808078 40.8947194808078 44.3507194808078 48.3507194808078
    """
    values, _ = optimal_values(from_pymdptoolbox([m.tocsr() for m in p], r, 0.96))
    np.testing.assert_allclose(values, np.array(published.split(), dtype=float), atol=1e-11)


def as_objects(matrices):
    held = np.empty(len(matrices), dtype=object)
    held[:] = list(matrices)
    return held


FORMS = {
    "array": np.asarray,
    "list": list,
    "tuple": tuple,
    "objects": lambda stack: as_objects([np.array(m) for m in stack]),
    "dict": lambda stack: dict(enumerate(stack)),
    "nested": lambda stack: np.asarray(stack).tolist(),
    "csr": lambda stack: [sparse.csr_matrix(m) for m in stack],
    "mixed": lambda stack: [sparse.csr_array(stack[0]), *stack[1:]],
    "sparse objects": lambda stack: as_objects([sparse.csc_matrix(m) for m in stack]),
}


@pytest.mark.parametrize("of_r", FORMS)
@pytest.mark.parametrize("of_p", FORMS)
def test_all_forms_say_the_same(of_p, of_r):
    rng = np.random.default_rng(0)
    p, r = rng.dirichlet(np.ones(4), size=(3, 4)), rng.normal(size=(3, 4, 4))
    known = MDP(p, r, 0.9, axes="ass")
    assert_same_model(known, from_pymdptoolbox(FORMS[of_p](p), FORMS[of_r](r), 0.9))


def test_rewards_by_state_and_by_pair_are_vectors_in_every_form():
    rng = np.random.default_rng(1)
    p, r = rng.dirichlet(np.ones(4), size=(3, 4)), rng.normal(size=(4, 3))
    known = MDP(p, r, 0.9, axes="ass")
    forms = [
        r,
        r.tolist(),
        list(r.T),
        tuple(r.T),
        [c[:, None] for c in r.T],
        [c[None, :] for c in r.T],
        sparse.csr_array(r),
    ]
    for form in forms:
        assert_same_model(known, from_pymdptoolbox(p, form, 0.9))
    by_state = MDP(p, r[:, 0], 0.9, axes="ass")
    for form in (r[:, 0], r[:, 0].tolist(), tuple(r[:, 0])):
        assert_same_model(by_state, from_pymdptoolbox(p, form, 0.9))
    one_by_transition = [r[:, 0], *(np.repeat(r[:, a, None], 4, axis=1) for a in (1, 2))]
    assert_same_model(known, from_pymdptoolbox(p, one_by_transition, 0.9))


@pytest.mark.parametrize(
    ("p", "r", "sentence"),
    [
        (SMALL_P, SMALL_R.tolist(), "with 2 states and 2 actions: give numpy.array"),
        (SMALL_P, [1, 2, 3], "R has 3 entries"),
        (SMALL_P, np.ones((3, 2)), "R must have shape"),
        (SMALL_P, [np.ones((2, 3)), np.ones((2, 2))], r"R\[0\] must have shape"),
        (SMALL_P, [[1, 2, 3], np.ones((2, 2))], r"R\[0\] must have shape"),
        (SMALL_P[0], SMALL_R, r"P\[0\] must have 2 dim"),
        ([SMALL_P[0], FOREST_P[0]], SMALL_R, "all of one size"),
        ([], SMALL_R, "square matrix for each action"),
        (SMALL_P * [[[1], [0]], [[1], [1]]], SMALL_R, r"P\[0\]: the row of state 1 is zero"),
        (SMALL_P * 0.5, SMALL_R, "sum to 0.5"),
        (SMALL_P, -INF * np.ones((2, 2)), "finite"),
        ({0: SMALL_P[0], 2: SMALL_P[1]}, SMALL_R, "its keys must be 0..1"),
    ],
)
def test_arrays_of_another_shape_are_refused(p, r, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_pymdptoolbox(p, r, 0.9)


@pytest.mark.parametrize("p", [None, "P", 3, sparse.eye_array(2)])
def test_what_is_no_array_is_refused(p):
    with pytest.raises(TypeError, match="P must be an array"):
        from_pymdptoolbox(p, SMALL_R, 0.9)


def test_the_toolbox_itself_computes_the_same_rewards():
    toolbox = pytest.importorskip("mdptoolbox.mdp")
    rng = np.random.default_rng(2)
    p, r = rng.dirichlet(np.ones(4), size=(3, 4)), rng.normal(size=(3, 4, 4))
    for form in (r, list(r), r[:, :, 0].T, r[0, :, 0]):
        its = toolbox.MDP(p, form, 0.9, None, None)
        np.testing.assert_allclose(from_pymdptoolbox(p, form, 0.9).expected_rewards.T, its.R, atol=1e-14)
