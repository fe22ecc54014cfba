"""The schema as a value: sections of plug-ins, and what may be looked up in it."""

import copy

import pytest

from derotation.cohort.config import check_config
from derotation.errors import ConfigError
from derotation.settings.defaults import complete, section
from derotation.settings.schema import allowed, config_schema, section_schema, with_section

DRIFT = {
    "properties": {
        "correct": {"type": "string", "enum": ["auto", "never"], "default": "auto"},
        "knots": {"type": "integer", "minimum": 2, "default": 6},
    }
}


def test_a_section_from_outside_is_like_any_other():
    schema = with_section(config_schema(), "drift", DRIFT)
    assert section("drift", schema=schema) == {"correct": "auto", "knots": 6}
    assert complete("drift", {"knots": 3}, schema=schema) == {"correct": "auto", "knots": 3}
    with pytest.raises(ConfigError, match=r'drift\.knot: .* did you mean "knots"\?'):
        complete("drift", {"knot": 3}, schema=schema)
    config = {"signals": {"sampling_rate": 1}}
    assert check_config(config, schema)[0]["drift"] == {"correct": "auto", "knots": 6}
    (error,) = check_config(config | {"drift": {"knots": 1}}, schema)[1]
    assert "drift.knots: found 1, allowed: a whole number of at least 2." in error


def test_adding_a_section_changes_nothing_else():
    before = copy.deepcopy(config_schema())
    schema = with_section(config_schema(), "drift", DRIFT)
    assert config_schema() == before
    assert {**schema["properties"], "drift": None} == {**before["properties"], "drift": None}
    (error,) = check_config({"signals": {"sampling_rate": 1}, "drift": {}})[1]
    assert "there is no such key" in error


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ConfigError, match="plane: the configuration has a section"):
        with_section(config_schema(), "plane", DRIFT)


def test_looking_up():
    assert allowed("angles.line_reference") == ("start", "middle", "end")
    assert section_schema("export.bad_frames.min_coverage", config_schema())["default"] == 0.5
    with pytest.raises(KeyError):
        section_schema("export.bad_frame", config_schema())
