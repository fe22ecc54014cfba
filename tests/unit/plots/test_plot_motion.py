"""The picture of a sample's motion, of a short and a long session."""

import numpy as np

from derotation.plots import motion


def test_a_short_path_is_drawn_as_it_is():
    time = np.arange(motion.MAX_POINTS, dtype=float)
    places = np.sin(time)
    for own, expected in zip(motion._line(time, places), (time, places), strict=True):
        assert own is expected


def test_of_a_long_path_no_peak_is_lost():
    rng = np.random.default_rng(2)
    time = np.sort(rng.uniform(0, 4000, 12 * motion.MAX_POINTS + 7))
    places = rng.normal(size=len(time)).cumsum()
    places[123_456] = 1e4
    at, low, high = motion._range(time, places - 1, places + 2)
    assert len(at) == motion.N_STRETCHES
    assert high.max() == 1e4 + 2
    stretch = np.searchsorted(at, time, side="right") - 1
    for k in (0, 17, motion.N_STRETCHES - 1):
        own = places[stretch == k]
        assert (low[k], high[k]) == (own.min() - 1, own.max() + 2)
    seconds, line = motion._line(time, places)
    np.testing.assert_array_equal(seconds[::2], at)
    np.testing.assert_allclose(line[::2], low + 1)
    np.testing.assert_allclose(line[1::2], high - 2)
