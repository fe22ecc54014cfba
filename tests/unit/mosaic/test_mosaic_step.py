"""The step build_mosaic: its files, where positions come from, and what it says if they do not."""

import csv
import json
import logging

import numpy as np
import pytest
import tifffile

from derotation.errors import InputError
from derotation.io.tiff_writer import TiffStackWriter
from derotation.steps import build_mosaic
from unit.mosaic.scenes import SIDE, grid, rms_distance

CONFIG = {
    "mosaic": {
        "pixel_size_um": None, "x_axis": "right", "y_axis": "down", "search_um": None,
        "min_overlap": 0.07, "min_coverage": 0.1, "illumination": "auto",
    }
}  # fmt: skip


def save(path, image, pixel_size):
    with TiffStackWriter(path, (1, *image.shape), np.float32, pixel_size_um=pixel_size) as writer:
        writer.write(image.astype(np.float32))


def inputs(folder, cut, sizes=(2.0, 2.0, 2.0, 2.0)):
    """Write the images of four sessions; the arguments of the step."""
    sessions, means, coverages = [], [], []
    for k, size in enumerate(sizes):
        means.append(folder / f"mean_{k}.tif")
        coverages.append(folder / f"coverage_{k}.tif")
        save(means[-1], cut.tiles.images[k], size)
        save(coverages[-1], np.ones((SIDE, SIDE)), size)
        row, column = cut.ideal[k]
        sessions.append(
            {"name": f"s{k}", "stage_x_um": 2 * column, "stage_y_um": 2 * row,
             "movie": folder / f"movie_{k}.tif"}
        )  # fmt: skip
    outputs = {
        "image": "w.tif", "labels": "w_labels.tif", "summary": "w.json", "table": "w.tsv",
        "plot": "w.png", "overlaps_plot": "w_overlaps.png",
    }  # fmt: skip
    return {
        "group": "w", "sessions": sessions, "means": means, "coverages": coverages,
        "config": CONFIG, "outputs": build_mosaic.Outputs.of(
            **{name: folder / "out" / file for name, file in outputs.items()}
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def cut():
    return grid(2, 2, seed=1)


def test_the_files_of_a_mosaic(cut, tmp_path):
    arguments = inputs(tmp_path, cut)
    result = build_mosaic.run(**arguments)
    with tifffile.TiffFile(arguments["outputs"].image) as tif:
        assert tif.is_ome
        assert 'PhysicalSizeX="2.0"' in tif.ome_metadata
        image = tif.asarray()
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, result.mosaic.image)
    labels = tifffile.imread(arguments["outputs"].labels)
    assert labels.dtype == np.uint16
    assert labels.shape == image.shape
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    assert ((labels > 0) == np.isfinite(image)).all()

    with arguments["outputs"].table.open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["session"] for row in rows] == ["s0", "s1", "s2", "s3"]
    places = np.array([(float(row["y_px"]), float(row["x_px"])) for row in rows])
    assert rms_distance(places, cut.tiles.positions) < 0.2
    assert {row["placed_by"] for row in rows} == {"overlaps"}
    # The label is where the table says, and a session's pixel has the mosaic's coordinates.
    for row, (y, x) in zip(rows, places, strict=True):
        middle = labels[round(y) + SIDE // 2, round(x) + SIDE // 2]
        assert middle == int(row["label"])

    summary = json.loads(arguments["outputs"].summary.read_text())
    assert summary["kind"] == "derotation mosaic"
    assert summary["pixel_size_um"] == 2
    assert summary["shape"] == list(image.shape)
    assert summary["stage"]["theta_deg"] == pytest.approx(1.5, abs=0.2)
    assert summary["stage"]["determined"] == "angles and scales"
    assert len(summary["overlaps"]) == 4
    assert all(overlap["used"] for overlap in summary["overlaps"])
    for plot in (arguments["outputs"].plot, arguments["outputs"].overlaps_plot):
        assert plot.stat().st_size > 20_000


def test_positions_of_the_metadata(cut, tmp_path, caplog):
    arguments = inputs(tmp_path, cut)
    for k, session in enumerate(arguments["sessions"]):
        if k == 2:
            continue
        x, y = session["stage_x_um"], session["stage_y_um"]
        software = f"SI.VERSION_MAJOR = 2023\r\nSI.hMotors.samplePosition = [{x} {y} 40]\r\n"
        tifffile.imwrite(session["movie"], np.zeros((3, 8, 8), "i2"), software=software,
                         photometric="minisblack", metadata=None)  # fmt: skip
        session["stage_x_um"] = session["stage_y_um"] = None
    with caplog.at_level(logging.INFO):
        result = build_mosaic.run(**arguments)
    np.testing.assert_allclose(result.stage_um, 2 * cut.ideal[:, ::-1])
    assert "s0: stage at (0.0, 0.0) um, from the metadata" in caplog.text


def test_a_position_that_nothing_tells(cut, tmp_path):
    arguments = inputs(tmp_path, cut)
    session = arguments["sessions"][1]
    session["stage_x_um"] = session["stage_y_um"] = None
    tifffile.imwrite(session["movie"], np.zeros((3, 8, 8), "i2"), photometric="minisblack")
    with pytest.raises(InputError, match=r"movie_1.tif \(session s1\).*write stage_x_um"):
        build_mosaic.run(**arguments)
    assert not (tmp_path / "out").exists()


def test_the_size_of_a_pixel(cut, tmp_path, caplog):
    with pytest.raises(InputError, match=r"mean_3.tif: its pixels measure 2.2 um, those of .*2 um"):
        build_mosaic.run(**inputs(tmp_path, cut, (2.0, 2.0, 2.0, 2.2)))
    with pytest.raises(InputError, match=r"mean_1.tif: the size of a pixel is not known"):
        build_mosaic.run(**inputs(tmp_path, cut, (2.0, None, 2.0, 2.0)))
    arguments = inputs(tmp_path, cut, (1.9, None, 2.0, 2.0))
    arguments["config"] = {"mosaic": CONFIG["mosaic"] | {"pixel_size_um": 2}}
    assert build_mosaic.run(**arguments).pixel_size_um == 2
    assert "mean_0.tif says that a pixel measures 1.9 um" in caplog.text
