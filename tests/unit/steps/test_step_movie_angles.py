"""What the signals leave open is told by the movie in the step parse_signals, and written."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from derotation.cohort.config import validate_config
from derotation.signals.angles import interpolate_angles as angles_of
from derotation.signals.events import Events
from derotation.simulate import simulate_recording
from derotation.steps import interpolate_angles, parse_signals


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(
        shape=(48, 48), frame_rate=12, sampling_rate=10_000, stimulus=((140, 1), (180, -1)),
        rest_before_s=0.6, rest_between_s=0.5, rest_after_s=0.6, n_cells=18, seed=4, calcium=False,
        photons_per_pixel=30, lead_s=0.2, tail_s=0.2, acceleration=400,
    )  # fmt: skip


def run(recording, folder, pixels, *, stimulus=True, table=None, protocol="full", **sections):
    """Run the first two steps; gives events, their codes, and the angles of all lines."""
    tifffile.imwrite(folder / "movie.tif", pixels, photometric="minisblack")
    signals, rows = folder / "signals.npy", folder / "stimulus.csv"
    np.save(signals, np.asarray(recording.signals, np.float32))
    rows.write_text("speed,direction\n140,1\n180,-1\n")
    sections["signals"] = {"sampling_rate": 10_000} | sections.get("signals", {})
    config = validate_config(sections)
    parse_signals.run(
        movie=folder / "movie.tif", signals=None if table else signals,
        stimulus=rows if stimulus and not table else None, protocol=protocol, config=config,
        outputs=parse_signals.Outputs.within(folder), angle_table=table,
    )  # fmt: skip
    angles = interpolate_angles.run(
        events=folder / "events.npz", movie=folder / "movie.tif", protocol=protocol, config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )  # fmt: skip
    told = json.loads((folder / "events.json").read_text())
    codes = {one["code"] for one in told["repairs"]}
    return Events.load(folder / "events.npz"), codes, angles.line_angles


def off(angles, truth):
    return float(np.nanmax(np.abs((angles - truth + 180) % 360 - 180)))


def test_frames_and_directions_are_told(recording, tmp_path):
    frames = np.arange(1, len(recording.movie))
    events, codes, angles = run(recording, tmp_path, recording.movie[frames], stimulus=False)
    assert {"clock_frames_by_movie", "directions_by_movie"} <= codes
    assert events.frame_offset == 1
    assert events.rotation_direction.tolist() == [1, -1]
    assert off(angles, recording.line_angles[frames]) < 0.05


def test_frames_that_are_not_known_have_no_angle(recording, tmp_path):
    frames = np.arange(len(recording.movie))
    events, _, _ = run(recording, tmp_path, recording.movie[frames])
    unknown = np.zeros(len(frames), bool)
    unknown[[3, 20]] = True
    replace(events, frame_unknown=unknown).save(tmp_path / "events.npz")
    loaded = Events.load(tmp_path / "events.npz")
    np.testing.assert_array_equal(loaded.frame_unknown, unknown)
    angles = angles_of(loaded, protocol="full")
    assert np.isnan(angles.line_angles[unknown]).all()
    assert np.isnan(angles.frame_angles[unknown]).all()
    assert not angles.line_usable[unknown].any()
    assert angles.line_usable[~unknown].all()


def test_delays_of_a_table(recording, tmp_path):
    plan = recording.plan
    middle = (plan.line_start[:, 0] + plan.line_start[:, -1] + plan.line_duration) / 2
    np.save(tmp_path / "angles.npy", plan.motor.angle(middle - 1.2 / 12))
    _, codes, angles = run(
        recording, tmp_path, recording.movie, table=tmp_path / "angles.npy", protocol="free",
        angles={"source": "table"}, scan={"frame_rate": 12, "line_duty": 0.9},
        signals={"sampling_rate": None},
    )  # fmt: skip
    assert "table_delays" in codes
    assert off(angles, recording.line_angles) < 4  # a frame is 15 degrees


def test_a_movie_that_was_flipped_before(recording, tmp_path):
    pixels = recording.movie[1:, ::-1]
    events, codes, _ = run(recording, tmp_path, pixels, movie={"undo": ["flip_rows"]})
    assert "clock_frames_by_movie" in codes
    assert events.frame_offset == 1
