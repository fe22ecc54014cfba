"""Step ``interpolate_angles``: one angle for each line of a movie, from the motor's ticks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from derotation.io.movie import Movie
from derotation.plots.angles import plot_angles
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import open_session_movie, save_plot, settle

__all__ = ["Outputs", "run", "save"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    angles: Annotated[Path, "angles.npz"]
    table: Annotated[Path, "angles.csv"]
    plot: Annotated[Path, "plots/angles.png"]


def run(
    *,
    events: Events | str | Path,
    movie: Movie | str | Path,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    outputs: Outputs,
) -> Angles:
    """Tell the angle of each line and each frame of a session.

    Parameters
    ----------
    events : Events or path
        What the step ``parse_signals`` wrote.
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened. Only metadata are read.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its sections ``angles`` and ``movie`` are read, and the key
        ``scan.line_duty``.
    outputs : Outputs
        Where files go.

    Returns
    -------
    Angles
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read.
    """
    found = events if isinstance(events, Events) else Events.load(events)
    with open_session_movie(movie, config) as opened:
        said = opened.metadata.line_duty
    # Measured pulses say more than metadata: they come from the same clock as the ticks.
    measured = found.line_duration_measured
    duty = settle("scan.line_duty", config["scan"]["line_duty"], None if measured else said, None)
    result = interpolate_angles(found, protocol=protocol, config=config["angles"], line_duty=duty)
    save(result, found, outputs)
    return result


def save(angles: Angles, events: Events, outputs: Outputs) -> None:
    """Write the angles of a session.

    Parameters
    ----------
    angles : Angles
    events : Events
        What they were told from.
    outputs : Outputs
        Where files go.
    """
    angles.save(outputs.angles)
    angles.to_csv(outputs.table)
    save_plot(plot_angles(angles, events), outputs.plot)
