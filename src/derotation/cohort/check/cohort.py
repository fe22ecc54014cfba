"""All sessions of a cohort, against each other and against the space on the disk."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from derotation.cohort.check.session import SessionCheck, check_session
from derotation.cohort.cohort import Cohort
from derotation.cohort.sample_sheet import Session

__all__ = ["GIGA", "CohortCheck", "check_cohort"]

GIGA = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCheck:
    """What was found in all sessions, and whether the disk has room for the results.

    Attributes
    ----------
    sessions : tuple of SessionCheck
        In the order of the sheet.
    free_bytes : int
        Free space where the results go.
    problems : tuple of str
        What concerns the cohort as a whole.
    """

    sessions: tuple[SessionCheck, ...]
    free_bytes: int
    problems: tuple[str, ...] = ()
    sheet: str = ""
    """How the sample sheet was read, if not as text with tabs."""

    @property
    def needed_bytes(self) -> int:
        """What all results will still take."""
        return sum(session.output_bytes for session in self.sessions)

    @property
    def all_problems(self) -> list[str]:
        """All that keeps anything from being processed, one line each."""
        own = [f"{s.name}: {problem}" for s in self.sessions for problem in s.problems]
        return own + list(self.problems)


def check_cohort(cohort: Cohort) -> CohortCheck:
    """Open the files of all sessions and compare them with each other and with the disk.

    Parameters
    ----------
    cohort : Cohort
        A checked configuration with its sessions, see :func:`derotation.cohort.cohort.load_cohort`.

    Returns
    -------
    CohortCheck
    """
    results = Path(cohort.config["pathvars"]["results"])
    checks = {
        session.name: SessionCheck(
            name=session.name, protocol=session.protocol, rig=session.rig, simulated=True
        )
        if session.name in cohort.simulated
        else check_session(session, cohort.config)
        for session in cohort.sheet
    }
    problems = [text for s in cohort.sheet for text in _disagreements(s, checks)]
    free = shutil.disk_usage(_existing(results)).free
    needed = sum(check.output_bytes for check in checks.values())
    if needed > free:
        problems.append(
            f"{results}: the results will take about {needed / GIGA:.1f} GB, but only "
            f"{free / GIGA:.1f} GB are free; make room, or set pathvars.results to another disk."
        )
    return CohortCheck(
        sessions=tuple(checks.values()),
        free_bytes=free,
        problems=tuple(problems),
        sheet=cohort.sheet.how,
    )


def _disagreements(session: Session, checks: Mapping[str, SessionCheck]) -> Iterator[str]:
    """Compare the frame size of a session with those of the sessions that it names."""
    own = checks[session.name].shape
    for column in ("calibration", "reference"):
        other = checks.get(getattr(session, column) or "")
        if own and other and other.shape and own[1:] != other.shape[1:]:
            yield (
                f"{session.name}: its frames have {own[2]} x {own[1]} pixels, but those of "
                f"{other.name}, its {column}, {other.shape[2]} x {other.shape[1]}; name a session "
                "recorded with the same frame size."
            )


def _existing(folder: Path) -> Path:
    """Give the folder, or the nearest one above it that exists."""
    return next(path for path in [folder.resolve(), *folder.resolve().parents] if path.exists())
