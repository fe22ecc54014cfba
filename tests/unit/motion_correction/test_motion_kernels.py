"""The compiled loops against slow plain twins."""

import numpy as np
import pytest
from scipy import ndimage

from derotation.motion_correction import kernels


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_near_an_unseen_pixel_is_unmarked(seed):
    rng = np.random.default_rng(seed)
    there = rng.random((23, 31)) > 0.01 * seed
    expected = ndimage.minimum_filter(there, 5, mode="constant")
    kernels.erode(there, 2)
    np.testing.assert_array_equal(there, expected)


def fields(rng, n):
    """Smooth random images (n, 40, 44)."""
    noise = rng.standard_normal((n, 40, 44))
    return ndimage.gaussian_filter(noise, (0, 1.5, 1.5)).astype(np.float32)


@pytest.mark.parametrize("bands", [1, 3])
def test_a_frame_is_explained_by_least_squares(bands):
    """One step from no displacement: slopes by bands, brightness and background by parts."""
    rng = np.random.default_rng(4)
    frame, light, across, along = fields(rng, 4)
    usable = rng.random(frame.shape) > 0.05
    y, x = (k.ravel() for k in np.mgrid[2:38:2, 2:42:2])
    part = (y > 19) * 2 + (x > 21)
    order = np.argsort(part, kind="stable")
    y, x, part = y[order], x[order], part[order]
    noise = rng.uniform(0.5, 2, len(y))
    columns = np.stack([f[y, x] + k for f, k in ((light, 2), (across, 0), (along, 0))])
    columns = np.concatenate([columns, np.ones((1, len(y)))]) / noise
    # The lines of this frame stand upright: column x was recorded in row x * 40 / 44.
    rows = np.tile([40 / 44, 0.0, 0.0], (9, 1))
    out, information, lines = np.empty((bands, 2)), np.empty((bands, 2, 2)), np.empty(bands)
    starts = np.searchsorted(part, np.arange(5))
    _, _, n = kernels.measure_frame(
        frame, usable, rows, np.stack([y, x], axis=1), starts, columns.astype(np.float32),
        np.zeros(2), 1, out, information, lines,
    )  # fmt: skip
    seen = usable[y, x] & usable[y + 1, x + 1]
    assert n == seen.sum()
    band = np.floor((x * 40 / 44 + 0.5) / 40 * bands).astype(int)
    design = [columns[k] * (band == b) for b in range(bands) for k in (1, 2)]
    design += [columns[k] * (part == p) for p in range(4) for k in (0, 3)]
    matrix, value = np.stack(design, axis=1)[seen], (frame[y, x] / noise)[seen]
    expected, *_ = np.linalg.lstsq(matrix, value, rcond=None)
    np.testing.assert_allclose(out.ravel(), -expected[: 2 * bands], rtol=1e-3, atol=1e-4)
    left = value - matrix @ expected
    covariance = np.linalg.inv(matrix.T @ matrix) * np.mean(left**2)
    for b in range(bands):
        own = slice(2 * b, 2 * b + 2)
        np.testing.assert_allclose(np.linalg.inv(information[b]), covariance[own, own], rtol=1e-3)
        told = (columns[1] ** 2 + columns[2] ** 2) * seen * (band == b)
        assert lines[b] == pytest.approx(np.sum(told * x * 40 / 44) / told.sum(), rel=1e-3)
