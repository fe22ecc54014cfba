"""Linear algebra in one thread.

The matrices of this package are small. The threads that NumPy's library for linear algebra would
share them among wait for each other in busy loops: if other work keeps the processors busy, as the
jobs of other sessions do, this takes two to six times the computing, and without other work it is
no faster. Besides, sums by several threads differ in their last bit from those by one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ONE_THREAD", "in_one_thread", "use_one_thread"]

# What the libraries read when they are loaded: OpenBLAS, those that use OpenMP, Intel's, Apple's.
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")
} | {"VECLIB_MAXIMUM_THREADS": "1"}  # fmt: skip


def use_one_thread() -> None:
    """Have linear algebra use one thread in this process: to be called before NumPy is loaded."""
    os.environ.update(ONE_THREAD)


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Have linear algebra use one thread for a while, in a program that has loaded it before."""
    # SciPy has a library of its own; what is loaded later would not be told.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
