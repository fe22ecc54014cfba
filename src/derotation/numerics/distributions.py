"""The few numbers of statistical distributions that are needed; SciPy has them, but loads slowly.

References
----------
.. [1] NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, sections 8.7 (series
   of the incomplete gamma function) and 8.17 (incomplete beta functions).
"""

import math
from collections.abc import Callable
from functools import lru_cache

__all__ = ["chi_square_median", "f_tail", "t_quantile"]

# Sums and fractions have converged when a term changes them by less.
_PRECISION = 1e-15
_MOST_TERMS = 10_000
_HALVINGS = 200


@lru_cache
def chi_square_median(n: int) -> float:
    """Give the median of the sum of the squares of n standard normal numbers."""
    return 2 * _solve(lambda x: _gamma_part(n / 2, x), 0.5, 0.0, n / 2 + 1.0)


def f_tail(n: float, m: float, value: float) -> float:
    """Give the probability that F, of n and m degrees of freedom, is above a value."""
    return _beta_part(m / 2, n / 2, m / (m + n * value)) if value > 0 else 1.0


@lru_cache
def t_quantile(n: int, probability: float) -> float:
    """Give the value below which Student's t, of n degrees of freedom, is so often.

    Parameters
    ----------
    n : int
        At least 1.
    probability : float
        Above 0.5, and below 1.
    """
    part = _solve(lambda x: _beta_part(n / 2, 0.5, x), 2 * (1 - probability), 0.0, 1.0)
    return math.sqrt(n * (1 - part) / part)


def _solve(function: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Find where an increasing function has a value, by halving."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if function(middle) < wanted else (low, middle)
    return (low + high) / 2


def _gamma_part(a: float, x: float) -> float:
    """Give the regularized lower incomplete gamma function P(a, x), by its series."""
    term = total = 1.0
    for k in range(1, _MOST_TERMS):
        term *= x / (a + k)
        total += term
        if term < _PRECISION * total:
            break
    return math.exp(a * math.log(x) - x - math.lgamma(a + 1)) * total


def _beta_part(a: float, b: float, x: float) -> float:
    """Give the regularized incomplete beta function I_x(a, b), by its continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # there the other end converges sooner
        return 1 - _beta_part(b, a, 1 - x)
    front = math.exp(
        a * math.log(x) + b * math.log1p(-x)
        + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    )  # fmt: skip
    # From the front, by ratios of successive numerators and denominators (Lentz's method).
    upper, lower, value = math.inf, 1.0, 1.0
    for k in range(1, _MOST_TERMS):
        half = k // 2
        if k % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / _not_zero(1 + term * lower)
        upper = _not_zero(1 + term / upper)
        value *= lower * upper
        if abs(lower * upper - 1) < _PRECISION:
            break
    return front * value / a


def _not_zero(value: float) -> float:
    return value if value else 1e-300
