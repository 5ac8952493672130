"""Whatever is passed to a model constructor: a sound model, or a ValueError or TypeError raised inside distrl."""

import os
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

import distrl.models
from distrl.models import (
    MDP,
    MRP,
    EmpiricalMDP,
    FiniteLaw,
    environments,
    from_arrays,
    from_function,
    from_gymnasium,
    from_pymdptoolbox,
    from_quantecon,
    load,
    read_cassandra,
    read_prism,
    read_text,
    save,
    write_prism,
)

PACKAGE = str(Path(distrl.models.__file__).parent.parent)
COIN = [[0.5, 0.5], [0.5, 0.5]]
STAY = [[1.0, 0.0], [0.0, 1.0]]


class Env:
    """A hand-made environment with a table."""

    def __init__(self, P=None, isd=None):
        self.P, self.isd = P, isd


class Loops:
    """`unwrapped` refers to itself and there is no table."""

    @property
    def unwrapped(self):
        return self


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([2**53 + 1, 2**63, 10**15, -(10**400), 10**400]),
    st.floats(),
    st.sampled_from([0.5, 1.0, -0.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 1.7976931348623157e308, 5e-324]),
    st.complex_numbers(),
    st.text("ab01.-é\x00 #SGC\n", max_size=5),
    st.binary(max_size=3),
    st.fractions(),
    st.sampled_from(
        [
            np.float32(0.5),
            np.longdouble("1e4000"),
            np.complex128(1 + 1j),
            np.bool_(True),
            np.str_("0.5"),
            np.datetime64("2020-01-01"),
            np.array(0.5),
            np.array([1.0]),
            np.array("0.5"),
            Fraction(1, 2),
            object(),
            int,
            len,
            iter([1, 2]),
            {},
            {0: 1.0},
            {1, 2},
            Ellipsis,
            FiniteLaw([0, 1]),
            FiniteLaw([-1e99, 1e99]),
            stats.norm(),
            stats.norm,
            stats.cauchy(),
            stats.norm(0, -1),
            stats.norm([0, 1], 1),
            stats.poisson(2),
            stats.t(1.5),
            stats.multivariate_normal([0, 0]),
            "uniform",
        ]
    ),
)
arrays = st.sampled_from(
    [
        np.zeros((0, 0)),
        np.zeros((2, 2)),
        np.eye(2),
        np.eye(3),
        np.ones((1, 2, 2)),
        np.zeros((2, 0, 2)),
        np.eye(2, dtype=bool),
        np.eye(2, dtype=np.int8),
        np.eye(2, dtype=complex),
        np.eye(2, dtype=object),
        np.array([["0.5", "0.5"], ["1", "0"]]),
        np.array([[None, 1], [1, 2]], dtype=object),
        np.array([[[1, 2]], [3]], dtype=object),
        np.full((2, 2), np.nan),
        np.full((2, 2), 1e308),
        np.array([1.0, 0.0]),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        np.array(["2020", "2021"], dtype="M8[Y]"),
        sparse.csr_array(COIN),
        sparse.csr_matrix(COIN),
        sparse.coo_array(([0.5, 0.5, 1.0], ([0, 0, 1], [0, 0, 1])), shape=(2, 2)),
        sparse.csr_array([[np.nan, 1], [1, np.inf]]),
        sparse.csr_array(np.eye(2) * 1j),
        sparse.csr_array((2, 2)),
        sparse.csr_array((2, 3)),
        sparse.coo_array([0.5, 0.5]),
        sparse.lil_array((2, 2)),
        [sparse.csr_array(COIN), STAY],
        [sparse.csr_array(COIN), None],
        (sparse.csr_array(COIN), sparse.csr_array(STAY)),
    ]
)
junk = st.recursive(scalars | arrays, lambda inner: st.lists(inner, max_size=3), max_leaves=6)

ROWS = [(0, 0.5, 1, 1.0, False), (0, 0.5, 0, 2.0, True), (1, 1.0, 1, 0.0, True)]
MDP_ROWS = [(0, 0, 1.0, 1, 1.0, False), (1, 0, 0.5, 0, FiniteLaw([0, 1]), False), (1, 0, 0.5, 0, 1.0, True)]
TABLE = {0: {0: [(1.0, 1, 1.0, False)]}, 1: {0: [(0.5, 0, 2, False), (0.5, 1, 0, True)]}}


def call_env(P, isd, discount):
    return from_gymnasium(Env(P, isd), discount)


def call_program(**fields):
    return from_quantecon(SimpleNamespace(**fields))


def call_function(table, actions, states, discount, initial):
    def model(state, action):
        return table[action % len(table)] if isinstance(action, int) and isinstance(table, list) and table else table

    return from_function(states, actions, model, discount, initial=initial, max_states=20)


def under(policy, discount):
    ends = [[0.5, 0.5], [0.0, 0.0]]
    return MDP([ends, STAY], [[1.0, 2.0], [0, 0]], discount, terminal=[False, True]).under(policy)


def law(values, probs):
    return MRP([[1.0]], [FiniteLaw(values, probs)], 0.9)


#: constructor -> arguments that work
CALLS = {
    MRP: {"P": COIN, "rewards": [1.0, 2.0], "discount": 0.9, "terminal": None, "initial": [0.5, 0.5], "layout": (1, 2)},
    MDP: {"P": [COIN, STAY], "rewards": [[1, 2], [0, 0]], "discount": 0.9, "terminal": [False, True], "axes": "ass"},
    MRP.from_outcomes: {
        "rows": ROWS,
        "discount": 1.0,
        "columns": None,
        "absorbing": "keep",
        "normalise": False,
        "states": 2,
        "initial": None,
        "layout": None,
    },
    MDP.from_outcomes: {"rows": MDP_ROWS, "discount": 0.9, "states": None, "actions": 1, "initial": [1, 0]},
    under: {"policy": [[0.5, 0.5], [1.0, 0.0]], "discount": 0.5},
    law: {"values": [0.0, 1.0], "probs": [0.5, 0.5]},
    call_env: {"P": TABLE, "isd": [1.0, 0.0], "discount": 0.9},
    from_arrays: {
        "P": [COIN, [[0.0, 0.0], [0.0, 1.0]]],
        "R": [[1.0, -np.inf], [2.0, 0.0]],
        "discount": 0.9,
        "axes": "ass",
        "terminal": [False, False],
        "available": None,
        "absorbing": None,
        "states": ["a", "b"],
        "actions": None,
    },
    from_pymdptoolbox: {"P": [COIN, STAY], "R": [COIN, STAY], "discount": 0.9, "absorbing": "end", "normalise": False},
    call_program: {
        "R": [[1.0, -np.inf], [2.0, 0.0]],
        "Q": [COIN, STAY],
        "beta": 0.9,
        "s_indices": None,
        "a_indices": None,
    },
    call_function: {
        "table": [[(0.5, 0, 1.0), (0.5, 1, 2.0, True)], ({1: 1.0}, 3.0)],
        "actions": 2,
        "states": 2,
        "discount": 0.9,
        "initial": [0],
    },
    environments.chain: {"states": 3, "slip": 0.2, "discount": 1.0, "step_reward": 0.0, "end_reward": 1.0},
    environments.two_state: {"switch": (0.5, 0.25), "rewards": (1, 0), "discount": 0.9},
    environments.cycle: {"states": 2, "rewards": [1, 2], "discount": 0.9},
    environments.garnet: {
        "states": 3,
        "actions": 2,
        "branching": 2,
        "discount": 0.9,
        "rewards": "normal",
        "concentration": 1.0,
        "rng": 0,
    },
    environments.dirichlet: {"states": 3, "concentration": 0.5, "discount": 0.9, "rewards": "normal", "rng": 0},
    environments.gridworld: {
        "cells": ["S.", "CG"],
        "discount": 0.9,
        "step_reward": -1,
        "goal_reward": 1,
        "cliff_reward": -2,
        "slip": 0.1,
        "wind": [0.0, 0.5],
    },
    environments.hard: {"copies": 2, "discount": 0.9},
    environments.absorbing: {"q": 0.5, "discount": 0.9, "reward": 1.0},
    environments.bernoulli: {"discount": 0.5, "p": 0.5},
    environments.cantor: {"discount": 0.5},
    environments.gaussian: {"mean": 0.0, "sd": 1.0, "discount": 0.9},
}
#: these allocate as many states as they are asked for, and a big machine may have the memory
SIZES = {"states", "actions", "branching", "copies", "cells"}


def check_sound(model):
    table = model.outcomes
    assert np.isfinite(table.rewards).all() and np.isfinite(table.probs).all() and (table.probs > 0).all()
    np.testing.assert_allclose(np.add.reduceat(table.probs, table.indptr[:-1]), 1.0, atol=1e-8)
    assert ((table.next_states >= 0) & (table.next_states < table.n_states)).all()
    assert ((table.laws >= -1) & (table.laws < len(table.reward_laws))).all()
    assert 0.0 <= model.discount <= 1.0
    if model.initial is not None:
        assert model.initial.shape == (model.n_states,) and model.initial.sum() == pytest.approx(1.0)


def attempt(build, **arguments):
    """Build; the error's innermost frame must be distrl's own, and no NumPy warning may pass silently."""
    caught = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "normalise: .* did not sum to 1", UserWarning)  # what was asked for
        try:
            model = build(**arguments)
        except (ValueError, TypeError) as error:
            caught, model = error, None
    if caught is not None:
        trace = caught.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        assert trace.tb_frame.f_code.co_filename.startswith(PACKAGE + os.sep), repr(caught)
        assert str(caught), "an error without a sentence"
    elif model is not None:
        check_sound(model)


def replaced(value, data):
    """`value` with one entry, at some depth, replaced by junk."""
    if isinstance(value, list | tuple) and value and data.draw(st.integers(0, 3)):
        at = data.draw(st.integers(0, len(value) - 1))
        return type(value)([*value[:at], replaced(value[at], data), *value[at + 1 :]])
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: replaced(value[key], data)}
    return data.draw(junk)


def too_big(value):
    return isinstance(value, int) and abs(value) > 100


@pytest.mark.parametrize("build", CALLS, ids=lambda build: getattr(build, "__qualname__", str(build)))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_junk_gives_a_model_or_an_error_of_distrl(build, data):
    arguments = dict(CALLS[build])
    for name in data.draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True)):
        value = replaced(arguments[name], data)
        entries = value if isinstance(value, list | tuple) else [value]
        if build.__module__ == environments.__name__ and name in SIZES and any(map(too_big, entries)):
            value = None
        arguments[name] = value
    attempt(build, **arguments)


@pytest.mark.parametrize("build", CALLS, ids=lambda build: getattr(build, "__qualname__", str(build)))
def test_the_arguments_before_they_are_broken_work(build):
    check_sound(build(**CALLS[build]))


@given(st.data())
def test_junk_in_a_table_with_names(data):
    names = ["state", "action", "probability", "next_state", "reward", "terminal"]
    records = [dict(zip(names, row, strict=True)) for row in MDP_ROWS]
    header = data.draw(st.sampled_from(names) | st.text(max_size=3) | st.integers(0, 9) | st.none())
    records[data.draw(st.integers(0, 2))][header] = data.draw(junk)
    mapping = {name: [row[name] for row in records] for name in names}
    mapping[header] = data.draw(st.just(mapping.get(header)) | junk)
    columns = data.draw(st.sampled_from([None, {"terminal": None}, {"state": "action"}, {"state": header}]) | junk)
    for table in (records, mapping):
        attempt(MDP.from_outcomes, rows=table, discount=0.9, columns=columns)
        attempt(EmpiricalMDP, transitions=table, discount=0.9, columns=columns)


@given(junk, st.sampled_from([0.9, None, "a", np.nan]))
def test_junk_for_an_environment(value, discount):
    pytest.importorskip("gymnasium")
    if not isinstance(value, str):  # names are gymnasium's business and have their own tests
        attempt(from_gymnasium, env_or_id=value, discount=discount)


def test_an_environment_without_a_table_may_be_odd():
    for env in (Loops(), Loops, Env, Env("P"), Env(lambda: 3), Env([[[(1, 0, 0, 0)]], None]), Env({"a": 1})):
        attempt(from_gymnasium, env_or_id=env, discount=0.9)


paths = scalars.filter(lambda value: not isinstance(value, str) or "\n" not in value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk, paths, junk, junk)
def test_junk_for_files(tmp_path_factory, model, path, discount, option):
    previous = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("fuzz"))
    try:
        whole = environments.two_state()
        attempt(save, model=model, path="m")
        attempt(write_prism, model=model, path="m")
        attempt(save, model=whole, path=path)
        attempt(write_prism, model=whole, path=path)
        attempt(load, path=path)
        write_prism(whole, "whole")
        attempt(read_prism, path=path, discount=0.9)
        attempt(read_cassandra, path=path)
        attempt(read_text, path=path)
        attempt(read_text, path="whole.lab", discount=discount)
        attempt(read_prism, path="whole", discount=discount)
        for name in ("terminal", "initial", "rewards", "normalise"):
            attempt(read_prism, path="whole", discount=0.9, **{name: option})
    finally:
        os.chdir(previous)
