"""Pictures of a movement against a reference."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.movement.detect import Detection
from derotation.movement.images import Picture
from derotation.plots.colors import ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["overlay", "plot_carried", "plot_movement", "plot_movement_failed"]

# Structure smoothed by so much (px) is shown; its contrast is even, whatever the light.
SMOOTHING = 1.0
# Structure from 0 to so many standard deviations goes from black to full color.
BRIGHTEST = 2.5
# Enlarged part: so large a fraction of the picture's smaller side.
DETAIL = 0.4


def overlay(ref: NDArray[Any], moved: NDArray[Any]) -> NDArray[np.float64]:
    """Lay two images over each other: the reference in magenta, the other in green.

    What is the same in both becomes white. Light and contrast are made even before.

    Parameters
    ----------
    ref, moved : ndarray of shape (y, x)
        NaN where nothing is known.

    Returns
    -------
    ndarray of shape (y, x, 3)
        Colors from 0 to 1.
    """
    first, second = (
        np.clip(Picture(np.asarray(image, np.float32)).structure(SMOOTHING) / BRIGHTEST, 0, 1)
        for image in (ref, moved)
    )
    return np.stack([first, second, first], axis=-1).astype(np.float64)


def plot_movement(
    ref: NDArray[Any], moved: NDArray[Any], found: Detection, reference: str, session: str
) -> "Figure":
    """Show the reference and a session over each other, before and after the movement.

    Parameters
    ----------
    ref, moved : ndarray of shape (y, x)
        Mean images at rest.
    found : Detection
        The movement between them.
    reference, session : str
        Names.
    """
    from matplotlib.figure import Figure

    warped, mask = found.correction.warp_moved_to_ref(np.asarray(moved, np.float64))
    warped = np.where(mask, warped, np.nan)
    before, after = overlay(ref, moved), overlay(ref, warped)
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.subplots(1, 3)
    evidence, correction = found.evidence, found.correction
    _show(axes[0], before, f"before: correlation {evidence.correlation_before:.2f}")
    _show(axes[1], after, f"after: correlation {evidence.correlation_after:.2f}")
    rows, columns = _detail(ref.shape)
    _show(axes[2], after[rows, columns], "after, enlarged")
    y, x = rows.start, columns.start
    axes[1].add_patch(_frame(x, y, columns.stop - x, rows.stop - y))
    shift_x, shift_y = correction.center_shift
    sd = correction.sd_at(*((n - 1) / 2 for n in reversed(correction.im_shape)))
    figure.suptitle(
        f"reference {reference} in magenta, {session} in green, white where they agree\n"
        f"{session} moved by {abs(shift_x):.2f} px to the {'right' if shift_x >= 0 else 'left'} "
        f"and {abs(shift_y):.2f} px {'down' if shift_y >= 0 else 'up'}"
        + ("" if sd is None else f" (each ± {sd:.2f})")
        + f", {abs(correction.rotation):.2f}° "
        + ("clockwise" if correction.rotation >= 0 else "counterclockwise")
        + f", scale {correction.scale:.4f}"
        f"   ({evidence.method}, DDScore {evidence.ddscore:.2f})",
        fontsize=11,
    )
    return figure


def plot_carried(
    ref: NDArray[Any],
    moved: NDArray[Any],
    found: Detection,
    known: Calibration,
    carried: Calibration,
    source: str,
    session: str,
) -> "Figure":
    """Show a center of rotation where it was found, and where it lies in another session's picture.

    Parameters
    ----------
    ref, moved : ndarray of shape (y, x)
        Mean images at rest of the calibrated session and of the one that uses the calibration.
    found : Detection
        The movement between them.
    known, carried : Calibration
        Before and after it was carried over.
    source, session : str
        Names.
    """
    from matplotlib.figure import Figure

    from derotation.plots.movie import show_image

    warped, mask = found.correction.warp_moved_to_ref(np.asarray(moved, np.float64))
    after = overlay(ref, np.where(mask, warped, np.nan))
    figure = Figure(figsize=(13, 5), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, image, one, name in (
        (axes[0], ref, known, source),
        (axes[1], moved, carried, session),
    ):
        x, y = one.center
        show_image(axis, image, f"{name}: center at x = {x:.1f}, y = {y:.1f} px")
        axis.plot(x, y, "+", color=ORANGE, markersize=16, markeredgewidth=2)
    _show(
        axes[2], after, f"laid over each other: correlation {found.evidence.correlation_after:.2f}"
    )
    figure.suptitle(
        f"{session} uses the calibration of {source}: the + has to lie on the same cells in both\n"
        f"right: {source} in magenta, {session} after the movement in green, white if they agree",
        fontsize=11,
    )
    return figure


def plot_movement_failed(
    ref: NDArray[Any], moved: NDArray[Any], reference: str, session: str, reason: str
) -> "Figure":
    """Show the two images between which no movement was found, with axes to read off points."""
    from textwrap import fill

    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, image, name in zip(
        axes, (ref, moved), (f"reference {reference}", session), strict=True
    ):
        known = image[np.isfinite(image)]
        low, high = np.quantile(known, [0.01, 0.998]) if known.size else (0, 1)
        axis.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
        axis.set(title=name, xlabel="x (px)", ylabel="y (px)")
    figure.suptitle(
        fill(f"no movement was found: {reason}", 120)
        + "\nIf both pictures show the same cells, read off at least 3 places that you recognize"
        " and write them into the table of points:"
        "\nref_x,ref_y,moved_x,moved_y   (docs/movement.md)",
        fontsize=10,
    )
    return figure


def _show(axis: "Axes", colors: NDArray[np.float64], title: str) -> None:
    axis.imshow(colors, interpolation="nearest")
    axis.set_title(title, fontsize=11)
    axis.set_xticks([])
    axis.set_yticks([])


def _detail(shape: tuple[int, ...]) -> tuple[slice, slice]:
    side = max(round(DETAIL * min(shape)), 8)
    return tuple(slice((n - side) // 2, (n - side) // 2 + side) for n in shape)  # type: ignore[return-value]


def _frame(x: float, y: float, width: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor="white", linewidth=1)
