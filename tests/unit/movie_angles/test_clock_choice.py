"""Frames that the clocks count and the movie does not have: the movie says which they are."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.io.angle_table import AngleTable
from derotation.io.movie import open_movie
from derotation.io.signals import ROLES, AnalogSignals
from derotation.io.stimulus import Stimulus
from derotation.movie_angles.clock_choice import _path, choose_clock_frames
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import FreeTurning, Sinusoid, simulate_recording

STIMULUS = Stimulus(
    speed=np.array([100.0, 150.0]), direction=np.array([1, -1], np.int8), path=Path("s.csv")
)


MADE = {
    "shape": (64, 64), "frame_rate": 10, "sampling_rate": 10_000, "stimulus": ((100, 1), (150, -1)),
    "rest_before_s": 1, "rest_between_s": 1, "rest_after_s": 1, "n_cells": 25, "seed": 5,
    "photons_per_pixel": 30, "calcium": False, "center_offset": (3, -2), "lead_s": 0.3,
    "tail_s": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(**MADE)


def signals_of(recording):
    samples = np.asarray(recording.signals, np.float32)
    return AnalogSignals(Path("signals.npy"), samples, {role: k for k, role in enumerate(ROLES)})


def settle(recording, frames, folder, *, movie=None, skip=0):
    """Parse with only some frames in the movie, and let it choose."""
    pixels = recording.movie if movie is None else movie
    tifffile.imwrite(folder / "movie.tif", pixels[frames], photometric="minisblack")
    signals = signals_of(recording)
    with open_movie(folder / "movie.tif") as opened:
        events = parse_signals(
            signals, n_frames=len(frames), lines_per_frame=64, sampling_rate=10_000,
            protocol="full", stimulus=STIMULUS,
        )  # fmt: skip
        found = choose_clock_frames(opened, events, protocol="full")
    return found, interpolate_angles(found, protocol="full").line_angles


def settle_free(motion, frames, folder):
    """Record a motion without a rest, and let the movie choose among the clocks' frames."""
    recording = simulate_recording(
        **{key: value for key, value in MADE.items() if key != "stimulus" and "rest" not in key},
        protocol="free", motion=motion, n_frames=100,
    )  # fmt: skip
    tifffile.imwrite(folder / "movie.tif", recording.movie[frames], photometric="minisblack")
    analog = recording.plan.analog
    rows = [analog.channel("line_clock"), analog.channel("frame_clock"), np.zeros(analog.n_samples)]
    signals = AnalogSignals(
        Path("s.npy"), np.stack(rows).astype(np.float32),
        {"line_clock": 0, "frame_clock": 1, "spare": 2},
    )  # fmt: skip
    time = np.arange(0, analog.n_samples / 10_000, 0.01)
    table = AngleTable(path=Path("a.npy"), time=time, angle=motion.angle(time))
    events = parse_signals(
        signals, n_frames=len(frames), lines_per_frame=64, sampling_rate=10_000, protocol="free",
        angles={"source": "table"}, table=table,
    )  # fmt: skip
    with open_movie(folder / "movie.tif") as movie:
        return choose_clock_frames(movie, events, protocol="free")


def off(angles, recording, frames):
    return np.abs((angles - recording.line_angles[frames] + 180) % 360 - 180)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (1, 0), (2, 0), (3, 3), (0, 6)], ids=lambda n: str(n)
)
def test_extra_frames_at_either_end(recording, tmp_path, start, end):
    n = len(recording.movie)
    frames = np.arange(start, n - end)
    found, angles = settle(recording, frames, tmp_path)
    assert off(angles, recording, frames).max() < 0.05
    (repair,) = [one for one in found.repairs if one.code == "clock_frames_by_movie"]
    assert f"skip_start: {start}" in repair.text
    assert found.frame_offset == start
    assert not found.anomalies


@pytest.mark.parametrize("lost", [[16], [20], [31], [44], [70], [18, 75]], ids=str)
def test_frames_lost_in_the_middle(recording, tmp_path, lost):
    frames = np.setdiff1d(np.arange(len(recording.movie)), lost)
    found, angles = settle(recording, frames, tmp_path)
    known = np.isfinite(angles).all(axis=1)
    assert off(angles[known], recording, frames[known]).max() < 0.05
    # At most those next to a loss are given up.
    assert np.all(np.abs(np.flatnonzero(~known)[:, None] - lost).min(axis=1, initial=99) < 4)
    (repair,) = [one for one in found.repairs if one.code == "clock_frames_by_movie"]
    assert repair.count == len(lost)


@pytest.mark.parametrize(
    "options",
    [
        {"center_offset": (12, -9), "photons_per_pixel": 10},
        {"photons_per_pixel": 3, "calcium": True, "calcium_rate": 0.3},
        {"plane_angle": 25, "illumination": "uneven"},
    ],
    ids=["far off center", "dim and active", "tilted and uneven"],
)
def test_harder_movies(tmp_path, options):
    recording = simulate_recording(**(MADE | options))
    frames = np.delete(np.arange(len(recording.movie)), 24)
    found, angles = settle(recording, frames, tmp_path)
    known = np.isfinite(angles).all(axis=1)
    assert np.count_nonzero(~known) < 4
    assert off(angles[known], recording, frames[known]).max() < 0.05
    assert not found.anomalies


@pytest.mark.parametrize(
    "motion",
    [
        Sinusoid(amplitude=90, frequency=0.2),
        FreeTurning(duration=12, top_speed=200, seed=4, rest_fraction=0.0),
    ],
    ids=["sinusoid", "free"],
)
@pytest.mark.parametrize(("start", "end"), [(1, 0), (1, 2)], ids=str)
def test_extra_frames_of_a_sample_that_never_rests(tmp_path, motion, start, end):
    found = settle_free(motion, np.arange(start, 100 - end), tmp_path)
    assert not found.anomalies
    assert found.frame_offset == start


@pytest.mark.parametrize("place", [25, 50, 80])
@pytest.mark.parametrize(
    "motion",
    [
        Sinusoid(amplitude=90, frequency=0.2),
        FreeTurning(duration=12, top_speed=200, seed=4, rest_fraction=0.0),
    ],
    ids=["sinusoid", "free"],
)
def test_a_frame_lost_while_a_sample_never_rests(tmp_path, motion, place):
    frames = np.delete(np.arange(100), place)
    found = settle_free(motion, frames, tmp_path)
    assert not found.anomalies
    every = settle_free(motion, np.arange(100), tmp_path)
    known = np.flatnonzero(~found.frame_unknown)
    assert len(known) >= 85
    own, true = (interpolate_angles(e, protocol="free").line_angles for e in (found, every))
    wrong = np.abs((own - true[frames])[known]).max(axis=1)
    # Next to the place, frames may have the angles of neighbors that hardly differ.
    assert wrong.max() < 0.6
    assert np.count_nonzero(wrong > 0.01) <= 6


def test_the_sign_of_the_angles_need_not_be_right(recording, tmp_path):
    mirrored = recording.movie[:, :, ::-1]
    frames = np.arange(2, len(mirrored))
    found, _ = settle(recording, frames, tmp_path, movie=mirrored)
    assert found.frame_offset == 2


def test_noise_tells_nothing(recording, tmp_path):
    rng = np.random.default_rng(1)
    frames = np.arange(len(recording.movie) - 1)
    noise = rng.poisson(100, recording.movie.shape).astype(np.uint16)
    found, _ = settle(recording, frames, tmp_path, movie=noise)
    assert found.frame_offset == 0
    (odd,) = found.anomalies
    assert odd.code == "clock_frames_untold"
    assert "signals.frames" in odd.text


def test_nothing_is_read_if_nothing_is_open(recording):
    signals = signals_of(recording)
    events = parse_signals(
        signals, n_frames=len(recording.movie), lines_per_frame=64, sampling_rate=10_000,
        protocol="full", stimulus=STIMULUS,
    )  # fmt: skip
    assert choose_clock_frames(None, events, protocol="full") is events


def test_a_path_never_goes_back():
    rng = np.random.default_rng(0)
    gain = rng.normal(0, 1, (4, 50))
    path = _path(gain, 0.0)
    assert np.all(np.diff(path) >= 0)

    def score(path):
        return gain[path, np.arange(50)].sum()

    for _ in range(200):
        other = np.sort(rng.integers(0, 4, 50))
        assert score(other) <= score(path) + 1e-9
