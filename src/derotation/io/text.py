"""Text in the encodings that spreadsheets and other programs write."""

import codecs

__all__ = ["decode_text", "text_encoding"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_encoding(head: bytes) -> str:
    """Tell the encoding of a text by its beginning.

    Parameters
    ----------
    head
        Some or all of its bytes.

    Returns
    -------
    str
        UTF-8 where that can be; UTF-16 and UTF-32 by their mark, UTF-16 also by its zeros; else
        Windows-1252, which has the characters of Latin-1.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if head[1:2] == b"\0" and head[:1] != b"\0":
        return "utf-16-le"
    if head[:1] == b"\0" and head[1:2] != b"\0":
        return "utf-16-be"
    try:
        # A character may be cut at the end of the piece that was read.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def decode_text(content: bytes) -> str:
    """Decode a whole text.

    Raises
    ------
    UnicodeDecodeError
        If it is no text in any of the encodings.
    """
    return content.decode(text_encoding(content)).removeprefix("\ufeff")
