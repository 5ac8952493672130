"""Claims around Rowland et al. 2024, *Near-Minimax-Optimal Distributional RL with a Generative Model* (2402.07598).

The direct categorical fixed point as a linear system in CDF form, and the stochastic categorical CDF Bellman equation.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from distrl import theory
from distrl._validation import FloatArray
from distrl.operators import StochasticCDFBellman
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.cdrl18 import CLIPPED, slack_of
from proofs_check.claim import Reading, claim, same, share_of_alarm
from proofs_check.exact import Exact
from proofs_check.families import MILD, on_grid, structured_models, with_grids

SOURCE = "Rowland et al. 2024 (2402.07598)"
DERIVED = "derived: docs/proofs.md"
GRIDS = with_grids(structured_models())
ANY = on_grid(0)
COVERING = on_grid(0, covering=True)


def _system(case: Case) -> tuple[FloatArray, FloatArray]:
    """(A, b) of F = A F + b."""
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
    return operator.matrix().toarray(), operator.offset()


def _exact_columns(case: Case) -> list[tuple[int, int, Fraction, Fraction]]:
    """(state, successor, probability, reward) of what goes on."""
    rows = enumerate(Exact(case).outcomes)
    return [(x, y, p, r) for x, outcomes in rows for p, y, r, terminal in outcomes if not terminal]


@claim(
    "dcfp-linear-system",
    statement="The categorical fixed point is the unique solution of a linear system in (m - 1) S unknowns.",
    latex=r"(I-\tilde T)\tilde F=b",
    source=f"{SOURCE}; method in summary, system derived",
    evidence="derived",
    measured="CategoricalFixedPoint, every solver",
    bound="Gauss elimination of F = Pi T F over the rationals (equality)",
    searched="processes of up to 2 states, any grid of up to 4 atoms",
    family=on_grid(0, atoms=4, states=2),
    structured=lambda: [case for case in with_grids(structured_models(), (2, 3)) if case.states <= 2],
    cost=6,
    used_by="CategoricalFixedPoint",
)
def _(case: Case) -> Iterator[Reading]:
    """The last atom's CDF is 1; what is left contracts."""
    if case.discount < 1e-6:  # numbers whose exact solution has millions of digits
        return
    exact = Exact(case)
    expected = exact.pmf(ex.fixed_point(exact))
    for solver in ("auto", "direct", "iterate"):
        solution = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on, solver=solver), throw=False)
        slack = 4 * solution.tol / case.on.spacing + 64 * slack_of(case) / (1.0 - case.discount)
        if solution.converged:
            yield Reading(np.asarray(solution.returns.probs), expected, slack, equal=True, counts=solver == "auto")


@claim(
    "dcfp-without-mass-constraint",
    statement="F = T F alone, linear and with the last atom left in, determines the fixed point.",
    latex=r"F=TF\Rightarrow F=F^*",
    source=f"{SOURCE}, in summary; the constraint F(z_m) = 1 left out",
    evidence="derived",
    expected="refuted",
    measured="total mass of a solution of F = T F",
    bound="1 (equality)",
    searched="structured processes without termination",
    structured=lambda: [case for case in GRIDS if not any(row[4] for row in case.rows)],
)
def _(case: Case) -> Iterator[Reading]:
    """F = 0 solves it too."""
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
    zero, image = np.zeros((case.states, case.on.atoms)), np.empty((case.states, case.on.atoms))
    operator.apply_cdf(zero, image, affine=True)
    if np.array_equal(image, zero):
        yield Reading(image[:, -1], np.ones(case.states), 1e-12, equal=True)


@claim(
    "cdf-nonnegative",
    statement="The CDF form's matrix is non-negative with row sums at most 1.",
    latex=r"B\ge0,\ B\mathbf 1\le\mathbf 1",
    source=DERIVED,
    evidence="derived",
    measured="row sums of |A|",
    bound="1",
    searched="any grid of up to 6 atoms, clipped or not",
    family=ANY,
    structured=lambda: GRIDS,
    attained=0.999,
    used_by="CategoricalBellman.matrix",
)
def _(case: Case) -> Iterator[Reading]:
    """Each row averages the successor's CDF over a window."""
    matrix, _ = _system(case)
    yield Reading(np.abs(matrix).sum(axis=1), np.ones(len(matrix)), 4 * slack_of(case))
    yield Reading(-matrix, np.zeros_like(matrix), 4 * slack_of(case), counts=False)


@claim(
    "cdf-column-sums",
    statement="Column j of the CDF form sums to (clip(r + g z_{j+1}) - clip(r + g z_j)) / s: g if both are in range.",
    latex=r"\sum_iB^r_{ij}=(\mathrm{clip}(r+\gamma z_{j+1})-\mathrm{clip}(r+\gamma z_j))/s\le\gamma",
    source=f"{DERIVED}; for all grids of few atoms in `formal-column-sums`",
    evidence="derived",
    measured="column sums of A, a state at a time",
    bound="the formula over the rationals, at most the discount",
    searched="any grid of up to 6 atoms, clipped or not",
    family=ANY,
    structured=lambda: GRIDS,
    attained=0.999,
    used_by="contraction in W1",
)
def _(case: Case) -> Iterator[Reading]:
    """The mean of a projected Dirac is the clipped target."""
    matrix, _ = _system(case)
    exact, m = Exact(case), case.on.atoms
    low, high = exact.atoms[0], exact.atoms[-1]
    sums = matrix.reshape(case.states, m - 1, case.states, m - 1).sum(axis=1)
    expected = np.zeros_like(sums)
    mass = np.zeros((case.states, case.states))
    for x, y, p, r in _exact_columns(case):
        targets = [min(max(r + exact.g * z, low), high) for z in exact.atoms]
        expected[x, y] += [float(p * (b - a) / exact.spacing) for a, b in itertools.pairwise(targets)]
        mass[x, y] += float(p)
    slack = 4 * slack_of(case) * m
    yield same(sums, expected, slack)
    if case.discount > 1e-6:
        yield Reading(sums, case.discount * mass[:, :, None] * np.ones(m - 1), slack)


@claim(
    "cdf-two-nonzeros",
    statement="On a uniform grid a column of B^r has at most two non-zeros for discounts of at most 1.",
    latex=r"\#\{i:B^r_{ij}\ne0\}\le2",
    source=DERIVED,
    evidence="derived",
    measured="non-zeros in a column, one reward and successor at a time",
    bound="2",
    searched="any grid of up to 6 atoms, one-state processes",
    family=on_grid(0, states=1, random_rewards=False),
    structured=lambda: [case for case in GRIDS if case.states == 1 and len(case.rows) == 1],
    attained=0.999,
    used_by="memory of CategoricalBellman.matrix",
)
def _(case: Case) -> Iterator[Reading]:
    """B_ij = H_i(r + g z_j) - H_i(r + g z_{j+1}): the targets are less than a cell apart."""
    if len(case.rows) == 1 and not case.rows[0][4]:
        matrix, _ = _system(case)
        yield Reading((np.abs(matrix) > 1e-12).sum(axis=0), np.full(len(matrix), 2))


def _stop_loss_rows(case: Case) -> FloatArray:
    """Absolute row sums of the linear part of the stop-loss form."""
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
    n, m = case.states, case.on.atoms
    zero = operator.stop_loss(np.zeros((n, m)))
    total = np.zeros((n, m))
    for x in range(n):
        for j in range(m - 1):
            unit = np.zeros((n, m))
            unit[x, j] = 1.0
            total += np.abs(operator.stop_loss(unit) - zero)
    return total[:, :-1]


@claim(
    "stop-loss-rows",
    statement="Without clipping, absolute rows of the stop-loss form sum to at most the discount.",
    latex=r"\|\text{linear part of }C\mapsto C'\|_\infty\le\gamma",
    source=DERIVED,
    evidence="derived",
    assumes="a covering grid",
    measured="absolute row sums",
    bound="the discount",
    searched="covering grids of up to 6 atoms",
    family=COVERING,
    structured=lambda: GRIDS,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """C' reads g C at a point by interpolation."""
    if case.discount > 1e-6 and not Exact(case).clips():
        yield Reading(_stop_loss_rows(case), case.discount, 64 * slack_of(case) * case.on.atoms)


@claim(
    "stop-loss-rows-clipped",
    statement="Absolute rows of the stop-loss form sum to at most the discount on every grid.",
    latex=r"\|\text{linear part of }C\mapsto C'\|_\infty\le\gamma",
    source="the premise of `stop-loss-rows` left out",
    evidence="derived",
    expected="refuted",
    measured="absolute row sums",
    bound="the discount",
    searched="any grid of up to 6 atoms",
    family=ANY,
    structured=lambda: CLIPPED,
)
def _(case: Case) -> Iterator[Reading]:
    """With mass landing above z_m the value there is subtracted: up to 2 g."""
    if case.discount > 1e-6:
        yield Reading(_stop_loss_rows(case), case.discount, 64 * slack_of(case) * case.on.atoms)


@claim(
    "stop-loss-interpolation",
    statement="The projection keeps the stop-loss transform at every grid point, on the grid's range.",
    latex=r"C_{\Pi\mu}(z_i)=C_\mu(z_i)",
    source=DERIVED,
    evidence="derived",
    measured="stop-loss of the projected law at the atoms, exact",
    bound="that of the law (equality)",
    searched="laws of up to 3 values, clipped to the range",
    family=on_grid(1, particles=3),
    used_by="StopLoss form, Brackets",
)
def _(case: Case) -> Iterator[Reading]:
    """Interpolating a convex function at the knots is projecting the law."""
    exact = Exact(case)
    for law in exact.laws(0):
        clipped = ex.add_up((min(max(v, exact.atoms[0]), exact.atoms[-1]), mass) for v, mass in law.items())
        for z in exact.atoms:
            yield Reading(ex.stop_loss(exact.project(clipped), z), ex.stop_loss(clipped, z), equal=True)


@claim(
    "spectral-radius",
    statement="The spectral radius of the CDF form is at most the discount.",
    latex=r"\rho(\tilde T)\le\gamma",
    source=DERIVED,
    evidence="derived",
    measured="largest |eigenvalue| of A",
    bound="the discount",
    searched="any grid of up to 6 atoms, clipped or not",
    family=ANY,
    structured=lambda: GRIDS,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """It is a contraction in some norm. Defective eigenvalues move by the root of rounding."""
    if case.discount > 1e-3:
        matrix, _ = _system(case)
        # a Jordan block of size k answers a perturbation e with e^(1/k): the norm of a power is stable instead
        power = 64
        size = np.abs(np.linalg.matrix_power(matrix, power)).sum(axis=0).max() if matrix.size else 0.0
        reach = case.states * case.on.atoms
        yield Reading(float(np.max(np.abs(np.linalg.eigvals(matrix)))), case.discount, 1e-13 ** (1.0 / reach))
        yield Reading(size, reach * case.discount**power, 1e-12, counts=False)


@claim(
    "euclidean-norm",
    statement="The CDF form does not expand the Euclidean norm over all states together.",
    latex=r"\|\tilde T\|_2\le1",
    source="docs/proofs.md; the sup over states in `categorical-cramer-contraction` left out",
    evidence="numerical",
    expected="refuted",
    measured="largest singular value of A",
    bound="1",
    searched="any grid of up to 6 atoms",
    family=ANY,
    structured=lambda: [Case(tuple((x, 1.0, 0, 0.0, False) for x in range(n)), 0.9, (-1.0, 1.0, 3)) for n in (2, 4)],
)
def _(case: Case) -> Iterator[Reading]:
    """Many states that all lead to one copy its error."""
    matrix, _ = _system(case)
    yield Reading(float(np.linalg.norm(matrix, 2)), 1.0, 1e-9)


def _fixed_means(case: Case) -> Iterator[Reading]:
    solution = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)
    if solution.converged and case.discount < 0.999:
        expected = np.array(ex.values(Exact(case)), dtype=float)
        size = abs(case.on.low) + abs(case.on.high)
        slack = 4 * solution.tol + (64 * slack_of(case) + ex.ROUNDED) * size / (1.0 - case.discount)
        yield Reading(np.asarray(solution.returns.mean()), expected, slack, equal=True)


@claim(
    "dcfp-mean",
    statement="Where nothing is clipped the fixed point's means are exact.",
    latex=r"E\,\eta_C=(I-\gamma P)^{-1}r",
    source=DERIVED,
    evidence="derived",
    assumes="a covering grid",
    measured="means of the fixed point",
    bound="(I - g P)^{-1} r over the rationals (equality)",
    searched="covering grids of up to 6 atoms",
    family=COVERING,
    structured=lambda: GRIDS[:12],
    cost=5,
    used_by="Solution.values",
)
def _(case: Case) -> Iterator[Reading]:
    """`mean-preservation` at the fixed point."""
    if not Exact(case).clips():
        yield from _fixed_means(case)


@claim(
    "dcfp-mean-covering-returns-only",
    statement="A grid that covers the true returns is enough for exact means.",
    latex=r"\mathrm{supp}\,\eta\subset[z_1,z_m]\Rightarrow E\,\eta_C=(I-\gamma P)^{-1}r",
    source="the premise of `dcfp-mean` weakened",
    evidence="numerical",
    expected="refuted",
    assumes="the true returns lie on the grid's range",
    measured="means of the fixed point",
    bound="(I - g P)^{-1} r over the rationals (equality)",
    searched="the deterministic cycle with rewards 1 and 0 on the range of its two returns",
    structured=lambda: [
        Case(((0, 1.0, 1, 1.0, False), (1, 1.0, 0, 0.0, False)), 0.5, (0.0, 4 / 3, atoms)) for atoms in (2, 3, 5)
    ],
)
def _(case: Case) -> Iterator[Reading]:
    """Rounding puts mass on atoms that no return takes, and from there targets leave the range."""
    return _fixed_means(case)


# -- the stochastic categorical CDF Bellman equation -----------------------------------------------------------------


@claim(
    "stochastic-cdf-mean",
    statement="The random CDF's mean is the categorical fixed point.",
    latex=r"E[\Phi(x)]=F^*(x)",
    source=f"{SOURCE}; mean in summary, short proof in docs/proofs.md",
    evidence="derived",
    measured="mean of 4000 independent draws",
    bound="F*, within a Hoeffding radius (equality)",
    searched="three processes, all states and atoms together",
    structured=lambda: with_grids([structured_models((0.9,))[k] for k in (1, 4, 6)], (6,)),
    statistical=True,
    used_by="StochasticCDFBellman.sample",
)
def _(case: Case) -> Iterator[Reading]:
    """Take expectations on both sides: F* solves the same equation."""
    draws = StochasticCDFBellman(case.model, case.on).sample(4000, rng=11)
    fixed = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs
    target = np.cumsum(np.asarray(fixed), axis=1)
    radius = math.sqrt(math.log(2.0 / share_of_alarm(target.size)) / (2.0 * len(draws)))
    yield Reading(draws.mean(axis=0), target, radius, equal=True)


@claim(
    "stochastic-cdf-one-step-mean",
    statement="One random application has the categorical operator as its mean.",
    latex=r"E[B^RF(X')+b^R]=(\Pi TF)(x)",
    source=f"{SOURCE}, in summary",
    evidence="derived",
    measured="mean of 4000 draws of one application",
    bound="the categorical operator, within a Hoeffding radius (equality)",
    searched="three processes, all states and atoms together",
    structured=lambda: with_grids([structured_models((0.9,))[k] for k in (1, 4, 6)], (6,)),
    statistical=True,
)
def _(case: Case) -> Iterator[Reading]:
    """Linearity."""
    n, m = case.states, case.on.atoms
    start = np.tile(np.linspace(1.0 / m, 1.0, m), (n, 1))
    draws = StochasticCDFBellman(case.model, case.on)(np.broadcast_to(start, (4000, n, m)), rng=12)
    target = distrl.operators.CategoricalBellman(case.model, case.on).cdf(start)
    radius = math.sqrt(math.log(2.0 / share_of_alarm(target.size)) / (2.0 * len(draws)))
    yield Reading(draws.mean(axis=0), target, radius, equal=True)


@claim(
    "stochastic-cdf-coupling",
    statement="Two starts of the random equation, driven by the same outcomes, meet at the rate of the discount.",
    latex=r"E\,W_1(\Phi_k(x),\Phi'_k(x))\le\gamma^k\sup W_1(\Phi_0,\Phi'_0)",
    source=f"{SOURCE}, uniqueness in summary; coupling derived",
    evidence="derived",
    measured="sup over states and draws of W1 after one shared draw",
    bound="discount * sup-W1 before",
    searched="any grid of up to 6 atoms",
    family=on_grid(2),
    structured=lambda: CLIPPED[:12],
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """Each draw applies one outcome's categorical operator, a contraction whatever the outcome."""
    cdfs = [np.cumsum(weights, axis=1) for weights in case.weights]
    for cdf in cdfs:
        cdf[:, -1] = 1.0
    random = StochasticCDFBellman(case.model, case.on)
    copies = [np.broadcast_to(cdf, (8, *cdf.shape)) for cdf in cdfs]
    first, second = (random(copy, rng=3) for copy in copies)
    spacing = case.on.spacing
    before = np.abs(cdfs[0] - cdfs[1]).sum(axis=1).max() * spacing
    after = np.abs(first - second).sum(axis=2).max() * spacing
    yield Reading(after, case.discount * before, case.on.width * 16 * slack_of(case))


def _corollary(case: Case) -> Iterator[Reading]:
    corollary = StochasticCDFBellman(case.model, case.on).variance_corollary()
    slack = 1e-10 * case.on.width
    yield Reading(corollary.accumulated, corollary.bound, slack)
    yield Reading(corollary.global_variation, corollary.accumulated, slack, counts=False)


@claim(
    "variance-corollary",
    statement="Local variation accumulated along a trajectory is at most int F*(1 - F*), which is at most a quarter of "
    "the grid's width.",
    latex=r"\Sigma\le(I-\gamma P)^{-1}\sigma\le\int F^*(1-F^*)\le\frac{z_m-z_1}4",
    source="own result: docs/proofs.md; Rowland et al. 2024 have one of this kind whose constant is not used",
    evidence="derived",
    assumes="a covering grid",
    measured="(I - g P)^{-1} sigma, and Sigma, by StochasticCDFBellman",
    bound="int F*(1 - F*), and width / 4",
    searched="covering grids of up to 6 atoms, discounts up to .99",
    family=on_grid(0, covering=True, states=3),
    structured=lambda: [*GRIDS[:12], _branching(0.9, 2), _branching(0.999, 2)],
    attained=0.99,
    cost=5,
    used_by="StochasticCDFBellman.variance_corollary",
)
def _(case: Case) -> Iterator[Reading]:
    """Columns of B^r sum to g (nothing is clipped) and its rows to at most 1, so int F* (1 - F*) loses at least
    sigma at each step."""
    if Exact(case).clips():
        return
    yield from _corollary(case)
    quarter = float(theory.stochastic_variation(case.on.width))
    bound = StochasticCDFBellman(case.model, case.on).variance_corollary().bound
    yield Reading(bound, quarter, 1e-10 * case.on.width, counts=False)


def _branching(g: float, atoms: int) -> Case:
    """Branching to absorbing rewards 0 and 1."""
    rows = ((0, 0.5, 1, 0.0, False), (0, 0.5, 2, 1.0, False), (1, 1.0, 1, 0.0, False), (2, 1.0, 2, 1.0, False))
    return Case(rows, g, (0.0, 1.0 / (1.0 - g), atoms))


@claim(
    "variance-corollary-supremum",
    statement="Branching to absorbing rewards 0 and 1 attains a share g of the corollary's constant.",
    latex=r"\Sigma(x)=\frac{\gamma}{4(1-\gamma)}",
    source="own result: docs/proofs.md",
    evidence="derived",
    measured="global variation of the first state",
    bound="g / (4 (1 - g)) (equality)",
    searched="discounts .5 to .999, 2 to 9 atoms, rewards on the grid",
    structured=lambda: [
        Case(
            ((0, 0.5, 1, 0.0, False), (0, 0.5, 2, 0.0, False), (1, 1.0, 1, 0.0, False), (2, 1.0, 2, 1.0, False)),
            g,
            (0.0, 1.0 / (1.0 - g), 1 + round(1.0 / (1.0 - g))),
        )
        for g in (0.5, 0.75, 0.9)
    ],
)
def _(case: Case) -> Iterator[Reading]:
    """One coin decides between the returns 0 and g / (1 - g), both on the grid: a coin's variance over that length."""
    g = case.discount
    found = StochasticCDFBellman(case.model, case.on).global_variation()[0]
    yield Reading(found, g / (4.0 * (1.0 - g)), 1e-9, equal=True)


@claim(
    "variance-corollary-clipped",
    statement="The variance corollary holds on every grid.",
    latex=r"(I-\gamma P)^{-1}\sigma\le\int F^*(1-F^*)",
    source="the premise of `variance-corollary` left out",
    evidence="numerical",
    expected="refuted",
    measured="(I - g P)^{-1} sigma",
    bound="int F*(1 - F*)",
    searched="any grid of up to 6 atoms",
    family=on_grid(0, discounts=MILD),
    structured=lambda: [Case(c.rows, c.discount, c.grid) for c in CLIPPED],
    cost=2,
)
def _(case: Case) -> Iterator[Reading]:
    """Columns of B^r that are clipped sum to less than g: the recursion forgets less than it should."""
    return _corollary(case)


@claim(
    "second-moment-contraction",
    statement="The covariance equation contracts the sup-trace with modulus the discount.",
    latex=r"\mathrm{tr}\,E[BKB^\top]\le\gamma\sup_y\mathrm{tr}K(y)",
    source=DERIVED,
    evidence="derived",
    measured="trace of B K B^T for K = v v^T, one outcome's B at a time",
    bound="discount * trace of K",
    searched="one-outcome processes, any grid of up to 6 atoms",
    family=on_grid(1, states=1, random_rewards=False),
    structured=lambda: CLIPPED[:1],
    attained=0.999,
    used_by="StochasticCDFBellman.covariance",
)
def _(case: Case) -> Iterator[Reading]:
    """|B|_2^2 <= |B|_1 |B|_inf <= g: columns sum to at most g, rows to at most 1."""
    if len(case.rows) == 1 and not case.rows[0][4]:
        matrix, _ = _system(case)
        yield Reading(float(np.linalg.norm(matrix, 2)) ** 2, case.discount, 64 * slack_of(case))


@claim(
    "local-variation",
    statement="Local variation is the expected squared Cramer distance of one outcome's image from the mean image.",
    latex=r"\sigma(x)=E\|B^RF^*(X')+b^R-F^*(x)\|^2",
    source=f"{SOURCE}, in summary",
    evidence="derived",
    measured="StochasticCDFBellman.local_variation",
    bound="the sum over outcomes at the exact fixed point (equality)",
    searched="processes of up to 2 states, grids of up to 4 atoms",
    family=on_grid(0, atoms=4, states=2, discounts=MILD),
    structured=lambda: [case for case in with_grids(structured_models((0.5,)), (3,)) if case.states <= 2],
    cost=5,
)
def _(case: Case) -> Iterator[Reading]:
    """By definition."""
    if 0.0 < case.discount < 1e-6:
        return
    exact = Exact(case)
    fixed = ex.fixed_point(exact)
    expected = []
    for x, rows in enumerate(exact.outcomes):
        total = Fraction(0)
        for p, y, r, terminal in rows:
            moved = {r: Fraction(1)} if terminal else {r + exact.g * v: mass for v, mass in fixed[y].items()}
            moved = moved if exact.g or terminal else {r: Fraction(1)}
            total += p * ex.cramer_squared(exact.project(moved), fixed[x])
        expected.append(float(total))
    found = StochasticCDFBellman(case.model, case.on).local_variation()
    yield Reading(found, expected, 1e-9 * case.on.width, equal=True)
