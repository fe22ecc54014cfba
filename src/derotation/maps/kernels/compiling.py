"""How the kernels are compiled."""

from pathlib import Path

from derotation.numerics.compiling import njit

# A product and a sum may become one instruction, rounded once. All else that `fastmath` allows may
# lose NaN, which means "not recorded".
FUSED = {"contract"}


def compiled(function=None, **options):
    """Compile like :func:`numba.njit`, without the interpreter's lock, and keep the machine code.

    Numba throws kept code away when the function's own file has changed; but loops of other files
    are compiled into it, so here the code is as old as any file of this folder.
    """
    if function is None:
        return lambda function: compiled(function, **options)
    dispatcher = njit(cache=True, nogil=True, **options)(function)
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = _stamp()
    return dispatcher


def _stamp():
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [(file.name, file.stat().st_mtime, file.stat().st_size) for file in files]
