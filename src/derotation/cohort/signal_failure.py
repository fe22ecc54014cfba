"""Why a session's signals could not be understood: the check's words, where nobody has checked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from derotation.cohort.mistakes.bin_layout import why_not_opened
from derotation.cohort.session_look import MovieSaid, look_for_mistakes, open_movie_of
from derotation.errors import DerotationError, SignalError
from derotation.io.movie import Movie
from derotation.io.signals import open_signals, signal_options
from derotation.io.stimulus import read_stimulus, stimulus_options
from derotation.signals.roles import REQUIRED_ROLES

__all__ = ["cause_first", "find_cause"]


@contextmanager
def cause_first(
    *,
    movie: Movie | str | Path,
    signals: str | Path | None,
    stimulus: str | Path | None,
    protocol: str,
    config: Mapping[str, Any],
) -> Iterator[None]:
    """Put before an error the mistake in configuration or sheet that brought it about.

    Parameters
    ----------
    movie, signals, stimulus, protocol, config
        As for :func:`derotation.steps.parse_signals.run`, around which this stands.

    Raises
    ------
    DerotationError
        The error that was met, of its own class; the first line of its text is what
        ``derotation check`` says, if that finds a mistake.
    """
    try:
        yield
    except DerotationError as error:
        cause = find_cause(movie, signals, stimulus, protocol, config)
        if not cause:
            raise
        raise type(error)(f"{cause}.\n{error}") from error


def find_cause(
    movie: Movie | str | Path,
    signals: str | Path | None,
    stimulus: str | Path | None,
    protocol: str,
    config: Mapping[str, Any],
) -> str:
    """Name the first mistake in what is said about a session's signals.

    Parameters
    ----------
    movie, signals, stimulus, protocol, config
        As for :func:`cause_first`.

    Returns
    -------
    str
        As ``derotation check`` says it; empty if there is none, or if the files tell nothing.
    """
    if not signals:
        return ""
    given, source = config["signals"], config["angles"]["source"]
    try:
        opened = open_signals(signals, required=REQUIRED_ROLES[source], **signal_options(given))
    except SignalError as error:
        cause, _, _ = why_not_opened(error, str(signals), given).partition(str(error))
        return cause.strip().rstrip(".")
    except (DerotationError, OSError):
        return ""
    try:
        speeds = None
        if stimulus:
            table = read_stimulus(stimulus, **stimulus_options(given))
            speeds = tuple(map(float, table.speed))
        if isinstance(movie, Movie):
            said = MovieSaid.of(movie)
        else:
            with open_movie_of(movie, config) as found:
                said = MovieSaid.of(found)
        _, _, mistakes = look_for_mistakes(opened, protocol, config, said, speeds=speeds)
    except (DerotationError, OSError, ValueError):
        return ""
    return next((mistake.text for mistake in mistakes if mistake.is_problem), "")
