import json

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.errors import InputError


@pytest.fixture
def calibration():
    return Calibration(
        center=(12.25, 7.5),
        image_shape=(16, 24),
        method="registration",
        center_sd=(0.01, 0.02),
        residual_px=0.1,
        statement="fine",
        provenance={"session": "a"},
    )


def test_round_trip(calibration, tmp_path):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    loaded = Calibration.load(path)
    assert loaded.provenance.pop("software").startswith("derotation-workflow ")
    assert loaded == calibration
    assert loaded.replace(plane_angle=3.0).plane_angle == 3.0


def test_maps_turn_about_the_center(calibration):
    maps = calibration.line_maps([40.0])
    np.testing.assert_allclose(maps[0] @ [12.25, 7.5, 1], [12.25, 7.5])


def test_other_frame_size_is_refused(calibration):
    calibration.check_shape((100, 16, 24), "movie.tif")
    with pytest.raises(InputError, match=r"has frames of 16 x 24 .* from frames of 24 x"):
        calibration.check_shape((100, 24, 16), "movie.tif")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "something"}, "no calibration file"),
        ({"version": 99}, "another version"),
        ({"centre": [1, 2]}, "unknown keys: centre"),
        ({"center": [1]}, r"center is \[1\]; expected a list of 2 numbers"),
        ({"center": None}, "center is None"),
        ({"method": ...}, "lacks the keys method"),
    ],
)
def test_bad_files(calibration, tmp_path, change, message):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
    with pytest.raises(InputError, match=message):
        Calibration.load(path)


def test_unreadable(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a calibration"):
        Calibration.load(tmp_path / "none.json")
