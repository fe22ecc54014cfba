"""The NWB file, read back and looked at by pynwb's own validator."""

import json

import numpy as np
import pytest
import tifffile
from test_export_suite2p import CENTER, HEIGHT, RATE, WIDTH, Session

from derotation.errors import PYNWB_MISSING, InputError
from derotation.export import nwb
from derotation.export.nwb import export_nwb
from derotation.io.movie import open_movie
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
            np.testing.assert_allclose(np.diff(one.timestamps[:]), 1 / RATE)
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
        np.testing.assert_allclose(
            angle.timestamps[:], session.angles.line_start.ravel() / session.angles.sampling_rate
        )
        table = module["calibration"].to_dataframe().set_index("quantity")
        assert table.loc["center_x", "value"] == CENTER[0]
        assert table.loc["center_y", "value"] == CENTER[1]
        told = module["provenance"].to_dataframe().set_index("item")["content"]
        assert json.loads(told["calibration"])["center"] == list(CENTER)
        assert json.loads(told["configuration"])["derotate"]["interpolation"] == "linear"
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
