"""Recordings as rigs really make them: which are processed, which refused, and in what words?

    python benchmarks/cases.py CASES_FOLDER [--only NAME ...] [--until STEP]

A case is a folder with a script ``make_input.py OUT`` that writes ``movie.tif`` (or other TIFFs),
``signals.npy``, ``stimulus.csv`` and ``truth.npz`` (``line_angles``). Each one becomes a study of
its own, is looked at by ``derotation check`` and run through the workflow.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from _common import ROOT, options, print_table, write_json

# Angles that are off by less are those of a session without faults (degrees rms over the lines).
EXACT = 0.01
# A frame that is off by more must not pass as good (degrees).
WRONG = 1.0
SLOW_PARSING_S = 30.0
WORDS_SHOWN = 110


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a case should come to."""

    exact: bool = True
    """Every line that has an angle has the true one."""
    says: Sequence[str] = ()
    """Patterns, each of which some sentence of the check or of the run holds (case is ignored)."""
    problem: bool = False
    """The check should call it a problem rather than let it be run."""
    movie: str = "movie.tif"
    truth: slice | Sequence[int] = field(default_factory=lambda: slice(None))
    """Which of the true frames the movie has."""
    part: str = ""
    """Which of the true frames the movie has: the "first" or the "last" ones."""
    rows: slice = field(default_factory=lambda: slice(None))
    """Which of the true lines its frames have."""
    protocol: str = "full"
    config: Mapping[str, Any] = field(default_factory=dict)
    may_refuse: bool = False
    """A refusal that says what it should is as good."""


def _all_but(lost: int, n: int = 107) -> list[int]:
    return [frame for frame in range(n) if frame != lost]


EXPECTED: dict[str, Expected] = {
    "00_control": Expected(),
    "00b_control_128": Expected(),
    "01_bruker_full_xml": Expected(movie="*.ome.tif"),
    "05_thor_one_file_per_frame": Expected(movie="Chan*.tif"),
    "06_extra_clock_frames_end": Expected(says=("signals.frames",)),
    "08_period_clock": Expected(says=("two lines",)),
    "09_last_line_without_tick": Expected(says=("last line",)),
    "10_no_line_clock": Expected(says=("frame clock",)),
    "10b_frame_clock_as_line_clock": Expected(says=("frame clock",)),
    "11_line_clock_active_low": Expected(says=("active low|inverted",)),
    "12_both_clocks_active_low": Expected(says=("active low|inverted",)),
    "13_last_page_cut": Expected(movie="file_*.tif", truth=slice(0, 106), says=("cut|incomplete",)),
    "15b_aborted_between": Expected(says=("rows 1 to 2",)),
    "15c_aborted_repeated_speeds": Expected(part="first", says=("rows 1 to 2",)),
    "18d_nan_dead_column": Expected(says=("NaN",)),
    "20_averaged_2": Expected(
        exact=False, problem=True, movie="file_*.tif", says=("averag",), may_refuse=True
    ),
    "23b_mean_image_plain": Expected(
        exact=False, movie="*.tif", says=("AVG_movie",), may_refuse=True
    ),
    "26_ringing_at_stop": Expected(says=("rang|ring",)),
    # The angle after the stall is told by the movie, to some hundredths of a degree.
    "27b_stalled_motor_true": Expected(exact=False, says=("had turned by 179",)),
    "29_zero_tail": Expected(
        exact=False, movie="file_*.tif", says=("not complete|incomplete",), may_refuse=True
    ),
    "33_mroi_strips": Expected(
        exact=False, problem=True, movie="file_*.tif", says=("mroi|strips",), may_refuse=True
    ),
    "34_wrong_sampling_rate": Expected(
        exact=False, config={"signals": {"sampling_rate": 10000}}, says=("sampling_rate is 20000",)
    ),
    "35_first_file_missing": Expected(
        movie="file_*.tif", truth=slice(40, None), says=("1 to 40",), may_refuse=True
    ),
    "37b_one_dropped_frame_plain": Expected(truth=_all_but(8), says=("By what the movie shows",)),
    # The frame that was lost lies in the middle of the rest.
    "37c_frame_lost_between_rotations": Expected(truth=_all_but(57), says=("frame",)),
    "38_extra_pulse_at_start": Expected(truth=slice(1, None), says=("signals.frames",)),
    "44_plain_two_channels_interleaved": Expected(
        exact=False, says=("movie.n_channels",), may_refuse=True
    ),
    "45b_transposed_128": Expected(
        exact=False, says=("exchanged", r"movie.undo: \[transpose\]"), may_refuse=True
    ),
    "46b_flipped_128": Expected(
        exact=False, says=("upside", r"movie.undo: \[flip_rows\]"), may_refuse=True
    ),
    "48_cropped_at_top": Expected(exact=False, says=("scan.rows",), may_refuse=True),
    "49_rotation_on_inverted": Expected(says=("invert",)),
    "50_extra_2_at_start": Expected(truth=slice(2, None), says=("signals.frames",)),
    # With the key that the sentence names.
    "06_extra_clock_frames_end+key": Expected(config={"signals": {"frames": "first"}}),
    "38_extra_pulse_at_start+key": Expected(
        truth=slice(1, None), config={"signals": {"frames": "last"}}
    ),
    "45b_transposed_128+key": Expected(config={"movie": {"undo": ["transpose"]}}),
    "46b_flipped_128+key": Expected(config={"movie": {"undo": ["flip_rows"]}}),
    "48_cropped_at_top+key": Expected(
        rows=slice(8, None), config={"scan": {"lines_per_frame": 64, "rows": {"first": 8}}}
    ),
    "49_rotation_on_inverted+key": Expected(config={"signals": {"invert": ["rotation_on"]}}),
    "50_extra_2_at_start+key": Expected(
        truth=slice(2, None), config={"signals": {"frames": {"skip_start": 2}}}
    ),
    "51_constant_rotation": Expected(protocol="free", part="last"),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case."""

    checked: bool
    """Whether the check found no problem."""
    finished: bool
    """Whether the run came to its end."""
    rms: float
    """Of the angles of usable lines, degrees; NaN without angles or truth."""
    good_but_wrong: int
    """Frames with angles all through, some of which are off by more than a degree."""
    parsing_s: float
    flag: str
    words: str
    """All that was said."""


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("cases", type=Path, metavar="CASES_FOLDER")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="names, or beginnings"
    )
    parser.add_argument(
        "--until", metavar="STEP", help="run the workflow only so far, e.g. interpolate_angles"
    )
    parser.add_argument(
        "--damaged", action="store_true", help="the cohort of damaged files, and nothing else"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep inputs and results there")
    asked = parser.parse_args()
    if asked.damaged:
        return main_of_damaged(asked)
    there = {path.parent.name for path in asked.cases.glob("*/make_input.py")}
    names = [
        name
        for name in sorted(EXPECTED)
        if name.split("+")[0] in there and _is_asked(name, asked.only)
    ]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        for name in names:
            outcome = run_case(name, folder.resolve() / name, asked)
            right, why = judge(EXPECTED[name], outcome)
            rows.append(_row(name, outcome, right, why))
            print(f"{name}: {'right' if right else 'NOT RIGHT'} {why}", flush=True)
    header = ("case", "expected", "what happened", "angle rms", "right", "parsing s", "words")
    print_table("Cases", header, [list(row.values()) for row in rows])
    wrong = [row["case"] for row in rows if row["right"] != "yes"]
    print(f"\n{len(rows) - len(wrong)} of {len(rows)} as expected", *wrong, sep="\n  ")
    write_json(asked.json, {"cases": rows})
    return 0


def main_of_damaged(asked: argparse.Namespace) -> int:
    """Run the cohort of damaged files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)).resolve() / "damaged"
        rows = run_damaged(asked.cases.resolve(), folder, asked.cores)
    header = ("session", "right", "check s", "job s", "words")
    print_table("Damaged files beside one whole session", header, [[*r.values()] for r in rows])
    write_json(asked.json, {"damaged": rows})
    return 0


def run_damaged(cases: Path, study: Path, cores: int) -> list[dict[str, Any]]:
    """Give each damaged file to a session; what became of it, and of a session without faults."""
    raw = study / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    control = cases / "00_control"
    _call([sys.executable, str(control / "make_input.py"), str(raw)], control, must=True)
    damaged = sorted(path for path in (cases / "damaged").iterdir() if path.is_file())
    whole = {"movie": "raw/movie.tif", "signals": "raw/signals.npy", "stimulus": "raw/stimulus.csv"}
    columns = {".tif": "movie", ".npy": "signals", ".mat": "stimulus"}
    sessions = {"whole": whole} | {
        f"d{number:02d}": whole | {columns[path.suffix]: str(path)}
        for number, path in enumerate(damaged)
    }
    _write_study(study, Expected())
    cells = [["session", "protocol", *whole]]
    cells += [[name, "full", *row.values()] for name, row in sessions.items()]
    sheet = "\n".join("\t".join(row) for row in cells) + "\n"
    (study / "config" / "sessions.tsv").write_text(sheet, encoding="utf-8")
    began = time.perf_counter()
    _, checked = _call([sys.executable, "-m", "derotation.cli", "check"], study)
    check_s = time.perf_counter() - began
    _call(_snakemake(study, cores), study)
    done = (study / "results" / "whole" / "quality.json").exists()
    flag = _flag(study, "whole")
    rows = [
        {"session": "whole", "right": "yes" if done and flag == "ok" else "NO",
         "check_s": check_s, "job_s": "", "words": f"done, {flag}" if done else "not done"}
    ]  # fmt: skip
    for name, path in zip([name for name in sessions if name != "whole"], damaged, strict=True):
        log = study / "logs" / name / "parse_signals.log"
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        # What is said of the file, before anything runs or where it is read; a movie that can be
        # opened all the same does not fit the signals, which is said instead.
        lines = [line for line in f"{checked}\n{said}".splitlines() if path.name in line]
        lines += [line for line in said.splitlines() if "ERROR" in line]
        right = bool(lines) and "not foreseen" not in said and "Traceback" not in checked
        words = lines[0].rpartition(path.name)[2].strip(": ") if lines else "nothing"
        rows.append(
            {"session": path.name, "right": "yes" if right else "NO", "check_s": "",
             "job_s": _log_seconds(said), "words": words[:WORDS_SHOWN]}
        )  # fmt: skip
    return rows


def _log_seconds(log: str) -> float | str:
    """Tell how long a job took from the first to the last time in its log."""
    found = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d+)", log, re.MULTILINE)
    if not found:
        return ""
    times = [datetime.fromisoformat(f"{at}.{part}") for at, part in (found[0], found[-1])]
    return (times[1] - times[0]).total_seconds()


def _snakemake(study: Path, cores: int, until: str | None = None) -> list[str]:
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(study), "--cores", str(cores), "--keep-going",
        "--configfile", str(study / "config" / "config.yaml"),
        *(["--until", until] if until else []),
    ]  # fmt: skip


def _is_asked(name: str, only: Sequence[str]) -> bool:
    return not only or any(name.startswith(start) for start in only)


def run_case(name: str, study: Path, asked: argparse.Namespace) -> Outcome:
    """Make a case's input, check it and run it."""
    expected, case = EXPECTED[name], (asked.cases / name.split("+")[0]).resolve()
    raw = study / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    _call([sys.executable, str(case / "make_input.py"), str(raw)], case, must=True)
    _write_study(study, expected)
    checked, check_words = _call([sys.executable, "-m", "derotation.cli", "check"], study)
    finished, _ = _call(_snakemake(study, asked.cores, asked.until), study)
    rms, good_but_wrong = _compare(study, expected)
    return Outcome(
        checked=checked == 0,
        finished=finished == 0,
        rms=rms,
        good_but_wrong=good_but_wrong,
        parsing_s=_parsing_seconds(study),
        flag=_flag(study),
        words="\n".join([check_words, *_sentences(study)]),
    )


def _call(command: Sequence[str], folder: Path, *, must: bool = False) -> tuple[int, str]:
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    if must and done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.returncode, done.stdout + done.stderr


def _write_study(study: Path, expected: Expected) -> None:
    config = study / "config"
    config.mkdir(exist_ok=True)
    settings: dict[str, Any] = {
        "sessions": "config/sessions.tsv",
        "signals": {"sampling_rate": 20000},
        "report": {"animation": False},
    }
    for section, keys in expected.config.items():
        settings[section] = {**settings.get(section, {}), **keys}
    (config / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    columns = ["session", "protocol", "movie", "signals"]
    cells = ["case", expected.protocol, f"raw/{expected.movie}", "raw/signals.npy"]
    if expected.protocol != "incremental":
        columns.append("stimulus")
        cells.append("raw/stimulus.csv")
    sheet = "\t".join(columns) + "\n" + "\t".join(cells) + "\n"
    (config / "sessions.tsv").write_text(sheet, encoding="utf-8")


def _compare(study: Path, expected: Expected) -> tuple[float, int]:
    """Compare the angles of all usable lines with the truth."""
    path, truth = study / "results" / "case" / "angles.npz", study / "raw" / "truth.npz"
    if not (path.exists() and truth.exists()):
        return float("nan"), 0
    found = np.load(path)["line_angles"]
    true = np.load(truth)["line_angles"][expected.truth][:, expected.rows]
    if expected.part:
        true = true[: len(found)] if expected.part == "first" else true[-len(found) :]
    if true.shape != found.shape:
        return float("nan"), 0
    # Whole turns look alike.
    off = (found - true + 180) % 360 - 180
    if expected.protocol == "free":
        off -= np.nanmean(off[0])
    known = np.isfinite(off)
    rms = float(np.sqrt(np.mean(off[known] ** 2))) if known.any() else float("nan")
    passed = known.all(axis=1)
    return rms, int(np.count_nonzero(np.abs(off[passed]).max(axis=1, initial=0) > WRONG))


def _parsing_seconds(study: Path) -> float:
    path = study / "benchmarks" / "case" / "parse_signals.tsv"
    if not path.exists():
        return float("nan")
    return float(path.read_text(encoding="utf-8").splitlines()[1].split("\t")[0])


def _flag(study: Path, session: str = "case") -> str:
    path = study / "results" / session / "quality.json"
    if not path.exists():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8")).get("flag", ""))


def _sentences(study: Path) -> list[str]:
    """All that the steps said: their logs, the repairs, and the sentences of the quality."""
    results = study / "results" / "case"
    files = [*sorted((study / "logs").glob("case/*.log")), *results.glob("*.json")]
    return [path.read_text(encoding="utf-8", errors="replace") for path in files]


def judge(expected: Expected, outcome: Outcome) -> tuple[bool, str]:
    """Compare what happened with what should; why it is not right."""
    unsaid = [p for p in expected.says if not re.search(p, outcome.words, re.IGNORECASE)]
    if outcome.good_but_wrong and (expected.exact or outcome.flag != "bad"):
        return False, f"{outcome.good_but_wrong} frames off by more than {WRONG:g} degree pass"
    if unsaid:
        return False, f"does not say: {', '.join(unsaid)}"
    if expected.problem and outcome.checked:
        return False, "the check finds no problem"
    if outcome.parsing_s > SLOW_PARSING_S:
        return False, "slow"
    if outcome.finished or not expected.may_refuse:
        if not outcome.finished:
            return False, "refused, or failed"
        if expected.exact and not outcome.rms < EXACT:
            return False, f"angles are off by {outcome.rms:.3g} degrees rms"
    return True, ""


def _row(name: str, outcome: Outcome, right: bool, why: str) -> dict[str, Any]:
    expected = EXPECTED[name]
    wanted = ["exact"] if expected.exact else []
    wanted += [f'says "{word}"' for word in expected.says]
    happened = "ran" if outcome.finished else "stopped"
    happened += f", {outcome.flag}" if outcome.flag else ""
    return {
        "case": name,
        "expected": ", ".join(wanted) + (" or refused" if expected.may_refuse else ""),
        "happened": happened + ("" if outcome.checked else ", problem in check"),
        "rms": outcome.rms,
        "right": "yes" if right else f"NO: {why}",
        "parsing_s": outcome.parsing_s,
        "words": _shown_words(expected, outcome.words),
    }


def _shown_words(expected: Expected, words: str) -> str:
    """Give the line that says what should be said, or the error."""
    for pattern in (*expected.says, "Error"):
        for line in words.splitlines():
            if re.search(pattern, line, re.IGNORECASE):
                return line.strip()[:WORDS_SHOWN]
    return ""


if __name__ == "__main__":
    sys.exit(main())
