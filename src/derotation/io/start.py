"""When a recording began, as its own files say."""

import contextlib
import re
from datetime import datetime, timedelta
from pathlib import Path

__all__ = ["recording_start"]

# ScanImage: numbers of year, month, day, hour, minute and seconds.
_EPOCH = re.compile(r"^[ \t]*epoch[ \t]*=[ \t]*\[([\d.,;\s]+)\]", re.MULTILINE)
_OME = re.compile(r"<(?:\w+:)?AcquisitionDate>\s*([^<\s]+)\s*<")
_PRAIRIE = re.compile(r"<PVScan\b[^>]*\bdate=\"([^\"]+)\"")
_PRAIRIE_FORMATS = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S")
_MOST_BYTES = 65536


def recording_start(path: Path) -> datetime | None:
    """Tell when a recording began.

    Parameters
    ----------
    path : Path
        The first file of the movie.

    Returns
    -------
    datetime or None
        With a time zone if the file names one. None if the file does not say it: what cannot be
        read here is no fault, since nothing but the record depends on it.
    """
    with contextlib.suppress(Exception):
        if path.suffix.lower() == ".nwb":
            return _of_nwb(path)
        if path.suffix.lower() in (".tif", ".tiff"):
            return _of_text(_description(path)) or _of_prairie(path.parent)
    return None


def _description(path: Path) -> str:
    import tifffile

    with tifffile.TiffFile(path) as file:
        return str(file.pages.first.description)


def _of_text(text: str) -> datetime | None:
    epoch = _EPOCH.search(text)
    if epoch:
        numbers = [float(number) for number in re.findall(r"[\d.]+", epoch[1])]
        year, month, day, hour, minute, second = numbers
        whole = datetime(int(year), int(month), int(day), int(hour), int(minute))
        return whole + timedelta(seconds=second)
    ome = _OME.search(text)
    return datetime.fromisoformat(ome[1]) if ome else None


def _of_prairie(folder: Path) -> datetime | None:
    for file in sorted(folder.glob("*.xml")):
        with file.open("rb") as stream:
            found = _PRAIRIE.search(stream.read(_MOST_BYTES).decode("utf-8", "replace"))
        for form in _PRAIRIE_FORMATS if found else ():
            with contextlib.suppress(ValueError):
                return datetime.strptime(found[1], form)  # type: ignore[index]
    return None


def _of_nwb(path: Path) -> datetime:
    import h5py

    with h5py.File(path, "r") as file:
        return datetime.fromisoformat(file["session_start_time"][()].decode())
