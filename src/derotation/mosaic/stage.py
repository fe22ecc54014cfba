"""The stage as the pictures see it: angle to the scanner, angle between its axes, scale.

The model is that of Lefebvre et al. (2017), equations 1 to 6: a step of the stage moves the field
of view by a linear map, position = A [row step, column step], in pixels (row, column). Its columns
are where a step of either axis of the stage leads in the picture: along the columns
(-sin(theta), cos(theta)) and along the rows (sin(phi - theta), cos(phi - theta)), each times its
length. theta is the angle between scanner and stage, phi the angle between the stage's axes (90
degrees if they are perpendicular).

References
----------
J. Lefebvre, A. Castonguay, P. Pouliot, M. Descoteaux, F. Lesage, "Whole mouse brain imaging using
optical coherence tomography: reconstruction, normalization, segmentation, and comparison with
diffusion MRI", Neurophotonics 4, 041501 (2017).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.numerics import robust
from derotation.numerics.degrees import wrapped

__all__ = ["StageFit", "fit_stage", "stage_angles"]

Floats = NDArray[np.float64]

# What a measured displacement is off at best (px), if nothing else is known of it.
USUAL_ERROR_PX = 0.05
# Weights below this count as left out.
DROPPED = 0.05
# Directions in which the steps reach less far than this part of the other one tell nothing.
FLAT = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageFit:
    """The linear map that explains measured displacements, and how well."""

    matrix: Floats
    """From steps (row, column) to pixels (row, column), shape (2, 2)."""
    covariance: Floats
    """Of the four entries, row by row, shape (4, 4); infinite where there is nothing to tell it."""
    residuals: Floats
    """What each displacement has beyond the map, pixels, shape (n, 2)."""
    weights: Floats
    """Weight of each displacement from 0 (left out) to 1, shape (n,)."""
    free: int
    """How many numbers the displacements determined: 4, 2 (turn and scale only) or 0."""

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which displacements count."""
        return self.weights > DROPPED

    @property
    def rms(self) -> float:
        """Residual of those that count, root mean square of its length, pixels."""
        if not self.used.any():
            return 0.0
        return float(np.sqrt(np.mean(np.sum(self.residuals[self.used] ** 2, axis=1))))

    @property
    def scatter(self) -> float:
        """Standard deviation of the residuals in one direction, pixels, for the numbers fitted."""
        spare = 2 * int(self.used.sum()) - self.free
        if spare <= 0:
            return float("nan")
        return float(np.sqrt(np.sum(self.residuals[self.used] ** 2) / spare))

    def angle_uncertainties(self) -> dict[str, float] | None:
        """Give the standard uncertainties of theta and phi, degrees; None if unknown."""
        if self.free < 2 or not np.isfinite(self.covariance).all():
            return None
        (a, b), (c, d) = self.matrix
        along_x, along_y = b * b + d * d, a * a + c * c
        theta = np.array([0.0, -d, 0.0, b]) / along_x
        rest = np.array([c, 0.0, -a, 0.0]) / along_y
        slopes = np.stack([theta, rest + theta])
        spread = np.sqrt(np.maximum(np.einsum("kn,nm,km->k", slopes, self.covariance, slopes), 0))
        if not np.isfinite(spread).all() or spread.max() > np.pi:
            return None
        return dict(zip(("theta_deg", "phi_deg"), np.degrees(spread).tolist(), strict=True))


def stage_angles(matrix: ArrayLike) -> dict[str, float]:
    """Read a linear map as angles and lengths of a stage's steps.

    Parameters
    ----------
    matrix : array of shape (2, 2)
        From steps (row, column) to pixels (row, column).

    Returns
    -------
    dict
        ``theta_deg``, the angle between scanner and stage; ``phi_deg``, that between the stage's
        axes; ``non_perpendicularity_deg``, phi - 90; ``step_y`` and ``step_x``, the length of a
        step along the rows' and the columns' axis.
    """
    (a, b), (c, d) = np.asarray(matrix, np.float64)
    theta = np.degrees(np.arctan2(-b, d))
    phi = wrapped(np.degrees(np.arctan2(a, c)) + theta)
    return {
        "theta_deg": float(theta),
        "phi_deg": float(phi),
        "non_perpendicularity_deg": float(phi - 90.0),
        "step_y": float(np.hypot(a, c)),
        "step_x": float(np.hypot(b, d)),
    }


def fit_stage(
    steps: ArrayLike,
    displacements: ArrayLike,
    information: ArrayLike | None = None,
    blocks: ArrayLike | None = None,
) -> StageFit:
    """Fit displacement = A step by robust least squares.

    Parameters
    ----------
    steps : array of shape (n, 2)
        Steps of the stage (row, column) from one tile to the other, in any unit.
    displacements : array of shape (n, 2)
        What the pictures say, pixels (row, column).
    information : array of shape (n, 2, 2), optional
        Inverse covariance of each, 1/px².
    blocks : array of int of shape (n,), optional
        Displacements of one block share what is wrong with them.

    Returns
    -------
    StageFit
        If the steps lie on a line, a turn and a scale are all that can be told: the axes are then
        taken to be perpendicular and alike. Without any displacement the map is a unit matrix.
    """
    steps = np.asarray(steps, np.float64).reshape(-1, 2)
    displacements = np.asarray(displacements, np.float64).reshape(-1, 2)
    n = len(steps)
    if information is None:
        information = np.broadcast_to(np.eye(2) / USUAL_ERROR_PX**2, (n, 2, 2))
    design, free = _design(steps)
    if free == 0:
        return StageFit(
            matrix=np.eye(2), covariance=np.full((4, 4), np.inf), residuals=displacements - steps,
            weights=np.ones(n), free=0,
        )  # fmt: skip
    entries = _entries(free)
    fitted = robust.fit(
        design,
        displacements,
        np.asarray(information, np.float64),
        blocks=np.arange(n) if blocks is None else np.asarray(blocks, np.int64),
    )
    return StageFit(
        matrix=(entries @ fitted.parameters).reshape(2, 2),
        covariance=entries @ np.nan_to_num(fitted.covariance, posinf=1e30) @ entries.T,
        residuals=fitted.residuals,
        weights=fitted.weights,
        free=free,
    )


def _design(steps: Floats) -> tuple[Floats, int]:
    """Write displacement = A step as a design matrix (n, 2, free), with the free numbers' count."""
    lengths = np.linalg.svd(steps, compute_uv=False) if len(steps) else np.zeros(2)
    if not len(lengths) or lengths[0] == 0:
        return np.zeros((len(steps), 2, 0)), 0
    free = 4 if len(lengths) == 2 and lengths[1] > FLAT * lengths[0] else 2
    whole = np.zeros((len(steps), 2, 4))
    whole[:, 0, :2] = whole[:, 1, 2:] = steps
    return whole @ _entries(free), free


def _entries(free: int) -> Floats:
    """Give the entries of A, row by row, that the free numbers stand for."""
    if free == 4:
        return np.eye(4)
    return np.array([[1.0, 0.0], [0.0, -1.0], [0.0, 1.0], [1.0, 0.0]])
