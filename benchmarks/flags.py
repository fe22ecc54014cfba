"""Does the quality of a session tell what is wrong with it, and only then?

Sessions are simulated without noise; then something is done to what was recorded (frames are lost,
the picture moves, blurs, grows), photons are drawn, and the session is parsed, calibrated,
derotated and judged. The first sentence should name what was done; where motion correction mends
it, that sentence is said all the same. Others differ from each other
in light, cells, protocol, rates and geometry, and nothing should be flagged.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _session
import numpy as np
import tifffile
from _common import add_quick, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray
from scipy import ndimage

from derotation.errors import DerotationError
from derotation.simulate import simulate_recording, write_recording

# Thresholds were chosen while looking at the seeds from 100 on; the figures are those of others.
SEED = 900
STIMULUS = ((200, 1), (100, -1), (150, -1), (100, 1), (200, -1), (75, 1), (150, 1), (100, -1))
OFFSET, GAIN = 100.0, 20.0
SAMPLING_RATE = 20_000

Movie = NDArray[np.float32]
Stimulus = tuple[tuple[int, int], ...]
Spoil = Callable[[Movie], Movie]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One session: how it is simulated, spoilt and processed."""

    name: str
    expected: str = ""
    """Words of the first sentence that should be said, one of those divided by |; nothing should be
    flagged if it is empty."""
    mended: bool = False
    """What was done is corrected as motion: these words are said, but nothing need be flagged."""
    simulated: Mapping[str, Any] = field(default_factory=dict)
    photons: float = 10.0
    """Of a typical cell's pixel."""
    spoil: Spoil | None = None
    """What becomes of the movie before photons are drawn: (frame, y, x), in units of a cell."""
    spoil_counts: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    """What becomes of the counts."""
    second: Mapping[str, Any] | None = None
    """What changes half-way: the second half is simulated with this."""
    rows_flipped: tuple[int, ...] = ()
    """Rows of the stimulus table whose direction is the wrong one."""
    config: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False
    """Nothing says in which directions lines were scanned."""
    center_off: tuple[float, float] | None = None
    """The center is given, and wrong by this (px)."""
    unusable: bool = False
    """More than a tenth of the frames is of no use: look is too little."""


# What is done to a movie; `at` is the part of the session after which it happens.


def lose(n: int, *at: float) -> Spoil:
    """Lose n frames; the last one comes again, so that their number is kept."""

    def spoil(movie: Movie) -> Movie:
        places = {int(a * len(movie)) + k for a in at for k in range(n)}
        kept = [k for k in range(len(movie)) if k not in places]
        return movie[kept + [kept[-1]] * (len(movie) - len(kept))]

    return spoil


def double(at: float) -> Spoil:
    """Save one frame twice."""

    def spoil(movie: Movie) -> Movie:
        k = int(at * len(movie))
        return np.concatenate([movie[: k + 1], movie[k:-1]])

    return spoil


def after(at: float, change: Callable[[Movie], Movie], until: float = 1.0) -> Spoil:
    """Change each frame of a part of the session."""

    def spoil(movie: Movie) -> Movie:
        movie = movie.copy()
        for k in range(int(at * len(movie)), int(until * len(movie))):
            movie[k] = change(movie[k])
        return movie

    return spoil


def moved(x: float, y: float) -> Callable[[Movie], Movie]:
    return lambda frame: ndimage.shift(frame, (y, x), order=1, mode="nearest")


def blurred(sigma: float) -> Callable[[Movie], Movie]:
    return lambda frame: ndimage.gaussian_filter(frame, sigma)


def zoomed(percent: float) -> Callable[[Movie], Movie]:
    def change(frame: Movie) -> Movie:
        scale = 1 + percent / 100
        middle = (np.array(frame.shape) - 1) / 2
        return ndimage.affine_transform(
            frame, np.eye(2) / scale, middle - middle / scale, order=1, mode="nearest"
        )

    return change


def times(factor: float) -> Callable[[Movie], Movie]:
    return lambda frame: frame * np.float32(factor)


def drifting(x: float, y: float) -> Spoil:
    def spoil(movie: Movie) -> Movie:
        parts = np.linspace(0, 1, len(movie))
        return np.stack([moved(p * x, p * y)(f) for p, f in zip(parts, movie, strict=True)])

    return spoil


def bleached(to: float) -> Spoil:
    """Fade exponentially to a part of the brightness."""
    return lambda movie: movie * np.float32(to ** np.linspace(0, 1, len(movie)))[:, None, None]


def combed(pixels: float, at: float = 0.0) -> Spoil:
    """Displace every second line from a part of the session on."""

    def spoil(movie: Movie) -> Movie:
        movie = movie.copy()
        odd = movie[int(at * len(movie)) :, 1::2]
        odd[:] = ndimage.shift(odd, (0, 0, pixels), order=1, mode="nearest")
        return movie

    return spoil


def comb_drifting(pixels: float) -> Spoil:
    """Displace every second line more and more."""

    def spoil(movie: Movie) -> Movie:
        movie = movie.copy()
        for part, frame in zip(np.linspace(0, 1, len(movie)), movie, strict=True):
            frame[1::2] = ndimage.shift(frame[1::2], (0, part * pixels), order=1, mode="nearest")
        return movie

    return spoil


def clipped(counts: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda movie: np.minimum(movie, counts)


def upside_down(movie: Movie) -> Movie:
    return movie[:, ::-1]


def transposed(movie: Movie) -> Movie:
    return movie.swapaxes(1, 2)


FLIPPED = {"angles": {"direction_sign": -1}}
INCREMENTAL = {"protocol": "incremental", "degrees_per_step": 10.0, "step_rest_s": 0.7}
FIXED = {"center_off": (0.0, 0.0)}
LOST = "lost"
MOVED = "the sample or the objective moved|drifts"
PICTURE = "rows and columns|upside down|lines from the last"
WRONG_WAY = "only turned the other way"

SPOILT = (
    Case(name="a frame lost half-way", spoil=lose(1, 0.5), expected=LOST, unusable=True),
    Case(name="a frame lost early", spoil=lose(1, 0.3), expected=LOST, unusable=True),
    Case(name="a frame lost late", spoil=lose(1, 0.75), expected=LOST),
    Case(name="a frame lost, 3 photons", spoil=lose(1, 0.5), photons=3, expected=LOST,
         unusable=True),
    Case(name="a frame lost, 12 Hz", spoil=lose(1, 0.5), simulated={"frame_rate": 12.0},
         expected=LOST, unusable=True),
    Case(name="two frames lost", spoil=lose(2, 0.5), expected=LOST, unusable=True),
    Case(name="three frames lost", spoil=lose(3, 0.4), expected=LOST, unusable=True),
    Case(name="frames lost twice", spoil=lose(1, 0.3, 0.6), expected=LOST, unusable=True),
    Case(name="a frame lost, incremental", spoil=lose(1, 0.5), simulated=INCREMENTAL,
         expected=LOST, unusable=True),
    Case(name="three frames lost, incremental", spoil=lose(3, 0.5), simulated=INCREMENTAL,
         expected=LOST, unusable=True),
    Case(name="a frame saved twice", spoil=double(0.5), expected="too many", unusable=True),
    Case(name="a frame saved twice, early", spoil=double(0.3), expected="too many", unusable=True),
    Case(name="the first frame lost", spoil=lose(1, 0.0), expected="one frame later"),
    Case(name="moved by 20 px", spoil=after(0.5, moved(12, 16)), expected=MOVED, unusable=True),
    Case(name="moved by 10 px", spoil=after(0.5, moved(-8, 6)), expected=MOVED, unusable=True),
    Case(name="moved by 3 px", spoil=after(0.4, moved(2, -2.2)), mended=True, expected=MOVED),
    Case(name="moved by 1.5 px, late", spoil=after(0.7, moved(1.5, 0)), mended=True,
         expected=MOVED),
    Case(name="moved by 5 px, 1 photon", spoil=after(0.5, moved(3, 4)), photons=1,
         mended=True, expected=MOVED),
    Case(name="moved for a while", spoil=after(0.3, moved(4, 3), until=0.6), mended=True,
         expected=MOVED),
    Case(name="moved on its stage", second={"movement_shift": (6.0, -5.0)}, mended=True,
         expected=MOVED),
    Case(name="moved by 5 px, incremental", spoil=after(0.5, moved(3, 4)), simulated=INCREMENTAL,
         mended=True, expected=MOVED),
    Case(name="drift by 1 px", spoil=drifting(0.8, 0.6), mended=True, expected=MOVED),
    Case(name="drift by 4 px", spoil=drifting(-3, 2.6), mended=True, expected=MOVED),
    Case(name="out of focus half-way", spoil=after(0.5, blurred(3)), expected="out of focus",
         unusable=True),
    Case(name="out of focus late", spoil=after(0.7, blurred(2.5)), expected="out of focus",
         unusable=True),
    Case(name="out of focus for a while", spoil=after(0.3, blurred(3), until=0.6),
         expected="out of focus", unusable=True),
    Case(name="out of focus, incremental", spoil=after(0.5, blurred(3)), simulated=INCREMENTAL,
         expected="out of focus", unusable=True),
    Case(name="zoom + 5 %", spoil=after(0.5, zoomed(5)), expected="zoom changed"),
    Case(name="zoom - 4 %, late", spoil=after(0.7, zoomed(-4)), expected="zoom changed"),
    Case(name="zoom + 2 %", spoil=after(0.4, zoomed(2)), expected="zoom changed"),
    Case(name="two rotations the wrong way", rows_flipped=(2, 5), expected=WRONG_WAY,
         unusable=True),
    Case(name="one rotation the wrong way", rows_flipped=(3,), expected=WRONG_WAY),
    Case(name="the last two exchanged", rows_flipped=(6, 7), expected=WRONG_WAY, unusable=True),
    Case(name="sign flipped", config=FLIPPED, expected="angles.direction_sign", **FIXED,
         unusable=True),
    Case(name="sign flipped, center estimated", config=FLIPPED, expected="angles.direction_sign",
         unusable=True),
    Case(name="upside down", spoil=upside_down, expected=PICTURE, **FIXED, unusable=True),
    Case(name="upside down, sign flipped", spoil=upside_down, config=FLIPPED, expected=PICTURE,
         unusable=True),
    Case(name="transposed", spoil=transposed, expected=PICTURE, **FIXED, unusable=True),
    Case(name="transposed, sign flipped", spoil=transposed, config=FLIPPED, expected=PICTURE,
         unusable=True),
    Case(name="uneven light left", simulated={"illumination": "uneven"},
         config={"illumination": {"correct": "never"}}, expected="false dF/F"),
    Case(name="gradient of light left", simulated={"illumination": "gradient"},
         config={"illumination": {"correct": "never"}}, expected="false dF/F"),
    Case(name="cells saturated", spoil_counts=clipped(330), expected="saturated"),
    Case(name="bright cells saturated", spoil_counts=clipped(420), expected="saturated"),
    Case(name="bleached to a third", spoil=bleached(1 / 3), expected="bleaching"),
    Case(name="bleached to a quarter", spoil=bleached(1 / 4), expected="bleaching"),
    Case(name="laser off half-way", spoil=after(0.5, times(0)), expected="laser", unusable=True),
    Case(name="laser off for a while", spoil=after(0.4, times(0), until=0.5), expected="laser",
         unusable=True),
    Case(name="laser power halved", spoil=after(0.5, times(0.5)), expected="laser's power"),
    Case(name="center 3 px off", center_off=(2.1, -2.1), expected="center"),
    Case(name="center 1 px off", center_off=(-0.8, 0.6), expected="center"),
    Case(name="tilt ignored", simulated={"plane_angle": 20, "plane_orientation": 60},
         config={"plane": {"correct": "never"}}, expected="tilt"),
    Case(name="lag of 20 ms", simulated={"lag_ms": 20.0}, expected="lag", unusable=True),
    Case(name="lag of -12 ms", simulated={"lag_ms": -12.0}, expected="lag"),
    Case(name="5 % of the ticks missing", simulated={"faults": {"dropped_ticks": 0.05}},
         expected="ticks"),
    Case(name="sampling rate 2 % off", config={"signals": {"sampling_rate": 20_400}},
         expected="signals.sampling_rate"),
    Case(name="phase of 1.5 px left", spoil=combed(1.5), simulated={"bidirectional": True},
         config={"scan": {"bidi_phase": 0}}, expected="Odd lines"),
    Case(name="phase of -0.6 px left", spoil=combed(-0.6), simulated={"bidirectional": True},
         config={"scan": {"bidi_phase": 0}}, expected="Odd lines"),
    Case(name="phase jumps by 1.2 px", spoil=combed(1.2, 0.5), simulated={"bidirectional": True},
         expected="phase of the scan changes"),
    Case(name="phase drifts by 2 px", spoil=comb_drifting(2.0), simulated={"bidirectional": True},
         expected="phase of the scan changes"),
    Case(name="both directions taken for one", simulated={"bidirectional": True},
         config={"scan": {"bidirectional": False}}, expected="shows the opposite"),
    Case(name="one direction taken for both", config={"scan": {"bidirectional": True}},
         expected="shows the opposite"),
    Case(name="directions that nothing tells", silent=True, photons=0.5, expected="is assumed"),
)  # fmt: skip

FEW = STIMULUS[:2]
LIVES = {"sample_motion": {"drift": 0.7, "jitter": 0.6, "per_velocity": [0.7, 0.5]}}
LIVELY = {"sample_motion": {"drift": 1.4, "jitter": 1.2, "per_velocity": [1.4, 1.0]}}
CALM = {"sample_motion": {"drift": 0.3, "jitter": 0.15, "per_velocity": [0.1, 0.1]}}
GOOD = (
    *(Case(name=f"{photons} photons", photons=photons) for photons in (30, 10, 3, 1, 0.3)),
    *(Case(name=f"{rate} Hz", simulated={"frame_rate": rate}) for rate in (2.0, 4.0, 15.0)),
    Case(name="30 Hz", simulated={"frame_rate": 30.0, "stimulus": FEW, "shape": (64, 64)}),
    Case(name="five cells", simulated={"n_cells": 5}),
    Case(name="five cells, 1 photon", simulated={"n_cells": 5}, photons=1),
    Case(name="dense cells", simulated={"n_cells": 60}),
    Case(name="strong activity", simulated={"calcium_rate": 0.5}),
    Case(name="strong activity, five cells", simulated={"calcium_rate": 0.4, "n_cells": 5}),
    Case(name="no activity", simulated={"calcium": False}),
    Case(name="two rotations", simulated={"stimulus": FEW}),
    Case(name="short rests", simulated={"rest_between_s": 0.5, "rest_before_s": 1.0}),
    Case(name="long rests", simulated={"rest_between_s": 5.0, "stimulus": STIMULUS[:4]}),
    Case(name="slow", simulated={"stimulus": ((30, 1), (30, -1))}),
    Case(name="fast", simulated={"stimulus": ((300, 1), (300, -1)) * 4, "acceleration": 500.0}),
    Case(name="twenty rotations", simulated={"stimulus": ((200, 1), (200, -1)) * 10,
                                             "rest_between_s": 1.0}),
    Case(name="tilted", simulated={"plane_angle": 20, "plane_orientation": 60}),
    Case(name="off center", simulated={"center_offset": (6, -4)}),
    Case(name="wobble", simulated={"wobble": ((1.0, 0.5, -0.5, 0.8),)},
         config={"wobble": {"correct": "auto"}}),
    Case(name="not square", simulated={"shape": (80, 128)}),
    Case(name="128 px", simulated={"shape": (128, 128), "n_cells": 40}),
    Case(name="bidirectional", simulated={"bidirectional": True}),
    Case(name="phase of 1.5 px corrected", spoil=combed(1.5), simulated={"bidirectional": True}),
    Case(name="bidirectional, not said", simulated={"bidirectional": True}, silent=True),
    Case(name="phase of 1.5 px, not said", spoil=combed(1.5), simulated={"bidirectional": True},
         silent=True),
    Case(name="one direction, not said", silent=True),
    Case(name="bleached to 0.6", spoil=bleached(0.6)),
    Case(name="bleached to a half, 3 photons", spoil=bleached(0.5), photons=3),
    Case(name="uneven light corrected", simulated={"illumination": "uneven"},
         config={"illumination": {"correct": "auto"}}),
    Case(name="drift by 0.1 px", spoil=drifting(0.1, 0)),
    Case(name="repaired lines", simulated={"faults": {"missing_line_pulses": 20}}),
    Case(name="incremental", simulated=INCREMENTAL),
    Case(name="incremental, 1 photon", simulated=INCREMENTAL, photons=1),
    Case(name="incremental, tilted", simulated=INCREMENTAL | {"plane_angle": 15}),
    Case(name="incremental, off center", simulated=INCREMENTAL | {"center_offset": (5, 3)}),
    Case(name="a calm sample", simulated=CALM),
    Case(name="a sample that lives", simulated=LIVES),
    Case(name="a sample that lives, 1 photon", simulated=LIVES, photons=1),
    Case(name="a sample that lives, incremental", simulated=LIVES | INCREMENTAL),
    Case(name="a lively sample", simulated=LIVELY),
    Case(name="incremental, strong activity", simulated=INCREMENTAL | {"calcium_rate": 0.5}),
)  # fmt: skip


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--size", type=int, default=96, help="of the frames, px")
    parser.add_argument("--seeds", type=int, nargs="+", default=[SEED])
    parser.add_argument("--only", help="cases whose name contains this")
    parser.add_argument("--kind", choices=("spoilt", "good"), help="only these")
    parser.add_argument("--part", type=int, nargs=2, metavar=("K", "N"), help="part K of N")
    given = parser.parse_args()
    cases = [*enumerate((*SPOILT, *GOOD))]
    if given.quick and not given.only:
        cases = [cases[0], cases[13], cases[len(SPOILT)]]
    if given.part:
        cases = cases[given.part[0] :: given.part[1]]
    rows = []
    for seed in given.seeds:
        for k, case in cases:
            kind = "spoilt" if case.expected else "good"
            if (given.only and given.only not in case.name) or given.kind not in (None, kind):
                continue
            rows.append(
                judge(case, given.size, seed + k, STIMULUS[:4] if given.quick else STIMULUS)
            )
            mark = "" if rows[-1]["right"] else "WRONG"
            print(case.name, rows[-1]["flag"], mark, rows[-1]["advice"][:2], flush=True)
    report(rows, given.json)


def judge(case: Case, size: int, seed: int, stimulus: Stimulus) -> dict[str, Any]:
    """Simulate, process and judge one session."""
    row: dict[str, Any] = {"session": case.name, "seed": seed, "expected": case.expected}
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(temporary)
        center = simulate(case, folder, size, seed, stimulus)
        try:
            quality = process(case, folder, center)
        except DerotationError as error:
            row |= {"flag": "failed", "advice": [str(error)], "figures": {}}
        else:
            figures = {f.name: f.value for f in quality.figures}
            flagged = {f.name: f.flag for f in quality.figures if f.flag in ("look", "bad")}
            row |= {"flag": quality.flag, "advice": quality.advice, "figures": figures}
            row["flagged"] = flagged
            row["moved"] = quality["sample_moved_px"].sentence
    mended = case.mended and row["flag"] == "ok"
    said = row["moved"] if mended else (row["advice"] or [""])[0]
    named = any(words in said for words in case.expected.split("|"))
    fine = mended or not case.expected
    enough = row["flag"] in ("bad", "failed") if case.unusable else (row["flag"] == "ok") == fine
    row["right"] = named and enough
    return row


def simulate(
    case: Case, folder: Path, size: int, seed: int, stimulus: Stimulus
) -> tuple[float, float]:
    """Write the raw files of a session, spoilt; gives the true center."""
    parameters: dict[str, Any] = {
        "shape": (size, size), "frame_rate": 6.74, "seed": seed, "scene_seed": seed,
        "n_cells": 30, "stimulus": stimulus, "center_offset": (2.0, -1.5),
        "sampling_rate": SAMPLING_RATE, "photons_per_pixel": None, "gain": 1.0, "pmt_offset": 0.0,
        "dtype": "float32", "rest_between_s": 1.5, "acceleration": 300.0,
    } | case.simulated  # fmt: skip
    recording = simulate_recording(**parameters)
    write_recording(recording, folder)
    movie = recording.movie
    if case.second is not None:
        half = len(movie) // 2
        movie = movie.copy()
        movie[half:] = simulate_recording(**(parameters | case.second)).movie[half:]
    if case.spoil is not None:
        movie = np.ascontiguousarray(case.spoil(movie))
    rng = np.random.default_rng(seed)
    counts = GAIN * rng.poisson(case.photons * np.clip(movie, 0, None)) + OFFSET
    counts = np.clip(np.rint(counts + rng.normal(0, 5, counts.shape)), 0, 65535)
    if case.spoil_counts is not None:
        counts = case.spoil_counts(counts)
    tifffile.imwrite(folder / "movie.tif", counts.astype(np.uint16), photometric="minisblack")
    if case.rows_flipped:
        path = folder / "stimulus.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        for row in case.rows_flipped:
            speed, direction = lines[row + 1].split(",")
            lines[row + 1] = f"{speed},{-int(float(direction))}"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return recording.center


def process(case: Case, folder: Path, true_center: tuple[float, float]) -> Any:
    """Do what the steps of the workflow do, but for their plots."""
    sections: dict[str, Any] = {"signals": {"sampling_rate": SAMPLING_RATE}, **case.config}
    if case.center_off is not None:
        center = [float(c + off) for c, off in zip(true_center, case.center_off, strict=True)]
        sections["center"] = {"method": "fixed", "fixed": center}
    incremental = case.simulated.get("protocol") == "incremental"
    said = None if case.silent else bool(case.simulated.get("bidirectional"))
    protocol = "incremental" if incremental else "full"
    return _session.process(folder, sections, protocol, bidirectional=said).quality


def report(rows: list[dict[str, Any]], path: Path | None) -> None:
    print_table(
        "Sessions",
        ("session", "seed", "flag", "", "first advice"),
        [
            (row["session"], str(row["seed"]), row["flag"], "" if row["right"] else "WRONG",
             (row["advice"] or [""])[0][:110])
            for row in rows
        ],
    )  # fmt: skip
    spoilt = [row for row in rows if row["expected"]]
    good = [row for row in rows if not row["expected"]]
    results: dict[str, Any] = {"rows": rows}
    verdicts: list[tuple[str, float, str, float]] = []
    if spoilt:
        share = 100 * sum(row["right"] for row in spoilt) / len(spoilt)
        verdicts.append(("spoilt sessions with the right sentence first (%)", share, ">=", 95))
    if good:
        share = 100 * sum(not row["right"] for row in good) / len(good)
        verdicts.append(("good sessions that are flagged (%)", share, "<=", 2))
    results["targets"] = print_verdicts(verdicts)
    write_json(path, results)


if __name__ == "__main__":
    logging.getLogger("derotation").setLevel(logging.ERROR)
    main()
