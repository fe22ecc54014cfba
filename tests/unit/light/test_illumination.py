"""The light of the microscope is told from the sample that turns under it."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from derotation.calibration import Calibration
from derotation.errors import ConfigError, InputError
from derotation.io.movie import open_movie
from derotation.light.illumination import estimate_illumination
from derotation.plots.illumination import plot_dark_angles, plot_illumination
from derotation.simulate import simulate_recording
from derotation.streaming.single_pass import derotate_movie
from unit.sessions import disc, save_movie, true_angles, true_timing

SIZE = 96
SESSION = {
    "shape": (SIZE, SIZE),
    "frame_rate": 10.0,
    "n_cells": 25,
    "center_offset": (3.0, -2.0),
    "stimulus": ((200.0, 1), (100.0, -1), (150.0, 1)),
    # So bright that no pixel shows the detector's offset (100).
    "photons_per_pixel": 100.0,
    "gain": 5.0,
    "seed": 3,
}


def calibration_of(recording):
    p = recording.plan.parameters
    return Calibration(
        center=recording.center,
        image_shape=recording.movie.shape[1:],
        method="fixed",
        plane_angle=p.plane_angle,
        plane_orientation=p.plane_orientation,
    )


def estimate(recording, folder, **config):
    with open_movie(save_movie(recording, folder)) as movie:
        return estimate_illumination(
            movie, true_angles(recording), calibration_of(recording), config,
            timing=true_timing(recording),
        )  # fmt: skip


def without_symmetric_part(light, center):
    """Divide light by its geometric mean along each circle, by sampling the circles."""
    logarithm = np.log(light)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    around = np.radians(np.arange(720) / 2)
    radii = np.arange(0, SIZE, 0.5)
    circles = [
        center[1] + radii[:, None] * np.sin(around),
        center[0] + radii[:, None] * np.cos(around),
    ]
    mean = ndimage.map_coordinates(logarithm, circles, order=3, mode="nearest").mean(axis=1)
    return np.exp(logarithm - np.interp(np.hypot(x - center[0], y - center[1]), radii, mean))


def within(recording, less=3):
    """The disc that is always seen."""
    x, y = recording.center
    return disc((SIZE, SIZE), (x, y), min(x, y, SIZE - 1 - x, SIZE - 1 - y) - less)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture(scope="module")
def even():
    return simulate_recording(**SESSION)


@pytest.fixture(scope="module")
def uneven():
    return simulate_recording(**SESSION, illumination="uneven")


@pytest.fixture(scope="module")
def found(uneven, tmp_path_factory):
    return estimate(uneven, tmp_path_factory.mktemp("uneven"))


def test_light_is_found(uneven, found):
    truth = without_symmetric_part(uneven.plan.illumination, uneven.center)
    inside = within(uneven)
    assert found.uneven
    assert rms(truth[inside] - 1) > 0.08
    assert rms(found.light[inside] / truth[inside] - 1) < 0.01
    # As uncertain as it says.
    assert rms(found.light[inside] / truth[inside] - 1) < 2.5 * rms(found.light_sd[inside])
    np.testing.assert_allclose(found.gain * found.light, 1, rtol=1e-5)
    assert found.offset == pytest.approx(100, abs=5)


def test_even_light_changes_nothing(even, tmp_path):
    found = estimate(even, tmp_path)
    assert not found.uneven
    assert np.all(found.gain == 1)
    assert rms(found.light[within(even)] - 1) < 0.01
    assert "nothing to correct" in found.statement


def fidelity(recording, folder, **correction):
    """NRMSE of rotating frames against the sample at rest, evenly lit and without noise."""
    angles, truth = true_angles(recording), recording.plan
    still = folder / "derotated.tif"
    with open_movie(save_movie(recording, folder)) as movie:
        derotate_movie(
            movie, angles, calibration_of(recording), still, timing=true_timing(recording),
            **correction,
        )  # fmt: skip
    inside = within(recording)
    # What is the same all around the center is, by convention, of the sample.
    light = truth.illumination / without_symmetric_part(truth.illumination, recording.center)
    rotating = np.flatnonzero(np.ptp(angles.line_angles, axis=1) > 0)
    errors = []
    with open_movie(still) as movie:
        for frame in rotating:
            expected = 100 + (truth.resting_frame(frame) - 100) * light
            error = movie.read([frame])[0][inside] - expected[inside]
            errors.append(rms(error) / np.std(expected[inside]))
    return float(np.mean(errors))


def test_correction_makes_frames_as_good_as_evenly_lit_ones(even, uneven, found, tmp_path):
    as_recorded = fidelity(uneven, tmp_path)
    corrected = fidelity(uneven, tmp_path, gain=found.gain, offset=found.offset)
    evenly_lit = fidelity(even, tmp_path)
    assert corrected < 1.2 * evenly_lit
    assert as_recorded > 1.3 * evenly_lit


def test_bleaching_is_not_mistaken_for_light(even, tmp_path):
    movie = even.movie.astype(float) - 100
    fading = np.exp(-np.arange(len(movie)) / len(movie))[:, None, None]
    faded = np.clip(100 + movie * fading, 0, 65535).astype(even.movie.dtype)
    found = estimate(replace(even, movie=faded), tmp_path)
    assert not found.uneven
    assert rms(found.light[within(even)] - 1) < 0.01


def test_what_is_the_same_all_around_is_left_to_the_sample(even, tmp_path):
    y, x = np.mgrid[:SIZE, :SIZE]
    away = np.hypot(x - even.center[0], y - even.center[1]) / SIZE
    darker = np.rint(100 + (even.movie - 100.0) * np.exp(-2 * away**2)).astype(even.movie.dtype)
    found = estimate(replace(even, movie=darker), tmp_path)
    assert not found.uneven
    assert rms(found.light[within(even)] - 1) < 0.01


def test_tilted_plane(tmp_path):
    tilted = simulate_recording(
        **SESSION, plane_angle=30, plane_orientation=40, illumination="gradient"
    )
    found = estimate(tilted, tmp_path)
    assert found.uneven
    # A plane's slope has no part that is the same all around, on circles or on ellipses.
    slope = np.polyfit(*(np.log(found.light)[SIZE // 2, 20:-20], np.arange(SIZE)[20:-20])[::-1], 1)[
        0
    ]
    truth = np.polyfit(
        np.arange(SIZE)[20:-20], np.log(tilted.plan.illumination)[SIZE // 2, 20:-20], 1
    )[0]
    assert slope == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("usable", [True, False])
def test_too_few_angles_tell_nothing(even, tmp_path, usable):
    angles = true_angles(even)
    still = replace(
        angles,
        line_angles=np.zeros_like(angles.line_angles),
        line_usable=np.full(angles.line_angles.shape, usable),
    )
    with open_movie(save_movie(even, tmp_path)) as movie:
        found = estimate_illumination(movie, still, calibration_of(even))
    assert not found.uneven
    assert np.all(found.gain == 1)
    assert "cannot be told" in found.statement
    found.dark_angles.save(tmp_path / "dark_angles.csv")
    found.save_summary(tmp_path / "illumination.json")
    for figure in (plot_illumination(found), plot_dark_angles(found.dark_angles)):
        figure.savefig(tmp_path / "plot.png", dpi=40)


def test_samples_that_would_be_clipped_are_counted(uneven, tmp_path):
    bright = simulate_recording(
        **SESSION | {"gain": 1.0}, illumination="gradient", dtype="uint8", pmt_offset=10.0
    )
    found = estimate(bright, tmp_path)
    raised = 10 + found.gain * (bright.movie.max(axis=0) - 10.0) > 255
    recorded = bright.movie.max(axis=0) == 255
    assert 0 < found.clipped <= np.mean(raised & ~recorded) + 0.01
    assert found.saturated > 0
    assert "clipped" in found.statement


def test_dark_angles_of_the_field_and_of_blobs(uneven, found, tmp_path):
    dark = found.dark_angles
    assert len(dark.positions) > 5
    # Each blob is a cell, or the neighborhood of one.
    distance = np.hypot(*(dark.positions[:, None] - uneven.plan.scene.centers).transpose(2, 0, 1))
    assert np.median(distance.min(axis=1)) < 2
    # What the true light makes of each blob, at the angle at which it was seen.
    light = uneven.plan.illumination
    for k, (x, y) in enumerate(dark.positions, start=1):
        at = [uneven.plan.place_in_picture(x, y, angle)[::-1] for angle in dark.angles]
        expected = ndimage.map_coordinates(light, np.transpose(at), order=1)
        known = np.isfinite(dark.illumination[k])
        inside = np.all((np.transpose(at) > 1) & (np.transpose(at) < SIZE - 2), axis=0)
        if not (inside[known].all() and known.sum() > 30):
            continue
        expected /= expected[known].mean()
        assert rms((dark.illumination[k] - expected)[known]) < 0.05
    summary = dark.summary()
    assert summary["blobs_explained_by_illumination"] > 0.7
    assert summary["blobs_variation"] > 0.05

    dark.save(tmp_path / "dark_angles.csv")
    rows = list(csv.DictReader((tmp_path / "dark_angles.csv").read_text().splitlines()))
    assert {row["what"] for row in rows} == {"field", "blob"}
    assert all(float(row["frames"]) > 0 and float(row["brightness"]) > 0 for row in rows)
    relative = [float(row["relative"]) for row in rows if row["what"] == "field"]
    assert np.mean(relative) == pytest.approx(1, abs=1e-3)


def test_a_dark_angle_that_is_no_light_is_reported(tmp_path):
    """The whole picture gets darker around 90 degrees, as when the sample leaves the focus."""
    shaded = simulate_recording(**SESSION | {"photons_per_pixel": 10.0, "gain": 20.0})
    angles = np.mod(true_angles(shaded).line_angles, 360)
    shade = 1 - 0.3 * np.exp(-(((angles - 90) / 30) ** 2))
    shaded.movie[:] = np.rint(100 + (shaded.movie - 100.0) * shade[:, :, None]).clip(0)
    found = estimate(shaded, tmp_path)
    dark = found.dark_angles
    assert dark.summary()["field_darkest_angle"] == pytest.approx(90, abs=20)
    assert dark.relative[0].min() == pytest.approx(0.75, abs=0.06)
    assert dark.summary()["field_explained_by_illumination"] < 0.3
    assert "darker than usual" in dark.statement


def test_files(found, tmp_path):
    found.save(tmp_path / "illumination.npz")
    found.save_summary(tmp_path / "illumination.json")
    with np.load(tmp_path / "illumination.npz") as arrays:
        assert arrays["gain"].dtype == np.float32
        assert arrays["gain"].shape == (SIZE, SIZE)
        assert float(arrays["offset"]) == found.offset
    content = json.loads((tmp_path / "illumination.json").read_text())
    assert content["uneven"] is True
    assert content["dark_angles"]["blobs"] == len(found.dark_angles.positions)


def test_what_does_not_fit_is_refused(even, tmp_path):
    with pytest.raises(ConfigError, match="n_frames"):
        estimate(even, tmp_path, n_frames=0)
    other = calibration_of(even).replace(image_shape=(SIZE, SIZE + 1))
    with (
        open_movie(save_movie(even, tmp_path)) as movie,
        pytest.raises(InputError, match="width x height"),
    ):
        estimate_illumination(movie, true_angles(even), other)
