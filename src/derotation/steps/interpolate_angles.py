"""Step ``interpolate_angles``: one angle for each line of a movie, from the motor's ticks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from derotation.plots.angles import plot_angles
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.steps.inputs import open_session_movie, save_plot, settle

__all__ = ["run"]


def run(
    *,
    events: str | Path,
    movie: str | Path,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    angles: str | Path,
    table: str | Path,
    plot: str | Path,
) -> Angles:
    """Tell the angle of each line and each frame of a session.

    Parameters
    ----------
    events : path
        The events that the step ``parse_signals`` wrote.
    movie : path
        The movie's TIFF, or a pattern for several. Only its metadata are read.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its sections ``angles`` and ``movie`` are read, and the key
        ``scan.line_duty``.
    angles, table, plot : path
        Where ``angles.npz``, ``angles.csv`` and ``angles.png`` go.

    Returns
    -------
    Angles
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read.
    """
    found = Events.load(events)
    with open_session_movie(movie, config) as opened:
        said = opened.metadata.line_duty
    # Measured pulses say more than metadata: they come from the same clock as the ticks.
    measured = found.line_duration_measured
    duty = settle("scan.line_duty", config["scan"]["line_duty"], None if measured else said, None)
    result = interpolate_angles(found, protocol=protocol, config=config["angles"], line_duty=duty)
    result.save(angles)
    result.to_csv(table)
    save_plot(plot_angles(result, found), plot)
    return result
