"""A correction that is registered from outside: the example of the documentation, as it stands."""

import json
import re

import numpy as np
import pytest
import tifffile
from scipy.ndimage import map_coordinates

from derotation.analysis.full_derotation_pipeline import FullPipeline
from derotation.calibration import Calibration
from derotation.errors import ConfigError, InputError
from derotation.maps.corrections import registered, unregister
from derotation.report.sessions import collect_session
from derotation.report.states import State
from derotation.simulate import simulate_session
from unit.sessions import disc

VELOCITY = np.array([0.9, -0.6])


@pytest.fixture(scope="module")
def example(pytestconfig):
    page = (pytestconfig.rootpath / "docs/how_to_add_a_correction.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"<!-- python: drift -->\n```python\n(.*?)```", page, re.DOTALL)
    return code


@pytest.fixture
def drift(example):
    names = {}
    exec(example, names)
    yield names["DRIFT"]
    unregister("drift")


@pytest.fixture(scope="module")
def drifting(tmp_path_factory):
    """A session whose every frame was moved afterwards, in the sample's own plane."""
    folder = tmp_path_factory.mktemp("drifting")
    files = simulate_session(
        folder, shape=(96, 96), frame_rate=10.0, sampling_rate=10_000.0, n_cells=40,
        photons_per_pixel=100, calcium=False, rest_before_s=1.0, rest_between_s=0.6,
        rest_after_s=0.6, stimulus=[(100, 1), (150, -1), (100, -1), (150, 1)],
        center_offset=(3.0, -2.0), seed=11,
    )  # fmt: skip
    truth = dict(np.load(files["truth"]))
    movie = tifffile.imread(files["movie"])
    moved = np.stack([drifted(frame, truth, f) for f, frame in enumerate(movie)])
    tifffile.imwrite(files["movie"], moved, photometric="minisblack")
    return files, truth


def drifted(frame, truth, f):
    """Move a recorded frame line by line: by the drift at each line's time, turned with it."""
    times = truth["line_start"][f]
    angle = np.deg2rad(truth["line_angles"][f])
    # What is turned back by a was recorded turned by -a.
    x = np.cos(angle) * VELOCITY[0] * times - np.sin(angle) * VELOCITY[1] * times
    y = np.sin(angle) * VELOCITY[0] * times + np.cos(angle) * VELOCITY[1] * times
    lines, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
    at = [lines - y[:, np.newaxis], columns - x[:, np.newaxis]]
    moved = map_coordinates(frame.astype(float), at, order=1, mode="nearest")
    return np.clip(np.rint(moved), 0, np.iinfo(frame.dtype).max).astype(frame.dtype)


def derotated(files, folder, **changes):
    pipeline = FullPipeline(
        {
            "paths_read": {
                "path_to_randperm": str(files["stimulus"]),
                "path_to_aux": str(files["signals"]),
                "path_to_tif": str(files["movie"]),
            },
            "paths_write": {"derotated_tiff_folder": str(folder), "saving_name": "s"},
            "frame_rate": 10,
            "debugging_plots": True,
            # Which would make up for a drift, too.
            "motion_correction": {"correct": "never"},
            **changes,
        },
        threads=1,
    )
    pipeline()
    return pipeline


def likeness(pipeline, truth):
    """Correlate turned frames with the true sample at rest, at the place of their best shift."""
    inside = disc(truth["rest_image"].shape, truth["center"], 35)
    turned = np.abs(truth["line_angles"]).min(axis=1) > 20
    frames = tifffile.imread(pipeline.derotated)[turned]
    rest = truth["rest_image"][inside]
    return np.median([np.corrcoef(frame[inside], rest)[0, 1] for frame in frames])


def test_a_drift_is_found_applied_and_reported(drifting, drift, tmp_path):
    files, truth = drifting
    with_drift = derotated(files, tmp_path / "with")
    unregister("drift")
    without = derotated(files, tmp_path / "without", debugging_plots=False)

    found = with_drift.calibration
    np.testing.assert_allclose(found.corrections["drift"]["parameters"], VELOCITY, atol=0.03)
    assert found.center == pytest.approx(tuple(truth["center"]), abs=0.3)
    assert found.trusted
    assert likeness(with_drift, truth) > 0.93 > likeness(without, truth) + 0.1
    for figure, better in (("rotating_correlation", 1), ("sharpness_gain", 1), ("ptd_px", -1)):
        own, before = (p.quality[figure].value for p in (with_drift, without))
        assert better * own > better * before

    content = json.loads((tmp_path / "with/s/calibration.json").read_text())
    assert content["corrections"]["drift"]["sd"]
    assert "The sample drifts by 0.9" in content["statement"]
    assert (tmp_path / "with/debug_plots/drift.png").exists()
    (tmp_path / "with/s/plots").mkdir()
    (tmp_path / "with/debug_plots/drift.png").rename(tmp_path / "with/s/plots/drift.png")
    shown = collect_session(
        {"session": "s"},
        State(status="done"),
        results=tmp_path / "with",
        benchmarks=tmp_path,
        calibration=tmp_path / "with/s/calibration.json",
    )
    assert "The sample drifts" in shown.calibration
    assert "drift" in shown.plots


def test_its_section_is_checked_like_all_others(drifting, drift, tmp_path):
    files, _ = drifting
    with pytest.raises(ConfigError, match=r"drift\.n_frame: there is no such key"):
        derotated(files, tmp_path, drift={"n_frame": 12})


def test_a_calibration_needs_what_it_holds(drift, tmp_path):
    calibration = Calibration(
        center=(1, 2),
        image_shape=(4, 4),
        method="fixed",
        corrections={"drift": {"parameters": [0.5, 0.25]}},
    )
    calibration.save(tmp_path / "calibration.json")
    maps = Calibration.load(tmp_path / "calibration.json").maps([0.0, 0.0], [0.0, 4.0])
    np.testing.assert_allclose(maps[:, :, 2], [[0, 0], [-2, -1]])
    unregister("drift")
    with pytest.raises(InputError, match="holds the corrections drift, which nothing installed"):
        Calibration.load(tmp_path / "calibration.json")
    assert "drift" not in [correction.name for correction in registered()]
