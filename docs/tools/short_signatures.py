"""Sphinx extension: signatures name array types as people do, not as NumPy spells them out."""

import re
from typing import Any

from sphinx.application import Sphinx

# What a pattern finds in a signature, and what stands there instead.
SHORTER = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # numpy.typing.ArrayLike
        (r"[\w.~]*_Buffer \| [\w.~]*_SupportsArray\[.*?\[complex[^\]]*\]", "ArrayLike"),
        # numpy.typing.NDArray
        (
            r"ndarray\[[\w.~]*tuple\[[\w.~]*Any, \.\.\.\], [\w.~]*dtype\[([^\]]+)\]\]",
            r"ndarray[\1]",
        ),
        (r"ndarray\[[\w.~]*Any\]", "ndarray"),
        # Imported for the type checker only, so that Sphinx knows the bare name and would guess.
        (r"(?<![\w.])Figure(?![\w.])", "~matplotlib.figure.Figure"),
        (r"(?<![\w.])Axes(?![\w.])", "~matplotlib.axes.Axes"),
        # A default that a dataclass makes anew each time; Sphinx cannot read it as Python.
        (r"<factory>", "..."),
    )
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True}


def _shorten(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    return _short(signature), _short(returned)


def _short(text: str | None) -> str | None:
    for pattern, replacement in SHORTER:
        text = None if text is None else pattern.sub(replacement, text)
    return text
