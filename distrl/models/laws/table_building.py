"""Making the table of a law from its CDF: panels that are bisected until the interpolants agree with themselves."""

from dataclasses import dataclass

import numpy as np

from distrl._validation import BoolArray, FloatArray
from distrl.models.laws.describe import Function
from distrl.models.laws.sides import LARGEST, Sides, search
from distrl.models.laws.tables import ATOM, DEGREE, CdfTable
from distrl.models.laws.tails import march

_NODES = -np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
_TO_COEFFICIENTS = np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, DEGREE)).T
_SHARE = 1e-15  # of the quartiles' distance: what a panel may add to the error before it is bisected
_SMOOTH = 1e-8  # differences above this are no noise of a CDF but a jump or a singularity
_FINE = 1e-11  # differences below which a panel is smooth where it is short enough
_MOST_EVALUATIONS = 400_000


def table_from_cdf(
    cdf: Function,
    survival: Function | None,
    support: tuple[float, float],
    name: str,
    hints: FloatArray,
    knots: FloatArray | None = None,
) -> CdfTable:
    """The law with this CDF, and survival function if that is known better than 1 - F.

    `hints` are guesses of its quartiles, checked; `knots` where its density is known to be rough. Cost: some 1,000
    values of the CDF where it is smooth, some 1,000 more for each jump or singularity, at most 400,000.

    Raises
    ------
    ValueError
        The CDF is no CDF, has more jumps than the budget resolves, takes more than 5 s in all, or has no mean.
    """
    sides = Sides(cdf, survival, support, name)
    first, centre, third = (
        _quartile(sides, level, hint) for level, hint in zip((0.25, 0.5, 0.75), np.sort(hints), strict=True)
    )
    if not sides.agree(np.array([first, centre, third])):
        sides.without_survival()
    unit = third - first
    if not unit > 0.0:
        unit = _wider(sides)
    share = _SHARE * unit
    marks, tails = [], []
    for sign, function, end in ((-1.0, sides.lower, sides.low), (1.0, sides.upper, sides.high)):
        outer, tail = march(function, centre, unit, sign, end, name)
        marks.append(outer)
        tails.append(tail)
    edges = np.unique(np.concatenate([marks[0], [centre], marks[1]]))
    if knots is not None:
        edges = np.unique(np.append(edges, knots[(knots > edges[0]) & (knots < edges[-1])]))
    pieces = []
    for function, part in ((sides.lower, edges[edges <= centre]), (sides.upper, edges[edges >= centre])):
        pieces.append(_panels(function, part, share, sides))
    coefficients = np.concatenate([piece.coefficients for piece in pieces])
    steps = np.concatenate([piece.steps for piece in pieces])
    starts = np.concatenate([piece.starts for piece in pieces])
    last = float(sides.upper(edges[-1:])[0])
    table = CdfTable(centre, np.append(starts, edges[-1]), coefficients, steps, (tails[0], tails[1]), last)
    table.error = sum(piece.error for piece in pieces) + tails[0].error + tails[1].error
    table.cdf_error = max(piece.roughness for piece in pieces)
    table.evaluations = sides.evaluations
    _check_monotone(table, sides)
    return table


def _quartile(sides: Sides, level: float, hint: float) -> float:
    """The hint, if it is about right, else the float at which F reaches the level, by bisection over all floats."""
    if sides.low <= hint <= sides.high and abs(hint) < LARGEST:
        height = float(sides.lower(np.array([hint]))[0])
        if abs(height - level) < 0.1:
            return float(hint)
    return float(search(sides.somewhere, np.array([level]), (sides.low, sides.high))[0])


def _wider(sides: Sides) -> float:
    """A length for a law whose quartiles are one atom."""
    for level in (0.1, 1e-2, 1e-4, 1e-6):
        ends = search(sides.somewhere, np.array([level, 1.0 - level]), (sides.low, sides.high))
        if ends[1] > ends[0]:
            return float(ends[1] - ends[0])
    raise ValueError(f"{sides.name} has all its mass at one number; give the number as the reward")


@dataclass
class _Panels:
    starts: FloatArray
    coefficients: FloatArray
    steps: BoolArray
    error: float
    roughness: float


def _panels(function: Function, edges: FloatArray, share: float, sides: Sides) -> _Panels:
    """Interpolants of `function` between the edges, bisected until they are smooth, noise, or a step."""
    low, high = edges[:-1], edges[1:]
    before = np.full(len(low), np.inf)
    starts, found, steps = [np.empty(0)], [np.empty((0, DEGREE + 1))], [np.empty(0, dtype=np.bool_)]
    error = roughness = 0.0
    while len(low):
        if sides.evaluations + len(low) * (DEGREE + 1) > _MOST_EVALUATIONS:
            raise ValueError(
                f"{sides.name}: its CDF has more jumps or kinks than {_MOST_EVALUATIONS:,} of its values resolve, or "
                "too much noise; use a distrl.FiniteLaw of its values or of some hundred quantiles"
            )
        middle = low + (high - low) / 2
        x = middle[:, None] + (high - low)[:, None] / 2 * _NODES
        x[:, 0], x[:, -1] = low, high
        values = function(x)
        coefficients = values @ _TO_COEFFICIENTS
        rough = np.abs(coefficients[:, -3:]).sum(axis=1)
        step = (middle <= low) | (middle >= high)
        # a singularity shrinks with its panel, noise does not
        noise = (rough <= _SMOOTH) & (np.where(rough < 1e-13, 4.0, 1.25) * rough > before)
        smooth = noise | ((rough <= _FINE) & (rough * (high - low) <= share))
        done = smooth | step
        coefficients[step, 1:], coefficients[step, 0] = 0.0, values[step, 0]
        step &= np.abs(values[:, -1] - values[:, 0]) > ATOM
        starts.append(low[done])
        found.append(coefficients[done])
        steps.append(step[done])
        error += float((rough * (high - low))[smooth].sum())
        roughness = max(roughness, float(rough[smooth].max(initial=0.0)))
        low, high = np.append(low[~done], middle[~done]), np.append(middle[~done], high[~done])
        before = np.tile(rough[~done], 2)
    order = np.argsort(np.concatenate(starts), kind="stable")
    return _Panels(
        np.concatenate(starts)[order], np.concatenate(found)[order], np.concatenate(steps)[order], error, roughness
    )


def _check_monotone(table: CdfTable, sides: Sides) -> None:
    x = table.edges
    heights = np.append(sides.lower(x[x < table.centre]), 1.0 - sides.upper(x[x >= table.centre]))
    falls = np.diff(heights) < -1e-7
    if falls.any():
        i = int(np.argmax(falls))
        raise ValueError(
            f"{sides.name}: its CDF falls from {heights[i]:.12g} at {x[i]:.12g} to {heights[i + 1]:.12g} at "
            f"{x[i + 1]:.12g}; use a distrl.FiniteLaw of a sample"
        )
