"""The look at a cohort's files before a run: one session's files never hide the others."""

import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.cohort.check import check_cohort, format_table
from derotation.cohort.cohort import load_cohort
from derotation.simulate.formats import MoviePlan, write_movie

FILES = {"movie": "{}.tif", "signals": "{}.npy", "stimulus": "{}.csv"}


@pytest.fixture(autouse=True)
def raw_files(tmp_path, monkeypatch):
    """Write the files of three sessions, and their sheet."""
    monkeypatch.chdir(tmp_path)
    rows = ["session\tprotocol\tmovie\tsignals\tstimulus"]
    for name in "abc":
        tifffile.imwrite(f"{name}.tif", np.zeros((5, 8, 8), np.uint16))
        np.save(f"{name}.npy", np.zeros((4, 1000)))
        Path(f"{name}.csv").write_text("speed,direction\n100,1\n")
        rows.append("\t".join([name, "full", *(file.format(name) for file in FILES.values())]))
    Path("sheet.tsv").write_text("\n".join(rows) + "\n")


def look(meanwhile=lambda: None):
    cohort = load_cohort({"sessions": "sheet.tsv", "signals": {"sampling_rate": 1000}})
    meanwhile()
    return check_cohort(cohort)


def test_good_files_are_no_problem():
    assert look().all_problems == []


@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), MemoryError(), KeyError("x")])
def test_an_error_that_no_reader_foresaw_stays_with_its_session(monkeypatch, part, error):
    target = {
        "movie": "derotation.io.movie.open_movie",
        "signals": "derotation.io.signals.open_signals",
        "stimulus": "derotation.io.stimulus.read_stimulus",
    }[part]
    module, _, function = target.rpartition(".")
    real = getattr(__import__(module, fromlist=[function]), function)

    def damaged(path, **keywords):
        if str(path).startswith("b."):
            raise error
        return real(path, **keywords)

    monkeypatch.setattr(target, damaged)
    found = look()
    (problem,) = found.all_problems
    assert problem.startswith(f"b: {part} ({FILES[part].format('b')}): ")
    assert type(error).__name__ in problem
    table = format_table(found)
    assert [name for name in "abc" if f"\n{name} " in table] == ["a", "b", "c"]


@pytest.mark.parametrize("part", FILES)
def test_a_file_that_vanishes_after_the_sheet_was_checked(part):
    file = Path(FILES[part].format("b"))
    found = look(meanwhile=file.unlink)
    assert [bool(session.problems) for session in found.sessions] == [False, True, False]
    assert file.name in found.all_problems[0]


@pytest.mark.parametrize("part", FILES)
def test_a_file_from_the_future_is_said_with_its_cure(part):
    file = FILES[part].format("b")
    os.utime(file, (time.time() + 3600,) * 2)
    (problem,) = look().all_problems
    assert problem.startswith(f"b: {file} was changed at ")
    assert f"touch {file}" in problem
    # Clocks may differ by seconds.
    os.utime(file, (time.time() + 10,) * 2)
    assert look().all_problems == []


KEYS_THAT_DO_NOT_FIT = [
    ({"movie": {"channel": 1, "channels": [1, 3], "n_channels": 2}}, "asks for channel 3"),
    ({"movie": {"plane": 1, "planes": [1, 4], "n_planes": 2}}, "asks for plane 4, but the files"),
    ({"signals": {"invert": ["direction"]}}, "signals.invert names direction, which is not among"),
    ({"scan": {"rows": {"first": 3}}}, "would reach to line 11, but a frame has 8 lines"),
    ({"scan": {"rows": {"step": 2}, "lines_per_frame": 12}}, "would reach to line 16, but a frame"),
    ({"scan": {"lines_per_frame": 5}}, "has frames of 8 rows, but only 5 lines per frame"),
    ({"scan": {"frame_rate": 0.5}}, r"last 1.0 s, the movie 1[0-9].0 s, which is longer"),
]


@pytest.mark.parametrize(("config", "message"), KEYS_THAT_DO_NOT_FIT)
def test_keys_that_do_not_fit_the_files_are_told_before_the_run(config, message):
    for name in "abc":
        tifffile.imwrite(f"{name}.tif", np.zeros((6, 8, 8), np.uint16))
    signals = {"sampling_rate": 1000, **config.pop("signals", {})}
    found = check_cohort(load_cohort({"sessions": "sheet.tsv", "signals": signals, **config}))
    assert len(found.all_problems) == 3
    for problem in found.all_problems:
        assert re.search(message, problem)


def test_a_functional_channel_of_a_rig_that_is_not_derotated():
    for name in "abc":
        tifffile.imwrite(f"{name}.tif", np.zeros((6, 8, 8), np.uint16))
    text = Path("sheet.tsv").read_text().splitlines()
    rigs = ("rig", "two", "two", "")
    Path("sheet.tsv").write_text("\n".join("\t".join(p) for p in zip(text, rigs, strict=True)))
    movie = {"n_channels": 3, "channel": 1, "channels": [1, 2]}
    config = {
        "sessions": "sheet.tsv",
        "signals": {"sampling_rate": 1000},
        "rigs": {"two": {"movie": movie, "export": {"functional_channel": 3}}},
    }
    found = check_cohort(load_cohort(config))
    assert [problem[:1] for problem in found.all_problems] == ["a", "b"]
    assert "export.functional_channel is 3, but the channels that will be" in found.all_problems[0]
    config["rigs"]["two"]["export"]["functional_channel"] = 2
    assert check_cohort(load_cohort(config)).all_problems == []


def test_a_session_without_its_file_of_rois_is_worth_a_look():
    config = {"sessions": "sheet.tsv", "signals": {"sampling_rate": 1000}}
    Path("rois").mkdir()
    Path("rois/b.npy").touch()
    found = check_cohort(load_cohort(config | {"cells": {"rois": "rois/{session}.npy"}}))
    said = {
        one.name: [note for note in one.notes if "cells.rois" in note] for one in found.sessions
    }
    assert said["b"] == []
    for name in "ac":
        assert said[name][0].startswith(str(Path("rois", f"{name}.npy")) + " is missing")
    for other in ("blobs", None, "suite2p"):
        found = check_cohort(load_cohort(config | {"cells": {"rois": other}}))
        assert not any("cells.rois" in note for one in found.sessions for note in one.notes)


def test_two_recordings_in_one_folder_and_what_to_write():
    plan = MoviePlan(n_times=5, shape=(8, 8))
    for name in "xy":
        write_movie(Path(name), "prairie", iter(np.zeros((5, 1, 1, 8, 8), np.uint16)), plan)
        for file in Path(name).iterdir():
            Path("raw").mkdir(exist_ok=True)
            file.rename(Path("raw", file.name))
    sheet = Path("sheet.tsv").read_text().replace("a.tif", "raw").replace("b.tif", "raw/y.xml")
    Path("sheet.tsv").write_text(sheet.replace("c.tif", "raw/*.tif"))
    found = look()
    problems = dict(problem.split(": ", 1) for problem in found.all_problems)
    assert list(problems) == ["a", "c"]
    assert "2 recordings (x.xml, y.xml); write the one that is meant" in problems["a"]
    assert "raw/x.xml for example" in problems["a"]
    assert "2 recordings of Prairie View (x, y)" in problems["c"]
    assert found.sessions[1].shape == (5, 8, 8)


@pytest.mark.parametrize(
    ("given", "mosaic", "said"),
    [(2, "w", True), (0.5, "w", False), (None, "w", False), (2, "", False)],
)
def test_a_pixel_size_that_is_another_cohorts_is_worth_a_look(given, mosaic, said):
    """That of the demo, for instance, in a configuration that was copied from it."""
    rows = ["session\tprotocol\tmovie\tsignals\tstimulus\tmosaic\tstage_x_um\tstage_y_um"]
    for position, name in enumerate("ab"):
        description = "ImageJ=1.11a\nimages=5\nunit=micron\n"
        tifffile.imwrite(
            f"{name}.tif", np.zeros((5, 8, 8), np.uint16), description=description,
            resolution=(2, 2), metadata=None,
        )  # fmt: skip
        place = ["", "", ""] if not mosaic else [mosaic, str(3 * position), "0"]
        rows.append("\t".join([name, "full", f"{name}.tif", f"{name}.npy", f"{name}.csv", *place]))
    Path("sheet.tsv").write_text("\n".join(rows) + "\n")
    config = {
        "sessions": "sheet.tsv",
        "signals": {"sampling_rate": 1000},
        "mosaic": {"pixel_size_um": given},
    }
    found = check_cohort(load_cohort(config))
    assert found.all_problems == []
    notes = [note for session in found.sessions for note in session.notes]
    assert [note for note in notes if "mosaic.pixel_size_um is 2" in note] == notes
    assert len(notes) == 2 * said
    assert all("a pixel measures 0.5 um" in note for note in notes)
