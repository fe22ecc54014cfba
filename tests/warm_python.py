"""Python programs in processes of their own that have the large libraries loaded already.

To import NumPy, SciPy, Numba, Matplotlib and Snakemake takes a process one to two seconds, longer
than most of the work of a tiny session. A server imports them once and forks for each program,
which runs as under its own Python: with its own environment, folder, arguments, streams and
modules of this project. A program ends when whoever asked for it is gone. As a program, this file
is that server, or it stands in place of Python:

    warm_python.py serve SOCKET [LIBRARY]
    warm_python.py run SOCKET script.py arguments ...

Given a folder with a copy of this project's library, the server loads that, too: for programs that
use this very copy.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

# No program of a test may take longer, in seconds.
MOST_SECONDS = 900
# Of this project nothing unless it is asked for: a program may bring a copy of its own.
LIBRARIES = (
    "docutils.parsers.rst", "docutils.writers.html5_polyglot", "jinja2", "jsonschema",
    "matplotlib.backends.backend_agg", "matplotlib.figure", "nbformat.v4", "numba", "numpy",
    "pandas", "PIL.PngImagePlugin", "pygments.formatters", "pygments.lexers", "requests",
    "scipy.fft", "scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.signal",
    "scipy.sparse", "scipy.spatial", "scipy.special", "scipy.stats", "skimage.measure",
    "skimage.registration", "smart_open", "snakemake.benchmark", "snakemake.cli",
    "snakemake.report", "snakemake.storage", "tifffile", "yaml", "yte",
)  # fmt: skip

# What the library loads when a file asks for it, where it is installed.
OPTIONAL = ("h5py", "nptdms", "pynwb")


def ask(place: str, program: dict[str, object], streams: list[int]) -> int:
    """Have the server run a program with these files as its streams; gives its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [b"."], streams)
        connection.sendall(json.dumps(program).encode() + b"\n")
        return int(_until(connection, b""))


def _until(connection: socket.socket, end: bytes) -> bytes:
    """Receive a message up to its last byte, or, where this is nothing, to the end of all."""
    message = b""
    while not end or not message.endswith(end):
        received = connection.recv(1 << 16)
        if not received:
            break
        message += received
    return message


def load(library: str | None) -> None:
    """Import what programs need, and a copy of this project's library if there is one."""
    import gc

    for name in LIBRARIES:
        importlib.import_module(name)
    # Snakemake looks for its plugins when it is asked for its arguments, and remembers them.
    sys.modules["snakemake.cli"].get_argument_parser()
    if library is not None:
        sys.path.insert(0, library)
        load_package("derotation")
        sys.path.remove(library)
        load_compiler()
        for name in OPTIONAL:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # Programs neither look at these objects for garbage nor, by that, copy the memory they are in.
    gc.freeze()


def load_package(name: str) -> None:
    """Import all modules of a package."""
    import pkgutil

    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def load_compiler() -> None:
    """Let Numba compile something: what it loads for that, each program that has kernels needs.

    The kernels themselves are left to the programs: which of several copies of a function's code
    is used depends on what was loaded first, and so do the last digits of results.
    """
    import numba
    import numpy as np

    numba.njit(lambda values: values.sum())(np.ones(2))


def serve(place: str, library: str | None = None) -> None:
    """Run programs until the standard input ends."""
    import select

    load(library)
    signal.signal(signal.SIGCHLD, _reap)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if not os.fork():
                    listener.close()
                    become_program(connection, place)


def _reap(*_: object) -> None:
    """Wait for those who have waited for their program."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def become_program(connection: socket.socket, place: str) -> NoReturn:
    """Start the program in one more child, wait for it and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    program = json.loads(_until(connection, b"\n"))
    child = os.fork()
    if child:
        wait_for_program(child, connection)
    os.setpgid(0, 0)
    connection.close()
    signal.alarm(MOST_SECONDS)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(program["environment"])
    os.chdir(program["folder"])
    code = 1
    try:
        code = exit_code(program["words"], place)
    finally:
        end_at_once(code)


def wait_for_program(child: int, connection: socket.socket) -> NoReturn:
    """Tell the exit code of a program, or end it when nobody asks for it any more."""
    with contextlib.suppress(OSError):  # whoever of both is first
        os.setpgid(child, child)
    threading.Thread(target=_end_if_unasked, args=(child, connection), daemon=True).start()
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _end_if_unasked(child: int, connection: socket.socket) -> None:
    """End a program, and what it has started, when the other end of the connection is closed."""
    with contextlib.suppress(OSError):
        _until(connection, b"")
        os.killpg(child, signal.SIGKILL)


def exit_code(words: list[str], place: str) -> int:
    """Run the program; what it ends with, as Python tells and says it."""
    try:
        run_program(words, place)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    else:
        return 0
    return 1


def end_at_once(code: int) -> NoReturn:
    """End as Python does, but leave to the system what was ever loaded.

    To take it apart takes longer than many a program, since the memory it is in is copied for that.
    """
    import atexit

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run_program(words: list[str], place: str) -> None:
    """Do what Python does with these words behind its name."""
    import runpy

    own = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    of_module = words[0] == "-m"
    first = Path.cwd() if of_module else Path(words[0]).resolve().parent
    sys.path[:1] = [str(first), *own]
    sys.orig_argv = [sys.executable, *words]
    sys.argv = words[1:] if of_module else words
    if any(Path(folder, "sitecustomize.py").exists() for folder in own):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    if words[:2] == ["-m", "snakemake"]:
        start_jobs_here(place)
    if of_module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


def start_jobs_here(place: str) -> None:
    """Let the jobs of this Snakemake be programs of the server, too, if that is asked for."""
    import shlex

    from snakemake.script import PythonScript

    if os.environ.pop("WARM_JOBS", "") != "yes":
        return
    python = shlex.join([sys.executable, "-IS", __file__, "run", place])

    def execute_script(self, fname, edit=False):
        self._execute_cmd("{python} {fname:q}", python=python, fname=fname, is_python_script=True)

    PythonScript.execute_script = execute_script


def stand_for_python(place: str, words: list[str]) -> None:
    """Run a program in the server, and end as it ends."""
    program = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    code = ask(place, program, [0, 1, 2])
    if code < 0:
        with contextlib.suppress(OSError):  # there is no other way with SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    {"serve": lambda: serve(*sys.argv[2:]),
     "run": lambda: stand_for_python(sys.argv[2], sys.argv[3:])}[sys.argv[1]]()  # fmt: skip
