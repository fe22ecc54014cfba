"""What of a session is compared: lines, and averages of several."""

import numpy as np
import pytest

from derotation.images.sample import Lines, Sample
from derotation.maps.timing import LineTiming


def lines_of(angles, speeds=None):
    return Lines(
        line_angles=angles,
        line_speeds=np.zeros_like(angles) if speeds is None else speeds,
        line_times_s=np.cumsum(np.full(angles.shape, 0.5), axis=1),
        sample_timing=LineTiming(line_duty=0.8),
    )


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("start", [0.0, 355.0, -170.0])
def test_the_angle_of_averaged_lines_is_that_of_their_middle(factor, start):
    lines = np.arange(13.0)
    angles = np.mod(start + 1.5 * lines, 360.0)[np.newaxis]
    binned = lines_of(angles).binned(factor)
    (found,) = binned.line_angles
    middle = factor * np.arange(13 // factor) + (factor - 1) / 2
    off = found - (start + 1.5 * middle)
    np.testing.assert_allclose(np.cos(np.deg2rad(off)), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.sin(np.deg2rad(off)), 0.0, atol=1e-9)
    np.testing.assert_allclose(binned.line_times_s[0], 0.5 * (middle + 1))


def test_averaged_pictures_have_averaged_lines():
    rng = np.random.default_rng(0)
    speeds = np.linspace(0, 10, 16).reshape(2, 8)
    angles = 90.0 + np.cumsum(speeds, axis=1)
    sample = Sample(
        reference=rng.random((8, 6)).astype(np.float32),
        parts=rng.random((3, 8, 6)).astype(np.float32),
        numbers=np.array([4, 9]),
        frames=rng.random((2, 8, 6)),
        lines=lines_of(angles, speeds),
        time_s=np.array([0.1, 0.2]),
        n_rest=5,
    )
    small = sample.binned(4)
    assert small.frames.shape == (2, 2, 1)
    np.testing.assert_allclose(small.lines.line_angles, (angles[:, [0, 4]] + angles[:, [3, 7]]) / 2)
    np.testing.assert_allclose(small.lines.line_speeds, speeds.reshape(2, 2, 4).mean(axis=2))
