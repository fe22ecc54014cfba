"""The end of a run in a few lines of text."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from derotation.report.sessions import CohortReport, SessionReport
from derotation.report.words import quantity

__all__ = ["VERDICTS", "headline", "summary_lines"]

# Worst first.
VERDICTS = {
    "failed": "failed",
    "missing": "not processed",
    "bad": "bad",
    "look": "to look at",
    "none": "done, not measured",
    "ok": "ok",
}
# A terminal shows so many sessions; all of them stand in the page.
MAX_LINES = 30
MAX_FIGURES = 4


def headline(sessions: Sequence[SessionReport]) -> str:
    """Count the sessions by what became of them, the good ones first."""
    counts = Counter(session.verdict for session in sessions)
    parts = [f"{counts[key]} {VERDICTS[key]}" for key in reversed(VERDICTS) if counts[key]]
    noun = "session" if len(sessions) == 1 else "sessions"
    return f"{len(sessions)} {noun}: {', '.join(parts)}"


def summary_lines(cohort: CohortReport, page: str | Path) -> list[str]:
    """Sum up a run for the terminal.

    Parameters
    ----------
    cohort : CohortReport
    page : path
        The report.

    Returns
    -------
    list of str
        How many sessions are well, one line for each of the others, worst first, and for each
        mosaic that is not built, and the page.
    """
    order = list(VERDICTS)
    others = [session for session in cohort.sessions if session.verdict not in ("ok", "none")]
    others.sort(key=lambda session: order.index(session.verdict))
    lines = [headline(cohort.sessions)]
    for session in others[:MAX_LINES]:
        words = f"  {session.name}: {VERDICTS[session.verdict]}"
        if session.verdict == "failed":
            step, reason, log = (
                getattr(session.state, key) for key in ("failed_step", "reason", "log")
            )
            lines.append(f"{words} in {step}: {reason}" + (f" ({log})" if log else ""))
        else:
            reason = session.state.reason or _figures(session)
            lines.append(f"{words}: {reason}" if reason else words)
    if len(others) > MAX_LINES:
        lines.append(f"  ... and {len(others) - MAX_LINES} more")
    if cohort.matching.status == "failed":
        lines.append(
            f"  cells of several sessions: failed in {cohort.matching.failed_step}: "
            f"{cohort.matching.reason} ({cohort.matching.log})"
        )
    for mosaic in cohort.mosaics:
        if mosaic.state.status != "done":
            words = (
                f"  mosaic {mosaic.name}: {VERDICTS[mosaic.state.status]}: {mosaic.state.reason}"
            )
            lines.append(f"{words} ({mosaic.state.log})" if mosaic.state.log else words)
    return [*lines, f"Report: {page}"]


def _figures(session: SessionReport) -> str:
    """Name the figures that are not ok, few enough for a line."""
    flagged = session.flagged
    named = [
        f"{figure.title.lower()} {quantity(figure.value, figure.unit)}"
        if figure.value is not None
        else figure.title.lower()
        for figure in flagged[:MAX_FIGURES]
    ]
    more = [f"and {len(flagged) - MAX_FIGURES} more"] if len(flagged) > MAX_FIGURES else []
    return ", ".join([*named, *more])
