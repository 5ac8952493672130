"""How far a run is, on a terminal, in a notebook and in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")
_LOG_EVERY = 10.0  # seconds between two lines of a log


def watched(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """`items`, with a bar and the time left; where nobody watches (a log), lines instead of a bar."""
    if _interactive():
        yield from tqdm(items, total=total, unit="cell", desc=what, file=sys.stderr)
        return
    started = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= _LOG_EVERY or done == total:
            said, elapsed = now, now - started
            left = duration(elapsed / done * (total - done))
            print(f"{what}: {done}/{total} cells, {duration(elapsed)} so far, {left} left", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """As people say it."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _interactive() -> bool:
    notebook: Any = sys.modules.get("IPython")
    return sys.stderr.isatty() or (notebook is not None and notebook.get_ipython() is not None)
