"""A cohort whose sessions have two channels, from the raw files to the report."""

import copy
import json

import numpy as np
import tifffile
from tiny_cohort import CONFIG, TINY, Cohort, simulated_row


def test_two_channels_to_the_exports_and_the_report(tmp_path, library):
    config = copy.deepcopy(CONFIG) | {"simulate": {"a": TINY | {"channels": 2}}}
    config |= {
        "movie": {"channel": 2, "channels": "all"},
        "export": {"functional_channel": 1, "tiff": True, "nwb": "inside"},
        "report": {"animation": False},
    }
    cohort = Cohort(tmp_path / "study", library, config=config, rows=[simulated_row("a")])
    result = cohort.run()
    assert result.returncode == 0, result.stdout
    folder = cohort.folder / "results" / "a"
    assert [path.name for path in folder.glob("*.tif")] == ["derotated.tif"]
    assert [path.name for path in (folder / "channels").glob("*.tif")] == ["derotated_ch1.tif"]
    assert [p.name for p in (folder / "images/channels").glob("*.tif")] == ["mean_ch1.tif"]
    plane = folder / "suite2p" / "plane0"
    shape = tifffile.imread(folder / "derotated.tif").shape
    functional = np.fromfile(plane / "data.bin", "<i2").reshape(shape)
    np.testing.assert_array_equal(functional, tifffile.imread(folder / "suite2p_tiff" / "a.tif"))
    assert (plane / "data_chan2.bin").stat().st_size == functional.nbytes
    told = json.loads((folder / "suite2p" / "export.json").read_text())
    assert told["channels"] == {"functional": 1, "other": [2]}
    assert "Mean image of each channel" in (cohort.folder / "results/report.html").read_text()
    assert cohort.planned() == {}
    # Another functional channel concerns the exports for Suite2p only.
    cohort.config["export"]["functional_channel"] = None
    assert cohort.planned() == {"export_suite2p": 1, "export_tiff": 1}
    # The movies go when everything was made from them; the mean images stay.
    cohort.config["export"] = {"keep_derotated": False}
    assert cohort.run().returncode == 0
    assert not (folder / "channels").exists()
    assert not (folder / "derotated.tif").exists()
    assert (folder / "images" / "channels" / "mean_ch1.tif").exists()
    assert cohort.planned() == {}


def test_two_planes_by_one_calibration(tmp_path, library):
    config = copy.deepcopy(CONFIG) | {"simulate": {"a": TINY | {"planes": 2, "frame_rate": 20}}}
    config |= {
        "movie": {"plane": 1, "planes": "all", "n_planes": 2, "n_channels": 1},
        "export": {"nwb": "inside"},
        "report": {"animation": False},
    }
    cohort = Cohort(tmp_path / "study", library, config=config, rows=[simulated_row("a")])
    result = cohort.run()
    assert result.returncode == 0, result.stdout
    folder = cohort.folder / "results" / "a"
    assert [path.name for path in folder.glob("*.tif")] == ["derotated.tif"]
    other = tifffile.imread(folder / "planes" / "plane2" / "derotated.tif")
    assert other.shape == tifffile.imread(folder / "derotated.tif").shape
    for index in (0, 1):
        plane = folder / "suite2p" / f"plane{index}"
        told = np.load(plane / "db.npy", allow_pickle=True).item()
        assert (told["nplanes"], told["iplane"]) == (2, index)
        assert (plane / "data.bin").stat().st_size == other.size * 2
    assert (folder / "a.nwb").stat().st_size > 4 * other.nbytes
    (told,) = json.loads((folder / "planes.json").read_text())["planes"]
    assert told["plane"] == 2
    assert 0 < told["coverage"] <= 1
    page = (cohort.folder / "results/report.html").read_text()
    assert "Mean image of each further plane" in page
    assert "Plane 2: The mean of all turned frames is" in page
    assert cohort.planned() == {}
    # What planes are wanted concerns them and the exports only.
    cohort.config["movie"]["planes"] = [1]
    assert cohort.planned() == {"derotate_planes": 1, "export_suite2p": 1, "export_nwb": 1}
    cohort.config["movie"]["planes"] = None
    assert set(cohort.planned()) <= {"export_suite2p", "export_nwb"}
