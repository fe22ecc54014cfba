"""The plane and channel that are asked for, out of those that are there."""

from dataclasses import dataclass
from pathlib import Path

from derotation.errors import MovieError

__all__ = ["Asked", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller asked for."""

    channel: int | None
    plane: int | None
    n_planes: int | None
    n_channels: int | None

    def __post_init__(self) -> None:
        for name in ("channel", "plane", "n_planes", "n_channels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise MovieError(f"movie.{name} is {value}; it is counted from 1.")


def choose(path: Path, what: str, there: tuple[int, ...], asked: int | None) -> int:
    """Return the channel or plane to read."""
    listed = ", ".join(map(str, there))
    if asked is None:
        if len(there) > 1:
            raise MovieError(
                f"{path} holds {len(there)} {what}s ({listed}); say which one to read "
                f"with movie.{what}."
            )
        return there[0]
    if asked not in there:
        raise MovieError(f"{path}: movie.{what} is {asked}, but the file holds {what} {listed}.")
    return asked
