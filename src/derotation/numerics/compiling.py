"""Numba's compiler, loaded without all of SciPy's linear algebra.

Numba looks whether SciPy could compile ``np.dot``, and loads ``scipy.linalg`` for that: a sixth of
a second, more than most kernels need. It looks again where a function does call ``np.dot``.
"""

import importlib
import sys

from numba import njit
from numba.np import linalg

__all__ = ["njit"]

_FUNCTIONS = "numba.np.arraymath"


def _load_functions() -> None:
    """Load what Numba knows about NumPy's functions; it takes for granted that SciPy is there.

    This is a matter of speed alone: a Numba that is made in another way loads what it likes.
    """
    look = getattr(linalg, "ensure_blas", None)
    if look is None or _FUNCTIONS in sys.modules:
        return
    linalg.ensure_blas = _take_for_granted
    try:
        importlib.import_module(_FUNCTIONS).ensure_blas = look  # type: ignore[attr-defined]
    finally:
        linalg.ensure_blas = look


def _take_for_granted() -> None:
    pass


_load_functions()
