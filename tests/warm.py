"""For tests: Python programs that start at once, by the server of :mod:`warm_python`."""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import warm_python


def run_warm(
    words: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    library: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python with some words behind its name; both of its streams are in ``stdout``.

    Parameters
    ----------
    words : sequence of str
        A script and its arguments, or ``"-m"``, a module, and its arguments.
    folder : path
        In which it is run.
    environment : mapping, optional
        Its environment variables; by default those of the tests.
    library : path, optional
        A folder with a copy of this project's library that the program finds loaded already. It has
        to be the one that it would import, and nothing in it may have changed since it was made.
    """
    given = os.environ if environment is None else environment
    program = {
        "words": [str(word) for word in words], "folder": str(folder), "environment": dict(given),
    }  # fmt: skip
    place = _server(library)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said, Path(os.devnull).open() as nothing:
        streams = [nothing.fileno(), said.fileno(), said.fileno()]
        code = warm_python.ask(place, program, streams)
        said.seek(0)
        return subprocess.CompletedProcess(["python", *program["words"]], code, said.read())


@cache
def _server(library: Path | None = None) -> str:
    """Start a server, once per process of the tests, and end it with them; gives its place."""
    folder = tempfile.TemporaryDirectory(prefix="warm")  # a socket's path has to be short
    place = f"{folder.name}/socket"
    server = subprocess.Popen(
        [sys.executable, warm_python.__file__, "serve", place, *([library] if library else [])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"

    def end() -> None:
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return place
