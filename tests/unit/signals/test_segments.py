"""Rests, rotations and windows of sessions whose motor is known."""

import dataclasses

import numpy as np
import pytest

from derotation.signals.angles import AngleFlag, Angles
from derotation.signals.segments import MAX_SEGMENTS, Segments

RATE = 5.0
LINES = 4


def angles_of(moves):
    """Make angles of moves: (frames, degrees turned in them), numbered where something turns."""
    frames, rotation, angle, number = [], [], 0.0, 0
    for n, degrees in moves:
        turned = angle + degrees * (np.arange(n * LINES) + 0.5) / (n * LINES)
        frames.append(turned.reshape(n, LINES))
        rotation += [number if degrees else -1] * n
        angle = np.mod(angle + degrees, 360.0) if degrees else angle
        number += bool(degrees)
    lines = np.concatenate(frames)
    start = 1000 / RATE * (np.arange(lines.size) / LINES).reshape(lines.shape)
    return Angles(
        line_angles=lines,
        frame_angles=lines[:, LINES // 2],
        line_start=start,
        frame_start=start[:, 0],
        line_duty=1.0,
        line_reference="middle",
        sampling_rate=1000.0,
        frame_rate=RATE,
        line_usable=np.ones(lines.shape, bool),
        flags=np.full(lines.shape, AngleFlag.AT_REST, np.uint8),
        rotation=np.array(rotation, np.int32),
        direction=np.full(len(lines), np.nan),
        speed=np.full(len(lines), np.nan),
    )


def test_rests_and_rotations_take_turns():
    found = Segments.of(angles_of([(6, 0), (8, 360), (5, 0), (9, -360), (4, 0)]))
    assert found.rest.tolist() == [True, False, True, False, True]
    assert np.bincount(found.of_frame).tolist() == [6, 8, 5, 9, 4]
    assert found.rotation.tolist() == [-1, 0, -1, 1, -1]


def test_rotations_without_a_rest_between_them_are_apart():
    found = Segments.of(angles_of([(6, 0), (8, 360), (7, 360), (4, 0)]))
    assert np.bincount(found.of_frame).tolist() == [6, 8, 7, 4]
    assert found.rotation.tolist() == [-1, 0, 1, -1]


def test_steps_go_with_the_rests_after_them():
    found = Segments.of(angles_of([(5, 0), *[(2, 40), (5, 0)] * 9]))
    # The last rest is at a whole turn: a rest at angle 0.
    assert np.bincount(found.of_frame).tolist() == [5, *[7] * 8, 2, 5]
    assert found.rest.tolist() == [True, *[False] * 9, True]
    assert found.rotation[1:-1].tolist() == list(range(9))


def test_what_lasts_long_is_cut_into_equal_windows():
    found = Segments.of(angles_of([(120, 0), (90, 360)]))
    assert np.bincount(found.of_frame).tolist() == [40, 40, 40, 45, 45]
    exactly_two = Segments.of(angles_of([(100, 0), (50, 360)]))
    assert np.bincount(exactly_two.of_frame).tolist() == [50, 50, 50]


@pytest.mark.parametrize("n_rotations", [40, 150, 401])
def test_long_sessions_have_few_segments_that_do_not_mix_rests_and_rotations(n_rotations):
    angles = angles_of([(3, 0), *[(4, 360), (3, 0)] * n_rotations])
    found = Segments.of(angles)
    assert MAX_SEGMENTS / 4 < len(found) <= MAX_SEGMENTS
    for k in range(len(found)):
        assert len(set(angles.at_rest[found.frames(k)])) == 1
    np.testing.assert_array_equal(found.at_rest, angles.at_rest)
    first = [found.frames(k)[0] for k in range(len(found))]
    assert first == sorted(first)
    assert found.last_rotation.max() == n_rotations - 1


def test_frames_without_angles_belong_to_no_segment():
    angles = angles_of([(6, 0), (8, 360), (5, 0)])
    lines = angles.line_angles.copy()
    lines[8:10] = np.nan
    found = Segments.of(
        dataclasses.replace(angles, line_angles=lines, line_usable=np.isfinite(lines))
    )
    assert np.flatnonzero(found.of_frame < 0).tolist() == [8, 9]
    assert len(found) == 3
    assert found.at_rest.tolist() == [True] * 6 + [False] * 8 + [True] * 5
    nothing = np.full(lines.shape, np.nan)
    assert len(Segments.of(dataclasses.replace(angles, line_angles=nothing))) == 0


def test_frames_can_be_left_out_of_their_segments():
    found = Segments.of(angles_of([(6, 0), (8, 360), (5, 0)]))
    usable = np.ones(19, bool)
    usable[[0, 7, 14, 15, 16, 17, 18]] = False
    fewer = found.only(usable)
    assert [fewer.frames(k).tolist() for k in range(3)] == [
        [1, 2, 3, 4, 5],
        [6, 8, 9, 10, 11, 12, 13],
        [],
    ]
    assert len(fewer) == len(found)
