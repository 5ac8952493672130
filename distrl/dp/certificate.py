"""How far a categorical or particle law can be from the true return law, for certain.

Definitions. eta(x) is the true law of the return from x, F(x) any law that a method reached, W1 the distance between
them, P the probabilities of going on and g the discount.

Two certificates. Laws on a grid: couple the true return with the laws along one trajectory; the errors that projection
makes at its steps are martingale differences, whose variances add up, and everything else adds up in absolute value
(`Certifier`, claim `certificate-martingale-coupling`). Particles of any kind: T contracts state by state, so that what
one application changes bounds what is left (`ParticleCertifier`, claim `certificate-one-step-transport`). Both hold for
any laws, however they were reached: a method can make a certificate large, never wrong.

Sources: Villani 2009 for W1 and couplings; the certificates are this library's, derived in docs/certificate.md.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import unknown_mass
from distrl.models.discounts import discounted
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.categorical import Application, CategoricalBellman
from distrl.operators.particle_targets import ParticleTargets
from distrl.returns.arrays import StateIndex
from distrl.returns.finite import FiniteReturns

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
    rounding, overshoot, residual : the three parts that `w1` is the sum of, in units of reward
        For laws on a grid `rounding` is what moving masses to atoms can cost, whose squares are added along a
        trajectory; `overshoot` is what clipping at the grid's ends can cost, with what reward laws are off by
        (`Law.error`); `residual` is what is left of the iteration, with the rounding of floats. The last two are added
        in absolute value. For particles `rounding` is all that one application changes, added in absolute value, and
        `residual` is the rounding of floats alone.
    clipped_mass : the probability that one more application leaves the grid's interval
    confidence : None for a certain bound, else the probability with which it holds for one state
    of : what it is a distance to
        "the true law" of the model that was given, or "the samples' own law" where that model was empirical.
    """

    w1: FloatArray
    claim: str
    rounding: FloatArray
    overshoot: FloatArray
    residual: FloatArray
    clipped_mass: FloatArray
    confidence: float | None = None
    of: str = TRUE_LAW

    def __getitem__(self, index: StateIndex) -> "Certificate":
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
    discount, P the probabilities of going on; where outcomes have discounts of their own, g P stands for the sums of
    p g over outcomes and g^2 P for those of p g^2. (Couple along one trajectory: rounding errors are martingale
    differences.) Float errors of one application enter rho, what reward laws are off by (`Law.error`) enters o; the
    solves are bounded from above by superharmonic vectors.
    """

    claim = "certificate-martingale-coupling"

    def __init__(self, model: MRP, operator: CategoricalBellman) -> None:
        self.operator = operator
        self.linear = Resolvent.of(model)
        self.square = Resolvent.of(model, power=2)
        self._slack = float_slack(operator)
        self._relative = 1.0 + (row_terms(operator) + 4.0 * operator.grid.atoms) * EPS  # of what is summed over a row

    @cached_property
    def floor(self) -> float:
        """What the rounding of every application adds to the bound on the iteration error, at the worst state."""
        return float(self.linear.upper(self._slack).max())

    @property
    def gain(self) -> float:
        """sup over states of W1(F, F*) <= gain * sup W1(F, Pi T F): at most 1 / (1 - largest discount)."""
        return float(self.linear.gains.max())

    def certify(self, probs: FloatArray, threads: int | None = 1) -> tuple[Certificate, float]:
        """The certificate of `probs` (S, m), and sup over states of rho without the float slack."""
        rho, variance, expected_overshoot, clipped = self.operator.losses(probs, threads)
        mass_defect = np.abs(probs.sum(axis=1) - 1.0) * self.operator.grid.width
        rounding = np.sqrt(self.square.upper(self._relative * variance))
        overshoot = self.linear.upper(self._relative * expected_overshoot + self.operator.table.law_errors)
        residual = self.linear.upper(self._relative * (rho + mass_defect) + self._slack)
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
        model = operator.model
        variance = image.variance + model.onward(below.rounding**2, 2)
        overshoot = image.overshoot + operator.table.law_errors + model.onward(below.overshoot)
        residual = float_slack(operator) + model.onward(below.residual)
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

    def __init__(self, model: MRP, targets: ParticleTargets) -> None:
        self.targets = targets
        self.linear = Resolvent.of(model)
        self._unknown = unknown_mass(model)

    def certify(self, law: FiniteReturns) -> Certificate:
        """The certificate of the states' laws. Time: one merge, as an application, and two solves over states."""
        values, weights = _own_values(law)
        distance, slack = self.targets.distances(values, weights, values, weights)
        return _of_steps(self.linear.upper(distance), self.linear.upper(slack + self._unknown), self.claim)

    @staticmethod
    def certify_sources(
        law: FiniteReturns, below: FiniteReturns, targets: ParticleTargets, certificate: Certificate, apart: float
    ) -> Certificate:
        """The certificate of laws of other sources, (state, action) pairs, whose targets are at `below`.

        `apart` is how far two outcomes can be from each other, for mass of which nothing is known: `diameter`.
        """
        distance, slack = targets.distances(*_own_values(below), *_own_values(law))
        if targets.table.known_defects is not None:
            slack = slack + targets.table.known_defects * apart
        onward = discounted(targets.table, targets.discount)
        room = 1.0 + (np.diff(targets.table.indptr) + 4.0) * EPS  # what the sums may round by
        steps = _of_steps(
            (distance + onward @ certificate.rounding) * room,
            (slack + onward @ certificate.residual) * room,
            certificate.claim,
        )
        return replace(steps, of=certificate.of)


def _own_values(law: FiniteReturns) -> tuple[FloatArray, FloatArray]:
    """Values (S, n) and weights (1 or S, n): a row of values for each law, also where all laws share theirs."""
    values, weights = law.rows()
    return np.broadcast_to(values, (law.size, values.shape[1])), weights


def _of_steps(step: FloatArray, floats: FloatArray, claim: str) -> Certificate:
    nothing = np.zeros(len(step))
    return Certificate(step + floats, claim, rounding=step, overshoot=nothing, residual=floats, clipped_mass=nothing)


def float_slack(operator: CategoricalBellman) -> FloatArray:
    """(sources,) bound on the W1 error that float64 makes in one application, first order in eps.

    Sums of non-negative terms: at most (number of terms) * eps of the mass, over at most the grid's width; positions
    r + discount * z: a dozen roundings of their expected size; rows that do not sum to 1 exactly: the defect times the
    width; laws in closed form or by a table: their rounding in every cell. How far the law that is used can be from the
    one that was given, `law_errors`, is no rounding and is not part of it.
    """
    table, grid = operator.table, operator.grid
    size = max(abs(grid.low), abs(grid.high))
    slack = row_terms(operator) * EPS * grid.width + 12.0 * EPS * (size + expected_sizes(table))
    defects = np.abs(row_sums(table) - 1.0) + table.defects * (table.known_defects is not None)
    slack += defects * grid.width
    for block in operator.law_blocks:
        share = np.asarray(block.continuing.sum(axis=1)).ravel() + block.ending
        slack[block.sources] += share * 2.0 * grid.atoms * block.law.rounding(size)
    return np.asarray(slack)


def row_terms(operator: CategoricalBellman) -> FloatArray:
    """(sources,) how many terms are added up into one atom of an image at most, roundings of products included."""
    plan, table = operator.plan, operator.table
    successors = np.diff(plan.successor_ptr[plan.group_ptr])
    reads = np.diff(plan.read_ptr[plan.group_ptr])
    ends = np.diff(plan.end_ptr)
    # of one read, atoms that lie within the two cells around an atom
    collisions = min(1.0 / plan.discount.min(initial=1.0), operator.grid.atoms) + 2.0
    terms = successors + collisions * reads + 2.0 * ends + 8.0
    for block in operator.law_blocks:
        terms[block.sources] += operator.grid.atoms + np.bincount(
            np.searchsorted(block.sources, table.sources[np.isin(table.sources, block.sources)]),
            minlength=len(block.sources),
        )
    return np.asarray(terms)


def row_sums(table: OutcomeTable) -> FloatArray:
    """(sources,) the sums of the rows' probabilities, which are 1 within 1e-9."""
    return np.asarray(np.add.reduceat(table.probs, table.indptr[:-1]))


def expected_sizes(table: OutcomeTable) -> FloatArray:
    """(sources,) E|R|: what the rounding of a reward costs on average is this times eps."""
    laws = np.array([0.0, *(law.absolute_mean() for law in table.reward_laws)])[table.laws + 1]
    sizes = np.where(table.laws >= 0, laws, np.abs(table.rewards))
    return np.asarray(np.add.reduceat(table.probs * sizes, table.indptr[:-1]))
