"""`python -m benchmarks.control_acceptance [ITEM ...]`: what `optimize` was to reach, and what it reaches.

Items are numbers or names; `large`, which takes minutes, has to be asked for by name. Each line says what was measured,
the figure, the target, and whether it is met. Times are of the process, compiling left out. Exit status: 0 if every
target is met, 1 if one is missed, 2 for an item that is not known.
"""

import sys

from benchmarks.control_acceptance.enclosure import fractions, rounding
from benchmarks.control_acceptance.learnt import learning, refuted
from benchmarks.control_acceptance.maps import graphs, large_maps, levels, maps
from benchmarks.control_acceptance.objectives import quantiles, spread, timed, undiscounted
from benchmarks.control_acceptance.said import Item
from benchmarks.control_acceptance.simulated import simulated
from benchmarks.control_acceptance.tables import tables

ITEMS: dict[str, tuple[str, Item]] = {
    "fractions": ("1", fractions),
    "maps": ("2", maps),
    "large": ("", large_maps),
    "rounding": ("3", rounding),
    "graphs": ("4", graphs),
    "tables": ("5", tables),
    "simulated": ("5", simulated),
    "undiscounted": ("6", undiscounted),
    "timed": ("7", timed),
    "levels": ("8", levels),
    "spread": ("9", spread),
    "quantiles": ("10", quantiles),
    "refuted": ("11", refuted),
    "learning": ("12", learning),
}


def main(asked: list[str]) -> int:
    """Measure the items; the exit status."""
    known = {*ITEMS, *(number for number, _ in ITEMS.values() if number)}
    strange = [each for each in asked if each not in known]
    if strange:
        print(
            f"no item is called {strange[0]!r}; there are " + ", ".join(f"{n} {name}" for name, (n, _) in ITEMS.items())
        )
        return 2
    missed = 0
    for name, (number, item) in ITEMS.items():
        if name in asked or number in asked or (not asked and number):
            for line in item():
                print(f"{number:2} {line}", flush=True)
                missed += line.met is False
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
