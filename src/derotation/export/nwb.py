"""A session as one NWB file: both movies, the angle of each line, and how it was derotated."""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from derotation import __version__
from derotation.calibration.calibration import Calibration
from derotation.errors import PYNWB_MISSING, InputError
from derotation.io.files import whole_file
from derotation.io.movie import Movie
from derotation.io.results import check_arrays, read_npz
from derotation.io.start import recording_start
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from pynwb import NWBFile

__all__ = ["CellTraces", "PlaneMovies", "cells_of_file", "export_nwb"]

logger = logging.getLogger(__name__)

Where = Literal["external", "inside"]
Told = Mapping[str, Any]

_UNKNOWN = "unknown"
_TRACES = ("fluorescence", "neuropil", "dff", "time_s")
_SUBJECT = ("subject_id", "species", "sex", "age", "date_of_birth", "genotype", "strain", "weight")


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
    about: Mapping[str, Any] | None = None,
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
    about : mapping, optional
        What the section ``nwb`` of the configuration says about the experiment.
    settings : mapping, optional
        The configuration, for the record.

    Raises
    ------
    InputError
        If pynwb is not installed, or if movies and angles do not belong together.

    Notes
    -----
    Times are seconds of the analog recording. What nobody told (indicator, place, wavelength) is
    "unknown" or NaN; the start of the session is told by `about`, by the movie's files, or else by
    the time at which the first of them was last changed, as `notes` in the file say. A file without
    the subject's id, species, sex and age is valid, but DANDI does not take it: that is logged.
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

        told = {key: value for key, value in (about or {}).items() if value not in (None, [])}
        file = _new_file(session, recorded, told)
        target = Path(path).resolve()
        _add_plane(file, first, "", movies, target.parent, told)
        for part in planes:
            suffix = f"_plane{part.recorded.plane}"
            _add_plane(file, part, suffix, movies, target.parent, told)
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
    file: "NWBFile", part: PlaneMovies, suffix: str, movies: Where, folder: Path, told: Told
) -> None:
    """Add the movies of one plane and the angles of its lines."""
    plane = _imaging_plane(file, part, suffix, told)
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


def _new_file(session: str, recorded: Movie, told: Told) -> "NWBFile":
    from pynwb import NWBFile
    from pynwb.file import Subject

    start, source = _session_start(recorded, told)
    described = ("experiment_description", "experimenter", "institution", "lab", "keywords",
                 "related_publications")  # fmt: skip
    file = NWBFile(
        session_description=told.get(
            "session_description", f"Recording of a sample that was turned: {session}"
        ),
        identifier=session,
        session_id=session,
        session_start_time=start,
        notes=f"session_start_time is {source}. Times are seconds of the analog recording.",
        **{key: told[key] for key in described if key in told},
    )
    subject = {key: told[key] for key in _SUBJECT if key in told}
    if "subject_description" in told:
        subject["description"] = told["subject_description"]
    if "date_of_birth" in subject:
        born = datetime.fromisoformat(subject["date_of_birth"])
        subject["date_of_birth"] = _in_zone(born, told)
    if subject:
        file.subject = Subject(**subject)
    needed = [key for key in ("subject_id", "species", "sex") if key not in subject]
    if not subject.keys() & {"age", "date_of_birth"}:
        needed.append("age")
    if needed:
        logger.warning(
            "The NWB file is valid, but the archive DANDI asks for more about the subject: %s. "
            "Say it in the section nwb of the configuration or in columns of the sample sheet "
            "(nwb_%s).",
            ", ".join(needed),
            needed[0],
        )
    return file


def _session_start(recorded: Movie, told: Told) -> tuple[datetime, str]:
    """Tell when the session began, and where that is from."""
    first = recorded.paths[0]
    if "session_start" in told:
        return _in_zone(datetime.fromisoformat(told["session_start"]), told), "as it was given"
    found = recording_start(first)
    if found is not None:
        return _in_zone(found, told), f"as {first.name} says"
    changed = datetime.fromtimestamp(first.stat().st_mtime).astimezone()
    return changed, f"the time at which {first.name} was last changed"


def _in_zone(moment: datetime, told: Told) -> datetime:
    """Take a time without a zone as one of the clock's own place."""
    if moment.tzinfo is not None:
        return moment
    if "time_zone" not in told:
        return moment.astimezone()
    try:
        return moment.replace(tzinfo=ZoneInfo(told["time_zone"]))
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = f"nwb.time_zone: there is no {told['time_zone']!r}; write it as Europe/London"
        raise InputError(msg) from error


def _imaging_plane(file: "NWBFile", part: PlaneMovies, suffix: str, told: Told) -> Any:
    from pynwb.ophys import OpticalChannel

    recorded = part.recorded
    size = recorded.metadata.pixel_size_um
    # Meters are what the format asks for.
    spacing = (
        {} if size is None else {"grid_spacing": [size * 1e-6] * 2, "grid_spacing_unit": "meters"}
    )
    channels = ["OpticalChannel"]
    channels += [f"OpticalChannel_ch{movie.channel}" for movie, _ in part.further]
    return file.create_imaging_plane(
        name=f"ImagingPlane{suffix}",
        description=f"channel {recorded.channel}, plane {recorded.plane}",
        optical_channel=[
            OpticalChannel(
                name=name,
                description=told.get("optics", _UNKNOWN),
                emission_lambda=float(told.get("emission_nm", np.nan)),
            )
            for name in channels
        ],
        device=_microscope(file, recorded, told),
        excitation_lambda=float(told.get("excitation_nm", np.nan)),
        imaging_rate=float(part.angles.frame_rate),
        indicator=told.get("indicator", _UNKNOWN),
        location=told.get("location", _UNKNOWN),
        **spacing,
    )


def _microscope(file: "NWBFile", recorded: Movie, told: Told) -> Any:
    """Return the one device of the file."""
    if "Microscope" in file.devices:
        return file.devices["Microscope"]
    software = f"software: {recorded.metadata.software or _UNKNOWN}"
    described = "; ".join(filter(None, (told.get("microscope"), software)))
    return file.create_device(name="Microscope", description=described)


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
    times = _times(angles.frame_start / angles.sampling_rate)
    if "rate" in times and "external_file" in content:
        times["num_samples"] = len(movie)
    return TwoPhotonSeries(
        name=name,
        description=f"The movie, {what}",
        imaging_plane=plane,
        unit="gray values",
        dimension=[width, height],
        **times,
        **content,
    )


def _times(times: NDArray[np.float64]) -> dict[str, Any]:
    """Tell times (s) by the first one and a rate, as NWB wants it, if they are as regular."""
    steps = np.diff(times)
    if not len(steps) or np.ptp(np.round(steps, 9)) > 0 or steps[0] <= 0:
        return {"timestamps": times}
    rate = len(steps) / float(times[-1] - times[0])
    return {"starting_time": float(times[0]), "rate": rate}


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
            **_times(start),
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
        **_times(motion.time_s),
    )
    if derotated.rate is None:
        when: dict[str, Any] = {"timestamps": derotated}
    else:
        when = {"starting_time": derotated.starting_time, "rate": derotated.rate}
        if derotated.external_file is not None:
            when["num_samples"] = derotated.num_samples
    corrected = ImageSeries(
        name="corrected",
        description="The derotated movie",
        unit=derotated.unit,
        **when,
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
        "raw files": [file.name for file in recorded.paths],
        "calibration": asdict(calibration),
        "configuration": settings or {},
    }
    return _table(
        "provenance",
        "Where the derotated movie comes from; keys of calibration and configuration, with dots "
        "between levels, and their values",
        {"item": "What is told", "content": "Its content; lists and numbers as JSON"},
        [pair for name, value in said.items() for pair in _flat(name, value)],
    )


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Take what holds others apart, since NWB wants no dictionaries in cells, not even as text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
        return
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if "{" not in text:
        yield name, text
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            yield from _flat(f"{name}.{k}", inner)
    else:
        try:
            held = json.loads(text)
        except ValueError:
            held = None
        if isinstance(held, dict | list):
            yield from _flat(name, held)
        else:
            yield name, text.replace("{", "(").replace("}", ")")


def _table(
    name: str, description: str, columns: Mapping[str, str], rows: list[tuple[Any, ...]]
) -> Any:
    from hdmf.common import DynamicTable, VectorData

    filled = [
        VectorData(name=column, description=meaning, data=[row[k] for row in rows])
        for k, (column, meaning) in enumerate(columns.items())
    ]
    return DynamicTable(name=name, description=description, columns=filled)
