"""Hypothesis profiles: compile times break deadlines, so there are none; CI is derandomised.

Ctrl-C is tested: a suite started in the background by a shell has inherited that SIGINT is ignored, and unlearns it.
"""

import os
import signal

from hypothesis import HealthCheck, settings

_SLOW_FIRST_CALL = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=_SLOW_FIRST_CALL)
settings.register_profile(
    "ci", deadline=None, max_examples=50, derandomize=True, print_blob=True, suppress_health_check=_SLOW_FIRST_CALL
)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=_SLOW_FIRST_CALL)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))
signal.signal(signal.SIGINT, signal.default_int_handler)
