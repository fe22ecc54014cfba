"""Snakemake for tests that only look what would be done: imported once, forked for each.

A dry run of a tiny cohort takes half a second, but importing Snakemake more than one. As a
program, this file reads a request per line, and answers each with a line.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path


def fork_snakemake(
    words: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with some words behind its name; both of its streams are in ``stdout``."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        request = {
            "words": words, "folder": str(folder), "environment": environment, "said": said.name,
        }  # fmt: skip
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(["snakemake", *words], code, said.read())


@cache
def _server() -> subprocess.Popen[str]:
    """Start the program below, once, and end it with the tests."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def serve() -> None:
    """Answer requests until there are no more."""
    import snakemake.cli  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            become_snakemake(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become_snakemake(words: list[str], folder: str, environment: dict[str, str], said: str) -> None:
    """Do what the command would; does not return."""
    from snakemake.cli import main

    stream = os.open(said, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(stream, standard)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[1:1] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["snakemake", *words]
    code = 1
    try:
        main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
