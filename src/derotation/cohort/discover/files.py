"""Which files belong to a recording: its movie, signals, stimulus table and table of angles."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from derotation.cohort.contents import Contents, Role
from derotation.cohort.discover.tree import Tree, is_blueprint, listed_paths, matches_any
from derotation.errors import InputError
from derotation.io.movie import movie_files
from derotation.io.recordings import recording_at

__all__ = [
    "SessionFiles",
    "check_path",
    "gather_files",
    "movie_of",
    "one_stimulus",
    "places_of_files",
    "protocol_by_names",
]

# What a cell cannot hold, and what Snakemake takes for a wildcard.
_UNFIT = {
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a line break",
    "{": "a brace",
    "}": "a brace",
}


@dataclass(slots=True, kw_only=True)
class SessionFiles:
    """What lies beside a movie, by what it is."""

    signals: list[Path] = field(default_factory=list)
    stimulus: list[Path] = field(default_factory=list)
    angles: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def protocol_by_names(tree: Tree, folder: Path, recording: Path, movie: str) -> str:
    """Tell the protocol by names."""
    place = folder.relative_to(tree.root)
    names = [*place.parts, *recording.relative_to(folder).parts, movie]
    for protocol in ("incremental", "free"):
        if any(matches_any(name, getattr(tree.patterns, protocol)) for name in names):
            return protocol
    return "full"


def places_of_files(tree: Tree, recording: Path) -> list[Path]:
    """List the folders in which the files of a recording may be, the nearest first."""
    inside = [f for f in (recording, *recording.parents) if f.is_relative_to(tree.root)]
    for folder in inside:
        if is_blueprint(folder):
            return [recording] if folder == recording else [recording, folder]
    places = [recording]
    for folder in inside[1:]:
        if tree.holds_others(folder, recording):
            break
        places.append(folder)
    return places


def gather_files(
    tree: Tree, recording: Path, places: Sequence[Path], movie: str
) -> tuple[SessionFiles, Path]:
    """Take each kind of file from the nearest place that has one; the session's folder."""
    total, used = SessionFiles(), recording
    for place in places:
        needs_stimulus = protocol_by_names(tree, place, recording, movie) == "full"
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
    return total, next((place for place in places if is_blueprint(place)), used)


def _sorted_files(tree: Tree, files: list[Path], needs_stimulus: bool) -> SessionFiles:
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
) -> SessionFiles:
    """Keep each file in the list of its role; one without a role stays where its name put it."""
    return SessionFiles(
        signals=[file for file in signals if roles.get(file, "signals") == "signals"],
        stimulus=[file for file in stimulus if roles.get(file, "stimulus") == "stimulus"],
    )


def _is_stimulus(files: Sequence[Path], contents: Contents) -> bool:
    """Tell whether there is one stimulus table, which does not hold something else."""
    return len(files) == 1 and contents.role(files[0]) == "stimulus"


def _belongs_to_movie(tree: Tree, file: Path) -> bool:
    """Tell whether a file is a movie, or describes one."""
    if file.suffix.lower() == ".mat" and file.with_suffix(".sbx") in tree.files[file.parent]:
        return True
    return matches_any(file.name, tree.patterns.movie) and tree.contents.may_be_movie(file)


def check_path(path: str) -> None:
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


def one_stimulus(tree: Tree, files: SessionFiles, folder: Path) -> list[Path]:
    """Give the one stimulus table that a session of the protocol full needs."""
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
            f"{len(found)} files may be its stimulus table: {listed_paths(found)}; move the others "
            "away, or make discover.stimulus narrower (section discover of the configuration)."
        )
    return found


def movie_of(tree: Tree, recording: Path) -> tuple[str, int, list[str]]:
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
            notes = [f"{listed_paths(left_out)} {what} beside a movie: left out."]
    if len(groups) > 1:
        raise InputError(
            f"it holds {len(groups)} movies: {listed_paths(files)}; put each into a folder of its "
            "own together with its signals, or make discover.movie narrower (section discover of "
            "the configuration)."
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
        f"no pattern stands for its {len(files)} files and nothing else: {listed_paths(files)}; "
        "move them into a folder of their own."
    )
