"""What a model file says before its transitions and rewards, and references to its states and actions."""

from __future__ import annotations

from typing import Any

from distrl.models.cassandra.tokens import Tokens
from distrl.models.cassandra.transitions import ALL
from distrl.models.labels import Labels
from distrl.models.text_lines import whole

#: What `values:` may say; the plurals are met, too.
_KINDS = ("reward", "cost", "rewards", "costs")


class Preamble:
    """Discount, kind of values, states and actions.

    Attributes
    ----------
    said : dict
        The value of each statement that has been read.
    numbers, names : dicts
        How many states and actions there are, and their names, None where they have none.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.said: dict[str, Any] = {}
        self.numbers: dict[str, int] = {}
        self.names: dict[str, Labels | None] = {}

    def read(self, word: str) -> None:
        """Read what stands after `discount`, `values`, `states` or `actions`."""
        tokens, line = self.tokens, self.tokens.line
        if word in self.said:
            raise ValueError(f"{tokens.path}, line {line}: {word}: is there a second time")
        tokens.colon()
        line = tokens.line
        if word == "discount":
            value = tokens.number("a number in [0, 1]")
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{tokens.path}, line {line}: expected a discount in [0, 1], found {value:g}")
            self.said[word] = value
        elif word == "values":
            if tokens.peek() not in _KINDS:
                tokens.fail("'reward' or 'cost'")
            self.said[word] = tokens.take("'reward' or 'cost'").removesuffix("s")
        else:
            self.said[word] = self._listed(word)

    def reference(self, what: str) -> int:
        """A state or an action by name or by number, or `ALL` for a `*`; `what` is "states" or "actions"."""
        if self.tokens.skip("*"):
            return ALL
        names, n = self.names[what], self.numbers[what]
        named = "" if names is None else "a name or "
        return self._position(what, f"one of the {n} {what}: {named}a number below {n}, or *")

    def one_state(self, expected: str) -> int:
        """A state, and not a `*`; `expected` is for the error."""
        return self._position("states", expected)

    def _position(self, what: str, expected: str) -> int:
        token, names = self.tokens.peek(), self.names[what]
        number = None if token is None else whole(token)
        if names is not None and token in names:
            number = names.index(token)
        if number is None or number >= self.numbers[what]:
            self.tokens.fail(expected)
        self.tokens.take(expected)
        return number

    def name(self, what: str, position: int) -> str:
        """What errors call a state or an action."""
        names = self.names[what]
        return repr(position if names is None else names[position])

    def _listed(self, word: str) -> int:
        """How many states or actions there are, and their names."""
        tokens, line = self.tokens, self.tokens.line
        names: list[str] = []
        while not tokens.at_keyword():
            token = tokens.peek()
            if token in (":", "*", "+", "-"):
                tokens.fail(f"{word}, as one number or as names")
            names.append(tokens.take(word))
        count = whole(names[0]) if len(names) == 1 else None
        if len(names) > 1 and names == [str(position) for position in range(len(names))]:
            count = len(names)
        labels = None if count is not None else Labels(names)
        odd = next((name for name in names if not (name[0].isalpha() or name[0] == "_")), None)
        if not names or count == 0 or (labels is not None and odd is not None):
            found = "nothing" if not names else repr(odd or names[0])
            raise ValueError(
                f"{tokens.path}, line {line}: expected {word}, as one number of at least 1 or as names that begin "
                f"with a letter, found {found}"
            )
        if labels is not None and len(set(names)) < len(names):
            twice = next(name for position, name in enumerate(names) if labels.index(name) != position)
            raise ValueError(f"{tokens.path}, line {line}: {twice!r} is there twice among the {word}")
        self.names[word] = labels
        self.numbers[word] = len(names) if count is None else count
        return self.numbers[word]
