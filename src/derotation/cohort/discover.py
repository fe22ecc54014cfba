"""Find the sessions in a tree of recordings, and write them down as a sample sheet.

A *recording* is a folder that holds the files of one movie. Its analog signals and stimulus table
lie in it or below it; else in the rest of its session: the ``ses-*`` folder of a NeuroBlueprint
tree [1]_, or the next folder above that holds no other recording. A session is called by its own
folder's name, never by a number, so that it keeps its name when others come or go.

References
----------
.. [1] NeuroBlueprint, a specification for the folders of neuroscience projects,
   https://neuroblueprint.neuroinformatics.dev
"""

import fnmatch
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from derotation.errors import InputError
from derotation.io.files import natural_sort, write_text
from derotation.settings.defaults import complete

__all__ = ["Discovery", "FoundSession", "Patterns", "Unpaired", "discover_sessions", "write_sheet"]

COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration")
# As the sample sheet's schema allows.
LONGEST_NAME = 100
# What a cell cannot hold, and what Snakemake takes for a wildcard.
_UNFIT = {
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a line break",
    "{": "a brace",
    "}": "a brace",
}
SUBJECT, SESSION = "sub-*", "ses-*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """How files and folders are recognized, by their names; upper and lower case are alike.

    Attributes
    ----------
    movie, signals, stimulus : tuple of str
        Names of files, such as ``*.tif``.
    incremental : tuple of str
        A session whose path below the searched folder, or whose movie, matches one of these has
        the protocol ``incremental``; all others are ``full``.
    exclude : tuple of str
        Names of folders that are not searched.
    name : {"folder", "path"}
        Whether a session is called by its own folder, or by all folders that lead to it.
    """

    movie: tuple[str, ...]
    signals: tuple[str, ...]
    stimulus: tuple[str, ...]
    incremental: tuple[str, ...]
    exclude: tuple[str, ...]
    name: Literal["folder", "path"]

    @classmethod
    def from_config(cls, section: Mapping[str, Any] | None = None) -> Self:
        """Take them from the section ``discover`` of a configuration; what is missing, by default.

        Raises
        ------
        ConfigError
            If an option is not allowed.
        """
        given = complete("discover", section)
        lists = {key: tuple(value) for key, value in given.items() if key != "name"}
        return cls(name=given["name"], **lists)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSession:
    """A session whose files were found: one row of a sample sheet.

    Attributes
    ----------
    name, protocol, movie, signals, stimulus, calibration : str
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


def discover_sessions(root: str | os.PathLike[str], patterns: Patterns | None = None) -> Discovery:
    """Find the sessions below a folder.

    Parameters
    ----------
    root : path
        The folder to be searched; paths of files begin with it, so a relative one makes a sheet
        with relative paths.
    patterns : Patterns, optional
        How files and folders are recognized.

    Returns
    -------
    Discovery

    Raises
    ------
    InputError
        If there is no such folder.
    """
    folder = Path(root)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; give the folder that holds the recordings.")
    rules = patterns or Patterns.from_config()
    tree = _Tree(folder, rules)
    sessions: list[FoundSession] = []
    unpaired: list[Unpaired] = []
    notes: list[str] = []
    for recording in tree.recordings:
        try:
            session, said = _session(tree, recording, rules)
        except InputError as error:
            unpaired.append(Unpaired(folder=recording, reason=str(error)))
        else:
            sessions.append(session)
            notes += said
    calibrated, said = _calibrated_by_incremental(sessions)
    return Discovery(
        root=folder,
        sessions=tuple(calibrated),
        unpaired=tuple(unpaired),
        notes=tuple(notes + said),
        errors=tuple(_shared_names(calibrated)),
    )


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
        Whether an existing sheet may be replaced.

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
    if Path(path).exists() and not overwrite:
        raise InputError(
            f"{path} exists already and was left as it is; --force replaces it, --output FILE "
            "writes another one."
        )
    rows = [[getattr(s, c if c != "session" else "name") for c in COLUMNS]
            for s in discovery.sessions]  # fmt: skip
    write_text(path, "".join("\t".join(row) + "\n" for row in [list(COLUMNS), *rows]))


@dataclass(slots=True)
class _Tree:
    """All files below a folder, and which folders are recordings."""

    root: Path
    patterns: Patterns
    files: dict[Path, list[Path]] = field(init=False, default_factory=dict)
    recordings: list[Path] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        visited: set[str] = set()
        for name, folders, files in os.walk(self.root, followlinks=True):
            folder = Path(name)
            # A link that leads back up would be followed for ever.
            visited.add(os.path.realpath(name))
            folders[:] = [
                f for f in folders
                if not _matches(f, self.patterns.exclude)
                and os.path.realpath(folder / f) not in visited
            ]  # fmt: skip
            self.files[folder] = [folder / file for file in files if not file.startswith(".")]
        holds = [f for f, files in self.files.items() if self.pick(files, self.patterns.movie)]
        self.recordings = natural_sort(holds)

    def pick(self, files: Iterable[Path], patterns: Sequence[str]) -> list[Path]:
        return natural_sort(file for file in files if _matches(file.name, patterns))

    def below(self, folder: Path, recording: Path) -> list[Path]:
        """List the files below a folder, without those that belong to another recording."""
        others = [r for r in self.recordings if r != recording and r not in recording.parents]
        return [
            file
            for home, files in self.files.items()
            if home.is_relative_to(folder)
            and not any(home.is_relative_to(other) for other in others)
            for file in files
        ]

    def holds_others(self, folder: Path, recording: Path) -> bool:
        return any(r != recording and r.is_relative_to(folder) for r in self.recordings)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _session(tree: _Tree, recording: Path, patterns: Patterns) -> tuple[FoundSession, list[str]]:
    movie, n_files = _movie(tree, recording)
    folder = _session_folder(tree, recording)
    files = tree.below(recording, recording)
    signals = tree.pick(files, patterns.signals)
    if not signals and folder != recording:
        files = tree.below(folder, recording)
        signals = tree.pick(files, patterns.signals)
    given = "section discover of the configuration"
    if not signals:
        wanted = ", ".join(patterns.signals)
        raise InputError(f"no analog signals: no file in {folder} matches {wanted} ({given}).")
    if len(signals) > 1:
        raise InputError(
            f"{len(signals)} files may be its analog signals: {_listed(signals)}; move the others "
            f"away, or make discover.signals narrower ({given})."
        )
    place = folder.relative_to(tree.root)
    whole = [*place.parts, *recording.relative_to(folder).parts, Path(movie).name]
    is_incremental = any(_matches(part, patterns.incremental) for part in whole)
    stimulus = [] if is_incremental else _stimulus(tree, files, folder, recording)
    for file in (movie, str(signals[0]), *map(str, stimulus)):
        _check_path(file)
    name, notes = _name(tree, folder, recording, patterns)
    found = FoundSession(
        name=name,
        protocol="incremental" if is_incremental else "full",
        movie=movie,
        signals=str(signals[0]),
        stimulus=str(stimulus[0]) if stimulus else "",
        folder=folder,
        n_files=n_files,
    )
    return found, notes


def _check_path(path: str) -> None:
    """Refuse a path that a cell of the sample sheet cannot hold as it is."""
    found = [word for mark, word in _UNFIT.items() if mark in path]
    if path != path.strip():
        found.append("a space at an end")
    if path.encode(errors="replace") != path.encode(errors="surrogateescape"):
        found.append("a character in no known encoding")
    if found:
        raise InputError(
            f"{path!a} holds {', '.join(found)}; rename it, so that a sheet can name it."
        )


def _stimulus(tree: _Tree, files: list[Path], folder: Path, recording: Path) -> list[Path]:
    patterns = tree.patterns
    found = tree.pick(files, patterns.stimulus)
    if not found:
        found = tree.pick(tree.below(folder, recording), patterns.stimulus)
    if not found:
        raise InputError(
            f"no stimulus table: no file in {folder} matches {', '.join(patterns.stimulus)}. A "
            "session of the protocol full needs it; one of the protocol incremental does not, and "
            f"is recognized by a name like {', '.join(patterns.incremental)} (section discover of "
            "the configuration)."
        )
    if len(found) > 1:
        raise InputError(
            f"{len(found)} files may be its stimulus table: {_listed(found)}; move the others "
            "away, or make discover.stimulus narrower (section discover of the configuration)."
        )
    return found


def _movie(tree: _Tree, recording: Path) -> tuple[str, int]:
    """Give the movie's path, or the pattern that stands for exactly its files."""
    files = tree.pick(tree.files[recording], tree.patterns.movie)
    if len(files) == 1:
        return str(files[0]), 1
    # Files that differ in their last number follow each other: x_00001.tif, x_00002.tif.
    stems = {(re.sub(r"\d+$", "", file.stem), file.suffix) for file in files}
    if len(stems) > 1:
        raise InputError(
            f"it holds {len(stems)} movies: {_listed(files)}; put each into a folder of its own "
            "together with its signals, or make discover.movie narrower (section discover of the "
            "configuration)."
        )
    stem, suffix = stems.pop()
    start = glob.escape(str(recording / stem))
    for end in ("*", "[0-9]*"):
        pattern = f"{start}{end}{suffix}"
        if {Path(p) for p in glob.glob(pattern)} == set(files):  # noqa: PTH207
            return pattern, len(files)
    raise InputError(
        f"no pattern stands for its {len(files)} files and nothing else: {_listed(files)}; move "
        "them into a folder of their own."
    )


def _session_folder(tree: _Tree, recording: Path) -> Path:
    """Find the folder of the session to which a recording belongs."""
    above = [recording, *recording.parents]
    inside = [folder for folder in above if folder.is_relative_to(tree.root)]
    for folder in inside:
        if _is_blueprint(folder):
            return folder
    for folder in inside:
        if folder != recording and tree.holds_others(folder, recording):
            break
        if tree.pick(tree.below(folder, recording), tree.patterns.signals):
            return folder
    return recording


def _is_blueprint(folder: Path) -> bool:
    return _matches(folder.name, [SESSION]) and _matches(folder.parent.name, [SUBJECT])


def _name(tree: _Tree, folder: Path, recording: Path, patterns: Patterns) -> tuple[str, list[str]]:
    """Call a session by its folder; in a NeuroBlueprint tree the subject belongs to the name."""
    if patterns.name == "path" and folder != tree.root:
        parts = list(folder.relative_to(tree.root).parts)
    elif _is_blueprint(folder):
        parts = [folder.parent.name, folder.name]
    else:
        parts = [folder.resolve().name]
    if _is_blueprint(folder) and tree.holds_others(folder, recording):
        parts.append(recording.name)
    wanted = "_".join(parts)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wanted).lstrip("_-") or "session"
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"its name would have {len(name)} characters, at most {LONGEST_NAME} are allowed: "
            f"{name}; rename the folder, or set discover.name to folder in the configuration."
        )
    said = (
        f'{folder}: the session is called "{name}", since a name consists of letters, digits, _ '
        "and -."
    )
    return name, [said] if name != wanted else []


def _calibrated_by_incremental(
    sessions: Sequence[FoundSession],
) -> tuple[list[FoundSession], list[str]]:
    """Let full sessions use the one incremental session of their ``ses-*`` folder."""
    homes: dict[Path, list[str]] = {}
    for session in sessions:
        if session.protocol == "incremental" and _is_blueprint(session.folder):
            homes.setdefault(session.folder, []).append(session.name)
    result, notes = [], []
    for session in sessions:
        found = homes.get(session.folder, []) if session.protocol == "full" else []
        calibration = found[0] if len(found) == 1 else ""
        if calibration:
            notes.append(
                f"{session.name} takes its calibration from {calibration}, the incremental session "
                "of the same folder; empty the cell to calibrate it by itself."
            )
        values = {key: getattr(session, key) for key in FoundSession.__slots__}
        result.append(FoundSession(**(values | {"calibration": calibration})))
    return result, notes


def _shared_names(sessions: Sequence[FoundSession]) -> list[str]:
    counts = Counter(session.name.lower() for session in sessions)
    errors = []
    for name, count in counts.items():
        if count > 1:
            where = _listed([s.folder for s in sessions if s.name.lower() == name])
            errors.append(
                f'{count} sessions would be called "{name}": {where}; rename the folders, or set '
                "discover.name to path in the configuration to name sessions by all their folders."
            )
    return errors


def _listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(str(path) for path in paths[:4])
    return f"{shown} and {len(paths) - 4} more" if len(paths) > 4 else shown
