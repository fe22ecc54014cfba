"""Figures that need no truth."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derotation.quality.measure import Figure, Quality, measure_quality

__all__ = ["Figure", "Quality", "measure_quality"]


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for: the report only needs the figures' meanings, not what
    # measures them, which takes seconds to import.
    if name in __all__:
        return getattr(importlib.import_module("derotation.quality.measure"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
