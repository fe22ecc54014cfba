"""Frames at rest keep their values in any type of integers that holds them."""

import numpy as np
import pytest

from derotation.maps.resample import derotate_frames

INTEGERS = ["uint8", "int16", "uint16", "int32"]
AT_REST = np.tile([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], (1, 2, 1, 1))


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("recorded", [*INTEGERS, "float32"])
def test_values_that_do_not_fit_become_the_nearest_that_do(recorded, to):
    values = [[0, 1, 200], [30_000, 60_000, 100_000]]
    frames = np.array([values], np.float64)
    if recorded != "float32":
        frames = np.minimum(frames, np.iinfo(recorded).max)
    frames = frames.astype(recorded)
    found = derotate_frames(frames, AT_REST, dtype=to).frames
    assert found.dtype == to
    np.testing.assert_array_equal(found, np.minimum(frames.astype(float), np.iinfo(to).max))
