"""Recordings in many files, described in one place."""

import numpy as np
import pytest
import tifffile

from derotation.errors import MovieError
from derotation.io.movie import open_movie

HEAD = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
PIXELS = (
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="4" '
    'SizeY="6" SizeT="{t}" SizeZ="{z}" SizeC="{c}" TimeIncrement="0.1">'
)
PLACE = (
    '<TiffData FirstT="{t}" FirstZ="{z}" FirstC="{c}" IFD="{page}" PlaneCount="1">'
    '<UUID FileName="{name}">urn:uuid:0</UUID></TiffData>'
)
STUB = HEAD + '<BinaryOnly MetadataFile="{name}" UUID="urn:uuid:1"/></OME>'


def describe(places, *, t, z=1, c=1, order="XYCZT"):
    listed = "".join(PLACE.format(t=a, z=b, c=d, page=page, name=n) for a, b, d, page, n in places)
    return HEAD + PIXELS.format(order=order, t=t, z=z, c=c) + listed + "</Pixels></Image></OME>"


def put(folder, name, page, text=""):
    tifffile.imwrite(folder / name, page, description=text, metadata=None, photometric="minisblack")


def frames(n):
    return np.random.default_rng(3).integers(0, 4000, (n, 6, 4)).astype("u2")


def everything(movie):
    return np.concatenate([block for _, block in movie.chunks(3)])


def write_recording(folder, where, n_times=5):
    """One page per file; the description in every file, in the first only, or beside the files."""
    data = frames(n_times)
    names = [f"T_{i + 1:06d}.ome.tif" for i in range(n_times)]
    text = describe([(i, 0, 0, 0, name) for i, name in enumerate(names)], t=n_times)
    for i, (name, page) in enumerate(zip(names, data, strict=True)):
        own = {
            "every file": text,
            "the first file": text if i == 0 else "",
            "stubs to the first file": text if i == 0 else STUB.format(name=names[0]),
            "stubs to a companion": STUB.format(name="T.companion.ome"),
        }
        put(folder, name, page, own[where])
    if where == "stubs to a companion":
        (folder / "T.companion.ome").write_text(text, encoding="utf-8")
    return data


@pytest.mark.parametrize(
    "where",
    ["every file", "the first file", "stubs to the first file", "stubs to a companion"],
)
def test_one_page_per_file_wherever_the_description_is(tmp_path, where):
    data = write_recording(tmp_path, where)
    with open_movie(tmp_path / "*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert movie.metadata.frame_rate == pytest.approx(10)
        assert movie.n_clock_frames == 5
        assert movie.notes == ()


def test_only_the_first_description_is_read(tmp_path, monkeypatch):
    write_recording(tmp_path, "every file", 8)
    from derotation.io import file_set

    read = []
    original = file_set.read_ome
    monkeypatch.setattr(file_set, "read_ome", lambda *a: read.append(a) or original(*a))
    open_movie(tmp_path / "*.tif").close()
    assert len(read) == 1


def test_planes_and_channels_over_files(tmp_path):
    data = frames(12).reshape(3, 2, 2, 6, 4)
    places = [
        (t, z, c, 0, f"T{t}_Z{z}_Ch{c + 1}.tif") for t in range(3) for z in range(2) for c in (0, 1)
    ]
    text = describe(places, t=3, z=2, c=2)
    for t, z, c, _, name in places:
        put(tmp_path, name, data[t, z, c], text)
    with open_movie(tmp_path / "*.tif", channel=2, plane=2) as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 1, 1])
        np.testing.assert_array_equal(movie.clock_index, [1, 3, 5])
        assert movie.n_clock_frames == 6
        assert movie.metadata.frame_rate == pytest.approx(20)
    with open_movie(tmp_path / "*Ch1.tif", plane=1) as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 0, 0])
        assert movie.channel == 1
    with pytest.raises(MovieError, match=r"holds 2 channels \(1, 2\)"):
        open_movie(tmp_path / "*.tif", plane=1)
    with open_movie(tmp_path / "*.tif", n_planes=1, n_channels=1) as movie:
        np.testing.assert_array_equal(everything(movie), data.reshape(-1, 6, 4))
        assert "were asked for and used" in movie.notes[0]


def test_files_that_are_missing_are_counted(tmp_path):
    data = write_recording(tmp_path, "every file", 7)
    for number in (1, 2, 5):
        (tmp_path / f"T_{number:06d}.ome.tif").unlink()
    with open_movie(tmp_path / "*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data[[2, 3, 5, 6]])
        np.testing.assert_array_equal(movie.clock_index, [0, 1, 3, 4])
        assert movie.n_clock_frames == 5
        assert "times 1 to 2 are missing" in movie.notes[0]
        assert "1 times are missing between the files, the first after time 4" in movie.notes[1]


def test_a_last_file_that_was_cut_off_is_left_out_and_counted(tmp_path):
    data = write_recording(tmp_path, "the first file")
    last = tmp_path / "T_000005.ome.tif"
    last.write_bytes(last.read_bytes()[:-30])
    with open_movie(tmp_path / "*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data[:4])
        assert movie.n_clock_frames == 5
        assert "T_000005.ome.tif is cut off or empty and was left out" in movie.notes[0]
    other = tmp_path / "T_000003.ome.tif"
    other.write_bytes(other.read_bytes()[:-30])
    with pytest.raises(MovieError, match=r"T_000003\.ome\.tif is cut off"):
        open_movie(tmp_path / "*.tif")


def test_files_that_were_renamed_go_by_their_order(tmp_path):
    data = write_recording(tmp_path, "the first file")
    for path in tmp_path.glob("*.tif"):
        path.rename(tmp_path / path.name.replace("T_", "renamed_"))
    with open_movie(tmp_path / "*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert "does not name the other files" in movie.notes[0]


def test_a_companion_that_is_missing_is_said(tmp_path):
    data = write_recording(tmp_path, "stubs to a companion")
    (tmp_path / "T.companion.ome").unlink()
    with open_movie(tmp_path / "*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert "T.companion.ome, which is not there" in movie.notes[0]


def test_a_file_of_another_recording_is_refused(tmp_path):
    write_recording(tmp_path, "the first file")
    put(tmp_path, "z_mean.tif", frames(1)[0])
    with pytest.raises(MovieError, match=r"z_mean\.tif is not part of the recording"):
        open_movie(tmp_path / "*.tif")


@pytest.mark.parametrize("prefix", ["AVG", "MAX", "STD"])
def test_a_projection_of_the_movie_is_refused(tmp_path, prefix):
    put(tmp_path, "movie.tif", frames(5))
    put(tmp_path, f"{prefix}_movie.tif", frames(1)[0])
    with pytest.raises(MovieError, match=rf"{prefix}_movie\.tif is a projection of movie\.tif"):
        open_movie(tmp_path / "*.tif")
