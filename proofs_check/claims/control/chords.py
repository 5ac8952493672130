"""One backup of a piecewise linear function of the target: chords between whole numbers, below it and above it.

Functions f(y, .) have kinks at whole numbers, slope 0 before the first and 1 after the last. The backed-up function of
an action, q(b) = sum p [g f(y, (b - r) / g) or, at an end, (b - r)+], has kinks elsewhere. Spacing 1 is no restriction.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from distrl import theory
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.control import CONTROL
from proofs_check.claims.control.static import LAYERS, examples
from proofs_check.exact.risk import Ending, rounded_down, rounded_up
from proofs_check.families import Family, numbered

PLACE = 4
ZERO = Fraction(0)


@st.composite
def _backups(draw: st.DrawFn) -> Case:
    """A state with two actions of up to three outcomes each, and functions of two successors on up to 5 knots."""
    rows = []
    for a in range(2):
        parts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
        for part in parts:
            reward = draw(st.integers(-12, 12)) / 4.0
            rows.append((0, a, part / sum(parts), draw(st.integers(0, 1)), reward, draw(st.integers(0, 3)) == 0))
    n = draw(st.integers(2, 5))
    heights = [draw(st.integers(0, 8)) / 4.0 for _ in range(2 * n)]
    values = np.array(heights).reshape(2, n)
    return Case((*rows, (1, 0, 1.0, 1, 0.0, True)), draw(st.sampled_from([0.5, 0.75, 1.0])), None, (), (values,))


BACKUPS = Family(_backups(), "a state of 2 actions before functions of any shape on up to 5 knots")


def _simple() -> list[Case]:
    """One kink half-way between two knots, upward or downward; two actions, the better one changing within a cell."""
    heights = (np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]),)
    after = (1, 0, 1.0, 1, 0.0, True)
    cases = [Case(((0, 0, 1.0, y, 0.5, False), after), 1.0, None, (), heights) for y in (0, 1)]
    crossing = ((0, 0, 1.0, 0, 1.0, True), (0, 1, 0.5, 0, -0.5, True), (0, 1, 0.5, 0, 3.0, True), after)
    return [*cases, Case(crossing, 1.0, None, (), heights)]


class Backup:
    """The backed-up functions of the actions of state 0."""

    def __init__(self, case: Case) -> None:
        model = Ending(case)
        self.g, self.actions = model.g, model.choices(0)
        self.heights = [[Fraction(v) for v in row] for row in case.values[0].tolist()]
        self.kinks = [self._kinks(rows) for rows in self.actions]
        places = [place for kinks in self.kinks for place in kinks] or [ZERO]
        self.low, self.high = math.floor(min(places)) - 1, math.ceil(max(places)) + 1
        self.knots = range(self.low, self.high + 1)

    def _f(self, y: int, b: Fraction) -> Fraction:
        heights = self.heights[y]
        if b <= 0:
            return heights[0]
        if b >= len(heights) - 1:
            return heights[-1] + b - (len(heights) - 1)
        k = math.floor(b)
        return heights[k] + (heights[k + 1] - heights[k]) * (b - k)

    def q(self, a: int, b: Fraction) -> Fraction:
        """The backed-up function of an action."""
        parts = (
            p * (max(b - r, ZERO) if end else self.g * self._f(y, (b - r) / self.g)) for p, y, r, end in self.actions[a]
        )
        return sum(parts, ZERO)

    def _kinks(self, rows: list[tuple[Fraction, int, Fraction, bool]]) -> dict[Fraction, Fraction]:
        """Where slopes change, and by how much."""
        found: dict[Fraction, Fraction] = {}
        for p, y, r, end in rows:
            slopes = [ZERO, *(b - a for a, b in itertools.pairwise(self.heights[y])), Fraction(1)]
            changes = (
                {r: p}
                if end
                else {r + self.g * j: p * (right - left) for j, (left, right) in enumerate(itertools.pairwise(slopes))}
            )
            for place, change in changes.items():
                found[place] = found.get(place, ZERO) + change
        return {place: change for place, change in found.items() if change}

    def inside(self, a: int, k: int) -> dict[Fraction, Fraction]:
        """The kinks of an action within the cell from k to k + 1."""
        return {place: change for place, change in self.kinks[a].items() if k < place < k + 1}

    def off(self, a: int, k: int, sign: int) -> Fraction:
        """Sum of D t (1 - t) over the kinks of that sign in a cell."""
        return sum(
            (max(sign * change, ZERO) * (place - k) * (k + 1 - place) for place, change in self.inside(a, k).items()),
            ZERO,
        )

    def best(self, b: Fraction) -> Fraction:
        """The least of the actions' functions."""
        return min(self.q(a, b) for a in range(len(self.actions)))

    def places(self, a: int, k: int) -> list[Fraction]:
        """Ends, middle and kinks of a cell."""
        return [Fraction(k), Fraction(2 * k + 1, 2), Fraction(k + 1), *self.inside(a, k)]


def _chord(left: Fraction, right: Fraction, k: int, b: Fraction) -> Fraction:
    return left + (right - left) * (b - k)


@claim(
    "target-chords-below",
    statement="Lowered at both ends of a cell by the sum of D t (1 - t) over upward kinks, the least of the actions' "
    "chords is below every backed-up function.",
    latex=r"\mathrm{interp}\bigl(\min_a[q_a(b_k)-\max(d_a(k-1),d_a(k))]\bigr)\le\min_aq_a",
    source=CONTROL,
    evidence="derived",
    measured="a chord of one action above its function, at kinks; the lowered function above every action's, exact",
    bound="the sum over upward kinks, of weight D at the share t of the cell; 0",
    family=BACKUPS,
    structured=_simple,
    attained=0.999,
    used_by="TargetDP",
)  # fmt: skip
def target_chords_below(case: Case) -> Iterator[Reading]:
    """A kink alone moves the chord by D t (1 - t) at most; downward ones move it the other way; a minimum of chords is
    above the chord of minima."""
    backup = Backup(case)
    actions = range(len(backup.actions))
    lost = {(a, k): backup.off(a, k, 1) for a in actions for k in range(backup.low - 1, backup.high + 1)}
    v = {k: min(backup.q(a, Fraction(k)) - max(lost[a, k - 1], lost[a, k]) for a in actions) for k in backup.knots}
    for k in list(backup.knots)[:-1]:
        for a in actions:
            ends = backup.q(a, Fraction(k)), backup.q(a, Fraction(k + 1))
            excess = max(_chord(*ends, k, b) - backup.q(a, b) for b in backup.places(a, k))
            yield Reading(excess, lost[a, k])
            yield Reading(max(_chord(v[k], v[k + 1], k, b) - backup.q(a, b) for b in backup.places(a, k)), ZERO)


@claim(
    "target-chords-above",
    statement="With one action a cell and chords raised by the sum of D t (1 - t) over downward kinks, the larger of "
    "both cells at each knot, the function is above what these actions reach.",
    latex=r"\mathrm{interp}\bigl(\max_{j\ni k}[q_{c(j)}(b_k)+e_{c(j)}(j)]\bigr)\ge q_{c(j)}\text{ on the cell }j",
    source=CONTROL,
    evidence="derived",
    measured="a function of one action above its chord, at kinks; the cell's action above the raised function, exact",
    bound="the sum over downward kinks, of weight -D at the share t of the cell; 0",
    family=BACKUPS,
    structured=_simple,
    attained=0.999,
    used_by="TargetDP",
)  # fmt: skip
def target_chords_above(case: Case) -> Iterator[Reading]:
    """As `target-chords-below`, the other way round; both ends of a cell's chord are raised enough for its action."""
    backup = Backup(case)
    cells = list(backup.knots)[:-1]
    chosen = {k: _chosen(backup, k) for k in cells}
    raised = {}
    for k in backup.knots:
        sides = [j for j in (k - 1, k) if j in chosen]
        raised[k] = max(backup.q(chosen[j], Fraction(k)) + backup.off(chosen[j], j, -1) for j in sides)
    for k in cells:
        for a in range(len(backup.actions)):
            ends = backup.q(a, Fraction(k)), backup.q(a, Fraction(k + 1))
            excess = max(backup.q(a, b) - _chord(*ends, k, b) for b in backup.places(a, k))
            yield Reading(excess, backup.off(a, k, -1))
        a = chosen[k]
        yield Reading(max(backup.q(a, b) - _chord(raised[k], raised[k + 1], k, b) for b in backup.places(a, k)), ZERO)


def _chosen(backup: Backup, k: int) -> int:
    """The action of a cell: the smallest raised value in its middle; which one it is does not matter here."""
    middle = Fraction(2 * k + 1, 2)
    return min(range(len(backup.actions)), key=lambda a: backup.q(a, middle) + backup.off(a, k, -1))


@claim(
    "target-knotwise-above",
    statement="It is enough for the function above to take the best action at each knot.",
    latex=r"\mathrm{interp}\bigl(\min_a[q_a(b_k)+\max(e_a(k-1),e_a(k))]\bigr)\ge\min_aq_a",
    source="the premise of `target-chords-above` left out: one action for both ends of a cell",
    evidence="derived",
    expected="refuted",
    measured="the least of the actions' functions in a cell, exact",
    bound="the chord of the least raised values at its ends",
    family=BACKUPS,
    structured=_simple,
)
def target_knotwise_above(case: Case) -> Iterator[Reading]:
    """Where the best action changes within a cell the minimum is above its chord."""
    backup = Backup(case)
    actions = range(len(backup.actions))
    off = {(a, k): backup.off(a, k, -1) for a in actions for k in range(backup.low - 1, backup.high + 1)}
    v = {k: min(backup.q(a, Fraction(k)) + max(off[a, k - 1], off[a, k]) for a in actions) for k in backup.knots}
    for k in list(backup.knots)[:-1]:
        middle = Fraction(2 * k + 1, 2)
        yield Reading(backup.best(middle), _chord(v[k], v[k + 1], k, middle))


@claim(
    "target-rounding-gap",
    statement="Targets rounded down and up at every step enclose the least loss, at most 2 s g / (1 - g) apart.",
    latex=r"U^-\le U\le U^+,\qquad U^+-U^-\le\frac{2s\gamma}{1-\gamma}",
    source=CONTROL,
    evidence="derived",
    assumes="discount below 1",
    measured="the loss rounded up less that rounded down, whole numbers, exact; the losses in turn",
    bound="2 g / (1 - g); the next one",
    family=LAYERS,
    searched="discount below 1",
    structured=lambda: [*(case for case in examples() if case.discount < 1.0), *_rounded()],
    used_by="theory.rounded_target_gap",
)
def target_rounding_gap(case: Case) -> Iterator[Reading]:
    """U is monotone and 1-Lipschitz in b; what is lost t steps ahead counts g^t times."""
    if case.discount >= 1.0:
        return
    model = Ending(case)
    g = model.g
    yield same(
        theory.rounded_target_gap(1.0, case.discount), float(2 * g / (1 - g)), 1e-13 / (1.0 - case.discount) ** 2
    )
    for b in range(-4, 6):
        low, loss, high = (model.loss(0, Fraction(b), *how) for how in ((rounded_down,), (), (rounded_up,)))
        yield Reading(low - loss, ZERO)
        yield Reading(loss - high, ZERO)
        yield Reading(high - low, 2 * g / (1 - g))


def _rounded() -> list[Case]:
    """A path of four rewards whose targets lie just above a whole number, then just below one."""
    cases = []
    for case in numbered(g=[0.5, 0.75, 0.96875], near=[-1.0, 1.0]):
        g, near = case.numbers["g"], case.numbers["near"] / 64.0
        rows = tuple((s, 0, 1.0, min(s + 1, 3), near, s == 3) for s in range(4))
        cases.append(Case(rows, g))
    return cases
