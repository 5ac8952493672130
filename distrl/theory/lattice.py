"""What computing a law level by level can cost."""

from distrl._validation import FloatArray


def lattice_tail_w1(beyond: FloatArray, step: float, largest: int, mean: float) -> FloatArray:
    """W1 that it costs at most to put the mass beyond the last level K onto that level.

    A walk whose return G >= 0 passes K d does so by a reward of at most `largest` levels, and what follows it has a
    mean of at most `mean`: E(G - K d)+ <= P(G > K d) (largest * step + mean).

    Parameters
    ----------
    beyond : (S,) P(G > K d)
    step : d, in units of reward
    largest : the largest reward, in levels
    mean : what no state's mean return exceeds
    """
    return beyond * (largest * step + mean)
