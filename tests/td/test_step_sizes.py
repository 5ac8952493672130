"""Step sizes: their values and the conditions they are said to meet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl.td import Constant, Harmonic, Listed, Polynomial
from distrl.td.step_sizes import as_step_size

pytestmark = pytest.mark.fast

COUNTS = np.arange(1, 50)


def test_values_are_their_formulas():
    np.testing.assert_array_equal(Constant(0.2)(COUNTS), np.full(49, 0.2))
    np.testing.assert_allclose(Harmonic(3, 5)(COUNTS), [3 / (5 + k) for k in COUNTS])
    np.testing.assert_allclose(Polynomial(2, 0.6, 1)(COUNTS), [2 / (1 + k) ** 0.6 for k in COUNTS])
    np.testing.assert_array_equal(Listed(COUNTS / 100)(COUNTS), COUNTS / 100)


@given(st.floats(0.1, 5), st.floats(0, 3), st.floats(0, 10))
def test_the_largest_step_is_the_first(scale, exponent, offset):
    for steps in (Polynomial(scale, exponent, offset), Harmonic(scale, offset), Constant(scale)):
        assert steps.largest == pytest.approx(steps(COUNTS).max(), rel=1e-14)


@given(st.floats(0, 3).filter(lambda e: min(abs(e - 0.5), abs(e - 1.0)) > 0.05))
def test_robbins_monro_agrees_with_the_integral_test(exponent):
    # sum k^-e diverges with the integral of x^-e: doubling the range keeps adding, or adds ever less
    def diverges(e: float) -> bool:
        growth = [np.log(2) if e == 1 else (2.0 ** (1 - e) - 1) / (1 - e) * x ** (1 - e) for x in (1e3, 1e6)]
        return growth[1] >= growth[0]

    steps = Polynomial(1.0, exponent)
    assert steps.robbins_monro == (diverges(exponent) and not diverges(2 * exponent))
    assert steps.quantile_convergent == (exponent > 0 and diverges(exponent))


def test_conditions_at_the_borders():
    assert [Polynomial(1, e).robbins_monro for e in (0, 0.5, 0.51, 1, 1.01)] == [False, False, True, True, False]
    assert [Polynomial(1, e).quantile_convergent for e in (0, 0.01, 1, 1.01)] == [False, True, True, False]
    assert Harmonic().robbins_monro and Harmonic().quantile_convergent
    assert not Constant().robbins_monro and not Constant().quantile_convergent
    assert Listed([0.1]).robbins_monro is None and Listed([0.1]).quantile_convergent is None


def test_numbers_and_arrays_become_steps():
    assert as_step_size(0.3) == Constant(0.3)
    assert as_step_size([0.3, 0.1]) == Listed([0.3, 0.1])
    assert as_step_size([0.3]) != Listed([0.3], clock="updates")
    assert len({Listed([0.3]), as_step_size(np.array([0.3]))}) == 1
    for bad in ("fast", None, [], [-1.0], [np.nan], 0.0, -1.0, True):
        with pytest.raises((ValueError, TypeError), match="step_size"):
            as_step_size(bad)
    with pytest.raises(ValueError, match="clock"):
        Harmonic(clock="wall")
