"""A smooth model of the light over the microscope's field, fitted to a sample that turns under it.

The brightness of part p of the sample in frame f is ``d + exp(s_p + t_f + g(place))``: the part's
own brightness, that of the whole frame (the laser drifts, a dye bleaches), and the light at the
place of the field where the part was seen; d is what the detector's offset was misjudged by. All
are fitted together, by least squares with weights from the
noise that is learned from what is left, and with little regard to what differs much (active cells).
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from derotation.light.field import Field
from derotation.numerics.robust import widening

__all__ = ["LightFit", "fit_light"]

Floats = NDArray[np.float64]

# Rounds of reweighting: first with little, then without any regard to what is far off.
ROUNDS, MILD_ROUNDS = 12, 5
LEARN_NOISE = (1, 2, 4, 6, 8)
CAUCHY, TUKEY = 2.0, 4.685
NOISE_GROUPS = 12
# Parts that were seen in fewer frames, or scatter by more than this part of their brightness, do
# not take part.
LEAST_FRAMES = 6
LEAST_SHARE = 0.125
MAX_SCATTER = 0.7
# What is known beforehand: the logarithm of the light varies by no more than about so much, that
# of whole frames by so much.
LIGHT_SD = 1.0
FRAME_SD = 0.5
# The detector's offset is misjudged by no more than about this part of the usual brightness; it
# lies below this part of that of the darkest part of the sample.
LEVEL_SD = 0.5
MAX_LEVEL = 0.9
# Even light does not tell it: only from this standard deviation of the light on it is looked for.
LEVEL_ROUND = 4
LEAST_UNEVEN = 0.03
# Nothing is darker than this part of the usual brightness.
DARKEST = 1e-3
# With angles or a center that are wrong nothing fits, and steps may lead anywhere.
BRIGHTEST = 1e3
SMOOTHNESS = 10.0
SMOOTHEST = 1e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightFit:
    """The light, and what was fitted with it."""

    coefficients: Floats
    """Of the functions of a :class:`Field`; logarithm of the light, shape (len,)."""
    covariance: Floats
    """Their covariance, shape (len, len)."""
    covariance_at_level: Floats
    """The same if the level were known: an error of it makes all light look stronger or weaker,
    but does not make even light uneven."""
    level: float
    """What of the brightness is no light: to be added to the detector's offset."""
    parts: Floats
    """Logarithm of the brightness of each part, NaN for those that took no part, shape (p,)."""
    drift: Floats
    """Logarithm of the brightness of each frame, shape (n,)."""


def fit_light(
    values: Floats, places: Floats, field: Field, blocks: NDArray[np.int64]
) -> LightFit | None:
    """Fit the light to how bright parts of the sample were at different places of the field.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Brightness of each part in each frame above the detector's offset; NaN where unknown.
    places : ndarray of shape (n, p, 2)
        Where in the field (x, y) each part was seen.
    field : Field
    blocks : ndarray of shape (n,)
        Frames that lie together in time share the activity of cells; see
        :func:`derotation.numerics.robust.contiguous_blocks`.

    Returns
    -------
    LightFit, or None if too few parts can be compared.

    Notes
    -----
    A generalized linear model with a logarithmic link by iteratively reweighted least squares, so
    that parts with few photons do not bias it; the variance is a + b mu + c mu^2, learned from the
    residuals. The smoothness of the light follows from the data (Wood and Fasiolo's
    generalized Fellner-Schall update [1]_). The covariance is the sandwich estimate over blocks of
    frames and over parts [2]_, plus what smoothness leaves open.

    References
    ----------
    .. [1] S. N. Wood, M. Fasiolo, "A generalized Fellner-Schall method for smoothing parameter
       optimization", Biometrics 73, 1071-1081 (2017), doi:10.1111/biom.12666
    .. [2] A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway
       clustering", J. Bus. Econ. Stat. 29, 238-249 (2011), doi:10.1198/jbes.2010.07136
    """
    used = _usable_parts(values)
    if used.sum() < LEAST_FRAMES:
        return None
    problem = _Problem(values[:, used], places[:, used], field)
    state = problem.start()
    for turn in range(ROUNDS):
        state = problem.step(state, turn)
    parts = np.full(values.shape[1], np.nan)
    parts[used] = state.parts
    covariance = problem.covariance(state, blocks)
    with_level = covariance[:-1, -1:]
    return LightFit(
        coefficients=state.light[:-1],
        covariance=covariance[:-1, :-1],
        covariance_at_level=covariance[:-1, :-1] - with_level @ with_level.T / covariance[-1, -1],
        level=problem.level(state),
        parts=parts,
        drift=state.drift,
    )


def _usable_parts(values: Floats) -> NDArray[np.bool_]:
    """Choose parts that were seen often enough and are bright enough to tell anything."""
    known = np.isfinite(values)
    often = known.sum(axis=0) >= max(LEAST_FRAMES, LEAST_SHARE * len(values))
    used = np.zeros(values.shape[1], np.bool_)
    seen = values[:, often]
    typical = np.nanmedian(seen, axis=0)
    scatter = 1.4826 * np.nanmedian(np.abs(seen - typical), axis=0)
    used[often] = (typical > 0) & (scatter < MAX_SCATTER * typical)
    return used


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """Where the iteration stands; see :class:`LightFit`."""

    light: Floats
    """The coefficients; the last one is the level in units of the usual brightness, shape (k,)."""
    parts: Floats
    """Shape (p,)."""
    drift: Floats
    """Shape (n,)."""
    noise: Floats
    """Variance as a polynomial of the brightness, shape (3,)."""
    smoothness: float
    """Factor of the roughness in what is minimized."""
    weights: Floats
    """Inverse variance of the logarithm, times the robust weight, shape (n, p)."""
    response: Floats
    """What the logarithm of the brightness would be if the model were linear, shape (n, p)."""
    normal: Floats
    """Normal matrix of the light after parts and frames were eliminated, shape (k, k)."""
    by_part: Floats
    """What the brightness of each part takes up of the design, shape (p, k)."""
    by_frame: Floats
    """What that of each frame takes up, shape (n, k)."""
    share: Floats
    """How the level changes the logarithm of the brightness, shape (n, p)."""
    level_sd: float
    """How far the level may be from 0; next to nothing as long as the light may be even."""


class _Problem:
    """The equations of parts, frames and light together."""

    def __init__(self, values: Floats, places: Floats, field: Field) -> None:
        self._known = np.isfinite(values)
        self._values = np.nan_to_num(values)
        self._design = field.design(places.reshape(-1, 2))
        self._roughness = field.roughness()
        n, p = values.shape
        rows = np.arange(n * p)
        ones = np.ones(n * p)
        self._typical = np.nanmedian(values, axis=0)
        self._unit = float(np.median(self._typical))
        self._sum_frames = sparse.csr_array((ones, (rows % p, rows)), shape=(p, n * p))
        self._sum_parts = sparse.csr_array((ones, (rows // p, rows)), shape=(n, n * p))

    def start(self) -> _State:
        """Begin with even light."""
        n, p = self._values.shape
        size = self._design.shape[1] + 1
        return _State(
            light=np.zeros(size), parts=np.log(self._typical), drift=np.zeros(n),
            noise=np.array([0.0, 0.0, 0.05**2]), smoothness=SMOOTHNESS,
            weights=np.ones((n, p)), response=np.zeros((n, p)),
            normal=np.eye(size), by_part=np.zeros((p, size)), by_frame=np.zeros((n, size)),
            share=np.zeros((n, p)), level_sd=1e-6,
        )  # fmt: skip

    def step(self, state: _State, turn: int) -> _State:
        """Weigh what was measured by what is left of it, and solve anew."""
        exponent = self._predict(state)
        lit, level = np.exp(exponent), self.level(state)
        expected = lit + level
        noise = state.noise
        if turn in LEARN_NOISE:
            noise = _learn_noise(self._values[self._known], expected[self._known])
        variance = noise @ np.stack([np.ones_like(lit), np.abs(expected), lit**2]).reshape(3, -1)
        variance = variance.reshape(lit.shape)
        off = (self._values - expected) / np.sqrt(variance)
        if turn < MILD_ROUNDS:
            robust = self._known / (1 + (off / CAUCHY) ** 2)
        else:
            robust = self._known * (1 - np.clip(off / TUKEY, -1, 1) ** 2) ** 2
        weights = robust * lit**2 / variance
        # The working response of a logarithmic link; the clip only matters for dark outliers.
        response = exponent + np.clip((self._values - expected) / lit, -3, 3)
        response += level / lit
        level_sd = state.level_sd
        if turn == LEVEL_ROUND:
            light = self._design @ state.light[:-1]
            if np.std(light[self._known.ravel()]) >= LEAST_UNEVEN:
                level_sd = LEVEL_SD
        state = dataclasses.replace(
            state, share=self._unit / lit, weights=weights, response=response, noise=noise,
            level_sd=level_sd,
        )  # fmt: skip
        return self._solve(state)

    def level(self, state: _State) -> float:
        """Give the part of the brightness that is no light."""
        highest = MAX_LEVEL * float(self._typical.min())
        return float(np.clip(state.light[-1] * self._unit, -self._unit, highest))

    def _predict(self, state: _State) -> Floats:
        light = (self._design @ state.light[:-1]).reshape(self._values.shape)
        exponent = state.parts + state.drift[:, None] + light
        low, high = (math.log(bound * self._unit) for bound in (DARKEST, BRIGHTEST))
        return np.asarray(np.clip(exponent, low, high))

    def _solve(self, state: _State) -> _State:
        """Solve for the light after parts, then frames, were eliminated."""
        weights, response = state.weights, state.response
        by_frame, by_part, raw, told = self._products(state)
        total = weights.sum(axis=0) + 1e-12
        frames = np.diag(weights.sum(axis=1) + 1 / FRAME_SD**2) - (weights / total) @ weights.T
        by_frame = by_frame - (weights / total) @ by_part
        mean = (weights * response).sum(axis=0) / total
        told = told - by_part.T @ mean
        told_frames = (weights * response).sum(axis=1) - weights @ mean
        eliminated = np.linalg.solve(frames, np.column_stack([by_frame, told_frames]))
        by_frame, frame_mean = eliminated[:, :-1], eliminated[:, -1]
        raw = raw - (by_part / total[:, None]).T @ by_part
        data = raw - by_frame.T @ (frames @ by_frame)
        told = told - by_frame.T @ (frames @ frame_mean)
        normal = data + self._prior(state)
        light = np.linalg.solve(normal, told)
        drift = frame_mean - by_frame @ light
        parts = mean - (by_part @ light + weights.T @ drift) / total
        by_part = (by_part - weights.T @ by_frame) / total[:, None]
        return dataclasses.replace(
            state, light=light, parts=parts, drift=drift, normal=normal, by_part=by_part,
            by_frame=by_frame, smoothness=self._smoothness(state.smoothness, normal, light),
        )  # fmt: skip

    def _products(self, state: _State) -> tuple[Floats, Floats, Floats, Floats]:
        """Sum the weighted design over frames (n, k) and parts (p, k), and normal equations."""
        from derotation.light.kernels import add_products

        n, p = self._values.shape
        k = self._design.shape[1] + 1
        sums = (np.zeros((n, k)), np.zeros((p, k)), np.zeros((k, k)), np.zeros(k))
        add_products(
            self._design.indices.reshape(n * p, -1), self._design.data.reshape(n * p, -1),
            state.share, state.weights, state.response, *sums,
        )  # fmt: skip
        return sums

    def _prior(self, state: _State) -> Floats:
        size = len(self._roughness)
        prior = np.eye(size + 1) / LIGHT_SD**2
        prior[:size, :size] += state.smoothness * self._roughness
        prior[size, size] = 1 / state.level_sd**2
        return prior

    def _smoothness(self, smoothness: float, normal: Floats, light: Floats) -> float:
        """Update how smooth the light is."""
        rough = float(light[:-1] @ self._roughness @ light[:-1])
        free = (len(light) - 5) / smoothness
        free -= float(np.sum(np.linalg.inv(normal)[:-1, :-1] * self._roughness))
        found = smoothness * max(free, 1e-12) / max(rough, 1e-30)
        return float(np.clip(found, 1e-3, SMOOTHEST))

    def covariance(self, state: _State, blocks: NDArray[np.int64]) -> Floats:
        """Tell how well the light is known, from the scatter of blocks of frames and of parts."""
        share = sparse.csr_array(state.share.reshape(-1, 1))
        design = sparse.hstack([self._design, share], format="csr")
        told = (design @ state.light).reshape(self._values.shape)
        left = state.weights * (state.response - state.parts - state.drift[:, None] - told)
        each = design.multiply(left.reshape(-1, 1)).tocsr()
        frames = (self._sum_parts @ each).toarray() - left @ state.by_part
        frames -= left.sum(axis=1)[:, None] * state.by_frame
        parts = (self._sum_frames @ each).toarray() - left.T @ state.by_frame
        parts -= left.sum(axis=0)[:, None] * state.by_part
        names = np.unique(blocks)
        summed = np.stack([frames[blocks == name].sum(axis=0) for name in names])
        scatter = summed.T @ summed * widening(max(len(names), 3)) + parts.T @ parts
        inverse = np.linalg.inv(state.normal)
        return np.asarray(inverse @ (scatter + self._prior(state)) @ inverse)


def _learn_noise(values: Floats, expected: Floats) -> Floats:
    """Learn the variance as a polynomial of the brightness from what is left: (3,)."""
    groups = np.array_split(np.argsort(expected), NOISE_GROUPS)
    at = np.array([np.median(expected[group]) for group in groups])
    left = values - expected
    variance = np.array([(1.4826 * np.median(np.abs(left[group]))) ** 2 for group in groups])
    middle = float(np.median(at))
    powers = np.stack([np.full_like(at, middle**2), at * middle, at**2], axis=1)
    scale = 1 / np.maximum(variance, 1e-12 * middle**2)
    found, _ = optimize.nnls(powers * scale[:, None], variance * scale)
    # Even without noise nothing is known better than this (0.3 %): it has been interpolated.
    return np.array([found[0] * middle**2, found[1] * middle, max(found[2], 1e-5)])
