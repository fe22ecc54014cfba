"""The recipe that takes a calibration from elsewhere, on signals that come late."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from derotation.calibration import Calibration
from derotation.simulate import simulate_session
from unit.sessions import disc

SHAPE = (64, 72)
LAG_MS = 30.0


@pytest.fixture
def study(pytestconfig, tmp_path, monkeypatch):
    """The folder of the how-to: raw files, the pipeline's settings; returns the recipe's code."""
    page = (pytestconfig.rootpath / "docs/how_to_custom_pipeline.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"<!-- file: session.yml -->\n```yaml\n(.*?)```", page, re.DOTALL)
    (recipe,) = re.findall(r"<!-- python: calibrated -->\n```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    simulate_session(
        "data/a", shape=SHAPE, frame_rate=10, sampling_rate=10_000, n_cells=25,
        photons_per_pixel=500, calcium=False, center_offset=(3.5, -2.5), lag_ms=LAG_MS,
        stimulus=[(200, 1), (150, -1)], rest_before_s=1, rest_between_s=0.5, rest_after_s=0.5,
    )  # fmt: skip
    settings = settings.replace("debugging_plots: true", "debugging_plots: false")
    Path("session.yml").write_text(settings)
    Path("out/incremental").mkdir(parents=True)
    return recipe


@pytest.mark.parametrize(("lag_ms", "least", "most"), [(LAG_MS, 0.98, 1.0), (0.0, 0.0, 0.95)])
def test_the_lag_of_the_calibration_is_applied(study, lag_ms, least, most):
    truth = np.load("data/a/truth.npz")
    center = tuple(truth["center"].tolist())
    calibration = Calibration(
        center=center, image_shape=SHAPE, method="registration", lag_ms=lag_ms
    )
    calibration.save("out/incremental/derotated_calibration.json")
    exec(compile(study, "how_to_custom_pipeline.md", "exec"), {})
    still = tifffile.imread("out/a/derotated.tif")
    inside = disc(SHAPE, center, min(*center, SHAPE[1] - 1 - center[0]) - 2)
    turning = np.flatnonzero(np.ptp(truth["line_angles"], axis=1) > 0)
    rest = truth["rest_image"][inside]
    worst = min(np.corrcoef(still[frame][inside], rest)[0, 1] for frame in turning)
    assert least <= worst <= most
    assert Calibration.load("out/a/derotated_calibration.json").lag_ms == lag_ms
