"""The look at a cohort's files before a run: one session's files never hide the others."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.cohort.check import check_cohort, format_table
from derotation.cohort.cohort import load_cohort

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
