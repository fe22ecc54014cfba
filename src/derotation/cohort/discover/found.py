"""What a search found, and the sample sheet that is written from it."""

import os
from dataclasses import dataclass
from pathlib import Path

from derotation.errors import InputError
from derotation.io.files import write_text

__all__ = ["Discovery", "FoundSession", "Unpaired", "write_sheet"]

COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration")
# Only where a session has such a table.
ANGLES = "angles"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSession:
    """A session whose files were found: one row of a sample sheet.

    Attributes
    ----------
    name, protocol, movie, signals, stimulus, calibration, angles : str
        As in the sample sheet; empty where there is none.
    folder : Path
        The folder by which it is called.
    n_files : int
        Files of the movie.
    """

    name: str
    protocol: str
    movie: str
    signals: str
    stimulus: str
    folder: Path
    n_files: int
    calibration: str = ""
    angles: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired:
    """A recording that cannot become a session, and why."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What a tree of recordings holds.

    Attributes
    ----------
    root : Path
        The folder that was searched.
    sessions : tuple of FoundSession
        In natural order of their folders.
    unpaired : tuple of Unpaired
        Recordings that lack something.
    notes : tuple of str
        What was decided without being asked, in plain words.
    errors : tuple of str
        Names that several sessions share; as long as there are any, no sheet can be written.
    """

    root: Path
    sessions: tuple[FoundSession, ...]
    unpaired: tuple[Unpaired, ...] = ()
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def write_sheet(
    discovery: Discovery, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write the sessions that were found as a sample sheet, whole or not at all.

    Parameters
    ----------
    discovery : Discovery
        What was found.
    path : path
        The sheet, tab-separated.
    overwrite : bool
        Whether an existing sheet may be replaced. One without any session always is.

    Raises
    ------
    InputError
        If sessions share a name, if there is no session, or if the sheet exists already.
    """
    if discovery.errors:
        raise InputError("\n".join(discovery.errors))
    if not discovery.sessions:
        raise InputError(
            f"{discovery.root} holds no session that could be written into a sheet; see above for "
            "what is missing, and the section discover of the configuration for how files are "
            "recognized."
        )
    if Path(path).exists() and not overwrite and not _is_empty(path):
        raise InputError(
            f"{path} exists already and was left as it is; --force replaces it, --output FILE "
            "writes another one."
        )
    columns = [*COLUMNS, *([ANGLES] if any(s.angles for s in discovery.sessions) else [])]
    rows = [[getattr(s, c if c != "session" else "name") for c in columns]
            for s in discovery.sessions]  # fmt: skip
    write_text(path, "".join("\t".join(row) + "\n" for row in [columns, *rows]))


def _is_empty(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a sheet that holds no more than its header."""
    lines = [line.strip() for line in Path(path).read_bytes().splitlines()]
    lines = [line for line in lines if line and not line.startswith(b"#")]
    return not lines or (len(lines) == 1 and b"session" in lines[0].split(b"\t"))
