"""Text of comma-separated values as columns of numbers, and cells of text by number.

A file is an array of bytes. A cell ends at the separator or the end of its line; one that begins with a quotation mark
ends at the next single one. Lines end in LF, CR LF or CR; blank ones count for nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distrl._numba import kernel
from distrl._validation import BoolArray, FloatArray, IntArray

Bytes = NDArray[np.uint8]

#: What a scan ends with: all is read; or it stands before a cell or line that cannot be.
DONE, TOO_FEW, TOO_MANY, NO_NUMBER, NO_WHOLE, NO_TRUTH, TOO_LONG, OPEN_QUOTE, AFTER_QUOTE = range(9)
#: What a cell may be.
_NOT_A_NUMBER, _WHOLE, _FRACTION, _HARD = range(4)
_QUOTE, _LF, _CR, _SPACE, _TAB = 34, 10, 13, 32, 9
_POINT, _PLUS, _MINUS, _ZERO, _NINE, _E, _LITTLE_E = 46, 43, 45, 48, 57, 69, 101
_LARGEST_POWER = 60
_LARGEST_WHOLE = 9007199254740992  # 2^53
_EXACT_POWER = 22  # 10^22 is a float64
_HASHES = 2**42 - 1  # of a hash that grows 2^20-fold a letter, and stays an int64
_SPLIT = 134217729.0  # 2^27 + 1: cuts a float64 into halves whose products are exact


@kernel
def _cell(data: Bytes, place: int, separator: int, bounds: IntArray) -> int:
    """bounds = where the cell that begins at `place` has its content, blanks and quotes left out; and where it ends.

    Returns 0, or what is wrong with its quotes.
    """
    size = len(data)
    while place < size and (data[place] == _SPACE or data[place] == _TAB) and data[place] != separator:
        place += 1
    if place < size and data[place] == _QUOTE:
        start = place + 1
        place = start
        while True:
            while place < size and data[place] != _QUOTE:
                place += 1
            if place >= size:
                bounds[0] = bounds[1] = bounds[2] = start - 1
                return OPEN_QUOTE
            if place + 1 < size and data[place + 1] == _QUOTE:
                place += 2
            else:
                break
        bounds[0], bounds[1] = start, place
        place += 1
        while place < size and (data[place] == _SPACE or data[place] == _TAB) and data[place] != separator:
            place += 1
        bounds[2] = place
        over = place >= size or data[place] == separator or data[place] == _LF or data[place] == _CR
        return 0 if over else AFTER_QUOTE
    start = place
    while place < size and data[place] != separator and data[place] != _LF and data[place] != _CR:
        place += 1
    stop = place
    while stop > start and (data[stop - 1] == _SPACE or data[stop - 1] == _TAB):
        stop -= 1
    bounds[0], bounds[1], bounds[2] = start, stop, place
    return 0


@kernel
def _two_product(a: float, b: float) -> tuple[float, float]:
    """(p, e) with p + e = a * b exactly (Dekker 1971)."""
    product = a * b
    high = _SPLIT * a
    a_high = high - (high - a)
    a_low = a - a_high
    high = _SPLIT * b
    b_high = high - (high - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel
def _scaled(digits: int, power: int, powers: FloatArray) -> tuple[float, bool]:
    """digits * 10^power, rounded once, and whether that is sure.

    Where both factors are float64 numbers, one operation rounds once. Else the product is worked out to some 100 bits,
    digits and power as sums of two floats each; where what it may be off by could round it elsewhere, it is not sure.
    """
    if digits == 0:
        return 0.0, True
    if digits <= _LARGEST_WHOLE and -_EXACT_POWER <= power <= _EXACT_POWER:
        scale = powers[abs(power) + _LARGEST_POWER, 0]
        return (digits * scale if power >= 0 else digits / scale), True
    if not -_LARGEST_POWER <= power <= _LARGEST_POWER:
        return 0.0, False
    first = float(digits)
    rest = float(digits - int(first))
    high, low = powers[power + _LARGEST_POWER, 0], powers[power + _LARGEST_POWER, 1]
    product, error = _two_product(first, high)
    error += first * low + rest * high
    total = product + error
    left = error - (total - product)
    doubt = abs(total) * 2.0**-95
    return total, total + (left - doubt) == total + (left + doubt) and total == total + left


@kernel
def _number(data: Bytes, start: int, stop: int, powers: FloatArray) -> tuple[int, int, float]:
    """(what it is, its value if whole, its value) of data[start:stop] as a decimal number."""
    place = start
    negative = False
    if place < stop and (data[place] == _MINUS or data[place] == _PLUS):
        negative = data[place] == _MINUS
        place += 1
    digits, count, power, any_digit, point, hard = 0, 0, 0, False, False, False
    while place < stop:
        letter = int(data[place])
        if _ZERO <= letter <= _NINE:
            any_digit = True
            if count < 18:
                digits = 10 * digits + (letter - _ZERO)
                count += digits > 0
                power -= point
            else:
                hard = True
        elif letter == _POINT and not point:
            point = True
        else:
            break
        place += 1
    if not any_digit:
        return _NOT_A_NUMBER, 0, 0.0
    if place < stop and (data[place] == _E or data[place] == _LITTLE_E):
        place += 1
        down = False
        if place < stop and (data[place] == _MINUS or data[place] == _PLUS):
            down = data[place] == _MINUS
            place += 1
        exponent, begin = 0, place
        while place < stop and _ZERO <= data[place] <= _NINE and exponent < 10000:
            exponent = 10 * exponent + (int(data[place]) - _ZERO)
            place += 1
        if place == begin:
            return _NOT_A_NUMBER, 0, 0.0
        power += -exponent if down else exponent
    if place < stop:
        return _NOT_A_NUMBER, 0, 0.0
    if hard:
        return _HARD, 0, 0.0
    value, sure = _scaled(digits, power, powers)
    if not sure:
        return _HARD, 0, 0.0
    value = -value if negative else value
    if power == 0:
        return _WHOLE, -digits if negative else digits, value
    if abs(value) < 2.0**53 and value == np.floor(value):
        return _WHOLE, int(value), value
    return _FRACTION, 0, value


@kernel
def _is_word(data: Bytes, start: int, truth: bool) -> bool:
    """Whether true or false stands there, in any case; the last byte of `data` is no letter."""
    if truth:
        if data[start] | 32 != 116 or data[start + 1] | 32 != 114:  # t, r
            return False
        return bool(data[start + 2] | 32 == 117 and data[start + 3] | 32 == 101)  # u, e
    if data[start] | 32 != 102 or data[start + 1] | 32 != 97 or data[start + 2] | 32 != 108:  # f, a, l
        return False
    return bool(data[start + 3] | 32 == 115 and data[start + 4] | 32 == 101)  # s, e


@kernel
def _truth(data: Bytes, start: int, stop: int, powers: FloatArray) -> int:
    """0 or 1 for 0, 1, 0.0, 1.0, true, false, t, f in any case; -1 for anything else."""
    kind, whole, _ = _number(data, start, stop, powers)
    if kind == _WHOLE:
        return whole if 0 <= whole <= 1 else -1
    if stop - start == 1:
        return 1 if data[start] | 32 == 116 else 0 if data[start] | 32 == 102 else -1
    if stop - start == 4:
        return 1 if _is_word(data, start, True) else -1
    return 0 if stop - start == 5 and _is_word(data, start, False) else -1


@kernel
def read_cells(
    data: Bytes,
    place: int,
    end: int,
    separator: int,
    target: IntArray,
    is_text: BoolArray,
    powers: FloatArray,
    wholes: IntArray,
    numbers: FloatArray,
    truths: BoolArray,
    hard: IntArray,
    told: IntArray,
) -> None:
    """Read the lines that begin in data[place:end], a cell for each column of the file; the last byte ends a line.

    Parameters
    ----------
    target : (columns + 1,) where the cells of each go, the last entry -2
        0, 1, 2: rows of `wholes`; 3, 4: rows of `numbers`; 5: `truths`; -1: nowhere.
    is_text : (3,) whether a row of `wholes` takes texts: the place of each, times 2^16, and its length
    powers : (121, 2) 10^-60 to 10^60, each the sum of two floats
    hard : (n, 4) cells of `numbers` whose float is not found here: row, row of `numbers`, ends of the content
    told : rows read, those before these lines included, as which it begins; rows of `hard` used or needed; what ended
        it; the place and the column of that
    """
    width = len(target) - 1
    spot: Any = place  # of Numba's kind of whole numbers
    bounds = np.zeros(3, dtype=np.int64)
    row, many = told[0], 0
    fault = DONE
    here = column = 0
    one = np.uint64(1)  # what is never negative is not looked at for wrapping around
    while spot < end and fault == DONE:
        if data[spot] == _LF or data[spot] == _CR:
            spot += 1
            continue
        line, column = spot, 0
        while True:
            here, to = spot, target[column]
            quick: Any = False
            if 0 <= to < 5 and not (to < 3 and is_text[to]):  # the usual cell: digits, perhaps with a sign and a point
                negative = data[spot] == _MINUS
                at = np.uint64(spot + negative)
                start, digits = at, 0
                while (data[at] ^ _ZERO) <= 9:
                    digits = 10 * digits + (int(data[at]) - _ZERO)
                    at += one
                count: Any = np.int64(at - start)
                power: Any = 0
                if data[at] == _POINT:
                    at += one
                    start = at
                    while (data[at] ^ _ZERO) <= 9:
                        digits = 10 * digits + (int(data[at]) - _ZERO)
                        at += one
                    power = np.int64(at - start)
                    count += power
                ended = data[at] == separator or data[at] == _LF or data[at] == _CR
                if ended and to < 3:
                    quick = power == 0 and 0 < count <= 15
                    if quick:
                        wholes[to, row] = -digits if negative else digits
                elif ended and 0 < count <= 18:
                    value, quick = _scaled(digits, -power, powers)
                    numbers[to - 3, row] = -value if negative else value
                spot = np.int64(at) if quick else spot
            elif to == 5:  # the usual truth: 0 or 1, or the word for it
                letter = data[spot] | 32
                length = 1 if letter < 97 else 4 + (letter == 102)
                truths[row] = letter == 49 or letter == 116
                quick = letter == 48 or letter == 49 or _is_word(data, spot, letter == 116)
                at = np.uint64(spot + length if quick else spot)
                quick &= data[at] == separator or data[at] == _LF or data[at] == _CR
                spot = np.int64(at) if quick else spot
            elif to != -2 and data[spot] != _QUOTE and data[spot] != _SPACE and data[spot] != _TAB:
                at = np.uint64(spot)  # text, or what nobody asks for
                while data[at] != separator and data[at] != _LF and data[at] != _CR:
                    at += one
                length = np.int64(at) - spot
                last = data[spot + length - 1]
                quick = 0 < length < 65536 and last != _SPACE and last != _TAB
                if quick and to >= 0:
                    wholes[to, row] = spot << 16 | length
                spot = np.int64(at) if quick else spot
            if not quick:
                fault = _cell(data, spot, separator, bounds)
                start, stop = bounds[0], bounds[1]
                if fault != DONE:
                    break
                spot = bounds[2]
                if column == 0 and start == stop and data[spot] != separator and width > 1:  # blanks alone
                    column = -1
                    break
                if to == -2:
                    fault, here = TOO_MANY, line
                    break
                if to == 5:
                    truth = _truth(data, start, stop, powers)
                    truths[row] = truth == 1
                    fault = NO_TRUTH if truth < 0 else DONE
                elif 0 <= to < 3 and is_text[to]:
                    wholes[to, row] = start << 16 | (stop - start)
                    fault = TOO_LONG if stop - start >= 1 << 16 else DONE
                elif to >= 0:
                    kind, whole, value = _number(data, start, stop, powers)
                    if to >= 3:
                        numbers[to - 3, row] = value
                        if kind == _HARD:
                            if many < len(hard):
                                hard[many, 0], hard[many, 1], hard[many, 2], hard[many, 3] = row, to - 3, start, stop
                            many += 1
                        fault = NO_NUMBER if kind == _NOT_A_NUMBER else DONE
                    else:
                        wholes[to, row] = whole
                        if kind == _FRACTION:
                            fault = NO_WHOLE
                        elif kind != _WHOLE or not -_LARGEST_WHOLE <= whole <= _LARGEST_WHOLE:
                            fault = NO_NUMBER
                if fault != DONE:
                    break
            if data[spot] != separator:
                break
            spot += 1
            column += 1
        if fault == DONE and column >= 0:
            if column + 1 < width:
                fault, here, column = TOO_FEW, line, column + 1
            else:
                row += 1
    told[0], told[1], told[2], told[3], told[4] = row, many, fault, here, column


@kernel
def number_texts(data: Bytes, texts: IntArray) -> IntArray:
    """Replace each of `texts`, place times 2^16 and length, by its number: equal texts alike, in the order they come.

    Returns where each number's text is, in the same form.
    """
    mask, count = 1023, 0
    slots = np.full((mask + 1, 2), -1, dtype=np.int64)  # key and number of a text
    known = np.zeros(mask + 1, dtype=np.int64)
    for row in range(len(texts)):
        start, length = texts[row] >> 16, texts[row] & 65535
        key = length
        if length < 8:  # the text itself
            for k in range(start, start + length):
                key = key << 8 | int(data[k])
        else:
            for k in range(start, start + length):
                key = ((key ^ int(data[k])) * 1000003 + 1) & _HASHES
            key |= 1 << 62
        slot = ((key ^ (key >> 21)) & _HASHES) * 1000003 >> 7 & mask
        code = -1
        while slots[slot, 1] >= 0:
            if slots[slot, 0] == key:
                code = slots[slot, 1]
                begin, k = known[code] >> 16, 0
                if length >= 8:
                    while k < length and data[begin + k] == data[start + k]:
                        k += 1
                    if k < length or known[code] & 65535 != length:
                        code = -1
                if code >= 0:
                    break
            slot = (slot + 1) & mask
        if code < 0:
            code = count
            slots[slot, 0], slots[slot, 1], known[count] = key, count, texts[row]
            count += 1
            if 2 * count > mask:  # twice as many places for what there is
                old, mask = slots, 2 * mask + 1
                more = np.zeros(mask + 1, dtype=np.int64)
                slots = np.full((mask + 1, 2), -1, dtype=np.int64)
                for k in range(count):
                    more[k] = known[k]
                for k in range(len(old)):
                    if old[k, 1] >= 0:
                        slot = ((old[k, 0] ^ (old[k, 0] >> 21)) & _HASHES) * 1000003 >> 7 & mask
                        while slots[slot, 1] >= 0:
                            slot = (slot + 1) & mask
                        slots[slot, 0], slots[slot, 1] = old[k, 0], old[k, 1]
                known = more
        texts[row] = code
    return known[:count].copy()
