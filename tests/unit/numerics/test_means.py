import numpy as np
import pytest

from derotation.numerics.means import mean_of_known


@pytest.mark.parametrize("otherwise", [float("nan"), 0.0, 7])
def test_means_are_those_of_what_is_known(otherwise):
    rng = np.random.default_rng(1)
    values = rng.normal(100, 10, (5, 4, 6))
    known = rng.random(values.shape) < 0.5
    known[:, 0, 0], known[:, 1, 1] = False, True
    found = mean_of_known(np.where(known, values, 0).sum(axis=0), known.sum(axis=0), otherwise)
    for place in np.ndindex(4, 6):
        there = values[:, *place][known[:, *place]]
        expected = there.mean() if len(there) else otherwise
        np.testing.assert_allclose(found[place], expected)
