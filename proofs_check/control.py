"""Claims on control: the distributional optimality operator, convergence with and without ties, and risk.

The optimality operator is written out here over the rationals: greedy in the mean, the first of tied actions.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import distrl
from proofs_check import exact as ex
from proofs_check.bdr23 import cvar
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.exact import ExactLaw

SOURCE = "Bellemare, Dabney, Rowland 2023, chapter 7"
DERIVED = "derived: docs/proofs.md"


class Decisions:
    """An MDP over the rationals; laws of (state, action) pairs, pair s * A + a."""

    def __init__(self, case: Case) -> None:
        self.g = Fraction(case.discount)
        self.states = 1 + max(row[0] for row in case.rows)
        self.actions = 1 + max(row[1] for row in case.rows)
        self.outcomes: list[list[tuple[Fraction, int, Fraction, bool]]] = [
            [] for _ in range(self.states * self.actions)
        ]
        for state, action, probability, successor, reward, terminal in case.rows:
            entry = (Fraction(probability), successor, Fraction(reward), terminal)
            self.outcomes[state * self.actions + action].append(entry)
        for pair, rows in enumerate(self.outcomes):
            total = sum(row[0] for row in rows)
            self.outcomes[pair] = [(row[0] / total, *row[1:]) for row in rows if row[0]]

    def greedy(self, laws: Sequence[ExactLaw], last: bool = False) -> list[int]:
        """Actions of the best mean; the first one of ties, or the last."""
        chosen = []
        for s in range(self.states):
            means = [ex.mean(laws[s * self.actions + a]) for a in range(self.actions)]
            best = [a for a, mean in enumerate(means) if mean == max(means)]
            chosen.append(best[-1 if last else 0])
        return chosen

    def apply(self, laws: Sequence[ExactLaw], policy: Sequence[int]) -> list[ExactLaw]:
        """T with these actions after the first step."""
        result = []
        for rows in self.outcomes:
            pairs = []
            for probability, successor, reward, terminal in rows:
                if terminal:
                    pairs.append((reward, probability))
                else:
                    law = laws[successor * self.actions + policy[successor]]
                    pairs += [(reward + self.g * value, probability * mass) for value, mass in law.items()]
            result.append(ex.add_up(pairs))
        return result

    def optimality(self, laws: Sequence[ExactLaw], last: bool = False) -> list[ExactLaw]:
        return self.apply(laws, self.greedy(laws, last))

    def laws(self, case: Case, index: int) -> list[ExactLaw]:
        """The laws of a case, one a pair."""
        rows = zip(case.values[index].tolist(), case.weights[index], strict=True)
        return [
            ex.add_up((Fraction(v), m) for v, m in zip(values, ex.normalised(weights), strict=True))
            for values, weights in rows
        ]

    def exact_laws(self, policy: Sequence[int], horizon: int) -> list[ExactLaw]:
        """Laws of all pairs when every path ends within `horizon` steps."""
        laws: list[ExactLaw] = [{Fraction(0): Fraction(1)} for _ in self.outcomes]
        for _ in range(horizon):
            laws = self.apply(laws, policy)
        return laws


@st.composite
def _decisions(draw: st.DrawFn) -> Case:
    """Up to two states, two actions, and two laws on two values for each pair."""
    n, rows = draw(st.integers(1, 2)), []
    for s, a in itertools.product(range(n), range(2)):
        weight = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        reward = float(draw(st.integers(-3, 3)))
        rows += [(s, a, p, y, reward, False) for p, y in ((weight, 0), (1.0 - weight, n - 1)) if p]
    value = st.integers(-4, 4).map(float)
    shape = (2 * n, 2)
    values = tuple(np.array([draw(value) for _ in range(4 * n)]).reshape(shape) for _ in range(2))
    weights = (np.full(shape, 0.5),) * 2
    return Case(tuple(rows), draw(st.sampled_from([0.25, 0.5, 0.9])), None, weights, values)


def _tie() -> Case:
    """A state whose two actions have nearly equal means and very different laws."""
    rows = ((0, 0, 1.0, 0, 0.0, False), (0, 1, 1.0, 0, 0.0, False))
    values = (np.array([[0.5, 0.5], [-8.0, 8.0]]), np.array([[0.0, 0.0], [-8.0, 8.5]]))
    return Case(rows, 0.9, None, (np.full((2, 2), 0.5),) * 2, values)


def _clear() -> Case:
    """One of two actions is better by 1."""
    rows = ((0, 0, 1.0, 0, 0.0, False), (0, 1, 1.0, 0, 1.0, False))
    return Case(rows, 0.5, None, _tie().weights, _tie().values)


@claim(
    "optimality-w1-contraction",
    statement="The distributional optimality operator contracts sup-W1.",
    latex=r"\bar W_1(T^*\mu,T^*\nu)\le\bar W_1(\mu,\nu)",
    source=f"{SOURCE}, where it is denied",
    evidence="read",
    expected="refuted",
    measured="sup-W1 of the images, exact",
    bound="sup-W1 of the laws",
    searched="decision processes of up to 2 states and 2 actions",
    family=_decisions(),
    structured=lambda: [_tie()],
)
def _(case: Case) -> Iterator[Reading]:
    """Near a tie a small change of means swaps one law for another."""
    model = Decisions(case)
    mu, nu = model.laws(case, 0), model.laws(case, 1)
    yield Reading(ex.sup(ex.w1, model.optimality(mu), model.optimality(nu)), ex.sup(ex.w1, mu, nu))


@claim(
    "optimality-mean-contraction",
    statement="Means under the optimality operator contract in the sup norm, with modulus the discount.",
    latex=r"\|E\,T^*\mu-E\,T^*\nu\|_\infty\le\gamma\|E\mu-E\nu\|_\infty",
    source=SOURCE,
    evidence="read",
    measured="sup of the differences of means, exact",
    bound="discount * that of the laws",
    searched="decision processes of up to 2 states and 2 actions",
    family=_decisions(),
    structured=lambda: [_tie(), Case(_tie().rows, 0.9, None, _tie().weights, (np.zeros((2, 2)), np.ones((2, 2))))],
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """They are value iteration's."""
    model = Decisions(case)
    mu, nu = model.laws(case, 0), model.laws(case, 1)
    images = model.optimality(mu), model.optimality(nu)
    gaps = [max(abs(ex.mean(a) - ex.mean(b)) for a, b in zip(*pair, strict=True)) for pair in (images, (mu, nu))]
    yield Reading(gaps[0], model.g * gaps[1])


@claim(
    "policy-operator-contraction",
    statement="With the policy held, laws of (state, action) pairs contract in sup-W1 with modulus the discount.",
    latex=r"\bar W_1(T^\pi\mu,T^\pi\nu)\le\gamma\bar W_1(\mu,\nu)",
    source=SOURCE,
    evidence="read",
    measured="sup-W1 of the images, exact; the library's operator for the pairs is held against them",
    bound="discount * sup-W1 of the laws",
    searched="decision processes of up to 2 states and 2 actions",
    family=_decisions(),
    structured=lambda: [_tie()],
    attained=0.999,
    used_by="Solution.action_returns",
)
def _(case: Case) -> Iterator[Reading]:
    """As for a reward process."""
    model = Decisions(case)
    mu, nu = model.laws(case, 0), model.laws(case, 1)
    policy = [0] * model.states
    images = model.apply(mu, policy), model.apply(nu, policy)
    yield Reading(ex.sup(ex.w1, *images), model.g * ex.sup(ex.w1, mu, nu))
    mdp = case.mdp
    grid = distrl.Grid(-60.0, 60.0, 49)
    operator = distrl.operators.CategoricalBellman.for_table(mdp.outcomes, mdp.discount, grid)
    first = [mu[s * model.actions] for s in range(model.states)]
    laws = [distrl.FiniteLaw([float(v) for v in law], [float(m) for m in law.values()]) for law in first]
    atoms = [Fraction(z) for z in grid.points.tolist()]
    expected = [ex.project(law, atoms) for law in images[0]]
    masses = np.array([[float(law.get(atom, Fraction(0))) for atom in atoms] for law in expected])
    yield same(operator.apply_to(laws).probs, masses, 1e-12)


@claim(
    "optimality-converges-unique",
    statement="If the optimal policy is unique, value iteration on laws approaches its return law at the rate g.",
    latex=r"\bar W_1(T^{*k}\mu,\eta^{\pi^*})\le\gamma^{k-K}\bar W_1(T^{*K}\mu,\eta^{\pi^*})",
    source=f"{SOURCE}; Rowland et al. 2018, Theorem 2",
    evidence="read",
    assumes="a gap between the best action and the others, larger than 2 g^K times the first error of the means",
    measured="sup-W1 between iterates k + 1 and k + 2, exact",
    bound="discount * that between k and k + 1, for all k from K on",
    searched="decision processes of up to 2 states and 2 actions",
    family=_decisions(),
    structured=lambda: [_clear()],
    attained=0.999,
    cost=3,
)  # fmt: skip
def _(case: Case) -> Iterator[Reading]:
    """From K on the greedy policy is the optimal one, and its operator contracts."""
    model = Decisions(case)
    if model.g > Fraction(1, 2):
        return  # K would be too large for exact laws
    best = _optimal_values(model)
    gap = _gap(model, best)
    if gap <= 0:
        return
    laws = model.laws(case, 0)
    error = max(abs(ex.mean(law) - value) for law, value in zip(laws, best, strict=True))
    steps = 0
    while 2 * error > gap * Fraction(999, 1000):
        laws, error, steps = model.optimality(laws), error * model.g, steps + 1
        if steps > 7:
            return
    chain = [laws]
    for _ in range(3):
        chain.append(model.optimality(chain[-1]))
    jumps = [ex.sup(ex.w1, a, b) for a, b in itertools.pairwise(chain)]
    for first, second in itertools.pairwise(jumps):
        yield Reading(second, model.g * first)


def _optimal_values(model: Decisions) -> list[Fraction]:
    """Exact optimal action values: the best over all deterministic policies."""
    best: list[Fraction] | None = None
    for policy in itertools.product(range(model.actions), repeat=model.states):
        size = len(model.outcomes)
        matrix = [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
        rhs = [Fraction(0)] * size
        for pair, rows in enumerate(model.outcomes):
            for probability, successor, reward, terminal in rows:
                rhs[pair] += probability * reward
                if not terminal:
                    matrix[pair][successor * model.actions + policy[successor]] -= model.g * probability
        found = ex.solve(matrix, rhs)
        best = found if best is None else [max(a, b) for a, b in zip(best, found, strict=True)]
    assert best is not None
    return best


def _gap(model: Decisions, values: list[Fraction]) -> Fraction:
    gaps = []
    for s in range(model.states):
        ordered = sorted(values[s * model.actions : (s + 1) * model.actions])
        gaps.append(ordered[-1] - ordered[-2])
    return min(gaps)


@claim(
    "optimality-converges-ties",
    statement="Value iteration on laws converges whatever the tie-breaking, ties or not.",
    latex=r"\bar W_1(T^{*k+1}\mu,T^{*k}\mu)\to0",
    source=f"{SOURCE}, where it is denied; the premise of `optimality-converges-unique` left out",
    evidence="read",
    expected="refuted",
    measured="W1 between iterates 21 and 20, ties broken to the first and the last action in turn, exact",
    bound="10^-3",
    searched="a state that leads to a sure 0 or a coin of mean 0",
    structured=lambda: [
        Case(
            (
                (0, 0, 1.0, 1, 0.0, False),
                (0, 1, 1.0, 1, 0.0, False),
                (1, 0, 1.0, 1, 0.0, True),
                (1, 1, 0.5, 1, -1.0, True),
                (1, 1, 0.5, 1, 1.0, True),
            ),
            0.9,
        )
    ],
)
def _(case: Case) -> Iterator[Reading]:
    """The law of the state before it changes with every sweep."""
    model = Decisions(case)
    laws: list[ExactLaw] = [{Fraction(0): Fraction(1)} for _ in model.outcomes]
    chain = [laws]
    for k in range(21):
        chain.append(model.optimality(chain[-1], last=bool(k % 2)))
    yield Reading(ex.sup(ex.w1, chain[21], chain[20]), Fraction(1, 1000))


# -- risk ------------------------------------------------------------------------------------------------------------


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
    model = Decisions(case)

    def value(law: ExactLaw) -> Fraction | float:
        if risk == "mean":
            return ex.mean(law)
        if risk == "cvar":
            return cvar(law, level)
        # entropic: -log E exp(-beta G) / beta, increasing in what is compared
        return -sum(float(m) * math.exp(-float(level) * float(v)) for v, m in law.items())

    laws = {policy: model.exact_laws(policy, 3) for policy in itertools.product(range(2), repeat=2)}
    greedy = max(range(2), key=lambda a: value(laws[(0, a)][model.actions + a]))
    scores = {policy: value(found[policy[0]]) for policy, found in laws.items()}
    return max(scores.values()), max(scores[(a, greedy)] for a in range(2))


def _time_consistency(name: str, risk: str, expected: str, words: str, discounts: bool, why: str) -> None:
    @claim(
        name,
        statement=f"Acting best for the {words} from every state on is best for it from the start.",
        latex=r"\max_\pi\rho(G^\pi(x_0))=\rho(G^{\pi_{\mathrm{greedy}}}(x_0))",
        source=f"{SOURCE}; {'denied there' if expected == 'refuted' else 'dynamic programming'}",
        evidence="summary",
        expected=expected,
        measured="best value from the start over all policies",
        bound="value of the policy that is best from the second state on, plus 100",
        searched="two-step trees with rewards -6 to 6" + ("" if discounts else ", undiscounted"),
        family=_trees(),
        structured=lambda: [_example(), *(_discounted(g) for g in ((0.5,) if discounts else ()))],
        why=why,
        attained=0.999 if expected == "holds" else 0.0,
    )
    def _(case: Case) -> Iterator[Reading]:
        if not discounts and case.discount < 1.0:
            return
        level = Fraction(1, 2)
        best, greedy = _best_and_greedy(case, risk, level)
        shift = Fraction(100) if risk != "entropic" else 100.0
        yield Reading(best + shift, greedy + shift, 1e-9 if risk == "entropic" else 0)  # type: ignore[operator]


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
