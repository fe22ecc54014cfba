"""Refine the angle over a whole movie: each frame against the mean of the others.

What all frames say is solved at once for the spline, which is as stiff as is most probable given
the frames; then the center and the mean are made anew, and the frames are asked again.
"""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.following.comparing import Reference, Said, compare
from derotation.images.following.follow import MIN_LIKENESS, SHIFT_SD
from derotation.images.following.path import Path, leverage
from derotation.images.following.spline import ORDER, Equations
from derotation.numerics.robust import contiguous_blocks, fit

__all__ = ["Frames", "Refined", "refine"]

NDFloat = NDArray[np.float64]

# Frames that make up the mean, at most, and memory for frames that are read at a time.
REFERENCE_FRAMES = 400
CHUNK_BYTES = 64e6
# The stiffness is sought among these, 1 / degrees^2.
STIFFNESS = 10.0 ** np.arange(-3.0, 7.1, 0.5)
# Coefficients on either side that tell how well one is known.
MARGIN = 12
# The misfit of a frame is told from so many frames on either side, too.
MISFIT_FRAMES = 2
# A frame's shift scatters by so much (px) at least.
SHIFT_SCATTER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """The pictures of a movie, read when they are needed."""

    read: Callable[[NDArray[np.int64]], NDArray[Any]]
    """Gives frames (frame, y, x) for their numbers."""
    shape: tuple[int, int]
    """Height and width of a picture."""

    def each(self, numbers: NDArray[np.int64]) -> Iterator[tuple[list[int], NDArray[Any]]]:
        """Give some frames' numbers and pictures, a chunk at a time."""
        at_once = max(int(CHUNK_BYTES / (4 * self.shape[0] * self.shape[1])), 1)
        for first in range(0, len(numbers), at_once):
            own = numbers[first : first + at_once]
            yield own.tolist(), self.read(own)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refined:
    """A path, and how well it is known."""

    path: Path
    sd: NDFloat
    """Standard uncertainty of the angle at each frame's middle, degrees, shape (frame,)."""
    center_covariance: NDFloat
    """Of the center, pixels, shape (2, 2)."""
    stiffness: float
    """What the spline was solved with."""


def refine(path: Path, frames: Frames, smoothing: float, threads: int = 1) -> Refined:
    """Compare all frames that were found with their mean, and correct the path.

    Parameters
    ----------
    path : Path
    frames : Frames
    smoothing : float
        Of the pictures, px.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Refined
    """
    numbers = np.flatnonzero(path.found)
    count = min(len(numbers), REFERENCE_FRAMES)
    chosen = numbers[np.linspace(0, len(numbers) - 1, count).round().astype(int)]
    mean = _mean(path, frames, chosen)
    among = frozenset(chosen.tolist())

    def ask(frame: int, picture: NDArray[Any]) -> Said | None:
        one = path.place(picture, frame)
        others = mean.without(one) if frame in among else mean
        return compare(one, others, path.center, path.times[frame], path.knots, smoothing)

    said: dict[int, Said] = {}
    mean.smoothed(smoothing)  # once, rather than in each thread
    with ThreadPoolExecutor(threads) as pool:
        for own, pictures in frames.each(numbers):
            answers = pool.map(ask, own, pictures)
            said |= {f: told for f, told in zip(own, answers, strict=True) if told is not None}
    return _corrected(path, _alike(said))


def _mean(path: Path, frames: Frames, chosen: NDArray[np.int64]) -> Reference:
    mean = Reference.none(frames.shape)
    for own, pictures in frames.each(chosen):
        for frame, picture in zip(own, pictures, strict=True):
            mean = mean.with_frame(path.place(picture, frame, lines=False))
    return mean


def _alike(said: dict[int, Said]) -> dict[int, Said]:
    """Drop the frames that have too little in common with the mean."""
    usual = float(np.median([told.correlation for told in said.values()])) if said else 0.0
    return {f: told for f, told in said.items() if told.correlation >= MIN_LIKENESS * usual}


def _corrected(path: Path, said: dict[int, Said]) -> Refined:
    """Solve for the spline, the frames' shifts and the center."""
    equations = Equations.none(path.knots.n, ORDER + 1)
    for told in said.values():
        normal, moment = told.without_shift(SHIFT_SD)
        before = path.coefficients[told.first : told.first + len(moment)]
        equations.add(told.first, normal, moment + normal @ before)
    solved = [equations.solve(stiffness) for stiffness in STIFFNESS]
    best = int(np.argmax([evidence for _, evidence in solved]))
    coefficients = solved[best][0]
    n = len(path.found)
    shifts, correlation = np.zeros((n, 2)), np.full(n, np.nan)
    information, found = np.zeros((n, 2, 2)), np.zeros(n, np.bool_)
    for f, told in said.items():
        own = slice(told.first, told.first + len(told.moment) - 2)
        step = coefficients[own] - path.coefficients[own]
        shifts[f] = path.shifts[f] + told.shift(step, SHIFT_SD)
        correlation[f], found[f] = told.correlation, True
        information[f] = _information(told)
    moved = dataclasses.replace(
        path,
        coefficients=coefficients, shifts=shifts, found=found, correlation=correlation,
    )  # fmt: skip
    placed, covariance = _about_its_center(moved, information)
    sd = _sd(equations, float(STIFFNESS[best]), placed) * _misfit(said, path, coefficients)
    return Refined(
        path=placed,
        sd=sd,
        center_covariance=covariance,
        stiffness=float(STIFFNESS[best]),
    )


def _information(told: Said) -> NDFloat:
    """Tell how well a frame's shift is known, whatever its angle."""
    noise = np.linalg.inv(told.normal[-2:, -2:] + np.eye(2) / SHIFT_SD**2)
    return np.asarray(np.linalg.inv(noise + SHIFT_SCATTER**2 * np.eye(2)))


def _about_its_center(path: Path, information: NDFloat) -> tuple[Path, NDFloat]:
    """Explain the shifts by a center and a shift of all; keep what is left as the frames' own."""
    lever = leverage(path.middle)
    own = np.flatnonzero(path.found)
    same = np.broadcast_to(np.eye(2), lever.shape)
    result = fit(
        np.concatenate([lever, same], axis=2)[own],
        path.shifts[own],
        information[own],
        blocks=contiguous_blocks(path.times[own, 0]),
        common=2,
    )
    error, common = result.parameters[:2], result.parameters[2:]
    left = path.shifts - lever @ error - common
    shifts = np.where(path.found[:, np.newaxis], left, 0.0)
    center = path.center + error
    return dataclasses.replace(path, center=center, shifts=shifts), result.covariance[:2, :2]


def _misfit(said: dict[int, Said], path: Path, coefficients: NDFloat) -> NDFloat:
    """Tell by which factor, 1 or more, frames scatter about the spline beyond their noise.

    A frame tells four coefficients, and brings along one: it contradicts its neighbors if the
    speed changes within it, or if the picture changes by more than light.
    """
    squared = np.full(len(path.found), np.nan)
    for f, told in said.items():
        normal, moment = told.without_shift(SHIFT_SD)
        own = slice(told.first, told.first + len(moment))
        left = moment - normal @ (coefficients[own] - path.coefficients[own])
        free = len(moment) - 1
        squared[f] = float(left @ np.linalg.pinv(normal, rcond=1e-9, hermitian=True) @ left) / free
    weight = np.isfinite(squared).astype(np.float64)
    window = np.ones(2 * MISFIT_FRAMES + 1)
    total = np.convolve(np.nan_to_num(squared), window, "same")[: len(squared)]
    near = np.convolve(weight, window, "same")[: len(squared)]
    return np.asarray(np.sqrt(np.maximum(total / np.maximum(near, 1), 1.0)))


def _sd(equations: Equations, stiffness: float, path: Path) -> NDFloat:
    """Tell how well the angle is known at each frame's middle line."""
    first, values = path.knots.locate(path.times[:, path.times.shape[1] // 2])
    sd = np.empty(len(first))
    for k, (begin, own) in enumerate(zip(first.tolist(), values, strict=True)):
        covariance = equations.covariance(stiffness, begin, begin + ORDER, MARGIN)
        sd[k] = np.sqrt(max(float(own @ covariance @ own), 0.0))
    return sd
