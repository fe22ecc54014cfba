"""In which directions lines were scanned, and with which phase: by files, and by the picture."""

import dataclasses
import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.estimates import Estimate, Verdict
from derotation.images.bidi_phase import (
    BidiPhase,
    ScanDirections,
    estimate_bidi_phase,
    tell_directions,
)
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.numerics.pages import rows_of
from derotation.signals.angles import Angles

__all__ = ["ScanEstimate", "estimate_scan", "with_scan"]

logger = logging.getLogger(__name__)

# Frames at rest that are looked at, and in how many parts of the session.
MAX_FRAMES, PARTS = 96, 6
# Turning frames, the fastest ones, that tell the directions of the scan.
MAX_TURNING = 96
# A phase of so many standard uncertainties, and of this (px), shows a scan in both directions.
SURE_ERRORS, SURE_PX = 6.0, 0.25
# A phase below so many of its standard uncertainties, or below this (px), is none.
SIGNIFICANT, LEAST_PX = 3.0, 0.05
# It has changed if parts of the session differ by so many standard uncertainties and this (px).
CHANGED, LEAST_CHANGE_PX = 4.0, 0.2
# Parts whose phase is known worse (px) have too little light: there another shift may fit as well.
MAX_SD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanEstimate(Estimate):
    """Directions and phase of the scan."""

    bidirectional: bool
    """Whether odd lines were scanned from right to left."""
    phase_px: float
    """What odd lines recorded lies so many pixels further right than it should; this is corrected.
    0 if it is not significant."""
    told: bool = True
    """Whether files, the configuration or the movie tell the directions; else one is assumed."""
    along: tuple[BidiPhase, ...]
    """The phase in successive parts of the session; empty where it was not measured."""
    times_s: NDArray[np.float64]
    """Middle of each part, seconds, shape (part,)."""


def estimate_scan(
    movie: Movie,
    angles: Angles,
    *,
    bidirectional: bool | None,
    asked: float | Literal["auto"] = "auto",
) -> ScanEstimate:
    """Tell directions and phase of a movie's scan.

    Parameters
    ----------
    movie : Movie
        Up to 96 of its frames at rest (at any angle) are read, if the scan is bidirectional; and up
        to 96 turning ones, if nothing says whether it is.
    angles : Angles
        Angles of all lines.
    bidirectional : bool or None
        What configuration or metadata say. None if they say nothing: then what the movie shows is
        believed (see :func:`derotation.images.bidi_phase.tell_directions`), and one direction is
        assumed if it shows nothing. A phase that is given says that it was both.
    asked : float or "auto"
        The phase (pixels), or "auto" to measure it; see
        :func:`derotation.images.bidi_phase.estimate_bidi_phase`.

    Returns
    -------
    ScanEstimate
        A phase counts from 0.05 px and three standard uncertainties on.
    """
    found = _estimate(movie, angles, bidirectional, asked)
    for verdict in found.verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    return found


def with_scan(angles: Angles, scan: ScanEstimate) -> Angles:
    """Let angles know how the lines were scanned, which their timing is made of."""
    return dataclasses.replace(
        angles, bidirectional=scan.bidirectional, phase_px=scan.phase_px, scan_told=scan.told
    )


def _estimate(
    movie: Movie, angles: Angles, bidirectional: bool | None, asked: float | Literal["auto"]
) -> ScanEstimate:
    """Decide what is to be measured."""
    if bidirectional is None and asked in ("auto", 0):
        return _seen(movie, angles, asked)
    if bidirectional is False:
        says = "Lines were scanned in one direction."
        doubt = asked not in ("auto", 0)
        if doubt:
            says += (
                " The phase of {phase:.2f} px that was given (scan.bidi_phase) is not corrected."
            )
        figures = {} if asked == "auto" else {"phase": float(asked)}
        one_way = Verdict(topic="scan", code="one_way", says=says, figures=figures, doubt=doubt)
        return _answer(False, 0.0, one_way)
    if asked != "auto":
        says = "Lines were scanned in both directions; a phase of {phase:.2f} px was given."
        given = Verdict(topic="scan", code="given", says=says, figures={"phase": float(asked)})
        return _answer(True, float(asked), given)
    return _phase_of(movie, angles)


def _seen(movie: Movie, angles: Angles, asked: float | Literal["auto"]) -> ScanEstimate:
    """Believe what the movie shows about its directions, since nothing else tells them."""
    seen = _directions(movie, angles)
    figures = {"backward": seen.backward, "sd": seen.sd}
    behave = (
        "odd lines of turning frames behave as if {backward:.2f} ± {sd:.2f} of them were scanned "
        "backwards; 0 is one direction, 1 is both"
    )
    measured = _phase_of(movie, angles) if seen.bidirectional is not False else None
    combed = measured is not None and _is_sure(measured)
    if seen.bidirectional or (combed and seen.bidirectional is None):
        why = behave if seen.bidirectional else "odd lines are displaced at rest"
        says = (
            "Neither the file nor scan.bidirectional says in which directions lines were scanned. "
            f"The movie shows that it was both ({why}), and is processed so."
        )
        both = Verdict(topic="scan", code="seen_both", says=says, figures=figures)
        if asked == "auto" and measured is not None:
            return dataclasses.replace(measured, verdicts=(both, *measured.verdicts))
        return _answer(True, 0.0, both)
    if seen.bidirectional is False:
        says = (
            "Neither the file nor scan.bidirectional says in which directions lines were scanned. "
            f"The movie shows that it was one ({behave}), and is processed so."
        )
        return _answer(
            False, 0.0, Verdict(topic="scan", code="seen_one", says=says, figures=figures)
        )
    says = (
        "Neither the file nor scan.bidirectional says in which directions lines were scanned, and "
        "the movie shows too little to tell it; one direction is assumed. Set scan.bidirectional."
    )
    assumed = Verdict(topic="scan", code="assumed", says=says, figures=figures, doubt=True)
    return dataclasses.replace(_answer(False, 0.0, assumed), told=False)


def _is_sure(measured: ScanEstimate) -> bool:
    """Tell whether a phase is so clear that there are two directions."""
    if measured.sd is None or not measured.corrected:
        return False
    return bool(abs(measured.phase_px) > max(SURE_ERRORS * measured.sd["phase_px"], SURE_PX))


def _directions(movie: Movie, angles: Angles) -> ScanDirections:
    """Compare odd and even lines of the fastest frames; the center is not known yet."""
    turned = np.where(angles.line_usable.all(axis=1), angles.swept, 0.0)
    n = min(int(np.count_nonzero(turned)), MAX_TURNING)
    numbers = np.sort(np.argsort(-turned, kind="stable")[:n])
    lines = rows_of(angles.line_angles, numbers)
    maps = transforms.line_maps(lines, transforms.image_center(movie.shape))
    try:
        return tell_directions(movie.read(numbers), maps, angles.line_duty)
    except InputError:  # too few frames, or too small ones
        return ScanDirections(backward=float("nan"), sd=float("inf"))


def _phase_of(movie: Movie, angles: Angles) -> ScanEstimate:
    """Measure the phase of a scan in both directions, or say why not."""
    groups = _rests(angles)
    if not groups:
        says = (
            "Lines were scanned in both directions. Whether odd lines are displaced cannot be "
            "told, since no frame was recorded at rest; give scan.bidi_phase if they are."
        )
        return _answer(True, 0.0, Verdict(topic="scan", code="untold", says=says, doubt=True))
    try:
        return _measured(movie, angles, groups)
    except InputError as error:
        says = "Whether odd lines are displaced cannot be told: {why}."
        why = Verdict(topic="scan", code="untold", says=says, figures={"why": str(error)})
        return _answer(True, 0.0, dataclasses.replace(why, doubt=True))


def _rests(angles: Angles) -> list[NDArray[np.intp]]:
    """Choose frames that do not turn, in parts of the session."""
    still = angles.line_usable.all(axis=1) & (angles.swept == 0)
    numbers = np.flatnonzero(still)
    if not len(numbers):
        return []
    n = min(len(numbers), MAX_FRAMES)
    chosen = numbers[np.linspace(0, len(numbers) - 1, n).round().astype(int)]
    return [part for part in np.array_split(np.unique(chosen), PARTS) if len(part)]


def _measured(movie: Movie, angles: Angles, groups: list[NDArray[np.intp]]) -> ScanEstimate:
    """Measure the phase over the session."""
    # Frames at rest of one part may lie at several angles: each angle has a picture of its own.
    pictures, owner = [], []
    for part, numbers in enumerate(groups):
        at = np.round(np.mod(angles.line_angles[numbers, 0], 360.0), 3)
        for angle in np.unique(at):
            frames = movie.read(numbers[at == angle]).astype(np.float64)
            pictures.append(np.nanmean(frames, axis=0))
            owner.append(part)
    found = estimate_bidi_phase(np.stack(pictures))
    of_part = [
        [picture for picture, k in zip(pictures, owner, strict=True) if k == part]
        for part in range(len(groups))
    ]
    along = tuple(estimate_bidi_phase(np.stack(own)) for own in of_part)
    start = angles.frame_start / angles.sampling_rate
    times = np.array([float(start[numbers].mean()) for numbers in groups])
    verdicts = _verdicts(found, along, times)
    corrected = verdicts[0].code == "corrected"
    return ScanEstimate(
        name="scan",
        value={"bidirectional": True, "phase_px": found.phase_px},
        sd={"phase_px": found.sd_px},
        found_from={"time_s": times, "phase_px": np.array([one.phase_px for one in along])},
        corrected=corrected,
        verdicts=verdicts,
        bidirectional=True,
        phase_px=found.phase_px if corrected else 0.0,
        along=along,
        times_s=times,
    )


def _verdicts(
    found: BidiPhase, along: tuple[BidiPhase, ...], times: NDArray[np.float64]
) -> tuple[Verdict, ...]:
    """Decide whether there is a phase, and whether it is the same all along."""
    figures = {"phase": found.phase_px, "sd": found.sd_px}
    if not found.trusted:
        says = (
            "Lines were scanned in both directions. Whether odd lines are displaced cannot be "
            "told: neighboring lines have too little in common."
        )
        return (Verdict(topic="scan", code="untold", says=says, figures=figures, doubt=True),)
    if abs(found.phase_px) < max(SIGNIFICANT * found.sd_px, LEAST_PX):
        says = (
            "Lines were scanned in both directions; odd lines are not displaced: {phase:.3f} ± "
            "{sd:.3f} px."
        )
        verdict = Verdict(topic="scan", code="none", says=says, figures=figures)
    else:
        says = (
            "Lines were scanned in both directions; odd lines lie {phase:.2f} ± {sd:.2f} px "
            "further right than they should, which is corrected."
        )
        verdict = Verdict(topic="scan", code="corrected", says=says, figures=figures)
    values = np.array([one.phase_px for one in along])
    sds = np.array([one.sd_px for one in along])
    told = np.array([one.trusted for one in along]) & (sds < MAX_SD)
    if told.sum() < 2:
        return (verdict,)
    off = np.where(told, np.abs(values - found.phase_px), 0.0)
    worst = int(np.argmax(off))
    if off[worst] < max(CHANGED * float(sds[worst]), LEAST_CHANGE_PX):
        return (verdict,)
    changed = Verdict(
        topic="scan",
        code="changed",
        says="The phase changes within the session: around {time:.1f} s it is {then:.2f} ± "
        "{then_sd:.2f} px.",
        figures={"time": float(times[worst]), "then": float(values[worst]),
                 "then_sd": float(sds[worst])},
        doubt=True,
    )  # fmt: skip
    return (verdict, changed)


def _answer(bidirectional: bool, phase_px: float, verdict: Verdict) -> ScanEstimate:
    """Answer without a measurement."""
    return ScanEstimate(
        name="scan",
        value={"bidirectional": bidirectional, "phase_px": phase_px},
        sd=None,
        corrected=phase_px != 0,
        verdicts=(verdict,),
        bidirectional=bidirectional,
        phase_px=phase_px,
        along=(),
        times_s=np.empty(0),
    )
