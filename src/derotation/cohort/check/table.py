"""A check as a table for a terminal."""

from collections.abc import Sequence

from derotation.cohort.check.cohort import GIGA, CohortCheck
from derotation.cohort.check.session import SessionCheck

__all__ = ["format_table"]

# The table's column for rigs, which is left out if there are none.
RIG = 2
# Names that are listed before a sentence that holds for several sessions.
MOST_NAMES = 4


def format_table(check: CohortCheck) -> str:
    """Write down what was found, for people: a row per session, then all that is worth a look.

    Parameters
    ----------
    check : CohortCheck

    Returns
    -------
    str
    """
    header = ("session", "protocol", "rig", "frames", "size (px)", "frames/s", "movie (GB)",
              "signals (s)", "rotations", "results (GB)", "")  # fmt: skip
    rows = [header, *(_row(session) for session in check.sessions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    shown = [i for i in range(len(header)) if i != RIG or any(s.rig for s in check.sessions)]
    widths = [widths[i] for i in shown]
    lines = ["  ".join(_cell(row[i], width, i) for i, width in zip(shown, widths, strict=True))
             .rstrip() for row in rows]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    if check.sheet:
        lines += ["", check.sheet]
    said = [f"{s.name}: {note}" for s in check.sessions for note in s.notes]
    if said:
        lines += ["", "Worth knowing:", *(f"  {text}" for text in said)]
    granted: dict[str, list[str]] = {}
    for session in check.sessions:
        for text in session.remarks:
            granted.setdefault(text, []).append(session.name)
    if granted:
        rows_ = [f"  {_names(names)}: {text}" for text, names in granted.items()]
        lines += ["", "Taken for granted:", *rows_]
    if check.all_problems:
        lines += ["", "Problems:", *(f"  {text}" for text in check.all_problems)]
    lines += [
        "",
        f"{_sessions(len(check.sessions))}; the results will take about "
        f"{check.needed_bytes / GIGA:.1f} GB more, {check.free_bytes / GIGA:.1f} GB are free.",
    ]
    return "\n".join(lines)


def _names(names: Sequence[str]) -> str:
    """List some names; the others are counted."""
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown


def _sessions(count: int) -> str:
    return f"{count} session" + ("s" if count != 1 else "")


def _row(session: SessionCheck) -> Sequence[str]:
    verdict = "PROBLEM" if session.problems else "look" if session.notes else "ok"
    if session.simulated:
        return (session.name, session.protocol, session.rig or "", *[""] * 7, "simulated")
    shape = session.shape
    return (
        session.name,
        session.protocol,
        session.rig or "",
        f"{shape[0]}" if shape else "?",
        f"{shape[2]} x {shape[1]}" if shape else "?",
        f"{session.frame_rate:.3g}" if session.frame_rate else "?",
        f"{session.movie_bytes / GIGA:.2f}" if shape else "?",
        f"{session.signals_s:.1f}" if session.signals_s is not None else "?",
        "" if session.n_rotations is None else str(session.n_rotations),
        f"{session.output_bytes / GIGA:.2f}" if shape else "?",
        f"{verdict} ({session.channels})" if session.channels else verdict,
    )


def _cell(text: str, width: int, column: int) -> str:
    """Align names to the left and numbers to the right."""
    return text.ljust(width) if column in (0, 1, RIG, 10) else text.rjust(width)
