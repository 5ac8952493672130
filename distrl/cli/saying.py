"""How the command speaks: one sentence on stderr, notes, and exit statuses."""

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

NOT_CONVERGED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def say(message: str) -> None:
    """Print one sentence on stderr."""
    print(f"distrl: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def one_sentence(mend: str = "use fewer --atoms") -> Iterator[None]:
    """Turn refusals into a sentence and exit status 2, and warnings into notes; `mend` is for want of memory."""

    def note(message: Any, *_: Any, **__: Any) -> None:
        say("note: " + re.sub(r"\x1b\[[0-9;]*m", "", str(message)))

    with warnings.catch_warnings():
        warnings.showwarning = note
        try:
            yield
        except (ValueError, TypeError, IndexError, ModuleNotFoundError, OSError) as error:
            _fail(str(error))
        except MemoryError:
            _fail(f"the problem does not fit into memory; {mend}")


def _fail(message: str) -> NoReturn:
    say(message)
    raise typer.Exit(BAD_INPUT)


def once(sentence: str) -> Callable[[str], None]:
    """Say the sentence at the first of many calls."""
    waiting = [sentence]

    def tell(kernel: str) -> None:
        if waiting:
            say(waiting.pop())

    return tell


def count(number: int, what: str) -> str:
    """`1 state`, `2 states`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
