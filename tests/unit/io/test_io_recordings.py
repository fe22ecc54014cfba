"""Folders and patterns with more than one recording in them, and with less than one."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from derotation.errors import MovieError
from derotation.io.movie import movie_files, open_movie, recording_metadata
from derotation.simulate.formats import MoviePlan, write_movie

PLAN = MoviePlan(n_times=4, shape=(6, 4), frame_rate=30.0)


def volumes(plan, seed):
    shape = (plan.n_times, plan.n_planes, plan.n_channels, *plan.shape)
    return np.random.default_rng(seed).integers(0, 60000, shape).astype(plan.dtype)


def write(path, kind, seed=1, plan=PLAN):
    data = volumes(plan, seed)
    write_movie(path, kind, iter(data), plan)
    return data


def together(folder, *parts):
    folder.mkdir()
    for part in parts:
        for file in part.iterdir():
            shutil.move(file, folder / file.name)
    return folder


def frames(movie):
    return movie.read(slice(None))


@pytest.fixture
def two_prairies(tmp_path):
    """Two recordings of Prairie View of two channels in one folder."""
    plan = replace(PLAN, n_channels=2)
    data = {name: write(tmp_path / name, "prairie", seed, plan) for seed, name in enumerate(
        ["TSeries-001", "TSeries-0011"])}  # fmt: skip
    return together(tmp_path / "day", tmp_path / "TSeries-001", tmp_path / "TSeries-0011"), data


def test_two_recordings_of_prairie_view_in_one_folder(two_prairies):
    folder, data = two_prairies
    with pytest.raises(MovieError) as caught:
        open_movie(folder, channel=1)
    assert "2 recordings (TSeries-001.xml, TSeries-0011.xml)" in str(caught.value)
    assert f"column movie, {folder / 'TSeries-001.xml'} for example" in str(caught.value)
    for name, own in data.items():
        path = folder / f"{name}.xml"
        with open_movie(path, channel=2) as movie:
            np.testing.assert_array_equal(frames(movie), own[:, 0, 1])
        files = [file.name for file in movie_files(path)]
        assert len(files) == 9
        assert all(file.split("_")[0].split(".")[0] == name for file in files)
        assert recording_metadata(path).frame_rate == pytest.approx(30)


def test_a_file_of_a_recording_means_the_recording_and_its_channel(two_prairies):
    folder, data = two_prairies
    path = folder / "TSeries-0011_Cycle00001_Ch2_000003.ome.tif"
    with open_movie(path) as movie:
        np.testing.assert_array_equal(frames(movie), data["TSeries-0011"][:, 0, 1])
    with open_movie(path, channel=1) as movie:
        np.testing.assert_array_equal(frames(movie), data["TSeries-0011"][:, 0, 0])
    assert len(movie_files(path)) == 9


@pytest.mark.parametrize("with_xml", [True, False])
def test_a_pattern_never_joins_recordings_of_prairie_view(two_prairies, with_xml):
    folder, data = two_prairies
    if not with_xml:
        for file in folder.glob("*.xml"):
            file.unlink()
    for pattern in ("*.tif", "*_Ch1_*.tif"):
        with pytest.raises(MovieError, match=r"2 recordings of Prairie View \(TSeries-001, "):
            open_movie(folder / pattern, channel=1)
    with open_movie(folder / "TSeries-001_*.tif", channel=1) as movie:
        np.testing.assert_array_equal(frames(movie), data["TSeries-001"][:, 0, 0])


def test_copies_of_a_description_are_no_recordings(tmp_path):
    for kind, name in (("prairie", "rec.xml"), ("thor_raw", "Experiment.xml")):
        folder = tmp_path / kind / "rec"
        folder.parent.mkdir()
        data = write(folder, kind)
        shutil.copy(folder / name, folder / "A copy of it.xml")
        with open_movie(folder) as movie:
            np.testing.assert_array_equal(frames(movie), data[:, 0, 0])


def test_two_recordings_of_thorimage_in_one_folder(tmp_path):
    first, second = (write(tmp_path / name, "thor_raw", seed) for seed, name in enumerate("ab"))
    folder = tmp_path / "a"
    other = folder / "Image_0002_0001.raw"
    shutil.move(tmp_path / "b" / "Image_0001_0001.raw", other)
    with pytest.raises(MovieError, match=r"Image_0001_0001.raw, Image_0002_0001.raw\) of 8 frames"):
        open_movie(folder)
    for path, own in ((folder / "Image_0001_0001.raw", first), (other, second)):
        with open_movie(path) as movie:
            np.testing.assert_array_equal(frames(movie), own[:, 0, 0])
        assert [file.name for file in movie_files(path)] == ["Experiment.xml", path.name]
    text = (folder / "Experiment.xml").read_text()
    (folder / "Experiment_2.xml").write_text(text.replace("30.0", "15.0"))
    for path in (folder, other, folder / "Experiment.xml"):
        with pytest.raises(MovieError, match=r"2 recordings \(Experiment.xml, Experiment_2.xml\)"):
            open_movie(path)


def test_a_tiff_of_thorimage_means_its_recording_and_channel(tmp_path):
    data = write(tmp_path / "rec", "thor_tif", 2, replace(PLAN, n_channels=2))
    path = tmp_path / "rec" / "ChanB_001_001_001_000003.tif"
    with open_movie(path) as movie:
        np.testing.assert_array_equal(frames(movie), data[:, 0, 1])
    assert len(movie_files(path)) == 9
    (tmp_path / "rec" / "Experiment.xml").unlink()
    with open_movie(path) as movie:
        assert len(movie) == 1


def test_raw_files_that_follow_each_other(tmp_path):
    folder = tmp_path / "a"
    data = write(folder, "thor_raw")
    whole = folder / "Image_0001_0001.raw"
    content = whole.read_bytes()
    half = len(content) // 2
    whole.write_bytes(content[:half])
    (folder / "Image_0001_0002.raw").write_bytes(content[half:])
    with open_movie(folder) as movie:
        np.testing.assert_array_equal(frames(movie), data[:, 0, 0])
        assert "2 .raw files" in movie.notes[0]


def test_regions_of_thorimage_are_not_laid_on_each_other(tmp_path):
    folder = tmp_path / "a"
    write(folder, "thor_tif")
    for file in list(folder.glob("*.tif")):
        shutil.copy(file, folder / file.name.replace("ChanA_001_", "ChanA_002_"))
    with pytest.raises(MovieError, match="frames of 2 regions or recordings"):
        open_movie(folder)


def test_a_folder_of_folders_with_recordings(tmp_path):
    for name, kind in (("a", "thor_raw"), ("b", "prairie")):
        write(tmp_path / name, kind)
    with pytest.raises(MovieError, match=r"but 2 of its folders \(a, b\) do; write"):
        open_movie(tmp_path)


@pytest.mark.parametrize("kind", ["scanbox", "h5"])
def test_a_folder_with_other_movies(tmp_path, kind):
    suffix = {"scanbox": ".sbx", "h5": ".h5"}[kind]
    for name in "ab":
        write(tmp_path / f"{name}{suffix}", kind)
    with pytest.raises(MovieError, match=rf"column movie. Found a\{suffix}, b\{suffix}"):
        open_movie(tmp_path)


@pytest.mark.parametrize("both_ways", [False, True])
def test_planes_in_alternating_order(tmp_path, both_ways):
    plan = replace(PLAN, n_planes=3, n_channels=2)
    data = write(tmp_path / "rec", "prairie", 5, plan)
    xml = tmp_path / "rec" / "rec.xml"
    if both_ways:
        xml.write_text(xml.read_text().replace(" cycle=", ' bidirectionalZ="True" cycle='))
        # Files are numbered in the order of recording.
        data[1::2] = data[1::2, ::-1]
    for plane in (1, 2, 3):
        with open_movie(xml, channel=1, plane=plane) as movie:
            np.testing.assert_array_equal(frames(movie), data[:, plane - 1, 0])
            back = 3 - plane if both_ways else plane - 1
            expected = 3 * np.arange(4) + np.array([plane - 1, back, plane - 1, back])
            np.testing.assert_array_equal(movie.clock_index, expected)
            assert ("bidirectionalZ" in " ".join(movie.notes)) is both_ways


@pytest.mark.parametrize("n_extra", [0, 1, 2, 3, 4, 5])
def test_raw_frames_cut_within_a_time(tmp_path, n_extra):
    plan = replace(PLAN, n_planes=3, n_channels=2)
    data = write(tmp_path / "rec", "thor_raw", 5, plan)
    raw = tmp_path / "rec" / "Image_0001_0001.raw"
    raw.write_bytes(raw.read_bytes()[: (2 * 6 + n_extra) * 48 + 7])
    with open_movie(tmp_path / "rec", channel=1, plane=2) as movie:
        np.testing.assert_array_equal(frames(movie), data[:2, 1, 0])
        # The third time had begun, whatever page of it was cut.
        assert movie.n_clock_frames == 9
        assert "7 bytes" in " ".join(movie.notes)


def pages(folder, names, n_pages=1):
    folder.mkdir(exist_ok=True)
    value = 0
    for name in names:
        tifffile.imwrite(
            folder / name, np.arange(value, value + n_pages, dtype=np.uint16)[:, None, None]
            * np.ones((1, 5, 4), np.uint16), photometric="minisblack", metadata=None,
        )  # fmt: skip
        value += n_pages


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a_{:03d}.tif", "b_{:03d}.tif", "several recordings, or channels of one"),
        ("m_ch1_{:03d}.tif", "m_ch2_{:03d}.tif", "several channels or planes"),
        ("m_C0_T{:03d}.tif", "m_C1_T{:03d}.tif", "several channels or planes"),
        ("z01_{:03d}.tif", "z02_{:03d}.tif", "several channels or planes"),
        ("{:03d}_green.tif", "{:03d}_red.tif", "several recordings, or channels of one"),
    ],
)
def test_series_side_by_side_are_refused(tmp_path, first, second, message):
    names = [pattern.format(i) for pattern in (first, second) for i in (1, 2, 3)]
    pages(tmp_path / "raw", names)
    with pytest.raises(MovieError, match=message):
        open_movie(tmp_path / "raw" / "*.tif")


def test_series_that_may_follow_each_other_are_said(tmp_path):
    pages(tmp_path / "raw", [f"run_{run}_{i}.tif" for run in (1, 2) for i in (1, 2)], 3)
    with open_movie(tmp_path / "raw" / "*.tif") as movie:
        np.testing.assert_array_equal(frames(movie)[:, 0, 0], np.arange(12))
        assert "2 series (run_1_1.tif, run_2_1.tif)" in movie.notes[0]


@pytest.mark.parametrize("n_pages", [1, 4])
def test_files_missing_from_a_plain_set_are_counted(tmp_path, n_pages):
    pages(tmp_path / "raw", [f"m_{i:03d}.tif" for i in (1, 2, 3, 6, 7)], n_pages)
    with open_movie(tmp_path / "raw" / "m_*.tif") as movie:
        expected = np.r_[0 : 3 * n_pages, 5 * n_pages : 7 * n_pages]
        np.testing.assert_array_equal(movie.clock_index, expected)
        assert movie.n_clock_frames == 7 * n_pages
        assert "2 files are missing" in movie.notes[0]
        assert "the first before m_006.tif" in movie.notes[0]


def test_missing_files_of_unknown_length_are_refused(tmp_path):
    pages(tmp_path / "raw", [f"m_{i}.tif" for i in (1, 2, 4)], 2)
    pages(tmp_path / "raw", ["m_5.tif", "m_2.tif"], 3)
    with pytest.raises(MovieError, match=r"1 files seem to be missing before .*m_4\.tif.*2 to 3"):
        open_movie(tmp_path / "raw" / "m_*.tif")


@pytest.mark.parametrize("numbers", [(1, 3, 5, 7), (101500, 101530, 101600), (4, 5, 6)])
def test_numbers_that_count_otherwise_are_no_holes(tmp_path, numbers):
    pages(tmp_path / "raw", [f"m_{i}.tif" for i in numbers])
    with open_movie(tmp_path / "raw" / "m_*.tif") as movie:
        np.testing.assert_array_equal(movie.clock_index, np.arange(len(numbers)))


def test_a_stub_without_its_companion_and_with_a_hole(tmp_path):
    write(tmp_path / "rec", "prairie", 3, replace(PLAN, n_times=7))
    for name in (
        "rec.xml",
        "rec_Cycle00001_Ch1_000001.ome.tif",
        "rec_Cycle00001_Ch1_000004.ome.tif",
    ):
        (tmp_path / "rec" / name).unlink()
    with open_movie(tmp_path / "rec" / "*.tif") as movie:
        np.testing.assert_array_equal(movie.clock_index, [0, 1, 3, 4, 5])
        assert "1 times are missing between the files" in " ".join(movie.notes)


def test_one_file_of_an_ome_series_alone_is_said(tmp_path):
    data = np.zeros((3, 5, 4), np.uint16)
    listed = "".join(
        f'<TiffData FirstT="{i}" IFD="0" PlaneCount="1"><UUID FileName="m_{i}.ome.tif">u</UUID>'
        "</TiffData>" for i in range(3)
    )  # fmt: skip
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image><Pixels DimensionOrder="XYCZT" Type="uint16" SizeX="4" SizeY="5" SizeZ="1" '
        f'SizeC="1" SizeT="3">{listed}</Pixels></Image></OME>'
    )
    for i in range(3):
        tifffile.imwrite(tmp_path / f"m_{i}.ome.tif", data[i], description=text, metadata=None)
    with open_movie(tmp_path / "m_1.ome.tif") as movie:
        assert "one of 3 files of one recording" in " ".join(movie.notes)
    other = text.replace("m_", "n_")
    for i in range(3):
        tifffile.imwrite(tmp_path / f"n_{i}.ome.tif", data[i], description=other, metadata=None)
    with pytest.raises(MovieError, match=r"n_0\.ome\.tif is not part of the recording"):
        open_movie(tmp_path / "*.ome.tif")
