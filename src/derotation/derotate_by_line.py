"""Derotate a recording, or an image stack whose line angles are known."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError
from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import Movie, open_movie
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.maps.resample import (
    FORWARD_PADDING,
    Interpolation,
    LineReference,
    LineTiming,
    derotate_frames,
)
from derotation.maps.shapes import check_lines
from derotation.signals.angles import Angles

__all__ = ["derotate_an_image_array_line_by_line", "derotate_recording", "show_line_by_line"]

LineHook = Callable[[NDArray[Any], NDArray[Any], int, int, float, NDArray[Any]], object]
ImageHook = Callable[[NDArray[Any], int], object]
Path = str | os.PathLike[str]

# Recorded frames that are worked on at once.
CHUNK_BYTES = 16_000_000


def derotate_recording(
    movie: Movie | Path | ArrayLike,
    angles: Angles | Path,
    calibration: Calibration | Path,
    *,
    blank_pixels_value: float | None = None,
    movement: ArrayLike | None = None,
    interpolation: Interpolation = "quadratic",
    threads: int = 1,
) -> NDArray[Any]:
    """Put every line of a recording back in its place, by all that is known about the session.

    A sample recorded at p = (x, y), in pixels, on a line with the angle a goes to
    ``R(a) (p - center) + center`` with R(a) = [[cos a, sin a], [-sin a, cos a]], and tilt, wobble,
    lag and what else the calibration holds are undone in the same resampling, see
    :mod:`derotation.maps.line_maps`. Angles are degrees, positive where the sample had turned
    clockwise on a screen whose y axis points down; a line's angle is the one that the motor's
    signals told a lag after the line was recorded.

    Parameters
    ----------
    movie : Movie, path, or array_like of shape (frame, y, x)
        The frames as recorded: a file or folder, a pattern for several, or what was opened or read.
    angles : Angles or path
        The angle of each line, as the signals tell it, and how lines were scanned (in one direction
        or both, with which phase): ``angles.npz``.
    calibration : Calibration or path
        Center, tilt, wobble and lag: ``calibration.json``.
    blank_pixels_value : float, optional
        Value of output pixels that no line saw; by default what the detector gives without light,
        estimated from the movie.
    movement : array_like of shape (2, 3) or (3, 3), optional
        Map (x, y) from this session's field of view to that of its reference.
    interpolation : {"quadratic", "linear", "cubic", "nearest"}
        See :func:`derotation.maps.resample.derotate_frames`.
    threads : int
        Threads that share the frames.

    Returns
    -------
    ndarray of shape (frame, y, x)
        The recording that stands still, in the data type of the movie; the same as
        ``derotated.tif`` of the workflow with its default settings, but for uneven light, which is
        not corrected. For a movie that does not fit into the memory, see
        :func:`derotation.streaming.single_pass.derotate_movie`.

    Raises
    ------
    InputError
        If a file cannot be read, or if movie, angles and calibration do not belong together.
    MovieError
        If the movie cannot be read.

    Examples
    --------
    >>> still = derotate_recording("movie.tif", "angles.npz", "calibration.json")  # doctest: +SKIP
    """
    told = angles if isinstance(angles, Angles) else Angles.load(angles)
    found = calibration if isinstance(calibration, Calibration) else Calibration.load(calibration)
    with contextlib.ExitStack() as stack:
        if isinstance(movie, str | os.PathLike):
            movie = stack.enter_context(open_movie(movie))
        frames = movie if isinstance(movie, Movie) else np.asanyarray(movie)
        _check_together(frames, told, found)
        blank = blank_pixels_value
        if blank is None:
            blank = estimate_pmt_offset(frames)
        line_maps = LineMaps.of(told, found, movement=movement)
        still = np.empty(frames.shape, frames.dtype)
        for start, raw in _chunks(frames):
            numbers = slice(start, start + len(raw))
            still[numbers] = line_maps.derotate(
                raw, numbers, blank=blank, interpolation=interpolation, threads=threads
            ).frames
    return still


def _check_together(frames: Movie | NDArray[Any], angles: Angles, calibration: Calibration) -> None:
    if len(frames.shape) != 3:
        msg = f"the movie has the shape {frames.shape}; expected (frame, y, x)"
        raise InputError(msg)
    name = str(frames.paths[0]) if isinstance(frames, Movie) else "the array"
    check_lines(angles, frames.shape, name)
    calibration.check_shape(frames.shape, name)


def _chunks(frames: Movie | NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    n_frames, height, width = frames.shape
    size = max(CHUNK_BYTES // (height * width * frames.dtype.itemsize), 1)
    if isinstance(frames, Movie):
        yield from frames.chunks(size)
    else:
        yield from ((start, frames[start : start + size]) for start in range(0, n_frames, size))


def derotate_an_image_array_line_by_line(
    image_stack: ArrayLike,
    rot_deg_line: ArrayLike,
    blank_pixels_value: float = 0,
    center: tuple[float, float] | None = None,
    plotting_hook_line_addition: LineHook | None = None,
    plotting_hook_image_completed: ImageHook | None = None,
    use_homography: bool = False,
    rotation_plane_angle: float = 0,
    rotation_plane_orientation: float = 0,
    *,
    interpolation: Interpolation | None = None,
    line_duty: float = 0.0,
    bidirectional: bool = False,
    phase_px: float = 0.0,
    line_reference: LineReference = "middle",
    plane_output: transforms.PlaneOutput = "scan",
    threads: int = 1,
) -> NDArray[Any]:
    """Turn every line back by its angle and put it in its place.

    A sample recorded at p = (x, y), in pixels, on a line with the angle a goes to
    ``R(a) (p - center) + center`` with R(a) = [[cos a, sin a], [-sin a, cos a]]; a in degrees and
    positive where the sample had turned clockwise on a screen whose y axis points down. A lag or
    a wobble is not known here: :func:`derotate_recording` takes angles and calibration as they are.

    Parameters
    ----------
    image_stack : array_like of shape (frame, y, x)
        The recorded frames, integer or floating.
    rot_deg_line : array_like of shape (frame * y,) or (frame, y)
        Angle of each line in degrees: the angle by which the line is turned to undo the rotation.
        Positive where the sample had turned clockwise on a screen whose y axis points down; NaN for
        a line that must not be used. More angles than lines are cut, with a warning.
    blank_pixels_value : float
        Value of output pixels that no line saw.
    center : tuple of float, optional
        Center of rotation (x, y) in pixels, pixel centers at integers; by default the center of
        the image, ((W - 1) / 2, (H - 1) / 2).
    plotting_hook_line_addition : callable, optional
        Called after each line has been put in place, as ``hook(derotated_filled_image,
        rotated_line, image_counter, line_counter, angle, original_image)``: the frame as rebuilt so
        far, the line alone in its place (the rest is NaN), the numbers of frame and line counted
        from 0, the line's angle in degrees and the recorded frame. It needs the "nearest" way of
        placing samples.
    plotting_hook_image_completed : callable, optional
        Called after each frame as ``hook(derotated_image_stack, image_counter)``; frames that are
        still to come hold the blank value.
    use_homography : bool
        Take the tilt of the rotation plane against the scanning plane into account.
    rotation_plane_angle : float
        Tilt in degrees, used with `use_homography`.
    rotation_plane_orientation : float
        Direction of the foreshortening in degrees from +x towards +y, used with `use_homography`.
    interpolation : {"quadratic", "linear", "cubic", "nearest"}, optional
        See :func:`derotation.maps.resample.derotate_frames`. By default "quadratic", and "nearest"
        if there is a hook for lines.
    line_duty, bidirectional, phase_px, line_reference
        When the samples within a line were recorded, see
        :class:`derotation.maps.timing.LineTiming`; by default all of a line at one moment.
    plane_output : {"scan", "sample"}
        With `use_homography`, draw the sample as it was scanned at rest or as seen along the axis.
    threads : int
        Number of threads that share the frames; not used with hooks.

    Returns
    -------
    ndarray of shape (frame, y, x)
        The derotated stack in the data type of `image_stack`. Frames at angle 0 come back
        unchanged.

    Raises
    ------
    InputError
        If there are fewer angles than lines, or an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.arange(9).reshape(1, 3, 3)
    >>> derotate_an_image_array_line_by_line(frame, np.full(3, 90.0))[0]
    array([[2, 5, 8],
           [1, 4, 7],
           [0, 3, 6]])
    """
    stack = np.asarray(image_stack)
    if stack.ndim != 3:
        msg = f"image_stack has the shape {stack.shape}; expected (frame, y, x)"
        raise InputError(msg)
    angles = _angles_per_frame(stack.shape, rot_deg_line)
    pivot = transforms.image_center(stack.shape) if center is None else center
    plane = (rotation_plane_angle, rotation_plane_orientation) if use_homography else (0.0, 0.0)
    maps = transforms.line_maps(angles, pivot, *plane, plane_output)
    timing = LineTiming(
        line_duty=line_duty,
        bidirectional=bidirectional,
        phase_px=phase_px,
        line_reference=line_reference,
    )
    interpolation = _interpolation(interpolation, plotting_hook_line_addition)
    if not (plotting_hook_line_addition or plotting_hook_image_completed):
        return derotate_frames(
            stack,
            maps,
            timing=timing,
            interpolation=interpolation,
            blank=blank_pixels_value,
            threads=threads,
        ).frames

    derotated = np.full(stack.shape, blank_pixels_value, stack.dtype)
    for f in range(len(stack)):
        if plotting_hook_line_addition:
            derotated[f] = _frame_line_by_line(
                stack[f], maps[f], angles[f], f, timing, blank_pixels_value,
                plotting_hook_line_addition,
            )  # fmt: skip
        else:
            derotated[f] = derotate_frames(
                stack[f : f + 1],
                maps[f : f + 1],
                timing=timing,
                interpolation=interpolation,
                blank=blank_pixels_value,
            ).frames[0]
        if plotting_hook_image_completed:
            plotting_hook_image_completed(derotated, f)
    return derotated


def show_line_by_line(
    movie: Movie,
    maps: LineMaps,
    derotated: NDArray[Any],
    blank: float,
    line_hook: LineHook | None = None,
    image_hook: ImageHook | None = None,
) -> None:
    """Show to hooks how the frames of a movie that was derotated before come about, line by line.

    A sample recorded at p = (x, y), in pixels, is placed where the map of its own line puts it,
    rounded to whole pixels; with all corrections that `maps` knows (center, tilt, lag, wobble,
    motion). Recorded frames are held in memory one chunk at a time.

    Parameters
    ----------
    movie : Movie
        The frames as recorded.
    maps : LineMaps
        Where every line belongs.
    derotated : ndarray of shape (frame, y, x)
        The frames as they were derotated; may lie in a file.
    blank : float
        Value of pixels that no line saw.
    line_hook, image_hook : callable, optional
        See :func:`derotate_an_image_array_line_by_line`; the second is called with `derotated`.
    """
    for start, raw in movie.chunks():
        numbers = slice(start, start + len(raw))
        placed, angles = maps(numbers), maps.angles.line_angles[numbers]
        for k, frame in enumerate(raw):
            if line_hook is not None:
                _frame_line_by_line(
                    frame, placed[k], angles[k], start + k, maps.timing, blank, line_hook
                )
            if image_hook is not None:
                image_hook(derotated, start + k)


def _interpolation(asked: Interpolation | None, line_hook: LineHook | None) -> Interpolation:
    """Choose how samples are placed: line by line only if a hook wants to see that."""
    if asked is None:
        return "nearest" if line_hook else "quadratic"
    if line_hook and asked != "nearest":
        msg = (
            f"a hook for lines was given with interpolation {asked!r}, which looks up pixels and "
            "places no lines; use interpolation='nearest'"
        )
        raise InputError(msg)
    return asked


def _angles_per_frame(shape: tuple[int, ...], rot_deg_line: ArrayLike) -> NDArray[np.float64]:
    angles = np.asarray(rot_deg_line, dtype=np.float64)
    n_frames, n_lines = shape[:2]
    per_line = angles.ndim == 1 or (angles.ndim == 2 and angles.shape[1] == n_lines)
    if not per_line or angles.size < n_frames * n_lines:
        msg = (
            f"rot_deg_line has the shape {angles.shape}, but {n_frames} frames of {n_lines} lines "
            f"need {n_frames * n_lines} angles, one per line; are clocks and movie of the same "
            "recording?"
        )
        raise InputError(msg)
    if angles.size > n_frames * n_lines:
        warnings.warn(
            f"rot_deg_line has {angles.size} angles, but {n_frames} frames of {n_lines} lines need "
            f"{n_frames * n_lines}; the last {angles.size - n_frames * n_lines} are not used. Does "
            "the first angle belong to the first line?",
            stacklevel=3,
        )
    return angles.ravel()[: n_frames * n_lines].reshape(n_frames, n_lines)


def _frame_line_by_line(
    raw: NDArray[Any],
    maps: NDArray[np.float64],
    angles: NDArray[np.float64],
    number: int,
    timing: LineTiming,
    blank: float,
    hook: LineHook,
) -> NDArray[Any]:
    """Rebuild a frame line by line, showing each step to the hook."""
    from derotation.maps import kernels

    n_lines, width = raw.shape
    slope = timing.line_duty / width
    place = np.empty(width, np.int32)
    work = np.full(n_lines * (width + FORWARD_PADDING) + 1, np.nan)
    image = np.full(raw.shape, blank, raw.dtype)
    for j in range(n_lines):
        alone = np.full_like(work, np.nan)
        for buffer in (work, alone):
            kernels.place_lines(
                raw[np.newaxis], maps[np.newaxis], 0, j, j + 1, slope, timing.offset,
                timing.bidirectional, float(timing.phase_px), raw.shape, place, buffer,
            )  # fmt: skip
        line = np.full(raw.shape, np.nan)
        kernels.finish_image(alone, np.nan, line)
        kernels.finish_image(work, image.dtype.type(blank), image)
        hook(image.copy(), line, number, j, float(angles[j]), raw)
    return image
