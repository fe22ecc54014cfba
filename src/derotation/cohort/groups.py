"""The mosaic groups of a sample sheet: their sessions, and what is missing for a mosaic."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derotation.cohort.sample_sheet import SampleSheet, Session

if TYPE_CHECKING:
    from derotation.io.movie import MovieMetadata

__all__ = ["check_groups", "mosaic_groups"]

# Two sizes of a pixel that differ by a smaller part than this are one size, rounded differently.
SAME_SIZE = 1e-3


def mosaic_groups(sheet: SampleSheet) -> dict[str, list[Session]]:
    """List the sessions of each mosaic group, in the order of the sheet."""
    groups: dict[str, list[Session]] = {}
    for session in sheet:
        if session.mosaic is not None:
            groups.setdefault(session.mosaic, []).append(session)
    return groups


def check_groups(
    sheet: SampleSheet,
    config: Mapping[str, Any],
    *,
    simulated: Iterable[str] = (),
    check_files: bool = True,
) -> list[str]:
    """Look for what would keep a mosaic from being built.

    Parameters
    ----------
    sheet : SampleSheet
        The sessions.
    config : mapping
        The section ``mosaic`` of the configuration.
    simulated : iterable of str
        Sessions whose movies are yet to be simulated: nothing can be read from them.
    check_files : bool
        Whether to look into the movies for positions and the size of a pixel.

    Returns
    -------
    list of str
        One line per mistake, with file, row and column.
    """
    errors = []
    seen: dict[str, str] = {}
    for group, sessions in mosaic_groups(sheet).items():
        first = sessions[0]
        other = seen.setdefault(group.lower(), group)
        if other != group:
            text = f'"{group}" differs only in case from "{other}", but both name one file.'
            errors.append(sheet.line(first, "mosaic", text))
        if len(sessions) < 2:
            text = (
                f'the group "{group}" holds only this session, but a mosaic needs at least two: '
                "name it in another row as well, or leave the cell empty."
            )
            errors.append(sheet.line(first, "mosaic", text))
        found = {
            session.name: _metadata(session)
            for session in sessions
            if check_files and session.name not in simulated
        }
        errors += _position_errors(sheet, sessions, found, set(simulated))
        errors += _reference_errors(sheet, sessions)
        errors += _pixel_errors(sheet, sessions, found, set(simulated), config["pixel_size_um"])
    return errors


def _metadata(session: Session) -> "MovieMetadata | None":
    """Read what a session's first file says; None if it cannot be read, which is told elsewhere."""
    from derotation.io.movie import recording_metadata

    files = session.movie_files()
    try:
        return recording_metadata(files[0]) if files and Path(files[0]).is_file() else None
    except Exception:  # whatever a damaged file does, the other sessions are looked at
        return None


def _position_errors(
    sheet: SampleSheet,
    sessions: Iterable[Session],
    found: "Mapping[str, MovieMetadata | None]",
    simulated: set[str],
) -> list[str]:
    """Find sessions whose place is not known."""
    errors = []
    for session in sessions:
        given = (session.stage_x_um, session.stage_y_um)
        missing = [name for name, value in zip("xy", given, strict=True) if value is None]
        if len(missing) == 1:
            text = "the cell is empty, but the other coordinate is given; a mosaic needs both."
            errors.append(sheet.line(session, f"stage_{missing[0]}_um", text))
        elif missing and (session.name in simulated or session.name in found):
            metadata = found.get(session.name)
            position = metadata.stage_position_um if metadata is not None else None
            if session.name in simulated or (metadata is not None and len(position or ()) < 2):
                text = (
                    "the cells stage_x_um and stage_y_um are empty, and the movie's metadata hold "
                    "no position of the stage; give it in micrometers."
                )
                errors.append(sheet.line(session, "stage_x_um", text))
    return errors


def _reference_errors(sheet: SampleSheet, sessions: Iterable[Session]) -> list[str]:
    """Find sessions that are aligned to another field of view: their images lie there."""
    errors = []
    for session in sessions:
        if session.reference is None or session.reference == session.name:
            continue
        other = sheet[session.reference]
        place = (session.stage_x_um, session.stage_y_um)
        if place != (other.stage_x_um, other.stage_y_um):
            text = (
                f"the session is aligned to {other.name} (row {other.row}), so that its images lie "
                "where that one was recorded, but the stage's positions differ: write the same "
                "ones, or leave the cell empty."
            )
            errors.append(sheet.line(session, "reference", text))
    return errors


def _pixel_errors(
    sheet: SampleSheet,
    sessions: list[Session],
    found: "Mapping[str, MovieMetadata | None]",
    simulated: set[str],
    configured: float | None,
) -> list[str]:
    """Find sessions whose pixels are of an unknown or of another size."""
    if configured is not None:
        return []
    errors = []
    sizes = []
    for session in sessions:
        metadata = found.get(session.name)
        size = metadata.pixel_size_um if metadata is not None else None
        if size is not None:
            sizes.append((session, size))
        elif session.name in simulated or metadata is not None:
            text = (
                "the size of a pixel is not known: the movie's metadata do not hold it; give it "
                "as mosaic.pixel_size_um in the configuration."
            )
            errors.append(sheet.line(session, "mosaic", text))
    for session, size in sizes[1:]:
        first, expected = sizes[0]
        if not math.isclose(size, expected, rel_tol=SAME_SIZE):
            text = (
                f"its pixels measure {size:.4g} um, those of {first.name} (row {first.row}) "
                f"{expected:.4g} um; the sessions of a mosaic need one size. If the metadata are "
                "wrong, give mosaic.pixel_size_um in the configuration."
            )
            errors.append(sheet.line(session, "mosaic", text))
    return errors
