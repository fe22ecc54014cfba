"""Tables that lie in files take memory only while they are looked at."""

import sys
from pathlib import Path

import numpy as np
import pytest

from derotation.io.files import save_npz
from derotation.io.results import read_npz
from derotation.numerics import pages
from derotation.numerics.by_rows import by_rows
from derotation.numerics.pages import is_large_in_file, release, rows_of

ROWS, COLUMNS = 2000, 512


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(3)
    save_npz(tmp_path / "a.npz", small=1.0, table=rng.normal(size=(ROWS, COLUMNS)))
    return read_npz(tmp_path / "a.npz", "a table", mapped=("table",))["table"]


def resident(name):
    """Tell how many bytes of a file are mapped and in memory."""
    kb, within = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            within = name in line
        elif within and line.startswith("Rss:"):
            kb += int(line.split()[1])
    return 1024 * kb


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in memory")
def test_what_was_looked_at_is_let_go_of(table, tmp_path):
    name = str(tmp_path / "a.npz")
    table.sum()
    assert resident(name) > 0.9 * table.nbytes
    release(table[3:5])
    assert resident(name) < 0.05 * table.nbytes
    by_rows(lambda rows: rows.sum(axis=1), table)
    assert resident(name) < 0.05 * table.nbytes
    rows_of(table, np.arange(0, ROWS, 20))
    assert resident(name) < 0.05 * table.nbytes


@pytest.mark.parametrize(
    "which",
    [
        slice(3, 900, 7), np.array([5, 3, 1999, 3]), np.arange(ROWS) % 3 == 0, np.arange(0),
        [7, -1, 7], [],
    ],
)  # fmt: skip
def test_rows_are_those_that_numpy_chooses(table, which):
    np.testing.assert_array_equal(rows_of(table, which), table[which])
    np.testing.assert_array_equal(rows_of(table.copy(), which), table[which])


def test_nothing_is_lost_that_is_no_map_of_a_file(table, tmp_path):
    changed = np.memmap(tmp_path / "b.dat", np.float64, "w+", shape=(3, 4))
    changed[:] = 5
    private = np.memmap(tmp_path / "b.dat", np.float64, "c", shape=(3, 4))
    private[:] = 7
    memory = table + 1
    release(changed, private, memory)
    assert (changed == 5).all()
    assert (private == 7).all()
    np.testing.assert_array_equal(memory, table + 1)


def test_what_is_told_of_a_large_table_lies_in_a_file_too(table, monkeypatch):
    def tell(rows):
        return rows[:, 1:] * 2

    in_memory = by_rows(tell, table, beside=True)
    assert not is_large_in_file(in_memory)
    monkeypatch.setattr(pages, "LARGE_BYTES", 1e6)
    found = by_rows(tell, table, beside=True)
    np.testing.assert_array_equal(found, in_memory)
    assert is_large_in_file(found)
    assert not is_large_in_file(by_rows(tell, table))
    assert not is_large_in_file(by_rows(tell, table.copy(), beside=True))


def test_without_room_on_the_disk_it_lies_in_memory(table, monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "LARGE_BYTES", 1e6)
    monkeypatch.setattr(pages.tempfile, "tempdir", str(tmp_path / "nowhere"))
    found = by_rows(np.negative, table, beside=True)
    np.testing.assert_array_equal(found, -table)
    assert not is_large_in_file(found)
