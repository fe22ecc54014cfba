"""Settings of a section completed by the schema's defaults."""

from pathlib import Path

import numpy as np
import pytest

from derotation.errors import ConfigError
from derotation.settings.defaults import complete, section
from derotation.settings.schema import config_schema


@pytest.mark.parametrize("name", [n for n in config_schema()["properties"] if n != "sessions"])
def test_defaults_are_allowed_and_complete(name):
    assert complete(name, section(name)) == section(name)
    keys = set(config_schema()["properties"][name].get("properties", ()))
    assert keys - set(section(name)) == ({"sampling_rate"} if name == "signals" else set())


def test_given_values_stand_over_defaults():
    center = complete("center", {"fixed": np.array([1.5, 2.0]), "n_frames": np.int64(20)})
    assert center == section("center") | {"fixed": [1.5, 2.0], "n_frames": 20}
    limits = complete("export.bad_frames", {"max_speed": 90})
    assert limits == {"min_coverage": 0.5, "max_speed": 90, "segments": True}
    thresholds = complete("signals", {"thresholds": {"rotation_on": 2}})["thresholds"]
    assert thresholds == dict.fromkeys(thresholds) | {"rotation_on": 2}
    assert complete("movement", {"points": Path("p")})["points"] == "p"


def test_nothing_given_are_the_defaults():
    assert complete("plane") == complete("plane", {}) == section("plane")


def test_what_a_caller_changes_stays_with_the_caller():
    section("discover")["movie"].append("*.avi")
    complete("discover")["movie"].append("*.avi")
    assert "*.avi" not in section("discover")["movie"]


def test_all_mistakes_come_at_once_with_their_keys():
    with pytest.raises(ConfigError) as caught:
        complete("center", {"methd": "fixed", "n_frames": 2, "interpolation": "cubic"})
    lines = str(caught.value).splitlines()
    assert sorted(lines) == [
        "center.interpolation: there is no such key here; it belongs to the section derotate.",
        'center.methd: there is no such key; did you mean "method"?',
        "center.n_frames: found 2, allowed: a whole number of at least 8.",
    ]


@pytest.mark.parametrize("given", [3, "cubic", [1]])
def test_what_is_no_section_is_refused(given):
    with pytest.raises(ConfigError, match=r"derotate: found .* allowed: a section with keys"):
        complete("derotate", given)


def test_a_section_that_does_not_exist_is_a_mistake_of_the_caller():
    with pytest.raises(KeyError, match="centre"):
        section("centre")
