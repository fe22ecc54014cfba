"""Rigs: what holds for a session, where it stands, and what does not fit together."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.cohort.check import check_cohort, format_table
from derotation.cohort.cohort import load_cohort
from derotation.cohort.config import check_config, load_config, section, validate_config
from derotation.cohort.rigs import rig_config, session_config
from derotation.errors import ConfigError
from derotation.settings.schema import config_schema
from derotation.settings.yaml_files import merge_files

SECTIONS = ("signals", "scan", "angles", "movie")
COLUMNS = ("session", "protocol", "movie", "signals", "angles", "rig")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, name="config/config.yaml"):
    Path(name).parent.mkdir(exist_ok=True, parents=True)
    Path(name).write_text(text)
    return Path(name)


def sheet(*rows):
    lines = ["\t".join(COLUMNS)]
    for number, row in enumerate(rows):
        cells = {"session": f"s{number}", "protocol": "free", "movie": "m.tif", "signals": "s.npy"}
        cells |= row
        lines.append("\t".join(cells.get(column, "") for column in COLUMNS))
    Path("sheet.tsv").write_text("\n".join(lines) + "\n")


def load(text, *rows, check_files=False):
    file = write("sessions: sheet.tsv\n" + text)
    sheet(*rows)
    return load_cohort(merge_files([file]), files=[file], check_files=check_files)


def errors_of(text, *rows):
    with pytest.raises(ConfigError) as caught:
        load(text, *rows)
    return str(caught.value).splitlines()


def test_a_rig_overrides_key_by_key_and_only_for_its_sessions():
    cohort = load(
        "signals: {sampling_rate: 1000, max_off_glitch_ms: 5, thresholds: {line_clock: 1}}\n"
        "rigs:\n"
        "  two:\n"
        "    signals: {sampling_rate: 2000, thresholds: {frame_clock: 2}}\n"
        "    movie: {channel: 2}\n"
        "  unused: {scan: {lines_per_frame: 7}}\n",
        {}, {"rig": "two"},
    )  # fmt: skip
    first, second = (session_config(cohort.config, session) for session in cohort.sheet)
    assert first == cohort.config
    assert first["signals"]["sampling_rate"] == 1000
    assert second["signals"]["sampling_rate"] == 2000
    assert second["signals"]["max_off_glitch_ms"] == 5
    assert second["signals"]["thresholds"]["line_clock"] == 1
    assert second["signals"]["thresholds"]["frame_clock"] == 2
    assert (first["movie"]["channel"], second["movie"]["channel"]) == (None, 2)
    assert second["scan"] == first["scan"]
    # Read once more, nothing changes: a session's configuration is one of the cohort.
    again = session_config(second, cohort.sheet["s1"])
    assert again == second


def test_null_in_a_rig_overrides_and_a_section_without_keys_does_not():
    config = validate_config(
        {"signals": {"sampling_rate": 1}, "scan": {"lines_per_frame": 9}}
        | {"rigs": {"a": {"scan": {"lines_per_frame": None}}, "b": {"scan": None}, "c": None}}
    )
    assert rig_config(config, "a")["scan"]["lines_per_frame"] is None
    assert rig_config(config, "b") == rig_config(config, "c") == config


# Values that are allowed, by their keys.
VALUES = {
    "signals": {"sampling_rate": st.integers(1, 9) | st.floats(1, 9), "invert": st.just([])},
    "scan": {"lines_per_frame": st.none() | st.integers(1, 9), "line_duty": st.floats(0.1, 1)},
    "angles": {"lag_ms": st.floats(-5, 5), "voltage": st.fixed_dictionaries(
        {}, optional={"degrees_per_volt": st.integers(1, 90), "offset": st.floats(-1, 1)})},
    "movie": {"channel": st.none() | st.integers(1, 4)},
}  # fmt: skip
WIRING = st.fixed_dictionaries(
    {}, optional={name: st.fixed_dictionaries({}, optional=keys) for name, keys in VALUES.items()}
)


@settings(max_examples=40)
@given(WIRING, WIRING)
def test_a_rig_is_what_a_cohort_of_it_alone_would_be(base, rig):
    base.setdefault("signals", {}).setdefault("sampling_rate", 3)
    alone = copy.deepcopy(base)
    for name, keys in rig.items():
        mine = alone.setdefault(name, {})
        voltage = mine.get("voltage", {}) | keys.get("voltage", {})
        mine.update(keys)
        if voltage:
            mine["voltage"] = voltage
    found = rig_config(validate_config(base | {"rigs": {"x": rig}}), "x")
    expected = validate_config(alone)
    # Also in the order of keys, by which Snakemake compares.
    assert json.dumps(section(found, *SECTIONS)) == json.dumps(section(expected, *SECTIONS))


def test_a_file_of_its_own_is_found_beside_the_configuration():
    file = write("signals: {sampling_rate: 1}\nrigs: {two: rigs/two.yaml}\n", "lab/config.yaml")
    write("scan: {lines_per_frame: 8}\n", "lab/rigs/two.yaml")
    write("rigs: {three: three.yaml}\n", "mine/config.yaml")
    write("scan: {lines_per_frame: 9}\n", "mine/three.yaml")
    config = load_config([file, Path("mine/config.yaml")])
    assert config["rigs"] == {
        "three": {"scan": {"lines_per_frame": 9}}, "two": {"scan": {"lines_per_frame": 8}}
    }  # fmt: skip
    # Given on the command line or in a notebook, it is relative to the working directory.
    given = {"signals": {"sampling_rate": 1}, "rigs": {"two": "lab/rigs/two.yaml"}}
    assert validate_config(given)["rigs"] == {"two": {"scan": {"lines_per_frame": 8}}}
    absolute = {**given, "rigs": {"two": str(Path("lab/rigs/two.yaml").resolve())}}
    assert validate_config(absolute) == validate_config(given)
    # What a run has recorded holds the rig itself, and can be used as a configuration.
    assert validate_config(config) == config


def test_mistakes_in_a_rig_are_told_with_file_line_and_key():
    file = write(
        "signals: {sampling_rate: 1}\n"
        "rigs:\n"
        "  one:\n"
        "    signals:\n"
        "      sampling_rat: 5\n"
        "    scann: {}\n"
        "  two: two.yaml\n"
        "  three: two.yaml\n"
        "  gone: none.yaml\n"
        "  4: {}\n"
        "  five: 5\n"
    )
    write("# shared\nangles:\n  source: voltages\ncenter: {seed: 1}\n", "config/two.yaml")
    errors = check_config(merge_files([file]), files=[file])[1]
    where = [
        f"{file}, line 5: rigs.one.signals.sampling_rat: ",
        f"{file}, line 6: rigs.one.scann: ",
        "config/two.yaml, line 3: angles.source: ",
        "config/two.yaml, line 4: center: ",
        f"{file}, line 9: rigs.gone: ",
        f"{file}, line 10: rigs[4]: ",
        f"{file}, line 11: rigs.five: ",
    ]
    said = {place: [error for error in errors if error.startswith(place)] for place in where}
    assert {place: len(found) for place, found in said.items()} == dict.fromkeys(where, 1)
    assert len(errors) == len(where)
    assert 'did you mean "sampling_rate"?' in said[where[0]][0]
    assert 'did you mean "scan"?' in said[where[1]][0]
    assert 'Did you mean "voltage"?' in said[where[2]][0]
    assert "Allowed: signals, scan, angles, movie, export." in said[where[3]][0]
    assert 'there is no file "config/none.yaml"' in said[where[4]][0]
    assert "quotation marks" in said[where[5]][0]
    assert "a section with signals, scan, angles, movie or export, or the path" in said[where[6]][0]


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1\n", "no valid YAML"), ("- 1\n", "expected keys with values")]
)
def test_a_file_that_is_no_yaml_is_named(text, message):
    write(text, "rig.yaml")
    (error,) = check_config({"signals": {"sampling_rate": 1}, "rigs": {"x": "rig.yaml"}})[1]
    assert error.startswith("rig.yaml: ")
    assert message in error


def test_a_path_that_no_file_can_have_is_said_to_be_none():
    (error,) = check_config({"signals": {"sampling_rate": 1}, "rigs": {"x": "long" * 2000}})[1]
    assert error.startswith("configuration: rigs.x: found the text")


def test_a_row_that_names_an_unknown_rig():
    text = "signals: {sampling_rate: 1}\nrigs: {prairie2: {}, stepper: {}}\n"
    near, far = errors_of(text, {"rig": "praire2"}, {"rig": "stepper"}, {"rig": "x"})
    assert near == (
        'sheet.tsv, row 2 (session s0), column rig: found "praire2", which is no rig of the '
        'configuration; did you mean "prairie2"?'
    )
    assert far.startswith('sheet.tsv, row 4 (session s2), column rig: found "x"')
    assert far.endswith("prairie2, stepper.")
    (none,) = errors_of("signals: {sampling_rate: 1}\n", {"rig": "x"})
    assert "its section rigs is empty" in none
    config = validate_config({"signals": {"sampling_rate": 1}})
    with pytest.raises(ConfigError, match="no rig of the configuration"):
        rig_config(config, "x")


def test_the_sampling_rate_may_be_the_rigs_alone():
    text = "rigs:\n  one: {signals: {sampling_rate: 5}}\n  two:\n    scan: {}\n"
    cohort = load(text, {"rig": "one"})
    assert session_config(cohort.config, cohort.sheet["s0"])["signals"]["sampling_rate"] == 5
    (error,) = errors_of(text, {"rig": "one"}, {"rig": "two"})
    assert "signals.sampling_rate: is missing" in error
    assert "rig two" in error
    (error,) = errors_of(text, {"rig": "one"}, {})
    assert "config.yaml: signals.sampling_rate: is missing" in error.replace("config/", "")
    # Without rigs, it is missing whatever the sheet says.
    assert "signals.sampling_rate: is missing" in check_config({})[1][0]


ORDER = "signals: {sampling_rate: 1, channel_order: [scan, frame_clock, a, b]%s}\n"


def test_names_of_channels_have_to_agree_with_the_order_of_files_without_names():
    order = "[scan, frame_clock, rotation_on, rotation_ticks]"
    ticks = "signals: {sampling_rate: 1, channel_order: " + order
    (error,) = errors_of(ticks + "}\n", {})
    assert 'signals.channel_names.line_clock: found "line_clock"' in error
    assert "scan, frame_clock" in error
    load(ticks + ", channel_names: {line_clock: scan}}\n", {})
    load(ticks + ", channel_names: {line_clock: 1}}\n", {})
    (error,) = errors_of(ticks + ", channel_names: {line_clock: 5}}\n", {})
    assert "found 5, but signals.channel_order has 4" in error
    for same in ("frame_clock", 2):
        (error,) = errors_of(ticks + f", channel_names: {{line_clock: {same}}}}}\n", {})
        assert "two roles have the same channel" in error


@pytest.mark.parametrize("suffix", ["h5", "tdms", "mat", "csv"])
def test_files_may_name_their_channels_themselves(suffix):
    text = "signals: {sampling_rate: 1, channel_names: {rotation_ticks: Encoder}}\n"
    load(text, {"signals": f"s.{suffix}"})
    assert "which is not in signals.channel_order" in errors_of(text, {})[0]
    doubled = "signals: {sampling_rate: 1, channel_names: {rotation_ticks: X, rotation_on: X}}\n"
    (error,) = errors_of(doubled, {"signals": f"s.{suffix}"})
    assert "two roles have the same channel" in error


def test_what_does_not_fit_is_told_where_it_stands():
    rigs = "rigs:\n  enc:\n    angles: {source: quadrature}\n    signals:\n      channel_names:\n"
    (error,) = errors_of(
        ORDER % ", channel_names: {quadrature_a: a, quadrature_b: b, line_clock: scan}"
        + rigs + "        quadrature_a: frame_clock\n",
        {"rig": "enc"},
    )  # fmt: skip
    assert error.startswith("config/config.yaml, line 7: rigs.enc.signals.channel_names: two roles")
    # The cohort's own names do not fit the rig's source of the angle.
    errors = errors_of(
        ORDER % ", channel_names: {line_clock: scan}"
        + "rigs: {enc: {angles: {source: quadrature}}}\n",
        {"rig": "enc"},
    )
    assert len(errors) == 2
    assert all("for sessions of the rig enc" in error for error in errors)
    assert errors[0].startswith("config/config.yaml, line 2: signals.channel_names.quadrature_a:")


def test_a_rig_that_no_row_uses_is_fine_even_if_it_would_not_do():
    text = "rigs: {enc: {angles: {source: quadrature}, signals: {channel_order: [x]}}}\n"
    load("signals: {sampling_rate: 1}\n" + text, {})
    assert errors_of("signals: {sampling_rate: 1}\n" + text, {"rig": "enc"})


def test_cells_that_the_source_of_the_angle_needs():
    text = "signals: {sampling_rate: 1}\nrigs: {t: {angles: {source: table}}}\n"
    load(text, {"rig": "t", "angles": "a.csv", "signals": ""}, {})
    (error,) = errors_of(text, {"rig": "t"})
    assert error.startswith("sheet.tsv, row 2 (session s0), column angles: the cell is empty, but")
    (error,) = errors_of(text, {"signals": "", "angles": "a.csv"})
    assert error.startswith("sheet.tsv, row 2 (session s0), column signals: the cell is empty, but")
    (error,) = errors_of(text.replace("rate: 1", "rate: null"), {"rig": "t", "angles": "a.csv"})
    assert "signals.sampling_rate: " in error
    assert "s0 has analog signals" in error


def test_the_movie_alone_needs_no_cell():
    text = "signals: {sampling_rate: null}\nrigs: {m: {angles: {source: movie}}}\n"
    load(text, {"rig": "m", "signals": ""})
    (error,) = errors_of(text, {"signals": ""})
    assert "column signals: the cell is empty, but angles.source is ticks" in error


def test_the_check_reads_each_session_as_its_rig_records_it():
    # Two files of equal shape: one rig samples at twice the rate, the other names channels anew.
    tifffile.imwrite("m.tif", np.zeros((5, 8, 8), np.uint16))
    np.save("s.npy", np.zeros((4, 1000)))
    text = (
        "signals: {sampling_rate: 1000}\n"
        "rigs:\n"
        "  fast: {signals: {sampling_rate: 2000}}\n"
        "  five:\n"
        "    signals:\n"
        "      channel_order: [line_clock, frame_clock, rotation_on, x, rotation_ticks]\n"
    )
    found = check_cohort(load(text, {}, {"rig": "fast"}, {"rig": "five"}, check_files=True))
    assert [one.signals_s for one in found.sessions] == [1.0, 0.5, None]
    assert [one.rig for one in found.sessions] == [None, "fast", "five"]
    (problem,) = found.all_problems
    assert problem.startswith("s2: ")
    assert "signals.channel_order" in problem
    head, _, *rows = format_table(found).splitlines()
    place = head.index("rig")
    assert [row[place:].split()[0] for row in rows[1:3]] == ["fast", "five"]
    plain = check_cohort(load(text, {}, check_files=True))
    assert " rig " not in format_table(plain).splitlines()[0]


def test_the_keys_of_a_rig_are_those_of_the_sections():
    root = config_schema()
    rig = root["$defs"]["rig"]["properties"]
    assert tuple(rig) == (*SECTIONS, "export")
    assert list(rig["export"]["properties"]) == ["functional_channel"]
    for name in SECTIONS:
        assert set(rig[name]["properties"]) == set(root["properties"][name]["properties"])
