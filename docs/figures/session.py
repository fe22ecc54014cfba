"""A simulated session, processed by the library up to the movie that stands still."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from derotation.calibration import Calibration
from derotation.calibration.center import estimate_center
from derotation.calibration.plane import estimate_plane
from derotation.io.movie import Movie, open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_session
from derotation.streaming.single_pass import DerotationResult, derotate_movie


@dataclass(frozen=True, kw_only=True)
class Session:
    """What was found in a session."""

    movie: Movie
    events: Events
    angles: Angles
    calibration: Calibration

    def derotated(self) -> DerotationResult:
        """Derotate the movie with what was found."""
        return derotate_movie(self.movie, self.angles, self.calibration, None)


@contextmanager
def simulated(*, signals: dict[str, Any] | None = None, **parameters: Any) -> Iterator[Session]:
    """Simulate a session and process it; `signals` is the section of the configuration."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate_session(folder, **parameters)
        with open_movie(files["movie"]) as movie:
            events = parse_signals(
                open_signals(files["signals"]),
                n_frames=len(movie),
                lines_per_frame=movie.shape[1],
                sampling_rate=50_000,
                protocol="full",
                stimulus=read_stimulus(files["stimulus"]),
                config=signals or {},
            )
            angles = interpolate_angles(events, protocol="full")
            both_ways = bool(parameters.get("bidirectional", False))
            angles = replace(angles, bidirectional=both_ways)
            center = estimate_center(movie, angles).calibration
            plane = estimate_plane(movie, angles, center)
            yield Session(
                movie=movie,
                events=events,
                angles=angles,
                calibration=plane.calibration,
            )
