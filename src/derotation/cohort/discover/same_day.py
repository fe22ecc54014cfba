"""Which incremental session calibrates a full one: that of its day."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from derotation.cohort.discover.found import FoundSession
from derotation.cohort.discover.tree import Tree, is_blueprint, matches_any

__all__ = ["calibrated_by_incremental"]

# Dates, and numbers of days, in names.
DAY = re.compile(r"(?<!\d)(?:\d{4}[-_.]?\d{2}[-_.]?\d{2}|\d{6})(?!\d)|day[-_ ]?\d+", re.IGNORECASE)


def calibrated_by_incremental(
    tree: Tree, sessions: Sequence[FoundSession]
) -> tuple[list[FoundSession], list[str]]:
    """Let full sessions use the one incremental session of their day."""
    incremental = [session for session in sessions if session.protocol == "incremental"]
    result, notes = [], []
    for session in sessions:
        found = _of_same_day(tree, session, incremental) if session.protocol == "full" else None
        if found is not None:
            notes.append(
                f"{session.name} takes its calibration from {found.name}, the incremental session "
                f"of the same {'folder' if found.folder == session.folder else 'day'}; empty the "
                "cell to calibrate it by itself."
            )
        result.append(replace(session, calibration=found.name if found else ""))
    return result, notes


def _of_same_day(
    tree: Tree, session: FoundSession, incremental: Sequence[FoundSession]
) -> FoundSession | None:
    """Find the one incremental session that lies beside a session, or bears its date."""
    if is_blueprint(session.folder):
        own = [other for other in incremental if other.folder == session.folder]
        return own[0] if len(own) == 1 else None
    days = _days(tree, session)
    for above in session.folder.parents:
        near = [other for other in incremental if other.folder.is_relative_to(above)]
        if near or above == tree.root:
            dated = [other for other in near if days and _days(tree, other) == days]
            if dated or (above == tree.root and days):
                return dated[0] if len(dated) == 1 else None
            # Without dates, one whose branch of the tree is called so stands for its day.
            beside = [
                other for other in near
                if (other.folder.parent == above or _is_called_incremental(tree, above, other))
                and not (days and _days(tree, other))
            ]  # fmt: skip
            return beside[0] if len(beside) == 1 else None
    return None


def _is_called_incremental(tree: Tree, above: Path, session: FoundSession) -> bool:
    branch = session.folder.relative_to(above).parts
    return bool(branch) and matches_any(branch[0], tree.patterns.incremental)


def _days(tree: Tree, session: FoundSession) -> frozenset[str]:
    """Read the dates and numbers of days in the names that lead to a session."""
    names = session.folder.relative_to(tree.root).parts
    return frozenset(
        re.sub(r"\D", "", day) if day[0].isdigit() else day.lower()
        for name in names
        for day in DAY.findall(name)
    )
