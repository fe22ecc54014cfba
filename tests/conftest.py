"""Settings of all tests."""

import gc
import os

import pytest
import threadpoolctl
from hypothesis import HealthCheck, settings

from derotation.jobs.starting import N_OBJECTS

# The processors already have a process of the tests each. Threads of the linear algebra, which wait
# for each other with busy loops, would make small products ten times slower. Set for the processes
# that the tests start, too (jobs of the workflow get as many as their rule says), and for this one,
# into which a plugin may have loaded NumPy before.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
threadpoolctl.threadpool_limits(1)

# A folder and a file whose tests take seconds each, not milliseconds.
LONG = {"workflow", "test_benchmarks.py"}

# The same examples on every machine and in every run; to look for new ones, run the tests with
# HYPOTHESIS_PROFILE=explore. A busy machine may take its time for an example.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", patient, derandomize=True)
settings.register_profile("explore", patient, derandomize=False, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Look for garbage rarely, and not among the many objects of the collected tests, which stay.

    To go through everything again and again takes a third of the time of collecting, and a tenth
    of that of the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(N_OBJECTS, *gc.get_threshold()[1:])


def pytest_collection_modifyitems(config, items):
    """Begin with what takes long where tests are spread over processes, lest one works on alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not LONG & {item.path.name, item.path.parent.name})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let whoever has nothing left take tests from the others, as by ``--dist worksteal``.

    The usual scheduler deals out an eighth of all tests at the start: one process gets all that
    take long, and the other has ended its own when a third of the time is still to come.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None
