"""The file of which pixels were seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from derotation.errors import InputError
from derotation.io.seen import SeenPixels, SeenWriter

masks = st.tuples(st.integers(1, 40), st.integers(1, 5), st.integers(1, 20)).flatmap(
    lambda shape: st.one_of(
        arrays(np.bool_, shape),
        # Whole frames, as most are.
        arrays(np.bool_, (shape[0], 1, 1)).map(lambda whole: np.broadcast_to(whole, shape)),
    )
)


@settings(max_examples=50)
@given(masks, st.integers(1, 50), st.data())
def test_any_frames_of_any_masks_come_back(tmp_path_factory, seen, chunk, data):
    path = tmp_path_factory.mktemp("seen") / "seen.npz"
    with SeenWriter(path, seen.shape) as writer:
        for start in range(0, len(seen), chunk):
            writer.write(seen[start : start + chunk])
    with SeenPixels(path) as found:
        check(found, seen, data)


def check(found, seen, data):
    assert found.shape == seen.shape
    start = data.draw(st.integers(0, len(seen) - 1))
    stop = data.draw(st.integers(start + 1, len(seen)))
    np.testing.assert_array_equal(found.read(start, stop), seen[start:stop])
    holes = dict(found.holes(start, stop))
    assert sorted(holes) == np.flatnonzero(~seen[start:stop].all(axis=(1, 2))).tolist()
    for k, unseen in holes.items():
        np.testing.assert_array_equal(unseen, ~seen[start + k])
    marked = data.draw(arrays(np.bool_, len(seen)))
    np.testing.assert_array_equal(found.always(marked), seen[marked].all(axis=0))


def test_chunks_do_not_change_the_file(tmp_path):
    seen = np.random.default_rng(0).random((50, 9, 11)) < 0.5
    for name, chunk in (("a", 50), ("b", 7)):
        with SeenWriter(tmp_path / name, seen.shape) as writer:
            for start in range(0, 50, chunk):
                writer.write(seen[start : start + chunk])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_lacks_frames_is_not_made(tmp_path):
    writer = SeenWriter(tmp_path / "seen.npz", (3, 2, 2))
    with pytest.raises(InputError, match="2 of 3 frames"), writer:
        writer.write(np.ones((2, 2, 2), bool))
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(KeyboardInterrupt), SeenWriter(tmp_path / "seen.npz", (3, 2, 2)):
        raise KeyboardInterrupt
    assert [*tmp_path.iterdir()] == []


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=1)
    (tmp_path / "damaged.npz").write_bytes(b"PK none")
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("other.npz", "damaged.npz", "missing.npz", "single.npy"):
        with pytest.raises(InputError, match=f"{name} cannot be read .*run derotate_movie again"):
            SeenPixels(tmp_path / name)


def test_a_file_that_was_damaged_later_is_named(tmp_path):
    path = tmp_path / "seen.npz"
    with SeenWriter(path, (40, 30, 50)) as writer:
        writer.write(np.random.default_rng(0).random((40, 30, 50)) < 0.5)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = bytes(50)
    path.write_bytes(content)
    with (
        SeenPixels(path) as found,
        pytest.raises(InputError, match=r"seen\.npz cannot be read .*run derotate_movie again"),
    ):
        found.read(0, 40)
