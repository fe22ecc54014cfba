"""Responses aligned to rotations."""

import numpy as np

from derotation.cells.rotations import Rotations, aligned, mean_by_kind

ROTATIONS = Rotations(
    start_s=np.array([10.0, 30.0, 50.0]),
    end_s=np.array([12.0, 33.0, 52.0]),
    speed=np.array([200.0, 100.0, 200.0]),
    direction=np.array([1.0, -1.0, 1.0]),
)


def test_a_response_is_read_at_the_samples_own_times():
    # Sampled late within frames, by another amount in each.
    rng = np.random.default_rng(0)
    time = np.arange(0, 70, 0.1) + rng.uniform(0, 0.09, 700)
    start = ROTATIONS.start_s[np.maximum(np.searchsorted(ROTATIONS.start_s, time) - 1, 0)]
    trace = np.where(time > start, time - start, 0.0)
    times = ROTATIONS.times(10.0)
    found = aligned(trace, time, ROTATIONS, times)
    assert times[0] == -2
    assert times[-1] == 6
    later = times > 0.2
    assert np.abs(found[:, later] - times[later]).max() < 1e-9


def test_gaps_and_ends_are_not_filled():
    time = np.arange(90, 400) / 10
    trace = np.ones(len(time))
    trace[(time > 30.05) & (time < 31)] = np.nan
    found = aligned(trace, time, ROTATIONS, np.array([-2.0, 0.0, 0.5, 1.5]))
    assert np.isnan(found).tolist() == [
        [True, False, False, False],
        [False, False, True, False],
        [True, True, True, True],
    ]


def test_rotations_of_a_kind_are_averaged():
    kinds, kind = ROTATIONS.kinds()
    assert kinds.tolist() == [[100, -1], [200, 1]]
    means = mean_by_kind(np.array([[1, np.nan], [5, 6], [3, np.nan]]), kind, 2)
    np.testing.assert_array_equal(means, [[5, 6], [2, np.nan]])


def test_without_rotations_there_are_no_responses():
    none = Rotations(
        start_s=np.empty(0), end_s=np.empty(0), speed=np.empty(0), direction=np.empty(0)
    )
    assert len(none.times(10.0)) == 0
    assert aligned(np.ones(5), np.arange(5.0), none, none.times(10.0)).shape == (0, 0)
