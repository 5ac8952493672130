"""Models that explicit files can hold, drawn at random, and what it means that two are the same."""

import numpy as np
from hypothesis import strategies as st

from distrl.models import MDP, MRP
from distrl.models.outcomes import Rows, build_table

NAMES = ["left", "right", "go on", "a0", "stay", "_x", "nord-west"]
FIELDS = ("indptr", "probs", "next_states", "rewards", "terminals", "laws")


@st.composite
def models(draw, of_transitions=True):
    """An MRP or an MDP with uneven actions, names, labels, ends and a law of the first state."""
    n, width = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    chain = draw(st.booleans())
    rewards = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)
    ends = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    rows = []
    for state in range(n):
        actions = [0] if chain else sorted(draw(st.sets(st.integers(0, width - 1), min_size=1)))
        for action in actions:
            weights = draw(st.lists(st.floats(1e-3, 1) | st.just(0.0), min_size=n, max_size=n).filter(any))
            whole, reward = sum(weights), draw(rewards)
            if ends[state]:
                rows.append((state, action, 1.0, state, 0.0, True))
                continue
            for target, weight in enumerate(weights):
                pays = draw(rewards) if of_transitions else reward
                rows.append((state, action, weight / whole, target, pays, ends[target]))
    starts = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=float)
    initial = starts / starts.sum() if starts.any() else None
    labels = draw(st.dictionaries(st.sampled_from(["goal", "b", "über", "empty"]), st.sets(st.integers(0, n - 1))))
    more = {"labels": {name: sorted(states) for name, states in labels.items()}, "initial": initial}
    if draw(st.booleans()):
        more["states"] = draw(st.permutations([("s", k) if k % 2 else f"state {k}" for k in range(n)]))
    if chain:
        return MRP.from_table(table_of(rows, n, 1), 0.5, **more)
    available = np.zeros((n, width), dtype=bool)
    for state, action, *_ in rows:
        available[state, action] = True
    if draw(st.booleans()):
        more["actions"] = draw(st.permutations(NAMES))[:width]
    return MDP.from_table(table_of(rows, n, width), 0.5, available=available, **more)


def table_of(rows, n, width):
    """The table of rows (state, action, probability, next state, reward, terminal)."""
    pairs = {pair: number for number, pair in enumerate(sorted({(s, a) for s, a, *_ in rows}))}
    sources = np.array([pairs[s, a] for s, a, *_ in rows])
    probs, targets, rewards, ends = (np.array(column) for column in list(zip(*rows, strict=True))[2:])
    columns = Rows(sources, probs, targets, rewards, ends, np.full(len(rows), -1), ())
    return build_table(columns, n_sources=len(pairs), n_states=n, describe=str)


def same(first, second, own=()):
    """`second` is `first`, bit for bit, but for labels of the file's `own`."""
    assert type(first) is type(second)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(first.outcomes, field), getattr(second.outcomes, field), err_msg=field)
    assert list(first.states) == list(second.states)
    assert (first.initial is None) == (second.initial is None)
    assert first.initial is None or np.array_equal(first.initial, second.initial)
    if isinstance(first, MDP):
        assert list(first.actions) == list(second.actions)
        assert np.array_equal(first.available, second.available)
    labels = {name: mask.tolist() for name, mask in second.labels.items() if name not in own or name in first.labels}
    assert labels == {name: mask.tolist() for name, mask in first.labels.items()}
