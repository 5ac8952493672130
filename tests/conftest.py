"""What every run of the suite has in common: the same examples everywhere, unless it is the nightly one.

The examples that Hypothesis draws depend on a test's text alone: not on the clock, a database of former failures, the
folder, or which modules happen to be loaded (whose constants it would otherwise try, so that the order of the tests and
the number of workers count). Compile times break deadlines, so there are none. `HYPOTHESIS_PROFILE=nightly` explores
(see `tests/nightly.py`), and runs the long loops that are marked `nightly`; `short` is for the passes that look at
other things than the examples.

Ctrl-C is tested: a suite started in the background by a shell has inherited that SIGINT is ignored, and unlearns it.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
_COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=50, derandomize=True, **_COMMON)
settings.register_profile("short", max_examples=20, derandomize=True, **_COMMON)
settings.register_profile("nightly", max_examples=300, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
if not NIGHTLY and hasattr(providers, "_local_constants"):  # tests/test_suite.py fails where this is no longer the way
    providers._get_local_constants = lambda: providers._local_constants  # none, whatever is loaded
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `nightly`, but for the nightly run."""
    if NIGHTLY:
        return
    left_out = [item for item in items if item.get_closest_marker("nightly")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
