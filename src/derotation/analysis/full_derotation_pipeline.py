"""A session with full rotations, from its raw files to the movie that stands still, in one call."""

import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from derotation import __version__
from derotation.analysis.pipeline_settings import (
    PipelineSettings,
    Protocol,
    read_pipeline_config,
    settings_from,
)
from derotation.analysis.run_log import run_log
from derotation.calibration.calibration import Calibration
from derotation.calibration.center import CenterEstimate, estimate_center
from derotation.calibration.plane import PlaneEstimate, estimate_plane
from derotation.errors import CenterError, ConfigError, DerotationError
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.io.signals import AnalogSignals, open_signals
from derotation.io.stimulus import read_stimulus
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.frame_clock import find_sampling_rate
from derotation.steps import parse_signals
from derotation.steps.inputs import open_session_movie, save_plot, settle
from derotation.steps.timing import line_timing
from derotation.streaming.single_pass import DerotationResult, derotate_movie

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from derotation.calibration.wobble import WobbleEstimate, estimate_wobble

__all__ = ["Center", "FullPipeline"]

logger = logging.getLogger(__name__)

#: What `FullPipeline.find_center` may return: all that is known, or just (x, y) in pixels.
Center = CenterEstimate | Calibration | tuple[float, float]

# Errors of the library name keys of the workflow's configuration; here these have other names.
_KEYS_HERE = {
    "signals.channel_order": "channel_names",
    "signals.channel_names": "channel_names",
    "signals.sampling_rate": "sampling_rate (or frame_rate, from which it follows)",
    "signals.rotation_increment": "rotation_increment",
    "signals.degrees_per_rotation": "rot_deg (with adjust_increment: true)",
    "signals.thresholds.rotation_ticks": (
        "analog_signals_processing.find_rotation_ticks_peaks.height"
    ),
    "angles.direction_sign": "direction_sign",
    "angles.degrees_per_step": "degrees_per_step",
    "center.fixed": "biased_center (with center_method: fixed)",
    "center.method": "center_method",
}


class FullPipeline:
    """Derotate a session with full rotations at various speeds and in both directions.

    Make it from a configuration and call it: ``FullPipeline(config)()``. Each step is one method
    that calls one function of the library and returns its result, so that a step is changed by
    overriding its method in a subclass.

    Parameters
    ----------
    config : mapping or path
        The configuration; or the YAML file that holds it; or its name, which is the file's path
        without ``.yml``, in the working directory or in its folder ``config``. Relative paths in
        it are looked up from the working directory. Keys:

        paths_read
            ``path_to_tif``: the movie, one TIFF or a pattern for several; ``path_to_aux``: the
            analog signals, ``.npy`` or ``.bin``; ``path_to_randperm``: the stimulus table,
            ``.csv`` or ``.mat``.
        paths_write
            ``derotated_tiff_folder`` and ``saving_name`` (needed); ``debug_plots_folder`` and
            ``logs_folder`` (by default ``debug_plots`` and ``logs`` within the first). Folders
            are made.
        channel_names : list of text
            Needed for ``.bin`` only: all channels in the file's order. Roles are told from names:
            line_clock or scanimage_lineclock, frame_clock or scanimage_frameclock, rotation_on or
            PI_rotON, rotation_ticks or PI_rotticks; others are not used.
        rotation_increment, rot_deg : number
            Degrees from tick to tick (0.2), and of a full rotation (360).
        adjust_increment : bool
            True (default): rotations are known to turn by `rot_deg`, whatever their number of
            ticks. False: each turns by its number of ticks times `rotation_increment`.
        direction_sign : {1, -1}
            -1 flips the sign of all angles, for rigs that are wired the other way round.
        degrees_per_step : number
            Incremental protocol only: size of a step, degrees (10).
        frame_rate, sampling_rate : number
            Frames that the frame clock counts per second, and samples per second of the analog
            signals, Hz. One is enough; given both, they are checked against each other.
        debugging_plots : bool
            Whether plots are made (default: true).
        interpolation
            ``line_use_start``: the angle of a line is that at its start (true), at its end
            (false) or in its middle (null, default). Where pixels go is the same in each case,
            since each is placed by its own time. ``frame_use_start``: the angle of a frame in the
            table is that of its first line (true), of its last one (false) or that in its middle
            (null, default).
        analog_signals_processing
            ``find_rotation_ticks_peaks.height``: volts above which the ticks' channel is high, by
            default told from the signal. All other keys of this section are accepted, but not
            needed.
        center_method
            registration (default), bayesian, ellipse (incremental protocol only), fixed (the
            value of `biased_center`) or image_center.
        biased_center : [x, y]
            Guess of the center in pixels: where the search begins.
        delta_center, init_points, n_iter
            For center_method bayesian: how far from the guess (pixels) it searches, with how many
            random and how many chosen trials.
        movie, scan, plane, wobble, derotate
            As in the workflow's configuration.
    threads : int, optional
        Threads that share the work on frames; by default as many as there are cores to use.

    Attributes
    ----------
    config : dict
        The configuration as it was given.
    settings : PipelineSettings
        The configuration, checked: paths, and one section per step.
    sampling_rate : float
        Of the analog signals, Hz.
    events : Events
        What was found in the analog signals.
    angles : Angles
        Angles of all lines and frames.
    rot_deg_line : ndarray of shape (n_frames * n_lines,)
        Angle of each line, degrees; NaN where the ticks do not tell it.
    rot_deg_frame : ndarray of shape (n_frames,)
        Angle of each frame, degrees.
    calibration : Calibration
        Center with uncertainty and method.
    center_of_rotation : tuple of float
        (x, y) in pixels.
    result : DerotationResult
        Mean images, coverage and examples.
    derotated : Path
        The derotated movie.

    Raises
    ------
    ConfigError
        With everything that is wrong with the configuration, one line each.

    Notes
    -----
    Files that a run writes, each whole or not at all: ``<saving_name>.tif`` (derotated movie),
    ``<saving_name>.csv`` (angles, a row per frame) and ``<saving_name>_calibration.json`` in
    `derotated_tiff_folder`; ``optimal_center_of_rotation.txt`` and plots in
    `debug_plots_folder`; ``<saving_name>_events.json`` (what was found and repaired in the
    signals) and a log file for each run in `logs_folder`.

    Attributes but for `config` and `settings` exist after the run, each as soon as its step is
    done; no step reads them.
    """

    protocol: ClassVar[Protocol] = "full"

    def __init__(
        self, config: Mapping[str, Any] | str | Path, *, threads: int | None = None
    ) -> None:
        self.config, source = read_pipeline_config(config)
        self.settings: PipelineSettings = settings_from(self.config, self.protocol, source)
        self.threads = threads or _available_cores()

    def __call__(self) -> None:
        """Run all steps in order and write their results.

        Raises
        ------
        DerotationError
            If an input is missing or cannot be read, or if a step fails; the message says why.
        """
        began = time.perf_counter()
        with _keys_of_this_configuration():
            self.check_inputs()
        with run_log(self._log_path()), _keys_of_this_configuration():
            self._log_beginning()
            self.run()
            logger.info("Done in %.1f s", time.perf_counter() - began)

    def run(self) -> None:
        """Do all steps: what comes after what; override it to add a step or leave one out."""
        self.sampling_rate = self.find_sampling_rate(self.open_signals())
        with self.open_movie() as movie:
            self.events = self.parse_signals(self.sampling_rate)
            self.angles = self.interpolate_angles(movie, self.events)
            self.rot_deg_line = self.angles.line_angles.ravel()
            self.rot_deg_frame = self.choose_frame_angles(self.angles)
            self.save_angles(self.angles, self.rot_deg_frame)

            center = self.find_center(movie, self.angles)
            self.calibration = as_calibration(center, movie)
            if not isinstance(center, Calibration):  # which would be complete already
                plane = self.find_plane(movie, self.angles, self.calibration)
                self.calibration = plane.calibration
                wobble = self.find_wobble(movie, self.angles, self.calibration)
                self.calibration = wobble.calibration
            self.center_of_rotation = self.calibration.center
            self.save_center(self.calibration)

            self.result = self.derotate(movie, self.angles, self.calibration)
            self.derotated = self.settings.derotated
        if self.settings.plots:
            self.save_plots(self.events, self.angles, center, self.calibration, self.result)

    # Steps, in the order in which they run.

    def check_inputs(self) -> None:
        """Look whether all inputs can be read and all folders be written, before the work.

        Raises
        ------
        DerotationError
            If not.
        """
        settings = self.settings
        self.open_signals()
        if settings.stimulus is not None:
            read_stimulus(settings.stimulus)
        with self.open_movie() as movie:
            _refuse_to_overwrite(settings.derotated, movie.paths)
        for folder in (settings.folder, settings.plots_folder, settings.logs_folder):
            _make_folder(folder)

    def open_movie(self) -> Movie:
        """Open the recorded movie, to be closed by who opens it.

        Returns
        -------
        Movie
        """
        return open_session_movie(self.settings.movie, self.settings.sections)

    def open_signals(self) -> AnalogSignals:
        """Open the analog signals.

        Returns
        -------
        AnalogSignals
        """
        section = self.settings.sections["signals"]
        return open_signals(
            self.settings.signals,
            channel_order=section["channel_order"],
            channel_names=section["channel_names"],
        )

    def find_sampling_rate(self, signals: AnalogSignals) -> float:
        """Tell the sampling rate from the frame rate.

        Parameters
        ----------
        signals : AnalogSignals

        Returns
        -------
        float
            Hz.
        """
        return find_sampling_rate(
            signals,
            frame_rate=self.settings.frame_rate,
            sampling_rate=self.settings.sampling_rate,
            thresholds=self.settings.sections["signals"]["thresholds"],
        )

    def parse_signals(self, sampling_rate: float) -> Events:
        """Find all events in the analog signals and bring them to agree with the movie.

        Parameters
        ----------
        sampling_rate : float
            Of the analog signals, Hz.

        Returns
        -------
        Events
            With as many frames as the movie.
        """
        settings = self.settings
        signals = {**settings.sections["signals"], "sampling_rate": sampling_rate}
        with tempfile.TemporaryDirectory() as scratch:
            plots = settings.plots_folder if settings.plots else Path(scratch)
            return parse_signals.run(
                movie=settings.movie,
                signals=settings.signals,
                stimulus=settings.stimulus,
                protocol=self.protocol,
                config={**settings.sections, "signals": signals},
                events=Path(scratch) / "events.npz",
                summary=settings.events_summary,
                plot=plots / "signals.png",
            )

    def interpolate_angles(self, movie: Movie, events: Events) -> Angles:
        """Tell the angle of each line and frame.

        Parameters
        ----------
        movie : Movie
            Only its metadata are read.
        events : Events

        Returns
        -------
        Angles
        """
        # Measured pulses say more than metadata: they come from the same clock as the ticks.
        said = None if events.line_duration_measured else movie.metadata.line_duty
        sections = self.settings.sections
        return interpolate_angles(
            events,
            protocol=self.protocol,
            config=sections["angles"],
            line_duty=settle("scan.line_duty", sections["scan"]["line_duty"], said, None),
        )

    def choose_frame_angles(self, angles: Angles) -> NDArray[np.float64]:
        """Choose the moment of a frame to which its angle belongs.

        Parameters
        ----------
        angles : Angles

        Returns
        -------
        ndarray of shape (n_frames,)
            Degrees.
        """
        match self.settings.frame_use_start:
            case None:
                return angles.frame_angles
            case True:
                return angles.line_angles[:, 0]
            case _:
                return angles.line_angles[:, -1]

    def save_angles(self, angles: Angles, frame_angles: NDArray[np.float64]) -> None:
        """Write the table of angles, a row per frame.

        Parameters
        ----------
        angles : Angles
        frame_angles : ndarray of shape (n_frames,)
            The column ``rotation_angle``, degrees.
        """
        replace(angles, frame_angles=frame_angles).to_csv(self.settings.table)

    def find_center(self, movie: Movie, angles: Angles) -> Center:
        """Find the center of rotation.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles

        Returns
        -------
        CenterEstimate, Calibration, or tuple of float
            All that is known about the center, or only (x, y) in pixels.
        """
        return estimate_center(
            movie,
            angles,
            self.settings.sections["center"],
            timing=line_timing(movie, angles, self.settings.sections),
            session=self.settings.name,
            threads=self.threads,
        )

    def find_plane(self, movie: Movie, angles: Angles, calibration: Calibration) -> PlaneEstimate:
        """Find the tilt of the plane of rotation.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration
            With the center.

        Returns
        -------
        PlaneEstimate
            Its calibration corrects the tilt if it is significant.
        """
        return estimate_plane(
            movie,
            angles,
            calibration,
            self.settings.sections["plane"],
            timing=line_timing(movie, angles, self.settings.sections),
            session=self.settings.name,
            threads=self.threads,
        )

    def find_wobble(self, movie: Movie, angles: Angles, calibration: Calibration) -> WobbleEstimate:
        """Find the wobble of the axis of rotation.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration
            With center and tilt.

        Returns
        -------
        WobbleEstimate
            Its calibration corrects the wobble if it is significant.
        """
        return estimate_wobble(
            movie,
            angles,
            calibration,
            self.settings.sections["wobble"],
            timing=line_timing(movie, angles, self.settings.sections),
            session=self.settings.name,
            threads=self.threads,
        )

    def save_center(self, calibration: Calibration) -> None:
        """Write the center for people and for programs.

        Parameters
        ----------
        calibration : Calibration
        """
        calibration.save(self.settings.calibration)
        write_text(self.settings.center_text, _center_for_people(calibration))

    def derotate(self, movie: Movie, angles: Angles, calibration: Calibration) -> DerotationResult:
        """Put every line back in its place and write the movie that stands still.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration

        Returns
        -------
        DerotationResult
        """
        sections = self.settings.sections
        return derotate_movie(
            movie,
            angles,
            calibration,
            self.settings.derotated,
            timing=line_timing(movie, angles, sections),
            config=sections["derotate"],
            frames_per_chunk=sections["movie"]["frames_per_chunk"],
            threads=self.threads,
        )

    def save_plots(
        self,
        events: Events,
        angles: Angles,
        center: Center,
        calibration: Calibration,
        result: DerotationResult,
    ) -> None:
        """Write the plots that a person looks at to trust the steps.

        Parameters
        ----------
        events : Events
        angles : Angles
        center : CenterEstimate, Calibration, or tuple of float
            What `find_center` returned; only an estimate can be plotted.
        calibration : Calibration
        result : DerotationResult
        """
        from derotation.plots.angles import plot_angles
        from derotation.plots.center import plot_center
        from derotation.plots.movie import plot_before_after, plot_contact_sheet

        self.save_plot(plot_angles(angles, events), "angles")
        if isinstance(center, CenterEstimate):
            self.save_plot(plot_center(center), "center")
        self.save_plot(plot_before_after(result, calibration), "before_after")
        self.save_plot(plot_contact_sheet(result, angles), "contact_sheet")

    def save_plot(self, figure: "Figure", name: str) -> None:
        """Write one plot to the folder of plots.

        Parameters
        ----------
        figure : Figure
        name : str
            The file's name without ``.png``.
        """
        save_plot(figure, self.settings.plots_folder / f"{name}.png")

    def _log_path(self) -> Path:
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        return self.settings.logs_folder / f"{self.settings.name}_{now}.log"

    def _log_beginning(self) -> None:
        logger.info("%s of derotation-workflow %s", type(self).__name__, __version__)
        logger.info("Configuration: %s", json.dumps(self.config, default=str))
        for remark in self.settings.remarks:
            logger.warning(remark)


def as_calibration(center: Center, movie: Movie) -> Calibration:
    """Take the calibration out of what a method returned, or make one of a mere center.

    Parameters
    ----------
    center : CenterEstimate, Calibration, or tuple of float
        What `FullPipeline.find_center` returned.
    movie : Movie
        The movie that it belongs to.

    Returns
    -------
    Calibration

    Raises
    ------
    CenterError
        If `center` is neither of these.
    """
    if isinstance(center, Calibration):
        return center
    calibration = getattr(center, "calibration", None)
    if isinstance(calibration, Calibration):
        return calibration
    try:
        x, y = (float(value) for value in center)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        msg = (
            f"find_center returned {center!r}; expected is a CenterEstimate, a Calibration, or the "
            "center as two numbers (x, y) in pixels."
        )
        raise CenterError(msg)
    return Calibration(
        center=(x, y),
        image_shape=(movie.shape[1], movie.shape[2]),
        method="custom",
        statement="The center was given by a method of one's own; nothing is known about it.",
    )


def _center_for_people(calibration: Calibration) -> str:
    x, y = calibration.center
    doubt = "" if calibration.trusted else " NOT TO BE TRUSTED."
    return (
        f"Optimal center of rotation: ({x:.4f}, {y:.4f})\n"
        "x and y in pixels: column and row, counted from 0 at the middle of the top left pixel.\n"
        f"Method: {calibration.method}.{doubt} {calibration.statement}\n"
    )


def _refuse_to_overwrite(output: Path, inputs: Iterable[Path]) -> None:
    """Keep the derotated movie from replacing the recorded one."""
    if output.resolve() in {path.resolve() for path in inputs}:
        msg = (
            f"{output} is one of the files of the recorded movie (paths_read.path_to_tif), and "
            "the derotated movie would replace it; choose another paths_write.saving_name or "
            "paths_write.derotated_tiff_folder, or a narrower pattern."
        )
        raise ConfigError(msg)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"{folder}: nothing can be written there ({error.strerror}); see paths_write."
        raise ConfigError(msg) from error


@contextmanager
def _keys_of_this_configuration() -> Iterator[None]:
    """Let errors name keys as they are called in this configuration."""
    try:
        yield
    except DerotationError as error:
        error.args = tuple(_in_keys_here(part) for part in error.args)
        raise


def _in_keys_here(text: object) -> object:
    if isinstance(text, str):
        for there, here in _KEYS_HERE.items():
            text = text.replace(there, here)
    return text


def _available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
