"""Full and closed folders; a limit on the size of files stands for a full disk."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from derotation.jobs import folders
from derotation.jobs.folders import FolderError, check_temporary_folder, use_writable_cache


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A package, a user's cache and a temporary folder of which all can be written."""
    names = {name: tmp_path / name for name in ("package", "cache", "temporary")}
    for folder in names.values():
        folder.mkdir()
    monkeypatch.setattr(folders, "_PACKAGE", names["package"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(names["cache"]))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(names["temporary"]))
    # Set, so that it is as before after the test, whatever is done to it.
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("TMPDIR", raising=False)
    return names


def close(folder):
    """Put a file where the folder should be: no user may write into that, not even root."""
    folder.rmdir()
    folder.write_text("")


def test_without_trouble_nothing_is_changed(places, caplog):
    check_temporary_folder()
    use_writable_cache()
    assert not os.environ["NUMBA_CACHE_DIR"]
    assert not caplog.records


def test_compiled_code_goes_to_the_users_cache_and_then_to_the_temporary_folder(places, caplog):
    close(places["package"])
    use_writable_cache()
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == places["cache"] / "numba"
    assert not caplog.records
    del os.environ["NUMBA_CACHE_DIR"]
    (places["cache"] / "numba").rmdir()
    close(places["cache"])
    use_writable_cache()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == places["temporary"]
    (record,) = caplog.records
    assert f"{places['cache'] / 'numba'} (" in record.getMessage()


def test_a_given_folder_is_used_as_long_as_it_can_be(places, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    use_writable_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "mine")


def test_no_folder_at_all_is_one_sentence(places):
    for folder in places.values():
        close(folder)
    with pytest.raises(FolderError, match="export NUMBA_CACHE_DIR=") as error:
        use_writable_cache()
    assert "\n" not in str(error.value)
    with pytest.raises(
        FolderError, match=r"temporary folder .* cannot be written .* export TMPDIR"
    ):
        check_temporary_folder()


def test_a_temporary_folder_that_was_asked_for_is_the_one_that_counts(
    places, monkeypatch, tmp_path
):
    """Python would take another one in silence."""
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("TMPDIR", str(file))
    with pytest.raises(FolderError, match=str(file)):
        check_temporary_folder()


def test_a_full_disk_is_noticed_by_writing(tmp_path):
    code = "from derotation.jobs.folders import check_temporary_folder as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(tmp_path)}, check=False, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)), timeout=60,
    )  # fmt: skip
    assert f"the temporary folder {tmp_path} cannot be written (File too large)" in done.stderr
    assert list(tmp_path.iterdir()) == []
