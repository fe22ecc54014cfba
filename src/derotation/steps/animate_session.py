"""Step ``animate_session``: frames as recorded beside derotated, as a file and for the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.images.photons import photons_per_pixel
from derotation.io.movie import Movie, open_movie
from derotation.io.seen import SeenPixels
from derotation.numerics.binning import binned
from derotation.numerics.thinning import thinned
from derotation.plots.animation import SideBySide, choose_frames, save_animation
from derotation.plots.player import (
    SEEN_WIDTH,
    WIDTH,
    PlayerFrames,
    choose_player_frames,
    save_player,
)
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import angles_as_used, open_session_movie

__all__ = ["Inputs", "Outputs", "run"]

# Frames that are in memory together.
CHUNK = 16
# Pairs of neighboring frames at rest that tell the noise.
N_PAIRS = 12


@dataclass(frozen=True, kw_only=True)
class Inputs(outputs_base.Outputs):
    """The files that the step ``derotate_movie`` wrote and this one reads."""

    derotated: Annotated[Path, "derotated.tif"]
    seen: Annotated[Path, "seen.npz"]
    mean: Annotated[Path, "images/mean.tif"]
    raw_mean: Annotated[Path, "images/raw_mean.tif"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    animation: Annotated[Path, "plots/animation.gif"]
    player: Annotated[Path, "player.json"]
    """Frames, angles and mean image for the report's page."""


def run(
    *,
    movie: str | Path,
    inputs: Inputs,
    angles: str | Path,
    calibration: str | Path,
    config: Mapping[str, Any],
    outputs: Outputs,
) -> SideBySide:
    """Make the short animation of a session, and what the report plays.

    Parameters
    ----------
    movie : path
        The raw movie's TIFF, or a pattern for several. Only the frames shown are read.
    inputs : Inputs
        What the step ``derotate_movie`` wrote.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    calibration : path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its section ``movie`` is read.
    outputs : Outputs
        Where files go.

    Returns
    -------
    SideBySide
        The frames of the animation.

    Raises
    ------
    DerotationError
        If a file cannot be read.
    """
    found = Calibration.load(calibration)
    lines = angles_as_used(Angles.load(angles), found)
    chosen = choose_frames(lines)
    with open_session_movie(movie, config) as raw, open_movie(inputs.derotated) as still:
        frames = SideBySide(
            raw=raw.read(chosen),
            derotated=still.read(chosen),
            angles=lines.frame_angles[chosen],
            times=lines.frame_start[chosen] / lines.sampling_rate,
            center=found.center,
        )
        with SeenPixels(inputs.seen) as seen:
            content = _player_frames(raw, still, seen, lines, found, inputs)
    save_animation(frames, outputs.animation)
    save_player(content, lines, outputs.player)
    return frames


def _player_frames(
    raw: Movie, still: Movie, seen: SeenPixels, lines: Angles, found: Calibration, inputs: Inputs
) -> PlayerFrames:
    """Read some frames of all of the session, and make them smaller as they come."""
    chosen = choose_player_frames(lines)
    width = still.shape[2]
    scale, seen_scale = -(-width // WIDTH), -(-width // SEEN_WIDTH)
    x, y = ((value + 0.5) / scale - 0.5 for value in found.center)
    shown = SideBySide(
        raw=_small_frames(raw, chosen, scale),
        derotated=_small_frames(still, chosen, scale),
        angles=lines.frame_angles[chosen],
        times=lines.frame_start[chosen] / lines.sampling_rate,
        center=(x, y),
    )
    masks = [binned(seen.read(k, k + 1), seen_scale) >= 0.99 for k in chosen.tolist()]
    return PlayerFrames(
        frames=chosen,
        shown=shown,
        scale=scale,
        seen=np.concatenate(masks),
        seen_scale=seen_scale,
        mean=tifffile.imread(inputs.mean).squeeze(),
        raw_mean=tifffile.imread(inputs.raw_mean).squeeze(),
        photons=_photons(raw, lines),
    )


def _small_frames(movie: Movie, frames: NDArray[np.int64], scale: int) -> NDArray[np.float32]:
    parts = np.array_split(frames, -(-len(frames) // CHUNK))
    return np.concatenate([binned(movie.read(part), scale).astype(np.float32) for part in parts])


def _photons(raw: Movie, lines: Angles) -> float | None:
    """Tell the light from frames at rest that follow each other."""
    rest = lines.at_rest
    first = thinned(np.flatnonzero(rest[:-1] & rest[1:]), N_PAIRS)
    if not len(first):
        return None
    return photons_per_pixel(raw.read(first), raw.read(first + 1))
