"""The files of channels and planes that are derotated beside the one that calibrates."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derotation.errors import InputError

__all__ = [
    "ChannelFiles",
    "channel_files",
    "in_export_order",
    "mean_file",
    "movie_file",
    "plane_folders",
]

logger = logging.getLogger(__name__)

_MOVIE = re.compile(r"derotated_ch(\d+)\.tif")
_PLANE = re.compile(r"plane(\d+)")


def movie_file(folder: Path, channel: int) -> Path:
    """Name the derotated movie of a further channel."""
    return folder / f"derotated_ch{channel}.tif"


def mean_file(folder: Path, channel: int) -> Path:
    """Name the mean image of a further channel."""
    return folder / f"mean_ch{channel}.tif"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFiles:
    """A derotated channel."""

    number: int | None
    """Its number; None for the only one there is."""
    movie: Path
    mean: Path
    """Mean of the movie."""


def channel_files(
    channels: str | Path | None, means: str | Path | None = None
) -> dict[int, ChannelFiles]:
    """Find what was written of further channels.

    Parameters
    ----------
    channels, means : path or None
        The folders of their movies and of their mean images; by default they are one. None for
        both if there are no further channels.

    Returns
    -------
    dict of int to ChannelFiles
        By the channels' numbers, in rising order.
    """
    # (A further plane of a session with a single channel has no such folder.)
    if channels is None or not Path(channels).is_dir():
        return {}
    names = (_MOVIE.fullmatch(path.name) for path in Path(channels).iterdir())
    numbers = sorted(int(name[1]) for name in names if name)
    return {
        number: ChannelFiles(
            number=number,
            movie=movie_file(Path(channels), number),
            mean=mean_file(Path(means or channels), number),
        )
        for number in numbers
    }


def plane_folders(folder: str | Path | None) -> dict[int, Path]:
    """Find what was written of further planes, by their numbers from 1; nothing for None."""
    if folder is None:
        return {}
    names = ((_PLANE.fullmatch(path.name), path) for path in Path(folder).iterdir())
    found = {int(name[1]): path for name, path in names if name}
    return {number: found[number] for number in sorted(found)}


def in_export_order(
    calibrating: ChannelFiles,
    further: Mapping[int, ChannelFiles],
    functional: int | None,
) -> list[ChannelFiles]:
    """Choose what programs get that know a functional and one other channel.

    Parameters
    ----------
    calibrating : ChannelFiles
        The channel that calibrates.
    further : mapping of int to ChannelFiles
        The others, by their numbers.
    functional : int or None
        The key ``export.functional_channel``; None: the one that calibrates.

    Returns
    -------
    list of one or two ChannelFiles
        The functional channel, and the one that calibrates, or else the next one; the only one
        there is, whatever `functional` says.

    Raises
    ------
    InputError
        If the functional channel was not derotated.
    """
    if not further:
        # A cohort may have sessions of one channel beside those of several.
        return [calibrating]
    there: dict[Any, ChannelFiles] = {calibrating.number: calibrating, **further}
    first = calibrating.number if functional is None else functional
    if first not in there:
        listed = ", ".join(str(number) for number in there)
        msg = (
            f"export.functional_channel is {functional}, but the channels that were derotated are "
            f"{listed}; name one of them, or add it to movie.channels"
        )
        raise InputError(msg)
    others = [files for number, files in there.items() if number != first]
    if len(others) > 1:
        logger.warning(
            "Suite2p knows two channels only: it gets channel %s and %s; the others stay in the "
            "folder channels",
            first, others[0].number,
        )  # fmt: skip
    return [there[first], *others[:1]]
