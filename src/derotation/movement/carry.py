"""A calibration of one session as it holds in another, after a movement."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError
from derotation.maps import transforms
from derotation.movement.correction import MovementCorrection

__all__ = ["Coords", "What", "matters", "update_calibration"]

What = Literal["scanner", "sample"]
Coords = Literal["Display", "Original"]

# A movement of a center by less than this many standard uncertainties, or pixels, is none.
SIGNIFICANT = 3.0
LEAST_PX = 0.1


def update_calibration(
    calibration: Calibration,
    moved_image: ArrayLike,
    mov_correction: MovementCorrection,
    image_src: str | None = None,
    coords: Coords = "Display",
    *,
    what: What = "scanner",
) -> Calibration:
    """Give a calibration as it holds in a moved image.

    If the scanner or the objective moved against the motor (`what` "scanner"), the axis of rotation
    is seen elsewhere: the center goes through the movement from reference to moved image, the
    orientation of the plane and the wobble turn with it. If only the sample was put back
    differently ("sample"), the axis stays where it was in the picture, and so does the calibration.

    Parameters
    ----------
    calibration : Calibration
        That of the reference.
    moved_image : array_like of shape (y, x)
        The image in which the result is to hold.
    mov_correction : MovementCorrection
        From the moved image to the reference.
    image_src : str, optional
        What the moved image is, for the provenance.
    coords : {"Display", "Original"}
        In which pixels the movement is told. "Display": in those of the images as they were shown,
        which may have been binned or enlarged; it is scaled to the frames. "Original": in those of
        the recorded frames, so that its ``im_shape`` has to be theirs.
    what : {"scanner", "sample"}
        What moved. (The workflow's ``movement.what`` has the default "sample".)

    Returns
    -------
    Calibration
        Its uncertainties have grown by that of the movement where something was moved, and its
        provenance says what was done. It carries no image; give it one by ``replace(image=path)``.

    Raises
    ------
    InputError
        If the shapes of frames, image and movement do not agree, or a choice is not known.
    """
    _check_choice("what", what, get_args(What))
    _check_choice("coords", coords, get_args(Coords))
    shape = np.shape(moved_image)
    if len(shape) != 2:
        msg = f"the moved image has the shape {shape}; expected (y, x)"
        raise InputError(msg)
    if coords == "Original" and mov_correction.im_shape != calibration.image_shape:
        msg = (
            f"the movement is told in images of {mov_correction.im_shape} pixels (height, width), "
            f"but the frames of the calibration have {calibration.image_shape}; with coords "
            '"Display" it is scaled'
        )
        raise InputError(msg)
    if not mov_correction.is_affine:
        msg = (
            "the movement is projective; a calibration is carried over by an affine one only, as "
            "detect_movement and manual_movement find them"
        )
        raise InputError(msg)
    mov_correction.scaled(shape)  # refuses an image that it cannot belong to
    movement = mov_correction.scaled(calibration.image_shape)
    provenance = calibration.provenance | {
        "movement": {
            "what": what,
            "image": image_src,
            "matrix": movement.matrix.tolist(),
            "source": movement.src,
        }
    }
    if what == "sample":
        return calibration.replace(provenance=provenance, image=None)
    moved = _through(calibration, movement)
    return calibration.replace(**moved, provenance=provenance, image=None)


def _through(calibration: Calibration, movement: MovementCorrection) -> dict[str, Any]:
    """Take center, plane and wobble from the reference to the moved image."""
    back = transforms.invert(movement.matrix[:2])
    linear = back[:, :2]
    x, y = transforms.apply(back, np.asarray(calibration.center, np.float64))
    along = np.array(_unit(calibration.plane_orientation))
    turned = linear @ along
    orientation = float(np.rad2deg(np.arctan2(turned[1], turned[0]))) % 180.0
    known = calibration.center_sd is not None
    center_sd = _center_sd(calibration, movement, linear) if known else None
    plane_sd = calibration.plane_sd
    rotation_sd = _rotation_sd(movement)
    if plane_sd is not None:
        plane_sd = (plane_sd[0], float(np.hypot(plane_sd[1], rotation_sd)))
    return {
        "center": (float(x), float(y)),
        "center_sd": center_sd,
        "plane_orientation": orientation if calibration.plane_angle != 0 else 0.0,
        "plane_sd": plane_sd,
        "wobble": _turned_rows(calibration.wobble, linear),
        "wobble_sd": (
            None if calibration.wobble_sd is None else _turned_sds(calibration.wobble_sd, linear)
        ),
    }


def _unit(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.deg2rad(degrees))), float(np.sin(np.deg2rad(degrees)))


def _center_sd(
    calibration: Calibration, movement: MovementCorrection, linear: NDArray[np.float64]
) -> tuple[float, float]:
    assert calibration.center_sd is not None
    own = linear @ np.diag(np.square(calibration.center_sd)) @ linear.T
    by_movement = movement.sd_at(*calibration.center) or 0.0
    x, y = np.sqrt(np.diag(own) + by_movement**2)
    return float(x), float(y)


def _rotation_sd(movement: MovementCorrection) -> float:
    """Give the standard uncertainty of the movement's rotation, degrees."""
    if movement.covariance is None:
        return 0.0
    half_side = min(movement.im_shape) / 2
    # The rotation is half the difference of Byx and Bxy, which are pixels at half the side.
    difference = np.array([0, 0, 0, -0.5, 0.5, 0])
    return float(np.rad2deg(np.sqrt(difference @ movement.covariance @ difference) / half_side))


def _turned_rows(
    rows: tuple[tuple[float, float, float, float], ...], linear: NDArray[np.float64]
) -> tuple[tuple[float, float, float, float], ...]:
    """Turn the shifts (Cx, Cy, Sx, Sy) of a wobble."""
    turned = [np.concatenate([linear @ row[:2], linear @ row[2:]]) for row in np.array(rows)]
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in turned)


def _turned_sds(
    rows: tuple[tuple[float, float, float, float], ...], linear: NDArray[np.float64]
) -> tuple[tuple[float, float, float, float], ...]:
    squared = _turned_rows(tuple(map(tuple, np.square(rows))), linear**2)
    return tuple((a**0.5, b**0.5, c**0.5, d**0.5) for a, b, c, d in squared)


def matters(calibration: Calibration, movement: MovementCorrection) -> bool:
    """Tell whether a movement takes the center significantly elsewhere, or turns the plane.

    Between two sessions in which nothing moved, a movement of the size of its own uncertainty is
    found; a calibration must not change by it.
    """
    x, y = calibration.center
    moved_x, moved_y = movement.ref_to_moved_coords(x, y)
    distance = float(np.hypot(moved_x - x, moved_y - y))
    sd = movement.sd_at(x, y) or 0.0
    turned = calibration.plane_angle != 0 or len(calibration.wobble) > 0
    half_side = min(movement.im_shape) / 2
    turn = np.deg2rad(abs(movement.rotation)) * half_side if turned else 0.0
    turn_sd = np.deg2rad(_rotation_sd(movement)) * half_side
    return bool(
        distance > max(SIGNIFICANT * sd, LEAST_PX) or turn > max(SIGNIFICANT * turn_sd, LEAST_PX)
    )


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        msg = f"{name} is {value!r}; allowed are {' and '.join(allowed)}"
        raise InputError(msg)
