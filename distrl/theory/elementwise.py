"""Formulas for numbers, over arrays."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray


def each(formula: Callable[..., float], *arguments: ArrayLike) -> float | FloatArray:
    """`formula` of numbers, or of every entry of arrays, which broadcast: each entry is what its numbers alone give.

    Parameters
    ----------
    formula : function of numbers
        It checks its arguments, and names the one that is out of range.
    *arguments : numbers or arrays

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast
    """
    if all(np.ndim(argument) == 0 for argument in arguments):
        return formula(*arguments)
    return np.asarray(np.vectorize(formula, otypes=[np.float64])(*arguments))
