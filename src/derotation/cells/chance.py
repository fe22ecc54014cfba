"""How much chance would explain: traces whose blocks are shifted circularly."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from derotation.cells.blocks import Blocks
from derotation.cells.kernels import add_shifted

__all__ = ["Chance", "draw_shifts", "false_discovery_rate"]

NDFloat = NDArray[np.float64]

N_SHIFTS = 1000
# Samples of a block from which on Fourier transforms are sooner.
LONG_BLOCK = 400


def draw_shifts(blocks: Blocks, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw 1000 shifts for each block, each up to its length: (blocks, 1000)."""
    lengths = np.diff(blocks.edges)
    return rng.integers(0, lengths[:, np.newaxis], (len(blocks), N_SHIFTS))


class Chance:
    """Tells what a design explains of a trace beyond other columns, and how likely chance does so.

    Parameters
    ----------
    design, other : ndarray of shape (n, k), (n, m)
        Columns that explain, and those that are explained before.
    blocks : Blocks
        What is shifted within itself.
    shifts : ndarray of shape (blocks, s)
        See :func:`draw_shifts`.
    single : tuple of Blocks and ndarray of shape (n, j), optional
        Columns that have a weight of their own in each of these blocks, explained before all.
    """

    def __init__(
        self,
        design: NDFloat,
        other: NDFloat,
        blocks: Blocks,
        shifts: NDArray[np.int64],
        single: tuple[Blocks, NDFloat] | None = None,
    ) -> None:
        self._blocks, self._shifts, self._single = blocks, shifts, single
        self._others = orthonormal(self._without_own_of_blocks(other))
        self._own = orthonormal(self._left_of(design))

    def test(self, value: NDFloat) -> tuple[float, float]:
        """Tell the p-value of a trace (n,), and how much is explained (sum of squares)."""
        left = self._left_of(value[:, np.newaxis])[:, 0]
        projected = self._own.T @ left
        size = float(projected @ projected)
        sums = np.zeros((self._shifts.shape[1], self._own.shape[1]))
        if int(np.diff(self._blocks.edges).max()) <= LONG_BLOCK:
            add_shifted(self._own, left, self._blocks.edges, self._shifts, sums)
        else:
            add_by_transforms(self._own, left, self._blocks, self._shifts, sums)
        by_chance = np.einsum("sk,sk->s", sums, sums)
        as_much = np.count_nonzero(by_chance >= size * (1 - 1e-9))
        return float((1 + as_much) / (1 + len(by_chance))), size

    def _left_of(self, values: NDFloat) -> NDFloat:
        """Take away what is explained before."""
        left = self._without_own_of_blocks(values)
        return np.asarray(left - self._others @ (self._others.T @ left))

    def _without_own_of_blocks(self, values: NDFloat) -> NDFloat:
        if self._single is None:
            return values
        blocks, columns = self._single
        left = values.copy()
        for part in blocks.slices():
            own = columns[part]
            gram = np.linalg.pinv(own.T @ own, rcond=1e-9, hermitian=True)
            left[part] -= own @ (gram @ (own.T @ values[part]))
        return left


def orthonormal(design: NDFloat) -> NDFloat:
    """Give an orthonormal basis of the space of columns."""
    vectors, sizes, _ = np.linalg.svd(design.T @ design)
    kept = sizes > max(1e-9 * float(sizes[0]), 1e-12)
    return np.asarray(design @ (vectors[:, kept] / np.sqrt(sizes[kept])))


def add_by_transforms(
    own: NDFloat, left: NDFloat, blocks: Blocks, shifts: NDArray[np.int64], sums: NDFloat
) -> None:
    """Do the same as :func:`derotation.cells.kernels.add_shifted`, sooner for long blocks."""
    for part, shift in zip(blocks.slices(), shifts, strict=True):
        # Of all circular shifts at once.
        n = part.stop - part.start
        moved = np.conj(fft.rfft(left[part]))[:, np.newaxis]
        sums += fft.irfft(fft.rfft(own[part], axis=0) * moved, n, axis=0)[shift]


def false_discovery_rate(p: NDFloat) -> NDFloat:
    """Turn p-values into the false discovery rate at which each would be called.

    Parameters
    ----------
    p : ndarray of shape (n,)
        NaN for what was not tested.

    Returns
    -------
    ndarray of shape (n,)
        Benjamini and Hochberg's adjusted values [1]_, NaN where `p` is.

    References
    ----------
    .. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B
       57, 289-300 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    q = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    n = len(order)
    if n:
        scaled = p[order] * n / np.arange(1, n + 1)
        q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q
