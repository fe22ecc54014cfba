"""The keys of the pipelines' configuration, and the workflow's keys that they stand for.

What a key may be, and its default, are those of the workflow's key: two tables say which.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

from derotation.errors import DerotationError
from derotation.maps.corrections import registered, schema_with_corrections
from derotation.settings.schema import (
    Schema,
    section_schema,
)

__all__ = [
    "ALIASES",
    "KEYS",
    "SEARCH_KEYS",
    "SECTIONS",
    "Protocol",
    "in_keys_here",
    "keys_of_this_configuration",
    "pipeline_schema",
    "sections_here",
]

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
SEARCH_KEYS = ("delta_center", "init_points", "n_iter")


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


def sections_here() -> tuple[str, ...]:
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
            **{name: section_schema(name, workflow) for name in sections_here()},
        ),
        "$schema": workflow["$schema"],
    }


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


@contextmanager
def keys_of_this_configuration() -> Iterator[None]:
    """Let errors name keys as they are called in this configuration."""
    try:
        yield
    except DerotationError as error:
        error.args = tuple(
            in_keys_here(part) if isinstance(part, str) else part for part in error.args
        )
        raise
