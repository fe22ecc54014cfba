"""A fit to shifts that wander, against the best that is possible, and with honest intervals."""

import numpy as np
import pytest

from derotation.maps.transforms import rotation_matrices
from derotation.numerics import robust
from derotation.numerics.robust import Wandering, contiguous_blocks, fit

NOISE = 0.05


def matern(time, size, constant):
    u = np.sqrt(3) * np.abs(time[:, None] - time) / constant
    return size**2 * (1 + u) * np.exp(-u)


def session(seed, size):
    """Frames of six rotations; what a wrong center and a sample that lives do to them."""
    rng = np.random.default_rng(seed)
    speed = np.repeat([200.0, -100.0, 150.0, -200.0, 100.0, -150.0], 16)
    angle = np.cumsum(speed / 8)
    time = np.arange(len(speed)) / 8 + np.repeat([0, 2, 4, 6, 8, 10], 16)
    leverage = np.eye(2) - rotation_matrices(angle)
    turned = np.abs(leverage).max(axis=(1, 2)) > 0.2
    time, speed, leverage = time[turned], speed[turned], leverage[turned]
    n = len(time)
    truth = rng.normal(0, 0.5, 2)
    covariance = matern(time, 0.6 * size, 0.4) + 1e-12 * np.eye(n)
    moved = np.linalg.cholesky(covariance) @ rng.standard_normal((n, 2))
    moved += size * (speed / 200)[:, None] * [1.4, 1.0]
    design = np.zeros((n, 6, 8))
    design[:, :2, :2] = leverage
    design[:, :, 2:] = np.eye(6)
    measured = rng.normal(0, NOISE, (n, 6))
    measured[:, :2] += leverage @ truth + moved
    told = {
        "blocks": contiguous_blocks(time),
        "common": 6,
        "wandering": Wandering(time_s=time, follows=speed[:, None] / 200),
    }
    information = np.broadcast_to(np.eye(6) / NOISE**2, (n, 6, 6))
    # The best unbiased estimate, if all covariances were known.
    spread = covariance + 9 * np.outer(speed, speed) / 200**2 + 9 + NOISE**2 * np.eye(n)
    normal = np.einsum("nia,nm,mib->ab", leverage, np.linalg.inv(spread), leverage)
    best = np.sqrt(np.diag(np.linalg.inv(normal)))
    return fit(design, measured, information, **told), truth, best, (design, measured, information)


def test_nearly_the_best_possible_and_its_intervals_hold():
    errors, sds, bests = [], [], []
    for seed in range(25):
        found, truth, best, _ = session(seed, 1.0)
        errors.append(found.parameters[:2] - truth)
        sds.append(found.sd[:2])
        bests.append(best)
    rms, best = (np.sqrt(np.mean(np.square(values))) for values in (errors, bests))
    assert rms < 1.3 * best
    # 50 intervals of 95 %: by chance fewer than 43 or all of them once in some hundred times.
    assert np.sum(np.abs(errors) < 1.96 * np.array(sds)) >= 42
    assert np.sqrt(np.mean(np.square(sds))) < 1.5 * best


def test_the_path_is_known_too():
    found, _, _, _ = session(3, 1.0)
    assert found.path[:, :2].std() > 0.5


def test_a_sample_that_holds_still_is_fitted_as_ever():
    found, _, _, given = session(4, 0.0)
    assert not found.path.any()
    blocks = found.blocks
    without = fit(*given, blocks=blocks, common=6)
    np.testing.assert_array_equal(found.parameters, without.parameters)
    np.testing.assert_array_equal(found.covariance, without.covariance)


def test_a_path_that_is_lost_in_the_noise_is_none():
    """Shifts far beyond what a sample does: no part of the path that is thought of matters."""
    rng = np.random.default_rng(0)
    n, noise = 20, 500.0
    time = np.arange(n) / 8.0
    speed = np.tile([1.0, -1.0], n // 2)[:, np.newaxis]
    measured = rng.normal(0, noise, (n, 3))
    measured[:, :2] += 5000 * speed
    found = fit(
        np.broadcast_to(np.eye(3), (n, 3, 3)),
        measured,
        np.broadcast_to(np.eye(3) / noise**2, (n, 3, 3)),
        blocks=contiguous_blocks(time),
        wandering=Wandering(time_s=time, follows=speed),
    )
    assert not found.path.any()
    assert np.isfinite(found.parameters).all()
    assert np.isfinite(found.covariance).all()


@pytest.mark.parametrize("velocity", [False, True])
def test_a_path_is_what_generalized_least_squares_makes_of_its_covariance(velocity):
    rng = np.random.default_rng(5)
    n, m, p, q = 7, 3, 4, 5
    design, values = rng.normal(size=(n, m, p)), rng.normal(size=(n, m))
    factors = rng.normal(size=(n, m, m))
    precision = factors @ factors.transpose(0, 2, 1) + np.eye(m)
    weights, prior = rng.uniform(0.2, 1, n), 0.3 * np.eye(p)
    root, effects = rng.normal(size=(n, 2, q)), rng.normal(size=(n, m, 2, 2))
    if not velocity:
        effects[..., 1] = 0
    found = robust._with_path(design, values, precision, weights, prior, root, effects)

    # What one number of the path's root does to all values, along x and along y.
    moved = np.einsum("nmak,nkj->nmaj", effects, root).reshape(n * m, 2 * q)
    noise = np.zeros((n * m, n * m))
    for k in range(n):
        noise[k * m : (k + 1) * m, k * m : (k + 1) * m] = np.linalg.inv(weights[k] * precision[k])
    told = np.linalg.inv(noise + moved @ moved.T)
    flat, all_values = design.reshape(n * m, p), values.ravel()
    left = flat.T @ told @ flat + prior
    parameters = np.linalg.solve(left, flat.T @ told @ all_values)
    path = moved @ moved.T @ told @ (all_values - flat @ parameters)
    np.testing.assert_allclose(found[0], parameters, rtol=1e-8)
    np.testing.assert_allclose(found[1].ravel(), path, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found[3], left, rtol=1e-8, atol=1e-10)
