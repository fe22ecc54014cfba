"""Sphinx extension: links between files of the repository work in the built site as on GitHub.

Pages are Markdown that GitHub shows as well, and some of them are files outside ``docs`` that a
page includes. Links in them are relative to the file that they stand in. Here they are turned into
links between pages (``repository_pages`` in conf.py says which page shows which file); other files
of the repository can be downloaded from the site. A link that leads nowhere is a warning.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# Code is left alone; a link is the target in "](target)".
CODE = re.compile(r"(^(`{3,}|~{3,}).*?^\2|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|<)([^)\s#]+)(#[^)\s]*)?(?=[)\s])")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("repository_pages", {}, "env")
    app.connect("source-read", _page)
    app.connect("include-read", _included)
    return {"parallel_read_safe": True}


def _page(app: Sphinx, docname: str, content: list[str]) -> None:
    file = Path(app.env.doc2path(docname))
    if file.suffix == ".md":
        content[0] = rewrite(app, content[0], file.parent, docname)


def _included(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    file = Path(app.srcdir, path)
    if file.suffix == ".md":
        content[0] = rewrite(app, content[0], file.parent, docname)


def rewrite(app: Sphinx, text: str, folder: Path, docname: str) -> str:
    """Rewrite the links of Markdown that stands in `folder` and is shown on the page `docname`."""
    source = Path(app.srcdir).resolve()
    page_folder = (source / docname).parent
    pages = {
        (source.parent / file).resolve(): page for file, page in app.config.repository_pages.items()
    }

    def target(match: re.Match[str]) -> str:
        path, anchor = (folder / match[1]).resolve(), match[2] or ""
        if path.is_dir():
            path /= "README.md" if (path / "README.md").exists() else "README.rst"
        if path in pages:
            if pages[path] == docname:
                return anchor or "#"
            page = source / pages[path]
            # The pages of the gallery are made as reStructuredText.
            path = page.with_name(page.name + (".md" if page.parent == source else ".rst"))
        elif not path.exists():
            logger.warning("a link leads to %s, which does not exist", match[1], location=docname)
        return os.path.relpath(path, page_folder) + anchor

    pieces = CODE.split(text)
    # split() gives text, code and the fence of the code, in turns.
    return "".join(
        LINK.sub(target, piece) if k % 3 == 0 else (piece or "") if k % 3 == 1 else ""
        for k, piece in enumerate(pieces)
    )
