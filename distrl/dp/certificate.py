"""How far a categorical or particle law can be from the true return law, for certain."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from distrl.models.mrp import MRP
from distrl.operators.categorical import Application, CategoricalBellman
from distrl.operators.targets import Targets
from distrl.returns.base import Returns

_EPS = float(np.finfo(np.float64).eps)

#: What a certificate is a distance to: see `Certificate.of`.
TRUE_LAW, SAMPLES_LAW = "the true law", "the samples' own law"


@dataclass(frozen=True, eq=False)
class Certificate:
    """An upper bound on the distance to a return law, that `of` names, numerical error included; all arrays (S,).

    Attributes
    ----------
    w1 : bound on W1, in units of reward
    cramer : bound on the Cramer distance (int (F - G)^2)^(1/2): at most sqrt(w1), since |F - G| <= 1
    claim : id of the claim that says so in `proofs_check`
    rounding, overshoot, residual : the three parts of `w1`: rounding to atoms adds in squares along a trajectory,
        clipping (with what reward laws are off by, `Law.error`) and what is left of the iteration (with rounding of
        floats) add in absolute value; for particles
        `rounding` is all that one step changes, which adds in absolute value too, and `residual` that of floats
    clipped_mass : probability that one more application leaves the grid's interval
    confidence : None for a certain bound, else the probability with which it holds for a state
    of : what it is a distance to: "the true law" of the model that was given, or "the samples' own law" where that was
        an empirical model
    """

    w1: FloatArray
    claim: str
    rounding: FloatArray
    overshoot: FloatArray
    residual: FloatArray
    clipped_mass: FloatArray
    confidence: float | None = None
    of: str = TRUE_LAW

    def __getitem__(self, index: Any) -> "Certificate":
        """The certificate of some of the states."""
        parts = ("w1", "rounding", "overshoot", "residual", "clipped_mass")
        return replace(self, **{name: getattr(self, name)[index] for name in parts})

    @property
    def cramer(self) -> FloatArray:
        """(S,) bound on the Cramer distance: sqrt(w1)."""
        return np.asarray(np.sqrt(self.w1))


class Certifier:
    """The certificate of an MRP on a grid; keeps the two linear systems over states between calls.

    For any law F on the grid, finite means: let U be drawn from the unprojected image of F at x, c = clip(U),

        delta(x) = E[(c - z_lo)(z_hi - c)],   o(x) = E|U - c|,   rho(x) = W1(F(x), (Pi T F)(x)).

    Then W1(F(x), eta(x)) <= sqrt([(I - g^2 P)^{-1} delta](x)) + [(I - g P)^{-1} (o + rho)](x), eta the true law, g the
    discount, P the probabilities of going on. (Couple along one trajectory: rounding errors are martingale
    differences.) Float errors of one application enter rho, what reward laws are off by (`Law.error`) enters o; the
    solves are bounded from above by superharmonic vectors.
    """

    claim = "certificate-martingale-coupling"

    def __init__(self, model: MRP, operator: CategoricalBellman) -> None:
        self.operator = operator
        self.linear = Resolvent.of(model)
        self.square = Resolvent.of(model, power=2)
        self._slack = float_slack(operator)

    @property
    def gain(self) -> float:
        """sup over states of W1(F, F*) <= gain * sup W1(F, Pi T F): at most 1 / (1 - discount)."""
        return float(self.linear.gain.max())

    def certify(self, probs: FloatArray, threads: int | None = 1) -> tuple[Certificate, float]:
        """The certificate of `probs` (S, m), and sup over states of rho without the float slack."""
        rho, variance, expected_overshoot, clipped = self.operator.losses(probs, threads)
        mass_defect = np.abs(probs.sum(axis=1) - 1.0) * self.operator.grid.width
        rounding = np.sqrt(self.square.upper(variance))
        overshoot = self.linear.upper(expected_overshoot + self.operator.table.law_errors)
        residual = self.linear.upper(rho + mass_defect + self._slack)
        certificate = Certificate(
            w1=rounding + overshoot + residual,
            claim=self.claim,
            rounding=rounding,
            overshoot=overshoot,
            residual=residual,
            clipped_mass=clipped,
        )
        return certificate, float(rho.max())

    @staticmethod
    def certify_sources(image: Application, operator: CategoricalBellman, below: Certificate) -> Certificate:
        """The certificate of one more application, to other sources: (state, action) pairs."""
        continuation, g = operator.table.continuation, operator.discount
        variance = image.variance + g * g * (continuation @ below.rounding**2)
        overshoot = image.overshoot + operator.table.law_errors + g * (continuation @ below.overshoot)
        residual = float_slack(operator) + g * (continuation @ below.residual)
        return Certificate(
            w1=np.sqrt(variance) + overshoot + residual,
            claim=below.claim,
            rounding=np.sqrt(variance),
            overshoot=overshoot,
            residual=residual,
            clipped_mass=image.clipped_mass,
            of=below.of,
        )


class ParticleCertifier:
    """The certificate of weighted particles theta, whatever they are: quantiles, imputed laws, samples.

    With r(x) = W1(theta(x), (T theta)(x)), T the Bellman operator without any projection,

        W1(theta(x), eta(x)) <= [(I - g P)^{-1} r](x),

    eta the true law, g the discount, P the probabilities of going on. (T is a contraction state by state: for any two
    laws W1((T a)(x), (T b)(x)) <= g sum_y P(x, y) W1(a(y), b(y)).) Rewards need finite means only. Float errors of r,
    and those of inverting continuous targets, are added to it; the solve is bounded from above.
    """

    claim = "certificate-one-step-transport"

    def __init__(self, model: MRP, targets: Targets) -> None:
        self.targets = targets
        self.linear = Resolvent.of(model)

    def certify(self, law: Returns) -> Certificate:
        """The certificate of the states' laws. Time: one merge, as an application, and two solves over states."""
        values, weights = law._rows()
        distance, slack = self.targets.distances(values, weights, values, weights)
        return _of_steps(self.linear.upper(distance), self.linear.upper(slack), self.claim)

    @staticmethod
    def certify_sources(law: Returns, below: Returns, targets: Targets, certificate: Certificate) -> Certificate:
        """The certificate of laws of other sources, (state, action) pairs, whose targets are at `below`."""
        distance, slack = targets.distances(*below._rows(), *law._rows())
        onward = targets.table.continuation * targets.plan.discount
        steps = _of_steps(
            distance + onward @ certificate.rounding, slack + onward @ certificate.residual, certificate.claim
        )
        return replace(steps, of=certificate.of)


def _of_steps(step: FloatArray, floats: FloatArray, claim: str) -> Certificate:
    nothing = np.zeros(len(step))
    return Certificate(step + floats, claim, rounding=step, overshoot=nothing, residual=floats, clipped_mass=nothing)


def distance_on_grid(first: FloatArray, second: FloatArray, spacing: float) -> FloatArray:
    """W1 between two arrays of PMFs on one grid, row by row; differences first, so that little is rounded."""
    return np.asarray(np.abs(np.cumsum(first - second, axis=1)[:, :-1]).sum(axis=1) * spacing)


def float_slack(operator: CategoricalBellman) -> FloatArray:
    """(sources,) bound on the W1 error that float64 makes in one application, first order in eps.

    Sums of non-negative terms: at most (number of terms) * eps of the mass, over at most the grid's width; positions
    r + discount * z: a few eps of their size; rows that do not sum to 1 exactly: the defect times the width; laws
    in closed form or by a table: their rounding in every cell.
    """
    table, grid = operator.table, operator.grid
    outcomes = np.diff(table.indptr)
    collisions = min(1.0 / operator.discount, grid.atoms) if operator.discount > 0 else 1.0
    terms = outcomes * (2.0 + collisions) + 8.0
    size = max(abs(grid.low), abs(grid.high)) + np.abs(table.rewards).max(initial=0.0)
    sums = np.add.reduceat(table.probs, table.indptr[:-1])
    slack = terms * _EPS * grid.width + 4.0 * _EPS * size + np.abs(sums - 1.0) * grid.width
    for block in operator.law_blocks:
        share = np.asarray(block.continuing.sum(axis=1)).ravel() + block.ending
        slack[block.sources] += share * 2.0 * grid.atoms * block.law.rounding(size)
    return np.asarray(slack)
