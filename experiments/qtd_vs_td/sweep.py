"""The cells, and how one is solved."""

from typing import Any

import numpy as np
from scipy import special

import distrl
from distrl.td import Polynomial
from experiments.protocol import Arrays, Cell, columns
from experiments.qtd_vs_td.family import DISCOUNT, LAWS, STATES, STRUCTURES, model_of

TD_STEPS = (0.01, 0.03, 0.1, 0.3, 1.0)
QTD_STEPS = (0.03, 0.1, 0.3, 1.0, 3.0)  # in units of reward
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"mrps": 2, "quantiles": (1, 32), "updates": (100, 1000), "replications": 3, "settling": 500},
    "default": {
        "mrps": 8,
        "quantiles": (1, 8, 32, 128, 512),
        "updates": (30, 100, 300, 1000, 3000),
        "replications": 5,
        "settling": 2000,
    },
    "full": {
        "mrps": 100,
        "quantiles": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        "updates": (30, 100, 300, 1000, 3000, 10_000, 30_000),
        "replications": 50,
        "settling": 30_000,
    },
}
_PROBES = 500  # single steps, for their variance
_SETTLED = 10  # replications that show where quantile TD settles


def cells(size: str) -> list[Cell]:
    """A cell for each MRP: both methods learn from the same transitions."""
    chosen = dict(_SIZES[size])
    mrps = chosen.pop("mrps")
    return [
        Cell(f"{structure}-{law}-{mrp:03d}", {"structure": structure, "law": law, "mrp": mrp, **chosen})
        for structure in STRUCTURES
        for law in LAWS
        for mrp in range(mrps)
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """Mean squared error of the value, over states and replications, at every update count, method and step."""
    arguments = cell.arguments
    drawn, sampled = seed.spawn(2)
    model = model_of(str(arguments["structure"]), str(arguments["law"]), np.random.default_rng(drawn))
    continuation = model.continuation.toarray()
    exact = np.linalg.solve(np.eye(STATES) - DISCOUNT * continuation, model.expected_rewards)
    counts = np.array(arguments["updates"])
    rows = []
    for quantiles in (0, *arguments["quantiles"]):
        method: Any = distrl.QuantileTD(quantiles) if quantiles else distrl.TD()
        bias, noise = (
            _limit(model, quantiles, exact, arguments["settling"], sampled)
            if quantiles
            else (0.0, _td_noise(model, exact, sampled))
        )
        for step in QTD_STEPS if quantiles else TD_STEPS:
            run = distrl.learn(
                model, method, step_size=step, updates=int(counts[-1]), replications=arguments["replications"],
                records=counts, rng=sampled, threads=1,
            )  # fmt: skip
            errors = np.square(run.values - exact).mean(axis=(1, 2))
            rows += [
                {
                    "structure": arguments["structure"],
                    "law": arguments["law"],
                    "mrp": arguments["mrp"],
                    "method": f"QTD-{quantiles}" if quantiles else "TD",
                    "quantiles": quantiles,
                    "step": step,
                    "updates": count,
                    "mse": error,
                    "bias_mse": bias,
                    "noise": noise,
                }
                for count, error in zip(counts.tolist(), errors, strict=True)
            ]
    return columns(rows)


def _limit(model: distrl.MRP, quantiles: int, exact: np.ndarray, updates: int, seed: Any) -> tuple[float, float]:
    """Mean squared bias of where quantile TD settles, and the noise of a step there.

    It starts around the true values and settles under averaged decreasing steps; what is left of their noise in the
    mean over replications is subtracted.
    """
    levels = (2.0 * np.arange(quantiles) + 1.0) / (2.0 * quantiles)
    settled = distrl.learn(
        model, distrl.QuantileTD(quantiles, average_from=updates // 2), step_size=Polynomial(3.0, 0.7, 10.0),
        start=exact[:, None] + 2.0 * special.ndtri(levels), updates=updates, replications=_SETTLED, records=1, rng=seed,
        threads=1,
    )  # fmt: skip
    values = np.sort(settled.final.values, axis=-1).mean(axis=0)
    means, spread = settled.values[-1].mean(axis=0), settled.values[-1].var(axis=0, ddof=1)
    bias = float((np.square(means - exact) - spread / _SETTLED).mean())
    shift = 0.25
    steps = [_steps(model, values, levels, moved, seed) for moved in (-shift, 0.0, shift)]
    # what pulls all estimates back when all are moved, a unit of distance; 1 - discount for TD
    pull = float((steps[0].mean(axis=0) - steps[2].mean(axis=0)).mean()) / (2.0 * shift)
    return max(bias, 0.0), float(np.sqrt(steps[1].var(axis=0).mean())) / max(pull, 1e-12)


def _steps(model: distrl.MRP, values: np.ndarray, levels: np.ndarray, moved: float, seed: Any) -> np.ndarray:
    """(n, S) steps of the mean of quantile TD from `values` + `moved`, one sampled transition each, step size 1."""
    rewards, successors = _transitions(model, seed)
    steps = np.empty(rewards.shape)
    for x in range(STATES):
        wanted = (values[x] + moved - rewards[:, x, None]) / DISCOUNT - moved
        for y in np.unique(successors[:, x]):
            here = successors[:, x] == y
            below = np.searchsorted(values[y], wanted[here])
            steps[here, x] = (levels - below / len(levels)).mean(axis=1)
    return steps


def _td_noise(model: distrl.MRP, exact: np.ndarray, seed: Any) -> float:
    """Standard deviation of TD's step at the true values, in units of its pull."""
    rewards, successors = _transitions(model, seed)
    return float(np.sqrt((rewards + DISCOUNT * exact[successors]).var(axis=0).mean())) / (1.0 - DISCOUNT)


def _transitions(model: distrl.MRP, seed: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n, S) rewards and next states."""
    samples = distrl.GenerativeModel(model).sample(_PROBES, np.random.default_rng(seed)).samples
    # sorted by state; equal ones are kept once, with their number
    rows = np.repeat(np.arange(len(samples.counts)), samples.counts).reshape(STATES, _PROBES).T
    return samples.rewards[rows], samples.next_states[rows]
