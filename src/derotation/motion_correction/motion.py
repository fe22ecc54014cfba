"""Where the sample was at any time of a session."""

import os
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import save_npz
from derotation.io.results import check_arrays, read_npz
from derotation.maps.transforms import rotation_matrices

__all__ = ["Motion", "center_error"]

KIND = "derotation motion"
VERSION = 1
# A center that is wrong by more than this (px), and that explains this part of what moves while the
# sample is turned, is said; with so many frames that are turned by more than some degrees.
CENTER_PX, CENTER_SHARE = 0.3, 0.5
MIN_FRAMES, MIN_LEVERAGE = 8, 0.2

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """Displacement of the sample within its own plane over time.

    What lies at q = (x, y) in the sample at rest lies at q + (x(t), y(t)) at the time t, in the
    sample's own frame: the derotated picture. Its mean over the frames at rest at angle 0 (or all,
    where there are none) is 0.
    """

    time_s: NDFloat
    """Seconds from the first sample of the analog signals, ascending, shape (n,)."""
    x: NDFloat
    """Pixels to the right, shape (n,)."""
    y: NDFloat
    """Pixels down, shape (n,)."""
    sd: NDFloat
    """Standard uncertainty along x or y (root mean square of both), pixels, shape (n,)."""
    lost: NDArray[np.bool_]
    """Frames that no shift can mend: they look unlike all others, shape (frame,)."""
    left_px: float
    """What single frames are off the path beyond noise, root mean square, pixels; NaN if that is
    not known."""
    corrected: bool
    """Whether it is significant and matters, so that it is corrected."""

    def displacement(self, times_s: ArrayLike) -> NDFloat:
        """Give the displacement (x, y) at some times (s): (..., 2).

        Linear between the times at which it is known, and constant before and after.
        """
        times = np.asarray(times_s, np.float64)
        return np.stack([np.interp(times, self.time_s, own) for own in (self.x, self.y)], axis=-1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``motion.npz``: arrays ``time_s``, ``x``, ``y``, ``sd``, and so on."""
        save_npz(
            path, kind=KIND, version=VERSION, time_s=self.time_s, x=self.x, y=self.y, sd=self.sd,
            lost=self.lost, left_px=self.left_px, corrected=self.corrected,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, or is something else.
        """
        arrays = read_npz(path, "a session's motion")
        if str(arrays.get("kind")) != KIND or arrays.get("version") != VERSION:
            msg = f"{os.fspath(path)} holds no motion of this version. Make it again."
            raise InputError(msg)
        axes: dict[str, tuple[str, ...]] = dict.fromkeys(("time_s", "x", "y", "sd"), ("time",))
        axes |= {"lost": ("frame",), "left_px": (), "corrected": ()}
        check_arrays(path, arrays, axes, ("time_s", "x", "y", "lost", "corrected"))
        if not len(arrays["time_s"]) or np.any(np.diff(arrays["time_s"]) <= 0):
            msg = f"{os.fspath(path)}: time_s has to ascend. Make it again."
            raise InputError(msg)
        names = ("time_s", "x", "y", "sd")
        return cls(
            **{name: np.asarray(arrays[name], np.float64) for name in names},
            lost=np.asarray(arrays["lost"], np.bool_),
            left_px=float(arrays["left_px"]),
            corrected=bool(arrays["corrected"]),
        )


def center_error(places: NDFloat, angles: NDFloat) -> tuple[float, float]:
    """Tell how far what moves repeats with the angle, as if about a center that is wrong.

    A center that is wrong by e shifts frames at the angle a by (I - R(a)) e. What does not depend
    on the angle, or goes with the velocity along a direction of the sample, is motion.

    Parameters
    ----------
    places : ndarray of shape (n, 2)
        Displacement (x, y) of frames, px.
    angles : ndarray of shape (n,)
        Their angles, degrees; NaN for frames that do not count.

    Returns
    -------
    away : float
        Length of e, px; 0 unless it matters and explains most of what moves.
    share : float
        The part that it explains of what moves while the sample is turned, 0 to 1.
    """
    known = np.isfinite(angles)
    leverage = np.eye(2) - rotation_matrices(np.where(known, angles, 0.0))
    turned = known & (np.abs(leverage).max(axis=(1, 2)) > MIN_LEVERAGE)
    if turned.sum() < MIN_FRAMES:
        return 0.0, 0.0
    same = np.broadcast_to(np.eye(2), leverage.shape)
    design = np.concatenate([leverage, same], axis=2)[turned].reshape(-1, 4)
    target = places[turned]
    found, *_ = np.linalg.lstsq(design, target.ravel(), rcond=None)
    around = float(np.sum((target - target.mean(axis=0)) ** 2))
    left = float(np.sum((target.ravel() - design @ found) ** 2))
    share = 1 - left / max(around, 1e-12)
    away = float(np.hypot(*found[:2]))
    return (away, share) if away >= CENTER_PX and share >= CENTER_SHARE else (0.0, share)
