"""How far a categorical or particle law can be from the true return law, for certain."""

from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.categorical import Application, CategoricalBellman
from distrl.operators.targets import Targets
from distrl.returns.base import Returns

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Certificate:
    """An upper bound on the distance to the TRUE return law, numerical error included; all arrays (S,).

    Attributes
    ----------
    w1 : bound on W1, in units of reward
    cramer : bound on the Cramer distance (int (F - G)^2)^(1/2): at most sqrt(w1), since |F - G| <= 1
    claim : id of the claim that says so in `proofs_check`
    rounding, overshoot, residual : the three parts of `w1`: rounding to atoms adds in squares along a trajectory,
        clipping and what is left of the iteration (rounding of floats included) add in absolute value; for particles
        `rounding` is all that one step changes, which adds in absolute value too, and `residual` that of floats
    clipped_mass : probability that one more application leaves the grid's interval
    confidence : None for a certain bound, else the probability with which it holds for a state
    """

    w1: FloatArray
    claim: str
    rounding: FloatArray
    overshoot: FloatArray
    residual: FloatArray
    clipped_mass: FloatArray
    confidence: float | None = None

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
    differences.) Float errors of one application enter rho; the solves are bounded from above by superharmonic vectors.
    """

    claim = "certificate-martingale-coupling"

    def __init__(self, model: MRP, operator: CategoricalBellman) -> None:
        self.operator = operator
        self.linear = Resolvent(model.continuation, model.discount)
        self.square = Resolvent(model.continuation, model.discount**2)
        self._slack = float_slack(operator)
        self._relative = 1.0 + (row_terms(operator) + 4.0 * operator.grid.atoms) * _EPS  # of what is summed over a row

    @property
    def gain(self) -> float:
        """sup over states of W1(F, F*) <= gain * sup W1(F, Pi T F): at most 1 / (1 - discount)."""
        return float(self.linear.gain.max())

    def certify(self, probs: FloatArray, threads: int | None = 1) -> tuple[Certificate, float]:
        """The certificate of `probs` (S, m), and sup over states of rho without the float slack."""
        rho, variance, expected_overshoot, clipped = self.operator.losses(probs, threads)
        mass_defect = np.abs(probs.sum(axis=1) - 1.0) * self.operator.grid.width
        rounding = np.sqrt(self.square.upper(self._relative * variance))
        overshoot = self.linear.upper(self._relative * expected_overshoot)
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
        continuation, g = operator.table.continuation, operator.discount
        variance = image.variance + g * g * (continuation @ below.rounding**2)
        overshoot = image.overshoot + g * (continuation @ below.overshoot)
        residual = float_slack(operator) + g * (continuation @ below.residual)
        return Certificate(
            w1=np.sqrt(variance) + overshoot + residual,
            claim=below.claim,
            rounding=np.sqrt(variance),
            overshoot=overshoot,
            residual=residual,
            clipped_mass=image.clipped_mass,
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
        self.linear = Resolvent(model.continuation, model.discount)

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
        return _of_steps(
            distance + onward @ certificate.rounding, slack + onward @ certificate.residual, certificate.claim
        )


def _of_steps(step: FloatArray, floats: FloatArray, claim: str) -> Certificate:
    nothing = np.zeros(len(step))
    return Certificate(step + floats, claim, rounding=step, overshoot=nothing, residual=floats, clipped_mass=nothing)


def float_slack(operator: CategoricalBellman) -> FloatArray:
    """(sources,) bound on the W1 error that float64 makes in one application, first order in eps.

    Sums of non-negative terms: at most (number of terms) * eps of the mass, over at most the grid's width; positions
    r + discount * z: a dozen roundings of their expected size; rows that do not sum to 1 exactly: the defect times the
    width; laws on many values: the error of their integrated CDF in every cell.
    """
    table, grid = operator.table, operator.grid
    size = max(abs(grid.low), abs(grid.high))
    slack = row_terms(operator) * _EPS * grid.width + 12.0 * _EPS * (size + expected_sizes(table))
    slack += np.abs(row_sums(table) - 1.0) * grid.width
    for block in operator.law_blocks:
        share = np.asarray(block.continuing.sum(axis=1)).ravel() + block.ending
        slack[block.sources] += share * 2.0 * grid.atoms * block.law.put_error(size)
    return np.asarray(slack)


def row_terms(operator: CategoricalBellman) -> FloatArray:
    """(sources,) how many terms are added up into one atom of an image at most, roundings of products included."""
    plan, table = operator.plan, operator.table
    successors = np.diff(plan.successor_ptr[plan.group_ptr])
    reads = np.diff(plan.read_ptr[plan.group_ptr])
    ends = np.diff(plan.end_ptr)
    # of one read, atoms that lie within the two cells around an atom
    collisions = min(1.0 / operator.discount, operator.grid.atoms) + 2.0 if operator.discount > 0 else 2.0
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


def certified_mean(model: MRP, linear: Resolvent) -> tuple[FloatArray, FloatArray]:
    """Exact means (S,) by a linear solve, and a bound on their error: a defect d moves V by (I - g P)^{-1} |d|.

    The defect's own rounding, rows that do not sum to 1 exactly and the error of a law's mean are part of it.
    """
    table, g = model.outcomes, model.discount
    mean = linear.solve(model.expected_rewards)
    onward = g * (model.continuation @ mean)
    defect = np.abs(model.expected_rewards + onward - mean)
    size = expected_sizes(table) + g * (model.continuation @ np.abs(mean))
    relative = (np.diff(table.indptr) + 8.0) * _EPS + np.abs(row_sums(table) - 1.0)
    own = np.array([0.0, *(law.put_error(law.absolute_mean()) for law in table.reward_laws)])[table.laws + 1]
    laws = np.add.reduceat(table.probs * own, table.indptr[:-1])
    return mean, linear.upper(np.asarray(defect + relative * (size + np.abs(mean)) + laws))


def certified_variance(
    model: MRP, square: Resolvent, mean: FloatArray, mean_error: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Exact variances (S,) by a linear solve, inf where a reward's that can be met is, and a bound on their error.

    They solve v = q + g^2 P v, q the variance of one step. Its error and the defect of the solution go through
    (I - g^2 P)^{-1}.
    """
    table, g = model.outcomes, model.discount
    q, error = _step_variance(model, mean, mean_error)
    heavy = np.isinf(q)
    q = np.where(heavy, 0.0, q)
    variance = np.maximum(square.solve(q), 0.0)
    inflow = q + g * g * (model.continuation @ variance)
    relative = (np.diff(table.indptr) + 16.0) * _EPS + np.abs(row_sums(table) - 1.0)
    bound = square.upper(np.abs(inflow - variance) + relative * (inflow + variance) + error)
    while g > 0.0:  # states from which an infinite variance can be met
        wider = heavy | (model.continuation @ heavy.astype(np.float64) > 0.0)
        if np.array_equal(wider, heavy):
            break
        heavy = wider
    return np.where(heavy, np.inf, variance), np.where(heavy, 0.0, bound)


def step_variance(model: MRP, mean: FloatArray, mean_error: FloatArray) -> FloatArray:
    """(S,) at least the variance of one step, R + g V(next state), V the exact means."""
    q, error = _step_variance(model, mean, mean_error)
    return q + error


def _step_variance(model: MRP, mean: FloatArray, mean_error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(S,) Var of the reward + E b^2, b = r + g V(y) - V(x); and the error: b off by e moves b^2 by 2 |b| e + e^2."""
    table, g = model.outcomes, model.discount
    own = np.array([0.0, *(law.variance for law in table.reward_laws)])[table.laws + 1]
    onward, blur = np.zeros(len(table.probs)), np.zeros(len(table.probs))
    on = ~table.terminals
    onward[on], blur[on] = g * mean[table.next_states[on]], g * mean_error[table.next_states[on]]
    here = mean[table.sources]
    laws = np.array([0.0, *(law.put_error(law.absolute_mean()) for law in table.reward_laws)])[table.laws + 1]
    blur += mean_error[table.sources] + laws + 3.0 * _EPS * (np.abs(table.rewards) + np.abs(onward) + np.abs(here))
    bracket = np.abs(table.rewards + onward - here)

    def expected(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(table.probs * values, table.indptr[:-1]))

    lengths = np.array([0, *(len(law.values) if isinstance(law, FiniteLaw) else 0 for law in table.reward_laws)])
    finite = np.where(np.isinf(own), 0.0, own)
    error = expected(2.0 * bracket * blur + blur**2 + lengths[table.laws + 1] * _EPS * finite)
    return expected(own + bracket**2), error
