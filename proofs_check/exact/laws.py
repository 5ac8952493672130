"""Laws over the rationals: a dict from value to mass; their functionals and the distances between them."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

ExactLaw = dict[Fraction, Fraction]


def normalised(weights: Iterable[float]) -> list[Fraction]:
    """Floats as rationals that sum to one."""
    masses = [Fraction(float(weight)) for weight in weights]
    total = sum(masses)
    return [mass / total for mass in masses]


def add_up(pairs: Iterable[tuple[Fraction, Fraction]]) -> ExactLaw:
    """A law from (value, mass) pairs."""
    law: ExactLaw = {}
    for value, mass in pairs:
        if mass:
            law[value] = law.get(value, Fraction(0)) + mass
    return law


def project(law: ExactLaw, atoms: Sequence[Fraction]) -> ExactLaw:
    """The hat projection on a uniform grid."""
    spacing = atoms[1] - atoms[0]
    pairs = []
    for value, mass in law.items():
        place = (min(max(value, atoms[0]), atoms[-1]) - atoms[0]) / spacing
        left = min(place.numerator // place.denominator, len(atoms) - 2)
        pairs += [(atoms[left], mass * (1 - (place - left))), (atoms[left + 1], mass * (place - left))]
    return add_up(pairs)


def size_of(laws: Iterable[ExactLaw]) -> float:
    """The largest absolute value."""
    return max(float(abs(value)) for law in laws for value in law)


def mean(law: ExactLaw) -> Fraction:
    return sum((value * mass for value, mass in law.items()), Fraction(0))


def variance(law: ExactLaw) -> Fraction:
    centre = mean(law)
    return sum(((value - centre) ** 2 * mass for value, mass in law.items()), Fraction(0))


def quantile(law: ExactLaw, level: Fraction) -> Fraction:
    """The lowest value with at least `level` of the mass up to it."""
    total = Fraction(0)
    for value, mass in sorted(law.items()):
        total += mass
        if total >= level:
            return value
    return max(law)


def cvar(law: ExactLaw, level: Fraction) -> Fraction:
    """Mean of the worst `level` of the mass."""
    left, total = level, Fraction(0)
    for value, mass in sorted(law.items()):
        taken = min(left, mass)
        total, left = total + taken * value, left - taken
    return total / level


def expectile(law: ExactLaw, level: float) -> float:
    """The zero e of level E(Y - e)+ - (1 - level) E(e - Y)+, exact on the segment where it lies."""
    tau, points = Fraction(level), sorted(law)
    for low, high in itertools.pairwise(points):
        above = [(v, m * tau) for v, m in law.items() if v >= high]
        below = [(v, m * (1 - tau)) for v, m in law.items() if v <= low]
        zero = sum(v * m for v, m in above + below) / sum(m for _, m in above + below)
        if low <= zero <= high:
            return float(zero)
    return float(points[0])


def _gaps(first: ExactLaw, second: ExactLaw) -> list[tuple[Fraction, Fraction]]:
    """(length, F - G) between consecutive values."""
    support = sorted({*first, *second})
    difference, pieces = Fraction(0), []
    for left, right in itertools.pairwise(support):
        difference += first.get(left, Fraction(0)) - second.get(left, Fraction(0))
        pieces.append((right - left, difference))
    return pieces


def w1(first: ExactLaw, second: ExactLaw) -> Fraction:
    """int |F - G|."""
    return sum((length * abs(gap) for length, gap in _gaps(first, second)), Fraction(0))


def cramer_squared(first: ExactLaw, second: ExactLaw) -> Fraction:
    """int (F - G)^2."""
    return sum((length * gap * gap for length, gap in _gaps(first, second)), Fraction(0))


def kolmogorov(first: ExactLaw, second: ExactLaw) -> Fraction:
    """sup |F - G|."""
    return max((abs(gap) for _, gap in _gaps(first, second)), default=Fraction(0))


def total_variation(first: ExactLaw, second: ExactLaw) -> Fraction:
    """Half the sum of |mass differences|."""
    return (
        sum((abs(first.get(v, Fraction(0)) - second.get(v, Fraction(0))) for v in {*first, *second}), Fraction(0)) / 2
    )


def transport_cost(first: ExactLaw, second: ExactLaw, power: int) -> Fraction:
    """W_p^p: int |F^{-1} - G^{-1}|^p by walking both laws from the left."""
    total, left, right = Fraction(0), sorted(first.items()), sorted(second.items())
    i = j = 0
    mass_left, mass_right = left[0][1], right[0][1]
    while True:
        moved = min(mass_left, mass_right)
        total += moved * abs(left[i][0] - right[j][0]) ** power
        mass_left, mass_right = mass_left - moved, mass_right - moved
        if mass_left == 0:
            i += 1
        if mass_right == 0:
            j += 1
        if i == len(left) or j == len(right):
            return total
        mass_left = left[i][1] if mass_left == 0 else mass_left
        mass_right = right[j][1] if mass_right == 0 else mass_right


def w_infinity(first: ExactLaw, second: ExactLaw) -> Fraction:
    """sup |F^{-1} - G^{-1}|."""
    worst, left, right = Fraction(0), sorted(first.items()), sorted(second.items())
    i = j = 0
    mass_left, mass_right = left[0][1], right[0][1]
    while True:
        worst = max(worst, abs(left[i][0] - right[j][0]))
        moved = min(mass_left, mass_right)
        mass_left, mass_right = mass_left - moved, mass_right - moved
        i, j = i + (mass_left == 0), j + (mass_right == 0)
        if i == len(left) or j == len(right):
            return worst
        mass_left = left[i][1] if mass_left == 0 else mass_left
        mass_right = right[j][1] if mass_right == 0 else mass_right


def stop_loss(law: ExactLaw, point: Fraction) -> Fraction:
    """E[(Y - point)+]."""
    return sum(((value - point) * mass for value, mass in law.items() if value > point), Fraction(0))


def sup(
    distance: Callable[[ExactLaw, ExactLaw], Fraction], first: Sequence[ExactLaw], second: Sequence[ExactLaw]
) -> Fraction:
    """The largest distance over the states."""
    return max(distance(a, b) for a, b in zip(first, second, strict=True))
