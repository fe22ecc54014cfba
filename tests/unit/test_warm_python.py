"""Programs of the tests' warm Python end as those of any other, and with whoever asked for them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import warm
import warm_python
from warm import run_warm

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")
# Writes its number and that of a child, then waits for ever.
ENDLESS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1] + ".part", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(60)
"""


def eventually(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def runs(process):
    """Whether there is such a process; one that has ended and waits to be noticed does not run."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux about processes")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_whoever_asked_for_it(tmp_path, how):
    script, numbers = tmp_path / "endless.py", tmp_path / "numbers"
    script.write_text(ENDLESS, encoding="utf-8")
    asks = [sys.executable, warm_python.__file__, "run", warm._server(), str(script), str(numbers)]
    with subprocess.Popen(asks, cwd=tmp_path) as asker:
        assert eventually(numbers.exists)
        program, child = map(int, numbers.read_text(encoding="utf-8").split())
        assert program != asker.pid
        assert runs(program)
        assert runs(child)
        asker.send_signal(how)
    assert eventually(lambda: not runs(program))
    assert eventually(lambda: not runs(child))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('done')", 0),
        ("import atexit; atexit.register(print, 'done')", 0),
        ("import threading; threading.Timer(0.1, print, ['done']).start()", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_how_a_program_ends_is_told(tmp_path, code, expected):
    script = tmp_path / "program.py"
    script.write_text(code, encoding="utf-8")
    done = run_warm([script], tmp_path)
    assert done.returncode == expected
    assert ("done" in done.stdout) == (expected == 0)


@pytest.mark.parametrize("code", ["raise SystemExit('why')", "raise ValueError('why')"])
def test_why_a_program_ends_is_said(tmp_path, code):
    script = tmp_path / "program.py"
    script.write_text(code, encoding="utf-8")
    done = run_warm([script], tmp_path)
    assert done.returncode == 1
    assert "why" in done.stdout


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_who_stands_for_python_ends_as_the_program_ends(tmp_path, how):
    script = tmp_path / "program.py"
    script.write_text(f"import os; os.kill(os.getpid(), {how:d})", encoding="utf-8")
    asks = [sys.executable, warm_python.__file__, "run", warm._server(), str(script)]
    assert subprocess.run(asks, cwd=tmp_path, check=False).returncode == -how


def test_a_program_imports_what_python_does_at_its_start(tmp_path):
    early = tmp_path / "early"
    early.mkdir()
    (early / "sitecustomize.py").write_text("import sys; print('early', sys.orig_argv[-1])")
    script = tmp_path / "program.py"
    script.write_text("print('late')", encoding="utf-8")
    done = run_warm([script], tmp_path, {**os.environ, "PYTHONPATH": str(early)})
    assert done.stdout.split() == ["early", str(script), "late"]
