"""Traces of many ROIs over many frames in files, so that memory does not grow with either."""

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.io.files import npz_entry, whole_file

__all__ = ["TraceFiles"]


class TraceFiles:
    """Arrays (ROI, frame) that are written by frames and read by ROIs.

    They lie in a temporary folder until the end of the ``with`` block.

    Parameters
    ----------
    folder : path
        Where the temporary folder is made: beside the result, where there is room for it.
    kinds : mapping of str to dtype
        The arrays by name.
    n_rois, n_frames : int
        Their shape.
    """

    def __init__(
        self, folder: str | Path, kinds: Mapping[str, Any], n_rois: int, n_frames: int
    ) -> None:
        self.shape = (n_rois, n_frames)
        self._kinds = {name: np.dtype(kind) for name, kind in kinds.items()}
        self._folder = Path(folder)
        self._stack = contextlib.ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(
                tempfile.TemporaryDirectory(prefix=".cells-", dir=self._folder)
            )
            for name, kind in self._kinds.items():
                file = stack.enter_context(Path(place, name).open("w+b", buffering=0))
                file.truncate(self.shape[0] * self.shape[1] * kind.itemsize)
                self._files[name] = file
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, name: str, first: int, block: NDArray[Any]) -> None:
        """Write the values (ROI, n) of the frames from `first` on."""
        kind, file = self._kinds[name], self._files[name]
        values = np.ascontiguousarray(block, kind)
        for k, row in enumerate(values):
            file.seek((k * self.shape[1] + first) * kind.itemsize)
            file.write(row.data)

    def write_row(self, name: str, roi: int, values: NDArray[Any]) -> None:
        """Write all frames of a ROI."""
        kind, file = self._kinds[name], self._files[name]
        file.seek(roi * self.shape[1] * kind.itemsize)
        file.write(np.ascontiguousarray(values, kind).data)

    def row(self, name: str, roi: int) -> NDArray[np.float64]:
        """Read all frames of a ROI."""
        kind, file = self._kinds[name], self._files[name]
        file.seek(roi * self.shape[1] * kind.itemsize)
        content = file.read(self.shape[1] * kind.itemsize)
        return np.frombuffer(content, kind).astype(np.float64)

    def save(self, path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
        """Write an uncompressed ``.npz`` with these traces and further arrays, whole or not."""
        with (
            whole_file(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            for name, array in arrays.items():
                with archive.open(npz_entry(name), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
            for name, kind in self._kinds.items():
                about = {"descr": kind.str, "fortran_order": False, "shape": self.shape}
                with archive.open(npz_entry(name), "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_1_0(entry, about)
                    self._files[name].seek(0)
                    shutil.copyfileobj(self._files[name], entry, 1 << 20)
