"""Decision processes whose optima are known exactly, F1 to F9, each with what it is there to show.

Numbers of F1 to F5, F8 and F9 are fractions; those of F6 and F7 were enclosed with many more cells than tests use.
"""

from fractions import Fraction
from typing import NamedTuple

import distrl
from tests.control.history import Outcome, Small

F = Fraction
LEVELS = (F(1, 10), F(1, 4), F(1, 2), F(3, 4), F(1))


def go(p: Fraction | int, y: int, r: Fraction | int) -> Outcome:
    return F(p), y, F(r), False


def end(p: Fraction | int, r: Fraction | int) -> Outcome:
    return F(p), 0, F(r), True


class Known(NamedTuple):
    """A process from state 0 with the optimal CVaR at `LEVELS`, and the least E(b - G)+ at some b."""

    model: Small
    steps: int
    cvar: tuple[Fraction, ...] = ()
    puts: dict[Fraction, Fraction] = {}  # noqa: RUF012


HALF = F(1, 2)
#: The dual decomposition of CVaR says 1/2 at level 1/2 (`DUAL`), nested CVaR 0.
F1 = Known(
    Small(
        (
            ((go(HALF, 1, 0), go(HALF, 2, 0)),),
            ((end(1, 0),), (end(F(1, 4), -2), end(F(3, 4), 2))),
            ((end(1, 1),),),
        ),
        F(1),
    ),
    2,
    (F(0), F(0), F(1, 4), F(2, 3), F(1)),
    {F(0): F(0), F(2, 3): F(1, 3), F(1): F(3, 8), F(2): F(1)},
)
DUAL = (HALF, F(1, 2))  # level, and what the dual decomposition says of F1 there
F1_MEAN_VARIANCE = {F(1, 4): F(5, 8), F(1): F(1, 4)}
F1_BELOW_1 = F(1, 8)
F1_ENTROPIC = 0.3798854930417225  # beta = -1


def _memory(discount: Fraction) -> Small:
    first = ((go(HALF, 1, 0), go(HALF, 1, 4)),)
    return Small((first, ((end(1, 1),), (end(HALF, 0), end(HALF, 4)))), discount)


#: Policies need the past: without it CVaR at 3/4 is at most `F2_MARKOV`.
F2 = Known(
    _memory(F(1)),
    2,
    (F(1), F(1), F(2), F(3), F(4)),
    {F(1): F(0), F(2): F(1, 2), F(4): F(1), F(5): F(3, 2), F(6): F(5, 2), F(8): F(4)},
)
F2_MARKOV = F(8, 3)
F2_MEAN_VARIANCE = {F(1, 4): F(39, 16), F(1): F(-3, 4)}
F2_MARKOV_MEAN_VARIANCE = F(2)  # weight 1/4
F2_QUANTILES = {F(1, 10): F(1), F(1, 4): F(1), F(1, 2): F(4)}  # the levels are masses: just below and above they differ
F2_BELOW_2 = F(1, 4)
F2_ENTROPIC = 1.6749972526421355
F2_DISCOUNTED = Known(_memory(HALF), 2, (HALF, HALF, F(1), F(13, 6), F(3)))
F2_DISCOUNTED_MARKOV = F(2)
F2_DISCOUNTED_MEAN_VARIANCE = {F(1, 4): F(119, 64)}
F2_DISCOUNTED_MARKOV_MEAN_VARIANCE = F(7, 4)

_F3 = Small(
    (
        ((go(HALF, 0, 1), go(HALF, 1, -1)), (go(1, 1, 0),)),
        ((go(F(3, 4), 0, 2), go(F(1, 4), 1, -2)), (go(1, 0, 0),)),
    ),
    HALF,
)
F3 = Known(_F3, 4, (F(0), F(0), F(9, 64), F(15, 32), F(85, 128)), {F(1, 4): F(1, 8), F(1): F(55, 128)})
F3_MARKOV = F(1, 8)  # CVaR at 1/2
F3_MEAN_VARIANCE = {F(1): F(5, 64)}
F3_QUANTILES = {F(1, 10): F(0), F(1, 4): F(1, 4), F(1, 2): F(5, 4)}
F3_SHORTER = Known(_F3, 3, (F(0), F(0), F(1, 8), F(5, 12), F(9, 16)))

#: An infinite horizon: `steps` is 0, and the puts and `F4_CVAR` are those of endless returns.
F4 = Known(
    Small((((go(HALF, 0, 0), go(HALF, 0, 1)), (go(1, 0, F(2, 5)),)),), HALF),
    0,
    (),
    {
        F(9, 10): F(11, 140),
        F(1): F(11, 70),
        F(6, 5): F(11, 35),
        F(7, 5): F(9, 20),
        F(8, 5): F(22, 35),
        F(9, 5): F(113, 140),
    },
)
F4_CVAR = {F(1, 2): F(4, 5), F(4, 5): F(67, 80), F(9, 10): F(109, 120), F(19, 20): F(1447, 1520)}


def shortest_path(safe: Fraction, ends: Fraction) -> Small:
    """Pay `safe` and end, or pay -1 and end with probability `ends`; action 1 need never end."""
    return Small((((end(1, safe),), (end(ends, -1), go(1 - ends, 0, -1))),), F(1))


#: Endless as well, by the number of steps alone.
F5 = Known(shortest_path(F(-5, 2), HALF), 0, (F(-5, 2), F(-5, 2), F(-5, 2), F(-7, 3), F(-2)))
F5_LONGER = Known(shortest_path(F(-4), F(1, 3)), 0, (F(-4), F(-4), F(-4), F(-11, 3), F(-3)))


def cliff_walk() -> distrl.MDP:
    """F6, from the start alone."""
    return distrl.environments.gridworld(discount=1.0, slip=0.1)


F6_MEAN = -23.28509113134342
F6_CVAR = {0.01: -105.223479221137, 0.05: -73.847536941428, 0.1: -60.331685214631, 0.5: -30.532456145456}
F6_TARGETS = {0.01: -86.0, 0.05: -54.0, 0.1: -41.0, 0.5: -17.0}
F6_MEAN_OPTIMAL_POLICY = {0.01: -150.147, 0.05: -123.777, 0.1: -76.294, 0.5: -30.532}


def frozen_lake(size: int) -> distrl.MDP:
    """F7, size 4 or 8, discount .99, from state 0; needs gymnasium."""
    return distrl.from_gymnasium("FrozenLake-v1", discount=0.99, map_name=f"{size}x{size}")


#: Intervals that hold the optimal CVaR.
F7_CVAR = {
    4: {0.25: (0.072947, 0.072960), 0.5: (0.293572, 0.293587), 0.1: (0.0, 0.0)},
    8: {
        0.05: (0.048834, 0.048888),
        0.1: (0.078651, 0.078706),
        0.25: (0.150692, 0.150726),
        0.5: (0.248019, 0.248042),
    },
}
F7_MEAN_OPTIMAL_POLICY = {0.05: 0.0, 0.1: 0.0, 0.25: 0.1085, 0.5: 0.2388}  # 8x8

#: Interpolation of targets a unit apart says 19/40 < 1/2 of the put at 1 from state 0.
F8 = Known(
    Small((((go(1, 1, HALF),),), ((end(1, 0),), (end(HALF, F(-9, 10)), end(HALF, 3)))), F(1)), 2, (), {F(1): HALF}
)
F8_INTERPOLATED = F(19, 40)

#: Nested CVaR at 1/2 is 4, above the static one.
F9 = Known(
    Small(
        (((go(HALF, 1, 0), go(HALF, 2, 0)),), ((end(F(1, 4), 0), end(F(3, 4), 10)),), ((end(1, 4),),)),
        F(1),
    ),
    2,
)
F9_STATIC, F9_NESTED = F(3), F(4)
