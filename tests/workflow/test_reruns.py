"""What is run again after a change: the table of docs/reruns.md, row by row."""

import re
import shutil
from dataclasses import dataclass
from typing import Protocol

import pytest
from tiny_cohort import ROOT, Cohort, simulated_row

TABLE = ROOT / "docs/reruns.md"
# Session b takes its calibration from a.
SESSIONS = {"a", "b"}
ESTIMATES = {"estimate_center", "estimate_plane"}
AFTER = {
    "simulate_session": {"parse_signals"},
    "parse_signals": {"interpolate_angles", "measure_quality"},
    "interpolate_angles": {
        "estimate_center",
        "estimate_illumination",
        "estimate_motion",
        "derotate_movie",
    },
    "estimate_center": {"estimate_plane"},
    "estimate_plane": {"estimate_illumination", "estimate_motion", "derotate_movie"},
    "estimate_illumination": {"derotate_movie"},
    "estimate_motion": {"derotate_movie"},
    "derotate_movie": {"measure_quality", "export_suite2p", "animate_session"},
    "derotate_planes": {"export_suite2p"},
    "measure_quality": {"export_suite2p"},
    "export_suite2p": set(),
    "animate_session": set(),
}


def from_here(step: str, sessions: set[str]) -> set[tuple[str, str]]:
    """A step of some sessions with all that follows: pairs of session and step."""
    found: set[tuple[str, str]] = set()
    waiting = {(session, step) for session in sessions}
    while waiting:
        session, step = waiting.pop()
        if session == "b" and step in ESTIMATES:
            continue
        found.add((session, step))
        heirs = {"a", "b"} if (session, step) == ("a", "estimate_plane") else {session}
        waiting |= {(heir, later) for heir in heirs for later in AFTER[step]} - found
    return found


class Change(Protocol):
    def __call__(self, cohort: Cohort) -> None: ...


def key(section: str, **values: object) -> Change:
    def change(cohort: Cohort) -> None:
        cohort.config[section] = cohort.config.get(section, {}) | values

    return change


def rig_of_b(cohort: Cohort) -> None:
    cohort.config["rigs"] = {"other": {"signals": {"max_off_glitch_ms": 50}}}
    cohort.columns = (*cohort.columns, "rig")
    cohort.rows = [(*row, rig) for row, rig in zip(cohort.rows, ("", "other"), strict=True)]


def simulation(cohort: Cohort) -> None:
    cohort.config["simulate"]["b"]["n_cells"] = 24


def reverse_keys(cohort: Cohort) -> None:
    config = {name: cohort.config[name] for name in reversed(cohort.config)}
    cohort.config = config | {"simulate": dict(reversed(config["simulate"].items()))}


def new_row(cohort: Cohort) -> None:
    cohort.config["simulate"]["c"] = cohort.config["simulate"]["a"]
    cohort.rows.append(simulated_row("c", "a"))


def reverse_rows(cohort: Cohort) -> None:
    cohort.rows.reverse()


def drop_row(cohort: Cohort) -> None:
    cohort.rows.pop()


def own_calibration(cohort: Cohort) -> None:
    cohort.rows[1] = simulated_row("b")


def own_column(cohort: Cohort) -> None:
    cohort.columns = (*cohort.columns, "mouse")
    cohort.rows = [(*row, "mouse7") for row in cohort.rows]


def other_stimulus(cohort: Cohort) -> None:
    # The files of a simulated session have fixed names: b becomes an ordinary one.
    raw = cohort.folder / "data/b"
    shutil.copy2(raw / "stimulus.csv", raw / "other.csv")
    del cohort.config["simulate"]["b"]
    row = list(cohort.rows[1])
    row[4] = "data/b/other.csv"
    cohort.rows[1] = tuple(row)


def content(name: str) -> Change:
    def change(cohort: Cohort) -> None:
        file = cohort.folder / "data/b" / name
        content = bytearray(file.read_bytes())
        content[-2] ^= 1
        file.write_bytes(content)

    return change


def touch_raw_files(cohort: Cohort) -> None:
    for file in (cohort.folder / "data").rglob("*"):
        if file.is_file() and file.stat().st_size < 1_000_000:
            file.touch()


def delete_angles(cohort: Cohort) -> None:
    (cohort.folder / "results/b/angles.csv").unlink()


def code(module: str, old: str = "\n\n\n", new: str = "\n\n\nNEW = 1\n\n\n") -> Change:
    """Edit a module in a copy of the library."""

    def change(cohort: Cohort) -> None:
        assert cohort.library is not None
        copied = cohort.folder.parent / "library"
        shutil.copytree(cohort.library, copied)
        file = copied / "derotation" / module
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        cohort.library, cohort.edited = copied, True

    return change


def fresh_checkout(cohort: Cohort) -> None:
    """Use a copy of the workflow in which every file is new and every script edited."""
    copied = cohort.folder.parent / "checkout"
    copied.mkdir()
    shutil.copy(ROOT / "Snakefile", copied)
    for folder in ("workflow", "profiles"):
        shutil.copytree(ROOT / folder, copied / folder, copy_function=shutil.copy)
    for script in (copied / "workflow/scripts").glob("*.py"):
        script.write_text(script.read_text() + "\n# edited\n")
    for rule in (copied / "workflow/rules").glob("*.smk"):
        rule.write_text(re.sub("threads: .*", "threads: 1", rule.read_text()))
    cohort.snakefile = copied / "Snakefile"


def ordinary_arguments(*arguments: str) -> Change:
    def change(cohort: Cohort) -> None:
        cohort.arguments = arguments

    return change


@dataclass(frozen=True)
class Row:
    """A row of the table: the words of its first cell, a change of this kind, what it concerns."""

    words: str
    change: Change
    step: str | None
    sessions: frozenset[str] = frozenset(SESSIONS)
    also: frozenset[tuple[str, str]] = frozenset()

    @property
    def jobs(self) -> set[tuple[str, str]]:
        return (from_here(self.step, set(self.sessions)) if self.step else set()) | self.also


B = frozenset({"b"})
OWN = frozenset({"a"})
ROWS = [
    Row("a key of `signals`", key("signals", max_off_glitch_ms=50), "parse_signals"),
    Row("`scan.lines_per_frame`", key("scan", lines_per_frame=48), "parse_signals"),
    Row("`scan.line_duty`", key("scan", line_duty=0.8), "interpolate_angles"),
    Row(
        "`scan.bidirectional`, `bidi_phase`", key("scan", bidirectional=True), "interpolate_angles"
    ),
    Row(
        "`movie.channel`, `plane`, `n_planes`, `n_channels`, `undo`",
        key("movie", plane=1),
        "parse_signals",
    ),
    Row("`movie.channels`", key("movie", channels="all"), "derotate_movie"),
    Row("`movie.planes`", key("movie", planes="all"), "derotate_planes"),
    Row("a key of `angles`", key("angles", line_reference="start"), "interpolate_angles"),
    Row("`angles.degrees_per_step`", key("angles", degrees_per_step=5), None),
    Row("a key of a rig in `rigs`, here of its `signals`", rig_of_b, "parse_signals", B),
    Row("a key of `center`", key("center", seed=7), "estimate_center", OWN),
    Row("a key of `plane`", key("plane", correct="never"), "estimate_plane", OWN),
    Row("a key of `wobble`", key("wobble", max_order=2), "estimate_plane", OWN),
    Row("`illumination.correct`", key("illumination", correct="never"), "derotate_movie"),
    Row("`illumination.n_frames`", key("illumination", n_frames=50), "estimate_illumination"),
    Row("`motion_correction.correct`", key("motion_correction", correct="never"), "derotate_movie"),
    Row("`motion_correction.n_frames`", key("motion_correction", n_frames=50), "estimate_motion"),
    Row("a key of `derotate`", key("derotate", interpolation="cubic"), "derotate_movie"),
    Row("a key of `cells`, without ROIs", key("cells", min_seen=0.7), None),
    Row("a key of `quality`", key("quality", ptd_px={"look": 2}), "measure_quality"),
    Row("a key of `movement`, without a reference", key("movement", max_scale=1.5), None),
    Row("a key of `mosaic`, without a group", key("mosaic", min_overlap=0.1), None),
    Row("a key of `export`", key("export", fill="low"), "export_suite2p"),
    Row("a key of `nwb`, without an NWB file", key("nwb", species="Mus musculus"), None),
    Row("`export.suite2p.python`", key("export", suite2p={"python": "python3.99"}), None),
    Row("a key of `simulate.<session>`", simulation, "simulate_session", B),
    Row("`movie.frames_per_chunk`", key("movie", frames_per_chunk=7), None),
    Row("a default, written out", key("derotate", interpolation="quadratic"), None),
    Row("another order of keys", reverse_keys, None),
    Row("`1` in place of `1.0`", key("signals", sampling_rate=10000.0), None),
    Row(
        "a new row",
        new_row,
        None,
        also=frozenset(from_here("simulate_session", {"c"}) - {("c", step) for step in ESTIMATES}),
    ),
    Row("another order of rows", reverse_rows, None),
    Row("a row taken out", drop_row, None),
    Row(
        "a session's `calibration`",
        own_calibration,
        "derotate_movie",
        B,
        also=frozenset(
            ("b", f"estimate_{what}") for what in ("center", "plane", "illumination", "motion")
        ),
    ),
    Row("a session's `stimulus` names another file", other_stimulus, "parse_signals", B),
    Row("a column of your own", own_column, None),
    Row(
        "the content of the signals or of the stimulus table",
        content("stimulus.csv"),
        "parse_signals",
        B,
    ),
    Row("the content of the movie", content("movie.tif"), "parse_signals", B),
    Row("a raw file below 1 MB is copied or touched", touch_raw_files, None),
    Row("a result is deleted", delete_angles, "interpolate_angles", B),
    Row(
        "code of a module that a step uses",
        code("steps/interpolate_angles.py"),
        "interpolate_angles",
    ),
    Row("code of a module that a step uses", code("calibration/center.py"), "estimate_center", OWN),
    Row(
        "code of a module that a step uses",
        code("steps/derotate_movie.py"),
        "derotate_movie",
    ),
    Row("code of a module that a step uses", code("quality/measure.py"), "measure_quality"),
    Row("code of a module that a step uses", code("export/run_suite2p.py"), "export_suite2p"),
    Row("a comment or a docstring", code("signals/angles.py", '"""', '"""Something else. '), None),
    Row(
        "a comment or a docstring", code("signals/angles.py", "\n\n\n", "\n\n\n# New.\n\n\n"), None
    ),
    Row("code of a module that no step uses", code("cohort/sample_sheet.py"), None),
    Row("a script or rule below `workflow/`, a fresh checkout", fresh_checkout, None),
    Row(
        "cores, memory, profile, threads",
        ordinary_arguments(
            "--cores=1", "--resources=mem_mb=4000", "--set-threads=derotate_movie=1"
        ),
        None,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_a_change_reruns_what_it_concerns(finished, row):
    row.change(finished)
    assert finished.pending() == row.jobs


def test_the_table_in_the_docs_has_these_rows():
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    shown = {row[0]: row[1] for row in cells if len(row) == 3 and row[1]}
    del shown["change"], shown["---"]
    assert list(shown) == list(dict.fromkeys(row.words for row in ROWS))
    for row in ROWS:
        cell = shown[row.words]
        if cell.startswith("`"):
            assert cell == f"`{row.step}`"
        elif cell == "nothing":
            assert not row.jobs
        else:
            assert row.jobs
