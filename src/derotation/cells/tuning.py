"""What a cell follows: the angle, or the angular velocity; and whether that could be chance.

A trace is explained by smooth functions of the angle (cosines and sines) and by the velocity,
signed and unsigned, each as the calcium indicator would show it: followed by an exponential decay.
What is said of the angle is what it explains beyond the velocity, and the other way round: a cell
that answers to any turning is silent at the angle of rest, and would otherwise pass for tuned to
all other angles.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from derotation.cells.dff import harmonics

__all__ = ["Blocks", "Tuning", "blocks_of", "false_discovery_rate", "tuning_of"]

NDFloat = NDArray[np.float64]

ORDER = 4
# Degrees per second by which velocities are divided, so that all columns are of one size.
UNIT = 100.0
N_SHIFTS = 1000
# Curves are drawn at so many angles and velocities.
N_ANGLES = 36
N_VELOCITIES = 11
# Below, the sample rests (degrees per second).
REST = 1.0
# Without rotations the recording is cut into blocks of about this length.
BLOCK_S = 60.0
# What is explained has to lose so much of its size to have been brightness.
EXPLAINED = 0.25
MIN_SAMPLES = 50
# A cell that was not seen at so large a part of the session's angles says nothing about them.
MIN_ANGLES = 0.6
# Waves of a curve are held back by so much times the square of their number per turn: what is seen
# of some angles only would make any wave at the others.
SMOOTHNESS = 0.01
N_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Stretches of a recording that are shifted and left out as a whole."""

    edges: NDArray[np.int64]
    """Their first frames, and the end of the last one, shape (n + 1,)."""

    def __len__(self) -> int:
        return len(self.edges) - 1

    def slices(self) -> list[slice]:
        """Give the frames of each."""
        return [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]

    def folds(self) -> list[NDArray[np.int64]]:
        """Group blocks into up to five that are left out in turn: numbers of blocks."""
        n = min(len(self), N_FOLDS)
        return [np.arange(k, len(self), n) for k in range(n)]


def blocks_of(
    n_frames: int, frame_rate: float, rotation_frames: Sequence[float] | NDFloat = ()
) -> Blocks:
    """Cut a recording into blocks.

    Parameters
    ----------
    n_frames : int
        Length of the recording.
    frame_rate : float
        Frames per second, Hz.
    rotation_frames : sequence of float
        The frame in which each rotation by a full turn begins; without at least two of them, blocks
        have about a minute.

    Returns
    -------
    Blocks
        Each from the middle of the rest before its rotation (at most 2 s) to the next one.
    """
    starts = np.asarray(rotation_frames, np.float64)
    if len(starts) >= 2:
        before = min(2 * frame_rate, 0.1 * float(np.min(np.diff(starts))))
        inner = np.rint(starts[1:] - before).astype(np.int64)
    else:
        n = max(int(n_frames / (BLOCK_S * frame_rate)), 1)
        inner = np.linspace(0, n_frames, n + 1).astype(np.int64)[1:-1]
    inner = np.unique(inner[(inner > 0) & (inner < n_frames)])
    return Blocks(edges=np.concatenate([[0], inner, [n_frames]]).astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """What a trace has to do with angle and velocity; numbers are NaN where that is not known."""

    n_samples: int
    """Samples that are known."""
    angle_p: float
    """Chance of so much explained by the angle if it had nothing to do with it."""
    angle_variance: float
    """Part of the variance that the angle explains in rotations that were held out; below 0 if it
    predicts worse than nothing."""
    preferred_angle: float
    """Direction of the mean vector of the curve (above its lowest value), degrees, 0 to 360."""
    vector_length: float
    """Length of that vector relative to the curve's sum, 0 to 1."""
    peak_angle: float
    """Angle of the highest value, degrees."""
    peak: float
    """Highest minus lowest value."""
    width: float
    """Width of the peak half way down, degrees."""
    velocity_p: float
    """As `angle_p`, for signed and unsigned velocity together."""
    velocity_variance: float
    """As `angle_variance`."""
    slope: float
    """Change with signed velocity, per 100 degrees/s; positive if it grows with growing angles."""
    speed_slope: float
    """Change with unsigned velocity, per 100 degrees/s."""
    angle_brightness: bool
    """Whether what the angle explains is brightness: of the light, of the neuropil, of movement."""
    velocity_brightness: bool
    """The same for the velocity."""
    angle_curve: NDFloat
    """Value at the middle of each of 36 bins of angles, as fitted, shape (36,)."""
    velocity_curve: NDFloat
    """Mean in each bin of velocities, shape (11,)."""


def velocity_edges(velocity: NDFloat) -> NDFloat:
    """Choose bins of velocities (12 edges, degrees per second), symmetrical, rest in the middle."""
    known = np.abs(velocity[np.isfinite(velocity)])
    top = float(np.quantile(known, 0.999)) if len(known) else 0.0
    top = max(top, 2 * REST)
    side = np.linspace(REST, 1.001 * top, N_VELOCITIES // 2 + 1)
    return np.concatenate([-side[::-1], side])


def tuning_of(
    trace: NDFloat,
    corrected: NDFloat,
    angle: NDFloat,
    velocity: NDFloat,
    *,
    frame_rate: float,
    blocks: Blocks,
    edges: NDFloat,
    decay_s: float = 1.0,
    nuisance: NDFloat | None = None,
    seed: int = 0,
) -> Tuning:
    """Tell what a trace follows.

    Parameters
    ----------
    trace : ndarray of shape (frame,)
        Change of fluorescence; NaN where it is not known.
    corrected : ndarray of shape (frame,)
        The same without what brightness by angle explains.
    angle, velocity : ndarray of shape (frame,)
        At each sample's time, degrees and degrees per second; NaN where they are not known.
    frame_rate : float
        Frames per second, Hz.
    blocks : Blocks
        The rotations, see :func:`blocks_of`.
    edges : ndarray of shape (12,)
        Edges of the bins of velocities.
    decay_s : float
        Decay time of the indicator, s; 0: none.
    nuisance : ndarray of shape (frame, k), optional
        What else may explain brightness (displacement, part that was seen); taken out of
        `corrected`.
    seed : int
        The random shifts follow from it.

    Returns
    -------
    Tuning

    Notes
    -----
    A p-value compares what is explained with 1000 traces whose blocks were shifted circularly, each
    by its own random time: within blocks, so that rotations that are all alike are no obstacle. Of
    a single turn nothing can be told: a slow change would do as well, and p is near 1.
    """
    known = np.isfinite(trace) & np.isfinite(angle) & np.isfinite(velocity)
    known &= np.isfinite(corrected)
    if known.sum() < MIN_SAMPLES or np.ptp(trace[known]) == 0:
        return _nothing(int(known.sum()))
    turns, speeds, moving = _regressors(angle, velocity, known, decay_s * frame_rate)
    # An answer to turning that is not in proportion to the speed is none to the angle.
    any_speed = np.concatenate([speeds, moving], axis=1)
    rng = np.random.default_rng(seed)
    shifts = np.stack([rng.integers(0, b - a, N_SHIFTS) for a, b in _pairs(blocks)])
    ones = known[:, np.newaxis].astype(np.float64)
    value = np.where(known, trace, 0.0)
    own = np.where(known, corrected, 0.0)
    extra = ones if nuisance is None else np.concatenate([ones, _clean(nuisance, known)], axis=1)

    found = {}
    for name, design, other in (("angle", turns, any_speed), ("velocity", speeds, turns)):
        others = np.concatenate([ones, other], axis=1)
        p, size = _test(value, known, design, others, blocks, shifts)
        others = np.concatenate([extra, other], axis=1)
        p_left, left = _test(own, known, design, others, blocks, shifts)
        found[name] = (p, bool(p_left > 0.05 or left < EXPLAINED * size))
    everything = np.concatenate([ones, turns, speeds], axis=1)
    n_turns = turns.shape[1]
    is_turn = np.zeros(everything.shape[1], np.bool_)
    is_turn[1 : 1 + n_turns] = True
    is_speed = np.zeros_like(is_turn)
    is_speed[1 + n_turns :] = True
    moments = _Moments(everything, value, known, blocks)
    weights = moments.fit(np.arange(len(blocks)), np.ones_like(is_turn))
    curve = harmonics((np.arange(N_ANGLES) + 0.5) * 360 / N_ANGLES, ORDER) @ weights[is_turn]
    curve = curve + float(value[known].mean())
    there, told = _angle_bins(angle[np.isfinite(angle)]), _angle_bins(angle[known])
    curve[~told] = np.nan
    enough = told.sum() >= MIN_ANGLES * there.sum()
    signed, unsigned = weights[is_speed]
    return Tuning(
        n_samples=int(known.sum()),
        angle_p=found["angle"][0] if enough else np.nan,
        angle_variance=moments.held_out(is_turn),
        velocity_p=found["velocity"][0],
        velocity_variance=moments.held_out(is_speed),
        slope=float(signed),
        speed_slope=float(unsigned),
        angle_brightness=found["angle"][1],
        velocity_brightness=found["velocity"][1],
        angle_curve=curve,
        velocity_curve=_binned(value[known], velocity[known], edges),
        **_shape_of(weights[is_turn] if enough else np.full(n_turns, np.nan)),
    )


def _angle_bins(angle: NDFloat) -> NDArray[np.bool_]:
    """Tell which of the 36 bins of angles hold something."""
    bins = (np.mod(angle, 360) // (360 / N_ANGLES)).astype(int) % N_ANGLES
    return np.bincount(bins, minlength=N_ANGLES) > 0


def _pairs(blocks: Blocks) -> Iterator[tuple[int, int]]:
    return zip(blocks.edges[:-1].tolist(), blocks.edges[1:].tolist(), strict=True)


def _nothing(n: int) -> Tuning:
    numbers = (
        "angle_p", "angle_variance", "preferred_angle", "vector_length", "peak_angle", "peak",
        "width", "velocity_p", "velocity_variance", "slope", "speed_slope",
    )  # fmt: skip
    return Tuning(
        n_samples=n,
        angle_brightness=False,
        velocity_brightness=False,
        angle_curve=np.full(N_ANGLES, np.nan),
        velocity_curve=np.full(N_VELOCITIES, np.nan),
        **dict.fromkeys(numbers, np.nan),
    )


def _regressors(
    angle: NDFloat, velocity: NDFloat, known: NDArray[np.bool_], decay: float
) -> tuple[NDFloat, NDFloat, NDFloat]:
    """Give functions of angle, velocity and turning as the indicator shows them; 0 if not known."""
    frames = np.arange(len(angle))
    told = np.isfinite(angle) & np.isfinite(velocity)
    # Over gaps the last known values go on: the indicator remembers them.
    last = np.maximum.accumulate(np.where(told, frames, np.flatnonzero(told)[0]))
    turns = harmonics(angle[last], ORDER)
    speed = velocity[last] / UNIT
    speeds = np.stack([speed, np.abs(speed)], axis=1)
    turning = np.abs(speed) > REST / UNIT
    moving = np.stack([turning, turning * np.sign(speed)], axis=1).astype(np.float64)
    found = (turns, speeds, moving)
    if decay > 0:
        kept = float(np.exp(-1 / decay))
        found = (_decaying(turns, kept), _decaying(speeds, kept), _decaying(moving, kept))
    for one in found:
        one[~known] = 0
        one[known] -= one[known].mean(axis=0)
    return found


def _decaying(columns: NDFloat, kept: float) -> NDFloat:
    """Let each sample decay exponentially; a constant stays what it is."""
    state = signal.lfilter_zi([1 - kept], [1, -kept])[:, np.newaxis] * columns[:1]
    filtered, _ = signal.lfilter([1 - kept], [1, -kept], columns, axis=0, zi=state)
    return np.array(filtered)


def _clean(nuisance: NDFloat, known: NDArray[np.bool_]) -> NDFloat:
    """Center columns, and leave out those that do not change."""
    columns = np.where(known[:, np.newaxis], np.nan_to_num(nuisance), 0.0)
    columns[known] -= columns[known].mean(axis=0)
    return columns[:, np.abs(columns).max(axis=0) > 1e-9]


def _orthonormal(design: NDFloat) -> NDFloat:
    """Give an orthonormal basis of the space of columns."""
    vectors, sizes, _ = np.linalg.svd(design.T @ design)
    kept = sizes > 1e-9 * max(float(sizes[0]), 1e-300)
    return np.asarray(design @ (vectors[:, kept] / np.sqrt(sizes[kept])))


def _test(
    value: NDFloat,
    known: NDArray[np.bool_],
    design: NDFloat,
    other: NDFloat,
    blocks: Blocks,
    shifts: NDArray[np.int64],
) -> tuple[float, float]:
    """Tell how likely chance explains as much as a design does beyond others, and how much."""
    others = _orthonormal(other)
    left = np.where(known, value - others @ (others.T @ value), 0.0)
    own = _orthonormal(design - others @ (others.T @ design))
    # Samples that are missing move with a shifted trace: what is explained is told relative to what
    # there is where the design knows something.
    columns = np.concatenate([own, known[:, np.newaxis]], axis=1)
    moved = np.stack([left, left**2], axis=1)
    which = np.append(np.zeros(own.shape[1], np.int64), 1)
    sums = np.zeros((shifts.shape[1], columns.shape[1]))
    for part, shift in zip(blocks.slices(), shifts, strict=True):
        # Of all circular shifts at once.
        n = part.stop - part.start
        seen = np.conj(fft.rfft(moved[part], axis=0))[:, which]
        sums += fft.irfft(fft.rfft(columns[part], axis=0) * seen, n, axis=0)[shift]
    projected = own.T @ left
    size, energy = float(projected @ projected), float(left @ left)
    if not energy > 0:
        return 1.0, 0.0
    by_chance = np.einsum("sk,sk->s", sums[:, :-1], sums[:, :-1])
    by_chance /= np.maximum(sums[:, -1], 1e-12 * energy)
    p = (1 + np.count_nonzero(by_chance >= size / energy * (1 - 1e-9))) / (1 + len(by_chance))
    return float(p), size


class _Moments:
    """Sums of products per block, from which any fit without some blocks is made.

    Columns: a constant, waves of the angle, and others.
    """

    def __init__(
        self, design: NDFloat, value: NDFloat, known: NDArray[np.bool_], blocks: Blocks
    ) -> None:
        parts = blocks.slices()
        self._gram = np.stack([design[part].T @ design[part] for part in parts])
        self._with = np.stack([design[part].T @ value[part] for part in parts])
        self._square = np.array([value[part] @ value[part] for part in parts])
        self._sum = np.array([value[part].sum() for part in parts])
        self._n = np.array([known[part].sum() for part in parts])
        self._blocks = blocks
        wave = np.tile(np.arange(1, ORDER + 1), 2)
        n_others = design.shape[1] - 1 - len(wave)
        self._held_back = SMOOTHNESS * np.concatenate([[0.0], wave**2, np.zeros(n_others)])

    def fit(self, numbers: NDArray[np.int64], which: NDArray[np.bool_]) -> NDFloat:
        """Fit some columns in some blocks; a weight for all columns, 0 for the others."""
        gram = self._gram[numbers].sum(axis=0)[np.ix_(which, which)]
        gram = gram + np.diag(self._held_back[which] * np.diag(gram)) + 1e-12 * np.eye(len(gram))
        weights = np.zeros(len(which))
        weights[which] = np.linalg.solve(gram, self._with[numbers].sum(axis=0)[which])
        return weights

    def held_out(self, which: NDArray[np.bool_]) -> float:
        """Tell which part of the variance of blocks left out some columns explain beyond others."""
        folds = self._blocks.folds()
        if len(folds) < 2:
            return np.nan
        with_all, without, total = 0.0, 0.0, 0.0
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(self._blocks)), fold)
            with_all += self._error(fold, self.fit(rest, np.ones_like(which)))
            without += self._error(fold, self.fit(rest, ~which))
            n = max(int(self._n[fold].sum()), 1)
            total += float(self._square[fold].sum() - self._sum[fold].sum() ** 2 / n)
        return (without - with_all) / total if total > 0 else np.nan

    def _error(self, numbers: NDArray[np.int64], weights: NDFloat) -> float:
        gram, product = self._gram[numbers].sum(axis=0), self._with[numbers].sum(axis=0)
        square = float(self._square[numbers].sum())
        return square - 2 * float(weights @ product) + float(weights @ gram @ weights)


def _shape_of(weights: NDFloat) -> dict[str, float]:
    """Describe a curve of angles by its mean vector, its peak and its width."""
    names = ("preferred_angle", "vector_length", "peak_angle", "peak", "width")
    if not np.isfinite(weights).all():
        return dict.fromkeys(names, np.nan)
    angles = np.arange(360.0)
    curve = harmonics(angles, ORDER) @ weights
    above = curve - curve.min()
    vector = np.sum(above * np.exp(1j * np.radians(angles)))
    total = float(above.sum())
    top = int(np.argmax(curve))
    half = above >= above.max() / 2
    if half.all():
        width = 360.0
    else:
        # From the peak to both sides as far as it is above the half.
        right = int(np.argmin(np.roll(half, -top)))
        left = int(np.argmin(np.roll(half[::-1], top + 1)))
        width = float(right + left - 1)
    return {
        "preferred_angle": float(np.degrees(np.angle(vector)) % 360),
        "vector_length": float(abs(vector)) / total if total > 0 else np.nan,
        "peak_angle": float(angles[top]),
        "peak": float(above.max()),
        "width": width,
    }


def _binned(values: NDFloat, at: NDFloat, edges: NDFloat) -> NDFloat:
    """Average values in bins; NaN where there is none."""
    bins = np.searchsorted(edges, at, side="right") - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    n = np.bincount(bins[inside], minlength=len(edges) - 1)
    total = np.bincount(bins[inside], values[inside], minlength=len(edges) - 1)
    return np.asarray(np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0))


def false_discovery_rate(p: NDFloat) -> NDFloat:
    """Turn p-values into the false discovery rate at which each would be called.

    Parameters
    ----------
    p : ndarray of shape (n,)
        NaN for what was not tested.

    Returns
    -------
    ndarray of shape (n,)
        Benjamini and Hochberg's adjusted values [1]_, NaN where `p` is.

    References
    ----------
    .. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B
       57, 289-300 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    q = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    n = len(order)
    if n:
        scaled = p[order] * n / np.arange(1, n + 1)
        q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
