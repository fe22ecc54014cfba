"""A jump of the sample among frames that lie around a circle because of a wrong center."""

import numpy as np
import pytest

from derotation.quality.jumps import find_jump

N = 40


def made(seed, angle, *, center=(0.0, 0.0), on_stage=(0.0, 0.0), of_stage=(0.0, 0.0), at=22,
         noise=0.15):  # fmt: skip
    rng = np.random.default_rng(seed)
    a = np.deg2rad(angle)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    after = (np.arange(N) >= at)[:, None]
    shift = np.einsum("ijn,j->ni", turn, center) - np.asarray(center)
    shift = shift + after * (np.asarray(on_stage) + np.einsum("ijn,j->ni", turn, of_stage))
    return shift + rng.normal(0, noise, (N, 2))


ANGLES = {
    "turns": np.linspace(0, 1800, N),
    "swing": 90 * np.sin(np.arange(N)),
    "small swing": 20 * np.sin(np.arange(N) / 3),
}


@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("center", [(0.0, 0.0), (3.0, -2.0)])
def test_a_jump_is_found_where_it_is(name, seed, center):
    for which in ("on_stage", "of_stage"):
        shift = made(seed, ANGLES[name], center=center, **{which: (3.0, -4.0)})
        found = find_jump(shift, ANGLES[name])
        assert abs(found.first - 22) <= 1
        assert found.offset == pytest.approx((3, -4), abs=1.0)


@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("center", [(0.0, 0.0), (5.0, 4.0)])
def test_a_wrong_center_is_no_jump(name, seed, center):
    assert find_jump(made(seed, ANGLES[name], center=center), ANGLES[name]) is None


@pytest.mark.parametrize("name", ANGLES)
@pytest.mark.parametrize("seed", range(4))
def test_a_drift_is_no_jump(name, seed):
    drift = np.linspace(0, 1, N)[:, None] * np.array([5.0, -4.0])
    assert find_jump(made(seed, ANGLES[name]) + drift, ANGLES[name]) is None


def test_few_frames_tell_nothing():
    assert find_jump(np.zeros((7, 2)), np.arange(7.0)) is None
