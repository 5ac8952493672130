"""Sketch dynamic programming: fixed points of the sketch Bellman operator.

**What is solved.** U = T_phi U, U(x) the mean embedding of the return from x; see `distrl.operators.sketch`.
**How it ends.** The operator contracts for some features only, so the iteration ends when its last step moves no
expected feature by more than `tol`; success is `Status.STEADY`. **What is guaranteed** is the certificate of the
imputed laws (claim `certificate-one-step-transport`), which holds for any law and counts regression, imputation and
iteration together.

Source: Wenliang et al. 2024, "Distributional Bellman Operators over Mean Embeddings", Algorithm 1.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from distrl._memory import check_memory
from distrl._validation import whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import ParticleCertifier
from distrl.dp.horizon_grid import Span
from distrl.dp.horizon_particles import left_of, sketches_of_steps
from distrl.dp.horizon_walk import ended, steps_in_words
from distrl.dp.scales import enough_sweeps
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.dp.undiscounted import default_grid
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.particle_targets import ParticleTargets
from distrl.operators.sketch import SketchBellman
from distrl.returns.grid import Grid
from distrl.returns.sketch import Features, Sigmoids, SketchReturns

_TOL = 1e-10  # of features, which are of the order of 1
_ROUNDING = 1e-14  # what a step moves a feature by rounding, for a well-conditioned regression
_SLOWER = 10  # times the sweeps that a contraction by the discount would need, since the rate is not known
_FAR = 1e8  # features beyond which the iteration has diverged


@dataclass(frozen=True)
class SketchDP:
    """Iterate U(x) <- sum over outcomes P B_r U(y) on the mean embeddings of all states.

    Parameters
    ----------
    features : Features
        `Sigmoids`, `Gaussians`, `Hats`, `Indicators` of `distrl.returns`, or your own.
    atoms : int
        The number m of anchors, which is that of features.
    grid : Grid, optional
        The anchors; by default `Grid.covering(model, atoms)`, at discount 1 on what returns reach.

    Raises
    ------
    ValueError, TypeError
        If an option is out of range, a reward law has infinitely many values, or the arrays do not fit into memory.

    Notes
    -----
    `Solution.returns` are `SketchReturns`: `.embeddings` (S, m), and the functionals of the imputed laws. `tol` bounds
    the last step, sup |change of a feature|, in units of the features; None: 1e-10. Where the regression is poor the
    iteration may diverge: `Status.STALLED` then, and other features, more anchors or a wider grid help. An application
    costs what `SketchBellman` says, imputation O(m^3) a state at most.
    """

    features: Features = field(default_factory=Sigmoids)
    atoms: int = 51
    grid: Grid | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.features, Features):
            raise TypeError(f"features must be Features such as Sigmoids(), got {self.features!r}")
        object.__setattr__(self, "atoms", whole_number(self.atoms, "atoms", low=2))
        if self.grid is not None and not isinstance(self.grid, Grid):
            raise TypeError(f"grid must be a distrl.Grid or None, got {self.grid!r}")

    def on_interval(self, low: float, high: float) -> Self:
        """The same method with its anchors from `low` to `high`."""
        return replace(self, grid=Grid(low, high, self.atoms))

    def solve(self, model: MRP, call: Call) -> Solution[SketchReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        grid = self.grid or default_grid(model, self.atoms)
        check_memory(model.n_states, grid.atoms, 6.0, "use fewer anchors")
        call.enter("regressing")
        operator = SketchBellman(model, self.features, grid)
        certifier = ParticleCertifier(model, ParticleTargets(model.outcomes, model.uniform_discount))
        tol = _TOL if call.tol is None else call.tol
        limit = call.max_iterations
        if limit is None:
            enough = enough_sweeps(
                model.largest_discount, float(certifier.linear.gains.max()), 1.0 / max(tol, _ROUNDING)
            )
            limit = _SLOWER * enough
        middle = self.features(0.5 * (grid.low + grid.high), grid)
        embeddings = np.tile(middle, (model.n_states, 1))
        status, moved = Status.MAX_ITERATIONS, np.inf
        call.enter("sweeping")
        with call.interruptible():
            while call.iterations < limit:
                image = operator(embeddings)
                moved = float(np.abs(image - embeddings).max())
                embeddings = image
                call.count()
                call.report(moved, max(tol, _ROUNDING))
                if moved <= max(tol, _ROUNDING):
                    status = Status.STEADY if tol >= _ROUNDING or not call.given else Status.STALLED
                    break
                if not moved <= _FAR:
                    status = Status.STALLED
                    break
        if call.interrupted:
            status = Status.INTERRUPTED
        returns = SketchReturns(self.features, grid, np.clip(np.nan_to_num(embeddings), -_FAR, _FAR))
        call.enter("imputing and certifying")
        certificate = certifier.certify(returns)
        if status is Status.STEADY and not np.isfinite(certificate.w1).all():
            status = Status.UNCERTIFIED
        return Solution.of(
            returns,
            model,
            self,
            call,
            status=status,
            certificate=certificate,
            residual=moved,
            tol=tol,
            solver="sweeps",
            reason="signed masses on the anchors, sketched again",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[SketchReturns]:
        """The embeddings of H steps, by as many applications from the features of 0.

        `stages` and `call` are as `HorizonMethod` says.

        The certificate needs the laws imputed from those of every number of steps: imputation a state and step.
        """
        grid = self.grid or Span.of(stages).grid(self.atoms)
        walked = sketches_of_steps(stages, self.features, grid, call)
        status, tol = ended(stages, call, walked.done)
        return Solution.of(
            SketchReturns(self.features, grid, walked.layer.data),
            stages.process(0),
            self,
            call,
            status=status,
            certificate=walked.layer.certificate(left=left_of(stages, walked)),
            tol=tol,
            solver="steps",
            reason=f"{steps_in_words(stages, walked.done)}, signed masses on the anchors, sketched again",
        )
