"""Trees of recordings in the formats of many programs, with all that lies beside them."""

import csv
import sys

import numpy as np
import pytest

from derotation.cohort.check import check_cohort
from derotation.cohort.cohort import load_cohort
from derotation.cohort.config import validate_config
from derotation.cohort.discover import Patterns, discover_sessions, write_sheet
from derotation.simulate.formats import MoviePlan, write_movie, write_signals_as

pytest.importorskip("h5py")
pytest.importorskip("nptdms")

PLAN = MoviePlan(n_times=3, shape=(6, 4))
ROLES = ("line_clock", "frame_clock", "rotation_on", "rotation_ticks")
SAMPLES = np.random.default_rng(1).integers(0, 5, (len(ROLES), 1200)).astype(np.float64)
STIMULUS = "speed,direction\n100,1\n200,-1\n"


def movie(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (PLAN.n_times, 1, 1, *PLAN.shape)
    return write_movie(path, kind, iter(np.zeros(shape, np.uint16)), PLAN)


def signals(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "npy":
        np.save(path, SAMPLES)
    else:
        write_signals_as(path, kind, ROLES, [(0, SAMPLES)], SAMPLES.shape[1], 1000.0)
    return path


def text(path, content=STIMULUS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def table(path):
    """Write a stimulus table in the format that the name says."""
    values = np.array([[100.0, 1.0], [200.0, -1.0]])
    if path.suffix == ".csv":
        return text(path)
    if path.suffix == ".npy":
        np.save(
            path, np.array([tuple(row) for row in values], [("speed", "f8"), ("direction", "f8")])
        )
    elif path.suffix == ".mat":
        from scipy.io import savemat

        savemat(path, {"stimulus_random": np.column_stack([values[:, 0], [0, 0], [-1, 1]])})
    elif path.suffix == ".h5":
        import h5py

        with h5py.File(path, "w") as file:
            file["speed"], file["direction"] = values.T
    else:
        from nptdms import ChannelObject, TdmsWriter

        with TdmsWriter(path) as writer:
            writer.write_segment(
                [ChannelObject("stimulus", name, column)
                 for name, column in zip(("speed", "direction"), values.T, strict=True)]
            )  # fmt: skip
    return path


def by_name(found):
    return {session.name: session for session in found.sessions}


def messy_tree(raw):
    """Write recordings of all formats; what lies beside them belongs to none."""
    text(raw / "notes.txt", "mouse 7 was sleepy")
    # Prairie View: two folders of a day, each with reference images and single images beside.
    prairie = movie(raw / "bruker/day1/TSeries-01-001", "prairie")
    movie(prairie / "References/ref.tif", "tif")
    movie(raw / "bruker/day1/SingleImage-01-001", "prairie")
    signals(raw / "bruker/day1/day1.npy", "npy")
    table(raw / "bruker/day1/speeds.csv")
    # Its own voltage recording, in text: signals, although a .csv is most often a table.
    own = movie(raw / "bruker/day2/TSeries-02-001", "prairie")
    signals(own / "TSeries-02-001_Cycle00001_VoltageRecording_001.csv", "csv")
    table(raw / "bruker/day2/speeds.csv")
    # ThorImage, with a preview among its files and the signals in the folder beside.
    thor = movie(raw / "thor/day1/image", "thor_tif")
    movie(thor / "ChanA_Preview.tif", "tif")
    signals(raw / "thor/day1/sync/Episode001.h5", "h5")
    text(raw / "thor/day1/speeds.csv")
    movie(raw / "thor/day2/image", "thor_raw")
    signals(raw / "thor/day2/day2.tdms", "tdms")
    text(raw / "thor/day2/speeds.csv")
    # Scanbox: its .mat describes the movie.
    movie(raw / "scanbox/a/a_000_001.sbx", "scanbox")
    signals(raw / "scanbox/a/clocks.mat", "mat")
    table(raw / "scanbox/a/speeds.mat")
    # A movie and signals in the same kind of file.
    movie(raw / "hdf/a/movie.h5", "h5")
    signals(raw / "hdf/a/clocks.h5", "wavesurfer")
    table(raw / "hdf/a/speeds.tdms")
    # Results of another program beside, which hold neither.
    np.save(raw / "hdf/a/weights.npy", np.ones(7))
    # A table of angles and nothing else.
    movie(raw / "table/a/m.tif", "tif")
    text(raw / "table/a/angles.csv", "angle\n0\n1\n2\n")
    # Nothing but an encoder's signals.
    movie(raw / "encoder/free_head/m.tif", "tif")
    signals(raw / "encoder/free_head/clocks.h5", "wavesurfer")


def test_a_messy_tree(tmp_path):
    raw = tmp_path / "raw"
    messy_tree(raw)
    rules = Patterns.from_config({"name": "path", "free": ["free*"]})
    found = discover_sessions(raw, rules)
    assert found.unpaired == ()
    sessions = by_name(found)
    files = {
        name: tuple(
            path.removeprefix(f"{raw}/") for path in (s.movie, s.signals, s.stimulus, s.angles)
        )
        for name, s in sessions.items()
    }
    own = "bruker/day2/TSeries-02-001"
    assert files == {
        "bruker_day1": (
            "bruker/day1/TSeries-01-001", "bruker/day1/day1.npy", "bruker/day1/speeds.csv", "",
        ),
        "bruker_day2": (
            own, f"{own}/TSeries-02-001_Cycle00001_VoltageRecording_001.csv",
            "bruker/day2/speeds.csv", "",
        ),
        "thor_day1": (
            "thor/day1/image", "thor/day1/sync/Episode001.h5", "thor/day1/speeds.csv", "",
        ),
        "thor_day2": ("thor/day2/image", "thor/day2/day2.tdms", "thor/day2/speeds.csv", ""),
        "scanbox_a": (
            "scanbox/a/a_000_001.sbx", "scanbox/a/clocks.mat", "scanbox/a/speeds.mat", "",
        ),
        "hdf_a": ("hdf/a/movie.h5", "hdf/a/clocks.h5", "hdf/a/speeds.tdms", ""),
        "table_a": ("table/a/m.tif", "", "", "table/a/angles.csv"),
        "encoder_free_head": ("encoder/free_head/m.tif", "encoder/free_head/clocks.h5", "", ""),
    }  # fmt: skip
    assert sessions["table_a"].protocol == sessions["encoder_free_head"].protocol == "free"
    assert {s.protocol for name, s in sessions.items() if name.startswith("thor")} == {"full"}
    # Each guess from what a file holds is said.
    for guessed in ("VoltageRecording_001.csv", "clocks.mat", "speeds.tdms", "weights.npy"):
        assert any(guessed in note and "by what it holds" in note for note in found.notes), guessed
    assert any("angles.source: table" in note for note in found.notes)


def test_what_was_found_can_be_opened(tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    messy_tree(raw)
    rules = Patterns.from_config({"name": "path", "free": ["free*"]})
    write_sheet(discover_sessions(raw, rules), tmp_path / "sessions.tsv")
    with (tmp_path / "sessions.tsv").open() as stream:
        assert {row["angles"] for row in csv.DictReader(stream, delimiter="\t")} == {
            "", str(raw / "table/a/angles.csv"),
        }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    # A table without signals needs its own source of angles: a rig.
    sheet = tmp_path / "sessions.tsv"
    header, *lines = sheet.read_text().splitlines()
    lines = [f"{line}\t{'stage' if line.startswith('table') else ''}" for line in lines]
    sheet.write_text("\n".join([f"{header}\trig", *lines]) + "\n")
    rigs = {"stage": {"angles": {"source": "table"}}}
    config = validate_config(
        {"sessions": "sessions.tsv", "signals": {"sampling_rate": 1000}, "rigs": rigs}
    )
    looked = check_cohort(load_cohort(config))
    assert len(looked.sessions) == 8
    assert {session.shape for session in looked.sessions} == {(PLAN.n_times, *PLAN.shape)}
    # Two rows in every kind of stimulus table.
    rotations = {session.n_rotations for session in looked.sessions if session.protocol == "full"}
    assert rotations == {2}


@pytest.mark.parametrize("suffix", [".csv", ".mat", ".npy", ".h5", ".tdms"])
@pytest.mark.parametrize("kind", ["npy", "csv", "mat", "wavesurfer", "tdms"])
def test_signals_and_tables_of_any_kind_are_told_apart(tmp_path, suffix, kind):
    folder = tmp_path / "raw" / "a"
    movie(folder / "m.tif", "tif")
    clocks = signals(folder / f"x.{'h5' if kind == 'wavesurfer' else kind}", kind)
    speeds = table(folder / f"y{suffix}")
    (session,) = discover_sessions(tmp_path / "raw").sessions
    assert (session.signals, session.stimulus) == (str(clocks), str(speeds))


def test_columns_of_other_names_are_those_of_the_configuration(tmp_path):
    folder = tmp_path / "raw" / "a"
    movie(folder / "m.tif", "tif")
    signals(folder / "s.npy", "npy")
    text(folder / "trials.csv", "v,way\n100,1\n")
    text(folder / "weights.csv", "day,g\n1,21.5\n")
    columns = {"speed": "v", "direction": "way"}
    (session,) = discover_sessions(tmp_path / "raw", stimulus={"columns": columns}).sessions
    assert session.stimulus == str(folder / "trials.csv")
    assert not discover_sessions(tmp_path / "raw").sessions


def test_a_part_of_a_folder_can_still_be_asked_for(tmp_path):
    folder = tmp_path / "raw" / "a"
    movie(folder / "rec", "prairie")
    signals(folder / "s.npy", "npy")
    text(folder / "s.csv")
    # One of its channels was saved by hand, too.
    movie(folder / "rec" / "better_1.tif", "tif")
    rules = Patterns.from_config({"movie": ["better*.tif"]})
    (session,) = discover_sessions(tmp_path / "raw", rules).sessions
    assert session.movie == str(folder / "rec" / "better_1.tif")


def test_a_folder_with_two_recordings_is_said_at_once(tmp_path):
    movie(tmp_path / "raw" / "day1", "prairie")
    (first,) = list((tmp_path / "raw" / "day1").rglob("*.xml"))
    for file in list(first.parent.glob(f"{first.stem}*")):
        other = file.with_name(file.name.replace(first.stem, "another-002"))
        other.write_bytes(file.read_bytes())
    signals(tmp_path / "raw" / "day1" / "s.npy", "npy")
    text(tmp_path / "raw" / "day1" / "stimulus.csv")
    found = discover_sessions(tmp_path / "raw")
    assert not found.sessions
    (unpaired,) = found.unpaired
    assert "holds 2 recordings" in unpaired.reason
    assert "write the one that is meant into the sheet's column movie" in unpaired.reason


def test_a_damaged_file_hides_no_other_session(tmp_path):
    raw = tmp_path / "raw"
    for name in ("a", "b"):
        movie(raw / name / "m.tif", "tif")
        signals(raw / name / "s.npy", "npy")
        text(raw / name / "s.csv")
    (raw / "a" / "copy.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    found = discover_sessions(raw)
    assert list(by_name(found)) == ["b"]
    assert "2 files may be its analog signals" in found.unpaired[0].reason


def test_without_the_library_files_are_what_they_are_most_often(tmp_path, monkeypatch):
    folder = tmp_path / "raw" / "a"
    movie(folder / "m.tif", "tif")
    signals(folder / "s.h5", "wavesurfer")
    text(folder / "s.csv")
    monkeypatch.setattr("derotation.cohort.contents.holds_frames", _missing, raising=True)
    found = discover_sessions(tmp_path / "raw")
    (session,) = found.sessions
    assert session.signals == str(folder / "s.h5")
    assert sum("pip install h5py" in note for note in found.notes) == 1


def _missing(path):
    from derotation.io.hdf5_movie import _import_h5py

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "h5py", None)
        _import_h5py(path)
