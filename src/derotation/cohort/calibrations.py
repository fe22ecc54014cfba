"""Which calibration holds for a session."""

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["calibration_in_use", "given_calibration", "is_carried_over"]


def given_calibration(
    session: str, calibration: str | None, names: Collection[str], *, results: str
) -> str:
    """Name the calibration that a session's row stands for: its own, another's, or a given file.

    Parameters
    ----------
    session : str
        The session's name.
    calibration : str or None
        Column ``calibration`` of its row: the name of a session, or a path; None or empty: none.
    names : collection of str
        All sessions of the cohort.
    results : str
        The folder with a folder per session.

    Returns
    -------
    str
        A path.
    """
    if calibration and calibration not in names:
        return calibration
    return f"{results}/{calibration or session}/calibration.json"


def is_carried_over(calibration: str | None, config: Mapping[str, Any]) -> bool:
    """Tell whether a given calibration has to be carried over: between sessions the scanner moves.

    Parameters
    ----------
    calibration : str or None
        Column ``calibration`` of the session's row.
    config : mapping
        The checked configuration; ``movement.what`` is read.
    """
    return bool(calibration) and config["movement"]["what"] != "sample"


def calibration_in_use(
    session: str,
    calibration: str | None,
    names: Collection[str],
    config: Mapping[str, Any],
    *,
    results: str,
) -> str:
    """Name the calibration that a session is derotated with.

    Parameters
    ----------
    session, calibration, names, results
        See :func:`given_calibration`.
    config : mapping
        See :func:`is_carried_over`.

    Returns
    -------
    str
        A path: that of the session itself where the calibration was estimated from it or carried
        over to it, else that of another session or the given file.
    """
    if is_carried_over(calibration, config):
        return given_calibration(session, None, names, results=results)
    return given_calibration(session, calibration, names, results=results)
