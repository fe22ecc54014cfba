"""What the description of a TIFF file says about its pages."""

import json
import math
import re
from typing import Any


def declared_pages(description: str, shape: tuple[int, int]) -> int | None:
    """Return the number of pages that a description speaks of.

    Parameters
    ----------
    description
        The first page's ImageDescription.
    shape
        Height and width of a page.

    Returns
    -------
    int or None
        None if it says nothing about that.
    """
    if description.startswith("ImageJ="):
        match = re.search(r"^images=(\d{1,18})\s*$", description, flags=re.MULTILINE)
        return int(match.group(1)) if match else None
    if description.startswith("{"):
        stack = shaped_description(description)
        n_pixels = shape[0] * shape[1]
        if stack and n_pixels and min(stack["shape"]) > 0:
            return int(math.prod(stack["shape"])) // n_pixels
    return None


def shaped_description(description: str) -> dict[str, Any] | None:
    """Return the JSON object that tifffile writes as a description, if it is one.

    Parameters
    ----------
    description
        The first page's ImageDescription.

    Returns
    -------
    dict or None
        An object with at least a list of integers under ``shape``.
    """
    if not description.startswith("{"):
        return None
    try:
        content = json.loads(description)
    except (ValueError, RecursionError):
        return None
    shape = content.get("shape")
    if not isinstance(shape, list) or not 2 <= len(shape) <= 16:
        return None
    if not all(type(size) is int and abs(size) < 2**48 for size in shape):
        return None
    return dict(content)
