"""All that the report says of sessions and mosaics, collected from their files."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from derotation.errors import InputError
from derotation.report.captions import PLOTS
from derotation.report.states import STEPS, State

__all__ = [
    "CohortReport",
    "Figure",
    "Measure",
    "MosaicReport",
    "SessionReport",
    "StepTime",
    "collect_mosaic",
    "collect_session",
]

Row = Mapping[str, str | float]
# So many lines of the log of a failed job stand in the page.
LOG_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of quality, as ``quality.json`` holds it."""

    name: str
    """Short name, which is also the column's in ``cohort.tsv``."""
    title: str
    """Name for people."""
    value: float | None
    """The figure; None if it could not be measured."""
    flag: str
    """``ok``, ``look``, ``bad``, or ``none`` if there is no threshold."""
    unit: str = ""
    """Unit of `value`; empty for a plain number."""
    before: float | None = None
    """The same of the raw movie; None where that makes no sense."""
    look: float | None = None
    """From here on somebody should look at it."""
    bad: float | None = None
    """From here on something is wrong."""
    sentence: str = ""
    """What it means and what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """What one step of a session took."""

    step: str
    """The step."""
    seconds: float
    """Time from its start to its end, s."""
    megabytes: float | None
    """Most memory it held, MB; None if it was too short to be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A value of a session that may drift."""

    value: float
    """The value."""
    sd: float | None = None
    """Its standard uncertainty; None if that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """All that the report says of one session."""

    row: Row
    """The session's cells in the sample sheet, by column."""
    state: State
    """What became of it."""
    flag: str
    """``ok``, ``look`` or ``bad``; ``none`` if the quality was not measured."""
    figures: tuple[Figure, ...]
    """Figures of quality."""
    advice: tuple[str, ...]
    """What to look at, worst first."""
    signals_read: bool
    """Whether the signals were read; if not, nothing is known of repairs."""
    repairs: tuple[str, ...]
    """What was mended in the signals, in plain words."""
    anomalies: tuple[str, ...]
    """What looks odd in the signals but was left as it is."""
    calibration: str
    """How far center, plane and wobble can be trusted, in plain words."""
    calibration_from: str
    """The session or the file that the calibration comes from; empty: from this session."""
    trusted: bool
    """False if the calibration contradicts itself or rests on too little."""
    statements: Mapping[str, str]
    """What other steps found, in plain words, by what they looked at."""
    doubtful: frozenset[str] = frozenset()
    """Those of `statements` that are not sure, or rest on what is only assumed."""
    plots: Mapping[str, Path]
    """Files of the plots that exist, in reading order."""
    times: tuple[StepTime, ...]
    """What the steps took, in the order of the steps."""
    player: Path | None = None
    """The file with frames to be played; None if it was not asked for."""
    cells: Path | None = None
    """The file with the traces of cells; None if there are none."""
    thumbnails: tuple[str, ...] = ()
    """Mean image before and after, as addresses of pictures; empty without a player."""
    trends: Mapping[str, Measure] = field(default_factory=dict)
    """What may drift from session to session, by its name in :mod:`derotation.report.trends`."""
    log_end: str = ""
    """The last lines of the failed job's log."""

    @property
    def name(self) -> str:
        """The session's name."""
        return str(self.row["session"])

    @property
    def verdict(self) -> str:
        """One word: failed, missing, bad, look, ok, or none."""
        return self.flag if self.state.status == "done" else self.state.status

    @property
    def flagged(self) -> list[Figure]:
        """The figures that are not ok, the worst first."""
        return [
            figure for flag in ("bad", "look") for figure in self.figures if figure.flag == flag
        ]

    @property
    def worst_first(self) -> list[Figure]:
        """All figures: those that are not ok, then the others in their order."""
        flagged = self.flagged
        return [*flagged, *(figure for figure in self.figures if figure not in flagged)]

    @property
    def first_words(self) -> str:
        """The one line that matters most; empty if all is well."""
        if self.state.status == "failed":
            return f"{self.state.failed_step}: {self.state.reason}"
        if self.state.status == "missing":
            return self.state.reason
        return self.advice[0] if self.advice else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicReport:
    """All that the report says of one mosaic."""

    name: str
    """The group of sessions that make it up."""
    state: State
    """What became of it."""
    plots: Mapping[str, Path]
    """Files of the plots that exist, by the names of their captions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortReport:
    """All that the report says."""

    sessions: tuple[SessionReport, ...]
    """In the order of the sample sheet."""
    mosaics: tuple[MosaicReport, ...] = ()
    """In the order of the sample sheet."""
    matching: State = field(default_factory=lambda: State(status="done"))
    """What became of the cells that are matched between sessions."""


def collect_mosaic(group: str, state: State, *, results: str | Path) -> MosaicReport:
    """Collect what is known of a mosaic.

    Parameters
    ----------
    group : str
        The group of sessions that make it up.
    state : State
        What became of it.
    results : path
        The folder of the results.

    Returns
    -------
    MosaicReport
    """
    folder = Path(results, "mosaic")
    plots = {"mosaic": folder / f"{group}.png", "mosaic_overlaps": folder / f"{group}_overlaps.png"}
    there = {name: path for name, path in plots.items() if path.exists()}
    return MosaicReport(name=group, state=state, plots=there)


def collect_session(
    row: Row,
    state: State,
    *,
    results: str | Path,
    benchmarks: str | Path,
    calibration: str | Path,
    played: bool = True,
) -> SessionReport:
    """Collect what is known of a session from its files, those that exist.

    Parameters
    ----------
    row : mapping
        The session's cells in the sample sheet, by column.
    state : State
        What became of the session.
    results, benchmarks : path
        The folders with a folder per session.
    calibration : path
        The calibration that the session is derotated with, see
        :func:`derotation.cohort.calibrations.calibration_in_use`.
    played : bool
        Whether frames were asked for; if not, those of an earlier run are not looked at.

    Returns
    -------
    SessionReport
        If one of the files does not hold what it should, the session failed in the step ``report``:
        it keeps no other from being reported.
    """
    try:
        return _collect(row, state, Path(results), Path(benchmarks), Path(calibration), played)
    except (InputError, OSError) as error:
        reason = str(error)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = (
            f"a file in {Path(results, str(row['session']))} does not hold what it should "
            f"({type(error).__name__}: {error}). Delete the damaged one to have it made anew."
        )
    # What kept it from being done weighs more than that not all of its files can be read.
    if state.status == "done":
        state = State(
            status="failed",
            failed_step="report",
            reason=reason.splitlines()[0],
            details=reason,
        )
    return SessionReport(
        row=row,
        state=state,
        flag="none",
        figures=(),
        advice=(),
        signals_read=False,
        repairs=(),
        anomalies=(),
        calibration="",
        calibration_from=str(row.get("calibration", "")),
        trusted=True,
        statements={},
        plots={},
        times=(),
        log_end=_log_end(state),
    )


def _collect(
    row: Row, state: State, results: Path, benchmarks: Path, calibration: Path, played: bool
) -> SessionReport:
    """Collect what is known of a session; an error if one of its files is damaged."""
    name = str(row["session"])
    folder = Path(results, name)
    # What is left of an earlier run says nothing about a session that failed in this one.
    quality = _read(folder / "quality.json") if state.status == "done" else {}
    events = _read(folder / "events.json")
    known = _read(calibration)
    # The same holds for frames and traces.
    done = state.status == "done"
    player, cells = folder / "player.json", folder / "cells.npz"
    frames = _read(player) if done and played else {}
    figures = tuple(_figures(quality, folder / "quality.json"))
    return SessionReport(
        row=row,
        state=state,
        flag=str(quality.get("flag", "none")),
        figures=figures,
        advice=tuple(quality.get("advice", ())),
        signals_read=bool(events),
        repairs=tuple(_sentences(events.get("repairs", ()))),
        anomalies=tuple(_sentences(events.get("anomalies", ()))),
        calibration=str(known.get("statement", "")),
        calibration_from=str(row.get("calibration", "")),
        trusted=bool(known.get("trusted", True)),
        statements=_statements(folder),
        doubtful=_doubtful(folder),
        plots=_plots(folder / "plots"),
        times=tuple(_times(Path(benchmarks, name))),
        player=player if frames else None,
        cells=cells if done and cells.exists() else None,
        thumbnails=tuple(frames.get("thumbnails", ())),
        trends=_trends(known if not row.get("calibration") else {}, figures, frames),
        log_end=_log_end(state),
    )


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON file of a step; one that is not there is empty."""
    if not path.exists():
        return {}
    try:
        # JSON has no words for what is not known but null; other programs write NaN.
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Delete it to have it made anew.") from (
            error
        )
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no keys. Delete it to have it made anew.")
    return content


def _trends(
    calibration: Mapping[str, Any], figures: Sequence[Figure], player: Mapping[str, Any]
) -> dict[str, Measure]:
    """Collect what may drift; a calibration that comes from elsewhere says nothing of a session."""
    sds = calibration.get("center_sd") or (None, None)
    found = {
        f"center_{axis}": (value, sd)
        for axis, value, sd in zip("xy", calibration.get("center", ()), sds, strict=False)
    }
    plane_sd = calibration.get("plane_sd") or (None,)
    found["tilt"] = (calibration.get("plane_angle"), plane_sd[0])
    values = {figure.name: figure.value for figure in figures}
    found["residual"] = (values.get("residual_shift_px"), None)
    found["photons"] = (player.get("photons"), None)
    return {
        name: Measure(value=float(value), sd=None if sd is None else float(sd))
        for name, (value, sd) in found.items()
        if value is not None
    }


def _log_end(state: State) -> str:
    """Read the last lines of a failed job's log."""
    if state.status != "failed" or not state.log:
        return ""
    try:
        lines = Path(state.log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])


def _statements(folder: Path) -> dict[str, str]:
    """Collect what other steps say in plain words."""
    scan, illumination, motion, movement, planes, cells = (
        _read(folder / f"{name}.json")
        for name in ("scan", "illumination", "motion", "movement", "planes", "cells")
    )
    said = {
        "Scan": scan.get("statement"),
        "Illumination": illumination.get("statement"),
        "Brightness by angle": illumination.get("dark_angles", {}).get("statement"),
        "Motion": motion.get("statement"),
        "Movement": movement.get("statement"),
        "Further planes": planes.get("statement"),
        "Cells": cells.get("statement"),
    }
    return {about: str(text) for about, text in said.items() if text}


def _doubtful(folder: Path) -> frozenset[str]:
    """Tell which statements a person should look at."""
    verdicts = {
        about: _read(folder / f"{name}.json").get("verdicts", ())
        for about, name in (("Scan", "scan"), ("Motion", "motion"), ("Movement", "movement"))
    }
    return frozenset(
        about for about, own in verdicts.items() if any(one.get("doubt") for one in own)
    )


def _figures(quality: Mapping[str, Any], path: Path) -> list[Figure]:
    known = Figure.__dataclass_fields__
    try:
        return [
            Figure(**{key: value for key, value in figure.items() if key in known})
            for figure in quality.get("figures", ())
        ]
    except TypeError as error:
        raise InputError(
            f"{path}: a figure lacks a key: {error}. Delete the file to have it made anew."
        ) from error


def _sentences(notes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write each repair or anomaly with its channel, as the logs do."""
    return [f"{str(note['channel']).replace('_', ' ')}: {note['text']}" for note in notes]


def _plots(folder: Path) -> dict[str, Path]:
    """List the plots that exist: the known ones in reading order, then any others."""
    found = {path.stem: path for path in sorted(folder.glob("*.png"))}
    found |= {path.stem: path for path in sorted(folder.glob("*.gif"))}
    names = [name for name in PLOTS if name in found]
    names += [name for name in found if name not in PLOTS]
    # A session of one channel, in a cohort whose others have more, has a plot of that one.
    if not any(Path(folder.parent, "images", "channels").glob("*.tif")):
        names = [name for name in names if name != "channels"]
    return {name: found[name] for name in names}


def _times(folder: Path) -> list[StepTime]:
    times = []
    for path in folder.glob("*.tsv"):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if rows:
            # The last row is that of the last attempt.
            seconds, memory = _number(rows[-1].get("s")), _number(rows[-1].get("max_rss"))
            if seconds is not None:
                times.append(StepTime(step=path.stem, seconds=seconds, megabytes=memory))
    order = {step: place for place, step in enumerate(STEPS)}
    return sorted(times, key=lambda time: (order.get(time.step, len(order)), time.step))


def _number(text: str | None) -> float | None:
    """Read a number of a benchmark; a job that was too short has "-" or "NA" instead."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
