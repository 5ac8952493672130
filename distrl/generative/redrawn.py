"""The model bootstrap: empirical models redrawn from an empirical model, solved from its solution on."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from distrl._lazy import lapack
from distrl._threads import check_threads, side_by_side
from distrl._validation import FloatArray, RandomSource, generator
from distrl.dp.call import Call
from distrl.dp.method import Method
from distrl.generative.redrawn_quantiles import QuantileDeviations
from distrl.generative.resampling import Resampler
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.linear import solve_contraction
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns

_DENSE = 1500  # unknowns up to which one factorisation, time O(unknowns^3), is cheaper than iterating every time
_TOL = 1e-7  # residual of a replicate relative to how far it is from the estimate: far below any sampling error
_KEPT = 2**25  # numbers of redrawn laws that are kept for the next functional: 256 MB

T = TypeVar("T")
Empirical = EmpiricalMRP | EmpiricalMDP
Apply = Callable[[FloatArray], FloatArray]


class RedrawnModels:
    """Models redrawn from an empirical one, as many samples of everything, and what a method makes of each.

    Replicate k has child k of the generator's seeds: nothing depends on the number of threads.

    Parameters
    ----------
    empirical : EmpiricalMRP or EmpiricalMDP
    policy : (S, A) probabilities, None for an MRP
    returns : Returns
        The return laws of the empirical model.
    method : Method
        It made them, and runs anew on each model.
    categorical : CategoricalReturns, optional
        The laws, where they are a categorical fixed point: that of each model is then solved for from them on, see
        `Deviations`.

    Attributes
    ----------
    last : dict
        The laws that were drawn last from an integer seed, with their number and seed, by whether they are
        linearised: another functional of the same models is read from them. Threads may read at once: each looks up
        once, and puts a whole entry there or none.
    """

    def __init__(
        self,
        empirical: Empirical,
        policy: FloatArray | None,
        returns: Returns,
        method: Method[Returns],
        categorical: CategoricalReturns | None = None,
    ) -> None:
        self.empirical, self.policy, self.method = empirical, policy, method
        self.returns, self.categorical = returns, categorical
        self.last: dict[bool, tuple[tuple[int, int], list[Returns]]] = {}

    def read(
        self,
        statistic: Callable[[Returns], FloatArray],
        count: int,
        rng: RandomSource = None,
        threads: int | None = None,
        linear: bool = False,
    ) -> FloatArray:
        """(count, S) a statistic of the return laws of `count` redrawn models; `linear` as for `Deviations`."""
        numbers = count * sum(np.size(array) for array in self.returns.arrays().values())
        if not isinstance(rng, int | np.integer) or numbers > _KEPT:
            return np.stack(self._each(statistic, generator(rng).spawn(count), threads, linear))
        key = (count, int(rng))
        kept = self.last.get(linear)  # once: another thread may put those of another seed there
        if kept is None or kept[0] != key:
            laws = self._each(lambda returns: returns, generator(int(rng)).spawn(count), threads, linear)
            kept = self.last[linear] = key, laws
        return np.stack([statistic(laws) for laws in kept[1]])

    def _each(
        self, read: Callable[[Returns], T], children: list[np.random.Generator], threads: int | None, linear: bool
    ) -> list[T]:
        redraw: Callable[[np.random.Generator], Returns] = self._anew
        if self.categorical is not None:
            redraw = Deviations(self.empirical, self.policy, self.categorical, linear).redraw
        else:
            _ = self._quantiles  # before threads share it
        found: list[Any] = [None] * len(children)

        def replicate(place: int, child: np.random.Generator) -> None:
            found[place] = read(redraw(child))

        tasks = [partial(replicate, place, child) for place, child in enumerate(children)]
        side_by_side(tasks, check_threads(threads))
        return found

    def _anew(self, child: np.random.Generator) -> Returns:
        model = under(self.empirical.redrawn(child), self.policy)
        near = None if self._quantiles is None else self._quantiles.redraw(model)
        return self.method.solve(model, Call(rng=child)).returns if near is None else near

    @cached_property
    def _quantiles(self) -> QuantileDeviations | None:
        return QuantileDeviations.of(under(self.empirical, self.policy), self.method, self.returns)


class Deviations:
    """Categorical fixed points of redrawn models, solved for as deviations from the estimate.

    The deviation D = F* - F of the fixed point of a redrawn model with operator T* from the estimate F solves
    D = A* D + (T* F - F), A* the linear part of T*. `linear`: the estimate's own A in its place, which is the
    first-order bootstrap; a small one is factorised once.
    """

    def __init__(
        self, empirical: Empirical, policy: FloatArray | None, returns: CategoricalReturns, linear: bool
    ) -> None:
        self.empirical, self.policy, self.grid = empirical, policy, returns.grid
        self.cdf = np.ascontiguousarray(returns.cdf_values)
        samples = empirical.samples
        self._resampler: Resampler | None = None
        if (samples.laws < 0).all() and (samples.totals > 0).all():
            weights = np.ones(samples.n_sources)
            if isinstance(empirical, EmpiricalMDP):
                assert policy is not None
                weights = empirical.pair_weights(policy)
            discount = None if samples.discounts is not None else empirical.discount
            self._resampler = Resampler(samples, weights, discount, self.grid)
        self._own = _linear_part(self._operator(None)) if linear else None
        dense = self._own is not None and self.cdf.size <= _DENSE
        self._solve = _solver(self._own, self.cdf.shape) if dense and self._own is not None else None

    def redraw(self, child: np.random.Generator) -> CategoricalReturns:
        """The return laws of the model that a generator redraws."""
        operator = self._operator(child)
        moved = operator(self.cdf) - self.cdf
        moved[:, -1] = 0.0
        if self._solve is not None:
            deviation = self._solve(moved.ravel()).reshape(self.cdf.shape)
        else:
            deviation = solve_contraction(_linear_part(operator) if self._own is None else self._own, moved, tol=_TOL)
        return CategoricalReturns.trusted(self.grid, np.diff(self.cdf + deviation, axis=1, prepend=0.0))

    def _operator(self, child: np.random.Generator | None) -> Callable[..., FloatArray]:
        """In CDF form, of the model that a generator redraws; None: of the empirical model."""
        if self._resampler is not None:
            samples = self.empirical.samples
            counts = samples.counts if child is None else samples.redrawn_counts(child)
            return self._resampler.weighted(counts).apply
        model = self.empirical if child is None else self.empirical.redrawn(child)
        bellman = CategoricalBellman(under(model, self.policy), self.grid)

        def apply(cdf: FloatArray, *, affine: bool = True) -> FloatArray:
            out = np.empty_like(cdf)
            bellman.apply_cdf(cdf, out, affine=affine)
            return out

        return apply


def under(model: Empirical, policy: FloatArray | None) -> MRP:
    """The empirical model under a policy; an MRP has none."""
    if isinstance(model, EmpiricalMDP):
        assert policy is not None
        return model.under(policy)
    model.check_ends()
    return model


def _linear_part(operator: Callable[..., FloatArray]) -> Apply:
    def apply(given: FloatArray) -> FloatArray:
        image: FloatArray = operator(given, affine=False)
        image[:, -1] = 0.0  # exactly: with mass in the last column I - A is singular where nothing ends
        return image

    return apply


def _solver(apply: Apply, shape: tuple[int, ...]) -> Apply:
    """x -> (I - A)^{-1} x by LU, from A's images of unit vectors."""
    size = int(np.prod(shape))
    units = np.eye(size)
    system = units - np.stack([apply(unit.reshape(shape)).ravel() for unit in units], axis=1)
    factors, pivots, _ = lapack.dgetrf(system)
    # SciPy's getrs shifts the pivots by one for the time of the call: threads must not share them
    return lambda rhs: np.asarray(lapack.dgetrs(factors, pivots.copy(), rhs)[0])
