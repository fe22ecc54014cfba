import errno
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import InputError
from derotation.io import tiff_writer
from derotation.io.files import (
    natural_sort,
    save_npz,
    whole_file,
    whole_files,
    write_json,
    write_text,
)
from derotation.io.movie import open_movie
from derotation.io.tiff_writer import TiffStackWriter

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_and_raise(path: Path, error: BaseException | type[BaseException]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise error


def test_whole_file_appears_only_at_the_end(tmp_path):
    target = tmp_path / "a.tif"
    with whole_file(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
        assert temporary.name.startswith(".")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_whole_file_keeps_the_old_file_when_interrupted(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error):
        write_and_raise(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_whole_file_makes_its_folder(tmp_path):
    with whole_file(tmp_path / "deep" / "er" / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "x"


def test_whole_file_refuses_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder"), whole_file(tmp_path):
        pass


def test_whole_file_says_when_nothing_was_written(tmp_path):
    message = r"nothing was written for .*a\.txt"
    with pytest.raises(InputError, match=message), whole_file(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_whole_files_appear_together_or_not_at_all(tmp_path):
    targets = [tmp_path / "a.txt", tmp_path / "b.txt"]
    with pytest.raises(InputError, match=r"b\.txt"), whole_files(targets) as (first, _):
        first.write_text("x")
    assert names(tmp_path) == []
    with whole_files(targets) as temporaries:
        for temporary in temporaries:
            temporary.write_text("x")
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_full_disk_names_the_file(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"could not write: .*a\.txt") as caught:
        write_and_raise(tmp_path / "a.txt", full)
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_other_errors_of_the_system_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), whole_file(tmp_path / "a.txt"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "input.tif")


def test_write_json_knows_numpy_paths_and_missing_numbers(tmp_path):
    path = tmp_path / "a.json"
    write_json(
        path,
        {
            "z": np.float32(0.5),
            "a": np.int64(3),
            "nan": float("nan"),
            "inf": np.array([1.0, np.inf]),
            "flag": np.bool_(True),
            "path": Path("x") / "y",
            "nothing": None,
            "unit": "µm",
            "list": [(1, 2), {"k": np.array(4)}],
            3: "number as key",
        },
    )
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "z": 0.5,\n  "a": 3,')
    assert "µm" in text
    assert json.loads(text) == {
        "z": 0.5,
        "a": 3,
        "nan": None,
        "inf": [1.0, None],
        "flag": True,
        "path": str(Path("x") / "y"),
        "nothing": None,
        "unit": "µm",
        "list": [[1, 2], {"k": 4}],
        "3": "number as key",
    }


def test_write_json_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(TypeError, match="complex"):
        write_json(tmp_path / "a.json", {"a": 1j})
    assert names(tmp_path) == []


def test_write_text_keeps_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "a\nb\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"a\nb\r\n"


def test_save_npz_gives_the_same_bytes_for_the_same_arrays(tmp_path):
    arrays = {
        "path": np.arange(6.0).reshape(2, 3),
        "empty": np.zeros((0, 4)),
        "text": "words",
        "flag": np.array([True, False]),
    }
    save_npz(tmp_path / "a.npz", **arrays)
    save_npz(tmp_path / "b.npz", **arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)


def test_save_npz_refuses_objects(tmp_path):
    with pytest.raises(InputError, match=r"array 'a' for .* holds Python objects"):
        save_npz(tmp_path / "a.npz", a=np.array([{}, None]))
    assert names(tmp_path) == []


def test_natural_sort_takes_numbers_as_numbers():
    given_order = ["m_10.tif", "m_9.tif", "M_1.tif", "a10/m_1.tif", "a2/m_3.tif", "m_01.tif"]
    expected = ["a2/m_3.tif", "a10/m_1.tif", "M_1.tif", "m_01.tif", "m_9.tif", "m_10.tif"]
    assert natural_sort(given_order) == [Path(name) for name in expected]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**12), unique=True, max_size=20))
def test_natural_sort_agrees_with_sorted_numbers(numbers):
    paths = [f"folder 3/scan-{number} (a).tif" for number in numbers]
    expected = [Path(f"folder 3/scan-{number} (a).tif") for number in sorted(numbers)]
    assert natural_sort(paths) == expected


def movie(dtype, shape=(7, 5, 3)) -> np.ndarray:
    rng = np.random.default_rng(1)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def write_stack(path: Path, *blocks: np.ndarray, error: type[BaseException] | None = None) -> None:
    with TiffStackWriter(path, (7, 5, 3), "u2") as writer:
        for block in blocks:
            writer.write(block)
        if error is not None:
            raise error


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i2", "i4", "f8"])
@pytest.mark.parametrize("shape", [(7, 5, 3), (1, 4, 6), (3, 3, 4), (4, 8, 4)])
def test_stack_writer_round_trip(tmp_path, dtype, shape):
    data = movie(dtype, shape)
    path = tmp_path / "m.tif"
    with TiffStackWriter(
        path, shape, dtype, frame_interval_s=0.25, pixel_size_um=0.5, description={"who": "mé"}
    ) as writer:
        writer.write(data[0])
        writer.write(data[1:1])
        writer.write(data[1:])
        assert not path.exists()
    assert names(tmp_path) == ["m.tif"]
    with tifffile.TiffFile(path) as tif:
        assert not tif.is_bigtiff
        assert len(tif.pages) == shape[0]
        assert all(page.shape == shape[1:] for page in tif.pages)
        np.testing.assert_array_equal(tif.asarray(key=slice(None)).reshape(shape), data)
        np.testing.assert_array_equal(tif.series[0].asarray().reshape(shape), data)
        assert tif.pages[0].dtype == np.dtype(dtype)
        assert tif.pages[0].compression == 1
        # Pixels of all frames lie in one piece.
        offset = tif.pages[0].dataoffsets[0]
    assert path.read_bytes()[offset : offset + data.nbytes] == data.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "u4", "f4"])
def test_stack_writer_writes_what_imagej_wants(tmp_path, dtype):
    with TiffStackWriter(
        tmp_path / "m.tif", (7, 5, 3), dtype, frame_interval_s=0.25, pixel_size_um=0.5
    ) as writer:
        writer.write(movie(dtype))
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        assert tif.is_imagej
        found = tif.imagej_metadata
        assert (found["images"], found["frames"]) == (7, 7)
        assert found["finterval"] == 0.25
        assert found["unit"] == "um"
        assert tif.pages[0].tags["XResolution"].value == (2, 1)
        (series,) = tif.series
        assert (series.axes, series.shape) == ("TYX", (7, 5, 3))
        # Signed pixels lie 32768 higher in ImageJ's memory, and are shown by this line.
        calibration = {"cf": 0, "c0": -32768, "c1": 1}.items()
        assert (calibration <= found.items()) == (dtype == "i2")
        np.testing.assert_array_equal(tif.asarray(), movie(dtype))


def test_stack_writer_describes_what_imagej_cannot_hold(tmp_path):
    with TiffStackWriter(
        tmp_path / "m.tif", (7, 5, 3), "i1", frame_interval_s=0.25, pixel_size_um=0.5
    ) as writer:
        writer.write(movie("i1"))
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        assert not tif.is_imagej
        assert tif.is_ome
        (pixels,) = ElementTree.fromstring(tif.ome_metadata).iter(f"{OME}Pixels")
        unit = tif.pages[0].tags["ResolutionUnit"].value
        numerator, denominator = tif.pages[0].tags["XResolution"].value
    # What Bio-Formats reads.
    assert (pixels.get("SizeT"), pixels.get("SizeZ"), pixels.get("SizeC")) == ("7", "1", "1")
    assert float(pixels.get("TimeIncrement")) == 0.25
    assert pixels.get("TimeIncrementUnit") == "s"
    for axis in "XY":
        assert float(pixels.get(f"PhysicalSize{axis}")) == 0.5
        assert pixels.get(f"PhysicalSize{axis}Unit") == "µm"
    # What readers of plain TIFFs read: 20000 pixels per centimeter.
    assert unit == 3
    assert numerator / denominator == pytest.approx(20_000)


@pytest.mark.parametrize("dtype", ["i1", "i2"])
def test_stack_writer_writes_equal_movies_as_equal_files(tmp_path, dtype):
    for folder in ("one", "two"):
        with TiffStackWriter(tmp_path / folder / "m.tif", (7, 5, 3), dtype) as writer:
            writer.write(movie(dtype))
    assert (tmp_path / "one" / "m.tif").read_bytes() == (tmp_path / "two" / "m.tif").read_bytes()


@pytest.mark.parametrize("dtype", ["u2", "i2", "i1", "f8"])
def test_own_reader_finds_rate_and_pixel_size(tmp_path, dtype):
    path = tmp_path / "m.tif"
    with TiffStackWriter(
        path, (7, 5, 3), dtype, frame_interval_s=0.25, pixel_size_um=0.5
    ) as writer:
        writer.write(movie(dtype))
    with open_movie(path) as found:
        assert found.shape == (7, 5, 3)
        assert found.dtype == dtype
        np.testing.assert_array_equal(
            np.concatenate([block for _, block in found.chunks()]), movie(dtype)
        )
        assert found.metadata.frame_rate == pytest.approx(4)
        assert found.metadata.pixel_size_um == pytest.approx(0.5)


def test_stack_writer_takes_bigtiff_above_the_limit(tmp_path, monkeypatch):
    assert not TiffStackWriter(tmp_path / "m.tif", (29_000, 256, 256), "u2").is_bigtiff
    assert TiffStackWriter(tmp_path / "m.tif", (30_000, 256, 256), "u2").is_bigtiff
    monkeypatch.setattr(tiff_writer, "_CLASSIC_LIMIT_BYTES", 100)
    data = movie("u2")
    with TiffStackWriter(tmp_path / "m.tif", data.shape, data.dtype) as writer:
        writer.write(data)
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        assert tif.is_bigtiff
        assert len(tif.pages) == len(data)
        np.testing.assert_array_equal(tif.asarray(), data)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_stack_writer_leaves_nothing_half_written(tmp_path, error):
    with pytest.raises(error):
        write_stack(tmp_path / "m.tif", movie("u2")[:3], error=error)
    assert names(tmp_path) == []


def test_stack_writer_refuses_a_movie_that_is_too_short(tmp_path):
    with pytest.raises(InputError, match="3 of 7 frames were written"):
        write_stack(tmp_path / "m.tif", movie("u2")[:3])
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros((8, 5, 3), "u2"), "8 frames for a movie of 7"),
        (np.zeros((1, 3, 5), "u2"), r"shape \(1, 3, 5\) does not fit"),
        (np.zeros((1, 5, 3), "i2"), "block of int16 does not fit into a movie of uint16"),
    ],
)
def test_stack_writer_refuses_a_block_that_does_not_fit(tmp_path, block, message):
    with pytest.raises(InputError, match=message):
        write_stack(tmp_path / "m.tif", block)
    assert names(tmp_path) == []


def test_stack_writer_passes_a_full_disk_on_with_the_path(tmp_path, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(path, mode, buffering):
        return FullDisk(path, mode)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OSError, match=r"m\.tif") as caught:
        write_stack(tmp_path / "m.tif", movie("u2"))
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value.filename) == str(tmp_path / "m.tif")
    assert names(tmp_path) == []


def test_stack_writer_refuses_what_is_no_movie(tmp_path):
    with pytest.raises(InputError, match="without zeros"):
        TiffStackWriter(tmp_path / "m.tif", (0, 5, 3), "u2")
    with pytest.raises(InputError, match="complex64"):
        TiffStackWriter(tmp_path / "m.tif", (7, 5, 3), "c8")
    with pytest.raises(InputError, match="is not open"):
        TiffStackWriter(tmp_path / "m.tif", (7, 5, 3), "u2").write(movie("u2"))
