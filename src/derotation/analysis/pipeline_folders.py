"""Where a pipeline writes: folders that can be written, and no file of the recording."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from derotation.errors import ConfigError

__all__ = ["make_folder", "refuse_to_overwrite"]


def refuse_to_overwrite(output: Path, inputs: Iterable[Path]) -> None:
    """Keep the derotated movie from replacing the recorded one."""
    if output.resolve() in {path.resolve() for path in inputs}:
        msg = (
            f"{output} is one of the files of the recorded movie (paths_read.path_to_tif), and "
            "the derotated movie would replace it; choose another paths_write.saving_name or "
            "paths_write.derotated_tiff_folder, or a narrower pattern."
        )
        raise ConfigError(msg)


def make_folder(folder: Path) -> None:
    """Make a folder, and see that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{folder}: nothing can be written there ({error.strerror}); see paths_write."
        raise ConfigError(msg) from error
