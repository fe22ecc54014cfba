"""Rigs: how their files are recorded, and the settings that hold for a session of one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from derotation.cohort.sample_sheet import SampleSheet, Session, is_file
from derotation.errors import ConfigError
from derotation.settings.schema import (
    KeyPath,
    Problem,
    Schema,
    canonical,
    find_problems,
    show,
)
from derotation.settings.spelling import did_you_mean
from derotation.settings.yaml_files import homes_of, locate, merge, read_yaml
from derotation.signals.roles import REQUIRED_ROLES

__all__ = [
    "Given",
    "check_rigs_of_sheet",
    "check_wiring",
    "read_rig_files",
    "rig_config",
    "session_config",
]

# Files that cannot name their channels, so that signals.channel_order has to.
_WITHOUT_NAMES = (".npy", ".bin")
# Files that cannot say their sampling rate, so that signals.sampling_rate has to.
_WITHOUT_RATE = (".npy", ".bin", ".mat")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """A configuration as it was given, and the files that it came from."""

    config: Mapping[str, Any]
    """Without the defaults; rigs that have a file of their own are read."""
    files: tuple[Path, ...] = ()
    """Configuration files, later ones overriding earlier ones."""
    rig_files: Mapping[KeyPath, Path] = field(default_factory=dict)
    """Files of single rigs, by the keys at which they are named."""

    def locate(self, problems: Iterable[Problem]) -> list[str]:
        """Put file, line and key in front of what is wrong; what is said twice is said once."""
        return list(dict.fromkeys(locate(problems, self.config, self.files, self.rig_files)))


def read_rig_files(
    config: Mapping[str, Any], files: Iterable[str | Path] = ()
) -> tuple[Given, list[str]]:
    """Put the content of the files that ``rigs`` names in the place of their paths.

    Parameters
    ----------
    config : mapping
        The configuration as it was given. It is not changed.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones. The path of a rig's
        file is relative to the one in which it stands, else to the working directory.

    Returns
    -------
    given : Given
        The configuration with the rigs' files read. A file that cannot be read counts as empty.
    errors : list of str
        One line for each that cannot be read.
    """
    own_files = tuple(Path(file) for file in files)
    rigs = config.get("rigs")
    if not isinstance(rigs, Mapping):
        return Given(config=config, files=own_files), []
    read, errors = dict(rigs), []
    found: dict[KeyPath, Path] = {}
    paths = {("rigs", name): path for name, path in rigs.items() if isinstance(path, str) and path}
    for (_, name), home in homes_of(paths, config, own_files).items():
        path = rigs[name]
        file = Path(path).expanduser()
        file = home.parent / file if home else file
        read[name] = {}
        if not is_file(str(file)):
            start = f"relative to {home}" if home else f"relative to {Path.cwd()}"
            problem = Problem(
                path=("rigs", name),
                text=f'found {show(path)}, but there is no file "{file}" ({start}); write its '
                "path, or the sections themselves.",
            )
            errors += locate([problem], config, own_files)
            continue
        try:
            read[name] = read_yaml(file)
        except ConfigError as error:
            errors.append(str(error))
        else:
            found["rigs", name] = file
    return Given(config={**config, "rigs": read}, files=own_files, rig_files=found), errors


def session_config(config: Mapping[str, Any], session: Session) -> Mapping[str, Any]:
    """Give the configuration that holds for a session: the cohort's, with the keys of its rig.

    Parameters
    ----------
    config : mapping
        The checked configuration of the cohort.
    session : Session
        A row of the sample sheet.

    Returns
    -------
    mapping
        Of the same form as the cohort's.

    Raises
    ------
    ConfigError
        If the session's rig is not in the configuration.
    """
    return rig_config(config, session.rig)


def rig_config(config: Mapping[str, Any], rig: str | None) -> Mapping[str, Any]:
    """Give the configuration that holds for the sessions of a rig; None: of none.

    Parameters and errors are those of :func:`session_config`.
    """
    if rig is None:
        return config
    if rig not in config["rigs"]:
        raise ConfigError(f"rigs: {_unknown_rig(rig, config['rigs'])}")
    # In one order, since Snakemake compares settings as they are written.
    own = {name: canonical(merge(config[name], part)) for name, part in config["rigs"][rig].items()}
    return {**config, **own}


def check_rigs_of_sheet(sheet: SampleSheet, rigs: Mapping[str, Any]) -> list[str]:
    """Find rows that name a rig which the configuration does not have.

    Parameters
    ----------
    sheet : SampleSheet
        The sessions.
    rigs : mapping
        The section ``rigs`` of the configuration.

    Returns
    -------
    list of str
        One line per row.
    """
    return [
        sheet.line(session, "rig", _unknown_rig(session.rig, rigs))
        for session in sheet
        if session.rig is not None and session.rig not in rigs
    ]


def check_wiring(
    config: Mapping[str, Any], sheet: SampleSheet, given: Given, schema: Schema
) -> list[str]:
    """Compare what is said about files and channels with the sessions for which it holds.

    Parameters
    ----------
    config : mapping
        The checked configuration of the cohort.
    sheet : SampleSheet
        The sessions, each of a rig that the configuration has.
    given : Given
        The configuration without its defaults.
    schema : mapping
        The JSON schema of the configuration.

    Returns
    -------
    list of str
        One line per mistake, with file, line and key, or row and column.
    """
    errors = []
    for rig in dict.fromkeys(session.rig for session in sheet):
        own = rig_config(config, rig)
        sessions = [session for session in sheet if session.rig == rig]
        # Without rigs the sections were compared with the whole schema before.
        problems = find_problems({**own, "rigs": {}}, schema) if config["rigs"] else []
        if not problems:
            problems = _contradictions(own, sessions)
            errors += [text for one in sessions for text in _missing_cells(own, sheet, one)]
        errors += given.locate(_in_its_place(problem, rig, given.config) for problem in problems)
    return errors


def _contradictions(config: Mapping[str, Any], sessions: Iterable[Session]) -> list[Problem]:
    """Find settings of channels that do not fit each other, or the sessions' files."""
    with_signals = [session for session in sessions if session.signals]
    if not with_signals:
        return []
    signals = config["signals"]
    silent = [s for s in with_signals if Path(s.signals).suffix.lower() in _WITHOUT_RATE]
    if signals["sampling_rate"] is None and silent:
        text = (
            f"found null (nothing), but the session {silent[0].name} has analog signals, whose "
            'file does not say it; "derotation signals FILE --movie FILE" may tell it.'
        )
        return [Problem(path=("signals", "sampling_rate"), text=text)]
    suffixes = {Path(session.signals).suffix.lower() for session in with_signals}
    has_order = bool(suffixes & set(_WITHOUT_NAMES))
    return _channel_problems(
        signals, REQUIRED_ROLES[config["angles"]["source"]], has_order=has_order
    )


def _channel_problems(
    signals: Mapping[str, Any], needed: Iterable[str], *, has_order: bool
) -> list[Problem]:
    """Compare the channels' names with their order, which holds where a file names none itself."""
    order = signals["channel_order"]
    # Channels that are not needed are there if the order names them.
    names = {
        role: name
        for role, name in signals["channel_names"].items()
        if name is not None and (name in order or name != role or role in needed)
    }
    problems = []
    listed = ", ".join(order)
    for role, name in names.items() if has_order else ():
        if isinstance(name, str) and name not in order:
            text = f'found "{name}", which is not in signals.channel_order ({listed}).'
        elif isinstance(name, int) and name > len(order):
            text = f"found {name}, but signals.channel_order has {len(order)} ({listed})."
        else:
            continue
        problems.append(Problem(path=("signals", "channel_names", role), text=text))
    numbers = [
        order.index(name) + 1 if has_order and name in order else name for name in names.values()
    ]
    if len(set(numbers)) < len(numbers):
        text = "two roles have the same channel; each needs its own."
        problems.append(Problem(path=("signals", "channel_names"), text=text))
    return problems


def _missing_cells(
    config: Mapping[str, Any], sheet: SampleSheet, session: Session
) -> Iterable[str]:
    """Find empty cells without which what is to tell the angle does not tell it."""
    source = config["angles"]["source"]
    if source == "movie":
        return
    column = "angles" if source == "table" else "signals"
    if not getattr(session, column):
        text = f"the cell is empty, but angles.source is {source}, which is read from this file."
        yield sheet.line(session, column, text)


def _in_its_place(problem: Problem, rig: str | None, given: Mapping[str, Any]) -> Problem:
    """Tell whether a value that does not fit is the rig's or the cohort's."""
    if rig is None:
        return problem
    own = given["rigs"][rig] or {}
    section = problem.path[0]
    if _holds(own, problem.path) or (section in own and not _holds(given, problem.path)):
        return Problem(path=("rigs", rig, *problem.path), text=problem.text)
    text = f"{problem.text.removesuffix('.')} (for sessions of the rig {rig})."
    return Problem(path=problem.path, text=text)


def _holds(settings: Any, path: KeyPath) -> bool:
    for part in path:
        if not isinstance(settings, Mapping) or part not in settings:
            return False
        settings = settings[part]
    return True


def _unknown_rig(rig: str | None, rigs: Mapping[str, Any]) -> str:
    text = f'found "{rig}", which is no rig of the configuration'
    question = did_you_mean(str(rig), map(str, rigs))
    if question:
        return text + question
    if rigs:
        return f"{text}. Its section rigs has {', '.join(map(str, rigs))}."
    return f"{text}: its section rigs is empty. Describe the rig there, or leave the cell empty."
