"""What a cell follows: the angle, or the angular velocity; and whether that could be chance.

A trace is explained by smooth functions of the angle (cosines and sines) and by the velocity,
signed and unsigned, each as the calcium indicator would show it: followed by an exponential decay.
What is said of the angle is what it explains beyond the velocity, and the other way round: a cell
that answers to any turning is silent at the angle of rest, and would otherwise pass for tuned to
all other angles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from derotation.cells import VERDICTS
from derotation.cells.blocks import Blocks
from derotation.cells.chance import Chance, false_discovery_rate
from derotation.cells.dff import harmonics
from derotation.cells.products import across

__all__ = ["Called", "Tuning", "call", "tuning_of", "velocity_edges"]

NDFloat = NDArray[np.float64]

ORDER = 4
# Degrees per second by which velocities are divided, so that all columns are of one size.
UNIT = 100.0
# Answers to turning may decay so many times as fast or slowly as the indicator.
OTHER_DECAYS = (0.0, 0.5, 2.0)
# Curves are drawn at so many angles and velocities.
N_ANGLES = 36
N_VELOCITIES = 11
# Below, the sample rests (degrees per second).
REST = 1.0
# What is no more likely by chance is looked at further, and called tuned if it is among many.
LEVEL = 0.05
# What is explained has to lose so much of its size to have been brightness.
EXPLAINED = 0.25
MIN_SAMPLES = 50
# A cell that was not seen at so large a part of the session's angles says nothing about them.
MIN_ANGLES = 0.6
# Waves of a curve are held back by so much times the square of their number per turn: what is seen
# of some angles only would make any wave at the others.
SMOOTHNESS = 0.01


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
    """Change with unsigned velocity, per 100 degrees/s; NaN if all rotations go one way."""
    angle_brightness: bool
    """Whether what the angle explains is brightness: of the light, of the neuropil, of movement."""
    velocity_brightness: bool
    """The same for the velocity."""
    angle_curve: NDFloat
    """Value at the middle of each of 36 bins of angles, as fitted, shape (36,)."""
    velocity_curve: NDFloat
    """Mean in each bin of velocities, shape (11,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Called:
    """Which cells of a session are tuned."""

    q: NDFloat
    """False discovery rate of each cell, NaN where it was not tested."""
    verdict: NDArray[np.str_]
    """One of the keys of ``derotation.cells.VERDICTS`` for each."""

    @property
    def tuned(self) -> NDArray[np.bool_]:
        """Which cells are."""
        return np.asarray(self.verdict == "tuned")


def call(tunings: Sequence[Tuning], what: Literal["angle", "velocity"]) -> Called:
    """Tell which cells are tuned, by the false discovery rate among all of them.

    What does not foretell rotations that were held out is chance whatever its p-value, which is
    rough with few rotations; and of a single turn nothing is foretold.

    Parameters
    ----------
    tunings : sequence of Tuning
        All cells of a session.
    what : {"angle", "velocity"}

    Returns
    -------
    Called
    """

    def told(name: str) -> NDFloat:
        return np.array([getattr(one, f"{what}_{name}") for one in tunings], np.float64)

    p, variance = told("p"), told("variance")
    q = false_discovery_rate(p)
    samples = np.array([one.n_samples for one in tunings])
    # Of a cell that does not change nothing is told, not even a slope.
    nothing = ~np.isfinite([one.slope for one in tunings])
    found = np.select(
        [
            nothing | (samples < MIN_SAMPLES),
            ~np.isfinite(variance),
            ~np.isfinite(p),
            q > LEVEL,
            variance <= 0,
            told("brightness") > 0,
        ],
        list(VERDICTS)[:-1],
        "tuned",
    )
    return Called(q=q, verdict=found)


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
    by its own random time: within blocks, so that rotations that are all alike are no obstacle; and
    with 1000 random signs of what each block says, so that answers that differ from rotation to
    rotation do not pass for tuning. The higher one is told. Of a single turn nothing can be told: a
    slow change would do as well, and p is near 1.
    """
    known = np.isfinite(trace) & np.isfinite(angle) & np.isfinite(velocity)
    known &= np.isfinite(corrected)
    if known.sum() < MIN_SAMPLES or np.ptp(trace[known]) == 0:
        return _nothing(int(known.sum()))
    turns, speeds, moving = _regressors(angle, velocity, known, decay_s * frame_rate)
    value, own, shown = trace[known], corrected[known], blocks.among(known)
    ones = np.ones((len(value), 1))
    extra = ones if nuisance is None else np.concatenate([ones, _clean(nuisance[known])], axis=1)
    rng = np.random.default_rng(seed)

    def test(design: NDFloat, other: NDFloat) -> tuple[float, bool]:
        """Give the p-value, and whether brightness explains what is found."""
        p, size = Chance(design, np.concatenate([ones, other], axis=1), shown, rng).test(value)
        if p <= LEVEL:
            chance = Chance(design, np.concatenate([extra, other], axis=1), shown, rng)
            p_left, left = chance.test(own)
            return p, bool(p_left > LEVEL or left < EXPLAINED * size)
        return p, False

    # An answer to turning that is not in proportion to the speed is none to the angle.
    angle_p, angle_brightness = test(turns, np.concatenate([speeds, moving], axis=1))
    velocity_p, velocity_brightness = test(speeds, turns)
    everything = np.concatenate([ones, turns, speeds], axis=1)
    n_turns = turns.shape[1]
    is_turn = np.zeros(everything.shape[1], np.bool_)
    is_turn[1 : 1 + n_turns] = True
    is_speed = np.zeros_like(is_turn)
    is_speed[1 + n_turns :] = True
    moments = _Moments(everything, value, shown)
    weights = moments.fit(np.arange(len(shown)), np.ones_like(is_turn))
    there, told = _angle_bins(angle[np.isfinite(angle)]), _angle_bins(angle[known])
    enough = told.sum() >= MIN_ANGLES * there.sum()
    curve = harmonics((np.arange(N_ANGLES) + 0.5) * 360 / N_ANGLES, ORDER) @ weights[is_turn]
    curve = np.where(told, curve + float(value.mean()), np.nan)
    signed, *unsigned = weights[is_speed]
    return Tuning(
        n_samples=int(known.sum()),
        angle_p=angle_p if enough else np.nan,
        angle_variance=moments.held_out(is_turn),
        velocity_p=velocity_p,
        velocity_variance=moments.held_out(is_speed),
        slope=float(signed),
        speed_slope=float(unsigned[0]) if unsigned else np.nan,
        angle_brightness=angle_brightness,
        velocity_brightness=velocity_brightness,
        angle_curve=curve,
        velocity_curve=_binned(value, velocity[known], edges),
        **_shape_of(weights[is_turn] if enough else np.full(n_turns, np.nan)),
    )


def _angle_bins(angle: NDFloat) -> NDArray[np.bool_]:
    """Tell which of the 36 bins of angles hold something."""
    bins = (np.mod(angle, 360) // (360 / N_ANGLES)).astype(int) % N_ANGLES
    return np.bincount(bins, minlength=N_ANGLES) > 0


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
    """Give functions of angle, velocity and turning as the indicator shows them, where known."""
    frames = np.arange(len(angle))
    told = np.isfinite(angle) & np.isfinite(velocity)
    # Over gaps the last known values go on: the indicator remembers them.
    last = np.maximum.accumulate(np.where(told, frames, np.flatnonzero(told)[0]))
    turns = harmonics(angle[last], ORDER)
    speed = velocity[last] / UNIT
    speeds = np.stack([speed, np.abs(speed)], axis=1)
    turning = np.abs(speed) > REST / UNIT
    moving = np.stack([turning, turning * np.sign(speed)], axis=1).astype(np.float64)
    every = np.concatenate([speeds, moving], axis=1)
    # Rotations begin at one angle, where an answer to turning that rises sooner or falls later than
    # the indicator should would pass for one to that angle.
    other = [_decaying(every, decay * factor) for factor in OTHER_DECAYS]
    found = (
        _decaying(turns, decay),
        _decaying(speeds, decay),
        np.concatenate([_decaying(every[:, 2:], decay), *other], axis=1),
    )
    if _are_one(speeds[known]):
        # All rotations go one way: which sign means nothing.
        found = (found[0], found[1][:, :1], found[2])
    turns, speeds, moving = (one[known] - one[known].mean(axis=0) for one in found)
    return turns, speeds, moving


def _are_one(columns: NDFloat) -> bool:
    """Tell whether two columns are the same but for a factor."""
    gram = across(columns, columns)
    return bool(gram[0, 1] ** 2 > 0.9999 * gram[0, 0] * gram[1, 1])


def _decaying(columns: NDFloat, decay: float) -> NDFloat:
    """Let each sample decay exponentially (frames; 0: at once); a constant stays what it is."""
    if decay <= 0:
        return columns.copy()
    kept = float(np.exp(-1 / decay))
    state = signal.lfilter_zi([1 - kept], [1, -kept])[:, np.newaxis] * columns[:1]
    filtered, _ = signal.lfilter([1 - kept], [1, -kept], columns, axis=0, zi=state)
    return np.array(filtered)


def _clean(nuisance: NDFloat) -> NDFloat:
    """Center columns, and leave out those that do not change."""
    columns = np.nan_to_num(nuisance)
    columns = columns - columns.mean(axis=0)
    return np.asarray(columns[:, np.abs(columns).max(axis=0) > 1e-9])


class _Moments:
    """Sums of products per block, from which any fit without some blocks is made.

    Columns: a constant, waves of the angle, and others.
    """

    def __init__(self, design: NDFloat, value: NDFloat, blocks: Blocks) -> None:
        parts = blocks.slices()
        self._gram = np.stack([across(design[part], design[part]) for part in parts])
        self._with = np.stack([across(design[part], value[part]) for part in parts])
        self._square = np.array([value[part] @ value[part] for part in parts])
        self._sum = np.array([value[part].sum() for part in parts])
        self._n = np.diff(blocks.edges)
        self._blocks = blocks
        wave = np.tile(np.arange(1, ORDER + 1), 2)
        n_others = design.shape[1] - 1 - len(wave)
        self._held_back = SMOOTHNESS * np.concatenate([[0.0], wave**2, np.zeros(n_others)])

    def fit(self, numbers: NDArray[np.int64], which: NDArray[np.bool_]) -> NDFloat:
        """Fit some columns in some blocks; a weight for all columns, 0 for the others."""
        gram = self._gram[numbers].sum(axis=0)[np.ix_(which, which)]
        # Beside that as little as keeps apart what can hardly be told apart.
        held_back = (self._held_back[which] + 1e-6) * np.diag(gram)
        gram = gram + np.diag(held_back) + 1e-12 * np.eye(len(gram))
        weights = np.zeros(len(which))
        weights[which] = np.linalg.solve(gram, self._with[numbers].sum(axis=0)[which])
        return weights

    def held_out(self, which: NDArray[np.bool_]) -> float:
        """Tell which part of the variance of blocks left out some columns explain beyond others.

        That is how much better the columns foretell, alone or beside the others, than the others
        alone or the mean: what only makes up for the others' errors explains nothing.
        """
        folds = self._blocks.folds()
        if len(folds) < 2:
            return np.nan
        constant = np.zeros_like(which)
        constant[0] = True
        both, own, others, mean = 0.0, 0.0, 0.0, 0.0
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(self._blocks)), fold)
            both += self._error(fold, self.fit(rest, np.ones_like(which)))
            own += self._error(fold, self.fit(rest, which | constant))
            others += self._error(fold, self.fit(rest, ~which))
            n = max(int(self._n[fold].sum()), 1)
            mean += float(self._square[fold].sum() - self._sum[fold].sum() ** 2 / n)
        return (min(others, mean) - min(both, own)) / mean if mean > 0 else np.nan

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
