"""What jobs load beside their work."""

import gc
import subprocess
import sys
import weakref

import pytest

from derotation.jobs.logs import job_log
from derotation.jobs.starting import N_OBJECTS

CODE = """
import sys, threading
from derotation.jobs.logs import job_log

with job_log(sys.argv[1], draws=sys.argv[2] == "draws"):
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    print("loaded", "matplotlib.figure" in sys.modules)
    from matplotlib.artist import kwdoc
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    print("described", "antialiased" in kwdoc(Line2D))
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 3, 2])
    figure.savefig(sys.argv[3])
"""


def said(*given):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, given)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.split("\n")[:2]


def test_what_draws_is_there_when_it_is_needed_and_draws_the_same(tmp_path):
    usual, beside = tmp_path / "usual.png", tmp_path / "beside.png"
    assert said(tmp_path / "log", "not", usual) == ["loaded False", "described True"]
    assert said(tmp_path / "log", "draws", beside) == ["loaded True", "described True"]
    assert usual.read_bytes() == beside.read_bytes()


class Knot:
    """Objects that refer to each other: only a search for garbage frees them."""

    def __init__(self):
        self.other = [self]


@pytest.mark.parametrize("error", [None, ValueError("a bug"), KeyboardInterrupt()])
def test_garbage_is_looked_for_rarely_while_a_job_works(tmp_path, error):
    before = gc.get_threshold()
    gc.collect()
    try:
        with job_log(tmp_path / "job.log"):
            first = weakref.ref(Knot())
            few = [Knot() for _ in range(N_OBJECTS // 10)]
            assert first() is not None
            # Not never: a long job does not keep all that it made.
            many = [Knot() for _ in range(N_OBJECTS)]
            assert first() is None
            del few, many
            if error is not None:
                raise error
    except BaseException as raised:
        assert error is not None, raised  # noqa: PT017
    assert gc.get_threshold() == before
