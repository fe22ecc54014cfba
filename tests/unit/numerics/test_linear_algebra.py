"""Linear algebra in one thread, in programs of their own that were given several."""

import json
import os
import subprocess
import sys

import pytest

from derotation.numerics.linear_algebra import ONE_THREAD

SAY = """
import json, threadpoolctl
def threads():
    found = threadpoolctl.threadpool_info()
    return sorted(each["num_threads"] for each in found if each["user_api"] == "blas")
"""
JOB = """
import sys
from derotation.jobs.logs import job_log
with job_log(sys.argv[1]):
    assert "numpy" not in sys.modules
    import numpy.linalg, scipy.linalg
    said = [threads()]
"""
FOR_A_WHILE = """
import numpy.linalg
from derotation.numerics.linear_algebra import in_one_thread
before = threads()
with in_one_thread():
    inside = threads()
said = [before, inside, threads()]
"""


def run(code, *arguments):
    several = dict.fromkeys(ONE_THREAD, "2")
    done = subprocess.run(
        [sys.executable, "-c", SAY + code + "\nprint(json.dumps(said))", *map(str, arguments)],
        env=os.environ | several, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def one_of_each():
    """The number of libraries is NumPy's and SciPy's own matter; none is a test of nothing."""
    said = run("import numpy.linalg, scipy.linalg; said = threads()")
    if set(said) != {2}:
        pytest.skip(f"threads of this linear algebra cannot be told: {said}")
    return [1] * len(said)


def test_of_a_job(tmp_path, one_of_each):
    assert run(JOB, tmp_path / "log") == [one_of_each]


def test_for_a_while(one_of_each):
    before, inside, after = run(FOR_A_WHILE)
    assert set(before) == {2}
    assert inside == one_of_each
    assert set(after) == {2}
