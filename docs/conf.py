"""Configuration of Sphinx: `sphinx-build -W --keep-going docs docs/_build/html`."""

import re
import sys
import warnings
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "tools"))

from derotation import __version__  # noqa: E402

project = "derotation-workflow"
author = "The derotation-workflow developers"
copyright = author  # noqa: A001
release = version = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "repository_links",
    "short_signatures",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "unlisted",
]
exclude_patterns = [
    "_build",
    "tools",
    "figures",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]
templates_path = ["_templates"]

# Each heading can be linked to as on GitHub: page.md#its-words.
myst_heading_anchors = 4

# A page of the site that shows a file which lies elsewhere in the repository.
repository_pages = {
    "README.md": "get_started",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "config/README.md": "configuration",
    "benchmarks/README.md": "benchmarks",
    "docs/index.md": "index",
    "examples/README.rst": "gallery/index",
}
# The gallery shows each example on a page of its own.
repository_pages |= {
    f"examples/{path.name}": f"gallery/{path.stem}" for path in ROOT.glob("examples/plot_*.py")
}

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Named where it is not loaded, and defined beside what opens one.
autodoc_type_aliases = {"Movie": "derotation.io.movie.Movie"}
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False

# References to what other projects document cannot be checked without a network.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!derotation\.).*"),
    (r"py:.*", r"derotation\.(\w+\.)*_\w.*"),  # private
    (r"py:.*", r".*\|.*"),  # unions that autodoc takes for one name
    (r"py:class", r"derotation\.(\w+\.)*T"),  # type variables
    (r"py:class", r"derotation\.io\.signals\.LazyRows"),  # beside the public names
]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    # Only what an example prints, not the value of a block's last line.
    "capture_repr": (),
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib", "figure_scraper"),
    "matplotlib_animations": (True, "jshtml"),
    "min_reported_time": 1,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
}
# The examples draw without a window on purpose.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

html_theme = "pydata_sphinx_theme"
html_title = "derotation-workflow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 2,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}


def setup(app: Any) -> None:
    """Keep the site free of what is loaded from elsewhere."""
    app.connect("html-page-context", _without_remote_icons)


def _without_remote_icons(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    # Matplotlib's player of animations asks for icons that the theme brings along.
    if "body" in context:
        context["body"] = re.sub(r'<link[^>]*href="https://[^>]*>', "", context["body"])
