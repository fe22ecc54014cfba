"""Descriptions in OME-XML: which page of which file is which time, plane and channel.

A recording in thousands of files repeats the description of all of them in each. It is read once,
and what it says of a file is looked up by the file's name.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.numbers import MOST_PAGES, UM_PER_UNIT, positive, whole

__all__ = ["OmeImage", "is_ome", "read_ome", "stub_target"]

_S_PER_UNIT = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "min": 60.0, "h": 3600.0}
_STUB = re.compile(r"<(?:\w+:)?BinaryOnly\b[^>]*?\bMetadataFile\s*=\s*[\"']([^\"']+)[\"']")
_HEAD = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OmeImage:
    """What a description says of its first image."""

    sizes: Mapping[str, int]
    """Number of times T, planes Z and channels C."""
    order: str
    """These three letters, the fastest axis first."""
    places: Mapping[str | None, list[tuple[int, int, int | None]]]
    """By lower-case name of the file (None: that of the description itself): first page, first
    plane in the order of the image, number of planes (None: all)."""
    frame_rate: float | None
    """Planes per second, Hz."""
    pixel_size_um: float | None
    """Width of a pixel in micrometers."""

    @property
    def n_pages(self) -> int:
        """Number of planes of all times and channels."""
        return self.sizes["T"] * self.sizes["Z"] * self.sizes["C"]

    def names(self, name: str) -> bool:
        """Tell whether the description speaks of a file."""
        return name.casefold() in self.places

    def planned(self, name: str) -> int:
        """Return how many planes a file should hold."""
        return sum(self._clipped(count, start) for _, start, count in self._of(name))

    def pages(self, name: str, n_pages: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the pages of a file.

        Parameters
        ----------
        name
            The file's name without its folder.
        n_pages
            Pages that the file has.

        Returns
        -------
        pages : ndarray of shape (n,)
            Numbers of the pages, from 0.
        where : ndarray of shape (n, 3)
            Time, plane and channel of each, from 0. Nothing where the file is not spoken of.
        """
        pages, planes = [], []
        for first, start, count in self._of(name):
            n = min(self._clipped(count, start), n_pages - first)
            if n > 0:
                pages.append(np.arange(first, first + n, dtype=np.int64))
                planes.append(np.arange(start, start + n, dtype=np.int64))
        if not pages:
            return np.empty(0, np.int64), np.empty((0, 3), np.int64)
        return np.concatenate(pages), self.where(np.concatenate(planes))

    def where(self, planes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return time, plane and channel, shape (n, 3), of planes counted in the image's order."""
        stride, columns = 1, {}
        for letter in self.order:
            columns[letter] = planes // stride % self.sizes[letter]
            stride *= self.sizes[letter]
        return np.stack([columns[letter] for letter in "TZC"], axis=1)

    def _of(self, name: str) -> list[tuple[int, int, int | None]]:
        return [*self.places.get(name.casefold(), ()), *self.places.get(None, ())]

    def _clipped(self, count: int | None, start: int) -> int:
        left = max(0, self.n_pages - start)
        return left if count is None else max(0, min(count, left))


def is_ome(description: str) -> bool:
    """Tell whether a description is OME-XML."""
    return "<OME" in description[:_HEAD] or "<ome:OME" in description[:_HEAD]


def stub_target(description: str) -> str | None:
    """Return the name of the file that a stub points to, None if the description is no stub."""
    match = _STUB.search(description[:_HEAD])
    return match[1] if match else None


def read_ome(text: str, path: Path) -> OmeImage:
    """Read a description piece by piece: it may speak of hundreds of thousands of planes.

    Parameters
    ----------
    text
        OME-XML.
    path
        The file it stands in, for messages.

    Returns
    -------
    OmeImage

    Raises
    ------
    MovieError
        If it is damaged or speaks of no image.
    """
    pixels, entries = _parse(text, path)
    sizes = {name: whole(pixels.get(f"Size{name}", "1")) for name in "TZC"}
    known = {name: size for name, size in sizes.items() if size is not None and size > 0}
    if len(known) < 3 or known["T"] * known["Z"] * known["C"] > MOST_PAGES:
        found = ", ".join(f"Size{name} {pixels.get(f'Size{name}')}" for name in "TZC")
        raise MovieError(
            f"{path}: the OME description is damaged: it says {found}. Copy the file again, or "
            "save the movie as an ImageJ TIFF."
        )
    order = pixels.get("DimensionOrder", "XYCZT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise MovieError(
            f"{path}: the OME description has the dimension order "
            f"'{pixels.get('DimensionOrder')}'; an order such as XYCZT was expected."
        )
    strides = {order[0]: 1, order[1]: known[order[0]]}
    strides[order[2]] = known[order[0]] * known[order[1]]
    places: dict[str | None, list[tuple[int, int, int | None]]] = {}
    for name, numbers in entries if entries else [(None, {})]:
        first, count = numbers.get("IFD"), numbers.get("PlaneCount")
        if count is None and first is not None:
            count = 1
        starts = [(numbers.get(f"First{letter}") or 0) * strides[letter] for letter in "TZC"]
        if (first or 0) < 0 or min(starts) < 0:
            raise MovieError(f"{path}: the OME description is damaged: it has negative places.")
        key = None if name is None else name.casefold()
        places.setdefault(key, []).append((first or 0, sum(starts), count))
    interval = positive(pixels.get("TimeIncrement"))
    interval_unit = _S_PER_UNIT.get(pixels.get("TimeIncrementUnit", "s"))
    size = positive(pixels.get("PhysicalSizeX"))
    size_unit = UM_PER_UNIT.get(pixels.get("PhysicalSizeXUnit", "µm"))
    period = interval * interval_unit if interval and interval_unit else None
    return OmeImage(
        sizes=known,
        order=order,
        places=places,
        frame_rate=known["Z"] / period if period else None,
        pixel_size_um=size * size_unit if size and size_unit else None,
    )


Entry = tuple[str | None, dict[str, int | None]]


def _parse(text: str, path: Path) -> tuple[dict[str, str], list[Entry]]:
    """Return the attributes of the first image's pixels, and the places of its planes by file."""
    pixels: dict[str, str] = {}
    entries: list[Entry] = []
    file_name: str | None = None
    keys = ("IFD", "FirstT", "FirstZ", "FirstC", "PlaneCount")
    stream = io.BytesIO(text.encode("utf-8", errors="replace"))
    try:
        for event, element in ET.iterparse(stream, events=("start", "end")):
            name = element.tag.rpartition("}")[2]
            if event == "start":
                if name == "Pixels":
                    pixels = dict(element.attrib)
                    parent = element
                elif name == "TiffData":
                    file_name = None
                continue
            if name == "UUID":
                file_name = element.get("FileName")
            elif name == "TiffData":
                entries.append((file_name, {key: whole(element.get(key)) for key in keys}))
            elif name == "Pixels":
                break
            if name in ("TiffData", "Plane", "Annotation"):
                element.clear()
                if pixels and name != "Annotation":
                    # Even empty elements of a hundred thousand files take room.
                    parent.clear()
    except (ET.ParseError, LookupError, ValueError) as error:
        # LookupError, ValueError: an encoding that nobody knows, or that contradicts the text.
        raise MovieError(
            f"{path}: the OME description cannot be read ({error}); save the movie as an "
            "ImageJ TIFF."
        ) from error
    if not pixels:
        raise MovieError(f"{path}: the OME description speaks of no image.")
    return pixels, entries
