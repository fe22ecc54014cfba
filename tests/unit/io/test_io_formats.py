"""Movies of other programs: folders of Prairie View and ThorImage, Scanbox, HDF5 and NWB."""

import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from derotation.errors import ConfigError, MovieError
from derotation.io import isolated
from derotation.io.movie import movie_files, open_movie, recording_metadata
from derotation.simulate.formats import MoviePlan, write_movie

RATE = 30.0
PLAN = MoviePlan(
    n_times=5, shape=(6, 4), frame_rate=RATE, line_period_s=1e-3, pixel_size_um=1.25
)  # fmt: skip
SUFFIX = {"scanbox": "m.sbx", "h5": "m.h5", "nwb": "m.nwb", "tif": "m.tif"}
KINDS = ["tif", "prairie", "thor_tif", "thor_raw", "scanbox", "h5", "nwb"]


def volumes(plan, seed=4):
    shape = (plan.n_times, plan.n_planes, plan.n_channels, *plan.shape)
    return np.random.default_rng(seed).integers(0, 60000, shape).astype(plan.dtype)


def written(tmp_path, kind, plan):
    if kind in ("h5", "nwb"):
        pytest.importorskip({"h5": "h5py", "nwb": "pynwb"}[kind])
    data = volumes(plan)
    return write_movie(tmp_path / SUFFIX.get(kind, "rec"), kind, iter(data), plan), data


def everything(movie):
    return np.concatenate([block for _, block in movie.chunks(2)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_one_channel_and_plane(tmp_path, kind, bidirectional):
    plan = replace(PLAN, bidirectional=bidirectional)
    path, data = written(tmp_path, kind, plan)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 0, 0])
        np.testing.assert_array_equal(movie.read([3, 1, 1]), data[[3, 1, 1], 0, 0])
        assert movie.n_clock_frames == 5
        np.testing.assert_array_equal(movie.clock_index, np.arange(5))
        assert movie.notes == ()
        meta = movie.metadata
    if kind not in ("tif", "h5"):
        assert meta.frame_rate == pytest.approx(RATE)
        assert recording_metadata(path).frame_rate == pytest.approx(RATE)
    if kind == "prairie":
        assert meta.line_period_s == pytest.approx(1e-3)
        assert meta.bidirectional is (True if bidirectional else None)
    if kind in ("prairie", "thor_tif", "thor_raw"):
        assert meta.pixel_size_um == pytest.approx(1.25)
        assert meta.lines_per_frame == 6
    if kind in ("thor_tif", "thor_raw", "scanbox"):
        assert meta.bidirectional is bidirectional


@pytest.mark.parametrize("kind", ["tif", "prairie", "thor_tif", "thor_raw", "scanbox", "nwb"])
def test_several_channels_and_planes(tmp_path, kind):
    n_channels = 1 if kind == "nwb" else 2
    plan = replace(PLAN, n_planes=3, n_channels=n_channels)
    path, data = written(tmp_path, kind, plan)
    for channel in range(n_channels):
        for plane in range(3):
            with open_movie(path, channel=channel + 1, plane=plane + 1) as movie:
                np.testing.assert_array_equal(everything(movie), data[:, plane, channel])
                np.testing.assert_array_equal(movie.clock_index, 3 * np.arange(5) + plane)
                assert movie.n_clock_frames == 15
                assert movie.n_planes == 3
                if kind != "tif":
                    assert movie.metadata.frame_rate == pytest.approx(RATE)
    if kind != "nwb":
        with pytest.raises(MovieError, match=r"holds 2 channels \(1, 2\); say which"):
            open_movie(path, plane=1)
    with pytest.raises(MovieError, match=r"holds 3 planes \(1, 2, 3\); say which"):
        open_movie(path, channel=1)


def test_the_files_of_a_recording_are_listed(tmp_path):
    path, _ = written(tmp_path, "prairie", PLAN)
    names = [file.name for file in movie_files(path)]
    assert names[-1] == "rec_Cycle00001_Ch1_000005.ome.tif" or names[-1] == "rec.xml"
    assert len(names) == 6
    sbx, _ = written(tmp_path, "scanbox", PLAN)
    assert [file.name for file in movie_files(sbx)] == ["m.sbx", "m.mat"]
    assert movie_files(tmp_path / "none.tif") == [tmp_path / "none.tif"]
    assert movie_files(tmp_path / "none*.tif") == []


def test_files_of_a_prairie_folder_as_a_glob_have_its_metadata(tmp_path):
    path, data = written(tmp_path, "prairie", replace(PLAN, n_channels=2))
    with open_movie(path / "*_Ch2_*.tif") as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 0, 1])
        assert movie.metadata.line_period_s == pytest.approx(1e-3)
        assert movie.metadata.frame_rate == pytest.approx(RATE)


def test_files_missing_from_a_prairie_folder_are_said(tmp_path):
    path, data = written(tmp_path, "prairie", PLAN)
    (path / "rec_Cycle00001_Ch1_000003.ome.tif").unlink()
    (path / "rec_Cycle00001_Ch1_000005.ome.tif").unlink()
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data[[0, 1, 3], 0, 0])
        np.testing.assert_array_equal(movie.clock_index, [0, 1, 3])
        assert movie.n_clock_frames == 5
        assert "lists 5 files, of which 2 are not there" in movie.notes[0]
    for file in path.glob("*.tif"):
        file.unlink()
    with pytest.raises(MovieError, match=r"lists 5 files, of which none is in .* The first is"):
        open_movie(path)


@pytest.mark.parametrize("n_first", [5, 2])
def test_pages_of_one_file_by_prairie_view(tmp_path, n_first):
    """Newer versions may write several pages per file; older ones other words for the settings."""
    import tifffile

    data = volumes(PLAN)[:, 0, 0]
    folder = tmp_path / "rec"
    folder.mkdir()
    tifffile.imwrite(folder / "a_000001.ome.tif", data[:3], photometric="minisblack", metadata=None)
    tifffile.imwrite(folder / "a_000002.ome.tif", data[3:], photometric="minisblack", metadata=None)
    frames = [
        f'<Frame><File channel="2" page="{i % 3 + 1}" filename="a_{i // 3 + 1:06d}.ome.tif"/>'
        '<PVStateShard><Key key="framePeriod" value="0.1"/>'
        '<Key key="micronsPerPixel_XAxis" value="0.8"/></PVStateShard></Frame>'
        for i in range(5)
    ]
    # The second cycle goes on where the first one ended.
    cycles = "".join(
        f'<Sequence type="TSeries Timed Element">{"".join(frames[part])}</Sequence>'
        for part in (slice(0, n_first), slice(n_first, None))
    )
    (folder / "rec.xml").write_text(f'<PVScan version="4.3">{cycles}</PVScan>')
    with open_movie(folder) as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert movie.channel == 2
        assert movie.metadata.frame_rate == pytest.approx(10)
        assert movie.metadata.pixel_size_um == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("kind", "file", "pattern", "replacement", "message"),
    [
        ("prairie", "rec.xml", r'rastersPerFrame" value="1"', 'rastersPerFrame" value="4"',
         "averaged 4 rasters"),
        ("prairie", "rec.xml", r"</PVScan>", "", "cannot be read as XML"),
        ("prairie", "rec.xml", r'filename="rec', 'filename="../rec', "is damaged: it lists a file"),
        ("prairie", "rec.xml", r"<Frame.*</Frame>", "", "lists no frames"),
        ("thor_raw", "Experiment.xml", r'averageMode="0" averageNum="1"',
         'averageMode="1" averageNum="3"', "average of 3 recorded ones"),
        ("thor_raw", "Experiment.xml", r'pixelX="4"', 'pixelX="4000000000"', "frames are 40000"),
        ("thor_raw", "Experiment.xml", r'pixelX="4"', 'pixelX="-4"', "frames are -4 x 6"),
        ("thor_raw", "Experiment.xml", r'pixelX="4"', 'pixelX="4000"', "0 whole frames of 4000"),
        ("thor_tif", "Experiment.xml", r"ChanA", "ChanC", "nor TIFFs named like ChanC_001_001"),
    ],
)  # fmt: skip
def test_descriptions_that_are_wrong(tmp_path, kind, file, pattern, replacement, message):
    path, _ = written(tmp_path, kind, PLAN)
    text = (path / file).read_text()
    changed = re.sub(pattern, replacement, text, flags=re.DOTALL)
    assert changed != text
    (path / file).write_text(changed)
    with pytest.raises(MovieError, match=message):
        open_movie(path)


def test_frames_while_a_fast_stage_flies_back_are_left_out(tmp_path):
    """Two of five frames of each volume in the .raw: no plane, though the clock counts them."""
    path, data = written(tmp_path, "thor_raw", replace(PLAN, n_planes=3))
    text = (path / "Experiment.xml").read_text()
    changed = text.replace('flybackFrames="0"', 'flybackFrames="2"')
    changed = changed.replace(' frames="15"', ' frames="25"')
    assert changed != text
    (path / "Experiment.xml").write_text(changed)
    flyback = np.full((5, 2, *PLAN.shape), 7, np.uint16)
    (raw,) = path.glob("*.raw")
    raw.write_bytes(np.concatenate([data[:, :, 0], flyback], axis=1).tobytes())
    for plane in range(3):
        with open_movie(path, plane=plane + 1) as movie:
            np.testing.assert_array_equal(everything(movie), data[:, plane, 0])
            np.testing.assert_array_equal(movie.clock_index, 5 * np.arange(5) + plane)
            assert movie.n_planes == 3


@pytest.mark.parametrize("kind", ["thor_raw", "scanbox"])
def test_raw_frames_that_were_cut_off(tmp_path, kind):
    path, data = written(tmp_path, kind, PLAN)
    file = path if path.is_file() else next(path.glob("*.raw"))
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data[:4, 0, 0])
        assert movie.n_clock_frames == 5
        assert "is cut off" in movie.notes[0]
        file.write_bytes(content[:100])
        with pytest.raises(MovieError, match=r"has become shorter while it was read"):
            movie.read([3])
    file.write_bytes(content[:7])
    with pytest.raises(MovieError, match=r"cut off"):
        open_movie(path)


def test_scanbox_without_its_description(tmp_path):
    path, _ = written(tmp_path, "scanbox", PLAN)
    path.with_suffix(".mat").write_bytes(b"nothing")
    with pytest.raises(MovieError, match=r"m\.mat cannot be read as the description of a Scanbox"):
        open_movie(path)
    path.with_suffix(".mat").unlink()
    with pytest.raises(MovieError, match=r"m\.sbx is described by m\.mat, which is not beside it"):
        open_movie(path)


def test_hdf5_with_several_movies(tmp_path):
    h5py = pytest.importorskip("h5py")
    data = volumes(PLAN)[:, 0, 0]
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/raw", data=data.astype(">u2"), chunks=(2, 6, 4), compression="gzip")
        file["b"] = data.astype("f4")
        file["c"] = data.astype("i8")
        file["image"] = data[0]
    with pytest.raises(MovieError, match=r"several datasets of frames \(a/raw, b, c\)"):
        open_movie(path)
    with open_movie(path, dataset="a/raw") as movie:
        np.testing.assert_array_equal(everything(movie), data)
        assert movie.dtype == np.dtype("u2")
    with open_movie(path, dataset="/b") as movie:
        assert movie.dtype == np.dtype("f4")
    with pytest.raises(MovieError, match=r"pixels of int64"):
        open_movie(path, dataset="c")
    with pytest.raises(MovieError, match=r"movie\.dataset is 'image', but there is no such"):
        open_movie(path, dataset="image")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(MovieError, match=r"m\.h5 cannot be read as a movie in HDF5"):
        open_movie(path, dataset="b")


def test_a_folder_that_is_no_recording(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    (tmp_path / "notes.xml").write_text("<notes/>")
    with pytest.raises(MovieError, match=r"is a folder; give a TIFF file, or all TIFF files"):
        open_movie(tmp_path)


REWRITTEN = {
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "compressed": {"compression": "zlib", "predictor": True},
    "tiles": {"tile": (16, 16)},
    "strips": {"rowsperstrip": 1},
}


@pytest.mark.parametrize("options", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize("kind", ["prairie", "thor_tif"])
def test_folders_with_tiffs_of_every_kind(tmp_path, kind, dtype, options):
    path, data = written(tmp_path, kind, replace(PLAN, n_channels=2))
    data = (data >> 8 if dtype == "uint8" else data.astype(np.int32) - 20000).astype(dtype)
    files = sorted(path.glob("*.tif"))
    channels = [re.search(r"Ch(?:an)?([AB12])_", file.name)[1] in "B2" for file in files]
    for channel in (0, 1):
        own = [file for file, second in zip(files, channels, strict=True) if second == channel]
        for file, frame in zip(own, data[:, 0, channel], strict=True):
            with tifffile.TiffFile(file) as tif:
                text = tif.pages[0].description
            tifffile.imwrite(file, frame, description=text, metadata=None, **options)
    for channel in (1, 2):
        with open_movie(path, channel=channel) as movie:
            assert movie.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(everything(movie), data[:, 0, channel - 1])


@pytest.mark.parametrize("kind", ["prairie", "thor_tif"])
def test_a_missing_codec_shows_before_the_work(tmp_path, kind, monkeypatch):
    path, data = written(tmp_path, kind, PLAN)
    for file, frame in zip(sorted(path.glob("*.tif")), data[:, 0, 0], strict=True):
        tifffile.imwrite(file, frame, metadata=None, compression="zlib")

    def refuse(*_args, **_kwargs):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    with pytest.raises(MovieError, match="pip install imagecodecs"):
        open_movie(path)


@pytest.mark.parametrize("kind", ["prairie", "thor_tif", "thor_raw"])
def test_what_else_lies_in_the_folder_is_no_part_of_the_movie(tmp_path, kind):
    path, data = written(tmp_path, kind, PLAN)
    (path / "References").mkdir()
    for name in ("References/ref.tif", "ChanA_Preview.tif", "AVG_movie.tif", "zz.tif"):
        tifffile.imwrite(path / name, np.zeros((9, 9), np.uint8))
    for name in ("ROIs.xaml", "rec.env", "Thumbs.db", "notes.txt", "empty.raw", "a.xml"):
        (path / name).touch()
    # What macOS leaves on other file systems.
    for file in [*path.glob("*.tif"), *path.glob("*.raw"), *path.glob("*.xml")]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7" + bytes(3000))
    with open_movie(path) as movie:
        np.testing.assert_array_equal(everything(movie), data[:, 0, 0])


@pytest.mark.parametrize("kind", ["prairie", "thor_tif", "thor_raw", "scanbox", "h5", "nwb"])
def test_recordings_without_a_frame(tmp_path, kind):
    path, _ = written(tmp_path, kind, PLAN)
    if kind in ("thor_raw", "scanbox"):
        file = next(path.glob("*.raw")) if kind == "thor_raw" else path
        file.write_bytes(b"")
    elif kind == "prairie":
        (description,) = path.glob("*.xml")
        text = re.sub(r"<Frame\b.*</Frame>", "", description.read_text(), flags=re.DOTALL)
        description.write_text(text)
    elif kind == "thor_tif":
        for file in path.glob("*.tif"):
            file.unlink()
    else:
        import h5py

        name = {"h5": "", "nwb": "acquisition/"}[kind]
        with h5py.File(path, "r+") as file:
            found = []
            file.visititems(
                lambda at, item: found.append(at) if getattr(item, "ndim", 0) == 3 else None
            )
            (at,) = [each for each in found if each.startswith(name)]
            shape, dtype = file[at].shape, file[at].dtype
            del file[at]
            file.create_dataset(at, (0, *shape[1:]), dtype)
    with pytest.raises(MovieError) as error:
        open_movie(path)
    assert str(path.name) in str(error.value)


@pytest.mark.parametrize("dtype", ["<u1", ">i2", ">u4", "<i4", ">f4", "<f8", "f2"])
@pytest.mark.parametrize("options", [{}, {"compression": "lzf"}, {"shuffle": True, "chunks": True}])
def test_hdf5_of_every_type(tmp_path, dtype, options):
    h5py = pytest.importorskip("h5py")
    data = (volumes(PLAN)[:, 0, 0] // 300).astype(dtype)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("m", data=data, **options)
    with open_movie(tmp_path / "m.h5") as movie:
        assert movie.dtype.isnative
        np.testing.assert_array_equal(everything(movie), data)


@pytest.mark.parametrize("suffix", [".h5", ".nwb"])
def test_a_library_that_is_not_installed_is_named(tmp_path, suffix, monkeypatch):
    (tmp_path / f"m{suffix}").write_bytes(b"\x89HDF\r\n\x1a\n")
    # The worker that reads such files looks for libraries where this process found them.
    (tmp_path / "h5py.py").write_text("raise ImportError('none')")
    monkeypatch.syspath_prepend(tmp_path)
    isolated.stop_worker()
    try:
        with pytest.raises(ConfigError, match=r"m\.\w+ is read by h5py, .*pip install h5py"):
            open_movie(tmp_path / f"m{suffix}")
    finally:
        isolated.stop_worker()
