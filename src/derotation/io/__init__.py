"""Reading movies, analog signals and stimulus tables; writing files that are whole."""

from derotation.io.files import (
    natural_sort,
    save_npz,
    whole_file,
    whole_files,
    write_json,
    write_text,
)
from derotation.io.movie import Movie, MovieMetadata, open_movie
from derotation.io.signals import ROLES, AnalogSignals, open_signals
from derotation.io.stimulus import Stimulus, read_stimulus
from derotation.io.tiff_writer import TiffStackWriter

__all__ = [
    "ROLES",
    "AnalogSignals",
    "Movie",
    "MovieMetadata",
    "Stimulus",
    "TiffStackWriter",
    "natural_sort",
    "open_movie",
    "open_signals",
    "read_stimulus",
    "save_npz",
    "whole_file",
    "whole_files",
    "write_json",
    "write_text",
]
