"""One session's fault stops, shortens and misleads no other: cohorts with all faults at once."""

import csv
import os
import shutil
import time
from pathlib import Path

import pytest
from tiny_cohort import CONFIG, Cohort

FAULTS = Path(__file__).parent / "faults"
HOUR = 3600
RAW = ("movie.tif", "signals.npy", "stimulus.csv")


class FaultyCohort(Cohort):
    """A cohort of recordings that are there already, in whose jobs faults happen by name.

    What makes them happen is imported when Python starts.
    """

    def environment(self):
        environment = super().environment()
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [environment.get("PYTHONPATH"), str(FAULTS)])
        )
        return environment


@pytest.fixture
def recorded(first_run, tmp_path):
    """A function that writes the raw files of sessions, all with a calibration that is given."""
    done, result = first_run
    assert result.returncode == 0, result.stdout
    folder = tmp_path / "cohort"
    folder.mkdir()
    shutil.copy(done.folder / "results/a/calibration.json", folder / "given.json")

    def write(*names, movie="{}_movie.tif"):
        config = {key: value for key, value in CONFIG.items() if key != "simulate"}
        config["report"] = {"animation": False}
        rows = []
        for name in names:
            files = [movie.format(name), *(f"{name}_{raw}" for raw in RAW[1:])]
            for raw, file in zip(RAW, files, strict=True):
                shutil.copy(done.folder / "data/a" / raw, folder / file)
            rows.append((name, "full", *files, "given.json"))
        return FaultyCohort(folder, done.library, config=config, rows=rows)

    return write


def ends(cohort):
    """What the table says of each session."""
    with (cohort.folder / "results/cohort.tsv").open() as stream:
        return {row["session"]: row for row in csv.DictReader(stream, delimiter="\t")}


def test_what_happens_to_one_session_happens_to_it_alone(recorded):
    cohort = recorded("crash", "kill", "memory", "gone", "future", "damaged", "good")
    later = time.time() + 24 * HOUR
    os.utime(cohort.folder / "future_movie.tif", (later, later))
    movie = cohort.folder / "damaged_movie.tif"
    movie.write_bytes(movie.read_bytes()[:2000])
    # A log of an earlier run, which says nothing of this one.
    old = cohort.folder / "logs/kill/parse_signals.log"
    old.parent.mkdir(parents=True)
    old.write_text("ERROR: of an earlier run\n")

    result = cohort.run("--latency-wait", "1")

    assert result.returncode == 1
    found = ends(cohort)
    assert found["good"]["status"] == "done"
    assert (cohort.folder / "results/good/quality.json").exists()
    assert "\nReport: results/report.html" in result.stdout
    words = {
        "crash": "a library crashed (Segmentation fault)",
        "kill": "it was killed (SIGKILL)",
        "memory": "MemoryError",
        "gone": "gone_movie.tif",
        "future": "future_movie.tif was changed at ",
        "damaged": "damaged_movie.tif",
    }
    for name, reason in words.items():
        assert found[name]["status"] == "failed", name
        assert reason in found[name]["reason"], found[name]["reason"]
        assert f"\n  {name}: failed in {found[name]['failed_step']}: " in result.stdout
    assert "an earlier run" not in result.stdout
    assert "set its time: touch future_movie.tif" in found["future"]["reason"]


@pytest.mark.parametrize(
    "movie", ["{}*.tif", "{}[1].tif", "-{} 'a' \"b\".tif", "$HOME`{}`;&~%s.tif", "\xfc{}.tif"]
)
def test_a_movie_may_be_called_as_one_likes(recorded, movie):
    cohort = recorded("a", "b", movie=movie)
    targets = [f"results/{name}/angles.csv" for name in ("a", "b")]
    result = cohort.run(*targets)
    assert result.returncode == 0, result.stdout
    assert all((cohort.folder / target).exists() for target in targets)


def test_braces_in_a_name_are_refused_before_anything_is_run(recorded):
    cohort = recorded("a", "b", movie="{}{{x}}.tif")
    result = cohort.run()
    assert result.returncode == 1
    assert 'row 2 (session a), column movie: found braces in "a{x}.tif"' in result.stdout
    assert not (cohort.folder / "results").exists()


def test_an_open_quote_in_a_comment_swallows_no_session(recorded):
    cohort = recorded("a", "b", "c")
    cohort.columns = (*cohort.columns, "comment")
    notes = ('"the one with the open quote', 'a "b" c', "5' 6\"")
    cohort.rows = [(*row, note) for row, note in zip(cohort.rows, notes, strict=True)]
    assert cohort.planned("--quiet", "rules")["parse_signals"] == 3
