"""Which channels and planes of a recording are wanted beside the one that calibrates."""

from collections.abc import Sequence
from typing import Literal

from derotation.errors import MovieError
from derotation.io.movie import Movie

__all__ = ["further_parts"]


def further_parts(
    movie: Movie,
    what: Literal["channel", "plane"],
    wanted: Literal["all"] | Sequence[int] | None,
) -> tuple[int, ...]:
    """List the channels, or planes, that are derotated beside the one that calibrates.

    Parameters
    ----------
    movie : Movie
        The channel and plane that calibrates.
    what : {"channel", "plane"}
    wanted : "all", sequence of int, or None
        The key ``movie.channels`` or ``movie.planes``.

    Returns
    -------
    tuple of int
        In rising order.

    Raises
    ------
    MovieError
        If one is wanted that the files do not hold.
    """
    planes = tuple(range(1, movie.n_planes + 1))
    there, own = (movie.channels, movie.channel) if what == "channel" else (planes, movie.plane)
    numbers = set(there if wanted == "all" else wanted or ())
    missing = sorted(numbers - set(there))
    if missing:
        msg = (
            f"{movie.paths[0]}: movie.{what}s asks for {what} {', '.join(map(str, missing))}, but "
            f"the files hold {what} {', '.join(map(str, there))}; correct the key, or say all"
        )
        raise MovieError(msg)
    return tuple(sorted(numbers - {own}))
