"""What a job loads while it already works."""

import threading
from typing import Any

__all__ = ["load_plots_beside"]


def load_plots_beside() -> threading.Thread:
    """Load Matplotlib in a thread of its own, while the job reads and computes.

    Of a session of 3000 frames of 256 x 256 pixels each step draws for less than a second, of which
    loading is a quarter. Compiled loops leave Python free to do so.

    Matplotlib's classes get no list of their properties in their docstrings, which nobody reads in
    a job; to write these lists takes a third of the time of loading.

    Returns
    -------
    Thread
        Which loads it. Whoever imports Matplotlib in between waits until it is there.
    """
    thread = threading.Thread(target=_load_plots, name="load Matplotlib")
    thread.start()
    return thread


def _load_plots() -> None:
    try:
        import matplotlib.artist
    except ImportError:  # who draws will say so
        return
    artist: Any = matplotlib.artist
    described = getattr(artist, "kwdoc", _nothing)
    artist.kwdoc = _nothing
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import PIL.PngImagePlugin  # noqa: F401
    finally:
        artist.kwdoc = described


def _nothing(artist: Any) -> str:
    return ""
