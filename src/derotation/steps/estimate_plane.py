"""Step ``estimate_plane``: what the center does not explain: lag, tilted plane, wobbling axis."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from derotation.calibration import Calibration, Corrected
from derotation.calibration.sequence import estimate_corrections
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.maps.corrections import registered
from derotation.maps.line_maps import LineMaps
from derotation.plots.plane import plot_plane
from derotation.plots.wobble import plot_wobble
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.center_text import line_for_people
from derotation.steps.inputs import (
    load_angles,
    load_calibration,
    open_session_movie,
    save_plot,
)
from derotation.steps.rest import save_rest_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Outputs", "run", "save"]

logger = logging.getLogger(__name__)

#: How the package's own corrections are drawn; others bring their plot along.
PLOTS: dict[str, Callable[[Any], "Figure"]] = {"plane": plot_plane, "wobble": plot_wobble}


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes; plots of corrections from elsewhere lie beside the others."""

    calibration: Annotated[Path, "calibration.json"]
    text: Annotated[Path, "center_of_rotation.txt"]
    """The center, for people."""
    rest: Annotated[Path, "images/rest.tif"]
    """The mean raw image at rest, which the calibration carries."""
    plane: Annotated[Path, "plots/plane.png"]
    wobble: Annotated[Path, "plots/wobble.png"]

    def plot(self, name: str) -> Path:
        """Where the plot of a correction goes."""
        return self.plane.with_name(f"{name}.png")


def run(
    *,
    movie: Movie | str | Path,
    angles: Angles | str | Path,
    center: Calibration | str | Path,
    session: str,
    config: Mapping[str, Any],
    outputs: Outputs,
    threads: int = 1,
) -> Calibration:
    """Complete a session's calibration.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened.
    angles : Angles or path
        What the step ``interpolate_angles`` wrote.
    center : Calibration or path
        What the step ``estimate_center`` wrote.
    session : str
        The session's name, for the calibration's provenance.
    config : mapping
        The configuration; its sections ``plane``, ``wobble`` and ``movie`` are read (and those of
        corrections from elsewhere), and the keys ``angles.lag_ms`` and ``scan.bidirectional``.
    outputs : Outputs
        Where files go.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Calibration
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if there is too little in the movie to compare.
    """
    lines = load_angles(angles)
    with open_session_movie(movie, config) as opened:
        timing = lines.timing()
        found, estimates = estimate_corrections(
            opened,
            lines,
            load_calibration(center),
            config,
            timing=timing,
            session=session,
            threads=threads,
        )
        save_rest_image(
            outputs.rest, opened, LineMaps.of(lines, found, timing=timing), threads=threads
        )
    return save(found, estimates, outputs)


def save(
    calibration: Calibration, estimates: Mapping[str, Corrected], outputs: Outputs
) -> Calibration:
    """Write a calibration and what its corrections were found from.

    Parameters
    ----------
    calibration : Calibration
    estimates : mapping of str to Corrected
        By the correction's name.
    outputs : Outputs
        Where files go.

    Returns
    -------
    Calibration
        The same, with the image that it carries.
    """
    found = calibration.replace(image=outputs.rest)
    if not found.trusted:
        logger.warning("%s", found.statement)
    found.save(outputs.calibration)
    write_text(outputs.text, line_for_people(found))
    for correction in registered():
        plot = correction.plot or PLOTS.get(correction.name)
        if plot is not None and correction.name in estimates:
            own = estimates[correction.name]
            save_plot(partial(plot, own), outputs.plot(correction.name))
    return found
