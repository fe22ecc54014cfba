"""A signals file, and perhaps its movie, looked at before there is any configuration."""

import os
from dataclasses import dataclass
from typing import Any

from derotation.io.channels import Channels
from derotation.io.signals import BinLayout
from derotation.signals.look import SignalsLook, look_at_file
from derotation.signals.look_keys import rounded_rate, suggested_keys
from derotation.signals.look_words import format_look

__all__ = ["RecordingLook", "look_at_recording"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordingLook:
    """What was found."""

    look: SignalsLook
    """What is on the channels."""
    channels: Channels
    """The file as it was read."""
    sampling_rate: float | None
    """Samples per second, as given, stated by the file or told from the movie's frame rate."""
    keys: dict[str, Any]
    """What it suggests for the configuration, nested."""
    text: str
    """All of that in words."""


def look_at_recording(
    signals: str | os.PathLike[str],
    *,
    movie: str | None = None,
    frame_rate: float | None = None,
    sampling_rate: float | None = None,
    n_channels: int | None = None,
    layout: BinLayout | None = None,
    dtype_is_certain: bool = False,
    dataset: str | None = None,
) -> RecordingLook:
    """Look what is on the channels of a signals file, and compare it with its movie.

    Parameters
    ----------
    signals : path
        The signals.
    movie : str, optional
        The movie that was recorded with them, or a pattern of its files.
    frame_rate : float, optional
        Frames per second as the frame clock counts them, if the movie's file does not say it, Hz.
    sampling_rate : float, optional
        Samples per second, Hz.
    n_channels, layout, dtype_is_certain, dataset
        See :func:`derotation.signals.look.look_at_file`.

    Returns
    -------
    RecordingLook

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    n_rows = None
    if movie:
        from derotation.io.movie import open_movie

        with open_movie(movie) as opened:
            frame_rate = frame_rate or opened.metadata.frame_rate
            n_rows = opened.shape[1]
    look, channels = look_at_file(
        signals,
        n_channels=n_channels,
        layout=layout,
        dtype_is_certain=dtype_is_certain,
        dataset=dataset,
        sampling_rate=sampling_rate,
        n_rows=n_rows,
    )
    known = sampling_rate or channels.stated_rate
    rate = known or look.sampling_rate(frame_rate)
    keys = suggested_keys(look, frame_rate)
    if known:
        keys["signals"].pop("sampling_rate", None)
        keys["signals"] = {"sampling_rate": rounded_rate(known), **keys["signals"]}
    text = format_look(
        look,
        sampling_rate=rate,
        stated_rate=channels.stated_rate,
        frame_rate=frame_rate,
        n_rows=n_rows,
    )
    return RecordingLook(look=look, channels=channels, sampling_rate=rate, keys=keys, text=text)
