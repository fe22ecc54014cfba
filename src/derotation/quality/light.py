"""What the microscope's light does to the brightness of places as they turn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.maps.discs import seen_radius
from derotation.numerics.binning import binned
from derotation.quality.figures import Measured
from derotation.streaming.statistics import Statistics

__all__ = ["uneven_light"]

# Places (along a side) whose brightness is followed through the angles, and least part of one that
# has to be seen.
PLACES, MIN_PLACE = 8, 0.7
# Fewest brightnesses, and darkest place in units of the brightest one.
MIN_FOUND, DARKEST = 40, 0.05
ROUNDS = 4
# So many times what activity of the cells explains by chance is light.
MIN_ERRORS = 3.0
# Places along the side of a patch within which cells are active together.
PATCH = 2
TERMS = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Brightness of places at several angles, shape (found,) but for the design."""

    log_ratio: NDArray[np.float64]
    """Logarithm of the brightness in units of that at rest."""
    weight: NDArray[np.float64]
    """How much light that was measured with."""
    angle: NDArray[np.int64]
    """Which angle."""
    patch: NDArray[np.int64]
    """Which part of the sample."""
    light: NDArray[np.float64]
    """Terms of the light where it was recorded, less those where it is at rest, (found, TERMS)."""


def uneven_light(statistics: Statistics, center: tuple[float, float]) -> Measured:
    """Tell by how much places get darker and brighter as they turn under the light.

    The logarithm of their brightness, in units of that at rest, is explained by the light where
    they were recorded: a polynomial, without what is the same all around the center, which does not
    change it. What it would explain by chance is told by how much patches of the sample differ from
    it: their cells are active at some angles, and stay so over neighboring ones, so that a patch,
    and not a brightness, is what counts as independent [1]_.

    References
    ----------
    .. [1] Liang, K.-Y. and Zeger, S. L., "Longitudinal data analysis using generalized linear
       models", Biometrika 73 (1986), 13-22: covariance from the residuals of clusters.
    """
    places = _places(statistics, center)
    if places is None:
        return Measured(
            said="Not measured: too little of the sample at rest is seen at other angles."
        )
    solution, left, near = _robust(places)
    effect = places.light @ solution
    value = 100 * float(np.sqrt(np.average(effect**2, weights=places.weight)))
    chance = 100 * _by_chance(places, left, near)
    if value < MIN_ERRORS * chance:
        return Measured(
            value=0.0,
            said=f"Turning does not change the brightness of places beyond chance ({value:.1f} %, "
            f"{chance:.1f} % would be chance).",
        )
    return Measured(
        value=value,
        said=f"Places get brighter and darker by {value:.1f} % (rms) as they turn under the light: "
        "a false dF/F, locked to the angle.",
    )


def _places(statistics: Statistics, center: tuple[float, float]) -> _Places | None:
    shape = statistics.rest.shape
    if not len(statistics.angle) or statistics.n_rest == 0:
        return None
    rest = binned(statistics.rest - statistics.offset, statistics.side)
    # Of a place, in squares of the mean images, and in pixels.
    squares = max(min(rest.shape) // PLACES, 1)
    side = squares * statistics.side
    # Angle by angle: all mean images together take a hundred MB.
    found, expected, share = (
        np.stack(images).astype(np.float64)
        for images in zip(
            *(
                _of_places(mean - statistics.offset, rest, seen, squares)
                for mean, seen in zip(statistics.mean, statistics.seen, strict=True)
            ),
            strict=True,
        )
    )
    enough = (share > MIN_PLACE) & (found > 0)
    enough &= expected > DARKEST * (np.max(expected, initial=0.0) or 1.0)
    if enough.sum() < MIN_FOUND:
        return None
    angle, row, column = np.nonzero(enough)
    frames = statistics.n_frames[angle]
    unit = max(seen_radius(center, shape), min(shape) / 4)
    x, y = (
        ((side - 1) / 2 + side * k - c) / unit for k, c in zip((column, row), center, strict=True)
    )
    across = found.shape[2] // PATCH + 1
    return _Places(
        log_ratio=np.log(found[enough] / expected[enough]),
        weight=expected[enough] * frames,
        angle=np.unique(angle, return_inverse=True)[1],
        patch=row // PATCH * across + column // PATCH,
        light=_terms(x, y, np.deg2rad(statistics.angle[angle])),
    )


def _of_places(
    image: NDArray[np.float32], rest: NDArray[np.float32], seen: NDArray[np.bool_], side: int
) -> tuple[NDArray[np.float32], ...]:
    """Give the light of each place in a picture and at rest, and which part of it both saw."""
    known = seen & np.isfinite(image) & np.isfinite(rest)
    return (
        binned(np.where(known, image, np.float32(0)), side),
        binned(np.where(known, rest, np.float32(0)), side),
        binned(known, side),
    )


def _terms(
    x: NDArray[np.float64], y: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give by how much each term of the light changes by turning a place, shape (place, TERMS)."""

    def light(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        square = x**2 + y**2
        return np.stack([x, y, x * y, x**2 - y**2, x * square, y * square], axis=1)

    # Where the place was when it was recorded: turned clockwise by its angle.
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(light(cos * x - sin * y, sin * x + cos * y) - light(x, y))


def _robust(
    places: _Places,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit the light, and a brightness of each angle: terms, what is left, and how near, 0 to 1.

    The brightness of an angle is what is left on average there: to take the averages out of all
    that is fitted leaves a system of only TERMS equations [1]_.

    References
    ----------
    .. [1] Frisch, R. and Waugh, F. V., "Partial time regressions as compared with individual
       trends", Econometrica 1 (1933), 387-401.
    """
    near = np.ones(len(places.weight))
    solution: NDArray[np.float64] = np.zeros(TERMS)
    left = places.log_ratio
    for _ in range(ROUNDS):
        weight = places.weight * near
        light = _without_angles(places.light, places.angle, weight)
        ratio = _without_angles(places.log_ratio[:, np.newaxis], places.angle, weight)[:, 0]
        root = np.sqrt(weight)
        found, *_ = np.linalg.lstsq(light * root[:, np.newaxis], ratio * root, rcond=None)
        solution = np.asarray(found, np.float64)
        left = ratio - light @ solution
        spread = 1.4826 * float(np.median(np.abs(left))) + 1e-9
        near = 1 / (1 + (left / (2 * spread)) ** 2)
    return solution, left, near


def _without_angles(
    columns: NDArray[np.float64], angle: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Subtract the weighted mean at each angle from columns of shape (found, n)."""
    total = np.bincount(angle, weight)
    means = [np.bincount(angle, weight * column) / total for column in columns.T]
    return np.asarray(columns - np.stack(means, axis=1)[angle])


def _by_chance(places: _Places, left: NDArray[np.float64], near: NDArray[np.float64]) -> float:
    """Give the rms effect of a light that only fits the activity of the patches."""
    weight = places.weight * near
    light = _without_angles(places.light, places.angle, weight)
    pulls = np.stack(
        [np.bincount(places.patch, weight * left * column) for column in light.T], axis=1
    )
    inverse = np.linalg.pinv(light.T @ (light * weight[:, np.newaxis]))
    covariance = inverse @ (pulls.T @ pulls) @ inverse
    n = int(np.count_nonzero(np.bincount(places.patch)))
    mean = places.light.T @ (places.light * places.weight[:, np.newaxis]) / places.weight.sum()
    # A fit of TERMS numbers takes its part out of the patches' residuals.
    return float(np.sqrt(np.trace(covariance @ mean) * n / max(n - TERMS, 1)))
