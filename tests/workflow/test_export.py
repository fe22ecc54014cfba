"""Exports as the workflow makes them: beside the movie or instead of it, and with Suite2p run."""

import json
import sys
import textwrap

import numpy as np
import tifffile

SUITE2P = """
    import numpy as np
    from pathlib import Path
    def default_settings():
        return {}
    def run_s2p(db, settings):
        plane = Path(db["save_path0"]) / db["save_folder"] / "plane0"
        told = np.load(plane / "db.npy", allow_pickle=True).item()
        shape = told["nframes"], told["Ly"], told["Lx"]
        movie = np.memmap(told["reg_file"], "int16", "r+", shape=shape)
        movie[0] += 1  # registration works in place
        np.save(plane / "settings.npy", np.array(settings, dtype=object))
        rows, columns = np.mgrid[20:26, 28:36]
        roi = {"ypix": rows.ravel(), "xpix": columns.ravel(), "lam": np.ones(rows.size)}
        np.save(plane / "stat.npy", np.array([roi]))
        np.save(plane / "iscell.npy", np.ones((1, 2)))
        for name in ("F", "Fneu"):
            np.save(plane / f"{name}.npy", np.ones((1, shape[0]), np.float32))
"""


def python_with_suite2p(folder):
    """A Python of its own, with something in place of Suite2p that changes its files as it does."""
    package = folder / "site" / "suite2p"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(SUITE2P))
    info = folder / "site" / "suite2p-1.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: suite2p\nVersion: 1.1.0\n")
    python = folder / "python with suite2p"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_derotated_movie_goes_when_everything_was_made_from_it(finished, tmp_path):
    results = finished.folder / "results"
    movie = tifffile.imread(results / "a" / "derotated.tif")
    finished.config["export"] = {
        "keep_derotated": False,
        "tiff": True,
        "nwb": "inside",
        "suite2p": {"run": True, "python": python_with_suite2p(tmp_path)},
    }
    steps = ("export_tiff", "export_nwb", "run_suite2p", "measure_cells")
    assert finished.planned() == dict.fromkeys(steps, 2)
    result = finished.run()
    assert result.returncode == 0, result.stdout
    for session in ("a", "b"):
        place = results / session
        assert not (place / "derotated.tif").exists()
        told = json.loads((place / "suite2p" / "suite2p_run.json").read_text())
        assert (told["suite2p"], told["rois"]) == ("1.1.0", 1)
        assert (place / f"{session}.nwb").exists()
        # What Suite2p found is measured at once.
        assert (place / "cells.csv").read_text().splitlines()[1].startswith("0,31.5,22.5,48,")
        (tiff,) = (place / "suite2p_tiff").iterdir()
        assert tiff.name == f"{session}.tif"
        exported = np.fromfile(place / "suite2p" / "plane0" / "data.bin", "<i2")
        written = tifffile.imread(tiff)
        # Suite2p changed the first frame.
        np.testing.assert_array_equal(exported.reshape(written.shape)[1:], written[1:])
    written = tifffile.imread(results / "a" / "suite2p_tiff" / "a.tif")
    still = json.loads((results / "a" / "suite2p" / "export.json").read_text())["always_seen"]
    rows, columns = slice(*still["rows"]), slice(*still["columns"])
    np.testing.assert_array_equal(written[:, rows, columns], movie[:, rows, columns])
    # What Suite2p changed in the folder is no reason to run anything again.
    assert finished.planned() == {}
    finished.config["export"]["fill"] = "low"
    # The movie is needed again, and with it comes all that is made from it.
    again = {"derotate_movie", "export_suite2p", "export_tiff", "export_nwb", "run_suite2p"}
    assert dict.fromkeys(again, 2).items() <= finished.planned().items()


def test_a_suite2p_that_is_missing_is_named(finished):
    finished.config["export"] = {"suite2p": {"run": True, "python": sys.executable}}
    result = finished.run()
    assert result.returncode == 1
    assert "cannot import Suite2p" in result.stdout
    assert not (finished.folder / "results" / "a" / "suite2p" / "suite2p_run.json").exists()
