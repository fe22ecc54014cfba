"""Step ``align_session``: the movement of a session's field of view against its reference's."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import DetectionFailedError, InputError
from derotation.io.files import write_json
from derotation.maps import transforms
from derotation.movement.correction import MovementCorrection
from derotation.movement.detect import Detection
from derotation.movement.manual import read_points
from derotation.plots.movement import plot_movement, plot_movement_failed
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import save_plot
from derotation.steps.movements import movement_between
from derotation.steps.rest import read_rest_image

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)

KIND = "derotation movement"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    movement: Annotated[Path, "movement.json"]
    correction: Annotated[Path, "movement.cmc"]
    """The same as a :class:`~derotation.movement.correction.MovementCorrection`."""
    plot: Annotated[Path, "plots/movement.png"]


def run(
    *,
    session: str,
    reference: str,
    moved_image: str | Path,
    ref_image: str | Path,
    moved_calibration: str | Path,
    ref_calibration: str | Path,
    points: str | Path | None,
    config: Mapping[str, Any],
    outputs: Outputs,
) -> Detection:
    """Find by which movement a session's picture comes to lie on its reference's.

    Parameters
    ----------
    session, reference : str
        The names of the two sessions.
    moved_image, ref_image : path
        The mean raw images at rest of the session and of its reference.
    moved_calibration, ref_calibration : path
        Their calibrations. Where the plane of rotation is tilted, the pictures are compared as seen
        along the axis: there a sample that was turned has turned and not been sheared.
    points : path, optional
        A table of pairs of points. Where there is one, it is used instead of the method.
    config : mapping
        The configuration; its section ``movement`` is read.
    outputs : Outputs
        Where files go. If no movement is found, ``movement_failed.png`` is written beside the plot.

    Returns
    -------
    Detection
        The movement in the coordinates of the derotated movies, with the evidence for it.

    Raises
    ------
    DetectionFailedError
        If no movement is found that can be believed.
    InputError
        If the images have different sizes, or a file is not valid.
    """
    failed = outputs.plot.with_name("movement_failed.png")
    failed.unlink(missing_ok=True)
    images = (read_rest_image(ref_image), read_rest_image(moved_image))
    calibrations = (Calibration.load(ref_calibration), Calibration.load(moved_calibration))
    if images[0].shape != images[1].shape:
        (h, w), (height, width) = (image.shape for image in images)
        msg = (
            f"{session} has frames of {width} x {height} pixels (width x height), its reference "
            f"{reference} of {w} x {h}; only sessions of one frame size and zoom can be aligned"
        )
        raise InputError(msg)
    views = [_along_axis(one) for one in calibrations]
    seen = [_drawn(image, view) for image, view in zip(images, views, strict=True)]
    try:
        found = _find(seen[0], seen[1], views, points, config["movement"])
    except DetectionFailedError as error:
        save_plot(partial(plot_movement_failed, *images, reference, session, str(error)), failed)
        msg = (
            f"the movement of {session} against its reference {reference} was not found: {error}. "
            f"Look at {failed}: if both pictures show the same cells, write pairs of points into a "
            "table (see docs/movement.md, movement.points) and run again; else clear the cell "
            "reference of the sample sheet"
        )
        raise DetectionFailedError(msg) from error
    save_plot(lambda: plot_movement(seen[0], seen[1], found, reference, session), outputs.plot)
    in_output = _in_output(found, calibrations, views, reference)
    logger.info("%s", in_output.statement)
    in_output.correction.save(outputs.correction)
    write_json(outputs.movement, _summary(in_output, session, reference))
    return in_output


def _along_axis(calibration: Calibration) -> NDArray[np.float64]:
    """Map from the recorded picture at rest to that seen along the axis; shape (3, 3)."""
    view = np.eye(3)
    if calibration.plane_angle != 0:
        stretch = transforms.line_maps(
            0.0,
            calibration.center,
            calibration.plane_angle,
            calibration.plane_orientation,
            "sample",
        )
        view[:2] = stretch
    return view


def _drawn(image: NDArray[Any], view: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a picture as seen along the axis; NaN where it does not reach."""
    if np.array_equal(view, np.eye(3)):
        return np.asarray(image, np.float64)
    drawn, mask = MovementCorrection(view, image.shape).warp_moved_to_ref(
        np.asarray(image, np.float64), "cubic"
    )
    return np.asarray(np.where(mask, drawn, np.nan))


def _find(
    ref: NDArray[np.float64],
    moved: NDArray[np.float64],
    views: list[NDArray[np.float64]],
    points: str | Path | None,
    settings: Mapping[str, Any],
) -> Detection:
    """Find the movement between the pictures as seen along the axis."""
    if points is None:
        return movement_between(ref, moved, settings)
    pairs = [
        transforms.apply(view[:2], given)
        for view, given in zip(views, read_points(points), strict=True)
    ]
    source = f"{len(pairs[0])} pairs of points from {points}"
    logger.info("the movement is taken from %s", source)
    return movement_between(ref, moved, settings, pairs=pairs, source=source)


def _in_output(
    found: Detection,
    calibrations: tuple[Calibration, Calibration],
    views: list[NDArray[np.float64]],
    reference: str,
) -> Detection:
    """Tell the movement in the coordinates in which the derotated movies are drawn."""
    to_output = [
        np.eye(3) if one.plane_output == "sample" else np.linalg.inv(view)
        for one, view in zip(calibrations, views, strict=True)
    ]
    own = found.correction
    moved = MovementCorrection(
        to_output[0] @ own.matrix @ np.linalg.inv(to_output[1]),
        own.im_shape,
        transforms.apply(to_output[0][:2], own.ref_points) if len(own.ref_points) else (),
        transforms.apply(to_output[1][:2], own.moved_points) if len(own.moved_points) else (),
        own.history,
        covariance=own.covariance,
    )
    return Detection.of(moved, found.evidence, reference)


def _summary(found: Detection, session: str, reference: str) -> dict[str, Any]:
    """Give the content of ``movement.json``."""
    correction = found.correction
    height, width = correction.im_shape
    at = {"center": transforms.image_center((height, width)), "corner": (0.0, 0.0)}
    sds = {name: correction.sd_at(*place) for name, place in at.items()}
    return {
        "kind": KIND,
        "version": VERSION,
        "session": session,
        "reference": reference,
        "statement": found.statement,
        "verdicts": [asdict(verdict) for verdict in found.verdicts],
        "matrix": correction.matrix.tolist(),
        "image_shape": [height, width],
        "center_shift_px": list(correction.center_shift),
        "rotation_deg": correction.rotation,
        "scale": correction.scale,
        "center_sd_px": sds["center"],
        "corner_sd_px": sds["corner"],
        **found.evidence.as_dict(),
        "history": list(correction.history),
    }
