"""What can be measured of each rest and each rotation: the figures along a session."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.images.comparison import Comparison, radius
from derotation.io.files import write_text
from derotation.numerics.binning import binned
from derotation.quality.residual import MAX_SD, MAX_STEP, MIN_PEAK, rolled
from derotation.quality.trials import Trials
from derotation.signals.angles import Angles
from derotation.signals.segments import Segments
from derotation.streaming.statistics import Statistics

__all__ = ["Along", "measure_along"]

# Frames at rest at the session's beginning that the others are compared with.
MIN_REFERENCE = 8
MIN_SEEN = 0.2
# Smoothing of gradients (px): for the shift that is left, and for a change of scale.
SMOOTHING, WIDE_SMOOTHING = 1.5, 3.0
# What is fine and what is coarse in a picture (px): between these smoothings.
FINE, COARSE = (1.0, 2.0), (2.0, 6.0)
COLUMNS = (
    "segment", "kind", "rotation", "first_frame", "last_frame", "n_frames", "start_s", "stop_s",
    "shift_x_px", "shift_y_px", "scale_pct", "correlation", "likeness", "sharpness", "brightness",
    "coverage", "clock_shift_frames", "direction_sign", "bad", "what",
)  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class Along:
    """Figures of a session's segments, in the order of time; NaN where not measured."""

    segments: Segments
    first: NDArray[np.int64]
    """First frame of each, shape (segment,)."""
    last: NDArray[np.int64]
    """Last frame."""
    n_frames: NDArray[np.int64]
    """Its frames that were lit."""
    start_s: NDArray[np.float64]
    """Begin of the first frame, seconds since the movie began."""
    stop_s: NDArray[np.float64]
    """End of the last one."""
    shift: NDArray[np.float64]
    """Shift (x, y) of its mean image against the first rest, px, shape (segment, 2)."""
    scale_pct: NDArray[np.float64]
    """By how much its mean image is larger than the first rest, %."""
    scale_sd_pct: NDArray[np.float64]
    """Its standard uncertainty."""
    correlation: NDArray[np.float64]
    """Correlation of its mean image with the first rest, each at its own place."""
    likeness: NDArray[np.float64]
    """Correlation of its frames with the sample at rest (median), in units of frames at rest."""
    likeness_sd: NDArray[np.float64]
    """Standard error of that median."""
    sharpness: NDArray[np.float64]
    """Fine detail of the mean image, in units of the sharpest segments of its kind."""
    brightness: NDArray[np.float64]
    """Median brightness of its frames, the sample at rest being 1."""
    coverage: NDArray[np.float64]
    """Median coverage of its frames."""
    clock_shift: NDArray[np.int64]
    """Its frames fit the angles of frames so many later."""
    sign: NDArray[np.int64]
    """-1 where it fits only turned the other way."""
    bad: NDArray[np.bool_]
    """Segments that something is wrong with."""
    word: str = "rotation"
    """What a turn of the motor is called: a step, in the protocol incremental."""
    what: list[list[str]] = field(default_factory=list)
    """What is wrong with each, by the names of figures."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def rests(self) -> NDArray[np.int64]:
        """Numbers of the rests that can be judged."""
        return np.flatnonzero(self.segments.rest & (self.n_frames > 0))

    @property
    def others(self) -> NDArray[np.int64]:
        """Numbers of the rotations, steps and windows that can be judged."""
        return np.flatnonzero(~self.segments.rest & (self.n_frames > 0))

    def blame(self, segments: NDArray[np.int64] | list[int], name: str, *, bad: bool) -> None:
        """Note that a figure is not ok in some segments, or that these are bad."""
        for k in segments:
            self.what[int(k)].append(name)
            self.bad[int(k)] |= bad

    def bad_frames(self) -> NDArray[np.bool_]:
        """Tell the frames of bad segments, shape (frame,)."""
        of_frame = self.segments.of_frame
        return np.asarray((of_frame >= 0) & np.append(self.bad, False)[of_frame])

    def place(self, k: int) -> str:
        """Name a segment: what it is, its time and its frames."""
        return (
            f"{self.name(k)} ({self.start_s[k]:.1f} to {self.stop_s[k]:.1f} s, frames "
            f"{self.first[k]} to {self.last[k]})"
        )

    def name(self, k: int) -> str:
        """Name a segment: rest, rotation or step, counted from 1."""
        if self.segments.rest[k]:
            return f"rest {np.count_nonzero(self.segments.rest[: k + 1])}"
        first, last = self.segments.rotation[k] + 1, self.segments.last_rotation[k] + 1
        if first <= 0:
            return f"segment {k + 1}"
        return f"{self.word} {first}" if first == last else f"{self.word}s {first} to {last}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``quality.csv``: a row per segment; empty where a figure could not be measured.

        ``rotation`` counts from 1 on, as do the rows of the stimulus table; ``what`` names the
        figures of ``quality.json`` that are not ok there.
        """
        rows = [",".join(COLUMNS)]
        for k in range(len(self)):
            rest = bool(self.segments.rest[k])
            number = int(self.segments.rotation[k])
            cells: list[object] = [
                k, "rest" if rest else "turned", "" if number < 0 else number + 1,
                self.first[k], self.last[k], self.n_frames[k],
                f"{self.start_s[k]:.3f}", f"{self.stop_s[k]:.3f}",
                *(
                    "" if not np.isfinite(value) else f"{value:.5g}"
                    for value in (
                        *self.shift[k], self.scale_pct[k], self.correlation[k], self.likeness[k],
                        self.sharpness[k], self.brightness[k], self.coverage[k],
                    )
                ),
                self.clock_shift[k], self.sign[k], int(self.bad[k]), ";".join(self.what[k]),
            ]  # fmt: skip
            rows.append(",".join(str(cell) for cell in cells))
        write_text(path, "\n".join(rows) + "\n")


def measure_along(
    statistics: Statistics,
    angles: Angles,
    segments: Segments,
    trials: Trials | None,
    *,
    word: str = "rotation",
    threads: int = 1,
) -> Along:
    """Measure all figures of each segment.

    Parameters
    ----------
    statistics : Statistics
        What was collected while the movie was derotated.
    angles : Angles
        Angles of all lines, as the movie was derotated with them.
    segments : Segments
        How these divide the session.
    trials : Trials, optional
        How frames fit with other angles.
    word : str
        What a turn of the motor is called.
    threads : int
        Threads that share the images.

    Returns
    -------
    Along
    """
    n = len(segments)
    lit = segments.only(statistics.lit)
    frames = [segments.frames(k) for k in range(n)]
    own = [lit.frames(k) for k in range(n)]
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    first, last = (np.array([f[e] for f in frames], np.int64) for e in (0, -1))
    usual = _median(statistics.correlation[statistics.lit & segments.at_rest])
    likeness = [
        statistics.correlation[f] / usual if usual > 0 else np.full(len(f), np.nan) for f in own
    ]
    shift, scale, scale_sd, correlation, sharpness = _pictures(statistics, segments, own, threads)
    clock = np.zeros(n, np.int64)
    sign = np.ones(n, np.int64)
    if trials is not None:
        of_trial = segments.of_frame[trials.numbers]
        for k in np.unique(of_trial[of_trial >= 0]):
            clock[k] = trials.shift[of_trial == k][-1]
            sign[k] = trials.sign[of_trial == k].min()
    return Along(
        word=word,
        segments=segments,
        first=first,
        last=last,
        n_frames=np.array([len(f) for f in own], np.int64),
        start_s=seconds[first],
        stop_s=seconds[last] + 1 / angles.frame_rate,
        shift=shift,
        scale_pct=scale,
        scale_sd_pct=scale_sd,
        correlation=correlation,
        likeness=np.array([_median(values) for values in likeness]),
        likeness_sd=_median_sds(likeness, segments.rest),
        sharpness=sharpness,
        brightness=np.array([_median(statistics.brightness[f]) for f in frames]),
        coverage=np.array([_median(statistics.coverage[f]) for f in frames]),
        clock_shift=clock,
        sign=sign,
        bad=np.zeros(n, np.bool_),
        what=[[] for _ in range(n)],
    )


def _pictures(
    statistics: Statistics,
    segments: Segments,
    own: list[NDArray[np.int64]],
    threads: int,
) -> tuple[NDArray[np.float64], ...]:
    """Compare the mean images of segments with the first rest, and with the sample at rest."""
    n = len(segments)
    shift, scale, scale_sd = np.full((n, 2), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    correlation, sharpness = np.full(n, np.nan), np.full(n, np.nan)
    reference = _first_rest(statistics.segment_mean, segments, own)
    if reference is None:
        return shift, scale, scale_sd, correlation, sharpness
    side = max(statistics.rest.shape[0] // max(reference.shape[0], 1), 1)
    compared = _Reference(reference, binned(statistics.rest, side))

    def measure(k: int) -> None:
        if len(own[k]):
            image = statistics.segment_mean[k]
            shift[k], scale[k], scale_sd[k], correlation[k], sharpness[k] = compared.measure(image)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        list(pool.map(measure, range(n)))
    for kind in (segments.rest, ~segments.rest):
        known = kind & np.isfinite(sharpness)
        if known.any():
            best = float(np.quantile(sharpness[known], 0.8))
            sharpness[kind] = sharpness[kind] / best if best > 0 else np.nan
    return shift * side, scale, scale_sd, correlation, sharpness


def _first_rest(
    means: NDArray[np.float32], segments: Segments, own: list[NDArray[np.int64]]
) -> NDArray[np.float32] | None:
    """Average the first rests, until there are enough frames; None if nothing rests."""
    rests = [k for k in np.flatnonzero(segments.rest).tolist() if len(own[k])]
    if not rests:
        return None
    chosen, n = [], 0
    for k in rests:
        chosen.append(k)
        n += len(own[k])
        if n >= MIN_REFERENCE:
            break
    weights = np.array([len(own[k]) for k in chosen], np.float32) / n
    return np.asarray(np.tensordot(weights, means[chosen], 1), np.float32)


class _Reference:
    """Compares mean images with one."""

    def __init__(self, reference: NDArray[np.float32], rest: NDArray[np.float32]) -> None:
        self._known = np.isfinite(reference)
        self._image = _filled(reference, self._known)
        self._comparison = Comparison(self._image)
        self._comparison.regressors_at(SMOOTHING)
        self._comparison.regressors_at(WIDE_SMOOTHING)
        self._smooth = ndimage.gaussian_filter(self._image, SMOOTHING)
        self._rest_known = np.isfinite(rest)[: reference.shape[0], : reference.shape[1]]
        rest = _filled(rest[: reference.shape[0], : reference.shape[1]], self._rest_known)
        self._fine, self._coarse = _bands(rest)

    def measure(
        self, image: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], float, float, float, float]:
        """Give shift, scale (%), its uncertainty, correlation and sharpness."""
        nothing = (np.full(2, np.nan), np.nan, np.nan)
        known = np.isfinite(image)
        both = known & self._known
        if both.mean() < MIN_SEEN:
            return *nothing, np.nan, np.nan
        filled = _filled(image, known)
        inside = ndimage.uniform_filter(both.astype(np.float32), 7) > 0.999
        correlation = np.nan
        if inside.sum() > 100:
            smooth = ndimage.gaussian_filter(filled, SMOOTHING)
            correlation = float(np.corrcoef(smooth[inside], self._smooth[inside])[0, 1])
        coarse, _, distinction = self._comparison.peak(filled, both)
        if distinction < MIN_PEAK:
            return *nothing, correlation, np.nan
        whole = np.round(coarse)
        moved, still_known = rolled(filled, whole), rolled(known, whole) & self._known
        step, information, _ = self._comparison.gradients(moved, still_known, SMOOTHING)
        wide, wide_information, _ = self._comparison.gradients(moved, still_known, WIDE_SMOOTHING)
        shift = np.full(2, np.nan)
        if np.isfinite(step).all() and np.hypot(*step[:2]) < MAX_STEP:
            sd = np.sqrt(np.diag(np.linalg.pinv(information))[:2].max())
            if sd < MAX_SD:
                shift = whole + step[:2]
        part = 100 / radius(self._image.shape) / 2
        scale = part * float(wide[2] + wide[5])
        covariance = np.linalg.pinv(wide_information)
        scale_sd = part * float(np.sqrt(max(covariance[2, 2] + covariance[5, 5], 0.0)))
        return shift, scale, scale_sd, correlation, self._sharpness(moved, still_known)

    def _sharpness(self, image: NDArray[np.float32], known: NDArray[np.bool_]) -> float:
        """Compare what is fine with what is coarse; noise is no detail, since it is elsewhere."""
        inside = ndimage.uniform_filter((known & self._rest_known).astype(np.float32), 9) > 0.999
        fine, coarse = _bands(image)
        shared = float(np.sum((coarse * self._coarse)[inside]))
        return float(np.sum((fine * self._fine)[inside])) / shared if shared > 0 else np.nan


def _filled(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    mean = float(image[known].mean()) if known.any() else 0.0
    return np.where(known, image, mean).astype(np.float32)


def _bands(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    one, two, six = (ndimage.gaussian_filter(image, s) for s in (*FINE, COARSE[1]))
    return one - two, two - six


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _median_sds(values: list[NDArray[np.float64]], rest: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the standard error of each segment's median; NaN of fewer than three values.

    A few values may agree by chance: none spread less than those of the usual segment of its kind.
    """
    known = [own[np.isfinite(own)] for own in values]
    spread = np.array([1.4826 * _median(np.abs(own - _median(own))) for own in known])
    n = np.array([len(own) for own in known])
    spread[n < 3] = np.nan
    for kind in (rest, ~rest):
        spread[kind] = np.maximum(spread[kind], _median(spread[kind]))
    return np.asarray(1.25 * spread / np.sqrt(np.maximum(n, 1)))
