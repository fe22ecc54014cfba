"""A cohort as its files show it: five sessions, each of which ended in another way."""

import json

import numpy as np
import pytest
from PIL import Image

from derotation.report.states import RunJobs
from derotation.steps import report

FIGURES = {
    "ok": {"residual_shift_px": 0.06, "sharpness_gain": 2.5},
    "look": {"residual_shift_px": 0.42, "sharpness_gain": None},
    "bad": {"residual_shift_px": 10.5, "sharpness_gain": 0.9},
}
ADVICE = "Cells of <different> angles & times lie apart: look at the center."
CONFIG = {
    "sessions": "sessions.tsv",
    "report": {"animation": True, "max_megabytes": 50},
    "center": {"method": "registration"},
    "movement": {"what": "sample"},
}
CAPTIONS = {
    "signals": "Signals of {{ snakemake.wildcards.session }}.\nGood: marks on ``pulses``.\n",
    "mosaic": "The window of {{ snakemake.wildcards.group }}.\n",
    "before_after": "Means of {{ snakemake.wildcards.session }}.\n",
}


def quality(session, flag):
    values = FIGURES[flag]
    shift = {
        "name": "residual_shift_px", "title": "Residual shift", "unit": "px",
        "value": values["residual_shift_px"], "before": 4.2, "flag": flag, "look": 0.3, "bad": 1.0,
        "sentence": "How far the mean images at different angles lie apart.",
    }  # fmt: skip
    gain = {
        "name": "sharpness_gain", "title": "Sharpness gain", "unit": "",
        "value": values["sharpness_gain"], "before": None, "flag": "none",
        "look": 1.1, "bad": 1.0, "sentence": "",
    }  # fmt: skip
    return {
        "kind": "derotation quality", "version": 1, "session": session, "protocol": "full",
        "flag": flag, "figures": [shift, gain], "advice": [] if flag == "ok" else [ADVICE],
    }  # fmt: skip


def make_session(folder, name, flag):
    """Write what the steps of a session that went well leave."""
    results = folder / "results" / name
    (results / "plots").mkdir(parents=True)
    (results / "derotated.tif").write_bytes(b"II*")
    (results / "quality.json").write_text(json.dumps(quality(name, flag)))
    repair = {"channel": "rotation_ticks", "count": 2, "text": "2 ticks were inserted.",
              "code": "x", "places_s": []}  # fmt: skip
    (results / "events.json").write_text(json.dumps({"repairs": [repair], "anomalies": []}))
    calibration = {"statement": f"The center of {name} is known to 0.01 px.", "trusted": True}
    (results / "calibration.json").write_text(json.dumps(calibration))
    light = {"statement": f"The light of {name} is even.", "dark_angles": {}}
    (results / "illumination.json").write_text(json.dumps(light))
    noise = np.random.default_rng(3).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    for plot in ("before_after", "signals"):
        Image.fromarray(noise).save(results / "plots" / f"{plot}.png")
    frames = [Image.fromarray(noise[:, :, k]) for k in range(3)]
    frames[0].save(results / "plots" / "animation.gif", save_all=True, append_images=frames[1:])
    times = folder / "benchmarks" / name
    times.mkdir(parents=True)
    for step, seconds, memory in (("derotate_movie", 75.0, "210.5"), ("parse_signals", 2.5, "-")):
        (times / f"{step}.tsv").write_text(f"s\tmax_rss\n{seconds}\t{memory}\n")


@pytest.fixture
def add_session(tmp_path):
    """Write the files of a further session: called with its name and its flag."""
    return lambda name, flag: make_session(tmp_path, name, flag)


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Run the step on a cohort; called with changes of the configuration and the run's jobs."""
    monkeypatch.chdir(tmp_path)
    flags = {"mouse10": "ok", "mouse2": "look", "mouse1": "bad"}
    for name, flag in flags.items():
        make_session(tmp_path, name, flag)
    log = tmp_path / "logs" / "broken" / "parse_signals.log"
    log.parent.mkdir(parents=True)
    log.write_text("12:00 INFO began\nERROR: raw/s.npy: no <ticks>.\nCheck the cable.\n")
    names = [*flags, "broken", "needy"]
    rows = [
        {"session": name, "protocol": "full", "movie": f"{name}.tif", "mouse": name.strip("mouse")}
        for name in names
    ]
    rows[-1]["calibration"] = "broken"
    text = "\n".join("\t".join(row.values()) for row in rows)
    (tmp_path / "sessions.tsv").write_text(text + "\n")

    def run(jobs: RunJobs | None = None, mosaics=None, what="sample", more=(), **settings):
        all_names = [*names, *(row["session"] for row in more)]
        return report.run(
            rows=[*rows, *more],
            final_files={name: [f"results/{name}/derotated.tif"] for name in all_names},
            config=CONFIG | {"movement": {"what": what}, "report": CONFIG["report"] | settings},
            captions=CAPTIONS,
            results="results",
            logs="logs",
            benchmarks="benchmarks",
            mosaics=mosaics,
            jobs=jobs,
        )

    return run
