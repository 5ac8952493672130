"""From the name of a method of intervals to the method."""

from distrl._validation import RandomSource
from distrl.generative.intervals.base import IntervalMethod
from distrl.generative.intervals.bootstrap import Bootstrap
from distrl.generative.intervals.delta import Delta
from distrl.generative.intervals.finite_sample import FiniteSample

_NAMES = ("delta", "bootstrap", "finite-sample")


def interval_method(
    method: str | IntervalMethod,
    simultaneous: bool,
    numerical: bool,
    resamples: int,
    rng: RandomSource,
    threads: int | None,
) -> IntervalMethod:
    """The method that a user names, with its options, or the object that he gives, which has its own.

    Raises
    ------
    ValueError, TypeError
        If the name is not known, the object is no method, or an option is not for it.
    """
    if not isinstance(method, str):
        if not isinstance(method, IntervalMethod) or isinstance(method, type):
            hint = f"; create it: {method.__name__}(...)" if isinstance(method, type) else ""
            raise TypeError(f"method must be one of {', '.join(_NAMES)}, or a method object; got {method!r}{hint}")
        if simultaneous or not numerical or resamples != 200 or rng is not None or threads is not None:
            raise ValueError(
                f"{method!r} has its options; leave simultaneous, numerical, resamples, rng and threads out"
            )
        return method
    if method == "delta":
        return Delta(simultaneous, numerical, resamples, rng, threads)
    if method == "bootstrap":
        return Bootstrap(simultaneous, numerical, resamples, rng, threads)
    if method != "finite-sample":
        raise ValueError(f"method must be one of {', '.join(_NAMES)}; got {method!r}")
    if not numerical:
        raise ValueError("finite-sample intervals are for the exact law; leave numerical out")
    return FiniteSample()
