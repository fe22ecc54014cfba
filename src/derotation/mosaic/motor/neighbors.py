"""How neighboring tiles of a grid lie against each other, as their overlaps tell."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from derotation.errors import InputError
from derotation.mosaic.motor.places import Shape, grid_steps, rows_and_columns
from derotation.mosaic.overlaps import Overlap, Picture, blank_pixels, measure_overlap

__all__ = ["apply_blend_shift_refinement", "compute_registration_refinements"]

logger = logging.getLogger(__name__)

# An overlap of which less is no blank is not looked at.
LEAST_SEEN = 0.1
# Neighbors are sought up to this part of the overlap away from the ideal place.
REACH = 0.75
# Shifts below this (px) are not worth an interpolation.
NEGLIGIBLE_PX = 0.1


def compute_registration_refinements(
    volume: ArrayLike,
    tile_shape: Shape,
    nx: int,
    ny: int,
    overlap_fraction: float,
    max_refinement_px: float = 10.0,
    *,
    histogram_match: bool = False,
    max_empty_fraction: float | None = None,
    use_gpu: bool = False,
) -> dict[str, Any]:
    """Measure how neighboring tiles of a grid lie against each other.

    Parameters
    ----------
    volume : array of shape (planes, nx * rows, ny * columns)
        The mosaic grid; its middle plane is used. A single plane is taken as well. Blank pixels
        (NaN, or flat areas that reach the tile's rim) are left out.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    nx, ny : int
        Rows and columns of tiles.
    overlap_fraction : float
        Part of a tile that it shares with its neighbor, 0 to 1.
    max_refinement_px : float
        Longest residual in ``horizontal`` and ``vertical``; longer ones are shortened to it.
    histogram_match : bool
        Whether the second tile's values are mapped so that both overlaps have one distribution
        before they are compared: for contrast that differs by more than a factor.
    max_empty_fraction : float, optional
        Largest part of an overlap that may be background, told by Otsu's threshold on the whole
        plane; overlaps with more are skipped. None: only those that are blank are skipped.
    use_gpu : bool
        There is no GPU backend; with True this is logged, and the CPU is used.

    Returns
    -------
    dict
        ``horizontal`` and ``vertical``: by the number (i, j) of the tile on the left or above, the
        residual ``dy``, ``dx`` (pixels, shortened) by which the neighbor lies off its ideal place.
        ``pairs``: for each measured overlap ``row_delta``, ``col_delta`` (0 or 1) and the whole
        displacement ``measured_dy``, ``measured_dx`` of the second tile against the first.
        ``stats``: ``total_pairs`` compared, ``valid_pairs`` of them whose result can be trusted,
        ``clamped_pairs`` that were shortened, ``mean_refinement`` and ``max_refinement``, the
        lengths of the residuals (pixels, not shortened).

    Notes
    -----
    A pair that is not like its neighbor, or as much like it at another place, is no valid pair
    and has no entry; the log says which and why.
    """
    if use_gpu:
        logger.info("there is no GPU backend here; the overlaps are registered by the CPU")
    height, width = rows_and_columns(tile_shape)
    steps = grid_steps(tile_shape, overlap_fraction)
    found: dict[str, Any] = {"horizontal": {}, "vertical": {}, "pairs": []}
    total, clamped, lengths = 0, 0, []
    for (i, j), direction, overlap in _grid_overlaps(
        volume, (height, width), nx, ny, overlap_fraction,
        histogram_match=histogram_match, max_empty_fraction=max_empty_fraction,
    ):  # fmt: skip
        if overlap is None:
            continue
        total += 1
        if not overlap.ok:
            continue
        delta = (0, 1) if direction == "horizontal" else (1, 0)
        dy, dx = (float(value) for value in overlap.displacement)
        found["pairs"].append(
            {"row_delta": delta[0], "col_delta": delta[1], "measured_dy": dy, "measured_dx": dx}
        )
        rest = np.array([dy - delta[0] * steps[0], dx - delta[1] * steps[1]])
        length = float(np.hypot(*rest))
        lengths.append(length)
        if length > max_refinement_px:
            rest *= max_refinement_px / length
            clamped += 1
        found[direction][(i, j)] = {"dx": float(rest[1]), "dy": float(rest[0])}
    found["stats"] = {
        "total_pairs": total,
        "valid_pairs": len(lengths),
        "clamped_pairs": clamped,
        "mean_refinement": float(np.mean(lengths)) if lengths else 0.0,
        "max_refinement": max(lengths, default=0.0),
    }
    return found


def apply_blend_shift_refinement(
    tile: NDArray[Any], refinements_for_tile: Sequence[Mapping[str, float]]
) -> NDArray[Any]:
    """Move what a tile shows by half of what its neighbors ask for.

    Parameters
    ----------
    tile : ndarray of shape (planes, rows, columns) or (rows, columns)
        The tile. Its place in the mosaic stays.
    refinements_for_tile : sequence of mappings
        From each neighbor ``dy`` and ``dx``, pixels: how far this tile lies off its ideal place
        against the neighbor. That is an entry of ``horizontal`` or ``vertical`` of
        :func:`compute_registration_refinements` for the neighbors on the left and above, and the
        negative of one for the neighbors on the right and below.

    Returns
    -------
    ndarray
        The tile moved by half of the mean, since the neighbor is moved by the other half; linear
        interpolation, beyond the rim the nearest pixel. The same array if the move is shorter than
        0.1 px in rows and in columns.
    """
    if not refinements_for_tile:
        return tile
    moves = [(entry.get("dy", 0.0), entry.get("dx", 0.0)) for entry in refinements_for_tile]
    dy, dx = np.mean(moves, axis=0) / 2
    if max(abs(dy), abs(dx)) < NEGLIGIBLE_PX:
        return tile
    move = (0.0,) * (tile.ndim - 2) + (float(dy), float(dx))
    return np.asarray(ndimage.shift(tile, move, order=1, mode="nearest"))


def _grid_overlaps(
    volume: ArrayLike,
    shape: tuple[int, int],
    nx: int,
    ny: int,
    overlap_fraction: float,
    *,
    histogram_match: bool,
    max_empty_fraction: float | None,
) -> Iterable[tuple[tuple[int, int], str, Overlap | None]]:
    """Measure all neighbors of a grid, those side by side first; None where nothing was seen."""
    plane = _middle_plane(volume, shape, nx, ny)
    threshold = None if max_empty_fraction is None else _otsu(plane)
    height, width = shape
    tiles = {
        (i, j): plane[i * height : (i + 1) * height, j * width : (j + 1) * width]
        for i in range(nx)
        for j in range(ny)
    }
    masks = {key: ~blank_pixels(tile) for key, tile in tiles.items()}
    pictures: dict[tuple[int, int], Picture] = {}
    steps = grid_steps(shape, overlap_fraction)
    reach = REACH * overlap_fraction * min(shape)

    def picture(key: tuple[int, int]) -> Picture:
        if key not in pictures:
            pictures[key] = Picture.prepare(tiles[key], masks[key])
        return pictures[key]

    for direction, delta in (("horizontal", (0, 1)), ("vertical", (1, 0))):
        parts = _overlap_parts(shape, steps, delta)
        for i in range(nx - delta[0]):
            for j in range(ny - delta[1]):
                one, other = (i, j), (i + delta[0], j + delta[1])
                reason = _emptiness(
                    (tiles[one][parts[0]], tiles[other][parts[1]]),
                    (masks[one][parts[0]], masks[other][parts[1]]),
                    threshold,
                    max_empty_fraction,
                )
                if reason:
                    logger.info("tiles %s and %s: skipped, %s", one, other, reason)
                    yield one, direction, None
                    continue
                second = picture(other)
                if histogram_match:
                    matched = _matched(tiles[one], tiles[other], masks[one], masks[other], parts)
                    second = Picture.prepare(matched, masks[other])
                expected = np.multiply(steps, delta)
                overlap = measure_overlap(picture(one), second, expected, reach)
                if not overlap.ok:
                    logger.info("tiles %s and %s: left out, %s", one, other, overlap.problem)
                yield one, direction, overlap


def _middle_plane(
    volume: ArrayLike, shape: tuple[int, int], nx: int, ny: int
) -> NDArray[np.float32]:
    """Take the middle plane of a mosaic grid."""
    array = volume if hasattr(volume, "shape") else np.asarray(volume)
    plane = array[array.shape[0] // 2] if len(array.shape) == 3 else array  # type: ignore[index]
    plane = np.asarray(plane, np.float32)
    needed = (nx * shape[0], ny * shape[1])
    if plane.ndim != 2 or plane.shape != needed:
        msg = (
            f"the mosaic grid has the shape {tuple(array.shape)}, but {nx} x {ny} tiles of "
            f"{shape[0]} x {shape[1]} pixels need (planes, {needed[0]}, {needed[1]})"
        )
        raise InputError(msg)
    return plane


def _otsu(plane: NDArray[np.float32]) -> float:
    """Tell background from tissue by the values of all pixels that hold something."""
    from skimage.filters import threshold_otsu

    values = plane[np.isfinite(plane) & (plane > 0)]
    if not values.size or values.min() == values.max():
        return float("inf")
    return float(threshold_otsu(values))  # type: ignore[no-untyped-call]


def _overlap_parts(
    shape: tuple[int, int], steps: tuple[float, float], delta: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Give the ideal overlap as parts of the first and of the second tile."""
    first, second = [], []
    for n, step, along in zip(shape, steps, delta, strict=True):
        shared = max(round(n - step), 1) if along else n
        first.append(slice(n - shared, n))
        second.append(slice(0, shared))
    return (first[0], first[1]), (second[0], second[1])


def _emptiness(
    overlaps: tuple[NDArray[np.float32], NDArray[np.float32]],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    threshold: float | None,
    max_empty_fraction: float | None,
) -> str | None:
    """Say why an overlap holds too little, if it does."""
    seen = min(float(mask.mean()) for mask in masks)
    if seen < LEAST_SEEN:
        return f"only {seen:.0%} of the overlap was seen"
    if threshold is not None and max_empty_fraction is not None:
        empty = max(
            float(np.mean(part[mask] <= threshold))
            for part, mask in zip(overlaps, masks, strict=True)
        )
        if empty > max_empty_fraction:
            return f"{empty:.0%} of the overlap is background"
    return None


def _matched(
    tile: NDArray[np.float32],
    other: NDArray[np.float32],
    mask: NDArray[np.bool_],
    other_mask: NDArray[np.bool_],
    parts: tuple[tuple[slice, slice], tuple[slice, slice]],
) -> NDArray[np.float32]:
    """Map the second tile's values so that both overlaps have one distribution."""
    levels = np.linspace(0, 1, 257)
    wanted = np.quantile(tile[parts[0]][mask[parts[0]]], levels)
    found = np.quantile(other[parts[1]][other_mask[parts[1]]], levels)
    # Equal values cannot be told apart: one of them stands for all.
    distinct = np.concatenate([[True], np.diff(found) > 0])
    return np.asarray(np.interp(other, found[distinct], wanted[distinct]), np.float32)
