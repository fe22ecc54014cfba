"""Damage small files of every kind that is read, and see that nothing but our own errors comes out.

Bytes are flipped, cut out, doubled and replaced by lying numbers; files are truncated and made
longer. Each reader may raise an error of `derotation.errors` or read the file. Anything else
counts: another exception, a crash, more than 20 s, more than 2 GB. The file that did it is kept.

    python benchmarks/fuzz_readers.py --seconds 60
    python benchmarks/fuzz_readers.py --seconds 3600 --seed 7 --only tif --keep found
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _common import add_quick, options, print_table, write_json
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from derotation.errors import DerotationError

MOST_SECONDS = 20.0
MOST_BYTES = 2**31
# Files of a kind before it is the next one's turn.
ROUND, QUICK_ROUND = 25, 5


@dataclass(frozen=True)
class Kind:
    """A valid file and what reads it."""

    name: str
    path: Path
    read: Callable[[Path], object]


# ---------------------------------------------------------------- valid files


def read_movie(path: Path) -> None:
    """Open a movie and read all of it."""
    from derotation.io.movie import open_movie

    with open_movie(path) as movie:
        for _ in movie.chunks():
            pass


def read_glob(path: Path) -> None:
    """Open all movies beside a file as one."""
    read_movie(path.with_name(f"*{path.suffix}"))


def read_folder(path: Path) -> None:
    """Open the folder that holds a file as a movie."""
    read_movie(path.parent)


def read_signals(path: Path) -> None:
    """Open signals and look at all channels."""
    from derotation.io.signals import ROLES, open_signals

    signals = open_signals(path)
    for role in ROLES:
        signals.volts(role)


def read_table(path: Path) -> None:
    """Read a stimulus table."""
    from derotation.io.stimulus import read_stimulus

    read_stimulus(path)


def tiff_kinds(folder: Path) -> Iterator[Kind]:
    """Write TIFFs as many programs do."""
    import tifffile

    data = np.random.default_rng(1).integers(0, 4000, (6, 16, 20)).astype("u2")
    one_by_one = {"contiguous": False, "metadata": None}
    header = "SI.hChannels.channelSave = 1\nSI.hRoiManager.scanFrameRate = 30\nSI.VERSION_MAJOR = 5"
    ways: dict[str, dict[str, object]] = {
        "plain": {},
        "float": {"dtype": "f4"},
        "bigtiff": {"bigtiff": True},
        "bigendian": {"byteorder": ">"},
        "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
        "hyperstack": {"imagej": True, "metadata": {"axes": "TZYX"}, "shape": (2, 3)},
        "ome": {"ome": True, "metadata": {"axes": "TCYX"}, "shape": (3, 2)},
        "axes": {"metadata": {"axes": "TZCYX"}, "shape": (3, 2, 1)},
        "truncate": {"truncate": True},
        "deflate": {"compression": "zlib"},
        "tiled": {"tile": (16, 16)},
        "strips": {"rowsperstrip": 4},
        "scanimage": {"software": header, "description": "frameNumbers = 1", **one_by_one},
    }
    for name, way in ways.items():
        path = folder / name / ("movie.ome.tif" if name == "ome" else "movie.tif")
        path.parent.mkdir()
        way = dict(way)
        pages = data.astype(way.pop("dtype", data.dtype)).reshape(
            *way.pop("shape", (6,)),
            16,
            20,  # type: ignore[misc]
        )
        if "contiguous" in way:
            with tifffile.TiffWriter(path, bigtiff=True) as writer:
                for page in pages:
                    writer.write(page, photometric="minisblack", **way)
        else:
            tifffile.imwrite(path, pages, photometric="minisblack", **way)
        yield Kind(f"tif {name}", path, read_movie)
    several = folder / "several"
    several.mkdir()
    names = [f"T_{i + 1:03d}.ome.tif" for i in range(4)]
    places = "".join(
        f'<TiffData FirstT="{i}" IFD="0" PlaneCount="1"><UUID FileName="{name}">u</UUID></TiffData>'
        for i, name in enumerate(names)
    )
    text = (
        '<?xml version="1.0"?><OME><Image><Pixels DimensionOrder="XYCZT" SizeX="20" SizeY="16" '
        f'SizeC="1" SizeZ="1" SizeT="4" Type="uint16">{places}</Pixels></Image></OME>'
    )
    for name, page in zip(names, data, strict=False):
        tifffile.imwrite(
            several / name, page, description=text, metadata=None, photometric="minisblack"
        )
    yield Kind("tif several", several / names[0], read_glob)


def movie_kinds(folder: Path) -> Iterator[Kind]:
    """Write movies as other programs do; the description is damaged, or the frames."""
    from derotation.errors import ConfigError
    from derotation.simulate.formats import MoviePlan, write_movie

    plan = MoviePlan(n_times=4, shape=(16, 20))
    frames = np.random.default_rng(5).integers(0, 4000, (4, 1, 1, 16, 20)).astype("u2")
    ways = {
        "prairie": ("prairie", "prairie.xml", read_folder),
        "prairie_frame": (
            "prairie_frame", "prairie_frame_Cycle00001_Ch1_000001.ome.tif", read_folder,
        ),
        "thor_tif": ("thor_tif", "Experiment.xml", read_folder),
        "thor_raw": ("thor_raw", "Experiment.xml", read_folder),
        "scanbox": ("scanbox.sbx", "", read_movie),
        "scanbox_mat": ("scanbox2.sbx", "", lambda path: read_movie(path.with_suffix(".sbx"))),
        "h5": ("movie.h5", "", read_movie),
        "nwb": ("movie.nwb", "", read_movie),
    }  # fmt: skip
    for name, (place, inside, read) in ways.items():
        kind = name.removesuffix("_frame").removesuffix("_mat")
        with contextlib.suppress(ConfigError):
            path = write_movie(folder / place, kind, iter(frames), plan)
            if inside:
                path = path / inside
            elif name == "scanbox_mat":
                path = path.with_suffix(".mat")
            yield Kind(f"movie {name}", path, read)


def signal_kinds(folder: Path) -> Iterator[Kind]:
    """Write analog signals in each format whose library is there."""
    from scipy.io import savemat

    from derotation.io.signals import ROLES

    volts = np.random.default_rng(2).uniform(0, 5, (4, 500))
    np.save(folder / "s.npy", volts.astype("f4"))
    np.rint(volts.T * 1000).astype("<i2").tofile(folder / "s.bin")
    np.savetxt(folder / "s.csv", volts.T, delimiter=",", fmt="%.4f", header=",".join(ROLES),
               comments="")  # fmt: skip
    for name in ("s.npy", "s.bin", "s.csv"):
        yield Kind(f"signals {name[2:]}", folder / name, read_signals)
    for name, way in (
        ("plain", {}),
        ("compressed", {"do_compression": True}),
        ("v4", {"format": "4"}),
    ):
        path = folder / f"s_{name}.mat"
        savemat(path, {"data": volts}, **way)
        yield Kind(f"signals mat {name}", path, read_signals)
    with contextlib.suppress(ImportError):
        import h5py

        with h5py.File(folder / "s.h5", "w") as file:
            file.create_dataset("data", data=volts, chunks=(4, 50), compression="gzip")
        with h5py.File(folder / "w.h5", "w") as file:
            file["header/AIChannelNames"] = [role.encode() for role in ROLES]
            file["header/AIScalingCoefficients"] = np.tile([0, 3e-4, 0, 0], (4, 1))
            file["sweep_0001/analogScans"] = np.rint(volts / 3e-4).astype("i2")
        with h5py.File(folder / "s_73.mat", "w", userblock_size=512) as file:
            file["data"] = volts
        for name in ("s.h5", "w.h5", "s_73.mat"):
            yield Kind(f"signals {name}", folder / name, read_signals)
    with contextlib.suppress(ImportError):
        import nptdms

        with nptdms.TdmsWriter(folder / "s.tdms") as writer:
            for part in np.split(volts, 2, axis=1):
                writer.write_segment([
                    nptdms.ChannelObject("daq", role, row)
                    for role, row in zip(ROLES, part, strict=True)
                ])  # fmt: skip
        yield Kind("signals tdms", folder / "s.tdms", read_signals)


def table_kinds(folder: Path) -> Iterator[Kind]:
    """Write stimulus tables."""
    from scipy.io import savemat

    matrix = np.array([[200.0, 7, 1], [150, 7, 0], [100, 7, -1]] * 5)
    (folder / "t.csv").write_text("speed,direction\n" + "200,1\n57.5,-1\n" * 5, encoding="utf-8")
    (folder / "t16.csv").write_text("speed,direction\n200,1\n57.5,-1\n", encoding="utf-16")
    np.save(folder / "t.npy", np.array([(200, 1)] * 4, [("speed", "f8"), ("direction", "i1")]))
    savemat(folder / "t.mat", {"stimulus_random": matrix})
    savemat(folder / "c.mat", {"stimulus_random": matrix}, do_compression=True)
    for name in ("t.csv", "t16.csv", "t.npy", "t.mat", "c.mat"):
        yield Kind(f"table {name}", folder / name, read_table)


def result_kinds(folder: Path) -> Iterator[Kind]:
    """Write what steps leave, and what people edit."""
    from derotation.calibration.calibration import Calibration
    from derotation.io.results import read_npz
    from derotation.io.seen import SeenPixels, SeenWriter
    from derotation.movement.correction import MovementCorrection
    from derotation.movement.manual import read_points
    from derotation.steps.inputs import read_gain, read_movement

    Calibration(
        center=(30.0, 20.0), image_shape=(64, 48), method="fixed", wobble=((1, 2, 3, 4),),
        center_sd=(0.1, 0.1), lag_ms=3.0,
    ).save(folder / "calibration.json")  # fmt: skip
    yield Kind("calibration.json", folder / "calibration.json", Calibration.load)
    points = np.random.default_rng(3).uniform(0, 60, (5, 2))
    MovementCorrection(np.eye(3), (64, 64), points, points + 1, "here", covariance=np.eye(6)).save(
        folder / "m.cmc"
    )
    yield Kind("movement.cmc", folder / "m.cmc", MovementCorrection.load)
    rows = "".join("{:.2f},{:.2f},{:.2f},{:.2f}\n".format(*p, *p) for p in points)
    (folder / "points.csv").write_text("ref_x,ref_y,moved_x,moved_y\n" + rows, encoding="utf-8")
    yield Kind("points.csv", folder / "points.csv", read_points)
    (folder / "movement.json").write_text(json.dumps({"matrix": np.eye(3).tolist()}))
    yield Kind("movement.json", folder / "movement.json", read_movement)
    np.savez(folder / "illumination.npz", gain=np.ones((8, 9)), offset=3.0)
    yield Kind("illumination.npz", folder / "illumination.npz", read_gain)
    np.savez_compressed(folder / "any.npz", a=np.arange(50), b="words")
    yield Kind("any.npz", folder / "any.npz", lambda path: read_npz(path, "arrays"))
    with SeenWriter(folder / "seen.npz", (20, 9, 11)) as writer:
        writer.write(np.ones((20, 9, 11), bool))

    def read_seen(path: Path) -> None:
        with SeenPixels(path) as pixels:
            pixels.read(3, 19)

    yield Kind("seen.npz", folder / "seen.npz", read_seen)
    yield from _angles_and_events(folder)


def _angles_and_events(folder: Path) -> Iterator[Kind]:
    from derotation.signals.angles import Angles
    from derotation.signals.events import Events

    shape = (4, 6)
    Angles(
        line_angles=np.zeros(shape), frame_angles=np.zeros(4), line_start=np.zeros(shape),
        frame_start=np.zeros(4), line_duty=1.0, line_reference="middle", sampling_rate=1e4,
        frame_rate=10.0, line_usable=np.ones(shape, bool), flags=np.ones(shape, "u1"),
        rotation=np.zeros(4, "i4"), direction=np.ones(4), speed=np.ones(4),
    ).save(folder / "angles.npz")  # fmt: skip
    yield Kind("angles.npz", folder / "angles.npz", Angles.load)
    numbers = ("sampling_rate", "n_samples", "line_duration", "line_period")
    content = {
        "kind": "derotation events", "version": 1, **dict.fromkeys(numbers, 3.0),
        "line_duration_measured": True, "repairs": "[]", "anomalies": "[]", "counts": "{}",
        "levels": "{}", "line_start": np.zeros(shape),
    }  # fmt: skip
    np.savez(folder / "events.npz", **content)
    yield Kind("events.npz", folder / "events.npz", Events.load)


def all_kinds(folder: Path) -> list[Kind]:
    """Write one valid file of every kind; each in a folder of its own group."""
    kinds: list[Kind] = []
    for make in (tiff_kinds, movie_kinds, signal_kinds, table_kinds, result_kinds):
        place = folder / make.__name__
        place.mkdir(parents=True)
        kinds += make(place)
    return kinds


# -------------------------------------------------------------------- damage

LIES = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 4 * 10**9, 2**63, 2**64 - 1)
WORDS = (b"-1", b"0", b"NaN", b"true", b"1e300", b"4000000000", b"[]", b"null", b'"', b"<", b"\0")


@st.composite
def damages(draw: st.DrawFn, size: int) -> list[tuple[str, int, int]]:
    """Choose some damage: what, where and how much."""
    what = st.sampled_from(["flip", "byte", "lie", "lie", "number", "cut", "double", "end", "more"])
    # Headers are small and stand at the beginning or the end: most of the damage goes there.
    where = st.one_of(
        st.integers(0, size - 1),
        st.integers(0, min(size, 300) - 1),
        st.integers(max(0, size - 300), size - 1),
    )
    one = st.tuples(what, where, st.integers(0, 2**16))
    return draw(st.lists(one, min_size=1, max_size=4))


def damaged(content: bytes, damage: list[tuple[str, int, int]]) -> bytes:
    """Apply damage to a file's content."""
    found = bytearray(content)
    for what, where, how in damage:
        where = min(where, max(0, len(found) - 1))
        if not found:
            break
        if what == "flip":
            found[where] ^= 1 << (how % 8)
        elif what == "byte":
            found[where] = how % 256
        elif what == "lie":
            n_bytes = (2, 4, 4, 8)[how % 4]
            lie = LIES[how // 4 % len(LIES)] % 256**n_bytes
            order = "little" if how & 1024 else "big"
            found[where : where + n_bytes] = lie.to_bytes(n_bytes, order)
        elif what == "number":
            digits = where
            while digits < len(found) and not chr(found[digits]).isdigit():
                digits += 1
            end = digits
            while end < len(found) and chr(found[end]).isdigit():
                end += 1
            found[digits:end] = WORDS[how % len(WORDS)]
        elif what == "cut":
            del found[where : where + 1 + how % 64]
        elif what == "double":
            piece = found[where : where + 1 + how % 64]
            found[where:where] = piece
        elif what == "end":
            del found[where:]
        else:
            found += bytes(1 + how % 600)
    return bytes(found)


# ----------------------------------------------------------- the process that reads


def fuzz(folder: Path, only: str, first_seed: int, until: float, report: Path, quick: bool) -> None:
    """Damage and read until the time is over; raise at the first thing that must not be.

    A quick run ends when it has been once at every kind.
    """
    _limit_memory()
    warnings.simplefilter("ignore")
    kinds = [kind for kind in all_kinds(folder / "seeds") if only in kind.name]
    counts = dict.fromkeys((kind.name for kind in kinds), 0)
    number = first_seed
    while time.time() < until:
        number += 1
        for kind in kinds:
            if time.time() >= until:
                break
            _fuzz_kind(kind, number, counts, report, QUICK_ROUND if quick else ROUND)
            report.with_suffix(".counts").write_text(json.dumps(counts))
        if quick:
            break


def _fuzz_kind(
    kind: Kind, number: int, counts: dict[str, int], report: Path, n_files: int = ROUND
) -> None:
    content = kind.path.read_bytes()

    @seed(number)
    @settings(
        max_examples=n_files,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(damages(len(content)))
    def check(damage: list[tuple[str, int, int]]) -> None:
        kind.path.write_bytes(damaged(content, damage))
        # The parent reads from this which file was last, and when.
        report.write_text(f"{kind.name}\n{kind.path}\n", encoding="utf-8")
        counts[kind.name] += 1
        start = time.monotonic()
        with contextlib.suppress(DerotationError):
            kind.read(kind.path)
        taken = time.monotonic() - start
        if taken > MOST_SECONDS:
            raise TimeoutError(f"took {taken:.0f} s")

    try:
        check()
    finally:
        broken = kind.path.read_bytes()
        kind.path.write_bytes(content)
        kind.path.with_name(kind.path.name + ".last").write_bytes(broken)


def _limit_memory() -> None:
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# ------------------------------------------------------------ the process that watches


def watch(arguments: argparse.Namespace, folder: Path) -> tuple[dict[str, int], list[str]]:
    """Run the process that reads, again after each thing that must not be."""
    until = time.time() + arguments.seconds
    report, totals, faults = folder / "report", {}, []
    number = arguments.seed
    while time.time() < until - 1 and len(faults) < arguments.most:
        number += 100_000
        place = folder / f"run{number}"
        command = [sys.executable, __file__, "--child", place, report, str(number), str(until),
                   "quick" if arguments.quick else "long"]  # fmt: skip
        report.write_text("\n", encoding="utf-8")
        report.with_suffix(".counts").unlink(missing_ok=True)
        with subprocess.Popen(
            [*map(str, command), arguments.only], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        ) as process:  # fmt: skip
            said, why = _follow(process, report)
        with contextlib.suppress(OSError):
            for name, count in json.loads(report.with_suffix(".counts").read_text()).items():
                totals[name] = totals.get(name, 0) + count
        if why:
            faults.append(_keep(arguments.keep, report, why, said, len(faults)))
        elif arguments.quick:
            break
    return totals, faults


def _follow(process: "subprocess.Popen[str]", report: Path) -> tuple[str, str]:
    """Wait for the end, or for something that takes too long."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            said, _ = process.communicate(timeout=1)
            code = process.returncode
            died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return said, "" if code == 0 else died
        if time.time() - report.stat().st_mtime > 2 * MOST_SECONDS:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            return said, f"took more than {MOST_SECONDS:g} s"


def _keep(folder: Path, report: Path, why: str, said: str, number: int) -> str:
    """Keep the file that did it; say what happened."""
    name, path = ([*report.read_text(encoding="utf-8").splitlines(), "", ""])[:2]
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{number:03d}_{Path(path).name}"
    source = Path(path + ".last") if Path(path + ".last").exists() else Path(path)
    if source.is_file():
        kept.write_bytes(source.read_bytes())
    lines = [line for line in said.splitlines() if line.strip()]
    kept.with_name(kept.name + ".txt").write_text(f"{name}: {why}\n\n{said}", encoding="utf-8")
    errors = [line for line in lines if "Error" in line or "Exception" in line]
    return f"{name}: {why}: {(errors or lines or [''])[-1].strip()} ({kept})"


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="another one damages other bytes")
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_found"), help="folder for files")
    parser.add_argument("--most", type=int, default=20, help="stop after so many faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, faults = watch(arguments, Path(folder))
    print_table("Files that were damaged", ("kind of file", "files"), sorted(counts.items()))
    total = sum(counts.values())
    print(f"\n{total} damaged files; {len(faults)} of them ended in anything but our own errors")
    for fault in faults:
        print(f"  {fault}")
    write_json(arguments.json, {"counts": counts, "faults": faults})
    sys.exit(1 if faults or not total else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        place, report, number, until, length, only = sys.argv[2:8]
        try:
            fuzz(Path(place), only, int(number), float(until), Path(report), length == "quick")
        except BaseException:
            traceback.print_exc()
            sys.exit(1)
    else:
        main()
