"""The page: ``report.html``, which needs no server, no network and no other file."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derotation.errors import InputError
from derotation.io.files import whole_file, write_text
from derotation.jobs.versions import software_versions
from derotation.quality.figures import SPECIFICATIONS
from derotation.report.captions import MOSAIC_PLOTS, PLOTS, caption_html
from derotation.report.cells import cells_for_page
from derotation.report.pictures import EmbeddedPicture, embed
from derotation.report.record import config_text
from derotation.report.sessions import CohortReport, Figure, MosaicReport, SessionReport
from derotation.report.summary import VERDICTS, headline
from derotation.report.table import sheet_columns
from derotation.report.trends import charts
from derotation.report.words import duration, number, plain, quantity

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["PageContent", "mark_outdated", "template_fingerprint", "write_page"]

# The figures that a person compares first; the table is wider than most screens.
TELLING = (
    "residual_shift_px",
    "rotating_correlation",
    "sharpness_gain",
    "ptd_px",
    "coverage",
    "center_error_px",
    "ticks_inserted_pct",
    "unusable_frames_pct",
)
# Columns of the sample sheet that the workflow reads; any other is a laboratory's own.
SHEET_COLUMNS = (
    "session", "protocol", "movie", "signals", "stimulus", "calibration", "reference", "mosaic",
    "stage_x_um", "stage_y_um",
)  # fmt: skip
# What stands beside a color, so that nothing depends on it.
SYMBOLS = {"ok": "✓", "look": "?", "bad": "!", "failed": "✕", "missing": "○", "none": "·"}

_OUTDATED = "<!-- outdated -->"
# What stands of a page up to its first words: its style is some kilobytes.
_TOP_BYTES = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """What stands in the report beside the sessions."""

    config: Mapping[str, Any]
    """The configuration with all defaults."""
    captions: Mapping[str, str]
    """Captions of the plots, reStructuredText by the plot's name."""
    max_megabytes: float
    """If the page with all pictures is larger, these go to a page per session."""
    finished: bool
    """Whether the run reached its end without an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """A plot of a session as the templates need it."""

    name: str
    title: str
    caption: str
    link: str
    picture: EmbeddedPicture


def write_page(
    results: str | Path,
    cohort: CohortReport,
    content: PageContent,
    *,
    threads: int = 1,
) -> Path:
    """Write ``report.html``, and if it would become too large also ``report/<session>.html``.

    Parameters
    ----------
    results : path
        The folder of the results.
    cohort : CohortReport
    content : PageContent
        All the rest.
    threads : int
        Threads that make pictures smaller.

    Returns
    -------
    Path
        The page. It appears whole or not at all; pages per session of an earlier report that
        are no longer needed are removed.
    """
    results, sessions = Path(results), cohort.sessions
    templates, common = _templates(), _common(sessions, content)
    page = results / "report.html"
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        maker = _SessionParts(templates, results, content, common, pool.map)
        context = common | _context(results, cohort, content)
        template = templates.get_template("report.html.jinja")
        try:
            maker.left = content.max_megabytes * 1e6
            _write_pieces(page, template.generate(**context, part=maker.part, separate=False))
            maker.remove_pages(keep=())
        except _TooLargeError:
            maker.left = float("inf")
            for session in sessions:
                maker.write_page(session)
            maker.remove_pages(keep=[session.name for session in sessions])
            _write_pieces(page, template.generate(**context, part=None, separate=True))
    return page


def _context(results: Path, cohort: CohortReport, content: PageContent) -> dict[str, Any]:
    """Name what the page of the cohort shows besides the parts of its sessions."""
    sessions = cohort.sessions
    columns = _columns(sessions)
    flagged = {figure.name for session in sessions for figure in session.flagged}
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    return {
        "sessions": sorted(sessions, key=lambda session: order[session.verdict]),
        "matching": cohort.matching,
        "mosaics": [
            (mosaic, _plots_of(mosaic, MOSAIC_PLOTS, results, content, map))
            for mosaic in cohort.mosaics
        ],
        "columns": columns,
        "shown": {figure.name for figure in columns if figure.name in flagged}
        | {figure.name for figure in columns if figure.name in TELLING},
        "meanings": {item.name: item.meaning for item in SPECIFICATIONS},
        "charts": charts(sessions),
        "config": config_text(content.config),
        "software": software_versions(),
        "sheet_columns": sheet_columns(sessions),
        "own_columns": [name for name in sheet_columns(sessions) if name not in SHEET_COLUMNS],
    }


def _write_pieces(page: Path, pieces: Iterable[str]) -> None:
    """Write a page piece by piece, since all sessions together may be hundreds of megabytes."""
    with whole_file(page) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        for piece in pieces:
            stream.write(piece)


class _TooLargeError(Exception):
    """All sessions do not fit into one page."""


def mark_outdated(page: str | Path) -> None:
    """Write into an older page that a new run has begun, which will replace it.

    Parameters
    ----------
    page : path
        The page; nothing happens if there is none.
    """
    page = Path(page)
    if not page.exists():
        return
    with page.open("rb") as stream:
        # The rest of it, which may be large, is copied as it is.
        top = stream.read(_TOP_BYTES)
        if _OUTDATED.encode() in top:
            return
        notice = _templates().get_template("outdated.html.jinja").render(started=_now())
        changed = top.replace(b"<main>", f"<main>\n{_OUTDATED}\n{notice}".encode(), 1)
        with whole_file(page) as temporary, temporary.open("wb") as copy:
            copy.write(changed)
            shutil.copyfileobj(stream, copy)


def _columns(sessions: Sequence[SessionReport]) -> list[Figure]:
    """Choose an example of each figure: those that are not ok somewhere, then the telling ones."""
    figures = [figure for session in sessions for figure in session.figures]
    flagged = {figure.name for figure in figures if figure.flag in ("look", "bad")}
    examples = {figure.name: figure for figure in figures}
    telling = {name: place for place, name in enumerate(TELLING)}
    return sorted(
        examples.values(),
        key=lambda figure: (figure.name not in flagged, telling.get(figure.name, len(telling))),
    )


def template_fingerprint() -> str:
    """Hash the templates, which a page depends on as it does on the code.

    Returns
    -------
    str
        SHA-256 as 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    folder = resources.files("derotation.report") / "templates"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        digest.update(f"{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def _templates() -> "Environment":
    """Read the templates, once, since compiling them takes longer than filling them in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("derotation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "number": number,
        "duration": duration,
        "threshold": _threshold,
        "quantity": quantity,
        "plain": plain,
        "by_name": lambda session: {figure.name: figure for figure in session.figures},
        # Addresses of pictures hold nothing that a page would take for its own signs.
        "whole": Markup,
    }
    return templates


def _common(sessions: Sequence[SessionReport], content: PageContent) -> dict[str, Any]:
    """Name what the page of the cohort and those of single sessions share."""
    return {
        "made": _now(),
        "finished": content.finished,
        "headline": headline(sessions),
        "verdicts": VERDICTS,
        "symbols": SYMBOLS,
    }


def _now() -> str:
    now = datetime.now().astimezone()
    return f"{now:%Y-%m-%d %H:%M} ({now.tzname()})"


class _SessionParts:
    """Makes what stands of each session in the page, or in a page of its own."""

    def __init__(
        self,
        templates: "Environment",
        results: Path,
        content: PageContent,
        common: Mapping[str, Any],
        mapped: Callable[..., Iterable[EmbeddedPicture]],
    ) -> None:
        self._templates, self._common = templates, common
        self._results, self._folder = results, results / "report"
        self._content, self._mapped = content, mapped
        self._fingerprint = template_fingerprint()
        # Bytes that the parts still to be made may have.
        self.left = float("inf")

    def part(self, session: SessionReport) -> str:
        """Make the part of a session, with its frames and pictures."""
        plots = _plots_of(
            session, self._titles(session), self._results, self._content, self._mapped
        )
        template = self._templates.get_template("session.html.jinja")
        traces, no_cells = "", ""
        if session.cells is not None:
            try:
                traces = cells_for_page(session.cells)
            except InputError as error:
                # All else of the session can still be looked at.
                no_cells = str(error)
        text = template.render(
            session=session,
            plots=plots,
            verdicts=VERDICTS,
            symbols=SYMBOLS,
            player=_data(_strict(session.player)) if session.player else "",
            cells=_data(traces),
            no_cells=no_cells,
        )
        self.left -= len(text)
        if self.left < 0:
            raise _TooLargeError
        return text

    def _titles(self, session: SessionReport) -> Mapping[str, str]:
        """Name the plots; the player shows more than the animation does, which stays a file."""
        left_out = {"animation"} if session.player else set()
        return {name: title for name, title in PLOTS.items() if name not in left_out}

    def write_page(self, session: SessionReport) -> None:
        """Write a session's own page, unless there is one that was made from the same."""
        page = self._folder / f"{session.name}.html"
        origin = f"<!-- made from {self._origin(session)} -->"
        if _ends_with(page, origin):
            return
        template = self._templates.get_template("single.html.jinja")
        text = template.render(**self._common, session=session, part=self.part(session))
        write_text(page, f"{text}\n{origin}\n")

    def remove_pages(self, keep: Collection[str]) -> None:
        """Remove pages of sessions that nothing links any more."""
        if not keep:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for page in self._folder.glob("*.html"):
            if page.stem not in keep:
                page.unlink()

    def _origin(self, session: SessionReport) -> str:
        """Hash all that a session's page is made from."""
        paths = [*session.plots.values(), *filter(None, (session.player, session.cells))]
        files = [(path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
        captions = [self._content.captions.get(name, "") for name in session.plots]
        told = repr((session, files, captions, self._fingerprint))
        return hashlib.sha256(told.encode()).hexdigest()


def _strict(path: Path) -> str:
    """Read JSON as browsers can read it, who know no NaN."""
    text = path.read_text(encoding="utf-8")
    if "NaN" not in text and "Infinity" not in text:
        return text
    return json.dumps(json.loads(text, parse_constant=lambda _: None), separators=(",", ":"))


def _data(text: str) -> str:
    """Make JSON fit to stand within a script element, which nothing in it may end."""
    return text.replace("<", "\\u003c")


def _ends_with(path: Path, line: str) -> bool:
    """Tell whether a file ends with a line, without reading what stands before."""
    ending = f"{line}\n".encode()
    if not path.exists() or path.stat().st_size < len(ending):
        return False
    with path.open("rb") as stream:
        stream.seek(-len(ending), io.SEEK_END)
        return stream.read() == ending


def _plots_of(
    piece: SessionReport | MosaicReport,
    titles: Mapping[str, str],
    results: Path,
    content: PageContent,
    mapped: Callable[..., Iterable[EmbeddedPicture]],
) -> list[_Plot]:
    """Prepare the plots of a session or a mosaic; `mapped` is ``map`` or that of a pool."""
    # A plot that nobody named is shown by its file's name.
    wanted = {
        name: path for name, path in piece.plots.items() if name in titles or name not in PLOTS
    }
    return [
        _Plot(
            name=name,
            title=titles.get(name, name),
            caption=caption_html(content.captions.get(name, ""), piece.name),
            link=path.relative_to(results).as_posix(),
            picture=picture,
        )
        for (name, path), picture in zip(
            wanted.items(), mapped(embed, wanted.values()), strict=True
        )
    ]


def _threshold(figure: Figure) -> str:
    """Say from where on a figure is to be looked at, and from where on it is bad."""
    known = {
        name: value for name, value in (("look", figure.look), ("bad", figure.bad))
        if value is not None
    }  # fmt: skip
    if figure.look == figure.bad:
        known.pop("look", None)
    word = "below" if _low_is_bad(figure) else "above"
    said = (f"{name} {word} {quantity(value, figure.unit)}" for name, value in known.items())
    return ", ".join(said)


def _low_is_bad(figure: Figure) -> bool:
    """Tell from the thresholds, or else from the value, on which side of them it is bad."""
    if figure.look is not None and figure.bad is not None and figure.look != figure.bad:
        return figure.bad < figure.look
    threshold = figure.look if figure.bad is None else figure.bad
    if threshold is None or figure.value is None or figure.value == threshold:
        return False
    return (figure.value > threshold) == (figure.flag == "ok")
