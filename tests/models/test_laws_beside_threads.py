"""How long a law takes is what its own thread takes, whatever else the program does meanwhile."""

import hashlib
import threading
import time

import numpy as np
from scipy import stats

from distrl import MRP, Moments, evaluate


class Slow(stats.rv_continuous):
    """Uniform on [0, 1]; its first few calls wait, which takes no time of a processor."""

    def _cdf(self, x):
        if np.size(x) <= 3:
            time.sleep(0.2)
        return np.clip(x, 0.0, 1.0)


def test_a_law_is_not_too_slow_because_other_threads_are_busy():
    stop, block = threading.Event(), b"x" * 4_000_000

    def busy():
        while not stop.is_set():
            hashlib.sha256(block)  # with the interpreter's lock free

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        model = MRP([[1.0]], [Slow(a=0.0, b=1.0, name="slow")()], 0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    np.testing.assert_allclose(evaluate(model, Moments(2)).values, [1.0], atol=1e-9)
