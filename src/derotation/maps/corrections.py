"""The registry of corrections: what each adds to the map of a line, and what the rest has to know.

The map of a line undoes the rotation about the center (in a plane that may be tilted). A correction
adds a map of its own on one of two sides of it:

- ``microscope``: it moves the picture within the microscope's field, whatever the angle of the
  sample (a wobbling axis): applied to what was recorded, before it is turned back;
- ``sample``: it moves the sample within its own plane (a drift): applied after it was turned back.

Two more need no map of their own: ``rotation`` is part of the rotation (a tilted plane), ``angle``
changes the angle at which a line was recorded (a lag).

With R the map that undoes the rotation, a recorded place p goes to
``sample_n( ... sample_1( R( microscope_1( ... microscope_m(p)))))``, where lower orders stand
nearer to R. Whatever the correction, it is a function of its parameters, of the angle and of time.
A package registers its own by :func:`register`, or by an entry point of the group
``derotation.corrections`` that names a :class:`Correction`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.maps import transforms
from derotation.settings.schema import Schema, config_schema, with_section

__all__ = [
    "Correction",
    "Side",
    "composed",
    "register",
    "registered",
    "schema_with_corrections",
    "unregister",
]

Maps = NDArray[np.float64]
NDFloat = NDArray[np.float64]
Side = Literal["microscope", "sample", "rotation", "angle"]

ENTRY_POINTS = "derotation.corrections"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correction:
    """One correction."""

    name: str
    """Its name: that of its section in the configuration, of its entry in the calibration file, of
    its plot, and the topic of what it says."""
    side: Side
    """On which side of the rotation its map stands, see :mod:`derotation.maps.corrections`."""
    maps: Callable[[NDFloat, NDFloat, NDFloat], Maps] | None = None
    """From the parameters (any shape), the angles of lines (degrees) and their times (s), of equal
    shape (...), makes what is to be applied, shape (..., 2, 3). Zeros are the identity. None on
    the sides ``rotation`` and ``angle``."""
    estimate: Callable[..., Any] | None = None
    """``estimate(movie, angles, calibration, settings, *, timing, session, threads)`` gives a
    :class:`~derotation.calibration.calibration.Corrected`, whose calibration the next one goes
    on with. (The estimates of the package's own corrections are in
    :mod:`derotation.calibration.sequence`.)"""
    section: str = ""
    """Section of the configuration that its estimate is given; by default its name."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of that section; None if the configuration has the section already."""
    plot: Callable[[Any], Any] | None = None
    """Makes the figure ``plots/<name>.png`` of its estimate."""
    step: float = 0.01
    """Step of the parameters by which derivatives of the maps are taken."""
    moves_rest: bool = True
    """Whether frames at rest have to be moved as well (a drift), or are where they belong."""
    repeats: tuple[str, ...] = ()
    """Corrections that are estimated once more if this one was corrected."""
    order: int = 100
    """Corrections are estimated in this order, and stand nearer to the rotation the lower it is."""


_REGISTERED: dict[str, Correction] = {}


def register(correction: Correction) -> Correction:
    """Add a correction, or put it in the place of one with the same name."""
    _REGISTERED[correction.name] = correction
    return correction


def unregister(name: str) -> None:
    """Take a correction out again."""
    _REGISTERED.pop(name, None)


def registered() -> tuple[Correction, ...]:
    """List all corrections in their order: those of the package and those of installed others."""
    _register_installed()
    return tuple(sorted(_REGISTERED.values(), key=lambda correction: correction.order))


@cache
def _register_installed() -> None:
    """Register the corrections of installed packages, once; one that fails, fails every time."""
    for correction in [point.load() for point in entry_points(group=ENTRY_POINTS)]:
        register(correction)


def schema_with_corrections() -> Schema:
    """Give the JSON schema of the configuration, with the sections that corrections bring along."""
    schema = config_schema()
    for correction in registered():
        if correction.schema is not None:
            schema = with_section(schema, correction.section or correction.name, correction.schema)
    return schema


def composed(
    rotation: Maps, parameters: Mapping[str, NDFloat], angles: NDFloat, times_s: NDFloat
) -> Maps:
    """Add the maps of corrections to those that undo the rotation.

    Parameters
    ----------
    rotation : ndarray of shape (..., 2, 3)
    parameters : mapping of str to ndarray
        Parameters by the correction's name; one without any, or with nothing but zeros, is left
        out, so that what need not be moved stays bit for bit where it is.
    angles, times_s : ndarray of shape (...)
        Angles of the lines (degrees) and their times (s).

    Returns
    -------
    ndarray of shape (..., 2, 3)
    """
    maps = rotation
    for correction in registered():
        own = parameters.get(correction.name)
        if correction.maps is None or own is None or not np.any(own):
            continue
        added = correction.maps(own, angles, times_s)
        inner = correction.side == "microscope"
        maps = transforms.compose(maps, added) if inner else transforms.compose(added, maps)
    return maps
