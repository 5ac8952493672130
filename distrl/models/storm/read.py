"""`read_drn`: an MRP or MDP from one of Storm's DRN files."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from distrl._kernels.text import FULL, WRONG
from distrl._kernels.text import read_drn as parse_drn
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.models.explicit.branches import Branches, grouped
from distrl.models.explicit.build import Payments, Reading, check_size, model_of
from distrl.models.explicit.labels import FileLabels
from distrl.models.explicit.table import Index, Names, longer, powers_of_five
from distrl.models.explicit.text import Text, existing, fail, number, read_text
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.storm.header import Header, read_header

_WORDS = (np.frombuffer(b"state", dtype=np.uint8), np.frombuffer(b"action", dtype=np.uint8))


def read_drn(
    path: str | os.PathLike[str],
    discount: float,
    rewards: int | str | None = None,
    terminal: str | None = None,
    initial: str | None = "init",
    *,
    deadlocks: str | None = None,
    absorbing: str | None = None,
    actions: str | None = None,
    normalise: bool = False,
) -> MRP | MDP:
    """Read a model in Storm's DRN format: an `MRP` from a DTMC, an `MDP` from an MDP.

    The reward of a transition is that of its state plus that of its choice. The labels of the model are the file's.

    Parameters
    ----------
    path : path
        The file, plain or compressed (.drn.gz, .drn.xz; an archive of this one file is opened too).
    discount : float in [0, 1]
    rewards : int or str, optional
        Which reward structure, by its name or its number, from 1. Not needed where there is one; without any all
        rewards are 0.
    terminal : str, optional
        States with this label are terminal, as for `read_prism`. None: none are, or those that `write_drn` wrote down
        as such.
    initial : str, optional
        The label over whose states the initial law is uniform; None, or no state with "init": no initial law.
    deadlocks, absorbing, actions, normalise
        As for `read_prism`.

    Returns
    -------
    MRP or MDP
        Time and memory O(size of the file).

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line and what was expected there; for several reward structures of which none was chosen,
        listing them; for rows that do not sum to 1; for models of other types (rates, intervals, observations) or with
        parameters.
    """
    reading = Reading(discount, terminal, initial, deadlocks, absorbing, actions, normalise)
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path must be a path, got {path!r}")
    file = Path(path)
    text = read_text(existing(file) or file)
    header = read_header(text)
    which = chosen(rewards, header.rewards, f"{text.path}")
    check_size(text.path, header.states, text.count_lines())
    body = _Body(text, header, max(which, 0))
    if body.structures > 1 and not header.rewards:
        raise ValueError(f"{text.path} has {body.structures} rewards for each state, but no names after @reward_models")
    labels = body.labels()
    if reading.terminal is None and header.known.terminal is not None:
        reading = replace(reading, terminal=header.known.terminal)
    payments = Payments(body.state_rewards, body.choice_rewards, None)
    return model_of(body.branches, payments, reading, labels, header.known, body.line_of)


def chosen(rewards: int | str | None, names: list[str], path: str) -> int:
    """The position of the structure of a number or name; -1: there is none.

    Raises
    ------
    ValueError, TypeError
        If there are several and none was chosen, or there is no such one.
    """
    if not (rewards is None or isinstance(rewards, str)):
        rewards = whole_number(rewards, "rewards", low=1)
    listed = f"{path} has the reward structures {', '.join(map(repr, names))}" if names else f"{path} has no rewards"
    if rewards is None:
        if len(names) > 1:
            raise ValueError(f"{listed}; choose one with rewards=, by its name or its number from 1")
        return len(names) - 1
    position = names.index(rewards) if rewards in names else rewards - 1 if isinstance(rewards, int) else -1
    if not 0 <= position < len(names):
        raise ValueError(f"{listed}; there is no {rewards!r}")
    return position


class _Body:
    """The lines after `@model`."""

    def __init__(self, text: Text, header: Header, which: int) -> None:
        room = text.count_lines()
        self.header, self.text = header, text
        self.state_rewards: FloatArray = np.zeros(header.states)
        targets: Index = np.empty(room, dtype=np.int32)
        probs: FloatArray = np.empty(room)
        first: IntArray = np.empty(room + 1, dtype=np.int64)
        codes: Index = np.empty(room, dtype=np.int32)
        choice_rewards: FloatArray = np.empty(room)
        first_choice: IntArray = np.empty(header.states, dtype=np.int64)
        odd, pairs = np.empty((64, 4), dtype=np.int64), np.empty((64, 3), dtype=np.int64)
        self._names = Names()
        state = np.array([header.place, header.line, 0, 0, 0, 0, 0, 0, len(header.rewards) or -1])
        columns = (targets, probs, first, codes, choice_rewards, first_choice, self.state_rewards)
        while True:
            places = (odd, pairs, self._names.slots, self._names.places)
            result = parse_drn(
                text.data, state, _WORDS, not header.has_choices, which, *columns, *places, *powers_of_five()
            )
            if result == WRONG:
                fail(text, int(state[1]), int(state[0]), self._expected(int(state[8])))
            if result != FULL:
                break
            odd, pairs = longer(odd, int(state[5])), longer(pairs, int(state[6]))
            self._names.grow(text, int(state[7]))
        _, _, rows, choices, states, odds, found, names, self.structures = state.tolist()
        self._spelled = self._names.spelled(text, names)
        self._pairs = pairs[:found]
        self.choice_rewards = choice_rewards[:choices]
        self._put(odd[:odds], (probs, choice_rewards, self.state_rewards))
        if states != header.states or header.choices not in (None, choices if header.has_choices else states):
            raise ValueError(
                f"{text.path}: the header announces {header.states} states and {header.choices} choices, but the file "
                f"has {states} and {choices}; it is cut short or damaged"
            )
        first[choices] = rows
        self.branches = self._branches(
            targets[:rows], probs[:rows], first[: choices + 1], codes[:choices], first_choice
        )

    def _branches(
        self, targets: Index, probs: FloatArray, first: IntArray, codes: Index, first_choice: IntArray
    ) -> Branches:
        """The choices, those without transitions left out as deadlocks if they are their state's only one."""
        text, header, choices = self.text, self.header, len(codes)
        numbers = np.diff(np.append(first_choice, choices))
        owners = np.repeat(np.arange(header.states), numbers)
        places = np.arange(choices) - first_choice[owners]
        if not header.has_choices and (numbers > 1).any():
            raise ValueError(f"{text.path}: state {int(np.argmax(numbers > 1))} of a DTMC has several actions")
        bare = np.diff(first) == 0
        if (bare & (numbers[owners] > 1)).any():
            choice = int(np.argmax(bare & (numbers[owners] > 1)))
            raise ValueError(f"{text.path}: action {places[choice]} of state {owners[choice]} has no transitions")
        index = np.empty((2 + header.has_choices, len(targets)), dtype=np.int32)
        index[0], index[-1] = np.repeat(owners, np.diff(first)), targets
        if header.has_choices:
            index[1] = np.repeat(places, np.diff(first))
        self._unnamed(codes, places)
        self.choice_rewards = self.choice_rewards[~bare]
        named = np.repeat(codes, np.diff(first))
        return grouped(text.path, header.has_choices, header.states, index, probs, named, self._spelled)

    def _unnamed(self, codes: Index, places: IntArray) -> None:
        """Storm numbers the choices of a model whose choices have no labels, and marks those without among others."""
        numbers = [int(name) if name.isdecimal() and len(name) < 10 else -1 for name in self._spelled]
        numbered = np.array([*numbers, -1])[codes]
        if ((numbered == places) | (codes < 0)).all() and self.header.known.tokens is None:
            codes[:] = -1
        for code, name in enumerate(self._spelled):
            if name == "__NOLABEL__":
                codes[codes == code] = -1

    def _put(self, odd: IntArray, columns: tuple[FloatArray, ...]) -> None:
        """Values that the kernel left to Python."""
        for kind, place, start, stop in odd.tolist():
            value = number(self.text.text(start, stop))
            if value is None or (kind == 0 and value < 0.0):
                line = self.text.line + int(np.count_nonzero(self.text.data[:start] == 10))
                at = start - 1
                while at > 0 and self.text.data[at - 1] != 10:
                    at -= 1
                fail(self.text, line, at, self._expected(self.structures))
            columns[kind][place] = value

    def _expected(self, rewards: int) -> str:
        listed = "" if rewards < 1 else " [" + ", ".join(["reward"] * rewards) + "]"
        return (
            f"'state number{listed} labels' with states in order and below {self.header.states}, 'action name{listed}' "
            f"or 'target : probability' with a target below {self.header.states}"
        )

    def line_of(self, state: int, place: int) -> int:
        """The line in which a choice of a state begins, for errors."""
        here, count = False, -1
        for at, _, line in self.text.lines():
            if at >= self.header.line and line.startswith("state"):
                here = line.split()[1] == str(state)
            elif here and (line.startswith("action") or not self.header.has_choices) and line[:2] not in ("", "//"):
                count += 1
                if count == place:
                    return at
        raise ValueError(f"{self.text.path} has no choice {place} in state {state}")

    def labels(self) -> FileLabels:
        """The labels of the states, and those without states that are in the comment of names."""
        states, known = self.header.states, self.header.known
        found: dict[str, np.ndarray] = {}
        for code in dict.fromkeys(self._pairs[:, 1].tolist()):
            mask = np.zeros(states, dtype=np.bool_)
            mask[self._pairs[self._pairs[:, 1] == code, 0]] = True
            found[self._spelled[code]] = mask
        if known.labels is not None:
            listed = [*known.labels, *(name for name in found if name not in known.labels)]
            found = {name: found.get(name, np.zeros(states, dtype=np.bool_)) for name in listed}
            if known.terminal is not None:
                found.setdefault(known.terminal, np.zeros(states, dtype=np.bool_))
        return FileLabels(self.text.path, found)
