import dataclasses
import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from derotation.calibration import Calibration
from derotation.errors import InputError
from derotation.estimates import Verdict

SCHEMA = Path(__file__).parents[3] / "src/derotation/settings/calibration.schema.yaml"


@pytest.fixture
def calibration():
    return Calibration(
        center=(12.25, 7.5),
        image_shape=(16, 24),
        method="registration",
        center_sd=(0.01, 0.02),
        residual_px=0.1,
        verdicts=(
            Verdict(topic="center", code="known", says="fine: {x:.1f}", figures={"x": 1.25}),
        ),
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
    maps = calibration.maps([40.0])
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


def test_wobble_plane_and_lag_round_trip(calibration, tmp_path):
    path = tmp_path / "calibration.json"
    full = calibration.replace(
        plane_angle=20.0,
        plane_orientation=30.0,
        plane_sd=(0.1, 0.2),
        plane_output="sample",
        wobble=((1.0, 0.0, 0.5, 0.0), (0.0, 0.25, 0.0, 0.0)),
        wobble_sd=((0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.1, 0.1)),
        lag_ms=3.0,
        lag_sd_ms=0.1,
    )
    full.save(path)
    loaded = Calibration.load(path)
    assert loaded.replace(provenance=full.provenance) == full


def test_wobble_is_taken_away_before_turning_back(calibration):
    wobbling = calibration.replace(wobble=((0.0, 0.0, 2.0, 0.0), (0.0, 1.0, 0.0, 0.0)))
    angle = 90.0
    # At 90 degrees: S sin(90) = (2, 0), and C (cos(180) - 1) = (0, -2).
    seen = [12.25 + 3.0 + 2.0, 7.5 - 2.0, 1]
    plain = calibration.maps([angle])[0] @ [12.25 + 3.0, 7.5, 1]
    np.testing.assert_allclose(wobbling.maps([angle])[0] @ seen, plain)
    identity = [[1, 0, 0], [0, 1, 0]]
    for rest in (0.0, 360.0, -360.0):
        np.testing.assert_array_equal(wobbling.maps([rest])[0], identity)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wobble": [[1, 2, 3]]}, r"wobble is \[\[1, 2, 3\]\]; expected a list of rows of 4"),
        ({"wobble": 1}, "wobble is 1; expected a list of rows"),
        ({"wobble": [[1, 2, 3, None]]}, "wobble is None; expected a number"),
        ({"wobble_sd": [1]}, "wobble_sd is"),
        ({"plane_angle": "steep"}, "plane_angle is 'steep'; expected a number"),
        ({"plane_angle": 90}, "plane_angle is 90"),
        ({"plane_sd": [1]}, r"plane_sd is \[1\]; expected a list of 2 numbers"),
        ({"plane_output": "top"}, "plane_output is 'top'; allowed are scan and sample"),
        ({"lag_ms": True}, "lag_ms is True"),
        ({"lag_sd_ms": []}, "lag_sd_ms is"),
    ],
)
def test_bad_plane_wobble_and_lag(calibration, tmp_path, change, message):
    path = tmp_path / "calibration.json"
    calibration.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        Calibration.load(path)


def test_files_follow_the_schema(calibration, tmp_path):
    """The schema in the repository describes every field, and what is written fits it."""
    schema = yaml.safe_load(SCHEMA.read_text())
    fields = {field.name for field in dataclasses.fields(Calibration)}
    assert set(schema["properties"]) == fields | {"kind", "version", "statement"}
    full = calibration.replace(
        plane_angle=25.0,
        plane_orientation=40.0,
        plane_sd=(0.1, 0.2),
        wobble=((1.0, 0.5, 0.0, -0.5),),
        wobble_sd=((0.1, 0.1, 0.1, 0.1),),
        lag_ms=3.0,
        lag_sd_ms=0.1,
    )
    for number, written in enumerate((calibration, full)):
        path = tmp_path / f"{number}.json"
        written.save(path)
        jsonschema.validate(json.loads(path.read_text()), schema)
        assert Calibration.load(path).replace(provenance={}) == written.replace(provenance={})


HUGE = 10**400


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("center", [math.nan, 3.0], r"center is nan; expected a number from"),
        ("center", [True, 3.0], r"center is True; expected a number"),
        ("center", [1e300, 3.0], r"center is 1e\+300; expected a number from -"),
        ("center", [HUGE, 3.0], r"center is 10+; expected a number from"),
        ("center", "3, 4", "center is '3, 4'; expected a list of 2 numbers"),
        ("center_sd", [-0.1, 0.1], "center_sd is .*; an uncertainty is at least 0"),
        ("center_sd", [math.inf, 0.1], "center_sd is inf"),
        ("image_shape", [64.0, 48], "image_shape is .*; expected height and width"),
        ("image_shape", [0, 48], "image_shape is .*; expected height and width"),
        ("image_shape", [True, 48], "image_shape is .*; expected height and width"),
        ("image_shape", None, "image_shape is None; expected height and width"),
        ("plane_angle", True, "plane_angle is True; expected a number"),
        ("lag_ms", 1e300, "lag_ms is 1e"),
        ("residual_px", math.nan, "residual_px is nan"),
        ("wobble", [[1, 2, 3, 1e300]], r"wobble is 1e\+300"),
        ("trusted", "yes", "trusted is 'yes'; expected true or false"),
        ("method", 3, "method is 3; expected a text"),
        ("provenance", [], r"provenance is \[\]; expected an object"),
        ("image", 7, "image is 7; expected a path"),
    ],
)
def test_values_that_no_calibration_has(tmp_path, key, value, message):
    path = tmp_path / "calibration.json"
    Calibration(center=(30.0, 20.0), image_shape=(64, 48), method="fixed").save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, key: value}))
    with pytest.raises(InputError, match=message):
        Calibration.load(path)
