"""CVaR of the whole return against recursions that look like it: the dual one, the nested one, interpolated targets."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

from hypothesis import strategies as st

import distrl
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.control import CONTROL
from proofs_check.exact.risk import Ending, interpolated
from proofs_check.families import Family

PLACE = 3
SHIFT = Fraction(20)  # so that a ratio means something


@st.composite
def _layers(draw: st.DrawFn) -> Case:
    """State 0, then 1 or 2, then 3, each with two actions of up to two outcomes; some outcomes end."""
    rows = []
    for s, a in itertools.product(range(4), range(2)):
        weight = draw(st.sampled_from([1.0, 0.25, 0.5, 0.75]))
        for p, y in ((weight, min(s + 1, 3)), (1.0 - weight, min(s + 2, 3))):
            if p:
                ends = s == 3 or y == s or draw(st.integers(0, 3)) == 0
                rows.append((s, a, p, y, draw(st.integers(-4, 4)) / 2.0, ends))
    return Case(tuple(rows), draw(st.sampled_from([1.0, 0.5, 0.75])), numbers={"level": draw(st.sampled_from(LEVELS))})


LEVELS = [0.5, 0.1, 0.25, 0.75, 1.0]
LAYERS = Family(_layers(), "decision processes of 4 states and 2 actions that end within 4 steps")


def of_one_choice(level: float = 0.5) -> Case:
    """Half of the time a sure 1; else a sure 0 or a coin that loses or wins 2."""
    rows = (
        (0, 0, 0.5, 1, 0.0, False),
        (0, 0, 0.5, 2, 0.0, False),
        (1, 0, 1.0, 1, 0.0, True),
        (1, 1, 0.25, 1, -2.0, True),
        (1, 1, 0.75, 1, 2.0, True),
        (2, 0, 1.0, 2, 1.0, True),
    )
    return Case(rows, 1.0, numbers={"level": level})


def with_memory(discount: float, level: float = 0.75) -> Case:
    """What came first decides whether a coin is worth it."""
    rows = (
        (0, 0, 0.5, 1, 0.0, False),
        (0, 0, 0.5, 1, 4.0, False),
        (1, 0, 1.0, 1, 1.0, True),
        (1, 1, 0.5, 1, 0.0, True),
        (1, 1, 0.5, 1, 4.0, True),
    )
    return Case(rows, discount, numbers={"level": level})


def _sure_middle() -> Case:
    """Half of the time a coin of 0 or 10, half of the time a sure 4."""
    rows = (
        (0, 0, 0.5, 1, 0.0, False),
        (0, 0, 0.5, 2, 0.0, False),
        (1, 0, 0.25, 1, 0.0, True),
        (1, 0, 0.75, 1, 10.0, True),
        (2, 0, 1.0, 2, 4.0, True),
    )
    return Case(rows, 1.0, numbers={"level": 0.5})


def _between_knots() -> Case:
    """A reward of 1/2, then a sure 0 or a coin of -9/10 and 3."""
    rows = (
        (0, 0, 1.0, 1, 0.5, False),
        (1, 0, 1.0, 1, 0.0, True),
        (1, 1, 0.5, 1, -0.9, True),
        (1, 1, 0.5, 1, 3.0, True),
    )
    return Case(rows, 1.0, numbers={"level": 0.5})


def examples() -> list[Case]:
    """The smallest processes known on which the recursions differ."""
    found = [of_one_choice(level) for level in LEVELS]
    return [*found, with_memory(1.0), with_memory(0.5), _sure_middle(), _between_knots()]


def _corners() -> list[Case]:
    """A better action that changes within a cell; a state that is swept before the one that it leads to."""
    turning = (
        (0, 0, 0.75, 1, -2.5, False),
        (0, 0, 0.25, 1, 0.0, False),
        (1, 0, 1.0, 1, 1.0, True),
        (1, 1, 0.75, 1, 3.5, True),
        (1, 1, 0.25, 1, -3.0, True),
    )
    ahead = ((0, 0, 1.0, 1, 1.0, False), (1, 0, 1.0, 1, -0.3, True))
    return [Case(turning, 0.9, numbers={"level": 0.75}), Case(ahead, 0.75, numbers={"level": 0.5})]


def _three(case: Case) -> tuple[Fraction, Fraction, Fraction]:
    """The best static CVaR from state 0, that of the dual recursion, and the nested one."""
    model, level = Ending(case), Fraction(case.numbers["level"])
    return model.best_cvar(0, level), model.dual_cvar(0, level), model.nested_cvar(0, level)


DUAL = "that of the recursion on convex hulls, the conjugate of the dual decomposition (Chow et al. 2015)"


@claim(
    "static-below-dual",
    statement="The dual decomposition of CVaR is at least the best CVaR of any policy.",
    latex=r"\max_\pi\mathrm{CVaR}_a(G^\pi)\le v(x,a)",
    source=CONTROL,
    evidence="derived",
    measured="the best CVaR from the start over all policies, plus 20, exact",
    bound=f"{DUAL}, plus 20",
    family=LAYERS,
    structured=examples,
    attained=0.999,
)
def static_below_dual(case: Case) -> Iterator[Reading]:
    """A convex hull is below its function, the recursion is monotone, and a smaller loss is a larger CVaR."""
    static, dual, _ = _three(case)
    yield Reading(static + SHIFT, dual + SHIFT)


@claim(
    "dual-equals-static",
    statement="The dual decomposition of CVaR is the best CVaR of any policy.",
    latex=r"\max_\pi\mathrm{CVaR}_a(G^\pi)=v(x,a)",
    source=f"{CONTROL}; denied by Hau et al. 2023 (2304.12477)",
    evidence="derived",
    expected="refuted",
    measured="the dual decomposition from the start, plus 20, exact",
    bound="the best CVaR over all policies, plus 20",
    family=LAYERS,
    structured=examples,
)
def dual_equals_static(case: Case) -> Iterator[Reading]:
    """U is a minimum of convex functions; the hull takes one action on one side and another on the other."""
    static, dual, _ = _three(case)
    yield Reading(dual + SHIFT, static + SHIFT)


@claim(
    "nested-below-static",
    statement="The best nested CVaR is at most the best CVaR of the return.",
    latex=r"\rho(x)\le\max_\pi\mathrm{CVaR}_a(G^\pi)",
    source=CONTROL,
    evidence="derived",
    expected="refuted",
    measured="the best nested CVaR from the start, plus 20, exact",
    bound="the best CVaR over all policies, plus 20",
    family=LAYERS,
    structured=examples,
)
def nested_below_static(case: Case) -> Iterator[Reading]:
    """The coin's CVaR is more than the sure 4 beside it: its worst half is no part of the worst half of all."""
    static, _, nested = _three(case)
    yield Reading(nested + SHIFT, static + SHIFT)


@claim(
    "static-below-nested",
    statement="The best CVaR of the return is at most the best nested CVaR.",
    latex=r"\max_\pi\mathrm{CVaR}_a(G^\pi)\le\rho(x)",
    source=CONTROL,
    evidence="derived",
    expected="refuted",
    measured="the best CVaR from the start over all policies, plus 20, exact",
    bound="the best nested CVaR, plus 20",
    family=LAYERS,
    structured=examples,
)
def static_below_nested(case: Case) -> Iterator[Reading]:
    """What is averse in every step is more averse than what is averse once."""
    static, _, nested = _three(case)
    yield Reading(static + SHIFT, nested + SHIFT)


def _losses(case: Case) -> Iterator[tuple[Fraction, Fraction]]:
    """The least loss at whole targets, and that of the recursion whose targets are interpolated between them."""
    model = Ending(case)
    for b in range(-6, 9):
        yield model.loss(0, Fraction(b)), model.loss(0, Fraction(b), interpolated)


@claim(
    "interpolation-above-loss",
    statement="With targets interpolated between knots the least loss is no smaller.",
    latex=r"U(x,b)\le W(x,b)",
    source=CONTROL,
    evidence="derived",
    expected="refuted",
    measured="the least E(b - G)+ at whole targets, exact",
    bound="that with targets interpolated between whole numbers at every step",
    family=LAYERS,
    structured=examples,
)
def interpolation_above_loss(case: Case) -> Iterator[Reading]:
    """U is not convex: its chord from 0 to 19/20 is 19/40 half-way, where U is 1/2."""
    for loss, between in _losses(case):
        yield Reading(loss, between)


@claim(
    "interpolation-below-loss",
    statement="With targets interpolated between knots the least loss is no larger.",
    latex=r"W(x,b)\le U(x,b)",
    source=CONTROL,
    evidence="derived",
    expected="refuted",
    measured="the least E(b - G)+ with targets interpolated between whole numbers at every step, exact",
    bound="that with exact targets, at whole numbers",
    family=LAYERS,
    structured=examples,
)
def interpolation_below_loss(case: Case) -> Iterator[Reading]:
    """Where U is convex its chords are above it."""
    for loss, between in _losses(case):
        yield Reading(between, loss)


@claim(
    "target-optimum-enclosed",
    statement="TargetDP's policy has a CVaR of at least `lower`, and no policy one above `upper`.",
    latex=r"\mathrm{lower}\le\mathrm{CVaR}_a(G^{\hat\pi})\le\max_\pi\mathrm{CVaR}_a(G^\pi)\le\mathrm{upper}",
    source="own result: docs/control.md",
    evidence="derived",
    measured="`lower`, plus 20; the best CVaR over all policies, plus 20, exact; after 1 sweep, and with 8 cells, too",
    bound="CVaR of the policy, played on every history; `upper`; plus 20",
    family=LAYERS,
    structured=lambda: [*examples(), *_corners()],
    attained=0.999,
    cost=6,
    used_by="TargetDP",
)
def target_optimum_enclosed(case: Case) -> Iterator[Reading]:
    """`target-chords-below` and `target-chords-above`, sweep by sweep."""
    model, level = Ending(case), Fraction(case.numbers["level"])
    best = model.best_cvar(0, level)
    slack = Fraction(1, 10**12)  # rows of floats sum to 1 up to rounding
    for sweeps, cells in ((1, 4096), (None, 4096), (None, 8)):
        objective, method = distrl.CVaR(case.numbers["level"]), distrl.TargetDP(cells)
        ctl = distrl.optimize(case.mdp, objective, method, max_iterations=sweeps, throw=False)
        law = model.law_of(0, ctl.policy.start(0), ctl.policy.act, ctl.policy.observe)
        yield Reading(Fraction(float(ctl.lower[0])) + SHIFT, ex.cvar(law, level) + SHIFT, slack)
        yield Reading(best + SHIFT, Fraction(float(ctl.upper[0])) + SHIFT, slack)
