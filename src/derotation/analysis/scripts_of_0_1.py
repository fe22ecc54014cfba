"""What scripts that were written for ``derotation`` 0.1 meet: all of it in one place.

That package has pipelines of the same names. Its documented attributes and hooks work here; a
method, or an attribute to be set, that has another name here is an error which says the name,
and never without effect.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.analysis.pipeline_settings import PipelineSettings
from derotation.calibration.calibration import Calibration
from derotation.derotate_by_line import show_line_by_line
from derotation.errors import DerotationError, InputError
from derotation.io.movie import Movie
from derotation.io.stimulus import Stimulus, read_stimulus, stimulus_options
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.steps.inputs import angles_as_used, load_motion, open_session_movie
from derotation.streaming import DerotationResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OldNameError", "ScriptsOf01"]

HOOKS = ("plotting_hook_line_addition", "plotting_hook_image_completed")

_ANGLES = "parse_signals (what is found in the signals) or interpolate_angles (angles of lines)"
_PLOTS = "the plots of each step, which it draws itself (debugging_plots)"
#: Methods of the other package's pipelines, and what does their work here.
METHODS = {
    "get_config": "the configuration's path, given to the pipeline",
    "start_logging": "paths_write.logs_folder",
    "load_data": "open_movie and open_signals",
    "process_analog_signals": _ANGLES,
    **dict.fromkeys(
        (
            "find_rotation_peaks",
            "get_start_end_times_with_threshold",
            "correct_start_and_end_rotation_signal",
            "create_signed_rotation_array",
            "drop_ticks_outside_of_rotation",
            "check_number_of_rotations",
            "find_missing_rotation_on_periods",
            "is_number_of_ticks_correct",
            "get_peaks_in_rotation",
            "adjust_rotation_increment",
        ),
        "parse_signals",
    ),
    **dict.fromkeys(
        (
            "get_interpolated_angles",
            "remove_artifacts_from_interpolated_angles",
            "check_rotation_number_after_interpolation",
            "calculate_angles_by_line_and_frame",
            "clock_to_latest_line_start",
            "clock_to_latest_frame_start",
            "clock_to_latest_rotation_start",
            "calculate_velocity",
            "check_number_of_frame_angles",
            "check_rotation_number",
        ),
        "interpolate_angles",
    ),
    **dict.fromkeys(
        (
            "plot_rotation_on_and_ticks",
            "plot_rotation_angles_and_velocity",
            "plot_rotation_speeds",
            "plot_max_projection_with_center",
            "mean_image_for_each_rotation",
        ),
        _PLOTS,
    ),
    "find_optimal_parameters": "find_center, which returns the center (x, y)",
    "set_optimal_center": "find_center, which returns the center (x, y)",
    "find_center_of_rotation": "find_center, which returns the center (x, y)",
    "derotate_frames_line_by_line": "derotate, which writes the movie",
    "find_image_offset": "the key derotate.blank_value",
    "add_circle_mask": "derotate, which writes the movie, with the key derotate.mask_diameter",
    "save": "derotate, which writes the movie",
    "save_csv_with_derotation_data": "save_angles",
    "calculate_mean_images": "compute_mean_images (incremental protocol)",
}
#: Further attributes of theirs, and where the same is found here.
ATTRIBUTES = {
    **dict.fromkeys(
        ("frame_clock", "line_clock", "full_rotation", "rotation_ticks", "total_clock_time"),
        "open_signals(), whose channels are read piece by piece",
    ),
    **dict.fromkeys(
        ("rot_blocks_idx", "rotation_on"), "events.rotation_start and events.rotation_end"
    ),
    **dict.fromkeys(("line_start", "line_end"), "events.line_start and events.line_duration"),
    **dict.fromkeys(("frame_start", "frame_end"), "events.frame_start and events.frame_end"),
    **dict.fromkeys(
        ("corrected_increments", "ticks_per_rotation"), "events.tick_angle and tick_rotation"
    ),
    "interpolated_angles": "angles.line_angles, an angle per line",
    "masked_image_volume": "derotated, the path of the movie",
    "metric": "quality, with the figure ptd",
    "all_ellipse_fits": "calibration",
    "mask_diameter": "settings.sections['derotate'], with the key mask_diameter",
    "rotation_plane_angle": (
        "calibration.plane_angle, and to set it plane in the configuration, with correct: fixed"
    ),
    "rotation_plane_orientation": (
        "calibration.plane_orientation, and to set it plane in the configuration"
    ),
    "delta": "the key delta_center of the configuration",
    "init_points": "the key init_points of the configuration",
    "n_iter": "the key n_iter of the configuration",
    "line_use_start": "the key interpolation.line_use_start of the configuration",
    "frame_use_start": "the key interpolation.frame_use_start of the configuration",
    "std_coef": "nothing: levels are told from the signals",
    "inter_rotation_interval_min_len": "nothing: gaps are told from the signals",
    "filename": "settings.name",
    "filename_raw": "settings.movie",
    "file_saving_path_with_name": "derotated, the path of the movie",
    "degrees_per_small_rotation": "the key degrees_per_step of the configuration",
}
#: The same for what one of the pipelines does have.
ELSEWHERE = {
    "mean_images": "result.mean, and by angle derotation.images.mean_images",
}


class OldNameError(DerotationError, AttributeError, TypeError):
    """A method or attribute of derotation 0.1 that is called otherwise here."""


class _ReadOnly:
    """An attribute that tells something; to set it would change nothing, and is an error."""

    def __init__(self, tell: Callable[[Any], Any], instead: str) -> None:
        self.tell = tell
        self.instead = instead
        self.__doc__ = tell.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, pipeline: Any, owner: type | None = None) -> Any:
        return self if pipeline is None else self.tell(pipeline)

    def __set__(self, pipeline: Any, value: Any) -> None:
        msg = f"{type(pipeline).__name__}.{self.name} cannot be set; use {self.instead}"
        raise OldNameError(msg)


def _read_only(instead: str) -> Callable[[Callable[[Any], Any]], _ReadOnly]:
    return lambda tell: _ReadOnly(tell, instead)


class ScriptsOf01:
    """Attributes, hooks and errors for scripts that were written for derotation 0.1."""

    settings: PipelineSettings
    config: dict[str, Any]
    events: Events
    result: DerotationResult
    hooks: dict[str, Callable[..., object]]

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        for name in METHODS.keys() & vars(cls).keys():
            msg = (
                f"{cls.__name__} overrides {name}, as for derotation 0.1; nothing calls it here. "
                f"Its place is taken by {METHODS[name]}"
            )
            raise OldNameError(msg)

    def __getattr__(self, name: str) -> Any:
        # Asked only for what is not there.
        instead = METHODS.get(name) or ATTRIBUTES.get(name) or ELSEWHERE.get(name)
        if isinstance(getattr(type(self), name, None), _ReadOnly):
            msg = f"{type(self).__name__}.{name} is there after the run"
            raise AttributeError(msg)
        if instead is None:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        msg = (
            f"{type(self).__name__} has no {name}, as derotation 0.1 had; its place is taken by "
            f"{instead}"
        )
        raise OldNameError(msg)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ATTRIBUTES or name in METHODS:
            instead = METHODS.get(name) or ATTRIBUTES[name]
            msg = f"to set {type(self).__name__}.{name} has no effect here; use {instead}"
            raise OldNameError(msg)
        super().__setattr__(name, value)

    # Told by the inputs: from the beginning.

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        with open_session_movie(self.settings.movie, self.settings.sections) as movie:
            return movie.shape

    @cached_property
    def _image_stack(self) -> NDArray[Any]:
        with open_session_movie(self.settings.movie, self.settings.sections) as movie:
            return np.concatenate([block for _, block in movie.chunks()])

    @_read_only("paths_read.path_to_tif in the configuration, or override open_movie")
    def image_stack(self) -> NDArray[Any]:
        """All recorded frames in memory, shape (frame, y, x); the run does not need it."""
        return self._image_stack

    @_read_only("paths_read.path_to_tif in the configuration")
    def num_frames(self) -> int:
        """Frames of the recorded movie."""
        return self._shape[0]

    @_read_only("paths_read.path_to_tif in the configuration")
    def num_lines_per_frame(self) -> int:
        """Lines of a frame."""
        return self._shape[1]

    @_read_only("paths_read.path_to_tif in the configuration")
    def num_total_lines(self) -> int:
        """Lines of the recorded movie."""
        return self._shape[0] * self._shape[1]

    @cached_property
    def _stimulus(self) -> Stimulus | None:
        table = self.settings.stimulus
        if table is None:
            return None
        return read_stimulus(table, **stimulus_options(self.settings.sections["signals"]))

    @_read_only("paths_read.path_to_randperm in the configuration")
    def speed(self) -> NDArray[np.float64]:
        """Speed of each rotation that was asked for, degrees per second; full protocol only."""
        return self._asked_for().speed

    @_read_only("paths_read.path_to_randperm in the configuration")
    def direction(self) -> NDArray[np.int8]:
        """Direction of each rotation that was asked for, 1 or -1; full protocol only."""
        return self._asked_for().direction

    @_read_only("paths_read.path_to_randperm in the configuration")
    def number_of_rotations(self) -> int:
        """Rotations that were asked for; steps, in the incremental protocol."""
        if self._stimulus is not None:
            return len(self._stimulus)
        step = float(self.settings.sections["angles"]["degrees_per_step"])
        return round(self.settings.degrees / step)

    def _asked_for(self) -> Stimulus:
        if self._stimulus is None:
            msg = "speed and direction are those of a stimulus table; this protocol has none"
            raise InputError(msg)
        return self._stimulus

    @_read_only("paths_write.debug_plots_folder in the configuration")
    def debug_plots_folder(self) -> Path:
        """Where plots go."""
        return self.settings.plots_folder

    @_read_only("rotation_increment in the configuration")
    def rotation_increment(self) -> float:
        """Degrees from tick to tick, as the configuration says."""
        return float(self.settings.sections["signals"]["rotation_increment"])

    @_read_only("rot_deg in the configuration")
    def rot_deg(self) -> float:
        """Degrees of a full rotation, or of the whole turn of the incremental protocol."""
        return self.settings.degrees

    @_read_only("frame_rate in the configuration")
    def frame_rate(self) -> float | None:
        """Frames that the frame clock counts per second, Hz, as the configuration says."""
        return self.settings.frame_rate

    # Told by the run.

    @_read_only("the section signals of the workflow's configuration")
    def rotation_ticks_peaks(self) -> NDArray[np.int64]:
        """Give the times of the ticks after repairs, in samples of the analog signals."""
        return np.rint(self.events.tick_time).astype(np.int64)

    @_read_only("derotate.blank_value in the configuration")
    def offset(self) -> float:
        """Give the detector's value without light, which pixels have that no line saw."""
        return self.result.blank

    @_read_only("save_angles, which is overridden")
    def derotation_output_table(self) -> "pd.DataFrame":
        """Read the table of angles, a row per frame, as it was written."""
        import pandas as pd

        return pd.read_csv(self.settings.table)

    # Hooks.

    def _check_hooks(self) -> None:
        unknown = self.hooks.keys() - set(HOOKS) if isinstance(self.hooks, Mapping) else {"?"}
        if unknown:
            msg = f"hooks is {self.hooks!r}; expected a dictionary with {' and '.join(HOOKS)}"
            raise InputError(msg)

    def call_hooks(
        self, movie: Movie, angles: Angles, calibration: Calibration, motion: Motion | Path | None
    ) -> None:
        """Show how the frames come about to the hooks, if there are any.

        The movie is written already: by another interpolation, and without them. For the hooks its
        lines are placed one by one, rounded to whole pixels.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles
        calibration : Calibration
        motion : Motion or path, optional
            How the sample moved.
        """
        if not self.hooks:
            return
        maps = LineMaps.of(
            angles_as_used(angles, calibration), calibration, motion=load_motion(motion)
        )
        import tifffile

        written = tifffile.memmap(self.settings.derotated, mode="r").reshape(movie.shape)
        line, image = (self.hooks.get(name) for name in HOOKS)
        show_line_by_line(movie, maps, written, self.result.blank, line, image)
