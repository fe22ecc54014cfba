"""ROIs as lists of pixels: made, carried, and ringed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from derotation.cells.rois import Rois, neuropil_rings, without_overlap
from derotation.errors import InputError


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, (7, 9), elements=st.integers(-1, 4)))
def test_labels_are_read_and_drawn_back(labels):
    rois = Rois.of_labels(labels)
    names = np.concatenate([[0], rois.number])
    assert np.array_equal(names[rois.labels()], np.maximum(labels, 0))
    assert np.allclose(np.bincount(rois.roi, rois.weight), 1)


def test_pixels_outside_and_without_weight_are_left_out():
    rois = Rois.of(
        [[[0, 1, -1, 3], [0, 1, 1, 1]], [[5], [5]], [[2, 2], [0, 1]]],
        (3, 3),
        weights=[[1, 3, 1, 1], [1], [0, 2]],
        number=[7, 8, 9],
    )
    assert rois.number.tolist() == [7, 9]
    assert rois.weight.tolist() == [0.25, 0.75, 1.0]
    assert rois.centroids.tolist() == [[0.75, 0.75], [1.0, 2.0]]


def test_weights_that_are_none_are_refused():
    with pytest.raises(InputError, match="ROI 3: 2 weights of 1 pixels"):
        Rois.of([[[0], [0]]], (3, 3), weights=[[1, 1]], number=[3])


def test_a_quarter_turn_carries_rois_as_it_turns_their_picture():
    labels = np.zeros((9, 9), int)
    labels[1:3, 2:6], labels[5:8, 7] = 1, 2
    # (x, y) to (8 - y, x): clockwise, where y points down.
    carried = Rois.of_labels(labels).carried([[0, -1, 8], [1, 0, 0]])
    assert np.array_equal(carried.labels(), np.rot90(labels, -1))


def test_carried_out_of_the_picture_is_gone():
    labels = np.zeros((9, 9), int)
    labels[1:3, 2:4], labels[6, 6] = 1, 2
    carried = Rois.of_labels(labels).carried([[1, 0, 4], [0, 1, 0]])
    assert carried.number.tolist() == [1]
    assert carried.centroids.tolist() == [[6.5, 1.5]]


def test_rings_keep_their_distance_and_hold_no_roi():
    labels = np.zeros((30, 40), int)
    labels[10:14, 10:14], labels[10:14, 18:22] = 1, 2
    rois = Rois.of_labels(labels)
    rings = neuropil_rings(rois, 2, 3)
    y, x = np.mgrid[:30, :40]
    for k in range(2):
        part = slice(rings.start[k], rings.start[k + 1])
        own = np.argwhere(labels == k + 1)
        away = np.sqrt(((np.stack([y, x], -1)[:, :, None] - own) ** 2).sum(-1)).min(-1)
        expected = (away > 2) & (away <= 5) & (labels == 0)
        drawn = np.zeros_like(expected)
        drawn[rings.row[part], rings.column[part]] = True
        assert np.array_equal(drawn, expected)


def test_rings_without_room_are_empty():
    rings = neuropil_rings(Rois.of_labels(np.ones((6, 6), int)), 1, 2)
    assert rings.n_pixels.tolist() == [0]


def test_shared_pixels_are_left_out_but_of_rois_without_others():
    a, b = [[0, 0, 0], [0, 1, 2]], [[0], [2]]
    alone = without_overlap(Rois.of([a, b], (2, 4)))
    assert alone.labels().tolist() == [[1, 1, 2, 0], [0, 0, 0, 0]]
