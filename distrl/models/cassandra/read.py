"""`read_cassandra`: an MDP from one of Cassandra's files."""

from __future__ import annotations

import os
from array import array

import numpy as np

from distrl._tolerances import NEGATIVE, ROW_SUM
from distrl._validation import FloatArray, real_number
from distrl.models.cassandra.preamble import Preamble
from distrl.models.cassandra.rewards import RewardStatements
from distrl.models.cassandra.tokens import Tokens
from distrl.models.cassandra.transitions import ALL, TransitionStatements
from distrl.models.collected import Collected, Known, collected_mdp
from distrl.models.mdp import MDP
from distrl.models.text_lines import file_of, number_of

_STATEMENTS = "discount:, values:, states:, actions:, start:, T: or R:"


def read_cassandra(
    path: str | os.PathLike[str],
    discount: float | None = None,
    *,
    absorbing: str | None = None,
    normalise: bool = False,
) -> MDP:
    """The MDP of a file in Cassandra's format, `.MDP`; see `distrl.models.cassandra` for what it may say.

    Parameters
    ----------
    path : path
        Plain text, or compressed, with a name that ends in `.gz`.
    discount : float in [0, 1], optional
        Instead of the one in the file.
    absorbing, normalise
        As for `MDP.from_outcomes`. Rows have to sum to 1 within 1e-9, so that 0.333 three times needs `normalise`.

    Returns
    -------
    MDP
        With the names of the file as `states` and `actions`; where it has numbers, positions. A cost is a reward with
        the other sign. Every action is available in every state. Time O(n log n) and memory O(n) in the length of the
        file and the number of outcomes.

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line, and what was expected there; for a file with observations, whose process is not
        known to who acts.
    """
    given = None if discount is None else real_number(discount, "discount", low=0.0, high=1.0)
    reader = _Reader(Tokens(file_of(path)))
    reader.read()
    return reader.model(given, absorbing, normalise)


class _Reader:
    """What the statements of a file have said so far."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._preamble = Preamble(tokens)
        self._lines = array("q")
        self._start: FloatArray | None = None
        self._begun: tuple[TransitionStatements, RewardStatements] | None = None

    def read(self) -> None:
        """Read all statements."""
        tokens = self.tokens
        if tokens.peek() is None:
            raise ValueError(f"{tokens.path} has no statement; it begins with values:, states: and actions:")
        while (word := tokens.peek()) is not None:
            if word in ("observations", "O") and tokens.at_keyword():
                raise ValueError(
                    f"{tokens.path}, line {tokens.line}: this is a POMDP: who acts sees observations and not the "
                    "state, which distrl takes for seen; to read the MDP below it, take observations: and every O: out "
                    "of the file"
                )
            if not tokens.at_keyword():
                tokens.fail(f"a statement that begins with {_STATEMENTS}")
            line = tokens.line
            tokens.take(word)
            if word in ("T", "R"):
                tokens.colon()
                transitions, rewards = self._begin()
                self._lines.append(line)
                if word == "T":
                    self._transition(transitions, len(self._lines) - 1)
                else:
                    self._reward(rewards, len(self._lines) - 1)
            elif word == "start":
                self._read_start(line)
            else:
                self._preamble.read(word)

    def model(self, discount: float | None, absorbing: str | None, normalise: bool) -> MDP:
        """The model, when all statements have been read."""
        path = self.tokens.path
        transitions, paid = self._begin()
        if discount is None and "discount" not in self._preamble.said:
            raise ValueError(f"{path} has no statement 'discount:'; give discount=")
        n, n_actions = self._preamble.numbers["states"], self._preamble.numbers["actions"]
        found = transitions.outcomes()
        actions, states = found.pairs // n, found.pairs % n
        sums = np.bincount(found.pairs, weights=found.probs, minlength=n * n_actions)
        wrong = np.abs(sums - 1.0) > ROW_SUM
        if normalise:
            wrong &= sums == 0.0
        if wrong.any():
            pair = int(np.argmax(wrong))
            named = (
                f"state {self._preamble.name('states', pair % n)}, action {self._preamble.name('actions', pair // n)}"
            )
            if found.statements[pair] < 0:
                raise ValueError(f"{path}: no T: says where {named} leads; every action is there in every state")
            mend = "" if sums[pair] == 0.0 else ", or pass normalise=True, which does it for all rows and says so"
            raise ValueError(
                f"{path}, line {self._lines[found.statements[pair]]}: the probabilities of {named} sum to "
                f"{sums[pair]:.12g}, not 1 (tolerance {ROW_SUM:g}); this is the last statement about them. Add what is "
                f"missing or divide the row by its sum{mend}"
            )
        rewards = paid.of(actions, states, found.successors)
        if self._preamble.said["values"] == "cost":
            rewards = -rewards
        rows = Collected.numbers(states, actions, found.probs, found.successors, rewards)
        known = Known(n, n_actions, self._preamble.names["states"], self._preamble.names["actions"], self._start)
        value = self._preamble.said["discount"] if discount is None else discount
        try:
            return collected_mdp(rows, known, value, absorbing=absorbing, normalise=normalise)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def _begin(self) -> tuple[TransitionStatements, RewardStatements]:
        """Where transitions and rewards are kept; what comes before them has to be there."""
        if self._begun is not None:
            return self._begun
        tokens = self.tokens
        missing = [word for word in ("values", "states", "actions") if word not in self._preamble.said]
        if missing:
            raise ValueError(
                f"{tokens.path}, line {tokens.line}: {missing[0]}: is missing; it comes before the first T: or R:"
            )
        size = self._preamble.numbers["states"], self._preamble.numbers["actions"]
        try:
            self._begun = TransitionStatements(*size), RewardStatements(*size)
        except ValueError as error:
            raise ValueError(f"{tokens.path}, line {tokens.line}: {error}") from error
        return self._begun

    def _transition(self, into: TransitionStatements, statement: int) -> None:
        """What stands after `T:`."""
        tokens, n = self.tokens, self._preamble.numbers["states"]
        action = self._preamble.reference("actions")
        if tokens.skip(":"):
            state = self._preamble.reference("states")
            if tokens.skip(":"):
                successor = self._preamble.reference("states")
                into.cell(action, state, successor, self._shares(1, "a probability")[0], statement)
            else:
                into.row(action, state, self._row("uniform or reset"), statement)
        elif tokens.skip("identity"):
            into.identity(action, statement)
        elif tokens.skip("uniform"):
            into.row(action, ALL, np.full(n, 1.0 / n), statement)
        else:
            for state in range(n):
                what = f"identity, uniform, or {n} rows of {n} probabilities: row {state + 1}"
                into.row(action, state, self._shares(n, what), statement)

    def _row(self, words: str) -> FloatArray:
        """The probabilities of one row."""
        tokens, n = self.tokens, self._preamble.numbers["states"]
        if tokens.skip("uniform"):
            return np.full(n, 1.0 / n)
        if tokens.peek() == "reset":
            if self._start is None:
                tokens.fail("a start: before, to which reset can go")
            tokens.take("reset")
            return self._start
        return self._shares(n, f"{words}, or a row of {n} probabilities")

    def _shares(self, count: int, what: str) -> FloatArray:
        """Probabilities, each in [0, 1]."""
        line = self.tokens.line
        shares = np.array(self.tokens.numbers(count, what))
        wrong = (shares < -NEGATIVE) | (shares > 1.0 + ROW_SUM)
        if wrong.any():
            raise ValueError(
                f"{self.tokens.path}, line {line}: expected {what} in [0, 1], found {shares[np.argmax(wrong)]:g}"
            )
        return np.where(shares < 0.0, 0.0, shares)

    def _reward(self, into: RewardStatements, statement: int) -> None:
        """What stands after `R:`."""
        tokens, n = self.tokens, self._preamble.numbers["states"]
        action = self._preamble.reference("actions")
        if not tokens.skip(":"):
            for state in range(n):
                into.row(action, state, tokens.numbers(n, f"{n} rows of {n} rewards: row {state + 1}"), statement)
            return
        state = self._preamble.reference("states")
        if not tokens.skip(":"):
            into.row(action, state, tokens.numbers(n, f"a row of {n} rewards"), statement)
            return
        successor = self._preamble.reference("states")
        if tokens.skip(":") and not tokens.skip("*"):
            tokens.fail("a reward, which may come after ': *' for every observation, but not for one")
        into.cell(action, state, successor, tokens.number("a reward"), statement)

    def _read_start(self, line: int) -> None:
        """What stands after `start`."""
        tokens = self.tokens
        if self._start is not None:
            raise ValueError(f"{tokens.path}, line {line}: start is there a second time")
        if "states" not in self._preamble.said:
            raise ValueError(f"{tokens.path}, line {line}: states: is missing; it comes before start")
        n = self._preamble.numbers["states"]
        expected = f"uniform, one of the states, or {n} probabilities"
        kind = tokens.take("start") if tokens.peek() in ("include", "exclude") else ""
        tokens.colon()
        law = np.zeros(n)
        if kind:
            while not tokens.at_keyword():
                law[self._preamble.one_state("a state")] = 1.0
            law = law if kind == "include" else 1.0 - law
            if not law.any():
                raise ValueError(f"{tokens.path}, line {line}: start {kind}: leaves no state to start in")
            self._start = law / law.sum()
        elif tokens.skip("uniform"):
            self._start = np.full(n, 1.0 / n)
        elif tokens.at_number() and not self._alone(n):
            self._start = self._shares(n, expected)
            if abs(self._start.sum() - 1.0) > ROW_SUM:
                raise ValueError(
                    f"{tokens.path}, line {line}: the probabilities of start sum to {self._start.sum():.12g}, not 1"
                )
        else:
            law[self._preamble.one_state(expected)] = 1.0
            self._start = law

    def _alone(self, n: int) -> bool:
        """Whether a single number stands after `start:`, which is that of a state."""
        following = self.tokens.peek(1)
        single = following is None or not (following in "+-" or number_of(following) is not None)
        return single and (n > 1 or self.tokens.peek() == "0")
