"""Find the sessions in a tree of recordings, and write them down as a sample sheet.

A *recording* is a folder that holds the files of one movie, or that is one as a whole (Prairie
View, ThorImage). Its analog signals, stimulus table and table of angles lie in it or below it; else
in the rest of its session: the ``ses-*`` folder of a NeuroBlueprint tree [1]_, or the next folders
above that hold no other recording. A session is called by its own folder's name, never by a number,
so that it keeps its name when others come or go.

Names tell what a file is. Where they do not, since a `.csv` or a `.mat` may be signals or a table,
it is looked into, and that is said.

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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from derotation.cohort.contents import Contents, Role
from derotation.errors import InputError
from derotation.io.files import natural_sort, write_text
from derotation.io.movie import is_recording, movie_files
from derotation.io.recordings import recording_at
from derotation.settings.defaults import complete

__all__ = ["Discovery", "FoundSession", "Patterns", "Unpaired", "discover_sessions", "write_sheet"]

COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration")
# Only where a session has such a table.
ANGLES = "angles"
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
# What tells the angle where nothing but a movie, or a table beside it, was recorded.
WITHOUT_SIGNALS = ("movie", "table")
SUBJECT, SESSION = "sub-*", "ses-*"
# Dates, and numbers of days, in names.
DAY = re.compile(r"(?<!\d)(?:\d{4}[-_.]?\d{2}[-_.]?\d{2}|\d{6})(?!\d)|day[-_ ]?\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """How files and folders are recognized, by their names; upper and lower case are alike.

    Attributes
    ----------
    movie, signals, stimulus, angles : tuple of str
        Names of files, such as ``*.tif``. A file that may be signals or a stimulus table by its
        name is looked into where that matters.
    incremental, free : tuple of str
        A session whose path below the searched folder, or whose movie, matches one of these has
        the protocol ``incremental``, or ``free``. All others are ``full``, but for those with a
        table of angles and no stimulus table, which are ``free``.
    exclude : tuple of str
        Names of folders that are not searched.
    name : {"folder", "path"}
        Whether a session is called by its own folder, or by all folders that lead to it.
    """

    movie: tuple[str, ...]
    signals: tuple[str, ...]
    stimulus: tuple[str, ...]
    angles: tuple[str, ...]
    incremental: tuple[str, ...]
    free: tuple[str, ...]
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


def discover_sessions(
    root: str | os.PathLike[str],
    patterns: Patterns | None = None,
    *,
    stimulus: Mapping[str, Any] | None = None,
    source: str = "ticks",
) -> Discovery:
    """Find the sessions below a folder.

    Parameters
    ----------
    root : path
        The folder to be searched; paths of files begin with it, so a relative one makes a sheet
        with relative paths.
    patterns : Patterns, optional
        How files and folders are recognized.
    stimulus : mapping, optional
        How a stimulus table is read: keywords of :func:`derotation.io.stimulus.read_stimulus`.
    source : str
        What tells the angle (``angles.source``). Sessions whose angle is measured need no stimulus
        table, and none but a movie if the picture tells it.

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
    tree = _Tree(folder, rules, Contents(stimulus or {}), source)
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
    notes += [f"{file} holds a single picture: left out." for file in tree.pictures]
    named, also = _with_unique_names(tree, sessions)
    calibrated, said = _calibrated_by_incremental(tree, named)
    return Discovery(
        root=folder,
        sessions=tuple(calibrated),
        unpaired=tuple(unpaired),
        notes=tuple(notes + also + said + tree.contents.problems),
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


@dataclass(slots=True)
class _Tree:
    """All files below a folder, and which folders are recordings."""

    root: Path
    patterns: Patterns
    contents: Contents
    source: str = "ticks"
    """What tells the angle, as the key ``angles.source`` says."""
    files: dict[Path, list[Path]] = field(init=False, default_factory=dict)
    recordings: list[Path] = field(init=False, default_factory=list)
    whole: set[Path] = field(init=False, default_factory=set)
    """Recordings that are folders as a whole."""
    pictures: list[Path] = field(init=False, default_factory=list)
    """Single pictures that are no movies."""

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
        self.whole = {folder for folder in self.files if self._is_whole(folder)}
        # What lies within such a folder, reference images for example, is no movie of its own.
        holds = [
            folder for folder in self.files
            if folder in self.whole
            or (not self.whole.intersection(folder.parents) and self.movies(folder))
        ]  # fmt: skip
        self.recordings = natural_sort(self._without_pictures(holds))

    def _without_pictures(self, holds: list[Path]) -> list[Path]:
        """Leave out folders of which the only movie is one picture, beside or around others."""
        kept = []
        for folder in holds:
            files = [] if folder in self.whole else self.movies(folder)
            near = [o for o in holds if o != folder
                    and (o.is_relative_to(folder) or o.is_relative_to(folder.parent))]  # fmt: skip
            if near and len(files) == 1 and self.contents.is_picture(files[0]):
                self.pictures.append(files[0])
            else:
                kept.append(folder)
        return kept or holds

    def _is_whole(self, folder: Path) -> bool:
        """Tell whether a folder is one movie; not if only some of its TIFFs are wanted."""
        files = self.files[folder]
        images = [file for file in files if file.suffix.lower() in (".tif", ".tiff")]
        wanted = all(_matches(file.name, self.patterns.movie) for file in images)
        described = any(file.suffix.lower() == ".xml" for file in files)
        return described and wanted and is_recording(folder)

    def movies(self, folder: Path) -> list[Path]:
        """List the files of movies in a folder."""
        found = self.pick(self.files[folder], self.patterns.movie)
        return [file for file in found if self.contents.may_be_movie(file)]

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


@dataclass(slots=True, kw_only=True)
class _Files:
    """What lies beside a movie, by what it is."""

    signals: list[Path] = field(default_factory=list)
    stimulus: list[Path] = field(default_factory=list)
    angles: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _session(tree: _Tree, recording: Path, patterns: Patterns) -> tuple[FoundSession, list[str]]:
    movie, n_files, left_out = _movie(tree, recording)
    places = _places(tree, recording)
    found, folder = _gather(tree, recording, places, Path(movie).name)
    protocol = _protocol(tree, folder, recording, Path(movie).name)
    given = "section discover of the configuration"
    if not found.signals and not found.angles and tree.source not in WITHOUT_SIGNALS:
        wanted = ", ".join(patterns.signals)
        raise InputError(
            f"no analog signals: no file in {places[-1]} matches {wanted} ({given}). If the "
            "picture itself is to tell the angle, none are needed: set angles.source to movie."
        )
    for files, what in ((found.signals, "analog signals"), (found.angles, "table of angles")):
        if len(files) > 1:
            key = "signals" if files is found.signals else "angles"
            raise InputError(
                f"{len(files)} files may be its {what}: {_listed(files)}; move the others "
                f"away, or make discover.{key} narrower ({given})."
            )
    if protocol == "full" and not found.stimulus and (found.angles or tree.source != "ticks"):
        protocol = "free"
    stimulus = _one_stimulus(tree, found, places[-1]) if protocol == "full" else []
    for file in (movie, *map(str, [*found.signals, *stimulus, *found.angles])):
        _check_path(file)
    name, notes = _name(tree, folder, recording, patterns)
    if found.angles:
        notes.append(
            f"{name} has a table of angles, {found.angles[0].name}: it is read if the "
            "configuration says angles.source: table."
        )
    session = FoundSession(
        name=name,
        protocol=protocol,
        movie=movie,
        signals=str(found.signals[0]) if found.signals else "",
        stimulus=str(stimulus[0]) if stimulus else "",
        angles=str(found.angles[0]) if found.angles else "",
        folder=folder,
        n_files=n_files,
    )
    return session, left_out + notes + found.notes


def _protocol(tree: _Tree, folder: Path, recording: Path, movie: str) -> str:
    """Tell the protocol by names."""
    place = folder.relative_to(tree.root)
    names = [*place.parts, *recording.relative_to(folder).parts, movie]
    for protocol in ("incremental", "free"):
        if any(_matches(name, getattr(tree.patterns, protocol)) for name in names):
            return protocol
    return "full"


def _places(tree: _Tree, recording: Path) -> list[Path]:
    """List the folders in which the files of a recording may be, the nearest first."""
    inside = [f for f in (recording, *recording.parents) if f.is_relative_to(tree.root)]
    for folder in inside:
        if _is_blueprint(folder):
            return [recording] if folder == recording else [recording, folder]
    places = [recording]
    for folder in inside[1:]:
        if tree.holds_others(folder, recording):
            break
        places.append(folder)
    return places


def _gather(
    tree: _Tree, recording: Path, places: Sequence[Path], movie: str
) -> tuple[_Files, Path]:
    """Take each kind of file from the nearest place that has one; the session's folder."""
    total, used = _Files(), recording
    for place in places:
        needs_stimulus = _protocol(tree, place, recording, movie) == "full"
        found = _sorted_files(tree, tree.below(place, recording), needs_stimulus)
        for kind in ("signals", "stimulus", "angles"):
            if kind == "stimulus" and not needs_stimulus:
                continue
            if not getattr(total, kind) and getattr(found, kind):
                setattr(total, kind, getattr(found, kind))
                total.notes += [note for note in found.notes if note not in total.notes]
                used = place
        if total.signals and (total.stimulus or total.angles or not needs_stimulus):
            break
    return total, next((place for place in places if _is_blueprint(place)), used)


def _sorted_files(tree: _Tree, files: list[Path], needs_stimulus: bool) -> _Files:
    """Sort files by what they are, looking into some only if their names leave it open."""
    patterns, contents = tree.patterns, tree.contents
    rest = [file for file in files if not _belongs_to_movie(tree, file)]
    angles = tree.pick(rest, patterns.angles)
    rest = [file for file in rest if file not in angles]
    signals, stimulus = tree.pick(rest, patterns.signals), tree.pick(rest, patterns.stimulus)
    either = [file for file in signals if file in stimulus]
    usual: dict[Path, Role] = {file: contents.usual_role(file) for file in either}
    found = _by_role(signals, stimulus, usual)
    enough = not needs_stimulus or bool(angles) or _is_stimulus(found.stimulus, contents)
    if either and not (len(found.signals) == 1 and enough):
        roles = {file: contents.role(file) for file in either}
        found = _by_role(signals, stimulus, roles)
        found.notes = [
            f"{file} was taken for {contents.words[role]}, by what it holds."
            for file, role in roles.items() if role != usual[file]
        ]  # fmt: skip
    found.angles = angles
    return found


def _by_role(
    signals: Sequence[Path], stimulus: Sequence[Path], roles: Mapping[Path, Role]
) -> _Files:
    """Keep each file in the list of its role; one without a role stays where its name put it."""
    return _Files(
        signals=[file for file in signals if roles.get(file, "signals") == "signals"],
        stimulus=[file for file in stimulus if roles.get(file, "stimulus") == "stimulus"],
    )


def _is_stimulus(files: Sequence[Path], contents: Contents) -> bool:
    """Tell whether there is one stimulus table, which does not hold something else."""
    return len(files) == 1 and contents.role(files[0]) == "stimulus"


def _belongs_to_movie(tree: _Tree, file: Path) -> bool:
    """Tell whether a file is a movie, or describes one."""
    if file.suffix.lower() == ".mat" and file.with_suffix(".sbx") in tree.files[file.parent]:
        return True
    return _matches(file.name, tree.patterns.movie) and tree.contents.may_be_movie(file)


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


def _one_stimulus(tree: _Tree, files: _Files, folder: Path) -> list[Path]:
    patterns, found = tree.patterns, files.stimulus
    if not found:
        raise InputError(
            f"no stimulus table: no file in {folder} matches {', '.join(patterns.stimulus)}. A "
            "session of the protocol full needs it; one of the protocol incremental does not, and "
            f"is recognized by a name like {', '.join(patterns.incremental)}, nor one of the "
            "protocol free, for whose names there is discover.free (section discover of the "
            "configuration), nor one whose angle an encoder, a voltage or the picture tells (key "
            "angles.source)."
        )
    if len(found) > 1:
        raise InputError(
            f"{len(found)} files may be its stimulus table: {_listed(found)}; move the others "
            "away, or make discover.stimulus narrower (section discover of the configuration)."
        )
    return found


def _movie(tree: _Tree, recording: Path) -> tuple[str, int, list[str]]:
    """Give the movie's path, or the pattern that stands for exactly its files."""
    if recording in tree.whole:
        # It says so if the folder holds several: none of them is meant by the folder alone.
        recording_at(recording)
        return str(recording), len(movie_files(recording)), []
    files = tree.movies(recording)
    if len(files) == 1:
        return str(files[0]), 1, []
    # Files that differ in their last number follow each other: x_00001.tif, x_00002.tif.
    groups: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        groups.setdefault((re.sub(r"\d+$", "", file.stem), file.suffix), []).append(file)
    notes = []
    if len(groups) > 1:
        # An overview or a mean image that lies beside the movie.
        pictures = [key for key, own in groups.items()
                    if len(own) == 1 and tree.contents.is_picture(own[0])]  # fmt: skip
        if len(groups) - len(pictures) == 1:
            left_out = [groups.pop(key)[0] for key in pictures]
            one = len(left_out) == 1
            what = "holds a single picture and lies" if one else "hold single pictures and lie"
            notes = [f"{_listed(left_out)} {what} beside a movie: left out."]
    if len(groups) > 1:
        raise InputError(
            f"it holds {len(groups)} movies: {_listed(files)}; put each into a folder of its own "
            "together with its signals, or make discover.movie narrower (section discover of the "
            "configuration)."
        )
    ((stem, suffix), files), *_ = groups.items()
    if len(files) == 1:
        return str(files[0]), 1, notes
    start = glob.escape(str(recording / stem))
    for end in ("*", "[0-9]*"):
        pattern = f"{start}{end}{suffix}"
        if {Path(p) for p in glob.glob(pattern)} == set(files):  # noqa: PTH207
            return pattern, len(files), notes
    raise InputError(
        f"no pattern stands for its {len(files)} files and nothing else: {_listed(files)}; move "
        "them into a folder of their own."
    )


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
    name = _valid(wanted)
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
    tree: _Tree, sessions: Sequence[FoundSession]
) -> tuple[list[FoundSession], list[str]]:
    """Let full sessions use the one incremental session of their day."""
    incremental = [session for session in sessions if session.protocol == "incremental"]
    result, notes = [], []
    for session in sessions:
        found = _of_same_day(tree, session, incremental) if session.protocol == "full" else None
        if found is not None:
            notes.append(
                f"{session.name} takes its calibration from {found.name}, the incremental session "
                f"of the same {'folder' if found.folder == session.folder else 'day'}; empty the "
                "cell to calibrate it by itself."
            )
        result.append(replace(session, calibration=found.name if found else ""))
    return result, notes


def _of_same_day(
    tree: _Tree, session: FoundSession, incremental: Sequence[FoundSession]
) -> FoundSession | None:
    """Find the one incremental session that lies beside a session, or bears its date."""
    if _is_blueprint(session.folder):
        own = [other for other in incremental if other.folder == session.folder]
        return own[0] if len(own) == 1 else None
    days = _days(tree, session)
    for above in session.folder.parents:
        near = [other for other in incremental if other.folder.is_relative_to(above)]
        if near or above == tree.root:
            dated = [other for other in near if days and _days(tree, other) == days]
            if dated or (above == tree.root and days):
                return dated[0] if len(dated) == 1 else None
            # Without dates, one whose branch of the tree is called so stands for its day.
            beside = [
                other for other in near
                if (other.folder.parent == above or _is_called_incremental(tree, above, other))
                and not (days and _days(tree, other))
            ]  # fmt: skip
            return beside[0] if len(beside) == 1 else None
    return None


def _is_called_incremental(tree: _Tree, above: Path, session: FoundSession) -> bool:
    branch = session.folder.relative_to(above).parts
    return bool(branch) and _matches(branch[0], tree.patterns.incremental)


def _days(tree: _Tree, session: FoundSession) -> frozenset[str]:
    """Read the dates and numbers of days in the names that lead to a session."""
    names = session.folder.relative_to(tree.root).parts
    return frozenset(
        re.sub(r"\D", "", day) if day[0].isdigit() else day.lower()
        for name in names
        for day in DAY.findall(name)
    )


def _with_unique_names(
    tree: _Tree, sessions: Sequence[FoundSession]
) -> tuple[list[FoundSession], list[str]]:
    """Call sessions whose folders have one name by the shortest paths that tell them apart."""
    names = [session.name for session in sessions]
    notes = []
    for _, group in _sharing(names).items():
        paths = [sessions[k].folder.relative_to(tree.root).parts for k in group]
        longest = max(map(len, paths), default=0)
        for n in range(2, longest + 1):
            wanted = [_valid("_".join(parts[-n:])) for parts in paths]
            others = {name.lower() for k, name in enumerate(names) if k not in group}
            apart = len({name.lower() for name in wanted}) == len(group)
            if apart and not others.intersection(name.lower() for name in wanted):
                old = names[group[0]]
                for k, name in zip(group, wanted, strict=True):
                    names[k] = name
                notes.append(
                    f'{len(group)} folders are called "{old}"; their sessions are called '
                    f"{', '.join(wanted[:4])}{', ...' if len(wanted) > 4 else ''}, by the shortest "
                    "paths that tell them apart."
                )
                break
    return [replace(s, name=name) for s, name in zip(sessions, names, strict=True)], notes


def _sharing(names: Sequence[str]) -> dict[str, list[int]]:
    """Group the numbers of names that several have, upper and lower case being alike."""
    groups: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        groups.setdefault(name.lower(), []).append(k)
    return {name: group for name, group in groups.items() if len(group) > 1}


def _valid(name: str) -> str:
    """Leave letters, digits, _ and - of a name; what else it holds becomes one _ between them."""
    return re.sub(r"_*[^A-Za-z0-9_-]+_*", "_", name).strip("_-") or "session"


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
