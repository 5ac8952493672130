"""One operator for all models redrawn from an empirical one: the same outcomes, other frequencies."""

import numpy as np

from distrl._kernels import laws as kernels
from distrl._kernels.categorical import apply_cdf
from distrl._validation import FloatArray, IntArray, plain
from distrl.models.outcomes import OutcomeTable
from distrl.models.samples import Samples
from distrl.models.sorting import starts_of_runs
from distrl.operators.kernel_plan import NO_DISCOUNT, build_plan
from distrl.operators.law_matrices import atoms_spanned, worth_a_matrix
from distrl.returns.grid import Grid


class Resampler:
    """The categorical operator T_w of samples weighted with any counts w; only weights change from one w to another.

    Rewards on one (state, next state) that are many act as one matrix, as in `CategoricalBellman`, but mixed over
    actions; a matrix of b atoms a column is rebuilt from the counts in time O(m b log n). The other outcomes are read
    one by one.

    Parameters
    ----------
    samples : Samples
        With rewards as observed: no known laws.
    policy : (sources,) weight of each source in its state
    discount : float, or None where the samples have their own
    grid : Grid
    """

    def __init__(self, samples: Samples, policy: FloatArray, discount: float | None, grid: Grid) -> None:
        self.samples, self.grid, factors = samples, grid, samples.factors(discount)
        share = policy[samples.sources] / samples.totals[samples.sources]
        rows = np.flatnonzero(share > 0.0)
        states = samples.source_states[samples.sources[rows]]
        keys = (samples.rewards[rows], factors[rows], samples.next_states[rows], samples.terminals[rows], states)
        order = np.lexsort(keys)
        rows, states = rows[order], states[order]
        fresh = starts_of_runs(states, samples.terminals[rows], samples.next_states[rows], factors[rows])
        edges = np.append(np.flatnonzero(fresh), len(rows))
        rewards, group = samples.rewards[rows], np.cumsum(fresh) - 1
        distinct = np.add.reduceat(np.append(True, np.diff(rewards) != 0) | fresh, edges[:-1])
        reach = atoms_spanned(rewards[edges[1:] - 1] - rewards[edges[:-1]], grid)
        going_on = factors[rows[edges[:-1]]] > NO_DISCOUNT
        banded = worth_a_matrix(distinct, reach) & going_on

        in_band = banded[group]
        self._banded, self._share = rows[in_band], share
        self._edges = np.concatenate([[0], np.cumsum(np.diff(edges)[banded])])
        self._sources, self._successors = states[edges[:-1]][banded], samples.next_states[rows[edges[:-1]]][banded]
        self._discounts = factors[rows[edges[:-1]]][banded]
        self._at = (samples.rewards[self._banded] + factors[self._banded] * grid.low - grid.low) / grid.spacing
        width = int(reach[banded].max(initial=1))
        lowest = self._at[self._edges[:-1], None] + self._discounts[:, None] * np.arange(grid.atoms)
        lowest = np.clip(lowest, 0.0, grid.atoms - 2.0).astype(np.int64)
        self._first = np.minimum(lowest, grid.atoms - width)
        self._width = width

        single, whose = rows[~in_band], states[~in_band]
        order = np.lexsort((factors[single], samples.rewards[single], samples.terminals[single], whose))
        self._single, whose = single[order], whose[order]
        table = OutcomeTable(
            n_states=samples.n_states,
            indptr=np.searchsorted(whose, np.arange(samples.n_states + 1)).astype(np.int64),
            probs=np.ones(len(whose)),
            next_states=samples.next_states[self._single],
            rewards=samples.rewards[self._single],
            terminals=samples.terminals[self._single],
            laws=np.full(len(whose), -1),
            reward_laws=(),
            discounts=None if samples.discounts is None else factors[self._single],
        )
        self._plan = build_plan(table, discount, grid)[0]
        self._going_on = factors[self._single] > NO_DISCOUNT

    def weighted(self, counts: IntArray) -> "Weighted":
        """T_w, for counts (n,) with the same totals as the samples."""
        weights = counts * self._share
        single = weights[self._single]
        plan = self._plan._replace(successor_prob=single[self._going_on], end_prob=single[~self._going_on])
        bands = np.empty((len(self._sources), self.grid.atoms, self._width))
        kernels.project_bands(self._at, weights[self._banded], self._edges, self._discounts, self._first, bands)
        return Weighted(self, plan, bands)


class Weighted:
    """T_w for one w."""

    def __init__(self, of: Resampler, plan: object, bands: FloatArray) -> None:
        self._of, self._plan, self._bands = of, plan, bands

    def apply(self, cdf: FloatArray, *, affine: bool = True) -> FloatArray:
        """CDF form (S, m) to the same; the linear part alone if not `affine`."""
        of, cdf = self._of, plain(cdf)
        out = np.empty_like(cdf)
        apply_cdf(cdf, self._plan, affine, np.empty((0, cdf.shape[1])), out, np.empty(0), 0, len(out))
        kernels.add_bands(cdf, of._sources, of._successors, of._first, self._bands, out)
        return out
