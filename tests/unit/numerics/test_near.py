"""Pairs of near places, against a tree."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from derotation.numerics.near import near_pairs


@given(st.integers(0, 200), st.sampled_from([0.0, 1.0, 4.0, 100.0]), st.integers(0, 2**32 - 1))
def test_near_pairs_are_those_of_a_tree(n, reach, seed):
    # Whole numbers: many places share an x, and many lie just as far apart as asked.
    places = np.random.default_rng(seed).integers(0, 40, (n, 2)).astype(float)
    pairs = near_pairs(places, reach)
    expected = cKDTree(places).query_pairs(reach, output_type="ndarray").reshape(-1, 2)
    assert pairs.tolist() == sorted(expected.tolist())
