"""Step ``interpolate_angles``: one angle for each line of a movie, from the motor's ticks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from derotation.images.scanning import ScanEstimate, estimate_scan, with_scan
from derotation.io.files import write_json
from derotation.io.movie import Movie
from derotation.plots.angles import plot_angles
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.repairs import turn_word
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import open_session_movie, save_plot, settle

__all__ = ["Outputs", "run", "save"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    angles: Annotated[Path, "angles.npz"]
    table: Annotated[Path, "angles.csv"]
    scan: Annotated[Path, "scan.json"]
    """In which directions lines were scanned, and with which phase."""
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
        The movie's TIFF, or a pattern for several; or the movie, opened. Some frames
        at rest are read if it was scanned in both directions.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its sections ``angles`` and ``movie`` are read, and the keys
        ``scan.line_duty``, ``scan.bidirectional`` and ``scan.bidi_phase``.
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
        said, scan = opened.metadata, config["scan"]
        # Measured pulses say more than metadata: they come from the same clock as the ticks.
        duty_said = None if found.line_duration_measured else said.line_duty
        duty = settle("scan.line_duty", scan["line_duty"], duty_said, None)
        lines = interpolate_angles(
            found, protocol=protocol, config=config["angles"], line_duty=duty
        )
        seen = estimate_scan(
            opened,
            lines,
            bidirectional=settle(
                "scan.bidirectional", scan["bidirectional"], said.bidirectional, None
            ),
            asked=scan["bidi_phase"],
        )
    result = with_scan(lines, seen)
    write_json(outputs.scan, _summary(seen))
    save(result, found, outputs, protocol=protocol)
    return result


def _summary(scan: ScanEstimate) -> dict[str, Any]:
    """Give the content of ``scan.json``."""
    parts = zip(scan.times_s, scan.along, strict=True)
    return {
        "bidirectional": scan.bidirectional,
        "phase_px": scan.phase_px,
        "statement": scan.statement,
        "verdicts": [asdict(verdict) for verdict in scan.verdicts],
        "along": [
            {"time_s": float(time), "phase_px": one.phase_px, "sd_px": one.sd_px}
            for time, one in parts
        ],
    }


def save(angles: Angles, events: Events, outputs: Outputs, *, protocol: str) -> None:
    """Write the angles of a session.

    Parameters
    ----------
    angles : Angles
    events : Events
        What they were told from.
    outputs : Outputs
        Where files go.
    protocol : str
        What the motor did.
    """
    angles.save(outputs.angles)
    angles.to_csv(outputs.table)
    save_plot(lambda: plot_angles(angles, events, word=turn_word(protocol)), outputs.plot)
