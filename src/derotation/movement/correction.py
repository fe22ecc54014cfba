"""The movement between two images of the same field of view, as a map of coordinates."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import write_json
from derotation.maps import transforms
from derotation.movement.images import in_8_bits
from derotation.numerics.integers import clipped

__all__ = ["Interp", "MovementCorrection"]

Interp = Literal["nearest", "linear", "cubic"]
ORDERS: dict[Interp, Literal[0, 1, 3]] = {"nearest": 0, "linear": 1, "cubic": 3}
SUFFIX = ".cmc"
# No picture has a side of so many pixels, and none is moved so far.
LARGEST = 1e6
# A binned image may have lost less than one pixel at its border.
ASPECT_TOLERANCE_PX = 1.0


class MovementCorrection:
    """A map from the coordinates of a moved image to those of its reference, and back.

    Parameters
    ----------
    matrix : array_like of shape (2, 3) or (3, 3)
        Takes a position (x, y, 1) in the moved image to that in the reference, pixels; x = column,
        y = row, pixel centers at integers. The last row of a projective one is not (0, 0, 1):
        positions are then divided by their third coordinate. Nothing here finds such a movement,
        and sessions are not aligned by one; but points and images are mapped.
    im_shape : tuple of int
        Height and width of the images that it was found from.
    ref_points, moved_points : array_like of shape (n, 2)
        Points (x, y) that belong together, in the reference and in the moved image, pixels.
    src : str or sequence of str
        In plain words, what it comes from; several lines are its history.
    covariance : array_like of shape (6, 6), optional
        Uncertainty of the displacement t + B (q - m) / r of the moved image's content, seen in the
        reference, with m the middle of the image and r half its smaller side: of (tx, ty, Bxx, Bxy,
        Byx, Byy), pixels squared. None where nothing was measured.

    Raises
    ------
    InputError
        If the matrix cannot be inverted, turns the image over or sends a part of it to infinity,
        or if shapes do not agree.

    Notes
    -----
    An object never changes after it was made.
    """

    def __init__(
        self,
        matrix: ArrayLike,
        im_shape: Sequence[int],
        ref_points: ArrayLike = (),
        moved_points: ArrayLike = (),
        src: str | Sequence[str] = "",
        *,
        covariance: ArrayLike | None = None,
    ) -> None:
        self.matrix = _checked_matrix(matrix)
        """Shape (3, 3), float64."""
        self.im_shape = _checked_shape(im_shape)
        """Height and width, pixels."""
        _check_horizon(self.matrix, self.im_shape)
        self.ref_points = _points(ref_points, "ref_points")
        """Shape (n, 2), pixels."""
        self.moved_points = _points(moved_points, "moved_points")
        """Shape (n, 2), pixels."""
        if self.ref_points.shape != self.moved_points.shape:
            msg = (
                f"there are {len(self.ref_points)} ref_points but {len(self.moved_points)} "
                "moved_points; they have to be pairs"
            )
            raise InputError(msg)
        self.history: tuple[str, ...] = (src,) if isinstance(src, str) else tuple(src)
        """What it comes from, oldest first."""
        self.covariance = None if covariance is None else _checked_covariance(covariance)
        """Shape (6, 6), or None."""
        self._inverse = _inverted(self.matrix)
        for array in (self.matrix, self._inverse, self.ref_points, self.moved_points):
            array.flags.writeable = False

    def __repr__(self) -> str:
        x, y = self.center_shift
        return (
            f"MovementCorrection(shift of the middle {x:.2f}, {y:.2f} px, "
            f"rotation {self.rotation:.3f} degrees clockwise, scale {self.scale:.4f}, "
            f"images of {self.im_shape[1]} x {self.im_shape[0]} px)"
        )

    @property
    def src(self) -> str:
        """What it comes from, in plain words."""
        return "; ".join(line for line in self.history if line)

    @property
    def is_affine(self) -> bool:
        """Whether parallels stay parallel: not if the matrix is projective."""
        return bool(np.array_equal(self.matrix[2], [0, 0, 1]))

    @property
    def translation(self) -> tuple[float, float]:
        """Shift (x, y) from moved to reference, pixels: the last column of the matrix.

        That is the shift of the pixel (0, 0); where there is a rotation, too, the middle of the
        image goes elsewhere, see `center_shift`.
        """
        return float(self.matrix[0, 2]), float(self.matrix[1, 2])

    @property
    def center_shift(self) -> tuple[float, float]:
        """Shift (x, y) of the middle of the image from moved to reference, pixels."""
        middle_x, middle_y = transforms.image_center(self.im_shape)
        x, y = _moved(self.matrix, middle_x, middle_y)
        return float(x) - middle_x, float(y) - middle_y

    @property
    def rotation(self) -> float:
        """Rotation from moved to reference, degrees clockwise on a screen, -180 to 180.

        Where the matrix is projective, that of the middle of the image.
        """
        (a, b), (c, d) = self._local()
        # Of an affine map, that of the rotation nearest to it (polar decomposition).
        return math.degrees(math.atan2(c - b, a + d))

    @property
    def scale(self) -> float:
        """How many times larger things appear in the reference than in the moved image.

        Where the matrix is projective, in the middle of the image.
        """
        return math.sqrt(float(np.linalg.det(self._local())))

    def _local(self) -> NDArray[np.float64]:
        """Give the linear map (2, 2) that the movement is near the middle of the image."""
        middle = np.array([*transforms.image_center(self.im_shape), 1.0])
        x, y, depth = self.matrix @ middle
        place = np.array([x, y]) / depth
        return np.asarray((self.matrix[:2, :2] - np.outer(place, self.matrix[2, :2])) / depth)

    def moved_to_ref_coords(
        self, x: ArrayLike, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where points of the moved image lie in the reference.

        Parameters
        ----------
        x, y : array_like
            Pixels; broadcast against each other.

        Returns
        -------
        x, y : ndarray
            Pixels, of the broadcast shape.
        """
        return _moved(self.matrix, x, y)

    def ref_to_moved_coords(
        self, x: ArrayLike, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where points of the reference lie in the moved image; see `moved_to_ref_coords`."""
        return _moved(self._inverse, x, y)

    def warp_moved_to_ref(
        self, image: ArrayLike, interp: Interp = "linear", fill_edges: bool = False
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Draw a moved image as the reference sees it.

        Parameters
        ----------
        image : array_like of shape (y, x)
            The moved image; it may be binned or enlarged against `im_shape`, with the same aspect.
        interp : {"nearest", "linear", "cubic"}
            How to interpolate between pixels.
        fill_edges : bool
            Give pixels that the image does not reach the value of its nearest border pixel, instead
            of 0.

        Returns
        -------
        warped : ndarray of shape (y, x)
            In the type of `image`; integers are rounded and clipped.
        mask : ndarray of bool, shape (y, x)
            Pixels that the image reaches; those that were filled are False as well.

        Raises
        ------
        InputError
            If the image has another aspect, or `interp` is not known.
        """
        return self._warp(image, interp, fill_edges, forward=True)

    def warp_ref_to_moved(
        self, image: ArrayLike, interp: Interp = "linear", fill_edges: bool = False
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Draw a reference image as the moved one sees it; see `warp_moved_to_ref`."""
        return self._warp(image, interp, fill_edges, forward=False)

    def _warp(
        self, image: ArrayLike, interp: Interp, fill_edges: bool, *, forward: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        given = np.asarray(image)
        if given.ndim != 2 or given.dtype.kind not in "biuf":
            msg = f"the image has the shape {given.shape} ({given.dtype}); expected (y, x)"
            raise InputError(msg)
        if interp not in ORDERS:
            msg = f"interp is {interp!r}; allowed are {', '.join(get_args(Interp))}"
            raise InputError(msg)
        own = self.scaled(given.shape)
        back = own._inverse if forward else own.matrix
        return _resample(given, back, ORDERS[interp], fill_edges)

    def scaled(self, im_shape: Sequence[int]) -> "MovementCorrection":
        """Give the same movement for binned or enlarged images.

        Parameters
        ----------
        im_shape : sequence of int
            Height and width of these, in the same proportion as `im_shape`.

        Returns
        -------
        MovementCorrection

        Raises
        ------
        InputError
            If the proportion is another one.
        """
        shape = _checked_shape(im_shape)
        if shape == self.im_shape:
            return self
        factor = _factor(self.im_shape, shape)
        # Pixel i of an image binned by b has its center at b i + (b - 1) / 2 of the full image.
        to_own = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
        return MovementCorrection(
            to_own @ self.matrix @ np.linalg.inv(to_own),
            shape,
            (self.ref_points + 0.5) * factor - 0.5,
            (self.moved_points + 0.5) * factor - 0.5,
            self.history,
            covariance=None if self.covariance is None else self.covariance * factor**2,
        )

    def inverse(self) -> "MovementCorrection":
        """Give the movement with reference and moved image exchanged.

        Its covariance is that of the same displacements; they are small against the image.
        """
        return MovementCorrection(
            self._inverse,
            self.im_shape,
            self.moved_points,
            self.ref_points,
            src=(*self.history, "inverted"),
            covariance=self.covariance,
        )

    def compose(self, inner: "MovementCorrection") -> "MovementCorrection":
        """Give the movement that does first `inner`, then this one.

        Parameters
        ----------
        inner : MovementCorrection
            Its reference is the moved image of this one.

        Returns
        -------
        MovementCorrection
            Without point pairs. Uncertainties add up where both are known.

        Raises
        ------
        InputError
            If the images of the two have different shapes.
        """
        if inner.im_shape != self.im_shape:
            msg = (
                f"a movement of images of {inner.im_shape} pixels cannot precede one of "
                f"{self.im_shape}; use scaled() on one of them"
            )
            raise InputError(msg)
        known = self.covariance is not None and inner.covariance is not None
        return MovementCorrection(
            self.matrix @ inner.matrix,
            self.im_shape,
            src=(*inner.history, "followed by", *self.history),
            covariance=self.covariance + inner.covariance if known else None,  # type: ignore[operator]
        )

    def sd_at(self, x: float, y: float) -> float | None:
        """Tell how uncertain the place is to which (x, y) of the reference belongs, pixels.

        Along the worse of two directions; None where nothing was measured.
        """
        if self.covariance is None:
            return None
        height, width = self.im_shape
        middle = np.array(transforms.image_center(self.im_shape))
        dx, dy = (np.array([x, y]) - middle) / (min(height, width) / 2)
        basis = np.array([[1, 0, dx, dy, 0, 0], [0, 1, 0, 0, dx, dy]])
        return float(np.sqrt(np.linalg.eigvalsh(basis @ self.covariance @ basis.T)[-1]))

    def largest_shift(self) -> float:
        """How far the movement takes the corner of the image that it moves most, pixels."""
        x, y = _corners(self.im_shape).T
        to_x, to_y = _moved(self.matrix, x, y)
        return float(np.hypot(to_x - x, to_y - y).max())

    def get_ddscore(self, ref_im: ArrayLike, moved_im: ArrayLike, tol: float = 50) -> float:
        """Score whether the movement makes the images more alike or less.

        Per pixel that both images reach, ``D = |moved - ref| - |warped - ref|``. Of the pixels
        with ``|D| > tol`` a fraction f has D > 0; the score is ``2 f - 1``.

        Parameters
        ----------
        ref_im, moved_im : array_like of shape (y, x)
            The images, of one shape.
        tol : float
            In gray levels of an 8-bit image. 8-bit images are taken as they are. Any other image is
            brought to that scale by itself: its darkest 1 % become 0 and its brightest 0.2 % 255,
            with even steps between. (On raw 16-bit values a fixed 50 would be below the noise, on
            floats from 0 to 1 nothing would ever exceed it.)

        Returns
        -------
        float
            From -1 (all that changes gets worse) to 1 (all gets better); 0 where nothing changes
            by more than `tol`. A good score alone does not prove a movement: with many dark pixels
            a wrong one can score well.

        Raises
        ------
        InputError
            If the images have different shapes.
        """
        ref, moved = np.asarray(ref_im), np.asarray(moved_im)
        if ref.shape != moved.shape:
            msg = f"the images have different shapes, {ref.shape} and {moved.shape}"
            raise InputError(msg)
        target, start = in_8_bits(ref), in_8_bits(moved)
        warped, mask = self.warp_moved_to_ref(start)
        gain = np.abs(start - target) - np.abs(warped - target)
        told = mask & np.isfinite(gain) & (np.abs(np.nan_to_num(gain)) > tol)
        return 2 * float(np.mean(gain[told] > 0)) - 1 if told.any() else 0.0

    def save(self, filename: str | os.PathLike[str]) -> Path:
        """Write a JSON file.

        Parameters
        ----------
        filename : path
            ``.cmc`` is appended if it is missing.

        Returns
        -------
        Path
            The file that was written.
        """
        path = _with_suffix(filename)
        content = {
            "transform_matrix": self.matrix.tolist(),
            "im_array_shape": list(self.im_shape),
            "ref_points": self.ref_points.tolist(),
            "moved_points": self.moved_points.tolist(),
            "history": list(self.history),
            "covariance": None if self.covariance is None else self.covariance.tolist(),
        }
        write_json(path, content)
        return path

    @classmethod
    def load(cls, filename: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        filename : path
            ``.cmc`` is appended if it is missing.

        Raises
        ------
        InputError
            If the file cannot be read or is no movement.
        """
        path = _with_suffix(filename)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            msg = f"{path} cannot be read as a movement: {error}"
            raise InputError(msg) from error
        needed = ("transform_matrix", "im_array_shape")
        if not isinstance(content, dict) or any(key not in content for key in needed):
            msg = f"{path} is no movement: it lacks the keys {' and '.join(needed)}"
            raise InputError(msg)
        try:
            _refuse_booleans(content)
            return cls(
                content["transform_matrix"],
                content["im_array_shape"],
                content.get("ref_points", []),
                content.get("moved_points", []),
                content.get("history", ""),
                covariance=content.get("covariance"),
            )
        except (InputError, ValueError, TypeError, OverflowError) as error:
            msg = f"{path}: {error}"
            raise InputError(msg) from error


def _with_suffix(filename: str | os.PathLike[str]) -> Path:
    path = Path(filename)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def _checked_matrix(matrix: ArrayLike) -> NDArray[np.float64]:
    given = np.array(matrix, dtype=np.float64)
    if given.size and np.abs(given[np.isfinite(given)]).max(initial=0) > LARGEST:
        msg = f"the matrix is {given.tolist()}; no movement is larger than {LARGEST:g} pixels"
        raise InputError(msg)
    if given.shape == (2, 3):
        given = np.vstack([given, [0.0, 0.0, 1.0]])
    if given.shape != (3, 3) or not np.isfinite(given).all():
        msg = f"the matrix is {given.tolist()}; expected 2 x 3 or 3 x 3 finite numbers"
        raise InputError(msg)
    if given[2, 2] == 0:
        msg = f"the matrix {given.tolist()} sends the first pixel to infinity"
        raise InputError(msg)
    given = np.asarray(given / given[2, 2])
    if np.linalg.det(given) <= 1e-12:
        msg = f"the matrix {given.tolist()} turns the image over or makes a line or point of it"
        raise InputError(msg)
    return given


def _check_horizon(matrix: NDArray[np.float64], shape: tuple[int, int]) -> None:
    """Refuse a projective matrix whose horizon crosses the image."""
    if (_corners(shape) @ matrix[2, :2] + matrix[2, 2]).min() <= 0:
        msg = f"the matrix {matrix.tolist()} sends a part of the image to infinity"
        raise InputError(msg)


def _inverted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.array_equal(matrix[2], [0, 0, 1]):
        return np.asarray(np.vstack([transforms.invert(matrix[:2]), [0.0, 0.0, 1.0]]))
    inverse = np.linalg.inv(matrix)
    return np.asarray(inverse / inverse[2, 2])


def _checked_covariance(covariance: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(covariance, np.float64)
    if given.shape != (6, 6) or not np.isfinite(given).all():
        msg = f"the covariance has shape {given.shape}; expected 6 x 6 finite numbers"
        raise InputError(msg)
    return given


def _refuse_booleans(value: object) -> None:
    """Refuse true and false, which pass for 1 and 0 in arrays of numbers."""
    if isinstance(value, bool):
        msg = f"{str(value).lower()} stands where a number was expected"
        raise InputError(msg)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_booleans(item)


def _checked_shape(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 2 or not all(1 <= n <= LARGEST and n == int(n) for n in shape):
        msg = f"im_shape is {tuple(shape)}; expected height and width, pixels"
        raise InputError(msg)
    height, width = (int(n) for n in shape)
    return height, width


def _points(points: ArrayLike, name: str) -> NDArray[np.float64]:
    given = np.array(points, dtype=np.float64)
    if given.size == 0:
        return np.empty((0, 2))
    if given.ndim != 2 or given.shape[1] != 2 or not np.isfinite(given).all():
        msg = f"{name} have the shape {given.shape}; expected (n, 2) finite positions (x, y)"
        raise InputError(msg)
    return given


def _factor(own: tuple[int, int], other: tuple[int, int]) -> float:
    """How many times larger images of another shape are; refuse another aspect."""
    factor = math.sqrt(other[0] * other[1] / (own[0] * own[1]))
    off = max(abs(n - factor * m) for n, m in zip(other, own, strict=True))
    if off > ASPECT_TOLERANCE_PX * max(1.0, factor):
        msg = (
            f"an image of {other[1]} x {other[0]} pixels (width x height) has another aspect than "
            f"{own[1]} x {own[0]}, of which the movement is"
        )
        raise InputError(msg)
    return factor


def _moved(
    matrix: NDArray[np.float64], x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along, down = np.asarray(x, np.float64), np.asarray(y, np.float64)
    (a, b, c), (d, e, f), (g, h, i) = matrix
    to_x, to_y = a * along + b * down + c, d * along + e * down + f
    if g or h:
        depth = g * along + h * down + i
        return np.asarray(to_x / depth), np.asarray(to_y / depth)
    return np.asarray(to_x), np.asarray(to_y)


def _corners(shape: tuple[int, int]) -> NDArray[np.float64]:
    height, width = shape
    return np.array(
        [[0.0, 0.0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64
    )


def _resample(
    image: NDArray[Any], back: NDArray[np.float64], order: Literal[0, 1, 3], fill_edges: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Look up each output pixel (x, y) at `back` (x, y) of an image."""
    from scipy import ndimage

    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    from_x, from_y = _moved(back, x, y)
    # A position that rounding put just outside lies on the border.
    slack = 1e-6
    mask = (from_x >= -slack) & (from_x <= width - 1 + slack)
    mask &= (from_y >= -slack) & (from_y <= height - 1 + slack)
    where = [np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)]
    known = np.isfinite(image) if image.dtype.kind == "f" else None
    filled = image if known is None else np.where(known, image, 0)
    warped = ndimage.map_coordinates(filled.astype(np.float64), where, order=order, mode="nearest")
    if known is not None and not known.all():
        seen = ndimage.map_coordinates(known.astype(np.float64), where, order=1)
        mask &= seen > 1 - 1e-6
    if not fill_edges:
        warped[~mask] = 0
    if image.dtype.kind in "iu":
        return clipped(np.rint(warped), image.dtype), mask
    if image.dtype.kind == "b":
        return warped >= 0.5, mask
    return warped.astype(image.dtype), mask
