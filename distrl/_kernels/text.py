"""Text as bytes: tables of whole numbers and a decimal a line, and the lines of labels and of DRN files.

Decimals are rounded exactly as Python's `float` rounds them. Up to 2^53 and 10^22 one division does it (W. Clinger, How
to read floating point numbers accurately, 1990). Else a mantissa w of up to 19 digits is multiplied by the first 128
bits T of the power of five: the value lies in [w T, w T + w), in units that are a power of two, and where both ends
round to one float that is it (compare D. Lemire, Number parsing at a gigabyte per second, 2021). What this does not
decide (more digits, fractions, ties) is left to the caller: such tokens are listed as odd.

A line that is not as it should be stops a kernel, and the caller words the error. The data end with a line feed, which
is what every loop ends at. Whole numbers are below 2^31.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray

Bytes = NDArray[np.uint8]
Index = NDArray[np.int32]
Limbs = NDArray[np.uint64]
Place: TypeAlias = Any  # an int, or a whole number of NumPy's

#: Powers of ten whose powers of five are tabled: all that a float64 can come near.
LOWEST, HIGHEST = -340, 308
#: Why a kernel stopped.
DONE, WRONG, FULL = 0, 1, 2
#: The powers of ten that are float64s.
TENS = np.array([float(10**power) for power in range(23)])


@kernel
def survey(data: Bytes) -> tuple[int, int, int]:
    """How many bytes are 0, are not ASCII, and are line feeds."""
    zeros, high, feeds = 0, 0, 0
    for i in range(len(data)):
        zeros += data[i] == 0
        high += data[i] >= 128
        feeds += data[i] == 10
    return zeros, high, feeds


@kernel
def _skip(data: Bytes, i: int) -> int:
    """The first place from i on that is no space, tabulator or carriage return."""
    while data[i] == 32 or data[i] == 9 or data[i] == 13:
        i += 1
    return i


@kernel
def _token(data: Bytes, i: int) -> int:
    """The end of the token that begins at i."""
    while not (data[i] == 32 or data[i] == 9 or data[i] == 13 or data[i] == 10):
        i += 1
    return i


@kernel
def _next_line(data: Bytes, i: int) -> int:
    """The beginning of the line after the one that i is in."""
    while data[i] != 10:
        i += 1
    return i + 1


@kernel
def _whole(data: Bytes, i: Place) -> tuple[int, Place]:
    """The whole number that begins at i, and where it ends; (-1, i) if there is none."""
    value, first = 0, i
    while 48 <= data[i] <= 57 and i - first < 10:
        value = 10 * value + int(data[i]) - 48
        i += 1
    return (value, i) if i > first else (-1, i)


@kernel
def _scaled(mantissa: np.uint64, scale: int, limbs: Limbs, shifts: IntArray) -> tuple[float, bool]:
    """mantissa * 10^scale as a float64, and whether this is certain."""
    if mantissa == np.uint64(0):
        return 0.0, True
    if mantissa <= np.uint64(9007199254740992) and -22 <= scale <= 22:
        return (float(mantissa) * TENS[scale] if scale > 0 else float(mantissa) / TENS[-scale]), True
    if scale < LOWEST or scale > HIGHEST:
        return 0.0, False
    zeros, low32, half_word = 0, np.uint64(0xFFFFFFFF), np.uint64(32)
    for step in (32, 16, 8, 4, 2, 1):
        if mantissa >> np.uint64(64 - step) == np.uint64(0):
            mantissa = mantissa << np.uint64(step)
            zeros += step
    w0, w1 = mantissa & low32, mantissa >> half_word
    t0, t1, t2, t3 = (
        limbs[scale - LOWEST, 0],
        limbs[scale - LOWEST, 1],
        limbs[scale - LOWEST, 2],
        limbs[scale - LOWEST, 3],
    )
    # schoolbook multiplication in words of 32 bits, none of whose sums overflows; the lowest word only carries
    sum0 = w0 * t0
    sum1 = w0 * t1 + (sum0 >> half_word)
    sum2 = w0 * t2 + (sum1 >> half_word)
    sum3 = w0 * t3 + (sum2 >> half_word)
    p4 = sum3 >> half_word
    sum4 = w1 * t0 + (sum1 & low32)
    sum5 = w1 * t1 + (sum2 & low32) + (sum4 >> half_word)
    sum6 = w1 * t2 + (sum3 & low32) + (sum5 >> half_word)
    sum7 = w1 * t3 + p4 + (sum6 >> half_word)
    top, middle = sum7, ((sum6 & low32) << half_word) | (sum5 & low32)
    bottom = ((sum4 & low32) << half_word) | (sum0 & low32)
    drop = 11 if top >> np.uint64(63) else 10
    kept = top >> np.uint64(drop)
    rest, half = top - (kept << np.uint64(drop)), np.uint64(1) << np.uint64(drop - 1)
    exact = 0 <= scale <= 55  # 5^55 has 128 bits
    none = np.uint64(0)
    if not exact and (
        (rest == half and middle == none and bottom == none)
        or (rest + np.uint64(1) == half and middle == np.uint64(0xFFFFFFFFFFFFFFFF))
    ):
        return 0.0, False
    tie = rest == half and middle == none and bottom == none
    if rest > half or (rest == half and not tie) or (tie and kept & np.uint64(1) == np.uint64(1)):
        kept = kept + np.uint64(1)
    exponent = 128 + drop + scale - shifts[scale - LOWEST] - zeros
    if exponent < -1074 or exponent > 970:  # near the ends of float64, where it has fewer digits or none
        return 0.0, False
    return math.ldexp(float(kept), int(exponent)), True


@kernel
def _decimal(data: Bytes, i: Place, stop: Place, limbs: Limbs, shifts: IntArray) -> tuple[float, bool]:
    """The token data[i:stop] as a float64, and whether it is one for certain; Python has to look at others."""
    negative = data[i] == 45
    if data[i] == 45 or data[i] == 43:
        i += 1
    mantissa, digits, scale, seen, point = np.uint64(0), 0, 0, False, False
    while i < stop:
        if 48 <= data[i] <= 57:
            seen = True
            if digits or data[i] != 48:
                digits += 1
            if digits > 19:
                return 0.0, False
            mantissa = mantissa * np.uint64(10) + np.uint64(int(data[i]) - 48)
            scale -= point
        elif data[i] == 46 and not point:
            point = True
        else:
            break
        i += 1
    if not seen:
        return 0.0, False
    if i < stop and (data[i] == 101 or data[i] == 69):
        i += 1
        below = i < stop and data[i] == 45
        if i < stop and (data[i] == 45 or data[i] == 43):
            i += 1
        power, end = _whole(data, i)
        if power < 0 or power > 9999:
            return 0.0, False
        scale += -power if below else power
        i = end
    if i < stop and data[i] == 47 and scale == 0 and mantissa <= np.uint64(9007199254740992):
        divisor, end = _whole(data, i + 1)
        return (float(mantissa) / divisor * (1 - 2 * negative), True) if divisor > 0 and end == stop else (0.0, False)
    if i != stop:
        return 0.0, False
    value, certain = _scaled(mantissa, scale, limbs, shifts)
    return (-value if negative else value), certain


@kernel
def _known(data: Bytes, start: Place, stop: Place, slots: IntArray, names: IntArray, count: int) -> int:
    """The number of the name data[start:stop]; `count`, after noting it there, if it is new."""
    code = 0
    for i in range(start, stop):
        code = (code * 31 + int(data[i])) & 0xFFFFFFF
    place = code & (len(slots) - 1)
    while slots[place] >= 0:
        known = int(slots[place])
        first, length = names[known, 0], stop - start
        if names[known, 1] - first == length:
            same = 0
            while same < length and data[first + same] == data[start + same]:
                same += 1
            if same == length:
                return known
        place = (place + 1) & (len(slots) - 1)
    slots[place] = count
    names[count, 0], names[count, 1] = start, stop
    return count


@kernel
def more_names(data: Bytes, slots: IntArray, names: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """A table of names with twice the room."""
    more_slots, more = np.full(2 * len(slots), -1), np.empty((2 * len(names), 2), dtype=np.int64)
    for k in range(count):
        _known(data, names[k, 0], names[k, 1], more_slots, more, k)
    return more_slots, more


@kernel
def read_table(
    data: Bytes,
    state: IntArray,
    bounds: IntArray,
    negative: bool,
    index: Index,
    values: FloatArray,
    codes: Index,
    odd: IntArray,
    slots: IntArray,
    names: IntArray,
    limbs: Limbs,
    shifts: IntArray,
) -> int:
    """Lines of whole numbers below `bounds`, a decimal, and a name if there are `codes` for names.

    Fills `index` (columns, rows), `values` and `codes` (-1: no name), `odd` with the values to look at (row, beginning,
    end), and the table of `names` (beginning, end). Empty lines and comments (#) are passed over. Returns `DONE`,
    `WRONG` (the line at hand is not such a line) or `FULL` (there is no room left in `odd` or `names`; go on where it
    stopped). `state` is where it stands: place, number of the line, rows, odd values, names.

    Hot loops stand here in full: a call costs a reference count for each array. Places are unsigned, since a signed
    index is looked at twice, for being counted from the end.
    """
    one, size, i, begin = np.uint64(1), np.uint64(len(data)), np.uint64(state[0]), np.uint64(state[0])
    line, row, odds, count, last = state[1], state[2], state[3], state[4], -1
    named, width, result = len(codes) > 0, len(bounds), DONE
    while i < size:
        begin = i
        if odds == len(odd) or 2 * count >= len(slots):
            result = FULL
            break
        while data[i] == 32 or data[i] == 9 or data[i] == 13:
            i += one
        if data[i] == 10 or data[i] == 35:
            while data[i] != 10:
                i += one
            i += one
            line += 1
            begin = i
            continue
        good = row < len(values)
        for column in range(width):
            while data[i] == 32 or data[i] == 9:
                i += one
            value, digits = np.int64(0), 0
            while 48 <= data[i] <= 57:
                if digits < 10:
                    value = value * 10 + (np.int64(data[i]) - 48)
                digits += 1
                i += one
            if digits == 0 or digits > 10 or value >= bounds[column] or not (data[i] == 32 or data[i] == 9):
                good = False
                break
            if good:
                index[column, row] = value
        while data[i] == 32 or data[i] == 9 or data[i] == 13:
            i += one
        if not good or data[i] == 10:
            result = WRONG
            break
        first, minus = i, data[i] == 45
        if minus:
            i += one
        mantissa, digits, scale = np.uint64(0), 0, 0
        while 48 <= data[i] <= 57:
            if digits < 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(np.int64(data[i]) - 48)
            digits += 1
            i += one
        if data[i] == 46:
            i += one
            while 48 <= data[i] <= 57:
                if digits < 19:
                    mantissa = mantissa * np.uint64(10) + np.uint64(np.int64(data[i]) - 48)
                    scale += 1
                digits += 1
                i += one
        number, certain = 0.0, False
        over = data[i] == 10 or data[i] == 32 or data[i] == 9 or data[i] == 13
        if over and 0 < digits <= 19:
            if mantissa <= np.uint64(9007199254740992):
                number, certain = float(mantissa) / TENS[scale], True
            else:
                number, certain = _scaled(mantissa, -scale, limbs, shifts)
            if minus:
                number = -number
        else:
            while not (data[i] == 10 or data[i] == 32 or data[i] == 9 or data[i] == 13):
                i += one
            number, certain = _decimal(data, np.int64(first), np.int64(i), limbs, shifts)
        if not certain:
            odd[odds, 0], odd[odds, 1], odd[odds, 2] = row, np.int64(first), np.int64(i)
            odds += 1
        values[row] = number
        good = negative or number >= 0.0
        while data[i] == 32 or data[i] == 9 or data[i] == 13:
            i += one
        if named:
            code = -1
            if data[i] != 10:
                first = i
                if last >= 0:
                    known, end = np.uint64(names[last, 0]), np.uint64(names[last, 1])
                    while known < end and data[known] == data[i]:
                        known += one
                        i += one
                    if known == end and (data[i] == 10 or data[i] == 32 or data[i] == 9 or data[i] == 13):
                        code = last
                if code < 0:
                    while not (data[i] == 10 or data[i] == 32 or data[i] == 9 or data[i] == 13):
                        i += one
                    code = _known(data, np.int64(first), np.int64(i), slots, names, count)
                    count = max(count, code + 1)
                    last = code
                while data[i] == 32 or data[i] == 9 or data[i] == 13:
                    i += one
            codes[row] = code
        if not good or data[i] != 10:
            result = WRONG
            break
        row += 1
        line += 1
        i += one
        begin = i
    state[0], state[1], state[2], state[3], state[4] = np.int64(begin), line, row, odds, count
    return result


@kernel
def read_labels(
    data: Bytes,
    state: IntArray,
    states: int,
    colon: bool,
    pairs: IntArray,
    slots: IntArray,
    names: IntArray,
) -> int:
    """Lines of a state below `states`, a colon if there has to be one, and the tokens of its labels.

    Fills `pairs` (state, number of the token, line) and `names`. Returns and goes on as `read_table`; `state`: place,
    number of the line, lines with a state, pairs, names.
    """
    i, begin, line, count = state[0], state[0], state[1], state[4]
    rows, found, result = state[2], state[3], DONE
    while i < len(data):
        begin, before = i, found
        i = _skip(data, i)
        if data[i] != 10 and data[i] != 35:
            value, end = _whole(data, i)
            i = _skip(data, end)
            good = bool(0 <= value < states)
            if colon:
                good = good and bool(data[i] == 58)
                i = _skip(data, i + 1) if good else i
            else:
                good = good and bool(i > end or data[i] == 10)
            if not good:
                result = WRONG
                break
            while data[i] != 10:
                if found == len(pairs) or 2 * count >= len(slots):
                    result = FULL
                    break
                end = _token(data, i)
                name = _known(data, i, end, slots, names, count)
                count = max(count, name + 1)
                pairs[found, 0], pairs[found, 1], pairs[found, 2] = value, name, line
                found += 1
                i = _skip(data, end)
            if result != DONE:
                found = before
                break
            rows += 1
        i = _next_line(data, i)
        begin = i
        line += 1
    state[0], state[1], state[2], state[3], state[4] = begin, line, rows, found, count
    return result


@kernel
def _chosen(
    data: Bytes, i: int, which: int, wanted: int, limbs: Limbs, shifts: IntArray
) -> tuple[int, int, float, bool, int, int]:
    """The rewards [r, r, ...] that begin at i: where they end (-1: they are none), their number, and number `which` of
    them with whether it is certain, its beginning and its end. `wanted` is how many there have to be, -1 if any."""
    count, value, certain, first, last = 0, 0.0, True, 0, 0
    i = _skip(data, i + 1)
    while data[i] != 10:
        start = i
        while not (data[i] == 10 or data[i] == 32 or data[i] == 9 or data[i] == 13 or data[i] == 44 or data[i] == 93):
            i += 1
        if i == start:
            return -1, 0, 0.0, True, 0, 0
        if count == which:
            value, certain = _decimal(data, start, i, limbs, shifts)
            first, last = start, i
        count += 1
        i = _skip(data, i)
        if data[i] == 93:
            good = wanted < 0 or count == wanted
            return (i + 1 if good else -1), count, value, certain, first, last
        if data[i] != 44:
            return -1, 0, 0.0, True, 0, 0
        i = _skip(data, i + 1)
    return -1, 0, 0.0, True, 0, 0


@kernel
def _keyword(data: Bytes, i: int, word: Bytes) -> bool:
    """Whether a word and a blank begin at i."""
    for k in range(len(word)):
        if data[i + k] != word[k]:  # the line feed at the end is in no word
            return False
    return bool(data[i + len(word)] == 32 or data[i + len(word)] == 9)


@kernel
def read_drn(
    data: Bytes,
    state: IntArray,
    words: tuple[Bytes, Bytes],
    bare: bool,
    which: int,
    targets: Index,
    probs: FloatArray,
    first_transition: IntArray,
    codes: Index,
    choice_rewards: FloatArray,
    first_choice: IntArray,
    state_rewards: FloatArray,
    odd: IntArray,
    pairs: IntArray,
    slots: IntArray,
    names: IntArray,
    limbs: Limbs,
    shifts: IntArray,
) -> int:
    """The lines of a DRN file after `@model`: states, with rewards and labels, actions, and transitions.

    Fills the columns of transitions, choices and states; `odd` with values to look at (0 transition, 1 choice, 2 state;
    number; beginning; end); `pairs` (state, label, line); and the table of `names` of labels and actions. The reward of
    number `which` is kept; a state may have `bare` transitions, of an action that is not named. Returns and goes on as
    `read_table`; `state`: place, number of the line, transitions, choices, states, odd values, pairs, names, rewards in
    each list (-1: not known yet).
    """
    i, begin, line = state[0], state[0], state[1]
    rows, choices, states, odds, found, count, rewards = (
        state[2],
        state[3],
        state[4],
        state[5],
        state[6],
        state[7],
        state[8],
    )
    result = DONE
    while i < len(data):
        begin, before, good = i, found, True
        if odds == len(odd) or 2 * count >= len(slots):
            result = FULL
            break
        i = _skip(data, i)
        if data[i] == 10 or (data[i] == 47 and data[i + 1] == 47):
            pass
        elif _keyword(data, i, words[0]):
            number, end = _whole(data, _skip(data, i + len(words[0])))
            good = bool(number == states and states < len(state_rewards))
            i = _skip(data, end)
            good = good and bool(i > end or data[i] == 10)
            value = 0.0
            if good and data[i] == 91:
                end, length, value, certain, first, last = _chosen(data, i, which, rewards, limbs, shifts)
                good = end >= 0
                if good:
                    rewards, i = length, _skip(data, end)
                    if not certain:
                        odd[odds, 0], odd[odds, 1], odd[odds, 2], odd[odds, 3] = 2, number, first, last
                        odds += 1
            if good:
                state_rewards[number], first_choice[number] = value, choices
            while good and data[i] != 10:
                if found == len(pairs) or 2 * count >= len(slots):
                    result = FULL
                    break
                if data[i] == 34:
                    i += 1
                    end = i
                    while data[end] != 10 and data[end] != 34:
                        end += 1
                    good = data[end] == 34 and end > i
                else:
                    end = _token(data, i)
                    good = data[i] != 91 and data[i] != 123 and data[i] != 33  # rewards, observations, rates
                if good:
                    label = _known(data, i, end, slots, names, count)
                    count = max(count, label + 1)
                    pairs[found, 0], pairs[found, 1], pairs[found, 2] = number, label, line
                    found += 1
                    i = _skip(data, end + 1 if data[end] == 34 else end)
            if result != DONE:
                found = before
                break
            states += good
        elif _keyword(data, i, words[1]):
            i = _skip(data, i + len(words[1]))
            end = _token(data, i)
            good = states > 0 and end > i
            if good:
                codes[choices] = _known(data, i, end, slots, names, count)
                count = max(count, codes[choices] + 1)
                i = _skip(data, end)
                value = 0.0
                if data[i] == 91:
                    end, length, value, certain, first, last = _chosen(data, i, which, rewards, limbs, shifts)
                    good = end >= 0
                    if good:
                        rewards, i = length, _skip(data, end)
                        if not certain:
                            odd[odds, 0], odd[odds, 1], odd[odds, 2], odd[odds, 3] = 1, choices, first, last
                            odds += 1
                good = good and data[i] == 10
                choice_rewards[choices], first_transition[choices] = value, rows
                choices += 1
        else:
            target, end = _whole(data, i)
            i = _skip(data, end)
            good = bool(0 <= target < len(state_rewards) and states > 0 and data[i] == 58)
            if good:
                i = _skip(data, i + 1)
                end = _token(data, i)
                good = end > i
            if good:
                good = bare or first_choice[states - 1] < choices
                if good and first_choice[states - 1] == choices:  # the only action of a state goes without saying
                    codes[choices], choice_rewards[choices], first_transition[choices] = -1, 0.0, rows
                    choices += 1
                value, certain = _decimal(data, i, end, limbs, shifts)
                if not certain:
                    odd[odds, 0], odd[odds, 1], odd[odds, 2], odd[odds, 3] = 0, rows, i, end
                    odds += 1
                targets[rows], probs[rows] = target, value
                rows += 1
                i = _skip(data, end)
                good = good and value >= 0.0 and bool(data[i] == 10)
        if not good:
            result = WRONG
            break
        i = _next_line(data, i)
        begin = i
        line += 1
    state[0], state[1] = begin, line
    state[2], state[3], state[4], state[5], state[6], state[7], state[8] = (
        rows,
        choices,
        states,
        odds,
        found,
        count,
        rewards,
    )
    return result
