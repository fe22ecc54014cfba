"""What several steps need to open their inputs and to save their plots."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError
from derotation.io.files import whole_file
from derotation.io.movie import Movie, open_movie
from derotation.io.results import read_npz
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.motion import Motion
from derotation.plots.png import DPI, write_png
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

logger = logging.getLogger(__name__)


def load_angles(angles: Angles | str | Path) -> Angles:
    """Load the angles that the step ``interpolate_angles`` wrote, or take those given."""
    return angles if isinstance(angles, Angles) else Angles.load(angles)


def load_calibration(calibration: Calibration | str | Path) -> Calibration:
    """Load a calibration, or take the one given."""
    return calibration if isinstance(calibration, Calibration) else Calibration.load(calibration)


def angles_as_used(angles: Angles, calibration: Calibration) -> Angles:
    """Give the angles by which lines were put in their place: with the calibration's lag."""
    lines = LineMaps.of(angles, calibration).angles
    assert isinstance(lines, Angles)
    return lines


@contextmanager
def open_session_movie(pattern: Movie | str | Path, config: Mapping[str, Any]) -> Iterator[Movie]:
    """Open the part of a session's files that the section ``movie`` chooses.

    Parameters
    ----------
    pattern : Movie or path
        A TIFF, or a pattern for several; or a movie that is open, and stays so.
    config : mapping
        The configuration.

    Yields
    ------
    Movie
    """
    if isinstance(pattern, Movie):
        yield pattern
        return
    chosen = config["movie"]
    with open_movie(
        pattern,
        channel=chosen["channel"],
        plane=chosen["plane"],
        n_planes=chosen["n_planes"],
        n_channels=chosen["n_channels"],
        dataset=chosen.get("dataset"),
        undo=chosen.get("undo") or (),
    ) as movie:
        yield movie


def read_movement(path: str | Path) -> NDArray[np.float64]:
    """Read from ``movement.json`` the 3x3 map (x, y) from a session to its reference.

    Raises
    ------
    InputError
        If the file holds no such map.
    """
    try:
        matrix = np.asarray(json.loads(Path(path).read_text(encoding="utf-8"))["matrix"], float)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{path} cannot be read as a movement ({error!r}); delete it to have it made again"
        raise InputError(msg) from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        msg = f'{path}, key "matrix": found {matrix.tolist()}, expected 3 x 3 finite numbers'
        raise InputError(msg)
    return matrix


def load_motion(motion: Motion | str | Path | None) -> Motion | None:
    """Load the sample's motion, or take the one given; None if it was not looked for."""
    return motion if motion is None or isinstance(motion, Motion) else Motion.load(motion)


def read_gain(path: str | Path) -> dict[str, Any]:
    """Read from ``illumination.npz`` what is applied to recorded frames.

    See :func:`derotation.streaming.single_pass.derotate_movie`.

    Returns
    -------
    dict
        ``gain`` (y, x) and ``offset``; nothing if the light is even.
    """
    arrays = read_npz(path, "the light's correction")
    try:
        gain, offset = arrays["gain"].astype(np.float32), float(arrays["offset"])
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{path} cannot be read as the light's correction ({error!r}). Make it again."
        raise InputError(msg) from error
    if gain.ndim != 2 or not np.isfinite(gain).all() or not math.isfinite(offset):
        msg = f"{path}: expected a finite gain per pixel (y, x) and an offset. Make it again."
        raise InputError(msg)
    return {} if np.all(gain == 1) else {"gain": gain, "offset": offset}


def settle(key: str, configured: T | None, found: T | None, default: T) -> T:
    """Choose between the configuration, the movie's metadata and a default, in this order.

    Parameters
    ----------
    key : str
        The key's full name, for the log.
    configured : object or None
        What the configuration says; None if it says nothing.
    found : object or None
        What the movie's metadata say; None if they say nothing.
    default : object
        What holds if neither says anything.

    Returns
    -------
    object
        The choice. If the configuration contradicts the metadata, this is logged.
    """
    if configured is None:
        return default if found is None else found
    if found is not None and not _agree(configured, found):
        logger.warning(
            "%s is %s in the configuration, but the movie's metadata say %s; the configuration "
            "is used. Leave the key out (null) to use the metadata.",
            key, configured, found,
        )  # fmt: skip
    return configured


def _agree(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-3)
    return one == other


_PLOTS_WANTED = ContextVar("_PLOTS_WANTED", default=True)


@contextmanager
def no_plots() -> Iterator[None]:
    """Leave out the plots of all steps: drawing takes longer than measuring a small session."""
    before = _PLOTS_WANTED.set(False)
    try:
        yield
    finally:
        _PLOTS_WANTED.reset(before)


def save_plot(draw: Callable[[], "Figure"], path: str | Path) -> None:
    """Draw a figure and write it, whole or not at all; see also :func:`no_plots`.

    As a PNG; as something else that Matplotlib can write if the name ends otherwise.
    """
    if not _PLOTS_WANTED.get():
        return
    figure = draw()
    with whole_file(path) as temporary:
        if temporary.suffix.lower() == ".png":
            write_png(figure, temporary)
        else:
            figure.savefig(temporary, dpi=DPI)
