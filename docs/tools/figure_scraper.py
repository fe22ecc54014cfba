"""Show in the gallery the figures of :mod:`derotation.plots`, which pyplot does not know."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def figure_scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save each figure that the last block of an example has made."""
    paths = []
    for value in block_vars["example_globals"].values():
        # Figures of pyplot have a number, and a scraper of their own.
        if isinstance(value, Figure) and not hasattr(value, "number"):
            if getattr(value, "shown_in_gallery", False):
                continue
            value.shown_in_gallery = True  # type: ignore[attr-defined]
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=100)
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Callable[..., str]:
    return figure_scraper
