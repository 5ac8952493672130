"""Draw docs/figures/frozenlake.png: `python -m docs.figures.make_frozenlake`, from the top of the repository."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from distrl._display import at_most
from distrl.plotting import STYLE, save_figure
from experiments.protocol import Cell
from experiments.quickstart.analysis import laws
from experiments.quickstart.figures import lake_map, survival
from experiments.quickstart.sweep import solve


def main() -> None:
    """Solve FrozenLake 8x8 for two policies; draw the laws at the start, and what risk looks like on the map."""
    runs = {
        policy: solve(
            Cell(policy, {"environment": "FrozenLake-v1", "policy": policy, "atoms": 1001}), np.random.SeedSequence(0)
        )
        for policy in ("optimal", "uniform")
    }
    with plt.rc_context({**STYLE, "font.size": 12}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12.5, 5.0), layout="constrained", width_ratios=[1.0, 1.05])
        for policy, run in runs.items():
            bound = run["bound"][run["start"]]
            survival(left, run, policy, f"{policy} policy\n($W_1$ error $\\leq$ {at_most(bound, 2)}, certified)")
        left.plot([], [], color="0.78", linewidth=5.0, label="exact law")
        left.set_yscale("log")
        left.set_ylim(1e-4, 1.6)
        left.set_xlabel("return x from the start (units of reward)")
        left.set_ylabel("P(return > x)")
        left.set_title("FrozenLake 8x8, slippery, discount 0.99", fontsize=13)
        left.legend(loc="center left", bbox_to_anchor=(0.1, 0.58), fontsize=11)
        lake_map(right, laws(runs["optimal"]).cvar(0.25), "optimal policy: mean of the worst 25% of returns (CVaR)")
        right.title.set_fontsize(13)
    save_figure(figure, Path(__file__).with_name("frozenlake.png"), dpi=128)


if __name__ == "__main__":
    main()
