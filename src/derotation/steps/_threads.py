"""How many threads a step's compiled loops may use."""

__all__ = ["use_threads"]


def use_threads(threads: int) -> None:
    """Limit numba to so many threads, or to what this process can have if that is fewer.

    Parameters
    ----------
    threads : int
        At least 1.
    """
    import numba

    available: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(max(1, min(threads, available)))
