"""A session of two channels, from the raw files to the exports."""

import numpy as np
import pytest
import tifffile

from derotation.cohort.config import check_config, validate_config
from derotation.errors import InputError, MovieError
from derotation.io.movie import open_movie
from derotation.steps import (
    derotate_movie,
    estimate_center,
    export_suite2p,
    export_tiff,
    interpolate_angles,
    parse_signals,
    simulate_session,
)
from derotation.steps.channels import ChannelFiles, channel_files, in_export_order
from derotation.steps.exporting import DerotatedFiles
from unit.sessions import disc

SHAPE = (48, 64)
TINY = {
    "shape": SHAPE,
    "frame_rate": 10,
    "sampling_rate": 10000,
    "stimulus": [[100, 1], [150, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 25,
    "photons_per_pixel": 100,
    "channels": 2,
}


def settings(**movie):
    return validate_config({"signals": {"sampling_rate": 10000}, "movie": {"channel": 2} | movie})


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return simulate_session.run(folder=folder, protocol="full", config=TINY)


@pytest.fixture(scope="module")
def session(raw, tmp_path_factory):
    """Steps before the movie; the markers calibrate."""
    folder = tmp_path_factory.mktemp("session")
    config = settings(channels="all")
    parse_signals.run(
        movie=raw["movie"], signals=raw["signals"], stimulus=raw["stimulus"], protocol="full",
        config=config, outputs=parse_signals.Outputs.within(folder),
    )  # fmt: skip
    interpolate_angles.run(
        events=folder / "events.npz", movie=raw["movie"], protocol="full", config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )  # fmt: skip
    estimate_center.run(
        movie=raw["movie"], angles=folder / "angles.npz", session="s", config=config,
        outputs=estimate_center.Outputs.within(folder, center=folder / "calibration.json"),
    )  # fmt: skip
    derotate(raw, folder, config)
    return folder


def derotate(raw, folder, config, **others):
    return derotate_movie.run(
        movie=raw["movie"], angles=folder / "angles.npz", calibration=folder / "calibration.json",
        config=config, outputs=derotate_movie.Outputs.within(folder, **others),
    )  # fmt: skip


def test_both_channels_stand_still(raw, session):
    truth = np.load(raw["truth"])
    rest = {1: truth["rest_image"], 2: truth["rest_image_plane1_ch2"]}
    inside = disc(SHAPE, truth["center"], 20)
    files = {2: session / "derotated.tif", 1: session / "channels" / "derotated_ch1.tif"}
    means = {2: session / "images" / "mean.tif", 1: session / "images/channels/mean_ch1.tif"}
    turned = np.abs(truth["line_angles"]).min(axis=1) > 10
    for channel, image in rest.items():
        mean = tifffile.imread(means[channel])
        assert np.corrcoef(mean[inside], image[inside])[0, 1] > 0.97
        movie = tifffile.imread(files[channel])[turned].mean(axis=0)
        assert np.corrcoef(movie[inside], image[inside])[0, 1] > 0.97
    # Suite2p takes every TIFF of a folder for a part of the recording.
    assert [path.name for path in session.glob("*.tif")] == ["derotated.tif"]
    assert (session / "plots" / "channels.png").stat().st_size > 10_000


def test_the_other_channel_is_as_if_it_were_the_only_one(raw, session, tmp_path):
    for name in ("angles.npz", "calibration.json"):
        (tmp_path / name).write_bytes((session / name).read_bytes())
    derotate(raw, tmp_path, settings(channel=1))
    assert not (tmp_path / "channels").exists()
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "derotated.tif"),
        tifffile.imread(session / "channels" / "derotated_ch1.tif"),
    )


def test_nothing_is_left_of_channels_that_are_not_wanted_any_more(raw, session, tmp_path):
    for name in ("angles.npz", "calibration.json"):
        (tmp_path / name).write_bytes((session / name).read_bytes())
    derotate(raw, tmp_path, settings(channels=[1, 2]))
    assert list(channel_files(tmp_path / "channels")) == [1]
    derotate(raw, tmp_path, settings(channel=1, channels=[1, 2]))
    assert list(channel_files(tmp_path / "channels")) == [2]
    assert [p.name for p in (tmp_path / "images" / "channels").iterdir()] == ["mean_ch2.tif"]


@pytest.mark.parametrize(("functional", "first"), [(1, 1), (2, 2), (None, 2)])
def test_suite2p_gets_the_functional_channel_first(session, tmp_path, functional, first):
    config = settings(channels="all")
    config["export"] |= {"functional_channel": functional, "fill": "mean_image"}
    statistics = session / "statistics.npz"
    export_suite2p.run(
        files=DerotatedFiles.within(session), statistics=statistics, session="s", config=config,
        folder=tmp_path / "suite2p",
    )  # fmt: skip
    export_tiff.run(files=DerotatedFiles.within(session), config=config, output=tmp_path / "s.tif")
    plane = tmp_path / "suite2p" / "plane0"
    db = np.load(plane / "db.npy", allow_pickle=True).item()
    assert (db["nchannels"], db["functional_chan"]) == (2, first)
    shape = (db["nframes"], *SHAPE)
    files = {2: session / "derotated.tif", 1: session / "channels" / "derotated_ch1.tif"}
    with open_movie(session / "derotated.tif") as movie:
        always = slice(20, 28), slice(28, 36)
        assert movie.shape == shape
    for name, channel in (("data.bin", first), ("data_chan2.bin", 3 - first)):
        exported = np.fromfile(plane / name, "<i2").reshape(shape)
        expected = tifffile.imread(files[channel])
        np.testing.assert_array_equal(exported[:, *always], expected[:, *always])
        if channel == first:
            np.testing.assert_array_equal(exported, tifffile.imread(tmp_path / "s.tif"))


def test_channels_that_are_not_there_are_refused(raw, session, tmp_path):
    for name in ("angles.npz", "calibration.json"):
        (tmp_path / name).write_bytes((session / name).read_bytes())
    with pytest.raises(MovieError, match=r"movie\.channels asks for channel 3, 4, but .* 1, 2"):
        derotate(raw, tmp_path, settings(channels=[2, 3, 4]))
    assert not (tmp_path / "derotated.tif").exists()
    config = settings(channels="all")
    config["export"]["functional_channel"] = 5
    with pytest.raises(InputError, match=r"functional_channel is 5, but .* are 2, 1"):
        export_tiff.run(
            files=DerotatedFiles.within(session), config=config, output=tmp_path / "s.tif"
        )


def given(movie, functional):
    export = {"functional_channel": functional}
    return {"signals": {"sampling_rate": 10000}, "movie": movie, "export": export}


@pytest.mark.parametrize(
    ("movie", "functional", "key"),
    [
        ({"channels": [1, 2]}, None, "movie.channel"),
        ({"channel": 1}, 2, "export.functional_channel"),
        ({"channel": 1, "channels": [1, 3]}, 2, "export.functional_channel"),
        ({"channel": 1, "channels": "some"}, None, "movie.channels"),
        ({"channel": 1, "channels": []}, None, "movie.channels"),
        ({"channel": 1, "channels": [0]}, None, "movie.channels"),
    ],
)
def test_contradictions_are_found_before_anything_runs(movie, functional, key):
    _, errors = check_config(given(movie, functional))
    assert len(errors) == 1
    assert key in errors[0]


@pytest.mark.parametrize(
    ("movie", "functional"),
    [
        ({"channels": "all"}, 2),
        ({"channel": 2, "channels": [1]}, 1),
        ({"channel": 2}, 2),
        ({"channels": [2]}, None),
    ],
)
def test_what_can_be_meant_is_allowed(movie, functional):
    _, errors = check_config(given(movie, functional))
    assert not errors


def test_all_channels_of_a_file_that_holds_one(raw, session, tmp_path):
    for name in ("angles.npz", "calibration.json"):
        (tmp_path / name).write_bytes((session / name).read_bytes())
    with open_movie(raw["movie"], channel=2) as movie:
        tifffile.imwrite(tmp_path / "one.tif", movie.read(slice(None)), photometric="minisblack")
    config = settings(channel=None, channels="all")
    place = tmp_path / "results"
    derotate_movie.run(
        movie=tmp_path / "one.tif", angles=tmp_path / "angles.npz", config=config,
        calibration=tmp_path / "calibration.json", outputs=derotate_movie.Outputs.within(place),
    )  # fmt: skip
    assert list((place / "channels").iterdir()) == []
    files = DerotatedFiles.within(
        place, angles=tmp_path / "angles.npz", calibration=tmp_path / "calibration.json"
    )
    export_suite2p.run(
        files=files, statistics=place / "statistics.npz", session="s", config=config,
        folder=place / "suite2p",
    )  # fmt: skip
    db = np.load(place / "suite2p" / "plane0" / "db.npy", allow_pickle=True).item()
    assert (db["nchannels"], db["nplanes"], "reg_file_chan2" in db) == (1, 1, False)
    np.testing.assert_array_equal(
        tifffile.imread(place / "derotated.tif"), tifffile.imread(session / "derotated.tif")
    )


def test_a_plane_without_a_folder_of_channels_has_none(tmp_path):
    assert channel_files(tmp_path / "channels") == {}
    assert channel_files(None) == {}


def test_a_session_with_one_channel_needs_no_functional_one(tmp_path):
    only = ChannelFiles(number=1, movie=tmp_path / "m.tif", mean=tmp_path / "mean.tif")
    assert in_export_order(only, {}, 2) == [only]
