"""Expectiles of mixtures, and laws with given expectiles.

The expectile e of Z at level tau solves tau E(Z - e)+ = (1 - tau) E(e - Z)+. With mu = E Z it is the same to say

    E(Z - e)+ = (1 - tau) (mu - e) / (1 - 2 tau),

so expectiles and the mean are values of the stop-loss transform C(k) = E(Z - k)+, convex and piecewise linear for a
finite law: a law with given expectiles is a convex interpolation, without any search.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def impute(expectiles: FloatArray, mean: FloatArray, taus: FloatArray, values: FloatArray, weights: FloatArray) -> None:
    """Laws with given means and expectiles: row x of `values` and `weights` from row x of `expectiles`.

    Parameters
    ----------
    expectiles : (S, m), the expectiles at `taus`, in units of reward
    mean : (S,), the means; where a tau is 1/2, that column of `expectiles`
    taus : (m,), increasing, in (0, 1)
    values, weights : (S, n) with n >= max(m, 2), or m - 1 if a tau is 1/2; filled. Values are sorted; places that are
        not needed repeat the largest value with weight 0.

    Notes
    -----
    C is interpolated between the points (e_i, C(e_i)) and continued along the first and last chord to the asymptotes
    mu - k and 0: atoms at the inner points, one beyond either end (inside the range of any law with these expectiles).
    The law then has these expectiles up to rounding. Numbers that are no law's expectiles (a learner's, on the way)
    are sorted, moved to their side of the mean and replaced by the lower convex hull of their points: the law is
    always one, of mean mu. Time O(m log m) a row; nothing is inverted, weights are differences of slopes.
    """
    m = len(taus)
    at, c = np.empty(m), np.empty(m)
    for x in range(len(mean)):
        mu = mean[x]
        ordered = np.sort(expectiles[x])
        count = 0
        for i in range(m):
            e = min(ordered[i], mu) if taus[i] < 0.5 else max(ordered[i], mu)
            if taus[i] == 0.5 or e == mu:
                continue  # says nothing but the mean
            stop_loss = (1.0 - taus[i]) * (mu - e) / (1.0 - 2.0 * taus[i])
            # lower convex hull: C falls, E(k - Z)+ = C(k) - mu + k grows, chords turn upwards
            if count > 0 and stop_loss >= c[count - 1]:
                continue
            while count > 0 and stop_loss + e <= c[count - 1] + at[count - 1]:
                count -= 1
            while count > 1 and (c[count - 1] - c[count - 2]) * (e - at[count - 1]) >= (stop_loss - c[count - 1]) * (
                at[count - 1] - at[count - 2]
            ):
                count -= 1
            at[count], c[count] = e, stop_loss
            count += 1
        if count == 0:
            values[x], weights[x] = mu, 0.0
            weights[x, 0] = 1.0
            continue
        before = -1.0  # slope of C before the point in hand
        filled = 0
        for i in range(count):
            if count == 1:
                slope = -0.5  # one value of C leaves the chord open: two equal weights
            elif i == count - 1:
                break
            else:
                slope = (c[i + 1] - c[i]) / (at[i + 1] - at[i])
            # the chord meets the asymptote mu - k below the first point; further chords meet at their point
            values[x, filled] = at[i] - (c[i] - mu + at[i]) / (1.0 + slope) if i == 0 else at[i]
            weights[x, filled] = slope - before
            before = slope
            filled += 1
        values[x, filled:] = at[count - 1] - c[count - 1] / before
        weights[x, filled:] = 0.0
        weights[x, filled] = -before


@kernel
def read_targets(
    values: FloatArray, weights: FloatArray, plan: Any, taus: FloatArray, out: FloatArray, start: int, stop: int
) -> None:
    """out[x, i] = expectile at taus[i] (increasing) of source x's target, start <= x < stop.

    The target is the mixture of lists described in `distrl._kernels.quantile`, particle j of state y with the weight
    weights[y, j]. Sources without lists are left out. Time O(N log N + m) for N particles.
    """
    n = values.shape[1]
    for x in range(start, stop):
        first, last = plan.list_ptr[x], plan.list_ptr[x + 1]
        if first == last:
            continue
        particle, mass = np.empty((last - first) * n), np.empty((last - first) * n)
        count = 0
        for k in range(first, last):
            y = plan.successor[k]
            if y < 0:
                particle[count], mass[count] = plan.shift[k], plan.prob[k]
                count += 1
                continue
            for j in range(n):
                if weights[y, j] > 0.0:
                    particle[count] = plan.shift[k] + plan.discount[k] * values[y, j]
                    mass[count] = plan.prob[k] * weights[y, j]
                    count += 1
        order = np.argsort(particle[:count])
        total = mass[:count].sum()
        mean = (mass[:count] * particle[:count]).sum() / total
        # tau E(Z - e)+ = (1 - tau) E(e - Z)+ is linear in e between particles: the first piece that holds its own root
        k, below, partial = 0, mass[order[0]] / total, mass[order[0]] / total * (particle[order[0]] - mean)
        for i in range(len(taus)):
            tau = taus[i]
            while True:
                root = (1.0 - 2.0 * tau) * partial / (tau * max(1.0 - below, 0.0) + (1.0 - tau) * below)
                if k == count - 1 or root <= particle[order[k + 1]] - mean:
                    break
                k += 1
                below += mass[order[k]] / total
                partial += mass[order[k]] / total * (particle[order[k]] - mean)
            out[x, i] = mean + root


@kernel
def renew_expectiles(
    expectiles: FloatArray,
    averages: FloatArray,
    burn_in: int,
    targets: Any,
    counts: IntArray,
    steps: FloatArray,
    block: int,
    taus: FloatArray,
) -> None:
    """e_i(x) += 2 a (tau_i E(U - e_i)+ - (1 - tau_i) E(e_i - U)+), U = r + w Z(y), Z(y) imputed from e(y).

    `taus` has 1/2 in its middle: that expectile is the mean, and learns as TD does. `targets`, `counts`, `block` and
    `averages` are those of `distrl._kernels.td`. Time O(m log m) a target.
    """
    m = len(taus)
    fresh = np.empty((block, m))
    values, weights = np.empty((1, max(m, 2))), np.empty((1, max(m, 2)))
    masses, sums = np.zeros(max(m, 2) + 1), np.zeros(max(m, 2) + 1)
    mean = np.empty(1)
    for start in range(0, len(steps), block):
        for k in range(block):
            t = start + k
            own, step, y = expectiles[targets.states[t]], 2.0 * steps[t], targets.next_states[t]
            mean[0] = expectiles[y, m // 2]
            impute(expectiles[y : y + 1], mean, taus, values, weights)
            for j in range(values.shape[1]):
                values[0, j] = targets.rewards[t] + targets.weights[t] * values[0, j]
                masses[j + 1] = masses[j] + weights[0, j]
                sums[j + 1] = sums[j] + weights[0, j] * values[0, j]
            for i in range(m):
                e = own[i]
                below = np.searchsorted(values[0], e)
                shortfall = masses[below] * e - sums[below]
                excess = (sums[-1] - sums[below]) - (masses[-1] - masses[below]) * e
                fresh[k, i] = e + step * (taus[i] * excess - (1.0 - taus[i]) * shortfall)
        for k in range(block):
            state, renewals = targets.states[start + k], counts[start + k]
            for i in range(m):
                expectiles[state, i] = fresh[k, i]
            if len(averages) > 0:
                share = 1.0 / max(renewals - burn_in, 1)
                for i in range(m):
                    averages[state, i] += share * (fresh[k, i] - averages[state, i])
