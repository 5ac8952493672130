"""The tokens of a model file, one line in memory at a time, and errors that name the line."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from typing import NoReturn

from distrl.models.text_lines import fail, number_of, numbered_lines

_TOKEN = re.compile(r"[:*]|[^\s:*]+")
_KEYWORDS = ("discount", "values", "states", "actions", "observations", "start", "T", "R", "O")


class Tokens:
    """The tokens of a file: names, numbers, `:` and `*`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._source: Iterator[tuple[int, str]] = numbered_lines(path)
        self._tokens: list[str] = []
        self._numbers: list[int] = []
        self._at = 0
        self._last = 0

    def peek(self, ahead: int = 0) -> str | None:
        """A token that comes, None at the end of the file."""
        return self._tokens[self._at + ahead] if self._filled(ahead + 1) else None

    def take(self, expected: str) -> str:
        """The next token; `expected` is for the error at the end of the file."""
        token = self.peek()
        if token is None:
            self.fail(expected)
        self._at += 1
        return token

    @property
    def line(self) -> int:
        """The line of the next token; the last one at the end of the file."""
        return self._numbers[self._at] if self._filled(1) else self._last

    def skip(self, token: str) -> bool:
        """Whether the next token is this one, which is passed over then."""
        if self.peek() != token:
            return False
        self._at += 1
        return True

    def colon(self) -> None:
        """Pass over the colon that has to come."""
        if not self.skip(":"):
            self.fail("':'")

    def at_keyword(self) -> bool:
        """Whether a new statement begins, or the file ends."""
        word = self.peek()
        if word is None:
            return True
        following = self.peek(1)
        return word in _KEYWORDS and (following == ":" or (word == "start" and following in ("include", "exclude")))

    def number(self, expected: str) -> float:
        """The next number."""
        return self.numbers(1, expected)[0]

    def at_number(self) -> bool:
        """Whether a number comes, perhaps after a sign."""
        token = self.peek()
        return token is not None and (token in ("+", "-") or number_of(token) is not None)

    def numbers(self, count: int, expected: str) -> array[float]:
        """The next numbers, `count` of them."""
        found = array("d")
        while len(found) < count:
            if not self._filled(1):
                self.fail(_so_far(expected, len(found)))
            chunk = self._tokens[self._at : self._at + count - len(found)]
            try:
                values = array("d", map(float, chunk))
            except ValueError:
                values = None
            if values is not None and math.isfinite(sum(values)) and not any("_" in token for token in chunk):
                self._at += len(chunk)
                found.extend(values)
                continue
            for _ in range(min(len(chunk), count - len(found))):
                found.append(self._one(expected, len(found)))
        return found

    def fail(self, expected: str) -> NoReturn:
        """Refuse the next token."""
        line = self.line
        token = self.peek()
        if token is None:
            raise ValueError(f"{self.path}, line {line}: expected {expected}, found the end of the file")
        fail(self.path, line, expected, token)

    def _one(self, expected: str, already: int) -> float:
        """One number, whose sign may be a token of its own."""
        sign = self.peek() if self.peek() in ("+", "-") else ""
        token = self.peek(1 if sign else 0)
        value = None if token is None else number_of(f"{sign}{token}")
        if value is None:
            self.fail(_so_far(expected, already))
        self._at += 2 if sign else 1
        return value

    def _filled(self, count: int) -> bool:
        """Whether so many tokens come; lines are read until they do."""
        while len(self._tokens) - self._at < count:
            line = next(self._source, None)
            if line is None:
                return False
            self._last, text = line
            text = text.partition("#")[0]
            tokens = _TOKEN.findall(text) if ":" in text or "*" in text else text.split()
            if tokens:
                self._tokens = self._tokens[self._at :] + tokens
                self._numbers = self._numbers[self._at :] + [self._last] * len(tokens)
                self._at = 0
        return True


def _so_far(expected: str, already: int) -> str:
    return f"{expected}, of which there are {already}" if already else expected
