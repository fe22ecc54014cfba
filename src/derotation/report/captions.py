"""Plots in the order in which they are read, and their captions as HTML.

The captions are those of Snakemake's own report, ``workflow/report/<plot>.rst``, so that there is
one text for both pages.
"""

import html
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace

__all__ = ["MOSAIC_PLOTS", "PLOTS", "caption_html"]

# Name of the file in plots/ and its title, in reading order.
PLOTS: Mapping[str, str] = {
    "signals": "Signals with the events found in them",
    "angles": "Angle and speed",
    "center": "Center of rotation",
    "plane": "Tilt of the plane of rotation",
    "wobble": "Wobble of the axis",
    "calibration": "Calibration carried over from another session",
    "calibration_failed": "Calibration that could not be carried over",
    "movement_failed": "Movement against the reference session that was not found",
    "movement": "Movement against the reference session",
    "illumination": "Illumination",
    "motion": "Motion of the sample in its own plane",
    "dark_angles": "Brightness by angle",
    "before_after": "Mean image before and after",
    "channels": "Mean image of each channel",
    "planes": "Mean image of each further plane before and after",
    "contact_sheet": "Single frames before and after",
    "mean_by_angle": "Mean image at each angle",
    "residual_shift": "Shift that is left, by angle",
    "blob": "Path of the blob that was found most often",
    "quality_over_time": "Quality over time",
    "coverage": "Coverage over time",
    "cell_tuning": "What cells follow",
    "cell_responses": "Responses of cells to rotations",
    "animation": "Raw and derotated movie side by side",
}

MOSAIC_PLOTS: Mapping[str, str] = {
    "mosaic": "The window",
    "mosaic_overlaps": "Overlaps of the fields of view",
}

# Stands in for the name while a caption is turned into HTML.
_NAME = "NAMEOFSESSION"


def caption_html(source: str, name: str) -> str:
    """Turn a caption into HTML.

    Parameters
    ----------
    source : str
        reStructuredText with the placeholders of Snakemake's reports.
    name : str
        The session or group that takes the place of ``{{ snakemake.wildcards.session }}`` or
        ``{{ snakemake.wildcards.group }}``.

    Returns
    -------
    str
        Paragraphs and lists, safe to be put into a page. Other placeholders
        are left out.
    """
    return _translated(source).replace(_NAME, html.escape(name))


@cache
def _translated(source: str) -> str:
    from docutils.core import publish_parts
    from docutils.writers.html5_polyglot import Writer
    from jinja2 import ChainableUndefined, Environment

    # The result passes through docutils, which escapes all that is no markup of its own.
    templates = Environment(undefined=ChainableUndefined, autoescape=False)
    wildcards = SimpleNamespace(session=_NAME, group=_NAME)
    text = templates.from_string(source).render(snakemake=SimpleNamespace(wildcards=wildcards))
    settings = {
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "initial_header_level": 5,
        "report_level": 5,
        "_disable_config": True,
    }
    parts = publish_parts(text, writer=Writer(), settings_overrides=settings)
    return str(parts["body"])
