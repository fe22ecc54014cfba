"""Figures of the derotated frames and of their mean images."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.quality.along import Along
from derotation.quality.figures import Measured
from derotation.quality.residual import ResidualShift
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

__all__ = [
    "MAX_STRETCHES",
    "MIN_SEEN",
    "WORST_ERRORS",
    "WORST_PART",
    "coverage",
    "dark_frames",
    "median_correlations",
    "residual_shift",
    "rotating_correlation",
    "sharpness_gain",
    "usual_coverage",
]

# Part of the picture that all angles have to see for its sharpness to be compared.
MIN_SEEN = 0.05
# Stretches of dark frames that are named.
MAX_STRETCHES = 3
# The worst rotation counts if it is worse than usual by so many standard errors, and by this part.
WORST_ERRORS, WORST_PART = 4.0, 0.1


def dark_frames(statistics: Statistics, angles: Angles) -> Measured:
    """Count the frames that are dark."""
    known = np.isfinite(statistics.brightness)
    if not known.any():
        return Measured(said="Not measured: there is no frame at rest to compare with.")
    dark = known & ~statistics.lit
    share = 100 * float(dark.sum() / known.sum())
    if not dark.any():
        return Measured(value=0.0, said="All frames are lit.")
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    stretches = _stretches(dark)
    where = ", ".join(
        f"{seconds[first]:.1f} to {seconds[last]:.1f} s"
        for first, last in stretches[:MAX_STRETCHES]
    )
    more = " and elsewhere" if len(stretches) > MAX_STRETCHES else ""
    return Measured(
        value=share, said=f"{share:.1f} % of the frames are dark ({where}{more} into the movie)."
    )


def _stretches(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Give first and last index of each run of True, the longest first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]])))
    runs = [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
    return sorted(runs, key=lambda run: run[0] - run[1])


def residual_shift(residual: ResidualShift, along: Along) -> Measured:
    """Tell how far the mean images lie from the sample at rest."""
    rms, before = residual.rms(), residual.raw_rms()
    n = len(residual.angle)
    if rms is None:
        return Measured(
            before=before,
            said=f"Not measurable: at only {residual.measurable} of {n} angles is the mean image "
            "alike enough to the sample at rest to tell a shift from chance.",
        )
    length = np.hypot(*along.shift.T)
    others = along.others[np.isfinite(length[along.others])]
    said = (
        f"The mean images at {residual.measurable} of {n} angles lie within {rms:.2f} px "
        "(rms) of the sample at rest"
    )
    if not len(others):
        return Measured(value=rms, before=before, said=f"{said}.")
    worst = int(others[np.argmax(length[others])])
    said = f"{said}; farthest off, by {length[worst]:.2f} px, lies {along.place(worst)}."
    return Measured(value=rms, before=before, said=said)


def median_correlations(
    statistics: Statistics, turned: NDArray[np.bool_]
) -> tuple[float | None, float | None, float | None]:
    """Give the median correlation of frames at rest, of turned ones, and of raw turned ones."""
    lit = statistics.lit
    at_rest = lit & ~turned & (statistics.coverage > 0)
    return (
        _median(statistics.correlation[at_rest]),
        _median(statistics.correlation[lit & turned]),
        _median(statistics.raw_correlation[lit & turned]),
    )


def rotating_correlation(
    statistics: Statistics, turned: NDArray[np.bool_], along: Along
) -> Measured:
    """Compare the correlation of turned frames with that of frames at rest."""
    rest, own, raw = median_correlations(statistics, turned)
    if rest is None or own is None or rest <= 0:
        return Measured(
            said="Not measured: there are no frames at rest, no turned ones, or nothing in them."
        )
    value = own / rest
    said = (
        f"Turned frames correlate with the sample at rest by {own:.2f} (median), frames at "
        f"rest by {rest:.2f}."
    )
    likeness = np.where(along.segments.rest | _means_fit(along), np.nan, along.likeness)
    others = np.flatnonzero(np.isfinite(likeness + along.likeness_sd))
    if len(others):
        worst = int(others[np.argmin(likeness[others])])
        least, sd = float(likeness[worst]), float(along.likeness_sd[worst])
        # The worst of several is lower by chance.
        if least < value - max(WORST_ERRORS * sd, WORST_PART * value):
            value = least
            said += (
                f" The worst is {along.place(worst)}: {100 * least:.0f} % of what frames at "
                "rest do."
            )
    every = likeness + WORST_ERRORS * along.likeness_sd
    return Measured(value=value, before=None if raw is None else raw / rest, said=said, along=every)


def _means_fit(along: Along) -> NDArray[np.bool_]:
    """Tell the segments whose mean image is as like the sample at rest as those of others are.

    Frames of one angle may correlate less than others only because their noise is smoothed less,
    or since less of the sample is seen; their mean has hardly any noise.
    """
    others = along.correlation[~along.segments.rest]
    usual = _median(others)
    if usual is None:
        return np.zeros(len(along), np.bool_)
    return np.asarray(along.correlation > (1 - WORST_PART) * usual)


def sharpness_gain(statistics: Statistics) -> Measured:
    """Compare the sharpness of the mean of turned frames with that before."""
    always = np.isfinite(statistics.turned_mean) & np.isfinite(statistics.rest)
    if len(statistics.seen):
        always &= _in_pixels(np.asarray(statistics.seen.all(axis=0)), statistics.side, always.shape)
    if not len(statistics.angle) or always.mean() < MIN_SEEN:
        return Measured(said="Not measured: hardly any part of the picture is always seen.")
    after, before = (
        _sharpness(image, always) for image in (statistics.turned_mean, statistics.raw_turned_mean)
    )
    if before <= 0:
        return Measured(said="Not measured: there is nothing in the picture.")
    gain = after / before
    return Measured(
        value=gain, said=f"The mean of all turned frames is {gain:.1f} times as sharp as before."
    )


def _in_pixels(squares: NDArray[np.bool_], side: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the pixels (y, x) of marked squares; those that are left over are not."""
    height, width = (n * side for n in squares.shape)
    marked = np.zeros(shape, np.bool_)
    marked[:height, :width] = squares.repeat(side, axis=0).repeat(side, axis=1)
    return marked


def _sharpness(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Give the mean squared slope, slightly smoothed against noise."""
    filled = np.where(np.isfinite(image), image, image[inside].mean())
    slopes = np.gradient(ndimage.gaussian_filter(filled, 1.0))
    return float(
        np.mean((slopes[0] ** 2 + slopes[1] ** 2)[ndimage.binary_erosion(inside, iterations=3)])
    )


def usual_coverage(statistics: Statistics, turned: NDArray[np.bool_]) -> Measured:
    """Tell which part of the picture a turned frame sees."""
    median = _median(statistics.coverage[turned])
    if median is None:
        return Measured(
            said="Not measured: no usable frame was recorded while the sample was turned."
        )
    said = f"A turned frame sees {100 * median:.0f} % of the picture (median)."
    return Measured(value=median, said=said)


def coverage(statistics: Statistics, turned: NDArray[np.bool_], along: Along) -> Measured:
    """Judge by the rotation or step that sees least, where there are several."""
    usual = usual_coverage(statistics, turned)
    others = along.others[np.isfinite(along.coverage[along.others])]
    if usual.value is None or not len(others):
        return usual
    worst = int(others[np.argmin(along.coverage[others])])
    least = float(along.coverage[worst])
    return Measured(
        value=least,
        said=f"{usual.said[:-1]}; least is seen in {along.place(worst)}: {100 * least:.0f} %.",
        along=np.where(along.segments.rest, np.nan, along.coverage),
    )


def _median(values: NDArray[np.float64]) -> float | None:
    """Give the median of what is known; None if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
