"""Discs about the center."""

import numpy as np
import pytest

from derotation.maps.discs import disc, seen_radius


def test_a_disc_is_what_lies_within_half_its_diameter():
    found = disc((9, 12), (4.0, 3.0), 4.0)
    rows, columns = np.nonzero(found)
    places = set(zip(columns.tolist(), rows.tolist(), strict=True))
    assert len(places) == 13
    assert {(2, 3), (6, 3), (4, 1), (4, 5), (5, 4)} <= places
    assert disc((9, 12), (4.0, 3.0), None).all()


@pytest.mark.parametrize("center", [(20.0, 14.5), (8.0, 14.5), (33.0, 10.0)])
def test_the_disc_that_is_always_seen_just_fits(center):
    shape = (30, 41)
    angles = np.deg2rad(np.arange(0.0, 360.0, 0.25))
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for part, fits in ((0.999, True), (1.01, False)):
        x, y = (np.array(center) + part * seen_radius(center, shape) * around).T
        inside = (x >= 0) & (x <= shape[1] - 1) & (y >= 0) & (y <= shape[0] - 1)
        assert inside.all() == fits


def test_a_center_beyond_the_picture_leaves_a_pixel():
    assert seen_radius((-5.0, 10.0), (3, 20, 30)) == 1.0
