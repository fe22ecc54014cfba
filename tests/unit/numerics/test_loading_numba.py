"""Numba without what it loads to look whether linear algebra could be compiled."""

import subprocess
import sys

CODE = """
import sys
import numpy as np
from derotation.numerics.compiling import njit

@njit
def total(values):
    return values.sum()

assert total(np.ones(3)) == 3
assert "scipy.linalg" not in sys.modules, "scipy.linalg was loaded"

@njit
def product(a, b):
    return np.dot(a, b)

np.testing.assert_array_equal(product(2 * np.eye(3), np.ones((3, 3))), 2 * np.ones((3, 3)))
assert "scipy.linalg" in sys.modules
"""


def test_linear_algebra_is_loaded_by_functions_that_need_it_alone():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=120
    )
    assert not done.returncode, done.stderr
