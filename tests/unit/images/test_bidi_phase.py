"""The phase of bidirectional scanning, from simulated recordings whose phase is known."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.images.bidi_phase import (
    estimate_bidi_phase,
    tell_directions,
)
from derotation.maps import transforms
from derotation.simulate import plan_recording

FRAMES_AT_REST = 40  # what the shortest sessions have


def rest_image(phase, photons, seed, size=128, n_frames=FRAMES_AT_REST):
    """Mean of frames at rest; without making each of them, since photons add up to photons."""
    plan = plan_recording(
        shape=(size, size), bidirectional=True, bidi_phase=phase, photons_per_pixel=photons,
        n_cells=60, seed=seed,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    mean = rng.poisson(plan.photons(0) * n_frames) / n_frames
    return 20 * mean + 100 + 5 / np.sqrt(n_frames) * rng.standard_normal(mean.shape)


@pytest.mark.parametrize(("photons", "tolerance"), [(10.0, 0.03), (1.0, 0.1)])
def test_phase_is_found_at_low_light(photons, tolerance):
    phases = [0.0, 0.37, 1.5, -2.2, -0.5, 3.0]
    found = [estimate_bidi_phase(rest_image(phase, photons, k)) for k, phase in enumerate(phases)]
    errors = np.array([one.phase_px for one in found]) - phases
    sd = np.array([one.sd_px for one in found])
    assert np.sqrt(np.mean(errors**2)) < tolerance
    assert np.abs(errors).max() < 2 * tolerance
    assert all(one.trusted for one in found)
    # The stated uncertainty is that of the errors.
    assert 0.4 < np.sqrt(np.mean((errors / sd) ** 2)) < 2.0


def test_the_uncertainty_holds_in_the_dark():
    scaled = []
    for seed in range(24):
        phase = -2 + seed / 6
        found = estimate_bidi_phase(rest_image(phase, 0.3, seed))
        scaled.append((found.phase_px - phase) / found.sd_px)
    assert 0.7 < np.sqrt(np.mean(np.square(scaled))) < 1.25


@pytest.mark.parametrize("phase", [0.3, -0.5, 4.25])
def test_phase_has_no_bias_without_noise(phase):
    plan = plan_recording(
        shape=(96, 129), bidirectional=True, bidi_phase=phase, photons_per_pixel=None,
        dtype="float64",
    )  # fmt: skip
    found = estimate_bidi_phase(plan.frame(0))
    assert found.phase_px == pytest.approx(phase, abs=0.01)
    assert found.sd_px < 0.01


def test_unknown_pixels_do_not_matter():
    image = rest_image(1.5, 10.0, 3)
    image[40:60, 30:50] = np.nan
    assert estimate_bidi_phase(image).phase_px == pytest.approx(1.5, abs=0.06)


def test_phase_that_changes_is_followed():
    images = np.stack([rest_image(phase, 10.0, 1) for phase in (0.0, 0.0, 0.8)])
    found = [estimate_bidi_phase(image) for image in images]
    np.testing.assert_allclose([one.phase_px for one in found], [0, 0, 0.8], atol=0.06)
    together = estimate_bidi_phase(images[:2])
    assert together.phase_px == pytest.approx(0, abs=0.04)
    assert together.sd_px <= found[0].sd_px * 1.2


def test_pictures_without_anything_in_common_are_not_trusted():
    rng = np.random.default_rng(0)
    found = [estimate_bidi_phase(rng.normal(100, 10, (64, 64))) for _ in range(5)]
    assert not any(one.trusted for one in found)
    assert not estimate_bidi_phase(np.full((64, 64), 7.0)).trusted


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("phase", [0.0, 0.7])
def test_turning_frames_tell_the_directions(bidirectional, phase):
    plan = plan_recording(
        shape=(128, 128), bidirectional=bidirectional, bidi_phase=phase * bidirectional,
        center_offset=(3.0, -5.0), photons_per_pixel=20.0, seed=5,
    )  # fmt: skip
    turning = np.flatnonzero(np.ptp(plan.line_angles, axis=1) > 5)[:24]
    frames = np.stack([plan.frame(int(f)) for f in turning])
    maps = transforms.line_maps(plan.line_angles[turning], plan.center)
    found = tell_directions(frames, maps, 0.9)
    assert found.bidirectional is bidirectional
    assert abs(found.backward - bidirectional) < 4 * found.sd


def test_angles_of_the_wrong_sign_tell_no_direction():
    plan = plan_recording(shape=(128, 128), bidirectional=True, photons_per_pixel=20.0, seed=5)
    turning = np.flatnonzero(np.ptp(plan.line_angles, axis=1) > 5)[:48]
    frames = np.stack([plan.frame(int(f)) for f in turning])
    maps = transforms.line_maps(-plan.line_angles[turning], plan.center)
    found = tell_directions(frames, maps, 0.9)
    assert found.backward < -0.5
    assert found.bidirectional is None


def test_directions_stay_open_where_nothing_turns_or_is_seen():
    rng = np.random.default_rng(2)
    maps = transforms.line_maps(np.arange(6 * 32.0).reshape(6, 32) / 10, (15.5, 15.5))
    noise = rng.normal(100, 10, (6, 32, 32))
    assert tell_directions(noise, maps, 0.9).bidirectional is None
    at_rest = transforms.line_maps(np.zeros((6, 32)), (15.5, 15.5))
    assert tell_directions(noise, at_rest, 0.9).bidirectional is None


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="at least 16 x 16"):
        estimate_bidi_phase(np.zeros((12, 30)))
    with pytest.raises(InputError, match="at least 4 turning frames"):
        tell_directions(np.zeros((2, 32, 32)), np.zeros((2, 32, 2, 3)), 0.9)
    with pytest.raises(InputError, match="line_maps have the shape"):
        tell_directions(np.zeros((5, 32, 32)), np.zeros((5, 31, 2, 3)), 0.9)
