"""Item 5: the policy is played, and the CVaR of what it collects compared with what was certified."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import norm

import distrl
from benchmarks.control import cliffs
from benchmarks.control_acceptance.said import Line, solved
from benchmarks.control_acceptance.tables import DOMAINS, domain
from distrl import CVaR, environments, from_gymnasium

EPISODES = 400_000
_CONFIDENCE = 0.99  # of all comparisons together


def _lake(size: int) -> distrl.MDP:
    return from_gymnasium("FrozenLake-v1", discount=0.99, map_name=f"{size}x{size}", is_slippery=True)


#: name -> (process, level)
PLAYED: dict[str, tuple[Callable[[], distrl.MDP], float]] = {
    "room 8x8, .95": (lambda: environments.gridworld((8, 8), discount=0.95, slip=0.2), 0.1),
    "cliffs 12x12, .95": (lambda: cliffs(12, discount=0.95), 0.1),
    "cliff walk, 1": (lambda: environments.gridworld(discount=1.0, slip=0.1), 0.05),
    "CliffWalking, slippery, .99": (lambda: from_gymnasium("CliffWalking-v1", discount=0.99, is_slippery=True), 0.1),
    "FrozenLake 4x4, .99": (lambda: _lake(4), 0.25),
    "FrozenLake 8x8, .99": (lambda: _lake(8), 0.1),
    "Taxi, rainy, .95": (lambda: from_gymnasium("Taxi-v4", discount=0.95, is_rainy=True), 0.1),
    "Garnet 20, .9": (lambda: environments.garnet(20, 3, 3, rng=1, discount=0.9), 0.1),
    **{f"{name}, .9": (lambda name=name: domain(name), 0.1) for name in DOMAINS},
}


def simulated() -> Iterator[Line]:
    """400,000 episodes of each policy, from one state.

    The CVaR of the episodes has the standard error of its influence, max(q - G, 0) / level of deviation with q the
    quantile. With 99% confidence for all environments together, it is to be no less than `lower`, and no more than
    `upper`; and the interval of the band of Dvoretzky, Kiefer and Wolfowitz is to meet [lower, upper].
    """
    wrong = (1.0 - _CONFIDENCE) / len(PLAYED)
    errors = float(norm.isf(wrong / 2.0))
    for number, (name, (model, level)) in enumerate(PLAYED.items()):
        mdp = model()
        rough = solved(mdp, CVaR(level))[1]
        ctl = rough if mdp.discount == 1.0 else solved(mdp, CVaR(level), tol=1e-3 * rough.family.size)[1]
        title = name.split(",")[0]
        start = DOMAINS.get(title, 0 if mdp.initial is None else int(np.argmax(mdp.initial)))
        before = time.process_time()
        drawn = ctl.simulate(EPISODES, rng=number, states=[start], confidence=1.0 - wrong)
        seconds = time.process_time() - before
        returns = drawn.returns.values[0]
        value = float(drawn.returns.cvar(level)[0])
        short = np.maximum(float(drawn.returns.quantile(level)[0]) - returns, 0.0)
        error = float(short.std()) / level / EPISODES**0.5
        room = errors * error + float(drawn.certificate.overshoot[0])
        low, high = float(ctl.lower[start]), float(ctl.upper[start])
        band = drawn.interval("cvar", level)[0]
        inside = low - room <= value <= high + room and band[0] <= high and low <= band[1]
        said = f"CVaR at {level:.0%} {value:.6g} +- {error:.2g}, certified [{low:.6g}, {high:.6g}]"
        yield Line(f"{EPISODES:,} episodes, {name}", f"{said} ({seconds:.0f} s)", "no contradiction", inside)
