"""Items 2, 4 and 8: time and gap on maps and random graphs, and all levels from one solve."""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.control import cliffs, garnet, room
from benchmarks.control_acceptance.said import Line, percent, share, solved, warm
from distrl import MDP, CVaR, Status

_LEVELS = np.arange(1, 100) / 100.0
_LIMIT = 120.0  # seconds of the process: a minute of two cores


def maps() -> Iterator[Line]:
    """100 x 100 at discount .99: the gap is to be 1% of the range at every state."""
    warm(CVaR(0.1))
    for name, mdp in (("room", room()), ("cliffs", cliffs())):
        yield _timed(f"{name} 100x100, .99", mdp, 15.0)


def graphs() -> Iterator[Line]:
    """Garnets of 1,000 states."""
    warm(CVaR(0.1))
    for discount, seconds in ((0.95, 2.0), (0.99, 10.0)):
        yield _timed(f"Garnet 1,000 at {discount:g}", garnet(discount), seconds)


def _timed(name: str, mdp: MDP, most: float) -> Line:
    seconds, ctl = solved(mdp, CVaR(0.1))
    said = f"{percent(share(ctl))} of the range after {seconds:.1f} s of the process"
    return Line(f"largest gap, {name}", said, f"1% in {most:g} s", bool(share(ctl) <= 0.01 and seconds <= most))


def large_maps() -> Iterator[Line]:
    """200 x 200 at discount .99: the gap after 120 s of the process at most, when the search is interrupted."""
    warm(CVaR(0.1))
    for name, mdp in (("room", room(200)), ("cliffs", cliffs(200))):
        before = time.process_time()

        def interrupt(share: float, done: int, bound: float, before: float = before) -> None:
            if time.process_time() - before > _LIMIT:
                raise KeyboardInterrupt

        seconds, ctl = solved(mdp, CVaR(0.1), progress=interrupt)
        how = "interrupted" if ctl.status is Status.INTERRUPTED else "by itself"
        said = f"{percent(share(ctl))} of the range after {seconds:.0f} s of the process, {how}: {ctl.reason}"
        yield Line(f"largest gap, {name} 200x200, .99", said, "1%", share(ctl) <= 0.01)


def levels() -> Iterator[Line]:
    """99 levels read from one solve: what that takes, and level * value is convex in the level."""
    warm(CVaR(0.1))
    for name, mdp in (("room 100x100", room()), ("Garnet 1,000 at .95", garnet(0.95))):
        seconds, ctl = solved(mdp, CVaR(0.1))
        before = time.process_time()
        found = ctl.frontier(_LEVELS)
        spent = time.process_time() - before
        said = f"{1e3 * spent:.0f} ms, {percent(spent / seconds)} of the {seconds:.2f} s of the solve"
        yield Line(f"99 levels, {name}", said, "1%", spent <= 0.01 * seconds)
        bend = min(float(np.diff(_LEVELS * side, 2, axis=1).min()) for side in (found.lower, found.upper))
        bend /= ctl.family.size
        said = f"{bend:.1e} of the range, over {len(found.lower):,} states"
        yield Line(f"least second difference of level * bound, {name}", said, "at least -1e-9", bend >= -1e-9)
