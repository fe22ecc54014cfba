"""Directions of rotations that neither a table nor a channel tells."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.errors import InputError
from derotation.io.movie import open_movie
from derotation.io.signals import ROLES, AnalogSignals
from derotation.movie_angles.directions import find_directions
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_recording


def recorded(directions):
    return simulate_recording(
        shape=(64, 64), frame_rate=10, sampling_rate=10_000, photons_per_pixel=20, n_cells=25,
        stimulus=[(120.0 + 20 * k, sign) for k, sign in enumerate(directions)], calcium=False,
        rest_before_s=0.5, rest_between_s=0.3, rest_after_s=0.5, center_offset=(-3, 2), seed=3,
        acceleration=400,
    )  # fmt: skip


def parsed(recording, **config):
    signals = np.asarray(recording.signals, np.float32)
    return parse_signals(
        AnalogSignals(Path("s.npy"), signals, {role: k for k, role in enumerate(ROLES)}),
        n_frames=len(recording.movie), lines_per_frame=64, sampling_rate=10_000, protocol="full",
        **config,
    )  # fmt: skip


@pytest.mark.parametrize("directions", [(1, 1, -1), (-1, -1), (-1, 1)], ids=str)
def test_directions_and_speeds(tmp_path, directions):
    recording = recorded(directions)
    events = parsed(recording)
    (odd,) = events.anomalies
    assert odd.code == "directions_unknown"
    tifffile.imwrite(tmp_path / "m.tif", recording.movie, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        found = find_directions(movie, events)
    assert tuple(found.rotation_direction) == directions
    assert not found.anomalies
    assert found.repairs[-1].code == "directions_by_movie"
    speeds = 120.0 + 20 * np.arange(len(directions))
    np.testing.assert_allclose(found.rotation_speed, speeds, rtol=0.02)
    angles = interpolate_angles(found, protocol="full")
    off = (angles.line_angles - recording.line_angles + 180) % 360 - 180
    assert np.abs(off).max() < 0.05


def test_what_the_movie_does_not_tell_is_asked_for(tmp_path):
    recording = recorded((1,))
    noise = np.random.default_rng(0).poisson(90, recording.movie.shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", noise, photometric="minisblack")
    with (
        open_movie(tmp_path / "m.tif") as movie,
        pytest.raises(InputError, match=r"rotation 1 looks alike.*set angles\.direction"),
    ):
        find_directions(movie, parsed(recording))


def test_what_is_told_is_not_looked_at():
    events = parsed(recorded((1,)), angles={"direction": 1})
    assert not events.anomalies
    assert find_directions(None, events) is events
