"""Which calibration holds for a session."""

import pytest

from derotation.cohort.calibrations import (
    calibration_in_use,
    given_calibration,
    is_carried_over,
)

NAMES = ["a", "b"]
SAMPLE, SCANNER = ({"movement": {"what": what}} for what in ("sample", "scanner"))


@pytest.mark.parametrize(
    ("given", "config", "expected"),
    [
        (None, SAMPLE, "out/a/calibration.json"),
        ("", SCANNER, "out/a/calibration.json"),
        ("b", SAMPLE, "out/b/calibration.json"),
        ("b", SCANNER, "out/a/calibration.json"),
        ("known/rig.json", SAMPLE, "known/rig.json"),
        ("known/rig.json", SCANNER, "out/a/calibration.json"),
    ],
)
def test_the_calibration_in_use(given, config, expected):
    assert calibration_in_use("a", given, NAMES, config, results="out") == expected
    assert is_carried_over(given, config) == (bool(given) and config is SCANNER)


def test_what_is_carried_over_is_what_the_row_names():
    assert given_calibration("a", "b", NAMES, results="out") == "out/b/calibration.json"
    assert given_calibration("a", "x.json", NAMES, results="out") == "x.json"
