"""The last part of a pixel: the map by which the moved image explains the reference best."""

from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.errors import DetectionFailedError
from derotation.images.comparison import affine_maps, radius
from derotation.maps import transforms
from derotation.movement.images import Picture
from derotation.numerics.regression import explain

__all__ = ["Freedom", "Refinement", "refine"]

NDFloat = NDArray[np.float64]
Freedom = Literal["translation", "similarity", "affine"]

# Parameters (tx, ty, Bxx, Bxy, Byx, Byy) of what each kind of map may still change.
BASES: dict[Freedom, NDFloat] = {
    "translation": np.eye(6)[:2],
    "similarity": np.array(
        [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1], [0, 0, 0, -1, 1, 0]], float
    ),
    "affine": np.eye(6),
}
# Only each second pixel in x and y is compared: smoothed ones are alike.
STRIDE = 2
# Smoothing (px) of the rounds; the last one is repeated until nothing changes any more.
SMOOTHINGS = (3.0, 1.5)
MAX_ROUNDS = 10
CONVERGED_PX = 0.003
# What is nearer to a rim than this (px) was made even with other surroundings in the two images.
RIM = 4
# The uncertainty is from leaving out one tile after the other, of so many in x and in y.
TILES = 8
N_NUISANCE = 4
MIN_PIXELS = 500


class Refinement(NamedTuple):
    """Result of :func:`refine`."""

    matrix: NDFloat
    """Shape (3, 3), from moved to reference."""
    covariance: NDFloat
    """Shape (6, 6), see :class:`~derotation.movement.correction.MovementCorrection`."""


def refine(ref: Picture, moved: Picture, start: NDFloat, freedom: Freedom) -> Refinement:
    """Improve a map by iterated optical flow that may only be of one kind of map.

    The moved image, drawn by the map so far, is explained by the reference, its slopes and
    nuisances [1]_, [2]_; pixels that differ much (cells that are bright on one day only) hardly
    count. Light and contrast have been made even before.

    Parameters
    ----------
    ref, moved : Picture
    start : ndarray of shape (3, 3)
        From moved to reference, right to within a few pixels.
    freedom : {"translation", "similarity", "affine"}
        What may change.

    Raises
    ------
    DetectionFailedError
        If the images hardly overlap, or nothing in them tells the movement.

    References
    ----------
    .. [1] B. D. Lucas and T. Kanade, "An iterative image registration technique with an application
       to stereo vision", Proc. IJCAI, 674-679 (1981)
    .. [2] S. Baker and I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", Int. J.
       Comput. Vis. 56, 221-255 (2004), doi:10.1023/B:VISI.0000011205.11775.fd
    """
    flow = _Flow(ref, moved, BASES[freedom])
    matrix = np.asarray(start, np.float64)
    smoothings = SMOOTHINGS + SMOOTHINGS[-1:] * (MAX_ROUNDS - len(SMOOTHINGS))
    for round_, smoothing in enumerate(smoothings):
        step = flow.measure(matrix, smoothing)
        moved_by = affine_maps(step, ref.shape)
        matrix = np.vstack([moved_by, [0.0, 0.0, 1.0]]) @ matrix
        if round_ >= len(SMOOTHINGS) - 1 and np.abs(step).max() < CONVERGED_PX:
            break
    return Refinement(matrix, flow.covariance())


class _Flow:
    """Compares the reference with the moved image drawn by a map."""

    def __init__(self, ref: Picture, moved: Picture, basis: NDFloat) -> None:
        self._ref, self._moved, self._basis = ref, moved, basis
        height, width = ref.shape
        y, x = np.mgrid[:height:STRIDE, :width:STRIDE]
        self._places = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float64)
        self._tile = ((y * TILES // height) * TILES + x * TILES // width).ravel()
        self._inside = _eroded(ref).ravel()[(y * width + x).ravel()]
        self._moved_inside = _eroded(moved)
        self._regressors: dict[float, NDArray[np.float32]] = {}
        self._splines: dict[float, NDArray[np.float32]] = {}
        self._last: tuple[NDFloat, NDFloat, NDFloat, NDArray[np.int64]] | None = None

    def measure(self, matrix: NDFloat, smoothing: float) -> NDFloat:
        """Give the displacement that is left, shape (6,)."""
        back = transforms.apply(transforms.invert(matrix[:2]), self._places)
        column, row = back.T
        height, width = self._moved.shape
        known = self._inside & (column >= 0) & (column <= width - 1)
        known &= (row >= 0) & (row <= height - 1)
        nearest = np.clip(back.round().astype(np.int64), 0, (width - 1, height - 1))
        known &= self._moved_inside[nearest[:, 1], nearest[:, 0]]
        if known.sum() < MIN_PIXELS:
            msg = "the images hardly overlap after the movement that was found"
            raise DetectionFailedError(msg)
        target = ndimage.map_coordinates(
            self._spline(smoothing), [row[known], column[known]], order=3, prefilter=False
        ).astype(np.float64)
        regressors = self._regressors_at(smoothing)[:, known].astype(np.float64)
        try:
            solution, _, near, _ = explain(regressors, target)
        except np.linalg.LinAlgError as error:
            msg = "nothing in the images tells the movement"
            raise DetectionFailedError(msg) from error
        if solution[0] <= 0:
            msg = "the images are no more alike after the movement that was found than before it"
            raise DetectionFailedError(msg)
        self._last = regressors, target, near, self._tile[known]
        return np.asarray(solution[N_NUISANCE:] / solution[0] @ self._basis)

    def covariance(self) -> NDFloat:
        """Give the covariance of what was measured last, shape (6, 6)."""
        assert self._last is not None
        return np.asarray(self._basis.T @ _jackknife(*self._last) @ self._basis)

    def _regressors_at(self, smoothing: float) -> NDArray[np.float32]:
        """Make the regressors (k, pixel): nuisances, then what each parameter does."""
        if smoothing not in self._regressors:
            image = self._ref.structure(smoothing)
            slope_y, slope_x = np.gradient(image)
            offset = (self._places - transforms.image_center(image.shape)) / radius(image.shape)
            along_x, along_y = offset.T

            def thin(values: Any) -> NDArray[np.float32]:
                return np.asarray(values[::STRIDE, ::STRIDE].ravel(), np.float32)

            plain, by_x, by_y = (thin(values) for values in (image, slope_x, slope_y))
            effects = np.stack([
                by_x, by_y, by_x * along_x, by_x * along_y, by_y * along_x, by_y * along_y,
            ])  # fmt: skip
            nuisances = np.stack([plain, np.ones_like(plain), plain * along_x, plain * along_y])
            own = np.einsum("ij,jn->in", self._basis, effects)
            self._regressors[smoothing] = np.concatenate([nuisances, own]).astype(np.float32)
        return self._regressors[smoothing]

    def _spline(self, smoothing: float) -> NDArray[np.float32]:
        if smoothing not in self._splines:
            self._splines[smoothing] = ndimage.spline_filter(
                self._moved.structure(smoothing), order=3, output=np.float32
            )
        return self._splines[smoothing]


def _eroded(picture: Picture) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_erosion(picture.valid, iterations=RIM))


def _jackknife(known: NDFloat, target: NDFloat, near: NDFloat, tile: NDArray[np.int64]) -> NDFloat:
    """Give the covariance of the displacement by leaving out one tile after the other.

    Errors of neighboring pixels are alike (a cell that is bright on one day only is as large as a
    cell), so that a formula for white noise would promise too much.
    """
    from derotation.numerics.picture_kernels import normal_equations

    order = np.argsort(tile, kind="stable")
    known, target, near = known[:, order], target[order], near[order]
    starts = np.unique(tile[order], return_index=True)[1]
    n, k = len(starts), len(known)
    normal, moment = np.empty((n, k, k)), np.empty((n, k))
    for part, (first, last) in enumerate(pairwise([*starts, len(order)])):
        own = slice(first, last)
        normal_equations(known[:, own], near[own], target[own], normal[part], moment[part])
    rest = (moment.sum(axis=0) - moment)[..., np.newaxis]
    solved = np.linalg.solve(normal.sum(axis=0) - normal, rest)[..., 0]
    without = solved[:, N_NUISANCE:] / solved[:, :1]
    spread = without - without.mean(axis=0)
    return np.asarray((n - 1) / n * spread.T @ spread)
