"""CVaR on the domains of other people's papers, against values that another program enclosed on 512 to 4,096 cells."""

from pathlib import Path

import pytest

import distrl
from distrl import CVaR, optimize

FOLDER = Path(__file__).resolve().parents[1] / "models" / "data" / "csv"
#: name, start, and for levels .05, .1, .25, .5 the ends at discount .9
KNOWN = {
    "machine": (0, [(-12.934, -12.930), (-9.9557, -9.9528), (-6.4294, -6.4271), (-4.2596, -4.2574)]),
    "ruin": (4, [(0.0792, 0.0800), (0.4689, 0.4702), (1.5442, 1.5454), (3.2263, 3.2273)]),
    "riverswim": (8, [(50.0, 50.0165), (50.0, 50.0166), (50.0, 50.0167), (50.0, 50.0170)]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_intervals_overlap(name):
    start, ends = KNOWN[name]
    mdp = distrl.read_csv(FOLDER / f"{name}.csv", 0.9)
    for level, (low, high) in zip((0.05, 0.1, 0.25, 0.5), ends, strict=True):
        ctl = optimize(mdp, CVaR(level))
        assert ctl.lower[start] <= high and low <= ctl.upper[start]
        assert ctl.upper[start] - ctl.lower[start] <= ctl.tol
