"""Hypothesis profiles: compile times break deadlines, so there are none; CI is derandomised."""

import os

from hypothesis import HealthCheck, settings

_SLOW_FIRST_CALL = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=_SLOW_FIRST_CALL)
settings.register_profile(
    "ci", deadline=None, max_examples=50, derandomize=True, print_blob=True, suppress_health_check=_SLOW_FIRST_CALL
)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=_SLOW_FIRST_CALL)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))
