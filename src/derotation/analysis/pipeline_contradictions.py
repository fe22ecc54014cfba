"""Keys of the pipelines that do not go together, or have no effect."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from derotation.analysis.pipeline_keys import ALIASES, SEARCH_KEYS, Protocol
from derotation.io.signals import ROLES
from derotation.settings.schema import (
    Problem,
)
from derotation.settings.spelling import nearest

__all__ = ["contradictions", "is_npy", "keys_without_effect", "path_of", "role_of"]

Config = dict[str, Any]

_NOT_NEEDED = (
    "find_rotation_ticks_peaks.distance",
    "squared_pulse_k",
    "inter_rotation_interval_min_len",
    "angle_interpolation_artifact_threshold",
)


def path_of(text: str | Path) -> Path:
    """Give a path of the configuration, with the user's folder for ~."""
    return Path(text).expanduser()


def contradictions(config: Config, protocol: Protocol) -> Iterator[Problem]:
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
    if not is_npy(config):
        yield from _channel_problems(config["channel_names"])


def is_npy(config: Config) -> bool:
    """Tell whether the analog signals lie in a .npy file, whose rows need no names."""
    return path_of(config["paths_read"]["path_to_aux"]).suffix.lower() == ".npy"


def role_of(name: str) -> str | None:
    """Tell what a channel is for from its name."""
    known = {**{role: role for role in ROLES}, **ALIASES}
    return {each.lower(): role for each, role in known.items()}.get(name.lower())


def _channel_problems(names: Sequence[str] | None) -> Iterator[Problem]:
    """Say which roles no channel has, or several."""
    if names is None:
        text = "is missing; a .bin file needs the names of all its channels in the file's order."
        yield Problem(path=("channel_names",), text=text)
        return
    others = [name for name in names if role_of(name) is None]
    for role in ROLES:
        found = [name for name in names if role_of(name) == role]
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


def keys_without_effect(config: Config, protocol: Protocol) -> Iterator[str]:
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
    search = [key for key in SEARCH_KEYS if config[key] is not None]
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
    if is_npy(config) and config["channel_names"] is not None:
        yield f"channel_names: not needed; the rows of a .npy file are {', '.join(ROLES)}."
    if protocol == "incremental" and config["paths_read"]["path_to_randperm"]:
        yield "paths_read.path_to_randperm: not needed by the incremental protocol; not read."
    if protocol == "full" and not config["paths_read"]["path_to_randperm"]:
        yield (
            "paths_read.path_to_randperm: there is no stimulus table: rotations have the speeds "
            "that the ticks tell, and the directions that the movie shows."
        )
