"""A study's own folder: configuration, sample sheet, profiles, and a Snakefile that leads here."""

import contextlib
import os
import textwrap
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from derotation.cohort.config import validate_config
from derotation.errors import ConfigError
from derotation.maps.corrections import schema_with_corrections
from derotation.settings.schema import Schema, resolve, sheet_schema
from derotation.settings.shipped import profile_folder, schema_file
from derotation.settings.yaml_files import merge

__all__ = ["FIRST_KEYS", "config_text", "write_study"]

#: The keys that people set first; a new configuration holds them, with their defaults.
FIRST_KEYS = (
    "sessions",
    "signals.sampling_rate",
    "signals.channel_order",
    "signals.rotation_increment",
    "signals.degrees_per_rotation",
    "angles.source",
    "angles.direction_sign",
    "scan.bidirectional",
    "movie.channel",
    "export.suite2p.tau",
    "export.suite2p.diameter",
)

_WIDTH = 100

_CONFIG_HEAD = """\
# yaml-language-server: $schema={schema}
# The settings of this study. The line above lets editors that know YAML schemas (VS Code with the
# extension YAML) complete and explain all keys. Here are those that people set first; keys that are
# missing have their defaults.
"""

_SNAKEFILE = """\
# The workflow of the installed package derotation (this folder was made by version {version}).
#
#     derotation check     # look at settings, sample sheet and files
#     derotation run -n    # only say what would be run
#     derotation run       # run what is missing or out of date; "snakemake" does the same

from derotation.settings.shipped import workflow_file


include: str(workflow_file())


# Rules that are included are nobody's default target. Rules of your own may follow.
rule everything:
    default_target: True
    input:
        rules.all.input,
"""

_IGNORED = """\
# What can be computed anew. Configuration, sample sheet and profiles are worth keeping.
.snakemake/
/benchmarks/
/data/
/logs/
/results/
"""


def write_study(folder: str | Path, keys: Mapping[str, Any] | None = None) -> list[Path]:
    """Make a folder in which every command works, for the sessions of one study.

    Parameters
    ----------
    folder : path
        The folder; it is made if there is none, and may hold other files.
    keys : mapping, optional
        Keys of the configuration, sections within sections, that are known already: they replace
        the defaults in the new ``config/config.yaml``, each with its comment.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    ConfigError
        If one of these files is there already, a key does not exist, or a value is not allowed.
        Nothing is written then.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder, which is made if there is none.")
    contents = {
        "Snakefile": _SNAKEFILE.format(version=_version()),
        "config/config.yaml": config_text(keys),
        "config/sessions.tsv": "\t".join(sheet_schema()["properties"]) + "\n",
        ".gitignore": _IGNORED,
    }
    for name in ("default", "slurm"):
        kept = f"profiles/{name}/config.yaml"
        contents[kept] = (profile_folder(name) / "config.yaml").read_text(encoding="utf-8")
    link = folder / "slurm"
    there = [name for name in (*contents, link.name) if os.path.lexists(folder / name)]
    if there:
        raise ConfigError(
            f"{folder} holds a study or something else already ({', '.join(there)}); nothing was "
            "written. Name another folder."
        )
    written: list[Path] = []
    for name, text in contents.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Not one that somebody else has written meanwhile.
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise ConfigError(f"{file} cannot be written ({error.strerror}).") from error
        written.append(file)
    # Snakemake looks for the bare name of a profile here; "derotation run" finds it anyway.
    with contextlib.suppress(OSError):
        link.symlink_to(Path("profiles", "slurm"), target_is_directory=True)
        written.append(link)
    return written


def config_text(keys: Mapping[str, Any] | None = None) -> str:
    """Write the first keys of a configuration, and those that are given, each with a comment.

    Parameters
    ----------
    keys : mapping, optional
        Keys that are known already, sections within sections.

    Returns
    -------
    str
        A configuration file, which is a valid one.

    Raises
    ------
    ConfigError
        If a key does not exist or a value is not allowed.
    """
    schema = schema_with_corrections()
    settings: dict[str, Any] = {}
    for name in FIRST_KEYS:
        settings = merge(settings, _nested(name.split("."), _default(name, schema)))
    settings = merge(settings, keys or {})
    validate_config(settings, schema)
    head = _CONFIG_HEAD.format(schema=schema_file("config").as_uri())
    return head + "\n".join(_section(settings, schema, schema, 0)) + "\n"


def _section(settings: Mapping[str, Any], at: Schema, root: Schema, depth: int) -> Iterator[str]:
    """Write keys with their comments, those of sections within a section indented."""
    indent = "  " * depth
    for name, value in settings.items():
        key = resolve(at["properties"][name], root)
        if depth == 0:
            yield ""
        if "properties" in key and isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _section(value, key, root, depth + 1)
            continue
        yield from _comment(key, indent)
        yield textwrap.indent(_line(name, value), indent)


def _line(name: str, value: Any) -> str:
    """Write one key: lists in one line, and mappings with a line per key."""
    if isinstance(value, list | tuple):
        listed = yaml.safe_dump(list(value), default_flow_style=True, width=10_000).strip()
        return f"{name}: {listed}"
    return yaml.safe_dump({name: value}, default_flow_style=False, sort_keys=False).rstrip("\n")


def _comment(key: Schema, indent: str) -> list[str]:
    """Say what a key does, as the table of all keys says it."""
    unit = f" ({key['unit']})" if "unit" in key else ""
    text = " ".join(key.get("description", "").split()) + unit
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def _default(name: str, schema: Schema) -> Any:
    key = schema
    for part in name.split("."):
        key = resolve(key["properties"][part], schema)
    return key.get("default")


def _nested(names: list[str], value: Any) -> dict[str, Any]:
    return {names[0]: _nested(names[1:], value) if names[1:] else value}


def _version() -> str:
    try:
        return version("derotation-workflow")
    except PackageNotFoundError:
        return "0+unknown"
