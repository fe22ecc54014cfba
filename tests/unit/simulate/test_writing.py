"""Recordings on disk hold what was simulated."""

import json

import numpy as np
import pytest
import tifffile

from derotation.errors import InputError
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.simulate import (
    plan_recording,
    simulate_recording,
    simulate_session,
    write_recording,
)
from derotation.simulate.signals import NPY_CHANNELS

SMALL = {
    "shape": (12, 20),
    "n_cells": 3,
    "frame_rate": 20.0,
    "rest_before_s": 0.2,
    "rest_between_s": 0.2,
    "rest_after_s": 0.2,
    "sampling_rate": 20_000.0,
}


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(**SMALL, faults={"stray_ticks": 3})


def test_a_session_on_disk_is_the_recording_in_memory(tmp_path, recording):
    paths = simulate_session(
        tmp_path / "new" / "session", **SMALL, faults={"stray_ticks": 3}, frames_per_chunk=9
    )
    np.testing.assert_array_equal(tifffile.imread(paths["movie"]), recording.movie)
    np.testing.assert_array_equal(np.load(paths["signals"]), recording.signals)
    assert paths["stimulus"].read_text() == "speed,direction\n200,1\n200,-1\n"
    with np.load(paths["truth"]) as truth:
        np.testing.assert_array_equal(truth["line_angles"], recording.line_angles)
        np.testing.assert_array_equal(truth["center"], recording.center)
        np.testing.assert_array_equal(truth["rest_image"], recording.rest_image)
        assert truth["injected_stray_ticks"].size == 3
    summary = json.loads(paths["summary"].read_text())
    assert summary["center"] == list(recording.center)
    assert summary["parameters"]["faults"]["stray_ticks"] == 3
    assert len(summary["injected"]["stray_ticks"]) == 3
    names = {"movie.tif", "signals.npy", "stimulus.csv", "truth.npz", "truth.json"}
    assert {path.name for path in (tmp_path / "new" / "session").iterdir()} == names


def test_each_frame_is_a_page_and_readable_alone(tmp_path, recording):
    paths = write_recording(recording, tmp_path)
    with tifffile.TiffFile(paths["movie"]) as tiff:
        assert len(tiff.pages) == len(recording.movie)
        assert not tiff.is_bigtiff
        np.testing.assert_array_equal(tiff.pages[7].asarray(), recording.movie[7])


def test_summary_gives_the_recording_again(tmp_path, recording):
    paths = write_recording(recording, tmp_path)
    parameters = json.loads(paths["summary"].read_text())["parameters"]
    parameters["scene"] = None
    again = plan_recording(**parameters)
    np.testing.assert_array_equal(again.frame(9), recording.movie[9])


def test_incremental_sessions_have_no_stimulus_table(tmp_path):
    options = {**SMALL, "frame_rate": 2.0, "step_rest_s": 0.1, "step_speed": 200}
    paths = simulate_session(tmp_path, protocol="incremental", signals_format="bin", **options)
    assert "stimulus" not in paths
    assert not (tmp_path / "stimulus.csv").exists()
    assert paths["signals"].stat().st_size % 12 == 0


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot hold NaN"):
        simulate_session(tmp_path, signals_format="bin", **SMALL, faults={"nan_samples": 1})
    with pytest.raises(InputError, match="signals_format must be"):
        simulate_session(tmp_path, signals_format="wav", **SMALL)
    with pytest.raises(InputError, match="movie_format must be one of tif, prairie"):
        simulate_session(tmp_path, movie_format="avi", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("movie_format", ["prairie", "thor_tif", "thor_raw", "scanbox", "h5"])
@pytest.mark.parametrize("again", [False, True])
def test_movies_of_other_programs(tmp_path, recording, movie_format, again):
    if movie_format == "h5":
        pytest.importorskip("h5py")
    for _ in range(1 + again):
        paths = write_recording(recording, tmp_path, movie_format=movie_format)
    with open_movie(paths["movie"]) as movie:
        np.testing.assert_array_equal(movie.read(slice(None)), recording.movie)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("signals_format", ["h5", "wavesurfer", "tdms", "mat", "csv"])
def test_signals_of_other_programs(tmp_path, recording, signals_format):
    if signals_format in ("h5", "wavesurfer", "tdms"):
        pytest.importorskip({"tdms": "nptdms"}.get(signals_format, "h5py"))
    paths = write_recording(recording, tmp_path, signals_format=signals_format)
    signals = open_signals(paths["signals"])
    for number, role in enumerate(NPY_CHANNELS):
        np.testing.assert_allclose(signals.volts(role), recording.signals[number], atol=2e-4)


@pytest.mark.parametrize("movie_format", ["tif", "prairie", "thor_tif", "thor_raw", "scanbox"])
@pytest.mark.parametrize(("channels", "planes"), [(2, 1), (1, 3), (2, 2)])
def test_channels_and_planes(tmp_path, movie_format, channels, planes):
    parameters = {
        "shape": (16, 20), "n_cells": 4, "frame_rate": 40.0, "sampling_rate": 20_000.0,
        "stimulus": ((300.0, 1),), "rest_before_s": 0.1, "rest_after_s": 0.1, "acceleration": 1e4,
    }  # fmt: skip
    sizes = {"channels": channels, "planes": planes}
    paths = simulate_session(tmp_path, movie_format=movie_format, **parameters, **sizes)
    plan = plan_recording(**parameters, **sizes)
    assert plan.n_frames % planes == 0
    for plane in range(1, planes + 1):
        for channel in range(1, channels + 1):
            with open_movie(paths["movie"], channel=channel, plane=plane) as movie:
                assert movie.channels == tuple(range(1, channels + 1))
                np.testing.assert_array_equal(
                    movie.clock_index, np.arange(plane - 1, plan.n_frames, planes)
                )
                layer = plan.layer(plane=plane, channel=channel)
                expected = [layer.frame(frame) for frame in movie.clock_index]
                np.testing.assert_array_equal(movie.read(slice(None)), expected)
    # What is simulated by default stays what it was.
    alone = plan_recording(**parameters, n_frames=plan.n_frames)
    np.testing.assert_array_equal(alone.frame(planes), plan.layer().frame(planes))
    if channels == 2:
        assert np.all(plan.layer(channel=2).activity == 1)
        truth = np.load(paths["truth"])
        markers = plan.layer(channel=2).rest_image
        np.testing.assert_array_equal(truth["rest_image_plane1_ch2"], markers)
        assert abs(np.corrcoef(markers.ravel(), plan.rest_image.ravel())[0, 1]) < 0.5


def test_frames_that_make_no_whole_volume_are_refused():
    with pytest.raises(InputError, match="n_frames is 100, which is no multiple of 3 planes"):
        plan_recording(n_frames=100, planes=3)
    with pytest.raises(InputError, match="channels must be 1 or 2, not 3"):
        plan_recording(channels=3)
