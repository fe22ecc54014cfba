"""Crashes of other people's code stay theirs."""

import os
import signal
import time
from pathlib import Path

import pytest

from derotation.errors import ConfigError, MovieError, SignalError
from derotation.io import isolated
from derotation.io.isolated import call_isolated, stop_worker

# The worker finds these functions by the name of this module.
PATH = Path(__file__)


def name_of(path, *more):
    return (path.name, os.getpid(), *more)


def content(path):
    return path.read_text()


def crash(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(path):
    os._exit(3)


def sleep(path):
    time.sleep(60)


def take(path, n_bytes):
    return len(bytearray(n_bytes))


def fail(path, kind):
    raise kind(f"{path.name} is wrong")


def chatter(path):
    print("a library that prints", flush=True)
    return os.write(1, b"even past Python\n")


def unpicklable(path):
    return lambda: None


def call(function, *arguments, **options):
    return call_isolated(function, PATH, *arguments, error=SignalError, what="a test", **options)


@pytest.fixture(autouse=True, scope="module")
def _end_worker():
    yield
    stop_worker()


def test_paths_start_from_where_the_caller_is(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note.txt").write_text(name)
        monkeypatch.chdir(tmp_path / name)
        found = call_isolated(content, Path("note.txt"), error=SignalError, what="a note")
        assert found == name


def test_one_process_serves_all_files():
    name, process, more = call(name_of, 5)
    assert (name, more) == (PATH.name, 5)
    assert process != os.getpid()
    assert call(name_of)[1] == process


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (crash, r"the library that reads it crashed \(SIGSEGV\)"),
        (leave, r"the library that reads it ended its process \(exit code 3\)"),
    ],
)
def test_a_crash_names_the_file_and_the_next_file_is_read(function, why):
    with pytest.raises(SignalError, match=rf"test_isolated\.py cannot be read as a test \({why}"):
        call(function)
    assert call(name_of)[0] == PATH.name


def test_a_hang_is_ended():
    call(name_of)
    start = time.monotonic()
    with pytest.raises(SignalError, match=r"reading it took more than 0\.5 s"):
        call(sleep, timeout_s=0.5)
    assert time.monotonic() - start < 10
    assert call(name_of)[0] == PATH.name


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_is_limited():
    assert call(take, 10**8) == 10**8
    with pytest.raises(SignalError, match="takes more memory than any such file needs"):
        call(take, 3 * 10**9)


@pytest.mark.parametrize("kind", [ConfigError, SignalError, MovieError])
def test_the_librarys_own_errors_come_through(kind):
    with pytest.raises(kind, match=r"^test_isolated\.py is wrong$"):
        call(fail, kind)


@pytest.mark.parametrize("kind", [ValueError, IndexError, RecursionError, AssertionError])
def test_other_errors_become_the_librarys(kind):
    with pytest.raises(SignalError, match=rf"\({kind.__name__}: test_isolated\.py is wrong\)"):
        call(fail, kind)


def test_what_a_library_prints_does_not_get_in_between(capfd):
    assert call(chatter) == 17
    assert capfd.readouterr().out == ""


def test_what_cannot_be_returned_is_an_error():
    with pytest.raises(SignalError, match="cannot be read as a test"):
        call(unpicklable)


def test_a_forked_process_starts_its_own_worker():
    process = call(name_of)[1]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if call(name_of)[1] != process else 2
            stop_worker()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert call(name_of)[1] == process
    assert isolated.TIMEOUT_S <= 20
