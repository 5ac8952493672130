"""The oracles of control agree: every policy of histories one by one, and the recursion on the tree of histories."""

from decimal import Decimal, localcontext
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

import distrl
from distrl import (
    CVaR,
    EntropicRisk,
    EVaR,
    Mean,
    MeanCVaR,
    MeanVariance,
    ProbabilityAbove,
    Quantile,
    Shortfall,
    optimize,
)
from tests.control import known_models as known
from tests.control.history import (
    Small,
    Tree,
    best,
    executed_law,
    laws,
    layers,
    markov_laws,
    random_small,
    value_of,
    violations,
)

F = Fraction
OBJECTIVES = [
    Mean(),
    CVaR(0.125),
    CVaR(0.5),
    CVaR(1.0),
    MeanCVaR(0.25, 0.375),
    Shortfall(0.5),
    MeanVariance(0.25),
    MeanVariance(2.0),
    EntropicRisk(-0.75),
    EntropicRisk(0.5),
]


def read(law, objective):
    """An objective of one law from its definition: nothing of the tree is used."""
    values, masses = zip(*law, strict=True)
    mean = sum(v * p for v, p in law)
    name = objective.name
    if name == "mean":
        return mean
    if name in ("cvar", "mean_cvar"):
        level, total = F(objective.level), F(0)
        left = level
        for v, p in law:
            total, left = total + min(p, left) * v, left - min(p, left)
        share = F(getattr(objective, "weight", 0.0))
        return share * mean + (1 - share) * total / level
    if name == "shortfall":
        return sum(p * max(F(objective.target) - v, F(0)) for v, p in law)
    if name == "mean_variance":
        return mean - F(objective.weight) * sum(p * (v - mean) ** 2 for v, p in law)
    if name == "entropic_risk":
        with localcontext() as context:
            context.prec = 50
            beta = Decimal(objective.beta)
            terms = [Decimal(p.numerator) / p.denominator * (beta * v.numerator / v.denominator).exp() for v, p in law]
            return sum(terms).ln() / beta
    if name == "quantile":
        reached = [v for k, v in enumerate(values) if sum(masses[: k + 1]) >= F(objective.level)]
        return reached[0]
    assert name == "probability_above"
    return sum(p for v, p in law if v >= F(objective.target))


@pytest.mark.parametrize("discount", [F(1), F(1, 2), F(9, 10)], ids=str)
def test_the_best_of_every_policy_is_what_the_tree_says(discount):
    rng = np.random.default_rng(int(discount * 10))
    for steps in (1, 2, 3) if discount == F(9, 10) else (1, 2, 3, 3, 3):
        model = random_small(rng, discount)
        for state in range(3):
            found = laws(model, state, steps)
            tree = Tree(model, state, steps)
            assert {v for law in found for v, _ in law} == set(tree.totals)
            for objective in OBJECTIVES:
                pick = min if objective.minimised else max
                value = float(pick(read(law, objective) for law in found))
                assert best(tree, objective) == (value, value), objective


@pytest.mark.parametrize("discount", [F(1), F(3, 4)], ids=str)
def test_probabilities_and_quantiles_agree_away_from_where_they_jump(discount):
    rng = np.random.default_rng(7)
    for steps in (2, 3, 3):
        model = random_small(rng, discount)
        found, tree = laws(model, 0, steps), Tree(model, 0, steps)
        places = [float(b) for b in tree.totals[:: max(len(tree.totals) // 5, 1)]]
        for place in places:
            values = [read(law, ProbabilityAbove(place + shift)) for shift in (-0.001, 0.001) for law in found]
            ends = best(tree, ProbabilityAbove(place))
            half = len(values) // 2
            if all(abs(b - F(place)) > F(1, 500) for b in tree.totals if b != F(place)):
                assert (ends.low, ends.high) == (float(max(values[half:])), float(max(values[:half])))
        for level in (0.05, 0.301, 0.7003):  # no sum of eighths and their products
            value = float(max(read(law, Quantile(level)) for law in found))
            assert best(tree, Quantile(level)) == (value, value)


def test_entropic_value_at_risk_is_the_best_of_every_law():
    rng = np.random.default_rng(3)
    for steps in (2, 3):
        model = random_small(rng, F(1, 2))
        tree = Tree(model, 0, steps)
        for level in (0.1, 0.6, 1.0):
            values = []
            for law in laws(model, 0, steps):
                returns = distrl.ParticleReturns(*(np.array([float(pair[k]) for pair in law]) for k in (0, 1)))
                values.append(float(EVaR(level).value(returns)))
            size = 1.0 + float(tree.totals[-1] - tree.totals[0])
            assert abs(best(tree, EVaR(level)).low - max(values)) < 1e-10 * size


KNOWN = {name: getattr(known, name) for name in ("F1", "F2", "F2_DISCOUNTED", "F3", "F3_SHORTER", "F8")}


@pytest.mark.parametrize("name", KNOWN)
def test_known_optima(name):
    model, steps, cvars, puts = KNOWN[name]
    tree = Tree(model, 0, steps)
    for level, value in zip(known.LEVELS, cvars, strict=False):
        assert best(tree, CVaR(float(level))).low == pytest.approx(float(value), abs=1e-15)
    assert {b: tree.put(b) for b in puts} == puts
    if steps <= 3:
        found = laws(model, 0, steps)
        for level, value in zip(known.LEVELS[2:], cvars[2:], strict=False):
            assert max(read(law, CVaR(float(level))) for law in found) == value


def test_known_optima_of_other_objectives():
    weights = [
        (known.F1, known.F1_MEAN_VARIANCE),
        (known.F2, known.F2_MEAN_VARIANCE),
        (known.F2_DISCOUNTED, known.F2_DISCOUNTED_MEAN_VARIANCE),
        (known.F3, known.F3_MEAN_VARIANCE),
    ]
    for (model, steps, *_), values in weights:
        for weight, value in values.items():
            assert best(Tree(model, 0, steps), MeanVariance(float(weight))).low == float(value)
    one, two, three = (Tree(each.model, 0, each.steps) for each in (known.F1, known.F2, known.F3))
    assert one.below(F(1)) == known.F1_BELOW_1 and two.below(F(2)) == known.F2_BELOW_2
    for tree, value in ((one, known.F1_ENTROPIC), (two, known.F2_ENTROPIC)):
        assert best(tree, EntropicRisk(-1.0)).low == pytest.approx(value, abs=1e-15)
    for tree, values in ((two, known.F2_QUANTILES), (three, known.F3_QUANTILES)):
        for level, value in values.items():
            assert max(b for b in tree.totals if tree.below(b) < level) == value


def test_what_policies_without_memory_miss():
    for (model, steps, *_), level, value in (
        (known.F2, F(3, 4), known.F2_MARKOV),
        (known.F2_DISCOUNTED, F(3, 4), known.F2_DISCOUNTED_MARKOV),
        (known.F3, F(1, 2), known.F3_MARKOV),
    ):
        assert max(read(law, CVaR(float(level))) for law in markov_laws(model, 0, steps)) == value
    for (model, steps, *_), value in (
        (known.F2, known.F2_MARKOV_MEAN_VARIANCE),
        (known.F2_DISCOUNTED, known.F2_DISCOUNTED_MARKOV_MEAN_VARIANCE),
    ):
        assert max(read(law, MeanVariance(0.25)) for law in markov_laws(model, 0, steps)) == value


def test_interpolated_targets_say_less_than_the_least_loss():
    assert Tree(known.F8.model, 0, 2).put(F(1)) > known.F8_INTERPOLATED
    inner = Tree(known.F8.model, 1, 1)
    assert (inner.put(F(0)) + inner.put(F(1))) / 2 == known.F8_INTERPOLATED


def nested(model, state, steps, level):
    """CVaR of the rewards and nested values of what follows, step by step; the best action of each."""
    if not steps:
        return F(0)
    values = []
    for outcomes in model.table[state]:
        law = {}
        for p, y, r, end in outcomes:
            v = r if end else r + model.discount * nested(model, y, steps - 1, level)
            law[v] = law.get(v, F(0)) + p
        values.append(read(tuple(sorted(law.items())), CVaR(float(level))))
    return max(values)


def test_nested_cvar_is_above_and_below():
    assert nested(known.F9.model, 0, 2, F(1, 2)) == known.F9_NESTED
    assert best(Tree(known.F9.model, 0, 2), CVaR(0.5)).low == float(known.F9_STATIC)
    assert nested(known.F1.model, 0, 2, F(1, 2)) == 0 < known.F1.cvar[2] < known.DUAL[1]


@pytest.mark.parametrize(("example", "safe"), [(known.F5, F(-5, 2)), (known.F5_LONGER, F(-4))], ids=["half", "third"])
def test_shortest_paths_are_enclosed_by_those_that_are_cut(example, safe):
    """Cut after 40 steps for nothing, or by ending safely: the endless optimum is between."""
    steps = 40
    whole = layers(example.model, steps)
    last = ((known.end(1, safe),),)
    closed = Small((*whole.table[:-1], last), F(1))
    for level, value in zip(known.LEVELS, example.cvar, strict=True):
        high, low = (best(Tree(model, 0, steps), CVaR(float(level))).low for model in (whole, closed))
        assert low - 1e-12 <= value <= high + 1e-12 and high - low < 1e-5


def test_endless_returns_are_enclosed_by_those_that_are_cut():
    for steps in (2, 5):
        tree, tail = Tree(known.F4.model, 0, steps), 2 * F(1, 2) ** steps
        for b, value in known.F4.puts.items():
            assert tree.put(b - tail) <= value <= tree.put(b)
        for level, value in known.F4_CVAR.items():
            low = best(tree, CVaR(float(level))).low
            assert low - 1e-12 <= value <= low + tail + 1e-12


@pytest.mark.parametrize("layered", [False, True])
def test_what_policy_iteration_finds_is_right_and_what_is_not_is_told(layered):
    rng = np.random.default_rng(4)
    for _ in range(3):
        model = random_small(rng, F(3, 4))
        ctl = optimize(layers(model, 3).mdp(), Mean()) if layered else optimize(model.mdp(), Mean(), horizon=3)
        right = violations(model, Mean(), ctl, 3, layered=layered)
        assert max(right.bounds, right.policy) < 1e-12
    tree = Tree(model, 1, 3)
    size = max(1.0, float(tree.totals[-1] - tree.totals[0]))
    off = np.zeros(len(ctl.lower))
    off[1] = 0.5 * size
    promised = SimpleNamespace(policy=ctl.policy, lower=ctl.lower + off, upper=ctl.upper + 2.0 * off)
    wrong = violations(model, Mean(), promised, 3, layered=layered)
    assert wrong.state == 1 and wrong.bounds == pytest.approx(0.5) and wrong.policy == pytest.approx(0.5)
    low = SimpleNamespace(policy=ctl.policy, lower=ctl.lower - 2.0 * off, upper=ctl.upper - off)
    wrong = violations(model, Mean(), low, 3, layered=layered)
    assert wrong.bounds == pytest.approx(0.5) and wrong.policy <= 1e-12


def test_a_policy_is_run_through_every_history():
    class Remembers(distrl.control.MarkovPolicy):
        """Ends safely after a first reward of 4, else gambles."""

        def start(self, state):
            return 0.0

        def act(self, state, memory):
            return 0 if state == 0 or memory == 4.0 else 1

        def observe(self, state, memory, reward, next_state):
            return memory + reward

    policy = Remembers(np.zeros(2, dtype=np.int64), 2)
    law = executed_law(known.F2.model, 0, 2, policy, layered=False)
    assert law == ((F(0), F(1, 4)), (F(4), F(1, 4)), (F(5), F(1, 2)))
    assert law in laws(known.F2.model, 0, 2) and law not in markov_laws(known.F2.model, 0, 2)
    assert value_of(law, ProbabilityAbove(4.0)) == (0.5, 0.75)  # a float may just miss 4
    assert value_of(law, CVaR(0.75)) == (3.0, 3.0) and value_of(law, Quantile(0.4)) == (4.0, 4.0)
