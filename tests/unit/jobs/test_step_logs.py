"""What a job leaves in its log file."""

import faulthandler
import logging
import subprocess
import sys
import warnings

import pytest

from derotation.errors import SignalError
from derotation.jobs.logs import job_log, last_error


def test_messages_warnings_and_prints_reach_the_file(tmp_path):
    path = tmp_path / "logs" / "a.log"
    stderr, handlers = sys.stderr, list(logging.getLogger().handlers)
    with job_log(path):
        logging.getLogger("derotation.x").info("found 3 rotations")
        print("printed", file=sys.stderr)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", stacklevel=1)
    text = path.read_text()
    assert "INFO found 3 rotations" in text
    assert "printed" in text
    assert "careful" in text
    assert sys.stderr is stderr
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (SignalError("raw/s.npy: no ticks.\nCheck the cable."), "ERROR: raw/s.npy: no ticks."),
        (OSError(28, "No space left"), "ERROR: OSError: [Errno 28] No space left"),
    ],
)
def test_expected_errors_are_one_plain_paragraph(tmp_path, error, last):
    with pytest.raises(SystemExit) as caught, job_log(tmp_path / "a.log"):
        raise error
    assert caught.value.code == 1
    text = (tmp_path / "a.log").read_text()
    assert text.startswith(last)
    assert "Traceback" not in text


def test_bugs_keep_their_traceback_and_end_in_one_line(tmp_path):
    with pytest.raises(SystemExit), job_log(tmp_path / "a.log"):
        raise KeyError("center")
    text = (tmp_path / "a.log").read_text()
    assert "Traceback" in text
    assert text.splitlines()[-1] == "ERROR: KeyError: 'center'"


def test_an_older_log_is_replaced(tmp_path):
    (tmp_path / "a.log").write_text("old")
    with job_log(tmp_path / "a.log"):
        pass
    assert (tmp_path / "a.log").read_text() == ""


def test_the_error_is_taken_out_of_a_log(tmp_path):
    with job_log(tmp_path / "good.log"):
        logging.getLogger("x").info("well")
    with pytest.raises(SystemExit), job_log(tmp_path / "bad.log"):
        raise SignalError("raw/s.npy: no ticks.\nCheck the cable.")
    assert last_error(tmp_path / "good.log") is None
    assert last_error(tmp_path / "none.log") is None
    assert last_error(tmp_path / "bad.log") == "raw/s.npy: no ticks.\nCheck the cable."


CRASH = """
import ctypes
from derotation.errors import InputError
from derotation.io.files import write_text
from derotation.jobs.logs import job_log
class Path:
    def __fspath__(self):
        ctypes.string_at(0)
with job_log("a.log"):
    write_text(Path(), "")
"""


def test_a_crash_of_a_library_leaves_its_place(tmp_path):
    """A reader of damaged files may end Python itself, so that nothing is raised."""
    done = subprocess.run([sys.executable, "-c", CRASH], cwd=tmp_path, check=False, timeout=60)
    assert done.returncode < 0
    error = last_error(tmp_path / "a.log")
    assert error.startswith("a library crashed (Segmentation fault) in ")
    assert "(files.py, line " in error
    assert "\n" not in error


def test_somebody_who_listens_for_crashes_already_is_left_alone(tmp_path):
    before = faulthandler.is_enabled()
    with job_log(tmp_path / "a.log"):
        assert faulthandler.is_enabled()
    assert faulthandler.is_enabled() == before
