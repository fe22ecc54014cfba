"""Explain values by regressors, with little regard to those that differ much."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Explained", "explain", "weighted_products"]

NDFloat = NDArray[np.float64]

# Values that differ by more than this many standard deviations count for less (Cauchy's weights).
CAUCHY = 3.0
REWEIGHTINGS = 3
# By how much values differ as a rule is told by about so many of them.
ENOUGH = 4096


class Explained(NamedTuple):
    """Result of :func:`explain`."""

    coefficients: NDFloat
    """Shape (k,)."""
    inverse: NDFloat
    """Of the normal matrix, shape (k, k)."""
    near: NDFloat
    """Weight of each value, 0 to 1, shape (n,)."""
    rest: NDFloat
    """What is not explained of each value, shape (n,)."""


def explain(
    known: NDArray[Any], target: NDArray[Any], inside: NDArray[np.bool_] | None = None
) -> Explained:
    """Explain values by a weighted sum of regressors.

    Parameters
    ----------
    known : ndarray of shape (k, n)
        The regressors.
    target : ndarray of shape (n,)
    inside : ndarray of bool of shape (n,), optional
        Which values count; by default all.

    Returns
    -------
    Explained

    Raises
    ------
    numpy.linalg.LinAlgError
        If the regressors cannot be told apart.

    Notes
    -----
    Least squares with Cauchy's weights, renewed a few times: cells that are active in one picture,
    but not in the other, are values that differ much. Without such weights the errors of bright
    pictures are three times larger.
    """
    from derotation.numerics.picture_kernels import left_over, normal_equations

    near = np.ones(len(target)) if inside is None else inside.astype(np.float64)
    rest, k = np.empty(len(target)), len(known)
    normal, moment = np.empty((k, k)), np.empty(k)
    for turn in range(REWEIGHTINGS + 1):
        normal_equations(known, near, target, normal, moment)
        # The matrix that is inverted holds numbers of about the same size.
        scale = np.maximum(np.sqrt(np.diag(normal)), 1e-30)
        inverse = np.linalg.inv(normal / np.outer(scale, scale)) / np.outer(scale, scale)
        solution = inverse @ moment
        left_over(known, solution, target, rest)
        if turn < REWEIGHTINGS:
            near = _nearness(rest, inside)
    return Explained(solution, inverse, near, rest)


def _nearness(rest: NDFloat, inside: NDArray[np.bool_] | None) -> NDFloat:
    """Give Cauchy's weight to each value, 0 to those that do not count."""
    some = rest if inside is None else rest[inside]
    some = some[:: max(len(some) // ENOUGH, 1)]
    usual = 1.4826 * float(np.median(np.abs(some)))
    near = 1 / (1 + (rest / max(CAUCHY * usual, 1e-12)) ** 2)
    return near if inside is None else near * inside


def weighted_products(a: NDArray[Any], weight: NDFloat, b: NDArray[Any]) -> NDFloat:
    """Sum ``a weight b`` over values: a (k, n), weight (n,), b (m, n) to (k, m), in 64 bits."""
    from derotation.numerics import picture_kernels

    out = np.empty((len(a), len(b)))
    picture_kernels.weighted_products(a, weight, b, out)
    return out
