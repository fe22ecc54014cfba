"""Estimate one correction after the other, each on the ground of those before it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from derotation.calibration.calibration import Calibration, Corrected
from derotation.calibration.lag import estimate_lag
from derotation.calibration.plane import estimate_plane
from derotation.calibration.wobble import estimate_wobble
from derotation.io.movie import Movie
from derotation.maps.corrections import Correction, registered, schema_with_corrections
from derotation.maps.timing import LineTiming
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["estimate_corrections"]

Estimator = Callable[..., Corrected | None]


def _lag_if_asked(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any],
    *,
    timing: LineTiming | None,
    session: str,
    threads: int,
) -> Corrected | None:
    """Find the lag, unless the configuration gives one; that is applied where ticks are read."""
    if config["lag_ms"] != "auto":
        return None
    return estimate_lag(movie, angles, calibration, timing=timing, threads=threads)


#: How the package's own corrections are found; others bring their estimate along.
ESTIMATORS: dict[str, Estimator] = {
    "plane": estimate_plane,
    "lag": _lag_if_asked,
    "wobble": estimate_wobble,
}


def estimate_corrections(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any],
    *,
    timing: LineTiming | None = None,
    session: str = "",
    threads: int = 1,
) -> tuple[Calibration, dict[str, Corrected]]:
    """Find everything that is registered as a correction, in its order.

    Parameters
    ----------
    movie : Movie
        The recorded movie.
    angles : Angles
        Angles of all lines, as the signals tell them.
    calibration : Calibration
        With the center, found as if there were nothing else.
    config : mapping
        The configuration; the section of each correction is read.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    session : str
        Name for the provenance.
    threads : int
        Threads for derotating.

    Returns
    -------
    calibration : Calibration
        With all that is corrected.
    estimates : dict of str to Corrected
        What was found, by the correction's name.
    """
    found, estimates = calibration, dict[str, Corrected]()
    waiting = list(registered())
    repeated = set[str]()
    while waiting:
        correction = waiting.pop(0)
        estimate = _estimator(correction)
        if estimate is None:
            continue
        section = _settings(correction, config)
        result = estimate(
            movie, angles, found, section, timing=timing, session=session, threads=threads
        )
        if result is None:
            continue
        found, estimates[correction.name] = result.calibration, result
        if result.corrected:
            again = _to_repeat(correction, already=repeated, waiting=waiting)
            repeated.update(each.name for each in again)
            waiting = again + waiting
    return found, estimates


def _to_repeat(
    correction: Correction, *, already: Collection[str], waiting: Collection[Correction]
) -> list[Correction]:
    """List what one that was corrected just now biased; nothing that is repeated or due anyway.

    (Two that name each other would else take turns forever.)
    """
    spared = {*already, *(each.name for each in waiting)}
    return [
        each for each in registered() if each.name in correction.repeats and each.name not in spared
    ]


def _settings(correction: Correction, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take a correction's section; one that it brought along is checked and completed here."""
    name = correction.section or correction.name
    given: Mapping[str, Any] = config.get(name, {})
    if correction.schema is None:
        return given
    return complete(name, given, schema=schema_with_corrections())


def _estimator(correction: Correction) -> Estimator | None:
    return correction.estimate or ESTIMATORS.get(correction.name)
