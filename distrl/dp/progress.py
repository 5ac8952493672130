"""What `progress=` of the verbs takes: True for a bar, or a callable."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from distrl._compiling import watch

#: Called with (share of the work done, applications so far, current bound).
ProgressHook = Callable[[float, int, float], None]


def _applications(iterations: int, bound: float) -> str:
    return f"{iterations} applications, bound {bound:.2g}"


def progress_hook(
    progress: bool | ProgressHook | None, describe: Callable[[int, float], str] = _applications
) -> tuple[ProgressHook | None, Callable[[], None]]:
    """The hook for `progress=`: False, True (a tqdm bar with time left) or a callable; and how to close it."""
    if progress is None or progress is False:
        return None, lambda: None
    if callable(progress):
        return progress, lambda: None
    if progress is not True:
        raise TypeError(f"progress must be True, False or a callable, got {progress!r}")
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ModuleNotFoundError("progress=True needs tqdm: pip install 'distrl[cli]'") from error
    closing = ExitStack()
    closing.enter_context(watch.told_to(watch.say_aloud()))
    bar = tqdm(total=100.0, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")
    closing.callback(bar.close)
    return _Bar(bar, describe), closing.close


class _Bar:
    """A tqdm bar as a hook, described by the phase that the work is in."""

    def __init__(self, bar: Any, describe: Callable[[int, float], str]) -> None:
        self._bar, self._describe = bar, describe

    def __call__(self, share: float, iterations: int, bound: float) -> None:
        self._bar.update(100.0 * share - self._bar.n)
        self._bar.set_postfix_str(self._describe(iterations, bound), refresh=False)

    def phase(self, words: str) -> None:
        self._bar.set_description_str(words)
