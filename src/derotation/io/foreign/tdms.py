"""Columns of TDMS files of National Instruments."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.foreign.listing import Column, Listing, import_reader, positive_number

__all__ = ["TdmsColumns"]


class TdmsColumns:
    """TDMS files of National Instruments."""

    def __init__(self, path: Path, dataset: str | None) -> None:
        nptdms = import_reader("nptdms", "npTDMS", path)
        self._file = nptdms.TdmsFile.open(path)
        groups = self._file.groups()
        if dataset is not None:
            groups = [group for group in groups if group.name == dataset]
            if not groups:
                there = ", ".join(group.name for group in self._file.groups())
                raise InputError(f"{path}: there is no group '{dataset}'; found {there}.")
        channels = [
            channel
            for group in groups
            for channel in group.channels()
            if len(channel) and channel.dtype.kind in "biuf"
        ]
        if not channels:
            raise InputError(f"{path} holds no channels of numbers.")
        names = [channel.name for channel in channels]
        self._name = dataset or "/"
        self._channels = channels
        self._columns = [
            Column(
                name=c.name if names.count(c.name) == 1 else f"{c.group_name}/{c.name}",
                n_values=len(c),
            )
            for c in channels
        ]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def listing(self) -> Listing:
        """List the columns."""
        intervals = [positive_number(c.properties.get("wf_increment")) for c in self._channels]
        same = intervals[0] if len(set(intervals)) == 1 else None
        # Scaled values are doubles; four bytes hold what a converter knows.
        return Listing(
            dataset=self._name,
            columns=tuple(self._columns),
            dtype="f4",
            sampling_rate=1 / same if same else None,
        )

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give a stretch of each wanted column, with its index."""
        for index in wanted:
            yield index, self._channels[index].read_data(offset=start, length=stop - start)
