"""What napari gets, without napari: the same tuples that its documentation asks for."""

import importlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_export_suite2p import CENTER, HEIGHT, WIDTH, Session

import derotation
from derotation.export.napari_reader import get_reader, read_session
from derotation.io.tiff_writer import TiffStackWriter
from derotation.motion_correction.motion import Motion


def save(path, frames, **known):
    path.parent.mkdir(parents=True, exist_ok=True)
    with TiffStackWriter(path, frames.shape, frames.dtype, **known) as writer:
        writer.write(frames)


@pytest.fixture
def session(tmp_path):
    made = Session(tmp_path)
    folder = tmp_path / "ses_a"
    save(folder / "derotated.tif", made.derotated, frame_interval_s=0.1, pixel_size_um=1.5)
    save(folder / "images/mean.tif", made.mean[np.newaxis])
    save(folder / "channels/derotated_ch2.tif", made.raw)
    made.calibration.save(folder / "calibration.json")
    made.angles.save(folder / "angles.npz")
    made.folder = folder
    return made


def test_a_session_is_opened_as_layers(session):
    for path in (session.folder, str(session.folder / "derotated.tif")):
        read = get_reader(path)
        assert read is read_session
        layers = read(path)
        assert [kind for *_, kind in layers] == ["image", "image", "image", "points"]
        named = {keywords["name"]: (data, keywords) for data, keywords, _ in layers}
        movie, keywords = named["ses_a"]
        np.testing.assert_array_equal(movie, session.derotated)
        assert keywords["scale"] == pytest.approx((0.1, 1.5, 1.5))
        assert keywords["units"] == ("s", "um", "um")
        low, high = keywords["contrast_limits"]
        assert session.mean.min() <= low < high <= session.mean.max()
        np.testing.assert_array_equal(named["ses_a ch2"][0], session.raw)
        assert named["ses_a mean"][0].shape == (HEIGHT, WIDTH)
        center, keywords = named["center of rotation"]
        assert center.tolist() == [[CENTER[1], CENTER[0]]]  # (y, x)
        assert keywords["scale"] == pytest.approx((1.5, 1.5))


def test_the_motion_of_the_sample_is_a_track(session):
    n = len(session.derotated)
    times = np.linspace(0, 2.5, n)
    Motion(
        time_s=times, x=np.linspace(0, 2, n), y=np.linspace(0, -4, n), sd=np.ones(n),
        lost=np.zeros(n, bool), left_px=0.1, corrected=True,
    ).save(session.folder / "motion.npz")  # fmt: skip
    rows, keywords, kind = read_session(session.folder)[-1]
    assert kind == "tracks"
    assert keywords["scale"] == pytest.approx((0.1, 1.5, 1.5))
    np.testing.assert_array_equal(rows[:, 0], 0)
    np.testing.assert_array_equal(rows[:, 1], np.arange(n))
    at = session.angles.line_times_s[:, HEIGHT // 2]
    np.testing.assert_allclose(rows[:, 3], CENTER[0] + np.interp(at, times, np.linspace(0, 2, n)))
    np.testing.assert_allclose(rows[:, 2], CENTER[1] + np.interp(at, times, np.linspace(0, -4, n)))


def test_movies_are_mapped_and_not_read(session):
    n = 400
    save(session.folder / "derotated.tif", np.zeros((n, 128, 128), np.uint16))  # 13 MB
    read_session(session.folder)
    tracemalloc.start()
    layers = read_session(session.folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6
    assert isinstance(layers[0][0], np.memmap)


def test_what_is_unknown_is_counted_in_pixels_and_frames(session):
    save(session.folder / "derotated.tif", session.derotated)
    _, keywords, _ = read_session(session.folder)[0]
    assert keywords["scale"] == (1, 1, 1)
    assert keywords["units"] == ("pixel", "pixel", "pixel")


def test_other_files_are_left_to_others(session, tmp_path):
    for path in (tmp_path, tmp_path / "raw.tif", "nothing", [str(session.folder)] * 2):
        assert get_reader(path) is None
    save(tmp_path / "alone/derotated.tif", session.raw)
    assert get_reader(tmp_path / "alone/derotated.tif") is None
    with pytest.raises(FileNotFoundError, match=r"there is no derotated\.tif"):
        read_session(tmp_path)


def test_the_manifest_names_what_exists():
    manifest = yaml.safe_load((Path(derotation.__file__).parent / "napari.yaml").read_text())
    (command,) = manifest["contributions"]["commands"]
    module, name = command["python_name"].split(":")
    assert getattr(importlib.import_module(module), name) is get_reader
    (reader,) = manifest["contributions"]["readers"]
    assert reader["command"] == command["id"]
    assert command["id"].startswith(f"{manifest['name']}.")
