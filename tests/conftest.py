"""Settings of all tests."""

import os

from hypothesis import settings

# The same examples on every machine and in every run; to look for new ones, run the tests with
# HYPOTHESIS_PROFILE=explore. How long an example takes is a matter of what else the computer does.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, max_examples=300, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
