"""Learners in `estimate`: temporal-difference methods fed the samples that the other methods see as a model."""

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, Certifier, ParticleCertifier
from distrl.dp.moment_systems import mean_defect
from distrl.dp.resolvent import Resolvent
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy
from distrl.models.process import as_mrp
from distrl.models.samples import Samples
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.particle_targets import ParticleTargets
from distrl.returns.base import Returns
from distrl.returns.categorical import as_categorical
from distrl.returns.finite import FiniteReturns
from distrl.returns.moments import MomentReturns
from distrl.td.learner import Learner
from distrl.td.rule import LearningRule
from distrl.td.step_sizes import StepSize


def learn_solution(
    empirical: EmpiricalMRP | EmpiricalMDP,
    method: LearningRule[Returns],
    policy: Policy | None,
    step_size: StepSize | ArrayLike,
    call: Call,
) -> Solution[Returns]:
    """What `method` learns from the samples of an empirical model, one after the other, each used at most once.

    The order is random over all samples. Under a policy the samples of a state's actions are used in the policy's
    proportions, as many as there are for that: all of them where sample sizes have these proportions. States without
    samples keep their start. It takes the time of the learner, and of one application to certify.

    Raises
    ------
    ValueError
        If targets have more than one step, rewards are known by their law, or the method renews all states at once.
    """
    if method.steps != 1:
        raise ValueError(f"samples are single transitions; {type(method).__name__} needs steps=1 here")
    samples = empirical.samples
    if (samples.laws >= 0).any():
        raise ValueError("learners take rewards as numbers; sample them: rewards='sampled'")
    model = as_mrp(empirical, policy)
    weights = np.ones(model.n_states)
    if isinstance(empirical, EmpiricalMDP) and policy is not None:
        weights = empirical.pair_weights(policy)
    rows = stream(samples, weights, call.rng)
    learner = Learner(method, model, step_size=step_size)
    learner.update_batch(
        samples.source_states[samples.sources[rows]],
        samples.rewards[rows],
        samples.next_states[rows],
        samples.terminals[rows],
        None if samples.discounts is None else samples.discounts[rows],
    )
    call.count(len(rows))
    returns = learner.returns
    if returns.moments_alone:
        returns = MomentReturns(learner.values, np.stack([np.ones(model.n_states), np.zeros(model.n_states)]))
    certificate, residual, bounds = _certify(model, returns)
    known = bounds if certificate is None else certificate.w1
    return Solution.of(
        returns,
        model,
        learner.method,
        call,
        status=Status.LEARNT if known is not None and np.isfinite(known).all() else Status.UNCERTIFIED,
        certificate=certificate,
        bounds=bounds,
        residual=residual,
        clipped_mass=0.0 if certificate is None else float(certificate.clipped_mass.max()),
        solver="learner",
        reason=f"{len(rows)} of {samples.totals.sum()} samples in the policy's proportions",
    )


def stream(samples: Samples, policy: FloatArray, rng: np.random.Generator) -> IntArray:
    """Rows of `samples` in random order, without replacement, n(x, a) of each source: n(x, a) proportional to the
    (sources,) `policy` in every state and as large as the samples allow, rounded at random to one up or down."""
    allowed = np.divide(samples.totals, policy, out=np.full(len(policy), np.inf), where=policy > 0.0)
    scale = np.minimum.reduceat(allowed, samples.state_sources[:-1])[samples.source_states]
    wanted = np.minimum(np.floor(policy * scale + rng.random(len(policy)) * (policy < 1.0)), samples.totals)
    rows = rng.permutation(np.repeat(np.arange(len(samples.counts)), samples.counts))
    sources = samples.sources[rows]
    order = np.argsort(sources, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(samples.totals) - samples.totals, samples.totals)
    return np.asarray(rows[rank < wanted[sources]])


def _certify(model: MRP, returns: Returns) -> tuple[Certificate | None, float, FloatArray | None]:
    """Bound on the distance to the exact law of the empirical model; residual; bounds on what is left to learn.

    Means alone have no certificate, but a bound on their error; of a law of finitely many values that is on no grid
    nothing but the certificate is known, and of any other law nothing.
    """
    if returns.moments_alone:
        defect = mean_defect(model, np.asarray(returns.mean()))
        same = model.uniform_discount
        linear = Resolvent.of(model) if same is None else Resolvent(model.continuation, same)
        return None, float(defect.max()), linear.upper(defect)
    laws = as_categorical(returns)
    if laws is not None:
        certifier = Certifier(model, CategoricalBellman(model, laws.grid))
        certificate, residual = certifier.certify(np.asarray(laws.probs))
        return certificate, residual, certificate.residual
    if not isinstance(returns, FiniteReturns):
        return None, 0.0, None
    certificate = ParticleCertifier(model, ParticleTargets(model.outcomes, model.uniform_discount)).certify(returns)
    return certificate, 0.0, None
