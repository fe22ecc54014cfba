"""The configuration of the pipelines: what it may hold, and what it means for the library.

Labs have configurations with these names. They are kept here, and translated into the sections of
the workflow's configuration, which is what the library's functions understand. What a key may be,
and its default, are those of the workflow's key that it stands for: two tables say which.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from derotation.errors import ConfigError
from derotation.io.signals import ROLES
from derotation.maps.corrections import registered, schema_with_corrections
from derotation.settings.defaults import complete
from derotation.settings.schema import (
    Problem,
    Schema,
    fill_defaults,
    find_problems,
    plain,
    section_schema,
)
from derotation.settings.spelling import nearest
from derotation.settings.yaml_files import locate, read_yaml

__all__ = ["PipelineSettings", "in_keys_here", "read_pipeline_config", "settings_from"]

Protocol = Literal["full", "incremental"]
Config = dict[str, Any]

# Names that channels have in the configurations of labs, by what they are for.
ALIASES = {
    "scanimage_lineclock": "line_clock",
    "scanimage_frameclock": "frame_clock",
    "PI_rotON": "rotation_on",
    "PI_rotticks": "rotation_ticks",
}
# The workflow's sections that are the same here, key by key.
SECTIONS = (
    "movie",
    "scan",
    "plane",
    "wobble",
    "illumination",
    "motion_correction",
    "derotate",
    "quality",
)
# Keys of the pipelines, and the workflow's keys that they stand for.
KEYS = {
    "rotation_increment": "signals.rotation_increment",
    "rot_deg": "signals.degrees_per_rotation",
    "degrees_per_step": "angles.degrees_per_step",
    "direction_sign": "angles.direction_sign",
    "lag_ms": "angles.lag_ms",
    "center_method": "center.method",
    "biased_center": "center.biased_center",
}
# The same; null, their default, stands for that of the workflow's key.
OPTIONAL_KEYS = {
    "sampling_rate": "signals.sampling_rate",
    "delta_center": "center.delta_center",
    "init_points": "center.init_points",
    "n_iter": "center.n_iter",
}
# More of the workflow's keys, and what says the same here.
_SAID_BY = {
    "signals.channel_order": "channel_names",
    "signals.channel_names": "channel_names",
    "signals.sampling_rate": "sampling_rate (or frame_rate, from which it follows)",
    "signals.degrees_per_rotation": "rot_deg (with adjust_increment: true)",
    "signals.thresholds.rotation_ticks": (
        "analog_signals_processing.find_rotation_ticks_peaks.height"
    ),
    "angles.line_reference": "interpolation.line_use_start",
    "center.fixed": "biased_center (with center_method: fixed)",
}
_NAMES_HERE = {there: here for here, there in {**KEYS, **OPTIONAL_KEYS}.items()} | _SAID_BY
_NAMED_THERE = re.compile(
    rf"\b({'|'.join(map(re.escape, sorted(_NAMES_HERE, key=len, reverse=True)))})(?!\w|\.\w)"
)
_SEARCH_KEYS = ("delta_center", "init_points", "n_iter")
_NOT_NEEDED = (
    "find_rotation_ticks_peaks.distance",
    "squared_pulse_k",
    "inter_rotation_interval_min_len",
    "angle_interpolation_artifact_threshold",
)


def _section(required: Sequence[str] = (), **properties: Any) -> Config:
    return {
        "type": "object",
        "additionalProperties": False,
        "default": {},
        "required": list(required),
        "properties": properties,
    }


def _or_null(rules: Schema) -> Config:
    kinds = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    return {**rules, "type": [*dict.fromkeys([*kinds, "null"])], "default": None}


_TEXT: Config = {"type": "string", "minLength": 1}


def _sections_here() -> tuple[str, ...]:
    """List the sections that are the workflow's: also those that corrections bring along."""
    return SECTIONS + tuple(c.section or c.name for c in registered() if c.schema is not None)


def pipeline_schema() -> Schema:
    """Give the JSON schema of the pipelines' configuration."""
    workflow = schema_with_corrections()
    keys = {key: section_schema(name, workflow) for key, name in KEYS.items()}
    # That a rotation is as long as its ticks say is the key adjust_increment.
    keys["rot_deg"] = {**keys["rot_deg"], "type": "number"}
    for key, name in OPTIONAL_KEYS.items():
        keys[key] = _or_null(section_schema(name, workflow))
    return {
        **_section(
            required=("paths_read", "paths_write"),
            paths_read=_section(
                required=("path_to_aux", "path_to_tif"),
                path_to_randperm=_or_null({"type": "string"}),
                path_to_aux=_TEXT,
                path_to_tif=_TEXT,
            ),
            paths_write=_section(
                required=("derotated_tiff_folder", "saving_name"),
                debug_plots_folder=_or_null(_TEXT),
                logs_folder=_or_null(_TEXT),
                derotated_tiff_folder=_TEXT,
                saving_name=_TEXT,
            ),
            channel_names=_or_null(section_schema("signals.channel_order", workflow)),
            adjust_increment={"type": "boolean", "default": True},
            pipeline_type={"enum": [*get_args(Protocol), None], "default": None},
            debugging_plots={"type": "boolean", "default": True},
            frame_rate=_or_null({"type": "number", "exclusiveMinimum": 0}),
            analog_signals_processing=_section(
                find_rotation_ticks_peaks=_section(
                    height=section_schema("signals.thresholds.rotation_ticks", workflow),
                    distance=_or_null({"type": "number", "minimum": 0}),
                ),
                squared_pulse_k=_or_null({"type": "number"}),
                inter_rotation_interval_min_len=_or_null({"type": "number", "minimum": 0}),
                angle_interpolation_artifact_threshold=_or_null({"type": "number"}),
            ),
            interpolation=_section(
                line_use_start=_or_null({"type": "boolean"}),
                frame_use_start=_or_null({"type": "boolean"}),
            ),
            **keys,
            **{name: section_schema(name, workflow) for name in _sections_here()},
        ),
        "$schema": workflow["$schema"],
    }


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
    """Sections ``signals``, ``angles``, ``center`` and those of :data:`SECTIONS` as in the
    workflow's configuration, complete but for the sampling rate in ``signals``."""
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


def in_keys_here(text: str) -> str:
    """Give keys of the workflow's configuration in a sentence the names that they have here.

    Parameters
    ----------
    text : str
        What the library says to a user of the workflow.

    Returns
    -------
    str
    """
    return _NAMED_THERE.sub(lambda found: _NAMES_HERE[found[1]], text)


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
    problems = find_problems(filled, schema) or list(_contradictions(filled, protocol))
    if problems:
        raise ConfigError("\n".join(locate(problems, given, [source])))
    read, write = filled["paths_read"], filled["paths_write"]
    folder = _path(write["derotated_tiff_folder"])
    randperm = read["path_to_randperm"]
    return PipelineSettings(
        protocol=protocol,
        movie=str(_path(read["path_to_tif"])),
        signals=_path(read["path_to_aux"]),
        stimulus=_path(randperm) if protocol == "full" and randperm else None,
        folder=folder,
        plots_folder=_path(write["debug_plots_folder"] or folder / "debug_plots"),
        logs_folder=_path(write["logs_folder"] or folder / "logs"),
        name=write["saving_name"].removesuffix(".tif"),
        plots=filled["debugging_plots"],
        frame_rate=filled["frame_rate"],
        sampling_rate=filled["sampling_rate"],
        degrees=float(filled["rot_deg"]),
        frame_use_start=filled["interpolation"]["frame_use_start"],
        sections=_sections(filled),
        remarks=tuple(_remarks(filled, protocol)),
    )


def _path(text: str | Path) -> Path:
    return Path(text).expanduser()


def _contradictions(config: Config, protocol: Protocol) -> Iterator[Problem]:
    """Find values that are allowed by themselves, but not together or for this protocol."""
    if config["pipeline_type"] not in (protocol, None):
        other = {"full": "FullPipeline", "incremental": "IncrementalPipeline"}
        asked = config["pipeline_type"]
        text = f"found {asked}, but this is {other[protocol]}; use {other[asked]}."
        yield Problem(path=("pipeline_type",), text=text)
    name = config["paths_write"]["saving_name"]
    if Path(name).name != name or name in (".", "..", ".tif"):
        text = (
            f'found "{name}", allowed: a name without folders; derotated_tiff_folder is for them.'
        )
        yield Problem(path=("paths_write", "saving_name"), text=text)
    if config["frame_rate"] is None and config["sampling_rate"] is None:
        text = (
            "is missing. Give the frames per second that the frame clock counts (Hz), or "
            "sampling_rate, the samples per second of the analog signals."
        )
        yield Problem(path=("frame_rate",), text=text)
    method = config["center_method"]
    if method == "ellipse" and protocol == "full":
        text = "found ellipse, which needs the incremental protocol: use IncrementalPipeline."
        yield Problem(path=("center_method",), text=text)
    if method == "fixed" and config["biased_center"] is None:
        text = "is missing; center_method is fixed, so give the center as [x, y] in pixels."
        yield Problem(path=("biased_center",), text=text)
    if not _is_npy(config):
        yield from _channel_problems(config["channel_names"])


def _is_npy(config: Config) -> bool:
    return _path(config["paths_read"]["path_to_aux"]).suffix.lower() == ".npy"


def _role(name: str) -> str | None:
    """Tell what a channel is for from its name."""
    known = {**{role: role for role in ROLES}, **ALIASES}
    return {each.lower(): role for each, role in known.items()}.get(name.lower())


def _channel_problems(names: Sequence[str] | None) -> Iterator[Problem]:
    """Say which roles no channel has, or several."""
    if names is None:
        text = "is missing; a .bin file needs the names of all its channels in the file's order."
        yield Problem(path=("channel_names",), text=text)
        return
    others = [name for name in names if _role(name) is None]
    for role in ROLES:
        found = [name for name in names if _role(name) == role]
        if len(found) > 1:
            text = f"{' and '.join(found)} are both names of the {role}; only one can be."
            yield Problem(path=("channel_names",), text=text)
        elif not found:
            yield Problem(path=("channel_names",), text=_missing_role(role, names, others))


def _missing_role(role: str, names: Sequence[str], others: Sequence[str]) -> str:
    alias = next(alias for alias, known in ALIASES.items() if known == role)
    near = nearest(alias, others) or nearest(role, others)
    hint = f' Is it "{near}"?' if near else ""
    listed = ", ".join(names)
    return f"no channel is the {role} (named {role} or {alias}); found {listed}.{hint}"


def _remarks(config: Config, protocol: Protocol) -> Iterator[str]:
    """Say in plain words which keys have no effect, and why."""
    signals = config["analog_signals_processing"]
    distance = signals["find_rotation_ticks_peaks"]["distance"]
    flat = {**signals, "find_rotation_ticks_peaks.distance": distance}
    unused = [key for key in _NOT_NEEDED if flat[key] is not None]
    if unused:
        yield (
            f"analog_signals_processing: not needed, and without effect: {', '.join(unused)}. "
            "Levels, pulses and gaps of the analog signals are told from the signals themselves."
        )
    search = [key for key in _SEARCH_KEYS if config[key] is not None]
    method = config["center_method"]
    if search and method != "bayesian":
        yield (
            f"{', '.join(search)}: without effect, since center_method is {method}; only the "
            "method bayesian searches around biased_center."
        )
    if config["biased_center"] is not None and method in ("ellipse", "image_center"):
        yield f"biased_center: without effect, since center_method is {method}."
    if not config["adjust_increment"]:
        yield (
            "rot_deg: without effect, since adjust_increment is false; a rotation is as long as "
            "its ticks say."
        )
    if _is_npy(config) and config["channel_names"] is not None:
        yield f"channel_names: not needed; the rows of a .npy file are {', '.join(ROLES)}."
    if protocol == "incremental" and config["paths_read"]["path_to_randperm"]:
        yield "paths_read.path_to_randperm: not needed by the incremental protocol; not read."
    if protocol == "full" and not config["paths_read"]["path_to_randperm"]:
        yield (
            "paths_read.path_to_randperm: there is no stimulus table: rotations have the speeds "
            "that the ticks tell, and the directions that the movie shows."
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
        **{name: config[name] for name in _sections_here()},
    }


def _channels(config: Config) -> Config:
    if _is_npy(config):
        return {"channel_order": list(ROLES), "channel_names": {role: role for role in ROLES}}
    names = config["channel_names"]
    roles = {_role(name): name for name in names}
    return {"channel_order": list(names), "channel_names": {role: roles[role] for role in ROLES}}


def _center(config: Config) -> Config:
    """Collect what the estimation of the center reads; what has no effect is left out."""
    method, guess = config["center_method"], config["biased_center"]
    center: Config = {"method": method}
    if guess is not None:
        center["fixed" if method == "fixed" else "biased_center"] = guess
    if method == "bayesian":
        center |= {key: config[key] for key in _SEARCH_KEYS if config[key] is not None}
    return center
