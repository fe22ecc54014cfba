"""A session's files and settings, looked at together."""

import math
import shlex
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from derotation.cohort.groups import SAME_SIZE
from derotation.cohort.mistakes.bin_layout import why_not_opened
from derotation.cohort.rigs import session_config
from derotation.cohort.sample_sheet import Session
from derotation.cohort.session_look import look_at_session, open_movie_of
from derotation.errors import DerotationError, SignalError
from derotation.io.movie import Movie
from derotation.io.parts import further_parts
from derotation.io.signals import AnalogSignals
from derotation.signals.rows import check_lines, read_rows

__all__ = ["SessionCheck", "check_session"]

# Signals that are shorter than the movie by more than this cannot belong to it.
SHORTEST = 0.98
# Signals that last this much longer than the movie are worth a look.
LONGEST = 3.0
# Clocks of file servers differ by seconds; a file that is further ahead has a wrong time.
CLOCK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCheck:
    """What the headers of a session's files say; None where nothing is known.

    Attributes
    ----------
    name, protocol : str
        As in the sample sheet.
    rig : str or None
        The rig whose keys hold for it.
    simulated : bool
        Whether the workflow makes its files itself; then there is nothing to look at.
    shape : tuple of int or None
        Frames, height and width of the movie.
    frame_rate : float or None
        Frames per second of the chosen plane, Hz.
    channels : str
        The channel and the plane that are read, if there are several.
    movie_bytes : int
        Size of the movie's files.
    signals_s : float or None
        Duration of the analog signals, seconds.
    n_rotations : int or None
        Rows of the stimulus table.
    output_bytes : int
        What the session's results will still take on the disk, about.
    problems, notes : tuple of str
        What keeps it from being processed, and what is worth a look.
    remarks : tuple of str
        What is taken for granted, as no file says it.
    """

    name: str
    protocol: str
    rig: str | None = None
    simulated: bool = False
    shape: tuple[int, int, int] | None = None
    frame_rate: float | None = None
    channels: str = ""
    movie_bytes: int = 0
    signals_s: float | None = None
    n_rotations: int | None = None
    output_bytes: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def check_session(session: Session, config: Mapping[str, Any]) -> SessionCheck:
    """Open the files of one session without reading what they record.

    Parameters
    ----------
    session : Session
        A row of the sample sheet.
    config : mapping
        The checked configuration of the cohort.

    Returns
    -------
    SessionCheck
        Whatever is wrong stands in its `problems`.
    """
    with ExitStack() as opened:
        look = _Look(session, config, opened)
        for part in (
            look.movie, look.signals, look.angles, look.stimulus, look.calibration, look.wiring,
        ):  # fmt: skip
            try:
                part()
            except (DerotationError, OSError) as error:
                look.problems.append(str(error))
            except Exception as error:
                # Whatever one damaged file does, the other sessions are looked at.
                look.problems.append(_unforeseen(part.__name__, session, error))
    look.durations()
    look.times()
    look.cells()
    return SessionCheck(
        name=session.name,
        protocol=session.protocol,
        rig=session.rig,
        problems=tuple(look.problems),
        notes=tuple(look.notes),
        remarks=tuple(look.remarks),
        **look.found,
    )


class _Look:
    """Collects what the headers of one session's files say."""

    def __init__(self, session: Session, config: Mapping[str, Any], opened: ExitStack) -> None:
        self.session, self.config = session, session_config(config, session)
        self._opened = opened
        self.found: dict[str, Any] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.remarks: list[str] = []
        self._movie_s: float | None = None
        self._movie: Movie | None = None
        self._signals: AnalogSignals | None = None
        self._speeds: tuple[float, ...] | None = None
        self._durations_explained = False

    def movie(self) -> None:
        movie = self._opened.enter_context(open_movie_of(self.session.movie, self.config))
        rate, meta = movie.metadata.frame_rate, movie.metadata
        several = [
            f"{what} {number} of {count}"
            for what, number, count in (
                ("channel", movie.channel, len(meta.channels_saved or ())),
                ("plane", movie.plane, movie.n_planes),
            )
            if count > 1
        ]
        self.notes += movie.notes
        self._pixel_size(meta.pixel_size_um)
        self.found |= {
            "shape": movie.shape,
            "frame_rate": rate and rate * len(movie) / movie.n_clock_frames,
            "channels": ", ".join(several),
            "movie_bytes": sum(path.stat().st_size for path in movie.paths),
            "output_bytes": self._output_bytes(movie.shape, movie.dtype),
        }
        rate = self.config["scan"]["frame_rate"] or rate
        self._movie_s = movie.n_clock_frames / rate if rate else None
        self._movie = movie
        for part in (self._parts, self._rows):
            try:
                part(movie)
            except DerotationError as error:
                self.problems.append(str(error))

    def cells(self) -> None:
        """Tell whether the file with the session's ROIs is there."""
        wanted = self.config["cells"]["rois"]
        if wanted in (None, "blobs", "suite2p"):
            return
        file = Path(wanted.replace("{session}", self.session.name))
        if not file.exists():
            self.notes.append(
                f"{file} is missing (cells.rois), so that no cells are measured; after it is made, "
                "derotation run goes on with them"
            )

    def _parts(self, movie: Movie) -> None:
        """Compare the channels and planes that are wanted with those of the files."""
        chosen = self.config["movie"]
        further = further_parts(movie, "channel", chosen["channels"])
        functional = self.config["export"]["functional_channel"]
        if further and functional not in (None, movie.channel, *further):
            derotated = ", ".join(map(str, (movie.channel, *further)))
            self.problems.append(
                f"export.functional_channel is {functional}, but the channels that will be "
                f"derotated are {derotated}; name one of them, or add it to movie.channels"
            )
        further_parts(movie, "plane", chosen["planes"])

    def _rows(self, movie: Movie) -> None:
        """Compare the movie's rows with the lines of a frame."""
        scan, height = self.config["scan"], movie.shape[1]
        lines = scan["lines_per_frame"] or movie.metadata.lines_per_frame or height
        check_lines(movie, lines)
        read_rows(height, scan["rows"]).check(lines, None, 1.0)

    def _pixel_size(self, found: float | None) -> None:
        """Compare what the movie says with what overrides it, which may be of another cohort."""
        given = self.config["mosaic"]["pixel_size_um"]
        if self.session.mosaic is None or found is None or given is None:
            return
        if not math.isclose(given, found, rel_tol=SAME_SIZE):
            self.notes.append(
                f"the movie says that a pixel measures {found:.4g} um, but mosaic.pixel_size_um is "
                f"{given:.4g}, which is used; leave the key away if the movie is right"
            )

    def _output_bytes(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> int:
        """Add up the movies that are not there yet; all else is small."""
        folder = Path(self.config["pathvars"]["results"], self.session.name)
        kept = np.dtype(self.config["derotate"]["dtype"] or dtype).itemsize
        files = {"derotated.tif": kept, "suite2p/plane0/data.bin": 2}
        if self.config.get("export", {}).get("keep_raw"):
            files["suite2p/plane0/data_raw.bin"] = 2
        missing = [size for name, size in files.items() if not Path(folder, name).exists()]
        return int(np.prod(shape)) * sum(missing)

    def signals(self) -> None:
        from derotation.io.signals import open_signals, signal_options
        from derotation.signals.roles import REQUIRED_ROLES, digital_roles

        given = self.config["signals"]
        if not self.session.signals:
            return
        source = self.config["angles"]["source"]
        try:
            signals = open_signals(
                self.session.signals, required=REQUIRED_ROLES[source], **signal_options(given)
            )
        except SignalError as error:
            raise SignalError(why_not_opened(error, self.session.signals, given)) from error
        roles = digital_roles(signals.roles, source)
        missing = [role for role in given["invert"] if role not in roles]
        if missing:
            self.problems.append(
                f"signals.invert names {', '.join(missing)}, which is not among the channels that "
                f"are read: {', '.join(roles)}"
            )
        self.found["signals_s"] = signals.n_samples / signals.sampling_rate(given["sampling_rate"])
        self._signals = signals

    def wiring(self) -> None:
        """Look what the channels show, and compare it with all that is said about them."""
        if self._signals is None:
            return
        found = look_at_session(
            self._signals, self.session, self.config, self._movie, speeds=self._speeds
        )
        for mistake in found.mistakes:
            (self.problems if mistake.is_problem else self.notes).append(mistake.text)
        self._durations_explained = bool(found.mistakes)
        self.notes += found.notes
        self.remarks += found.remarks

    def angles(self) -> None:
        from derotation.io.angle_table import read_angle_table

        if self.config["angles"]["source"] != "table":
            return
        if not self.session.angles:
            self.problems.append(
                "angles.source is table, but the column angles of the sample sheet is empty"
            )
            return
        table, shape = read_angle_table(self.session.angles), self.found.get("shape")
        if table.time is None and shape and table.angle.shape not in (shape[:1], shape[:2]):
            self.problems.append(
                f"{self.session.angles} holds angles of the shape {table.angle.shape} without "
                f"times; expected are one per frame ({shape[0]}) or per line ({shape[0]} x "
                f"{shape[1]})"
            )

    def stimulus(self) -> None:
        from derotation.io.stimulus import read_stimulus, stimulus_options

        if self.session.stimulus:
            options = stimulus_options(self.config["signals"])
            table = read_stimulus(self.session.stimulus, **options)
            self.found["n_rotations"] = len(table.speed)
            self._speeds = tuple(map(float, table.speed))

    def calibration(self) -> None:
        from derotation.calibration.calibration import Calibration

        given, shape = self.session.calibration, self.found.get("shape")
        if given and Path(given).is_file():
            calibration = Calibration.load(given)
            if shape:
                calibration.check_shape(shape, self.session.movie)

    def times(self) -> None:
        """Find files from the future: Snakemake takes what is made of them for outdated."""
        session = self.session
        files = [*session.movie_files(), session.signals, session.stimulus]
        for file in filter(None, files):
            try:
                changed = Path(file).stat().st_mtime
            except OSError:
                continue  # said where it is read
            if changed > time.time() + CLOCK_S:
                when = datetime.fromtimestamp(changed).isoformat(" ", "minutes")
                self.problems.append(
                    f"{file} was changed at {when}, which is in the future: what is made of it "
                    f"would always look outdated. Set its time: touch {shlex.quote(file)}"
                )

    def durations(self) -> None:
        """Compare the lengths of movie and signals: the commonest mix-up of files."""
        signals_s, movie_s = self.found.get("signals_s"), self._movie_s
        if signals_s is None or movie_s is None or self._durations_explained:
            return
        said = (
            f"the signals ({self.session.signals}) last {signals_s:.1f} s, "
            f"the movie {movie_s:.1f} s"
        )
        advice = "do the files belong together, and is signals.sampling_rate right?"
        if signals_s < SHORTEST * movie_s:
            self.problems.append(f"{said}, which is longer; {advice}")
        elif signals_s > LONGEST * movie_s:
            self.notes.append(f"{said}; {advice}")


def _unforeseen(part: str, session: Session, error: Exception) -> str:
    """Name the file behind an error that no reader has foreseen."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    # What channels show is read from the signals.
    part = "signals" if part == "wiring" else part
    return (
        f"{part} ({getattr(session, part)}): it cannot be read, for a reason that was not foreseen "
        f"({said}); the file is likely damaged: copy it again from where it was recorded."
    )
