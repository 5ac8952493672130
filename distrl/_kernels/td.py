"""One renewal after another of the estimates of a temporal-difference method.

Targets come in blocks: all of a block read the estimates as they were before it. A block is one target (a transition
at a time) or one for each state (synchronous). A target is (state, reward, next state, weight): the law of
reward + weight * G(next state), weight 0 at the end of an episode. `averages` is empty, or holds the mean of each
state's estimates after its first `burn_in` renewals.

Categorical masses are moved atom by atom: in units of the spacing, from the first atom, atom j goes to
`at + weight * j` and splits between the two neighbours. Of a quantile only the rank among the targets matters. A few
are compared with all targets, in vector instructions. More are kept sorted, with their labels (which level each
estimates) beside them: targets are then sorted too, and merging the two lists gives every rank at once.

Kernels take `targets` apart before their loops: to reach into the tuple costs two atomic updates each time.

Learning to act is the same renewals, of (state, action) pairs: at the end of the file, `draw` makes the next block of
targets from what the estimates say is best, and `play_...` draws and renews in turn.
"""

from typing import Any, NamedTuple

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray

FEW = 64  # up to so many quantiles comparing all pairs is faster than merging
SYNCHRONOUS, GENERATIVE, TRAJECTORY = 0, 1, 2  # how `draw` samples


class Transitions(NamedTuple):
    """Transitions in the order in which they are learnt: the target is the law of reward + weight * G(next state).

    Attributes
    ----------
    states, next_states : (N,) int
        Those of a path of n steps, its first and its last one, for n-step targets. Where one learns to act they are
        (state, action) pairs.
    rewards : (N,) float
        Discounted sums of the path's rewards.
    weights : (N,) float
        discount^n, or the product of the path's own discounts; 0 where the episode ended.
    updates : (N,) int
        The update, counted from 1, that completed each.
    """

    states: IntArray
    rewards: FloatArray
    next_states: IntArray
    weights: FloatArray
    updates: IntArray


class World(NamedTuple):
    """The outcomes of (state, action) pairs, in few arrays: what one acts in.

    Attributes
    ----------
    pairs : (S + 1,) int
        The pairs `pairs[s]:pairs[s + 1]` are those of state s, by ascending action.
    indptr : (pairs + 1,) int
        The rows of each pair.
    places : (rows, 3) int
        Next state, family of the reward's law (-1: it is a number), whether the episode ends.
    amounts : (rows, 4) float
        Cumulative probability within the pair, reward or location of its law, scale of its law, discount (0 at ends).
    initial : (S, 1) float
        Cumulative probabilities of the state in which episodes start.
    """

    pairs: IntArray
    indptr: IntArray
    places: IntArray
    amounts: FloatArray
    initial: FloatArray


class Stride(NamedTuple):
    """Some updates of one who acts: U updates of B transitions each.

    Attributes
    ----------
    sampling : int
        `SYNCHRONOUS`, `GENERATIVE` or `TRAJECTORY`.
    sarsa : bool
        Whether a target takes the action that is played next, not the best one.
    block : int
        B: the number of pairs with synchronous sampling, else 1.
    first : int
        Updates that were made before.
    numbers : (U B, 4) float
        Uniform random numbers: of the outcome, the action after it, the action, and where an episode starts.
    explorations : (U,) float
        How likely a random action is.
    noise : (families, U B) float
        Draws of the families of reward laws.
    sizes : (K,) float
        The steps a_1, a_2, ...; or none, and they are scale / (offset + k)^exponent.
    scale, exponent, offset : float
    by_visits : bool
        Whether k counts a pair's renewals, not the updates.
    """

    sampling: int
    sarsa: bool
    block: int
    first: int
    numbers: FloatArray
    explorations: FloatArray
    noise: FloatArray
    sizes: FloatArray
    scale: float
    exponent: float
    offset: float
    by_visits: bool


@kernel
def _copy(given: Any, out: Any) -> None:
    """out = given, row by hand: see `distrl._numba`."""
    for i in range(len(out)):
        out[i] = given[i]


@kernel
def _average(estimate: FloatArray, average: FloatArray, renewals: int, burn_in: int) -> None:
    share = 1.0 / max(renewals - burn_in, 1)
    for i in range(len(average)):
        average[i] += share * (estimate[i] - average[i])


@kernel
def renew_values(
    values: FloatArray,
    averages: FloatArray,
    burn_in: int,
    targets: Any,
    counts: IntArray,
    steps: FloatArray,
    block: int,
) -> None:
    """V(x) += a (r + w V(y) - V(x)); values (S, 1)."""
    states, rewards, next_states, weights = targets.states, targets.rewards, targets.next_states, targets.weights
    fresh = np.empty(block)
    for start in range(0, len(steps), block):
        for k in range(block):
            t = start + k
            old = values[states[t], 0]
            target = rewards[t]
            if weights[t] != 0.0:
                target += weights[t] * values[next_states[t], 0]
            fresh[k] = old + steps[t] * (target - old)
        for k in range(block):
            state = states[start + k]
            values[state, 0] = fresh[k]
            if len(averages) > 0:
                _average(values[state], averages[state], counts[start + k], burn_in)


@kernel
def _add_target(
    law: FloatArray, at: float, weight: float, scale: float, out: FloatArray, left: IntArray, right: FloatArray
) -> None:
    """out += scale * (projection of `law` pushed forward by j -> at + weight * j); `left` and `right` are scratch.

    First where each atom goes, in vector instructions, then the masses to the left neighbours and then those to the
    right: neighbouring atoms mostly go to different ones, so that additions do not wait for each other.
    """
    last = len(law) - 1
    if weight == 0.0:
        place = min(max(at, 0.0), float(last))
        first = min(int(place), last - 1)
        out[first] += scale * (first + 1 - place)
        out[first + 1] += scale * (place - first)
        return
    for j in range(last + 1):
        place = min(max(at + weight * j, 0.0), float(last))
        left[j] = min(int(place), last - 1)
        right[j] = scale * law[j] * (place - left[j])
    for j in range(last + 1):
        out[left[j]] += scale * law[j] - right[j]
    for j in range(last + 1):
        out[left[j] + 1] += right[j]


@kernel
def renew_categorical(
    probs: FloatArray,
    averages: FloatArray,
    burn_in: int,
    targets: Any,
    counts: IntArray,
    steps: FloatArray,
    block: int,
    low: float,
    spacing: float,
) -> None:
    """p(x) <- (1 - a) p(x) + a Pi(law of r + w Z(y)), Z(y) ~ p(y); probs (S, m)."""
    states, rewards, next_states, weights = targets.states, targets.rewards, targets.next_states, targets.weights
    fresh = np.empty((block, probs.shape[1]))
    left, right = np.empty(probs.shape[1], np.int64), np.empty(probs.shape[1])
    for start in range(0, len(steps), block):
        for k in range(block):
            t = start + k
            keep, row, out = 1.0 - steps[t], probs[states[t]], fresh[k]
            for j in range(len(row)):
                out[j] = keep * row[j]
            weight = weights[t]
            at = (rewards[t] + weight * low - low) / spacing
            _add_target(probs[next_states[t]], at, weight, steps[t], out, left, right)
        for k in range(block):
            state = states[start + k]
            _copy(fresh[k], probs[state])
            if len(averages) > 0:
                _average(probs[state], averages[state], counts[start + k], burn_in)


@kernel
def renew_speedy(
    probs: FloatArray, before: FloatArray, targets: Any, steps: FloatArray, block: int, low: float, spacing: float
) -> None:
    """p+ = p + a (T q - p) + (1 - a) (T p - T q), q the estimate before p, T the sampled operator, the same in all."""
    states, rewards, next_states, weights = targets.states, targets.rewards, targets.next_states, targets.weights
    fresh = np.empty((block, probs.shape[1]))
    left, right = np.empty(probs.shape[1], np.int64), np.empty(probs.shape[1])
    for start in range(0, len(steps), block):
        for k in range(block):
            t = start + k
            step, row, out = steps[t], probs[states[t]], fresh[k]
            for j in range(len(row)):
                out[j] = (1.0 - step) * row[j]
            weight, y = weights[t], next_states[t]
            at = (rewards[t] + weight * low - low) / spacing
            _add_target(before[y], at, weight, 2.0 * step - 1.0, out, left, right)
            _add_target(probs[y], at, weight, 1.0 - step, out, left, right)
        for x in range(len(probs)):
            _copy(probs[x], before[x])
        for k in range(block):
            _copy(fresh[k], probs[states[start + k]])


@kernel
def renew_recentred(
    probs: FloatArray,
    reference: FloatArray,
    centre: FloatArray,
    targets: Any,
    counts: IntArray,
    steps: FloatArray,
    block: int,
    low: float,
    spacing: float,
    gathering: int,
    epoch: int,
) -> None:
    """Epochs of `epoch` updates: `gathering` of them average T q, q = p at the epoch's start, then p moves by

    p+ = (1 - a) p + a (T p - T q + average of T q), T the sampled operator of that update.
    """
    states, rewards, next_states, weights = targets.states, targets.rewards, targets.next_states, targets.weights
    fresh = np.empty((block, probs.shape[1]))
    left, right = np.empty(probs.shape[1], np.int64), np.empty(probs.shape[1])
    for start in range(0, len(steps), block):
        phase = (counts[start] - 1) % epoch
        if phase == 0:
            for x in range(len(probs)):
                _copy(probs[x], reference[x])
            centre[:] = 0.0
        for k in range(block):
            t = start + k
            state, weight, y = states[t], weights[t], next_states[t]
            at = (rewards[t] + weight * low - low) / spacing
            if phase < gathering:
                _add_target(reference[y], at, weight, 1.0 / gathering, centre[state], left, right)
                continue
            step, out = steps[t], fresh[k]
            for j in range(len(out)):
                out[j] = (1.0 - step) * probs[state, j] + step * centre[state, j]
            _add_target(probs[y], at, weight, step, out, left, right)
            _add_target(reference[y], at, weight, -step, out, left, right)
        if phase >= gathering:
            for k in range(block):
                _copy(fresh[k], probs[states[start + k]])


@kernel
def _compare(own: FloatArray, others: FloatArray, ranks: Any) -> None:
    """How many of `others` lie below each of `own`, in any order; four at a time, which saves reading `ranks`."""
    m, whole = len(own), len(others) - len(others) % 4
    ranks[:] = 0
    for j in range(0, whole, 4):
        first, second, third, fourth = others[j], others[j + 1], others[j + 2], others[j + 3]
        for i in range(m):
            value = own[i]
            ranks[i] += int(first < value) + int(second < value) + int(third < value) + int(fourth < value)
    for j in range(whole, len(others)):
        other = others[j]
        for i in range(m):
            ranks[i] += int(other < own[i])


@kernel
def _merge(own: FloatArray, others: FloatArray, low: IntArray, high: IntArray) -> int:
    """How many of `others` lie below each of `own`, both sorted.

    Merged from both ends at once, m steps each, without branches: two chains of dependent loads instead of one. Ranks
    of entries before the returned index are in `low`, the others' in `high`.
    """
    m = len(own)
    i, j, p, q = 0, 0, m - 1, m - 1
    for _ in range(m):
        low[i] = j
        below = int(others[j] < own[i])
        j += below
        i += 1 - below
        high[p] = q + 1
        above = int(others[q] < own[p])
        p -= above
        q -= 1 - above
    return i


@kernel
def _insert(values: FloatArray, labels: IntArray, budget: int, out: FloatArray, out_labels: IntArray) -> bool:
    """Sort by insertion, in linear time where little is out of place; False if that takes more moves than `budget`."""
    moves = 0
    for i in range(len(values)):
        value, label = values[i], labels[i]
        k = i
        while k > 0 and out[k - 1] > value:
            out[k], out_labels[k] = out[k - 1], out_labels[k - 1]
            k -= 1
        out[k], out_labels[k] = value, label
        moves += i - k
        if moves > budget:
            return False
    return True


@kernel
def _sort(
    values: FloatArray,
    labels: IntArray,
    out: FloatArray,
    out_labels: IntArray,
    buckets: IntArray,
    places: IntArray,
    spread: FloatArray,
    spread_labels: IntArray,
) -> None:
    """Sort `values` with their labels into `out`: by insertion, into buckets first where much is out of place.

    Where targets coincide, as with constant rewards, half of the values jump over the other half at every update.
    Comparisons sort what is spread too unevenly for buckets.
    """
    m = len(values)
    descents = 0
    for i in range(1, m):
        descents += int(values[i] < values[i - 1])
    if 16 * descents <= m and _insert(values, labels, 2 * m, out, out_labels):
        return
    least = most = values[0]
    for i in range(1, m):
        least = values[i] if values[i] < least else least
        most = values[i] if values[i] > most else most
    width = most - least
    if 1e-290 < width < 1e290:
        scale = (len(places) - 1) / width
        places[:] = 0
        for i in range(m):
            b = int((values[i] - least) * scale)
            buckets[i] = b
            places[b] += 1
        total = 0
        for b in range(len(places)):
            size = places[b]
            places[b] = total
            total += size
        for i in range(m):
            place = places[buckets[i]]
            places[buckets[i]] = place + 1
            spread[place], spread_labels[place] = values[i], labels[i]
        if _insert(spread, spread_labels, 16 * m, out, out_labels):
            return
    order = np.argsort(values)
    for i in range(m):
        out[i], out_labels[i] = values[order[i]], labels[order[i]]


@kernel
def renew_quantiles(
    values: FloatArray,
    labels: IntArray,
    averages: FloatArray,
    burn_in: int,
    targets: Any,
    counts: IntArray,
    steps: FloatArray,
    block: int,
    levels: FloatArray,
) -> None:
    """theta_i(x) += a (tau_i - mean_j 1{r + w theta_j(y) < theta_i(x)}).

    theta_i(x) is at the place k of `values` (S, m) where i = labels[x, k]: sorted if there are more than FEW, each at
    its own place otherwise. `averages` are by label.
    """
    states, rewards, next_states, weights = targets.states, targets.rewards, targets.next_states, targets.weights
    m = values.shape[1]
    few = m <= FEW
    fresh, fresh_labels = np.empty((block, m)), np.empty((block, m), dtype=labels.dtype)
    others, moved, spread = np.empty(m), np.empty(m), np.empty(m)
    ranks, low, high = np.empty(m, np.int32), np.empty(m, np.int64), np.empty(2 * m, np.int64)
    buckets, places = np.empty(m, np.int64), np.empty(2 * m, np.int64)
    spread_labels = np.empty(m, dtype=labels.dtype)
    shares = np.arange(m + 1) / m
    by_label = np.empty(m)
    for start in range(0, len(steps), block):
        for k in range(block):
            t = start + k
            own, own_labels, reward, weight = (
                values[states[t]],
                labels[states[t]],
                rewards[t],
                weights[t],
            )
            step = steps[t]
            if weight == 0.0:
                for i in range(m):
                    moved[i] = own[i] + step * (levels[own_labels[i]] - shares[m * int(reward < own[i])])
            else:
                successor = values[next_states[t]]
                for j in range(m):
                    others[j] = reward + weight * successor[j]
                if few:
                    _compare(own, others, ranks)
                    for i in range(m):
                        fresh[k, i] = own[i] + step * (levels[i] - ranks[i] / m)
                    continue
                split = _merge(own, others, low, high)
                for i in range(split):
                    moved[i] = own[i] + step * (levels[own_labels[i]] - shares[low[i]])
                for i in range(split, m):
                    moved[i] = own[i] + step * (levels[own_labels[i]] - shares[high[i]])
            if few:
                _copy(moved, fresh[k])
            else:
                _sort(moved, own_labels, fresh[k], fresh_labels[k], buckets, places, spread, spread_labels)
        for k in range(block):
            state = states[start + k]
            _copy(fresh[k], values[state])
            if not few:
                _copy(fresh_labels[k], labels[state])
            if len(averages) > 0:
                for i in range(m):
                    by_label[labels[state, i]] = values[state, i]
                _average(by_label, averages[state], counts[start + k], burn_in)


# -- acting


@kernel
def _chosen(means: FloatArray, first: int, last: int, exploration: float, number: float) -> int:
    """One of the pairs first..last-1: any with probability `exploration`, else the best, the first where some tie."""
    if number < exploration:
        return first + min(int(number / exploration * (last - first)), last - first - 1)
    best = first
    for pair in range(first + 1, last):
        if means[pair] > means[best]:
            best = pair
    return best


@kernel
def choose(means: FloatArray, first: int, last: int, exploration: float, number: float) -> int:
    """As `_chosen`; for Python."""
    return _chosen(means, first, last, exploration, number)


@kernel
def _below(amounts: FloatArray, start: int, stop: int, number: float) -> int:
    """First row in start..stop-1 whose cumulative probability (column 0) exceeds the number; the last if none does."""
    stop -= 1
    while start < stop:
        middle = (start + stop) // 2
        if amounts[middle, 0] > number:
            stop = middle
        else:
            start = middle + 1
    return start


@kernel
def draw(
    world: Any,
    means: FloatArray,
    sampling: int,
    sarsa: bool,
    numbers: FloatArray,
    exploration: float,
    noise: FloatArray,
    at: int,
    place: IntArray,
    out: Any,
) -> None:
    """A transition for each entry of `out`, from (state, action) pairs to the pair that its target bootstraps from.

    That is the best pair of the next state by `means`, or with `sarsa` the one that is played there. Transition k takes
    row at + k of `numbers` and column at + k of `noise`. `place` says where a trajectory stands: its state (-1: at the
    start of an episode) and, with `sarsa`, the pair that is played next (-1: not chosen yet).
    """
    pairs, indptr, places, amounts, initial = world
    states, rewards, next_states, weights = out.states, out.rewards, out.next_states, out.weights
    for k in range(len(states)):
        t = at + k
        if sampling == SYNCHRONOUS:
            pair = k
        elif sampling == GENERATIVE:
            pair = min(int(numbers[t, 3] * len(means)), len(means) - 1)
        else:
            if place[0] < 0:
                place[0], place[1] = _below(initial, 0, len(initial), numbers[t, 3]), -1
            pair = place[1]
            if pair < 0:
                pair = _chosen(means, pairs[place[0]], pairs[place[0] + 1], exploration, numbers[t, 2])
        row = _below(amounts, indptr[pair], indptr[pair + 1], numbers[t, 0])
        state, family = places[row, 0], places[row, 1]
        rewards[k] = amounts[row, 1]
        if family >= 0:
            rewards[k] += amounts[row, 2] * noise[family, t]
        following = _chosen(means, pairs[state], pairs[state + 1], exploration if sarsa else 0.0, numbers[t, 1])
        states[k], next_states[k], weights[k] = pair, following, amounts[row, 3]
        if sampling == TRAJECTORY:
            ended = places[row, 2] != 0
            place[0] = -1 if ended else state
            place[1] = following if sarsa and not ended else -1


@kernel
def renew_means(rows: FloatArray, pairs: IntArray, weights: FloatArray, means: FloatArray) -> None:
    """means[p] = sum_j rows[p, j] weights[j] for every p in `pairs`."""
    for k in range(len(pairs)):
        pair = pairs[k]
        total = 0.0
        for j in range(len(weights)):
            total += rows[pair, j] * weights[j]
        means[pair] = total


@kernel
def _next_block(
    world: Any,
    stride: Any,
    update: int,
    place: IntArray,
    means: FloatArray,
    visits: IntArray,
    out: Any,
    counts: IntArray,
    steps: FloatArray,
) -> None:
    """Draw the transitions of an update, count them, and find their step sizes."""
    at = update * stride.block
    exploration = stride.explorations[update]
    draw(world, means, stride.sampling, stride.sarsa, stride.numbers, exploration, stride.noise, at, place, out)
    for k in range(stride.block):
        pair = out.states[k]
        visits[pair] += 1
        counts[k] = visits[pair]
        clock = counts[k] if stride.by_visits else stride.first + update + 1
        if len(stride.sizes) > 0:
            steps[k] = stride.sizes[clock - 1]
        else:
            steps[k] = stride.scale / (stride.offset + clock) ** stride.exponent


@kernel
def _blank(size: int) -> Any:
    """Room for a block of targets, their counts and their steps."""
    ints, floats = np.zeros((4, size), np.int64), np.zeros((3, size))
    return Transitions(ints[0], floats[0], ints[1], floats[1], ints[2]), ints[3], floats[2]


@kernel
def play_values(
    world: Any,
    stride: Any,
    place: IntArray,
    means: FloatArray,
    weights: FloatArray,
    visits: IntArray,
    values: FloatArray,
    averages: FloatArray,
) -> None:
    """Draw and `renew_values` in turn; the means of what was renewed follow."""
    out, counts, steps = _blank(stride.block)
    for update in range(len(stride.explorations)):
        _next_block(world, stride, update, place, means, visits, out, counts, steps)
        renew_values(values, averages, 0, out, counts, steps, stride.block)
        renew_means(values, out.states, weights, means)


@kernel
def play_categorical(
    world: Any,
    stride: Any,
    place: IntArray,
    means: FloatArray,
    weights: FloatArray,
    visits: IntArray,
    probs: FloatArray,
    averages: FloatArray,
    low: float,
    spacing: float,
) -> None:
    """The same with `renew_categorical`."""
    out, counts, steps = _blank(stride.block)
    for update in range(len(stride.explorations)):
        _next_block(world, stride, update, place, means, visits, out, counts, steps)
        renew_categorical(probs, averages, 0, out, counts, steps, stride.block, low, spacing)
        renew_means(probs, out.states, weights, means)


@kernel
def play_quantiles(
    world: Any,
    stride: Any,
    place: IntArray,
    means: FloatArray,
    weights: FloatArray,
    visits: IntArray,
    values: FloatArray,
    averages: FloatArray,
    labels: IntArray,
    levels: FloatArray,
) -> None:
    """The same with `renew_quantiles`."""
    out, counts, steps = _blank(stride.block)
    for update in range(len(stride.explorations)):
        _next_block(world, stride, update, place, means, visits, out, counts, steps)
        renew_quantiles(values, labels, averages, 0, out, counts, steps, stride.block, levels)
        renew_means(values, out.states, weights, means)
