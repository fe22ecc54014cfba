"""Clock times taken out of the analog signals: lines, frames, ticks and rotations."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import ConfigError, InputError
from derotation.io.angle_table import AngleTable
from derotation.io.files import save_npz, write_json
from derotation.io.results import check_arrays, read_npz
from derotation.io.signals import AnalogSignals
from derotation.io.stimulus import Stimulus
from derotation.settings.defaults import complete
from derotation.signals.clock_frames import read_choice
from derotation.signals.clocks import Scan, read_scan
from derotation.signals.levels import Levels
from derotation.signals.polarity import with_polarity, with_rotation_on_recognized
from derotation.signals.pulses import Pulses, always, find_pulses, no_pulses
from derotation.signals.quadrature import brought_back
from derotation.signals.repairs import Repair, Report, counted
from derotation.signals.roles import digital_roles
from derotation.signals.rotations import Rotation, RotationRules, find_rotations
from derotation.signals.rows import Rows
from derotation.signals.sources import knot_arrays, measured_angle, segment_arrays
from derotation.signals.trace import MeasuredAngle

__all__ = ["Events", "Repair", "parse_signals"]

logger = logging.getLogger(__name__)

Protocol = Literal["full", "incremental", "free"]

_KIND = "derotation events"
_VERSION = 2
# Of these a channel without pulses counts as one that is not there.
_MAY_BE_FLAT = ("line_clock", "frame_clock", "direction", "quadrature_index")


_TEXT_FIELDS = ("repairs", "anomalies", "counts", "levels")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """All events of a recording; times are samples of the analog signals.

    An edge is the first sample on its new side, so a time is up to one sample late; since that
    holds for lines and ticks alike, it does not matter for angles.
    """

    sampling_rate: float
    """Samples per second, Hz."""
    n_samples: int
    """Length of the recording."""
    line_start: NDArray[np.float64]
    """Start of each line of the movie, shape (n_frames, n_lines)."""
    line_repaired: NDArray[np.bool_]
    """Lines whose start was computed, not measured; same shape."""
    line_duration: float
    """Active part of a line; the line period if it was not measured."""
    line_period: float
    """From one line to the next."""
    line_duration_measured: bool
    """Whether pulses of the line clock say how long a line lasts."""
    frame_start: NDArray[np.float64]
    """Start of each frame's first line, shape (n_frames,)."""
    frame_end: NDArray[np.float64]
    """End of the active part of each frame's last line, shape (n_frames,)."""
    tick_time: NDArray[np.float64]
    """Ticks of usable rotations after repairs, shape (n_ticks,), ascending."""
    tick_rotation: NDArray[np.int32]
    """Index of the rotation that each tick belongs to."""
    tick_angle: NDArray[np.float64]
    """Degrees that the rotation has turned at each tick, positive."""
    tick_inserted: NDArray[np.bool_]
    """Ticks that were missing in the signal."""
    rotation_start: NDArray[np.float64]
    """When rotation-on rose for each rotation (a step, in the incremental protocol)."""
    rotation_end: NDArray[np.float64]
    """When it fell."""
    rotation_direction: NDArray[np.int8]
    """+1: the angle goes from 0 down; -1: from 0 up, as always in the incremental protocol."""
    rotation_speed: NDArray[np.float64]
    """Degrees per second asked for; measured in the incremental protocol."""
    rotation_measured_speed: NDArray[np.float64]
    """Degrees per second at which each rotation mostly turned; NaN without ticks."""
    rotation_usable: NDArray[np.bool_]
    """False where the ticks do not tell the angle."""
    rotation_turned: NDArray[np.float64]
    """Degrees turned at each rotation's end, positive."""
    repairs: tuple[Repair, ...]
    """What was mended."""
    anomalies: tuple[Repair, ...]
    """What looks odd."""
    counts: dict[str, int]
    """How many of each kind were found."""
    levels: dict[str, tuple[float, float, float]]
    """Low level, high level and threshold of each channel, V."""
    rotation_lost: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Sample from which on the angle is not known, because the rotation stalled; else infinite."""
    rotation_seen_to_turn: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """By how many degrees a lost rotation has turned at its end, as the movie shows; else NaN."""
    frame_unknown: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Frames of which nothing tells which frame of the clocks they are, shape (n_frames,)."""
    frame_offset: int = 0
    """How many of the spare frames come before the movie's first one."""
    frame_offsets_possible: tuple[int, ...] = (0,)
    """Offsets that the signals alone allow, the chosen one included: the movie may decide."""
    spare_line_start: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Frames that the clocks count too many, shape (n_spare, n_lines): before, then after."""
    spare_line_repaired: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Of the spare frames, as `line_repaired`."""
    angle_source: str = "ticks"
    """What tells the angle: ``ticks``, or a source that measures it."""
    knot_time: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Times at which another source than ticks measured the angle, samples, ascending."""
    knot_angle: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Measured angles, degrees, unwrapped."""
    knot_known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Intervals between knots within which the angle is known, one fewer."""
    knot_resolution: float = 0.0
    """Degrees by which the source may be off at rest."""

    def __post_init__(self) -> None:
        if len(self.rotation_lost) != self.n_rotations:
            object.__setattr__(self, "rotation_lost", np.full(self.n_rotations, np.inf))
        if len(self.rotation_seen_to_turn) != self.n_rotations:
            object.__setattr__(self, "rotation_seen_to_turn", np.full(self.n_rotations, np.nan))
        if len(self.frame_unknown) != len(self.line_repaired):
            object.__setattr__(self, "frame_unknown", np.zeros(len(self.line_repaired), np.bool_))

    @property
    def n_rotations(self) -> int:
        """Number of rotations (steps)."""
        return len(self.rotation_start)

    def with_frame_offset(self, offset: int) -> Self:
        """Take other frames of the clocks for the movie's: what the movie itself may tell.

        Parameters
        ----------
        offset : int
            One of `frame_offsets_possible`: how many of all frames that the clocks count come
            before the movie's first one.

        Returns
        -------
        Events

        Raises
        ------
        InputError
            If the offset is not possible.
        """
        if offset not in self.frame_offsets_possible:
            possible = ", ".join(map(str, self.frame_offsets_possible))
            raise InputError(f"A frame offset of {offset} is not possible; there are {possible}.")
        return self.with_clock_frames(np.arange(len(self.line_start)) + offset)

    def of_all_clock_frames(self) -> Self:
        """Take all frames that may be the movie's, as if the movie had that many."""
        line_start = self._all(self.line_start, self.spare_line_start)
        return replace(
            self,
            line_start=line_start,
            line_repaired=self._all(self.line_repaired, self.spare_line_repaired),
            frame_start=line_start[:, 0].copy(),
            frame_end=line_start[:, -1] + self.line_duration,
            frame_offset=0,
            frame_offsets_possible=(0,),
            spare_line_start=np.zeros((0, line_start.shape[1])),
            spare_line_repaired=np.zeros((0, line_start.shape[1]), np.bool_),
            frame_unknown=np.zeros(len(line_start), np.bool_),
        )

    def with_clock_frames(self, index: ArrayLike) -> Self:
        """Say which frame of the clocks each frame of the movie is, also if one was lost between.

        Parameters
        ----------
        index : array_like of shape (n_frames,)
            Numbers of frames among those that may be the movie's, the spare ones included, from 0
            on, ascending.

        Returns
        -------
        Events
            Frames that were lost between others are forgotten, so that no other offset is possible
            afterwards.

        Raises
        ------
        InputError
            If there are no such frames.
        """
        chosen = np.asarray(index, np.int64)
        n_all = len(self.line_start) + len(self.spare_line_start)
        fits = chosen.shape == (len(self.line_start),) and bool(np.all(np.diff(chosen) > 0))
        if not fits or chosen[0] < 0 or chosen[-1] >= n_all:
            raise InputError(
                f"index has the shape {chosen.shape}; expected are {len(self.line_start)} "
                f"ascending numbers from 0 to {n_all - 1}, one per frame of the movie."
            )
        line_start, spare = self._chosen(self.line_start, self.spare_line_start, chosen)
        repaired, spare_repaired = self._chosen(
            self.line_repaired, self.spare_line_repaired, chosen
        )
        offset = int(chosen[0])
        lost = chosen[-1] - offset + 1 > len(chosen)
        return replace(
            self,
            line_start=line_start,
            line_repaired=repaired,
            frame_start=line_start[:, 0].copy(),
            frame_end=line_start[:, -1] + self.line_duration,
            frame_offset=offset,
            frame_offsets_possible=(offset,) if lost else self.frame_offsets_possible,
            spare_line_start=spare,
            spare_line_repaired=spare_repaired,
        )

    def _chosen(
        self, own: NDArray[Any], spare: NDArray[Any], index: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Choose among the movie's and the spare frames; also those that are left at the ends."""
        every = self._all(own, spare)
        return every[index], np.concatenate([every[: index[0]], every[index[-1] + 1 :]])

    def _all(self, own: NDArray[Any], spare: NDArray[Any]) -> NDArray[Any]:
        """Put the spare frames before and after the movie's."""
        spare = spare.reshape(-1, own.shape[1])
        before, after = spare[: self.frame_offset], spare[self.frame_offset :]
        return np.concatenate([before, own, after])

    def save(
        self,
        npz_path: str | os.PathLike[str],
        json_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Save the events, and a summary for people.

        Parameters
        ----------
        npz_path
            File that :meth:`load` reads.
        json_path
            Counts, levels, rotations, repairs and anomalies in plain words; None: not written.
        """
        arrays: dict[str, ArrayLike] = {"kind": _KIND, "version": _VERSION}
        for item in fields(self):
            value = getattr(self, item.name)
            arrays[item.name] = json.dumps(_plain(value)) if item.name in _TEXT_FIELDS else value
        save_npz(npz_path, **arrays)
        if json_path is not None:
            write_json(json_path, self.summary())

    @classmethod
    def load(cls, npz_path: str | os.PathLike[str]) -> Self:
        """Load events that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file holds something else.
        """
        values: dict[str, Any] = open_result(npz_path, _KIND, _VERSION)
        numbers = ("sampling_rate", "n_samples", "line_duration", "line_period", "frame_offset",
                   "knot_resolution")  # fmt: skip
        check_arrays(npz_path, values, dict.fromkeys(numbers, ()), numbers)
        try:
            for name in numbers:
                values[name] = values[name].item()
            values["angle_source"] = values["angle_source"].item()
            values["frame_offsets_possible"] = tuple(values["frame_offsets_possible"].tolist())
            values["line_duration_measured"] = bool(values["line_duration_measured"])
            for name in _TEXT_FIELDS:
                values[name] = json.loads(str(values[name]))
            for name in ("repairs", "anomalies"):
                values[name] = tuple(
                    Repair(**{**entry, "places": tuple(entry["places"])}) for entry in values[name]
                )
            values["levels"] = {role: tuple(found) for role, found in values["levels"].items()}
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{os.fspath(npz_path)} cannot be read as {_KIND} ({error!r}). Make it again."
            ) from error

    def _lost(self, k: int) -> dict[str, float]:
        """Tell from when on the angle is not known, if it is lost."""
        lost = float(self.rotation_lost[k])
        return {"lost_from_s": round(lost / self.sampling_rate, 4)} if np.isfinite(lost) else {}

    def summary(self) -> dict[str, Any]:
        """Give what a person wants to know, ready for JSON; times in seconds."""
        rate = self.sampling_rate
        rotations = [
            {
                "start_s": round(float(self.rotation_start[k]) / rate, 4),
                "end_s": round(float(self.rotation_end[k]) / rate, 4),
                "direction": int(self.rotation_direction[k]),
                "speed": float(self.rotation_speed[k]),
                "measured_speed": round(float(self.rotation_measured_speed[k]), 2),
                "turned_degrees": float(self.rotation_turned[k]),
                "ticks": int(np.count_nonzero(self.tick_rotation == k)),
                "usable": bool(self.rotation_usable[k]),
                **self._lost(k),
            }
            for k in range(self.n_rotations)
        ]
        return {
            "sampling_rate_hz": rate,
            "duration_s": self.n_samples / rate,
            "counts": self.counts,
            "line_period_ms": self.line_period / rate * 1e3,
            "line_duration_ms": self.line_duration / rate * 1e3,
            "line_duration_measured": self.line_duration_measured,
            "angle_source": self.angle_source,
            "frame_offset": self.frame_offset,
            "frame_offsets_possible": list(self.frame_offsets_possible),
            "levels_v": {
                role: {"low": low, "high": high, "threshold": threshold}
                for role, (low, high, threshold) in self.levels.items()
            },
            "repairs": [repair.as_dict() for repair in self.repairs],
            "anomalies": [anomaly.as_dict() for anomaly in self.anomalies],
            "rotations": rotations,
        }


def parse_signals(
    signals: AnalogSignals,
    *,
    n_frames: int,
    lines_per_frame: int,
    sampling_rate: float,
    protocol: Protocol,
    stimulus: Stimulus | None = None,
    clock_index: ArrayLike | None = None,
    n_clock_frames: int | None = None,
    config: Mapping[str, Any] | None = None,
    degrees_per_step: float | None = None,
    angles: Mapping[str, Any] | None = None,
    table: AngleTable | None = None,
    rows: Rows | None = None,
    line_period_s: float | None = None,
    flyback_lines: float = 0.0,
    n_columns: int | None = None,
) -> Events:
    """Find all events in the analog signals and bring them to agree with the movie.

    Parameters
    ----------
    signals : AnalogSignals
        The recording.
    n_frames : int
        Frames of the movie.
    lines_per_frame : int
        Lines of a frame.
    sampling_rate : float
        Of the signals, Hz.
    protocol : {"full", "incremental", "free"}
        Rotations at various speeds with rests, one turn in steps, or any rotation at all.
    stimulus : Stimulus, optional
        Speed and direction of each rotation. Without it speeds are those measured; where no channel
        tells the direction, either, it is -1 for all, which is an anomaly in ``full``.
    clock_index : array_like of shape (n_frames,), optional
        Which of the frames that the clock counts each frame of the movie is, from 0 on: the
        clock counts every plane. Default: all, in order.
    n_clock_frames : int, optional
        Frames that the clock should have counted; default: `n_frames`.
    config : mapping, optional
        The section ``signals`` of the configuration; keys that are missing have its defaults.
    degrees_per_step : float, optional
        Protocol ``incremental``: degrees of a step. Default: what most steps say.
    angles : mapping, optional
        The section ``angles`` of the configuration, for the angle's source.
    table : AngleTable, optional
        The table of angles, for the source ``table``.
    rows : Rows, optional
        Which lines are rows of the movie; default: all.
    line_period_s : float, optional
        From line to line, seconds, if the movie's metadata say so; used where no clock tells it.
    flyback_lines : float
        Time from a frame's last line to the next frame, in lines; used where no clock tells it.
    n_columns : int, optional
        Columns of the movie; they tell that rows and columns were exchanged.

    Returns
    -------
    Events
        With exactly `n_frames` frames, and one rotation per row of the stimulus table. All
        repairs are in it.

    Raises
    ------
    ConfigError
        If an option is not allowed.
    SignalError
        If the signals hold NaN, or too few levels or pulses; if clocks and movie or rotations and
        stimulus table disagree by more than can be repaired safely.
    """
    options = complete("signals", config)
    n_clock, index = _clock_frames(n_frames, clock_index, n_clock_frames)
    _check_arguments(sampling_rate, lines_per_frame, protocol)
    angles = complete("angles", angles)
    source = str(angles["source"])
    report = Report(sampling_rate=float(sampling_rate))
    roles = digital_roles(signals.roles, source)
    # Nobody asks a sample that turns freely whether it is in a rotation.
    may_be_flat = (*_MAY_BE_FLAT, "rotation_on") if protocol == "free" else _MAY_BE_FLAT
    pulses = find_pulses(
        signals, roles, options["thresholds"], sampling_rate, may_be_flat=may_be_flat
    )
    levels = {role: _shown(pulses[role].levels) for role in roles}
    counts = {f"{role}_pulses": len(pulses[role]) for role in roles}
    recognize = bool(options["recognize_clocks"])
    pulses = with_polarity(
        pulses,
        invert=options["invert"],
        recognize=recognize,
        n_samples=signals.n_samples,
        report=report,
    )
    scan = read_scan(
        pulses.pop("line_clock", no_pulses("line_clock")),
        pulses.pop("frame_clock", no_pulses("frame_clock")),
        n_frames=n_clock,
        n_lines=lines_per_frame,
        n_samples=signals.n_samples,
        recognize=recognize,
        report=report,
        choice=read_choice(options["frames"]),
        ticks=pulses["rotation_ticks"].start if "rotation_ticks" in pulses else (),
        line_period=None if line_period_s is None else line_period_s * sampling_rate,
        flyback_lines=flyback_lines,
        n_columns=n_columns if rows is None or rows.n == lines_per_frame else None,
    )
    rows = rows or Rows(n=lines_per_frame)
    rows.check(lines_per_frame, scan.frame_duration, scan.line_period)
    line_start = rows.of(scan.line_start, scan.line_period)
    repaired = rows.any_of(scan.line_repaired)
    n_spare = len(scan.spare_line_start)
    # Of several planes, a shift by one frame of the clock is another plane: none is kept.
    n_spare = 0 if index is not None else n_spare
    if index is not None:
        line_start, repaired = line_start[index], repaired[index]
    rotations: list[Rotation] = []
    measured = MeasuredAngle(
        time=np.zeros(0), angle=np.zeros(0), known=np.zeros(0, np.bool_), resolution=0.0
    )
    if source == "ticks":
        rotations = _rotations_of_ticks(
            pulses, signals.n_samples, options, protocol, stimulus, degrees_per_step, angles, report
        )
        _check_rotations_within_scan(scan, rotations, report)
    else:
        measured = measured_angle(
            source, angles, signals, pulses, table, line_start, scan.line_duration, report
        )
        degrees = options["degrees_per_rotation"]
        no_index = source == "quadrature" and not len(pulses.get("quadrature_index") or ())
        if no_index and protocol == "full" and degrees is not None:
            measured = brought_back(measured, float(degrees), report)
    return Events(
        sampling_rate=float(sampling_rate),
        n_samples=signals.n_samples,
        line_start=line_start,
        line_repaired=repaired,
        line_duration=scan.line_duration,
        line_period=scan.line_period,
        line_duration_measured=scan.line_duration_measured,
        frame_start=line_start[:, 0].copy(),
        frame_end=line_start[:, -1] + scan.line_duration,
        frame_offset=scan.frame_offset if n_spare else 0,
        frame_offsets_possible=tuple(range(n_spare + 1)),
        spare_line_start=rows.of(scan.spare_line_start, scan.line_period)[:n_spare],
        spare_line_repaired=rows.any_of(scan.spare_line_repaired)[:n_spare],
        **_tick_arrays(rotations),
        **(
            _rotation_arrays(rotations)
            if source == "ticks"
            else segment_arrays(measured, float(sampling_rate))
        ),
        **knot_arrays(source, measured),
        repairs=tuple(report.repairs),
        anomalies=tuple(report.anomalies),
        counts={
            **counts,
            "frames": n_frames,
            "lines": int(line_start.size),
            "rotations": len(rotations),
            "usable_rotations": sum(not rotation.problem for rotation in rotations),
            "ticks": sum(len(r.ticks.time) for r in rotations if r.ticks is not None),
        },
        levels=levels,
    )


def _rotations_of_ticks(
    pulses: Mapping[str, Pulses],
    n_samples: int,
    options: Mapping[str, Any],
    protocol: Protocol,
    stimulus: Stimulus | None,
    degrees_per_step: float | None,
    angles: Mapping[str, Any],
    report: Report,
) -> list[Rotation]:
    """Find the rotations that the motor's ticks and its rotation-on signal tell."""
    on, ticks = pulses.get("rotation_on"), pulses["rotation_ticks"]
    on = on if on is None or len(on) else None
    if on is not None and options["recognize_clocks"] and "rotation_on" not in options["invert"]:
        on = with_rotation_on_recognized(on, ticks, n_samples, report)
    asked = angles["direction"]
    direction = pulses.get("direction") if asked in ("auto", "channel") else None
    if asked == "channel" and direction is None:
        raise ConfigError(
            "angles.direction is channel, but no channel is named direction in "
            "signals.channel_order."
        )
    if asked == "table" and stimulus is None and protocol == "full":
        raise ConfigError("angles.direction is table, but the session has no stimulus table.")
    if asked in (1, -1):
        direction = always("direction", high=asked == 1, n_samples=n_samples)
    return find_rotations(
        on,
        ticks,
        rules=_rules(options, protocol, degrees_per_step),
        stimulus=stimulus if asked in ("auto", "table") else None,
        report=report,
        n_samples=n_samples,
        direction=direction,
    )


def _clock_frames(
    n_frames: int, clock_index: ArrayLike | None, n_clock_frames: int | None
) -> tuple[int, NDArray[np.int64] | None]:
    """Check which clock frames the movie's frames are."""
    n_clock = n_frames if n_clock_frames is None else int(n_clock_frames)
    if n_frames < 1 or n_clock < n_frames:
        raise InputError(
            f"A movie of {n_frames} frames cannot belong to {n_clock} frames of the clock; there "
            "is at least one frame, and the clock counts each of them."
        )
    if clock_index is None:
        if n_clock != n_frames:
            raise InputError(
                f"The movie has {n_frames} frames and the clock should count {n_clock}: "
                "clock_index has to say which of them each frame of the movie is."
            )
        return n_clock, None
    index = np.asarray(clock_index, np.int64)
    if index.shape != (n_frames,) or index.min() < 0 or index.max() >= n_clock:
        raise InputError(
            f"clock_index has shape {index.shape} and values from {index.min()} to {index.max()}; "
            f"expected are {n_frames} values from 0 to {n_clock - 1}, one per frame of the movie."
        )
    if n_clock == n_frames and np.array_equal(index, np.arange(n_frames)):
        return n_clock, None
    return n_clock, index


def _check_arguments(sampling_rate: float, lines_per_frame: int, protocol: str) -> None:
    """Refuse arguments that make no sense."""
    if not (np.isfinite(sampling_rate) and sampling_rate > 0):
        raise InputError(f"sampling_rate is {sampling_rate} Hz; it must be above 0.")
    if lines_per_frame < 1:
        raise InputError(f"lines_per_frame is {lines_per_frame}; it must be at least 1.")
    if protocol not in ("full", "incremental", "free"):
        raise InputError(f"protocol is '{protocol}'; allowed are 'full', 'incremental' and 'free'.")


def _tick_arrays(rotations: Sequence[Rotation]) -> dict[str, Any]:
    """Chain the ticks of all usable rotations."""
    used = [(k, r, r.ticks) for k, r in enumerate(rotations) if r.ticks is not None]
    return {
        "tick_time": np.concatenate([np.zeros(0), *(t.time for _, _, t in used)]),
        "tick_rotation": np.concatenate(
            [np.zeros(0, np.int32), *(np.full(len(t.time), k, np.int32) for k, _, t in used)]
        ),
        "tick_angle": np.concatenate([np.zeros(0), *(r.tick_angle for _, r, _ in used)]),
        "tick_inserted": np.concatenate([np.zeros(0, np.bool_), *(t.inserted for _, _, t in used)]),
    }


def _rotation_arrays(rotations: Sequence[Rotation]) -> dict[str, Any]:
    """Collect the fields of rotations."""
    return {
        "rotation_start": np.array([r.start for r in rotations]),
        "rotation_end": np.array([r.stop for r in rotations]),
        "rotation_direction": np.array([r.direction for r in rotations], np.int8),
        "rotation_speed": np.array([r.speed for r in rotations]),
        "rotation_measured_speed": np.array([r.measured_speed for r in rotations]),
        "rotation_usable": np.array([not r.problem for r in rotations]),
        "rotation_turned": np.array([r.turned for r in rotations]),
        "rotation_lost": np.array([r.lost_from for r in rotations], np.float64),
    }


def _check_rotations_within_scan(scan: Scan, rotations: Sequence[Rotation], report: Report) -> None:
    """Say which rotations no frame of the movie sees."""
    begin, end = scan.line_start[0, 0], scan.line_start[-1, -1] + scan.line_period
    unseen = [r for r in rotations if r.stop < begin or r.start > end]
    if unseen:
        report.anomaly(
            "rotations_without_frames",
            "rotation_on",
            f"{counted(len(unseen), 'rotation')} outside the time in which the microscope scanned.",
            [rotation.start for rotation in unseen],
        )


def _shown(levels: Levels) -> tuple[float, float, float]:
    """Give the levels of a channel that are kept; a flat one has no threshold of its own."""
    threshold = levels.threshold if np.isfinite(levels.threshold) else levels.high
    return levels.low, levels.high, threshold


def _plain(value: Any) -> Any:
    """Turn repairs into what JSON holds."""
    if isinstance(value, tuple):
        return [asdict(item) for item in value]
    return value


def open_result(path: str | os.PathLike[str], kind: str, version: int) -> dict[str, NDArray[Any]]:
    """Read a `.npz` that holds a result of a given kind.

    Raises
    ------
    InputError
        If it cannot be read, holds something else, or was written by a later version.
    """
    values = read_npz(path, kind)
    if str(values.pop("kind", "")) != kind:
        raise InputError(f"{os.fspath(path)} holds no {kind}; it has {', '.join(values)}.")
    found = values.pop("version", -1)
    if not np.array_equal(found, version):
        raise InputError(
            f"{os.fspath(path)} holds {kind} of version {found}; this software reads version "
            f"{version}. Make it again."
        )
    return values


def _rules(
    options: Mapping[str, Any], protocol: Protocol, degrees_per_step: float | None
) -> RotationRules:
    """Collect what the configuration says about rotations."""
    degrees = options["degrees_per_rotation"]
    return RotationRules(
        protocol=protocol,
        increment=float(options["rotation_increment"]),
        degrees=None if degrees is None else float(degrees),
        degrees_per_step=degrees_per_step,
        max_off_glitch_s=float(options["max_off_glitch_ms"]) / 1e3,
        max_missing_fraction=float(options["max_missing_tick_fraction"]),
    )
