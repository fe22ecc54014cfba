"""A session whose angle the movie itself tells, through the workflow."""

import json

import numpy as np
import tifffile
from tiny_cohort import Cohort

from derotation.signals.angles import Angles
from derotation.simulate import Sinusoid, simulate_recording

COLUMNS = ("session", "protocol", "movie")


def test_a_session_of_nothing_but_a_movie(tmp_path, library):
    made = simulate_recording(
        protocol="free", motion=Sinusoid(amplitude=90, frequency=0.3), n_frames=24, shape=(64, 64),
        frame_rate=10, n_cells=25, sampling_rate=10_000,
    )  # fmt: skip
    cohort = Cohort(tmp_path / "cohort", library, columns=COLUMNS)
    cohort.folder.mkdir()
    tifffile.imwrite(cohort.folder / "movie.tif", made.movie, photometric="minisblack")
    cohort.config = {
        "sessions": "sessions.tsv",
        "signals": {"sampling_rate": None},
        "scan": {"frame_rate": 10, "flyback_lines": 64 / 49, "line_duty": 0.9},
        "angles": {"source": "movie"},
    }
    cohort.rows = [("m", "free", "movie.tif")]
    result = cohort.run("results/m/angles.npz")
    assert result.returncode == 0, result.stdout
    found = Angles.load(cohort.folder / "results/m/angles.npz").line_angles
    error = found - made.line_angles
    assert np.std(error) < 0.3
    told = json.loads((cohort.folder / "results/m/events.json").read_text())
    assert told["angle_source"] == "movie"
    assert any(repair["code"] == "angle_seen" for repair in told["repairs"])
    # What does not concern the movie's own angle does not make it be followed again.
    assert ("m", "parse_signals") not in cohort.pending()
    cohort.config["angles"]["direction_sign"] = -1
    assert ("m", "parse_signals") not in cohort.pending()
    cohort.config["scan"]["line_duty"] = 0.8
    assert ("m", "parse_signals") in cohort.pending()
