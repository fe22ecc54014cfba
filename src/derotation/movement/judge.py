"""Whether a movement that was found may be believed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from derotation.errors import DetectionFailedError
from derotation.maps import transforms
from derotation.movement.correction import MovementCorrection
from derotation.movement.images import Picture

__all__ = ["Evidence", "Limits", "check_evidence", "check_plausible", "weigh_evidence"]

# Structure smoothed by so much (px) is compared.
SMOOTHING = 1.5
# The correlation has to peak where the movement puts it, to so many pixels, ...
MAX_PEAK_DISTANCE = 2.0
# ... and to stand out from the correlation at all other shifts by so many standard deviations. The
# best of many turns and shifts of unrelated pictures stands out by up to 15 and correlates by up to
# 0.3, wherever it is; one that points have told beforehand does not.
MIN_PEAK, MIN_CORRELATION = 15.0, 0.45
MIN_PEAK_BY_POINTS, MIN_CORRELATION_BY_POINTS = 6.0, 0.2
# So much of the smaller picture has to be common to both.
MIN_OVERLAP = 0.2
MAX_ROTATION = 45.0
MAX_SCALE = 1.25
# A movement below this (px) cannot be expected to make the images more alike.
SMALL_PX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a movement may be at most."""

    max_rotation: float = MAX_ROTATION
    """Degrees, in both directions."""
    max_scale: float = MAX_SCALE
    """As a factor; the smallest scale is its inverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How much speaks for a movement."""

    method: str
    """How it was found."""
    n_inliers: int | None
    """Pairs of points that agree on it; None where no points were used."""
    n_matches: int | None
    """Pairs of points that look alike."""
    ddscore: float
    """See :meth:`~derotation.movement.correction.MovementCorrection.get_ddscore`."""
    correlation_before: float
    """Of the pictures' structure where both are valid, without the movement."""
    correlation_after: float
    """The same with it."""
    peak: float
    """How far the correlation at the movement stands out from that at all other shifts, standard
    deviations."""
    peak_distance: float
    """Distance of the best shift from the movement, pixels."""
    overlap: float
    """The part of the smaller picture that is common to both, 0 to 1."""

    def as_dict(self) -> dict[str, Any]:
        """Give the fields for a JSON file."""
        return asdict(self)


def weigh_evidence(
    ref: Picture,
    moved: Picture,
    correction: MovementCorrection,
    method: str,
    n_inliers: int | None = None,
    n_matches: int | None = None,
) -> Evidence:
    """Compare the pictures before and after the movement."""
    target, start = ref.structure(SMOOTHING), moved.structure(SMOOTHING)
    warped, both = _drawn(ref, moved, correction.matrix)
    before = ref.valid & moved.valid
    spectrum = fft.rfft2(target * both, fft_shape(ref.shape))
    correlation = fft.irfft2(
        np.conj(spectrum) * fft.rfft2(warped * both, fft_shape(ref.shape)), fft_shape(ref.shape)
    )
    y, x = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    rows, columns = correlation.shape
    distance = np.hypot(min(int(y), rows - int(y)), min(int(x), columns - int(x)))
    near = correlation[np.ix_([-1, 0, 1], [-1, 0, 1])].max()
    spread = float(correlation.std())
    smaller = max(min(int(ref.valid.sum()), int(moved.valid.sum())), 1)
    return Evidence(
        method=method,
        n_inliers=n_inliers,
        n_matches=n_matches,
        ddscore=_ddscore(ref, moved, correction),
        correlation_before=_correlation(target, start, before),
        correlation_after=_correlation(target, warped, both),
        peak=float(near - correlation.mean()) / spread if spread > 0 else 0.0,
        peak_distance=float(distance),
        overlap=float(both.sum()) / smaller,
    )


def fft_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Give a size at which the Fourier transform is fast and shifts do not wrap around."""
    height, width = (fft.next_fast_len(n + n // 2, real=True) for n in shape)
    return height, width


def _ddscore(ref: Picture, moved: Picture, correction: MovementCorrection) -> float:
    here, there = (np.where(picture.valid, picture.image, np.nan) for picture in (ref, moved))
    return correction.get_ddscore(here, there)


def _drawn(
    ref: Picture, moved: Picture, matrix: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw the moved picture's structure as the reference sees it; what is valid in both."""
    x, y = transforms.apply_to_grid(transforms.invert(matrix[:2]), ref.shape)
    where = [y, x]
    warped = ndimage.map_coordinates(moved.structure(SMOOTHING), where, order=1)
    seen = ndimage.map_coordinates(moved.valid.astype(np.float32), where, order=1) > 0.999
    return warped, seen & ref.valid


def _correlation(
    one: NDArray[np.float32], other: NDArray[np.float32], where: NDArray[np.bool_]
) -> float:
    a, b = one[where].astype(np.float64), other[where].astype(np.float64)
    if a.size < 2:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    # Sums, since threads of a linear algebra library would wait for more work for a while.
    norm = np.sqrt(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b) / norm) if norm > 0 else 0.0


def check_plausible(correction: MovementCorrection, limits: Limits) -> None:
    """Refuse movements that no session makes.

    Raises
    ------
    DetectionFailedError
    """
    if abs(correction.rotation) > limits.max_rotation:
        msg = (
            f"implausible rotation: {correction.rotation:.1f} degrees, at most "
            f"{limits.max_rotation:g} are allowed"
        )
        raise DetectionFailedError(msg)
    stretch = np.linalg.svd(correction.matrix[:2, :2], compute_uv=False)
    if stretch.max() > limits.max_scale or stretch.min() < 1 / limits.max_scale:
        msg = (
            f"implausible scale: {correction.scale:.3f}, {1 / limits.max_scale:.3f} to "
            f"{limits.max_scale:.3f} is allowed"
        )
        raise DetectionFailedError(msg)


def check_evidence(correction: MovementCorrection, evidence: Evidence) -> None:
    """Refuse a movement for which too little speaks.

    Raises
    ------
    DetectionFailedError
        With all that speaks against it.
    """
    doubts = []
    if evidence.overlap < MIN_OVERLAP:
        doubts.append(f"only {100 * evidence.overlap:.0f} % of the picture is common to both")
    if evidence.peak_distance > MAX_PEAK_DISTANCE:
        doubts.append(
            f"the images fit better when shifted by another {evidence.peak_distance:.0f} px"
        )
    by_points = evidence.n_inliers is not None
    peak = MIN_PEAK_BY_POINTS if by_points else MIN_PEAK
    correlation = MIN_CORRELATION_BY_POINTS if by_points else MIN_CORRELATION
    if evidence.peak < peak or evidence.correlation_after < correlation:
        doubts.append(
            f"after it the images are not alike (correlation {evidence.correlation_after:.2f}, "
            f"{correlation:g} is needed; {evidence.peak:.1f} standard deviations above chance, "
            f"{peak:g} are needed)"
        )
    moves = correction.largest_shift() > SMALL_PX
    if moves and evidence.correlation_after <= evidence.correlation_before:
        doubts.append(
            f"it makes them no more alike: correlation {evidence.correlation_before:.2f} before, "
            f"{evidence.correlation_after:.2f} after"
        )
    if moves and evidence.ddscore < 0:
        doubts.append(f"more pixels get worse than better (DDScore {evidence.ddscore:.2f})")
    if doubts:
        raise DetectionFailedError(
            "the movement that was found is not believed: " + "; ".join(doubts)
        )
