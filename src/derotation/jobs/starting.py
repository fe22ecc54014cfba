"""How a job starts quickly: what it loads while it already works, and what it does not look for."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["load_plots_beside", "rarely_collected"]

# Objects that may be made before Python looks whether any of them are garbage: a figure is made of
# ten to twenty thousand, and of its arrays at most a few pictures are kept for so long.
N_OBJECTS = 100_000


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Let Python look for garbage more rarely than usual, while a job works.

    To load libraries and to draw makes hundreds of thousands of objects that stay; to look at them
    again and again takes a tenth of the time of a small job. What is no longer used is freed at
    once, as ever: this concerns only objects that refer to each other, as those of a figure do.
    """
    before = gc.get_threshold()
    gc.set_threshold(N_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


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
