"""The steps that compare a session with another one, on images whose truth is the simulator's."""

import json

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.errors import DetectionFailedError, InputError
from derotation.estimates import Verdict
from derotation.io.tiff_writer import TiffStackWriter
from derotation.maps import transforms
from derotation.movement import MovementCorrection
from derotation.simulate import plan_recording, simulate_pair
from derotation.steps import align_session, carry_calibration

SHAPE = (144, 160)
SAME = {"shape": SHAPE, "center_offset": (9.0, -6.0), "n_cells": 60, "scene_seed": 4,
        "frame_rate": 5, "stimulus": ((200.0, 1),), "calcium": False}  # fmt: skip
TILTED = {"plane_angle": 30.0, "plane_orientation": 35.0}
MOVED = {"movement_shift": (6.0, -5.0), "movement_rotation": 6.0}
SETTINGS = {"movement": {"method": "auto", "transform": "similarity", "max_rotation": 45.0,
                         "max_scale": 1.25}}  # fmt: skip


def write_image(path, image):
    with TiffStackWriter(path, (1, *image.shape), np.float32) as writer:
        writer.write(np.asarray(image, np.float32))


def write_session(folder, plan, output="scan"):
    """Write what the steps before leave behind: the picture at rest and the calibration."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 2, SHAPE)
    write_image(folder / "rest.tif", plan.rest_image + noise)
    Calibration(
        center=plan.center,
        image_shape=SHAPE,
        method="registration",
        center_sd=(0.01, 0.01),
        plane_angle=plan.parameters.plane_angle,
        plane_orientation=plan.plane_orientation,
        plane_output=output,
        image=folder / "rest.tif",
        verdicts=(Verdict(topic="center", code="known", says="Known."),),
    ).save(folder / "calibration.json")


def align(folder, points=None):
    return align_session.run(
        session="day2",
        reference="day1",
        moved_image=folder / "day2" / "rest.tif",
        ref_image=folder / "day1" / "rest.tif",
        moved_calibration=folder / "day2" / "calibration.json",
        ref_calibration=folder / "day1" / "calibration.json",
        points=points,
        config=SETTINGS,
        outputs=align_session.Outputs.within(folder, plots=folder),
    )


@pytest.mark.parametrize("output", ["scan", "sample"])
def test_a_sample_that_was_turned_in_a_tilted_plane(tmp_path, output):
    ref = plan_recording(seed=1, **SAME, **TILTED)
    moved = plan_recording(seed=2, **SAME, **TILTED, **MOVED)
    write_session(tmp_path / "day1", ref, output)
    write_session(tmp_path / "day2", moved, output)
    align(tmp_path)
    content = json.loads((tmp_path / "movement.json").read_text())
    # A line of the second day, derotated and moved, has to lie where the first day has it.
    calibration = Calibration.load(tmp_path / "day2" / "calibration.json")
    for angle in (0.0, 130.0):
        x, y = np.array([[70.0, 90, 110], [60, 95, 50]])
        raw = np.column_stack(moved.place_in_picture(x, y, angle))
        found = transforms.apply(
            transforms.compose(np.asarray(content["matrix"])[:2], calibration.maps(angle)), raw
        )
        own = np.column_stack([x, y, np.ones(3)])
        expected = (own @ moved.movement.T)[:, :2]
        if output == "sample":
            first = Calibration.load(tmp_path / "day1" / "calibration.json")
            expected = transforms.apply(first.maps(0.0), expected)
        np.testing.assert_allclose(found, expected, atol=0.15)
    saved = MovementCorrection.load(tmp_path / "movement.cmc")
    np.testing.assert_allclose(saved.matrix, content["matrix"])
    assert content["corner_sd_px"] < 0.3
    assert "To lie on day1" in content["statement"]


def test_points_are_those_of_the_recorded_pictures(tmp_path):
    ref = plan_recording(seed=1, **SAME, **TILTED)
    moved = plan_recording(seed=2, **SAME, **TILTED, **MOVED)
    write_session(tmp_path / "day1", ref)
    write_session(tmp_path / "day2", moved)
    places = np.array([[30.0, 40, 1], [130, 50, 1], [80, 120, 1]])
    pairs = np.hstack([(places @ moved.movement.T)[:, :2], places[:, :2]])
    table = tmp_path / "points.csv"
    rows = (",".join(f"{value:.0f}" for value in pair) for pair in pairs)
    table.write_text("\n".join(["ref_x,ref_y,moved_x,moved_y", *rows]) + "\n")
    found = align(tmp_path, table)
    assert found.evidence.method == "points"
    corners = np.array([[20.0, 20, 1], [140, 120, 1]])
    off = corners @ (found.correction.matrix - moved.movement).T
    assert np.abs(off).max() < 0.5


def test_a_picture_tells_why_nothing_was_found(tmp_path):
    write_session(tmp_path / "day1", plan_recording(seed=1, **SAME))
    write_session(tmp_path / "day2", plan_recording(seed=2, **SAME | {"scene_seed": 99}))
    with pytest.raises(DetectionFailedError, match=r"movement_failed\.png.*table.*reference"):
        align(tmp_path)
    assert (tmp_path / "movement_failed.png").stat().st_size > 10_000
    assert not (tmp_path / "movement.json").exists()
    assert not (tmp_path / "movement.png").exists()


def test_other_frame_sizes_are_refused(tmp_path):
    write_session(tmp_path / "day1", plan_recording(seed=1, **SAME))
    write_session(tmp_path / "day2", plan_recording(seed=1, **SAME))
    write_image(tmp_path / "day2" / "rest.tif", np.zeros((100, 120)))
    with pytest.raises(InputError, match=r"120 x 100 pixels .* day1 of 160 x 144"):
        align(tmp_path)


def carry(folder, **changes):
    arguments = {
        "session": "day2",
        "source": "day1",
        "given": folder / "day1" / "calibration.json",
        "image": folder / "day2" / "rest.tif",
        "points": None,
        "config": SETTINGS,
        "outputs": carry_calibration.Outputs.of(
            calibration=folder / "carried.json",
            text=folder / "center.txt",
            plot=folder / "calibration.png",
        ),
    }
    return carry_calibration.run(**arguments | changes)


def test_a_scanner_that_moved_takes_the_center_along(tmp_path):
    moved = plan_recording(seed=2, movement_what="scanner", **SAME, **TILTED, **MOVED)
    write_session(tmp_path / "day1", plan_recording(seed=1, **SAME, **TILTED))
    write_session(tmp_path / "day2", moved)
    carry(tmp_path)
    carried = Calibration.load(tmp_path / "carried.json")
    np.testing.assert_allclose(carried.center, moved.center, atol=0.1)
    assert carried.plane_orientation == pytest.approx(moved.plane_orientation, abs=0.2)
    assert carried.statement.startswith("Carried over from day1: with the scanner")
    assert carried.image == tmp_path / "day2" / "rest.tif"
    assert "day1" in (tmp_path / "center.txt").read_text()
    assert (tmp_path / "calibration.png").stat().st_size > 10_000


def test_nothing_that_moved_changes_nothing(tmp_path):
    write_session(tmp_path / "day1", plan_recording(seed=1, **SAME))
    write_session(tmp_path / "day2", plan_recording(seed=2, **SAME))
    noise = np.random.default_rng(1).normal(0, 40, SHAPE)
    write_image(tmp_path / "day2" / "rest.tif", plan_recording(**SAME).rest_image + noise)
    carry(tmp_path)
    given, carried = (
        Calibration.load(path)
        for path in (tmp_path / "day1" / "calibration.json", tmp_path / "carried.json")
    )
    assert carried.center == given.center
    assert carried.center_sd == given.center_sd
    assert carried.statement.startswith("Taken from day1; the picture has not moved since")


def test_a_calibration_without_a_picture_cannot_be_carried(tmp_path):
    write_session(tmp_path / "day1", plan_recording(seed=1, **SAME))
    write_session(tmp_path / "day2", plan_recording(seed=2, **SAME))
    plain = tmp_path / "plain.json"
    Calibration.load(tmp_path / "day1" / "calibration.json").replace(image=None).save(plain)
    with pytest.raises(InputError, match=r"plain\.json carries no image.*movement\.what to sample"):
        carry(tmp_path, given=plain)
    other = simulate_pair(3, size=160).ref[:144]
    write_image(tmp_path / "day2" / "rest.tif", other)
    with pytest.raises(DetectionFailedError, match=r"calibration_failed\.png"):
        carry(tmp_path)
    assert (tmp_path / "calibration_failed.png").exists()
