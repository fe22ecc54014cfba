"""The page: ``report.html``, which needs no server, no network and no other file."""

import hashlib
import io
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derotation.io.files import write_text
from derotation.jobs.versions import software_versions
from derotation.report.captions import MOSAIC_PLOTS, PLOTS, caption_html
from derotation.report.pictures import EmbeddedPicture, embed
from derotation.report.record import config_text
from derotation.report.sessions import CohortReport, Figure, MosaicReport, SessionReport
from derotation.report.summary import VERDICTS, headline
from derotation.report.words import duration, number, quantity

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["PageContent", "mark_outdated", "template_fingerprint", "write_page"]

# What stands beside a color, so that nothing depends on it.
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
SYMBOLS = {"ok": "✓", "look": "?", "bad": "!", "failed": "✕", "missing": "○", "none": "·"}

_OUTDATED = "<!-- outdated -->"


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
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        maker = _SessionParts(templates, results, content, common, pool.map)
        parts = _parts_within_limit(maker, sessions, content.max_megabytes * 1e6)
        if parts is None:
            for session in sessions:
                maker.write_page(session)
    maker.remove_pages(keep=() if parts is not None else [session.name for session in sessions])
    text = templates.get_template("report.html.jinja").render(
        **common,
        sessions=sessions,
        parts=parts,
        separate=parts is None,
        mosaics=[
            (mosaic, _plots_of(mosaic, MOSAIC_PLOTS, results, content, map))
            for mosaic in cohort.mosaics
        ],
        columns=_columns(sessions),
        values=[{figure.name: figure for figure in session.figures} for session in sessions],
        config=config_text(content.config),
        software=software_versions(),
        sheet_columns=list(dict.fromkeys(name for session in sessions for name in session.row)),
    )
    page = results / "report.html"
    write_text(page, text)
    return page


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
    text = page.read_text(encoding="utf-8")
    if _OUTDATED not in text:
        notice = _templates().get_template("outdated.html.jinja").render(started=_now())
        write_text(page, text.replace("<main>", f"<main>\n{_OUTDATED}\n{notice}", 1))


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


def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

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


def _parts_within_limit(
    maker: "_SessionParts", sessions: Sequence[SessionReport], limit: float
) -> list[str] | None:
    """Make the parts of all sessions; None as soon as they are larger than the limit (bytes)."""
    parts: list[str] = []
    left = limit
    for session in sessions:
        parts.append(maker.part(session))
        left -= len(parts[-1])
        if left < 0:
            return None
    return parts


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

    def part(self, session: SessionReport) -> str:
        """Make the part of a session, with its pictures."""
        plots = _plots_of(session, PLOTS, self._results, self._content, self._mapped)
        template = self._templates.get_template("session.html.jinja")
        return template.render(session=session, plots=plots, verdicts=VERDICTS, symbols=SYMBOLS)

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
        files = [(path.stat().st_mtime_ns, path.stat().st_size) for path in session.plots.values()]
        captions = [self._content.captions.get(name, "") for name in session.plots]
        told = repr((session, files, captions, self._fingerprint))
        return hashlib.sha256(told.encode()).hexdigest()


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
    return [
        _Plot(
            name=name,
            title=titles.get(name, name),
            caption=caption_html(content.captions.get(name, ""), piece.name),
            link=path.relative_to(results).as_posix(),
            picture=picture,
        )
        for (name, path), picture in zip(
            piece.plots.items(), mapped(embed, piece.plots.values()), strict=True
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
