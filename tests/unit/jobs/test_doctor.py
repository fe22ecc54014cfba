"""What is said about a computer; most of it is made up here, to be known."""

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from derotation.cohort.config import validate_config
from derotation.jobs import doctor


def config(tmp_path, **changes):
    return validate_config(
        {"signals": {"sampling_rate": None}, "pathvars": {"results": str(tmp_path / "new/results")}}
        | changes
    )


def said(topic, settings):
    (finding,) = [each for each in doctor.examine(settings) if each.topic == topic]
    return finding


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IEXEC)
    return file


def test_small_memory_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "memory_mb", lambda: 1000)
    assert "8 GB or more" in said("computer", config(tmp_path)).advice
    monkeypatch.setattr(doctor, "memory_mb", lambda: 16_000)
    finding = said("computer", config(tmp_path))
    assert "16.0 GB of memory" in finding.found
    assert not finding.advice


def test_space_is_that_of_the_results_disk(tmp_path, monkeypatch):
    asked = []

    def usage(path):
        asked.append(path)
        return SimpleNamespace(free=2e9)

    monkeypatch.setattr(doctor.shutil, "disk_usage", usage)
    finding = said("results", config(tmp_path))
    assert finding.found == f"{tmp_path / 'new/results'}, 2 GB free"
    assert "pathvars.results" in finding.advice
    assert tmp_path in asked


def test_a_temporary_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    finding = said("temporary files", config(tmp_path))
    assert str(tmp_path / "file") in finding.found
    assert "TMPDIR" in finding.advice


@pytest.mark.parametrize(
    ("commands", "found", "advice"),
    [
        ((), "no commands of SLURM here", ""),
        (("sbatch", "squeue", "scancel", "sacct"), "sbatch, squeue, scancel, sacct", ""),
        (("sbatch", "squeue", "scancel"), "missing: sacct", "slurm-status-command: squeue"),
        (("squeue",), "missing: sbatch, scancel, sacct", "log in to a node"),
    ],
)
def test_commands_of_slurm(tmp_path, monkeypatch, commands, found, advice):
    (tmp_path / "bin").mkdir()
    for name in commands:
        program(tmp_path / "bin" / name, "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    finding = said("cluster", config(tmp_path))
    assert found in finding.found
    assert advice in finding.advice
    assert bool(advice) == bool(finding.advice)


def test_slurm_without_the_plugin(tmp_path, monkeypatch):
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        program(tmp_path / "bin" / name, "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert "derotation-workflow[slurm]" in said("cluster", config(tmp_path)).found
    finding = said("extras", config(tmp_path))
    assert finding.found == "none (not installed: formats, napari, nwb, zarr, slurm)"


def test_suite2p_is_looked_for_only_if_it_is_run(tmp_path):
    assert "not run" in said("Suite2p", config(tmp_path)).found


@pytest.mark.parametrize(
    ("script", "found", "advised"),
    [
        ("echo 1.0.2", "1.0.2 in ", False),
        ("echo warning >&2; echo 0.14.4", "0.14.4 in ", False),
        ("echo ModuleNotFoundError: no suite2p >&2; exit 1", "(ModuleNotFoundError: no", True),
        ("exit 1", "cannot import it", True),
    ],
)
def test_the_python_of_suite2p_is_asked(tmp_path, script, found, advised):
    python = program(tmp_path / "bin/python", script)
    settings = config(tmp_path, export={"suite2p": {"run": True, "python": str(python)}})
    finding = said("Suite2p", settings)
    assert found in finding.found
    assert str(python) in finding.found
    assert bool(finding.advice) == advised


def test_a_python_that_does_not_answer(tmp_path, monkeypatch):
    python = program(tmp_path / "bin/python", "exec sleep 20")
    monkeypatch.setattr(doctor, "_SUITE2P_S", 0.2)
    settings = config(tmp_path, export={"suite2p": {"run": True, "python": str(python)}})
    assert "timed out" in said("Suite2p", settings).found


def test_the_package_tells_where_it_lies(tmp_path):
    finding = said("derotation", config(tmp_path))
    assert "a link to the checkout" in finding.found or "installed in" in finding.found


def test_another_package_of_the_same_name_is_said(tmp_path, monkeypatch):
    sentence = "/there: files of two packages are mixed; mend it with: pip uninstall -y derotation"
    monkeypatch.setattr(doctor, "mixture", lambda search: sentence)
    finding = said("derotation", config(tmp_path))
    assert finding.found == "/there: files of two packages are mixed"
    assert finding.advice == "mend it with: pip uninstall -y derotation"
