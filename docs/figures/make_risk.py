"""Draw risk_lake.png and risk_cliff.png beside this file: `python -m docs.figures.make_risk`, from the top folder.

The law of the return from the start under the policy of the best CVaR, and under the one of the best mean.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import distrl
from distrl.plotting import MARKERS, STYLE, save_figure
from distrl.plotting.style import look_of


class Study(NamedTuple):
    """A process, the level, how well it is to be solved, and what is written above."""

    name: str
    model: Callable[[], distrl.MDP]
    level: float
    tol: float | None
    title: str
    places: str
    ends: tuple[float, float]
    legend: str


LAKE = Study(
    "risk_lake",
    lambda: distrl.from_gymnasium("FrozenLake-v1", 0.99, map_name="8x8", is_slippery=True),
    0.1,
    0.0002,
    "FrozenLake 8x8, slippery, discount 0.99",
    ".3f",
    (-0.02, 0.9),
    "lower right",
)
CLIFF = Study(
    "risk_cliff",
    lambda: distrl.environments.gridworld(discount=1.0, slip=0.1),
    0.05,
    None,
    "CliffWalking, one move in ten slips, discount 1",
    ".2f",
    (-235.0, 0.0),
    "upper left",
)


def laws(study: Study) -> dict[str, distrl.ParticleReturns]:
    """The law from the start of the policy with the best CVaR, and of the one with the best mean."""
    mdp = study.model()
    assert mdp.initial is not None
    start = int(np.argmax(mdp.initial))
    careful = distrl.optimize(mdp, distrl.CVaR(study.level), tol=study.tol)
    assert isinstance(careful.policy, distrl.TargetPolicy)
    method = None if mdp.discount == 1.0 else distrl.CategoricalFixedPoint(atoms=1001)  # exact levels; a fine grid
    best = distrl.optimize(mdp, distrl.Mean())
    print(f"{study.name}: {careful.lower[start]:.7g} <= CVaR <= {careful.upper[start]:.7g}")
    played = careful.policy.laws_from(mdp, [start], method)
    assert played.certificate is not None
    print(f"    drawn: {played.certificate.of}, W1 <= {played.certificate.w1[0]:.2g}")
    return {
        f"best CVaR {study.level:.0%}": played.returns[0],
        "best mean": distrl.evaluate(mdp, method, best.policy).returns[start],
    }


def draw(axes: Axes, study: Study) -> None:
    """Both distribution functions, the worst share below its line, and the mean of each over that share."""
    for number, (name, law) in enumerate(laws(study).items()):
        values, weights = law.support_weights()
        values, weights = np.ravel(values), np.ravel(weights)
        order = np.argsort(values)
        risk, mean = float(law.cvar(study.level)), float(law.mean())
        look = look_of(number)
        worst = format(risk, study.places).replace("-", "\N{MINUS SIGN}")
        usual = format(mean, study.places).replace("-", "\N{MINUS SIGN}")
        axes.step(values[order], np.cumsum(weights[order]), where="post", **look)
        dot = {"marker": MARKERS[number], "markersize": 8.0, "markeredgecolor": "white"}
        axes.plot([risk], [study.level], color=look["color"], zorder=3, clip_on=False, **dot)
        label = f"policy of the {name}:\nmean of the worst {study.level:.0%} {worst}, of all {usual}"
        axes.plot([], [], label=label, **look, **dot)
    axes.axhspan(0.0, study.level, color="0.92", zorder=0)
    axes.set_yscale("log")
    axes.set_ylim(2e-3, 1.15)
    axes.set_yticks([0.01, study.level, 1.0], ["1%", f"{study.level:.0%}", "100%"])
    axes.set_yticks([], [], minor=True)
    axes.set_xlim(*study.ends)
    beside = "left" if study.legend == "upper left" else "right"
    words = {"ha": beside, "va": "top", "fontsize": 9, "color": "0.3"}
    place = (0.01 if beside == "left" else 0.99, study.level * 0.93)
    axes.text(*place, f"the worst {study.level:.0%}", transform=axes.get_yaxis_transform(), **words)
    axes.set_xlabel("return x from the start (units of reward)")
    axes.set_ylabel("P(return ≤ x)")
    axes.set_title(study.title, fontsize=12)
    axes.legend(loc=study.legend, fontsize=9)


def main() -> None:
    """Solve both, and draw one figure for each."""
    for study in (LAKE, CLIFF):
        with plt.rc_context({**STYLE, "font.size": 11}):
            figure, axes = plt.subplots(figsize=(6.6, 4.0), layout="constrained")
            draw(axes, study)
        save_figure(figure, Path(__file__).with_name(f"{study.name}.png"), dpi=110)


if __name__ == "__main__":
    main()
