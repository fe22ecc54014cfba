"""XML that microscopes write beside their movies."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from derotation.errors import MovieError

__all__ = ["read_xml"]

# The description of a recording of a million frames has less.
_MOST_BYTES = 2**31


def read_xml(path: Path) -> Iterator[tuple[str, ET.Element]]:
    """Go through an XML file piece by piece.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    event : {"start", "end"}
        Whether an element begins, or is complete.
    element
        The element. Whoever has used one up clears it.

    Raises
    ------
    MovieError
        If the file cannot be read or is damaged; names it.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MovieError(f"{path} is larger than the description of any recording.")
        yield from ET.iterparse(path, events=("start", "end"))
    except (OSError, ET.ParseError, LookupError, ValueError) as error:
        if isinstance(error, MovieError):
            raise
        raise MovieError(
            f"{path} cannot be read as XML ({error}). Copy it again from its source; without it "
            "the movie can be opened as a glob of its TIFF files."
        ) from error
