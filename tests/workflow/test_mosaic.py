"""Sessions of a mosaic group: when their mosaic is built, and when it is not."""

import csv

import pytest
import tifffile


@pytest.fixture
def window(finished):
    """The finished cohort, whose two sessions now belong to a group."""
    finished.columns = (*finished.columns, "mosaic", "stage_x_um", "stage_y_um")
    finished.rows = [(*row, "w", x, "0") for row, x in zip(finished.rows, ("0", "90"), strict=True)]
    finished.config["mosaic"] = {"pixel_size_um": 2}
    return finished


def test_only_what_concerns_a_mosaic_builds_it(window):
    assert window.planned() == {"build_mosaic": 1}
    result = window.run("results/mosaic/w.tif")
    assert result.returncode == 0, result.stdout
    folder = window.folder / "results" / "mosaic"
    assert {file.name for file in folder.iterdir()} == {
        "w.tif", "w_labels.tif", "w.json", "w_offsets.tsv", "w.png", "w_overlaps.png",
    }  # fmt: skip
    # The two sessions are of different samples: each is where the stage says, 45 px apart.
    with (folder / "w_offsets.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["session"] for row in rows] == ["a", "b"]
    assert [float(row["x_px"]) for row in rows] == [0, 45]
    assert {row["placed_by"] for row in rows} == {"stage"}
    assert tifffile.imread(folder / "w.tif").shape == (48, 64 + 45)
    assert (window.folder / "logs" / "mosaic" / "w.log").exists()
    assert (window.folder / "benchmarks" / "mosaic" / "w.tsv").exists()

    assert "build_mosaic" not in window.planned()
    changes = (
        {"mosaic": {"pixel_size_um": 1.5}},
        {"mosaic": {"pixel_size_um": 2, "min_coverage": 0.5}},
    )
    kept = dict(window.config)
    for change in changes:
        window.config = kept | change
        assert window.planned() == {"build_mosaic": 1}
    window.config = kept
    window.rows[1] = (*window.rows[1][:-2], "92", "0")
    assert window.planned() == {"build_mosaic": 1}


def test_a_changed_session_builds_its_group_anew(window):
    window.rows[0] = (*window.rows[0][:-3], "", "", "")
    window.rows[1] = (*window.rows[1][:-3], "", "", "")
    assert window.planned() == {}
    window.rows = [(*row[:-3], "w", x, "0") for row, x in zip(window.rows, "09", strict=True)]
    table = window.folder / "data" / "b" / "stimulus.csv"
    table.write_text(table.read_text().replace("100", "101"))
    planned = window.planned()
    assert planned["parse_signals"] == planned["derotate_movie"] == planned["build_mosaic"] == 1


def test_mistakes_of_a_group_come_before_anything_runs(window):
    window.config["mosaic"] = {}
    window.rows[1] = (*window.rows[1][:-1], "")
    result = window.run("--dry-run")
    assert result.returncode == 1
    assert "sessions.tsv, row 3 (session b), column stage_y_um: the cell is empty" in result.stdout
    assert "row 2 (session a), column mosaic: the size of a pixel is not known" in result.stdout
