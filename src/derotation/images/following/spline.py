"""A smooth angle over time: a cubic spline, and what frames say of it as banded equations."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ORDER", "Equations", "Knots", "basis", "smoothness"]

NDFloat = NDArray[np.float64]

# Coefficients that act at one time: the spline is cubic.
ORDER = 4
# What nothing is said of is held by so small a part of what is said of the rest.
HOLD = 1e-10


def basis(place: ArrayLike) -> NDFloat:
    """Evaluate the four cubic B-splines that act within an interval.

    Parameters
    ----------
    place : array_like of shape (...)
        Place within the interval, 0 to 1.

    Returns
    -------
    ndarray of shape (..., 4)
        Their sum is 1.
    """
    t = np.asarray(place, np.float64)
    rest = 1 - t
    middle = [3 * part**3 - 6 * part**2 + 4 for part in (t, rest)]
    return np.stack([rest**3, middle[0], middle[1], t**3], axis=-1) / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Knots:
    """Evenly spaced knots of a cubic spline over time."""

    first: float
    """Time of the first knot."""
    step: float
    """Time from knot to knot."""
    n_intervals: int
    """Intervals between knots."""

    @classmethod
    def over(cls, first: float, last: float, step: float) -> Self:
        """Cover the time from `first` to `last`."""
        return cls(first=first, step=step, n_intervals=max(int(np.ceil((last - first) / step)), 1))

    @property
    def n(self) -> int:
        """Number of coefficients."""
        return self.n_intervals + ORDER - 1

    def locate(self, time: ArrayLike) -> tuple[NDArray[np.intp], NDFloat]:
        """Tell the four splines that act at each time; beyond the ends, those of the ends.

        Parameters
        ----------
        time : array_like of shape (...)

        Returns
        -------
        first : ndarray of shape (...)
            Number of the first of the four coefficients.
        values : ndarray of shape (..., 4)
        """
        at = (np.asarray(time, np.float64) - self.first) / self.step
        interval = np.clip(np.floor(at), 0, self.n_intervals - 1).astype(np.intp)
        return interval, basis(np.clip(at - interval, 0.0, 1.0))

    def evaluate(self, coefficients: NDFloat, time: ArrayLike) -> NDFloat:
        """Give the spline at some times."""
        first, values = self.locate(time)
        own = coefficients[first[..., np.newaxis] + np.arange(ORDER)]
        return np.asarray((own * values).sum(axis=-1))


@dataclass(slots=True, kw_only=True, eq=False)
class Equations:
    """Normal equations for the coefficients of a spline, banded."""

    normal: NDFloat
    """Upper bands, shape (band, n): [band - 1 - k, j] belongs to the coefficients j - k and j."""
    moment: NDFloat
    """Right-hand side, shape (n,)."""

    @classmethod
    def none(cls, n: int, band: int) -> Self:
        """Begin with nothing known of n coefficients, up to `band` of which are told together."""
        return cls(normal=np.zeros((band, n)), moment=np.zeros(n))

    def add(self, first: int, normal: NDFloat, moment: NDFloat) -> None:
        """Add what is said of the coefficients from `first` on."""
        m, band = len(moment), len(self.normal)
        for k in range(m):
            self.normal[band - 1 - k, first + k : first + m] += np.diagonal(normal, k)
        self.moment[first : first + m] += moment

    def solve(self, stiffness: float) -> tuple[NDFloat, float]:
        """Solve them for a spline that bends little.

        Parameters
        ----------
        stiffness : float
            What is added is this times the sum of the squared second differences of coefficients.

        Returns
        -------
        coefficients : ndarray of shape (n,)
        evidence : float
            Logarithm of the probability of the moment, but for a constant, if the second
            differences are normal with the variance 1 / stiffness.
        """
        n = self.normal.shape[1]
        total = self._stiff(stiffness)
        from scipy import linalg  # slow to import

        factor = linalg.cholesky_banded(total)
        found = linalg.cho_solve_banded((factor, False), self.moment)
        volume = 2 * float(np.log(factor[-1]).sum())
        evidence = ((n - 2) * np.log(stiffness) - volume + float(self.moment @ found)) / 2
        return np.asarray(found), float(evidence)

    def covariance(self, stiffness: float, first: int, last: int, margin: int) -> NDFloat:
        """Tell how well the coefficients from `first` to `last` are known.

        Parameters
        ----------
        stiffness : float
            As for :meth:`solve`.
        first, last : int
            The last one does not belong to them.
        margin : int
            So many coefficients before and after them count; what lies further is neglected.

        Returns
        -------
        ndarray of shape (last - first, last - first)
        """
        n = self.normal.shape[1]
        begin, end = max(first - margin, 0), min(last + margin, n)
        window = Equations(normal=self.normal[:, begin:end], moment=self.moment[begin:end])
        total = window._stiff(stiffness)
        asked = np.zeros((end - begin, last - first))
        asked[np.arange(first, last) - begin, np.arange(last - first)] = 1
        from scipy import linalg

        solved = linalg.solveh_banded(total, asked)
        return np.asarray(solved[first - begin : last - begin])

    def _stiff(self, stiffness: float) -> NDFloat:
        band, n = self.normal.shape
        total = self.normal + stiffness * smoothness(n, band)
        total[-1] += HOLD * float(total[-1].max())
        for k in range(1, band):  # what belongs to coefficients before the first one
            total[band - 1 - k, :k] = 0
        return total


def smoothness(n: int, band: int) -> NDFloat:
    """Give the sum of the squared second differences of n numbers as a banded form.

    Returns
    -------
    ndarray of shape (band, n)
        As :attr:`Equations.normal`.
    """
    bands = np.zeros((band, n))
    difference = (1.0, -2.0, 1.0)
    for k in range(3):
        for j in range(k, 3):
            bands[band - 1 - (j - k), j : n - 2 + j] += difference[k] * difference[j]
    return bands
