"""The cohort of one configuration: its settings and its sessions, checked together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derotation.config import Config, check_config
from derotation.errors import ConfigError
from derotation.sample_sheet import SampleSheet, check_sample_sheet

__all__ = ["Cohort", "load_cohort", "simulated_files"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """A checked configuration with its sessions.

    Attributes
    ----------
    config : dict
        The canonical configuration.
    sheet : SampleSheet
        The sessions.
    simulated : tuple of str
        Names of the sessions that the workflow simulates.
    """

    config: Config
    sheet: SampleSheet
    simulated: tuple[str, ...]


def load_cohort(
    config: Mapping[str, Any],
    schemas: str | Path,
    *,
    files: Iterable[str | Path] = (),
    check_files: bool = True,
) -> Cohort:
    """Check a configuration and the sample sheet that it names.

    Parameters
    ----------
    config : mapping
        The configuration as it was read.
    schemas : path
        The folder of the JSON schemas, ``workflow/schemas``.
    files : iterable of paths
        The files that the configuration was read from, later ones overriding earlier ones.
    check_files : bool
        Whether to look for the sessions' raw files.

    Returns
    -------
    Cohort
        Settings and sessions.

    Raises
    ------
    ConfigError
        With everything that is wrong with either, one line each.
    """
    schemas = Path(schemas)
    checked, errors = check_config(config, schemas / "config.schema.yaml", files=files)
    path, simulate = checked["sessions"], checked["simulate"]
    sheet = None
    if isinstance(path, str) and path:
        names = simulate if isinstance(simulate, Mapping) else ()
        sheet, more = check_sample_sheet(
            path, schemas / "sessions.schema.yaml", simulated=names, check_files=check_files
        )
        errors += more or _misplaced_files(sheet, names)
    if errors or sheet is None:
        raise ConfigError("\n".join(errors))
    simulated = tuple(name for name in sheet.names if name in simulate)
    return Cohort(config=checked, sheet=sheet, simulated=simulated)


def simulated_files(name: str) -> dict[str, str]:
    """Name the raw files of a simulated session by their columns in the sample sheet."""
    return {
        "movie": f"data/{name}/movie.tif",
        "signals": f"data/{name}/signals.npy",
        "stimulus": f"data/{name}/stimulus.csv",
    }


def _misplaced_files(sheet: SampleSheet, simulated: Iterable[str]) -> list[str]:
    """Compare a simulated session's row with the files that the simulation writes."""
    errors = []
    for session in sheet:
        if session.name not in simulated:
            continue
        for column, path in simulated_files(session.name).items():
            found = getattr(session, column)
            if found is not None and found != path:
                errors.append(
                    f"{sheet.path}, row {session.row} (session {session.name}), column {column}: "
                    f'found "{found}", but the configuration\'s section simulate makes this '
                    f'session\'s files: write "{path}", or take its name out of that section.'
                )
    return errors
