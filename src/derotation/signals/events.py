"""Clock times taken out of the analog signals: lines, frames, ticks and rotations."""

import importlib
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import save_npz, write_json
from derotation.io.results import check_arrays, open_result
from derotation.signals.repairs import Repair

__all__ = ["Events", "Repair"]

_KIND = "derotation events"
_VERSION = 2
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
        values: dict[str, Any] = open_result(
            npz_path, _KIND, _VERSION, mapped=("line_start", "line_repaired")
        )
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


def __getattr__(name: str) -> Any:
    # What makes events is known by this name, too; it imports them, and so is looked up when it is
    # asked for.
    if name == "parse_signals":
        return importlib.import_module("derotation.signals.parse").parse_signals
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def _plain(value: Any) -> Any:
    """Turn repairs into what JSON holds."""
    if isinstance(value, tuple):
        return [asdict(item) for item in value]
    return value
