"""Grids of tiles that a stage's motor recorded: ideal places, measured overlaps, the stage's map.

Conventions, as in the OCT mosaics for which this was first described (Lefebvre et al. 2017):

- A grid has ``nx`` rows and ``ny`` columns of tiles. Tile (i, j) is in row i and column j; lists of
  tiles go row by row.
- ``tile_shape`` is (planes, rows, columns) of one tile; (rows, columns) is taken as well.
- A *mosaic grid* holds the tiles side by side without any overlap: an array of shape
  (planes, nx * rows, ny * columns).
- Positions and displacements are (row, column) in pixels. They are floats: nothing is rounded,
  since the fit is much better than a pixel.
- The linear map A takes the number (i, j) of a tile to its position. Its angles are explained in
  :mod:`derotation.mosaic.stage`.

References
----------
J. Lefebvre et al., "Whole mouse brain imaging using optical coherence tomography: reconstruction,
normalization, segmentation, and comparison with diffusion MRI", Neurophotonics 4, 041501 (2017).
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from derotation.errors import InputError
from derotation.io.files import write_json
from derotation.mosaic.grids import GridVolume, open_grid
from derotation.mosaic.overlaps import Overlap, Picture, blank_pixels, measure_overlap
from derotation.mosaic.stage import fit_stage, stage_angles

__all__ = [
    "apply_blend_shift_refinement",
    "compare_motor_vs_registration",
    "compute_affine_output_shape",
    "compute_affine_positions",
    "compute_motor_positions",
    "compute_registration_refinements",
    "estimate_affine_from_pairs",
    "pool_pairs_and_fit_global_affine",
]

logger = logging.getLogger(__name__)

Position = tuple[float, float]
Shape = Sequence[int]

# An overlap of which less is no blank is not looked at.
LEAST_SEEN = 0.1
# Neighbors are sought up to this part of the overlap away from the ideal place.
REACH = 0.75
# Shifts below this (px) are not worth an interpolation.
NEGLIGIBLE_PX = 0.1
# From these values on a comparison is flagged: a mean difference (px), a correlation.
SYSTEMATIC_PX = 5.0
DILATION_CORRELATION = 0.5
# With so many tiles or fewer, no dilation is looked for.
FEW_TILES = 10


def compute_motor_positions(
    nx: int,
    ny: int,
    tile_shape: Shape,
    overlap_fraction: float,
    scale_factor: float = 1.0,
    rotation_deg: float = 0.0,
) -> tuple[list[Position], float, float]:
    """Compute the positions of an ideal grid.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    overlap_fraction : float
        Part of a tile that it shares with its neighbor, 0 to 1.
    scale_factor : float
        Factor on the steps.
    rotation_deg : float
        Angle by which the grid is turned about its first tile, degrees; with v = (row, column) a
        position becomes R v, R = [[cos, -sin], [sin, cos]].

    Returns
    -------
    positions : list of (row, column)
        Pixels, row by row; the first one is (0, 0).
    step_y, step_x : float
        Distance of neighbors along rows and columns before the turn, pixels.

    Notes
    -----
    Neither is rounded, though integers are documented elsewhere under this name: a step cut to
    whole pixels puts the last of twenty tiles up to 19 px off. Where whole pixels are needed, round
    the positions (``numpy.rint``), not the steps: none is then off by more than half a pixel.

    Examples
    --------
    >>> compute_motor_positions(2, 2, (1, 100, 80), 0.2)
    ([(0.0, 0.0), (0.0, 64.0), (80.0, 0.0), (80.0, 64.0)], 80.0, 64.0)
    """
    step_y, step_x = (step * scale_factor for step in _ideal_steps(tile_shape, overlap_fraction))
    cos, sin = math.cos(math.radians(rotation_deg)), math.sin(math.radians(rotation_deg))
    transform = np.array([[cos * step_y, -sin * step_x], [sin * step_y, cos * step_x]])
    return compute_affine_positions(nx, ny, transform), step_y, step_x


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
    height, width = _plane_shape(tile_shape)
    steps = _ideal_steps(tile_shape, overlap_fraction)
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


def estimate_affine_from_pairs(
    pairs: Sequence[Mapping[str, float]], tile_shape: Shape, overlap_fraction: float
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Fit position = A [i, j] to measured displacements by robust least squares.

    Parameters
    ----------
    pairs : sequence of mappings
        ``row_delta``, ``col_delta``, ``measured_dy``, ``measured_dx`` as of
        :func:`compute_registration_refinements`.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    overlap_fraction : float
        Part of a tile that it should share with its neighbor.

    Returns
    -------
    transform : ndarray of shape (2, 2)
        The map A from a tile's number (i, j) to its position (row, column), pixels.
    diagnostics : dict
        ``theta_deg``, the angle between scanner and stage; ``phi_deg``, that between the stage's
        axes, and ``non_perpendicularity_deg``, phi - 90; ``step_y``, ``step_x`` (pixels);
        ``Oy_fraction``, ``Ox_fraction``, the overlap that these steps leave, and
        ``expected_overlap``; ``off_diagonal_px``; ``n_pairs``, ``n_pairs_used``; ``dropped``: for
        each pair left out its ``index`` in `pairs`, ``residual_px`` and ``reason``;
        ``residual_rms_px``, ``residual_max_px`` and ``lstsq_residual`` (sum of squares, px²) of the
        pairs used;
        ``uncertainty_deg`` (theta, phi), None if too few pairs tell it; ``fallback``: True if there
        was no pair and A is the ideal grid, with its ``reason``; ``undetermined``: what the pairs
        do not tell and was taken as ideal, else None; ``transform``, A as lists.
    """
    step_y, step_x = _ideal_steps(tile_shape, overlap_fraction)
    if not pairs:
        ideal = np.array([[step_y, 0.0], [0.0, step_x]])
        parameters = _displacement_parameters(ideal, tile_shape, overlap_fraction)
        return ideal, parameters | {"fallback": True, "reason": "no pairs", "n_pairs": 0}
    deltas = np.array([(pair["row_delta"], pair["col_delta"]) for pair in pairs], np.float64)
    measured = np.array([(pair["measured_dy"], pair["measured_dx"]) for pair in pairs], np.float64)
    # In ideal pixels both axes are alike, which matters if only one of them was measured.
    ideal_steps = np.array([step_y, step_x])
    fitted = fit_stage(deltas * ideal_steps, measured)
    transform = fitted.matrix * ideal_steps
    lengths = np.hypot(*fitted.residuals.T)
    usual = float(np.sqrt(np.mean(lengths[fitted.used] ** 2)))
    dropped = [
        {
            "index": k,
            "row_delta": pairs[k]["row_delta"],
            "col_delta": pairs[k]["col_delta"],
            "residual_px": float(lengths[k]),
            "reason": f"is {lengths[k]:.1f} px off what the other pairs say, which agree to "
            f"{usual:.2f} px",
        }
        for k in map(int, np.flatnonzero(~fitted.used))
    ]
    for pair in dropped:
        logger.info("pair %d %s", pair["index"], pair["reason"])
    return transform, _displacement_parameters(transform, tile_shape, overlap_fraction) | {
        "fallback": False,
        "n_pairs": len(pairs),
        "n_pairs_used": int(fitted.used.sum()),
        "dropped": dropped,
        "residual_rms_px": usual,
        "residual_max_px": float(lengths[fitted.used].max()),
        "lstsq_residual": float(np.sum(lengths[fitted.used] ** 2)),
        "uncertainty_deg": fitted.angle_uncertainties() if fitted.free == 4 else None,
        "undetermined": None
        if fitted.free == 4
        else "all pairs have one direction: the stage's axes were taken to be perpendicular and "
        "their steps to be off by one factor",
    }


def pool_pairs_and_fit_global_affine(
    volumes: Iterable[tuple[str, str | PathLike[str]]],
    overlap_fraction: float,
    *,
    histogram_match: bool = False,
    max_empty_fraction: float | None = None,
    n_samples: int | None = None,
    seed: int = 0,
    use_gpu: bool = False,
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Fit one map A to the overlaps of many mosaic grids: what the stage does does not change.

    Parameters
    ----------
    volumes : iterable of (id, path)
        Mosaic grids: ``.ome.zarr`` (needs the optional package zarr) or TIFF, in the layouts that
        :mod:`derotation.mosaic.grids` describes. One plane of each is read at a time.
    overlap_fraction : float
        Part of a tile that it should share with its neighbor.
    histogram_match, max_empty_fraction, use_gpu
        As of :func:`compute_registration_refinements`.
    n_samples : int, optional
        So many pairs are drawn at random if there are more.
    seed : int
        Of that draw: the same seed draws the same pairs.

    Returns
    -------
    transform : ndarray of shape (2, 2)
        The map A.
    diagnostics : dict
        ``n_volumes``, ``n_pairs_pooled_total``, ``n_pairs_used``, ``tile_shape``,
        ``overlap_fraction``, ``histogram_match``, ``max_empty_fraction``, ``sampled_n``, ``seed``
        (None if nothing was drawn), ``backend``, ``transform``, ``displacement_model`` (angles,
        steps and overlaps as of :func:`estimate_affine_from_pairs`), ``lstsq_residual``,
        ``residual_rms_px``, ``fallback``, ``per_slice_stats`` (the stats of each volume, with
        ``slice_id``, ``nx``, ``ny``), and ``dropped``: the pairs left out, with ``slice_id``, tile
        and reason.

    Raises
    ------
    InputError
        If there is no volume, a file cannot be read, or the volumes' tiles differ in size.
    """
    grid, stats, pooled, sources = _pooled_pairs(
        volumes, overlap_fraction,
        histogram_match=histogram_match, max_empty_fraction=max_empty_fraction, use_gpu=use_gpu,
    )  # fmt: skip
    chosen = np.arange(len(pooled))
    drawn = n_samples is not None and len(pooled) > n_samples
    if drawn:
        chosen = np.sort(np.random.default_rng(seed).choice(len(pooled), n_samples, replace=False))
    transform, fitted = estimate_affine_from_pairs(
        [pooled[k] for k in chosen], grid.tile_shape, overlap_fraction
    )
    dropped = []
    for pair in fitted.get("dropped", ()):
        name, where, tile = sources[chosen[pair["index"]]]
        dropped.append(
            {"slice_id": name, "pair": f"the tile {where} {tile}", "reason": pair["reason"]}
        )
    return transform, {
        "n_volumes": len(stats),
        "n_pairs_pooled_total": len(pooled),
        "n_pairs_used": len(chosen) - len(dropped),
        "tile_shape": list(grid.tile_shape),
        "overlap_fraction": overlap_fraction,
        "histogram_match": histogram_match,
        "max_empty_fraction": max_empty_fraction,
        "sampled_n": n_samples,
        "seed": seed if drawn else None,
        "backend": "cpu",
        "transform": transform.tolist(),
        "displacement_model": _displacement_parameters(
            transform, grid.tile_shape, overlap_fraction
        ),
        "lstsq_residual": fitted.get("lstsq_residual"),
        "residual_rms_px": fitted.get("residual_rms_px"),
        "fallback": fitted["fallback"],
        "per_slice_stats": stats,
        "dropped": dropped,
    }


def _pooled_pairs(
    volumes: Iterable[tuple[str, str | PathLike[str]]], overlap_fraction: float, **how: Any
) -> tuple[GridVolume, list[dict[str, Any]], list[dict[str, Any]], list[tuple[str, str, Any]]]:
    """Measure the overlaps of all volumes: the first one, stats, pairs, and where these are."""
    first: GridVolume | None = None
    stats, pooled, sources = [], [], []
    for name, path in volumes:
        grid = open_grid(path)
        _check_alike(first, grid, name)
        first = first or grid
        refinements = compute_registration_refinements(
            grid.plane, grid.tile_shape, grid.nx, grid.ny, overlap_fraction, **how
        )
        pooled += refinements["pairs"]
        # Horizontal pairs come first in the list of pairs, each kind in the order of its tiles.
        sources += [(name, "right of", key) for key in refinements["horizontal"]]
        sources += [(name, "below", key) for key in refinements["vertical"]]
        stats.append(refinements["stats"] | {"slice_id": name, "nx": grid.nx, "ny": grid.ny})
    if first is None:
        raise InputError("no mosaic grid was given; name at least one as (id, path)")
    return first, stats, pooled, sources


def compute_affine_positions(nx: int, ny: int, transform: ArrayLike) -> list[Position]:
    """Compute the positions of a grid's tiles from the map A.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    transform : array of shape (2, 2)
        From a tile's number (i, j) to its position (row, column), pixels.

    Returns
    -------
    list of (row, column)
        Pixels, row by row; not rounded.

    Examples
    --------
    >>> compute_affine_positions(2, 2, [[80, -2], [3, 64]])
    [(0.0, 0.0), (-2.0, 64.0), (80.0, 3.0), (78.0, 67.0)]
    """
    (a, b), (c, d) = np.asarray(transform, np.float64).tolist()
    # Adding 0 turns a negative zero into an ordinary one.
    return [(a * i + b * j + 0.0, c * i + d * j + 0.0) for i in range(nx) for j in range(ny)]


def compute_affine_output_shape(
    nx: int, ny: int, tile_shape: Shape, transform: ArrayLike
) -> tuple[int, int, int]:
    """Compute how large a picture has to be to hold all tiles of a grid.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    transform : array of shape (2, 2)
        The map A.

    Returns
    -------
    (planes, rows, columns)
        Of the box around all tiles, in whole pixels.

    Examples
    --------
    >>> compute_affine_output_shape(2, 2, (1, 100, 80), [[80, -2], [3, 64]])
    (1, 182, 147)
    """
    height, width = _plane_shape(tile_shape)
    corners = {(i, j) for i in (0, nx - 1) for j in (0, ny - 1)}
    places = np.array(sorted(corners)) @ np.asarray(transform, np.float64).T
    # What rounding errors leave must not make a picture a pixel larger.
    size = np.ptp(places, axis=0) + np.array([height, width])
    rows, columns = np.ceil(size - 1e-9)
    return (int(tile_shape[0]) if len(tile_shape) == 3 else 1, int(rows), int(columns))


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


def compare_motor_vs_registration(
    motor_positions: ArrayLike,
    reg_positions: ArrayLike,
    output_path: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Compare where the motor says tiles are with where the pictures say.

    Parameters
    ----------
    motor_positions, reg_positions : array of shape (n, 2)
        Positions (row, column), pixels, in the same order.
    output_path : path, optional
        A JSON file for the result.

    Returns
    -------
    dict
        ``n_tiles``; of registration minus motor ``mean_diff_y``, ``mean_diff_x``, ``std_diff_y``,
        ``std_diff_x``, ``max_diff_y``, ``max_diff_x`` (largest absolute value), ``mean_magnitude``
        and ``max_magnitude`` (pixels); ``systematic_offset``: whether a mean is above 5 px, with
        ``offset_warning``; for more than 10 tiles ``index_error_correlation``, the correlation of
        the difference's length with the tile's number, and ``dilation_indicator``: whether it is
        above 0.5 or below -0.5, with ``dilation_warning``.

    Raises
    ------
    InputError
        If the lists differ in length or are empty.
    """
    motor = np.asarray(motor_positions, np.float64).reshape(-1, 2)
    registered = np.asarray(reg_positions, np.float64).reshape(-1, 2)
    if len(motor) != len(registered) or not len(motor):
        msg = (
            f"{len(motor)} positions of the motor cannot be compared with {len(registered)} of "
            "the registration; give both for the same tiles, at least one"
        )
        raise InputError(msg)
    difference = registered - motor
    lengths = np.hypot(*difference.T)
    result: dict[str, Any] = {"n_tiles": len(motor)}
    for name, values in (
        ("mean", difference.mean(axis=0)),
        ("std", difference.std(axis=0)),
        ("max", np.abs(difference).max(axis=0)),
    ):
        result[f"{name}_diff_y"], result[f"{name}_diff_x"] = (float(value) for value in values)
    result["mean_magnitude"], result["max_magnitude"] = float(lengths.mean()), float(lengths.max())
    mean = difference.mean(axis=0)
    result["systematic_offset"] = bool(np.abs(mean).max() > SYSTEMATIC_PX)
    if result["systematic_offset"]:
        result["offset_warning"] = (
            f"all tiles lie ({mean[0]:.1f}, {mean[1]:.1f}) px (row, column) off the motor's places"
        )
    if len(motor) > FEW_TILES:
        result |= _dilation(lengths)
    if output_path is not None:
        write_json(output_path, result)
    return result


def _dilation(lengths: NDArray[np.float64]) -> dict[str, Any]:
    """Tell whether the difference grows along the grid."""
    numbers = np.arange(len(lengths))
    steady = float(np.std(lengths)) <= 1e-9 * max(float(lengths.max()), 1.0)
    correlation = 0.0 if steady else float(np.corrcoef(numbers, lengths)[0, 1])
    found: dict[str, Any] = {
        "index_error_correlation": correlation,
        "dilation_indicator": abs(correlation) > DILATION_CORRELATION,
    }
    if found["dilation_indicator"]:
        found["dilation_warning"] = (
            f"the difference changes along the grid (correlation {correlation:.2f}), as with a "
            "wrong scale or angle"
        )
    return found


def _plane_shape(tile_shape: Shape) -> tuple[int, int]:
    """Give rows and columns of a tile."""
    if len(tile_shape) not in (2, 3) or min(tile_shape) < 1:
        msg = f"tile_shape has to be (planes, rows, columns) or (rows, columns), not {tile_shape}"
        raise InputError(msg)
    return int(tile_shape[-2]), int(tile_shape[-1])


def _ideal_steps(tile_shape: Shape, overlap_fraction: float) -> tuple[float, float]:
    """Give the distance of neighbors along rows and columns, pixels."""
    height, width = _plane_shape(tile_shape)
    if not 0 <= overlap_fraction < 1:
        raise InputError(f"overlap_fraction has to be from 0 to below 1, not {overlap_fraction}")
    return height * (1.0 - overlap_fraction), width * (1.0 - overlap_fraction)


def _displacement_parameters(
    transform: NDArray[np.float64], tile_shape: Shape, overlap_fraction: float
) -> dict[str, Any]:
    """Give what the map A says of the stage (Lefebvre et al. 2017, equations 1 to 6)."""
    height, width = _plane_shape(tile_shape)
    angles = stage_angles(transform)
    return angles | {
        "Oy_fraction": 1.0 - angles["step_y"] / height,
        "Ox_fraction": 1.0 - angles["step_x"] / width,
        "expected_overlap": overlap_fraction,
        "off_diagonal_px": [float(transform[0, 1]), float(transform[1, 0])],
        "transform": transform.tolist(),
    }


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
    steps = _ideal_steps(shape, overlap_fraction)
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


def _check_alike(first: GridVolume | None, grid: GridVolume, name: str) -> None:
    """Refuse to pool grids of different tiles."""
    if first is not None and grid.tile_shape[1:] != first.tile_shape[1:]:
        found, needed = (" x ".join(map(str, g.tile_shape[1:])) for g in (grid, first))
        msg = (
            f"{grid.path} ({name}): its tiles have {found} pixels, those of {first.path} {needed}; "
            "only grids of one tile size can be pooled"
        )
        raise InputError(msg)
