import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from derotation.cli import main
from derotation.simulate import simulate_session

TINY = {
    "shape": (24, 32),
    "frame_rate": 10,
    "sampling_rate": 5000,
    "stimulus": ((150, 1),),
    "rest_before_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 5,
    "calcium": False,
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two recordings, and a third of which half is missing."""
    folder = tmp_path_factory.mktemp("raw")
    simulate_session(folder / "day1", **TINY)
    shutil.rmtree(folder / "results", ignore_errors=True)
    for name in ("day2", "day3"):
        shutil.copytree(folder / "day1", folder / name)
    (folder / "day3/signals.npy").unlink()
    for truth in folder.glob("*/truth*"):
        truth.unlink()
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, raw):
    """A folder with a configuration, in which the command is started, and a copy of the files."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(raw, tmp_path / "raw")
    (tmp_path / "config").mkdir()
    write_config(tmp_path)
    return tmp_path


def write_config(folder, **changes):
    config = {"sessions": "sheet.tsv", "signals": {"sampling_rate": 5000}} | changes
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))


def test_from_folder_to_cohort(workplace, capsys):
    assert main(["discover", "raw"]) == 0
    said = capsys.readouterr().out
    assert "day1: full" in said
    assert "raw/day3: no analog signals" in said
    assert "found 2, could not pair 1" in said
    assert main(["check"]) == 0
    table = capsys.readouterr().out
    n_frames = len(tifffile.imread("raw/day1/movie.tif"))
    row = next(line for line in table.splitlines() if line.startswith("day2")).split()
    assert row[:5] == ["day2", "full", str(n_frames), "32", "x"]
    assert row[-1] == "ok"
    signals = np.load("raw/day1/signals.npy", mmap_mode="r")
    assert f"{signals.shape[1] / 5000:.1f}" in row


def test_nothing_is_replaced_unasked(workplace, capsys):
    (workplace / "sheet.tsv").write_text("mine\n1\n")
    assert main(["discover", "raw"]) == 1
    assert "--force" in capsys.readouterr().err
    assert (workplace / "sheet.tsv").read_text() == "mine\n1\n"
    assert main(["discover", "raw", "--dry-run"]) == 0
    assert (workplace / "sheet.tsv").read_text() == "mine\n1\n"
    assert main(["discover", "raw", "-o", "other.tsv"]) == 0
    assert main(["discover", "raw", "--force"]) == 0
    assert (workplace / "sheet.tsv").read_text() == (workplace / "other.tsv").read_text()


@pytest.mark.parametrize("sheet", ["", "session\tprotocol\n", "# mine\nsession\n\n# x\ty\n"])
def test_a_sheet_without_sessions_may_be_replaced(workplace, sheet):
    (workplace / "sheet.tsv").write_text(sheet)
    assert main(["discover", "raw"]) == 0
    assert "day2" in (workplace / "sheet.tsv").read_text()


@pytest.mark.parametrize("sheet", ["session\nday2\n", "mine\nyours"])
def test_a_sheet_with_sessions_may_not(workplace, sheet):
    (workplace / "sheet.tsv").write_text(sheet)
    assert main(["discover", "raw"]) == 1
    assert (workplace / "sheet.tsv").read_text() == sheet


def test_patterns_stand_in_the_configuration(workplace, capsys):
    write_config(workplace, discover={"signals": ["*.bin"]})
    assert main(["discover", "raw"]) == 1
    assert "no file in raw/day1 matches *.bin" in capsys.readouterr().out


def spoil(folder, what):
    day1 = folder / "raw/day1"
    if what == "no movie":
        (day1 / "movie.tif").write_bytes(b"II*\0")
    elif what == "channels":
        np.save(day1 / "signals.npy", np.load(day1 / "signals.npy")[:3])
    elif what == "short signals":
        movie = tifffile.imread(day1 / "movie.tif")
        tifffile.imwrite(day1 / "movie.tif", movie, imagej=True, metadata={"finterval": 0.1})
        np.save(day1 / "signals.npy", np.load(day1 / "signals.npy")[:, :4000])
    elif what == "stimulus":
        (day1 / "stimulus.csv").write_text("speed\n3\n")
    elif what == "size":
        tifffile.imwrite(day1 / "movie.tif", np.zeros((5, 16, 16), np.uint16))
        sheet = (folder / "sheet.tsv").read_text().splitlines()
        sheet[2] = sheet[2] + "day1"
        (folder / "sheet.tsv").write_text("\n".join(sheet))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no movie", "raw/day1/movie.tif"),
        ("channels", "raw/day1/signals.npy"),
        ("short signals", "they last 0.8 s, the movie 4.4 s, which is longer"),
        ("stimulus", "raw/day1/stimulus.csv"),
        ("size", "those of day1, its calibration, 16 x 16"),
    ],
)
def test_check_names_what_is_wrong(workplace, capsys, what, said):
    main(["discover", "raw"])
    spoil(workplace, what)
    capsys.readouterr()
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert "PROBLEM" in out or what == "size"
    assert next(line for line in out.splitlines() if line.startswith("day2")).endswith("ok")


def test_too_little_room(workplace, capsys, monkeypatch):
    main(["discover", "raw"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9e9, 9e9, 1000))
    assert main(["check"]) == 1
    assert "results: the results will take about" in capsys.readouterr().out


def test_errors_of_the_configuration(workplace, capsys):
    (workplace / "mine.yaml").write_text("center: {methd: fixed}")
    (workplace / "sheet.tsv").write_text("session\n")
    assert main(["check", "--configfile", "mine.yaml"]) == 1
    said = capsys.readouterr().err
    assert "mine.yaml" in said
    assert "methd" in said


def test_outside_a_workflow(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "config/config.yaml" in capsys.readouterr().err


COMMANDS = ("init", "discover", "check", "run", "report", "doctor")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    assert "derotation" in capsys.readouterr().out


def test_the_demo_is_simulated(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("demo_full")).endswith("simulated")


# In a study's own folder


@pytest.fixture
def study(workplace, monkeypatch):
    """A study that was made by the command, seen from elsewhere."""
    folder = workplace / "my study"
    assert main(["init", str(folder)]) == 0
    shutil.move(workplace / "raw", folder / "raw")
    config = folder / "config/config.yaml"
    text = config.read_text()
    config.write_text(text.replace("sampling_rate: null", "sampling_rate: 5000"))
    elsewhere = workplace / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def test_commands_are_as_if_given_in_the_study(study, capsys):
    here = ["--directory", "../my study"]
    assert main(["discover", "raw", *here]) == 0
    sheet = (study / "config/sessions.tsv").read_text()
    assert "\traw/day1/movie.tif\t" in sheet
    assert main(["check", *here]) == 0
    assert "day2" in capsys.readouterr().out
    (study / "mine.yaml").write_text("center: {methd: fixed}")
    assert main(["check", *here, "--configfile", "mine.yaml"]) == 1
    assert "mine.yaml" in capsys.readouterr().err
    assert not list((study.parent / "elsewhere").iterdir())


def test_a_study_is_not_overwritten(study, capsys):
    assert main(["init", str(study)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert "sampling_rate: 5000" in (study / "config/config.yaml").read_text()


def test_a_new_study_asks_for_what_it_lacks(tmp_path, capsys, raw):
    assert main(["init", str(tmp_path / "new")]) == 0
    assert main(["check", "-d", str(tmp_path / "new")]) == 1
    assert "config/sessions.tsv: there is no session in it" in capsys.readouterr().err
    assert main(["discover", str(raw), "-d", str(tmp_path / "new")]) == 0
    capsys.readouterr()
    assert main(["check", "-d", str(tmp_path / "new")]) == 1
    said = capsys.readouterr()
    assert "sampling_rate" in said.out + said.err


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["check", "--directory", str(tmp_path / "x")]) == 1
    assert f"there is no folder {tmp_path / 'x'}" in capsys.readouterr().err


def test_unknown_arguments_are_for_snakemake_alone(study, capsys, monkeypatch):
    started = []
    monkeypatch.setattr("os.execv", lambda *words: started.append((Path.cwd(), *words)))
    words = ["-F", "results/a/angles.csv", "--cores", "2", "--profile", "slurm", "--dir"]
    with pytest.raises(TypeError):  # what replaces this process does not come back
        main(["run", *words[:3], "-d", str(study), *words[3:]])
    ((folder, program, command),) = started
    assert folder == study
    assert command == [program, "-m", "snakemake", *words]
    with pytest.raises(SystemExit) as stop:
        main(["check", "-n"])
    assert stop.value.code == 2


def test_the_doctor_says_what_is_there(study, capsys):
    assert main(["doctor", "-d", str(study)]) in (0, 1)
    said = capsys.readouterr().out
    for topic in ("system", "derotation", "software", "computer", "results", "cluster", "Suite2p"):
        assert f"\n{topic}: " in f"\n{said}"
    assert f"results: {study}/results" in said


def test_the_doctor_looks_at_a_configuration_that_is_wrong(study, capsys):
    (study / "mine.yaml").write_text("center: {methd: fixed}")
    assert main(["doctor", "-d", str(study), "--configfile", "mine.yaml"]) == 1
    said = capsys.readouterr().out
    assert "configuration: mine.yaml, line 1: center" in said
    assert "To be mended:" in said


def test_the_doctor_finds_no_fault_with_a_folder_that_is_no_study(tmp_path, capsys):
    main(["doctor", "-d", str(tmp_path)])
    said = capsys.readouterr().out
    assert f"study: there is none in {tmp_path}" in said
    assert "derotation init STUDY" in said
    assert "configuration" not in said


def test_signals_are_looked_at_without_any_configuration(tmp_path, monkeypatch, capsys, raw):
    monkeypatch.chdir(tmp_path)
    assert main(["signals", str(raw / "day1/signals.npy"), "--frame-rate", "10"]) == 0
    said = capsys.readouterr().out
    for words in ("line clock", "frame clock", "rotation on", "ticks", "10 frames of 24 lines per"):
        assert words in said
    text = said.partition("Lines for the configuration:")[2].partition("Picture:")[0]
    assert yaml.safe_load(text)["signals"] == {
        "sampling_rate": 5000,
        "channel_order": ["line_clock", "frame_clock", "rotation_on", "rotation_ticks"],
        "rotation_increment": 0.2,
    }
    assert "Picture: signals.png" in said
    assert (tmp_path / "signals.png").read_bytes().startswith(b"\x89PNG")
    # Nobody's picture is replaced.
    (tmp_path / "signals.png").write_bytes(b"mine")
    assert main(["signals", str(raw / "day1/signals.npy")]) == 0
    assert "Picture: signals_2.png" in capsys.readouterr().out
    assert (tmp_path / "signals.png").read_bytes() == b"mine"
    assert main(["signals", "none.npy"]) == 1
    assert "none.npy does not exist" in capsys.readouterr().err


def test_a_study_begins_with_what_a_recording_tells(tmp_path, monkeypatch, capsys, raw):
    monkeypatch.chdir(tmp_path)
    movie, signals = raw / "day1/movie.tif", raw / "day1/signals.npy"
    given = ["--signals", str(signals), "--movie", str(movie), "--frame-rate", "10"]
    assert main(["init", "study", *given]) == 0
    assert "10 frames of 24 lines per second" in capsys.readouterr().out
    config = yaml.safe_load((tmp_path / "study/config/config.yaml").read_text())
    assert config["signals"]["sampling_rate"] == 5000
    assert main(["discover", str(raw), "-d", "study"]) == 0
    assert main(["check", "-d", "study"]) == 0


def test_discover_lists_movies_without_signals_if_the_picture_tells_the_angle(workplace, capsys):
    write_config(workplace, angles={"source": "movie"})
    (workplace / "raw/day3/stimulus.csv").unlink()
    assert main(["discover", "raw"]) == 0
    assert "day3: free, movie raw/day3/movie.tif (1 file), signals none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--channels", "0"], "0 is no number of channels"),
        (["--channels", "-3"], "-3 is no number of channels"),
        (["--channels", "four"], "invalid"),
        (["--sampling-rate", "-5"], "-5 is no rate"),
        (["--sampling-rate", "nan"], "nan is no rate"),
        (["--frame-rate", "0"], "0 is no rate"),
        (["--header-bytes", "-1"], "-1 is no number of bytes"),
        (["--header-bytes", "99999999"], "holds no samples behind the 99999999 bytes"),
        (["--range-v", "5", "5"], "5 V is not below 5 V"),
        (["--range-v", "10", "-10"], "10 V is not below -10 V"),
        (["-o", "picture.txt"], "picture.txt: the picture is a .png"),
    ],
)
def test_options_that_make_no_sense_are_said(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    np.zeros((400, 4), np.int16).tofile("s.bin")
    with contextlib.suppress(SystemExit):  # as argparse ends
        assert main(["signals", "s.bin", *options]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("command", [["signals"], ["init", "study", "--signals"]])
def test_an_empty_file_is_said(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    Path("s.bin").touch()
    assert main([*command, "s.bin"]) == 1
    assert "s.bin is empty: it holds no samples." in capsys.readouterr().err


def test_a_study_is_no_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file")]) == 1
    assert "is a file; name a folder" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_closed_pipe_ends_quietly(workplace):
    main(["discover", "raw"])
    command = f"{shlex.quote(sys.executable)} -m derotation.cli check"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode in (0, 141)
