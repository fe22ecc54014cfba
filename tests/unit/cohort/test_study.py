"""The folder that somebody begins a study with."""

import os
import re
from pathlib import Path

import pytest
import yaml

from derotation.cohort.config import load_config
from derotation.cohort.sample_sheet import check_sample_sheet
from derotation.cohort.study import FIRST_KEYS, config_text, write_study
from derotation.errors import ConfigError
from derotation.settings.schema import canonical, config_schema


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "my study"
    write_study(folder)
    return folder


def value_of(config, name):
    for part in name.split("."):
        config = config[part]
    return config


def test_defaults_are_written_out_and_change_nothing(study, tmp_path):
    least = tmp_path / "least.yaml"
    least.write_text("signals: {sampling_rate: null}\n")
    assert load_config(study / "config/config.yaml") == load_config(least)


def test_only_the_keys_that_people_set_first_stand_there(study):
    def names(section, prefix=""):
        for name, value in section.items():
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}"

    written = yaml.safe_load((study / "config/config.yaml").read_text())
    assert tuple(names(written)) == FIRST_KEYS


def test_every_key_has_a_comment_right_above_it():
    lines = config_text().splitlines()
    for name in FIRST_KEYS:
        key = name.split(".")[-1]
        (at,) = [i for i, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
        assert lines[at - 1].lstrip().startswith("# "), name
    assert max(map(len, lines[1:])) <= 100


def test_an_editor_finds_the_schema(study):
    first = (study / "config/config.yaml").read_text().splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=file://(\S+)", first)
    assert match
    found = yaml.safe_load(Path(match[1]).read_text())
    assert found["properties"] == config_schema()["properties"]


KNOWN: dict[str, dict] = {
    "signals": {
        "sampling_rate": 20000,
        "channel_order": ["line_clock", "camera: 2", "frame_clock", "rotation_on", "ticks #1"],
        "channel_names": {"rotation_ticks": "ticks #1"},
        "rotation_increment": 0.1,
    },
    "angles": {"quadrature": {"counts_per_turn": 4000}},
    "rigs": {"old": {"signals": {"sampling_rate": 5000.5}}},
}


def test_known_keys_replace_the_defaults(tmp_path):
    write_study(tmp_path, KNOWN)
    config = load_config(tmp_path / "config/config.yaml")
    signals = config["signals"]
    for name, value in KNOWN["signals"].items():
        if name == "channel_names":
            assert signals[name]["rotation_ticks"] == "ticks #1"
        else:
            assert signals[name] == value
    assert signals["degrees_per_rotation"] == 360
    assert config["angles"]["quadrature"]["counts_per_turn"] == 4000
    assert config["rigs"]["old"] == canonical(KNOWN["rigs"]["old"])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"signals": {"sampling_rte": 1}}, "sampling_rte"),
        ({"signals": {"sampling_rate": -1}}, "found -1"),
        ({"signals": 3}, "signals: found 3"),
        ({"sgnals": {}}, "sgnals"),
        ({"signals": {"channel_names": {"tick": "a"}}}, "tick"),
    ],
)
def test_keys_that_are_wrong_are_refused_before_anything_is_written(tmp_path, keys, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        write_study(tmp_path / "new", keys)
    assert not (tmp_path / "new").exists()


def test_the_sheet_has_all_columns_and_takes_rows(study):
    sheet = study / "config/sessions.tsv"
    text = sheet.read_text()
    cells = {"session": "a", "protocol": "full", "movie": "a.tif", "signals": "a.npy"}
    row = "\t".join(cells.get(column, "") for column in text.strip().split("\t"))
    sheet.write_text(f"{text}{row}\n")
    read, errors = check_sample_sheet(sheet, check_files=False)
    assert not errors
    assert read.names == ["a"]


@pytest.mark.parametrize(
    "there", ["Snakefile", "config/config.yaml", "config/sessions.tsv", ".gitignore", "slurm"]
)
def test_nothing_is_overwritten(tmp_path, there):
    file = tmp_path / there
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"{re.escape(there)}.*nothing was written"):
        write_study(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert file.read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path):
    (tmp_path / "Snakefile").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="nothing was written"):
        write_study(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_other_files_may_be_there(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    written = write_study(tmp_path)
    assert (tmp_path / "slurm/config.yaml").is_file()
    assert all(os.path.lexists(file) for file in written)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_study(tmp_path / "file" / "study")
