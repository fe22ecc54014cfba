"""Estimate the light of the microscope, which stands still while the sample turns under it.

What is recorded is ``offset + light(place in the field) * sample(place in the sample)``. The light
does not turn with the sample, so the same part of the sample is seen in brighter and in darker
places of the field, and the two can be told apart: but for a part of the light that is the same
all around the center of rotation (a lens that is darker towards its rim, say). A point of the
sample never leaves its circle, so such light looks exactly like a sample that is darker there. **By
convention it is taken to be of the sample and not corrected**: along each circle the (geometric)
mean of the light is 1. A point of the sample then has the same brightness at all angles, which is
what matters for activity; its brightness against points of other circles is as recorded.
"""

import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.calibration.calibration import Calibration
from derotation.estimates import Estimate, Verdict
from derotation.images.offset import estimate_pmt_offset
from derotation.io.files import whole_file, write_json
from derotation.io.movie import Movie
from derotation.light.brightness import Looks, Parts, look, measure_parts
from derotation.light.dark_angles import DarkAngles, find_dark_angles
from derotation.light.field import Field
from derotation.light.light_fit import LightFit, fit_light
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.numerics.robust import contiguous_blocks
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["IlluminationEstimate", "estimate_illumination"]

logger = logging.getLogger(__name__)

KIND, VERSION = "illumination", 1
# Light is uneven if it differs by more than this many of its standard uncertainties and by more
# than this (root mean square over the disc that is always seen).
SIGNIFICANCE = 3.0
MIN_EFFECT = 0.01
# Below, the circle is not seen well enough to tell the light from the sample.
MIN_ANGLES = 9
# Noise grows with the gain; what is darker than this is not lit up further.
MAX_GAIN = 5.0
# The light is smooth: it is evaluated at so many places along a side, and interpolated.
MAP_SIDE = 96


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IlluminationEstimate(Estimate):
    """The light over the field, how well it is known, and what it accounts for."""

    light: NDArray[np.float32]
    """Light at each raw pixel; its geometric mean along each circle about the center is 1. Shape
    (y, x)."""
    light_sd: NDArray[np.float32]
    """Its standard uncertainty, relative, shape (y, x)."""
    gain: NDArray[np.float32]
    """Factor that makes up for it, ``offset + gain * (recorded - offset)``; 1 everywhere if the
    light is even as far as can be told. Shape (y, x)."""
    offset: float
    """What the detector gives without light."""
    effect: float
    """Root mean square of the light's deviation within the disc that is always seen, relative."""
    effect_sd: float
    """Standard uncertainty of the light within that disc, relative (root mean square)."""
    uneven: bool
    """Whether the light is uneven beyond doubt, so that correcting it is worth it."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were looked at, shape (n,)."""
    compared: NDArray[np.float64]
    """Brightness of parts of the sample against their own, as the light found makes it and as it
    was measured, shape (m, 2)."""
    limited: float
    """Part of the field where the gain is limited to 5."""
    clipped: float
    """Part of the field whose brightest sample would exceed the movie's integer type."""
    saturated: float
    """Part of the samples that were recorded at the limit of that type."""
    dark_angles: DarkAngles
    """How bright the field and blobs are at each angle."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``illumination.npz``: arrays ``gain``, ``offset``, ``light`` and ``light_sd``."""
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, gain=self.gain, offset=self.offset, light=self.light, light_sd=self.light_sd
            )

    def save_summary(self, path: str | os.PathLike[str]) -> None:
        """Write ``illumination.json`` for people."""
        content = {
            "kind": KIND,
            "version": VERSION,
            "statement": self.statement,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "uneven": self.uneven,
            "deviation_rms": round(self.effect, 5),
            "deviation_sd": round(self.effect_sd, 5),
            "light_min": round(float(self.light.min()), 4),
            "light_max": round(float(self.light.max()), 4),
            "gain_min": round(float(self.gain.min()), 4),
            "gain_max": round(float(self.gain.max()), 4),
            "gain_limited_fraction": self.limited,
            "offset": round(self.offset, 3),
            "clipped_fraction": self.clipped,
            "saturated_fraction": self.saturated,
            "frames": len(self.frames),
            "dark_angles": self.dark_angles.summary(),
        }
        write_json(path, content)


def estimate_illumination(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    threads: int = 1,
) -> IlluminationEstimate:
    """Find the light of the microscope and how bright everything is at each angle.

    Parameters
    ----------
    movie : Movie
        The recorded movie; some of its frames are read.
    angles : Angles
        Angles of all lines, of either protocol, as the signals tell them.
    calibration : Calibration
        Of this session or of another one with the same center.
    config : mapping, optional
        Section ``illumination``: ``n_frames``, up to how many frames are looked at. (``correct``
        says whether the gain is used, and is not read here.)
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    threads : int
        Threads for derotating.

    Returns
    -------
    IlluminationEstimate
        If too little was seen to tell, the light is taken to be even.

    Raises
    ------
    ConfigError
        If an option is not allowed.
    InputError
        If movie and calibration do not belong together.

    Notes
    -----
    Frames at all angles, slow ones first, are derotated and averaged in some 400 squares. How the
    logarithm of each square's brightness changes with its place in the field is explained by a
    smooth function of the place (cubic splines with 12 pieces along the longer side), together
    with the brightness of each square and of each frame, with little regard to what differs much:
    active cells. If the light is uneven the detector's offset is fitted, too, since what is no
    light must not be amplified. The light is uneven if its deviation exceeds 1 % and 3 times its
    standard uncertainty (root mean squares over the disc that is always seen).
    """
    settings = complete("illumination", config)
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    looks = look(
        movie,
        LineMaps.of(angles, calibration, timing=timing),
        estimate_pmt_offset(movie),
        int(settings["n_frames"]),
        threads=threads,
    )
    logger.info("Illumination: %d frames are looked at", len(looks.numbers))
    parts = measure_parts(looks)
    field, fit = Field(calibration), None
    if looks.n_angles >= MIN_ANGLES:
        fit = fit_light(parts.values, parts.places, field, contiguous_blocks(looks.time_s))
    estimate = _conclude(looks, parts, field, fit, calibration, movie.dtype)
    logger.info("%s", estimate.statement)
    logger.info("%s", estimate.dark_angles.statement)
    return estimate


def _conclude(
    looks: Looks,
    parts: Parts,
    field: Field,
    fit: LightFit | None,
    calibration: Calibration,
    kind: np.dtype[Any],
) -> IlluminationEstimate:
    """Decide whether the light is uneven, and say so in plain words."""
    shape = calibration.image_shape
    nothing = (np.zeros(shape),) * 3
    deviation, sd, sd_at_level = nothing if fit is None else _maps(field, fit)
    inside = field.within_circle()
    effect, doubt, chance = (
        float(np.sqrt(np.mean(values[inside] ** 2))) for values in (deviation, sd, sd_at_level)
    )
    uneven = fit is not None and effect >= max(MIN_EFFECT, SIGNIFICANCE * chance)
    light = np.exp(deviation)
    gain = np.minimum(1 / light, MAX_GAIN) if uneven else np.ones(shape)
    level = fit.level if fit is not None and uneven else 0.0
    offset = looks.offset + level
    limit = float(np.iinfo(kind).max) if kind.kind in "iu" else np.inf
    clipped = uneven & (offset + gain * (looks.highest - offset) > limit)
    clipped_part = float(np.mean(clipped & (looks.highest < limit)))
    low, high = np.quantile(light[inside], [0.01, 0.99])
    figures: dict[str, float | str] = {
        "angles": looks.n_angles,
        "effect": 100 * effect,
        "effect_sd": 100 * doubt,
        "chance": 100 * chance,
        "low": 100 * float(low),
        "high": 100 * float(high),
        "clipped": 100 * clipped_part,
        "dtype": str(kind),
    }
    verdicts = _verdicts(figures, told=fit is not None, uneven=uneven)
    return IlluminationEstimate(
        name="illumination",
        value={"deviation_rms": effect},
        sd=None if fit is None else {"deviation_rms": doubt},
        found_from={"frame": looks.numbers, "angle": looks.middle},
        corrected=uneven,
        verdicts=verdicts,
        light=light.astype(np.float32),
        light_sd=sd.astype(np.float32),
        gain=gain.astype(np.float32),
        offset=offset,
        effect=effect,
        effect_sd=doubt,
        uneven=uneven,
        frames=looks.numbers,
        compared=_compared(parts, field, fit),
        limited=float(np.mean(gain >= MAX_GAIN)),
        clipped=clipped_part,
        saturated=looks.saturated,
        dark_angles=find_dark_angles(looks, parts, calibration, light if uneven else None, level),
    )


def _verdicts(
    figures: Mapping[str, float | str], *, told: bool, uneven: bool
) -> tuple[Verdict, ...]:
    """Decide what is to be said about the light."""
    if not told:
        code = "untold"
        says = (
            "Whether the light is even cannot be told: the frames looked at show the sample at "
            "{angles} of 36 angles, or too little of it. It is taken to be even."
        )
    elif not uneven and float(figures["effect"]) >= 100 * MIN_EFFECT:
        code = "untold"
        says = (
            "Whether the light is even cannot be told: it seems to deviate by {effect:.1f} %, but "
            "{chance:.1f} % would be chance. It is taken to be even."
        )
    elif not uneven:
        code = "even"
        says = (
            "The light is even, as far as can be told: apart from what is the same all around the "
            "center, it deviates by {effect:.1f} % ({chance:.1f} % would be chance). There is "
            "nothing to correct."
        )
    else:
        code = "uneven"
        says = (
            "The light is uneven: the same part of the sample is recorded with {low:.0f} to "
            "{high:.0f} % of its brightness, depending on where in the field it is ({effect:.1f} ± "
            "{effect_sd:.1f} % rms). The correction (illumination.correct: auto) makes up for it, "
            "except for what is the same all around the center."
        )
    verdict = Verdict(topic="illumination", code=code, says=says, figures=figures)
    if not (uneven and figures["clipped"]):
        return (verdict,)
    clipped = Verdict(
        topic="illumination",
        code="clipped",
        says="In {clipped:.2g} % of the field the brightest samples would exceed what {dtype} can "
        "hold, and be clipped; derotate.dtype: float32 avoids that.",
        figures=figures,
    )
    return (verdict, clipped)


def _maps(field: Field, fit: LightFit) -> tuple[NDArray[np.float64], ...]:
    """Draw the logarithm of the light on all pixels, and its standard uncertainty.

    Returns
    -------
    logarithm, uncertainty, uncertainty if the level were known : ndarray of shape (y, x)
    """
    height, width = field.shape
    y, x = (np.linspace(0, n - 1, min(n, MAP_SIDE)) for n in (height, width))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    functions = field.unsymmetric(places)
    variances = [
        np.einsum("pi,pi->p", functions @ covariance, functions)
        for covariance in (fit.covariance, fit.covariance_at_level)
    ]
    rows = np.linspace(0, len(y) - 1, height)[:, None]
    columns = np.linspace(0, len(x) - 1, width)[None, :]
    at = np.broadcast_arrays(rows, columns)
    drawn = [functions @ fit.coefficients] + [np.sqrt(np.maximum(v, 0)) for v in variances]
    return tuple(
        ndimage.map_coordinates(values.reshape(len(y), len(x)), at, order=1) for values in drawn
    )


def _compared(parts: Parts, field: Field, fit: LightFit | None) -> NDArray[np.float64]:
    """Pair what the light makes of each part's brightness with what was measured."""
    if fit is None:
        return np.empty((0, 2))
    n, p = parts.values.shape
    light = (field.design(parts.places.reshape(-1, 2)) @ fit.coefficients).reshape(n, p)
    own = np.exp(fit.parts + fit.drift[:, None])
    with np.errstate(invalid="ignore"):
        measured = (parts.values - fit.level) / own
    expected = np.exp(light)
    # Both relative to the same mean, so that a part's own brightness does not matter.
    known = np.isfinite(measured)
    expected = expected / np.nanmean(np.where(known, expected, np.nan))
    measured = measured / np.nanmean(measured)
    return np.stack([expected[known], measured[known]], axis=1)
