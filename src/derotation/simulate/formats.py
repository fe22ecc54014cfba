"""Movies and signals in the files of other programs, as rigs leave them.

Each function writes a stretch at a time. Files are written by the libraries that read them where
these can write; what Prairie View, ThorImage and Scanbox write beside their frames follows their
documentation and published examples.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, InputError

__all__ = ["MovieFormat", "MoviePlan", "SignalsTarget", "write_movie", "write_signals_as"]

MovieFormat = Literal["tif", "prairie", "thor_tif", "thor_raw", "scanbox", "h5", "nwb"]
SignalsTarget = Literal["h5", "wavesurfer", "tdms", "mat", "csv"]

Volumes = Iterable[NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoviePlan:
    """What the files say about a movie.

    Parameters
    ----------
    n_times, n_planes, n_channels
        Its sizes.
    shape
        Height and width of a frame, pixels.
    dtype
        Type of the pixels; integers of 16 bits where a program knows no others.
    frame_rate
        Frames per second, each plane being one.
    line_period_s
        Seconds from one line to the next.
    pixel_size_um
        Width of a pixel in micrometers.
    bidirectional
        Whether every second line is scanned backwards.
    """

    n_times: int
    shape: tuple[int, int]
    dtype: str = "uint16"
    n_planes: int = 1
    n_channels: int = 1
    frame_rate: float = 10.0
    line_period_s: float = 1e-3
    pixel_size_um: float = 1.0
    bidirectional: bool = False


def write_movie(path: Path, kind: MovieFormat, volumes: Volumes, plan: MoviePlan) -> Path:
    """Write a movie.

    Parameters
    ----------
    path
        The file (tif, scanbox, h5, nwb), or the folder, which is made (prairie, thor).
    kind
        The program whose files are wanted.
    volumes
        For each time an array of shape (n_planes, n_channels, height, width).
    plan
        What the files say.

    Returns
    -------
    Path
        What the sample sheet names as the movie.

    Raises
    ------
    InputError
        If there is no such format, or if it cannot hold the movie.
    ConfigError
        If a library is missing.
    """
    if kind not in _WRITERS:
        raise InputError(
            f"movie_format is '{kind}'; allowed are {', '.join(get_args(MovieFormat))}."
        )
    if kind in ("prairie", "thor_tif", "thor_raw", "scanbox") and np.dtype(plan.dtype) != "uint16":
        raise InputError(f"movie_format {kind} holds uint16 only, not {plan.dtype}.")
    if kind in ("h5", "nwb") and plan.n_channels > 1:
        raise InputError(f"movie_format {kind} holds one channel; write a file for each.")
    if kind == "h5" and plan.n_planes > 1:
        raise InputError("movie_format h5 holds one plane; write a file for each.")
    _WRITERS[kind](path, volumes, plan)
    return path


def _pages(volumes: Volumes) -> Iterator[NDArray[Any]]:
    """Give frame after frame, channels fastest."""
    for volume in volumes:
        for plane in volume:
            yield from plane


def _write_tif(path: Path, volumes: Volumes, plan: MoviePlan) -> None:
    import tifffile

    sizes = (plan.n_times, plan.n_planes, plan.n_channels)
    axes = "".join(a for a, n in zip("TZC", sizes, strict=True) if n > 1 or a == "T")
    shape = tuple(n for n in sizes[1:] if n > 1)
    tifffile.imwrite(
        path, _pages(volumes), shape=(plan.n_times, *shape, *plan.shape), dtype=plan.dtype,
        photometric="minisblack", metadata={"axes": axes + "YX"},
    )  # fmt: skip


def _write_prairie(folder: Path, volumes: Volumes, plan: MoviePlan) -> None:
    """Write one page per file; all descriptions name all files, as Prairie View 5 does it."""
    import tifffile

    folder.mkdir(parents=True, exist_ok=True)
    cycles, is_series = (plan.n_times, True) if plan.n_planes > 1 else (1, False)
    frames = plan.n_planes if is_series else plan.n_times

    def name(cycle: int, frame: int, channel: int) -> str:
        return f"{folder.name}_Cycle{cycle + 1:05d}_Ch{channel + 1}_{frame + 1:06d}.ome.tif"

    places = [
        (c, f, k) for c in range(cycles) for f in range(frames) for k in range(plan.n_channels)
    ]
    listed = "".join(
        f'<TiffData FirstT="{c if is_series else f}" FirstZ="{f if is_series else 0}" '
        f'FirstC="{k}" IFD="0" PlaneCount="1"><UUID FileName={quoteattr(name(c, f, k))}>'
        f"urn:uuid:{number:032x}</UUID></TiffData>"
        for number, (c, f, k) in enumerate(places)
    )
    height, width = plan.shape
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:1"><Pixels ID="Pixels:1" DimensionOrder="XYCZT" Type="uint16" '
        f'SizeX="{width}" SizeY="{height}" SizeZ="{plan.n_planes}" SizeC="{plan.n_channels}" '
        f'SizeT="{plan.n_times}">{listed}</Pixels></Image></OME>'
    )
    stub = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<BinaryOnly MetadataFile={quoteattr(name(0, 0, 0))} UUID="urn:uuid:{0:032x}"/></OME>'
    )
    for number, (place, page) in enumerate(zip(places, _pages(volumes), strict=True)):
        tifffile.imwrite(
            folder / name(*place), page, description=text if number == 0 else stub,
            metadata=None, photometric="minisblack",
        )  # fmt: skip
    (folder / f"{folder.name}.xml").write_text(
        _prairie_xml(plan, cycles, frames, name, is_series), encoding="utf-8"
    )


def _prairie_xml(
    plan: MoviePlan,
    cycles: int,
    frames: int,
    name: Callable[[int, int, int], str],
    is_series: bool,
) -> str:
    size = plan.pixel_size_um
    state = "".join(
        f'<PVStateValue key="{key}" value="{value}"/>'
        for key, value in (
            ("activeMode", "ResonantGalvo" if plan.bidirectional else "Galvo"),
            ("framePeriod", repr(1 / plan.frame_rate)),
            ("linesPerFrame", plan.shape[0]),
            ("pixelsPerLine", plan.shape[1]),
            ("rastersPerFrame", 1),
            ("scanLinePeriod", repr(plan.line_period_s)),
        )
    )
    state += (
        '<PVStateValue key="micronsPerPixel">'
        + "".join(f'<IndexedValue index="{axis}Axis" value="{size!r}"/>' for axis in "XY")
        + "</PVStateValue>"
    )
    kind = "TSeries ZSeries Element" if is_series else "TSeries Timed Element"
    parts = ['<?xml version="1.0" encoding="utf-8"?><PVScan version="5.5.64.100">']
    parts.append(f"<PVStateShard>{state}</PVStateShard>")
    for cycle in range(cycles):
        parts.append(f'<Sequence type="{kind}" cycle="{cycle + 1}">')
        for frame in range(frames):
            files = "".join(
                f'<File channel="{k + 1}" page="1" filename={quoteattr(name(cycle, frame, k))}/>'
                for k in range(plan.n_channels)
            )
            parts.append(f'<Frame relativeTime="0" index="{frame + 1}">{files}</Frame>')
        parts.append("</Sequence>")
    return "".join([*parts, "</PVScan>"])


def _experiment_xml(plan: MoviePlan, raw: bool) -> str:
    height, width = plan.shape
    waves = "".join(f'<Wavelength name="Chan{chr(65 + k)}"/>' for k in range(plan.n_channels))
    fast_z = int(plan.n_planes > 1)
    return (
        '<?xml version="1.0"?><ThorImageExperiment><Software version="4.1.2020.1131"/>'
        f"<Wavelengths>{waves}</Wavelengths>"
        f'<ZStage enable="{fast_z}" steps="{plan.n_planes}"/>'
        f'<LSM pixelX="{width}" pixelY="{height}" frameRate="{plan.frame_rate!r}" '
        f'pixelSizeUM="{plan.pixel_size_um!r}" averageMode="0" averageNum="1" '
        f'scanMode="{0 if plan.bidirectional else 1}"/>'
        f'<Streaming enable="1" frames="{plan.n_times * plan.n_planes}" rawData="{int(raw)}" '
        f'zFastEnable="{fast_z}" flybackFrames="0"/></ThorImageExperiment>'
    )


def _write_thor_tif(folder: Path, volumes: Volumes, plan: MoviePlan) -> None:
    import tifffile

    folder.mkdir(parents=True, exist_ok=True)
    for time, volume in enumerate(volumes, start=1):
        for (z, plane), k in itertools.product(enumerate(volume, start=1), range(plan.n_channels)):
            name = f"Chan{chr(65 + k)}_001_001_{z:03d}_{time:06d}.tif"
            tifffile.imwrite(folder / name, plane[k], photometric="minisblack", metadata=None)
    (folder / "Experiment.xml").write_text(_experiment_xml(plan, False), encoding="utf-8")


def _write_thor_raw(folder: Path, volumes: Volumes, plan: MoviePlan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "Image_0001_0001.raw").open("wb") as stream:
        for page in _pages(volumes):
            stream.write(np.ascontiguousarray(page, "<u2").tobytes())
    (folder / "Experiment.xml").write_text(_experiment_xml(plan, True), encoding="utf-8")


def _write_scanbox(path: Path, volumes: Volumes, plan: MoviePlan) -> None:
    """Write inverted values whose channels take turns from pixel to pixel."""
    from scipy.io import savemat

    with path.open("wb") as stream:
        for volume in volumes:
            turns = 65535 - np.moveaxis(np.asarray(volume, np.uint16), 1, -1)
            stream.write(np.ascontiguousarray(turns, "<u2").tobytes())
    both = 2 if plan.bidirectional else 1
    info: dict[str, Any] = {
        "sz": [float(n) for n in plan.shape],
        "recordsPerBuffer": float(plan.shape[0] // both),
        "scanmode": 2.0 - both,
        "resfreq": plan.frame_rate * plan.shape[0] / both,
        "chan": {"nchan": float(plan.n_channels)},
        "volscan": float(plan.n_planes > 1),
        "otwave": np.arange(plan.n_planes, dtype=float),
    }
    savemat(path.with_suffix(".mat"), {"info": info})


def _write_h5(path: Path, volumes: Volumes, plan: MoviePlan) -> None:
    with _library("h5py").File(path, "w") as file:
        data = file.create_dataset("movie", (plan.n_times, *plan.shape), plan.dtype)
        for time, volume in enumerate(volumes):
            data[time] = volume[0, 0]


def _write_nwb(path: Path, volumes: Volumes, plan: MoviePlan) -> None:
    """Write a two-photon series: columns before rows, and planes last."""
    from datetime import UTC, datetime

    pynwb, hdmf = _library("pynwb"), _library("hdmf.data_utils")
    several = plan.n_planes > 1

    def blocks() -> Iterator[NDArray[Any]]:
        for volume in volumes:
            frames = np.asarray(volume)[:, 0].T
            yield frames if several else frames[..., 0]

    start = datetime(2024, 1, 1, tzinfo=UTC)
    file = pynwb.NWBFile(
        session_description="simulated", identifier="simulated", session_start_time=start
    )
    device = file.create_device(name="microscope")
    channel = pynwb.ophys.OpticalChannel(name="green", description="green", emission_lambda=520.0)
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="simulated", device=device,
        excitation_lambda=920.0, indicator="GCaMP", location="simulated",
        imaging_rate=plan.frame_rate,
    )  # fmt: skip
    shape = (plan.n_times, *plan.shape[::-1], *([plan.n_planes] if several else []))
    data = hdmf.DataChunkIterator(data=blocks(), maxshape=shape, dtype=np.dtype(plan.dtype))
    file.add_acquisition(
        pynwb.ophys.TwoPhotonSeries(
            name="TwoPhotonSeries", data=data, imaging_plane=plane, unit="counts",
            rate=plan.frame_rate / plan.n_planes,
        )
    )  # fmt: skip
    with pynwb.NWBHDF5IO(path=path, mode="w") as io:
        io.write(file)


_WRITERS: Mapping[str, Callable[[Path, Volumes, MoviePlan], None]] = {
    "tif": _write_tif,
    "prairie": _write_prairie,
    "thor_tif": _write_thor_tif,
    "thor_raw": _write_thor_raw,
    "scanbox": _write_scanbox,
    "h5": _write_h5,
    "nwb": _write_nwb,
}


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{name.split('.')[0]} is not installed; run "
            "pip install 'derotation-workflow[formats,nwb]'."
        ) from error


def write_signals_as(
    path: Path,
    kind: SignalsTarget,
    names: Sequence[str],
    chunks: Iterable[tuple[int, NDArray[Any]]],
    n_samples: int,
    sampling_rate: float,
) -> None:
    """Write analog signals in the format of another program.

    Parameters
    ----------
    path
        The file.
    kind
        Its format; "mat" is written by SciPy and holds all samples in memory.
    names
        Names of the channels.
    chunks
        First sample, and volts of shape (n_channels, n), for one stretch after another.
    n_samples
        Samples of each channel.
    sampling_rate
        Samples per second, Hz.

    Raises
    ------
    InputError
        If there is no such format.
    ConfigError
        If a library is missing.
    """
    match kind:
        case "h5" | "wavesurfer":
            _signals_h5(path, kind == "wavesurfer", names, chunks, n_samples, sampling_rate)
        case "tdms":
            nptdms = _library("nptdms")
            with nptdms.TdmsWriter(path) as writer:
                for _, volts in chunks:
                    writer.write_segment(
                        [
                            nptdms.ChannelObject("daq", name, row.astype(np.float32))
                            for name, row in zip(names, volts, strict=True)
                        ]
                    )
        case "mat":
            from scipy.io import savemat

            volts = np.concatenate([block for _, block in chunks], axis=1)
            savemat(path, {n: row[:, None] for n, row in zip(names, volts, strict=True)})
        case "csv":
            with path.open("w", encoding="utf-8") as stream:
                stream.write(",".join(names) + "\n")
                for _, volts in chunks:
                    np.savetxt(stream, volts.T, delimiter=",", fmt="%.4f")
        case _:
            allowed = ", ".join(get_args(SignalsTarget))
            raise InputError(f"signals_format is '{kind}'; allowed are npy, bin, {allowed}.")


def _signals_h5(
    path: Path,
    is_wavesurfer: bool,
    names: Sequence[str],
    chunks: Iterable[tuple[int, NDArray[Any]]],
    n_samples: int,
    sampling_rate: float,
) -> None:
    gain = 10 / 2**15
    with _library("h5py").File(path, "w") as file:
        if is_wavesurfer:
            file["header/AIChannelNames"] = [name.encode() for name in names]
            file["header/AIChannelScales"] = np.ones((1, len(names)))
            file["header/AIScalingCoefficients"] = np.tile([0.0, gain, 0.0, 0.0], (len(names), 1))
            file["header/AcquisitionSampleRate"] = np.array([[sampling_rate]])
            data = file.create_dataset("sweep_0001/analogScans", (len(names), n_samples), "i2")
        else:
            group = file.create_group("signals")
            data = [group.create_dataset(name, (n_samples,), "f4") for name in names]
        for start, volts in chunks:
            stop = start + volts.shape[1]
            if is_wavesurfer:
                data[:, start:stop] = np.clip(np.rint(volts / gain), -(2**15), 2**15 - 1)
                continue
            for target, row in zip(data, volts, strict=True):
                target[start:stop] = row
