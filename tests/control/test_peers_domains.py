"""CVaR on other people's processes, against values that another program enclosed on 512 to 4,096 cells."""

from pathlib import Path

import pytest

import distrl
from distrl import CVaR, optimize
from tests.control.known_models import F7_CVAR, frozen_lake

FOLDER = Path(__file__).resolve().parents[1] / "models" / "data" / "csv"
#: name, start, and for levels .05, .1, .25, .5 the ends at discount .9
KNOWN = {
    "machine": (0, [(-12.934, -12.930), (-9.9557, -9.9528), (-6.4294, -6.4271), (-4.2596, -4.2574)]),
    "ruin": (4, [(0.0792, 0.0800), (0.4689, 0.4702), (1.5442, 1.5454), (3.2263, 3.2273)]),
    "riverswim": (8, [(50.0, 50.0165), (50.0, 50.0166), (50.0, 50.0167), (50.0, 50.0170)]),
    "cliff": (36, [(-9.9798, -9.9650), (-9.9501, -9.9419), (-9.8667, -9.8629), (-9.7269, -9.7232)]),
    "inventory1": (9, [(213.344, 213.352), (218.239, 218.244), (225.985, 225.988), (233.452, 233.454)]),
}
LEVELS = (0.05, 0.1, 0.25, 0.5)


def meets(ctl, state, known):
    low, high = known
    assert ctl.lower[state] <= high and low <= ctl.upper[state]
    assert ctl.gap.max() <= ctl.tol


@pytest.mark.parametrize("name", KNOWN)
def test_intervals_overlap(name):
    start, ends = KNOWN[name]
    mdp = distrl.read_csv(next(FOLDER.glob(f"{name}.csv*")), 0.9)
    for level, known in zip(LEVELS, ends, strict=True):
        meets(optimize(mdp, CVaR(level)), start, known)


def test_one_solve_has_the_frozen_lake_at_all_levels():
    pytest.importorskip("gymnasium")
    ctl = optimize(frozen_lake(8), CVaR(0.05), tol=2e-3)
    for level, known in F7_CVAR[8].items():
        meets(ctl.at(level), 0, known)


@pytest.mark.parametrize(("level", "tol"), [(0.1, 0.02), (0.25, 4e-3), (0.5, 2e-3)])
def test_the_small_frozen_lake_too(level, tol):
    pytest.importorskip("gymnasium")
    meets(optimize(frozen_lake(4), CVaR(level), tol=tol), 0, F7_CVAR[4][level])
