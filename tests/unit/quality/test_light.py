"""Uneven light against cells that are active at some angles by chance."""

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
        columns = np.concatenate([some.light, light._one_hot(some.angle)], axis=1)
        solution, near = light._robust(columns, some)
        effect = some.light @ solution[: light.TERMS]
        chance = light._by_chance(columns, some, some.log_ratio - columns @ solution, near)
        found += np.sqrt(np.mean(effect**2)) > light.MIN_ERRORS * chance
    assert least <= found <= most
