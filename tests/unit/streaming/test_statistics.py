"""What is collected while a movie passes by, against NumPy on the whole movie."""

import dataclasses

import numpy as np
import pytest
import tifffile

from derotation.calibration import Calibration
from derotation.errors import InputError
from derotation.images.offset import lit_frames
from derotation.io.movie import open_movie
from derotation.signals.segments import Segments
from derotation.simulate import simulate_recording
from derotation.streaming import collector
from derotation.streaming.single_pass import derotate_movie
from derotation.streaming.statistics import Statistics
from unit.sessions import save_movie, true_angles, true_timing

OFFSET = 100.0


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(
        shape=(48, 64),
        stimulus=((200.0, 1), (100.0, -1)),
        center_offset=(2.0, -1.0),
        n_cells=15,
        photons_per_pixel=20.0,
        pmt_offset=OFFSET,
        rest_between_s=1.0,
        seed=3,
    )


def derotate(recording, folder, angles=None, **arguments):
    """Derotate into a float movie, whose blank pixels no sample has; returns result and movie."""
    arguments["config"] = {"dtype": "float32", "blank": -1.0} | arguments.pop("config", {})
    with open_movie(save_movie(recording, folder)) as movie:
        result = derotate_movie(
            movie,
            angles or true_angles(recording),
            Calibration(center=recording.center, image_shape=(48, 64), method="fixed"),
            folder / "derotated.tif",
            timing=true_timing(recording),
            **arguments,
        )
    return result.statistics, tifffile.imread(folder / "derotated.tif")


def test_frames_are_compared_as_numpy_would(recording, tmp_path):
    found, movie = derotate(recording, tmp_path, frames_per_chunk=7, threads=2)
    raw = recording.movie.astype(float)
    at_rest = np.flatnonzero(np.all(recording.line_angles % 360 == 0, axis=1))
    assert found.n_rest == len(at_rest)
    rest = raw[at_rest].mean(axis=0)
    np.testing.assert_allclose(found.rest, rest, rtol=1e-5)
    for k, frame in enumerate(movie):
        seen = frame != -1
        # No frame is compared with itself.
        others = raw[at_rest[at_rest != k]].mean(axis=0)
        expected = np.corrcoef(frame[seen], others[seen])[0, 1]
        assert found.correlation[k] == pytest.approx(expected, abs=1e-5)
        assert found.raw_correlation[k] == pytest.approx(
            np.corrcoef(raw[k].ravel(), others.ravel())[0, 1], abs=1e-6
        )
        assert found.coverage[k] == pytest.approx(seen.mean())
    above = np.where(movie != -1, movie, np.nan) - found.offset
    expected = np.nansum(above, axis=(1, 2)) / np.sum(
        np.where(movie != -1, rest - found.offset, 0), axis=(1, 2)
    )
    np.testing.assert_allclose(found.brightness, expected, rtol=1e-5)


def test_mean_images_by_angle(recording, tmp_path):
    found, movie = derotate(recording, tmp_path)
    lines = recording.line_angles
    turned = np.any(lines % 360 != 0, axis=1)
    nearest = np.round(lines[:, lines.shape[1] // 2] % 360 / 15) % 24 * 15
    assert sorted(found.angle) == sorted(set(nearest[turned]))
    assert found.n_frames.sum() == turned.sum()
    for angle, mean, raw_mean, seen in zip(
        found.angle, found.mean, found.raw_mean, found.seen, strict=True
    ):
        own = turned & (nearest == angle)
        frames = np.where(movie[own] != -1, movie[own], np.nan)
        known = np.isfinite(frames)
        np.testing.assert_array_equal(np.isnan(mean), ~known.any(axis=0))
        expected = np.nansum(frames, axis=0) / np.maximum(known.sum(axis=0), 1)
        np.testing.assert_allclose(np.nan_to_num(mean), expected, rtol=1e-5)
        np.testing.assert_allclose(raw_mean, recording.movie[own].mean(axis=0), rtol=1e-5)
        np.testing.assert_array_equal(seen, known.sum(axis=0) >= max(own.sum() / 2, 1))
    np.testing.assert_allclose(
        found.raw_turned_mean, recording.movie[turned].mean(axis=0), rtol=1e-5
    )


@pytest.mark.parametrize(("size", "side"), [(24, 2), (15, 3), (9, 5)])
def test_mean_images_of_large_frames_are_of_squares(recording, tmp_path, monkeypatch, size, side):
    whole, _ = derotate(recording, tmp_path)
    monkeypatch.setattr(collector, "MEAN_SIZE", size)
    found, _ = derotate(recording, tmp_path)
    assert (whole.side, found.side) == (1, side)
    height, width = (n // side for n in whole.mean.shape[1:])
    squares = (slice(None), slice(height * side), slice(width * side))
    blocks = (-1, height, side, width, side)
    for name in ("mean", "raw_mean"):
        expected = getattr(whole, name)[squares].reshape(blocks).mean(axis=(2, 4))
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-5)
    seen = whole.seen[squares].reshape(blocks).all(axis=(2, 4))
    np.testing.assert_array_equal(found.seen, seen)
    assert not found.seen.all()
    np.testing.assert_array_equal(found.turned_mean, whole.turned_mean)


def test_frames_kept_are_turned_and_of_both_directions(recording, tmp_path):
    found, _ = derotate(recording, tmp_path)
    np.testing.assert_array_equal(found.kept_frames, recording.movie[found.kept])
    moved = recording.line_angles[found.kept, -1] - recording.line_angles[found.kept, 0]
    assert len(found.kept) > 8
    assert min(np.count_nonzero(moved > 0), np.count_nonzero(moved < 0)) >= 4
    assert np.all(np.diff(found.kept) > 0)


def test_dark_frames_are_no_part_of_the_rest(recording, tmp_path):
    """The laser is off for the second half of the session."""
    movie = recording.movie.copy()
    half = len(movie) // 2
    movie[half:] = np.random.default_rng(0).normal(OFFSET, 5, movie[half:].shape).astype(np.uint16)
    dark = dataclasses.replace(recording, movie=movie)
    found, _ = derotate(dark, tmp_path)
    lit, _ = derotate(recording, tmp_path)
    at_rest = np.all(recording.line_angles % 360 == 0, axis=1)
    np.testing.assert_allclose(found.rest, movie[:half][at_rest[:half]].mean(axis=0), rtol=1e-5)
    assert not found.lit[half:].any()
    assert found.lit[:half].all()
    assert np.abs(found.brightness[half:]).max() < 0.1
    assert lit.lit.all()


def test_unusable_frames_have_no_figures(recording, tmp_path):
    angles = true_angles(recording)
    lines, usable = angles.line_angles.copy(), angles.line_usable.copy()
    lines[30], usable[30] = np.nan, False
    broken = dataclasses.replace(angles, line_angles=lines, line_usable=usable)
    found, _ = derotate(recording, tmp_path, broken)
    whole, _ = derotate(recording, tmp_path)
    assert found.coverage[30] == 0
    assert np.isnan([found.correlation[30], found.brightness[30]]).all()
    assert not found.lit[30]
    assert found.n_frames.sum() == whole.n_frames.sum() - 1
    others = np.arange(len(lines)) != 30
    np.testing.assert_allclose(found.coverage[others], whole.coverage[others])


def test_aligned_session_is_compared_where_it_is_drawn(recording, tmp_path):
    """A reference that sees the sample 6 px further right: so must the picture at rest."""
    shift = [[1, 0, 6], [0, 1, 0], [0, 0, 1]]
    found, _ = derotate(recording, tmp_path, movement=shift)
    still, _ = derotate(recording, tmp_path)
    np.testing.assert_allclose(found.rest[:, 6:], still.rest[:, :-6], rtol=1e-4)
    assert np.isnan(found.rest[:, :5]).all()
    turning = np.abs(recording.line_angles).min(axis=1) > 10
    assert np.nanmedian(found.correlation[turning]) == pytest.approx(
        np.nanmedian(still.correlation[turning]), abs=0.03
    )


def test_without_rest_at_angle_0_derotated_frames_are_compared(recording, tmp_path):
    angles = true_angles(recording)
    turned = dataclasses.replace(angles, line_angles=angles.line_angles + 30.0)
    found, _ = derotate(recording, tmp_path, turned)
    assert found.n_rest >= 3
    assert np.nanmedian(found.correlation) > 0.7


def test_without_angles_nothing_is_compared(recording, tmp_path):
    angles = true_angles(recording)
    unknown = dataclasses.replace(
        angles,
        line_angles=np.full_like(angles.line_angles, np.nan),
        line_usable=np.zeros_like(angles.line_usable),
    )
    found, _ = derotate(recording, tmp_path, unknown)
    assert found.n_rest == 0
    assert np.isnan(found.correlation).all()
    assert np.isnan(found.rest).all()


def test_saved_and_loaded(recording, tmp_path):
    found, _ = derotate(recording, tmp_path)
    found.save(tmp_path / "statistics.npz")
    loaded = Statistics.load(tmp_path / "statistics.npz")
    of_frames = Statistics.load_of_frames(tmp_path / "statistics.npz")
    np.testing.assert_array_equal(of_frames.coverage, loaded.coverage)
    np.testing.assert_array_equal(of_frames.brightness, loaded.brightness)
    np.testing.assert_array_equal(of_frames.lit, loaded.lit)
    for item in dataclasses.fields(Statistics):
        np.testing.assert_array_equal(getattr(loaded, item.name), getattr(found, item.name))
    np.savez(tmp_path / "other.npz", kind="other")
    with pytest.raises(InputError, match="holds no derotation statistics"):
        Statistics.load(tmp_path / "other.npz")
    with pytest.raises(InputError):
        Statistics.load_of_frames(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept_frames": None}, "lacks kept_frames"),
        ({"rest": np.zeros(3)}, "rest has shape"),
        ({"phase_px": np.zeros(9)}, "phase_sd_px has shape"),
        ({"offset": np.float64(np.nan)}, "offset holds values that are no finite numbers"),
    ],
)
def test_damaged_files_are_named(recording, tmp_path, change, message):
    derotate(recording, tmp_path)[0].save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:
        values = {**file, **change}
    np.savez(tmp_path / "s.npz", **{k: v for k, v in values.items() if v is not None})
    with pytest.raises(InputError, match=message):
        Statistics.load(tmp_path / "s.npz")


def test_lit_frames():
    np.testing.assert_array_equal(
        lit_frames(np.array([1.0, 0.9, 0.02, np.nan, 0.5])), [True, True, False, False, True]
    )
    assert not lit_frames(np.full(3, np.nan)).any()


@pytest.mark.parametrize("side", [1, 3])
def test_segments_are_averaged_as_numpy_would(recording, tmp_path, monkeypatch, side):
    monkeypatch.setattr("derotation.streaming.collector.SEGMENT_SIZE", 48 // side)
    found, movie = derotate(recording, tmp_path, frames_per_chunk=7, threads=2)
    segments = Segments.of(true_angles(recording))
    height, width = 48 // side, 64 // side
    assert found.segment_mean.shape == (len(segments), height, width)
    for k in range(len(segments)):
        frames = movie[segments.frames(k)][:, : height * side, : width * side].astype(float)
        squares = np.where(frames == -1, np.nan, frames)
        squares = squares.reshape(len(frames), height, side, width, side).swapaxes(2, 3)
        seen = np.isfinite(squares).sum(axis=(0, 3, 4))
        mean = np.nansum(squares, axis=(0, 3, 4)) / np.maximum(seen, 1)
        expected = np.where(2 * seen >= len(frames) * side**2, mean, np.nan)
        np.testing.assert_allclose(found.segment_mean[k], expected, rtol=1e-5)


def test_kept_frames_are_of_all_rotations(recording, tmp_path):
    found, _ = derotate(recording, tmp_path)
    segments = Segments.of(true_angles(recording))
    kept = np.bincount(segments.of_frame[found.kept], minlength=len(segments))
    assert (kept[~segments.rest] >= 5).all()
    assert not kept[segments.rest].any()
    np.testing.assert_array_equal(found.kept_frames, recording.movie[found.kept])


def test_the_highest_value_is_counted(recording, tmp_path):
    plain, _ = derotate(recording, tmp_path)
    assert plain.highest == recording.movie.max()
    assert plain.at_highest < 1e-4
    limit = int(np.quantile(recording.movie, 0.97))
    saturated = dataclasses.replace(recording, movie=np.minimum(recording.movie, limit))
    found, _ = derotate(saturated, tmp_path, frames_per_chunk=7)
    at_limit = saturated.movie == limit
    assert found.highest == limit
    assert found.at_highest == pytest.approx(at_limit.mean())
    often = at_limit.mean(axis=0) >= 0.1
    assert found.often_highest == pytest.approx(often.mean())


def test_bleached_frames_are_lit_and_those_without_light_are_not():
    rng = np.random.default_rng(0)
    n = 300
    fading = np.exp(-np.linspace(0, 2.3, n)) * rng.normal(1, 0.03, n)
    assert lit_frames(fading).all()
    assert lit_frames(fading[::-1]).all()
    off = fading.copy()
    off[200:] = rng.normal(0, 0.01, 100)
    assert lit_frames(off).tolist() == [True] * 200 + [False] * 100
    shut = np.ones(n)
    shut[100:150] = 0.2
    np.testing.assert_array_equal(lit_frames(shut), shut == 1)
