"""What sessions are called: each by its own folder, none like another."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from derotation.cohort.discover.found import FoundSession
from derotation.cohort.discover.tree import Patterns, Tree, is_blueprint, listed_paths
from derotation.errors import InputError

__all__ = ["session_name", "shared_names", "with_unique_names"]

# As the sample sheet's schema allows.
LONGEST_NAME = 100


def session_name(
    tree: Tree, folder: Path, recording: Path, patterns: Patterns
) -> tuple[str, list[str]]:
    """Call a session by its folder; in a NeuroBlueprint tree the subject belongs to the name."""
    if patterns.name == "path" and folder != tree.root:
        parts = list(folder.relative_to(tree.root).parts)
    elif is_blueprint(folder):
        parts = [folder.parent.name, folder.name]
    else:
        parts = [folder.resolve().name]
    if is_blueprint(folder) and tree.holds_others(folder, recording):
        parts.append(recording.name)
    wanted = "_".join(parts)
    name = _valid(wanted)
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"its name would have {len(name)} characters, at most {LONGEST_NAME} are allowed: "
            f"{name}; rename the folder, or set discover.name to folder in the configuration."
        )
    said = (
        f'{folder}: the session is called "{name}", since a name consists of letters, digits, _ '
        "and -."
    )
    return name, [said] if name != wanted else []


def with_unique_names(
    tree: Tree, sessions: Sequence[FoundSession]
) -> tuple[list[FoundSession], list[str]]:
    """Call sessions whose folders have one name by the shortest paths that tell them apart."""
    names = [session.name for session in sessions]
    notes = []
    for _, group in _sharing(names).items():
        paths = [sessions[k].folder.relative_to(tree.root).parts for k in group]
        longest = max(map(len, paths), default=0)
        for n in range(2, longest + 1):
            wanted = [_valid("_".join(parts[-n:])) for parts in paths]
            others = {name.lower() for k, name in enumerate(names) if k not in group}
            apart = len({name.lower() for name in wanted}) == len(group)
            if apart and not others.intersection(name.lower() for name in wanted):
                old = names[group[0]]
                for k, name in zip(group, wanted, strict=True):
                    names[k] = name
                notes.append(
                    f'{len(group)} folders are called "{old}"; their sessions are called '
                    f"{', '.join(wanted[:4])}{', ...' if len(wanted) > 4 else ''}, by the shortest "
                    "paths that tell them apart."
                )
                break
    return [replace(s, name=name) for s, name in zip(sessions, names, strict=True)], notes


def _sharing(names: Sequence[str]) -> dict[str, list[int]]:
    """Group the numbers of names that several have, upper and lower case being alike."""
    groups: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        groups.setdefault(name.lower(), []).append(k)
    return {name: group for name, group in groups.items() if len(group) > 1}


def _valid(name: str) -> str:
    """Leave letters, digits, _ and - of a name; what else it holds becomes one _ between them."""
    return re.sub(r"_*[^A-Za-z0-9_-]+_*", "_", name).strip("_-") or "session"


def shared_names(sessions: Sequence[FoundSession]) -> list[str]:
    """Say which names several sessions still share."""
    counts = Counter(session.name.lower() for session in sessions)
    errors = []
    for name, count in counts.items():
        if count > 1:
            where = listed_paths([s.folder for s in sessions if s.name.lower() == name])
            errors.append(
                f'{count} sessions would be called "{name}": {where}; rename the folders, or set '
                "discover.name to path in the configuration to name sessions by all their folders."
            )
    return errors
