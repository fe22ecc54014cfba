import dataclasses

import numpy as np
import pytest
import tifffile
from matplotlib.figure import Figure

from derotation.calibration import Calibration
from derotation.errors import InputError, MovieError
from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels
from derotation.plots.movie import plot_before_after, plot_contact_sheet, plot_coverage
from derotation.simulate import simulate_recording
from derotation.streaming.single_pass import _frames_at_once, derotate_movie
from unit.sessions import disc, save_movie, true_angles, true_timing


@pytest.fixture(scope="module")
def recording():
    """Bright enough that photon noise hides nothing."""
    return simulate_recording(
        shape=(64, 80),
        stimulus=((200.0, 1), (200.0, -1)),
        center_offset=(2.0, -1.0),
        n_cells=15,
        calcium=False,
        photons_per_pixel=40.0,
        rest_between_s=1.0,
    )


def calibrate(recording):
    return Calibration(center=recording.center, image_shape=(64, 80), method="fixed")


def derotate(recording, folder, output="derotated.tif", **arguments):
    with open_movie(save_movie(recording, folder)) as movie:
        return derotate_movie(
            movie,
            true_angles(recording),
            calibrate(recording),
            output and folder / output,
            timing=true_timing(recording),
            **arguments,
        )


def test_movie_stands_still(recording, tmp_path):
    result = derotate(recording, tmp_path)
    movie = tifffile.imread(tmp_path / "derotated.tif")
    assert movie.shape == recording.movie.shape
    assert movie.dtype == np.uint16
    angles = recording.line_angles
    at_rest = np.all(angles == 0, axis=1)
    np.testing.assert_array_equal(movie[at_rest], recording.movie[at_rest])

    rest = recording.rest_image
    inside = disc(rest.shape, recording.center, 28)
    turning = ~at_rest & (np.abs(angles).min(axis=1) > 10)

    def likeness(image):
        return np.corrcoef(image[inside], rest[inside])[0, 1]

    assert likeness(result.turned_mean) > 0.99
    assert likeness(result.raw_turned_mean) < 0.9
    for frame in np.flatnonzero(turning):
        assert likeness(movie[frame]) > 0.9


def test_sums_are_those_of_the_movie(recording, tmp_path):
    result = derotate(recording, tmp_path, config={"blank": 0})
    movie = tifffile.imread(tmp_path / "derotated.tif")
    # A sample of 0 counts does not occur: the offset is 100.
    seen = movie > 0
    np.testing.assert_allclose(result.coverage, seen.mean(axis=(1, 2)))
    np.testing.assert_allclose(result.seen, seen.mean(axis=0), atol=1e-6)
    expected = movie.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    np.testing.assert_allclose(result.mean, expected, rtol=1e-5)
    np.testing.assert_allclose(result.raw_mean, recording.movie.mean(axis=0), rtol=1e-5)
    assert not result.blank_estimated


def test_chunks_and_threads_change_nothing(recording, tmp_path):
    whole = derotate(recording, tmp_path, "a.tif")
    parts = derotate(recording, tmp_path, "b.tif", frames_per_chunk=7, threads=2)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "a.tif"), tifffile.imread(tmp_path / "b.tif")
    )
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-6)
    np.testing.assert_array_equal(whole.derotated_examples, parts.derotated_examples)


def test_mask_is_a_disc_about_the_center(recording, tmp_path):
    result = derotate(recording, tmp_path, config={"mask_diameter": 50, "blank": 7})
    movie = tifffile.imread(tmp_path / "derotated.tif")
    outside = ~disc(movie.shape[1:], recording.center, 25.001)
    assert (movie[:, outside] == 7).all()
    assert (movie[:, ~outside] != 7).all()
    np.testing.assert_array_equal(result.coverage, 1)


def test_type_and_blank_as_asked(recording, tmp_path):
    derotate(recording, tmp_path, config={"dtype": "float32", "blank": -5.5})
    movie = tifffile.imread(tmp_path / "derotated.tif")
    assert movie.dtype == np.float32
    assert movie.min() == -5.5


@pytest.mark.parametrize("settings", [{}, {"mask_diameter": 40}, {"interpolation": "nearest"}])
def test_what_was_seen_is_written(recording, tmp_path, settings):
    # A sample of 0 counts does not occur: the offset is 100.
    derotate(recording, tmp_path, config={"blank": 0, **settings}, seen_output=tmp_path / "s.npz")
    with SeenPixels(tmp_path / "s.npz") as written:
        seen = written.read(0, len(recording.movie))
    np.testing.assert_array_equal(seen, tifffile.imread(tmp_path / "derotated.tif") > 0)


def test_samples_that_are_no_number_are_not_seen(recording, tmp_path):
    movie = recording.movie.astype(np.float32)
    movie[:, 20:24, 30:33] = np.nan
    broken = dataclasses.replace(recording, movie=movie)
    derotate(broken, tmp_path, config={"blank": 0}, seen_output=tmp_path / "s.npz")
    with SeenPixels(tmp_path / "s.npz") as written:
        seen = written.read(0, len(movie))
    derotated = tifffile.imread(tmp_path / "derotated.tif")
    np.testing.assert_array_equal(seen, np.nan_to_num(derotated) > 0)
    # Integers know no NaN: such samples become blank, at rest as well.
    derotate(broken, tmp_path, "whole.tif", config={"blank": 3, "dtype": "uint16"})
    whole = tifffile.imread(tmp_path / "whole.tif")
    np.testing.assert_array_equal(whole == 3, ~seen)


def test_unusable_lines_stay_blank(recording, tmp_path):
    angles = true_angles(recording)
    lines = angles.line_angles.copy()
    lines[30] = np.nan
    broken = dataclasses.replace(angles, line_angles=lines)
    with open_movie(save_movie(recording, tmp_path)) as movie:
        result = derotate_movie(movie, broken, calibrate(recording), None, config={"blank": 3})
    assert result.coverage[30] == 0


def test_nothing_is_left_after_an_error(recording, tmp_path):
    with pytest.raises(InputError, match="-1 does not fit uint16"):
        derotate(recording, tmp_path, config={"blank": -1})
    assert [path.name for path in tmp_path.iterdir()] == ["movie.tif"]


@pytest.mark.parametrize("center", [(-40.0, 20.0), (20.0, 200.0)])
def test_a_mask_beside_the_picture_is_refused(recording, tmp_path, center):
    calibration = calibrate(recording).replace(center=center)
    with (
        open_movie(save_movie(recording, tmp_path)) as movie,
        pytest.raises(InputError, match=r"derotate\.mask_diameter is 30, but no pixel"),
    ):
        derotate_movie(
            movie,
            true_angles(recording),
            calibration,
            tmp_path / "derotated.tif",
            config={"mask_diameter": 30},
        )
    assert [path.name for path in tmp_path.iterdir()] == ["movie.tif"]


def test_what_does_not_belong_together_is_refused(recording, tmp_path):
    angles = true_angles(recording)
    short = dataclasses.replace(angles, line_angles=angles.line_angles[:-1])
    with open_movie(save_movie(recording, tmp_path)) as movie:
        with pytest.raises(MovieError, match="but there are angles for"):
            derotate_movie(movie, short, calibrate(recording), None)
        other = calibrate(recording).replace(image_shape=(64, 64))
        with pytest.raises(InputError, match="made from frames of 64 x 64"):
            derotate_movie(movie, angles, other, None)


def test_plots(recording, tmp_path):
    result = derotate(recording, tmp_path, None)
    angles = true_angles(recording)
    plot_before_after(result, calibrate(recording)).savefig(tmp_path / "a.png")
    plot_contact_sheet(result, angles).savefig(tmp_path / "b.png")
    figure = Figure()
    axis = figure.subplots()
    plot_coverage(result, angles, axis)
    (line,) = axis.lines
    np.testing.assert_allclose(line.get_ydata(), 100 * result.coverage)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_offset_from_dark_pixels(tmp_path, dtype, offset):
    """Within a quarter of a photon of what the simulated detector gives in the dark."""
    recording = simulate_recording(
        shape=(64, 64), stimulus=((200.0, 1),), pmt_offset=offset, dtype=dtype,
        photons_per_pixel=5.0, gain=20.0,
    )  # fmt: skip
    with open_movie(save_movie(recording, tmp_path)) as movie:
        assert estimate_pmt_offset(movie) == pytest.approx(offset, abs=5)


def test_movement_moves_the_movie_in_the_same_resampling(recording, tmp_path):
    # A quarter turn and whole pixels: what comes out is known without any interpolation.
    still = derotate(recording, tmp_path, config={"blank": 0})
    turned = derotate(
        recording,
        tmp_path,
        "moved.tif",
        config={"blank": 0},
        movement=np.array([[0.0, -1.0, 70.0], [1.0, 0.0, -5.0], [0.0, 0.0, 1.0]]),
    )
    movie, moved = (tifffile.imread(tmp_path / f"{n}.tif") for n in ("derotated", "moved"))
    y, x = np.mgrid[20:40, 30:50]
    for frame in range(0, len(movie), 7):
        # A sample at (x, y) goes to (70 - y, x - 5).
        here, there = movie[frame, y, x], moved[frame, x - 5, 70 - y]
        known = (here > 0) & (there > 0)
        np.testing.assert_allclose(here[known], there[known].astype(float), atol=1)
    assert turned.coverage.mean() < still.coverage.mean()


def test_gain_makes_up_for_uneven_light(recording, tmp_path):
    rows = np.linspace(0.5, 1.0, recording.movie.shape[1])[:, None]
    light = np.broadcast_to(rows, recording.movie.shape[1:])
    dimmed = dataclasses.replace(
        recording, movie=np.round(100 + (recording.movie - 100.0) * light).astype(np.uint16)
    )
    true = derotate(recording, tmp_path)
    derotate(dimmed, tmp_path, "mended.tif", gain=(1 / light).astype(np.float32), offset=100.0)
    expected, mended = (
        tifffile.imread(tmp_path / f"{name}.tif").astype(float) for name in ("derotated", "mended")
    )
    both = (expected != true.blank) & (mended != true.blank)
    # Half a count of rounding, doubled by the largest gain, and once more at the end.
    assert np.abs(expected - mended)[both].max() <= 2


def test_gain_of_another_size_is_refused(recording, tmp_path):
    with pytest.raises(InputError, match=r"gain has the shape \(3, 3\)"):
        derotate(recording, tmp_path, gain=np.ones((3, 3), np.float32))


@pytest.mark.parametrize(
    ("frame_bytes", "threads", "frames"),
    [(512 * 512 * 2, 2, 7), (2048 * 2048 * 2, 4, 1), (1024 * 1024 * 2, 64, 7), (8192, 64, 488)],
)
def test_memory_of_a_chunk_does_not_grow_with_the_number_of_threads(frame_bytes, threads, frames):
    assert _frames_at_once(frame_bytes, threads) == frames
