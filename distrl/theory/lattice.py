"""What computing a law level by level can cost."""

from distrl._validation import FloatArray


def lattice_tail_w1(beyond: FloatArray, step: float, largest: int, mean: float) -> FloatArray:
    """W1 that it costs at most to put the mass beyond the last level K onto that level.

    A walk whose return G >= 0 passes K d does so by a reward of at most `largest` levels, and what follows has a mean
    of at most `mean`: E(G - K d)+ <= P(G > K d) (largest * step + mean).

    Parameters
    ----------
    beyond : array of any shape
        P(G > K d) of each state.
    step : float
        d, in units of reward.
    largest : int
        The largest reward, in levels.
    mean : float
        What no state's mean return exceeds.

    Returns
    -------
    array of the shape of `beyond`, in units of reward

    Notes
    -----
    Claim `lattice-levels`. Source: an own result, by the Markov property at the step that passes K d.
    """
    return beyond * (largest * step + mean)
