"""Rows told some at a time are those of the whole table."""

import tracemalloc

import numpy as np
import pytest

from derotation.numerics import by_rows as module
from derotation.numerics.by_rows import by_rows


@pytest.mark.parametrize("n_rows", [0, 1, 6, 7, 8, 50])
def test_rows_are_those_of_the_whole(n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUES_AT_A_TIME", 7 * 3)
    rng = np.random.default_rng(n_rows)
    first, second = rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, 3)) > 0
    told = by_rows(lambda a, b: (a * b).sum(axis=1), first, second)
    np.testing.assert_array_equal(told, (first * second).sum(axis=1))
    assert told.shape == (n_rows,)


def test_no_copy_of_the_whole_is_made() -> None:
    table = np.ones((4000, 512))
    tracemalloc.start()
    by_rows(lambda rows: np.isfinite(np.mod(rows, 360.0)).all(axis=1), table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < table.nbytes / 2
