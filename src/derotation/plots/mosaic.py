"""Pictures of a mosaic: where the tiles lie, and what is left in their overlaps."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.mosaic.build import MosaicResult
from derotation.plots.colors import BLUE, GRAY, ORANGE, PINK, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_left_out", "plot_mosaic", "plot_overlaps", "plot_residuals", "plot_tiles"]

# More names than these would hide the picture.
MAX_NAMES = 40


def plot_mosaic(result: MosaicResult, title: str = "") -> "Figure":
    """Show the mosaic alone, and with the tiles' outlines and positions.

    Parameters
    ----------
    result : MosaicResult
    title : str
        The group's name.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    height, width = result.mosaic.image.shape
    # Two pictures side by side, or one above the other, whichever fills the page.
    beside = height > 0.6 * width
    size = (12, min(max(6.2 * height / width, 3.5) + 1.2, 12)) if beside else (9.5, 11)
    figure = Figure(figsize=size, layout="constrained")
    plain, marked = figure.subplots(1, 2) if beside else figure.subplots(2, 1)
    _show(result, plain)
    _scale_bar(result, plain)
    plain.set_title(f"{title}: mean images, blended" if title else "mean images, blended")
    plot_tiles(result, marked)
    figure.suptitle(result.statement, fontsize=9, wrap=True)
    return figure


def plot_tiles(result: MosaicResult, ax: "Axes") -> None:
    """Draw the tiles' outlines on the mosaic, with the places of the stage and those found."""
    _show(result, ax, dim=True)
    placement = result.placement
    origin = result.mosaic.places[0] - placement.positions[0]
    half = (np.asarray(result.tile_shape) - 1) / 2
    middle = result.mosaic.places + half
    # The stage's own places, with their common shift taken off: only differences tell.
    motor = placement.motor + half + origin
    motor = motor + (middle - motor).mean(axis=0)
    for k, name in enumerate(result.names):
        outline = _outline(result.outlines[k]) + result.mosaic.places[k]
        refined = bool(placement.refined[k])
        ax.plot(
            outline[:, 1], outline[:, 0], color=SKY if refined else PINK, linewidth=1,
            linestyle="-" if refined else "--",
        )  # fmt: skip
        if len(result.names) <= MAX_NAMES:
            ax.annotate(
                name, (middle[k, 1], middle[k, 0]), xytext=(0, -11), textcoords="offset points",
                color="white", fontsize=8, ha="center",
            )  # fmt: skip
    for a, b in zip(motor, middle, strict=True):
        ax.plot([a[1], b[1]], [a[0], b[0]], color=ORANGE, linewidth=1)
    ax.plot(motor[:, 1], motor[:, 0], "o", color=ORANGE, fillstyle="none", markersize=7,
            label="middle of the field, by the stage")  # fmt: skip
    ax.plot(middle[:, 1], middle[:, 0], "+", color=SKY, markersize=8, markeredgewidth=1.5,
            label="middle of the field, found")  # fmt: skip
    if not placement.refined.all():
        ax.plot([], [], "--", color=PINK, label="no reliable overlap: left where the stage says")
    ax.set_title("fields of view, by the stage and as found")
    ax.legend(fontsize=7, loc="lower right", framealpha=0.85)


def plot_overlaps(result: MosaicResult) -> "Figure":
    """Show what is left in the overlaps, and where overlaps were used and left out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    residuals, where, stage = figure.subplots(1, 3)
    plot_residuals(result, residuals)
    plot_left_out(result, where)
    plot_stage(result, stage)
    figure.suptitle(result.stage_sentence(), fontsize=9, wrap=True)
    return figure


def plot_residuals(result: MosaicResult, ax: "Axes") -> None:
    """Draw for each overlap used what the positions leave of the measured displacement."""
    placement = result.placement
    used = np.array([overlap.ok for overlap in placement.overlaps], bool)
    rest = placement.residuals[used] if used.any() else np.zeros((0, 2))
    span = max(1.2 * float(np.abs(rest).max()) if len(rest) else 0.0, 0.5)
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.axvline(0, color=GRAY, linewidth=0.8)
    ax.plot(rest[:, 1], rest[:, 0], "o", color=BLUE, markersize=5, alpha=0.8)
    ax.set(
        xlim=(-span, span), ylim=(span, -span), aspect="equal",
        xlabel="left over in x (px)", ylabel="left over in y (px)",
    )  # fmt: skip
    rms = placement.residual_px
    ax.set_title("overlaps used: " + (f"{rms:.2f} px rms" if np.isfinite(rms) else "none"))


def plot_left_out(result: MosaicResult, ax: "Axes") -> None:
    """Draw which neighbors were compared, and which of the comparisons count."""
    placement = result.placement
    middle = result.mosaic.places + (np.asarray(result.tile_shape) - 1) / 2
    kinds = ((True, BLUE, "-", "used"), (False, ORANGE, ":", "left out"))
    for ok, color, style, label in kinds:
        chosen = [overlap for overlap in placement.overlaps if overlap.ok == ok]
        for number, overlap in enumerate(chosen):
            ends = middle[[overlap.first, overlap.second]]
            ax.plot(
                ends[:, 1], ends[:, 0], style, color=color, linewidth=2,
                label=f"{label} ({len(chosen)})" if number == 0 else None,
            )  # fmt: skip
    ax.plot(middle[:, 1], middle[:, 0], "o", color="black", markersize=4)
    if len(result.names) <= MAX_NAMES:
        for name, (y, x) in zip(result.names, middle, strict=True):
            ax.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
    height, width = result.mosaic.image.shape
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xlabel="x (px)", ylabel="y (px)")
    ax.set_title("overlaps between fields of view")
    if placement.overlaps:
        ax.legend(fontsize=8)


def plot_stage(result: MosaicResult, ax: "Axes") -> None:
    """Draw how far each field of view lies from where stage and fitted map say."""
    placement = result.placement
    off = (placement.positions - placement.predicted) * result.pixel_size_um
    span = max(1.2 * float(np.abs(off).max()), result.pixel_size_um)
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.axvline(0, color=GRAY, linewidth=0.8)
    refined = placement.refined
    ax.plot(off[refined, 1], off[refined, 0], "s", color=BLUE, markersize=5)
    # Names only where there is something to look at.
    far = refined & (np.hypot(*off.T) > result.pixel_size_um)
    if far.sum() <= MAX_NAMES:
        for k in np.flatnonzero(far):
            ax.annotate(
                result.names[k], (off[k, 1], off[k, 0]), xytext=(4, 4),
                textcoords="offset points", fontsize=7,
            )  # fmt: skip
    ax.set(
        xlim=(-span, span), ylim=(span, -span), aspect="equal",
        xlabel="x (um)", ylabel="y (um)",
        title="fields of view against the stage\n(angle and scale taken off)",
    )  # fmt: skip


def _show(result: MosaicResult, ax: "Axes", *, dim: bool = False) -> None:
    """Show the mosaic in gray."""
    image = result.mosaic.image
    low, high = np.nanquantile(image, [0.01, 0.997])
    ax.imshow(
        image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9) * (1.4 if dim else 1.0),
        interpolation="nearest",
    )  # fmt: skip
    ax.set_facecolor("0.35")
    ax.set(xlabel="x (px)", ylabel="y (px)")


def _scale_bar(result: MosaicResult, ax: "Axes") -> None:
    """Draw a bar of a round length in micrometers."""
    height, width = result.mosaic.image.shape
    wished = 0.25 * width * result.pixel_size_um
    power = 10.0 ** np.floor(np.log10(wished))
    length = power * max(step for step in (1, 2, 5) if step * power <= wished)
    pixels = length / result.pixel_size_um
    x, y = 0.05 * width, 0.95 * height
    ax.plot([x, x + pixels], [y, y], color="white", linewidth=4, solid_capstyle="butt")
    ax.annotate(
        f"{length:g} um", (x + pixels / 2, y), xytext=(0, 5), textcoords="offset points",
        color="white", ha="center", fontsize=9,
    )  # fmt: skip


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Trace the border of the largest area of a mask: (row, column) of its points."""
    from skimage.measure import find_contours

    framed = np.pad(mask, 1).astype(np.float32)
    contours = find_contours(framed, 0.5)  # type: ignore[no-untyped-call]
    longest = max(contours, key=len)
    return np.asarray(longest, np.float64) - 1
