"""Sphinx extension: what was not listed by hand is in the site nevertheless.

Pages that no ``toctree`` names are added to the one of docs/how_tos.md, and public modules that
docs/api.md does not list appear at its end. So nothing is missing, whoever adds a page or module.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

HOW_TOS, API, FURTHER = "how_tos", "api.md", "_further_modules.rst"
TOCTREE = re.compile(r"^```\{toctree\}\n(?:.*\n)*?(?=```$)", re.MULTILINE)
MODULE = re.compile(r"^   (derotation[.\w]+)$", re.MULTILINE)
HEAD = """\
.. rubric:: Further modules

.. autosummary::
   :toctree: api
   :template: module.rst

"""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", _write_modules)
    app.connect("source-read", _add_pages)
    return {"parallel_read_safe": True}


def _write_modules(app: Sphinx, config: Config) -> None:
    """List modules in a file that the page includes: Autosummary looks for lists in files."""
    docs = Path(app.srcdir)
    further = unlisted_modules(docs)
    text = HEAD + "".join(f"   {module}\n" for module in further) if further else ""
    file = docs / FURTHER
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    config.autosummary_generate = [API, FURTHER]
    config.exclude_patterns.append(FURTHER)


def _add_pages(app: Sphinx, docname: str, content: list[str]) -> None:
    if docname == HOW_TOS:
        pages = "".join(f"{page}\n" for page in unlisted_pages(Path(app.srcdir)))
        content[0] = TOCTREE.sub(lambda match: match[0] + pages, content[0], count=1)


def unlisted_pages(docs: Path) -> list[str]:
    """Name the pages that no toctree names."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in docs.glob("*.md")}
    listed = {
        line.strip() for text in texts.values() for tree in TOCTREE.findall(text)
        for line in tree.splitlines()
    }  # fmt: skip
    return sorted(texts.keys() - listed - {"index"})


def unlisted_modules(docs: Path) -> list[str]:
    """Name the public modules that the page does not list: those without an underscore."""
    source = docs.parent / "src"
    listed = set(MODULE.findall((docs / API).read_text(encoding="utf-8")))
    parts = (path.relative_to(source).with_suffix("").parts for path in source.rglob("*.py"))
    public = {".".join(names) for names in parts if not any(n.startswith("_") for n in names)}
    return sorted(public - listed)
