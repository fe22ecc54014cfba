"""Results of earlier steps that were damaged or edited."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.io.files import save_npz
from derotation.io.results import check_arrays, read_npz


def test_reads_what_was_written(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.arange(3), two="text")
    values = read_npz(tmp_path / "a.npz", "a result")
    np.testing.assert_array_equal(values["one"], np.arange(3))
    assert str(values["two"]) == "text"
    assert [*read_npz(tmp_path / "a.npz", "a result", only=("two", "three"))] == ["two"]


@pytest.mark.parametrize("save", [save_npz, np.savez, np.savez_compressed])
def test_tables_are_mapped_where_they_can_be(tmp_path, save):
    arrays = {
        "flag": np.array([True]),
        "table": np.arange(60.0).reshape(12, 5),
        "columns": np.asfortranarray(np.arange(60.0).reshape(12, 5)),
        "empty": np.zeros((0, 5)),
        "number": np.array(3),
    }
    save(tmp_path / "a.npz", **arrays)
    read = read_npz(tmp_path / "a.npz", "a result", mapped=tuple(arrays))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert type(read[name]) is np.ndarray
        assert read[name].dtype == array.dtype
        assert read[name].flags.aligned
        np.testing.assert_array_equal(read[name], array)
    if save is save_npz:
        assert not read["table"].flags.writeable
        assert read["table"].ctypes.data % 64 == 0


@pytest.mark.parametrize("mapped", [(), ("one", "two")])
def test_any_damage_is_an_error_of_the_library(tmp_path, mapped):
    path = tmp_path / "a.npz"
    save_npz(path, one=np.arange(300), two="text")
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for n_kept in rng.integers(0, len(content), 60):
        path.write_bytes(content[:n_kept])
        with pytest.raises(InputError, match=r"a\.npz cannot be read as a result .* Make it again"):
            read_npz(path, "a result", mapped=mapped)
    for place in rng.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        try:
            read_npz(path, "a result", mapped=mapped)
        except InputError:
            refused += 1
    assert refused > 200
    np.save(tmp_path / "b.npz", np.arange(3))
    (tmp_path / "b.npz.npy").rename(path)
    with pytest.raises(InputError, match="cannot be read as a result"):
        read_npz(path, "a result", mapped=mapped)


AXES = {"angles": ("frame", "line"), "start": ("frame",), "rate": ()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"angles": None}, "lacks angles"),
        ({"start": np.zeros(4)}, r"start has shape \(4,\); the axes \(frame\)"),
        ({"angles": np.zeros(3)}, r"angles has shape \(3,\)"),
        ({"rate": np.zeros(1)}, r"rate has shape \(1,\)"),
        ({"rate": np.inf}, "rate holds values that are no finite numbers"),
        ({"rate": "fast"}, "rate holds values that are no finite numbers"),
    ],
)
def test_arrays_that_do_not_fit_together(change, message):
    values = {"angles": np.full((3, 5), np.nan), "start": np.zeros(3), "rate": np.array(2.0)}
    check_arrays("a.npz", values, AXES, ("rate",))
    changed = {name: value for name, value in {**values, **change}.items() if value is not None}
    with pytest.raises(InputError, match=rf"a\.npz.*{message}"):
        check_arrays("a.npz", changed, AXES, ("rate",))
