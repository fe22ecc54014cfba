"""Columns of numbers in files of other programs: HDF5, MATLAB, TDMS, text.

These functions run in the worker of :mod:`derotation.io.isolated`, since the libraries that read
such files may crash on damaged ones. What is read goes, a stretch at a time, into a plain file that
the caller maps into memory.
"""

from derotation.io.foreign.listing import TABLE, Column, Listing
from derotation.io.foreign.unpack import KINDS, list_columns, unpack_columns, unpack_stretches

__all__ = [
    "KINDS",
    "TABLE",
    "Column",
    "Listing",
    "list_columns",
    "unpack_columns",
    "unpack_stretches",
]
