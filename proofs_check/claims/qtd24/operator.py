"""The quantile operator and its projection."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.qtd24 import DERIVED, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import PARTICLES, particle_laws, structured_models, with_particles

PLACE = 1
EQUAL = particle_laws(2, 3, equal=True)
TIE = 1e-7


def _image(exact: Exact, laws: list[ex.ExactLaw], count: int, flat: Fraction) -> list[list[Fraction]]:
    return [exact.quantiles(law, count, flat) for law in exact.bellman(laws)]


def _equal_weights(values: list[list[Fraction]]) -> list[ex.ExactLaw]:
    return [ex.add_up((value, Fraction(1, len(row))) for value in row) for row in values]


def _level_ties(exact: Exact, laws: list[ex.ExactLaw], count: int) -> bool:
    """Whether a cumulative probability comes near a level without reaching it: the library's tolerance decides."""
    for law in exact.bellman(laws):
        total = Fraction(0)
        for _, mass in sorted(law.items()):
            total += mass
            place = total * count - Fraction(1, 2)
            gap = abs(place - round(place)) / count
            if 0 < gap < TIE:
                return True
    return False


class _Small(Exact):
    """A case over the rationals with probabilities rounded to small fractions."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        for x, rows in enumerate(self.outcomes):
            small = [Fraction(float(row[0])).limit_denominator(4096) for row in rows]
            total = sum(small)
            self.outcomes[x] = [(p / total, *row[1:]) for p, row in zip(small, rows, strict=True)]

    def laws(self, index: int) -> list[ex.ExactLaw]:
        values = self.case.values[index].tolist()
        return [ex.add_up((Fraction(v), Fraction(1, len(row))) for v in row) for row in values]


def _contraction(flat: Fraction, name: str) -> None:
    @claim(
        f"quantile-winf-contraction-flat-{name}",
        statement=f"The quantile operator with flat = {name} contracts sup-W_inf with modulus the discount.",
        latex=rf"\bar W_\infty(\Pi_{{{name}}}T\mu,\Pi_{{{name}}}T\nu)\le\gamma\bar W_\infty(\mu,\nu)",
        source=f"{SOURCE}, Propositions 5 to 7",
        evidence="read",
        measured="sup-W_inf of the images, exact; the library's operator is held against them",
        bound="discount * sup-W_inf of the laws",
        family=EQUAL,
        structured=lambda: PARTICLES,
        attained=0.999,
        used_by="QuantileDP",
    )
    def measure(case: Case) -> Iterator[Reading]:
        """Quantiles of a mixture are monotone and move with a shift."""
        exact = _Small(case)
        mu, nu = exact.laws(0), exact.laws(1)
        count = case.values[0].shape[1]
        images = [_image(exact, laws, count, flat) for laws in (mu, nu)]
        left, right = (_equal_weights(image) for image in images)
        yield Reading(ex.sup(ex.w_infinity, left, right), exact.g * ex.sup(ex.w_infinity, mu, nu))
        if not _level_ties(exact, mu, count):
            operator = distrl.operators.QuantileBellman(case.model, count, float(flat))
            size = 1.0 + float(np.abs(case.values[0]).max()) + max(abs(row[3]) for row in case.rows)
            yield same(operator(case.values[0]), np.array(images[0], dtype=float), 64 * rounding.FLOAT * size)


_contraction(Fraction(0), "0")
_contraction(Fraction(1, 2), "half")
_contraction(Fraction(1), "1")


def _w_p_refutation(p: int) -> None:
    pair = Case(
        ((0, 0.375, 1, 0.0, False), (0, 0.625, 2, 0.0, False), (1, 1.0, 1, 0.0, False), (2, 1.0, 2, 0.0, False)),
        0.9,
        None,
        (np.full((3, 2), 0.5),) * 2,
        (np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 6.0]]), np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 7.0]])),
    )

    @claim(
        f"quantile-w{p}-contraction",
        statement=f"The quantile operator contracts sup-W{p}.",
        latex=rf"\bar W_{p}(\Pi T\mu,\Pi T\nu)\le\bar W_{p}(\mu,\nu)",
        source=f"{SOURCE}, where only W_inf is claimed",
        evidence="derived",
        expected="refuted",
        measured=f"sup-W{p}^{p} of the images, exact",
        bound=f"sup-W{p}^{p} of the laws",
        family=EQUAL,
        structured=lambda: [pair],
    )
    def measure(case: Case) -> Iterator[Reading]:
        """The levels can read from each successor the one value of two that moved."""
        exact = _Small(case)
        mu, nu = exact.laws(0), exact.laws(1)
        count = case.values[0].shape[1]
        left, right = (_equal_weights(_image(exact, laws, count, Fraction(0))) for laws in (mu, nu))

        def cost(a: ex.ExactLaw, b: ex.ExactLaw) -> Fraction:
            return ex.transport_cost(a, b, p)

        yield Reading(ex.sup(cost, left, right), ex.sup(cost, mu, nu))


_w_p_refutation(1)
_w_p_refutation(2)


@claim(
    "quantile-projection-winf-nonexpansion",
    statement="Reading quantiles does not expand W_inf.",
    latex=r"W_\infty(\Pi\mu,\Pi\nu)\le W_\infty(\mu,\nu)",
    source=f"{SOURCE}, Propositions 5 to 7; Dabney et al. 2018",
    evidence="read",
    measured="W_inf of the projections, exact",
    bound="W_inf of the laws",
    family=particle_laws(2, 4, states=1),
    searched="1 to 4 quantiles, flat 0, 1/2, 1",
    structured=lambda: PARTICLES,
    attained=0.999,
)
def quantile_projection_winf_nonexpansion(case: Case) -> Iterator[Reading]:
    """|F^{-1} - G^{-1}| is at most W_inf at every level."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        for count in range(1, 5):
            for flat in (Fraction(0), Fraction(1, 2), Fraction(1)):
                pair = _equal_weights([exact.quantiles(law, count, flat) for law in (mu, nu)])
                yield Reading(ex.w_infinity(*pair), ex.w_infinity(mu, nu))


def _best_two() -> Case:
    """Three equal masses against their two quantiles, and a padding of no mass."""
    weights = (np.full((1, 3), 1 / 3), np.array([[0.5, 0.5, 0.0]]))
    return Case(
        ((0, 1.0, 0, 0.0, False),), 0.5, None, weights, (np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 2.0, 5.0]]))
    )


@claim(
    "quantile-projection-w1-optimal",
    statement="Mid-point quantiles are the best equally weighted values in W1.",
    latex=r"W_1(\mu,\Pi\mu)\le W_1(\mu,\tfrac1m\sum\delta_{v_i})",
    source="Dabney et al. 2018, *Distributional RL with Quantile Regression*",
    evidence="recalled",
    measured="W1 of the law to its quantiles, exact",
    bound="W1 of the law to other values, equally weighted",
    family=particle_laws(2, 4, states=1),
    searched="against others",
    structured=lambda: [_best_two(), *PARTICLES],
    attained=0.9,
)
def quantile_projection_w1_optimal(case: Case) -> Iterator[Reading]:
    """On each cell of levels the median minimises the mean absolute difference."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        others = sorted(nu)
        other = _equal_weights([others])[0]
        for flat in (Fraction(0), Fraction(1, 3), Fraction(1)):
            own = _equal_weights([exact.quantiles(mu, len(others), flat)])[0]
            yield Reading(ex.w1(mu, own), ex.w1(mu, other))


@claim(
    "quantile-projection-w1",
    statement="m quantiles of a law on an interval of width w are within w / (2 m) of it in W1.",
    latex=r"W_1(\mu,\Pi\mu)\le\frac{w}{2m}",
    source=DERIVED,
    evidence="derived",
    measured="W1 of the law to its quantiles, exact",
    bound="width / (2 m)",
    family=particle_laws(1, 4, states=1),
    searched="1 to 4 quantiles",
    structured=lambda: with_particles(structured_models((0.5,)))[1::2],
    attained=0.9,
    used_by="theory.quantile_projection_w1, QuantileDP",
)
def quantile_projection_w1(case: Case) -> Iterator[Reading]:
    """On each cell of levels the error is at most the cell's width of values times 1 / (2 m)."""
    exact = Exact(case)
    for mu in exact.laws(0):
        width = max(mu) - min(mu)
        for count in range(1, 5):
            for flat in (Fraction(0), Fraction(1)):
                own = _equal_weights([exact.quantiles(mu, count, flat)])[0]
                bound = Fraction(theory.quantile_projection_w1(1.0, count)).limit_denominator(1000) * width
                yield Reading(ex.w1(mu, own), bound)
