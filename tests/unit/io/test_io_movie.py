import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derotation.errors import InputError, MovieError
from derotation.io.movie import open_movie, recording_metadata
from derotation.io.tiff_writer import TiffStackWriter

HEADER = """SI.VERSION_MAJOR = '2016'
SI.hChannels.channelSave = {channels}
SI.hFastZ.enable = {fast}
SI.hFastZ.numFramesPerVolume = {per_volume}
SI.hFastZ.discardFlybackFrames = true
SI.hFastZ.numDiscardFlybackFrames = {discarded}
SI.hFastZ.numVolumes = {volumes}
SI.hRoiManager.linesPerFrame = 6
SI.hRoiManager.pixelsPerLine = 4
SI.hRoiManager.scanFrameRate = 30
SI.hScan2D.bidirectional = true
SI.hScan2D.fillFractionTemporal = 0.7
SI.hStackManager.framesPerSlice = {frames}
SI.hStackManager.numSlices = {slices}
"""


def header(
    channels="1", fast=0, per_volume="[]", discarded=0, volumes=1, frames="Inf", slices=1
) -> str:
    return HEADER.format(
        channels=channels,
        fast=fast,
        per_volume=per_volume,
        discarded=discarded,
        volumes=volumes,
        frames=frames,
        slices=slices,
    )


def frame_texts(n_frames: int, n_channels: int = 1, first: int = 1) -> list[str]:
    return [f"frameNumbers = {first + i // n_channels}\n" for i in range(n_frames * n_channels)]


def movie_data(n=12, height=6, width=4, dtype="u2") -> np.ndarray:
    """Frames that differ in every pixel, so that none is taken for another."""
    return np.arange(n * height * width, dtype=dtype).reshape(n, height, width)


def everything(movie, frames_per_chunk=None) -> np.ndarray:
    starts, blocks = zip(*movie.chunks(frames_per_chunk), strict=True)
    assert list(starts) == np.cumsum([0, *(len(block) for block in blocks)])[:-1].tolist()
    return np.concatenate(blocks)


# ------------------------------------------------------------------ kinds of files


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "i4", "u4", "f8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pixel_types(tmp_path, dtype, byteorder):
    data = movie_data(dtype=dtype) if dtype != "u1" else movie_data(5, 6, 4, "u1")
    tifffile.imwrite(tmp_path / "m.tif", data, byteorder=byteorder, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        assert movie.shape == data.shape
        assert movie.dtype == np.dtype(dtype)
        assert movie.dtype.isnative
        block = everything(movie)
        assert block.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(block, data)


OPTIONS = {
    "plain": {},
    "no description": {"metadata": None},
    "bigtiff": {"bigtiff": True},
    "strips": {"rowsperstrip": 2},
    "one directory": {"truncate": True},
    "tiles": {"tile": (16, 16)},
    "deflate": {"compression": "zlib"},
    "deflate in strips": {"compression": "zlib", "rowsperstrip": 2},
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "imagej, one directory": {"imagej": True, "truncate": True, "metadata": {"axes": "TYX"}},
    "imagej, as it comes": {"imagej": True},
    "imagej, slices": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "TYX"}},
    "ome, as it comes": {"ome": True},
    "ome, bigtiff": {"ome": True, "bigtiff": True, "metadata": {"axes": "TYX"}},
    "slices": {"metadata": {"axes": "ZYX"}},
    "unnamed axis": {"metadata": {"axes": "QYX"}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_kinds_of_files(tmp_path, options):
    data = movie_data()
    tifffile.imwrite(tmp_path / "m.tif", data, photometric="minisblack", **options)
    with open_movie(tmp_path / "m.tif") as movie:
        assert movie.shape == (12, 6, 4)
        assert movie.n_planes == 1
        assert movie.n_clock_frames == 12
        np.testing.assert_array_equal(movie.clock_index, np.arange(12))
        np.testing.assert_array_equal(everything(movie), data)
        np.testing.assert_array_equal(everything(movie, 5), data)
        np.testing.assert_array_equal(movie.read([7, 0, 7]), data[[7, 0, 7]])


def test_pages_written_one_by_one(write_pages):
    data = movie_data()
    path = write_pages("m.tif", data, rowsperstrip=2)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie, 5), data)
    # Each page described as a movie of its own.
    with tifffile.TiffWriter(path) as writer:
        for frame in data:
            writer.write(frame, contiguous=False)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    frames=st.lists(st.integers(0, 11), max_size=15),
    kind=st.sampled_from(["contiguous", "single", "deflate", "swapped"]),
)
def test_read_agrees_with_indexing(tmp_path, frames, kind):
    data = movie_data()
    path = tmp_path / f"{kind}.tif"
    if not path.exists():
        with tifffile.TiffWriter(path, byteorder=">" if kind == "swapped" else None) as writer:
            if kind in ("contiguous", "swapped"):
                writer.write(data, photometric="minisblack")
            else:
                for frame in data:
                    compression = "zlib" if kind == "deflate" else None
                    writer.write(frame, contiguous=False, metadata=None, compression=compression)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(frames), data[frames])


def test_read_slices_single_frames_and_what_is_not_there(tmp_path):
    data = movie_data()
    tifffile.imwrite(tmp_path / "m.tif", data, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        np.testing.assert_array_equal(movie.read(slice(2, None, 3)), data[2::3])
        np.testing.assert_array_equal(movie.read(4), data[4:5])
        assert movie.read([]).shape == (0, 6, 4)
        with pytest.raises(InputError, match=r"frame 12 of .*m\.tif .* frames 0 to 11"):
            movie.read([3, 12])
        with pytest.raises(InputError, match="frame -1"):
            movie.read(-1)
        with pytest.raises(InputError, match="whole numbers"):
            movie.read([0.5])
        with pytest.raises(InputError, match="frames_per_chunk is 0"):
            next(movie.chunks(0))
        assert "shape=(12, 6, 4)" in repr(movie)
    with pytest.raises(MovieError, match="has been closed"):
        movie.read(0)


def test_blocks_are_new_arrays(tmp_path):
    data = movie_data()
    tifffile.imwrite(tmp_path / "m.tif", data, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        blocks = [block for _, block in movie.chunks(4)]
    np.testing.assert_array_equal(np.concatenate(blocks), data)
    assert all(block.flags.writeable for block in blocks)


def test_previews_are_left_out_and_noted(tmp_path):
    data = movie_data()
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        for frame in data:
            writer.write(frame, contiguous=False, metadata=None)
            writer.write(frame[::2, ::2], contiguous=False, metadata=None, subfiletype=1)
    with open_movie(tmp_path / "m.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert any("12 reduced pages" in note for note in movie.notes)


# ------------------------------------------------------------------ channels and planes


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
@pytest.mark.parametrize(("channel", "plane"), [(1, 1), (2, 1), (1, 3), (2, 2)])
def test_hyperstack(tmp_path, kind, channel, plane):
    data = movie_data(5 * 3 * 2).reshape(5, 3, 2, 6, 4)
    options = {} if kind == "plain" else {kind: True}
    tifffile.imwrite(
        tmp_path / "m.tif",
        data,
        photometric="minisblack",
        metadata={"axes": "TZCYX"},
        **options,
    )
    with open_movie(tmp_path / "m.tif", channel=channel, plane=plane) as movie:
        assert (movie.channel, movie.plane, movie.n_planes) == (channel, plane, 3)
        assert movie.metadata.source == kind
        assert movie.metadata.channels_saved == (1, 2)
        assert movie.n_clock_frames == 15
        np.testing.assert_array_equal(movie.clock_index, np.arange(5) * 3 + plane - 1)
        np.testing.assert_array_equal(everything(movie, 2), data[:, plane - 1, channel - 1])
        assert movie.notes == ()


@pytest.mark.parametrize("axes", ["TCZ", "CTZ", "ZCT", "CZT", "ZTC"])
@pytest.mark.parametrize("ome", [True, False])
def test_axes_in_any_order(tmp_path, axes, ome):
    sizes = {"T": 5, "Z": 3, "C": 2}
    data = movie_data(30).reshape(5, 3, 2, 6, 4)
    stored = data.transpose(*("TZC".index(axis) for axis in axes), 3, 4)
    assert stored.shape[:3] == tuple(sizes[axis] for axis in axes)
    tifffile.imwrite(
        tmp_path / "m.tif",
        np.ascontiguousarray(stored),
        photometric="minisblack",
        metadata={"axes": f"{axes}YX"},
        ome=ome,
    )
    with open_movie(tmp_path / "m.tif", channel=2, plane=3) as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 2, 1])


def test_another_part_without_opening_again(tmp_path, monkeypatch):
    data = np.random.default_rng(0).integers(0, 99, (4, 3, 2, 5, 6)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m.ome.tif", data, photometric="minisblack",
                     metadata={"axes": "TZCYX"})  # fmt: skip
    with open_movie(tmp_path / "m.ome.tif", channel=2, plane=1) as movie:
        monkeypatch.setattr("derotation.io.tiff_movie.read_page_table", None)
        assert movie.channels == (1, 2)
        other, deeper = movie.part(channel=1), movie.part(plane=3)
        assert [(m.channel, m.plane) for m in (movie, other, deeper)] == [(2, 1), (1, 1), (2, 3)]
        np.testing.assert_array_equal(everything(movie, 3), data[:, 0, 1])
        np.testing.assert_array_equal(everything(other, 3), data[:, 0, 0])
        np.testing.assert_array_equal(everything(deeper, 3), data[:, 2, 1])
        np.testing.assert_array_equal(deeper.clock_index, movie.clock_index + 2)
        with pytest.raises(MovieError, match=r"movie\.channel is 3"):
            movie.part(channel=3)
    # Each is closed for itself.
    np.testing.assert_array_equal(other.read(0)[0], data[0, 0, 0])


def test_several_channels_need_one(tmp_path):
    data = movie_data(12).reshape(6, 2, 6, 4)
    tifffile.imwrite(tmp_path / "m.tif", data, imagej=True, metadata={"axes": "TCYX"})
    message = r"m\.tif holds 2 channels \(1, 2\); say which one to read with movie\.channel"
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "m.tif")
    with pytest.raises(MovieError, match=r"movie\.channel is 3, but the file holds channel 1, 2"):
        open_movie(tmp_path / "m.tif", channel=3)
    with pytest.raises(MovieError, match=r"movie\.channel is 0; it is counted from 1"):
        open_movie(tmp_path / "m.tif", channel=0)


def test_several_planes_need_one(tmp_path):
    data = movie_data(12).reshape(6, 2, 6, 4)
    tifffile.imwrite(tmp_path / "m.tif", data, imagej=True, metadata={"axes": "TZYX"})
    message = r"m\.tif holds 2 planes \(1, 2\); say which one to read with movie\.plane"
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "m.tif")
    with pytest.raises(MovieError, match=r"movie\.plane is 3, but the file holds plane 1, 2"):
        open_movie(tmp_path / "m.tif", plane=3)


def test_planes_and_channels_of_a_file_that_does_not_say(write_pages):
    data = movie_data(13)
    path = write_pages("m.tif", data)
    with open_movie(path, n_planes=3, n_channels=2, plane=2, channel=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[[2, 8]])
        np.testing.assert_array_equal(movie.clock_index, [1, 4])
        assert movie.n_clock_frames == 7
        assert any("the last 1 were left out" in note for note in movie.notes)
    with pytest.raises(
        MovieError, match="13 pages make no whole frame of 1 channels and 20 planes"
    ):
        open_movie(path, n_planes=20, plane=1)


def test_what_is_asked_wins_over_the_description_and_is_noted(tmp_path):
    data = movie_data(12)
    tifffile.imwrite(
        tmp_path / "m.tif",
        data.reshape(4, 3, 6, 4),
        imagej=True,
        metadata={"axes": "TZYX", "finterval": 0.5},
    )
    with open_movie(tmp_path / "m.tif", plane=1) as movie:
        assert movie.metadata.frame_rate == pytest.approx(6.0)
    with open_movie(tmp_path / "m.tif", n_planes=1) as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert any("n_planes = 1 was asked for and used" in note for note in movie.notes)
        assert movie.metadata.frame_rate == pytest.approx(2.0)
    with open_movie(tmp_path / "m.tif", n_planes=2, plane=1, n_channels=2, channel=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[[1, 5, 9]])


def test_axes_without_names_must_be_named(tmp_path):
    data = movie_data(12)
    tifffile.imwrite(tmp_path / "m.tif", data.reshape(6, 2, 6, 4), photometric="minisblack")
    message = r"m\.tif: its pages are arranged as 6 x 2, and .* \(movie\.n_planes"
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "m.tif")
    with open_movie(tmp_path / "m.tif", n_planes=2, plane=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[1::2])
    with open_movie(tmp_path / "m.tif", n_planes=1) as movie:
        np.testing.assert_array_equal(everything(movie), data)


def test_slices_of_a_single_time_are_frames_unless_a_plane_is_asked_for(tmp_path):
    data = movie_data(12)
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX", "finterval": 0.5})
    with open_movie(path) as movie:
        assert movie.shape[0] == 12
        assert "12 slices at one time" in movie.notes[0]
        assert movie.metadata.frame_rate == pytest.approx(2.0)
    with open_movie(path, plane=3) as movie:
        np.testing.assert_array_equal(everything(movie), data[2:3])
        assert movie.n_planes == 12
    with open_movie(path, n_planes=4, plane=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[1::4])


def test_metadata_of_imagej_and_ome(tmp_path):
    data = movie_data(12)
    tifffile.imwrite(
        tmp_path / "ij.tif",
        data,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "TYX", "finterval": 0.2, "unit": "\\u00B5m"},
    )
    found = open_movie(tmp_path / "ij.tif").metadata
    assert found.source == "imagej"
    assert found.frame_rate == pytest.approx(5.0)
    assert found.pixel_size_um == pytest.approx(0.25)
    assert found.frames_written == 12
    assert found.bidirectional is None
    tifffile.imwrite(
        tmp_path / "ome.tif",
        data.reshape(4, 3, 6, 4),
        photometric="minisblack",
        ome=True,
        metadata={
            "axes": "TZYX",
            "TimeIncrement": 100.0,
            "TimeIncrementUnit": "ms",
            "PhysicalSizeX": 250.0,
            "PhysicalSizeXUnit": "nm",
        },
    )
    found = open_movie(tmp_path / "ome.tif", plane=1).metadata
    assert found.source == "ome"
    assert found.frame_rate == pytest.approx(30.0)
    assert found.pixel_size_um == pytest.approx(0.25)
    assert found.n_planes == 3


@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_own_files_are_read_with_their_metadata(tmp_path, dtype):
    data = movie_data(dtype=dtype)
    with TiffStackWriter(
        tmp_path / "m.tif", data.shape, dtype, frame_interval_s=0.25, pixel_size_um=0.5
    ) as writer:
        writer.write(data)
    with open_movie(tmp_path / "m.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert movie.metadata.frame_rate == pytest.approx(4.0)
        assert movie.metadata.pixel_size_um == pytest.approx(0.5)
        assert movie.notes == ()


OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" SizeX="4" SizeY="6" SizeZ="1" SizeC="2"
 SizeT="3" Type="uint16" ID="Pixels:0">{places}</Pixels></Image></OME>"""


def ome_places(names: list[str]) -> str:
    """Put channel 1 into the first file and channel 2 into the second, times backwards."""
    return "".join(
        f'<TiffData FirstC="{c}" FirstT="{t}" FirstZ="0" IFD="{2 - t}" PlaneCount="1">'
        f'<UUID FileName="{names[c]}">urn:uuid:0</UUID></TiffData>'
        for c in range(2)
        for t in range(3)
    )


def test_ome_planes_where_the_description_says(write_pages):
    data = movie_data(3)
    text = OME.format(places=ome_places(["a.ome.tif", "b.ome.tif"]))
    first = write_pages("a.ome.tif", data, descriptions=[text, "", ""])
    second = write_pages("b.ome.tif", data + 1, descriptions=[text, "", ""])
    with open_movie(first) as movie:
        np.testing.assert_array_equal(everything(movie), data[::-1])
        assert movie.channel == 1
    with open_movie(second) as movie:
        np.testing.assert_array_equal(everything(movie), data[::-1] + 1)
        assert movie.channel == 2
    both = first.with_name("*.ome.tif")
    with pytest.raises(MovieError, match=r"holds 2 channels \(1, 2\)"):
        open_movie(both)
    for channel in (1, 2):
        with open_movie(both, channel=channel) as movie:
            np.testing.assert_array_equal(everything(movie), data[::-1] + channel - 1)
            assert movie.notes == ()


def test_ome_of_a_renamed_file_goes_by_its_order(write_pages):
    data = movie_data(6)
    text = OME.format(places=ome_places(["a.ome.tif", "b.ome.tif"]))
    path = write_pages("renamed.tif", data, descriptions=[text, *[""] * 5])
    with open_movie(path, channel=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[1::2])


def test_interrupted_recordings_keep_their_whole_frames(write_pages):
    data = movie_data(5)
    text = OME.format(places='<TiffData IFD="0" PlaneCount="6"/>')
    path = write_pages("a.tif", data, descriptions=[text, *[""] * 4])
    with open_movie(path, channel=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[[0, 2]])
        assert "1 of 3 times lack pages" in movie.notes[0]
    text = "ImageJ=1.53t\nimages=6\nchannels=2\nframes=3\nhyperstack=true\n"
    path = write_pages("b.tif", data, descriptions=[text, *[""] * 4])
    with open_movie(path, channel=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[[1, 3]])
        assert "the file has 5; the last 1 make no whole time" in movie.notes[0]


def test_broken_ome_is_refused(write_pages):
    path = write_pages("a.tif", movie_data(2), descriptions=["<?xml version='1.0'?><OME><Ima", ""])
    with pytest.raises(MovieError, match=r"a\.tif: the OME description cannot be read"):
        open_movie(path)


# ------------------------------------------------------------------ ScanImage


def test_scanimage_single_channel(write_pages):
    data = movie_data(dtype="i2")
    path = write_pages(
        "m.tif", data, software=header("2"), descriptions=frame_texts(12), bigtiff=True
    )
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie, 5), data)
        assert movie.channel == 2
        found = movie.metadata
        assert found.source == "scanimage"
        assert (found.frame_rate, found.lines_per_frame) == (30.0, 6)
        assert found.bidirectional is True
        assert found.channels_saved == (2,)
        assert found.frames_written == 12
        assert found.line_duty == 0.7
        assert movie.notes == ()
    with pytest.raises(MovieError, match=r"movie\.channel is 1, but the file holds channel 2"):
        open_movie(path, channel=1)


def test_scanimage_channels_take_turns(write_pages):
    data = movie_data(12)
    path = write_pages("m.tif", data, software=header("[1;3]"), descriptions=frame_texts(6, 2))
    with pytest.raises(MovieError, match=r"holds 2 channels \(1, 3\)"):
        open_movie(path)
    with open_movie(path, channel=3) as movie:
        np.testing.assert_array_equal(everything(movie), data[1::2])
        assert movie.n_clock_frames == 6
        np.testing.assert_array_equal(movie.clock_index, np.arange(6))
        assert movie.notes == ()


def test_scanimage_interrupted_between_channels(write_pages):
    data = movie_data(11)
    path = write_pages("m.tif", data, software=header("[1;2]"), descriptions=frame_texts(6, 2))
    with open_movie(path, channel=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[:10:2])
        assert movie.n_clock_frames == 6
        assert "11 pages are no multiple of 2 channels; the last 1 were left out" in movie.notes[0]


def test_scanimage_volumes_with_flyback(write_pages):
    # Two channels, three planes and a discarded frame: eight pages per volume, three volumes.
    data = movie_data(24)
    software = header("[1;2]", fast=1, per_volume=4, discarded=1, volumes=3, slices=3)
    path = write_pages("m.tif", data, software=software, descriptions=frame_texts(12, 2))
    with pytest.raises(MovieError, match=r"holds 3 planes .* with movie\.plane"):
        open_movie(path, channel=2)
    with open_movie(path, channel=2, plane=3) as movie:
        np.testing.assert_array_equal(everything(movie), data[[5, 13, 21]])
        assert movie.n_planes == 3
        assert movie.n_clock_frames == 12
        np.testing.assert_array_equal(movie.clock_index, [2, 6, 10])
        assert movie.notes == ()


def test_scanimage_volume_that_was_not_finished(write_pages):
    data = movie_data(10)
    software = header(fast=1, per_volume=4, discarded=1, volumes=3, slices=3)
    path = write_pages("m.tif", data, software=software, descriptions=frame_texts(10))
    with open_movie(path, plane=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[[0, 4]])
        assert movie.n_clock_frames == 10
        assert any("2 of 10 frames belong to a volume of 4 frames" in n for n in movie.notes)
        assert any("planned 12 frames, 10 were written" in n for n in movie.notes)


def test_scanimage_volume_that_goes_on_in_the_next_file(write_pages):
    data = movie_data(12)
    software = header(fast=1, per_volume=4, discarded=1, volumes=3, slices=3)
    write_pages("m_9.tif", data[:5], software=software, descriptions=frame_texts(5))
    path = write_pages("m_10.tif", data[5:], software=software, descriptions=frame_texts(7, 1, 6))
    with open_movie(path.with_name("m_*.tif"), plane=2) as movie:
        assert [p.name for p in movie.paths] == ["m_9.tif", "m_10.tif"]
        np.testing.assert_array_equal(everything(movie, 2), data[[1, 5, 9]])
        np.testing.assert_array_equal(movie.clock_index, [1, 5, 9])
        assert movie.notes == ()


def test_scanimage_slow_stack(write_pages):
    data = movie_data(12)
    path = write_pages("m.tif", data, software=header(slices=2, frames=3))
    with open_movie(path, plane=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[[3, 4, 5, 9, 10, 11]])


def test_scanimage_lost_frames_and_missing_files_are_counted_by_the_clock(write_pages):
    data = movie_data(9)
    texts = [f"frameNumbers = {number}\n" for number in (1, 2, 5, 6)]
    write_pages("m_1.tif", data[:4], software=header(), descriptions=texts)
    path = write_pages("m_3.tif", data[4:], software=header(), descriptions=frame_texts(5, 1, 10))
    with open_movie(path.with_name("m_*.tif")) as movie:
        np.testing.assert_array_equal(movie.clock_index, [0, 1, 4, 5, 9, 10, 11, 12, 13])
        assert movie.n_clock_frames == 14
        assert "2 frames are missing at 1 places (the first after frame 2)" in movie.notes[0]
        assert (
            "3 frames are missing before m_3.tif (it begins with frame 10; m_2.tif"
            in (movie.notes[1])
        )
        np.testing.assert_array_equal(everything(movie), data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a_00001_00002.tif", "a_00001_00001.tif is not there"),
        ("a_7.tif", "a_1.tif, a_2.tif, a_3.tif and 3 more are not there"),
        ("a_1.tif", "frames 1 to 40 are missing. The"),
        ("a.tif", "frames 1 to 40 are missing. The"),
    ],
)
def test_scanimage_files_that_are_missing_at_the_beginning_are_named(write_pages, name, said):
    path = write_pages(name, movie_data(3), software=header(), descriptions=frame_texts(3, 1, 41))
    with open_movie(path) as movie:
        assert f"{name} begins with frame 41 of the recording" in movie.notes[0]
        assert said in movie.notes[0]


def test_scanimage_recordings_in_a_row(write_pages):
    data = movie_data(9)
    write_pages("m_1.tif", data[:4], software=header(), descriptions=frame_texts(4))
    path = write_pages("m_2.tif", data[4:], software=header(), descriptions=frame_texts(5))
    with open_movie(path.with_name("m_*.tif")) as movie:
        np.testing.assert_array_equal(movie.clock_index, np.arange(9))
        assert "frame numbers begin again" in movie.notes[0]
    with open_movie(write_pages("n.tif", data, software=header(), descriptions="x")) as movie:
        np.testing.assert_array_equal(movie.clock_index, np.arange(9))


def test_scanimage_numbers_that_make_no_sense_are_not_used(write_pages):
    texts = [f"frameNumbers = {number}\n" for number in (1, 1, 2, 2)]
    path = write_pages("m.tif", movie_data(4), software=header(), descriptions=texts)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.clock_index, np.arange(4))
        assert "do not rise steadily" in movie.notes[0]
    path = write_pages(
        "late.tif", movie_data(4), software=header(), descriptions=frame_texts(4, 1, 901)
    )
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.clock_index, np.arange(4))
        assert "begins with frame 901" in movie.notes[0]


def test_scanimage_contradictions_are_noted(write_pages):
    software = header(frames=100).replace("linesPerFrame = 6", "linesPerFrame = 512")
    path = write_pages("m.tif", movie_data(4), software=software)
    with open_movie(path, n_channels=2, channel=2) as movie:
        text = " ".join(movie.notes)
    assert "1 channels; n_channels = 2 was asked for" in text
    assert "512 lines per frame, but images are 6 pixels high" in text
    assert "planned 100 frames, 2 were written" in text


def test_scanimage_frames_that_cannot_be_derotated_are_refused(write_pages):
    averaged = header() + "SI.hScan2D.logAverageFactor = 2\n"
    path = write_pages("m.tif", movie_data(4), software=averaged)
    with pytest.raises(MovieError, match=r"m\.tif: each saved frame is the average of 2 recorded"):
        open_movie(path)
    assert recording_metadata(path).frame_rate
    regions = header() + "SI.hRoiManager.mroiEnable = 1\n"
    path = write_pages("r.tif", movie_data(4), software=regions)
    with pytest.raises(MovieError, match=r"r\.tif: several regions of interest were scanned"):
        open_movie(path)


@pytest.mark.parametrize(("rois", "n"), [("[{}, {}]", 2), ("[{}]", 1), ("{}", 1), ("7]", 2)])
def test_scanimage_regions_are_counted(write_pages, rois, n):
    path = write_pages(
        "r.tif",
        movie_data(4),
        software=header() + "SI.hRoiManager.mroiEnable = 1\n",
        extratags=[(315, 2, 0, '{"RoiGroups": {"imagingRoiGroup": {"rois": ' + rois + "}}}", True)],
    )
    if n == 1:
        with open_movie(path) as movie:
            assert len(movie) == 4
    else:
        with pytest.raises(MovieError, match="several regions"):
            open_movie(path)


def test_old_scanimage(write_pages):
    text = "\r".join(
        [
            "state.software.version=3.8",
            "state.acq.frameRate=8",
            "state.acq.linesPerFrame=6",
            "state.acq.savingChannel1=1",
            "state.acq.savingChannel2=1",
            "",
        ]
    )
    data = movie_data(6)
    path = write_pages("m.tif", data, descriptions=text, rowsperstrip=3)
    with open_movie(path, channel=2) as movie:
        assert movie.metadata.software == "ScanImage 3.8"
        np.testing.assert_array_equal(everything(movie), data[1::2])


def bigtiff_with_static_header(path: Path, frames: np.ndarray, text: str) -> None:
    """Write a BigTIFF by hand, with ScanImage's static header in front of its first page."""
    static = text.encode() + b"\0"
    n_pages, height, width = frames.shape
    entries = 9
    directory_bytes = 8 + entries * 20 + 8
    start = 32 + len(static)
    with path.open("wb") as stream:
        stream.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, start))
        stream.write(struct.pack("<4I", 117637889, 3, len(static), 0))
        stream.write(static)
        for number, frame in enumerate(frames):
            pixels = start + directory_bytes
            after = pixels + frame.nbytes
            values = [
                (256, 4, width),
                (257, 4, height),
                (258, 3, 16),
                (259, 3, 1),
                (262, 3, 1),
                (273, 16, pixels),
                (277, 3, 1),
                (278, 4, height),
                (279, 16, frame.nbytes),
            ]
            stream.write(struct.pack("<Q", entries))
            for tag, kind, value in values:
                stream.write(struct.pack("<HHQQ", tag, kind, 1, value))
            stream.write(struct.pack("<Q", after if number + 1 < n_pages else 0))
            stream.write(frame.tobytes())
            start = after


def test_scanimage_static_header(tmp_path):
    data = movie_data(4)
    path = tmp_path / "m.tif"
    bigtiff_with_static_header(path, data, header("4"))
    with open_movie(path) as movie:
        assert movie.metadata.channels_saved == (4,)
        np.testing.assert_array_equal(everything(movie), data)
    # The chain of pages bites its tail: the last page points back to the second.
    content = bytearray(path.read_bytes())
    first = 32 + len(header("4")) + 1
    page_bytes = 8 + 9 * 20 + 8 + data[0].nbytes
    struct.pack_into("<Q", content, first + 3 * page_bytes + 8 + 9 * 20, first + page_bytes)
    path.write_bytes(content)
    with pytest.raises(MovieError, match="its pages begin again"):
        open_movie(path)


# ------------------------------------------------------------------ several files


def test_glob_is_one_movie_in_natural_order(tmp_path):
    data = movie_data(12)
    for name, part in (("m_2.tif", data[:3]), ("m_10.tif", data[3:4]), ("m_11.tif", data[4:])):
        tifffile.imwrite(tmp_path / name, part, photometric="minisblack")
    (tmp_path / ".m_3.part.tif").write_bytes(b"half written")
    (tmp_path / "m_folder.tif").mkdir()
    with open_movie(f"{tmp_path}/m_*.tif") as movie:
        assert [path.name for path in movie.paths] == ["m_2.tif", "m_10.tif", "m_11.tif"]
        assert movie.shape == (12, 6, 4)
        np.testing.assert_array_equal(movie.clock_index, np.arange(12))
        np.testing.assert_array_equal(everything(movie, 5), data)
        np.testing.assert_array_equal(movie.read([11, 3, 0]), data[[11, 3, 0]])


def test_split_stacks_of_slices(tmp_path):
    data = movie_data(200)
    for name, part in (("a1.tif", data[:80]), ("a2.tif", data[80:160]), ("a3.tif", data[160:])):
        tifffile.imwrite(tmp_path / name, part, imagej=True, metadata={"axes": "ZYX"})
    with open_movie(tmp_path / "a*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
    with open_movie(tmp_path / "a[12].tif") as movie:
        np.testing.assert_array_equal(everything(movie), data[:160])
    # Equal small stacks may as well be volumes.
    for number in range(3):
        part = data[4 * number : 4 * number + 4]
        tifffile.imwrite(tmp_path / f"b{number}.tif", part, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(
        MovieError, match=r"4 slices at one time; .*movie\.plane; .*movie\.n_planes"
    ):
        open_movie(tmp_path / "b*.tif")
    with open_movie(tmp_path / "b*.tif", plane=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[1:12:4])
        np.testing.assert_array_equal(movie.clock_index, [1, 5, 9])
    with open_movie(tmp_path / "b*.tif", n_planes=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[:12])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.zeros((3, 4, 6), "u2"), r"m_2\.tif has height x width 4 x 6, but .*m_1\.tif has 6 x 4"),
        (np.zeros((3, 6, 4), "i2"), r"m_2\.tif has pixel type int16, but .* uint16"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, other, message):
    tifffile.imwrite(tmp_path / "m_1.tif", movie_data(3), photometric="minisblack")
    tifffile.imwrite(tmp_path / "m_2.tif", other, photometric="minisblack")
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "m_*.tif")


def test_files_of_different_recordings(write_pages):
    data = movie_data(3)
    write_pages("m_1.tif", data, software=header())
    path = write_pages("m_2.tif", data, software=header().replace("Rate = 30", "Rate = 15"))
    with pytest.raises(
        MovieError, match=r"m_2\.tif has frame rate 15\.0, but .*m_1\.tif has 30\.0"
    ):
        open_movie(path.with_name("m_*.tif"))
    write_pages("m_2.tif", data)
    with pytest.raises(MovieError, match=r"m_2\.tif has kind of file plain"):
        open_movie(path.with_name("m_*.tif"))


def test_name_with_glob_characters_is_taken_literally(tmp_path):
    folder = tmp_path / "run [1]"
    folder.mkdir()
    data = movie_data(3)
    tifffile.imwrite(folder / "m[2]*.tif", data, photometric="minisblack")
    with open_movie(folder / "m[2]*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)


# ------------------------------------------------------------------ bad input


def test_glob_without_a_match(tmp_path):
    with pytest.raises(MovieError, match=r"no file matches .*m_\*\.tif; check the path"):
        open_movie(tmp_path / "m_*.tif")
    with pytest.raises(MovieError, match=r"no file matches .*nowhere is missing"):
        open_movie(tmp_path / "nowhere" / "m_*.tif")


def test_files_that_are_not_there_or_no_movie(tmp_path):
    with pytest.raises(MovieError, match=r"nowhere\.tif does not exist"):
        open_movie(tmp_path / "nowhere.tif")
    with pytest.raises(MovieError, match=r"is a folder; give a TIFF file, or .*\*\.tif"):
        open_movie(tmp_path)
    (tmp_path / "m.tif").write_bytes(b"")
    with pytest.raises(MovieError, match=r"m\.tif is empty"):
        open_movie(tmp_path / "m.tif")
    (tmp_path / "m.tif").write_bytes(b"RIFF" * 10)
    with pytest.raises(MovieError, match=r"m\.tif is not a TIFF file \(it begins with b'RIFF'\)"):
        open_movie(tmp_path / "m.tif")
    (tmp_path / "m.tif").write_bytes(b"II*\0\x08\0\0\0" + bytes(20))
    with pytest.raises(MovieError, match=r"m\.tif"):
        open_movie(tmp_path / "m.tif")


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(path, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "m.tif").write_bytes(b"II*\0")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MovieError, match=r"m\.tif cannot be opened \(Permission denied\)"):
        open_movie(tmp_path / "m.tif")


# In a contiguous stack of tifffile the directories follow the pixels.
TRUNCATED = {
    "contiguous": ({}, 12, 12),
    "contiguous, one directory": ({"truncate": True}, 11, 12),
    "imagej": ({"imagej": True, "metadata": {"axes": "TYX"}}, 12, 12),
    "imagej, one directory": (
        {"imagej": True, "truncate": True, "metadata": {"axes": "TYX"}},
        11,
        12,
    ),
    "deflate": ({"compression": "zlib"}, 11, 12),
}


@pytest.mark.parametrize(
    ("options", "n_whole", "n_recorded"), TRUNCATED.values(), ids=TRUNCATED.keys()
)
def test_file_that_was_cut_off_is_used_up_to_its_last_whole_frame(
    tmp_path, options, n_whole, n_recorded
):
    path = tmp_path / "m.tif"
    data = movie_data()
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    path.write_bytes(path.read_bytes()[:-20])
    with open_movie(path) as movie:
        assert len(movie) == n_whole
        np.testing.assert_array_equal(everything(movie), data[:n_whole])
        assert movie.n_clock_frames == n_recorded
        (note,) = movie.notes
    assert note.startswith("m.tif is cut off: ")
    assert f"{len(movie)} whole pages of 12 found and used" in note
    assert f"the file ends at byte {path.stat().st_size}" in note
    assert "copy the file again" in note


def test_file_cut_off_anywhere_keeps_its_whole_frames_and_says_so(write_pages):
    data = movie_data(4)
    path = write_pages("m.tif", data, software=header(), descriptions=frame_texts(4))
    content = path.read_bytes()
    with open_movie(path) as movie:
        assert len(movie) == 4
        assert not any("cut off" in note for note in movie.notes)
    found = set()
    for n_bytes in range(0, len(content) - 1, 17):
        path.write_bytes(content[:n_bytes])
        try:
            movie = open_movie(path)
        except MovieError:
            found.add(0)
            continue
        np.testing.assert_array_equal(everything(movie), data[: len(movie)])
        assert "m.tif is cut off" in movie.notes[0]
        assert movie.n_clock_frames == len(movie) + 1
        found.add(len(movie))
    assert found == {0, 1, 2, 3}
    path.write_bytes(b"")
    with pytest.raises(MovieError, match=r"m\.tif is empty"):
        open_movie(path)


def test_file_cut_off_before_others_is_refused_unless_its_frames_are_numbered(write_pages):
    data = movie_data(8)
    for name, part in (("a_1.tif", data[:4]), ("a_2.tif", data[4:])):
        write_pages(name, part)
    first = write_pages("b_1.tif", data[:4], software=header(), descriptions=frame_texts(4))
    texts = frame_texts(8)[4:]
    second = write_pages("b_2.tif", data[4:], software=header(), descriptions=texts)
    for path in (first, second.with_name("a_1.tif")):
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(MovieError, match=r"a_1\.tif is cut off .* other files follow"):
        open_movie(first.with_name("a_*.tif"))
    with open_movie(first.with_name("b_*.tif")) as movie:
        np.testing.assert_array_equal(everything(movie), data[[0, 1, 2, 4, 5, 6, 7]])
        np.testing.assert_array_equal(movie.clock_index, [0, 1, 2, 4, 5, 6, 7])
        assert any("1 frames are missing before b_2.tif" in note for note in movie.notes)


def test_file_whose_tail_is_zeros_is_not_complete(write_pages):
    data = movie_data(6)
    path = write_pages("m.tif", data, software=header(), descriptions=frame_texts(6))
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half:] = bytes(len(content) - half)
    path.write_bytes(bytes(content))
    with open_movie(path) as movie:
        assert 1 <= len(movie) < 6
        assert "there is nothing but zeros: the file is not complete" in movie.notes[0]


def test_chain_that_ends_before_the_description_says_so(tmp_path):
    path = tmp_path / "m.tif"
    data = movie_data(6)
    tifffile.imwrite(path, data, photometric="minisblack")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        second = tif.pages[1].offset
    n_tags = int.from_bytes(content[second : second + 2], "little")
    link = second + 2 + 12 * n_tags
    content[link : link + 4] = bytes(4)
    path.write_bytes(bytes(content))
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data[:2])
        assert movie.n_clock_frames == 6
        assert "speaks of 6 pages, but the file links 2" in movie.notes[0]


def test_file_that_is_cut_off_between_opening_and_reading(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, movie_data(), photometric="minisblack", truncate=True)
    with open_movie(path) as movie:
        path.write_bytes(path.read_bytes()[:-20])
        assert movie.read(0).shape == (1, 6, 4)
        with pytest.raises(MovieError, match=r"become shorter .* it ends within page 12 of 12"):
            movie.read([10, 11])
        path.unlink()
        with pytest.raises(MovieError, match=r"m\.tif cannot be opened any more"):
            movie.read(0)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((3, 6, 4, 3), "u1"), {"photometric": "rgb"}, "3 values per pixel"),
        (np.zeros((5, 6, 4), bool), {}, "1-bit pixels"),
        (np.zeros((5, 6, 4), "c8"), {"photometric": "minisblack"}, r"complex \(64-bit\) pixels"),
    ],
)
def test_pixels_that_are_no_real_numbers(tmp_path, data, options, message):
    tifffile.imwrite(tmp_path / "m.tif", data, **options)
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "m.tif")


def test_pages_of_different_sizes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        writer.write(np.zeros((6, 4), "u2"), metadata=None)
        writer.write(np.zeros((6, 5), "u2"), metadata=None)
    with pytest.raises(MovieError, match=r"m\.tif: page 2 has width 5, the first page 4"):
        open_movie(tmp_path / "m.tif")


def test_damaged_compressed_page(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, movie_data(), photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[7].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    with open_movie(path) as movie:
        with pytest.raises(MovieError, match=r"m\.tif: page 8 cannot be decoded"):
            everything(movie)
        assert movie.read(0).shape == (1, 6, 4)


def test_missing_codec_shows_at_once(tmp_path, monkeypatch):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, movie_data(), photometric="minisblack", compression="zlib")

    def refuse(*_args, **_kwargs):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(MovieError, match="pip install imagecodecs"):
        open_movie(path)


# ------------------------------------------------------------------ memory


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_memory_hardly_depends_on_the_number_of_frames(tmp_path, compression):
    """Peak of what Python and NumPy allocate, with chunks of 8 frames."""
    peaks = []
    frame = np.zeros((64, 64), "u2")
    for n_frames in (50, 500):
        path = tmp_path / f"{n_frames}.tif"
        with tifffile.TiffWriter(path) as writer:
            for _ in range(n_frames):
                writer.write(frame, contiguous=False, metadata=None, compression=compression)
        open_movie(path).read(0)  # imports and caches
        tracemalloc.start()
        try:
            with open_movie(path) as movie:
                assert sum(len(block) for _, block in movie.chunks(8)) == n_frames
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    # The longer movie has 3.7 MB more pixels; its pages cost some tens of bytes each.
    assert peaks[1] - peaks[0] < 100_000


def test_what_is_nan_or_infinite_was_never_recorded_and_is_said(tmp_path):
    data = movie_data(5).astype("f4")
    data[:, :, 0] = np.nan
    data[1, 2, 3] = np.inf
    data[2, 4, 3] = -np.inf
    tifffile.imwrite(tmp_path / "m.tif", data, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        expected = np.where(np.isinf(data), np.nan, data)
        np.testing.assert_array_equal(everything(movie), expected)
        np.testing.assert_array_equal(movie.read([1, 2]), expected[[1, 2]])
        (note,) = movie.notes
    assert "6 of 24 pixels of the first frame are NaN or infinite (columns 0)" in note
    data[0, :, 1:3] = np.inf
    tifffile.imwrite(tmp_path / "m.tif", data, photometric="minisblack")
    with open_movie(tmp_path / "m.tif") as movie:
        assert "(columns 0 to 2)" in movie.notes[0]


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_integers_of_64_bits_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "m.tif", movie_data(3).astype(dtype), photometric="minisblack")
    with pytest.raises(MovieError, match=r"int64 pixels.* Save it as a 16-bit or 32-bit TIFF"):
        open_movie(tmp_path / "m.tif")


@pytest.mark.parametrize("damaged", [False, True])
def test_codecs_in_c_are_tried_where_a_crash_does_no_harm(tmp_path, monkeypatch, damaged):
    from derotation.io import tiff_file as module

    path = tmp_path / "m.tif"
    tifffile.imwrite(path, movie_data(), photometric="minisblack", compression="zlib")
    if damaged:
        with tifffile.TiffFile(path) as tif:
            place = tif.pages[0].dataoffsets[0]
        content = bytearray(path.read_bytes())
        content[place : place + 8] = bytes(8)
        path.write_bytes(bytes(content))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(module, "decode_first_page", lambda table: pytest.fail("not isolated"))
    if damaged:
        with pytest.raises(MovieError, match=r"m\.tif: page 1 cannot be decoded"):
            open_movie(path)
    else:
        with open_movie(path) as movie:
            assert len(movie) == 12
