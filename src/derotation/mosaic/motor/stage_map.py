"""The map of the stage that fits the overlaps of one or of many grids."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.mosaic.grids import GridVolume, open_grid
from derotation.mosaic.motor.neighbors import compute_registration_refinements
from derotation.mosaic.motor.places import Shape, grid_steps, rows_and_columns
from derotation.mosaic.stage import fit_stage, stage_angles

__all__ = ["estimate_affine_from_pairs", "pool_pairs_and_fit_global_affine"]

logger = logging.getLogger(__name__)


def estimate_affine_from_pairs(
    pairs: Sequence[Mapping[str, float]], tile_shape: Shape, overlap_fraction: float
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Fit position = A [i, j] to measured displacements by robust least squares.

    Parameters
    ----------
    pairs : sequence of mappings
        ``row_delta``, ``col_delta``, ``measured_dy``, ``measured_dx`` as of
        :func:`~derotation.mosaic.motor.neighbors.compute_registration_refinements`.
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
    step_y, step_x = grid_steps(tile_shape, overlap_fraction)
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
        As of :func:`~derotation.mosaic.motor.neighbors.compute_registration_refinements`.
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


def _displacement_parameters(
    transform: NDArray[np.float64], tile_shape: Shape, overlap_fraction: float
) -> dict[str, Any]:
    """Give what the map A says of the stage (Lefebvre et al. 2017, equations 1 to 6)."""
    height, width = rows_and_columns(tile_shape)
    angles = stage_angles(transform)
    return angles | {
        "Oy_fraction": 1.0 - angles["step_y"] / height,
        "Ox_fraction": 1.0 - angles["step_x"] / width,
        "expected_overlap": overlap_fraction,
        "off_diagonal_px": [float(transform[0, 1]), float(transform[1, 0])],
        "transform": transform.tolist(),
    }


def _check_alike(first: GridVolume | None, grid: GridVolume, name: str) -> None:
    """Refuse to pool grids of different tiles."""
    if first is not None and grid.tile_shape[1:] != first.tile_shape[1:]:
        found, needed = (" x ".join(map(str, g.tile_shape[1:])) for g in (grid, first))
        msg = (
            f"{grid.path} ({name}): its tiles have {found} pixels, those of {first.path} {needed}; "
            "only grids of one tile size can be pooled"
        )
        raise InputError(msg)
