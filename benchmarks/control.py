"""CVaR on maps and random graphs: `python -m benchmarks.control [room|cliffs|garnet|walks]`, all of them by default.

Times are those of the process, compiling left out. The gap is the largest over all states, as a share of the range of
the mean-optimal policy's returns, which the tolerance is 1% of.
"""

import sys
import time

import numpy as np

from distrl import CVaR, environments, from_gymnasium, optimize


def room(size=100):
    return environments.gridworld((size, size), discount=0.99, slip=0.2)


def cliffs(size=100, seed=0, discount=0.99):
    """The same with 3% cliffs (-20, back to the start) and 5% walls."""
    drawn = np.random.default_rng(seed).random((size, size))
    cells = np.where(drawn < 0.03, "C", np.where(drawn < 0.08, "#", "."))
    cells[0, 0], cells[-1, -1] = "S", "G"
    return environments.gridworld(["".join(row) for row in cells], discount=discount, slip=0.2, cliff_reward=-20.0)


def garnet(discount):
    return environments.garnet(1000, 4, 5, rng=0, discount=discount)


def line(name, mdp, level=0.1, state=None, **options):
    before = time.process_time()
    ctl = optimize(mdp, CVaR(level), throw=False, **options)
    seconds = time.process_time() - before - ctl.compiled
    before = time.process_time()
    ctl.frontier(np.arange(1, 100) / 100.0)
    levels = time.process_time() - before
    ends = "" if state is None else f"  [{ctl.lower[state]:.9f}, {ctl.upper[state]:.9f}]"
    share = ctl.gap.max() / ctl.family.size
    print(f"{name:16}{seconds:7.2f} s  99 levels {levels:.3f} s  gap {share:.2e}{ends}  {ctl.reason}", flush=True)


def main():
    wanted = set(sys.argv[1:]) or {"room", "cliffs", "garnet", "walks"}
    ctl = optimize(environments.garnet(5, 2, 2, rng=0, discount=0.9), CVaR(0.1))  # compiled before it is timed
    print(f"compiled in {ctl.compiled:.1f} s")
    if "garnet" in wanted:
        line("garnet .95", garnet(0.95))
        line("garnet .99", garnet(0.99))
    if "walks" in wanted:
        walk = environments.gridworld(discount=1.0, slip=0.1)
        line("cliff walk", walk, 0.05, int(np.argmax(walk.initial)))
        lake = from_gymnasium("FrozenLake-v1", discount=0.99, map_name="8x8", is_slippery=True)
        line("frozen lake", lake, 0.1, 0, tol=2e-4)
    if "room" in wanted:
        line("room", room())
    if "cliffs" in wanted:
        line("cliffs", cliffs())


if __name__ == "__main__":
    main()
