"""Each benchmark runs in its tiny setting; what does not depend on the speed is right."""

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import warm
import warm_python
from derotation.simulate import full_protocol, random_scene

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name, folder, *arguments, cold=False):
    """Run a benchmark as a user does; returns its figures.

    A benchmark of memory is not to be warm: the libraries that are loaded count as its own.
    """
    figures = folder / "figures.json"
    words = [BENCHMARKS / f"{name}.py", *arguments, "--json", figures]
    if cold:
        done = subprocess.run(
            [sys.executable, *words], text=True, check=False, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    else:
        done = warm.run_warm(words, Path.cwd())
    assert done.returncode == 0, done.stdout
    return json.loads(figures.read_text())


@pytest.fixture
def warm_workflow(monkeypatch):
    """Give options with which a benchmark's workflow, and its jobs, start at once."""
    monkeypatch.setenv("WARM_JOBS", "yes")
    words = [sys.executable, "-IS", warm_python.__file__, "run", warm._server(None)]
    return "--python", shlex.join(words)


def missed(figures):
    return [target["figure"] for target in figures["targets"] if not target["met"]]


def test_accuracy(tmp_path):
    figures = run("accuracy", tmp_path, "--quick")
    assert not [name for name in missed(figures) if "CPU" not in name]
    assert {row["signals"] for row in figures["angles"]} >= {"no faults", "faults"}
    assert all(row["frames"] > 20 and row["cells"] > 5 for row in figures["fidelity"])


def test_kernel_speed(tmp_path):
    figures = run("kernel_speed", tmp_path, "--quick")
    measured = {(row["level"], row["kind"], row["threads"]) for row in figures["rows"]}
    for level in ("derotate_frames", "from angles"):
        assert {(level, "nearest", 1), (level, "linear", 2), (level, "cubic", 2)} <= measured
    assert all(row["ms_per_frame"] > 0 for row in figures["rows"])


def test_interpolation(tmp_path):
    figures = run("interpolation", tmp_path, "--quick")
    assert not missed(figures)
    bias = {(row["case"], row["interpolation"]): row["bias_median"] for row in figures["rows"]}
    assert bias["turning", "linear"] > 3 * bias["turning", "quadratic"]


def test_channels(tmp_path):
    figures = run("channels", tmp_path, "--quick")
    assert not [name for name in missed(figures) if "CPU" not in name]
    assert all(row["two"] > 0 for row in figures["rounds"])


def test_free(tmp_path):
    figures = run("free", tmp_path, "--quick")
    assert not missed(figures)
    assert all(row["center_px"] < 0.2 for row in figures["movies"])
    assert {row["source"].split()[0] for row in figures["angles"]} >= {"table", "voltage,"}


def test_resonant(tmp_path):
    figures = run("resonant", tmp_path, "--quick")
    assert not missed(figures)
    times = [row["time_largest"] for row in figures["rows"]]
    assert times[0] < times[1] < times[2]


def test_imagej(tmp_path):
    figures = run("imagej", tmp_path, "--quick")  # of the programs that this computer has
    assert not missed(figures)


def test_memory(tmp_path):
    figures = run("memory", tmp_path, "--quick", "--folder", tmp_path, cold=True)
    assert not missed(figures)
    # An interpreter with its libraries takes no less.
    assert all(peak > 50 for peaks in figures["peak_mb"].values() for peak in peaks)
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_session_time(tmp_path):
    figures = run("session_time", tmp_path, "--quick", "--bidirectional", "--folder", tmp_path)
    assert len(figures["steps"]) == 5
    assert figures["sum_s"] == pytest.approx(sum(step["wall_s"] for step in figures["steps"]))


def test_step_speed(tmp_path):
    """Against itself: the steps are there, and about as fast."""
    own = BENCHMARKS.parent / "src"
    figures = run("step_speed", tmp_path, "--quick", "--against", own, "--steps", "parse", "angles")
    assert len(figures["steps"]) == 2
    assert all(0.2 < row["ratio"] < 5 for row in figures["steps"])
    assert all(row["job_here_s"] > row["here_s"] > 0 for row in figures["steps"])


def test_long_signals(tmp_path):
    figures = run("long_signals", tmp_path, "--quick", "--folder", tmp_path, cold=True)
    assert figures["bytes"] >= 30 * 50_000 * 6 * 2
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


@pytest.mark.workflow
def test_real_data(tmp_path, warm_workflow):
    """Files of the same kind as the real ones, but made here."""
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    scene = random_scene((64, 80), 25, rng, brightness=60.0)
    photons = np.broadcast_to(scene.on_grid((64, 80)), (7, 64, 80))
    movie = (20 * rng.poisson(photons)).astype(np.uint16)
    tifffile.imwrite(data / "kenyon_cells_2p_cycle1.tif", movie, photometric="minisblack")
    # 256 lines and a pause of 1.73 lines in each frame; the first line ends a frame.
    frame, line = np.divmod(np.arange(18000) - 1, 256)
    motor = full_protocol([(200, -1), (200, 1)], first_start=1.5, rest=1.0)
    np.save(data / "angles_per_line.npy", motor.angle((frame + line / 257.73) / 6.74))

    figures = run(
        "real_data", tmp_path, data, "--quick", "--output", tmp_path / "output", *warm_workflow
    )
    assert figures["angle_max"] < 0.1
    assert figures["center_error_px"] < 0.3
    assert figures["rest_unchanged"]
    frames = figures["frames"]
    assert frames["derotated"]["correlation_min"] > 0.8
    assert frames["as recorded"]["correlation_median"] < 0.5
    assert figures["sharpness_gain"] > 2
    assert (tmp_path / "output" / "before_after.png").stat().st_size > 10_000


def test_center_methods(tmp_path):
    figures = run("center_methods", tmp_path, "--quick")
    assert {(row["protocol"], row["method"]) for row in figures["worst"]} == {
        ("full", "registration"),
        ("full", "bayesian"),
        ("incremental", "registration"),
        ("incremental", "ellipse"),
    }
    assert all(row["error_px"] < row["target_px"] for row in figures["worst"])


def test_calibration_transfer(tmp_path):
    figures = run("calibration_transfer", tmp_path, "--quick")
    assert len(figures["rows"]) == 12
    assert figures["worst_px"] < figures["target_px"]


def test_illumination(tmp_path):
    figures = run("illumination", tmp_path, "--quick")
    assert not missed(figures)
    uneven = [row for row in figures["rows"] if row["pattern"] == "uneven"]
    assert all(row["error_percent"] < 0.2 * row["light_percent"] for row in uneven)
    assert all(row["nrmse_corrected"] < row["nrmse_recorded"] for row in uneven)


def test_cells(tmp_path):
    figures = run("cells", tmp_path, "--quick", cold=True)
    # One session of eight rotations tells too little, and little frames are derotated in no time.
    few = {"tuned cells found", "untuned called tuned", "shadows called tuned"}
    small = {"time against derotate_movie, 36 000 frames", "static while turning, linear (bias)"}
    small |= {"slope (median, relative)", "static, uneven light, auto (bias)"}
    small |= {"dF/F against calcium (median r)"}
    assert set(missed(figures)) <= few | small
    assert figures["tuning"]["found"] > 0.3
    assert figures["tuning"]["untuned"] < 0.15


def test_motion(tmp_path):
    figures = run("motion", tmp_path, "--quick", "--only", "motion", "calibrated", "cost")
    still, living = figures["motion"]
    assert not still["corrected"]
    assert living["corrected"]
    assert living["turning_px"] < 0.25
    assert all(row["trusted"] for row in figures["motion"])
    tilted, free = figures["calibrated"]
    assert tilted["tilt_error"] < 1
    assert free["kind"] == "free"
    assert free["trusted"]
    assert free["turning_px"] < 0.25
    assert figures["cost"] > 0


def test_pictures_of_motion(tmp_path):
    figures = run("motion", tmp_path, "--quick", "--only", "pictures", "strained", "bound")
    still, best, corrected, left = figures["pictures"]
    assert [row["movie"] for row in (still, best, corrected, left)] == [
        "still", "true path", "corrected", "not corrected",
    ]  # fmt: skip
    assert corrected["mean"] > left["mean"]
    assert corrected["trace"] > left["trace"]
    assert not missed(figures)
    rigid, strained = figures["strained"]
    assert strained["field_px"] > rigid["field_px"]
    assert rigid["affine_bound_px"] > rigid["rigid_bound_px"]
    usual, few = figures["bound"]
    assert few["best_px"] > 1.5 * usual["best_px"]
    assert all(0.7 < row["by_hand"] / row["best_px"] < 1.1 for row in (usual, few))


def test_mosaic(tmp_path):
    figures = run("mosaic", tmp_path, "--quick")
    places = {row["case"]: row for row in figures["accuracy"]}
    assert places["whole tiles"]["places_px"] < 0.3 < places["whole tiles"]["plain_px"]
    assert all(row["nrmse"] < 0.05 for row in figures["fidelity"])
    assert figures["speed"]["tiles"] == 9


def test_movement(tmp_path):
    figures = run("movement", tmp_path, "--quick", "--carry")
    assert len(figures["studies"]) == 6
    assert not [row["name"] for row in figures["studies"] if row["wrong"]]
    related = [row for row in figures["studies"] if "unrelated" not in row["name"]]
    assert all(row["refused"] == 0 and row["largest"] < 1 for row in related)
    assert set(figures["carried"]) == {"scanner", "sample"}
    assert max(figures["carried"].values()) < 0.5


@pytest.mark.workflow
def test_flags(tmp_path):
    figures = run("flags", tmp_path, "--quick", "--only", "laser off half-way")
    (row,) = figures["rows"]
    assert row["right"], row
    assert row["figures"]["dark_frames_pct"] == pytest.approx(50, abs=1)


@pytest.mark.workflow
def test_quality_cost(tmp_path):
    figures = run("quality_cost", tmp_path, "--quick", "--folder", tmp_path)
    assert [step["step"] for step in figures["steps"]] == [
        "derotate_movie",
        "measure_quality",
        "export_suite2p",
    ]
    assert figures["flag"] == "ok"
    assert figures["added_cpu_s"] > 0


def test_suite2p(tmp_path):
    # Without Suite2p, which is no dependency: it has an environment of its own.
    movies = ["derotated", "as recorded", "at rest", "shaken"]
    figures = run(
        "suite2p", tmp_path, "--quick", "--movies", *movies, "--folder", tmp_path, "--noise", "0"
    )
    assert [row["movie"] for row in figures["movies"]] == movies
    assert {row["megabytes"] for row in figures["movies"]} == {100 * 64 * 64 * 2 / 1e6}
    place = tmp_path / "seed0"
    still, shaken = (
        np.fromfile(place / f"{movie}_mean_image/suite2p/plane0/data.bin", "<i2")
        for movie in ("derotated", "shaken")
    )
    frame, shift = still.reshape(100, 64, 64)[0], np.load(place / "shifts.npy")[0]
    assert np.abs(shift).max() > 0
    np.testing.assert_array_equal(np.roll(frame, shift, (0, 1)), shaken.reshape(100, 64, 64)[0])


@pytest.mark.workflow
def test_suite2p_of_channels_and_planes(tmp_path):
    figures = run("suite2p", tmp_path, "--quick", "--parts", "channels", "planes")
    facts = ("part", "nplanes", "nchannels", "functional_chan", "data_chan2")
    assert [tuple(row[fact] for fact in facts) for row in figures["parts"]] == [
        ("channels", 1, 2, 1, True),
        ("planes", 2, 1, 1, False),
    ]


def test_rois_and_cells_are_paired_by_what_is_visible(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("suite2p")
    del sys.modules["suite2p"]  # it is not the package
    cells = np.array([[30.0, 40.0], [-0.5, 20.0], [80.0, 20.0]])
    places = benchmark.visible_places(cells, np.array([5.0, 6.0, 5.0]), 64)
    np.testing.assert_allclose(places[0], cells[0], atol=1e-9)
    # The center of half a disc, and nothing of the last.
    np.testing.assert_allclose(places[1], [-0.5 + 4 * 6 / (3 * np.pi), 20], atol=0.1)
    assert not np.isfinite(places[2]).any()
    rois = np.array([[2.0, 20.0], [31.0, 40.0], [30.5, 40.0], [62.0, 20.0]])
    assert benchmark.partners(rois, places) == {0: 2, 1: 0}


@pytest.mark.workflow
def test_angle_from_movie(tmp_path):
    figures = run("angle_from_movie", tmp_path, "--quick")
    assert not missed(figures)
    (row,) = figures["rows"]
    assert row["lost"] == 0
    assert row["rms_deg"] < 0.2
    assert row["center_px"] < 0.1


def test_scale(tmp_path, warm_workflow):
    figures = run(
        "scale", tmp_path, "--quick", "--folder", tmp_path, *warm_workflow, cold=True
    )  # fmt: skip
    assert figures["dry_jobs"] > 20 * 8
    assert 50 < figures["dry_mb"] < 1000
    assert figures["wall_s"] > figures["computing_of_a_session_s"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_fuzz_readers(tmp_path):
    figures = run("fuzz_readers", tmp_path, "--quick", "--keep", tmp_path, "--only", "tif")
    assert figures["faults"] == []
    assert len(figures["counts"]) >= 14
    assert min(figures["counts"].values()) >= 4
    assert sum(figures["counts"].values()) > 50


def test_fuzz_readers_finds_what_must_not_be(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    fuzz_readers = importlib.import_module("fuzz_readers")

    def careless(path):
        if b"center" not in path.read_bytes():
            raise IndexError

    path = tmp_path / "a.json"
    path.write_bytes(b'{"center": 3}')
    kind = fuzz_readers.Kind("careless", path, careless)
    with pytest.raises(IndexError):
        fuzz_readers._fuzz_kind(kind, 1, {"careless": 0}, tmp_path / "report")
    assert path.read_bytes() == b'{"center": 3}'
    assert b"center" not in path.with_name("a.json.last").read_bytes()
