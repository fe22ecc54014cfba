"""The pipelines give what the workflow gives, byte for byte: they are made of the same steps."""

import numpy as np
import pytest
from tiny_cohort import TINY, Cohort

from derotation.analysis.full_derotation_pipeline import FullPipeline
from derotation.analysis.incremental_derotation_pipeline import IncrementalPipeline
from derotation.calibration import Calibration
from made_once import made_once

BOTH_WAYS = {"stimulus": [[150, 1], [150, -1], [100, -1], [100, 1]]}
STEPS = {"degrees_per_step": 30, "step_rest_s": 0.4, "step_speed": 90}
TILT = {"plane_angle": 25, "plane_orientation": 40, "shape": [64, 64]}
FULL = {key: value for key, value in TINY.items() if key != "stimulus"}
INCREMENTAL = {key: value for key, value in FULL.items() if key != "rest_between_s"}
SESSIONS = {
    "full": TINY | {"center_offset": [2, -1]},
    "lagging": FULL | BOTH_WAYS | {"bidirectional": True, "lag_ms": 4, "seed": 1},
    "steps": INCREMENTAL | STEPS | TILT,
    "tilted": TINY | TILT | {"seed": 3},
}
SAME = ("angles.npz", "calibration.json", "motion.npz", "quality.json", "seen.npz")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, library):
    return made_once(tmp_path_factory, "both", lambda folder: run_workflow(folder, library))


def run_workflow(folder, library):
    cohort = Cohort(folder, library)
    cohort.rows = [
        (
            name,
            "incremental" if name == "steps" else "full",
            f"data/{name}/movie.tif",
            f"data/{name}/signals.npy",
            "" if name == "steps" else f"data/{name}/stimulus.csv",
            "steps" if name == "tilted" else "",
        )
        for name in SESSIONS
    ]
    cohort.config |= {
        "simulate": SESSIONS,
        "angles": {"lag_ms": "auto", "degrees_per_step": 30},
        "center": {},
    }
    wanted = [
        f"results/{name}/{file}"
        for name in SESSIONS
        for file in ("quality.json", "illumination.npz")
    ]
    result = cohort.run(*wanted)
    assert result.returncode == 0, result.stdout
    return cohort


def run_pipeline(cohort, name, out):
    """Run a pipeline on a session; one that has a calibration of its own uses it."""
    data = cohort.folder / "data" / name
    kind: type = IncrementalPipeline if name == "steps" else FullPipeline
    if name == "tilted":
        given = Calibration.load(cohort.folder / "results/steps/calibration.json")
        kind = type("Calibrated", (kind,), {"find_center": lambda *_: given})
    pipeline = kind(
        {
            "paths_read": {
                "path_to_randperm": None if name == "steps" else str(data / "stimulus.csv"),
                "path_to_aux": str(data / "signals.npy"),
                "path_to_tif": str(data / "movie.tif"),
            },
            "paths_write": {"derotated_tiff_folder": str(out), "saving_name": name},
            "sampling_rate": 10000,
            "degrees_per_step": 30,
            "lag_ms": "auto",
            "motion_correction": {"correct": "auto"},
            "debugging_plots": False,
        },
        threads=1,
    )
    pipeline()
    return pipeline


@pytest.mark.parametrize("name", SESSIONS)
def test_a_pipeline_writes_what_the_workflow_writes(cohort, name, tmp_path):
    pipeline = run_pipeline(cohort, name, tmp_path)
    theirs, own = cohort.folder / "results" / name, tmp_path / name
    assert pipeline.derotated.read_bytes() == (theirs / "derotated.tif").read_bytes()
    for file in SAME:
        if name == "tilted" and file == "calibration.json":
            continue  # another session's, which is used unchanged
        assert (own / file).read_bytes() == (theirs / file).read_bytes(), file
    light, own_light = (np.load(folder / "illumination.npz")["light"] for folder in (theirs, own))
    np.testing.assert_array_equal(own_light, light)
    if name == "lagging":
        assert pipeline.calibration.lag_ms == pytest.approx(4, abs=0.5)
    if name == "steps":
        assert pipeline.calibration.plane_angle == pytest.approx(25, abs=1)
