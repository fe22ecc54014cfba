"""The configuration's checks, against the schema that the workflow ships."""

import ast
from pathlib import Path

import numpy as np
import pytest

from derotation.cohort.config import check_config, load_config, section, validate_config
from derotation.errors import ConfigError
from derotation.settings.schema import config_schema
from unit.source_trees import trees

ROOT = Path(__file__).parents[3]
SMALLEST = {"signals": {"sampling_rate": 50000}}


def errors_of(config, **keywords):
    return check_config(config, **keywords)[1]


def test_defaults_are_filled_in_everywhere():
    config = validate_config(SMALLEST)
    assert config["sessions"] == "config/sessions.tsv"
    assert config["angles"]["line_reference"] == "middle"
    assert config["signals"]["channel_names"]["rotation_on"] == "rotation_on"
    assert config["signals"]["thresholds"]["line_clock"] is None
    assert config["simulate"] == {}


def test_an_empty_section_gets_its_defaults():
    assert validate_config(SMALLEST | {"angles": None}) == validate_config(SMALLEST)


def test_equal_settings_are_equal_values_in_equal_order():
    one = {"signals": {"sampling_rate": 50000.0}, "center": {"fixed": (3.0, 4.5), "seed": 1}}
    two = {"center": {"seed": 1.0, "fixed": [3, 4.5]}, "signals": {"sampling_rate": 50000}}
    assert repr(validate_config(one)) == repr(validate_config(two))


def test_values_of_a_notebook_are_taken():
    config = validate_config(
        {
            "sessions": Path("sheet.tsv"),
            "signals": {"sampling_rate": np.float64(2e4)},
            "center": {"fixed": np.array([1.5, 2.0])},
        },
    )
    assert config["sessions"] == "sheet.tsv"
    assert config["signals"]["sampling_rate"] == 20000
    assert config["center"]["fixed"] == [1.5, 2]


def test_truth_is_no_number():
    assert errors_of({"signals": {"sampling_rate": True}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sesions": "a"}, 'sesions: there is no such key; did you mean "sessions"?'),
        ({"angles": {"line_referense": "end"}}, 'did you mean "line_reference"?'),
        ({"angles": {"interpolation": "cubic"}}, "it belongs to the section derotate"),
        ({"angles": {"zzz": 1}}, "no such key. Allowed: source, direction, "),
        ({"angles": {"line_reference": "midle"}}, "start, middle or end. Did you mean "),
        ({"angles": {"direction_sign": 2}}, "found 2, allowed: 1 or -1."),
        ({"center": {"n_frames": 3}}, "found 3, allowed: a whole number of at least 8."),
        ({"center": {"n_frames": 20.5}}, "found 20.5"),
        ({"center": {"n_frames": "many"}}, 'found the text "many"'),
        ({"center": {"fixed": [1]}}, "found [1], allowed: a list of 2 numbers, or null."),
        ({"center": {"fixed": [1, "a"]}}, "center.fixed[1]: found the text"),
        ({"center": {"method": "fixed"}}, "center.fixed: found null (nothing), but"),
        ({"derotate": {"blank": "1e3"}}, "powers of ten as in 1.0e+3"),
        ({"derotate": {"blank": float("nan")}}, "found nan, allowed: a finite number"),
        ({"scan": {"line_duty": 1.2}}, "a number above 0 and at most 1, or null"),
        ({"scan": 3}, "scan: found 3, allowed: a section with keys of its own"),
        ({"signals": {}}, "signals.sampling_rate: is missing; it has no default."),
        ({"signals": {True: 1, "sampling_rate": 1}}, "quote the key"),
    ],
)
def test_each_mistake_is_explained(change, message):
    found = errors_of(SMALLEST | change)
    assert len(found) == 1
    assert message in found[0]


def test_all_mistakes_come_at_once_with_their_files(tmp_path):
    lab, mine = tmp_path / "lab.yaml", tmp_path / "mine.yaml"
    lab.write_text("signals: {sampling_rate: fast}\ncenter: {seed: -1}\n")
    mine.write_text("center: {seed: -2}\nderotate: {dtipe: uint8}\n")
    with pytest.raises(ConfigError) as caught:
        load_config([lab, mine])
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{mine}, line 1: center.seed: found -2")
    assert lines[1].startswith(f"{mine}, line 2: derotate.dtipe:")
    assert lines[2].startswith(f"{lab}, line 1: signals.sampling_rate:")


def test_a_value_from_no_file_is_said_to_come_from_the_command_line(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("signals: {sampling_rate: 1}\n")
    (error,) = errors_of({"signals": {"sampling_rate": 1}, "centre": {}}, files=[file])
    assert error.startswith("command line (--config): centre:")


def test_later_files_override_earlier_ones_key_by_key(tmp_path):
    (tmp_path / "a.yaml").write_text("signals: {sampling_rate: 1, max_off_glitch_ms: 5}\n")
    (tmp_path / "b.yaml").write_text("signals: {sampling_rate: 2}\n")
    config = load_config([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert config["signals"]["sampling_rate"] == 2
    assert config["signals"]["max_off_glitch_ms"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r'line 3: the key "a" stands there twice \(first in line 1\)'),
        ("a: [1\n", "no valid YAML: line"),
        ("- a\n", "expected keys with values"),
        ("\xe4".encode("latin-1"), "no UTF-8"),
    ],
)
def test_unreadable_files_are_explained(tmp_path, text, message):
    file = tmp_path / "config.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        load_config(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        load_config(tmp_path / "nothing.yaml")


def test_sections_hold_what_was_asked_for_and_no_more():
    config = validate_config(SMALLEST)
    chosen = section(config, "scan.lines_per_frame", "angles")
    assert chosen == {"angles": config["angles"], "scan": {"lines_per_frame": None}}
    assert list(chosen) == ["angles", "scan"]


def leaves(schema, root, path=()):
    """Walk all keys of the schema that hold a value."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    for key, inner in schema.get("properties", {}).items():
        yield from leaves(inner, root, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], root, (*path, "*"))
    if "properties" not in schema and not isinstance(schema.get("additionalProperties"), dict):
        yield path, schema


def objects(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)


def test_every_key_is_described_and_unknown_ones_are_refused():
    root = config_schema()
    for path, schema in leaves(root, root):
        assert schema.get("description"), path
        # The simulator itself has the defaults of its parameters.
        # What a rig leaves out is the cohort's.
        others = path[0] in ("simulate", "rigs")
        assert "default" in schema or others or path[-1] == "sampling_rate", path
    for schema in objects(root):
        assert "additionalProperties" in schema
        assert schema["additionalProperties"] is False or "$ref" in schema["additionalProperties"]


def words_in_code():
    """All names and texts that stand in the library and in the workflow's Python."""
    words = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.arg | ast.keyword):
                words.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                words.add(node.target.id)
    return words


def test_every_key_is_read_by_some_code():
    root = config_schema()
    # Snakemake itself reads pathvars.
    unread = {path for path, _ in leaves(root, root) if path[0] != "pathvars"}
    words = words_in_code()
    assert sorted(path for path in unread if path[-1] not in words) == []
