"""A sample that moves, against closed forms and against scenes that were moved by hand."""

import json

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.recording import plan_recording, simulate_recording
from derotation.simulate.sample_motion import SampleMotion
from derotation.simulate.writing import simulate_session

QUIET = {"photons_per_pixel": None, "dtype": "float64", "calcium": False}
SMALL = {
    "shape": (24, 40),
    "n_cells": 6,
    "frame_rate": 20.0,
    "rest_before_s": 0.3,
    "rest_between_s": 0.3,
    "rest_after_s": 0.3,
    "lead_s": 0.11,
    "tail_s": 0.1,
}


def still(time):
    return np.zeros_like(time)


def test_a_sample_that_holds_still_is_recorded_as_ever():
    moving = simulate_recording(**SMALL, sample_motion={"seed": 5})
    np.testing.assert_array_equal(moving.movie, simulate_recording(**SMALL).movie)
    assert not moving.plan.displacement.any()


def test_a_jump_moves_the_sample_along_its_own_directions():
    """At any angle a pixel shows the still sample at its place less the jump."""
    jump = {"jumps": [[0.0, 2.0, -1.0]]}
    moved = plan_recording(**SMALL, **QUIET, sample_motion=jump, center_offset=(3.0, 1.0))
    n = int(np.argmax(np.ptp(moved.line_angles, axis=1)))
    y, x = np.mgrid[:24, :40].astype(float)
    angle = np.radians(moved.sample_angles(n))
    cx, cy = moved.center
    dx, dy = x - cx, y - cy
    own_x = np.cos(angle) * dx + np.sin(angle) * dy + cx - 2.0
    own_y = np.cos(angle) * dy - np.sin(angle) * dx + cy + 1.0
    expected = moved.scene.evaluate(own_x, own_y)
    np.testing.assert_allclose(moved.photons(n), expected, atol=1e-12)


def test_each_pixel_is_displaced_at_its_own_time():
    plan = plan_recording(
        **SMALL, **QUIET, bidirectional=True, sample_motion={"jitter": 3.0, "jitter_s": 0.05}
    )
    frame = 2  # at rest
    moved = plan.displacement_at(plan.pixel_times(frame))
    y, x = np.mgrid[:24, :40].astype(float)
    expected = plan.scene.evaluate(x - moved[..., 0], y - moved[..., 1])
    assert np.ptp(moved, axis=(0, 1)).max() > 0.5
    np.testing.assert_allclose(plan.photons(frame), expected, atol=1e-3)


def test_a_random_movement_has_the_size_and_the_correlation_it_was_asked_for():
    time = np.arange(0, 2000, 0.05)
    path = SampleMotion(jitter=0.6, jitter_s=0.4).displacement(time, still, 0.0)
    assert np.sqrt(np.mean(path**2)) == pytest.approx(0.6, rel=0.05)
    lag = np.mean(path[8:] * path[:-8]) / np.mean(path**2)
    u = np.sqrt(3.0)  # after a time constant
    assert lag == pytest.approx((1 + u) * np.exp(-u), abs=0.1)


def test_what_follows_the_motor():
    """At a steady speed nothing but the part that follows velocity; its sign is the speed's."""

    def turning(time):
        return np.mod(100.0 * time, 360.0)

    motion = SampleMotion(per_velocity=(0.9, -0.4), per_acceleration=(3.0, 3.0))
    np.testing.assert_allclose(
        motion.displacement(np.linspace(1, 9, 50), turning, 0.0), [[0.9, -0.4]] * 50, atol=1e-9
    )

    def accelerating(time):
        return 25.0 * time**2  # 50 degrees/s2

    found = motion.displacement(np.array([2.0]), accelerating, 0.0)
    np.testing.assert_allclose(found, [[0.9 + 1.5, -0.4 + 1.5]], atol=1e-6)


def test_focus_and_bleaching_change_the_brightness():
    motion = {"focus": 0.4, "focus_s": 2.0, "bleaching": 0.5}
    plan = plan_recording(**SMALL, **QUIET, sample_motion=motion)
    assert plan.light[0] == 1
    assert plan.light[-1] == pytest.approx(0.5)
    assert plan.activity.min() < 0.7
    assert plan.activity.max() > 1.3
    still_plan = plan_recording(**SMALL, **QUIET)
    last = plan.n_frames - 1
    np.testing.assert_allclose(
        plan.photons(last),
        0.5 * still_plan.scene.on_grid((24, 40), plan.activity[last]),
        atol=1e-12,
    )


def test_the_truth_is_in_the_files(tmp_path):
    motion = {"drift": 1.0, "jumps": [[0.5, 1, 2]]}
    files = simulate_session(tmp_path, **SMALL, sample_motion=motion)
    plan = plan_recording(**SMALL, sample_motion=motion)
    with np.load(files["truth"]) as truth:
        np.testing.assert_array_equal(truth["displacement"], plan.displacement)
        assert truth["light"].shape == (plan.n_frames,)
    told = json.loads(files["summary"].read_text())["parameters"]["sample_motion"]
    assert told["drift"] == 1.0
    assert told["jumps"] == [[0.5, 1.0, 2.0]]


@pytest.mark.parametrize(
    "wrong",
    [{"drift": -1}, {"jitter_s": 0}, {"focus": 1}, {"jumps": [[1, 2]]}, {"per_velocity": [1]}],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        plan_recording(**SMALL, sample_motion=wrong)


def test_a_name_that_is_mistyped_is_told():
    with pytest.raises(InputError, match='did you mean "jitter"'):
        plan_recording(**SMALL, sample_motion={"jiter": 1})


def test_a_rhythm_beats_as_often_as_it_says():
    time = np.arange(0, 60, 0.01)
    moved = SampleMotion(rhythms=((3.0, 0.4, -0.2), (9.0, 0.0, 0.1))).displacement(time, still, 0.0)
    strength = np.abs(np.fft.rfft(moved, axis=0))
    frequency = np.fft.rfftfreq(len(time), 0.01)
    assert frequency[np.argmax(strength[:, 0])] == pytest.approx(3.0, abs=0.3)
    assert np.abs(moved[:, 0]).max() == pytest.approx(0.4, abs=0.01)
    quick = np.where(frequency > 6, strength[:, 1], 0)
    assert frequency[np.argmax(quick)] == pytest.approx(9.0, abs=0.3)
    # Its phase wanders: the beats of a minute do not all fall together.
    assert strength[:, 0].max() < 0.9 * 0.4 * len(time) / 2


@pytest.mark.parametrize("rhythms", [((0.0, 1.0, 1.0),), ((2.0, 1.0),)])
def test_rhythms_that_make_no_sense_are_refused(rhythms):
    with pytest.raises(InputError, match=r"sample_motion\.rhythms"):
        SampleMotion(rhythms=rhythms)
