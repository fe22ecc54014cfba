"""A session with full rotations, from its raw files to the movie that stands still, in one call."""

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from derotation import __version__
from derotation.analysis.given_center import Center, as_calibration
from derotation.analysis.pipeline_folders import make_folder, refuse_to_overwrite
from derotation.analysis.pipeline_keys import (
    Protocol,
    in_keys_here,
    keys_of_this_configuration,
)
from derotation.analysis.pipeline_settings import (
    PipelineSettings,
    read_pipeline_config,
    settings_from,
)
from derotation.analysis.run_log import run_log
from derotation.analysis.scripts_of_0_1 import ScriptsOf01
from derotation.calibration import Calibration
from derotation.cohort.signal_failure import cause_first
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.io.signals import AnalogSignals, open_signals, signal_options
from derotation.io.stimulus import read_stimulus, stimulus_options
from derotation.jobs.computer import n_cores
from derotation.light.illumination import IlluminationEstimate
from derotation.motion_correction.estimate import MotionEstimate
from derotation.numerics.linear_algebra import in_one_thread
from derotation.quality import Quality
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.signals.frame_clock import find_sampling_rate
from derotation.steps import (
    derotate_movie,
    estimate_center,
    estimate_illumination,
    estimate_motion,
    estimate_plane,
    interpolate_angles,
    measure_quality,
    parse_signals,
)
from derotation.steps.inputs import no_plots, open_session_movie
from derotation.steps.outputs import Outputs
from derotation.streaming import DerotationResult

__all__ = ["Center", "FullPipeline"]

logger = logging.getLogger(__name__)

AnyOutputs = TypeVar("AnyOutputs", bound=Outputs)


class FullPipeline(ScriptsOf01):
    """Derotate a session with full rotations at various speeds and in both directions.

    A sample at p = (x, y), in pixels, on a line with the angle a goes to
    ``R(a) (p - center) + center``, R(a) = [[cos a, sin a], [-sin a, cos a]]; angles, told by the
    motor's signals, are degrees, positive where the sample had turned clockwise on a screen whose y
    axis points down (`direction_sign` -1 for rigs wired the other way round). Center, tilt, wobble,
    lag and light are found from the movie.

    Make it from a configuration and call it: ``FullPipeline(config)()``. Each step of the workflow
    is one method, which calls that step and returns its result, so that a step is changed by
    overriding its method in a subclass. What comes out is what the workflow makes of the session.

    Parameters
    ----------
    config : mapping or path
        The configuration; or the YAML file that holds it; or its name, which is the file's path
        without ``.yml``, in the working directory or in its folder ``config``. Relative paths in
        it are looked up from the working directory. Keys:

        paths_read
            ``path_to_tif``: the movie, one TIFF or a pattern for several; ``path_to_aux``: the
            analog signals, ``.npy`` or ``.bin``; ``path_to_randperm``: the stimulus table,
            ``.csv`` or ``.mat`` (without one, the ticks tell speeds and the movie directions).
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
        lag_ms : number or "auto"
            Delay of the motor's signals, milliseconds (0); auto: found from the movie.
        movie, scan, plane, wobble, illumination, motion_correction, derotate, quality
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
        Center, tilt, wobble and lag, with uncertainty and method.
    center_of_rotation : tuple of float
        (x, y) in pixels.
    illumination : IlluminationEstimate
        The microscope's light, and the brightness at each angle.
    motion : MotionEstimate or None
        How the sample moved in its own plane; None if ``motion_correction.correct`` is never.
    result : DerotationResult
        Mean images, coverage and examples.
    quality : Quality
        Figures of merit, each ok, look or bad.
    derotated : Path
        The derotated movie.
    hooks : dict
        ``plotting_hook_line_addition`` and ``plotting_hook_image_completed``: functions that are
        called after each line and each frame, as those of
        :func:`derotation.derotate_by_line.derotate_an_image_array_line_by_line`; set it before
        the run. Hooks for lines take long: choose a short movie.

    Raises
    ------
    ConfigError
        With everything that is wrong with the configuration, one line each.

    Notes
    -----
    Files that a run writes, each whole or not at all: ``<saving_name>.tif`` (derotated movie),
    ``<saving_name>.csv`` (angles, a row per frame) and ``<saving_name>_calibration.json`` in
    `derotated_tiff_folder`, and there a folder ``<saving_name>`` with all that the workflow
    writes into a session's folder, under the same names; ``optimal_center_of_rotation.txt`` and
    plots in `debug_plots_folder`; ``<saving_name>_events.json`` (what was found and repaired in
    the signals) and a log file for each run in `logs_folder`.

    Attributes but for `config`, `settings` and `hooks` exist after the run, each as soon as its
    step is done; no step reads them. What else scripts for derotation 0.1 ask for (`image_stack`,
    `num_frames`, `speed`, `direction`, `offset`, `derotation_output_table`, ...) is told by
    :class:`~derotation.analysis.scripts_of_0_1.ScriptsOf01`.
    """

    protocol: ClassVar[Protocol] = "full"

    def __init__(
        self, config: Mapping[str, Any] | str | Path, *, threads: int | None = None
    ) -> None:
        self.config, source = read_pipeline_config(config)
        self.settings: PipelineSettings = settings_from(self.config, self.protocol, source)
        self.threads = threads or n_cores()
        self.hooks = {}
        self._plots = self.settings.plots_folder

    def __call__(self) -> None:
        """Run all steps in order and write their results.

        Raises
        ------
        DerotationError
            If an input is missing or cannot be read, or if a step fails; the message says why.
        """
        began = time.perf_counter()
        self._check_hooks()
        with keys_of_this_configuration():
            self.check_inputs()
        with (
            run_log(self._log_path(), said=in_keys_here),
            keys_of_this_configuration(),
            self._plots_if_wanted(),
            in_one_thread(),
        ):
            self._log_beginning()
            self.run()
            logger.info("Done in %.1f s", time.perf_counter() - began)

    def run(self) -> None:
        """Do all steps: what comes after what; override it to add a step or leave one out.

        It is called by calling the pipeline, which before checks the inputs, makes the folders and
        begins the log.
        """
        self.sampling_rate = self.find_sampling_rate(self.open_signals())
        with self.open_movie() as movie:
            self.events = self.parse_signals(movie, self.sampling_rate)
            self.angles = self.interpolate_angles(movie, self.events)
            self.rot_deg_line = self.angles.line_angles.ravel()
            self.rot_deg_frame = self.choose_frame_angles(self.angles)
            self.save_angles(self.angles, self.events, self.rot_deg_frame)

            center = self.find_center(movie, self.angles)
            self.calibration = as_calibration(center, movie)
            if not isinstance(center, Calibration):  # which would be complete already
                self.calibration = self.find_corrections(movie, self.angles, self.calibration)
            self.center_of_rotation = self.calibration.center
            self.save_center(self.calibration)

            self.illumination = self.estimate_illumination(movie, self.angles, self.calibration)
            self.motion = self.estimate_motion(movie, self.angles, self.calibration)
            self.result = self.derotate(movie, self.angles, self.calibration)
            self.derotated = self.settings.derotated
            self.call_hooks(movie, self.angles, self.calibration, self._motion())
        self.quality = self.measure_quality(self.result, self.events, self.angles, self.calibration)

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
            read_stimulus(settings.stimulus, **stimulus_options(settings.sections["signals"]))
        with self.open_movie() as movie:
            refuse_to_overwrite(settings.derotated, movie.paths)
        for folder in (settings.files, settings.plots_folder, settings.logs_folder):
            make_folder(folder)

    def open_movie(self) -> AbstractContextManager[Movie]:
        """Open the recorded movie, for a ``with``.

        Returns
        -------
        context manager of Movie
        """
        return open_session_movie(self.settings.movie, self.settings.sections)

    def open_signals(self) -> AnalogSignals:
        """Open the analog signals.

        Returns
        -------
        AnalogSignals
        """
        section = self.settings.sections["signals"]
        return open_signals(self.settings.signals, **signal_options(section))

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

    def parse_signals(self, movie: Movie, sampling_rate: float) -> Events:
        """Find all events in the analog signals and bring them to agree with the movie.

        Parameters
        ----------
        movie : Movie
            Only its size and metadata are read.
        sampling_rate : float
            Of the analog signals, Hz.

        Returns
        -------
        Events
            With as many frames as the movie.
        """
        settings = self.settings
        signals = {**settings.sections["signals"], "sampling_rate": sampling_rate}
        recorded: dict[str, Any] = {
            "movie": movie,
            "signals": settings.signals,
            "stimulus": settings.stimulus,
            "protocol": self.protocol,
            "config": {**settings.sections, "signals": signals},
        }
        outputs = parse_signals.Outputs.within(
            settings.files, plots=self._plots, summary=settings.events_summary
        )
        with cause_first(**recorded):
            return parse_signals.run(**recorded, outputs=outputs)

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
        return interpolate_angles.run(
            events=events,
            movie=movie,
            protocol=self.protocol,
            config=self.settings.sections,
            outputs=self._outputs(interpolate_angles.Outputs),
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

    def save_angles(
        self, angles: Angles, events: Events, frame_angles: NDArray[np.float64]
    ) -> None:
        """Write the angles, and their table with a row per frame.

        Parameters
        ----------
        angles : Angles
        events : Events
            What they were told from.
        frame_angles : ndarray of shape (n_frames,)
            The column ``rotation_angle``, degrees.
        """
        interpolate_angles.save(
            angles, events, self._outputs(interpolate_angles.Outputs), protocol=self.protocol
        )
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
        return estimate_center.run(
            movie=movie,
            angles=angles,
            session=self.settings.name,
            config=self.settings.sections,
            outputs=self._outputs(estimate_center.Outputs),
            threads=self.threads,
        )

    def find_corrections(
        self, movie: Movie, angles: Angles, calibration: Calibration
    ) -> Calibration:
        """Find what the center does not explain: tilt, lag, wobble.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration
            With the center.

        Returns
        -------
        Calibration
            With all that is significant and matters.
        """
        return estimate_plane.run(
            movie=movie,
            angles=angles,
            center=calibration,
            session=self.settings.name,
            config=self.settings.sections,
            outputs=self._outputs(estimate_plane.Outputs),
            threads=self.threads,
        )

    def save_center(self, calibration: Calibration) -> None:
        """Write the center for people and for programs.

        Parameters
        ----------
        calibration : Calibration
        """
        calibration.save(self.settings.files / "calibration.json")
        calibration.save(self.settings.calibration)
        write_text(self.settings.center_text, _center_for_people(calibration))

    def estimate_illumination(
        self, movie: Movie, angles: Angles, calibration: Calibration
    ) -> IlluminationEstimate:
        """Estimate the microscope's light, and the brightness of the sample at each angle.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration

        Returns
        -------
        IlluminationEstimate
            Its gain is used if ``illumination.correct`` is auto.
        """
        return estimate_illumination.run(
            movie=movie,
            angles=angles,
            calibration=calibration,
            config=self.settings.sections,
            outputs=self._outputs(estimate_illumination.Outputs),
            threads=self.threads,
        )

    def estimate_motion(
        self, movie: Movie, angles: Angles, calibration: Calibration
    ) -> MotionEstimate | None:
        """Estimate how the sample moved in its own plane.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration

        Returns
        -------
        MotionEstimate or None
            None if ``motion_correction.correct`` is never.
        """
        sections = self.settings.sections
        outputs = self._outputs(estimate_motion.Outputs)
        if sections["motion_correction"]["correct"] == "never":
            # None of an earlier run may be applied.
            outputs.motion.unlink(missing_ok=True)
            return None
        return estimate_motion.run(
            movie=movie,
            angles=angles,
            calibration=calibration,
            config=sections,
            outputs=outputs,
            frames_per_chunk=sections["movie"]["frames_per_chunk"],
            threads=self.threads,
        )

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
        sections, files = self.settings.sections, self.settings.files
        lit = sections["illumination"]["correct"] == "auto"
        return derotate_movie.run(
            movie=movie,
            angles=angles,
            calibration=calibration,
            config=sections,
            motion=self._motion(),
            illumination=files / "illumination.npz" if lit else None,
            outputs=self._outputs(derotate_movie.Outputs, movie=self.settings.derotated),
            frames_per_chunk=sections["movie"]["frames_per_chunk"],
            threads=self.threads,
        )

    def measure_quality(
        self, result: DerotationResult, events: Events, angles: Angles, calibration: Calibration
    ) -> Quality:
        """Judge the session by figures that need no truth.

        Parameters
        ----------
        result : DerotationResult
        events : Events
        angles : Angles
        calibration : Calibration
            The one that the movie was derotated with.

        Returns
        -------
        Quality
        """
        return measure_quality.run(
            statistics=result.statistics,
            events=events,
            angles=angles,
            calibration=calibration,
            session=self.settings.name,
            protocol=self.protocol,
            config=self.settings.sections,
            motion=self._motion(),
            outputs=self._outputs(measure_quality.Outputs),
            threads=self.threads,
        )

    def _motion(self) -> Path | None:
        """Give the file with the sample's motion, if it was looked for."""
        path = self._outputs(estimate_motion.Outputs).motion
        return path if path.exists() else None

    @contextmanager
    def _plots_if_wanted(self) -> Iterator[None]:
        """Draw nothing where no plots are wanted, and throw away what a step draws all the same."""
        if self.settings.plots:
            yield
            return
        with tempfile.TemporaryDirectory() as scratch, no_plots():
            self._plots = Path(scratch)
            try:
                yield
            finally:
                self._plots = self.settings.plots_folder

    def _outputs(self, kind: type[AnyOutputs], **others: Path) -> AnyOutputs:
        """Name the files of a step: those of the workflow, and plots where the user wants them."""
        return kind.within(self.settings.files, plots=self._plots, **others)

    def _log_path(self) -> Path:
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        return self.settings.logs_folder / f"{self.settings.name}_{now}.log"

    def _log_beginning(self) -> None:
        logger.info("%s of derotation-workflow %s", type(self).__name__, __version__)
        logger.info("Configuration: %s", json.dumps(self.config, default=str))
        for remark in self.settings.remarks:
            logger.warning(remark)


def _center_for_people(calibration: Calibration) -> str:
    # Scripts split this at its colon and its comma; the rest is in center_of_rotation.txt.
    x, y = calibration.center
    return f"Optimal center of rotation: {x}, {y}\n"
