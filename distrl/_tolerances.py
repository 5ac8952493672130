"""Small and large numbers that decide something in more than one place, each once and with the reason for it.

A number that a single function needs stands beside that function. Kernels take these as globals: Numba compiles them
in, and they are a part of the key under which compiled code is kept (`_kernel_cache.py`), so that it follows a change.
"""

import numpy as np

#: The distance from 1 to the next float64. One operation rounds by at most half of it, relative to its result.
EPS = float(np.finfo(np.float64).eps)

#: The smallest normal float64. Below it numbers have fewer digits, and relative errors are not bounded by `EPS`.
TINY = float(np.finfo(np.float64).tiny)

#: Levels, cumulative masses and probabilities are compared up to this, so that 0.1 + 0.2 reaches the level 0.3. It is
#: far above what sums of millions of masses round by, and far below any probability that a user would ask about.
LEVEL = 1e-9

#: The same for flat regions of a CDF that is a sum of continuous ones: it is computed at a point, not summed up from
#: masses, so that only its own rounding has to be looked past.
LEVEL_OF_CONTINUOUS = 1e-12

#: Mass that can be rounding alone: a few `EPS`. Extreme quantiles look past it.
NO_MASS = 1e-15

#: The same for W_inf, which takes the farthest distance over which any mass at all is moved: one step of a cumulative
#: sum that rounds differently would decide it, and sums of thousands of masses differ by thousands of `EPS`.
NO_MASS_AT_ALL = 1e-12

#: How far the probabilities of a row may sum from 1. Decimal numbers in files have 9 digits or more. Certificates count
#: what is lacking, and nothing is renormalised unless it is asked for.
ROW_SUM = 1e-9

#: How far rows may sum from 1 that mix accepted rows by accepted weights: both may be off by `ROW_SUM`, and half of it
#: more is for the rounding of the mixture. What was accepted has to go on working.
MIXED_ROW_SUM = 2.5 * ROW_SUM

#: A probability of at least minus this is arithmetic's noise (1 - 0.9 - 0.1 is -2.8e-17) and counts as 0.
NEGATIVE = 1e-12

#: What lies off a grid by up to this share of its width is rounding, and not clipping: a sum over hundreds of outcomes
#: rounds by some hundred `EPS` of the size of its terms.
GRID_SLACK = 1e-12

#: The largest reward or grid end that is accepted: its square, and sums over any horizon that float64 can state, stay
#: finite.
LARGEST_NUMBER = 1e100

#: Stands in for a divisor of 0. It is so small that no quotient of ordinary numbers by it is taken for an ordinary one,
#: and far enough above `TINY` that 1 over it does not overflow.
NOT_ZERO = 1e-300

#: All of them, for the key of compiled kernels.
ALL = tuple((name, value) for name, value in sorted(globals().items()) if isinstance(value, float))
