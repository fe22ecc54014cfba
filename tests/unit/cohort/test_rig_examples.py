"""The examples of rigs in config/rigs: valid, documented, and of use as they stand."""

from pathlib import Path

import pytest

from derotation.cohort.cohort import load_cohort
from derotation.cohort.config import validate_config
from derotation.cohort.rigs import session_config
from derotation.errors import ConfigError
from derotation.settings.yaml_files import key_lines, merge_files, read_yaml

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "config/rigs").glob("*.yaml"))
COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "angles", "rig")


def test_there_is_one_for_each_source_of_the_angle():
    sources = {read_yaml(example)["angles"]["source"] for example in EXAMPLES}
    assert sources == {"ticks", "quadrature", "voltage", "table"}


def row_of(example):
    """Give the row of the sample sheet that the example's own comment shows."""
    lines = example.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("# In the sample sheet:"))
    header = lines[at].split(":", 1)[1].split()
    return dict(zip(header, lines[at + 1].removeprefix("#").split(), strict=True))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_does_for_the_row_that_it_shows(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"session": "s"} | row_of(example)
    sheet = ["\t".join(COLUMNS), "\t".join(row.get(column, "") for column in COLUMNS)]
    Path("sheet.tsv").write_text("\n".join(sheet) + "\n")
    config = Path("config.yaml")
    config.write_text(f"sessions: sheet.tsv\nrigs: {{{row['rig']}: {example}}}\n")
    cohort = load_cohort(merge_files([config]), files=[config], check_files=False)
    own = session_config(cohort.config, cohort.sheet["s"])
    given = read_yaml(example)
    assert own["angles"]["source"] == given["angles"]["source"]
    assert own["signals"]["sampling_rate"] == given["signals"]["sampling_rate"]
    # The comment also says how the configuration names it.
    assert f"rigs: {{{row['rig']}: rigs/{example.name}}}" in example.read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_explained_and_listed(example):
    readme = (ROOT / "config/README.md").read_text()
    assert f"`{example.name}`" in readme
    lines = example.read_text().splitlines()
    given = key_lines(example)
    content = read_yaml(example)
    for path, line in given.items():
        value = content
        for key in path:
            value = value[key]
        # Items of lists are explained by their key, names of channels by their section.
        if isinstance(value, dict) or isinstance(path[-1], int) or "channel_names" in path:
            continue
        above = [text.strip() for text in lines[max(line - 3, 0) : line - 1]]
        assert any(text.startswith("#") for text in above) or path == ("angles", "source"), path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_mistake_in_an_example_is_found_in_its_line(example, tmp_path):
    copied = tmp_path / "rig.yaml"
    copied.write_text(example.read_text().replace("sampling_rate:", "sampling_rte:"))
    line = key_lines(copied)["signals", "sampling_rte"]
    with pytest.raises(ConfigError) as caught:
        validate_config({"rigs": {"x": str(copied)}})
    assert str(caught.value).startswith(f"{copied}, line {line}: signals.sampling_rte: ")
    assert 'did you mean "sampling_rate"?' in str(caught.value)
