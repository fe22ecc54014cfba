"""Which recording a path means: folders of Prairie View and ThorImage, and files within them.

A folder may hold several recordings. None is taken by its place in a list: a path to the `.xml` of
one, or to one of its files, says which is meant.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from derotation.errors import MovieError
from derotation.io.files import natural_sort, visible

__all__ = ["Recording", "holds_recordings", "prairie_of_files", "recording_at", "recording_files"]

_HEAD_BYTES = 2048
_DATA = (".tif", ".tiff", ".raw", ".xml", ".ome")
_IMAGES = (".tif", ".tiff")
_SHOWN = 5

# TSeries-001_Cycle00001_Ch2_000001.ome.tif; older versions write fewer digits.
_PRAIRIE_NAME = re.compile(
    r"(?P<stem>.+?)_Cycle\d+(?:_\w+?)?_Ch(?P<channel>\d+)_\d+(?:\.ome)?\.tiff?", re.IGNORECASE
)
# ChanA_001_001_001_0001.tif
_THOR_NAME = re.compile(r"Chan(?P<letter>[A-Z])(?:_\d+){2,}\.tiff?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording that an `.xml` describes."""

    program: Literal["prairie", "thor"]
    """Who wrote it."""
    description: Path
    """The `.xml`."""
    raw: Path | None = None
    """The `.raw` that is meant; None: all of the folder."""
    channel: int | None = None
    """The channel of the file that was named, counted from 1; None: the path says nothing."""

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.description.parent


def recording_at(path: Path) -> Recording | None:
    """Find the recording that a path means.

    Parameters
    ----------
    path
        A folder, or the `.xml`, the `.raw` or a TIFF of a recording.

    Returns
    -------
    Recording or None
        None if the path is no part of a recording that an `.xml` describes.

    Raises
    ------
    MovieError
        If there are several that may be meant.
    """
    # Unlike Path's, these take what no file can be called for no file.
    if os.path.isdir(path):  # noqa: PTH112
        return _only_one_of(path)
    suffix = path.suffix.lower()
    if suffix not in (".xml", ".raw", *_IMAGES) or not os.path.isfile(path):  # noqa: PTH113
        return None
    if suffix == ".xml":
        program = _program(path)
        if program == "thor":
            # Its files bear no name of their own.
            return _only_one_of(path.parent)
        return None if program is None else Recording(program=program, description=path)
    of_thor = _THOR_NAME.fullmatch(path.name)
    if suffix == ".raw" or of_thor:
        thor = [found for found in _descriptions(path.parent) if found.program == "thor"]
        _refuse_several(path.parent, thor)
        if not thor:
            return None
        if of_thor:
            return replace(thor[0], channel=ord(of_thor["letter"]) - ord("A") + 1)
        return replace(thor[0], raw=path)
    match = _PRAIRIE_NAME.fullmatch(path.name)
    description = match and _of_stem(path.parent, match["stem"])
    if not match or not description:
        return None
    channel = int(match["channel"])
    return Recording(program="prairie", description=description, channel=channel)


def prairie_of_files(paths: Sequence[Path]) -> Path | None:
    """Find the `.xml` that describes files of Prairie View which were given one by one.

    Parameters
    ----------
    paths
        The files.

    Returns
    -------
    Path or None
        None if the files are named otherwise, or if there is no `.xml` of their name beside them.

    Raises
    ------
    MovieError
        If the files are those of several recordings.
    """
    matches = [_PRAIRIE_NAME.fullmatch(path.name) for path in paths]
    stems = list(dict.fromkeys(match["stem"] for match in matches if match))
    if len(stems) > 1:
        folder = paths[0].parent
        raise MovieError(
            f"the files are those of {len(stems)} recordings of Prairie View "
            f"({_listed(stems)}); write a pattern that matches one of them into the sheet's column "
            f"movie, {folder / stems[0]}_*.tif for example, and a row for each."
        )
    folders = {path.parent for path in paths}
    if not all(matches) or len(folders) != 1:
        return None
    return _of_stem(folders.pop(), stems[0])


def holds_recordings(folder: Path) -> bool:
    """Tell whether Prairie View or ThorImage wrote into a folder."""
    return bool(_descriptions(folder))


def recording_files(path: Path) -> list[Path] | None:
    """List the files of the recording that a path means, those that describe it included.

    Parameters
    ----------
    path
        As for :func:`recording_at`.

    Returns
    -------
    list of Path or None
        In natural order; all files of the folder where it is not clear which are meant. None if
        the path is no part of a recording.
    """
    try:
        found = recording_at(path)
    except MovieError:
        # Told when the movie is opened.
        found, folder = None, path if path.is_dir() else path.parent
    else:
        if found is None:
            return None
        folder = found.folder
    files = natural_sort(file for file in folder.iterdir() if file.suffix.lower() in _DATA)
    if found is None:
        return files
    if found.raw is not None:
        return [file for file in files if file in (found.raw, found.description)]
    stem = found.description.stem
    own = [file for file in files if file.stem == stem or file.name.startswith(f"{stem}_Cycle")]
    named = any(file.suffix.lower() in _IMAGES for file in own)
    return own if found.program == "prairie" and named else files


def _only_one_of(folder: Path) -> Recording | None:
    """Return the only recording of a folder; None if there is none."""
    found = _descriptions(folder)
    _refuse_several(folder, found)
    if found:
        return found[0]
    if visible(folder, "*.tif", "*.tiff"):
        return None
    below = [child for child in natural_sort(_folders(folder)) if _descriptions(child)]
    if below:
        raise MovieError(
            f"{folder} holds no recording itself, but {len(below)} of its folders "
            f"({_listed([child.name for child in below])}) do; write the one that is meant into "
            f"the sheet's column movie, {below[0]} for example, and a row for each."
        )
    loose = natural_sort(visible(folder, "*.sbx", "*.h5", "*.hdf5", "*.nwb"))
    if loose:
        raise MovieError(
            f"{folder} is a folder; the file in it that is the movie is expected in the sheet's "
            f"column movie. Found {_listed([file.name for file in loose])}."
        )
    return None


def _folders(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_dir() and child.name[:1] != "."]


def _refuse_several(folder: Path, found: Sequence[Recording]) -> None:
    if len(found) < 2:
        return
    names = [recording.description.name for recording in found]
    if any(recording.program == "thor" for recording in found):
        cure = (
            "the files of ThorImage have the same names in every recording, so that nobody can "
            "tell which belong together: put each recording into a folder of its own."
        )
    else:
        cure = (
            "write the one that is meant into the sheet's column movie, "
            f"{found[0].description} for example, and a row for each."
        )
    raise MovieError(f"{folder} holds {len(found)} recordings ({_listed(names)}); {cure}")


def _descriptions(folder: Path) -> list[Recording]:
    """Find what describes recordings in a folder, in natural order, without mere copies."""
    found = []
    for path in natural_sort(visible(folder, "*.xml")):
        program = _program(path)
        if program is not None:
            found.append(Recording(program=program, description=path))
    if len(found) < 2:
        return found
    if {recording.program for recording in found} == {"prairie"}:
        names = [file.name for file in visible(folder, "*.tif", "*.tiff")]
        # A copy has no files of its own name.
        own = [r for r in found if any(n.startswith(f"{r.description.stem}_") for n in names)]
        return own or found
    by_content = {recording.description.read_bytes(): recording for recording in reversed(found)}
    return [recording for recording in found if recording in by_content.values()]


def _program(path: Path) -> Literal["prairie", "thor"] | None:
    """Tell by its first bytes which program wrote an `.xml`."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    if b"<PVScan" in head:
        return "prairie"
    # One that is damaged from its start is told by its name.
    return "thor" if b"<ThorImageExperiment" in head or path.name == "Experiment.xml" else None


def _of_stem(folder: Path, stem: str) -> Path | None:
    """Return Prairie View's description of the files whose names begin with a stem."""
    path = folder / f"{stem}.xml"
    return path if path.is_file() and _program(path) == "prairie" else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
