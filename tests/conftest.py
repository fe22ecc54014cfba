"""Settings of all tests."""

import os

from hypothesis import HealthCheck, settings

# The same examples on every machine and in every run; to look for new ones, run the tests with
# HYPOTHESIS_PROFILE=explore. A busy machine may take its time for an example.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", patient, derandomize=True)
settings.register_profile("explore", patient, derandomize=False, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
