"""Uneven light against cells that are active at some angles by chance."""

import dataclasses

import numpy as np
import pytest

from derotation.quality import light

ANGLES = np.arange(0, 360, 30)
SIDE = 8


def places(rng, slope):
    """Patches that are active at three neighboring angles each, under a gradient of light."""
    angle, row, column = (a.ravel() for a in np.indices((len(ANGLES), SIDE, SIDE)))
    x, y = (column - 3.5) / 4, (row - 3.5) / 4
    terms = light._terms(x, y, np.deg2rad(ANGLES[angle]))
    patch = row // 2 * 4 + column // 2
    since = rng.integers(0, len(ANGLES), 16)[patch]
    active = 0.3 * ((angle - since) % len(ANGLES) < 3)
    return light._Places(
        log_ratio=slope * terms[:, 0] + active + rng.normal(0, 0.01, len(angle)),
        weight=np.ones(len(angle)),
        angle=angle,
        patch=patch,
        light=terms,
    )


@pytest.mark.parametrize(("slope", "least", "most"), [(0.0, 0, 1), (0.3, 20, 20)])
def test_activity_of_patches_is_chance_and_a_gradient_is_not(slope, least, most):
    found = 0
    for seed in range(20):
        some = places(np.random.default_rng(seed), slope)
        solution, left, near = light._robust(some)
        effect = some.light @ solution
        chance = light._by_chance(some, left, near)
        found += np.sqrt(np.mean(effect**2)) > light.MIN_ERRORS * chance
    assert least <= found <= most


def test_light_without_the_brightness_of_angles_is_that_of_a_fit_of_both():
    """All columns in one system, as the formulas are written, are a slow twin."""
    rng = np.random.default_rng(3)
    some = dataclasses.replace(places(rng, 0.1), weight=rng.uniform(0.5, 2, 12 * SIDE**2))
    some = dataclasses.replace(some, log_ratio=some.log_ratio + rng.normal(size=12)[some.angle])
    columns = np.concatenate([some.light, np.eye(len(ANGLES))[some.angle]], axis=1)
    solution, left, near = light._robust(some)
    expected, expected_left, expected_near = plain_fit(columns, some)
    np.testing.assert_allclose(solution, expected[: light.TERMS], rtol=1e-6)
    np.testing.assert_allclose(left, expected_left, atol=1e-9)
    np.testing.assert_allclose(near, expected_near, rtol=1e-6)
    chance = plain_chance(columns, some, expected_left, expected_near)
    assert light._by_chance(some, left, near) == pytest.approx(chance, rel=1e-6)


def plain_fit(columns, some):
    near = np.ones(len(columns))
    for _ in range(light.ROUNDS):
        root = np.sqrt(some.weight * near)
        solution = np.linalg.pinv(columns * root[:, None]) @ (some.log_ratio * root)
        left = some.log_ratio - columns @ solution
        spread = 1.4826 * np.median(np.abs(left)) + 1e-9
        near = 1 / (1 + (left / (2 * spread)) ** 2)
    return solution, left, near


def plain_chance(columns, some, left, near):
    weight = some.weight * near
    pulls = np.stack([(columns * (weight * left)[:, None])[some.patch == k].sum(axis=0)
                      for k in range(16)])  # fmt: skip
    inverse = np.linalg.pinv(columns.T @ (columns * weight[:, None]))
    covariance = (inverse @ (pulls.T @ pulls) @ inverse)[: light.TERMS, : light.TERMS]
    mean = some.light.T @ (some.light * some.weight[:, None]) / some.weight.sum()
    return np.sqrt(np.trace(covariance @ mean) * 16 / (16 - light.TERMS))
