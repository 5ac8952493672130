"""Risks for which acting best from every state on is best from the start, and risks for which it is not."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

from hypothesis import strategies as st

from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Expected, Reading, claim
from proofs_check.claims.control import SOURCE
from proofs_check.exact import ExactLaw
from proofs_check.families import Family

PLACE = 2


@st.composite
def _trees(draw: st.DrawFn) -> Case:
    """State 0: ends with a reward or goes to state 1; there, a sure reward or a coin."""
    reward = st.integers(-6, 6).map(float)
    p, q = (draw(st.sampled_from([0.25, 0.5, 0.75])) for _ in range(2))
    rows = (
        (0, 0, p, 1, 0.0, False),
        (0, 0, 1.0 - p, 0, draw(reward), True),
        (0, 1, p, 1, 0.0, False),
        (0, 1, 1.0 - p, 0, draw(reward), True),
        (1, 0, 1.0, 1, draw(reward), True),
        (1, 1, q, 1, draw(reward), True),
        (1, 1, 1.0 - q, 1, draw(reward), True),
    )
    return Case(rows, draw(st.sampled_from([0.5, 1.0])))


def _example() -> Case:
    rows = (
        (0, 0, 0.5, 1, 0.0, False),
        (0, 0, 0.5, 0, -6.0, True),
        (0, 1, 0.5, 1, 0.0, False),
        (0, 1, 0.5, 0, -6.0, True),
        (1, 0, 1.0, 1, 0.0, True),
        (1, 1, 0.75, 1, 6.0, True),
        (1, 1, 0.25, 1, -2.0, True),
    )
    return Case(rows, 1.0)


def _best_and_greedy(case: Case, risk: str, level: Fraction) -> tuple[Fraction | float, Fraction | float]:
    """Best risk from state 0 over all policies, and that of the policy that is best from state 1 on."""
    model = ex.Decisions(case)

    def value(law: ExactLaw) -> Fraction | float:
        if risk == "mean":
            return ex.mean(law)
        if risk == "cvar":
            return ex.cvar(law, level)
        # entropic: -log E exp(-beta G) / beta, increasing in what is compared
        return -sum(float(m) * math.exp(-float(level) * float(v)) for v, m in law.items())

    laws = {policy: model.exact_laws(policy, 3) for policy in itertools.product(range(2), repeat=2)}
    greedy = max(range(2), key=lambda a: value(laws[(0, a)][model.actions + a]))
    scores = {policy: value(found[policy[0]]) for policy, found in laws.items()}
    return max(scores.values()), max(scores[(a, greedy)] for a in range(2))


def _time_consistency(name: str, risk: str, expected: Expected, words: str, discounts: bool, why: str) -> None:
    @claim(
        name,
        statement=f"Acting best for the {words} from every state on is best for it from the start.",
        latex=r"\max_\pi\rho(G^\pi(x_0))=\rho(G^{\pi_{\mathrm{greedy}}}(x_0))",
        source=f"{SOURCE}; {'denied there' if expected == 'refuted' else 'dynamic programming'}",
        evidence="summary",
        expected=expected,
        measured="best value from the start over all policies",
        bound="value of the policy that is best from the second state on, plus 100",
        family=Family(_trees(), "two-step trees with rewards -6 to 6"),
        searched="" if discounts else "undiscounted",
        structured=lambda: [_example(), *(_discounted(g) for g in ((0.5,) if discounts else ()))],
        why=why,
        attained=0.999 if expected == "holds" else 0.0,
    )
    def measure(case: Case) -> Iterator[Reading]:
        if not discounts and case.discount < 1.0:
            return
        level = Fraction(1, 2)
        best, greedy = _best_and_greedy(case, risk, level)
        shift = Fraction(100) if risk != "entropic" else 100.0
        yield Reading(best + shift, greedy + shift, 1e-9 if risk == "entropic" else 0)


def _discounted(g: float) -> Case:
    """A coin that risk aversion refuses in the second state, and takes where it counts half."""
    rows = (
        (0, 0, 1.0, 1, 0.0, False),
        (0, 1, 1.0, 1, 0.0, False),
        (1, 0, 1.0, 1, 0.0, True),
        (1, 1, 0.5, 1, 6.0, True),
        (1, 1, 0.5, 1, -2.0, True),
    )
    return Case(rows, g)


_time_consistency("mean-time-consistent", "mean", "holds", "mean", True, "The tower property.")
_time_consistency(
    "cvar-time-consistent",
    "cvar",
    "refuted",
    "CVaR of the worst half",
    True,
    "From the start the worst half may lie elsewhere: a risk in the second state is then free.",
)
_time_consistency(
    "entropic-time-consistent", "entropic", "holds", "entropic risk", False, "Exponentials factor along the path."
)
_time_consistency(
    "entropic-time-consistent-discounted",
    "entropic",
    "refuted",
    "entropic risk, discounted,",
    True,
    "Seen from the start the second step's rewards count g times: the risk aversion that fits it is g times smaller.",
)
