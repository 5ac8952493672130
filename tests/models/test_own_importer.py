"""A reader of models from outside: a text format of the test's own, read with public names only."""

import re
from pathlib import Path

import numpy as np
import pytest

import distrl
from distrl import MDP, FiniteLaw

pytestmark = pytest.mark.fast

SHOP = """# state action probability next-state reward [end]
discount 0.5
home walk 0.75 shop -1
home walk 0.25 home -1
home wait 1.0 home 0
shop walk 1.0 home 2|4
shop wait 0.5 shop 0
shop wait 0.5 shop 10 end
"""
LINE = "expected 'state action probability next-state reward' and perhaps 'end', for example 'home walk 1.0 shop -1'"


def read_walks(path):
    """The MDP of a file of lines `state action probability next-state reward [end]` after a line `discount g`.

    States and actions are names, counted in the order in which they come. The reward `2|4` is 2 or 4, equally likely.
    """
    discount, rows, states, actions = None, [], {}, {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if discount is None:
            if words[0] != "discount" or len(words) != 2:
                raise ValueError(f"{path}, line {number}: expected 'discount 0.9' before the first row, found {line!r}")
            discount = _number(words[1], path, number)
            continue
        if len(words) not in (5, 6) or words[5:] not in ([], ["end"]):
            raise ValueError(f"{path}, line {number}: {LINE}; found {line!r}")
        source, action, probability, target, reward = words[:5]
        payments = [_number(part, path, number) for part in reward.split("|")]
        rows.append(
            (
                states.setdefault(source, len(states)),
                actions.setdefault(action, len(actions)),
                _number(probability, path, number),
                states.setdefault(target, len(states)),
                payments[0] if len(payments) == 1 else FiniteLaw(payments),
                len(words) == 6,
            )
        )
    if not rows:
        raise ValueError(f"{path} holds no row; {LINE}")
    try:
        return MDP.from_outcomes(rows, discount, states=len(states), actions=len(actions))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _number(word, path, line):
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{path}, line {line}: {word!r} is no number; write it like 0.25") from None


@pytest.fixture
def put(tmp_path):
    def write(text):
        path = tmp_path / "shop.walks"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_what_is_read_is_what_the_lines_say(put):
    model = read_walks(put(SHOP))
    by_hand = MDP.from_outcomes(
        [
            (0, 0, 0.75, 1, -1.0, False),
            (0, 0, 0.25, 0, -1.0, False),
            (0, 1, 1.0, 0, 0.0, False),
            (1, 0, 1.0, 0, FiniteLaw([2.0, 4.0]), False),
            (1, 1, 0.5, 1, 0.0, False),
            (1, 1, 0.5, 1, 10.0, True),
        ],
        0.5,
    )
    assert model.discount == 0.5
    for field in ("indptr", "probs", "next_states", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(model.outcomes, field), getattr(by_hand.outcomes, field))


def test_everything_works_on_it_as_on_a_model_of_ours(put, tmp_path):
    model = read_walks(put(SHOP))
    always_wait = model.under([1, 1])
    # v(shop) = (v(shop) / 2 + 10) / 2, v(home) = v(home) / 2
    solution = distrl.evaluate(always_wait, distrl.CategoricalFixedPoint(atoms=101))
    np.testing.assert_allclose(solution.values, [0.0, 20.0 / 3.0], atol=1e-9)
    distrl.save(model, tmp_path / "shop.npz")
    again = distrl.load(tmp_path / "shop.npz")
    np.testing.assert_array_equal(again.outcomes.rewards, model.outcomes.rewards)
    assert again.outcomes.reward_laws == model.outcomes.reward_laws


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("discount 0.5", "home walk 1.0 home 0", "line 2: expected 'discount 0.9' before the first row"),
        ("shop -1", "shop", "line 3: expected 'state action probability next-state reward'"),
        ("0.25", "a quarter", "line 4: expected"),
        ("0.25", "1/4", "line 4: '1/4' is no number; write it like 0.25"),
        ("10 end", "10 stop", "line 8: expected"),
    ],
)
def test_a_wrong_line_is_named_with_the_mend(put, old, new, sentence):
    assert old in SHOP
    path = put(SHOP.replace(old, new))
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}, {sentence}")):
        read_walks(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("walk 0.75", "walk 0.7", "0.95"),
        ("discount 0.5", "discount 1.5", "discount"),
        ("wait 0.5 shop 0\n", "wait -0.5 shop 0\n", "-0.5"),
    ],
)
def test_what_the_library_finds_wrong_is_said_of_the_file(put, old, new, sentence):
    assert old in SHOP
    path = put(SHOP.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + re.escape(sentence)):
        read_walks(path)


def test_a_file_without_rows_is_refused(put):
    with pytest.raises(ValueError, match="holds no row"):
        read_walks(put("discount 0.5\n"))
