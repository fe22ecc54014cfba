"""A session of several planes and channels, from the raw files to Suite2p's folder."""

import json

import numpy as np
import pytest
import tifffile

from derotation.cohort.config import check_config, validate_config
from derotation.errors import MovieError
from derotation.export import run_suite2p
from derotation.signals.angles import Angles
from derotation.steps import (
    derotate_movie,
    derotate_planes,
    estimate_center,
    export_nwb,
    export_suite2p,
    interpolate_angles,
    parse_signals,
    simulate_session,
)
from derotation.steps.channels import plane_folders
from derotation.steps.exporting import DerotatedFiles
from unit.sessions import disc

SHAPE = (48, 64)
TINY = {
    "shape": SHAPE,
    "frame_rate": 30,
    "sampling_rate": 20000,
    "stimulus": [[80, 1], [120, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 25,
    "photons_per_pixel": 100,
    "calcium": False,
    "channels": 2,
    "planes": 3,
}


def settings(**movie):
    sizes = {"n_planes": 3, "n_channels": 2, "channel": 1, "plane": 2}
    return validate_config({"signals": {"sampling_rate": 20000}, "movie": sizes | movie})


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return simulate_session.run(folder=folder, protocol="full", config=TINY)


@pytest.fixture(scope="module")
def session(raw, tmp_path_factory):
    """The second plane calibrates."""
    folder = tmp_path_factory.mktemp("session")
    config = settings(channels="all", planes="all")
    about = {"movie": raw["movie"], "config": config}
    parse_signals.run(
        **about, signals=raw["signals"], stimulus=raw["stimulus"], protocol="full",
        outputs=parse_signals.Outputs.within(folder),
    )  # fmt: skip
    interpolate_angles.run(
        **about, events=folder / "events.npz", protocol="full",
        outputs=interpolate_angles.Outputs.within(folder),
    )  # fmt: skip
    calibration = folder / "calibration.json"
    estimate_center.run(
        **about, angles=folder / "angles.npz", session="s",
        outputs=estimate_center.Outputs.within(folder, center=calibration),
    )  # fmt: skip
    derotate_movie.run(
        **about, angles=folder / "angles.npz", calibration=calibration,
        outputs=derotate_movie.Outputs.within(folder),
    )  # fmt: skip
    assert derotate(raw, folder, folder, config) == (1, 3)
    return folder


def derotate(raw, session, folder, config):
    return derotate_planes.run(
        movie=raw["movie"], signals=raw["signals"], stimulus=raw["stimulus"], protocol="full",
        calibration=session / "calibration.json", config=config,
        outputs=derotate_planes.Outputs.within(folder),
    )  # fmt: skip


def places(session):
    return {1: session / "planes/plane1", 2: session, 3: session / "planes/plane3"}


def test_each_plane_has_the_angles_of_its_own_lines(raw, session):
    truth = np.load(raw["truth"])["line_angles"]
    for plane, place in places(session).items():
        own = Angles.load(place / "angles.npz").line_angles
        expected = truth[plane - 1 :: 3]
        assert own.shape == expected.shape
        difference = (own - expected + 180) % 360 - 180
        assert np.abs(difference).max() < 0.3
        # The times of another plane would be wrong by much more.
        wrong = (own - truth[plane % 3 :: 3] + 180) % 360 - 180
        assert np.abs(wrong).max() > 2


def test_all_planes_and_channels_stand_still(raw, session):
    truth = np.load(raw["truth"])
    inside = disc(SHAPE, truth["center"], 20)
    for plane, place in places(session).items():
        turned = np.abs(truth["line_angles"][plane - 1 :: 3]).min(axis=1) > 10
        for channel, file in ((1, "derotated.tif"), (2, "channels/derotated_ch2.tif")):
            name = f"rest_image_plane{plane}_ch{channel}"
            rest = truth["rest_image" if (plane, channel) == (1, 1) else name]
            mean = tifffile.imread(place / file)[turned].mean(axis=0)
            assert np.corrcoef(mean[inside], rest[inside])[0, 1] > 0.96
        assert [path.name for path in place.glob("*.tif")] == ["derotated.tif"]


def test_what_each_plane_became_is_told(raw, session):
    told = json.loads((session / "planes.json").read_text())
    truth = np.load(raw["truth"])
    for row in told["planes"]:
        place = places(session)[row["plane"]]
        turned = np.abs(truth["line_angles"][row["plane"] - 1 :: 3]).max(axis=1) > 1
        coverage = np.loadtxt(place / "coverage.csv", delimiter=",", skiprows=1)[:, 1]
        assert row["coverage"] == pytest.approx(np.median(coverage[turned]), abs=0.02)
        assert row["sharpness_gain"] > 1.5
        assert f"Plane {row['plane']}: The mean of all turned frames is" in told["statement"]
    assert [row["plane"] for row in told["planes"]] == [1, 3]
    assert (session / "plots" / "planes.png").exists()


def test_a_session_without_further_planes_in_a_cohort_that_has_some(raw, session, tmp_path):
    assert derotate(raw, session, tmp_path, settings()) == ()
    told = json.loads((tmp_path / "planes.json").read_text())
    assert (told["planes"], told["statement"]) == ([], "")
    assert (tmp_path / "plots" / "planes.png").exists()
    assert not list((tmp_path / "planes").iterdir())


def export(session, folder, **movie):
    return export_suite2p.run(
        files=DerotatedFiles.within(session), statistics=session / "statistics.npz", session="s",
        folder=folder / "suite2p", config=settings(channels="all", planes="all"), **movie,
    )  # fmt: skip


def test_suite2p_gets_a_folder_per_plane(session, tmp_path, monkeypatch):
    export(session, tmp_path, planes=session / "planes")
    folder = tmp_path / "suite2p"
    assert sorted(path.name for path in folder.glob("plane*")) == ["plane0", "plane1", "plane2"]
    bad = set()
    for plane, place in places(session).items():
        home = folder / f"plane{plane - 1}"
        db, ops = (np.load(home / f"{n}.npy", allow_pickle=True).item() for n in ("db", "ops"))
        assert (db["nplanes"], db["iplane"], db["nchannels"]) == (3, plane - 1, 2)
        assert (ops["nplanes"], ops["save_path"]) == (3, f"s/suite2p/plane{plane - 1}")
        assert db["reg_file_chan2"] == f"s/suite2p/plane{plane - 1}/data_chan2.bin"
        assert ops["fs"] == pytest.approx(10, rel=1e-3)  # of this plane
        shape = (db["nframes"], *SHAPE)
        for name, file in (("data", "derotated"), ("data_chan2", "channels/derotated_ch2")):
            exported = np.fromfile(home / f"{name}.bin", "<i2").reshape(shape)
            expected = tifffile.imread(place / f"{file}.tif")
            np.testing.assert_array_equal(exported[:, 20:28, 28:36], expected[:, 20:28, 28:36])
        told = np.load(home / "reg_outputs.npy", allow_pickle=True).item()
        bad |= set(np.flatnonzero(told["badframes"]).tolist())
    # Suite2p knows one list for all planes.
    assert np.load(folder / "bad_frames.npy").tolist() == sorted(bad)
    assert json.loads((folder / "export.json").read_text())["planes"] == [1, 2, 3]
    monkeypatch.setattr(run_suite2p, "FOLDER", folder)
    assert run_suite2p.planes() == [folder / f"plane{k}" for k in range(3)]
    # Results of Suite2p are kept apart, and no plane is left behind.
    for k in range(3):
        (folder / f"plane{k}" / "stat.npy").write_bytes(bytes([k]))
    export(session, tmp_path)
    assert [path.name for path in folder.glob("plane*")] == ["plane0"]
    kept = {path.parent.name: path.read_bytes() for path in folder.glob("earlier/**/stat.npy")}
    assert sorted(kept.values()) == [b"\0", b"\1", b"\2"]
    assert run_suite2p.planes() == [folder / "plane0"]
    (folder / "plane0" / "db.npy").unlink()
    with pytest.raises(FileNotFoundError):
        run_suite2p.planes()


@pytest.mark.filterwarnings("ignore")  # of the packages behind pynwb
def test_nwb_holds_every_plane_and_channel(raw, session, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    config = settings(channels="all", planes="all") | {"export": {"nwb": "inside"}}
    export_nwb.run(
        movie=session / "derotated.tif", recorded=raw["movie"], angles=session / "angles.npz",
        calibration=session / "calibration.json", session="s", config=config,
        output=tmp_path / "s.nwb", channels=session / "channels", planes=session / "planes",
    )  # fmt: skip
    found = pynwb.validate(path=str(tmp_path / "s.nwb"))
    assert not (found[0] if isinstance(found, tuple) else found)
    recorded = tifffile.imread(raw["movie"]).reshape(-1, 3, 2, *SHAPE)
    with pynwb.NWBHDF5IO(str(tmp_path / "s.nwb"), "r") as io:
        file = io.read()
        module = file.processing["derotation"]
        for plane, place in places(session).items():
            suffix = "" if plane == 2 else f"_plane{plane}"
            angles = Angles.load(place / "angles.npz")
            told = module[f"line_angle{suffix}"].data[:]
            np.testing.assert_array_equal(told, angles.line_angles.ravel())
            for channel, name in ((1, "derotated.tif"), (2, "channels/derotated_ch2.tif")):
                part = suffix + ("_ch2" if channel == 2 else "")
                before, after = file.acquisition[f"raw{part}"], module[f"derotated{part}"]
                expected = recorded[:, plane - 1, channel - 1]
                np.testing.assert_array_equal(before.data[:].transpose(0, 2, 1), expected)
                np.testing.assert_array_equal(
                    after.data[:].transpose(0, 2, 1), tifffile.imread(place / name)
                )
                assert after.imaging_plane.name == f"ImagingPlane{suffix}"
                times = angles.frame_start / angles.sampling_rate
                regular = after.timestamps is None
                told = (
                    after.starting_time + np.arange(len(times)) / after.rate
                    if regular
                    else after.timestamps[:]
                )
                np.testing.assert_allclose(told, times, atol=1e-8)


def test_planes_that_are_not_there_are_refused(raw, session, tmp_path):
    with pytest.raises(
        MovieError, match=r"movie\.planes asks for plane 4, but the files hold plane 1, 2, 3"
    ):
        derotate(raw, session, tmp_path, settings(planes=[2, 4]))
    assert not (tmp_path / "planes").exists()
    assert plane_folders(None) == {}
    given = {"signals": {"sampling_rate": 10000}, "movie": {"planes": [1, 2]}}
    _, errors = check_config(given)
    assert len(errors) == 1
    assert "movie.plane: found null" in errors[0]


def test_a_plane_that_is_not_wanted_any_more_goes(raw, session, tmp_path):
    (tmp_path / "planes" / "plane3").mkdir(parents=True)
    assert derotate(raw, session, tmp_path, settings(planes=[1, 2])) == (1,)
    assert list(plane_folders(tmp_path / "planes")) == [1]
    assert not (tmp_path / "planes" / "plane1" / "channels").exists()
