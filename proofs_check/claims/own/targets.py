"""What is learnt from: the laws of n-step targets, and updates one by one along a trajectory."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl._validation import FloatArray
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.evidence import Evidence, dependent
from proofs_check.families import Family
from proofs_check.faults import returned

PLACE = 9
#: Ends that pay at every state, two outcomes that pay the same, a loop; no cycle but for it.
BASE = (
    (0, 0.4, 1, 1.0, False),
    (0, 0.3, 2, -2.0, False),
    (0, 0.3, 0, 3.0, True),
    (1, 0.5, 2, 0.5, False),
    (1, 0.5, 1, 0.25, True),
    (2, 0.25, 2, -1.0, True),
    (2, 0.75, 2, 4.0, True),
)
LOOP = ((2, 0.5, 2, 4.0, False), (2, 0.25, 0, -1.0, False), (2, 0.25, 2, -1.0, True))
DISCOUNT = 0.7
STATES = 3
START = np.array([10.0, -7.0, 3.0])


def _law(rows: tuple[tuple[int, float, int, float, bool], ...], state: int, steps: int) -> dict[float, float]:
    """The law of the target from a state, path by path; `steps` 0: to the end."""
    found: dict[float, float] = {}

    def go(s: int, left: int, probability: float, total: float, factor: float) -> None:
        for x, p, y, r, end in rows:
            if x != s:
                continue
            paid = total + factor * r
            if end or left == 1:
                value = round(paid + (0.0 if end else factor * DISCOUNT * float(START[y])), 9)
                found[value] = found.get(value, 0.0) + probability * p
            else:
                go(y, left - 1, probability * p, paid, factor * DISCOUNT)

    go(state, steps, 1.0, 0.0, 1.0)
    return found


def _likelier(size: float) -> AbstractContextManager[Any]:
    """A share of the targets is replaced by the first copy's."""
    rng = np.random.default_rng(6)

    def change(run: Any) -> Any:
        values = run.estimates[-1].copy()
        first = np.tile(values[:, :STATES], (1, values.shape[1] // STATES, 1))
        return replace(run, estimates=(np.where(rng.random(values.shape) < size, first, values),))

    return returned(distrl, "learn", change)()


@claim(
    "n-step-target-law",
    statement="A target of n steps has the law of n discounted rewards and, unless it ends, the estimate after them.",
    latex=r"\sum_{k<n\wedge T}\gamma^kR_k+\gamma^n\hat V(X_n)1_{n<T}",
    source="Sutton 1988; the definition",
    evidence="derived",
    measured="targets that no path gives; evidence that the others are not as likely as the paths that give them",
    bound="0; 1 / the share of the false alarm, as logarithms",
    searched="copies of a process of three states, paying ends everywhere, with a loop or not, n = 1, 2, 3 and all",
    structured=lambda: [Case(numbers={"steps": float(n), "loop": float(n in (2, 3))}) for n in (1, 2, 3, 0)],
    statistical=True,
    plants=(Plant("share", "a share {} of the targets is that of another path", Sizes(0.3, 0.1, 0.06), _likelier),),
    used_by="TD(steps=), MonteCarloTD",
)
def n_step_target_law(case: Case, chance: Chance) -> Iterator[Reading]:
    """All paths are written out; with step 1 an estimate is its target."""
    steps, copies = int(case.numbers["steps"]), chance.of(700, 6000, 20_000)
    rows = (*(row for row in BASE if row[0] < 2), *LOOP) if case.numbers["loop"] else BASE
    many = [(s + 3 * c, p, y + 3 * c, r, end) for c in range(copies) for s, p, y, r, end in rows]
    model = distrl.MRP.from_outcomes(many, DISCOUNT)
    method = distrl.TD(steps=steps or None)
    start = np.tile(START, copies)
    run = distrl.learn(model, method, step_size=1.0, updates=1, records=1, start=start, rng=chance.seed(steps))
    found = np.asarray(run.values)[0, 0].reshape(copies, STATES)
    for state in range(STATES):
        law = _law(rows, state, steps)
        values = np.array(sorted(law))
        nearest = np.abs(found[:, state, None] - values).argmin(axis=1)
        strays = np.abs(found[:, state] - values[nearest]) > 1e-8
        yield Reading(float(strays.sum()), 0.0, counts=False)
        test = Evidence(STATES, simple=False)
        test.add(dependent(np.zeros_like(nearest), nearest, np.array([law[value] for value in values.tolist()])))
        yield test.reading


@st.composite
def _courses(draw: st.DrawFn) -> Case:
    numbers = {
        "steps": float(draw(st.integers(0, 4))),
        "burn_in": float(draw(st.integers(-1, 4))),
        "clock": float(draw(st.integers(0, 1))),
        "ends": float(draw(st.integers(0, 1))),
        "g": draw(st.sampled_from([0.3, 0.9, 1.0])),
        "exponent": draw(st.sampled_from([0.5, 1.0])),
    }
    return Case(numbers=numbers)


def _by_hand(case: Case, updates: int) -> FloatArray:
    """The estimates after so many steps along 0 -> 1 -> 2 (-> 1 or the end), in the order of a textbook."""
    numbers, g = case.numbers, case.numbers["g"]
    n, burn, ends = int(numbers["steps"]), int(numbers["burn_in"]), bool(numbers["ends"])
    values, visits, sums = np.zeros(3), np.zeros(3, dtype=int), np.zeros(3)
    waiting: list[tuple[int, float]] = []
    state = 0
    pay = (1.0, -2.0, 5.0)

    def learn(target: float, update: int) -> None:
        first = waiting.pop(0)[0]
        visits[first] += 1
        k = update if numbers["clock"] else int(visits[first])
        values[first] += (target - values[first]) / k ** numbers["exponent"]
        if burn >= 0 and visits[first] > burn:
            sums[first] += values[first]

    for update in range(1, updates + 1):
        end = ends and state == 2
        waiting.append((state, pay[state]))
        following = (1, 2, 1)[state]
        if end:
            while waiting:
                learn(sum(g**k * reward for k, (_, reward) in enumerate(waiting)), update)
        elif n and len(waiting) == n:
            learn(sum(g**k * r for k, (_, r) in enumerate(waiting)) + g**n * float(values[following]), update)
        state = 0 if end else following
    if burn < 0:
        return values
    counted = np.maximum(visits - burn, 0)
    return np.where(counted > 0, sums / np.maximum(counted, 1), values)


@claim(
    "trajectory-by-hand",
    statement="n-step targets, clocks and burn-in along a trajectory are those of a textbook, update by update.",
    latex=r"V(x)\leftarrow V(x)+a_k(\textstyle\sum_{i<n}\gamma^ir_i+\gamma^nV(x_n)-V(x))",
    source="Sutton 1988; the definition",
    evidence="derived",
    measured="TD along a trajectory after 1, 4, 9 and 30 updates",
    bound="the recursion, in a few lines of Python (equality)",
    searched="a deterministic path of three states, ending with pay or not, n up to 4 and to the end, steps k^-1/2 and "
    "1/k by visits or updates, averages from 0 to 4 renewals on",
    family=Family(_courses(), "combinations"),
    structured=lambda: [
        Case(numbers={"steps": n, "burn_in": b, "clock": c, "ends": 1.0, "g": 0.9, "exponent": 0.5})
        for n in (0.0, 1.0, 2.0, 3.0)
        for b, c in ((-1.0, 0.0), (2.0, 1.0))
    ],
    used_by="TD(steps=, average_from=), step sizes' clock",
)
def trajectory_by_hand(case: Case) -> Iterator[Reading]:
    """The model has one outcome a state, so nothing is random but the start, which is fixed."""
    numbers = case.numbers
    ends, g = bool(numbers["ends"]), numbers["g"]
    if not ends and (g == 1.0 or not numbers["steps"]):
        return
    rows = [(0, 1.0, 1, 1.0, False), (1, 1.0, 2, -2.0, False), (2, 1.0, 1, 5.0, ends)]
    model = distrl.MRP.from_outcomes(rows, g, initial=[1.0, 0.0, 0.0])
    burn = int(numbers["burn_in"])
    method = distrl.TD(steps=int(numbers["steps"]) or None, average_from=None if burn < 0 else burn)
    step = distrl.td.Polynomial(1.0, numbers["exponent"], clock="updates" if numbers["clock"] else "visits")
    moments = [1, 4, 9, 30]
    run = distrl.learn(model, method, step_size=step, updates=30, records=moments, sampling="trajectory", rng=1)
    for row, moment in zip(np.asarray(run.values), moments, strict=True):
        expected = _by_hand(case, moment)
        yield Reading(row[0] + 100.0, expected + 100.0, 1e-9, equal=True)
