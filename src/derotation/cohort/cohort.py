"""The cohort of one configuration: its settings and its sessions, checked together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derotation.cohort.config import Config, check_given
from derotation.cohort.groups import check_groups
from derotation.cohort.nwb_columns import check_nwb_columns
from derotation.cohort.rigs import check_rigs_of_sheet, check_wiring
from derotation.cohort.sample_sheet import SampleSheet, Session, check_sample_sheet
from derotation.errors import ConfigError
from derotation.maps.corrections import schema_with_corrections
from derotation.settings.schema import Schema, section_schema

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
    *,
    config_schema: Schema | None = None,
    sheet_schema: Schema | None = None,
    files: Iterable[str | Path] = (),
    check_files: bool = True,
) -> Cohort:
    """Check a configuration and the sample sheet that it names.

    Parameters
    ----------
    config : mapping
        The configuration as it was read.
    config_schema, sheet_schema : mapping, optional
        The JSON schemas of the configuration and of a row of the sheet; by default those of this
        package.
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
    schema = schema_with_corrections() if config_schema is None else config_schema
    checked, given, errors = check_given(config, schema, files=files)
    path, simulate = checked["sessions"], checked["simulate"]
    sheet = None
    if isinstance(path, str) and path:
        names = simulate if isinstance(simulate, Mapping) else ()
        sheet, more = check_sample_sheet(
            path, sheet_schema, simulated=names, check_files=check_files
        )
        errors += more or (
            _misplaced_files(sheet, names)
            + _missing_points(sheet, checked)
            + check_rigs_of_sheet(sheet, _section(checked["rigs"]))
            + check_nwb_columns(sheet, section_schema("nwb", schema))
        )
        if not errors:
            errors += check_wiring(checked, sheet, given, schema)
        if not errors:
            errors += check_groups(
                sheet, checked["mosaic"], simulated=names, check_files=check_files
            )
    if errors or sheet is None:
        raise ConfigError("\n".join(errors))
    simulated = tuple(name for name in sheet.names if name in simulate)
    return Cohort(config=checked, sheet=sheet, simulated=simulated)


def simulated_files(session: Session) -> dict[str, str]:
    """Name the raw files of a simulated session by their columns in the sample sheet."""
    folder = f"data/{session.name}"
    files = {"movie": f"{folder}/movie.tif", "signals": f"{folder}/signals.npy"}
    if session.protocol == "full":
        files["stimulus"] = f"{folder}/stimulus.csv"
    return files


def _section(value: Any) -> Mapping[str, Any]:
    """Take what is no section for an empty one; that it is wrong was said already."""
    return value if isinstance(value, Mapping) else {}


def _missing_points(sheet: SampleSheet, config: Config) -> list[str]:
    """Look for the tables of points, if sessions are to be aligned by nothing else."""
    movement = config.get("movement")
    if not isinstance(movement, Mapping) or movement.get("method") != "points":
        return []
    wanted = {
        session: Path(str(movement.get("points")), f"{session.name}.csv")
        for session in sheet
        if session.reference is not None
    }
    return [
        sheet.line(
            session,
            "reference",
            f'movement.method is points, but there is no table "{path}"; write it '
            "(ref_x,ref_y,moved_x,moved_y, see docs/movement.md), or set movement.method to auto.",
        )
        for session, path in wanted.items()
        if not path.is_file()
    ]


def _misplaced_files(sheet: SampleSheet, simulated: Iterable[str]) -> list[str]:
    """Compare a simulated session's row with the files that the simulation writes."""
    errors = []
    for session in sheet:
        if session.name not in simulated:
            continue
        expected = simulated_files(session)
        for column in ("movie", "signals", "stimulus"):
            found, made = getattr(session, column), expected.get(column)
            if found != made:
                advice = f'write "{made}"' if made else "leave the cell empty"
                text = (
                    f'found "{found}", but this session\'s files are simulated: {advice}, or take '
                    f"simulate.{session.name} out of the configuration."
                )
                errors.append(sheet.line(session, column, text))
    return errors
