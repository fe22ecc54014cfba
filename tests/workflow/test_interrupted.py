"""Work that is cut off: a full disk, two runs at once, and kills at random moments."""

import json
import resource
import signal
import subprocess
import sys
import time

from tiny_cohort import ROOT


def test_a_full_disk_in_the_middle_of_a_movie(finished):
    """A limit on the size of files stands for the disk: the same error, on every computer."""
    movie = finished.folder / "results/b/derotated.tif"
    limit = movie.stat().st_size // 2
    finished.config["derotate"] = {"interpolation": "nearest"}
    finished.write()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *finished.words(("results/b/derotated.tif",))],
        cwd=finished.folder, env=finished.environment(), check=False, timeout=300,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1
    log = (finished.folder / "logs/b/derotate_movie.log").read_text()
    last = log.splitlines()[-1]
    assert last.startswith("ERROR: OSError: ")
    assert "File too large; could not write: 'results/b/derotated.tif'" in last
    assert last in done.stdout
    assert "Traceback" not in log
    left = [file.name for file in movie.parent.iterdir() if "derotated" in file.name]
    assert left == []
    # With room again, the same command finishes.
    assert finished.run("results/b/derotated.tif").returncode == 0
    assert movie.stat().st_size > limit


def test_a_second_snakemake_on_the_same_sessions_is_refused(finished):
    finished.config["derotate"] = {"interpolation": "nearest"}
    finished.write()
    target = "results/b/derotated.tif"
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *finished.words((target,))],
        cwd=finished.folder, env=finished.environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    locks = finished.folder / ".snakemake/locks"
    while not (locks.is_dir() and any(locks.iterdir())):
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)  # lest it be done before the second has begun
    try:
        second = finished.run(target)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout
    assert "--unlock" in second.stdout
    assert first.wait(timeout=300) == 0
    assert (finished.folder / target).stat().st_size > 0


def test_results_after_kills_are_those_of_an_undisturbed_run(tmp_path):
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/kills.py", "--quick", "--json", figures],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert [kill["killed"] for kill in found["kills"]] == ["a job", "both"]
    # Something had been cut off each time.
    assert all(kill["by_then"] < found["files"] for kill in found["kills"])
    assert all(target["met"] for target in found["targets"])
