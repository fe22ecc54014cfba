"""Numbers out of text that other programs wrote: believed only as far as they make sense."""

import math

__all__ = ["MOST_PAGES", "UM_PER_UNIT", "positive", "whole"]

#: No recording has more pages: a description that says so is damaged.
MOST_PAGES = 10**8

#: Micrometers per unit of length.
UM_PER_UNIT = {
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}

# A whole number with more digits counts nothing in a file.
_MOST_DIGITS = 18


def whole(text: object) -> int | None:
    """Return a whole number, or None."""
    try:
        return int(str(text)) if len(str(text)) <= _MOST_DIGITS else None
    except ValueError:
        return None


def positive(text: object) -> float | None:
    """Return a finite number above 0, or None."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
