"""Brightness as a function of the angle, so that lost light is not mistaken for activity.

When a sample is turned, it may become brighter or darker as a whole or in places: because the light
is uneven, because the plane of focus shifts, because the sample leaves it. Such *dark angles* come
back with the angle, activity does not.
"""

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.calibration.calibration import Calibration
from derotation.images.blob_detection import detect_blobs
from derotation.io.files import write_text
from derotation.light.brightness import ANGLE_BINS, Looks, Parts, angle_bins

__all__ = ["DarkAngles", "find_dark_angles"]

Floats = NDArray[np.float64]

MAX_BLOBS = 40
# A blob takes part if it was seen at this part of the angles.
MIN_SEEN = 0.5
MIN_PARTS = 4
# Variation counts if it is beyond this part of what chance makes of it (variances).
MIN_VARIATION = 2.0
# Dark angles that are named: darker than the mean by so much and by so many standard errors.
DARK, DARK_SDS = 0.05, 3.0
COLUMNS = "what,blob,x,y,angle,frames,brightness,relative,relative_sd,illumination,left"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DarkAngles:
    """How bright the whole field and each blob are at each angle, above the detector's offset."""

    angles: Floats
    """0, 10, ..., 350 degrees, shape (36,)."""
    frames: NDArray[np.int64]
    """Frames that were looked at near each angle, shape (36,)."""
    brightness: Floats
    """Mean brightness of the field (first row: what all frames see) and of each blob, gray values,
    shape (1 + blobs,)."""
    relative: Floats
    """Brightness at each angle over its mean, shape (1 + blobs, 36); NaN where nothing was seen."""
    relative_sd: Floats
    """Its standard error, shape (1 + blobs, 36)."""
    illumination: Floats
    """What the uneven light alone would make of it, shape (1 + blobs, 36); 1 if it is even."""
    counts: NDArray[np.int64]
    """Frames in each value, shape (1 + blobs, 36)."""
    positions: Floats
    """Places (x, y) of the blobs in the derotated picture, pixels, shape (blobs, 2)."""
    radii: Floats
    """Radii within which blobs were measured, pixels, shape (blobs,)."""
    picture: NDArray[np.float32]
    """Mean of the derotated frames, shape (y, x)."""
    statement: str
    """In plain words, what was found."""

    @property
    def left(self) -> Floats:
        """What the illumination does not account for, shape (1 + blobs, 36)."""
        return np.asarray(self.relative / self.illumination)

    def summary(self) -> dict[str, Any]:
        """Give the main figures for a JSON file."""
        field = variation(self, slice(0, 1))
        blobs = variation(self, slice(1, None))
        darkest = None
        if np.isfinite(self.relative[0]).any():
            darkest = float(self.angles[np.nanargmin(self.relative[0])])
        return {
            "statement": self.statement,
            "field_variation": _rounded(field[0]),
            "field_explained_by_illumination": _rounded(field[1]),
            "field_darkest_angle": darkest,
            "blobs": len(self.positions),
            "blobs_variation": _rounded(blobs[0]),
            "blobs_explained_by_illumination": _rounded(blobs[1]),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``dark_angles.csv``: a row for the field, and for each blob, at each angle."""
        rows = [COLUMNS]
        for k in range(len(self.relative)):
            where = "field,,,"
            if k:
                x, y = self.positions[k - 1]
                where = f"blob,{k},{x:.2f},{y:.2f}"
            for b in np.flatnonzero(self.counts[k]):
                rows.append(
                    f"{where},{self.angles[b]:g},{self.counts[k, b]},"
                    f"{self.relative[k, b] * self.brightness[k]:.6g},{self.relative[k, b]:.5f},"
                    f"{self.relative_sd[k, b]:.5f},{self.illumination[k, b]:.5f},"
                    f"{self.left[k, b]:.5f}"
                )
        write_text(path, "\n".join(rows) + "\n")


def find_dark_angles(
    looks: Looks,
    parts: Parts,
    calibration: Calibration,
    light: NDArray[np.float64] | None,
    level: float = 0.0,
) -> DarkAngles:
    """Measure the brightness of the field and of blobs at each angle.

    Parameters
    ----------
    looks : Looks
        Frames at many angles, at rest or slow where there are such.
    parts : Parts
        The squares of the sample in these frames.
    calibration : Calibration
    light : ndarray of shape (y, x), or None
        The light on raw pixels; None if it is even.
    level : float
        What of the brightness is no light.

    Returns
    -------
    DarkAngles

    Notes
    -----
    The value at an angle is the median over the frames within 5 degrees of it, of several
    rotations where there are several: a cell that was active in one of them does not count. Blobs
    have the angle of the line that saw them.
    """
    positions, radii, values = _measure_blobs(looks, calibration.center)
    places, angles = looks.line_maps.recorded_at(positions, looks.numbers)
    field, field_light = _measure_field(parts, light, level)
    traces = np.column_stack([field, values - level]) if len(positions) else field[:, None]
    bins = np.column_stack([angle_bins(looks.middle), angle_bins(angles)])
    lit = np.column_stack([field_light, _light_at(light, places)])
    binned = [_by_angle(traces[:, k], bins[:, k], lit[:, k]) for k in range(traces.shape[1])]
    keep = [0] + [
        k
        for k in range(1, len(binned))
        if np.count_nonzero(binned[k][4]) >= MIN_SEEN * looks.n_angles
    ]
    means, relative, sd, illumination, counts = (
        np.stack([np.asarray(binned[k][column]) for k in keep]) for column in range(5)
    )
    kept = np.array(keep[1:], int) - 1
    found = DarkAngles(
        angles=np.linspace(0.0, 360.0, ANGLE_BINS, endpoint=False),
        frames=np.bincount(angle_bins(looks.middle), minlength=ANGLE_BINS),
        brightness=means,
        relative=relative,
        relative_sd=sd,
        illumination=illumination,
        counts=counts,
        positions=positions[kept],
        radii=radii[kept],
        picture=looks.mean,
        statement="",
    )
    return _with_statement(found, light is not None)


def variation(found: DarkAngles, rows: slice) -> tuple[float | None, float | None]:
    """Tell how far (rms) rows vary with the angle beyond noise, and why.

    Parameters
    ----------
    found : DarkAngles
    rows : slice
        Of several rows the median is taken.

    Returns
    -------
    variation : float or None
        Relative; None where it cannot be told.
    explained : float or None
        The part of its variance for which the illumination accounts; None where there is no
        variation beyond chance.
    """
    sizes, explained = [], []
    for relative, sd, left in zip(
        found.relative[rows], found.relative_sd[rows], found.left[rows], strict=True
    ):
        known = np.isfinite(relative) & np.isfinite(sd)
        if known.sum() < MIN_PARTS:
            continue
        noise = float(np.mean(sd[known] ** 2))
        total = float(np.var(relative[known]))
        beyond = max(total - noise, 0.0)
        sizes.append(beyond**0.5)
        if total > MIN_VARIATION * noise:
            rest = max(float(np.var(left[known])) - noise, 0.0)
            explained.append(float(np.clip(1 - rest / beyond, 0, 1)))
    return (
        float(np.median(sizes)) if sizes else None,
        float(np.median(explained)) if explained else None,
    )


def _with_statement(found: DarkAngles, uneven: bool) -> DarkAngles:
    """Say in plain words what was found."""
    return dataclasses.replace(found, statement=_statement(found, uneven))


def _statement(found: DarkAngles, uneven: bool) -> str:
    size, explained = variation(found, slice(0, 1))
    if size is None:
        said = "How bright the whole field is at each angle cannot be told."
    else:
        said = f"With the angle the whole field varies by {100 * size:.1f} % (rms)"
        said += _accounted(explained, uneven) + "."
        relative, sd = found.relative[0], found.relative_sd[0]
        with np.errstate(invalid="ignore"):
            dark = relative < 1 - np.maximum(DARK, DARK_SDS * sd)
        if dark.any():
            named = ", ".join(f"{angle:g}" for angle in found.angles[dark])
            said += f" It is darker than usual by more than 5 % at {named} degrees."
    if len(found.positions):
        size, explained = variation(found, slice(1, None))
        if size is not None:
            said += (
                f" The typical one of {len(found.positions)} blobs varies by {100 * size:.1f} %"
                f"{_accounted(explained, uneven)}."
            )
    return said


def _accounted(explained: float | None, uneven: bool) -> str:
    if explained is None:
        return ", which is no more than chance"
    if not uneven:
        return "; the illumination is even and not the reason"
    return f"; the illumination accounts for {100 * explained:.0f} % of that (of the variance)"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _measure_field(
    parts: Parts, light: NDArray[np.float64] | None, level: float
) -> tuple[Floats, Floats]:
    """Average the parts that all frames see: brightness, and what the light makes of it, (n,)."""
    n = len(parts.values)
    always = np.isfinite(parts.values).all(axis=0)
    if not n or always.sum() < MIN_PARTS:
        return np.full(n, np.nan), np.ones(n)
    values = parts.values[:, always] - level
    lit = _light_at(light, parts.places[:, always])
    own = np.median(values / lit, axis=0)
    return values.mean(axis=1), (lit * own).sum(axis=1) / own.sum()


def _light_at(light: NDArray[np.float64] | None, places: Floats) -> Floats:
    """Look the light up at raw places (..., 2)."""
    if light is None:
        return np.ones(places.shape[:-1])
    at = [places[..., 1], places[..., 0]]
    return np.asarray(ndimage.map_coordinates(light, at, order=1, mode="nearest"))


def _measure_blobs(looks: Looks, center: tuple[float, float]) -> tuple[Floats, Floats, Floats]:
    """Detect blobs in the mean picture; places (b, 2), radii (b,), brightness by frame (n, b).

    They are numbered clockwise around the center, so that neighbors in a plot are neighbors.
    """
    if not len(looks.numbers):
        return np.empty((0, 2)), np.empty(0), np.empty((0, 0))
    blobs = detect_blobs(looks.mean, looks.seen >= MIN_SEEN, max_blobs=MAX_BLOBS)
    order = np.argsort(np.arctan2(*(blobs.positions - center).T[::-1]), kind="stable")
    positions, radii = blobs.positions[order], blobs.sigmas[order] * np.sqrt(2)
    height, width = looks.frames.shape[1:]
    # Middle of each binned pixel.
    y, x = (np.arange(n) * looks.binning + (looks.binning - 1) / 2 for n in (height, width))
    values = np.empty((len(looks.numbers), len(radii)))
    for k, ((cx, cy), radius) in enumerate(zip(positions, radii, strict=True)):
        rows = np.flatnonzero(np.abs(y - cy) <= radius)
        columns = np.flatnonzero(np.abs(x - cx) <= radius)
        if not (rows.size and columns.size):
            values[:, k] = np.nan
            continue
        near = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        disc = np.hypot(y[near[0], None] - cy, x[None, near[1]] - cx) <= radius
        values[:, k] = looks.frames[:, near[0], near[1]][:, disc].mean(axis=1)
    return positions, radii, values


def _by_angle(
    trace: Floats, bins: NDArray[np.int64], lit: Floats
) -> tuple[float, Floats, Floats, Floats, NDArray[np.int64]]:
    """Take medians by angle: mean, relative, its standard error, light and counts, (36,) each."""
    known = np.isfinite(trace)
    medians, light = np.full(ANGLE_BINS, np.nan), np.full(ANGLE_BINS, np.nan)
    counts = np.bincount(bins[known], minlength=ANGLE_BINS)
    away = np.full(len(trace), np.nan)
    for b in np.flatnonzero(counts):
        members = known & (bins == b)
        medians[b], light[b] = np.median(trace[members]), np.mean(lit[members])
        if counts[b] > 1:
            # The median of a few values lies nearer to them than the true one.
            shrunk = np.sqrt(counts[b] / (counts[b] - 1))
            away[members] = np.abs(trace[members] - medians[b]) * shrunk
    mean = float(np.nanmean(medians)) if counts.any() else np.nan
    told = away[np.isfinite(away)]
    scatter = 1.4826 * float(np.median(told)) if told.size else np.nan
    # A median is less certain than a mean, but for one or two values, where they are the same.
    spread = np.where(counts > 2, np.sqrt(np.pi / 2), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.where(counts > 0, scatter * spread / np.sqrt(counts), np.nan)
        relative, relative_sd = medians / mean, sd / abs(mean)
        illumination = light / np.nanmean(light) if counts.any() else light
    return mean, relative, relative_sd, illumination, counts
