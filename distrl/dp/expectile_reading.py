"""Expectiles of the targets of laws."""

from distrl._kernels import expectile as kernels
from distrl._threads import Workers
from distrl._validation import FloatArray
from distrl.operators.particle_targets import ParticleTargets


def read_expectiles(
    targets: ParticleTargets,
    values: FloatArray,
    weights: FloatArray,
    guess: FloatArray,
    taus: FloatArray,
    out: FloatArray,
) -> None:
    """Expectiles at `taus` of the targets at the particles `values` with `weights`, both (S, n), into `out`.

    `guess`, of the shape of `out`, is where Newton's method starts for continuous targets.
    """
    workers = Workers(targets.threads, 16 * len(targets.plan.shift) * values.shape[1])
    workers.rows(len(out), kernels.read_targets, values, weights, targets.plan, taus, out)
    for target in targets.with_laws:
        out[target.source] = target.mixture(values, weights, 0.0).expectiles(taus, guess[target.source])
