"""A frame against a mean image: the turn and the shift between them, of a scene in closed form."""

import numpy as np
import pytest

from derotation.images.following.comparing import Placed, Reference, compare, placed
from derotation.images.following.spline import ORDER, Knots
from derotation.maps import transforms
from derotation.maps.timing import LineTiming

SHAPE = (70, 64)
CENTER = np.array([33.0, 31.0])
SPOTS = np.random.default_rng(3).uniform(-45, 45, (60, 2))
KNOTS = Knots(first=0.0, step=1.0, n_intervals=1)
TIMES = np.linspace(0.0, 0.98, SHAPE[0])


def scene(x, y):
    """Round spots about the center of rotation."""
    away = (x[..., None] - SPOTS[:, 0]) ** 2 + (y[..., None] - SPOTS[:, 1]) ** 2
    return 10 + 40 * np.exp(-away / (2 * 3.0**2)).sum(axis=-1)


def frame(angles, shift=(0.0, 0.0)):
    """Record lines at these angles (degrees); the sample had moved against the shift."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    a = np.deg2rad(angles)[:, None]
    dx, dy = x - CENTER[0], y - CENTER[1]
    there = np.cos(a) * dx + np.sin(a) * dy + shift[0], -np.sin(a) * dx + np.cos(a) * dy + shift[1]
    return scene(*there).astype(np.float32)


def put(picture, angles):
    maps = transforms.line_maps(angles, tuple(CENTER))
    return placed(picture, maps, LineTiming())


@pytest.fixture(scope="module")
def reference():
    still = np.zeros(SHAPE[0])
    return Reference.none(SHAPE).with_frame(put(frame(still), still))


@pytest.mark.parametrize("turn", [0.8, -0.5])
@pytest.mark.parametrize("angle", [0.0, 70.0, 200.0])
def test_a_turn_is_found(reference, turn, angle):
    one = put(frame(np.full(SHAPE[0], angle + turn)), np.full(SHAPE[0], angle))
    said = compare(one, reference, CENTER, TIMES, KNOTS, 1.5)
    step, sd = said.together(2.0)
    assert step == pytest.approx(turn, abs=0.06)
    assert 0 < sd < 0.5
    assert np.hypot(*said.shift(np.full(ORDER, step), 2.0)) < 0.1


def test_a_speed_is_found_line_by_line(reference):
    wrong = 1.2 * (TIMES - 0.5)
    angles = 40 + 20 * TIMES
    said = compare(
        put(frame(angles + wrong), angles), reference, CENTER, TIMES, KNOTS, 1.5
    )  # fmt: skip
    normal, moment = said.without_shift(2.0)
    found = KNOTS.evaluate(np.linalg.solve(normal, moment), TIMES[10:-10])
    assert found == pytest.approx(wrong[10:-10], abs=0.15)


def test_a_shift_is_no_turn(reference):
    still = np.zeros(SHAPE[0])
    said = compare(put(frame(still, (0.6, -0.4)), still), reference, CENTER, TIMES, KNOTS, 1.5)
    step, _ = said.together(5.0)
    assert abs(step) < 0.06
    assert said.shift(np.full(ORDER, step), 5.0) == pytest.approx([0.6, -0.4], abs=0.08)


def test_brightness_does_not_matter(reference):
    angles = np.full(SHAPE[0], 10.5)
    said = [
        compare(put(picture, angles - 0.5), reference, CENTER, TIMES, KNOTS, 1.5).together(2.0)[0]
        for picture in (frame(angles), 0.4 * frame(angles) + 7)
    ]
    assert said[0] == pytest.approx(said[1], abs=0.01)


def test_an_unlike_frame_tells_nothing(reference):
    nothing = Placed(
        frame=np.zeros(SHAPE, np.float32),
        seen=np.zeros(SHAPE, np.bool_),
        line=np.zeros(SHAPE, np.float32),
    )
    assert compare(nothing, reference, CENTER, TIMES, KNOTS, 1.5) is None


def test_a_frame_can_be_taken_out_again(reference):
    one = put(frame(np.full(SHAPE[0], 30.0)), np.full(SHAPE[0], 30.0))
    both = reference.with_frame(one)
    assert both.n_frames == 2
    assert both.without(one).total == pytest.approx(reference.total, abs=1e-4)
