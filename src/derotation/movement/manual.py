"""A movement from points that a person chose: in a window, or in a table."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import DetectionFailedError, InputError
from derotation.io.text import decode_text
from derotation.movement.correction import LARGEST, MovementCorrection
from derotation.movement.detect import Image, detect_movement, movement_from_points
from derotation.movement.features import Transform, fit_points
from derotation.movement.images import as_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PointPicker", "manual_movement", "read_points", "write_points"]

COLUMNS = ("ref_x", "ref_y", "moved_x", "moved_y")
# Okabe and Ito's colors.
ORANGE, SKY = "#E69F00", "#56B4E9"
MAX_SHOWN = 12


def manual_movement(
    ref: Image,
    moved: Image,
    correction: MovementCorrection | None = None,
    *,
    points: str | os.PathLike[str] | None = None,
    transform: Transform = "similarity",
    parent_window: Any = None,
) -> MovementCorrection | None:
    """Find the movement from pairs of points that a person chooses.

    A window shows both images. Clicks place a point in one image and its partner in the other;
    buttons suggest pairs by :func:`detect_movement`, take back the last point, and finish.

    Parameters
    ----------
    ref, moved : array_like of shape (y, x), or Calibration
        As for :func:`detect_movement`.
    correction : MovementCorrection, optional
        Start from its points.
    points : path, optional
        A CSV with the columns ``ref_x,ref_y,moved_x,moved_y`` (pixels) in place of the window.
    transform : {"similarity", "affine"}
        What the movement may be; 2 pairs tell a similarity, 3 an affine map.
    parent_window : window of Qt or Tk, optional
        Keep the window in front of this one, of a program with windows of its own. It has to be of
        the kind that Matplotlib opens.

    Returns
    -------
    MovementCorrection or None
        None if the window was closed without a result. The points are refined by optical flow as
        long as that stays within 8 px of them.

    Raises
    ------
    InputError
        If there is no window to show (the message says what to do), or the table is not valid.
    DetectionFailedError
        If the points of a table tell no movement.
    """
    if points is not None:
        ref_points, moved_points = read_points(points)
        source = f"{len(ref_points)} pairs of points from {points}"
    else:
        picked = _pick(ref, moved, correction, transform, parent_window)
        if picked is None:
            return None
        ref_points, moved_points = picked
        source = f"{len(ref_points)} pairs of points chosen in a window"
    return movement_from_points(
        ref, moved, ref_points, moved_points, transform=transform, src=source
    ).correction


def read_points(
    path: str | os.PathLike[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read pairs of points from a CSV with the columns ``ref_x,ref_y,moved_x,moved_y``.

    Returns
    -------
    ref_points, moved_points : ndarray of shape (n, 2)
        Pixels, (x, y): column and row from 0 on, as image viewers show them.

    Raises
    ------
    InputError
        With the file and the row, if a column is missing or a cell is no number.
    """
    name = Path(path)
    try:
        text = decode_text(name.read_bytes())
    except (OSError, UnicodeError) as error:
        msg = f"{name} cannot be read as a table of points: {error}"
        raise InputError(msg) from error
    table = csv.DictReader(text.splitlines())
    try:
        return _pairs(name, table)
    except csv.Error as error:
        msg = f"{name} cannot be read as a table of points: {error}"
        raise InputError(msg) from error


def _pairs(
    name: Path, table: "csv.DictReader[str]"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn the rows of a table into positions."""
    if missing := [column for column in COLUMNS if column not in (table.fieldnames or ())]:
        msg = (
            f"{name} lacks the columns {', '.join(missing)}; its first line has to be "
            f"{','.join(COLUMNS)}"
        )
        raise InputError(msg)
    rows = []
    for row in table:
        try:
            values = [float(row[column]) for column in COLUMNS]
        except (TypeError, ValueError):
            values = [np.nan]
        if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
            msg = f"{name}, row {table.line_num}: expected four numbers, found {list(row.values())}"
            raise InputError(msg)
        rows.append(values)
    pairs = np.array(rows, np.float64).reshape(-1, 4)
    return pairs[:, :2], pairs[:, 2:]


def write_points(path: str | os.PathLike[str], correction: MovementCorrection) -> None:
    """Write the points of a movement as a table that :func:`read_points` reads."""
    from derotation.io.files import write_text

    pairs = np.hstack([correction.ref_points, correction.moved_points])
    rows = (",".join(f"{value:.3f}" for value in pair) + "\n" for pair in pairs)
    write_text(path, ",".join(COLUMNS) + "\n" + "".join(rows))


def _pick(
    ref: Image,
    moved: Image,
    correction: MovementCorrection | None,
    transform: Transform,
    parent: Any = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Let a person choose points; None if the window was closed."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    backend = plt.get_backend()
    interactive = {name.lower() for name in _windows(mpl)}
    if backend.lower() not in interactive:
        msg = (
            f"no window can be opened: Matplotlib's backend is {backend}. In a script set "
            "MPLBACKEND=tkagg or qtagg, in a notebook run %matplotlib qt before; or give the "
            "pairs of points as a table (points='points.csv')"
        )
        raise InputError(msg)
    figure = plt.figure(figsize=(13, 7.5))
    picker = PointPicker(
        figure, as_image(ref, "the reference image"), as_image(moved, "the moved image"), transform
    )
    if correction is not None:
        picker.start_from(correction)
    picker.on_done = lambda: plt.close(figure)
    if parent is not None:
        _keep_in_front(getattr(figure.canvas.manager, "window", None), parent)
    plt.show(block=True)
    return picker.pairs() if picker.done else None


def _keep_in_front(window: Any, parent: Any) -> None:
    """Make a window one that belongs to another."""
    if hasattr(window, "transient"):  # Tk
        window.transient(parent)
    elif hasattr(window, "setParent"):  # Qt
        window.setParent(parent, window.windowFlags())
    else:
        msg = (
            f"parent_window is a {type(parent).__name__}, but Matplotlib opens no window of Qt or "
            "Tk; set MPLBACKEND=qtagg or tkagg, or leave parent_window out"
        )
        raise InputError(msg)


def _windows(mpl: Any) -> list[str]:
    """Name the backends that open a window of their own."""
    try:
        from matplotlib.backends import registry

        known: Any = registry.backend_registry
        names = known.list_builtin(registry.BackendFilter.INTERACTIVE)
    except ImportError:  # Matplotlib before 3.9
        names = list(mpl.rcsetup.interactive_bk)
    # These draw into a notebook or a browser and do not wait for the person.
    return [name for name in names if name.lower() not in ("nbagg", "notebook", "webagg")]


class PointPicker:
    """The window in which a person pairs points.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Where to draw; its canvas delivers the clicks.
    ref, moved : ndarray of shape (y, x)
        The images.
    transform : {"similarity", "affine"}
        What the movement may be: decides how many pairs are needed.

    Attributes
    ----------
    done : bool
        Whether the person has finished, with enough pairs.
    on_done : callable
        Called then.
    """

    def __init__(
        self,
        figure: "Figure",
        ref: NDArray[np.float32],
        moved: NDArray[np.float32],
        transform: Transform = "similarity",
    ) -> None:
        from matplotlib.widgets import Button

        self.done = False
        self.on_done: Callable[[], None] = lambda: None
        self._images = {"ref": ref, "moved": moved}
        self._points: dict[str, list[tuple[float, float]]] = {"ref": [], "moved": []}
        self._order: list[str] = []
        self._transform = transform
        self._needed = 3 if transform == "affine" else 2
        self._figure = figure
        grid = {"ref": (0.03, 0.14, 0.46, 0.76), "moved": (0.51, 0.14, 0.46, 0.76)}
        titles = {"ref": "reference", "moved": "moved image"}
        self._axes = {}
        for name, place in grid.items():
            axis = figure.add_axes(place)
            low, high = np.nanquantile(self._images[name], [0.01, 0.998])
            axis.imshow(self._images[name], cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
            axis.set_title(titles[name])
            axis.set_axis_off()
            self._axes[name] = axis
        self._message = figure.text(0.5, 0.96, "", ha="center", va="center", fontsize=11)
        self._drawn: list[Any] = []
        actions = (("Suggest", self.suggest), ("Undo", self.undo), ("Done", self.finish))
        self._buttons = []
        for k, (label, action) in enumerate(actions):
            button = Button(figure.add_axes((0.32 + 0.13 * k, 0.03, 0.11, 0.06)), label)
            button.on_clicked(_ignoring_event(action))
            self._buttons.append(button)
        figure.canvas.mpl_connect("button_press_event", self._clicked)
        self._say()

    def pairs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the pairs so far: points (x, y) of the reference and of the moved image."""
        n = min(len(points) for points in self._points.values())
        ref, moved = (np.array(self._points[k][:n]).reshape(-1, 2) for k in ("ref", "moved"))
        return ref, moved

    def start_from(self, correction: MovementCorrection) -> None:
        """Show the points of a movement; of many, some that lie apart."""
        self._points, self._order = {"ref": [], "moved": []}, []
        n = len(correction.ref_points)
        for k in np.unique(np.linspace(0, n - 1, min(n, MAX_SHOWN)).round().astype(int)):
            for name, points in (
                ("ref", correction.ref_points),
                ("moved", correction.moved_points),
            ):
                self._points[name].append((float(points[k, 0]), float(points[k, 1])))
                self._order.append(name)
        self._say()

    def suggest(self) -> None:
        """Put in the pairs that are found automatically."""
        try:
            found = detect_movement(
                self._images["ref"], self._images["moved"], transform=self._transform
            )
        except DetectionFailedError as error:
            self._say(f"no suggestion: {error}")
            return
        self.start_from(found)

    def undo(self) -> None:
        """Take back the last point."""
        if self._order:
            self._points[self._order.pop()].pop()
        self._say()

    def finish(self) -> None:
        """End, if the pairs tell a movement."""
        try:
            fit_points(*self.pairs(), self._transform)
        except DetectionFailedError as error:
            self._say(str(error))
            return
        self.done = True
        self.on_done()

    def _clicked(self, event: Any) -> None:
        toolbar = getattr(self._figure.canvas, "toolbar", None)
        if toolbar is not None and getattr(toolbar, "mode", None):
            return  # the person zooms or pans
        for name, axis in self._axes.items():
            if event.inaxes is axis and event.button == 1:
                other = "moved" if name == "ref" else "ref"
                if len(self._points[name]) > len(self._points[other]):
                    self._say("now click its partner in the other image, or Undo")
                    return
                self._points[name].append((float(event.xdata), float(event.ydata)))
                self._order.append(name)
                self._say()

    def _say(self, text: str = "") -> None:
        for artist in self._drawn:
            artist.remove()
        self._drawn = []
        for name, axis in self._axes.items():
            for k, (x, y) in enumerate(self._points[name]):
                mark = axis.plot(x, y, "+", color=ORANGE, markersize=12, markeredgewidth=1.8)
                label = axis.annotate(
                    str(k + 1), (x, y), (5, 5), textcoords="offset points", color=SKY, fontsize=11
                )
                self._drawn += [*mark, label]
        n = len(self.pairs()[0])
        missing = max(self._needed - n, 0)
        state = f"{n} pairs" + (f", {missing} more needed" if missing else ": click Done to finish")
        self._message.set_text(text or f"click the same spot in both images.  {state}")
        self._figure.canvas.draw_idle()


def _ignoring_event(action: Callable[[], None]) -> Callable[[Any], None]:
    def call(_: Any) -> None:
        action()

    return call
