"""A session's signals and movie looked at together, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from derotation.cohort.mistakes.bin_layout import wrong_layout
from derotation.cohort.mistakes.find import find_mistakes
from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.sampling_rate import unproved_rate
from derotation.cohort.movie_turns import turns_otherwise
from derotation.cohort.sample_sheet import Session
from derotation.errors import InputError
from derotation.io.channels import open_channels
from derotation.io.signals import AnalogSignals, BinLayout, signal_options
from derotation.signals.look import SignalsLook, look_at_signals
from derotation.signals.look_layout import coherent_channels
from derotation.signals.roles import REQUIRED_ROLES, digital_roles

if TYPE_CHECKING:
    from derotation.images.bidi_phase import BidiPhase
    from derotation.io.movie import Movie

__all__ = [
    "MovieSaid",
    "SessionLook",
    "look_at_session",
    "look_for_mistakes",
    "open_movie_of",
]

# Frames at rest that tell the phase of the scan; fewer tell nothing.
MOST_FRAMES, LEAST_FRAMES = 24, 4
# A phase of so many standard uncertainties, and of this (px), shows a scan in both directions.
SURE_ERRORS, SURE_PX = 6.0, 0.25
UNSTATED = (
    "the movie's file does not say in which directions lines were scanned, nor does "
    "scan.bidirectional: it is taken as one direction unless turning frames show that it was both"
)
NONE_SEEN = "At rest odd lines lie where even ones do"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSaid:
    """What a movie's files say about how it was recorded; None where nothing is known."""

    frame_rate: float | None = None
    n_clock_frames: int | None = None
    n_rows: int | None = None
    lines_per_frame: int | None = None
    bidirectional: bool | None = None
    n_planes: int = 1

    @classmethod
    def of(cls, movie: "Movie") -> Self:
        """Take it from an open movie."""
        said = movie.metadata
        return cls(
            frame_rate=said.frame_rate,
            n_clock_frames=movie.n_clock_frames,
            n_rows=movie.shape[1],
            lines_per_frame=said.lines_per_frame,
            bidirectional=said.bidirectional,
            n_planes=movie.n_planes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLook:
    """What a look at a session found."""

    mistakes: tuple[Mistake, ...] = ()
    """What does not fit, causes first."""
    notes: tuple[str, ...] = ()
    """What is worth a look."""
    remarks: tuple[str, ...] = ()
    """What is taken for granted, as no file says it."""


def open_movie_of(movie: str | Path, config: Mapping[str, Any]) -> "Movie":
    """Open a session's movie as the configuration says."""
    from derotation.io.movie import open_movie

    chosen = config["movie"]
    keys = ("channel", "plane", "n_planes", "n_channels", "dataset")
    asked = {key: chosen.get(key) for key in keys}
    return open_movie(movie, **asked, undo=chosen.get("undo") or ())


def look_at_session(
    signals: AnalogSignals,
    session: Session,
    config: Mapping[str, Any],
    movie: "Movie | None",
    *,
    speeds: Sequence[float] | None = None,
) -> SessionLook:
    """Look at the first 20 s and three places of the signals, and compare them with all else.

    Parameters
    ----------
    signals : AnalogSignals
        As the configuration opens them.
    session : Session
        Its row in the sample sheet.
    config : mapping
        The configuration that holds for the session.
    movie : Movie or None
        The session's movie; None if it cannot be opened.
    speeds : sequence of float, optional
        Of the stimulus table, degrees/s.

    Returns
    -------
    SessionLook
    """
    seen = MovieSaid() if movie is None else MovieSaid.of(movie)
    look, said, mistakes = look_for_mistakes(signals, session.protocol, config, seen, speeds=speeds)
    if look is None or said is None:
        return SessionLook(mistakes=mistakes)
    note, remark = _directions(look, config, movie)
    other = unproved = ""
    # (Why a movie cannot be opened was said where it was tried.)
    if not mistakes and movie is not None:
        unproved = unproved_rate(look, said)
        other = turns_otherwise(look, said, movie)
    return SessionLook(
        mistakes=mistakes,
        notes=tuple(filter(None, [note, other])),
        remarks=tuple(filter(None, [unproved, remark])),
    )


def look_for_mistakes(
    signals: AnalogSignals,
    protocol: str,
    config: Mapping[str, Any],
    movie: MovieSaid,
    *,
    speeds: Sequence[float] | None = None,
) -> tuple[SignalsLook | None, Settings | None, tuple[Mistake, ...]]:
    """Look at a session's signals, and compare them with what is said about them.

    Parameters
    ----------
    signals, config, speeds
        As for :func:`look_at_session`; of the configuration the sections ``signals``, ``angles``
        and ``scan`` are read.
    protocol : str
        As in the sample sheet.
    movie : MovieSaid
        What the movie's files say.

    Returns
    -------
    look : SignalsLook or None
        None if the channels are not those that are configured.
    said : Settings or None
        What it was compared with.
    mistakes : tuple of Mistake
        Causes first.
    """
    given, order = config["signals"], config["signals"]["channel_order"]
    layout: BinLayout = signal_options(given)["layout"]
    is_bin = signals.path.suffix.lower() == ".bin"
    if is_bin and coherent_channels(signals.path, layout) not in (None, len(order)):
        wrong = wrong_layout(signals.path, order, layout)
        if wrong is not None:
            return None, None, (wrong,)
    channels = open_channels(
        signals.path,
        n_channels=len(order),
        layout=layout,
        dataset=given["dataset"],
        listed=signals.foreign,
    )
    has_frames = "frame_clock" in signals.roles
    look = look_at_signals(
        channels,
        sampling_rate=signals.sampling_rate(given["sampling_rate"]),
        n_rows=movie.n_rows,
        frame_channel=signals.channel_number("frame_clock") if has_frames else None,
    )
    own_names = any(name is not None for name in channels.names)
    said = _settings(signals, protocol, config, movie, speeds, own_names)
    mistakes = find_mistakes(look, said)
    if is_bin and (mistakes or not _shows_clock(look)):
        # Integers of another type may look alike, but for some channels or for their voltages.
        wrong = wrong_layout(signals.path, order, layout)
        if wrong is not None:
            return None, None, (wrong,)
    return look, said, tuple(mistakes)


def _shows_clock(look: SignalsLook) -> bool:
    """Tell whether a clock has the voltages of logic."""
    clocks = [c for c in look.channels if c.kind in ("line_clock", "frame_clock")]
    return any(-1.5 <= c.pulses.low <= 2.0 for c in clocks)


def _settings(
    signals: AnalogSignals,
    protocol: str,
    config: Mapping[str, Any],
    movie: MovieSaid,
    speeds: Sequence[float] | None,
    own_names: bool,
) -> Settings:
    """Collect what is said about a session."""
    given, angles, scan = config["signals"], config["angles"], config["scan"]
    source = angles["source"]
    used = {*digital_roles(signals.roles, source), *REQUIRED_ROLES[source]}
    return Settings(
        protocol=protocol,
        source=source,
        roles={r: signals.channel_number(r) for r in signals.roles if r in used},
        sampling_rate=float(signals.sampling_rate(given["sampling_rate"])),
        stated_rate=signals.stated_rate,
        rotation_increment=float(given["rotation_increment"]),
        degrees_per_rotation=given["degrees_per_rotation"],
        degrees_per_step=float(angles["degrees_per_step"]) if protocol == "incremental" else np.nan,
        channel_order=tuple(given["channel_order"]),
        recognize_clocks=given["recognize_clocks"],
        has_own_names=own_names,
        speeds=speeds,
        frame_rate=scan.get("frame_rate") or movie.frame_rate,
        frame_rate_from="scan.frame_rate" if scan.get("frame_rate") else "the movie's file",
        n_clock_frames=movie.n_clock_frames,
        n_rows=movie.n_rows,
        lines_per_frame=scan["lines_per_frame"] or movie.lines_per_frame,
        frames_given=given["frames"] != "auto",
        rows_given=any((scan.get("rows") or {}).values()),
    )


def _directions(
    look: SignalsLook, config: Mapping[str, Any], movie: "Movie | None"
) -> tuple[str, str]:
    """Compare what is said of the scan's directions with what the movie shows at rest.

    Returns
    -------
    note, remark : str
        What is worth a look, and what is taken for granted; empty if nothing is.
    """
    given = config["scan"]["bidirectional"]
    stated = given
    if given is None and movie is not None:
        stated = movie.metadata.bidirectional
    if stated:
        return "", ""
    found = _phase_at_rest(look, movie)
    if found is not None and found.trusted and _is_sure(found):
        whose = "the movie's file" if given is None else "scan.bidirectional"
        says = (
            "which neither the movie's file nor scan.bidirectional says"
            if stated is None
            else f"but {whose} says in one"
        )
        return (
            f"odd lines of the sample at rest lie {found.phase_px:+.2f} ± {found.sd_px:.2f} px off "
            f"even ones, so lines were scanned in both directions, {says}. Write "
            "scan.bidirectional: true"
        ), ""
    if stated is not None:
        return "", ""
    return "", UNSTATED if found is None else f"{UNSTATED}. {NONE_SEEN}"


def _is_sure(found: "BidiPhase") -> bool:
    return abs(found.phase_px) > max(SURE_ERRORS * found.sd_px, SURE_PX)


def _phase_at_rest(look: SignalsLook, movie: "Movie | None") -> "BidiPhase | None":
    """Compare odd with even lines of the first frames at rest; None if there are too few."""
    # Slow to import, and only needed here.
    from derotation.images.bidi_phase import estimate_bidi_phase

    if movie is None:
        return None
    n = _frames_at_rest(look) // movie.n_planes
    n = min(n, MOST_FRAMES, len(movie))
    if n < LEAST_FRAMES:
        return None
    frames = movie.read(np.arange(n)).astype(np.float64)
    # A pixel that is never a number stays none.
    known = np.isfinite(frames)
    n_known = known.sum(axis=0)
    total = np.where(known, frames, 0).sum(axis=0)
    picture = np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
    try:
        return estimate_bidi_phase(picture)
    except InputError:
        return None


def _frames_at_rest(look: SignalsLook) -> int:
    """Count the frames of the clock before anything turns, as far as the first stretch tells."""
    frame = next((c.pulses for c in look.channels if c.kind == "frame_clock"), None)
    moving = [c.pulses for c in look.channels
              if c.kind in ("rotation_ticks", "rotation_on", "quadrature_a")]  # fmt: skip
    if frame is None or not moving:
        return 0
    frames = frame.rises(0)
    begins = [int(p.start[0][0]) for p in moving if len(p.start[0])]
    first = min(begins, default=look.stretches[0][1])
    return max(int(np.count_nonzero(frames + (look.clocks.frame_interval or 0) <= first)) - 1, 0)
