"""The compiled sums of the light's equations, against products of whole matrices."""

import numpy as np
import pytest

from derotation.light.kernels import add_products


@pytest.mark.parametrize(("n", "p", "k"), [(1, 1, 5), (7, 11, 9), (12, 4, 30)])
def test_sums_are_those_of_whole_matrices(n, p, k):
    rng = np.random.default_rng(n)
    m = 4
    columns = np.array([rng.choice(k - 1, m, replace=False) for _ in range(n * p)], np.int32)
    values = rng.normal(size=(n * p, m))
    share, response = rng.normal(size=(2, n, p))
    weights = rng.uniform(size=(n, p)) * (rng.uniform(size=(n, p)) < 0.7)
    # What has no weight is not looked at, whatever it is.
    response[weights == 0] = np.nan

    design = np.zeros((n * p, k))
    np.put_along_axis(design, columns.astype(int), values, axis=1)
    design[:, -1] = share.ravel()
    weighted = weights.reshape(-1, 1) * design
    by_place = weighted.reshape(n, p, k)
    expected = (
        by_place.sum(axis=1), by_place.sum(axis=0), design.T @ weighted,
        weighted.T @ np.nan_to_num(response.ravel()),
    )  # fmt: skip

    found = (np.zeros((n, k)), np.zeros((p, k)), np.zeros((k, k)), np.zeros(k))
    add_products(columns, values, share, weights, response, *found)
    for own, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, truth, rtol=1e-12, atol=1e-12)
