"""Numbers, times and names of figures as people write them."""

import math
from collections.abc import Mapping

__all__ = ["PLAIN", "duration", "number", "plain", "quantity"]

# What the values of a figure say, where its meaning alone does not tell.
PLAIN: Mapping[str, str] = {
    "rotating_correlation": "1: frames look as much like the sample at rest while it turns as "
    "frames at rest do; more than 1 is chance, or more light; 0.5: half as much.",
    "sharpness_gain": "How much sharper the mean image of turning frames has become. 1: not at "
    "all; 50: of what turned there was hardly more than a smear before. How large it can become "
    "depends on the sample: compare sessions of the same one.",
    "ptd_px": "PTD, the point-to-point distance: how far a bright spot still wanders while the "
    "sample turns. 0: it stands still; a cell's width: its traces mix with its neighbors'.",
    "residual_shift_px": "0: pictures taken at all angles lie on each other; 1: some lie a pixel "
    "apart.",
    "coverage": "1: every turned frame shows the whole field; 0.7: at the worst angle three "
    "tenths of it are not seen.",
    "uneven_light_pct": "A cell of constant brightness seems to change by so much while it turns.",
    "center_error_px": "0: the center could not be told from the best one.",
    "focus_sharpness": "1: always equally sharp; 0.5: at some time half of the detail was lost.",
}


def plain(name: str, meanings: Mapping[str, str]) -> str:
    """Say what a figure is, and what its values say."""
    return " ".join(filter(None, (meanings.get(name), PLAIN.get(name))))


def number(value: float | None) -> str:
    """Write a number with three digits, as far as these mean anything; nothing for None."""
    if value is None or not math.isfinite(value):
        return ""
    # What arithmetic leaves of a zero.
    if abs(value) < 1e-9:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit, kept together by a narrow space that does not break."""
    return f"{number(value)}\u202f{unit}" if unit else number(value)


def duration(seconds: float) -> str:
    """Write a time in the units that suit its length."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
