"""Claims of Rowland et al. 2018, *An Analysis of Categorical Distributional Reinforcement Learning*."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.exact import Exact
from proofs_check.families import MILD, on_grid, structured_models, with_grids, with_laws, with_particles

SOURCE = "Rowland et al. 2018"
GRID = on_grid(2)
STRUCTURED = with_laws(structured_models())
CLIPPED = with_laws(structured_models(), covering=False)


def lattice_off_grid() -> list[Case]:
    """Diracs a quarter and three quarters of the way between two atoms, and processes that do nothing to them."""
    one = np.ones((1, 1))
    return [
        Case(((0, 1.0, 0, 0.0, False),), g, (0.0, 1.0, 2), (one, one), (np.full((1, 1), a / g), np.full((1, 1), b / g)))
        for g in (0.5, 0.9)
        for a, b in ((0.25, 0.75), (0.0, 0.5), (0.4, 0.6))
    ]


def slack_of(case: Case) -> float:
    """Mass that float64 can put wrong in one application: rounding of positions, in cells, and of sums."""
    grid = case.on
    size = max(abs(grid.low), abs(grid.high)) + max(abs(row[3]) for row in case.rows)
    return 64 * ex.FLOAT * len(case.rows) * (grid.atoms + size / grid.spacing)


def _operator(case: Case) -> distrl.operators.CategoricalBellman:
    return distrl.operators.CategoricalBellman(case.model, case.on)


@claim(
    "categorical-definition",
    statement="One application is: draw an outcome, move the atoms, clip, split between neighbours.",
    latex=r"p'(x;i)=\sum_{r,y}P(r,y|x)\sum_jh_i(r+\gamma z_j)\,p(y;j)",
    source=f"{SOURCE}, the definition",
    evidence="read",
    measured="PMF, CDF and matrix form of CategoricalBellman",
    bound="the double sum over the rationals (equality)",
    searched="processes of up to 3 states, any grid of up to 6 atoms",
    family=on_grid(1),
    structured=lambda: STRUCTURED + CLIPPED,
    used_by="CategoricalBellman, all of evaluate",
)
def _(case: Case) -> Iterator[Reading]:
    """By definition; the CDF form sums it by parts."""
    exact, operator = Exact(case), _operator(case)
    expected = exact.pmf(exact.image(exact.laws(0)))
    slack = slack_of(case)
    yield Reading(np.asarray(operator(case.weights[0])), expected, slack, equal=True)
    cdf = np.cumsum(case.weights[0], axis=1)
    cdf[:, -1] = 1.0
    summed = np.cumsum(expected, axis=1)
    yield same(operator.cdf(cdf), summed, 4 * slack)
    linear = (operator.matrix() @ cdf[:, :-1].ravel() + operator.offset()).reshape(case.states, -1)
    yield same(linear, summed[:, :-1], 4 * slack)
    stop_loss = np.array([[float(ex.stop_loss(law, z)) for z in exact.atoms] for law in exact.laws(0)])
    image = [[float(ex.stop_loss(law, z)) for z in exact.atoms] for law in exact.image(exact.laws(0))]
    yield same(operator.stop_loss(stop_loss), image, 4 * slack * case.on.width)
    law = distrl.CategoricalReturns(case.on, case.weights[0])
    yield same(operator.apply_to(law).probs, expected, 4 * slack)


@claim(
    "categorical-cramer-contraction",
    statement="The categorical operator contracts sup-Cramer with modulus sqrt(discount), clipped or not.",
    latex=r"\bar\ell_2(\Pi T\mu,\Pi T\nu)\le\sqrt\gamma\,\bar\ell_2(\mu,\nu)",
    source=f"{SOURCE}, Proposition 2",
    evidence="read",
    measured="sup squared Cramer distance of the images, exact; the library's as well",
    bound="discount * that of the laws",
    searched="laws on any grid of up to 6 atoms",
    family=GRID,
    structured=lambda: STRUCTURED + CLIPPED,
    attained=0.999,
    used_by="CategoricalFixedPoint",
)
def _(case: Case) -> Iterator[Reading]:
    """T contracts, and the projection is orthogonal."""
    exact, operator = Exact(case), _operator(case)
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(ex.cramer_squared, mu, nu)
    yield Reading(ex.sup(ex.cramer_squared, exact.image(mu), exact.image(nu)), exact.g * before)
    images = (distrl.CategoricalReturns(case.on, operator(weights)) for weights in case.weights)
    measured = float(distrl.cramer(*images).max())
    bound = float(theory.cramer_modulus(case.discount) * np.sqrt(float(before)))
    yield Reading(measured, bound, np.sqrt(case.on.width) * 16 * slack_of(case))


@claim(
    "categorical-w1-contraction",
    statement="The categorical operator contracts sup-W1 with modulus the discount, clipped or not.",
    latex=r"\bar W_1(\Pi T\mu,\Pi T\nu)\le\gamma\bar W_1(\mu,\nu)",
    source="derived: docs/proofs.md, from the non-expansion of the projection",
    evidence="derived",
    measured="sup-W1 of the images, exact; the library's as well",
    bound="discount * sup-W1 of the laws",
    searched="laws on any grid of up to 6 atoms",
    family=GRID,
    structured=lambda: STRUCTURED + CLIPPED,
    attained=0.999,
    used_by="stopping rules, Certifier.gain",
)
def _(case: Case) -> Iterator[Reading]:
    """T contracts, and averaging a CDF over cells does not expand its L1 norm."""
    exact, operator = Exact(case), _operator(case)
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(ex.w1, mu, nu)
    yield Reading(ex.sup(ex.w1, exact.image(mu), exact.image(nu)), exact.g * before)
    images = (distrl.CategoricalReturns(case.on, operator(weights)) for weights in case.weights)
    bound = float(theory.wasserstein_modulus(case.discount) * float(before))
    yield Reading(float(distrl.wasserstein(*images).max()), bound, case.on.width * 16 * slack_of(case))


@claim(
    "categorical-w1-contraction-off-grid",
    statement="The categorical operator contracts sup-W1 on laws off the grid too.",
    latex=r"\bar W_1(\Pi T\mu,\Pi T\nu)\le\gamma\bar W_1(\mu,\nu),\ \mu,\nu\text{ any}",
    source="derived: docs/proofs.md",
    evidence="derived",
    measured="sup-W1 of the images of any laws, exact; `apply_to` against it",
    bound="discount * sup-W1 of the laws",
    searched="laws of up to 3 values anywhere",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """As on the grid."""
    exact, operator = Exact(case), _operator(case)
    mu, nu = exact.laws(0), exact.laws(1)
    left, right = exact.image(mu), exact.image(nu)
    yield Reading(ex.sup(ex.w1, left, right), exact.g * ex.sup(ex.w1, mu, nu))
    far = 1.0 + max(float(np.abs(values).max()) for values in case.values) / case.on.spacing
    yield same(operator.apply_to(case.law(0)).probs, exact.pmf(left), far * 64 * slack_of(case))


@claim(
    "categorical-w2-contraction",
    statement="The categorical operator contracts sup-W2 on all laws, with any modulus below 1.",
    latex=r"\bar W_2(\Pi T\mu,\Pi T\nu)\le c\,\bar W_2(\mu,\nu),\ c<1",
    source=f"{SOURCE}, Lemma 2, where it is denied",
    evidence="read",
    expected="refuted",
    measured="sup-W2 squared of the images of any laws, exact",
    bound="sup-W2 squared of the laws",
    searched="laws of up to 3 values anywhere",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def _(case: Case) -> Iterator[Reading]:
    """Diracs at 1/4 and 3/4 on {0, 1}: 1/4 becomes 1/2 in W2 squared."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(lambda a, b: ex.transport_cost(a, b, 2), mu, nu)
    after = ex.sup(lambda a, b: ex.transport_cost(a, b, 2), exact.image(mu), exact.image(nu))
    yield Reading(after, before)
    images = [_operator(case).apply_to(case.law(k)) for k in range(2)]
    yield same(distrl.wasserstein(*images, p=2).max(), np.sqrt(float(after)), 1e-5 * case.on.width)


@claim(
    "projection-w2-nonexpansion",
    statement="The projection does not expand W2.",
    latex=r"W_2(\Pi\mu,\Pi\nu)\le W_2(\mu,\nu)",
    source=f"{SOURCE}, Lemma 2, where it is denied",
    evidence="read",
    expected="refuted",
    measured="W2 squared of the projections, exact",
    bound="W2 squared of the laws",
    searched="laws of up to 3 values",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def _(case: Case) -> Iterator[Reading]:
    """W_p^p counts the mass that moves: half of it, a whole cell."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    projected = [[exact.project(law) for law in laws] for laws in (mu, nu)]
    for a, b, c, d in zip(*projected, mu, nu, strict=True):
        yield Reading(ex.transport_cost(a, b, 2), ex.transport_cost(c, d, 2))


@claim(
    "projection-w1-nonexpansion",
    statement="The projection does not expand W1.",
    latex=r"W_1(\Pi\mu,\Pi\nu)\le W_1(\mu,\nu)",
    source="derived: docs/proofs.md; for all grids of few atoms in `formal-w1-nonexpansion`",
    evidence="derived",
    measured="W1 of the projections, exact",
    bound="W1 of the laws",
    searched="laws of up to 3 values, inside and outside of the grid",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """The projected CDF is a cell average."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.w1(exact.project(mu), exact.project(nu)), ex.w1(mu, nu))


@claim(
    "projection-cramer-nonexpansion",
    statement="The projection does not expand the Cramer distance.",
    latex=r"\ell_2(\Pi\mu,\Pi\nu)\le\ell_2(\mu,\nu)",
    source=f"{SOURCE}, Lemma 3",
    evidence="read",
    measured="squared Cramer distance of the projections, exact",
    bound="that of the laws",
    searched="laws of up to 3 values, inside and outside of the grid",
    family=on_grid(2, particles=3),
    structured=lambda: [*lattice_off_grid(), *(_with_values(case) for case in STRUCTURED[:3])],
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """An orthogonal projection."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.cramer_squared(exact.project(mu), exact.project(nu)), ex.cramer_squared(mu, nu))


def _with_values(case: Case) -> Case:
    """Laws on the grid as particles."""
    values = np.tile(case.on.points, (case.states, 1))
    return Case(case.rows, case.discount, case.grid, case.weights, (values, values))


@claim(
    "pythagoras",
    statement="The projection is Cramer-orthogonal: errors to laws on the grid add in squares.",
    latex=r"\ell_2^2(\mu,\nu)=\ell_2^2(\mu,\Pi\mu)+\ell_2^2(\Pi\mu,\nu)",
    source=f"{SOURCE}, Lemma 3",
    evidence="read",
    assumes="mu on the grid's range, nu on the grid",
    measured="squared Cramer distance, exact",
    bound="the sum of the two (equality)",
    searched="laws of up to 3 values",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def _(case: Case) -> Iterator[Reading]:
    """F_mu less its cell averages is orthogonal to what is constant on cells."""
    exact = Exact(case)
    low, high = exact.atoms[0], exact.atoms[-1]
    for mu, other in zip(exact.laws(0), exact.laws(1), strict=True):
        nu, inside = exact.project(other), {min(max(v, low), high): Fraction(0) for v in mu}
        for value, mass in mu.items():
            inside[min(max(value, low), high)] += mass
        image = exact.project(inside)
        parts = ex.cramer_squared(inside, image) + ex.cramer_squared(image, nu)
        yield Reading(ex.cramer_squared(inside, nu), parts, equal=True)


@claim(
    "mean-preservation",
    statement="The categorical operator keeps means where no target is clipped.",
    latex=r"E(\Pi T\mu)(x)=E[R+\gamma\,E\mu(X')]",
    source=f"{SOURCE}; BDR23, chapter 5",
    evidence="read",
    assumes="all targets on the grid's range",
    measured="means of the image",
    bound="the means' own Bellman equation, exact (equality)",
    searched="covering grids of up to 6 atoms",
    family=on_grid(1, covering=True),
    structured=lambda: STRUCTURED,
    used_by="values of every categorical method",
)
def _(case: Case) -> Iterator[Reading]:
    """Splitting in proportion to nearness keeps the mean."""
    return iter(()) if Exact(case).clips() else _means(case)


def _means(case: Case) -> Iterator[Reading]:
    exact = Exact(case)
    mu = exact.laws(0)
    image = np.asarray(_operator(case)(case.weights[0]))
    slack = slack_of(case) * (abs(case.on.low) + abs(case.on.high)) + ex.ROUNDED * case.on.width
    yield Reading(image @ case.on.points, [float(ex.mean(law)) for law in exact.bellman(mu)], slack, equal=True)


@claim(
    "mean-preservation-clipped",
    statement="The categorical operator keeps means on every grid.",
    latex=r"E(\Pi T\mu)(x)=E[R+\gamma\,E\mu(X')]",
    source="the premise of `mean-preservation` left out",
    evidence="derived",
    expected="refuted",
    measured="means of the image",
    bound="the means' own Bellman equation, exact (equality)",
    searched="any grid of up to 6 atoms",
    family=on_grid(1),
    structured=lambda: CLIPPED,
)
def _(case: Case) -> Iterator[Reading]:
    """Clipping moves mass."""
    return _means(case)


@claim(
    "categorical-monotone",
    statement="The categorical operator keeps stochastic order.",
    latex=r"F_\mu\ge F_\nu\Rightarrow F_{\Pi T\mu}\ge F_{\Pi T\nu}",
    source=f"{SOURCE}, Proposition 5",
    evidence="read",
    assumes="the second law is the first with mass moved up",
    measured="CDF of the image of the larger law",
    bound="CDF of the image of the smaller law",
    searched="laws on any grid of up to 6 atoms",
    family=GRID,
    structured=lambda: STRUCTURED,
    attained=0.999,
    used_by="Brackets(order='stochastic')",
)
def _(case: Case) -> Iterator[Reading]:
    """Cell averages of ordered functions are ordered."""
    cdfs = [np.cumsum(weights, axis=1) for weights in case.weights]
    larger, smaller = np.minimum(*cdfs), np.maximum(*cdfs)
    operator = _operator(case)
    images = [np.asarray(operator(np.diff(cdf, axis=1, prepend=0.0))) for cdf in (larger, smaller)]
    above, below = (np.cumsum(image, axis=1) for image in images)
    yield Reading(above, below, 4 * slack_of(case))


@claim(
    "categorical-fixed-point-cramer",
    statement="The fixed point's squared Cramer distance to the truth is at most spacing / (1 - discount).",
    latex=r"\bar\ell_2^2(\eta_C,\eta)\le\frac{s}{1-\gamma}",
    source=f"{SOURCE}, Proposition 3",
    evidence="read",
    assumes="the true returns lie on the grid's range",
    measured="squared Cramer distance of the library's fixed point to a reference law",
    bound="spacing / (1 - discount)",
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=on_grid(0, atoms=8, covering=True, discounts=MILD, states=2),
    structured=lambda: with_grids(structured_models((0.5,))),
    cost=8,
    used_by="theory.fixed_point_cramer_squared",
)
def _(case: Case) -> Iterator[Reading]:
    """Pythagoras at the fixed point, and the contraction."""
    if Exact(case).clips():
        return
    fixed = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    values, weights, error = ex.true_laws(case, 2000)
    spacing = case.on.spacing
    for x in range(case.states):
        squared = ex.w1_floats((case.on.points, fixed[x]), (values[x], weights[x]), power=2)
        # |l2^2(F, eta) - l2^2(F, eta')| <= 2 W1(eta, eta'), since |F - G| <= 1
        yield Reading(squared, theory.fixed_point_cramer_squared(spacing, case.discount), 2 * error)
        sharp = theory.fixed_point_cramer_squared_sharp(spacing, case.discount)
        yield Reading(squared, float(sharp), 2 * error, counts=False)


@claim(
    "categorical-unique-fixed-point",
    statement="Sweeps from any start approach one fixed point at the rate of the discount, in W1.",
    latex=r"\bar W_1((\Pi T)^kF,\eta_C)\le\gamma^k\bar W_1(F,\eta_C)",
    source=f"{SOURCE}, Proposition 2, and the contraction in W1",
    evidence="derived",
    measured="sup-W1 to the solver's answer after k sweeps",
    bound="discount^k * the first",
    searched="any grid of up to 6 atoms, any start",
    family=on_grid(1),
    structured=lambda: STRUCTURED[:12],
    attained=0.999,
    cost=5,
    used_by="CategoricalDP, CategoricalFixedPoint",
)
def _(case: Case) -> Iterator[Reading]:
    """Banach's theorem, for a solver that uses another way there."""
    fixed = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)
    if not fixed.converged:  # a tolerance below what float64 resolves
        return
    target, operator, probs = np.asarray(fixed.returns.probs), _operator(case), case.weights[0]
    spacing = case.on.spacing
    first = None
    for k in range(4):
        gap = float((np.abs(np.cumsum(probs - target, axis=1)[:, :-1]).sum(axis=1) * spacing).max())
        first = gap if first is None else first
        slack = 2 * (fixed.tol + case.on.width * 8 * slack_of(case))
        yield Reading(gap, case.discount**k * first, slack, counts=k > 0)
        probs = np.asarray(operator(probs))


@claim(
    "wasserstein-of-particles",
    statement="W1 and Cramer distances of the library are the integrals of |F - G| and (F - G)^2.",
    latex=r"W_1=\int|F-G|,\ \ell_2^2=\int(F-G)^2",
    source="Vallender 1974 for W1; the definition for Cramer",
    evidence="derived",
    measured="distrl.wasserstein and distrl.cramer",
    bound="the integrals over the rationals (equality)",
    searched="laws of up to 3 values",
    family=on_grid(2, particles=3),
    structured=lambda: with_particles(structured_models()),
    used_by="all metrics",
)
def _(case: Case) -> Iterator[Reading]:
    """Area between two CDFs, horizontally or vertically."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    expected = [float(ex.w1(a, b)) for a, b in zip(mu, nu, strict=True)]
    first, second = case.law(0), case.law(1)
    size = 1.0 + max(float(np.abs(values).max()) for values in case.values)
    yield Reading(distrl.wasserstein(first, second), expected, 64 * ex.FLOAT * size, equal=True)
    squared = [float(ex.cramer_squared(a, b)) for a, b in zip(mu, nu, strict=True)]
    yield same(distrl.cramer(first, second) ** 2, squared, 1e-11 * size)
    highest = [float(ex.kolmogorov(a, b)) for a, b in zip(mu, nu, strict=True)]
    if all(abs(a - b) > 1e-9 for a in set().union(*mu, *nu) for b in set().union(*mu, *nu) if a != b):
        yield same(distrl.kolmogorov(first, second), highest, 64 * ex.FLOAT)
    for power in (2, 3):
        costs = [float(ex.transport_cost(a, b, power)) for a, b in zip(mu, nu, strict=True)]
        yield same(distrl.wasserstein(first, second, p=power) ** power, costs, 1e-12 * size**power)
