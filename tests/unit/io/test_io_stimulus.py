import numpy as np
import pytest
from scipy.io import savemat

from derotation.errors import InputError
from derotation.io.stimulus import read_stimulus


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "stimulus.csv"
    path.write_text(text, encoding=encoding, newline="")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "speed,direction\n200,1\n57.5,-1\n",
        " Direction , id, SPEED \r\n1,a,200\r\n\r\n-1 , b , 57.5\r\n",
        '"speed","direction"\n"200","1.0"\n"57.5","-1"',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
def test_csv(tmp_path, text, encoding):
    path = table(tmp_path, text, encoding)
    stimulus = read_stimulus(path)
    np.testing.assert_array_equal(stimulus.speed, [200.0, 57.5])
    np.testing.assert_array_equal(stimulus.direction, [1, -1])
    assert stimulus.speed.dtype == np.float64
    assert stimulus.direction.dtype == np.int8
    assert stimulus.path == path
    assert len(stimulus) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it needs the columns speed, direction"),
        ("\n,,\n", "is empty"),
        ("speed,direction\n", "has a header but no rows"),
        ("speed,dir\n1,1\n", "column 'direction' is missing; found speed, dir, expected speed"),
        ("speed;direction\n1;1\n", "Separate the columns by commas"),
        ("speed,direction,speed\n1,1,1\n", "column 'speed' is there more than once"),
        ("speed,direction\n10,1\n10,0\n", r"line 3: direction is 0; it must be 1 or -1"),
        ("speed,direction\n\n10,2\n", r"line 3: direction is 2; it must be 1 or -1"),
        ("speed,direction\n10,nan\n", "line 2: direction is nan"),
        ("speed,direction\n10,cw\n", "line 2: direction is 'cw', a number was expected"),
        ("speed,direction\n-10,1\n", "line 2: speed is -10; it must be a positive number"),
        ("speed,direction\n0,1\n", "line 2: speed is 0"),
        ("speed,direction\nnan,1\n", "line 2: speed is nan"),
        ("speed,direction\n,1\n", "line 2: speed is '', a number was expected"),
        ("speed,direction\n10\n", "line 2: 1 cells, where the header has 2"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_stimulus(table(tmp_path, text))
    assert "stimulus.csv" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_csv_in_any_encoding(tmp_path, encoding):
    path = table(tmp_path, "Geschwindigkeit (°/s),direction,µ\n57.5,1,µ\n", encoding)
    stimulus = read_stimulus(path, columns={"speed": "Geschwindigkeit (°/s)"})
    assert stimulus.speed.tolist() == [57.5]


def test_columns_by_name_or_number(tmp_path):
    path = table(tmp_path, "id,dir,deg_s\n7,-1,200\n8,1,100\n")
    for columns in ({"speed": "deg_s", "direction": "dir"}, {"speed": 3, "direction": 2}):
        stimulus = read_stimulus(path, columns=columns)
        assert stimulus.speed.tolist() == [200, 100]
        assert stimulus.direction.tolist() == [-1, 1]
    with pytest.raises(InputError, match="the column 'rate' is missing; found id, dir, deg_s"):
        read_stimulus(path, columns={"speed": "rate", "direction": "dir"})


SPEED, DIRECTION = np.array([200.0, 57.5, 10]), np.array([1.0, -1, 1])


def written(tmp_path, kind):
    """Write one table in many ways; say how it must be read."""
    matrix = np.stack([np.arange(3.0), SPEED, DIRECTION], axis=1)
    numbers = {"speed": 2, "direction": 3}
    path = tmp_path / ("table." + kind.split()[0])
    if kind == "npy":
        np.save(path, matrix)
    elif kind == "npy structured":
        fields = [("direction", "i1"), ("speed", "f4")]
        np.save(path, np.array(list(zip(DIRECTION, SPEED, strict=True)), fields))
        numbers = {}
    elif kind == "mat":
        savemat(path, {"trials": matrix})
    elif kind == "mat struct":
        savemat(path, {"trials": {"speed": SPEED, "direction": DIRECTION, "name": "x"}})
        numbers = {"speed": "speed"}
    elif kind == "mat vectors":
        savemat(path, {"speed": SPEED, "direction": DIRECTION})
        numbers = {"speed": "speed"}
    elif kind == "mat 7.3":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w", userblock_size=512) as file:
            file["trials"] = matrix.T
        with path.open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["trials"] = matrix
    elif kind == "h5 columns":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["trials/speed"], file["trials/direction"] = SPEED, DIRECTION.astype("i1")
        numbers = {}
    elif kind == "tdms":
        nptdms = pytest.importorskip("nptdms")
        with nptdms.TdmsWriter(path) as writer:
            writer.write_segment(
                [
                    nptdms.ChannelObject("trials", "Speed", SPEED),
                    nptdms.ChannelObject("trials", "direction", DIRECTION),
                ]
            )
        numbers = {}
    return path, numbers


@pytest.mark.parametrize(
    "kind",
    [
        "npy",
        "npy structured",
        "mat",
        "mat struct",
        "mat vectors",
        "mat 7.3",
        "h5",
        "h5 columns",
        "tdms",
    ],
)
def test_tables_of_other_programs(tmp_path, kind):
    path, columns = written(tmp_path, kind)
    stimulus = read_stimulus(path, columns=columns)
    np.testing.assert_allclose(stimulus.speed, SPEED)
    np.testing.assert_array_equal(stimulus.direction, DIRECTION)


def test_a_table_without_names_needs_numbers(tmp_path):
    path, _ = written(tmp_path, "h5")
    with pytest.raises(InputError, match=r"'speed' is missing; found 3 without names. Say which"):
        read_stimulus(path)


def test_matlab_7_3_with_the_usual_matrix(tmp_path):
    h5py = pytest.importorskip("h5py")
    matrix = np.array([[200.0, 7, 1], [150, 7, 0], [100, 7, -1], [50, 7, 2]])
    with h5py.File(tmp_path / "s.mat", "w", userblock_size=512) as file:
        file["stimulus_random"] = matrix.T
    stimulus = read_stimulus(tmp_path / "s.mat")
    np.testing.assert_array_equal(stimulus.speed, [200, 150, 100, 50])
    np.testing.assert_array_equal(stimulus.direction, [-1, 1, 1, -1])


def test_mat(tmp_path):
    matrix = np.array([[200.0, 7, 1], [150, 7, 0], [100, 7, -1], [50, 7, 2]])
    savemat(tmp_path / "s.mat", {"stimulus_random": matrix, "other": 1})
    stimulus = read_stimulus(tmp_path / "s.mat")
    np.testing.assert_array_equal(stimulus.speed, [200, 150, 100, 50])
    np.testing.assert_array_equal(stimulus.direction, [-1, 1, 1, -1])


def test_mat_with_one_rotation(tmp_path):
    savemat(tmp_path / "s.mat", {"stimulus_random": np.array([[200, 0, 1]], dtype=np.uint8)})
    stimulus = read_stimulus(tmp_path / "s.mat")
    assert (stimulus.speed.tolist(), stimulus.direction.tolist()) == ([200.0], [-1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": 1}, "no variable stimulus_random; found other"),
        ({"stimulus_random": np.zeros((3, 2))}, r"has shape \(3, 2\); .* at least 3 columns"),
        ({"stimulus_random": np.zeros((0, 3))}, "stimulus_random is empty"),
        ({"stimulus_random": np.array([[1, 0, 0], [0, 0, 1.0]])}, "row 2: speed is 0"),
        ({"stimulus_random": np.array([[1, 0, np.nan]])}, r"row 1: column 3 \(direction\) is nan"),
        ({"stimulus_random": "words"}, "a matrix of numbers"),
    ],
)
def test_bad_mat(tmp_path, content, message):
    savemat(tmp_path / "s.mat", content)
    with pytest.raises(InputError, match=message):
        read_stimulus(tmp_path / "s.mat")


def test_mat_that_is_none_or_of_the_newest_kind(tmp_path):
    path = tmp_path / "s.mat"
    path.write_bytes(b"not a matrix at all" * 20)
    with pytest.raises(InputError, match=r"s\.mat cannot be read as a \.mat file"):
        read_stimulus(path)
    # The header of version 7.3: 124 bytes of text, then the version.
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(InputError, match=r"MATLAB 7\.3 file.*option '-v7'"):
        read_stimulus(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv does not exist"):
        read_stimulus(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_stimulus(tmp_path)
    (tmp_path / "s.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"read from \.npy, \.csv, .*, not from '\.xlsx'"):
        read_stimulus(tmp_path / "s.xlsx")


def test_matlab_variables_by_their_names_need_no_key(tmp_path):
    savemat(tmp_path / "s.mat", {"speed": SPEED, "direction": DIRECTION, "rate": 5.0})
    found = read_stimulus(tmp_path / "s.mat")
    np.testing.assert_array_equal(found.speed, SPEED)
    np.testing.assert_array_equal(found.direction, DIRECTION)
    savemat(tmp_path / "s.mat", {"speeds": SPEED, "direction": DIRECTION})
    with pytest.raises(InputError, match="no variable stimulus_random; found speeds, direction"):
        read_stimulus(tmp_path / "s.mat")
