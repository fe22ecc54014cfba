"""The configuration of the pipelines: what it means for the library.

Labs have configurations with these names. They are kept here, and translated into the sections of
the workflow's configuration, which is what the library's functions understand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derotation.analysis.pipeline_contradictions import (
    contradictions,
    is_npy,
    keys_without_effect,
    path_of,
    role_of,
)
from derotation.analysis.pipeline_keys import SEARCH_KEYS, Protocol, pipeline_schema, sections_here
from derotation.errors import ConfigError
from derotation.io.signals import ROLES
from derotation.settings.defaults import complete
from derotation.settings.schema import (
    fill_defaults,
    find_problems,
    plain,
)
from derotation.settings.yaml_files import locate, read_yaml

__all__ = ["PipelineSettings", "read_pipeline_config", "settings_from"]

Config = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PipelineSettings:
    """A checked configuration, as the library's functions need it."""

    protocol: Protocol
    """What the motor did."""
    movie: str
    """The movie's file, or a pattern for several."""
    signals: Path
    """The analog signals."""
    stimulus: Path | None
    """The table of speeds and directions; None for the incremental protocol, or without one."""
    folder: Path
    """Where the derotated movie goes."""
    plots_folder: Path
    """Where plots and the text file with the center go."""
    logs_folder: Path
    """Where the log of each run goes."""
    name: str
    """What the output files are called."""
    plots: bool
    """Whether plots are made."""
    frame_rate: float | None
    """Frames that the clock counts per second, Hz."""
    sampling_rate: float | None
    """Of the analog signals, Hz; None: from the frame clock and `frame_rate`."""
    degrees: float
    """Degrees of a full rotation, or of the whole turn of the incremental protocol."""
    frame_use_start: bool | None
    """A frame's angle: at its start (True), at its end (False), in its middle (None)."""
    sections: Config
    """Sections ``signals``, ``angles``, ``center`` and those of
    ``SECTIONS`` of :mod:`derotation.analysis.pipeline_keys` as in the workflow's configuration,
    complete but for the sampling rate in ``signals``."""
    remarks: tuple[str, ...]
    """What the configuration asks for that is not needed here, in plain words."""

    @property
    def files(self) -> Path:
        """The folder that holds what the workflow writes into a session's folder."""
        return self.folder / self.name

    @property
    def derotated(self) -> Path:
        """The derotated movie."""
        return self.folder / f"{self.name}.tif"

    @property
    def table(self) -> Path:
        """The table of angles, a row per frame."""
        return self.folder / f"{self.name}.csv"

    @property
    def calibration(self) -> Path:
        """The center for programs."""
        return self.folder / f"{self.name}_calibration.json"

    @property
    def center_text(self) -> Path:
        """The center for people."""
        return self.plots_folder / "optimal_center_of_rotation.txt"

    @property
    def events_summary(self) -> Path:
        """What was found and repaired in the analog signals."""
        return self.logs_folder / f"{self.name}_events.json"


def read_pipeline_config(config: Mapping[str, Any] | str | Path) -> tuple[Config, str]:
    """Read the configuration of a pipeline.

    Parameters
    ----------
    config : mapping or path
        The configuration, the path of a YAML file, or the name of one: its path without
        ``.yml`` or ``.yaml``, in the working directory or in its folder ``config``.

    Returns
    -------
    config : dict
        What it holds.
    source : str
        The file, or ``configuration``, for messages.

    Raises
    ------
    ConfigError
        If there is no such file, or if it is no YAML mapping.
    """
    if isinstance(config, Mapping):
        return dict(config), "configuration"
    asked = Path(config).expanduser()
    tried = [asked]
    if asked.suffix.lower() not in (".yml", ".yaml"):
        homes = (asked,) if asked.is_absolute() else (asked, Path("config") / asked)
        tried += [Path(f"{home}{suffix}") for home in homes for suffix in (".yml", ".yaml")]
    for path in tried:
        if path.is_file():
            return read_yaml(path), str(path)
    listed = ", ".join(map(str, tried))
    msg = f"{config}: there is no such configuration; looked for: {listed} (in {Path.cwd()})."
    raise ConfigError(msg)


def settings_from(
    config: Mapping[str, Any], protocol: Protocol, source: str = "configuration"
) -> PipelineSettings:
    """Check the configuration of a pipeline and translate it.

    Parameters
    ----------
    config : mapping
        As :func:`read_pipeline_config` returns it.
    protocol : {"full", "incremental"}
        What the motor did.
    source : str
        Where the configuration comes from, for messages.

    Returns
    -------
    PipelineSettings

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    schema, given = pipeline_schema(), plain(config)
    filled = fill_defaults(given, schema, schema)
    problems = find_problems(filled, schema) or list(contradictions(filled, protocol))
    if problems:
        raise ConfigError("\n".join(locate(problems, given, [source])))
    read, write = filled["paths_read"], filled["paths_write"]
    folder = path_of(write["derotated_tiff_folder"])
    randperm = read["path_to_randperm"]
    return PipelineSettings(
        protocol=protocol,
        movie=str(path_of(read["path_to_tif"])),
        signals=path_of(read["path_to_aux"]),
        stimulus=path_of(randperm) if protocol == "full" and randperm else None,
        folder=folder,
        plots_folder=path_of(write["debug_plots_folder"] or folder / "debug_plots"),
        logs_folder=path_of(write["logs_folder"] or folder / "logs"),
        name=write["saving_name"].removesuffix(".tif"),
        plots=filled["debugging_plots"],
        frame_rate=filled["frame_rate"],
        sampling_rate=filled["sampling_rate"],
        degrees=float(filled["rot_deg"]),
        frame_use_start=filled["interpolation"]["frame_use_start"],
        sections=_sections(filled),
        remarks=tuple(keys_without_effect(filled, protocol)),
    )


def _sections(config: Config) -> Config:
    """Translate into the sections of the workflow's configuration."""
    line_start = config["interpolation"]["line_use_start"]
    height = config["analog_signals_processing"]["find_rotation_ticks_peaks"]["height"]
    signals = {
        **_channels(config),
        "thresholds": {"rotation_ticks": height},
        "rotation_increment": config["rotation_increment"],
        "degrees_per_rotation": config["rot_deg"] if config["adjust_increment"] else None,
    }
    angles = {
        "line_reference": {None: "middle", True: "start", False: "end"}[line_start],
        **{key: config[key] for key in ("direction_sign", "degrees_per_step", "lag_ms")},
    }
    return {
        "signals": complete("signals", signals),
        "angles": complete("angles", angles),
        "center": complete("center", _center(config)),
        **{name: config[name] for name in sections_here()},
    }


def _channels(config: Config) -> Config:
    if is_npy(config):
        return {"channel_order": list(ROLES), "channel_names": {role: role for role in ROLES}}
    names = config["channel_names"]
    roles = {role_of(name): name for name in names}
    return {"channel_order": list(names), "channel_names": {role: roles[role] for role in ROLES}}


def _center(config: Config) -> Config:
    """Collect what the estimation of the center reads; what has no effect is left out."""
    method, guess = config["center_method"], config["biased_center"]
    center: Config = {"method": method}
    if guess is not None:
        center["fixed" if method == "fixed" else "biased_center"] = guess
    if method == "bayesian":
        center |= {key: config[key] for key in SEARCH_KEYS if config[key] is not None}
    return center
