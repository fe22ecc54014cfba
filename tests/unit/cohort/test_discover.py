"""Trees of empty files: names are all that is looked at."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.cohort.discover import Patterns, discover_sessions, write_sheet
from derotation.errors import InputError


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def rows(root, tmp_path, **arguments):
    sheet = tmp_path / "sheet.tsv"
    write_sheet(discover_sessions(root, **arguments), sheet)
    with sheet.open() as stream:
        return {row["session"]: row for row in csv.DictReader(stream, delimiter="\t")}


def test_plain_folders(tmp_path):
    raw = tree(
        tmp_path / "raw",
        "day2/movie.tif", "day2/signals.npy", "day2/stimulus.csv",
        "day10/m_00001.tif", "day10/m_00002.tif", "day10/clocks.BIN", "day10/random.mat",
        "incremental_day10/movie.TIFF", "incremental_day10/signals.npy",
        "notes.txt", ".cache/movie.tif", "results/x/derotated.tif",
    )  # fmt: skip
    found = rows(raw, tmp_path)
    assert list(found) == ["day2", "day10", "incremental_day10"]
    assert found["day2"] == {
        "session": "day2",
        "protocol": "full",
        "movie": str(raw / "day2/movie.tif"),
        "signals": str(raw / "day2/signals.npy"),
        "stimulus": str(raw / "day2/stimulus.csv"),
        "calibration": "",
    }
    assert found["day10"]["movie"] == str(raw / "day10/m_*.tif")
    assert found["day10"]["signals"] == str(raw / "day10/clocks.BIN")
    assert found["incremental_day10"]["protocol"] == "incremental"
    assert found["incremental_day10"]["stimulus"] == ""


def test_neuroblueprint(tmp_path):
    raw = tree(
        tmp_path / "rawdata",
        "sub-01/ses-01_date-20250101/funcimg/movie.tif",
        "sub-01/ses-01_date-20250101/behav/clocks.bin",
        "sub-01/ses-01_date-20250101/behav/stimulus.csv",
        "sub-02/ses-01_date-20250101/funcimg/movie.tif",
        "sub-02/ses-01_date-20250101/funcimg/clocks.bin",
        "sub-02/ses-01_date-20250101/behav/stimulus.csv",
    )
    found = rows(raw, tmp_path)
    assert list(found) == ["sub-01_ses-01_date-20250101", "sub-02_ses-01_date-20250101"]
    for subject, place in (("sub-01", "behav"), ("sub-02", "funcimg")):
        row = found[f"{subject}_ses-01_date-20250101"]
        assert row["signals"] == str(raw / f"{subject}/ses-01_date-20250101/{place}/clocks.bin")
        assert f"{subject}/" in row["stimulus"]


def test_incremental_session_calibrates_those_beside_it(tmp_path):
    raw = tree(
        tmp_path / "rawdata",
        *(f"sub-1/ses-1/funcimg/full/{name}" for name in ("m.tif", "s.bin", "s.csv")),
        *(f"sub-1/ses-1/funcimg/incremental/{name}" for name in ("m.tif", "s.bin")),
    )
    found = discover_sessions(raw)
    by_name = {session.name: session for session in found.sessions}
    assert set(by_name) == {"sub-1_ses-1_full", "sub-1_ses-1_incremental"}
    assert by_name["sub-1_ses-1_full"].calibration == "sub-1_ses-1_incremental"
    assert any("takes its calibration from sub-1_ses-1_incremental" in n for n in found.notes)


def test_signals_above_the_movie(tmp_path):
    raw = tree(tmp_path / "raw", "a/imaging/m.tif", "a/aux/s.npy", "a/aux/s.csv", "b/m.tif",
               "b/s.npy", "b/s.csv")  # fmt: skip
    found = discover_sessions(raw)
    assert [session.name for session in found.sessions] == ["a", "b"]
    assert found.sessions[0].signals == str(raw / "a/aux/s.npy")


def test_one_recording_is_never_paired_with_the_files_of_another(tmp_path):
    raw = tree(tmp_path / "raw", "a/m.tif", "b/m.tif", "b/s.npy", "b/s.csv")
    found = discover_sessions(raw)
    assert [session.name for session in found.sessions] == ["b"]
    assert [each.folder for each in found.unpaired] == [raw / "a"]
    assert "no analog signals" in found.unpaired[0].reason


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("m.tif",), "no analog signals"),
        (("m.tif", "s.npy"), "no stimulus table"),
        (("m.tif", "s.npy", "t.npy", "s.csv"), "2 files may be its analog signals"),
        (("m.tif", "s.npy", "s.csv", "t.csv"), "2 files may be its stimulus table"),
        (("red.tif", "green.tif", "s.npy", "s.csv"), "holds 2 movies"),
        (("m1.tif", "m2.tif", "mx.txt", "s.npy"), "no stimulus table"),
    ],
)
def test_what_cannot_be_paired_is_named(tmp_path, files, reason):
    found = discover_sessions(tree(tmp_path / "raw", *(f"a/{file}" for file in files)))
    assert not found.sessions
    assert reason in found.unpaired[0].reason
    with pytest.raises(InputError, match="holds no session"):
        write_sheet(found, tmp_path / "sheet.tsv")
    assert not (tmp_path / "sheet.tsv").exists()


def test_folders_of_one_name_are_told_apart_by_the_shortest_paths(tmp_path):
    places = ("m1/d1/rec", "m1/D2/rec", "m2/d1/rec", "m2/other")
    raw = tree(tmp_path / "raw", *(f"{p}/{f}" for p in places for f in ("m.tif", "s.npy", "s.csv")))
    found = discover_sessions(raw)
    assert [session.name for session in found.sessions] == [
        "m1_d1_rec", "m1_D2_rec", "m2_d1_rec", "other",
    ]  # fmt: skip
    assert any('3 folders are called "rec"' in note for note in found.notes)
    assert not found.errors
    two = tree(tmp_path / "two", *(f"{d}/rec/{f}" for d in ("d1", "D2")
                                   for f in ("m.tif", "s.npy", "s.csv")))  # fmt: skip
    assert [s.name for s in discover_sessions(two).sessions] == ["d1_rec", "D2_rec"]


def test_shared_names_are_errors(tmp_path):
    files = [f"{day}/rec/{name}" for day in ("d 1", "d_1") for name in ("m.tif", "s.npy", "s.csv")]
    raw = tree(tmp_path / "raw", *files)
    found = discover_sessions(raw)
    assert len(found.errors) == 1
    assert str(raw / "d 1/rec") in found.errors[0]
    with pytest.raises(InputError, match="would be called"):
        write_sheet(found, tmp_path / "sheet.tsv")


FULL, STEPS = ("m.tif", "s.npy", "s.csv"), ("m.tif", "s.npy")


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        # A folder per recording in a folder per day.
        (["mouse/d1/full1", "mouse/d1/full2", "mouse/d1/incremental", "mouse/d2/full1b"],
         {"full1": "incremental", "full2": "incremental", "full1b": ""}),
        # The day stands in the names of folders that all lie side by side.
        (["20240501_full", "20240501_incremental", "20240502_a", "20240503_incremental"],
         {"20240501_full": "20240501_incremental", "20240502_a": ""}),
        (["2024-05-01_a", "20240501_incremental", "20240502_incremental"],
         {"2024-05-01_a": "20240501_incremental"}),
        # A folder for each kind below the day.
        (["mouse/day 1/full/run1", "mouse/day 1/incremental/run2", "mouse/day 2/full/run3"],
         {"run1": "run2", "run3": ""}),
        # One day alone, without a date.
        (["a", "b", "incremental"], {"a": "incremental", "b": "incremental"}),
        # Two of them: nobody can say which.
        (["a", "incremental_1", "incremental_2"], {"a": ""}),
        # One of another day is none.
        (["day1/a", "day2/incremental"], {"a": ""}),
        (["m/x/a", "m/y/incremental"], {"a": ""}),
    ],
)  # fmt: skip
def test_an_incremental_session_of_the_same_day_calibrates(tmp_path, places, expected):
    raw = tree(
        tmp_path / "raw",
        *(f"{p}/{f}" for p in places for f in (STEPS if "incremental" in p else FULL)),
    )
    found = discover_sessions(raw)
    calibrations = {s.name: s.calibration for s in found.sessions}
    assert {name: calibrations[name] for name in expected} == expected
    said = [note for note in found.notes if "takes its calibration from" in note]
    assert len(said) == sum(bool(name) for name in expected.values())


def movie(path, n_frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.zeros((n_frames, 8, 8), np.uint16), photometric="minisblack")


@pytest.mark.parametrize(
    "picture", ["day1/overview.tif", "day1/AVG_m.tif", "overview.tif", "day1/zstack/mean.tif"]
)
def test_a_lone_picture_beside_a_movie_is_left_out_and_said(tmp_path, picture):
    raw = tree(tmp_path / "raw", "day1/s.npy", "day1/s.csv")
    movie(raw / "day1/m.tif", 5)
    movie(raw / picture, 1)
    found = discover_sessions(raw)
    (session,) = found.sessions
    assert session.movie == str(raw / "day1/m.tif")
    assert session.signals == str(raw / "day1/s.npy")
    assert not found.unpaired
    (note,) = found.notes
    assert f"{raw / picture} holds a single picture" in note
    assert "left out" in note


def test_several_pictures_beside_a_movie(tmp_path):
    raw = tree(tmp_path / "raw", "day1/s.npy", "day1/s.csv")
    movie(raw / "day1/m.tif", 5)
    for name in ("overview", "mean"):
        movie(raw / f"day1/{name}.tif", 1)
    (note,) = discover_sessions(raw).notes
    assert "hold single pictures and lie beside a movie: left out" in note


def test_pages_of_one_movie_are_no_lone_pictures(tmp_path):
    raw = tree(tmp_path / "raw", "day1/s.npy", "day1/s.csv")
    for number in range(3):
        movie(raw / f"day1/m_{number}.tif", 1)
    movie(raw / "day1/overview.tif", 1)
    (session,) = discover_sessions(raw).sessions
    assert session.movie == str(raw / "day1/m_*.tif")


@pytest.mark.parametrize("source", ["quadrature", "voltage", "movie", "table"])
def test_sessions_whose_angle_is_measured_need_no_stimulus_table(tmp_path, source):
    raw = tree(tmp_path / "raw", "a/m.tif", "a/s.npy")
    (session,) = discover_sessions(raw, source=source).sessions
    assert (session.protocol, session.signals) == ("free", str(raw / "a/s.npy"))


def test_movies_without_signals_are_sessions_if_the_picture_tells_the_angle(tmp_path):
    raw = tree(tmp_path / "raw", "a/m.tif", "b/m.tif")
    found = discover_sessions(raw, source="movie")
    assert [(s.name, s.protocol, s.signals) for s in found.sessions] == [
        ("a", "free", ""), ("b", "free", ""),
    ]  # fmt: skip
    assert "angles.source to movie" in discover_sessions(raw).unpaired[0].reason
    assert not discover_sessions(raw, source="quadrature").sessions


def test_names_become_valid_and_that_is_said(tmp_path):
    found = discover_sessions(tree(tmp_path / "raw", *(f"day 1/{n}" for n in
                                                       ("m.tif", "s.npy", "s.csv"))))  # fmt: skip
    assert found.sessions[0].name == "day_1"
    assert '"day_1"' in found.notes[0]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("day1 (incremental)", "day1_incremental"), ("a - b", "a_-_b"), ("_x_", "x"), ("é", "session"),
     ("m.7__day", "m_7__day"), ("b-1", "b-1")],
)  # fmt: skip
def test_names_are_tidy(tmp_path, folder, name):
    found = discover_sessions(tree(tmp_path / "raw", *(f"{folder}/{n}" for n in
                                                       ("m.tif", "s.npy", "s.csv"))))  # fmt: skip
    assert found.sessions[0].name == name


def test_a_sheet_is_never_replaced_unasked(tmp_path):
    found = discover_sessions(tree(tmp_path / "raw", "a/m.tif", "a/s.npy", "a/s.csv"))
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        write_sheet(found, sheet)
    assert sheet.read_text() == "mine"
    write_sheet(found, sheet, overwrite=True)
    assert sheet.read_text().startswith("session\t")


def test_names_with_glob_characters(tmp_path):
    raw = tree(tmp_path / "raw", "a[1]/m_1.tif", "a[1]/m_2.tif", "a[1]/s.npy", "a[1]/s.csv")
    found = discover_sessions(raw)
    from derotation.io.movie import _find_files

    assert _find_files(found.sessions[0].movie) == [raw / "a[1]/m_1.tif", raw / "a[1]/m_2.tif"]


def test_files_with_the_same_beginning_stay_out_of_the_pattern(tmp_path):
    raw = tree(tmp_path / "raw", "a/m1.tif", "a/m2.tif", "a/mean.tif", "a/s.npy", "a/s.csv")
    found = discover_sessions(raw, Patterns.from_config({"movie": ["m?.tif"]}))
    assert found.sessions[0].movie == str(raw / "a/m[0-9]*.tif")


def test_links_in_a_circle(tmp_path):
    raw = tree(tmp_path / "raw", "a/m.tif", "a/s.npy", "a/s.csv")
    (raw / "a" / "loop").symlink_to(raw, target_is_directory=True)
    assert [session.name for session in discover_sessions(raw).sessions] == ["a"]


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        discover_sessions(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("a\tb.npy", "a tab"),
        ("a\nb.npy", "a line break"),
        ("m{x}.npy", "a brace"),
        (b"m\xfc.npy".decode(errors="surrogateescape"), "no known encoding"),
    ],
)
def test_a_path_that_no_sheet_can_name_is_said_and_hides_no_other_session(tmp_path, file, word):
    raw = tree(
        tmp_path / "raw",
        "one/m.tif", f"one/{file}", "one/s.csv", "two/m.tif", "two/s.npy", "two/s.csv",
    )  # fmt: skip
    found = discover_sessions(raw)
    (unpaired,) = found.unpaired
    assert unpaired.folder.name == "one"
    assert word in unpaired.reason
    assert unpaired.reason.isascii()
    assert list(rows(raw, tmp_path)) == ["two"]


def test_a_name_too_long_for_the_sheet_is_said(tmp_path):
    folder = "x" * 60
    files = [f"{folder}/{folder}/{name}" for name in ("m.tif", "s.npy", "s.csv")]
    raw = tree(tmp_path / "raw", *files)
    (unpaired,) = discover_sessions(raw, Patterns.from_config({"name": "path"})).unpaired
    assert "121 characters, at most 100" in unpaired.reason
    assert list(rows(raw, tmp_path)) == [folder]
