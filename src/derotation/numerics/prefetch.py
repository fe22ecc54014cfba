"""Work that goes on in the background: reading ahead, and writing behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Give the items of an iterator, each prepared in a thread while the one before is used.

    Parameters
    ----------
    items : iterator
        What it raises is raised when its turn comes.

    Yields
    ------
    object
        The items in their order; two of them are in memory at a time.
    """
    end = object()
    with ThreadPoolExecutor(1) as background:
        coming = background.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = background.submit(next, items, end)
            yield item  # type: ignore[misc]
