"""Numbers for people to read: no digit that a bound does not allow, and bounds rounded so that they stay bounds."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

_EXACT = Context(prec=1200)  # every float64 is a decimal of fewer digits
_PLAIN = range(-9, 8)  # powers of ten that are written without an exponent


def at_most(bound: float, digits: int = 3) -> str:
    """`bound` to so many digits, rounded up, so that what is printed is still a bound."""
    if not math.isfinite(bound):
        return f"{bound:g}"
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(repr(float(bound)))
    return f"{float(rounded):.{digits}g}"


def enclosed(low: float, high: float, digits: int = 6) -> str:
    """`[low, high]`, rounded outwards: to a tenth of the width, and at most so many digits of the larger end."""
    unit = _unit_of_ends(low, high, digits)
    return f"[{_rounded(low, unit, ROUND_FLOOR)}, {_rounded(high, unit, ROUND_CEILING)}]"


def allowed(value: float, low: float, high: float, digits: int = 6) -> str:
    """`value` to the digits that an interval for the truth allows; "?" where it allows none.

    The last digit's unit is at most how far the truth can be from the value; more digits are written, up to `digits`,
    where rounding would put the value out of the interval, as `enclosed` writes it, that it is in.
    """
    error = max(value - low, high - value)
    if not (math.isfinite(value) and math.isfinite(error)):
        return "?"
    ends = _unit_of_ends(low, high, digits)
    low, high = float(_multiple(low, ends, ROUND_FLOOR)), float(_multiple(high, ends, ROUND_CEILING))
    unit, finest = _unit(abs(value), error, digits), _unit(abs(value), 0.0, digits)
    while unit > finest:
        number = float(_multiple(value, unit, ROUND_HALF_EVEN))
        if low <= number <= high or not low <= value <= high:
            break
        unit -= 1
    return _rounded(value, unit, ROUND_HALF_EVEN)


def beside(value: float, low: float, high: float) -> str:
    """`value [low, high]`, with a star where the number, as it is written, lies outside: see `OFF`."""
    number, interval = allowed(value, low, high), enclosed(low, high)
    inside = number == "?" or _ends(interval)[0] <= float(number) <= _ends(interval)[1]
    return f"{number}{'' if inside else '*'} {interval}"


def _ends(interval: str) -> tuple[float, float]:
    low, high = interval.strip("[]").split(", ")
    return float(low), float(high)


#: What a star beside a number says.
OFF = "* the method's own number, which the interval proves to be off"


def _unit_of_ends(low: float, high: float, digits: int) -> int:
    if not math.isfinite(high - low):  # one end, or none
        return _unit(max((abs(end) for end in (low, high) if math.isfinite(end)), default=0.0), 0.0, 3)
    return _unit(max(abs(low), abs(high)), 0.1 * (high - low), digits)


def _unit(size: float, error: float, digits: int) -> int:
    """The power of ten of the last digit: not above the error, and at most so many digits of a number of that size."""
    known = size > 0.0 and math.isfinite(size)  # 0.9999999 is written as 1
    finest = math.floor(math.log10(size) + 0.5 * 10.0**-digits) - digits + 1 if known else -digits
    if not (math.isfinite(error) and error > 0.0):
        return finest
    return max(math.floor(math.log10(error)), finest)


def _multiple(value: float, unit: int, rounding: str) -> Decimal:
    scaled = _EXACT.scaleb(_EXACT.create_decimal(value), -unit)
    return _EXACT.scaleb(scaled.to_integral_value(rounding=rounding), unit)


def _rounded(value: float, unit: int, rounding: str) -> str:
    if not math.isfinite(value):
        return f"{value:g}"
    number = _multiple(value, unit, rounding)
    if number.is_zero():
        return "0"
    if number.adjusted() in _PLAIN and unit > -12:
        return f"{number:f}"
    return f"{number:.{max(number.adjusted() - unit, 0)}e}"


def aligned(columns: dict[str, list[str]]) -> list[str]:
    """Lines of a table, every column as wide as it needs, to the right."""
    widths = {name: max([len(name), *map(len, cells)]) for name, cells in columns.items()}
    rows = [list(columns), *(list(row) for row in zip(*columns.values(), strict=True))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths.values(), strict=True)) for row in rows]
