"""Compiling ahead: every verb once, on models so small that compiling is all the work."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from distrl._compiling import watch
from distrl.control import NestedCVaR, optimize
from distrl.dp import (
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    ExpectileDP,
    Lattice,
    Moments,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    evaluate,
)
from distrl.generative import estimate
from distrl.models import MDP, MRP, FiniteLaw, environments
from distrl.returns import (
    CVaR,
    EntropicRisk,
    EVaR,
    Functional,
    Grid,
    Mean,
    MeanVariance,
    ProbabilityAbove,
    Shortfall,
    cramer,
    kolmogorov,
    wasserstein,
)
from distrl.td import (
    TD,
    CategoricalQ,
    CategoricalTD,
    ExpectileQ,
    ExpectileTD,
    MeanQ,
    MonteCarloTD,
    QuantileQ,
    QuantileTD,
    TargetQ,
    learn,
)

VERBS = ("evaluate", "estimate", "learn", "optimize")
Steps = list[tuple[str, Callable[[], object]]]


def warm_up(verbs: str | Iterable[str] | None = None, progress: bool = True) -> float:
    """Compile what the verbs need, ahead of time; the code is kept for later sessions where Numba's cache can write.

    The first call of a kernel compiles it, which takes some seconds in all. Worker processes that start at once would
    all compile the same: call this in their parent, or once when a machine is set up.

    Parameters
    ----------
    verbs : str or iterable of str, optional
        Of "evaluate", "estimate", "learn", "optimize"; None: all.
    progress : bool
        Say on stderr what is being compiled.

    Returns
    -------
    float
        Seconds of compiling; 0 where everything was there. One to two minutes for all verbs on one core.

    Raises
    ------
    ValueError
        On an unknown verb.

    Examples
    --------
    >>> import distrl
    >>> seconds = distrl.warm_up("evaluate", progress=False)
    """
    chosen = VERBS if verbs is None else (verbs,) if isinstance(verbs, str) else tuple(verbs)
    unknown = [verb for verb in chosen if verb not in VERBS]
    if unknown:
        raise ValueError(f"verbs must be among {', '.join(VERBS)}, got {unknown[0]!r}")
    steps = [step for verb in dict.fromkeys(chosen) for step in _STEPS[verb]()]
    total = 0.0
    for place, (label, call) in enumerate(steps, start=1):
        since, before = time.perf_counter(), watch.seconds
        with watch.told_to(_teller(f"distrl: compiling for {label} ({place} of {len(steps)})", progress)):
            call()
        taken = min(watch.seconds - before, time.perf_counter() - since)
        if progress and taken > 0.0:
            print(f", {taken:.1f} s", file=sys.stderr, flush=True)
        total += taken
    return total


def _teller(sentence: str, aloud: bool) -> Callable[[str], None]:
    waiting = [sentence] if aloud else []

    def tell(kernel: str) -> None:
        if waiting:
            print(waiting.pop(), end="", file=sys.stderr, flush=True)

    return tell


def _evaluate() -> Steps:
    small = MRP([[0.5, 0.5, 0.0], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0]], [1.0, FiniteLaw([0.0, 1.0]), 0.0], 0.9)
    ending = MRP(small.continuation.toarray(), [1.0, 0.5, 0.0], 0.9, terminal=[False, False, True])
    ladder = MRP(np.eye(8, k=1) + np.diag([0.0] * 7 + [1.0]), np.arange(8.0), 0.5)
    ring = environments.cycle(60, discount=0.999)
    wide = environments.garnet(200, 1, 5, rng=0, discount=0.99).under("uniform")
    many = MRP(small.continuation.toarray(), [FiniteLaw(np.linspace(0.0, 1.0, 60)), 0.5, 0.0], 0.9)
    uneven = environments.garnet(8, 2, 2, rng=0, discount=0.5).under("uniform")
    steps: Steps = []

    def add(model: MRP, *methods: Any) -> None:
        for method in methods:

            def call(method: Any = method) -> None:
                solution = evaluate(model, method, rng=0, throw=False, max_iterations=200)
                solution.summary([0])

            steps.append((repr(method).split("(")[0], call))

    grid = Grid.covering(small, 11)
    add(small, CategoricalFixedPoint(11), CategoricalFixedPoint(11, solver="krylov"))
    add(small, CategoricalFixedPoint(11, solver="direct"), CategoricalFixedPoint(11, solver="iterate"))
    for model in (ending, ladder, ring, wide, uneven):
        add(model, CategoricalFixedPoint(21))
    add(many, CategoricalFixedPoint(21))
    add(small, CategoricalDP(11, 3, grid), QuantileDP(11), QuantileDP(11, flat=0.5), ExpectileDP(3), ParticleDP(11))
    add(ladder, QuantileDP(11))
    add(small, Brackets(11), Brackets(11, order="stochastic"), Moments(3), MonteCarlo(10))
    walk = MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], 1.0)
    rows = [(0, 0.5, 1, 0.0, False), (0, 0.5, 0, 0.0, True), (1, 0.5, 0, 0.0, False), (1, 0.5, 1, 1.0, True)]
    back = MRP.from_outcomes(rows, 1.0)
    tree = MRP.from_outcomes([(0, 0.5, 1, 1.0, False), (0, 0.5, 1, 0.5, False), (1, 1.0, 1, 1.0, True)], 0.5)
    for model in (walk, back, tree):
        add(model, Lattice())
    add(walk, Lattice(atoms=5))
    steps.append(("finite horizons", lambda: evaluate(walk, Lattice(), horizon=2)))
    add(walk, CategoricalFixedPoint(21), MonteCarlo(10))
    for method in (CategoricalFixedPoint(11), ParticleDP(11), Brackets(11, order="stochastic")):
        steps.append(("finite horizons", lambda method=method: evaluate(small, method, horizon=2)))  # type: ignore[misc]
    steps.append(("distances and functionals", lambda: _laws(small, grid)))
    return steps


def _laws(model: MRP, grid: Grid) -> None:
    methods = (CategoricalFixedPoint(11, grid), CategoricalFixedPoint(12), QuantileDP(11), QuantileDP(12))
    laws = [evaluate(model, method).returns for method in methods]
    for first in laws:
        for second in laws:
            wasserstein(first, second)
            wasserstein(first, second, p=2)
            cramer(first, second)
            kolmogorov(first, second)
        first.cdf([0.0]), first.quantile([0.5]), first.cvar([0.1]), first.cvar([0.1], tail="upper")
        first.entropic_risk([0.1]), first.expectile([0.3]), first.stop_loss([0.0]), first.sample(2, rng=0)
        EVaR(0.1).value(first)


def _estimate() -> Steps:
    model = environments.garnet(6, 2, 3, rng=0, discount=0.9)
    steps: Steps = []
    for method in (CategoricalFixedPoint(11), QuantileDP(11), Moments(2)):

        def call(method: Any = method) -> None:
            result = estimate(model, method, policy="uniform", samples_per_state=20, rng=0)
            if isinstance(method, CategoricalFixedPoint):
                result.interval("mean"), result.interval("cvar", 0.1), result.interval("mean", method="bootstrap")

        steps.append((f"estimate with {repr(method).split('(')[0]}", call))
    return steps


def _learn() -> Steps:
    model = environments.garnet(6, 1, 3, rng=0, discount=0.9).under("uniform")
    ending = MRP([[0.0, 1.0], [0.0, 1.0]], [FiniteLaw([0.0, 1.0]), 0.0], 0.9, terminal=[False, True])
    steps: Steps = []
    methods = (TD(), CategoricalTD(11), QuantileTD(11), QuantileTD(101), ExpectileTD(5))
    for method in methods:

        def call(method: Any = method) -> None:
            for sampling in ("synchronous", "generative", "trajectory"):
                learn(model, method, updates=5, sampling=sampling, rng=0)

        steps.append((repr(method).split("(")[0], call))
    choices = environments.garnet(6, 2, 3, rng=0, discount=0.9)
    for acting in (MeanQ(), CategoricalQ(11), QuantileQ(11), ExpectileQ(5), TargetQ(8)):

        def play(method: Any = acting) -> None:
            for sampling in ("synchronous", "trajectory"):
                learn(choices, method, updates=2, sampling=sampling, rng=0).policy()

        steps.append((repr(acting).split("(")[0], play))
    steps.append(("MonteCarloTD", lambda: learn(ending, MonteCarloTD(), updates=5, sampling="generative", rng=0)))
    return steps


def _optimize() -> Steps:
    model = environments.garnet(6, 2, 3, rng=0, discount=0.9)
    rows = [(0, 0, 0.5, 0, -1.0, False), (0, 0, 0.5, 0, -1.0, True), (0, 1, 1.0, 0, -3.0, True)]
    ending = MDP.from_outcomes(rows, 1.0)
    steps: Steps = []
    objectives: tuple[Functional, ...] = (
        *(CVaR(0.2), Shortfall(1.0), MeanVariance(1.0), ProbabilityAbove(1.0)),
        *(EntropicRisk(-0.5), EVaR(0.2), NestedCVaR(0.2)),
    )
    for objective in objectives:

        def call(objective: Functional = objective) -> None:
            optimize(model, objective, throw=False, max_iterations=50)
            optimize(model, objective, throw=False, horizon=2)

        steps.append((repr(objective).split("(")[0], call))
    wide = environments.garnet(200, 2, 2, rng=0, discount=0.9)  # of so many states that sweeps come first
    steps.append(("Mean", lambda: optimize(wide, Mean())))
    steps.append(("CVaR", lambda: optimize(ending, CVaR(0.2), throw=False).simulate(10, rng=0)))
    return steps


_STEPS: dict[str, Callable[[], Steps]] = {
    "evaluate": _evaluate,
    "estimate": _estimate,
    "learn": _learn,
    "optimize": _optimize,
}
