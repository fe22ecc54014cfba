"""What is said of the sheet's mosaic groups before anything runs."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.cohort.cohort import load_cohort
from derotation.cohort.groups import mosaic_groups
from derotation.errors import ConfigError

COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "mosaic", "stage_x_um",
           "stage_y_um")  # fmt: skip
METADATA = (
    "SI.VERSION_MAJOR = 2023\nSI.hRoiManager.pixelsPerLine = 8\n"
    "SI.hRoiManager.imagingFovUm = [{low} 0;{high} 0;{high} 9;{low} 9]\n"
    "SI.hMotors.samplePosition = [10 20 30]\n"
)


@pytest.fixture(autouse=True)
def raw_files(tmp_path, monkeypatch):
    """Work in a folder with movies that say where the stage was, or do not."""
    monkeypatch.chdir(tmp_path)
    movie = np.zeros((2, 8, 8), np.int16)
    for name, high in (("known", 8), ("other", 12)):
        software = METADATA.format(low=-8, high=high)
        tifffile.imwrite(f"{name}.tif", movie, software=software, photometric="minisblack",
                         metadata=None)  # fmt: skip
    tifffile.imwrite("plain.tif", movie, photometric="minisblack")
    for name in ("s.npy", "t.csv"):
        Path(name).write_text("x")


def load(*rows, pixel_size=None, simulate=None):
    lines = [COLUMNS] + [
        (name, "full", movie, "s.npy", "t.csv", *place) for name, movie, *place in rows
    ]
    Path("sheet.tsv").write_text("\n".join("\t".join(line) for line in lines) + "\n")
    config = {
        "sessions": "sheet.tsv", "signals": {"sampling_rate": 1000},
        "mosaic": {"pixel_size_um": pixel_size}, "simulate": simulate or {},
    }  # fmt: skip
    return load_cohort(
        config,
    )


def complaints(*rows, **options):
    with pytest.raises(ConfigError) as error:
        load(*rows, **options)
    return str(error.value).splitlines()


def test_groups_in_the_order_of_the_sheet():
    cohort = load(
        ("a", "known.tif", "w", "", ""), ("b", "plain.tif", "", "", ""),
        ("c", "known.tif", "w", "5", "6"),
    )  # fmt: skip
    groups = mosaic_groups(cohort.sheet)
    assert {name: [s.name for s in members] for name, members in groups.items()} == {
        "w": ["a", "c"]
    }


def test_a_group_of_one():
    (line,) = complaints(("a", "known.tif", "w", "1", "2"))
    assert line.startswith('sheet.tsv, row 2 (session a), column mosaic: the group "w" holds only')


def test_positions_have_to_be_known():
    lines = complaints(
        ("a", "known.tif", "w", "1", ""),
        ("b", "plain.tif", "w", "", ""),
        ("c", "known.tif", "w", "", ""),
        pixel_size=2,
    )
    assert len(lines) == 2
    assert lines[0].startswith("sheet.tsv, row 2 (session a), column stage_y_um: the cell is empty")
    assert lines[1].startswith("sheet.tsv, row 3 (session b), column stage_x_um: the cells")
    assert "metadata hold no position" in lines[1]


def test_pixels_have_to_be_of_one_known_size():
    rows = (("a", "known.tif", "w", "1", "2"), ("b", "other.tif", "w", "3", "4"))
    (line,) = complaints(*rows)
    assert "row 3 (session b)" in line
    assert "its pixels measure 2.5 um, those of a (row 2) 2 um" in line
    (line,) = complaints(rows[0], ("c", "plain.tif", "w", "3", "4"))
    assert "row 3 (session c)" in line
    assert "give it as mosaic.pixel_size_um" in line
    load(*rows, ("c", "plain.tif", "w", "3", "4"), pixel_size=2)


def test_a_simulated_session_has_no_metadata():
    rows = (("a", "known.tif", "w", "1", "2"), ("b", "data/b/movie.tif", "w", "", ""))
    with pytest.raises(ConfigError, match="session b"):
        load(*rows, simulate={"b": {}})


def test_a_session_that_is_aligned_lies_where_its_reference_does(monkeypatch):
    monkeypatch.setitem(globals(), "COLUMNS", (*COLUMNS, "reference"))
    rows = [("a", "known.tif", "w", "1", "2", ""), ("b", "known.tif", "w", "1", "3", "a")]
    (line,) = complaints(*rows)
    assert "row 3 (session b), column reference: the session is aligned to a (row 2)" in line
    load(rows[0], ("b", "known.tif", "w", "1", "2", "a"))


def test_names_of_groups():
    (line,) = complaints(("a", "known.tif", "a/b", "1", "2"))
    assert "column mosaic: found the text" in line
    lines = complaints(
        *[(n, "known.tif", g, "1", "2") for n, g in zip("abcd", "wwWW", strict=True)]
    )
    assert len(lines) == 1
    assert 'differs only in case from "w"' in lines[0]


def test_axes_of_the_stage_that_point_the_same_way():
    from derotation.cohort.config import check_config

    config = {"signals": {"sampling_rate": 1000}, "mosaic": {"x_axis": "up"}}
    (line,) = check_config(config)[1]
    assert "mosaic.y_axis: found down, but mosaic.x_axis is up" in line
