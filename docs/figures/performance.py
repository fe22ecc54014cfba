"""Where the computing time of a session goes."""

import numpy as np

from figures.style import BLUE, GRAY, Figure, figure

# Seconds of computing of each step as a process of its own: 400 frames of 512 x 512, one thread, by
# benchmarks/_step.py. Before and after frames were compared by compiled loops; NaN where it was not
# measured before.
NAN = float("nan")
STEPS = {
    "parse_signals": (NAN, 3.0),
    "interpolate_angles": (NAN, 3.6),
    "estimate_center": (22.1, 5.7),
    "estimate_plane": (23.7, 7.3),
    "estimate_illumination": (NAN, 5.3),
    "derotate_movie": (4.8, 4.6),
    "measure_quality": (5.7, 4.8),
    "export_suite2p": (1.2, 0.8),
}


def where_the_time_goes() -> Figure:
    """Draw the seconds of each step, before and now."""
    picture = figure(7.2, 3.4)
    ax = picture.subplots()
    place = np.arange(len(STEPS))
    before, now = np.array(list(STEPS.values())).T
    ax.barh(place - 0.2, before, 0.36, color=GRAY, label="before")
    ax.barh(place + 0.2, now, 0.36, color=BLUE, label="now")
    for y, seconds in zip(place, now, strict=True):
        ax.text(seconds + 0.2, y + 0.2, f"{seconds:.1f}", va="center", fontsize=8)
    ax.set_yticks(place, list(STEPS))
    ax.invert_yaxis()
    ax.set_xlabel("computing time of the job (s), 400 frames of 512 x 512")
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return picture
