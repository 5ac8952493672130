"""Numbers for people to read."""

import math
from decimal import ROUND_CEILING, Context


def at_most(bound: float, digits: int = 3) -> str:
    """`bound` to so many digits, rounded up, so that what is printed is still a bound."""
    if not math.isfinite(bound):
        return f"{bound:g}"
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(repr(float(bound)))
    return f"{float(rounded):.{digits}g}"
