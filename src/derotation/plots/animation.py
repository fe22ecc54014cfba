"""A short animation: the movie as recorded beside the movie that stands still."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.io.files import whole_file
from derotation.numerics.binning import binned
from derotation.numerics.thinning import thinned
from derotation.plots.colors import ORANGE
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SideBySide",
    "choose_frames",
    "plot_frame_pair",
    "plot_side_by_side",
    "save_animation",
    "turned_path",
]

# A turn is shown in about so many frames, with some at rest before and after it.
N_FRAMES, N_REST = 30, 3
# So many values tell what is shown as black and white.
N_VALUES = 200_000
# A rotation of fewer frames than this jumps too far from one to the next to be followed.
SMOOTH = 20
# Width of one of the two pictures, in pixels of the animation.
PANEL = 240
FRAME_MS, PAUSE_MS = 110, 700
# Gray levels, fewer until the file is small enough.
LEVELS, MAX_BYTES = (64, 32, 16), 1_500_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideBySide:
    """Some frames of a session, as recorded and derotated."""

    raw: NDArray[Any]
    """Frames as recorded (n, y, x)."""
    derotated: NDArray[Any]
    """The same frames derotated (n, y, x)."""
    angles: NDArray[np.float64]
    """Angle of each frame, degrees (n,)."""
    times: NDArray[np.float64]
    """Time of each frame since the first sample, s (n,)."""
    center: tuple[float, float]
    """Center of rotation (x, y), pixels."""

    def limits(self) -> tuple[float, float]:
        """Find the values to be shown as black and white: robust, and the same for all frames."""
        movies = (self.raw, self.derotated)
        step = max(sum(movie.size for movie in movies) // N_VALUES, 1)
        # All columns are met, and all lines.
        while math.gcd(step, math.prod(self.raw.shape[1:])) > 1:
            step += 1
        values = np.concatenate([movie.ravel()[::step] for movie in movies])
        low, high = np.nanquantile(values, [0.01, 0.997])
        return float(low), float(max(high, low + 1e-9))


def choose_frames(angles: Angles) -> NDArray[np.int64]:
    """Choose the frames of one whole turn, evenly spread over its angles.

    Parameters
    ----------
    angles : Angles

    Returns
    -------
    ndarray of int
        Numbers of frames, ascending. Of several rotations the fastest is taken that has enough
        frames for a smooth animation, else the one with most frames. Of a turn in steps the rests
        between them are left out. If the sample never turns, frames from all of the movie.
    """
    path = turned_path(angles.frame_angles)
    turn = _choose_turn(angles, path)
    if turn is None:
        return thinned(np.arange(len(path)), N_FRAMES)
    first, last = turn.start, turn.stop - 1
    steps = np.linspace(path[first], path[last], N_FRAMES)
    spread = np.searchsorted(path[turn], steps - 1e-9) + first
    around = [np.arange(first - N_REST, first), np.arange(last + 1, last + 1 + N_REST)]
    frames = np.unique(np.concatenate([spread, *around]))
    return frames[(frames >= 0) & (frames < len(path))].astype(np.int64)


def turned_path(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum up by how many degrees the sample has been turned, in whichever direction.

    Parameters
    ----------
    degrees : ndarray of shape (n,)
        Angle of each frame; NaN where it is not known.

    Returns
    -------
    ndarray of shape (n,)
        Degrees, ascending from 0.
    """
    path, known = np.zeros(len(degrees)), np.isfinite(degrees)
    told = np.unwrap(degrees[known], period=360)
    path[known] = np.cumsum(np.abs(np.diff(told, prepend=told[:1])))
    return np.maximum.accumulate(path)


def _choose_turn(angles: Angles, path: NDArray[np.float64]) -> slice | None:
    """Choose the frames from the start of a rotation to the end of a whole turn."""
    begins = (angles.rotation >= 0) & (np.diff(angles.rotation, prepend=-2) != 0)
    turns = [_turn(path, int(start)) for start in np.flatnonzero(begins)]
    if not turns:
        return None
    # Where the angle is not known there is nothing to be seen.
    turns = [turn for turn in turns if np.isfinite(angles.frame_angles[turn]).all()] or turns
    # Of the steps of a turn, only the first one is followed by all of the turn.
    lengths = [path[turn][-1] - path[turn][0] for turn in turns]
    turns = [t for t, n in zip(turns, lengths, strict=True) if n >= 0.9 * max(lengths)]
    counts = [len(np.unique(path[turn])) for turn in turns]
    fewest = min((n for n in counts if n >= SMOOTH), default=max(counts))
    # The first of those that are about as fast.
    return next(t for t, n in zip(turns, counts, strict=True) if fewest <= n <= 1.15 * fewest)


def _turn(path: NDArray[np.float64], start: int) -> slice:
    """Give the frames from the start of a rotation until 360 degrees have been turned."""
    end = int(np.searchsorted(path, path[max(start - 1, 0)] + 360 - 1e-6))
    return slice(start, min(end + 1, len(path)))


def plot_side_by_side(frames: SideBySide, k: int = 0) -> "Figure":
    """Show one of the frames as recorded and derotated, with its angle and time.

    Parameters
    ----------
    frames : SideBySide
    k : int
        Which of them.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    height, width = frames.raw.shape[1:]
    panel, above = PANEL / 100 * height / width, 0.65
    figure = Figure(figsize=(2 * PANEL / 100 + 0.3, panel + above), dpi=100)
    recorded, still = figure.subplots(1, 2)
    figure.subplots_adjust(
        left=0.02, right=0.98, bottom=0.02, top=panel / (panel + above), wspace=0.04
    )
    plot_frame_pair(frames, k, recorded, still)
    return figure


def plot_frame_pair(
    frames: SideBySide,
    k: int,
    recorded: "Axes",
    still: "Axes",
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw frame `k` as recorded and derotated on two axes, `limits` shown as black and white.

    An orange mark turns with the motor: in the frame as recorded it goes round with the sample, in
    the derotated one it stands still, as the sample should.
    """
    low, high = frames.limits() if limits is None else limits
    angle = frames.angles[k]
    turned = float(np.deg2rad(np.nan_to_num(angle)))
    for axis, movie, mark, title in (
        (recorded, frames.raw, turned, f"as recorded\n{frames.times[k]:.2f} s"),
        (still, frames.derotated, 0.0, f"derotated\n{_words(angle)}"),
    ):
        # To draw axes anew for each frame of an animation would take most of the time.
        if axis.images:
            axis.images[0].set(data=movie[k], clim=(low, high))
        else:
            axis.imshow(movie[k], cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
            axis.set_axis_off()
        _draw_mark(axis, frames, mark)
        # With a place of its own, so that Matplotlib does not look for one.
        axis.set_title(title, fontsize=10, y=1.0)


def _words(angle: float) -> str:
    return f"turned back by {angle:.0f}°" if np.isfinite(angle) else "angle not known"


def _draw_mark(axis: "Axes", frames: SideBySide, turned: float) -> None:
    """Draw where the top of the sample went, seen from the center of rotation."""
    for line in list(axis.lines):
        line.remove()
    height, width = frames.raw.shape[1:]
    x, y = frames.center
    reach = 0.94 * min(x, y, width - 1 - x, height - 1 - y)
    if reach <= 0:
        return
    tip = (x + reach * np.sin(turned), y - reach * np.cos(turned))
    axis.plot(*tip, "o", color=ORANGE, markersize=7, markeredgecolor="black")
    axis.plot(x, y, "+", color=ORANGE, markersize=8)


def save_animation(frames: SideBySide, path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write an animated GIF, small enough to be part of a page.

    Parameters
    ----------
    frames : SideBySide
    path : path
        The file, which appears whole or not at all.
    max_bytes : int
        It has 64, 32 or 16 gray levels: as many as fit into so many bytes.
    """
    shown = _smaller(frames)
    figure = plot_side_by_side(shown)
    recorded, still = figure.axes
    limits = shown.limits()
    pictures = []
    for k in range(len(shown.raw)):
        plot_frame_pair(shown, k, recorded, still, limits)
        pictures.append(_pixels(figure))
    durations = [FRAME_MS] * len(pictures)
    durations[-1] = PAUSE_MS
    for levels in LEVELS:
        content = _gif(pictures, durations, levels)
        if len(content) <= max_bytes:
            break
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _smaller(frames: SideBySide) -> SideBySide:
    """Average pixels of frames that are larger than they will be shown: less noise, less data."""
    factor = max(frames.raw.shape[2] // PANEL, 1)
    if factor == 1:
        return frames
    x, y = ((value + 0.5) / factor - 0.5 for value in frames.center)
    return SideBySide(
        raw=binned(frames.raw, factor),
        derotated=binned(frames.derotated, factor),
        angles=frames.angles,
        times=frames.times,
        center=(x, y),
    )


def _pixels(figure: "Figure") -> NDArray[np.uint8]:
    """Draw a figure as an array (y, x, color)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(np.asarray(canvas.buffer_rgba())[..., :3])


def _gif(pictures: list[NDArray[np.uint8]], durations: list[int], levels: int) -> bytes:
    """Write pictures with a palette of gray levels and orange."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    grays = np.linspace(0, 255, levels).round().astype(int)
    orange = [tuple(int(ORANGE[i : i + 2], 16) // part for i in (1, 3, 5)) for part in (1, 2)]
    colors = [(gray, gray, gray) for gray in grays] + orange
    # The rest repeats the last color, since Pillow fills it with black otherwise.
    colors += [colors[-1]] * (256 - len(colors))
    palette.putpalette([int(value) for color in colors for value in color])
    images: list[Image.Image] = [
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    stream = io.BytesIO()
    images[0].save(
        stream, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0,
        optimize=True,
    )  # fmt: skip
    return stream.getvalue()
