"""What `estimate` states beyond the first order: radii for every N, allocation, and what nobody has seen."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st
from scipy import optimize, stats

import distrl
from distrl._validation import FloatArray
from distrl.generative import adaptive
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.claims.z25._designs import FUNCTIONALS, KINDS, Design, law_of
from proofs_check.claims.z25.errors import misses, narrower
from proofs_check.evidence import Evidence, rate
from proofs_check.families import Family, models, structured_models

PLACE = 5
COIN = distrl.MRP.from_outcomes([(0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)], 0.5)
_COINS = 400  # samples of a coin
_MISS = 0.2


@claim(
    "estimate-finite-sample-coverage",
    statement="Finite-sample intervals of `estimate` at level .8 miss with probability .2 at most, at every N.",
    latex=r"P(\psi\notin\hat I_{.8})\le.2",
    source="derived: docs/estimating.md",
    evidence="derived",
    measured="evidence that intervals of a coin's mean, and of its W1 ball, miss more often",
    bound="1 / the share of the false alarm, as logarithms",
    searched="a fair coin, where Hoeffding's inequality is as tight as it gets, 400 tosses",
    structured=lambda: [Case(numbers={"w1": 0.0}), Case(numbers={"w1": 1.0})],
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.25, 0.35, 0.4), narrower),),
    used_by="Estimate.interval(method='finite-sample')",
)
def estimate_finite_sample_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """Concentration of the empirical operator; `estimate-finite-sample-radius` has the formula itself."""
    method = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, 1.0, 2))
    source, rng, test = distrl.GenerativeModel(COIN), chance.rng(int(case.numbers["w1"])), Evidence()
    # what is planted misses so often on this design
    hoeffding, mcdiarmid = math.sqrt(math.log(2.0 / _MISS) / 2.0), 0.5 + math.sqrt(math.log(1.0 / _MISS) / 2.0)
    spread = mcdiarmid if case.numbers["w1"] else hoeffding
    violation = float(2.0 * stats.norm.sf(2.0 * spread * chance.size("narrow")))
    for _ in range(chance.of(250, 600, 1500)):
        found = distrl.estimate(source.sample(_COINS, rng), method)
        ends = found.interval("w1" if case.numbers["w1"] else "mean", level=1.0 - _MISS, method="finite-sample")[0]
        error = abs(float(found.values[0]) - 0.5)
        out = error > ends[1] if case.numbers["w1"] else not ends[0] <= 0.5 <= ends[1]
        test.add(rate(np.array([out]), _MISS, violation))
        if not test.open:
            break
    yield test.reading


@claim(
    "estimate-finite-sample-radius",
    statement="A finite-sample interval reaches as far as its formula says.",
    latex=r"r=(I-\gamma\hat P)^{-1}u,\quad u(x)=\frac w{\sqrt{N(x)}}c",
    source="derived: docs/estimating.md",
    evidence="derived",
    measured="half the width of the interval of the mean, and the reach of the W1 ball, of means that are exact",
    bound="the formula, by a dense solve (equality)",
    searched="structured processes, 3000 to 9000 samples, levels .5 and .95",
    family=models(states=3, mild=True),
    structured=lambda: structured_models((0.3, 0.7)),
    cost=6,
    used_by="distrl.generative.concentration",
)
def estimate_finite_sample_radius(case: Case) -> Iterator[Reading]:
    """Written out with numpy.linalg."""
    n, g = case.states, case.discount
    sizes = np.array([3000, 9000, 5000])[:n]
    found = distrl.estimate(distrl.GenerativeModel(case.model).sample(sizes, 5), distrl.CategoricalFixedPoint(atoms=11))
    samples = found.empirical.samples
    p, paid, going = np.zeros((n, n)), np.zeros(n), ~samples.terminals
    np.add.at(p, (samples.sources[going], samples.next_states[going]), samples.counts[going])
    np.add.at(paid, samples.sources, samples.counts * samples.rewards)
    onward = np.linalg.inv(np.eye(n) - g * p / sizes[:, None])
    ends = np.array([r if end else r / (1.0 - g) for _, _, _, r, end in case.rows])
    low, high = float(ends.min()), float(ends.max())
    value, slack = onward @ (paid / sizes), 1e-6 * (high - low) + 1e-9 * (abs(low) + abs(high)) + 1e-12
    for level in (0.5, 0.95):
        union = n / (1.0 - level)
        radius = onward @ ((high - low) / np.sqrt(sizes)) * math.sqrt(math.log(2.0 * union) / 2.0)
        interval = found.interval("mean", level=level, method="finite-sample")
        yield Reading(interval[:, 0], np.clip(value - radius, low, high), slack, equal=True, counts=False)
        yield Reading(interval[:, 1], np.clip(value + radius, low, high), slack, equal=True, counts=False)
        radius = onward @ ((high - low) / np.sqrt(sizes)) * (0.5 + math.sqrt(math.log(union) / 2.0))
        ball = found.interval("w1", level=level, method="finite-sample")[:, 1]
        reach = np.minimum(found.certificate.w1 + radius, high - low)
        yield Reading(ball, reach, slack, equal=True)


@claim(
    "standard-error-by-differences",
    statement="A standard error is that of the derivatives of the functional in the outcomes' frequencies.",
    latex=r"\hat\sigma^2=\sum_xN_x^{-1}\mathrm{Var}_o\,\partial_\varepsilon\psi(\hat P+\varepsilon(o-\hat P_x))",
    source="the definition of the delta method",
    evidence="derived",
    measured="`Estimate.standard_error` of mean, entropic risk, deviation and variance",
    bound="differences of the functional, solved anew by dense matrices for each outcome made likelier (equality)",
    searched="five kinds of process, ends with pay, rare ends, near certainty, two actions",
    family=Family(
        st.builds(
            lambda kind, g, seed: Case(numbers={"kind": float(kind), "g": g, "seed": float(seed)}),
            st.integers(0, KINDS - 1),
            st.sampled_from([0.3, 0.5, 0.7]),  # at .9 rounding leaves more than 1e-12, which entropic risk magnifies
            st.integers(0, 10**6),
        ),
        "any seed",
    ),
    structured=lambda: [Case(numbers={"kind": float(kind), "g": 0.7, "seed": 1.0}) for kind in range(KINDS)],
    cost=6,
    attained=0.99,
    used_by="Estimate.standard_error",
)
def standard_error_by_differences(case: Case) -> Iterator[Reading]:
    """Mass is moved to an outcome and from it; no adjoint, no influence."""
    rng, g = np.random.default_rng(int(case.numbers["seed"])), case.numbers["g"]
    design = Design(rng, 1, g, kinds=(int(case.numbers["kind"]),))
    empirical = distrl.GenerativeModel(design.mdp).sample(rng.integers(100, 400, design.sources), rng)
    found = distrl.estimate(empirical, design.method, design.policy, tol=1e-12)
    samples, totals = empirical.samples, empirical.samples.totals
    rows = [
        (int(s) // 2, int(s) % 2, float(c / totals[s]), int(y), float(r), bool(end))
        for s, c, y, r, end in zip(
            samples.sources, samples.counts, samples.next_states, samples.rewards, samples.terminals, strict=True
        )
    ]
    smooth = [FUNCTIONALS[k] for k in (0, 1, 2, 4)]
    squares, step = np.zeros(len(smooth)), 1e-5
    for k, source in enumerate(samples.sources):
        sides = []
        for sign in (step, -step):
            moved = [
                (*row[:2], row[2] + sign * ((j == k) - row[2]) * (samples.sources[j] == source), *row[3:])
                for j, row in enumerate(rows)
            ]
            law = law_of(design.points, g, moved, design.policy)[None, :]
            sides.append(np.array([float(oracle(design.points, law)[0]) for _, oracle in smooth]))
        slope = (sides[0] - sides[1]) / (2.0 * step)
        squares += samples.counts[k] * slope**2 / (totals[source] * (totals[source] - 1.0))
    for (functional, _), square in zip(smooth, squares, strict=True):
        error = found.standard_error(functional, states=[0])
        yield Reading(error, np.sqrt(square), 1e-5 * math.sqrt(square) + 1e-9, equal=True)


@claim(
    "estimate-adaptive-coverage",
    statement="Delta intervals cover about as often after samples were allocated by looking at samples.",
    latex=r"P(\psi\in\hat I_{.9})\approx.9",
    source="derived: docs/estimating.md",
    evidence="derived",
    measured="evidence that intervals of the mean, level .9, miss more often",
    bound="1 / the share of the false alarm, as logarithms; misses of .1 + .03 for N < inf",
    searched="five kinds of process of two or three states, two actions, 4000 samples in five batches",
    structured=lambda: [Case(numbers={"budget": 4000.0})],
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.5, 0.7, 0.75), narrower),),
    used_by="estimate(allocate='adaptive')",
)
def estimate_adaptive_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """The sizes settle, and the limit is that of fixed ones."""
    rng, test, budget = chance.rng(), Evidence(), int(case.numbers["budget"])
    violation = misses(0.9, chance.size("narrow"))
    for number in range(chance.of(200, 600, 1500)):
        if number % KINDS == 0:
            designs = [Design(rng, 1, 0.7, kinds=(kind,)) for kind in range(KINDS)]
        design = designs[number % KINDS]
        options = {"budget": budget, "allocate": "adaptive", "state": 0}
        found = distrl.estimate(design.mdp, design.method, design.policy, rng=rng, **options)
        low, high = found.interval("mean", level=0.9, states=[0])[0]
        test.add(rate(np.array([not low <= float(design.laws[0] @ design.points) <= high]), 0.13, violation))
        if not test.open:
            break
    yield test.reading


@st.composite
def _deviations(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 5))
    deviation = st.one_of(st.sampled_from([0.0, 1e-6, 1.0, 100.0]), st.floats(0.0, 10.0))
    numbers = {f"sd{k}": draw(deviation) for k in range(count)}
    return Case(
        numbers={**numbers, "floor": float(draw(st.integers(0, 4))), "total": float(draw(st.integers(20, 400)))}
    )


@claim(
    "neyman-optimal",
    statement="Sample sizes of `neyman_allocation` are within one of those with the smallest variance.",
    latex=r"N=\max(n,c\,\sigma)\text{ minimises }\sum\sigma^2/N\text{ subject to }\sum N=B,\ N\ge n",
    source="Neyman 1934; with a floor, derived",
    evidence="derived",
    measured="how far a size is from the one of real numbers, and how far their sum is from the total",
    bound="1 (the sum: equality)",
    family=Family(_deviations(), "up to five sources, floors up to 4, totals up to 400"),
    structured=lambda: [
        Case(numbers={"sd0": a, "sd1": b, "sd2": 0.0, "floor": 2.0, "total": 42.0})
        for a, b in ((3.0, 1.0), (1.0, 1e-9))
    ],
    used_by="estimate(allocate='adaptive')",
)
def neyman_optimal(case: Case) -> Iterator[Reading]:
    """Lagrange; c is found by bisection, without the sorting of the library."""
    numbers = dict(case.numbers)
    floor, total = numbers.pop("floor"), numbers.pop("total")
    deviations = np.array(list(numbers.values()))
    sizes = adaptive.neyman_allocation(deviations, int(total), int(floor))
    yield Reading(float(sizes.sum()), total, 0.0, equal=True, counts=False)
    if deviations.max() <= 0.0:
        return
    shares = deviations / deviations.max()
    c = float(optimize.brentq(lambda c: np.maximum(floor, c * shares).sum() - total, 0.0, 2.0 * total, xtol=1e-13))
    yield Reading(np.abs(sizes - np.maximum(floor, c * shares)), 1.0, 1e-6)


@claim(
    "unknown-closure",
    statement="Where samples are missing on the way, and only there, standard errors are infinite; intervals whole.",
    latex=r"\hat\sigma(x)=\infty\iff x\to\text{a source without samples}\Rightarrow\hat I(x)=[\inf\psi,\sup\psi]",
    source="the definition of `unvisited='unknown'`",
    evidence="derived",
    measured="whether standard errors are infinite; guards: intervals are the whole range",
    bound="whether a path of positive probability leads to a pair without samples, by matrix powers (equality)",
    searched="random chains of five states, a pair without samples or two, a policy that avoids an action or not",
    family=Family(st.integers(0, 10**6).map(lambda k: Case(numbers={"seed": float(k)})), "any seed"),
    structured=lambda: [Case(numbers={"seed": float(k)}) for k in range(6)],
    cost=6,
    used_by="EmpiricalMDP(unvisited='unknown'), Estimate.interval",
)
def unknown_closure(case: Case) -> Iterator[Reading]:
    """Reachability."""
    rng, n = np.random.default_rng(int(case.numbers["seed"])), 5
    missing = rng.random((n, 2)) < 0.2
    goes = rng.integers(0, n, (n, 2, 2))
    ends = rng.random((n, 2, 2)) < 0.3
    log = [
        (s, a, float(k), int(goes[s, a, k]), bool(ends[s, a, k]))
        for s, a, k in itertools.product(range(n), (0, 1), (0, 1))
        if not missing[s, a]
        for _ in range(3)
    ]
    policy = np.where(rng.random(n) < 0.5, 1.0, 0.5)
    weights: FloatArray = np.stack([policy, 1.0 - policy], axis=1)
    if not log:
        return
    empirical = distrl.EmpiricalMDP(log, 0.5, states=n, actions=2, unvisited="unknown", reward_range=(0.0, 1.0))
    found = distrl.estimate(empirical, distrl.CategoricalFixedPoint(atoms=5), weights)
    step = np.zeros((n, n), dtype=bool)
    for s, a, _, y, end in log:
        step[s, y] |= weights[s, a] > 0.0 and not end
    bad = (missing & (weights > 0.0)).any(axis=1)
    reach = np.linalg.matrix_power(np.eye(n) + step, n) > 0
    unknown = (reach & bad[None, :]).any(axis=1)
    yield Reading(np.isinf(found.standard_error("mean")).astype(float), unknown.astype(float), 0.0, equal=True)
    for method in ("delta", "finite-sample", "bootstrap"):
        interval = found.interval("mean", method=method, rng=3, resamples=9)
        whole = (interval == [0.0, 2.0]).all(axis=1)  # of six samples of a pair an interval may be that wide anyway
        yield Reading(unknown.astype(float), whole.astype(float), 0.0, counts=False)
