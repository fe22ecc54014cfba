"""The composed map of a line, part by part, against angles and placements that are simple."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from derotation.maps import transforms
from derotation.maps.corrections import (
    Correction,
    composed,
    register,
    registered,
    schema_with_corrections,
    unregister,
)
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming

LINES = 12


@dataclass(frozen=True)
class Turning:
    """Two frames of a sample that turns at 50 degrees/s, a line every 10 ms."""

    lag_ms: float = 0.0

    @property
    def line_times_s(self):
        return 0.01 * np.arange(2 * LINES).reshape(2, LINES)

    def times_of(self, frames):
        return self.line_times_s[frames]

    @property
    def line_angles(self):
        return 50 * (self.line_times_s + self.lag_ms / 1000)

    def shifted(self, lag_ms):
        return dataclasses.replace(self, lag_ms=self.lag_ms + lag_ms)

    def timing(self):
        return LineTiming(line_duty=0.5)


@dataclass(frozen=True)
class Placed:
    """Turned about a center; with a shift that grows with time."""

    lag_ms: float = 0.0
    center: tuple = (5.0, 4.0)
    velocity: float = 0.0

    def maps(self, angles, times_s):
        maps = transforms.line_maps(angles, self.center)
        maps[..., 0, 2] += self.velocity * times_s
        return maps


def turned_back(point, angle, center):
    """R(a) (p - c) + c in plain words."""
    a = np.deg2rad(angle)
    x, y = np.subtract(point, center)
    return (
        np.cos(a) * x + np.sin(a) * y + center[0],
        -np.sin(a) * x + np.cos(a) * y + center[1],
    )


def test_a_line_is_turned_back_by_the_angle_told_a_lag_later():
    maps = LineMaps.of(Turning(), Placed(lag_ms=30.0))()
    for frame, line in ((0, 0), (1, 7)):
        angle = 50 * (0.01 * (LINES * frame + line) + 0.03)
        found = transforms.apply(maps[frame, line], np.array([9.0, 1.0]))
        np.testing.assert_allclose(found, turned_back((9.0, 1.0), angle, (5.0, 4.0)))


def test_a_lag_counts_once():
    placed = Placed(lag_ms=30.0)
    again = LineMaps.of(LineMaps.of(Turning(), placed).angles, placed)
    np.testing.assert_array_equal(again(), LineMaps.of(Turning(), placed)())
    assert again.angles.lag_ms == 30


def test_every_line_has_its_own_time():
    still = LineMaps.of(Turning(), Placed())()
    moving = LineMaps.of(Turning(), Placed(velocity=3.0))()
    difference = moving - still
    np.testing.assert_allclose(difference[..., 0, 2], 3 * Turning().line_times_s, atol=1e-12)
    difference[..., 0, 2] = 0
    assert not difference.any()


def test_a_movement_comes_last():
    movement = np.array([[0.0, -2.0, 7.0], [2.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    own, moved = (LineMaps.of(Turning(), Placed(), movement=m) for m in (None, movement))
    point = np.array([9.0, 1.0])
    x, y = np.moveaxis(transforms.apply(own(), point), -1, 0)
    np.testing.assert_allclose(
        transforms.apply(moved(), point), np.stack([7 - 2 * y, 1 + 2 * x], axis=-1)
    )
    np.testing.assert_array_equal(moved.without_movement()(), own())


def test_the_timing_is_the_given_one_or_that_of_the_angles():
    given = LineTiming(line_duty=0.8, bidirectional=True)
    assert LineMaps.of(Turning(), Placed()).timing == LineTiming(line_duty=0.5)
    line_maps = LineMaps.of(Turning(), Placed(), timing=given, movement=np.eye(3))
    assert line_maps.timing == given
    assert line_maps.without_movement().timing == given


def test_some_frames_have_the_maps_that_they_have_among_all():
    line_maps = LineMaps.of(Turning(), Placed(velocity=2.0))
    np.testing.assert_array_equal(line_maps(np.array([1])), line_maps()[1:])
    np.testing.assert_array_equal(line_maps(slice(0, 1)), line_maps()[:1])


def test_what_saw_a_place_maps_onto_it():
    line_maps = LineMaps.of(Turning(), Placed(center=(30.0, 5.0), velocity=5.0))
    points = np.array([[30.0, 5.0], [33.0, 7.5], [26.5, 3.2], [36.0, 8.0]])
    places, angles = line_maps.recorded_at(points, slice(None))
    assert places.shape == (2, 4, 2)
    maps = line_maps()
    for frame in range(2):
        for k, point in enumerate(points):
            line = round(places[frame, k, 1])
            found = transforms.apply(maps[frame, line], places[frame, k])
            np.testing.assert_allclose(found, point, atol=1e-9)
            assert angles[frame, k] == line_maps.angles.line_angles[frame, line]


@pytest.fixture
def two_corrections():
    """One on either side of the rotation: a shift along x, and a stretch."""

    def shift(parameters, angles, times_s):
        maps = np.broadcast_to(np.eye(2, 3), (*angles.shape, 2, 3)).copy()
        maps[..., 0, 2] = parameters[0]
        return maps

    def stretch(parameters, angles, times_s):
        return np.broadcast_to((1 + parameters[0]) * np.eye(2, 3), (*angles.shape, 2, 3))

    def register_all(sides, orders):
        for name, maps, side, order in zip("st", (shift, stretch), sides, orders, strict=True):
            register(Correction(name=f"test_{name}", side=side, maps=maps, order=order))

    yield register_all
    unregister("test_s")
    unregister("test_t")


@pytest.mark.parametrize(
    ("sides", "orders", "expected"),
    [
        # From (1, 0), turned back by 90 degrees about (0, 0) to (0, -1); shift by 3, times 2.
        (("sample", "sample"), (501, 502), (6, -2)),
        (("sample", "sample"), (502, 501), (3, -2)),
        (("microscope", "microscope"), (501, 502), (0, -5)),
        (("microscope", "microscope"), (502, 501), (0, -8)),
        (("microscope", "sample"), (501, 502), (0, -8)),
        (("sample", "microscope"), (501, 502), (3, -2)),
    ],
)
def test_corrections_stand_on_their_side_and_nearer_the_lower_their_order(
    two_corrections, sides, orders, expected
):
    two_corrections(sides, orders)
    angles, times = np.array([90.0]), np.zeros(1)
    parameters = {"test_s": np.array([3.0]), "test_t": np.array([1.0])}
    maps = composed(transforms.line_maps(angles, (0.0, 0.0)), parameters, angles, times)
    found = transforms.apply(maps[0], np.array([1.0, 0.0]))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    names = [correction.name for correction in registered()][-2:]
    assert names == [f"test_{name}" for _, name in sorted(zip(orders, "st", strict=True))]


def test_corrections_without_parameters_or_with_zeros_are_not_asked(two_corrections):
    two_corrections(("sample", "sample"), (501, 502))
    rotation = transforms.line_maps(np.array([0.0]), (3.3, 4.7))
    found = composed(rotation, {"test_s": np.zeros(1)}, np.zeros(1), np.zeros(1))
    assert found is rotation


def test_a_correction_brings_the_section_that_it_names():
    schema = {"properties": {"n": {"type": "integer", "default": 3}}}
    register(Correction(name="test_s", side="sample", schema=schema, section="test_section"))
    try:
        properties = schema_with_corrections()["properties"]
    finally:
        unregister("test_s")
    assert properties["test_section"]["properties"] == schema["properties"]
    assert "test_s" not in properties
    assert "test_section" not in schema_with_corrections()["properties"]
