"""A cohort whose sessions have two channels, from the raw files to the report."""

import copy
import json

import numpy as np
import tifffile
from tiny_cohort import CONFIG, TINY, Cohort, simulated_row


def test_two_channels_to_the_exports_and_the_report(tmp_path):
    config = copy.deepcopy(CONFIG) | {"simulate": {"a": TINY | {"channels": 2}}}
    config |= {
        "movie": {"channel": 2, "channels": "all"},
        "export": {"functional_channel": 1, "tiff": True, "nwb": "inside"},
        "report": {"animation": False},
    }
    cohort = Cohort(tmp_path / "study", config=config, rows=[simulated_row("a")])
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
