"""What the page, the table, the record and the summary say of a cohort."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from derotation.quality.figures import SPECIFICATIONS
from derotation.report import page
from derotation.report.captions import MOSAIC_PLOTS, PLOTS, caption_html
from derotation.report.page import mark_outdated
from derotation.report.pictures import MAX_WIDTH, embed
from derotation.report.sessions import CohortReport, Figure
from derotation.report.states import RunJobs
from derotation.report.summary import MAX_LINES, summary_lines
from derotation.report.words import PLAIN, number, plain
from played_session import make_player

CAPTIONS = Path(__file__).parents[3] / "workflow" / "report"


class Words(HTMLParser):
    """The text of a page without scripts and styles, and the attributes of its elements."""

    def __init__(self, text):
        super().__init__()
        self.words, self.elements, self._hidden = "", [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._hidden = tag in ("script", "style")
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words = f"{self.words} {' '.join(data.split())}".strip()

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("what", "expected"), [("sample", "broken"), ("scanner", "needy")])
def test_the_calibration_is_the_one_that_the_session_was_derotated_with(cohort, what, expected):
    # The row of the session "needy" names "broken"; where the scanner moves, its calibration is
    # carried over, and the session has its own.
    for name in ("broken", "needy"):
        folder = Path("results", name)
        folder.mkdir(exist_ok=True)
        known = {"statement": f"The center of {name} is known.", "trusted": name == "needy"}
        (folder / "calibration.json").write_text(json.dumps(known))
    found = cohort(what=what).sessions[-1]
    assert found.name == "needy"
    assert found.calibration == f"The center of {expected} is known."
    assert found.trusted == (expected == "needy")


def test_the_page_says_all_of_every_session(cohort):
    cohort()
    page = Words(Path("results/report.html").read_text())
    assert "5 sessions: 1 ok, 1 to look at, 1 bad, 1 not processed, 1 failed" in page.words
    assert "broken failed in parse_signals : raw/s.npy: no <ticks>." in page.words
    assert "needy not processed: it needs broken, which failed in parse_signals" in page.words
    assert "Cells of <different> angles & times lie apart: look at the center." in page.words
    assert "rotation ticks: 2 ticks were inserted." in page.words
    assert "The center of mouse2 is known to 0.01 px." in page.words
    assert "The light of mouse2 is even." in page.words
    assert "look above 0.3 px, bad above 1 px" in page.words
    assert "look below 1.1, bad below 1" in page.words
    assert "method: registration" in page.words
    assert "derotate_movie 1 min 15 s 210 MB" in page.words
    assert "parse_signals 2.5 s" in page.words


def test_pictures_are_within_the_page_in_reading_order_and_described(cohort):
    cohort()
    page = Words(Path("results/report.html").read_text())
    pictures = page.all("img")
    assert len(pictures) == 3 * 3
    assert all(picture["src"].startswith("data:image/") for picture in pictures)
    assert all(picture["loading"] == "lazy" for picture in pictures)
    titles = [picture["alt"].partition(",")[0] for picture in pictures[:3]]
    assert titles == [PLOTS[name] for name in ("signals", "before_after", "animation")]
    # The flagged ones first.
    whose = [picture["alt"].partition("session ")[2].partition(";")[0] for picture in pictures]
    assert whose[::3] == ["mouse1", "mouse2", "mouse10"]
    assert "Signals of mouse10. Good: marks on pulses ." in page.words


def test_nothing_is_taken_from_elsewhere(cohort):
    cohort()
    page = Words(Path("results/report.html").read_text())
    named = [attributes[key] for _, attributes in page.elements for key in ("src", "href")
             if key in attributes]  # fmt: skip
    assert all(name.startswith(("data:", "#")) for name in named)


def test_many_pictures_go_to_pages_of_their_own(cohort):
    cohort(max_megabytes=0.03)
    main = Path("results/report.html").read_text()
    assert "<img" not in main
    assert 'href="report/mouse2.html"' in main
    assert {path.stem for path in Path("results/report").iterdir()} == {
        "mouse10", "mouse2", "mouse1", "broken", "needy",
    }  # fmt: skip
    single = Words(Path("results/report/mouse2.html").read_text())
    assert len(single.all("img")) == 3
    assert ADVICE_SHOWN in single.words
    # A page is made again only if what stands in it has changed.
    pages = {path.stem: path for path in Path("results/report").iterdir()}
    (Path("results/report") / "gone.html").write_text("of a session that was taken out")
    before = {name: path.stat().st_mtime_ns for name, path in pages.items()}
    Path("results/mouse1/plots/signals.png").touch()
    Path("results/mouse2/quality.json").write_text(
        Path("results/mouse2/quality.json").read_text().replace("0.42", "0.43")
    )
    cohort(max_megabytes=0.03)
    after = {path.stem: path.stat().st_mtime_ns for path in Path("results/report").iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"mouse1", "mouse2"}
    # With few pictures again, pages that nothing links do not stay.
    cohort()
    assert not Path("results/report").exists()


ADVICE_SHOWN = "Cells of <different> angles & times lie apart"


def test_the_table_has_a_row_per_session(cohort):
    cohort()
    with Path("results/cohort.tsv").open() as stream:
        rows = {row["session"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert list(rows["mouse1"]) == [
        "session", "protocol", "status", "failed_step", "reason", "flag",
        "residual_shift_px", "sharpness_gain", "movie", "mouse", "calibration",
    ]  # fmt: skip
    assert rows["mouse1"]["residual_shift_px"] == "10.5"
    assert rows["mouse1"]["flag"] == "bad"
    assert rows["mouse2"]["sharpness_gain"] == ""
    assert rows["mouse2"]["mouse"] == "2"
    assert rows["broken"]["status"] == "failed"
    assert rows["broken"]["reason"] == "raw/s.npy: no <ticks>."
    assert rows["broken"]["residual_shift_px"] == ""


@pytest.mark.parametrize(
    ("look", "bad", "value", "flag", "words"),
    [
        (0.3, 1, 0.1, "ok", "look above 0.3, bad above 1"),
        (0.9, 0.7, 0.8, "look", "look below 0.9, bad below 0.7"),
        (0, None, 2, "look", "look above 0"),
        (0, 0, 1, "ok", "bad below 0"),
        (0, 0, -1, "bad", "bad below 0"),
        (0, 0, 3, "bad", "bad above 0"),
        (None, None, 3, "none", ""),
    ],
)
def test_thresholds_are_said_with_their_side(look, bad, value, flag, words):
    """quality.json says on which side it is bad only by its numbers."""
    figure = Figure(name="x", title="X", value=value, flag=flag, look=look, bad=bad)
    assert page._threshold(figure) == words


def test_the_record_can_be_used_again(cohort):
    cohort()
    config = yaml.safe_load(Path("results/run/config.yaml").read_text())
    assert config["report"] == {"animation": True, "max_megabytes": 50}
    assert Path("results/run/sessions.tsv").read_text() == Path("sessions.tsv").read_text()
    versions = json.loads(Path("results/run/versions.json").read_text())
    assert {"derotation", "python", "snakemake", "numpy", "git"} <= versions.keys()


def test_the_summary_names_those_not_ok_worst_first(cohort):
    lines = summary_lines(cohort(), "results/report.html")
    assert lines[0] == "5 sessions: 1 ok, 1 to look at, 1 bad, 1 not processed, 1 failed"
    assert lines[1] == (
        "  broken: failed in parse_signals: raw/s.npy: no <ticks>. (logs/broken/parse_signals.log)"
    )
    assert lines[2] == "  needy: not processed: it needs broken, which failed in parse_signals"
    assert lines[3] == "  mouse1: bad: residual shift 10.5\u202fpx"
    assert lines[4] == "  mouse2: to look at: residual shift 0.42\u202fpx"
    assert lines[-1] == "Report: results/report.html"


def test_mosaics_are_shown_and_those_that_failed_are_named(cohort):
    folder = Path("results/mosaic")
    folder.mkdir()
    for name in ("left.tif", "left.png", "left_overlaps.png"):
        Image.new("L", (40, 30), 128).save(folder / name)
    log = Path("logs/mosaic/right.log")
    log.parent.mkdir()
    log.write_text("ERROR: right: no overlap.\nLook at the stage.\n")
    groups = {name: [f"results/mosaic/{name}.tif"] for name in ("left", "right", "top")}
    lines = summary_lines(cohort(mosaics=groups), "r.html")
    assert "  mosaic right: failed: right: no overlap. (logs/mosaic/right.log)" in lines
    assert any(line.startswith("  mosaic top: not processed: it was not built") for line in lines)
    page = Words(Path("results/report.html").read_text())
    assert "2 of 5 sessions are not done, 2 of 3 mosaics not built" in page.words
    assert "mosaic right failed: right: no overlap." in page.words
    assert "The window of left." in page.words
    assert [picture["alt"].partition(",")[0] for picture in page.all("img")[-2:]] == list(
        MOSAIC_PLOTS.values()
    )
    jobs = RunJobs(failed=frozenset({("left", "build_mosaic")}))
    assert "mosaic left: failed" in "\n".join(summary_lines(cohort(jobs, mosaics=groups), "r.html"))


def test_a_long_summary_is_cut(cohort):
    many = CohortReport(sessions=(cohort().sessions[3],) * (MAX_LINES + 5))
    lines = summary_lines(many, "r.html")
    assert len(lines) == MAX_LINES + 3
    assert lines[-2] == "  ... and 5 more"


def test_an_older_page_says_once_that_a_run_has_begun(cohort):
    cohort()
    page = Path("results/report.html")
    mark_outdated(page)
    mark_outdated(page)
    words = Words(page.read_text()).words
    assert len(re.findall("A new run began on", words)) == 1
    mark_outdated(Path("results/none.html"))
    assert not Path("results/none.html").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"figures": 3}', '{"figures": [{"x": 1}]}', "\0"])
def test_a_broken_file_is_named_and_hides_no_other_session(cohort, content):
    Path("results/mouse2/quality.json").write_text(content)
    found = {session.name: session for session in cohort().sessions}
    state = found["mouse2"].state
    assert (state.status, state.failed_step) == ("failed", "report")
    assert "results/mouse2" in state.reason
    assert "Delete" in state.reason
    assert found["mouse10"].verdict == "ok"
    page = Words(Path("results/report.html").read_text()).words
    assert "results/mouse2" in page
    assert "The light of mouse10 is even." in page


def test_what_failed_before_weighs_more_than_a_broken_file(cohort):
    Path("results/broken").mkdir()
    Path("results/broken/events.json").write_text("{")
    (session,) = [session for session in cohort().sessions if session.name == "broken"]
    assert session.state.failed_step == "parse_signals"


def test_a_broken_picture_is_said_in_its_place(cohort):
    plot = Path("results/mouse2/plots/signals.png")
    plot.write_bytes(plot.read_bytes()[:60])
    cohort()
    page = Path("results/report.html").read_text()
    assert page.count('<img src="data:image/svg+xml') == 1
    assert (
        "cannot be read"
        in base64.b64decode(
            re.search(r'src="data:image/svg\+xml;base64,([^"]*)"', page)[1]
        ).decode()
    )


def test_captions_become_html_without_placeholders():
    source = (
        "Session {{ snakemake.wildcards.session }} at {{ snakemake.params.config.x }}.\n\n"
        "- <script> is no markup\n- ``code``\n\n.. include:: /etc/passwd\n\n"
        ".. raw:: html\n\n   <b>\n"
    )
    text = caption_html(source, "a_b")
    assert "<p>Session a_b at .</p>" in text
    assert "&lt;script&gt;" in text
    assert "<span" in text
    assert "root:" not in text
    assert "<b>" not in text


def test_every_caption_of_the_workflow_has_its_place_in_the_report():
    written = {path.stem for path in CAPTIONS.glob("*.rst")}
    assert written == {*PLOTS, *MOSAIC_PLOTS, "report", "cohort"}


@pytest.mark.parametrize("name", sorted(path.stem for path in CAPTIONS.glob("*.rst")))
def test_the_captions_of_the_workflow_are_clean(name):
    path = CAPTIONS / f"{name}.rst"
    text = caption_html(path.read_text(), "mouse7")
    assert "system-message" not in text
    assert "problematic" not in text
    assert "{{" not in text
    assert Words(text).words


def test_a_wide_picture_is_made_smaller_but_keeps_its_shape(tmp_path):
    Image.new("RGB", (3 * MAX_WIDTH, 300), "white").save(tmp_path / "wide.png")
    picture = embed(tmp_path / "wide.png")
    assert (picture.width, picture.height) == (MAX_WIDTH, 100)
    assert picture.uri.startswith("data:image/webp;base64,")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.22e-14, "0"),
        (-3e-12, "0"),
        (0.0, "0"),
        (1.07, "1.07"),
        (53.0, "53"),
        (0.00034, "0.00034"),
    ],
)
def test_what_arithmetic_leaves_of_zero_is_zero(value, words):
    assert number(value) == words


def test_figures_whose_values_do_not_speak_for_themselves_are_explained():
    known = {item.name for item in SPECIFICATIONS}
    assert set(PLAIN) <= known
    meanings = {"ptd_px": "Point-to-point distance."}
    assert plain("ptd_px", meanings).startswith("Point-to-point distance. PTD,")
    assert plain("another", meanings) == ""
    cohort_page = {
        item.name: plain(item.name, {item.name: item.meaning}) for item in SPECIFICATIONS
    }
    assert all(cohort_page.values())


def test_a_player_takes_the_place_of_the_animation(cohort):
    make_player(Path("results/mouse2/player.json"))
    cohort()
    text = Path("results/report.html").read_text()
    page = Words(text)
    assert len(page.all("img")) == 3 * 3 - 1 + 2
    (data,) = re.findall(
        r'<script type="application/json" class="player-data">(.*?)</script>', text
    )
    assert json.loads(data) == json.loads(Path("results/mouse2/player.json").read_text())
    # Of a session that failed in this run, no frames of an earlier one are shown.
    cohort(RunJobs(failed=frozenset({("mouse2", "measure_quality")})))
    assert 'class="player-data"' not in Path("results/report.html").read_text()
    # Nor are they if nobody asked for any.
    cohort(animation=False)
    assert 'class="player-data"' not in Path("results/report.html").read_text()


def test_data_cannot_end_its_script(cohort):
    make_player(Path("results/mouse2/player.json"))
    content = json.loads(Path("results/mouse2/player.json").read_text())
    content["note"] = "</script><b>"
    Path("results/mouse2/player.json").write_text(json.dumps(content))
    cohort()
    text = Path("results/report.html").read_text()
    assert "</script><b>" not in text
    (data,) = re.findall(r'class="player-data">(.*?)</script>', text)
    assert json.loads(data)["note"] == "</script><b>"


def test_a_page_of_its_own_is_made_again_with_its_player(cohort):
    cohort(max_megabytes=0.03)
    page = Path("results/report/mouse2.html")
    before = page.read_text()
    make_player(Path("results/mouse2/player.json"))
    cohort(max_megabytes=0.03)
    assert 'class="player-data"' in page.read_text()
    assert 'class="player-data"' not in before


def test_a_statement_that_rests_on_an_assumption_is_marked(cohort):
    said = "In which directions lines were scanned is not said; one direction is assumed."
    for name, doubt in (("mouse10", False), ("mouse2", True)):
        verdict = {"topic": "scan", "code": "assumed", "doubt": doubt}
        Path("results", name, "scan.json").write_text(
            json.dumps({"statement": f"{name}: {said}", "verdicts": [verdict]})
        )
    cohort()
    words = Words(Path("results/report.html").read_text()).words
    assert f"to look at mouse2: {said}" in words
    assert f"Scan mouse10: {said}" in words


def test_the_log_of_a_failure_is_shown_to_its_end(cohort):
    log = Path("logs/broken/parse_signals.log")
    many = "".join(f"12:00 INFO line {k}\n" for k in range(100))
    log.write_text(many + log.read_text())
    cohort()
    words = Words(Path("results/report.html").read_text()).words
    assert "INFO line 99" in words
    assert "INFO line 10 " not in words


def test_a_damaged_player_is_named_and_hides_no_other_session(cohort):
    Path("results/mouse2/player.json").write_text('{"thumb')
    found = {session.name: session for session in cohort().sessions}
    assert "player.json cannot be read" in found["mouse2"].state.reason
    assert found["mouse10"].verdict == "ok"


def test_damaged_traces_are_named_and_hide_nothing(cohort):
    make_player(Path("results/mouse2/player.json"))
    Path("results/mouse2/cells.npz").write_bytes(b"PK")
    assert {session.name: session.verdict for session in cohort().sessions}["mouse2"] == "look"
    words = Words(Path("results/report.html").read_text()).words
    assert "cells.npz" in words
    assert "cannot be read" in words or "is not" in words


def test_the_channels_of_a_session_with_one_channel_are_not_shown(cohort):
    for name in ("mouse2", "mouse10"):
        folder = Path("results", name)
        Image.new("RGB", (40, 30)).save(folder / "plots" / "channels.png")
        (folder / "images" / "channels").mkdir(parents=True)
    Path("results/mouse10/images/channels/mean_ch2.tif").write_bytes(b"II*")
    shown = {session.name: list(session.plots) for session in cohort().sessions}
    assert "channels" in shown["mouse10"]
    assert "channels" not in shown["mouse2"]


def test_a_picture_of_noise_is_not_many_times_as_large_as_a_drawing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (700, 1280), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    Image.fromarray(np.where(noise > 254, 0, 255).astype(np.uint8)).save(tmp_path / "few.png")
    large, small = (len(embed(tmp_path / f"{name}.png").uri) for name in ("noise", "few"))
    assert large < 0.5 * len(as_webp(noise, 70))
    assert small < large


def as_webp(values, quality):
    stream = io.BytesIO()
    Image.fromarray(values).convert("RGB").save(stream, "WEBP", quality=quality, method=0)
    return base64.b64encode(stream.getvalue())
