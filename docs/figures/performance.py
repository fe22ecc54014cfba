"""Where the computing time of a session goes."""

import numpy as np

from figures.style import BLUE, GRAY, Figure, figure

# Seconds of computing of each step as a process of its own, 512 x 512, one thread, by
# benchmarks/_step.py: 400 frames before they were compared by compiled loops (NaN where it was not
# measured), 500 now.
NAN = float("nan")
STEPS = {
    "parse_signals": (NAN, 1.1),
    "interpolate_angles": (NAN, 1.1),
    "estimate_center": (22.1, 3.5),
    "estimate_plane": (23.7, 4.9),
    "estimate_illumination": (NAN, 2.6),
    "estimate_motion": (NAN, 2.0),
    "derotate_movie": (4.8, 2.5),
    "measure_quality": (5.7, 2.2),
    "export_suite2p": (1.2, 0.4),
    "animate_session": (NAN, 1.7),
}


def where_the_time_goes() -> Figure:
    """Draw the seconds of each step, before and now."""
    picture = figure(7.2, 3.8)
    ax = picture.subplots()
    place = np.arange(len(STEPS))
    before, now = np.array(list(STEPS.values())).T
    ax.barh(place - 0.2, before, 0.36, color=GRAY, label="before")
    ax.barh(place + 0.2, now, 0.36, color=BLUE, label="now")
    for y, seconds in zip(place, now, strict=True):
        ax.text(seconds + 0.2, y + 0.2, f"{seconds:.1f}", va="center", fontsize=8)
    ax.set_yticks(place, list(STEPS))
    ax.invert_yaxis()
    ax.set_xlabel("computing time of the job (s), 400 (before) or 500 frames of 512 x 512")
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return picture
