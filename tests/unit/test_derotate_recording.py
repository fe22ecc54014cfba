"""The shortest way from files to a movie that stands still, as the README shows it."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import derotation
from derotation import derotate_recording
from derotation.calibration import Calibration
from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.errors import InputError
from derotation.io.movie import open_movie
from derotation.signals.angles import Angles
from derotation.simulate import simulate_recording
from derotation.streaming.single_pass import derotate_movie
from unit.sessions import disc, save_movie, true_angles

ROOT = Path(__file__).parents[2]
LAG_MS = 30.0


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A study's folder after a run: center off the middle, both directions, signals that lag."""
    recording = simulate_recording(
        shape=(80, 96), n_cells=15, stimulus=((200.0, 1), (100.0, -1)), center_offset=(7, -5),
        rest_before_s=0.5, rest_between_s=0.5, rest_after_s=0.5, bidirectional=True,
        photons_per_pixel=400.0, seed=4,
    )  # fmt: skip
    study = tmp_path_factory.mktemp("study")
    raw, results = (study / name / "demo_offcenter" for name in ("data", "results"))
    raw.mkdir(parents=True)
    results.mkdir(parents=True)
    save_movie(recording, raw)
    # Signals that come late tell each line the angle of an earlier moment.
    told = true_angles(recording).shifted(-LAG_MS)
    told = dataclasses.replace(told, lag_ms=0.0, bidirectional=True)
    told.save(results / "angles.npz")
    Calibration(center=recording.center, image_shape=(80, 96), method="fixed", lag_ms=LAG_MS).save(
        results / "calibration.json"
    )
    return recording, study


def correlations(recording, still):
    """Correlation of each turning frame with the sample at rest, in the disc always seen."""
    x, y = recording.center
    inside = disc(recording.movie.shape[1:], recording.center, min(x, y, 95 - x, 79 - y) - 2)
    turning = np.flatnonzero(np.ptp(recording.line_angles, axis=1) > 0)
    rest = [recording.plan.resting_frame(int(frame))[inside] for frame in turning]
    pairs = zip(turning, rest, strict=True)
    return np.array([np.corrcoef(still[frame][inside], at_rest)[0, 1] for frame, at_rest in pairs])


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_snippet_of_the_readme_holds_as_it_stands(session, monkeypatch):
    recording, study = session
    (snippet,) = blocks(ROOT / "README.md")
    monkeypatch.chdir(study)
    found = {}
    exec(compile(snippet, "README.md", "exec"), found)
    still = correlations(recording, found["still"])
    assert len(still) > 20
    assert still.min() >= 0.98
    # Without what the snippet takes care of it is far worse, so that the figure can fail.
    told = Angles.load("results/demo_offcenter/angles.npz").line_angles
    raw = recording.movie
    in_the_middle = derotate_an_image_array_line_by_line(raw, told.ravel())
    without_lag = derotate_an_image_array_line_by_line(raw, told.ravel(), center=recording.center)
    assert correlations(recording, in_the_middle).min() < 0.5
    assert correlations(recording, without_lag).min() < 0.95


def test_the_how_to_for_notebooks_holds_with_a_lag(session, monkeypatch):
    recording, study = session
    code = [block for block in blocks(ROOT / "docs/how_to_notebook.md") if "still =" in block]
    code += [block for block in blocks(ROOT / "docs/how_to_notebook.md") if "LineMaps" in block]
    assert len(code) == 2
    monkeypatch.chdir(study)
    folder = "results/demo_offcenter"
    found: dict[str, Any] = {
        "tifffile": tifffile,
        "angles": Angles.load(f"{folder}/angles.npz"),
        "calibration": Calibration.load(f"{folder}/calibration.json"),
    }
    exec("\n".join(code).replace("slice(100, 110)", "slice(20, 30)"), found)
    assert correlations(recording, found["still"]).min() >= 0.98
    assert found["maps"].shape == (10, 80, 2, 3)
    seen = found["ten"] > 0
    np.testing.assert_array_equal(found["ten"][seen], found["still"][20:30][seen])


def test_paths_objects_and_arrays_give_the_same_as_the_workflow(session, monkeypatch, tmp_path):
    _, study = session
    monkeypatch.chdir(study)
    movie = "data/demo_offcenter/movie.tif"
    files = [f"results/demo_offcenter/{name}" for name in ("angles.npz", "calibration.json")]
    angles, calibration = Angles.load(files[0]), Calibration.load(files[1])
    with open_movie(movie) as opened:
        derotate_movie(opened, angles, calibration, tmp_path / "still.tif")
        given = derotate_recording(opened, angles, calibration)
    expected = tifffile.imread(tmp_path / "still.tif")
    np.testing.assert_array_equal(given, expected)
    for source in (Path(movie), tifffile.imread(movie), tifffile.memmap(movie, mode="r")):
        still = derotate_recording(source, *files, threads=2)
        np.testing.assert_array_equal(still, expected)
        assert still.dtype == expected.dtype
    monkeypatch.setattr("derotation.derotate_by_line.CHUNK_BYTES", 1)
    np.testing.assert_array_equal(derotate_recording(Path(movie), *files), expected)


def test_the_angles_say_how_lines_were_scanned(session):
    recording, study = session
    folder = study / "results/demo_offcenter"
    angles = Angles.load(folder / "angles.npz")
    one_way = dataclasses.replace(angles, bidirectional=False)
    both, one = (
        derotate_recording(recording.movie, told, folder / "calibration.json")
        for told in (angles, one_way)
    )
    assert (both != one).any()
    assert correlations(recording, both).mean() > correlations(recording, one).mean()


@pytest.mark.parametrize(
    ("movie", "message"),
    [
        (np.zeros((80, 96)), r"the shape \(80, 96\); expected \(frame, y, x\)"),
        (np.zeros((3, 80, 96)), r"has 3 frames of 80 lines, but there are angles for \d+ frames"),
        (None, "the array has frames of 95 x 80 pixels .* calibration was made from .* 96 x 80"),
    ],
)
def test_what_does_not_belong_together_is_refused(session, movie, message):
    recording, study = session
    folder = study / "results/demo_offcenter"
    movie = recording.movie[:, :, :-1] if movie is None else movie
    with pytest.raises(InputError, match=message):
        derotate_recording(movie, folder / "angles.npz", folder / "calibration.json")


def test_what_no_line_saw_gets_the_value_asked_for(session):
    recording, study = session
    folder = study / "results/demo_offcenter"
    files = folder / "angles.npz", folder / "calibration.json"
    blank, dark = (
        derotate_recording(recording.movie, *files, blank_pixels_value=v) for v in (7, 0)
    )
    unseen = blank != dark
    assert unseen.any()
    assert set(blank[unseen]) == {7}


def test_importing_the_package_loads_nothing_heavy():
    code = "import derotation, sys; assert not {'numpy', 'numba', 'scipy'} & sys.modules.keys()"
    path = str(Path(derotation.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})
    with pytest.raises(AttributeError, match="no attribute 'derotated'"):
        _ = derotation.derotated
