"""Two channels in one pass, against the truth and against each of them alone."""

import numpy as np
import pytest
import tifffile

from derotation.calibration import Calibration
from derotation.errors import MovieError
from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels
from derotation.plots.movie import plot_channels
from derotation.simulate import simulate_recording
from derotation.streaming.channels import FurtherChannel
from derotation.streaming.single_pass import derotate_movie
from unit.sessions import disc, true_angles, true_timing

SHAPE = (64, 80)
HOW = {
    "shape": SHAPE,
    "stimulus": ((200.0, 1), (200.0, -1)),
    "center_offset": (2.0, -1.0),
    "photons_per_pixel": 40.0,
    "rest_between_s": 1.0,
}


@pytest.fixture(scope="module")
def recordings():
    """Cells that are active, and markers that are not, beside another offset; turned alike."""
    return (
        simulate_recording(**HOW, n_cells=15, calcium=True),
        simulate_recording(**HOW, n_cells=6, calcium=False, scene_seed=7, seed=5, pmt_offset=60.0),
    )


@pytest.fixture
def movie_file(recordings, tmp_path):
    path = tmp_path / "movie.tif"
    both = np.stack([recording.movie for recording in recordings], axis=1)
    tifffile.imwrite(path, both, photometric="minisblack", metadata={"axes": "TCYX"})
    return path


def derotate(path, recording, folder, channel=1, others=(), **arguments):
    calibration = Calibration(center=recording.center, image_shape=SHAPE, method="fixed")
    with open_movie(path, channel=channel) as movie:
        return derotate_movie(
            movie,
            true_angles(recording),
            calibration,
            folder / f"ch{channel}.tif",
            timing=true_timing(recording),
            further=[
                FurtherChannel(movie.part(channel=n), folder / f"further{n}.tif") for n in others
            ],
            **arguments,
        )


def test_both_stand_still(recordings, movie_file, tmp_path):
    result = derotate(movie_file, recordings[0], tmp_path, others=[2])
    assert (result.channel, list(result.further_means)) == (1, [2])
    for recording, name in zip(recordings, ("ch1", "further2"), strict=True):
        movie = tifffile.imread(tmp_path / f"{name}.tif")
        rest = recording.rest_image
        inside = disc(SHAPE, recording.center, 28)
        turned = np.flatnonzero(np.abs(recording.line_angles).min(axis=1) > 10)

        def alike(frames, turned=turned, inside=inside, rest=rest):
            return [np.corrcoef(frames[f][inside], rest[inside])[0, 1] for f in turned]

        assert min(alike(movie)) > 0.85
        assert np.median(alike(recording.movie)) < 0.5
    # The markers do not glow up: their mean is the scene itself.
    static = recordings[1].rest_image
    assert np.corrcoef(result.further_means[2][inside], static[inside])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("config", "first", "lit"),
    [
        ({}, 1, False),
        ({}, 2, True),
        ({"interpolation": "nearest", "mask_diameter": 50}, 2, False),
        ({"dtype": "float32"}, 1, True),
    ],
)
def test_each_is_as_alone_bit_for_bit(recordings, movie_file, tmp_path, config, first, lit):
    second = 3 - first
    how = {"config": config}
    if lit:
        how["gain"] = np.linspace(0.8, 1.2, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    seen = tmp_path / "seen.npz"
    both = derotate(
        movie_file, recordings[0], tmp_path, first, [second], seen_output=seen,
        frames_per_chunk=7, threads=2, offset=80.0, **how,
    )  # fmt: skip
    together = tifffile.imread(tmp_path / f"ch{first}.tif")
    further = tifffile.imread(tmp_path / f"further{second}.tif")
    alone = derotate(movie_file, recordings[0], tmp_path, first, offset=80.0, **how)
    np.testing.assert_array_equal(together, tifffile.imread(tmp_path / f"ch{first}.tif"))
    np.testing.assert_allclose(both.mean, alone.mean, rtol=1e-6)
    with open_movie(movie_file, channel=second) as movie:
        # The level without light is each channel's own.
        dark = estimate_pmt_offset(movie)
    other = derotate(movie_file, recordings[0], tmp_path, second, offset=dark, **how)
    expected = tifffile.imread(tmp_path / f"ch{second}.tif")
    np.testing.assert_array_equal(further, expected)
    # The slow twin: the whole movie at once.
    with SeenPixels(seen) as pixels:
        known = pixels.read(0, len(expected))
    mean = np.ma.array(expected, mask=~known).mean(axis=0, dtype=float).filled(other.blank)
    np.testing.assert_allclose(both.further_means[second], mean, rtol=1e-5)


def test_chunks_of_all_channels_together_are_as_large_as_of_one(
    recordings, movie_file, tmp_path, monkeypatch
):
    from derotation.io.movie import Movie
    from derotation.streaming import single_pass

    asked = []
    chunks = Movie.chunks
    monkeypatch.setattr(
        Movie, "chunks", lambda movie, size: asked.append(size) or chunks(movie, size)
    )
    monkeypatch.setattr(single_pass, "CHUNK_BYTES", 12 * SHAPE[0] * SHAPE[1] * 2)
    derotate(movie_file, recordings[0], tmp_path)
    derotate(movie_file, recordings[0], tmp_path, others=[2])
    assert asked == [12, 6, 6]


def test_what_one_channel_alone_did_not_record_is_said(recordings, tmp_path, caplog):
    both = np.stack([recording.movie for recording in recordings], axis=1).astype(np.float32)
    both[:, 1, 20:24, 30:33] = np.nan
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, both, photometric="minisblack", metadata={"axes": "TCYX"})
    derotate(path, recordings[0], tmp_path, others=[2])
    assert "Channel 2 was not recorded (NaN) in" in caplog.text
    derotate(path, recordings[0], tmp_path, 2)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "further2.tif"), tifffile.imread(tmp_path / "ch2.tif")
    )
    # The other way round all is known.
    caplog.clear()
    derotate(path, recordings[0], tmp_path, 2, others=[1])
    assert "was not recorded" not in caplog.text


def test_channels_of_other_recordings_are_refused(recordings, movie_file, tmp_path):
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, recordings[1].movie[:-1], photometric="minisblack")
    calibration = Calibration(center=recordings[0].center, image_shape=SHAPE, method="fixed")
    with (
        open_movie(movie_file, channel=1) as movie,
        open_movie(other) as short,
        pytest.raises(MovieError, match=r"other\.tif, channel 1: .* but channel 1 has"),
    ):
        derotate_movie(
            movie, true_angles(recordings[0]), calibration, tmp_path / "out.tif",
            further=[FurtherChannel(short, None)],
        )  # fmt: skip
    assert not (tmp_path / "out.tif").exists()


def test_plot(recordings, movie_file, tmp_path):
    result = derotate(movie_file, recordings[0], tmp_path, 2, others=[1])
    figure = plot_channels(result)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [
        "channel 2 (calibrates): mean, derotated",
        "channel 1: mean, derotated",
    ]
    figure.savefig(tmp_path / "channels.png")
