"""The page in a real browser, from a file and without a network."""

import base64
import csv
import json
import shutil
import time

import numpy as np
import pytest

from browser import Browser
from played_session import CELL, make_cell_table, make_cells, make_player

ROWS = "Array.from(document.querySelectorAll('#sessions tbody tr'))"
SHOWN = f"{ROWS}.filter(row => !row.hidden).map(row => row.dataset.session)"
# Pictures are loaded when they come into view, so each is brought there.
LOADED = """(async () => {
  document.querySelectorAll('details').forEach(d => d.open = true);
  const sizes = [];
  for (const picture of document.images) {
    picture.scrollIntoView();
    await picture.decode();
    sizes.push(picture.naturalWidth);
  }
  return sizes;
})()"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium") / "profile") as started:
        yield started


@pytest.fixture
def browser(chromium):
    with chromium.page() as opened:
        yield opened


def click_head(browser, column):
    heads = "document.querySelectorAll('#sessions th button')"
    browser.evaluate(f"Array.from({heads}).find(b => b.textContent.startsWith('{column}')).click()")
    return browser.evaluate(SHOWN)


def test_the_report_works_as_a_file(cohort, browser, tmp_path):
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    # The worst first, then by name (as numbers), by a figure, and by how bad it is.
    assert browser.evaluate(SHOWN) == ["broken", "needy", "mouse1", "mouse2", "mouse10"]
    assert click_head(browser, "Session") == ["broken", "mouse1", "mouse2", "mouse10", "needy"]
    assert click_head(browser, "Residual")[:3] == ["mouse10", "mouse2", "mouse1"]
    assert click_head(browser, "Residual")[:3] == ["mouse1", "mouse2", "mouse10"]
    assert click_head(browser, "Flag") == ["broken", "needy", "mouse1", "mouse2", "mouse10"]
    sorted_by = "document.querySelector('th[aria-sort]').textContent"
    assert browser.evaluate(sorted_by).startswith("Flag")
    # Only those that need a look; then a word.
    browser.evaluate(
        "show.value = 'look bad failed missing'; show.dispatchEvent(new Event('change'))"
    )
    assert "mouse10" not in browser.evaluate(SHOWN)
    browser.evaluate("search.value = 'no <TICKS>'; search.dispatchEvent(new Event('input'))")
    assert browser.evaluate(SHOWN) == ["broken"]
    browser.evaluate("search.value = 'zebra'; search.dispatchEvent(new Event('input'))")
    assert browser.evaluate("document.getElementById('none-shown').hidden") is False
    # A link opens its session.
    browser.evaluate("search.value = ''; show.value = ''; show.dispatchEvent(new Event('change'))")
    browser.evaluate("document.querySelector('#sessions a[href=\"#session-mouse2\"]').click()")
    opened = "new Promise(done => setTimeout(() => done(" \
        "document.getElementById('session-mouse2').open), 50))"  # fmt: skip
    assert browser.evaluate(opened) is True
    # Every picture is there, of its full size.
    assert browser.evaluate(LOADED) == [90] * 9
    assert browser.complaints == []
    assert [address for address in browser.requests if not address.startswith("data:")] == []


def test_pages_of_single_sessions_work_as_files(cohort, browser, tmp_path):
    cohort(max_megabytes=0.03)
    browser.open(tmp_path / "results" / "report.html")
    target = "document.querySelector('#sessions a').href"
    assert browser.evaluate(target) == (tmp_path / "results/report/broken.html").as_uri()
    assert click_head(browser, "Flag")[0] == "broken"
    browser.open(tmp_path / "results" / "report" / "mouse10.html")
    assert browser.evaluate(LOADED) == [90] * 3
    assert browser.complaints == []


def test_a_narrow_window_does_not_scroll_sideways(cohort, chromium, tmp_path):
    cohort()
    with chromium.page(width=500) as narrow:
        narrow.open(tmp_path / "results" / "report.html")
        narrow.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        root = "document.documentElement"
        assert narrow.evaluate(f"{root}.scrollWidth <= {root}.clientWidth") is True


SESSION = "document.getElementById('session-mouse2')"
# Wait for a time in milliseconds; until what was asked for has happened, events and all, and was
# drawn; until the player and the cells of a session, if it has them, have read their pictures.
PAUSE = "new Promise(done => setTimeout(done, {}))"
SETTLED = (
    "new Promise(done => requestAnimationFrame(() => requestAnimationFrame("
    "() => setTimeout(done))))"
)
READY = """(async () => {{
  const session = {};
  const ready = () => session.open !== false && (!session.querySelector('canvas.frames') ||
    session.querySelector('canvas.frames').style.getPropertyValue('--ratio') &&
    session.querySelector('canvas.mean').width === 480);
  for (let k = 0; k < 2000 && !ready(); k++) await new Promise(done => setTimeout(done, 10));
  return ready();
}})()"""


@pytest.fixture
def opened(cohort, browser, tmp_path):
    """A report whose first two sessions have players, the second one also cells; one is open."""
    for name in ("mouse1", "mouse2"):
        make_player(tmp_path / "results" / name / "player.json")
    make_cells(tmp_path / "results" / "mouse1" / "cells.npz")
    make_cell_table(tmp_path / "results" / "mouse1" / "cells.csv")
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    yield open_session(browser, "mouse2")
    assert browser.complaints == []
    assert [address for address in browser.requests if not address.startswith("data:")] == []


def open_session(browser, name):
    browser.evaluate(f"document.querySelector('#sessions a[href=\"#session-{name}\"]').click()")
    wait_until_ready(browser, f"document.getElementById('session-{name}')")
    return browser


def wait_until_ready(browser, session):
    assert browser.evaluate(READY.format(session))
    browser.evaluate(SETTLED)


def now(browser):
    """The frame that the player says that it shows."""
    said = browser.evaluate(f"{SESSION}.querySelector('.now').textContent")
    return int(said.split()[1]), said


def plays_on(browser, times):
    """Wait until the player has shown another frame so many times."""
    said = f"{SESSION}.querySelector('.now').textContent"
    assert browser.evaluate(
        f"(async () => {{ let last = {said}; let n = 0;"
        "for (let k = 0; k < 2000; k++) {"
        "await new Promise(done => setTimeout(done, 10));"
        f"if ({said} !== last) {{ last = {said}; n += 1; }}"
        f"if (n === {times}) return true; }} return false; }})()"
    )


def pixel(browser, x, y):
    """The gray value at a place of the player's canvas, as parts of its size."""
    read = copied(f"{SESSION}.querySelector('canvas.frames')")
    return browser.evaluate(
        f"{read}.then(p => p.getImageData(p.canvas.width * {x}, p.canvas.height * {y}, 1, 1))"
        ".then(found => found.data[0])"
    )


def copied(canvas):
    """Copy a canvas to be read: Chromium complains of one that is drawn for people and read."""
    return (
        f"(async () => {{ const c = {canvas}; const d = document.createElement('canvas');"
        "d.width = c.width; d.height = c.height;"
        "const p = d.getContext('2d', {willReadFrequently: true}); p.drawImage(c, 0, 0);"
        "return p; })()"
    )


def press(browser, key, code=None):
    for kind in ("keyDown", "keyUp"):
        text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **text)


def click(browser, selector, x=0.5, y=0.5):
    """Click a place within an element, as parts of its size, with the mouse."""
    browser.evaluate(f"{selector}.scrollIntoView({{block: 'center'}})")
    place = browser.evaluate(
        f"(() => {{ const r = {selector}.getBoundingClientRect();"
        f"return [r.left + {x} * r.width, r.top + {y} * r.height]; }})()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call(
            "Input.dispatchMouseEvent",
            type=kind, x=place[0], y=place[1], button="left", buttons=1, clickCount=1,
        )  # fmt: skip
    browser.evaluate(SETTLED)


def test_the_player_steps_scrubs_and_shows_the_right_frame(opened):
    assert now(opened)[0] == 0
    dark = pixel(opened, 0.25, 0.9)
    click(opened, f"{SESSION}.querySelector('.on')")
    click(opened, f"{SESSION}.querySelector('.on')")
    click(opened, f"{SESSION}.querySelector('.back')")
    frame, said = now(opened)
    assert frame == 1
    assert "1.00 s" in said
    assert "0.0°" in said
    scrub = f"{SESSION}.querySelector('.scrub')"
    opened.evaluate(f"{scrub}.value = 20; {scrub}.dispatchEvent(new Event('input'))")
    frame, said = now(opened)
    assert frame == 20
    # Ten frames of 18 degrees after the turn's first one, in the middle of the frame.
    assert "189.0°" in said
    assert "18°/s" in said
    opened.evaluate(f"{scrub}.value = 39; {scrub}.dispatchEvent(new Event('input'))")
    assert pixel(opened, 0.25, 0.9) > dark
    # A click on the curve goes to its time.
    click(opened, f"{SESSION}.querySelector('canvas.angle')", x=0.5, y=0.4)
    assert abs(now(opened)[0] - 19) <= 3


def test_the_player_plays_and_pauses(opened):
    speed = f"{SESSION}.querySelector('.speed')"
    opened.evaluate(f"{speed}.value = 40")
    click(opened, f"{SESSION}.querySelector('.play')")
    plays_on(opened, 3)
    assert "Pause" in opened.evaluate(f"{SESSION}.querySelector('.play').textContent")
    plays_on(opened, 3)
    click(opened, f"{SESSION}.querySelector('.play')")
    stopped = now(opened)[0]
    opened.evaluate(PAUSE.format(200))
    assert now(opened)[0] == stopped


def test_the_keyboard_plays_steps_and_wipes(opened):
    click(opened, f"{SESSION}.querySelector('canvas.frames')")
    for key, expected in (("End", 39), ("ArrowLeft", 38), ("Home", 0), ("ArrowRight", 1)):
        press(opened, key)
        assert now(opened)[0] == expected
    press(opened, "w")
    assert opened.evaluate(f"{SESSION}.querySelector('.view').value") == "wipe"
    press(opened, "]")
    assert opened.evaluate(f"{SESSION}.querySelector('input.wipe').value") == "550"
    speed = f"{SESSION}.querySelector('.speed').value"
    before = float(opened.evaluate(speed))
    press(opened, "+")
    assert float(opened.evaluate(speed)) > before
    press(opened, " ", "Space")
    assert "Pause" in opened.evaluate(f"{SESSION}.querySelector('.play').textContent")
    press(opened, " ", "Space")
    # What has keys of its own keeps them.
    stopped = now(opened)[0]
    opened.evaluate(f"{SESSION}.querySelector('.speed').focus()")
    press(opened, "Home")
    assert now(opened)[0] == stopped


def test_the_wipe_shows_one_movie_left_and_the_other_right(opened):
    view = f"{SESSION}.querySelector('.view')"
    opened.evaluate(f"{view}.value = 'wipe'; {view}.dispatchEvent(new Event('change'))")
    # At rest the cell, left of the middle, is bright in the derotated movie alone.
    x, y = (CELL[0] + 0.5) / 64, (20 + 480 * (CELL[1] + 0.5) / 64) / 500
    behind = pixel(opened, x, y)
    wipe = f"{SESSION}.querySelector('input.wipe')"
    opened.evaluate(f"{wipe}.value = 100; {wipe}.dispatchEvent(new Event('input'))")
    assert pixel(opened, x, y) > behind + 100
    # With the mouse, too.
    click(opened, f"{SESSION}.querySelector('canvas.frames')", x=0.8)
    assert opened.evaluate(f"{wipe}.value") == "800"
    assert pixel(opened, x, y) == behind


def test_a_place_is_asked_where_there_are_no_cells(opened):
    cells = f"{SESSION}.querySelector('section.cells')"
    said = opened.evaluate(f"{cells}.querySelector('.source').textContent")
    assert "measure_cells made no traces of cells" in said
    assert "40 frames" in said
    mean = f"{cells}.querySelector('canvas.mean')"
    click(opened, mean, (CELL[0] + 0.5) / 64, (CELL[1] + 0.5) / 64)
    asked = opened.evaluate(f"{cells}.querySelector('.asked').textContent")
    assert "x = 20, y = 30" in asked
    assert opened.evaluate(f"{cells}.querySelector('.answers').hidden") is False
    assert "Seen in 100 %" in opened.evaluate(f"{cells}.querySelector('.verdict').textContent")
    # A corner that turns out of the field of view is not seen in 20 of 40 frames.
    click(opened, mean, 62.5 / 64, 4.5 / 64)
    assert "Seen in 50 %" in opened.evaluate(f"{cells}.querySelector('.verdict').textContent")
    # The curve is there: something is drawn in blue.
    assert opened.evaluate(
        f"{copied(cells + '.querySelector(`canvas.over-time`)')}.then(function (p) {{"
        "const d = p.getImageData(0, 0, p.canvas.width, p.canvas.height).data;"
        "for (let i = 0; i < d.length; i += 4) if (d[i] < 40 && d[i + 2] > 150) return true;"
        "return false; })"
    )
    opened.evaluate(f"{mean}.focus()")
    press(opened, "ArrowLeft")
    opened.evaluate(SETTLED)
    assert "x = 60" in opened.evaluate(f"{cells}.querySelector('.asked').textContent")


def test_what_its_surroundings_share_is_called_the_light(cohort, browser, tmp_path):
    for name, light in (("mouse1", 0.3), ("mouse2", 0.0)):
        make_player(tmp_path / "results" / name / "player.json", light)
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    words = {}
    for name in ("mouse1", "mouse2"):
        open_session(browser, name)
        cells = f"document.querySelector('#session-{name} section.cells')"
        for what, (x, y) in {"dark": (45, 45), "cell": CELL}.items():
            click(browser, f"{cells}.querySelector('canvas.mean')", (x + 0.5) / 64, (y + 0.5) / 64)
            words[name, what] = browser.evaluate(f"{cells}.querySelector('.verdict').textContent")
    assert "most likely the light" in words["mouse1", "dark"]
    # The cell answers to rest: by far more than anything around it.
    assert "light around it" in words["mouse2", "cell"]
    assert browser.complaints == []


def test_a_cell_is_asked_where_there_are_traces(opened):
    open_session(opened, "mouse1")
    cells = "document.querySelector('#session-mouse1 section.cells')"
    assert "Traces of 2 cells: dF/F" in opened.evaluate(f"{cells}.textContent")
    mean = f"{cells}.querySelector('canvas.mean')"
    click(opened, mean, 47 / 64, 38 / 64)
    assert "Cell 9 at" in opened.evaluate(f"{cells}.querySelector('.asked').textContent")
    assert "Seen in 50 %" in opened.evaluate(f"{cells}.querySelector('.verdict').textContent")
    opened.evaluate(f"{mean}.focus()")
    press(opened, "ArrowRight")
    opened.evaluate(SETTLED)
    assert "Cell 7 at" in opened.evaluate(f"{cells}.querySelector('.asked').textContent")


def test_what_a_cell_is_tuned_to_is_said_with_its_q(opened):
    open_session(opened, "mouse1")
    cells = "document.querySelector('#session-mouse1 section.cells')"
    menu = f"{cells}.querySelector('.which-cell')"
    # The tuned ones come first, and are named.
    assert opened.evaluate(f"Array.from({menu}.options).map(o => o.textContent)") == [
        "…", "cell 7: angle, q = 0.001", "cell 9",
    ]  # fmt: skip
    tuning = f"{cells}.querySelector('.tuning').textContent"
    choose = f"{menu}.value = '{{}}'; {menu}.dispatchEvent(new Event('change'))"
    opened.evaluate(choose.format(0))
    opened.evaluate(SETTLED)
    assert opened.evaluate(tuning) == (
        "Tuned to the angle (q = 0.001): most active at 134°; it foretells 38 % of the variance in "
        "rotations that were left out. Not tuned to the angular velocity (q = 0.41): rotations "
        "that were left out of the fit are not foretold."
    )
    opened.evaluate(choose.format(1))
    opened.evaluate(SETTLED)
    said = opened.evaluate(tuning)
    assert said.startswith("Not tuned to the angle: what looks like it (q = 0.02) is brightness")
    assert "cannot be told from this session: it was seen too rarely" in said
    # A click within a mask asks its cell, though another one's middle may be nearer.
    click(opened, f"{cells}.querySelector('canvas.mean')", 20.5 / 64, 31.5 / 64)
    assert opened.evaluate(f"{menu}.value") == "0"


def test_a_dark_screen_is_dark_and_paper_is_white(opened):
    style = "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).map(Number)"
    background, ink = style.format("backgroundColor"), style.format("color")
    cells = f"{SESSION}.querySelector('section.cells')"
    click(opened, f"{cells}.querySelector('canvas.mean')")
    # On white there are no white letters, and rotations are shaded in a pale blue.
    bright = (
        f"{copied(cells + '.querySelector(`canvas.over-time`)')}.then(function (p) {{"
        "const d = p.getImageData(0, 0, p.canvas.width, p.canvas.height).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i + 3] > 200 && d[i] > 200 && d[i + 2] > 200;"
        "return n; })"
    )
    assert min(opened.evaluate(background)) > 240
    assert max(opened.evaluate(ink)) < 80
    in_light = opened.evaluate(bright)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.call("Emulation.setEmulatedMedia", features=dark)
    opened.evaluate(SETTLED)
    assert max(opened.evaluate(background)) < 40
    assert min(opened.evaluate(ink)) > 200
    assert 100 < opened.evaluate(bright) < in_light / 10
    opened.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert min(opened.evaluate(background)) > 240
    assert max(opened.evaluate(ink)) < 80
    opened.call("Emulation.setEmulatedMedia", media="", features=[])


def test_columns_are_chosen_and_all_of_them_saved(opened, tmp_path):
    visible = (
        "Array.from(document.querySelectorAll('#sessions thead th'))"
        ".filter(h => h.offsetParent).map(h => h.dataset.name)"
    )
    first = opened.evaluate(visible)
    assert "sharpness_gain" in first
    assert "Protocol" not in first
    box = (
        "Array.from(document.querySelectorAll('#column-list label'))"
        ".find(l => l.textContent.trim() === '{}').firstChild.click()"
    )
    opened.evaluate(box.format("Sharpness gain"))
    opened.evaluate(box.format("Protocol"))
    chosen = opened.evaluate(visible)
    assert "sharpness_gain" not in chosen
    assert "Protocol" in chosen
    opened.call(
        "Browser.setDownloadBehavior",
        behavior="allow", downloadPath=str(tmp_path), browserContextId=opened.context,
    )  # fmt: skip
    opened.evaluate("search.value = 'mouse'; search.dispatchEvent(new Event('input'))")
    click(opened, "document.getElementById('csv')")
    deadline = time.monotonic() + 20
    while not (tmp_path / "sessions.csv").exists() and time.monotonic() < deadline:
        opened.evaluate(PAUSE.format(100))
    with (tmp_path / "sessions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Session"] for row in rows] == ["mouse1", "mouse2", "mouse10"]
    assert [float(row["residual_shift_px"]) for row in rows] == [10.5, 0.42, 0.06]
    assert [row["Flag"] for row in rows] == ["bad", "look", "ok"]
    assert rows[1]["sheet mouse"] == "2"
    assert rows[0]["What to look at"].startswith("Cells of <different> angles & times")


def test_what_a_figure_means_is_said_beside_it(opened):
    opened.call("Emulation.setFocusEmulationEnabled", enabled=True)
    opened.evaluate("document.querySelector('th[data-name=residual_shift_px] button').focus()")
    assert opened.evaluate("document.getElementById('tip').hidden") is False
    assert "Root mean square of the shift" in opened.evaluate("tip.textContent")
    press(opened, "Escape")
    assert opened.evaluate("document.getElementById('tip').hidden") is True


def test_printed_it_shows_everything_and_cuts_nothing(opened):
    opened.evaluate("document.getElementById('close-all').click()")
    data = base64.b64decode(
        opened.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"]
    )
    assert data.startswith(b"%PDF")
    # Folded again afterwards.
    assert opened.evaluate("document.querySelectorAll('details.session[open]').length") == 0
    # As on paper of the width of A4 less its margins.
    opened.call(
        "Emulation.setDeviceMetricsOverride",
        width=703, height=1032, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    opened.call("Emulation.setEmulatedMedia", media="print")
    opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    root = "document.documentElement"
    assert opened.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
    assert opened.evaluate("document.querySelectorAll('details.session:not([open])').length") == 0
    # Every cell that holds anything is there, as wide as what stands in it.
    assert opened.evaluate(
        "Array.from(document.querySelectorAll('#sessions td')).filter(c => c.textContent.trim() &&"
        "(!c.offsetParent || c.scrollWidth > c.clientWidth + 1)).map(c => c.outerHTML)"
    ) == []  # fmt: skip
    # Paper is white: no white letters, and nothing dark behind dark ones.
    assert opened.evaluate(
        "Array.from(document.querySelectorAll('.flag, td, th, p, li, pre')).filter(function (e) {"
        "const s = getComputedStyle(e); const dark = c => { const [r, g, b, a = 1] ="
        "c.match(/[\\d.]+/g).map(Number); return a > 0.5 && r + g + b < 300; };"
        "return e.offsetParent && (!dark(s.color) && s.color.match(/255, 255, 255/)"
        "|| dark(s.backgroundColor)); }).map(e => e.outerHTML)"
    ) == []  # fmt: skip
    opened.call("Emulation.setEmulatedMedia", media="")


def test_the_reason_and_the_log_of_a_failure_can_be_copied(opened):
    open_session(opened, "broken")
    broken = "document.getElementById('session-broken')"
    text = opened.evaluate(f"{broken}.textContent")
    assert "Check the cable." in text
    assert "12:00 INFO began" in text
    opened.call(
        "Browser.grantPermissions",
        permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        browserContextId=opened.context,
    )
    click(opened, f"{broken}.querySelector('.copy')")
    said = opened.evaluate(f"{broken}.querySelector('[role=status]').textContent")
    assert said.startswith(("Copied", "Selected"))
    # One line in the table, however long the reason is.
    lines = opened.evaluate(
        "(() => { const cell = document.querySelector('tr[data-session=broken] td.words div');"
        "return cell.offsetHeight / parseFloat(getComputedStyle(cell).lineHeight); })()"
    )
    assert lines < 1.5


def test_dots_of_the_charts_open_their_session(opened):
    charts = opened.evaluate(
        "Array.from(document.querySelectorAll('.chart strong')).map(e => e.textContent)"
    )
    assert charts == ["Residual shift", "Photons"]
    assert (
        opened.evaluate("document.querySelectorAll('.chart')[0].querySelectorAll('a').length") == 3
    )
    opened.evaluate("document.getElementById('close-all').click()")
    click(opened, "document.querySelector('.chart a[href=\"#session-mouse10\"] circle')")
    assert opened.evaluate("document.getElementById('session-mouse10').open") is True


@pytest.mark.parametrize("width", [600, 1400])
def test_an_open_session_fits_the_window(cohort, chromium, tmp_path, width):
    make_player(tmp_path / "results" / "mouse2" / "player.json")
    cohort()
    with chromium.page(width=width) as browser:
        browser.open(tmp_path / "results" / "report.html")
        open_session(browser, "mouse2")
        click(browser, f"{SESSION}.querySelector('canvas.mean')")
        root = "document.documentElement"
        assert browser.evaluate(f"{root}.scrollWidth <= {root}.clientWidth") is True
        assert browser.evaluate(
            f"Array.from({SESSION}.querySelectorAll('canvas')).filter(c =>"
            "c.getBoundingClientRect().right > innerWidth).map(c => c.className)"
        ) == []  # fmt: skip
        assert browser.complaints == []


def test_a_long_reason_is_shown_to_its_last_word(cohort, browser, tmp_path):
    log = tmp_path / "logs" / "broken" / "parse_signals.log"
    log.write_text(f"ERROR: {'a long reason with many words ' * 12}: set signals.channel_order\n")
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    items = "Array.from(document.querySelectorAll('li.stopped'))"
    assert browser.evaluate(f"{items}.some(e => e.scrollWidth > e.clientWidth)") is False
    assert browser.evaluate("document.querySelector('li.stopped').clientHeight") > 30


def shortened(data, n):
    """The first moments of a session."""
    for name in ("frame", "time_s", "angle_deg", "velocity_deg_per_s"):
        data[name] = data[name][:n]
    data["path"] = {name: values[:n] for name, values in data["path"].items()}
    data["rotations"] = []


def without_angles(data):
    for place in (data, data["path"]):
        place["angle_deg"] = [float("nan")] * len(place["angle_deg"])
    data["velocity_deg_per_s"] = [float("nan")] * len(data["frame"])
    data["photons"] = float("nan")


def never_seen(data):
    bits = base64.b64decode(data["seen"]["bits"])
    data["seen"]["bits"] = base64.b64encode(bytes(len(bits))).decode()


ODD = {
    "one frame": lambda data: shortened(data, 1),
    "ten frames": lambda data: shortened(data, 10),
    "angles that are not numbers": without_angles,
    "nothing seen": never_seen,
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_recording_can_be_played_and_asked(cohort, browser, tmp_path, odd):
    player = tmp_path / "results" / "mouse2" / "player.json"
    make_player(player)
    data = json.loads(player.read_text())
    ODD[odd](data)
    player.write_text(json.dumps(data))
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    open_session(browser, "mouse2")
    for button in (".on", ".back", ".play"):
        click(browser, f"{SESSION}.querySelector('{button}')")
    browser.evaluate(PAUSE.format(200))
    assert "NaN" not in now(browser)[1]
    assert "undefined" not in now(browser)[1]
    click(browser, f"{SESSION}.querySelector('canvas.mean')")
    said = browser.evaluate(f"{SESSION}.querySelector('.verdict').textContent")
    assert said.startswith("Seen in ")
    assert "NaN" not in said
    assert "Infinity" not in said
    click(browser, f"{SESSION}.querySelector('canvas.over-time')")
    assert browser.complaints == []


@pytest.mark.parametrize("cells", ["none", "never seen"])
def test_cells_that_say_nothing_are_no_error(cohort, browser, tmp_path, cells):
    folder = tmp_path / "results" / "mouse2"
    make_player(folder / "player.json")
    make_cells(folder / "cells.npz")
    arrays = dict(np.load(folder / "cells.npz"))
    if cells == "none":
        arrays = {k: v[:0] if v.shape[:1] == (2,) else v for k, v in arrays.items()}
        arrays |= {name: v[:0] for name, v in arrays.items() if name.startswith("mask")}
    else:
        shape = arrays["seen"].shape
        unknown = ("time_s", "angle_deg", "velocity_deg_per_s", "dff")
        arrays |= {name: np.full(shape, np.nan) for name in unknown}
        arrays["seen"] = np.zeros(shape, bool)
    np.savez(folder / "cells.npz", **arrays)
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    open_session(browser, "mouse2")
    click(browser, f"{SESSION}.querySelector('canvas.mean')")
    assert "NaN" not in browser.evaluate(f"{SESSION}.querySelector('.cells').innerText")
    assert browser.complaints == []


NAMES = ["quote\"s & <b>angles</b> 'x'", "Mäuse_50%", "with blank", "a#b?c"]


@pytest.mark.parametrize("separate", [False, True])
def test_names_of_any_letters_are_shown_and_linked(
    cohort, add_session, browser, tmp_path, separate
):
    more = []
    for name in NAMES:
        add_session(name, "ok")
        make_player(tmp_path / "results" / name / "player.json")
        more.append(
            {"session": name, "protocol": "full", "movie": "m.tif", "mouse": f"</td>{name}"}
        )
    cohort(more=more, max_megabytes=0.05 if separate else 50)
    page = tmp_path / "results" / "report.html"
    for name in NAMES:
        browser.open(page)
        links = "Array.from(document.querySelectorAll('#sessions td:first-child a'))"
        link = f"{links}.find(a => a.textContent === {json.dumps(name)})"
        row = f"{link}.closest('tr')"
        assert f"</td>{name}" in browser.evaluate(f"{row}.textContent")
        if separate:
            assert (tmp_path / "results" / "report" / f"{name}.html").exists()
            browser.go(browser.evaluate(f"{link}.href"))
            assert name in browser.evaluate("document.querySelector('h1').textContent")
            wait_until_ready(browser, "document.querySelector('main.session')")
        else:
            browser.evaluate(f"{link}.click()")
            found = f"document.getElementById({json.dumps('session-' + name)})"
            wait_until_ready(browser, found)
            assert browser.evaluate(f"{found}.open") is True
        assert browser.evaluate("document.querySelectorAll('h1 b, td:first-child b').length") in (
            0, 1,
        )  # fmt: skip
        assert "Frame 0" in browser.evaluate(
            "Array.from(document.querySelectorAll('.now')).map(e => e.textContent).join()"
        )
    assert browser.complaints == []


def test_an_address_that_names_nothing_is_no_error(opened):
    for hash_ in ("%zz", "session-nobody", "session-mouse2"):
        opened.evaluate(f"location.hash = {json.dumps(hash_)}")
        opened.evaluate(SETTLED)
    assert opened.complaints == []


def test_without_scripts_everything_is_there_but_what_moves(cohort, browser, tmp_path):
    make_player(tmp_path / "results" / "mouse2" / "player.json")
    cohort()
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(tmp_path / "results" / "report.html")
    shown = "Array.from(document.querySelectorAll('{}')).filter(e => e.checkVisibility()).length"
    assert browser.evaluate(shown.format("noscript p")) == 1
    assert browser.evaluate(shown.format("#sessions tbody tr")) == 5
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate(shown.format("figure img")) > 5
    # Nothing that does nothing.
    for dead in (".player", ".cells", "button:not(th button)", "select", "input"):
        assert browser.evaluate(shown.format(dead)) == 0, dead
    assert browser.complaints == []


def test_nothing_ran_and_the_page_says_so(cohort, browser, tmp_path):
    more = [
        {"session": f"late{k}", "protocol": "full", "movie": "m.tif", "mouse": "1"}
        for k in range(40)
    ]
    for name in ("results", "logs", "benchmarks"):
        shutil.rmtree(tmp_path / name)
    cohort(more=more)
    browser.open(tmp_path / "results" / "report.html")
    notice = "document.querySelector('.notice')"
    said = browser.evaluate(f"{notice}.textContent")
    assert "45 of 45 sessions are not done" in said
    # One line for all that share a reason.
    assert browser.evaluate(f"{notice}.querySelectorAll('li').length") == 1
    assert "and 33 more" in said
    assert "Run derotation run:" in said
    assert click_head(browser, "Session")[0] == "broken"
    assert browser.complaints == []
