"""A motor stalls, and the sample stays where it is: the movie says at which angle."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.io.movie import open_movie
from derotation.io.signals import ROLES, AnalogSignals
from derotation.io.stimulus import Stimulus
from derotation.movie_angles.after_stall import find_angles_after_stalls
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import Stalled, simulate_recording

RATE = 10_000
STIMULUS = Stimulus(
    speed=np.array([100.0, 150.0]), direction=np.array([1, -1], np.int8), path=Path("s.csv")
)


@pytest.fixture(scope="module")
def planned():
    return simulate_recording(
        shape=(64, 64), frame_rate=10, sampling_rate=RATE, stimulus=((100, 1), (150, -1)),
        rest_before_s=1, rest_between_s=1, rest_after_s=1, n_cells=25, photons_per_pixel=30,
        calcium=False, center_offset=(3, -2), seed=5, lead_s=0.3, tail_s=0.3,
    )  # fmt: skip


def stalled(planned, part, creeps=0.0):
    """Let the first rotation stall, without ticks from there on; and turn a little further."""
    plan = planned.plan
    begin, end = float(plan.rotation_start[0]), float(plan.rotation_end[0])
    stall = begin + part * (end - begin)

    class Motor:
        def __init__(self):
            self.before = Stalled(motion=plan.motor, stall=stall, resume=end + 0.5)

        def moving(self, first, last):
            return True

        def angle(self, time):
            return self.before.angle(time) - creeps * np.clip((time - stall) / 0.2, 0, 1)

    motor = Motor()
    later = dataclasses.replace(plan, motor=motor)
    movie = np.concatenate([block for _, block in later.chunks()])
    signals = np.array(planned.signals, np.float32)
    ticks = signals[3]
    ticks[int(stall * RATE) : int((end + 0.02) * RATE)] = 0
    truth = motor.angle(plan.line_start + plan.line_duration / 2)
    return movie, signals, truth, plan.line_start, (stall, end)


def found(movie, signals, folder, sign=1):
    tifffile.imwrite(folder / "movie.tif", movie, photometric="minisblack")
    events = parse_signals(
        AnalogSignals(Path("s.npy"), signals, {role: k for k, role in enumerate(ROLES)}),
        n_frames=len(movie), lines_per_frame=64, sampling_rate=RATE, protocol="full",
        stimulus=STIMULUS,
    )  # fmt: skip
    with open_movie(folder / "movie.tif") as opened:
        events = find_angles_after_stalls(opened, events, protocol="full")
    angles = interpolate_angles(events, protocol="full", config={"direction_sign": sign})
    return events, angles.line_angles


@pytest.mark.parametrize("part", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("creeps", [0.0, 7.0, 40.0])
def test_the_angle_after_it(planned, tmp_path, part, creeps):
    movie, signals, truth, when, (stall, end) = stalled(planned, part, creeps)
    events, angles = found(movie, signals, tmp_path)
    off = (angles - truth + 180) % 360 - 180
    known = np.isfinite(off)
    assert known[(when < stall - 0.1) | (when > end + 0.1)].all()
    assert not known[(when > stall + 0.02) & (when < end)].any()
    assert np.abs(off[known]).max() < 0.25
    (repair,) = [one for one in events.repairs if one.code == "angle_after_stall"]
    assert "stalled, or was stopped" in repair.text


def test_a_picture_that_runs_the_other_way(planned, tmp_path):
    movie, signals, truth, when, (_, end) = stalled(planned, 0.25, 40.0)
    _, angles = found(movie[:, :, ::-1], signals, tmp_path, sign=-1)
    off = (angles + truth + 180) % 360 - 180
    assert np.abs(off[when > end + 0.1]).max() < 1


def test_noise_tells_nothing(planned, tmp_path):
    movie, signals, *_ = stalled(planned, 0.5)
    noise = np.random.default_rng(0).poisson(100, movie.shape).astype(np.uint16)
    events, angles = found(noise, signals, tmp_path)
    assert np.isnan(events.rotation_seen_to_turn).all()
    assert np.isnan(angles[-1]).all()


def test_without_a_stall_nothing_is_read(planned):
    signals = np.array(planned.signals, np.float32)
    events = parse_signals(
        AnalogSignals(Path("s.npy"), signals, {role: k for k, role in enumerate(ROLES)}),
        n_frames=len(planned.movie), lines_per_frame=64, sampling_rate=RATE, protocol="full",
        stimulus=STIMULUS,
    )  # fmt: skip
    assert find_angles_after_stalls(None, events, protocol="full") is events
