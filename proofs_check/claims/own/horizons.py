"""Returns of finitely many steps, and the best policy's mean; proofs in docs/horizon.md and docs/control.md."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import distrl
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import MILD_CASES
from proofs_check.exact import ExactLaw
from proofs_check.families import Family, on_grid

PLACE = 9
STEPS = 3


def _laws(case: Case, steps: int) -> list[ExactLaw]:
    """The laws of the return of so many steps, over the rationals."""
    g, laws = Fraction(case.discount), [{Fraction(0): Fraction(1)} for _ in range(case.states)]
    for _ in range(steps):
        before = []
        for x in range(case.states):
            own = [row for row in case.rows if row[0] == x]
            total = sum(Fraction(row[1]) for row in own)
            pairs = []
            for _, probability, y, reward, terminal in own:
                onward = {Fraction(0): Fraction(1)} if terminal else laws[y]
                share = Fraction(probability) / total
                pairs += [(Fraction(reward) + g * value, share * mass) for value, mass in onward.items()]
            before.append(ex.add_up(pairs))
        laws = before
    return laws


def _gaps(case: Case, steps: int, solution: distrl.Solution) -> Iterator[float]:
    """W1 of every state's law to the exact one of so many steps."""
    values, weights = solution.returns.support_weights()
    weights = np.broadcast_to(weights, (case.states, weights.shape[-1]))
    values = np.broadcast_to(values, weights.shape)
    for x, law in enumerate(_laws(case, steps)):
        points = sorted(law)
        true = (np.array([float(v) for v in points]), np.array([float(law[v]) for v in points]))
        yield ex.w1_floats((values[x], weights[x]), true)


def _solved(case: Case, steps: int) -> list[distrl.Solution]:
    methods = (
        distrl.CategoricalFixedPoint(grid=case.on),
        distrl.QuantileDP(3),
        distrl.ExpectileDP(3),
        distrl.ParticleDP(grid=case.on),
    )
    return [distrl.evaluate(case.model, method, throw=False, horizon=steps) for method in methods]


PROCESSES = on_grid(0, atoms=8, mild=True, states=2, random_rewards=False)
_EXAMPLES = [Case(c.rows, c.discount, c.grid) for c in MILD_CASES[::3] if all(np.isscalar(row[3]) for row in c.rows)]


@claim(
    "horizon-certificates",
    statement="Laws of H steps are within their certificate of the truth in W1, whatever the method.",
    latex=r"W_1(F_H(x),\eta_H(x))\le\sqrt{v_H(x)}+w_H(x)",
    source="own result: docs/horizon.md",
    evidence="derived",
    measured="W1 to the laws of all paths, over the rationals",
    bound="Solution.certificate.w1",
    family=PROCESSES,
    searched="categorical, quantile, expectile and particle laws of 3 steps",
    structured=lambda: _EXAMPLES,
    cost=8,
    used_by="evaluate(..., horizon=H)",
)
def horizon_certificates(case: Case) -> Iterator[Reading]:
    """The certificates of returns that go on, on the acyclic process of all steps: their sums broken off."""
    for solution in _solved(case, STEPS):
        assert solution.certificate is not None
        yield Reading(list(_gaps(case, STEPS, solution)), solution.certificate.w1, 1e-13)


@claim(
    "horizon-certificate-of-fewer",
    statement="The certificate of one step less bounds the distance to the laws of H steps.",
    latex=r"W_1(F_{H-1}(x),\eta_H(x))\le\sqrt{v_{H-1}(x)}+w_{H-1}(x)",
    source="a step of `horizon-certificates` left out",
    evidence="derived",
    expected="refuted",
    measured="W1 to the laws of all paths of H steps, over the rationals",
    bound="the certificate of H - 1 steps",
    family=PROCESSES,
    structured=lambda: [Case(((0, 1.0, 0, 1.0, False),), 0.5, (0.0, 4.0, 5))],
    cost=4,
)
def horizon_certificate_of_fewer(case: Case) -> Iterator[Reading]:
    """The step that is left out pays a reward."""
    solution = _solved(case, STEPS - 1)[0]
    assert solution.certificate is not None
    yield Reading(list(_gaps(case, STEPS, solution)), solution.certificate.w1, 1e-13)


@st.composite
def _decisions(draw: st.DrawFn) -> Case:
    """Two states, two actions; every pair may end, and may stay."""
    rows = []
    for s, a in itertools.product(range(2), range(2)):
        reward, end = float(draw(st.integers(-3, 3))), draw(st.sampled_from([0.125, 0.25, 1.0]))
        rows.append((s, a, end, s, reward, True))
        if end < 1.0:
            stay = draw(st.sampled_from([0.0, 0.25, 0.5])) * (1.0 - end)
            rows += [(s, a, p, y, reward, False) for p, y in ((stay, s), (1.0 - end - stay, 1 - s)) if p]
    return Case(tuple(rows), draw(st.sampled_from([0.25, 0.9, 1.0])))


DECISIONS = Family(_decisions(), "decision processes of 2 states and 2 actions, each of which may end")


def _best(case: Case) -> list[Fraction]:
    """The largest mean from each state over all deterministic policies."""
    model = ex.Decisions(case)
    values = ex.optimal_values(model)
    return [max(values[s * model.actions : (s + 1) * model.actions]) for s in range(model.states)]


@claim(
    "optimal-mean-bounds",
    statement="No policy's mean is above upper, and the policy that was found reaches lower.",
    latex=r"\underline{V}(x)\le\max_\pi V_\pi(x)\le\overline{V}(x)",
    source="own result: docs/control.md",
    evidence="derived",
    assumes="at discount 1, policies whose number of steps has a finite mean",
    measured="the best mean over all deterministic policies, over the rationals",
    bound="ControlSolution.upper; lower is bounded by it in turn",
    family=DECISIONS,
    cost=3,
    used_by="optimize, PolicyIteration",
)
def optimal_mean_bounds(case: Case) -> Iterator[Reading]:
    """T U <= U, so that U is above r + g P U of every policy, again and again."""
    mdp = distrl.MDP.from_outcomes(case.rows, case.discount)
    found = distrl.optimize(mdp, distrl.Mean(), throw=False)
    best = _best(case)
    yield Reading(best, _exact(found.upper))
    yield Reading(_exact(found.lower), best, counts=False)
    yield Reading(np.array([float(b) for b in best]), found.lower, 1e-9 * (1.0 + np.abs(found.lower)), counts=False)


def _exact(numbers: Sequence[float] | np.ndarray) -> list[Fraction]:
    return [Fraction(float(number)) for number in numbers]


@claim(
    "optimal-mean-bounds-of-endless-policies",
    statement="At discount 1 upper bounds the mean of policies that never end, too.",
    latex=r"V_\pi(x)\le\overline{V}(x)\text{ for every }\pi",
    source="the premise of `optimal-mean-bounds` left out",
    evidence="derived",
    expected="refuted",
    measured="0, the return of staying for ever for nothing",
    bound="ControlSolution.upper",
    family=Family(
        st.integers(-3, 3).map(lambda r: _staying(float(r))), "a state that one may leave for a reward, or stay in"
    ),
    structured=lambda: [_staying(-1.0)],
)
def optimal_mean_bounds_of_endless_policies(case: Case) -> Iterator[Reading]:
    """Who never ends never pays for the end."""
    mdp = distrl.MDP.from_outcomes(case.rows, case.discount, absorbing="keep")
    found = distrl.optimize(mdp, distrl.Mean(), throw=False)
    yield Reading(0.0, float(found.upper[0]), 1e-12)


def _staying(reward: float) -> Case:
    return Case(((0, 0, 1.0, 0, 0.0, False), (0, 1, 1.0, 0, reward, True)), 1.0)
