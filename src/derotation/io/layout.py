"""How the pages of a file are arranged: which one is which time, plane and channel."""

import io
import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.metadata import MovieMetadata
from derotation.io.tiff_pages import PageTable, shaped_description

_UM_PER_UNIT = {
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
_S_PER_UNIT = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageGrid:
    """Pages of one file by time, plane and channel."""

    pages: NDArray[np.int64]
    """Number of the page, from 0, shape (n_times, n_planes, n_channels)."""
    channels: tuple[int, ...]
    """Numbers of the channels, from 1."""
    metadata: MovieMetadata
    """What the file says besides."""
    unclear: str | None = None
    """What the file does not say and somebody must, in plain words; None if all is clear."""
    notes: tuple[str, ...] = ()
    """Contradictions between the description and the pages, in plain words."""

    @property
    def n_planes(self) -> int:
        """Number of planes."""
        return int(self.pages.shape[1])

    def as_times(self, note: str) -> "PageGrid":
        """Return the grid of a movie whose times were filed as planes or channels."""
        _, n_planes, n_channels = self.pages.shape
        metadata = self.metadata
        if metadata.frame_rate is not None:
            # The rate was that of one volume times the planes in it.
            metadata = replace(metadata, frame_rate=metadata.frame_rate / n_planes)
        kept = n_channels if n_planes > 1 else 1
        return replace(
            self,
            pages=self.pages.reshape(-1, 1, kept),
            channels=self.channels[:kept],
            metadata=replace(metadata, n_planes=1),
            notes=(*self.notes, note),
        )


def read_grid(table: PageTable) -> PageGrid | None:
    """Find the arrangement that a file's description speaks of.

    Parameters
    ----------
    table
        The file's pages.

    Returns
    -------
    PageGrid or None
        None if the description is not that of ImageJ, OME or tifffile.

    Raises
    ------
    MovieError
        If the description is damaged.
    """
    description = table.description
    if description.startswith("ImageJ="):
        return _imagej_grid(table)
    if "<OME" in description[:4096]:
        return _ome_grid(table)
    content = shaped_description(description)
    if content is not None:
        return _shaped_grid(table, content)
    return None


def _rate(interval_s: float | None, n_planes: int) -> float | None:
    """Return the rate of frames from the time between two volumes."""
    return n_planes / interval_s if interval_s and interval_s > 0 else None


def _imagej_grid(table: PageTable) -> PageGrid:
    """Read the description of an ImageJ hyperstack: channel fastest, then slice, then frame."""
    entries = dict(
        line.split("=", 1) for line in table.description.splitlines() if line.count("=") >= 1
    )
    n_channels = _whole(entries.get("channels")) or 1
    n_planes = _whole(entries.get("slices")) or 1
    n_times = _whole(entries.get("frames")) or 1
    if n_channels * n_planes * n_times == 1:
        n_times = _whole(entries.get("images")) or 1
    notes: list[str] = []
    pages = _time_slowest(table, (n_times, n_planes, n_channels), notes)
    unit = entries.get("unit", "").replace("\\u00B5", "µ")
    interval = _decimal(entries.get("finterval")) or _inverse(_decimal(entries.get("fps")))
    scale = _UM_PER_UNIT.get(unit)
    resolution = table.x_resolution
    return PageGrid(
        pages=pages,
        channels=tuple(range(1, n_channels + 1)),
        metadata=MovieMetadata(
            source="imagej",
            frame_rate=_rate(interval, n_planes),
            n_planes=n_planes,
            pixel_size_um=scale / resolution if scale and resolution else None,
            software=f"ImageJ {entries['ImageJ']}".strip(),
        ),
        notes=tuple(notes),
    )


def _time_slowest(
    table: PageTable, sizes: tuple[int, int, int], notes: list[str]
) -> NDArray[np.int64]:
    """Arrange pages whose slowest axis is time, as many times as there are whole ones."""
    n_times, n_planes, n_channels = sizes
    per_time = n_planes * n_channels
    found, rest = divmod(table.n_pages, per_time)
    if table.n_pages != n_times * per_time:
        notes.append(
            f"{table.path.name}: the description speaks of {n_times * per_time} pages "
            f"({n_times} times x {n_planes} planes x {n_channels} channels), the file has "
            f"{table.n_pages}"
            + (f"; the last {rest} make no whole time and were left out." if rest else ".")
        )
    pages = np.arange(found * per_time, dtype=np.int64)
    return pages.reshape(found, n_planes, n_channels)


def _shaped_grid(table: PageTable, content: Mapping[str, Any]) -> PageGrid | None:
    """Read the description that tifffile writes by itself: a shape and perhaps axes."""
    shape = [int(size) for size in content["shape"]]
    axes = str(content.get("axes") or "")
    while len(shape) > 2 and shape[-1] == 1 and shape[-2:] != list(table.shape):
        shape.pop()
        axes = axes[:-1]
    if shape[-2:] != list(table.shape):
        return None
    letters = axes[:-2] if len(axes) == len(shape) else "?" * (len(shape) - 2)
    kept = [(a, n) for a, n in zip(letters, shape[:-2], strict=True) if n > 1]
    n_declared = math.prod(n for _, n in kept)
    if not kept or (len(kept) == 1 and kept[0][0] == "?"):
        # Each page was written as a movie of its own, or all that is said is their number.
        return None
    names, unclear = _named_axes([letter for letter, _ in kept], [n for _, n in kept])
    notes: list[str] = []
    if unclear:
        n_planes = n_channels = 1
        pages = np.arange(table.n_pages, dtype=np.int64).reshape(-1, 1, 1)
    else:
        sizes = dict(zip(names, (n for _, n in kept), strict=True))
        n_times, n_planes, n_channels = (sizes.get(letter, 1) for letter in "TZC")
        if names[0] == "T" or "T" not in names:
            order = [name for name in names if name != "T"]
            pages = _time_slowest(table, (n_times, n_planes, n_channels), notes)
            pages = pages.reshape(len(pages), *(sizes[name] for name in order))
            pages = _by_time_plane_channel(pages, ["T", *order])
        else:
            pages = np.arange(n_declared, dtype=np.int64).reshape([n for _, n in kept])
            pages = _whole_times(table, _by_time_plane_channel(pages, names), notes)
    return PageGrid(
        pages=pages,
        channels=tuple(range(1, n_channels + 1)),
        metadata=MovieMetadata(
            source="plain",
            frame_rate=_rate(_decimal(content.get("finterval")), n_planes),
            n_planes=n_planes,
            pixel_size_um=_decimal(content.get("pixel_size_um")),
            software="tifffile",
        ),
        unclear=unclear,
        notes=tuple(notes),
    )


def _named_axes(letters: list[str], sizes: list[int]) -> tuple[list[str], str | None]:
    """Name each axis T, Z or C, or say why that cannot be done."""
    unknown = [letter for letter in letters if letter not in "TZC"]
    if not unknown and len(set(letters)) == len(letters):
        return letters, None
    if len(unknown) == 1 and "T" not in letters:
        # A single axis without a known name can only be the time of a movie.
        return ["T" if letter in unknown else letter for letter in letters], None
    arrangement = " x ".join(map(str, sizes))
    named = "" if set(letters) == {"?"} else f" (axes '{''.join(letters)}')"
    return [], (
        f"its pages are arranged as {arrangement}{named}, and it does not say which of these are "
        "times, planes and channels"
    )


def _by_time_plane_channel(pages: NDArray[np.int64], names: list[str]) -> NDArray[np.int64]:
    """Bring axes into the order time, plane, channel, adding those that are missing."""
    missing = [name for name in "TZC" if name not in names]
    full = pages.reshape(*pages.shape, *(1 for _ in missing))
    order = [*names, *missing]
    return full.transpose([order.index(name) for name in "TZC"])


def _whole_times(table: PageTable, pages: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Keep the times of which every plane and channel has a page."""
    there = (pages >= 0) & (pages < table.n_pages)
    whole = np.asarray(there.reshape(len(pages), -1).all(axis=1))
    if not whole.all():
        notes.append(
            f"{table.path.name}: {np.count_nonzero(~whole)} of {len(whole)} times lack pages "
            f"(the file has {table.n_pages}) and were left out."
        )
    n_used = int(pages[whole].size)
    if whole.all() and n_used < table.n_pages:
        notes.append(
            f"{table.path.name}: {table.n_pages - n_used} of {table.n_pages} pages are not part "
            "of the image that the description speaks of, and were left out."
        )
    return pages[whole]


def _ome_grid(table: PageTable) -> PageGrid | None:
    """Read OME-XML: the first image, and those of its planes that are in this file."""
    pixels, places = _read_ome(table)
    sizes = {name: _whole(pixels.get(f"Size{name}")) or 1 for name in "TZC"}
    order = pixels.get("DimensionOrder", "XYCZT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise MovieError(
            f"{table.path}: the OME description has the dimension order "
            f"'{pixels.get('DimensionOrder')}'; an order such as XYCZT was expected."
        )
    notes: list[str] = []
    grid = _ome_pages(sizes, order, places)
    filled = grid >= 0
    if not filled.any():
        # Renamed files do not find themselves in the description.
        if grid.size != table.n_pages:
            return None
        slowest_first = [sizes[name] for name in reversed(order)]
        in_order = np.arange(grid.size, dtype=np.int64).reshape(slowest_first)
        grid = _by_time_plane_channel(in_order, list(reversed(order)))
        filled = grid >= 0
    # Of a recording in several files this one may hold some times, planes or channels only.
    planes = np.flatnonzero(filled.any(axis=(0, 2)))
    channels = np.flatnonzero(filled.any(axis=(0, 1)))
    times = np.flatnonzero(filled.any(axis=(1, 2)))
    pages = _whole_times(table, grid[np.ix_(times, planes, channels)], notes)
    interval = _decimal(pixels.get("TimeIncrement"))
    interval_unit = _S_PER_UNIT.get(pixels.get("TimeIncrementUnit", "s"))
    size = _decimal(pixels.get("PhysicalSizeX"))
    size_unit = _UM_PER_UNIT.get(pixels.get("PhysicalSizeXUnit", "µm"))
    n_planes = sizes["Z"]
    return PageGrid(
        pages=pages,
        channels=tuple(int(channel) + 1 for channel in channels),
        metadata=MovieMetadata(
            source="ome",
            frame_rate=_rate(interval * interval_unit, n_planes)
            if interval and interval_unit
            else None,
            n_planes=len(planes),
            pixel_size_um=size * size_unit if size and size_unit else None,
            software=table.software or None,
        ),
        notes=tuple(notes),
    )


def _read_ome(table: PageTable) -> tuple[dict[str, str], list[dict[str, int | None]]]:
    """Return the attributes of the first image's pixels, and the places of its planes.

    The document is read piece by piece: it may describe hundreds of thousands of planes.
    """
    pixels: dict[str, str] = {}
    places: list[dict[str, int | None]] = []
    file_name: str | None = None
    stream = io.BytesIO(table.description.encode("utf-8"))
    try:
        for event, element in ET.iterparse(stream, events=("start", "end")):
            name = element.tag.rpartition("}")[2]
            if event == "start":
                if name == "Pixels":
                    pixels = dict(element.attrib)
                elif name == "TiffData":
                    file_name = None
                continue
            if name == "UUID":
                file_name = element.get("FileName")
            elif name == "TiffData":
                if file_name is None or file_name.casefold() == table.path.name.casefold():
                    keys = ("IFD", "FirstT", "FirstZ", "FirstC", "PlaneCount")
                    places.append({key: _whole(element.get(key)) for key in keys})
                else:
                    places.append({})
            elif name == "Pixels":
                break
            if name in ("TiffData", "Plane", "Annotation"):
                element.clear()
    except ET.ParseError as error:
        raise MovieError(
            f"{table.path}: the OME description cannot be read ({error}); save the movie as an "
            "ImageJ TIFF."
        ) from error
    if not pixels:
        raise MovieError(f"{table.path}: the OME description speaks of no image.")
    return pixels, places


def _ome_pages(
    sizes: Mapping[str, int], order: str, places: list[dict[str, int | None]]
) -> NDArray[np.int64]:
    """Return the page of each time, plane and channel; -1 for those in other files."""
    grid = np.full([sizes[name] for name in "TZC"], -1, dtype=np.int64)
    strides = {order[0]: 1, order[1]: sizes[order[0]]}
    strides[order[2]] = sizes[order[0]] * sizes[order[1]]
    total = grid.size
    for place in places or [{"IFD": None}]:
        if "IFD" not in place:
            continue
        first_page, count = place["IFD"], place.get("PlaneCount")
        if count is None:
            count = 1 if first_page is not None else total
        start = sum((place.get(f"First{name}") or 0) * strides[name] for name in "TZC")
        planes = np.arange(start, min(start + count, total))
        index = tuple(planes // strides[name] % sizes[name] for name in "TZC")
        grid[index] = (first_page or 0) + np.arange(len(planes))
    return grid


def _whole(text: object) -> int | None:
    """Return a whole number, or None."""
    try:
        return int(str(text))
    except ValueError:
        return None


def _decimal(text: object) -> float | None:
    """Return a number above 0, or None."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _inverse(value: float | None) -> float | None:
    """Return a period from a rate."""
    return 1.0 / value if value else None
