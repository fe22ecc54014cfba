"""Fit what many frames say by robust least squares, with honest uncertainties.

Each frame measures a few numbers x that depend linearly on the parameters: x = D p + error. Errors
are not white: neighboring frames share the same active cells, and all frames share the noise of
the reference. Therefore the scatter of the frames is learned from their residuals, and the
uncertainty comes from leaving out contiguous blocks of frames (block jackknife) and from what each
part of the reference adds.

What is measured may itself wander: the first two numbers of a frame are a shift, and a sample that
lives moves along a smooth path (:mod:`derotation.numerics.paths`). How smooth is learned from the
frames; the path and the parameters are then fitted together, so that neighboring frames count as
correlated (generalized least squares, [1]_).

.. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press
   (2006), section 2.7.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.paths import covariance as path_covariance
from derotation.numerics.paths import smooth

__all__ = ["Fit", "Wandering", "contiguous_blocks", "fit", "significance", "solve", "widening"]

NDFloat = NDArray[np.float64]

TUKEY = 4.685
# Blocks last about so long (s): transients of calcium indicators decay within a second or two.
BLOCK_S = 1.5
MIN_BLOCKS, MAX_BLOCKS = 8, 24
LEAST_DISTANCE_ROUNDS, ROUNDS = 10, 25
# Shifts wander if the logarithm of the likelihood rises by so much, and by more than this (px).
MIN_GAIN, MIN_WANDER = 15.0, 0.05
# What the path has on average, and what follows the motor, is of this size (px) before it is known.
MOST_WANDER = 3.0
# ... and a jump of this.
MOST_JUMP = 10.0
# Parts of the path whose variance is below this part of a frame's noise are left out.
LEAST_PART = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wandering:
    """What is known of a path along which the shifts that are measured may wander."""

    time_s: NDFloat
    """When each frame was recorded, ascending, s, shape (n,)."""
    follows: NDFloat
    """What the path may be proportional to (the speed of the motor), in units of its typical
    largest value, shape (n, k)."""
    shear: NDFloat | None = None
    """A frame takes a while: what the path's velocity (px/s) along x and along y adds to all that a
    frame measures beyond the shift, shape (n, m, 2)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Parameters and how well they are known."""

    parameters: NDFloat
    """Shape (p,)."""
    covariance: NDFloat
    """Shape (p, p); 1.96 times the root of its diagonal is a 95 % interval."""
    residuals: NDFloat
    """What each frame measured and the parameters do not explain, shape (n, m)."""
    weights: NDFloat
    """Weight of each frame from 0 (left out) to 1, shape (n,)."""
    precision: NDFloat
    """Inverse covariance of a single frame's error, shape (n, m, m)."""
    normal: NDFloat
    """Part of each frame in the normal equations, shape (n, p, p)."""
    moment: NDFloat
    """Its right-hand side, shape (n, p)."""
    prior: NDFloat
    """What is known of the parameters beforehand, shape (p, p)."""
    blocks: NDArray[np.int64]
    """Block of each frame, shape (n,)."""
    path: NDFloat
    """What the path along which shifts wander adds to what each frame measured, shape (n, m)."""

    @property
    def sd(self) -> NDFloat:
        """Standard uncertainties, shape (p,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def n_blocks(self) -> int:
        """Number of blocks that the uncertainty rests on."""
        return len(np.unique(self.blocks))


def contiguous_blocks(time_s: NDFloat) -> NDArray[np.int64]:
    """Assign frames to blocks of about equal size that lie together in time.

    Parameters
    ----------
    time_s : ndarray of shape (n,)
        When each frame was recorded, seconds, ascending.

    Returns
    -------
    ndarray of shape (n,)
        Block of each frame, from 0 on.
    """
    # Pauses between the frames, in which nothing was recorded, do not count.
    steps = np.diff(time_s)
    usual = float(np.median(steps)) if len(steps) else 0.0
    lasted = float(np.minimum(steps, 3 * usual).sum())
    n = int(np.clip(round(lasted / BLOCK_S), MIN_BLOCKS, MAX_BLOCKS))
    n = min(n, len(time_s))
    return np.asarray(np.arange(len(time_s)) * n // max(len(time_s), 1), dtype=np.int64)


def fit(
    design: NDFloat,
    measured: NDFloat,
    information: NDFloat,
    *,
    blocks: NDArray[np.int64],
    common: int = 0,
    reference: NDFloat | None = None,
    learn_scatter: bool = True,
    wandering: Wandering | None = None,
) -> Fit:
    """Fit parameters to what frames measured, robustly.

    Parameters
    ----------
    design : ndarray of shape (n, m, p)
        How the parameters change what a frame measures.
    measured : ndarray of shape (n, m)
        NaN where a frame could not be measured.
    information : ndarray of shape (n, m, m)
        Inverse covariance of a frame's error, as far as it is noise.
    blocks : ndarray of shape (n,)
        See :func:`contiguous_blocks`.
    common : int
        So many of the last parameters are the error of the reference, common to all frames. It is
        taken to be no larger than that of a single frame.
    reference : ndarray of shape (n, part, m), optional
        What each part of the reference, taken alone, would add to what was measured.
    learn_scatter : bool
        Frames scatter by more than noise; learn from the residuals by how much.
    wandering : Wandering, optional
        Allow for a smooth path that is added to the first two values, if there is one beyond doubt.

    Returns
    -------
    Fit

    Notes
    -----
    Weights are Tukey's biweight [1]_ of the residual's length in units of its covariance, after a
    start with weights that decrease with the distance, at which no far-off frame can pull.

    References
    ----------
    .. [1] P. J. Huber, E. M. Ronchetti, "Robust Statistics", 2nd ed., Wiley (2009).
    """
    known = np.asarray(np.isfinite(measured).all(axis=1) & np.isfinite(design).all(axis=(1, 2)))
    values = np.where(known[:, np.newaxis], measured, 0.0)
    design = np.where(known[:, np.newaxis, np.newaxis], design, 0.0)
    m, p = design.shape[1:]
    noise = _covariances(information, known)
    precision: NDFloat = np.asarray(np.linalg.inv(noise))
    weights: NDFloat = known.astype(np.float64)
    from scipy import special

    usual = np.sqrt(special.chdtri(m, 0.5) / m)
    path, root = np.zeros_like(values), None
    for turn in range(ROUNDS):
        prior = _prior(precision[known], p, common)
        normal, moment = _equations(design, values - path, precision, weights)
        if root is None:
            parameters = solve(normal.sum(axis=0) + prior, moment.sum(axis=0))
        else:
            assert wandering is not None
            effects = _effects(wandering, *values.shape)
            parameters, path, alone, left = _with_path(
                design, values, precision, weights, prior, root, effects
            )
        residuals = values - path - design @ parameters
        length = np.sqrt(np.einsum("ni,nij,nj->n", residuals, precision, residuals) / m)
        scale = max(float(np.median(length[known])) / usual, 1e-12)
        weights = _weights(length, scale, known, least_distance=turn < LEAST_DISTANCE_ROUNDS)
        if learn_scatter and turn in (LEAST_DISTANCE_ROUNDS - 1, 15, 20):
            if wandering is not None and turn < 20:
                root = _root_of_path(wandering, residuals[:, :2] + path[:, :2], noise, known)
                if root is None:
                    path = np.zeros_like(path)
            near = known & (length < TUKEY * scale)
            precision = np.asarray(np.linalg.inv(noise + _excess(residuals[near], noise[near])))
    normal, moment = _equations(design, values - path, precision, weights)
    covariance = _jackknife(normal, moment, prior, blocks)
    if root is not None:
        covariance += _inverse(left) - _inverse(alone)
    if reference is not None and reference.shape[1] > 1:
        covariance += _reference_covariance(design, reference, precision, weights, normal, prior)
    return Fit(
        parameters=parameters,
        covariance=covariance,
        residuals=np.where(known[:, np.newaxis], residuals, np.nan),
        weights=weights,
        precision=precision,
        normal=normal,
        moment=moment,
        prior=prior,
        blocks=blocks,
        path=path,
    )


def _weights(
    length: NDFloat, scale: float, known: NDArray[np.bool_], *, least_distance: bool
) -> NDFloat:
    """Weigh frames by the length of their residuals, `scale` being the usual one."""
    if least_distance:
        return np.asarray(np.where(known, 1 / np.maximum(length / scale, 0.1), 0.0))
    inside = np.clip(length / (TUKEY * scale), 0, 1)
    return np.asarray(np.where(known, (1 - inside**2) ** 2, 0.0))


def _root_of_path(
    wandering: Wandering, shifts: NDFloat, noise: NDFloat, known: NDArray[np.bool_]
) -> NDFloat | None:
    """Learn how far and how fast shifts wander: a root of the path's covariance, (n, 2, q).

    Of its displacement and its velocity.
    None if they do not, or hardly.
    """
    variances = np.einsum("nii->ni", noise[:, :2, :2])
    told = np.where(known[:, np.newaxis], shifts, np.nan)
    weight = np.where(known, 1 / variances.mean(axis=1), 0.0)[:, np.newaxis]
    regressors = np.concatenate([np.ones((len(shifts), 1)), wandering.follows], axis=1)
    pull, *_ = np.linalg.lstsq(
        np.sqrt(weight) * regressors, np.sqrt(weight) * np.nan_to_num(told), rcond=None
    )
    found = smooth(wandering.time_s, told - regressors @ pull, variances, np.arange(len(told)))
    size = float(np.sqrt(np.mean((found.places + regressors[:, 1:] @ pull[1:]) ** 2)))
    followed = float(np.sum(weight * (regressors[:, 1:] @ pull[1:]) ** 2))
    certain = (
        found.gain > MIN_GAIN
        or len(found.jumps) > 0
        or followed / found.roughness.scale > 2 * MIN_GAIN
    )
    if not certain or size < MIN_WANDER:
        return None
    n = len(told)
    spread = np.zeros((2 * n, 2 * n))
    if found.gain > 0:
        spread = path_covariance(wandering.time_s, found.roughness)
    spread[:n, :n] += MOST_WANDER**2 * (regressors @ regressors.T)
    # What came before and after a jump lies anywhere.
    after = (np.arange(n)[:, np.newaxis] >= found.jumps).astype(np.float64)
    spread[:n, :n] += MOST_JUMP**2 * (after @ after.T)
    sizes, axes = np.linalg.eigh(spread)
    # Velocities count as the displacements that they lead to within a tenth of a second or so.
    kept = sizes > LEAST_PART * float(np.median(variances[known]))
    if not kept.any():
        return None
    root = axes[:, kept] * np.sqrt(sizes[kept])
    return np.asarray(np.stack([root[:n], root[n:]], axis=1))


def _effects(wandering: Wandering, n: int, m: int) -> NDFloat:
    """Tell what displacement and velocity (last axis) along x and y do to values: (n, m, 2, 2)."""
    effects = np.zeros((n, m, 2, 2))
    effects[:, 0, 0, 0] = effects[:, 1, 1, 0] = 1
    if wandering.shear is not None:
        effects[..., 1] = wandering.shear
    return effects


def _with_path(
    design: NDFloat,
    values: NDFloat,
    precision: NDFloat,
    weights: NDFloat,
    prior: NDFloat,
    root: NDFloat,
    effects: NDFloat,
) -> tuple[NDFloat, NDFloat, NDFloat, NDFloat]:
    """Fit parameters and a path at once.

    Returns
    -------
    parameters : ndarray of shape (p,)
    path : ndarray of shape (n, m)
        What the path adds to the values of each frame.
    alone, left : ndarray of shape (p, p)
        What the frames tell of the parameters if there is no path, and if it has to be told from
        them; the difference of their inverses is what the path adds to the uncertainty.
    """
    if not effects[..., 1].any():  # the velocity does nothing
        root, effects = np.ascontiguousarray(root[:, :1]), effects[..., :1]
    q, p = root.shape[2], design.shape[2]
    normal, moment = _equations(design, values, precision, weights)
    pulled = np.einsum("nmak,nml->nakl", effects, precision * weights[:, np.newaxis, np.newaxis])
    # The path is root @ z, with z (2, q), along x and y, of variance 1.
    own = np.einsum("nakm,nmbl->nakbl", pulled, effects)
    rows = root.reshape(-1, q)
    blocks = np.empty((2, q, 2, q))
    for a, b in ((0, 0), (0, 1), (1, 1)):
        blocks[a, :, b] = rows.T @ (own[:, a, :, b] @ root).reshape(-1, q)
    blocks[1, :, 0] = blocks[0, :, 1].T
    inner = blocks.reshape(2 * q, 2 * q)
    inner[np.diag_indices(2 * q)] += 1
    told = np.concatenate([design, values[..., np.newaxis]], axis=2)
    crossed = np.concatenate([rows.T @ (pulled[:, a] @ told).reshape(-1, p + 1) for a in (0, 1)])
    eliminated = np.linalg.solve(inner, crossed)
    crossed = crossed[:, :p]
    total = normal.sum(axis=0) + prior
    left = total - crossed.T @ eliminated[:, :p]
    parameters = solve(left, moment.sum(axis=0) - crossed.T @ eliminated[:, p])
    z = (eliminated[:, p] - eliminated[:, :p] @ parameters).reshape(2, q)
    path = np.einsum("nmak,nka->nm", effects, root @ z.T)
    return parameters, path, total, left


def significance(values: NDFloat, covariance: NDFloat, n_blocks: int) -> float:
    """Tell how likely values are by chance if the truth is 0: Hotelling's test.

    Parameters
    ----------
    values : ndarray of shape (p,)
    covariance : ndarray of shape (p, p)
        As :func:`fit` gives it.
    n_blocks : int
        Blocks that the covariance rests on; if these are fewer than values, the covariance of
        noise should have been scaled instead, and the blocks only limit how well that is known.

    Returns
    -------
    float
        Probability, 0 to 1.
    """
    if not np.isfinite(covariance).all():
        return 1.0
    p = len(values)
    squared = float(values @ np.linalg.pinv(covariance, hermitian=True) @ values)
    # The covariance of a fit has been widened for the number of blocks, as this test does too.
    squared *= widening(n_blocks)
    n = max(n_blocks, p + 2)
    # scipy.stats says the same, but takes half a second to import.
    from scipy import special

    return float(special.fdtrc(p, n - p, max(squared, 0.0) * (n - p) / (p * (n - 1))))


def widening(n: int) -> float:
    """Factor on a variance from n samples with which 1.96 sd are a 95 % interval."""
    from scipy import special

    return float((special.stdtrit(n - 1, 0.975) / special.ndtri(0.975)) ** 2)


def _covariances(information: NDFloat, known: NDArray[np.bool_]) -> NDFloat:
    """Invert the information of frames; those that tell nothing get that of an average frame."""
    typical = information[known].mean(axis=0) if known.any() else np.eye(information.shape[1])
    filled = np.where(known[:, np.newaxis, np.newaxis], information, typical)
    return np.asarray(np.linalg.inv(filled))


def _excess(residuals: NDFloat, noise: NDFloat) -> NDFloat:
    """Tell by which covariance residuals scatter beyond noise."""
    beyond = residuals.T @ residuals / max(len(residuals), 1) - noise.mean(axis=0)
    size, axes = np.linalg.eigh((beyond + beyond.T) / 2)
    return np.asarray((axes * np.maximum(size, 0)) @ axes.T)


def _prior(precision: NDFloat, p: int, common: int) -> NDFloat:
    prior = np.zeros((p, p))
    if common:
        prior[p - common :, p - common :] = np.linalg.inv(np.linalg.inv(precision).mean(axis=0))
    return prior


def _equations(
    design: NDFloat, values: NDFloat, precision: NDFloat, weights: NDFloat
) -> tuple[NDFloat, NDFloat]:
    weighted = np.swapaxes(design, 1, 2) @ precision * weights[:, np.newaxis, np.newaxis]
    return weighted @ design, (weighted @ values[..., np.newaxis])[..., 0]


def solve(normal: NDFloat, moment: NDFloat) -> NDFloat:
    """Solve normal equations; what the frames do not tell is taken to be 0."""
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    size, axes = np.linalg.eigh(normal / np.outer(scale, scale))
    told = size > 1e-7 * size[-1]
    inverse = np.where(told, 1 / np.where(told, size, 1), 0)
    return np.asarray(axes @ (inverse * (axes.T @ (moment / scale))) / scale)


def _inverse(normal: NDFloat) -> NDFloat:
    """Invert normal equations as :func:`solve` does."""
    return np.stack([solve(normal, column) for column in np.eye(len(normal))], axis=1)


def _jackknife(
    normal: NDFloat, moment: NDFloat, prior: NDFloat, blocks: NDArray[np.int64]
) -> NDFloat:
    """Leave out one block after the other; widened for the small number of blocks."""
    names = np.unique(blocks)
    total, right = normal.sum(axis=0) + prior, moment.sum(axis=0)
    left_out = []
    for b in names:
        own = blocks == b
        left_out.append(solve(total - normal[own].sum(axis=0), right - moment[own].sum(axis=0)))
    n = len(names)
    if n < 3:
        return np.full_like(prior, np.inf)
    spread = np.asarray(left_out) - np.mean(left_out, axis=0)
    return np.asarray(spread.T @ spread * (n - 1) / n * widening(n))


def _reference_covariance(
    design: NDFloat,
    reference: NDFloat,
    precision: NDFloat,
    weights: NDFloat,
    normal: NDFloat,
    prior: NDFloat,
) -> NDFloat:
    """Tell how far the noise of the reference moves the parameters."""
    weighted = np.swapaxes(design, 1, 2) @ precision * weights[:, np.newaxis, np.newaxis]
    moments = np.einsum("npm,nkm->kp", weighted, np.nan_to_num(reference))
    total = normal.sum(axis=0) + prior
    moved = np.stack([solve(total, moment) for moment in moments])
    n = len(moved)
    moved -= moved.mean(axis=0)
    return np.asarray(moved.T @ moved / (n * (n - 1)) * widening(n))
