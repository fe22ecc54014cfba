"""The angle of a turning sample from the movie alone."""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.errors import AngleError
from derotation.estimates import Verdict, say
from derotation.images.following.follow import FASTEST, Follower
from derotation.images.following.path import Path
from derotation.images.following.refine import Frames, Refined, refine
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned

__all__ = ["SeenAngle", "see_angle"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

# Pictures are made so small (smaller side, px) that it is at least this.
SIZE = 192
# First the sample is sought in so many pairs of frames.
STARTS = 30
# Smoothings (px) of the rounds over the whole movie.
ROUNDS = (2.5, 1.5, 1.5)
# The angle is told at so many times per frame.
PER_FRAME = 16
# The angle is told a little beyond the first and the last line (frames).
BEYOND = 0.02
# Fewer successive frames than this are no proof of each other: what looked alike was a chance.
MIN_RUN = 3
# If less than this part of the frames was found, nothing is told.
MIN_FOUND = 0.2
# A frame whose angle is known no better than this (degrees) is lost.
MAX_SD = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenAngle:
    """What the movie says about the angle."""

    path: Path
    """The angle over the time in frames, of pictures that may be smaller than the movie's."""
    frame_s: float
    """Time from frame to frame, seconds."""
    begin_s: float
    """When the first line was recorded, seconds."""
    sd: NDFloat
    """Standard uncertainty of the angle in each frame's middle, degrees, shape (frame,)."""
    center: tuple[float, float]
    """Center of rotation (x, y), pixels of the movie."""
    center_sd: tuple[float, float]
    """Its standard uncertainty."""
    verdicts: tuple[Verdict, ...]
    """What is to be known of it."""

    @property
    def found(self) -> NDArray[np.bool_]:
        """Frames in which the sample was found, shape (frame,)."""
        return self.path.found

    @property
    def statement(self) -> str:
        """What was found, in plain words."""
        return say(self.verdicts)

    def line_angles(self, times_s: NDFloat) -> NDFloat:
        """Give the angle (degrees, of the first frame's middle 0) at some times (s)."""
        at = (times_s - self.begin_s) / self.frame_s
        return self.path.knots.evaluate(self.path.coefficients, at) - self._zero

    @property
    def _zero(self) -> float:
        return float(self.path.middle[int(np.argmax(self.found))])

    def trace(self) -> tuple[NDFloat, NDFloat, NDArray[np.bool_]]:
        """Tell the angle over time.

        Returns
        -------
        time_s : ndarray of shape (n,)
            Seconds, ascending.
        angle : ndarray of shape (n,)
            Degrees, unwrapped; 0 in the middle of the first frame that was found.
        known : ndarray of bool, shape (n - 1,)
            Between which of these times the sample was found.
        """
        times = self.path.times
        begin, end = times[:, 0], times[:, -1]
        share = np.linspace(0, 1, PER_FRAME)
        at = begin[:, np.newaxis] + share * (end - begin)[:, np.newaxis]
        inside = np.repeat(self.found[:, np.newaxis], PER_FRAME - 1, axis=1)
        # From frame to frame it is known if no frame is missing there.
        near = np.append(begin[1:] - end[:-1] < 0.5, False)
        joint = near & self.found & np.append(self.found[1:], False)
        known = np.concatenate([inside, joint[:, np.newaxis]], axis=1).ravel()[:-1]
        flat = at.ravel()
        flat[0] -= BEYOND
        flat[-1] += BEYOND
        time_s = self.begin_s + flat * self.frame_s
        return time_s, self.line_angles(time_s), known


def see_angle(
    movie: Movie, line_times_s: NDFloat, *, timing: LineTiming | None = None, threads: int = 1
) -> SeenAngle:
    """Tell the angle of the sample at any time, and its center, from the movie alone.

    Parameters
    ----------
    movie : Movie
        The recorded movie; it is read about five times, a chunk at a time.
    line_times_s : ndarray of shape (frame, line)
        When the lines were recorded (the moment to which their angle belongs), seconds.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default all at once.
    threads : int
        Number of threads.

    Returns
    -------
    SeenAngle

    Raises
    ------
    AngleError
        If there are fewer than three frames, or no two of them are alike.

    Notes
    -----
    The angle is a cubic spline with knots at the frames' borders, so that each line has the angle
    of its own time. Each frame is derotated by its lines' own maps and compared, by its gradients
    [1]_, with the mean of the frames before it, and then, in some rounds over the whole movie, with
    the mean of the others. A frame may be shifted, too, by the center's error and by the sample's
    own motion. How stiff the spline is follows from the frames: it is the most probable.

    References
    ----------
    .. [1] B. D. Lucas, T. Kanade, "An iterative image registration technique with an application to
       stereo vision", Proc. IJCAI 674-679 (1981).
    """
    n, height, width = movie.shape
    if n < 3:
        raise AngleError(
            f"{movie.paths[0]} has {n} frames; to follow the angle in the picture, at least 3 are "
            "needed."
        )
    factor = max(min(height, width) // SIZE, 1)
    frame_s = float(np.median(np.diff(line_times_s[:, 0])))
    begin_s = float(line_times_s[0, 0])
    rows = height // factor * factor
    of_rows = line_times_s[:, :rows].reshape(n, -1, factor).mean(axis=2)
    frames = Frames(
        read=lambda numbers: binned(movie.read(numbers), factor),
        shape=(height // factor, width // factor),
    )
    followed = _follow(movie, frames, (of_rows - begin_s) / frame_s, _small_timing(timing, factor))
    refined = _refine(movie, followed, frames, threads)
    center = (refined.path.center + 0.5) * factor - 0.5
    sd = factor * np.sqrt(np.diag(refined.center_covariance))
    return SeenAngle(
        path=refined.path,
        frame_s=frame_s,
        begin_s=begin_s,
        sd=np.where(refined.path.found, refined.sd, np.nan),
        center=(float(center[0]), float(center[1])),
        center_sd=(float(sd[0]), float(sd[1])),
        verdicts=_verdicts(
            refined,
            f"({center[0]:.2f} ± {sd[0]:.2f}, {center[1]:.2f} ± {sd[1]:.2f}) px",
            line_times_s,
        ),
    )


def _small_timing(timing: LineTiming | None, factor: int) -> LineTiming:
    """Lines of small pictures are several, in which the timing within a line is lost."""
    return timing if timing is not None and factor == 1 else LineTiming()


def _follow(movie: Movie, frames: Frames, times: NDFloat, timing: LineTiming) -> Path:
    """Follow the sample from the first frames on in which it is seen."""
    center = np.array(transforms.image_center(frames.shape))
    follower = Follower(times, timing, frames.shape, center)
    n = len(times)
    first = next(
        (
            f
            for f in range(min(n - 2, STARTS))
            if follower.start(f, tuple(frames.read(np.array([f, f + 1]))))
        ),
        None,
    )
    if first is None:
        raise AngleError(
            f"{movie.paths[0]}: the angle cannot be followed, since no two successive frames of "
            f"the first {min(n - 1, STARTS)} are alike, turned by up to {FASTEST:.0f} degrees. Is "
            "there any structure in the picture, and does the sample turn slowly enough?"
        )
    bar = tqdm(total=n - 1 - first, desc="follow the angle", disable=None, leave=False)
    for own, pictures in frames.each(np.arange(first + 1, n)):
        for frame, picture in zip(own, pictures, strict=True):
            follower.go_on(frame, picture)
            bar.update()
    bar.close()
    return follower.path


def _refine(movie: Movie, path: Path, frames: Frames, threads: int) -> Refined:
    """Correct the path by the whole movie; drop what no neighbor confirms."""
    path = _confirmed(movie, path, path.found)
    for smoothing in ROUNDS:
        refined = refine(path, frames, smoothing, threads)
        path = _confirmed(movie, refined.path, refined.path.found & (refined.sd <= MAX_SD))
    return dataclasses.replace(refined, path=path)


def _confirmed(movie: Movie, path: Path, found: NDArray[np.bool_]) -> Path:
    """Keep frames that were found in a row; refuse to answer from few of them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(np.int8)))
    kept = np.zeros(len(found), np.bool_)
    for begin, end in edges.reshape(-1, 2).tolist():
        kept[begin:end] = end - begin >= MIN_RUN
    if kept.mean() < MIN_FOUND:
        raise AngleError(
            f"{movie.paths[0]}: the angle cannot be followed in the picture: only in "
            f"{np.count_nonzero(kept)} of {len(kept)} frames the sample was found. The others have "
            "too little in common with them. Is it lit, and does it turn by less than "
            f"{FASTEST:.0f} degrees from frame to frame?"
        )
    return dataclasses.replace(path, found=kept)


def _verdicts(refined: Refined, center: str, line_times_s: NDFloat) -> tuple[Verdict, ...]:
    """Say how well the angle is known, and where it was lost."""
    found, path = refined.path.found, refined.path
    turned = path.middle[found]
    figures: dict[str, float | int | str] = {
        "n": int(np.count_nonzero(found)),
        "center": center,
        "sd": float(np.median(refined.sd[found])),
        "worst": float(np.quantile(refined.sd[found], 0.95)),
        "span": float(np.ptp(turned)),
        "fastest": float(np.abs(np.diff(path.middle))[found[1:] & found[:-1]].max(initial=0)),
    }
    verdicts = [
        Verdict(
            topic="angle",
            code="seen",
            says="The angle was told by the picture itself, to {sd:.2f} degrees in a typical frame "
            "(95 % of the frames: {worst:.2f} or better); the sample turned over {span:.0f} "
            "degrees, up to {fastest:.1f} degrees from frame to frame, about a center at {center}.",
            figures=figures,
        )
    ]
    lost = np.flatnonzero(~found)
    if len(lost):
        parts = np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1)
        shown = [
            f"{line_times_s[part[0], 0]:.2f} to {line_times_s[part[-1], -1]:.2f} s"
            for part in parts
        ]
        where = ", ".join(shown[:5]) + (f" and {len(shown) - 5} times more" if shown[5:] else "")
        verdicts.append(
            Verdict(
                topic="angle",
                code="lost",
                says="The angle was lost in {n} of {all} frames ({where}): they have too little "
                "in common with the others, since the sample turned too fast, left the picture, "
                "or was not lit. Their lines are marked as not known, and whole turns made "
                "meanwhile are not counted.",
                figures={"n": len(lost), "all": len(found), "where": where},
                doubt=True,
            )
        )
    for verdict in verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    return tuple(verdicts)
