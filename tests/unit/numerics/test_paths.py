"""The smoother against the closed form of Gaussian processes, and its choice of smoothness."""

import numpy as np
import pytest

from derotation.numerics import paths
from derotation.numerics.paths import smooth
from derotation.numerics.roughness import Places, Roughness, Wave, most_likely_path


def matern(time, size, constant):
    u = np.sqrt(3) * np.abs(time[:, None] - time) / constant
    return size**2 * (1 + u) * np.exp(-u)


def drawn(rng, time, size, constant):
    root = np.linalg.cholesky(matern(time, size, constant) + 1e-10 * np.eye(len(time)))
    return root @ rng.standard_normal((len(time), 2))


def places_of(time, values, variances):
    return Places(time_s=time, values=values, variances=variances, loose=np.zeros(len(time)))


X_WAVES = (Wave(frequency_hz=2.5, size_px=0.4, lasting_s=3.0),)
Y_WAVES = (*X_WAVES, Wave(frequency_hz=7.3, size_px=0.3, lasting_s=20.0))


@pytest.mark.parametrize("waves", [((), ()), (X_WAVES, Y_WAVES), ((), X_WAVES)])
def test_the_path_is_the_mean_of_the_gaussian_process(waves):
    """Mean and variance given all places, by matrices of all times at once."""
    rng = np.random.default_rng(1)
    time = np.sort(rng.uniform(0, 10, 40))
    places = rng.standard_normal((40, 2))
    variance = rng.uniform(0.1, 0.5, (40, 2))
    variance[7] = np.inf
    found = Roughness(size_px=0.8, constant_s=0.6, walk_px2=0.05, scale=1.3, waves=waves)
    path, sd = most_likely_path(places_of(time, places, variance), found)
    variance = 1.3 * variance
    walk = 1e4 + 0.05 * np.minimum(time[:, None] - time[0], time - time[0])
    told = np.flatnonzero(np.arange(40) != 7)
    apart = time[:, None] - time
    for k in (0, 1):
        prior = matern(time, 0.8, 0.6) + walk
        for wave in waves[k]:
            kept = wave.size_px**2 * np.exp(-np.abs(apart) / wave.lasting_s)
            prior = prior + kept * np.cos(2 * np.pi * wave.frequency_hz * apart)
        total = prior[np.ix_(told, told)] + np.diag(variance[told, k])
        expected = prior[:, told] @ np.linalg.solve(total, places[told, k])
        left = prior - prior[:, told] @ np.linalg.solve(total, prior[told])
        np.testing.assert_allclose(path[:, k], expected, atol=1e-5)
        np.testing.assert_allclose(sd[:, k], np.sqrt(np.diag(left)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("constant", [0.15, 0.4, 2.0])
def test_the_smoothness_is_told_by_the_places(constant):
    """Nearly as good as with the true smoothness, and the interval holds."""
    rng = np.random.default_rng(2)
    time = np.arange(600) * 0.0375
    truth = drawn(rng, time, 0.6, constant)
    places = truth + rng.normal(0, 0.15, truth.shape)
    frame = np.arange(600) // 4
    found = smooth(time, places, np.full(truth.shape, 0.15**2), frame)
    given = Roughness(size_px=0.6, constant_s=constant, walk_px2=1e-7, scale=1.0)
    best, _ = most_likely_path(places_of(time, places, np.full(truth.shape, 0.15**2)), given)
    error = found.places - truth
    assert np.sqrt(np.mean(error**2)) < 1.1 * np.sqrt(np.mean((best - truth) ** 2))
    assert 0.9 < np.mean(np.abs(error) < 1.96 * found.sd) < 0.99


def test_the_path_is_told_at_other_times():
    """Given the parameters that were found, as the mean of the Gaussian process."""
    rng = np.random.default_rng(5)
    time = np.arange(200) * 0.04
    places = drawn(rng, time, 0.6, 0.4) + rng.normal(0, 0.1, (200, 2))
    variance = np.full((200, 2), 0.1**2)
    frame = np.arange(200) // 4
    same = smooth(time, places, variance, frame, jumps=False)
    again = smooth(time, places, variance, frame, jumps=False, drawn=time)
    np.testing.assert_allclose(again.places, same.places, atol=1e-9)
    np.testing.assert_allclose(again.sd, same.sd, rtol=1e-6)
    wanted = np.array([0.05, 0.06, 3.333, 7.9])
    found = smooth(time, places, variance, frame, jumps=False, drawn=wanted)
    rough = found.roughness
    every = np.concatenate([wanted, time])
    prior = matern(every, rough.size_px, rough.constant_s) + 1e3
    prior += rough.walk_px2 * np.minimum(every[:, None], every)
    across = prior[:4, 4:]
    total = prior[4:, 4:] + rough.scale * 0.1**2 * np.eye(200)
    expected = across @ np.linalg.solve(total, places)
    left = np.diag(prior[:4, :4] - across @ np.linalg.solve(total, across.T))
    np.testing.assert_allclose(found.places, expected, atol=2e-3)
    np.testing.assert_allclose(found.sd, np.tile(np.sqrt(left)[:, None], 2), rtol=0.02)


def test_a_jump_leaves_the_path_known_between_the_places():
    rng = np.random.default_rng(6)
    time = np.arange(400) * 0.04
    places = rng.normal(0, 0.1, (400, 2)) + np.where(time[:, None] > 8, 4.0, 0.0)
    wanted = time[:-1] + 0.013
    found = smooth(time, places, np.full((400, 2), 0.01), np.arange(400) // 4, drawn=wanted)
    assert len(found.jumps) == 1
    assert found.sd.max() < 0.2


def test_what_is_noisier_than_it_says_is_noticed():
    rng = np.random.default_rng(3)
    time = np.arange(800) * 0.04
    places = rng.normal(0, 0.3, (800, 2))
    found = smooth(time, places, np.full((800, 2), 0.1**2), np.arange(800) // 4)
    assert found.roughness.scale == pytest.approx(9, rel=0.2)
    assert np.sqrt(np.mean(found.places**2)) < 0.05


def test_a_jump_is_found_and_kept_sharp():
    rng = np.random.default_rng(4)
    time = np.arange(800) * 0.04
    truth = 0.3 * np.sin(time)[:, None] * [1, -1] + np.where(time > 16.01, 5.0, 0.0)[:, None]
    places = truth + rng.normal(0, 0.1, truth.shape)
    found = smooth(time, places, np.full(truth.shape, 0.01), np.arange(800) // 4)
    assert found.jumps.tolist() == [100]
    assert np.abs(found.places - truth).max() < 0.3


def test_single_places_that_are_wrong_do_not_pull():
    rng = np.random.default_rng(5)
    time = np.arange(400) * 0.15
    truth = 0.5 * np.sin(time / 3)[:, None] * [1, 1]
    places = truth + rng.normal(0, 0.05, truth.shape)
    places[100] += 8
    places[200] = np.nan
    found = smooth(time, places, np.full(truth.shape, 0.05**2), np.arange(400))
    assert np.abs(found.places - truth).max() < 0.25


def test_nothing_measured_is_nothing_known():
    nan = np.full((10, 2), np.nan)
    found = smooth(np.arange(10.0), nan, nan, np.arange(10))
    assert not found.places.any()
    assert np.isinf(found.sd).all()


def test_places_soon_after_each_other_are_averaged():
    """At 30 frames/s with eight places each, else less than two seconds would decide for all."""
    rng = np.random.default_rng(7)
    time = np.arange(40) / (8 * 30)
    values, variances = rng.normal(0, 0.2, (40, 2)), rng.uniform(0.01, 0.1, (40, 2))
    variances[:4] = np.inf
    places = Places(time_s=time, values=values, variances=variances, loose=np.zeros(40))
    found = paths._averaged(places, paths._groups(time, np.arange(40) // 8))
    # Four places are 0.017 s, half of a frame.
    weight = (1 / variances).reshape(10, 4, 2)
    total = weight.sum(axis=1)
    np.testing.assert_allclose(found.time_s, time.reshape(10, 4).mean(axis=1))
    np.testing.assert_allclose(found.variances[1:], 1 / total[1:])
    pull = (weight * values.reshape(10, 4, 2)).sum(axis=1)
    np.testing.assert_allclose(found.values[1:], pull[1:] / total[1:])
    assert np.isinf(found.variances[0]).all()


def test_few_places_per_second_stay_as_they_are():
    time = np.arange(40) / (8 * 6.74)
    groups = paths._groups(time, np.arange(40) // 8)
    assert groups.tolist() == list(range(40))
