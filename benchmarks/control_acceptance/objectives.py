"""Items 6, 7, 9 and 10: discount 1, entropic risk and EVaR, mean less variance, quantiles."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from benchmarks.control import garnet, room
from benchmarks.control_acceptance.enclosure import nearest
from benchmarks.control_acceptance.said import Line, percent, solved, warm
from distrl import CVaR, EntropicRisk, EVaR, Functional, Mean, MeanVariance, Quantile, environments
from distrl.returns.grid import return_ranges
from tests.control import known_models as known
from tests.control.history import Tree, best, layers, random_small, violations

_MODELS = 60


def undiscounted() -> Iterator[Line]:
    """Integer rewards at discount 1, and what the mean-optimal policy has there and on the frozen lake."""
    walk = known.cliff_walk()
    start = int(np.argmax(walk.initial))
    ctl = solved(walk, CVaR(0.05))[1]
    gap = float(ctl.gap[start])
    yield Line("cliff walk at discount 1, gap", f"{gap:.1e} at {ctl.lower[start]:.12g}", "1e-9", gap <= 1e-9)
    ends = [(solved(walk, CVaR(level))[1], value) for level, value in known.F6_CVAR.items()]
    off = max(abs(side[start] - value) for each, value in ends for side in (each.lower, each.upper)) / ctl.family.size
    yield Line("the same, ends off F6 at its four levels", f"{off:.1e} of the range", "1e-9", off <= 1e-9)
    law = ctl.policy.laws_from(walk, [start])
    off = abs(float(law.returns.cvar(0.05)[0]) - float(ctl.lower[start]))
    yield Line("the same, CVaR of the law of the policy", f"{off:.1e} off, {law.certificate.of}", "1e-8", off <= 1e-8)
    mean = distrl.evaluate(walk, policy=solved(walk, Mean())[1].policy).returns.cvar(0.05)[start]
    said = f"{ctl.lower[start]:.2f} against {mean:.2f} of the mean-optimal policy"
    yield Line("the same, CVaR at 5%", said, "-73.85, -123.78", f"{mean:.2f}" == "-123.78")
    lake = known.frozen_lake(8)
    for level, (low, high) in known.F7_CVAR[8].items():
        each = solved(lake, CVaR(level), tol=2e-4)[1]
        meets = bool(each.lower[0] <= high and low <= each.upper[0] and each.gap[0] <= 2e-4)
        yield Line(
            f"frozen lake 8x8 at .99, CVaR at {level:.0%}",
            f"[{each.lower[0]:.6f}, {each.upper[0]:.6f}]",
            f"meets [{low:.6f}, {high:.6f}]",
            meets,
        )


def timed() -> Iterator[Line]:
    """Entropic risk and EVaR: against optima of 50 digits, and on maps."""
    yield _brute("entropic risk", (EntropicRisk(-0.5), EntropicRisk(-3.0), EntropicRisk(1.0)))
    for objective in (EntropicRisk(-0.5), EVaR(0.1)):
        warm(objective)
    seconds, ctl = solved(room(), EntropicRisk(-0.5))
    said = f"{seconds:.1f} s of the process, gap {percent(_of_returns(ctl))} of the range"
    yield Line("entropic risk, room 100x100 at .99", said, "5 s", seconds <= 5.0)
    for name, mdp in (("room 100x100 at .99", room()), ("Garnet 1,000 at .95", garnet(0.95))):
        seconds, ctl = solved(mdp, EVaR(0.1))
        gap = _of_returns(ctl)
        yield Line(f"EVaR at 10%, {name}", f"gap {percent(gap)} of the range, {seconds:.1f} s", "0.1%", gap <= 1e-3)


def _of_returns(ctl: distrl.ControlSolution) -> float:
    low, high = return_ranges(ctl.model.under("uniform"))
    return float(ctl.gap.max() / (high - low).max())


def _brute(name: str, objectives: tuple[Functional, ...]) -> Line:
    """Random processes of up to four steps: bounds, gap and policy, with a horizon and unfolded in time."""
    worst, gap = -np.inf, 0.0
    for number in range(_MODELS):
        rng = np.random.default_rng([21, number])
        model, steps = random_small(rng, Fraction(int(rng.integers(3, 11)), 10)), int(rng.integers(1, 5))
        objective, layered = objectives[number % len(objectives)], number % 2 == 0
        mdp = layers(model, steps).mdp() if layered else model.mdp()
        ctl = solved(mdp, objective, tol=1e-9, horizon=None if layered else steps)[1]
        found = violations(model, objective, ctl, steps, layered=layered, run=steps <= 3)
        worst, gap = max(worst, found.bounds, found.policy), max(gap, float(ctl.gap.max()))
    said = f"largest violation {max(worst, 0.0):.1e} of the range, largest gap {gap:.1e}"
    return Line(f"{name}, {_MODELS} processes in fractions", said, "1e-9", worst <= 1e-9 and gap <= 1e-9)


def spread() -> Iterator[Line]:
    """Mean less variance: against every policy that knows the history."""
    yield _brute("mean less variance", (MeanVariance(0.1), MeanVariance(0.5), MeanVariance(3.0)))
    model, steps, *_ = known.F2
    value = float(solved(model.mdp(), MeanVariance(0.25), tol=1e-9)[1].values[0])
    exact = best(Tree(model, 0, steps), MeanVariance(0.25)).low
    yield Line("F2, mean less a quarter of the variance", f"{value:.10g}", "39/16 = 2.4375", abs(value - exact) <= 1e-9)


def quantiles() -> Iterator[Line]:
    """The largest quantile at 10% with about 1,024 cells at last, on which rounded targets leave 9.8%."""
    mdp = environments.garnet(100, 4, 5, rng=0, discount=0.99)
    warm(Quantile(0.1))
    seconds, ctl = solved(mdp, Quantile(0.1), nearest(1024), tol=1e-3)
    gap = float(ctl.gap.max() / ctl.family.width)
    said = f"gap {percent(gap)} of the range of all returns, {seconds:.0f} s: {ctl.reason}"
    yield Line("quantile at 10%, Garnet 100 at .99", said, "1.5%", gap <= 0.015)
