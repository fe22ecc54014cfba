"""The NWB file, read back and looked at by pynwb's own validator."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from test_export_suite2p import CENTER, HEIGHT, RATE, WIDTH, Session, turning

from derotation.errors import PYNWB_MISSING, InputError
from derotation.export import nwb
from derotation.export.nwb import export_nwb
from derotation.io.movie import open_movie
from derotation.io.start import recording_start
from derotation.motion_correction.motion import Motion

# .ci/run installs pynwb with the extra "test", so that nothing is skipped there.
pynwb = pytest.importorskip("pynwb", reason=PYNWB_MISSING)
pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages behind pynwb


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def write(session, path, **options):
    with (
        open_movie(session.paths["raw"]) as recorded,
        open_movie(session.paths["derotated"]) as derotated,
    ):
        export_nwb(
            path,
            session="ses_a",
            recorded=recorded,
            derotated=derotated,
            angles=session.angles,
            calibration=session.calibration,
            settings={"derotate": {"interpolation": "linear"}},
            **options,
        )


def times_of(series, n):
    if series.timestamps is not None:
        return series.timestamps[:]
    return series.starting_time + np.arange(n) / series.rate


def problems(path):
    found = pynwb.validate(path=str(path))
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize("movies", ["external", "inside"])
def test_file_is_valid_and_complete(session, tmp_path, movies):
    path = tmp_path / "results" / "ses_a.nwb"
    write(session, path, movies=movies)
    assert [file.name for file in path.parent.iterdir()] == ["ses_a.nwb"]
    assert not problems(path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        module = file.processing["derotation"]
        series = {"raw": file.acquisition["raw"], "derotated": module["derotated"]}
        for name, one in series.items():
            assert one.neurodata_type == "TwoPhotonSeries"
            assert list(one.dimension) == [WIDTH, HEIGHT]
            np.testing.assert_allclose(
                times_of(one, 24), session.angles.frame_start / session.angles.sampling_rate
            )
            np.testing.assert_allclose(np.diff(times_of(one, 24)), 1 / RATE)
            if movies == "external":
                target = path.parent / one.external_file[0]
                assert target.resolve() == session.paths[name].resolve()
                assert list(one.starting_frame) == [0]
            else:
                expected = tifffile.imread(session.paths[name])
                np.testing.assert_array_equal(one.data[:].transpose(0, 2, 1), expected)
                assert one.data.dtype == np.uint16
        angle = module["line_angle"]
        assert angle.unit == "degrees"
        np.testing.assert_array_equal(angle.data[:], session.angles.line_angles.ravel())
        starts = session.angles.line_start.ravel() / session.angles.sampling_rate
        np.testing.assert_allclose(times_of(angle, len(starts)), starts)
        table = module["calibration"].to_dataframe().set_index("quantity")
        assert table.loc["center_x", "value"] == CENTER[0]
        assert table.loc["center_y", "value"] == CENTER[1]
        told = module["provenance"].to_dataframe().set_index("item")["content"]
        assert json.loads(told["calibration.center"]) == list(CENTER)
        assert told["configuration.derotate.interpolation"] == "linear"
        assert told["software"].startswith("derotation-workflow")
        assert file.imaging_planes["ImagingPlane"].imaging_rate == RATE


def test_several_files_say_where_each_begins(session, tmp_path):
    raw = tifffile.imread(session.paths["raw"])
    for number, part in enumerate((raw[:10], raw[10:])):
        tifffile.imwrite(tmp_path / f"part_{number}.tif", part, photometric="minisblack")
    session.paths["raw"] = tmp_path / "part_*.tif"
    write(session, tmp_path / "s.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "s.nwb"), "r") as io:
        series = io.read().acquisition["raw"]
        assert list(series.external_file) == ["part_0.tif", "part_1.tif"]
        assert list(series.starting_frame) == [0, 10]


def test_movies_of_another_session_are_refused(session, tmp_path):
    tifffile.imwrite(session.paths["raw"], session.raw[:-1], photometric="minisblack")
    with pytest.raises(InputError, match="23 recorded and 24 derotated frames do not belong"):
        write(session, tmp_path / "s.nwb")


def test_without_pynwb_the_remedy_is_named(session, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'derotation-workflow\[nwb\]'"):
        write(session, tmp_path / "s.nwb")
    assert not (tmp_path / "s.nwb").exists()


@pytest.mark.parametrize("movies", ["external", "inside"])
def test_the_sample_that_moved_is_told(session, tmp_path, movies):
    path = tmp_path / "s.nwb"
    motion = Motion(
        time_s=np.arange(5.0), x=np.linspace(0, 1, 5), y=np.linspace(0, -2, 5), sd=np.ones(5),
        lost=np.zeros(24, bool), left_px=0.1, corrected=True,
    )  # fmt: skip
    write(session, path, motion=motion, movies=movies)
    assert not problems(path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        (stack,) = file.processing["derotation"]["MotionCorrection"].corrected_image_stacks.values()
        np.testing.assert_allclose(stack.xy_translation.data[:], np.stack([motion.x, motion.y], 1))
        assert stack.original.name == "raw"
        assert "undone" in stack.xy_translation.description


ABOUT = {
    "subject_id": "M12",
    "species": "Mus musculus",
    "sex": "F",
    "age": "P90D",
    "genotype": "Thy1-GCaMP6s",
    "weight": "0.025 kg",
    "subject_description": "healthy",
    "session_start": "2024-05-05T12:00:00",
    "time_zone": "Europe/London",
    "experiment_description": "What cells do while the head turns",
    "experimenter": ["Doe, Jane", "Roe, Richard"],
    "institution": "A university",
    "lab": "A laboratory",
    "keywords": ["rotation", "two-photon"],
    "indicator": "GCaMP6s",
    "location": "VISp",
    "microscope": "A resonant two-photon microscope",
    "optics": "16x 0.8 NA, GaAsP detector",
    "excitation_nm": 920,
    "emission_nm": 510,
}


def read(path):
    return pynwb.NWBHDF5IO(str(path), "r")


def test_what_is_known_about_the_experiment_is_told(session, tmp_path):
    path = tmp_path / "s.nwb"
    write(session, path, about={**ABOUT, "strain": None, "related_publications": []})
    assert not problems(path)
    with read(path) as io:
        file = io.read()
        assert (file.subject.subject_id, file.subject.species) == ("M12", "Mus musculus")
        assert (file.subject.sex, file.subject.age) == ("F", "P90D")
        assert file.subject.description == "healthy"
        assert file.session_start_time.isoformat() == "2024-05-05T12:00:00+01:00"
        assert file.notes.startswith("session_start_time is as it was given")
        assert tuple(file.experimenter) == ("Doe, Jane", "Roe, Richard")
        assert (file.institution, file.lab) == ("A university", "A laboratory")
        assert list(file.keywords[:]) == ["rotation", "two-photon"]
        plane = file.imaging_planes["ImagingPlane"]
        assert (plane.indicator, plane.location, plane.excitation_lambda) == (
            "GCaMP6s",
            "VISp",
            920,
        )
        assert plane.optical_channel[0].emission_lambda == 510
        assert plane.optical_channel[0].description == "16x 0.8 NA, GaAsP detector"
        assert plane.device.description.startswith("A resonant two-photon microscope; software")


def test_what_dandi_misses_is_logged(session, tmp_path, caplog):
    write(session, tmp_path / "s.nwb", about={"species": "Mus musculus"})
    assert "subject: subject_id, sex, age." in caplog.text
    caplog.clear()
    born = {**ABOUT, "age": None, "date_of_birth": "2024-01-01"}
    write(session, tmp_path / "s.nwb", about=born)
    assert not caplog.text
    with read(tmp_path / "s.nwb") as io:
        assert io.read().subject.date_of_birth.isoformat() == "2024-01-01T00:00:00+00:00"


def test_a_time_zone_that_does_not_exist_is_named(session, tmp_path):
    with pytest.raises(InputError, match=r"nwb\.time_zone: there is no 'London'"):
        write(session, tmp_path / "s.nwb", about={**ABOUT, "time_zone": "London"})


def test_nothing_in_a_cell_is_a_dictionary():
    given = {
        "a": {"b": 1, "c": [1, 2], "empty": {}},
        "text": "two {words: here} and more",
        "json": '{"d": {"e": null}}',
        "deep": [[{"f": "g"}], 3],
        "object": Path("h"),
    }
    assert dict(nwb._flat("x", given)) == {
        "x.a.b": "1",
        "x.a.c": "[1, 2]",
        "x.text": "two (words: here) and more",
        "x.json.d.e": "null",
        "x.deep.0.0.f": "g",
        "x.deep.1": "3",
        "x.object": '"h"',
    }


EPOCH = "frameNumbers = 1\nepoch = [2019 5 14 11 21 31.250000]\n"
OME = "<OME><Image><AcquisitionDate>2021-02-03T04:05:06</AcquisitionDate></Image></OME>"


@pytest.mark.parametrize(
    ("text", "start"),
    [(EPOCH, "2019-05-14T11:21:31.250000+02:00"), (OME, "2021-02-03T04:05:06+01:00")],
)
def test_the_start_is_told_by_the_movie(session, tmp_path, text, start):
    path = session.paths["raw"]
    tifffile.imwrite(path, session.raw, photometric="minisblack", description=text, metadata=None)
    assert recording_start(path).isoformat() == start[:-6]
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, session.raw, photometric="minisblack")
    assert recording_start(plain) is None
    (tmp_path / "xy.xml").write_text('<PVScan version="5.5" date="6/19/2023 1:02:03 PM" notes="">')
    assert recording_start(plain).isoformat() == "2023-06-19T13:02:03"
    movie = SimpleNamespace(paths=[path])
    found, source = nwb._session_start(movie, {"time_zone": "Europe/Berlin"})
    assert (found.isoformat(), source) == (start, "as raw.tif says")


@pytest.mark.parametrize("movies", ["external", "inside"])
def test_the_inspector_of_dandi_finds_nothing(tmp_path, movies):
    inspector = pytest.importorskip("nwbinspector", reason="pip install nwbinspector")
    # More frames than pixels along a side, as in recordings.
    session = Session(tmp_path, line_angles=np.vstack([turning()] * 2))
    n = len(session.angles.line_angles)
    motion = Motion(
        time_s=np.arange(50.0), x=np.linspace(0, 1, 50), y=np.linspace(0, -2, 50), sd=np.ones(50),
        lost=np.zeros(n, bool), left_px=0.1, corrected=True,
    )  # fmt: skip
    path = tmp_path / "sub-M12" / "sub-M12_ses-a.nwb"
    write(session, path, movies=movies, motion=motion, about=ABOUT)
    checks = inspector.configure_checks(config=inspector.load_config("dandi"))
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(path), checks=checks))
    grave = {inspector.Importance.CRITICAL, inspector.Importance.BEST_PRACTICE_VIOLATION,
             inspector.Importance.PYNWB_VALIDATION, inspector.Importance.ERROR}  # fmt: skip
    assert not [(one.check_function_name, one.message) for one in found if one.importance in grave]
    # It does look: without a subject it is not content.
    write(session, path, movies=movies)
    found = inspector.inspect_nwbfile(nwbfile_path=str(path), checks=checks)
    assert "check_subject_exists" in {one.check_function_name for one in found}


def cell_traces(n_frames):
    rng = np.random.default_rng(0)
    traces = {name: rng.normal(size=(2, n_frames)) for name in ("fluorescence", "neuropil", "dff")}
    traces["dff"][0, 3] = np.nan
    traces["time_s"] = np.arange(n_frames) / RATE + np.array([[0.1], [0.2]])
    return nwb.CellTraces(
        roi=np.array([3, 8]),
        masks=(np.array([[5.0, 6.0, 0.25], [6.0, 6.0, 0.75]]), np.array([[9.0, 4.0, 1.0]])),
        traces=traces,
        flags={name: np.array([True, False]) for name in ("angle_tuned", "velocity_tuned")},
    )


def test_cells_have_masks_traces_and_times_of_their_own(session, tmp_path):
    path = tmp_path / "ses_a.nwb"
    cells = cell_traces(len(session.angles.frame_start))
    write(session, path, cells=cells)
    assert not problems(path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        module = io.read().processing["derotation"]
        plane = module["ImageSegmentation"]["PlaneSegmentation"]
        assert plane.id[:].tolist() == [3, 8]
        assert [tuple(pixel) for pixel in plane["pixel_mask"][0]] == [(5, 6, 0.25), (6, 6, 0.75)]
        assert plane["angle_tuned"][:].tolist() == [True, False]
        for name in ("fluorescence", "neuropil"):
            series = module["Fluorescence"][name]
            np.testing.assert_array_equal(series.data[:], cells.traces[name].T)
        np.testing.assert_array_equal(module["DfOverF"]["dff"].data[:], cells.traces["dff"].T)
        times = module["Fluorescence"]["roi_time"]
        np.testing.assert_array_equal(times.data[:], cells.traces["time_s"].T)
        assert times.unit == "s"


def test_cells_of_another_movie_are_refused(session, tmp_path):
    with pytest.raises(InputError, match="run measure_cells again"):
        write(session, tmp_path / "a.nwb", cells=cell_traces(4 + len(session.angles.frame_start)))
