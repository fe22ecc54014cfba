"""The motor's places of tiles against those that the pictures tell."""

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import write_json

__all__ = ["compare_motor_vs_registration"]

# From these values on a comparison is flagged: a mean difference (px), a correlation.
SYSTEMATIC_PX = 5.0
DILATION_CORRELATION = 0.5
# With so many tiles or fewer, no dilation is looked for.
FEW_TILES = 10


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
