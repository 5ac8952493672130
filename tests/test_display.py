"""Numbers for people: bounds stay bounds, and a digit that an interval does not allow is not written."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl._display import aligned, allowed, beside, enclosed

pytestmark = pytest.mark.fast
FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(FINITE, FINITE)
def test_printed_ends_enclose_the_interval_and_little_more(one, other):
    low, high = sorted((one, other))
    below, above = (Fraction(text) for text in enclosed(low, high).strip("[]").split(", "))
    assert below <= Fraction(low) and Fraction(high) <= above
    room = max(Fraction(high) - Fraction(low), Fraction(max(abs(low), abs(high))) / 10**4, Fraction(1, 10**5))
    assert above - below <= Fraction(high) - Fraction(low) + room


@given(FINITE, st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1))
def test_a_value_within_its_interval_is_printed_within_it(low, width, share, at):
    high = low + width * (1.0 + share)
    value = min(max(low + at * (high - low), low), high)
    text = allowed(value, low, high)
    below, above = (Fraction(end) for end in enclosed(low, high).strip("[]").split(", "))
    assert below <= Fraction(text) <= above


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (16.3904, 15.9, 18.1, "16"),
        (16.3904, 16.39, 18.1, "16.4"),
        (0.41464032, 0.41464, 0.41466, "0.41464"),
        (123456.0, 110000.0, 140000.0, "120000"),
        (1e15 + 1, 1e15, 1e15 + 2, "1.00000e+15"),
        (3.0, -math.inf, 4.0, "?"),
        (math.nan, 0.0, 1.0, "?"),
        (0.0, 0.0, 0.0, "0"),
        (-1e-13, 0.0, 1e-12, "0"),
        (0.9999999, 0.9999999, 0.9999999, "1.00000"),
    ],
)
def test_digits_stop_where_the_truth_may_differ(value, low, high, text):
    assert allowed(value, low, high) == text


def test_an_interval_with_no_end_says_so():
    assert enclosed(-math.inf, math.inf) == "[-inf, inf]"
    assert enclosed(1.23456, math.inf) == "[1.23, inf]"


def test_columns_are_as_wide_as_they_need():
    assert aligned({"a": ["1", "100"], "long": ["2", "3"]}) == ["  a  long", "  1     2", "100     3"]


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.2160313, "0.216031*"), (0.1, "0.1*"), (0.2160215, "0.216022"), (0.2160217, "0.216022"), (math.nan, "?")],
)
def test_a_number_that_its_interval_proves_to_be_off_has_a_star(value, printed):
    """A standard deviation on a grid is a little too large; what only rounding tells apart is not marked."""
    assert beside(value, 0.2160214, 0.2160216) == f"{printed} [0.216021, 0.216022]"
