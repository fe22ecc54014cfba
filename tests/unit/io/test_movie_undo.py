"""Pictures that were exchanged or flipped after they were scanned are read as they were."""

import itertools

import numpy as np
import pytest
import tifffile

from derotation.errors import ConfigError
from derotation.io.lazy_movie import UNDO
from derotation.io.movie import open_movie

SCANNED = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
DONE = {
    "transpose": lambda movie: movie.transpose(0, 2, 1),
    "flip_rows": lambda movie: movie[:, ::-1],
    "flip_columns": lambda movie: movie[:, :, ::-1],
}


@pytest.mark.parametrize(
    "undo", [u for n in range(4) for u in itertools.permutations(UNDO, n)], ids=" ".join
)
def test_what_was_done_is_undone_in_order(tmp_path, undo):
    stored = SCANNED
    for what in reversed(undo):
        stored = DONE[what](stored)
    tifffile.imwrite(tmp_path / "m.tif", stored, photometric="minisblack")
    with open_movie(tmp_path / "m.tif", undo=undo) as movie, movie.part() as part:
        assert movie.shape == part.shape == SCANNED.shape
        np.testing.assert_array_equal(movie.read([2, 0]), SCANNED[[2, 0]])
        np.testing.assert_array_equal(part.read([1]), SCANNED[[1]])
        blocks = [block for _, block in movie.chunks(2)]
        assert all(block.flags.c_contiguous for block in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks), SCANNED)


def test_what_cannot_be_undone_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"movie\.undo is \['rotate'\]"):
        open_movie(tmp_path / "m.tif", undo=["rotate"])
