"""How the pages of a file are arranged: which one is which time, plane and channel."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.metadata import MovieMetadata
from derotation.io.numbers import MOST_PAGES, UM_PER_UNIT, positive, whole
from derotation.io.ome import OmeImage, is_ome, read_ome, stub_target
from derotation.io.tiff_description import shaped_description
from derotation.io.tiff_pages import PageTable


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
    if is_ome(description):
        # A stub is resolved by whoever knows the other files.
        if stub_target(description):
            return None
        return ome_grid(table, read_ome(description, table.path))
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
    keys = ("channels", "slices", "frames")
    n_channels, n_planes, n_times = (whole(entries.get(key)) or 1 for key in keys)
    if n_channels * n_planes * n_times == 1:
        n_times = whole(entries.get("images")) or 1
    _check_sizes(table, (n_times, n_planes, n_channels))
    notes: list[str] = []
    pages = _time_slowest(table, (n_times, n_planes, n_channels), notes)
    unit = entries.get("unit", "").replace("\\u00B5", "µ")
    interval = positive(entries.get("finterval")) or _inverse(positive(entries.get("fps")))
    scale = UM_PER_UNIT.get(unit)
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
    # What a file lacks that was cut off is said already.
    if table.n_pages != n_times * per_time and (table.cut is None or rest):
        notes.append(
            f"{table.path.name}: the description speaks of {n_times * per_time} pages "
            f"({n_times} times x {n_planes} planes x {n_channels} channels), the file has "
            f"{table.n_pages}"
            + (f"; the last {rest} make no whole time and were left out." if rest else ".")
        )
    pages = np.arange(found * per_time, dtype=np.int64)
    return pages.reshape(found, n_planes, n_channels)


def _check_sizes(table: PageTable, sizes: Sequence[int]) -> None:
    """Refuse numbers of times, planes or channels that no recording has."""
    if min(sizes) < 1 or math.prod(sizes) > MOST_PAGES:
        raise MovieError(
            f"{table.path}: its description is damaged: it speaks of "
            f"{' x '.join(map(str, sizes))} pages, and the file has {table.n_pages}. Copy the file "
            "again from its source, or save it as a new TIFF."
        )


def _shaped_grid(table: PageTable, content: Mapping[str, Any]) -> PageGrid | None:
    """Read the description that tifffile writes by itself: a shape and perhaps axes."""
    shape = [int(size) for size in content["shape"]]
    if min(shape, default=1) < 1:
        _check_sizes(table, shape)
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
    _check_sizes(table, [n for _, n in kept])
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
            frame_rate=_rate(positive(content.get("finterval")), n_planes),
            n_planes=n_planes,
            pixel_size_um=positive(content.get("pixel_size_um")),
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


def ome_grid(table: PageTable, image: OmeImage) -> PageGrid | None:
    """Arrange the pages of a file as OME-XML says.

    Parameters
    ----------
    table
        The file's pages.
    image
        What the description says.

    Returns
    -------
    PageGrid or None
        None if the description does not fit the file.
    """
    pages, where = image.pages(table.path.name, table.n_pages)
    planned = image.planned(table.path.name)
    if not len(pages):
        # Renamed files do not find themselves in the description.
        if image.n_pages != table.n_pages:
            return None
        pages = np.arange(table.n_pages, dtype=np.int64)
        where, planned = image.where(pages), table.n_pages
    # Of a recording in several files this one may hold some times, planes or channels only.
    planes, channels = np.unique(where[:, 1]), np.unique(where[:, 2])
    _, grid = whole_times(pages, where)
    notes = []
    per_time = len(planes) * len(channels)
    n_times = max(-(-planned // per_time), len(grid))
    if n_times > len(grid):
        notes.append(
            f"{table.path.name}: {n_times - len(grid)} of {n_times} times lack pages "
            f"(the file has {table.n_pages}) and were left out."
        )
    elif grid.size < table.n_pages:
        notes.append(
            f"{table.path.name}: {table.n_pages - grid.size} of {table.n_pages} pages are not part "
            "of the image that the description speaks of, and were left out."
        )
    return PageGrid(
        pages=grid,
        channels=tuple(int(channel) + 1 for channel in channels),
        metadata=ome_metadata(image, table.software, len(planes)),
        notes=tuple(notes),
    )


def whole_times(
    values: NDArray[np.int64], where: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arrange values by time, plane and channel; keep the times that have all of these.

    Parameters
    ----------
    values
        What belongs to each place, shape (n,) or (n, k).
    where
        Time, plane and channel of each, shape (n, 3).

    Returns
    -------
    times : ndarray of shape (n_times,)
        The times that are whole, ascending.
    grid : ndarray of shape (n_times, n_planes, n_channels) or (n_times, n_planes, n_channels, k)
        The values.
    """
    # Of several at one place the last one counts.
    _, last = np.unique(where[::-1], axis=0, return_index=True)
    kept = len(where) - 1 - last
    where, values = where[kept], values[kept]
    times, time = np.unique(where[:, 0], return_inverse=True)
    planes, channels = np.unique(where[:, 1]), np.unique(where[:, 2])
    n_all = len(planes) * len(channels)
    is_whole = np.bincount(time, minlength=len(times)) == n_all
    # Sorted by time, plane, channel, so that they only have to be put into shape.
    shape = (int(is_whole.sum()), len(planes), len(channels), *values.shape[1:])
    return times[is_whole], values[is_whole[time]].reshape(shape)


def ome_metadata(image: OmeImage, software: str, n_planes: int) -> MovieMetadata:
    """Return what OME-XML says about how a movie was recorded."""
    return MovieMetadata(
        source="ome",
        frame_rate=image.frame_rate,
        n_planes=n_planes,
        pixel_size_um=image.pixel_size_um,
        software=software or None,
    )


def _inverse(value: float | None) -> float | None:
    """Return a period from a rate."""
    return 1.0 / value if value else None
