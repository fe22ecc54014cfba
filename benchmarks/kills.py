"""Kill the workflow at random moments, run it again, and compare the results with undisturbed ones.

In turn, one job is killed, Snakemake (its jobs go on), or both as if the power had failed; always
by SIGKILL, which nothing can catch. Then the recipe of docs/interrupted.md is followed, and the run
goes on to the next kill, if there are to be several, or to its end. Results have to be the same
byte for byte, nothing half-made may be left, and nothing may be left to do.
Linux only: it looks for the jobs in /proc.
"""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from _cohort import finish, make_tiny_cohort, snakemake, start
from _common import add_quick, load, options, print_table, print_verdicts, write_json

KINDS = ("a job", "Snakemake", "both")
AGAIN = ("--cores", "2", "--rerun-incomplete")


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for temporary files")
    given = parser.parse_args()
    kinds = KINDS[::2] if given.quick else KINDS
    kills, per_run, n_sessions = (2, 2, 1) if given.quick else (given.kills, 1, 2)
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        undisturbed = Path(temporary) / "undisturbed"
        make_tiny_cohort(undisturbed, n_sessions)
        before = time.monotonic()
        finish(undisturbed, "--cores", "2")
        seconds = time.monotonic() - before
        expected = digests(undisturbed / "results")
        rows = []
        for first in range(0, kills, per_run):
            # Later there is nothing left to be cut off.
            moments = sorted(rng.randrange(4 * len(expected) // 5) for _ in range(per_run))
            chosen = [
                (kinds[(first + k) % len(kinds)], n_files, rng.random())
                for k, n_files in enumerate(moments)
            ]
            folder = Path(temporary) / f"run{first}"
            make_tiny_cohort(folder, n_sessions, simulated=undisturbed / "data")
            rows += run_with_kills(folder, chosen, expected)
    print_table(
        f"{kills} kills of a run of {seconds:.0f} s that makes {len(expected)} files; {load()}",
        ("killed", "files by then", "files that differ", "left over", "still to do"),
        [tuple(row.values()) for row in rows],
    )
    wrong = sum(row["different"] + row["left_over"] + row["to_do"] for row in rows)
    results: dict[str, Any] = {"files": len(expected), "undisturbed_s": seconds, "kills": rows}
    results["targets"] = print_verdicts([("files wrong, left over or to do", wrong, "<=", 0)])
    write_json(given.json, results)


def run_with_kills(
    folder: Path, kills: list[tuple[str, int, float]], expected: dict[str, str]
) -> list[dict[str, Any]]:
    """Run to the end in spite of some kills, each at so many files and some more seconds.

    What is wrong at the end stands in the row of each kill of the run.
    """
    killed = [{"killed": one[0], "by_then": run_until_kill(folder, *one)} for one in kills]
    finish(folder, *AGAIN)
    found = digests(folder / "results")
    ended = {
        "different": sum(found.get(name) != digest for name, digest in expected.items()),
        "left_over": len(found.keys() - expected.keys()),
        "to_do": still_to_do(folder),
    }
    return [row | ended for row in killed]


def run_until_kill(folder: Path, kind: str, n_files: int, more_seconds: float) -> int:
    """Run until there are so many files, and some more seconds; the files when it is killed."""
    process = start(folder, *AGAIN)
    while count(folder / "results") < n_files and process.poll() is None:
        time.sleep(0.05)
    time.sleep(more_seconds)
    by_then = count(folder / "results")
    if kind == "a job":
        kill_a_job(process.pid)
        process.wait()
    elif kind == "Snakemake":
        process.kill()
        process.wait()
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if kind != "a job":
        finish(folder, "--unlock")
    return by_then


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, hidden ones included; the report holds a clock."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "report.html"
    }


def count(folder: Path) -> int:
    """Count the finished files below a folder."""
    return sum(len(files) for _, _, files in os.walk(folder))


def kill_a_job(snakemake_number: int) -> None:
    """Kill the oldest job of a Snakemake, as soon as there is one."""
    while Path(f"/proc/{snakemake_number}/stat").exists():
        # What has ended since it was listed is in /proc no longer.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for number in below(snakemake_number):
                words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
                if any(b"/.snakemake/scripts/" in word for word in words[:2]):
                    os.kill(number, signal.SIGKILL)
                    return
            if is_zombie(snakemake_number):
                return
        time.sleep(0.02)


def is_zombie(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def below(number: int) -> list[int]:
    """The numbers of the processes that a process has started, and of those that they have."""
    found = []
    for task in Path(f"/proc/{number}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *below(child)]
    return found


def still_to_do(folder: Path) -> int:
    """Count the files that Snakemake would make."""
    said = subprocess.run(
        snakemake(folder, "--summary"), cwd=folder, text=True, check=True, capture_output=True
    ).stdout
    return sum(line.endswith("\tupdate pending") for line in said.splitlines())


if __name__ == "__main__":
    main()
