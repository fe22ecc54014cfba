"""Read and check the configuration; ``workflow/schemas/config.schema.yaml`` says what it may hold.

All that is wrong is reported at once: which file, which key, what was found, what is allowed.
What comes back is canonical, so that equal settings are equal values: defaults filled in, keys
sorted, numbers that are whole written as whole numbers.
"""

import shutil
from collections.abc import Hashable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from derotation._optional import PYNWB_MISSING
from derotation.cohort.schema import (
    KeyPath,
    Problem,
    canonical,
    fill_defaults,
    find_problems,
    load_schema,
    plain,
)
from derotation.errors import ConfigError
from derotation.signals.roles import REQUIRED_ROLES

__all__ = ["check_config", "load_config", "merge_files", "section", "validate_config"]

Config = dict[str, Any]


def load_config(paths: str | Path | Sequence[str | Path], schema_path: str | Path) -> Config:
    """Read one or several configuration files and check what they say together.

    Parameters
    ----------
    paths : path or sequence of paths
        YAML files. Later files override earlier ones, key by key.
    schema_path : path
        The JSON schema, ``workflow/schemas/config.schema.yaml``.

    Returns
    -------
    dict
        The canonical configuration.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    return validate_config(merge_files(files), schema_path, files=files)


def merge_files(paths: Iterable[Path]) -> Config:
    """Read configuration files, later ones overriding earlier ones, without checking them."""
    merged: Config = {}
    for path in paths:
        merged = _merge(merged, read_yaml(path))
    return merged


def validate_config(
    config: Mapping[str, Any], schema_path: str | Path, *, files: Iterable[str | Path] = ()
) -> Config:
    """Check a configuration that was read already, and return it in canonical form.

    Parameters
    ----------
    config : mapping
        The configuration, for instance Snakemake's ``config``.
    schema_path : path
        The JSON schema, ``workflow/schemas/config.schema.yaml``.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones: messages name the
        file in which a key stands.

    Returns
    -------
    dict
        The canonical configuration.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    checked, errors = check_config(config, schema_path, files=files)
    if errors:
        raise ConfigError("\n".join(errors))
    return checked


def check_config(
    config: Mapping[str, Any], schema_path: str | Path, *, files: Iterable[str | Path] = ()
) -> tuple[Config, list[str]]:
    """Check a configuration without raising, for callers that collect more errors.

    Parameters
    ----------
    config : mapping
        The configuration.
    schema_path : path
        The JSON schema.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones.

    Returns
    -------
    config : dict
        The canonical configuration; use it only if there are no errors.
    errors : list of str
        One line per error, with file, key, what was found and what is allowed.
    """
    schema = load_schema(Path(schema_path))
    sources = [Path(file) for file in files]
    contents = {path: read_yaml(path) for path in sources if path.is_file()}
    filled = fill_defaults(plain(config), schema, schema)
    problems = find_problems(filled, schema)
    if not problems:
        problems = _contradictions(filled)
    errors = [_locate(problem, contents) for problem in problems]
    return canonical(filled), errors


def section(config: Mapping[str, Any], *names: str) -> Config:
    """Take some sections out of a checked configuration: all that one step may depend on.

    Parameters
    ----------
    config : mapping
        The canonical configuration.
    *names : str
        Sections (``"angles"``) or single keys (``"scan.lines_per_frame"``), also of sections
        within sections.

    Returns
    -------
    dict
        The sections under their names, keys sorted; of a section of which single keys are
        wanted, these keys only.
    """
    chosen: Config = {}
    for name in sorted(names):
        *homes, key = name.split(".")
        source: Mapping[str, Any] = config
        target = chosen
        for home in homes:
            source, target = source[home], target.setdefault(home, {})
        target[key] = source[key]
    return chosen


def _contradictions(config: Mapping[str, Any]) -> list[Problem]:
    """Find values that are allowed by themselves but not together."""
    problems = []
    center, signals = config["center"], config["signals"]
    if center["method"] == "fixed" and center["fixed"] is None:
        text = "found null (nothing), but center.method is fixed: give [x, y] in pixels."
        problems.append(Problem(path=("center", "fixed"), text=text))
    upright = [config["mosaic"][axis] in ("up", "down") for axis in ("x_axis", "y_axis")]
    if upright[0] == upright[1]:
        x_axis, y_axis = config["mosaic"]["x_axis"], config["mosaic"]["y_axis"]
        text = (
            f"found {y_axis}, but mosaic.x_axis is {x_axis}: one axis of the stage has to point "
            "right or left, the other one up or down."
        )
        problems.append(Problem(path=("mosaic", "y_axis"), text=text))
    needed = REQUIRED_ROLES[config["angles"]["source"]]
    # Channels that are not needed are there if the order names them.
    names = {
        role: name
        for role, name in signals["channel_names"].items()
        if name is not None and (name in signals["channel_order"] or name != role or role in needed)
    }
    for role, name in names.items():
        if name not in signals["channel_order"]:
            listed = ", ".join(signals["channel_order"])
            text = f'found "{name}", which is not in signals.channel_order ({listed}).'
            problems.append(Problem(path=("signals", "channel_names", role), text=text))
    if len(set(names.values())) < len(names):
        text = "two roles have the same channel; each needs its own."
        problems.append(Problem(path=("signals", "channel_names"), text=text))
    return problems + _contradicting_exports(config["export"])


def _contradicting_exports(export: Mapping[str, Any]) -> list[Problem]:
    """Find exports that cannot be made, before hours of work on what they need."""
    problems = []
    suite2p, nwb = export["suite2p"], export["nwb"]
    if suite2p["run"] and not suite2p["write"]:
        text = "found true, but export.suite2p.write is false: Suite2p needs the folder."
        problems.append(Problem(path=("export", "suite2p", "run"), text=text))
    if suite2p["run"] and shutil.which(suite2p["python"]) is None:
        text = (
            f'found "{suite2p["python"]}", which is no program here: give the path of a Python in '
            "whose environment Suite2p is installed."
        )
        problems.append(Problem(path=("export", "suite2p", "python"), text=text))
    if nwb != "none" and find_spec("pynwb") is None:
        text = f'found "{nwb}", but {PYNWB_MISSING}.'
        problems.append(Problem(path=("export", "nwb"), text=text))
    if not export["keep_derotated"] and nwb == "external":
        text = (
            "found false, but export.nwb is external: the NWB file would name a movie that is "
            "gone. Set export.nwb to inside, or keep the movie."
        )
        problems.append(Problem(path=("export", "keep_derotated"), text=text))
    if not (export["keep_derotated"] or suite2p["write"] or export["tiff"] or nwb == "inside"):
        text = "found false, and no export is wanted either: nothing would be left of the movie."
        problems.append(Problem(path=("export", "keep_derotated"), text=text))
    return problems


def _locate(problem: Problem, contents: Mapping[Path, Config]) -> str:
    """Put the file and the key in front of a problem's text."""
    key = _dotted(problem.path)
    homes = [path for path, content in contents.items() if _holds(content, problem.path)]
    if homes:
        return f"{homes[-1]}: {key}: {problem.text}"
    if problem.text.startswith("is missing") and contents:
        return f"{list(contents)[-1]}: {key} {problem.text}"
    place = "command line (--config)" if contents else "configuration"
    return f"{place}: {key}: {problem.text}"


def _holds(content: Any, path: KeyPath) -> bool:
    for part in path:
        if isinstance(content, list):
            return True  # a list is replaced as a whole
        if not isinstance(content, Mapping) or part not in content:
            return False
        content = content[part]
    return True


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the whole file"


def _merge(base: Config, top: Mapping[str, Any]) -> Config:
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def read_yaml(path: Path) -> Config:
    try:
        with path.open(encoding="utf-8") as stream:
            content = yaml.load(stream, Loader=_StrictLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is no UTF-8 text; save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is no valid YAML: {_yaml_reason(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values at the top level.")
    return content


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {reason}." if mark else f"{reason}."


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep only the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping after looking for repeated keys."""
        lines: dict[object, int] = {}
        for key_node, _ in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in lines and key != "<<":
                reason = f'the key "{key}" stands there twice (first in line {lines[key]})'
                raise yaml.MarkedYAMLError(problem=reason, problem_mark=key_node.start_mark)
            if isinstance(key, str):
                lines[key] = line
        return super().construct_mapping(node, deep=deep)
