"""Step ``simulate_session``: make the raw files of a session of which the truth is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from derotation.simulate.writing import simulate_session

__all__ = ["run"]


def run(
    *,
    folder: str | Path,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    threads: int = 1,
) -> dict[str, Path]:
    """Simulate a session's movie, analog signals, stimulus table and truth.

    Parameters
    ----------
    folder : path
        Where the files go: ``movie.tif``, ``signals.npy``, ``stimulus.csv`` (protocol full only),
        ``truth.npz`` and ``truth.json``.
    protocol : {"full", "incremental", "free"}
        What the motor does.
    config : mapping
        The session's part of the section ``simulate``.
    threads : int
        Threads that render frames.

    Returns
    -------
    dict of str to Path
        The files written.

    Raises
    ------
    InputError
        If a parameter is out of its range.
    """
    return simulate_session(folder, protocol=protocol, threads=threads, **config)
