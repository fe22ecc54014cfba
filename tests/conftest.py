"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

# The same examples on every machine and in every run; to look for new ones, run the tests with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items):
    """Keep the tests of a file together, which share preparations; benchmarks share nothing."""
    for item in items:
        if item.path.name != "test_benchmarks.py":
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
