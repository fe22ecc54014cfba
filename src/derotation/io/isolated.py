"""Reading damaged files with other people's compiled code, so that a crash stays theirs.

Some libraries end the whole process by a segmentation fault, take all memory or never come back
when a few bytes of a file are wrong. Their first look at a file is therefore done by a worker: one
process for all files, with limits of memory and time, that is started again when it dies.
"""

import atexit
import contextlib
import importlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from derotation.errors import DerotationError, InputError
from derotation.numerics.linear_algebra import ONE_THREAD

__all__ = ["call_isolated", "stop_worker"]

T = TypeVar("T")

#: What a worker may take for one file, beyond what its libraries take by themselves.
MEMORY_BYTES = 2**31
TIMEOUT_S = 20.0
_LENGTH = struct.Struct("<Q")
# Libraries are looked up where this process found them, in a test or a checkout, too.
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from derotation.io.isolated import serve; serve({memory})"
)


class _Worker:
    """A process that calls functions for this one."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        program = _PROGRAM.format(path=sys.path, memory=memory_bytes)
        # Threads of a library for linear algebra would each reserve address space.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )

    def call(self, task: bytes, timeout_s: float) -> tuple[str, Any]:
        """Return "value" and what a function returned, "error" and what it raised, or "died"."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.daemon = True
        timer.start()
        try:
            _send(self._process.stdin, task)
            answer = _receive(self._process.stdout)
        except (OSError, EOFError):
            answer = None
        finally:
            timer.cancel()
        if answer is not None:
            kind, value = pickle.loads(answer)
            return kind, value
        code = self._process.wait()
        if late.is_set():
            return "died", f"reading it took more than {timeout_s:g} s"
        if code < 0:
            with contextlib.suppress(ValueError):
                return "died", f"the library that reads it crashed ({signal.Signals(-code).name})"
        return "died", f"the library that reads it ended its process (exit code {code})"

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


_lock = threading.Lock()
_worker: _Worker | None = None


def call_isolated(
    function: Callable[..., T],
    path: Path,
    *arguments: Any,
    error: type[InputError],
    what: str,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
) -> T:
    """Call a function in the worker.

    Parameters
    ----------
    function
        A function on the level of its module; called with `path` and `arguments`.
    path
        The file that it reads.
    arguments
        Whatever can be pickled; so must be what the function returns.
    error
        The class of errors about this kind of file.
    what
        What the file should be, for messages: "a .mat file".
    timeout_s
        Seconds after which the worker is stopped.
    memory_bytes
        What the worker may take.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    DerotationError
        What the function raised of the library's own errors (`error` for a plain InputError);
        `error` for all others, and if the worker crashed, took too much memory or too long.
    """
    # The worker may have been started in another folder than the one that the path starts from.
    name = (function.__module__, function.__qualname__)
    task = pickle.dumps((os.getcwd(), *name, (path, *arguments)))  # noqa: PTH109
    with _lock:
        kind, value = _working(memory_bytes).call(task, timeout_s)
        if kind == "died":
            _stop()
    if kind == "value":
        return value  # type: ignore[no-any-return]
    if type(value) is InputError:
        raise error(*value.args)
    if isinstance(value, DerotationError):
        raise value
    raise error(
        f"{path} cannot be read as {what} ({value}). It is damaged or holds something else; copy "
        "it again from its source, or save it anew."
    )


def stop_worker() -> None:
    """End the worker, if there is one."""
    with _lock:
        _stop()


def _stop() -> None:
    global _worker
    if _worker is not None:
        _worker.stop()
        _worker = None


def _working(memory_bytes: int) -> _Worker:
    """Return the worker; start one where there is none with such a limit."""
    global _worker
    if _worker is not None and _worker.memory_bytes != memory_bytes:
        _stop()
    if _worker is None:
        _worker = _Worker(memory_bytes)
        atexit.register(stop_worker)
    return _worker


def _forget_worker() -> None:
    """Forget the worker in a forked process: it is its parent's."""
    global _worker, _lock
    _worker, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_worker)


def serve(memory_bytes: int) -> None:
    """Call functions that are asked for on the standard input until it ends.

    Parameters
    ----------
    memory_bytes
        Address space that may be taken in addition to what is taken at the start.
    """
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not get in between.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory_bytes)
    while True:
        try:
            folder, module, name, arguments = pickle.loads(_receive(source))
        except EOFError:
            return
        answer: tuple[str, object]
        try:
            os.chdir(folder)
            answer = ("value", getattr(importlib.import_module(module), name)(*arguments))
        except DerotationError as error:
            # Its cause may be something that cannot be pickled.
            answer = ("error", type(error)(*error.args))
        except MemoryError:
            answer = ("error", "reading it takes more memory than any such file needs")
        except Exception as error:
            answer = ("error", f"{type(error).__name__}: {error}")
        try:
            content = pickle.dumps(answer)
        except Exception as error:
            content = pickle.dumps(("error", f"{type(error).__name__}: {error}"))
        _send(sink, content)


def _limit_memory(n_bytes: int) -> None:
    """Set a limit to the address space, where the system knows one."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            taken = int(file.read().split()[0]) * resource.getpagesize()
        limit = taken + n_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        # A crash is expected here and no reason to write gigabytes to the disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def _send(stream: BinaryIO | Any, content: bytes) -> None:
    stream.write(_LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content: bytes = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
