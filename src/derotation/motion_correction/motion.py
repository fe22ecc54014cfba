"""Where the sample was at any time of a session."""

import os
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import save_npz
from derotation.io.results import check_arrays, read_npz

__all__ = ["Motion"]

KIND = "derotation motion"
VERSION = 1

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
    corrected: bool
    """Whether it is significant and matters, so that it is corrected."""

    def displacement(self, times_s: ArrayLike) -> NDFloat:
        """Give the displacement (x, y) at some times (s): (..., 2).

        Linear between the times at which it is known, and constant before and after.
        """
        times = np.asarray(times_s, np.float64)
        return np.stack(
            [np.interp(times, self.time_s, own) for own in (self.x, self.y)], axis=-1
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``motion.npz``: arrays ``time_s``, ``x``, ``y``, ``sd``, ``corrected``."""
        save_npz(
            path, kind=KIND, version=VERSION, time_s=self.time_s, x=self.x, y=self.y, sd=self.sd,
            corrected=self.corrected,
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
        check_arrays(path, arrays, axes | {"corrected": ()}, ("time_s", "x", "y", "corrected"))
        if not len(arrays["time_s"]) or np.any(np.diff(arrays["time_s"]) <= 0):
            msg = f"{os.fspath(path)}: time_s has to ascend. Make it again."
            raise InputError(msg)
        names = ("time_s", "x", "y", "sd")
        return cls(
            **{name: np.asarray(arrays[name], np.float64) for name in names},
            corrected=bool(arrays["corrected"]),
        )
