"""The directories of a TIFF file, one per page, and their tags."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from derotation.errors import MovieError

# TIFF tags that are needed, by their number in the standard.
SUBFILE_TYPE = 254
WIDTH, HEIGHT, BITS, COMPRESSION = 256, 257, 258, 259
FILL_ORDER, DESCRIPTION, SAMPLES = 266, 270, 277
X_RESOLUTION, SOFTWARE, ARTIST, PREDICTOR, SAMPLE_FORMAT = 282, 305, 315, 317, 339
STRIP_OFFSETS, STRIP_COUNTS = 273, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
DEPTH, METAMORPH = 32997, 33629
# Code for struct of a type of integers, by the type's number in the standard.
INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
TEXT_TYPES = (1, 2, 7)
RATIONAL = 5
# A directory of pages is read with one call unless it has more tags than fit in here.
DIRECTORY_BYTES = 1024
SCANIMAGE_MAGIC = 117637889
# A description of a million planes has a tenth of this.
MOST_TEXT_BYTES = 2**30
COPY_ADVICE = "Copy the file again from its source, or record the session again."


class opened:  # noqa: N801
    """Opens a file, and turns what reading it raises into errors that name it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> BinaryIO:
        path = self._path
        if path.is_dir():
            raise MovieError(
                f"{path} is a folder; give a TIFF file, or all TIFF files of the folder as "
                f"{path / '*.tif'}."
            )
        try:
            self._stream = path.open("rb")
        except FileNotFoundError:
            raise MovieError(f"{path} does not exist; check the path of the movie.") from None
        except (OSError, ValueError) as error:
            # ValueError: a name that holds a zero byte.
            why = getattr(error, "strerror", None) or error
            raise MovieError(f"{path} cannot be opened ({why}).") from error
        return self._stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        if isinstance(error, OSError | struct.error):
            why = getattr(error, "strerror", None) or error
            raise MovieError(
                f"{self._path} cannot be read as a TIFF ({why}). It may be cut off or damaged. "
                f"{COPY_ADVICE}"
            ) from error


Tags = dict[int, bytes]


class Directories:
    """Follows the chain of directories of one open file, and reads their tags."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        head = stream.read(16)
        if not head:
            raise MovieError(f"{path} is empty (0 bytes). {COPY_ADVICE}")
        if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise MovieError(f"{path} is not a TIFF file (it begins with {head[:4]!r}).")
        self._order = "<" if head[:2] == b"II" else ">"
        self._big = b"+" in head[:4]
        # struct's codes for a count of tags, for an offset, and where a tag's value lies.
        self._count = self._order + ("Q" if self._big else "H")
        self._wide = self._order + ("Q" if self._big else "I")
        self._value_at = 12 if self._big else 8
        self._start = int(
            struct.unpack_from(self._wide, head.ljust(16, b"\0"), self._value_at - 4)[0]
        )
        if not 0 < self._start < self._size:
            # Some programs write the pages' directories behind the pixels.
            raise MovieError(
                f"{path} is cut off: 0 whole pages found; the first is described at byte "
                f"{self._start}, but the file ends at byte {self._size}. {COPY_ADVICE}"
            )
        self._cut: str | None = None
        # Where the directory should be that is missing; 0 if none is.
        self._broken_at = 0

    def description_at(self, offset: int) -> str:
        """Return the ImageDescription of the page whose directory begins at an offset."""
        for _, tags in self._directories(offset):
            return self.text(tags, DESCRIPTION)
        return ""

    def first(self) -> tuple[int, Tags]:
        """Return offset and tags of the first directory."""
        for found in self._directories():
            return found
        raise MovieError(f"{self._path} holds no page ({self._cut or 'no tags'}). {COPY_ADVICE}")

    def software(self, tags: Tags) -> str:
        """Return the Software tag, or the text that ScanImage puts before a BigTIFF's pages."""
        return self.text(tags, SOFTWARE) or self._static_header()

    def text(self, tags: Tags, tag: int) -> str:
        """Return the text of a tag, empty if there is none."""
        entry = tags.get(tag)
        if entry is None:
            return ""
        kind, count = self._kind_and_count(entry)
        if kind not in TEXT_TYPES or not count:
            return ""
        raw = self._raw(entry, count)
        if raw is None:
            return ""
        raw = raw.rstrip(b"\0 \r\n\t")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("cp1252", errors="replace")

    def _raw(self, entry: bytes, n_bytes: int) -> bytes | None:
        """Return the bytes of a tag's value; None if they cannot be there."""
        if n_bytes <= len(entry) - self._value_at:
            return entry[self._value_at : self._value_at + n_bytes]
        (place,) = struct.unpack_from(self._wide, entry, self._value_at)
        if n_bytes > MOST_TEXT_BYTES or place + n_bytes > self._size:
            return None
        self._stream.seek(place)
        raw = self._stream.read(n_bytes)
        return raw if len(raw) == n_bytes else None

    def _kind_and_count(self, entry: bytes) -> tuple[int, int]:
        """Return the type of a tag's values and their number."""
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        (count,) = struct.unpack_from(self._wide, entry, 4)
        return int(kind), int(count)

    def _static_header(self) -> str:
        """Return the text that ScanImage puts in front of a BigTIFF's first page, or nothing."""
        if not self._big:
            return ""
        self._stream.seek(16)
        head = self._stream.read(16)
        if len(head) < 16:
            return ""
        magic, _, n_bytes, _ = struct.unpack(f"{self._order}4I", head)
        if magic != SCANIMAGE_MAGIC or n_bytes > self._size:
            return ""
        return self._stream.read(n_bytes).rstrip(b"\0").decode("utf-8", errors="replace")

    def _directories(self, start: int | None = None) -> Iterator[tuple[int, Tags]]:
        """Yield offset and raw tags of each directory; stop where the file was cut off."""
        self._cut = None
        count_bytes, next_bytes = struct.calcsize(self._count), struct.calcsize(self._wide)
        entry_bytes = 20 if self._big else 12
        tag_code = struct.Struct(self._order + "H")
        offset, n_found = self._start if start is None else start, 0
        milestone, until = -1, 1
        while offset:
            if offset + count_bytes > self._size:
                self._broken_at = offset
                self._end(f"page {n_found + 1} should begin at byte {offset}")
                return
            self._stream.seek(offset)
            block = self._stream.read(DIRECTORY_BYTES)
            (n_tags,) = struct.unpack_from(self._count, block)
            n_bytes = count_bytes + n_tags * entry_bytes + next_bytes
            if offset + n_bytes > self._size:
                self._broken_at = offset
                self._end(f"page {n_found + 1} begins at byte {offset}")
                return
            if n_tags == 0:
                self._cut = (
                    f"where page {n_found + 1} should begin, at byte {offset} of {self._size}, "
                    "there is nothing but zeros: the file is not complete"
                )
                return
            if n_bytes > len(block):
                block += self._stream.read(n_bytes - len(block))
            entries = (
                block[start : start + entry_bytes]
                for start in range(count_bytes, n_bytes - next_bytes, entry_bytes)
            )
            yield offset, {tag_code.unpack_from(entry)[0]: entry for entry in entries}
            n_found += 1
            # A damaged chain may bite its own tail; this notices without a list of all offsets.
            if n_found == until:
                milestone, until = offset, until * 2
            (offset,) = struct.unpack_from(self._wide, block, n_bytes - next_bytes)
            if offset == milestone:
                raise MovieError(
                    f"{self._path} is damaged: after page {n_found} its pages begin again. "
                    f"{COPY_ADVICE}"
                )

    def _end(self, what: str) -> None:
        """Remember that the file ends too early."""
        self._cut = f"{what}, but the file ends at byte {self._size}"

    def _value(self, tags: Tags, tag: int, default: int) -> int:
        """Return the first value of an integer tag that lies inside its entry."""
        entry = tags.get(tag)
        if entry is None:
            return default
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        if kind not in INTEGER_TYPES:
            return default
        return int(struct.unpack_from(self._order + INTEGER_TYPES[kind], entry, self._value_at)[0])
