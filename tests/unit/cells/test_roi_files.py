"""ROIs of other programs."""

import numpy as np
import pytest
import tifffile

from derotation.cells.reading import read_rois, read_suite2p, rois_of_blobs
from derotation.errors import InputError

LABELS = np.zeros((12, 16), np.uint16)
LABELS[2:5, 3:7], LABELS[7:9, 10:13] = 4, 9


def suite2p_folder(folder, n_frames=20, **files):
    stat = [
        {"ypix": np.array([1, 1, 2]), "xpix": np.array([3, 4, 4]), "lam": np.array([1, 1, 2.0]),
         "overlap": np.array([False, True, False])},
        {"ypix": np.array([8]), "xpix": np.array([9]), "lam": np.array([1.0])},
        {"ypix": np.array([9]), "xpix": np.array([1]), "lam": np.array([1.0])},
    ]  # fmt: skip
    traces = np.arange(3 * n_frames, dtype=np.float32).reshape(3, -1)
    content = {
        "stat": np.array(stat, dtype=object),
        "iscell": np.array([[1, 0.9], [0, 0.1], [1, 0.6]]),
        "F": traces,
        "Fneu": traces + 0.5,
    } | files
    for name, array in content.items():
        np.save(folder / f"{name}.npy", array)


def test_suite2p_cells_are_those_that_it_calls_so(tmp_path):
    suite2p_folder(tmp_path)
    found = read_suite2p(tmp_path, (20, 12, 16))
    assert found.rois.number.tolist() == [0, 2]
    # The pixel that overlaps is left out; others have Suite2p's weights.
    assert found.rois.place.tolist() == [1 * 16 + 3, 2 * 16 + 4, 9 * 16 + 1]
    assert np.allclose(found.rois.weight, [1 / 3, 2 / 3, 1])
    assert found.fluorescence[:, 0].tolist() == [0, 40]
    assert found.neuropil[:, 0].tolist() == [0.5, 40.5]


def test_traces_of_another_movie_are_refused(tmp_path):
    suite2p_folder(tmp_path, n_frames=19)
    with pytest.raises(InputError, match=r"F.npy has the shape \(3, 19\), but \(3, 20\)"):
        read_suite2p(tmp_path, (20, 12, 16))


@pytest.mark.parametrize("name", ["stat", "F", "Fneu"])
def test_a_missing_file_of_suite2p_is_named(tmp_path, name):
    suite2p_folder(tmp_path)
    (tmp_path / f"{name}.npy").unlink()
    with pytest.raises(InputError, match=f"{name}.npy is missing.*run Suite2p again"):
        read_suite2p(tmp_path, (20, 12, 16))


@pytest.mark.parametrize("damage", [b"", b"nothing", b"\x93NUMPY\x01"])
def test_damaged_files_of_suite2p_are_named(tmp_path, damage):
    suite2p_folder(tmp_path)
    (tmp_path / "stat.npy").write_bytes(damage)
    with pytest.raises(InputError, match=r"stat\.npy cannot be read"):
        read_suite2p(tmp_path, (20, 12, 16))


def test_rois_that_lack_a_key_are_named(tmp_path):
    suite2p_folder(tmp_path, stat=np.array([{"ypix": np.array([1])}] * 3, dtype=object))
    with pytest.raises(InputError, match="ROI 0: it lacks 'xpix'"):
        read_suite2p(tmp_path, (20, 12, 16))


def one_roi(**changed):
    roi = {"ypix": np.array([1, 2]), "xpix": np.array([3, 4]), "lam": np.array([1.0, 2.0])}
    return np.array([roi | changed] * 3, dtype=object)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"stat": one_roi(xpix=np.array([3, 16]))}, r"ROI 0 lies outside the picture \(16 x 12 px"),
        ({"stat": one_roi(ypix=np.array([-1, 2]))}, "lies outside the picture"),
        ({"stat": one_roi(xpix=np.array([3]))}, "hold 2, 1, 2 and 2 pixels"),
        ({"stat": one_roi(overlap=np.array([True]))}, "hold 2, 2, 2 and 1 pixels"),
        ({"stat": one_roi(lam=np.array([1, np.nan]))}, "lam holds what is no number"),
        ({"stat": np.array({"a": 1}, dtype=object)}, "is no list of ROIs"),
        ({"stat": np.zeros((3, 2))}, "is no list of ROIs"),
        ({"iscell": np.ones((6, 2))}, r"iscell.npy has the shape \(6, 2\), but stat.npy holds 3"),
        ({"iscell": np.array(1.0)}, "a row for each was expected"),
    ],
)
def test_what_suite2p_would_not_write_is_named(tmp_path, files, says):
    suite2p_folder(tmp_path, **files)
    with pytest.raises(InputError, match=says):
        read_suite2p(tmp_path, (20, 12, 16))


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_a_picture_of_labels_names_its_rois(tmp_path, kind):
    path = tmp_path / f"rois.{kind}"
    np.save(path, LABELS) if kind == "npy" else tifffile.imwrite(path, LABELS)
    rois = read_rois(path, LABELS.shape)
    assert rois.number.tolist() == [4, 9]
    assert rois.n_pixels.tolist() == [12, 6]


def test_masks_may_lie_over_each_other(tmp_path):
    masks = np.stack([LABELS > 0, LABELS == 9])
    np.save(tmp_path / "masks.npy", masks)
    assert read_rois(tmp_path / "masks.npy", LABELS.shape).n_pixels.tolist() == [18, 6]


def test_rois_of_imagej_hold_the_pixels_that_it_counts(tmp_path):
    roifile = pytest.importorskip("roifile")
    # Corners of pixels 3..6, 2..4: what ImageJ's rectangle of 4 x 3 is.
    corners = np.array([[3, 2], [7, 2], [7, 5], [3, 5]], float)
    polygon = roifile.ImagejRoi.frompoints(corners, name="a")
    oval = roifile.ImagejRoi.frompoints(np.array([[8, 6], [14, 10]], float), name="b")
    oval.roitype = roifile.ROI_TYPE.OVAL
    oval.left, oval.top, oval.right, oval.bottom = 8, 6, 14, 10
    roifile.roiwrite(tmp_path / "rois.zip", [polygon, oval], mode="w")
    rois = read_rois(tmp_path / "rois.zip", LABELS.shape)
    assert np.array_equal(rois.take([0]).labels() > 0, LABELS == 4)
    y, x = np.mgrid[:12, :16]
    ellipse = ((x - 10.5) / 3) ** 2 + ((y - 7.5) / 2) ** 2 <= 1
    assert np.array_equal(rois.take([1]).labels() > 0, ellipse)


def test_lines_and_points_of_imagej_are_no_regions(tmp_path, caplog):
    roifile = pytest.importorskip("roifile")
    corners = np.array([[3, 2], [7, 2], [7, 5], [3, 5]], float)
    rois = []
    for kind in ("POLYLINE", "POLYGON", "POINT", "FREEHAND", "LINE"):
        rois.append(roifile.ImagejRoi.frompoints(corners, name=kind))
        rois[-1].roitype = roifile.ROI_TYPE[kind]
    roifile.roiwrite(tmp_path / "rois.zip", rois, mode="w")
    found = read_rois(tmp_path / "rois.zip", LABELS.shape)
    # They are called by their place in the file.
    assert found.number.tolist() == [2, 4]
    assert "3 of 5 ROIs hold no area (line, point, polyline) and are left out" in caplog.text
    roifile.roiwrite(tmp_path / "line.roi", rois[0])
    with pytest.raises(InputError, match="holds no ROI"):
        read_rois(tmp_path / "line.roi", LABELS.shape)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rois.txt", b"", "can be read from"),
        ("rois.zip", b"no zip", "cannot be read as ROIs of ImageJ"),
        ("rois.tif", b"no tiff", "cannot be read as a picture"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_rois(tmp_path / name, (4, 4))


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.zeros((12, 16), int), "holds no ROI"),
        (np.ones((12, 15), int), r"expected whole numbers of the shape \(12, 16\)"),
        (np.ones((12, 16)), "found float64"),
        (LABELS.astype(int) - 1, "found numbers down to -1"),
        (np.stack([LABELS, LABELS]), "page 1: found several numbers above 0"),
    ],
)
def test_pictures_that_are_none_of_rois_are_refused(tmp_path, picture, says):
    np.save(tmp_path / "rois.npy", picture)
    with pytest.raises(InputError, match=says):
        read_rois(tmp_path / "rois.npy", (12, 16))
    with pytest.raises(InputError, match="is missing"):
        read_rois(tmp_path / "none.npy", (12, 16))


def test_blobs_are_discs_where_cells_are():
    y, x = np.mgrid[:60, :80]
    image = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18) for cx, cy in ((20, 30), (55, 18)))
    rois = rois_of_blobs(image)
    assert sorted(np.rint(rois.centroids).tolist()) == [[20, 30], [55, 18]]
    assert np.all((rois.n_pixels > 20) & (rois.n_pixels < 150))
