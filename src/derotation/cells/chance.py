"""How much chance would explain: blocks of a trace that are shifted, or turned upside down."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from derotation.cells.blocks import Blocks
from derotation.cells.kernels import add_shifted
from derotation.cells.products import across, along

__all__ = ["Chance", "draw_shifts", "false_discovery_rate"]

NDFloat = NDArray[np.float64]

N_SHIFTS = 1000
# With fewer blocks there are too few signs to tell anything.
MIN_BLOCKS = 8
# Samples of a block from which on Fourier transforms are sooner.
LONG_BLOCK = 400


def draw_shifts(blocks: Blocks, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw 1000 shifts for each block, each up to its length: (blocks, 1000)."""
    lengths = np.diff(blocks.edges)
    return rng.integers(0, lengths[:, np.newaxis], (len(blocks), N_SHIFTS))


class Chance:
    """Tells what a design explains of a trace beyond other columns, and how likely chance does so.

    Two kinds of chance are tried, and the likelier one counts: blocks are shifted circularly, each
    by its own random time, which tells what a trace that changes slowly explains; and what each
    block says gets a random sign, which tells what blocks that differ from each other explain.

    Parameters
    ----------
    design, other : ndarray of shape (n, k), (n, m)
        Columns that explain, and those that are explained before.
    blocks : Blocks
        What is shifted within itself.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(
        self, design: NDFloat, other: NDFloat, blocks: Blocks, rng: np.random.Generator
    ) -> None:
        self._blocks = blocks
        self._shifts = draw_shifts(blocks, rng)
        self._signs = rng.choice([-1.0, 1.0], (N_SHIFTS, len(blocks)))
        self._others = orthonormal(other)
        self._own = orthonormal(design - along(self._others, across(self._others, design)))

    def test(self, value: NDFloat) -> tuple[float, float]:
        """Tell the p-value of a trace (n,), and how much is explained (sum of squares)."""
        left = value - along(self._others, across(self._others, value))
        sums = np.zeros((N_SHIFTS, self._own.shape[1]))
        if int(np.diff(self._blocks.edges).max()) <= LONG_BLOCK:
            add_shifted(self._own, left, self._blocks.edges, self._shifts, sums)
        else:
            add_by_transforms(self._own, left, self._blocks, self._shifts, sums)
        said = np.stack([across(self._own[part], left[part]) for part in self._blocks.slices()])
        size = float(np.sum(said.sum(axis=0) ** 2))
        chances = [sums]
        if len(said) >= MIN_BLOCKS:
            chances.append(along(self._signs, said))
        return max(_share_above(size, one) for one in chances), size


def _share_above(size: float, sums: NDFloat) -> float:
    """Tell how often chance explains as much."""
    by_chance = np.einsum("sk,sk->s", sums, sums)
    return float((1 + np.count_nonzero(by_chance >= size * (1 - 1e-9))) / (1 + len(by_chance)))


def orthonormal(design: NDFloat) -> NDFloat:
    """Give an orthonormal basis of the space of columns."""
    vectors, sizes, _ = np.linalg.svd(across(design, design))
    kept = sizes > max(1e-9 * float(sizes[0]), 1e-12)
    return along(design, vectors[:, kept] / np.sqrt(sizes[kept]))


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
