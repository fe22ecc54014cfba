"""Step ``carry_calibration``: another session's calibration as it holds in this one's picture."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from derotation.calibration.calibration import Calibration
from derotation.errors import DetectionFailedError, InputError
from derotation.estimates import Verdict
from derotation.io.files import write_text
from derotation.movement.carry import matters, update_calibration
from derotation.movement.detect import Detection
from derotation.movement.manual import read_points
from derotation.plots.movement import plot_carried, plot_movement_failed
from derotation.steps import outputs as outputs_base
from derotation.steps.center_text import line_for_people
from derotation.steps.inputs import save_plot
from derotation.steps.movements import movement_between
from derotation.steps.rest import read_rest_image

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)

_TAKEN = "Taken from {source}; the picture has not moved since ({shift:.2f} px)."
_CARRIED = (
    "Carried over from {source}: with the scanner the center has moved by {shift:.2f} px in the "
    "picture, which has turned by {turned:.2f} degrees."
)


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    calibration: Annotated[Path, "calibration.json"]
    text: Annotated[Path, "center_of_rotation.txt"]
    """The center, for people."""
    plot: Annotated[Path, "plots/calibration.png"]


def run(
    *,
    session: str,
    source: str,
    given: str | Path,
    image: str | Path,
    points: str | Path | None,
    config: Mapping[str, Any],
    outputs: Outputs,
) -> Calibration:
    """Carry a calibration over the movement of the scanner between two sessions.

    Parameters
    ----------
    session : str
        The session for which the calibration is wanted.
    source : str
        The session that was calibrated, or the name of the calibration's file.
    given : path
        Its calibration, which carries an image.
    image : path
        The mean raw image of this session at rest.
    points : path, optional
        A table of pairs of points between that image and this one, used instead of the method.
    config : mapping
        The configuration; its section ``movement`` is read.
    outputs : Outputs
        Where files go. If no movement is found, ``calibration_failed.png`` is written beside the
        plot.

    Returns
    -------
    Calibration
        The same as given if the movement is within its own uncertainty.

    Raises
    ------
    DetectionFailedError
        If no movement is found that can be believed.
    InputError
        If the calibration carries no image, or sizes differ.
    """
    failed = outputs.plot.with_name("calibration_failed.png")
    failed.unlink(missing_ok=True)
    known = Calibration.load(given)
    moved = read_rest_image(image)
    known.check_shape(moved.shape, session)
    if known.image is None:
        msg = (
            f"{given} carries no image, so that it cannot be told how the scanner has moved since; "
            "name the calibrated session in the sample sheet, or set movement.what to sample to "
            "use the calibration as it is"
        )
        raise InputError(msg)
    ref = known.read_image()
    try:
        found = movement_between(
            ref,
            moved,
            config["movement"],
            pairs=None if points is None else read_points(points),
            source=f"points from {points}",
        )
    except DetectionFailedError as error:
        save_plot(partial(plot_movement_failed, ref, moved, source, session, str(error)), failed)
        msg = (
            f"the movement of {session} against {source}, whose calibration it uses, was not "
            f"found: {error}. Look at {failed}: if both pictures show the same cells, write pairs "
            "of points into a table (see docs/movement.md, movement.points); if they show "
            "different samples, set movement.what to sample, or calibrate the session by itself"
        )
        raise DetectionFailedError(msg) from error
    carried = _carried(known, found, moved, session, source)
    carried = carried.replace(image=Path(image))
    carried.save(outputs.calibration)
    write_text(outputs.text, line_for_people(carried))
    save_plot(
        lambda: plot_carried(ref, moved, found, known, carried, source, session), outputs.plot
    )
    return carried


def _carried(
    known: Calibration, found: Detection, moved: Any, session: str, source: str
) -> Calibration:
    """Apply the movement if it stands out from its own uncertainty."""
    x, y = known.center
    moved_x, moved_y = (float(v) for v in found.correction.ref_to_moved_coords(x, y))
    shift = ((moved_x - x) ** 2 + (moved_y - y) ** 2) ** 0.5
    if not matters(known, found.correction):
        return _said_first(known, "taken", _TAKEN, {"source": source, "shift": shift})
    carried = update_calibration(known, moved, found.correction, f"{session} at rest")
    turned = float(found.correction.rotation)
    figures = {"source": source, "shift": shift, "turned": turned}
    return _said_first(carried, "carried", _CARRIED, figures)


def _said_first(
    calibration: Calibration, code: str, says: str, figures: Mapping[str, float | str]
) -> Calibration:
    """Say where a calibration comes from, before all that was said about it."""
    verdict = Verdict(topic="source", code=code, says=says, figures=figures)
    logger.info("%s", verdict.sentence)
    return calibration.replace(verdicts=(verdict, *calibration.verdicts))
