"""A calibration in a picture that has moved; the truth is the geometry of the simulator."""

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.errors import InputError
from derotation.io.tiff_writer import TiffStackWriter
from derotation.movement import MovementCorrection, update_calibration
from derotation.movement.carry import matters
from derotation.simulate import plan_recording

SHAPE = (64, 80)
SAME = {"shape": SHAPE, "center_offset": (6, -3), "plane_angle": 25.0, "plane_orientation": 40.0,
        "wobble": [(1.0, 0.5, -0.3, 0.2)], "n_cells": 5, "frame_rate": 10, "seed": 1}  # fmt: skip
MOVED = {"movement_shift": (7.0, -7.0), "movement_rotation": 3.0}


def calibration_of(plan):
    x, y = plan.center
    return Calibration(
        center=(x, y),
        image_shape=SHAPE,
        method="registration",
        center_sd=(0.03, 0.02),
        plane_angle=plan.parameters.plane_angle,
        plane_orientation=plan.plane_orientation,
        plane_sd=(0.1, 0.2),
        wobble=tuple(map(tuple, plan.wobble.tolist())),
        wobble_sd=((0.01, 0.02, 0.03, 0.04),),
        provenance={"session": "day1"},
    )


@pytest.fixture(scope="module")
def plans():
    return {
        what: plan_recording(**SAME, **MOVED, movement_what=what) for what in ("scanner", "sample")
    } | {"reference": plan_recording(**SAME)}


@pytest.fixture
def movement(plans):
    return MovementCorrection(
        plans["scanner"].movement, SHAPE, src="truth", covariance=0.04 * np.eye(6)
    )


def test_where_the_scanner_moved_the_calibration_moves(plans, movement):
    reference = calibration_of(plans["reference"])
    moved = update_calibration(reference, np.zeros(SHAPE), movement, "day 2")
    # The maps that result have to undo what the simulated microscope recorded.
    plan = plans["scanner"]
    x, y = np.array([[10.0, 20, 60], [50, 8, 30]])
    for angle in (0.0, 77.0, 200.0):
        there = plan.place_in_picture(x, y, angle)
        ((a, b, c), (d, e, f)) = moved.maps(angle)
        back = a * there[0] + b * there[1] + c, d * there[0] + e * there[1] + f
        np.testing.assert_allclose(back, (x, y), atol=1e-6)
    assert moved.provenance["session"] == "day1"
    assert moved.provenance["movement"]["what"] == "scanner"
    assert moved.provenance["movement"]["image"] == "day 2"


def test_where_the_sample_moved_the_axis_stays(plans, movement):
    reference = calibration_of(plans["reference"])
    moved = update_calibration(reference, np.zeros(SHAPE), movement, what="sample")
    assert moved.replace(provenance={}) == reference.replace(provenance={})
    assert moved.center == pytest.approx(plans["sample"].center)


def test_uncertainties_grow_by_those_of_the_movement(plans, movement):
    reference = calibration_of(plans["reference"])
    moved = update_calibration(reference, np.zeros(SHAPE), movement)
    assert moved.center_sd[0] > 0.2  # the movement's, 0.2 px in the middle
    assert moved.center_sd[0] < 0.3
    # The rotation's: 0.2 px / sqrt(2) at half the height.
    assert moved.plane_sd == pytest.approx((0.1, np.hypot(0.2, np.rad2deg(0.2 / 2**0.5 / 32))))
    assert moved.wobble_sd[0] == pytest.approx((0.01, 0.02, 0.03, 0.04), abs=1e-3)
    unknown = update_calibration(reference.replace(center_sd=None), np.zeros(SHAPE), movement)
    assert unknown.center_sd is None


def test_display_and_original_coordinates(plans, movement):
    reference = calibration_of(plans["reference"])
    binned = movement.scaled((32, 40))
    moved = update_calibration(reference, np.zeros((32, 40)), binned)
    assert moved.center == pytest.approx(plans["scanner"].center)
    with pytest.raises(InputError, match="Display"):
        update_calibration(reference, np.zeros((32, 40)), binned, coords="Original")
    with pytest.raises(InputError, match="another aspect"):
        update_calibration(reference, np.zeros((32, 32)), movement)
    for wrong in ({"coords": "Other"}, {"what": "motor"}):
        with pytest.raises(InputError, match="allowed are"):
            update_calibration(reference, np.zeros(SHAPE), movement, **wrong)


def test_a_movement_within_its_uncertainty_does_not_matter(plans):
    reference = calibration_of(plans["reference"])
    drift = np.array([[1, 0, 0.3], [0, 1, 0.2]])
    uncertain = MovementCorrection(drift, SHAPE, covariance=0.04 * np.eye(6))
    certain = MovementCorrection(drift, SHAPE, covariance=1e-4 * np.eye(6))
    tiny = MovementCorrection(drift / [1, 1, 10], SHAPE, covariance=1e-8 * np.eye(6))
    assert not matters(reference, uncertain)
    assert matters(reference, certain)
    tiny = MovementCorrection([[1, 0, 0.03], [0, 1, 0.02]], SHAPE, covariance=1e-8 * np.eye(6))
    assert not matters(reference, tiny)


def test_a_calibration_carries_its_image(tmp_path, plans):
    (tmp_path / "images").mkdir()
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    with TiffStackWriter(tmp_path / "images" / "rest.tif", (1, *SHAPE), np.float32) as writer:
        writer.write(image)
    given = calibration_of(plans["reference"]).replace(image=tmp_path / "images" / "rest.tif")
    given.save(tmp_path / "calibration.json")
    assert '"images/rest.tif"' in (tmp_path / "calibration.json").read_text()
    # The folder may be taken elsewhere as a whole.
    folder = tmp_path.rename(tmp_path.with_name("elsewhere"))
    loaded = Calibration.load(folder / "calibration.json")
    np.testing.assert_array_equal(loaded.read_image(), image)
    (folder / "images" / "rest.tif").unlink()
    with pytest.raises(InputError, match=r"rest\.tif, the image of a calibration"):
        loaded.read_image()


def test_projective_movements_are_refused(plans):
    projective = MovementCorrection([[1, 0, 0], [0, 1, 0], [1e-4, 0, 1]], SHAPE)
    with pytest.raises(InputError, match="projective"):
        update_calibration(calibration_of(plans["reference"]), np.zeros(SHAPE), projective, "day 2")
