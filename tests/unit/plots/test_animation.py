"""The frames of the animation are those of one turn, and its mark goes round with the sample."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from derotation.plots import animation
from derotation.plots.animation import (
    MAX_BYTES,
    SideBySide,
    choose_frames,
    plot_frame_pair,
    plot_side_by_side,
    save_animation,
)
from derotation.signals.angles import Angles


def angles_of(frame_angles, rotation):
    """Angles of which only those of whole frames matter."""
    n = len(frame_angles)
    lines = np.repeat(np.asarray(frame_angles, float)[:, None], 4, axis=1)
    return Angles(
        line_angles=lines, frame_angles=lines[:, 2], line_start=np.zeros((n, 4)),
        frame_start=np.arange(n) * 100.0, line_duty=1.0, line_reference="middle",
        sampling_rate=1000.0, frame_rate=10.0, line_usable=np.isfinite(lines),
        flags=np.zeros((n, 4), np.uint8), rotation=np.asarray(rotation, np.int32),
        direction=np.full(n, np.nan), speed=np.full(n, np.nan),
    )  # fmt: skip


def session(*turns):
    """Chain rotations (frames, sign) with rests of 10 frames between them."""
    degrees, rotation = [np.zeros(10)], [np.full(10, -1)]
    for k, (n, sign) in enumerate(turns):
        degrees += [sign * np.linspace(0, 360, n + 2)[1:-1], np.zeros(10)]
        rotation += [np.full(n, k), np.full(10, -1)]
    return angles_of(np.concatenate(degrees), np.concatenate(rotation))


def test_the_fastest_turn_that_is_smooth_is_shown():
    frames = choose_frames(session((8, 1), (300, -1), (24, -1), (60, 1)))
    first = 10 + 8 + 10 + 300 + 10
    np.testing.assert_array_equal(frames, np.arange(first - 3, first + 24 + 4))


def test_of_fast_turns_the_slowest_is_shown():
    frames = choose_frames(session((6, 1), (12, -1)))
    assert set(range(26, 38)) <= set(frames)


def test_a_slow_turn_is_spread_over_its_angles():
    angles = session((400, 1))
    frames = choose_frames(angles)
    turning = frames[(frames >= 10) & (frames < 410)]
    assert 25 <= len(turning) <= 30
    steps = np.diff(angles.frame_angles[turning])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.2)


def test_rests_between_steps_are_left_out():
    """One turn in 36 steps, each with a frame that moves and 9 at rest."""
    steps = np.repeat(np.arange(37) * 10.0, 10)
    rotation = np.full(370, -1)
    moving = np.arange(9, 360, 10)
    steps[moving] += 5
    rotation[moving] = np.arange(36)
    frames = choose_frames(angles_of(steps, rotation))
    shown = steps[frames]
    assert shown.min() == 0
    assert shown.max() == 360
    assert len(frames) <= 36
    assert np.diff(shown).max() <= 20


def test_a_turn_of_unknown_angles_is_not_shown():
    angles = session((24, 1), (27, 1))
    unknown = np.where(np.arange(len(angles.rotation)) == 15, np.nan, angles.frame_angles)
    frames = choose_frames(angles_of(unknown, angles.rotation))
    assert set(range(44, 71)) <= set(frames)


def test_a_session_without_turns_is_shown_all_the_same():
    frames = choose_frames(angles_of(np.zeros(500), np.full(500, -1)))
    assert frames[0] == 0
    assert frames[-1] == 499


@pytest.fixture
def frames():
    """A dot above the center, turned clockwise on the screen by another library."""
    still = np.zeros((81, 81))
    still[5, 40] = 100
    still = scipy.ndimage.gaussian_filter(still, 2)
    degrees = np.array([0.0, 40.0, 90.0, 230.0])
    # scipy turns counterclockwise on a screen with y down if the angle is positive.
    raw = [scipy.ndimage.rotate(still, -angle, reshape=False, order=1) for angle in degrees]
    return SideBySide(
        raw=np.stack(raw), derotated=np.stack([still] * 4), angles=degrees,
        times=np.arange(4.0), center=(40.0, 40.0),
    )  # fmt: skip


def test_the_mark_goes_round_with_the_sample(frames):
    figure = plot_side_by_side(frames)
    recorded, still = figure.axes
    for k in range(4):
        plot_frame_pair(frames, k, recorded, still)
        for axis, movie in ((recorded, frames.raw), (still, frames.derotated)):
            row, column = np.unravel_index(np.argmax(movie[k]), movie[k].shape)
            (mark,) = (line for line in axis.lines if line.get_marker() == "o")
            x, y = (float(value[0]) for value in mark.get_data())
            direction = np.array([x - 40, y - 40]) / np.hypot(x - 40, y - 40)
            dot = np.array([column - 40, row - 40]) / np.hypot(column - 40, row - 40)
            np.testing.assert_allclose(direction, dot, atol=0.05)
        assert f"{frames.angles[k]:.0f}°" in still.get_title()
        assert f"{frames.times[k]:.2f} s" in recorded.get_title()


def test_the_file_is_a_small_animation(frames, tmp_path):
    noise = np.random.default_rng(0).poisson(5, (12, 500, 500)).astype(np.uint16)
    large = SideBySide(
        raw=noise, derotated=noise, angles=np.linspace(0, 360, 12), times=np.arange(12.0),
        center=(249.5, 249.5),
    )  # fmt: skip
    for name, movie in (("small", frames), ("large", large)):
        save_animation(movie, tmp_path / f"{name}.gif")
        with Image.open(tmp_path / f"{name}.gif") as image:
            assert getattr(image, "n_frames", 1) == len(movie.raw)
            assert 480 <= image.width <= 540
    assert (tmp_path / "large.gif").stat().st_size < MAX_BYTES


@pytest.mark.parametrize("shape", [(4, 6, 15), (4, 15, 6), (4, 6, 30)])
def test_black_and_white_are_told_by_all_columns_and_lines(monkeypatch, shape):
    """Every 15th value would be all of one column."""
    monkeypatch.setattr(animation, "N_VALUES", 2 * np.prod(shape) // 15)
    for axis in (1, 2):
        places = np.arange(shape[axis]).reshape((-1, 1) if axis == 1 else (1, -1))
        movie = np.broadcast_to(100.0 * (places % 15 > 0), shape)
        n = shape[0]
        frames = SideBySide(
            raw=movie, derotated=movie, angles=np.zeros(n), times=np.zeros(n), center=(0.0, 0.0)
        )
        assert frames.limits()[1] == 100
