"""The record of a run: the configuration as it was used, the sheet, and the software's versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.cohort.sheet_files import sheet_text
from derotation.io.files import write_json, write_text
from derotation.jobs.versions import software_versions

__all__ = ["config_text", "write_record"]


def write_record(folder: str | Path, *, config: Mapping[str, Any], sheet: str | Path) -> None:
    """Write ``config.yaml``, ``sessions.tsv`` and ``versions.json``.

    Parameters
    ----------
    folder : path
        Where they go, usually ``results/run``.
    config : mapping
        The configuration with all defaults.
    sheet : path
        The sample sheet, which is copied as it is, in UTF-8.
    """
    folder = Path(folder)
    write_text(folder / "config.yaml", config_text(config))
    write_text(folder / "sessions.tsv", sheet_text(sheet))
    write_json(folder / "versions.json", software_versions())


def config_text(config: Mapping[str, Any]) -> str:
    """Write a configuration as YAML that can be used as a configuration file."""
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=True, allow_unicode=True, width=100)
