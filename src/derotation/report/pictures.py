"""Pictures as text within a page: smaller than their files, and without need of these."""

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path

__all__ = ["EmbeddedPicture", "embed"]

# Wide enough for the labels of a plot to be read; the file itself is linked beside it.
MAX_WIDTH = 1280
# WebP's quality and the part of the width, until a picture is small enough: single frames, which
# are mostly noise, take many bytes and lose least.
_EFFORTS, _ENOUGH_BYTES = ((70, 1.0), (30, 0.75)), 120_000
# The least effort: twice as fast as more of it, for pictures that are a tenth larger.
_EFFORT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPicture:
    """A picture as a page can hold it."""

    uri: str
    """The whole picture as a ``data:`` address."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


def embed(path: str | Path) -> EmbeddedPicture:
    """Make a picture part of a page.

    Parameters
    ----------
    path : path
        A PNG, which becomes a WebP at most 1280 pixels wide, about a third of its size; or a GIF,
        which stays as it is.

    Returns
    -------
    EmbeddedPicture
        In place of a file that is no picture any more, a sentence that says so.
    """
    try:
        return _embedded(Path(path))
    except (OSError, SyntaxError, ValueError) as error:
        return _sentence(f"{path} cannot be read ({error}). Delete it to have it made anew.")


def _sentence(text: str) -> EmbeddedPicture:
    """Draw a sentence."""
    width, height = 9 * len(text) + 20, 40
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        '<text x="10" y="25" font-family="monospace" font-size="14">'
        f"{html.escape(text)}</text></svg>"
    )
    return EmbeddedPicture(
        uri=_data_uri("image/svg+xml", drawn.encode()), width=width, height=height
    )


def _embedded(path: Path) -> EmbeddedPicture:
    from PIL import Image

    with Image.open(path) as image:
        if image.format == "GIF":
            width, height = image.size
            return EmbeddedPicture(
                uri=_data_uri("image/gif", path.read_bytes()), width=width, height=height
            )
        picture = image.convert("RGB")
    for quality, part in _EFFORTS:
        width = round(part * MAX_WIDTH)
        if picture.width > width:
            height = max(round(picture.height * width / picture.width), 1)
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=quality, method=_EFFORT)
        if stream.tell() <= _ENOUGH_BYTES:
            break
    return EmbeddedPicture(
        uri=_data_uri("image/webp", stream.getvalue()), width=picture.width, height=picture.height
    )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
