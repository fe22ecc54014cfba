"""The sessions below a folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.cohort.contents import Contents
from derotation.cohort.discover.files import (
    check_path,
    gather_files,
    movie_of,
    one_stimulus,
    places_of_files,
    protocol_by_names,
)
from derotation.cohort.discover.found import Discovery, FoundSession, Unpaired
from derotation.cohort.discover.names import session_name, shared_names, with_unique_names
from derotation.cohort.discover.same_day import calibrated_by_incremental
from derotation.cohort.discover.tree import Patterns, Tree, listed_paths
from derotation.errors import InputError

__all__ = ["discover_sessions"]

# What tells the angle where nothing but a movie, or a table beside it, was recorded.
WITHOUT_SIGNALS = ("movie", "table")


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
    tree = Tree(folder, rules, Contents(stimulus or {}), source)
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
    named, also = with_unique_names(tree, sessions)
    calibrated, said = calibrated_by_incremental(tree, named)
    return Discovery(
        root=folder,
        sessions=tuple(calibrated),
        unpaired=tuple(unpaired),
        notes=tuple(notes + also + said + tree.contents.problems),
        errors=tuple(shared_names(calibrated)),
    )


def _session(tree: Tree, recording: Path, patterns: Patterns) -> tuple[FoundSession, list[str]]:
    movie, n_files, left_out = movie_of(tree, recording)
    places = places_of_files(tree, recording)
    found, folder = gather_files(tree, recording, places, Path(movie).name)
    protocol = protocol_by_names(tree, folder, recording, Path(movie).name)
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
                f"{len(files)} files may be its {what}: {listed_paths(files)}; move the others "
                f"away, or make discover.{key} narrower ({given})."
            )
    if protocol == "full" and not found.stimulus and (found.angles or tree.source != "ticks"):
        protocol = "free"
    stimulus = one_stimulus(tree, found, places[-1]) if protocol == "full" else []
    for file in (movie, *map(str, [*found.signals, *stimulus, *found.angles])):
        check_path(file)
    name, notes = session_name(tree, folder, recording, patterns)
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
