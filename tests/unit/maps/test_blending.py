"""Samples that are read at once are the same as those read one by one."""

import numpy as np
import pytest
from numba import njit

from derotation.maps.kernels.blending import blend_four, blend_two


@njit
def two(frame, k, pitch, weights):
    return blend_two(frame, k, pitch, weights)


@njit
def four(frame, k, pitch, weights):
    return blend_four(frame, k, pitch, weights)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("blend", "n_columns"), [(two, 2), (four, 4)])
def test_rows_are_weighed_and_summed(kind, blend, n_columns):
    frame = np.random.default_rng(1).normal(0, 1, (7, 9)).astype(kind)
    weights = tuple(kind(w) for w in (0.5, -0.25, 2.0))
    for k in (0, 4, 2 * 9 + 9 - n_columns):
        row, column = divmod(k, 9)
        part = frame[row : row + 5 : 2, column : column + n_columns]
        found = blend(frame.reshape(-1), k, 18, weights)
        np.testing.assert_allclose(found, np.array(weights) @ part, rtol=1e-6, atol=1e-6)
