"""How fine lattices are made: by themselves as far as it gains something, else as far as they may be."""

import pytest

import distrl
from distrl import CVaR, Status, TargetDP, optimize
from tests.control.known_models import F4

LEVEL, VALUE = 0.8, 67 / 80  # of F4 without an end: half of the time 1, else 0; or surely 2/5; discount 1/2


def coin():
    """F4: its returns have no density, so that gaps are of first order in the spacing."""
    return F4.model.mdp()


@pytest.mark.parametrize("horizon", [None, 12])
def test_a_tolerance_below_what_4096_cells_give_is_met(horizon):
    with pytest.raises(distrl.OptimizationError, match=r"of 0\.\d+ a cell, is not fine enough; raise cells") as caught:
        optimize(coin(), CVaR(LEVEL), TargetDP(64), tol=3e-5, horizon=horizon)
    short = caught.value.solution
    assert short.status is Status.MAX_ITERATIONS and short.gap[0] > 3e-5
    ctl = optimize(coin(), CVaR(LEVEL), tol=3e-5, horizon=horizon)
    assert ctl.gap[0] <= 3e-5 and short.lower[0] <= ctl.upper[0] and ctl.lower[0] <= short.upper[0]
    if horizon is None:
        assert ctl.lower[0] <= VALUE <= ctl.upper[0]


@pytest.mark.parametrize("horizon", [None, 12])
def test_where_it_stops_the_gap_and_the_mend_are_said(horizon, monkeypatch):
    for module in ("search", "layers"):
        monkeypatch.setattr(f"distrl.control.target.{module}._MOST", 3_000)
        monkeypatch.setattr(f"distrl.control.target.{module}._WHOLE", 500)
    with pytest.raises(
        distrl.OptimizationError, match=r"knots, which takes long: TargetDP\(cells=\) goes on"
    ) as caught:
        optimize(coin(), CVaR(LEVEL), tol=1e-7, horizon=horizon)
    ctl = caught.value.solution
    assert ctl.status is Status.MAX_ITERATIONS and "gap <= " in str(caught.value)
    if horizon is None:
        assert ctl.lower[0] <= VALUE <= ctl.upper[0]
    again = optimize(coin(), CVaR(LEVEL), tol=1e-7, horizon=horizon, throw=False)
    assert again.lower[0] == ctl.lower[0] and again.reason == ctl.reason
    monkeypatch.setattr("distrl.control.target.search.available_memory", lambda: 3e4)
    monkeypatch.setattr("distrl.control.target.layers.available_memory", lambda: 3e4)
    with pytest.raises(distrl.OptimizationError, match="fit in memory; raise tol"):
        optimize(coin(), CVaR(LEVEL), TargetDP(2**20), tol=1e-7, horizon=horizon)


@pytest.mark.parametrize("horizon", [None, 3])
def test_halving_ends_where_it_gains_little(horizon, monkeypatch):
    for module in ("search", "layers"):
        monkeypatch.setattr(f"distrl.control.target.{module}._LITTLE", 0.02)
    ctl = optimize(coin(), CVaR(LEVEL), tol=1e-7, horizon=horizon, throw=False)
    assert ctl.status is Status.MAX_ITERATIONS and "hardly larger; raise tol" in ctl.reason
    assert ctl.lower[0] <= ctl.upper[0] < 2.0
