"""The page in a real browser, from a file and without a network."""

import pytest

from browser import Browser

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


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path / "profile") as opened:
        yield opened


def click_head(browser, column):
    heads = "document.querySelectorAll('#sessions th button')"
    browser.evaluate(f"Array.from({heads}).find(b => b.textContent.startsWith('{column}')).click()")
    return browser.evaluate(SHOWN)


def test_the_report_works_as_a_file(cohort, browser, tmp_path):
    cohort()
    browser.open(tmp_path / "results" / "report.html")
    # As in the sheet, then by name (as numbers), by a figure, and by how bad it is.
    assert browser.evaluate(SHOWN) == ["mouse10", "mouse2", "mouse1", "broken", "needy"]
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
    assert browser.evaluate(target) == (tmp_path / "results/report/mouse10.html").as_uri()
    assert click_head(browser, "Flag")[0] == "broken"
    browser.open(tmp_path / "results" / "report" / "mouse10.html")
    assert browser.evaluate(LOADED) == [90] * 3
    assert browser.complaints == []


def test_a_narrow_window_does_not_scroll_sideways(cohort, tmp_path):
    cohort()
    with Browser(tmp_path / "profile", width=500, height=900) as narrow:
        narrow.open(tmp_path / "results" / "report.html")
        narrow.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        root = "document.documentElement"
        assert narrow.evaluate(f"{root}.scrollWidth <= {root}.clientWidth") is True
