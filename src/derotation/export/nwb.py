"""A session as one NWB file: both movies, the angle of each line, and how it was derotated."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation import __version__
from derotation.calibration.calibration import Calibration
from derotation.errors import PYNWB_MISSING, InputError
from derotation.io.files import whole_file
from derotation.io.movie import Movie
from derotation.io.results import check_arrays, read_npz
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from pynwb import NWBFile

__all__ = ["CellTraces", "PlaneMovies", "cells_of_file", "export_nwb"]

Where = Literal["external", "inside"]

_UNKNOWN = "unknown"
_TRACES = ("fluorescence", "neuropil", "dff", "time_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneMovies:
    """One plane of a session, before and after."""

    recorded: Movie
    """As it was recorded, in the channel that calibrates."""
    derotated: Movie
    """The same, derotated."""
    angles: Angles
    """Angles of all its lines, shifted by the calibration's lag."""
    further: Sequence[tuple[Movie, Movie]] = ()
    """The movie before and after of each further channel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellTraces:
    """ROIs of the derotated movie and their traces, as ``cells.npz`` holds them."""

    roi: NDArray[np.int64]
    """What each is called, shape (n,)."""
    masks: tuple[NDArray[np.float64], ...]
    """Column, row and weight of the pixels of each, shape (p, 3)."""
    traces: Mapping[str, NDArray[Any]]
    """``fluorescence``, ``neuropil``, ``dff`` and ``time_s``, shape (n, frame) each."""
    flags: Mapping[str, NDArray[np.bool_]]
    """What is said of each ROI, shape (n,) each."""


def cells_of_file(path: str | Path) -> CellTraces:
    """Read what the step ``measure_cells`` wrote.

    Raises
    ------
    InputError
        If the file holds something else.
    """
    arrays = read_npz(path, "the cells of a session")
    axes: dict[str, tuple[str, ...]] = {"roi": ("roi",)}
    axes |= dict.fromkeys(_TRACES, ("roi", "frame"))
    axes |= dict.fromkeys(("angle_tuned", "velocity_tuned"), ("roi",))
    pixel = ("mask_column", "mask_row", "mask_weight")
    axes |= dict.fromkeys(("mask_roi", *pixel), ("pixel",))
    check_arrays(path, arrays, axes)
    masks = np.stack([arrays[name].astype(np.float64) for name in pixel], axis=1)
    return CellTraces(
        roi=arrays["roi"],
        masks=tuple(masks[arrays["mask_roi"] == one] for one in arrays["roi"]),
        traces={name: arrays[name] for name in _TRACES},
        flags={name: arrays[name].astype(np.bool_) for name in ("angle_tuned", "velocity_tuned")},
    )


def export_nwb(
    path: str | Path,
    *,
    session: str,
    recorded: Movie,
    derotated: Movie,
    angles: Angles,
    calibration: Calibration,
    motion: Motion | None = None,
    cells: CellTraces | None = None,
    movies: Where = "external",
    further: Sequence[tuple[Movie, Movie]] = (),
    planes: Sequence[PlaneMovies] = (),
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a session as an NWB file.

    Parameters
    ----------
    path : path
        The file to be written, whole or not at all.
    session : str
        The session's name.
    recorded, derotated : Movie
        The movie before and after.
    angles : Angles
        Angles of all lines, shifted by the calibration's lag.
    calibration : Calibration
        What the movie was derotated with.
    motion : Motion, optional
        How the sample moved during the session.
    cells : CellTraces, optional
        ROIs of the derotated movie: their masks and traces become a `PlaneSegmentation` and
        `RoiResponseSeries`; when each ROI was scanned is a further one, ``roi_time``.
    movies : {"external", "inside"}
        external: the file names the TIFFs, relative to its own folder; inside: it holds the pixels,
        as NWB wants them: (frame, column, row).
    further : sequence of pairs of Movie, optional
        The movie before and after of each further channel: ``raw_ch2`` and ``derotated_ch2``.
    planes : sequence of PlaneMovies, optional
        Further planes, each with an imaging plane and angles of its own: ``raw_plane2``,
        ``derotated_plane2``, ``line_angle_plane2`` and ``ImagingPlane_plane2``.
    settings : mapping, optional
        The configuration, for the record.

    Raises
    ------
    InputError
        If pynwb is not installed, or if movies and angles do not belong together.

    Notes
    -----
    Times are seconds of the analog recording. NWB asks for things that nobody told the workflow:
    indicator, place and wavelength are "unknown" (NaN), and the start of the session is the time at
    which the first raw file was last changed, as `notes` in the file say.
    """
    if find_spec("pynwb") is None:
        msg = f"{path}: {PYNWB_MISSING}"
        raise InputError(msg)
    first = PlaneMovies(recorded=recorded, derotated=derotated, angles=angles, further=further)
    for part in (first, *planes):
        _check_lengths(path, part)
    with warnings.catch_warnings():
        # The packages behind pynwb announce changes of their own.
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO

        file = _new_file(session, recorded)
        target = Path(path).resolve()
        _add_plane(file, first, "", movies, target.parent)
        for part in planes:
            _add_plane(file, part, f"_plane{part.recorded.plane}", movies, target.parent)
        if motion is not None:
            _module(file).add(_motion_correction(motion, file))
        if cells is not None and len(cells.roi):
            _add_cells(file, cells, first)
        _module(file).add(_calibration_table(calibration))
        _module(file).add(_provenance_table(calibration, recorded, settings))
        with whole_file(target) as temporary, NWBHDF5IO(str(temporary), "w") as io:
            io.write(file)


def _check_lengths(path: str | Path, part: PlaneMovies) -> None:
    """Refuse movies and angles that are not of the same frames."""
    for before, after in [(part.recorded, part.derotated), *part.further]:
        if not len(before) == len(after) == len(part.angles.frame_start):
            msg = (
                f"{path}: {len(before)} recorded and {len(after)} derotated frames do not belong "
                f"to angles of {len(part.angles.frame_start)} frames; run the steps before again"
            )
            raise InputError(msg)


def _add_plane(
    file: "NWBFile", part: PlaneMovies, suffix: str, movies: Where, folder: Path
) -> None:
    """Add the movies of one plane and the angles of its lines."""
    plane = _imaging_plane(file, part, suffix)
    pairs = [("", part.recorded, part.derotated)]
    pairs += [(f"_ch{before.channel}", before, after) for before, after in part.further]
    for channel, before, after in pairs:
        where = f"channel {before.channel}, plane {before.plane} of the files"
        for name, movie, what in (
            ("raw", before, f"as recorded; {where}"),
            ("derotated", after, f"every line put back in its place; {where}"),
        ):
            there = _external(movie, folder) if movies == "external" else _inside(movie)
            name_of = f"{name}{suffix}{channel}"
            series = _series(name_of, what, movie, plane, part.angles, there)
            file.add_acquisition(series) if name == "raw" else _module(file).add(series)
    _add_angles(_module(file), part.angles, suffix)


def _new_file(session: str, recorded: Movie) -> "NWBFile":
    from pynwb import NWBFile

    first = recorded.paths[0]
    start = datetime.fromtimestamp(first.stat().st_mtime).astimezone()
    return NWBFile(
        session_description=f"Recording of a sample that was turned: {session}",
        identifier=session,
        session_id=session,
        session_start_time=start,
        notes=(
            f"session_start_time is the time at which {first.name} was last changed. Times are "
            "seconds of the analog recording."
        ),
    )


def _imaging_plane(file: "NWBFile", part: PlaneMovies, suffix: str) -> Any:
    from pynwb.ophys import OpticalChannel

    recorded = part.recorded
    size = recorded.metadata.pixel_size_um
    spacing = {} if size is None else {"grid_spacing": [size] * 2, "grid_spacing_unit": "um"}
    channels = ["OpticalChannel"]
    channels += [f"OpticalChannel_ch{movie.channel}" for movie, _ in part.further]
    return file.create_imaging_plane(
        name=f"ImagingPlane{suffix}",
        description=f"channel {recorded.channel}, plane {recorded.plane}",
        optical_channel=[
            OpticalChannel(name=name, description=_UNKNOWN, emission_lambda=np.nan)
            for name in channels
        ],
        device=_microscope(file, recorded),
        excitation_lambda=np.nan,
        imaging_rate=float(part.angles.frame_rate),
        indicator=_UNKNOWN,
        location=_UNKNOWN,
        **spacing,
    )


def _microscope(file: "NWBFile", recorded: Movie) -> Any:
    """Return the one device of the file."""
    if "Microscope" in file.devices:
        return file.devices["Microscope"]
    software = recorded.metadata.software or _UNKNOWN
    return file.create_device(name="Microscope", description=f"software: {software}")


def _module(file: "NWBFile") -> Any:
    if "derotation" not in file.processing:
        file.create_processing_module(
            name="derotation", description="The movie that stands still, and how it was made"
        )
    return file.processing["derotation"]


def _external(movie: Movie, folder: Path) -> dict[str, Any]:
    """Name a movie's files as seen from a folder."""
    files = [os.path.relpath(file.resolve(), folder) for file in movie.paths]
    return {
        "external_file": files,
        "format": "external",
        "starting_frame": np.searchsorted(movie.file_of_frame, np.arange(len(files))).tolist(),
    }


def _inside(movie: Movie) -> dict[str, Any]:
    """Stream a movie's pixels."""
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.data_utils import DataChunkIterator

    n_frames, height, width = movie.shape

    def frames() -> Iterator[NDArray[Any]]:
        for _, block in movie.chunks():
            yield from block.transpose(0, 2, 1)

    content = DataChunkIterator(
        data=frames(), maxshape=(n_frames, width, height), dtype=movie.dtype, buffer_size=16
    )
    return {"data": H5DataIO(content, chunks=(1, width, height))}


def _series(
    name: str, what: str, movie: Movie, plane: Any, angles: Angles, content: Mapping[str, Any]
) -> Any:
    from pynwb.ophys import TwoPhotonSeries

    _, height, width = movie.shape
    return TwoPhotonSeries(
        name=name,
        description=f"The movie, {what}",
        imaging_plane=plane,
        unit="gray values",
        dimension=[width, height],
        timestamps=angles.frame_start / angles.sampling_rate,
        **content,
    )


def _add_angles(module: Any, angles: Angles, suffix: str) -> None:
    from pynwb import TimeSeries

    start = angles.line_start.ravel() / angles.sampling_rate
    module.add(
        TimeSeries(
            name=f"line_angle{suffix}",
            description=(
                "Angle by which each line was turned back, at the "
                f"{angles.line_reference} of its active part: positive if the sample had turned "
                "clockwise on a screen; NaN where it is not known. Times are the starts of lines."
            ),
            data=angles.line_angles.ravel(),
            unit="degrees",
            timestamps=start,
            comments=f"{angles.line_angles.shape[1]} lines per frame",
        )
    )


def _motion_correction(motion: Motion, file: "NWBFile") -> Any:
    """Tell the displacement over time, with the movie before and after."""
    from pynwb import TimeSeries
    from pynwb.image import ImageSeries
    from pynwb.ophys import CorrectedImageStack, MotionCorrection

    derotated = _module(file)["derotated"]
    # The same pixels under the name that the format asks for.
    if derotated.external_file is None:
        content: dict[str, Any] = {"data": derotated}
    else:
        names = ("external_file", "starting_frame", "format")
        content = {name: getattr(derotated, name) for name in names}

    applied = "it was undone" if motion.corrected else "too little to be undone"
    moved = TimeSeries(
        name="xy_translation",
        description=f"Displacement (x, y) of the sample in its own plane; {applied}",
        data=np.stack([motion.x, motion.y], axis=1),
        unit="px",
        timestamps=motion.time_s,
    )
    corrected = ImageSeries(
        name="corrected",
        description="The derotated movie",
        unit=derotated.unit,
        timestamps=derotated,
        dimension=derotated.dimension,
        **content,
    )
    stack = CorrectedImageStack(
        corrected=corrected,
        original=file.acquisition["raw"],
        xy_translation=moved,
    )
    return MotionCorrection(corrected_image_stacks=[stack])


def _add_cells(file: "NWBFile", cells: CellTraces, part: PlaneMovies) -> None:
    """Add the masks and traces of ROIs, at the times of frames and at their own."""
    from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, RoiResponseSeries

    times = part.angles.frame_start / part.angles.sampling_rate
    if cells.traces["dff"].shape[1] != len(times):
        msg = (
            f"the cells have traces of {cells.traces['dff'].shape[1]} frames, but the movie has "
            f"{len(times)}; run measure_cells again"
        )
        raise InputError(msg)
    segmentation = ImageSegmentation()
    plane = segmentation.create_plane_segmentation(
        name="PlaneSegmentation",
        description="ROIs in the derotated movie, numbered as in cells.csv",
        imaging_plane=file.imaging_planes["ImagingPlane"],
    )
    for number, mask in zip(cells.roi.tolist(), cells.masks, strict=True):
        plane.add_roi(id=int(number), pixel_mask=[(int(x), int(y), float(w)) for x, y, w in mask])
    for name, values in cells.flags.items():
        plane.add_column(name, f"Whether the cell is called so: {name}", data=values.tolist())
    module = _module(file)
    module.add(segmentation)
    every = list(range(len(cells.roi)))

    def series(name: str, what: str, unit: str, trace: str) -> Any:
        return RoiResponseSeries(
            name=name,
            description=what,
            data=cells.traces[trace].T,
            unit=unit,
            rois=plane.create_roi_table_region("all ROIs", region=every),
            timestamps=times,
        )

    unseen = "; NaN where too little was seen"
    module.add(
        Fluorescence(
            roi_response_series=[
                series("fluorescence", f"Of the ROIs{unseen}", "gray values", "fluorescence"),
                series("neuropil", f"Of the rings around them{unseen}", "gray values", "neuropil"),
                series(
                    "roi_time",
                    "When each ROI was scanned in each frame, seconds of the analog recording",
                    "s",
                    "time_s",
                ),
            ]
        )
    )
    module.add(
        DfOverF(roi_response_series=[series("dff", f"Change of fluorescence{unseen}", "1", "dff")])
    )


def _calibration_table(calibration: Calibration) -> Any:
    units = {
        "center_x": ("px", calibration.center[0]),
        "center_y": ("px", calibration.center[1]),
        "plane_angle": ("degrees", calibration.plane_angle),
        "plane_orientation": ("degrees", calibration.plane_orientation),
        "lag": ("ms", calibration.lag_ms),
    }
    rows = [(name, value, unit) for name, (unit, value) in units.items()]
    return _table(
        "calibration",
        f"Center and plane of rotation. {calibration.statement}",
        {"quantity": "What was estimated", "value": "Its value", "unit": "Its unit"},
        rows,
    )


def _provenance_table(
    calibration: Calibration, recorded: Movie, settings: Mapping[str, Any] | None
) -> Any:
    said = {
        "software": f"derotation-workflow {__version__}",
        "raw files": json.dumps([file.name for file in recorded.paths]),
        "calibration": json.dumps(asdict(calibration), default=str),
        "configuration": json.dumps(settings or {}, default=str),
    }
    return _table(
        "provenance",
        "Where the derotated movie comes from; calibration and configuration as JSON",
        {"item": "What is told", "content": "Its content"},
        [*said.items()],
    )


def _table(
    name: str, description: str, columns: Mapping[str, str], rows: list[tuple[Any, ...]]
) -> Any:
    from hdmf.common import DynamicTable, VectorData

    filled = [
        VectorData(name=column, description=meaning, data=[row[k] for row in rows])
        for k, (column, meaning) in enumerate(columns.items())
    ]
    return DynamicTable(name=name, description=description, columns=filled)
