"""What one projection costs; proofs in docs/proofs.md."""

from collections.abc import Callable, Iterator
from fractions import Fraction

from distrl import theory
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import half_way
from proofs_check.exact import Exact
from proofs_check.families import on_grid

PLACE = 3


def _projection(
    name: str, words: str, latex: str, reading: Callable[[Exact, ex.ExactLaw, ex.ExactLaw], Reading]
) -> None:
    @claim(
        f"projection-{name}-error",
        statement=f"One projection of a law on the grid's range costs at most {words}.",
        latex=latex,
        source="derived: docs/proofs.md",
        evidence="derived",
        assumes="the law lies on the grid's range",
        measured="the law against its projection, exact",
        bound=words,
        family=on_grid(1, particles=3),
        searched="clipped to the range",
        structured=half_way,
        attained=0.999,
        used_by=f"theory.projection_{name}",
    )
    def measure(case: Case) -> Iterator[Reading]:
        """A Dirac half-way between two atoms is the worst."""
        exact = Exact(case)
        for law in exact.laws(0):
            inside = exact.inside(law)
            yield reading(exact, inside, exact.project(inside))


_projection(
    "w1",
    "half a spacing in W1",
    r"W_1(\mu,\Pi\mu)\le s/2",
    lambda exact, law, image: Reading(ex.w1(law, image), Fraction(float(theory.projection_w1(1.0))) * exact.spacing),
)
_projection(
    "cramer_squared",
    "a quarter of the spacing in squared Cramer distance",
    r"\ell_2^2(\mu,\Pi\mu)\le s/4",
    lambda exact, law, image: Reading(
        ex.cramer_squared(law, image), Fraction(float(theory.projection_cramer_squared(1.0))) * exact.spacing
    ),
)
_projection(
    "variance",
    "a quarter of the spacing squared in variance",
    r"\mathrm{Var}\,\Pi\mu-\mathrm{Var}\,\mu\le s^2/4",
    lambda exact, law, image: Reading(
        ex.variance(image) - ex.variance(law), Fraction(float(theory.projection_variance(1.0))) * exact.spacing**2
    ),
)
