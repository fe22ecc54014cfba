"""The package's own corrections, as the registry knows them.

How each is found and drawn stands in :mod:`derotation.calibration.sequence`, so that a change of
an estimate does not run again what only applies the result.
"""

import numpy as np
from numpy.typing import NDArray

from derotation.maps import transforms
from derotation.maps.corrections import Correction, register

__all__ = ["LAG", "PLANE", "WOBBLE"]

NDFloat = NDArray[np.float64]


def _wobble_maps(parameters: NDFloat, angles: NDFloat, times_s: NDFloat) -> NDFloat:
    """Undo the shift of the recorded picture by a wobbling axis."""
    return transforms.translations(-transforms.wobble_shifts(angles, parameters))


PLANE = register(Correction(name="plane", side="rotation", moves_rest=False, order=10))
LAG = register(
    Correction(
        name="lag",
        side="angle",
        section="angles",
        # A tilt that is not known yet biases the lag, and the lag the tilt.
        repeats=("plane",),
        moves_rest=False,
        order=20,
    )
)
WOBBLE = register(
    Correction(name="wobble", side="microscope", maps=_wobble_maps, moves_rest=False, order=30)
)
