"""Entropic risk, EVaR, nested CVaR on maps and random graphs: `python -m benchmarks.control_timed [room|garnet|law]`.

Times are those of the process, compiling left out; the gap is a share of the widest range of the returns from a state.
`law` is the law of the executed policy on the map, by `ctl.evaluated()`.
"""

import sys
import time

from distrl import CategoricalFixedPoint, EntropicRisk, EVaR, NestedCVaR, environments, optimize
from distrl.returns.grid import return_ranges


def room(discount=0.99):
    return environments.gridworld((100, 100), discount=discount, slip=0.2)


def garnet(discount):
    return environments.garnet(1000, 4, 5, rng=0, discount=discount)


def measured(mdp, objective):
    """(seconds of the process, the solution)."""
    start = time.process_time()
    ctl = optimize(mdp, objective, throw=False)
    return time.process_time() - start, ctl


def line(name, mdp, objective):
    seconds, ctl = measured(mdp, objective)
    low, high = return_ranges(mdp.under("uniform"))
    share = ctl.gap.max() / (high - low).max()
    print(f"{name:14} {objective!r:24} {seconds:7.2f} s  gap {share:.2e}  {ctl.reason}", flush=True)
    return ctl


def main():
    wanted = set(sys.argv[1:]) or {"room", "garnet"}
    for objective in (EntropicRisk(-0.5), EVaR(0.1), NestedCVaR(0.3)):
        measured(environments.garnet(5, 2, 2, rng=0, discount=0.9), objective)  # compiled before it is timed
    objectives = (EntropicRisk(-0.5), EntropicRisk(0.5), EVaR(0.1), NestedCVaR(0.3))
    if "room" in wanted:
        for objective in objectives:
            line("room .99", room(), objective)
    if "garnet" in wanted:
        for discount in (0.95, 0.99):
            for objective in objectives:
                line(f"garnet {discount:g}", garnet(discount), objective)
    if "law" in wanted:
        ctl = optimize(room(), EntropicRisk(-0.5))
        start = time.process_time()
        sol = ctl.evaluated(CategoricalFixedPoint(101, threads=1))
        print(f"law: {time.process_time() - start:.2f} s, W1 <= {sol.certificate.w1.max():.3g}, {sol.reason}")


if __name__ == "__main__":
    main()
